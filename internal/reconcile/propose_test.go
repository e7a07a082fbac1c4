package reconcile

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/forgetest"
	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
)

func TestFirstSightRecordsTheBaselineAndProposesNothing(t *testing.T) {
	w := newWorld(t)
	w.push(web, "1.1.0") // long before the bot saw the repositories
	acceptance, production := w.shop()
	acceptance.none()
	production.none()
	rec := acceptance.record()
	if head, _ := w.host.head("acme/infra-acceptance", "main"); rec.BaseHead != head || rec.BaselineAt.IsZero() || len(rec.Environments) != 1 {
		t.Errorf("recorded base %s, baseline %v, environments %v; want base %s, a baseline and one environment", rec.BaseHead, rec.BaselineAt, rec.Environments, head)
	}
	w.hear()
	acceptance.none()
	w.push(web, "1.2.0")
	w.work()
	if pr := acceptance.only(); pr.Title != "acceptance: web 1.0.0 → 1.2.0" {
		t.Errorf("the pull request is %q", pr.Title)
	}
}

func TestAPushOpensBothPullRequestsWithOneChangedLineForEachField(t *testing.T) {
	w := newWorld(t)
	acceptance, production := w.shop()
	w.push(web, "1.1.0")
	w.work()
	want := []string{
		"--- a/apps/web/kustomization.yaml", "+++ b/apps/web/kustomization.yaml",
		"-    newTag: 1.0.0", "-    digest: " + string(digestOf(web, "1.0.0", 0)),
		"+    newTag: 1.1.0", "+    digest: " + string(digestOf(web, "1.1.0", 0)),
	}
	for _, r := range []*infra{acceptance, production} {
		pr := r.only()
		if got := r.diff(pr); !slices.Equal(got, want) {
			t.Errorf("the pull request of %s changes\n%q\nwant\n%q", r.FullName, got, want)
		}
		if !slices.Contains(pr.Labels, "boatlift") {
			t.Errorf("labels %q", pr.Labels)
		}
	}
	acceptance.gate(acceptance.only(), forge.Success)
	production.gate(production.only(), forge.Pending, "infra-acceptance:acceptance")
}

func TestSeveralImagesOfAnAppShareOnePullRequest(t *testing.T) {
	w := newWorld(t)
	r := w.repo("infra", map[string]string{
		ConfigFile:                     w.config(environment("acceptance", func(e *promotion.Environment) { e.Settle = time.Minute })),
		"apps/shop/kustomization.yaml": kustomization(string(web)+":1.0.0", string(worker)+":1.0.0"),
	})
	w.discover()
	w.push(web, "1.1.0")
	w.push(worker, "1.1.0")
	w.work()
	pr := r.only()
	for _, name := range []image.Name{web, worker} {
		if !slices.Contains(r.diff(pr), "+    digest: "+string(digestOf(name, "1.1.0", 0))) {
			t.Errorf("%s is not in the one pull request: %q", name, r.diff(pr))
		}
	}
}

func TestAnAppSettlesBeforeItIsProposed(t *testing.T) {
	w := newWorld(t)
	r := w.repo("infra", map[string]string{
		ConfigFile:                     w.config(environment("acceptance", func(e *promotion.Environment) { e.Settle = time.Minute })),
		"apps/shop/kustomization.yaml": kustomization(string(web)+":1.0.0", string(worker)+":1.0.0"),
	})
	w.discover()
	w.push(web, "1.1.0")
	w.work()
	r.none()
	if notes := r.notes(); len(notes) != 1 || !strings.Contains(notes[0].Say, "settling") || notes[0].Until.IsZero() {
		t.Errorf("notes %+v, want one that says until when it settles", notes)
	}
	w.later(59 * time.Second)
	r.none()
	w.later(time.Second)
	if got := r.diff(r.only()); len(got) != 6 {
		t.Errorf("after settling the pull request changes %q, want web alone", got)
	}
}

