package reconcile

import (
	"fmt"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/promotion"
)

// chained makes a repository for each environment, each after those that it names, all with web at 1.0.0.
func (w *world) chained(environments ...promotion.Environment) map[string]*infra {
	w.t.Helper()
	repos := map[string]*infra{}
	for _, env := range environments {
		repos[env.Name] = w.repo("infra-"+env.Name, map[string]string{
			ConfigFile: w.config(env), "apps/web/kustomization.yaml": kustomization(string(web) + ":1.0.0"),
		})
	}
	w.discover()
	return repos
}

func in(name string) string { return "acme/infra-" + name + ":" + name }

func TestALongChainIsPassedOneByOne(t *testing.T) {
	w := newWorld(t)
	names := []string{"dev", "acceptance", "canary", "production"}
	repos := w.chained(environment("dev"), environment("acceptance", after(in("dev"))), environment("canary", after(in("acceptance"))),
		environment("production", after(in("canary"))))
	w.push(web, "1.1.0")
	w.work()
	for i, name := range names {
		for j, other := range names[i:] { // all are open; only the first may be merged
			want := forge.Pending
			if j == 0 {
				want = forge.Success
			}
			repos[other].gate(repos[other].only(), want)
		}
		if _, err := repos[name].alice().Merge(repos[name].ID, 1); err != nil {
			t.Fatal(err)
		}
		w.hear()
		if got := repos[name].promotion(1); got.State != promotion.Deployed || got.AgainstGate {
			t.Errorf("%s is %s, against the gate %v", name, got.State, got.AgainstGate)
		}
	}
	repos["production"].says(1, true, "**Merged by alice.** ✅")
}

// The pull request of the last environment tells of all that come before it, not only of the one it waits for.
func TestAPullRequestTellsOfTheWholeChain(t *testing.T) {
	w := newWorld(t)
	repos := w.chained(environment("dev"), environment("acceptance", after(in("dev"))), environment("canary", after(in("acceptance"))),
		environment("production", after(in("canary"))))
	w.push(web, "1.1.0")
	w.work()
	for _, name := range []string{"dev", "acceptance"} {
		if _, err := repos[name].alice().Merge(repos[name].ID, 1); err != nil {
			t.Fatal(err)
		}
		w.hear()
	}
	w.later(11 * time.Minute)
	w.hear()
	repos["production"].says(1, true,
		"| `acme/infra-dev:dev` | ✅ exactly these |", "| `acme/infra-acceptance:acceptance` | ✅ exactly these |", "| `acme/infra-canary:canary` | others: `web` `1.0.0`")
}

func TestAChainMergesItselfToTheEnd(t *testing.T) {
	w := newWorld(t)
	auto := merging(promotion.MergeAuto)
	repos := w.chained(environment("production", after(in("canary")), auto), environment("canary", after(in("acceptance")), auto),
		environment("acceptance", after(in("dev")), auto), environment("dev", auto))
	w.push(web, "1.1.0")
	w.work()
	for range 8 {
		w.later(2 * time.Second)
	}
	before := time.Time{}
	for _, name := range []string{"dev", "acceptance", "canary", "production"} {
		if !merged(repos[name], 1) || repos[name].pull(1).MergedAt.Before(before) {
			t.Fatalf("%s was not merged, or before what it comes after\n%s", name, repos[name].explain())
		}
		before = repos[name].pull(1).MergedAt
	}
}

func TestParallelEnvironmentsDoNotWaitForEachOther(t *testing.T) {
	w := newWorld(t)
	regions := []string{"eu", "us", "apac"}
	environments := []promotion.Environment{environment("acceptance")}
	for _, r := range regions {
		environments = append(environments, environment(r, after(in("acceptance"))))
	}
	// and one that comes after all of them
	environments = append(environments, environment("archive", after(in("eu"), in("us"), in("apac"))))
	repos := w.chained(environments...)
	w.push(web, "1.1.0")
	w.work()
	for _, r := range regions {
		repos[r].gate(repos[r].only(), forge.Pending)
	}
	if _, err := repos["acceptance"].alice().Merge(repos["acceptance"].ID, 1); err != nil {
		t.Fatal(err)
	}
	w.hear()
	for _, r := range regions {
		repos[r].gate(repos[r].only(), forge.Success)
	}
	repos["eu"].says(1, false, fmt.Sprintf("| `%s` |", in("us")), fmt.Sprintf("| `%s` |", in("eu"))) // it does not run there yet
	// One region is refused, the others go on; what comes after all of them waits for the one.
	if err := repos["us"].alice().Close(repos["us"].ID, 1); err != nil {
		t.Fatal(err)
	}
	for _, r := range []string{"eu", "apac"} {
		if _, err := repos[r].alice().Merge(repos[r].ID, 1); err != nil {
			t.Fatal(err)
		}
	}
	w.hear()
	repos["us"].none()
	repos["archive"].gate(repos["archive"].only(), forge.Pending, in("us"))
	repos["archive"].says(1, true, fmt.Sprintf("| `%s` | ✅ exactly these |", in("eu")), fmt.Sprintf("| `%s` | others: `web` `1.0.0` |", in("us")))
	if err := repos["us"].alice().Reopen(repos["us"].ID, 1); err != nil {
		t.Fatal(err)
	}
	w.hear()
	repos["us"].says(1, true, fmt.Sprintf("| `%s` | ✅ exactly these |", in("eu")), fmt.Sprintf("| `%s` | ✅ exactly these |", in("apac")))
	if _, err := repos["us"].alice().Merge(repos["us"].ID, 1); err != nil {
		t.Fatal(err)
	}
	w.hear()
	repos["archive"].gate(repos["archive"].only(), forge.Success)
}

// With pushes faster than the soak production still advances, also at the end of a chain.
func TestPushesFasterThanTheSoakDoNotStarveProduction(t *testing.T) {
	w := newWorld(t)
	auto := merging(promotion.MergeAuto)
	repos := w.chained(environment("acceptance", auto), environment("canary", after(in("acceptance")), auto, soaking("30m")),
		environment("production", after(in("canary")), auto, soaking("30m")))
	advanced := 0
	for i := range 60 { // ten hours
		w.push(web, fmt.Sprintf("1.%d.0", i+1))
		for range 5 {
			w.later(2 * time.Minute)
		}
		if n := len(repos["production"].pulls(forge.Merged)); n > advanced {
			advanced = n
		}
	}
	if advanced < 6 {
		t.Errorf("in ten hours of a push every ten minutes production advanced %d times, want every hour and a half at least\n%s", advanced, repos["production"].explain())
	}
	if open := repos["production"].open(); len(open) > 2 {
		t.Errorf("%d pull requests are open in production, want at most the furthest and the newest", len(open))
	}
}