func TestAnImageMovesInAllDirectoriesOfItsEnvironment(t *testing.T) {
	w := newWorld(t)
	r := w.repo("infra", map[string]string{
		ConfigFile:                    w.config(environment("acceptance")),
		"apps/web/kustomization.yaml": kustomization(string(web) + ":1.0.0"),
		"jobs/web/kustomization.yaml": kustomization(string(web) + ":1.0.0"),
		"kustomization.yml":           kustomization(string(web) + ":1.0.0"),
	})
	w.discover()
	w.push(web, "1.1.0")
	w.work()
	n := 0
	for _, line := range r.diff(r.only()) {
		if line == "+    newTag: 1.1.0" {
			n++
		}
	}
	if n != 3 {
		t.Errorf("%d kustomizations change, want 3", n)
	}
}

func TestEnvironmentsAndAppsOfOneRepositoryGetAPullRequestEach(t *testing.T) {
	w := newWorld(t)
	r := w.repo("infra", map[string]string{
		ConfigFile:                       w.config(environment("acceptance", below("acc")), environment("production", below("prod"), after("acceptance"))),
		"acc/web/kustomization.yaml":     kustomization(string(web) + ":1.0.0"),
		"acc/worker/kustomization.yaml":  kustomization(string(worker) + ":1.0.0"),
		"prod/web/kustomization.yaml":    kustomization(string(web) + ":1.0.0"),
		"prod/worker/kustomization.yaml": kustomization(string(worker) + ":1.0.0"),
	})
	w.discover()
	w.push(web, "1.1.0")
	w.push(worker, "2.0.0")
	w.work()
	gates := map[string]forge.Conclusion{}
	for _, pr := range r.open() {
		gates[pr.Title] = r.check(CheckName, pr.HeadSHA).Conclusion
	}
	want := map[string]forge.Conclusion{
		"acceptance: web 1.0.0 → 1.1.0": forge.Success, "acceptance: worker 1.0.0 → 2.0.0": forge.Success,
		"production: web 1.0.0 → 1.1.0": forge.Pending, "production: worker 1.0.0 → 2.0.0": forge.Pending,
	}
	if !maps.Equal(gates, want) {
		t.Fatalf("pull requests and gates %v, want %v", gates, want)
	}
	for _, pr := range r.open() {
		if pr.Title == "acceptance: web 1.0.0 → 1.1.0" {
			if _, err := r.alice().Merge(r.ID, pr.Number); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.hear()
	for _, pr := range r.open() {
		want := forge.Pending
		if pr.Title == "production: web 1.0.0 → 1.1.0" {
			want = forge.Success
		}
		if !strings.HasPrefix(pr.Title, "acceptance") {
			r.gate(pr, want)
		}
	}
}

func TestASharedBaseIsRefusedNamingBothEnvironments(t *testing.T) {
	w := newWorld(t)
	r := w.repo("infra", map[string]string{
		ConfigFile:                    w.config(environment("acceptance", below("acc")), environment("production", below("prod"))),
		"acc/web/kustomization.yaml":  kustomization(string(web) + ":1.0.0"),
		"prod/web/kustomization.yaml": "resources:\n  - ../../acc/web\n",
	})
	w.discover()
	w.push(web, "1.1.0")
	w.work()
	r.none()
	r.note(web, "acceptance", "production", "acc/web/kustomization.yaml")
}

func TestAnAppThatCannotBeEditedDoesNotStopTheOthers(t *testing.T) {
	w := newWorld(t)
	marked := strings.Replace(kustomization(string(worker)+":1.0.0"), "newTag: 1.0.0", `newTag: 1.0.0 # {"$imagepolicy": "flux-system:worker:tag"}`, 1)
	r := w.repo("infra", map[string]string{
		ConfigFile:                       w.config(environment("acceptance")),
		"apps/web/kustomization.yaml":    kustomization(string(web) + ":1.0.0"),
		"apps/worker/kustomization.yaml": marked,
		"apps/broken/kustomization.yaml": "images: [\n",
		"apps/linked/kustomization.yaml": "link to ../web/kustomization.yaml",
		"apps/twice/kustomization.yaml":  kustomization("registry.acme.io/shop/twice:1.0.0", "registry.acme.io/shop/twice:1.0.0"),
	})
	w.discover()
	w.push(worker, "1.1.0")
	w.push("registry.acme.io/shop/twice", "1.1.0")
	w.push(web, "1.1.0")
	w.work()
	if pr := r.only(); pr.Title != "acceptance: web 1.0.0 → 1.1.0" {
		t.Errorf("the one pull request is %q", pr.Title)
	}
	r.note(worker, "apps/worker/kustomization.yaml", "marker")
	if row := r.row(); row.Attempts != 0 {
		t.Errorf("the turn failed: %s", row.LastError)
	}
}

func TestWhatIsOlderThanWhatRunsIsNotProposed(t *testing.T) {
	w := newWorld(t)
	acceptance, production := w.shop(func(a, _ *promotion.Environment) { a.Images = []promotion.ImageRule{anyVersion(t)} })
	w.push(web, "0.9.0")
	w.work()
	acceptance.none()
	production.none()
	acceptance.note(web, "0.9.0 is older than 1.0.0")
	production.note(web, "0.9.0 was pushed", "does not take it")
}

func TestWhatRunsAlreadyIsNotProposed(t *testing.T) {
	w := newWorld(t)
	acceptance, production := w.shop()
	w.push(web, "1.0.0")
	w.work()
	acceptance.none()
	production.none()
	if n := len(acceptance.promotions()); n != 0 {
		t.Errorf("%d promotions of what runs already", n)
	}
}

func TestATagThatMovedIsProposedByItsDigest(t *testing.T) {
	w := newWorld(t)
	acceptance, _ := w.shop()
	w.pushBuild(web, "1.0.0", 1)
	w.work()
	want := []string{
		"--- a/apps/web/kustomization.yaml", "+++ b/apps/web/kustomization.yaml",
		"-    digest: " + string(digestOf(web, "1.0.0", 0)), "+    digest: " + string(digestOf(web, "1.0.0", 1)),
	}
	if got := acceptance.diff(acceptance.only()); !slices.Equal(got, want) {
		t.Errorf("the pull request changes %q, want the digest alone", got)
	}
}

func TestObserveAndOffProposeNothing(t *testing.T) {
	for _, mode := range []promotion.Mode{promotion.Observe, promotion.Off} {
		t.Run(string(mode), func(t *testing.T) {
			w := newWorld(t)
			acceptance, production := w.shop(func(a, _ *promotion.Environment) { a.Mode = mode })
			w.push(web, "1.1.0")
			w.work()
			acceptance.none()
			production.only()
			if writes := writesTo(w, acceptance.ID); len(writes) != 0 {
				t.Errorf("the bot wrote to the repository: %v", writes)
			}
			if mode == promotion.Observe {
				acceptance.note(web, "would propose 1.1.0")
			} else if notes := acceptance.notes(); len(notes) != 0 {
				t.Errorf("notes %v where the environment is off", notes)
			}
		})
	}
}

func TestMaxOpenBoundsTheOpenPullRequestsOfAnEnvironment(t *testing.T) {
	w := newWorld(t)
	r := w.repo("infra", map[string]string{
		ConfigFile:                       w.config(environment("acceptance", func(e *promotion.Environment) { e.MaxOpen = 1 })),
		"apps/web/kustomization.yaml":    kustomization(string(web) + ":1.0.0"),
		"apps/worker/kustomization.yaml": kustomization(string(worker) + ":1.0.0"),
	})
	w.discover()
	w.push(web, "1.1.0")
	w.push(worker, "1.1.0")
	w.work()
	pr := r.only()
	r.note(worker, "maxOpen is 1")
	if _, err := r.alice().Merge(r.ID, pr.Number); err != nil {
		t.Fatal(err)
	}
	w.hear()
	if pr := r.only(); !strings.Contains(pr.Title, "worker") {
		t.Errorf("after the first was merged %q is open, want worker's", pr.Title)
	}
}

// writesTo are the bot's calls that changed something in a repository.
func writesTo(w *world, repo forge.RepoID) []forgetest.Call {
	return slices.DeleteFunc(w.mem.Calls(), func(c forgetest.Call) bool { return !c.Write || c.Repo != repo })
}
