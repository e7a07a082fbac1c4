package reconcile

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/forgetest"
	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/store"
)

func TestAWrongConfigurationIsShownPausesAndIsTakenBack(t *testing.T) {
	w := newWorld(t)
	acceptance, production := w.shop(func(a, _ *promotion.Environment) { a.Merge = promotion.MergeManual })
	w.push(web, "1.1.0")
	w.work()
	pr := acceptance.only()
	right := acceptance.file("main", ConfigFile)
	wrong := acceptance.commit("main", map[string]string{ConfigFile: "enviroments: []\n"})
	w.hear()
	c := acceptance.check("boatlift/config", wrong)
	if c.Conclusion != forge.Failure || !strings.Contains(c.Summary, ".boatlift.yaml:1:1") {
		t.Errorf("the check on the commit is %q: %s", c.Conclusion, c.Summary)
	}
	if got := acceptance.only(); got.Number != pr.Number {
		t.Errorf("#%d is open, want #%d left as it was", got.Number, pr.Number)
	}
	w.push(web, "1.2.0")
	w.work()
	if got := acceptance.only(); got.Number != pr.Number {
		t.Error("something new was opened while the configuration is wrong")
	}
	if got := production.open(); got[len(got)-1].Title != "production: web 1.0.0 → 1.2.0" {
		t.Errorf("production's newest pull request is %q, though only acceptance's configuration is wrong", got[len(got)-1].Title)
	}
	acceptance.note(web, "would propose 1.2.0", ".boatlift.yaml")

	mended := acceptance.commit("main", map[string]string{ConfigFile: right + "\n"})
	w.hear()
	if c := acceptance.check("boatlift/config", mended); c.Conclusion != forge.Success {
		t.Errorf("after mending the check is %q", c.Conclusion)
	}
	if got := acceptance.only(); got.Title != "acceptance: web 1.0.0 → 1.2.0" {
		t.Errorf("after mending %q is open", got.Title)
	}
}

func TestAWrongConfigurationKeepsTheGatesTrue(t *testing.T) {
	w := newWorld(t)
	acceptance, production := w.shop()
	w.push(web, "1.1.0")
	w.work()
	production.commit("main", map[string]string{ConfigFile: "nonsense\n"})
	w.hear()
	if _, err := acceptance.alice().Merge(acceptance.ID, 1); err != nil {
		t.Fatal(err)
	}
	w.hear()
	production.gate(production.only(), forge.Success)
}

func TestAConfigurationWrongFromTheStartIsShown(t *testing.T) {
	w := newWorld(t)
	r := w.repo("infra", map[string]string{ConfigFile: "nonsense\n", "apps/web/kustomization.yaml": kustomization(string(web) + ":1.0.0")})
	w.discover()
	head, _ := w.host.head("acme/infra", "main")
	if c := r.check("boatlift/config", head); c.Conclusion != forge.Failure {
		t.Errorf("the check is %q", c.Conclusion)
	}
	w.push(web, "1.1.0")
	r.commit("main", map[string]string{ConfigFile: w.config(environment("acceptance"))})
	w.hear()
	r.none()
	w.push(web, "1.2.0")
	w.work()
	r.only()
}

func TestAWrongConfigurationThatCannotBeShownStopsNothing(t *testing.T) {
	w := newWorld(t)
	r := w.repo("infra", map[string]string{ConfigFile: "nonsense\n"})
	w.mem.Inject(failing("SetCheck", 1, false))
	w.discover()
	head, _ := w.host.head("acme/infra", "main")
	if row := r.row(); row.Attempts != 0 || row.DueAt.IsZero() {
		t.Errorf("attempts %d, due %v; want a turn that did not fail and another one", row.Attempts, row.DueAt)
	}
	w.later(time.Minute)
	if c := r.check("boatlift/config", head); c.Conclusion != forge.Failure {
		t.Errorf("the check is %q in the end", c.Conclusion)
	}
}

// A newer program may refuse what an older one took. It must not take that for an empty file.
func TestAStoredConfigurationThatIsNotUnderstoodAnyMoreClosesNothing(t *testing.T) {
	w := newWorld(t)
	acceptance, _ := w.shop()
	w.push(web, "1.1.0")
	w.work()
	w.options.Parse = func([]byte) (promotion.Config, error) { return promotion.Config{}, errors.New("stricter now") }
	w.start()
	acceptance.commit("main", map[string]string{"README.md": "base moves meanwhile\n"})
	w.hear()
	acceptance.only()
	if rec := acceptance.record(); len(rec.Environments) != 1 || !strings.Contains(rec.ConfigError, "stricter now") {
		t.Errorf("recorded are environments %v and error %q", rec.Environments, rec.ConfigError)
	}
	w.options.Parse = w.parse
	w.start()
	w.hear()
	acceptance.gate(acceptance.only(), forge.Success)
	if rec := acceptance.record(); rec.ConfigError != "" {
		t.Errorf("the error is still %q", rec.ConfigError)
	}
	w.push(web, "1.2.0")
	w.work()
	if pr := acceptance.only(); pr.Title != "acceptance: web 1.0.0 → 1.2.0" {
		t.Errorf("%q is open", pr.Title)
	}
}

func TestWithoutAConfigurationNothingHappens(t *testing.T) {
	w := newWorld(t)
	r := w.repo("infra", map[string]string{"apps/web/kustomization.yaml": kustomization(string(web) + ":1.0.0")})
	empty := w.repo("empty", nil)
	w.discover()
	w.push(web, "1.1.0")
	w.work()
	r.none()
	if row := r.row(); !row.DueAt.IsZero() {
		t.Errorf("it is looked at again at %v, want only after a push", row.DueAt)
	}
	if row := empty.row(); row.Attempts != 0 {
		t.Errorf("an empty repository fails: %s", row.LastError)
	}
}

func TestARenamedRepositoryIsFollowed(t *testing.T) {
	w := newWorld(t)
	acceptance, production := w.shop()
	repo := acceptance.Repository
	repo.FullName = "acme/infra-staging"
	w.mem.SetRepository(repo)
	w.discover()
	if rec := acceptance.record(); rec.FullName != "acme/infra-staging" {
		t.Errorf("it is recorded as %s", rec.FullName)
	}
	w.push(web, "1.1.0")
	w.work()
	acceptance.only()
	production.gate(production.only(), forge.Failure, "no environment acme/infra-acceptance:acceptance is known")
}

func TestARepositoryWhoseAddressMovedIsFoundByItsIDAfterAFailure(t *testing.T) {
	w := newWorld(t)
	acceptance, _ := w.shop()
	repo := acceptance.Repository
	repo.CloneURL = w.host.url("acme/moved")
	w.host.move("acme/infra-acceptance", "acme/moved")
	w.names[repo.ID] = "acme/moved"
	w.mem.SetRepository(repo)
	w.push(web, "1.1.0")
	w.work()
	if row := acceptance.row(); row.Attempts != 1 || acceptance.record().State != store.RepoActive {
		t.Fatalf("attempts %d, state %s; want one turn that failed and nothing parked", row.Attempts, acceptance.record().State)
	}
	w.later(time.Minute)
	acceptance.only()
}

func TestARenamedDefaultBranchIsFollowedAndClosesNothing(t *testing.T) {
	w := newWorld(t)
	acceptance, _ := w.shop()
	w.push(web, "1.1.0")
	w.work()
	repo := acceptance.Repository
	repo.DefaultBranch = "trunk"
	w.host.renameDefault("acme/infra-acceptance", "trunk")
	w.mem.SetRepository(repo)
	w.hear()
	w.hear()
	if rec := acceptance.record(); rec.DefaultBranch != "trunk" || rec.BaseHead == "" {
		t.Errorf("recorded is branch %q at %q", rec.DefaultBranch, rec.BaseHead)
	}
	pr := acceptance.only()
	if pr.BaseBranch != "trunk" {
		t.Errorf("the open pull request is onto %s, want trunk\n%s", pr.BaseBranch, acceptance.explain())
	}
	acceptance.gate(pr, forge.Success)
}

func TestADefaultBranchThatDoesNotExistIsAnErrorAndClosesNothing(t *testing.T) {
	w := newWorld(t)
	acceptance, _ := w.shop()
	w.push(web, "1.1.0")
	w.work()
	w.host.renameDefault("acme/infra-acceptance", "trunk") // the forge still says main
	w.hear()
	if row := acceptance.row(); row.Attempts != 1 || !strings.Contains(row.LastError, "no branch main") {
		t.Errorf("attempts %d: %q", row.Attempts, row.LastError)
	}
	if p := acceptance.promotion(1); !p.State.Active() {
		t.Errorf("the promotion is %s", p.State)
	}
}

func TestARepositoryTheBotWasTakenOutOfIsParkedUntilDiscoveredAgain(t *testing.T) {
	for name, take := range map[string]func(w *world, r *infra, out bool){
		"taken out of one repository": func(w *world, r *infra, out bool) { w.mem.Remove(r.ID, out) },
		"uninstalled":                 func(w *world, _ *infra, out bool) { w.mem.Suspend(1, out) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			acceptance, _ := w.shop()
			take(w, acceptance, true)
			w.push(web, "1.1.0")
			w.work()
			if rec, row := acceptance.record(), acceptance.row(); rec.State != store.RepoParked || rec.StateReason == "" || !row.DueAt.IsZero() {
				t.Fatalf("it is %s (%s), due %v; want parked with a reason and no retries", rec.State, rec.StateReason, row.DueAt)
			}
			w.mem.ForgetCalls()
			w.later(time.Hour - time.Minute)
			for _, call := range w.mem.Calls() {
				if call.Repo == acceptance.ID {
					t.Errorf("while parked: %v", call)
				}
			}
			take(w, acceptance, false)
			w.discover()
			acceptance.only()
		})
	}
}

func TestAPullRequestThatIsNotFoundDoesNotParkTheRepository(t *testing.T) {
	w := newWorld(t)
	acceptance, _ := w.shop()
	w.push(web, "1.1.0")
	w.work()
	acceptance.commit("main", map[string]string{"apps/web/kustomization.yaml": kustomization(string(web) + ":1.0.5")})
	w.mem.Inject(forgetest.Fault{Method: "PullRequest", Times: 1, Err: forge.ErrNotFound})
	w.hear()
	if rec := acceptance.record(); rec.State != store.RepoActive {
		t.Errorf("it is %s: %s", rec.State, rec.StateReason)
	}
	w.later(10 * time.Minute)
	acceptance.gate(acceptance.only(), forge.Success)
}

func TestAnArchivedRepositoryIsParkedAndNotWrittenTo(t *testing.T) {
	w := newWorld(t)
	acceptance, _ := w.shop()
	repo := acceptance.Repository
	repo.Archived = true
	w.mem.SetRepository(repo)
	w.discover()
	w.push(web, "1.1.0")
	w.work()
	acceptance.none()
	if rec := acceptance.record(); rec.State != store.RepoParked {
		t.Errorf("it is %s", rec.State)
	}
}

func TestOneRepositoryThatFailsDoesNotStopTheOthers(t *testing.T) {
	w := newWorld(t)
	acceptance, production := w.shop()
	w.mem.Inject(forgetest.Fault{Method: "OpenPullRequests", Repo: acceptance.ID, Err: errors.New("500")})
	w.push(web, "1.1.0")
	w.work()
	production.only()
	w.mem.ClearFaults()
	w.later(10 * time.Minute)
	acceptance.only()
}

func TestWhoParksARepositoryDuringItsTurnIsNotContradicted(t *testing.T) {
	w := newWorld(t)
	acceptance, _ := w.shop()
	done := false
	w.watch(func(what string) {
		if what == "before OpenPullRequests" && !done {
			done = true
			if err := w.store.SetRepoState(w.ctx, acceptance.key(), store.RepoParked, "taken out"); err != nil {
				t.Error(err)
			}
		}
	})
	if err := w.store.Wake(w.ctx, acceptance.key()); err != nil {
		t.Fatal(err)
	}
	w.work()
	if rec := acceptance.record(); rec.State != store.RepoParked {
		t.Errorf("it is %s, want parked", rec.State)
	}
}

func TestAnotherDefaultBranchGetsItsOwnPullRequests(t *testing.T) {
	w := newWorld(t)
	acceptance, _ := w.shop()
	w.push(web, "1.1.0")
	w.work()
	old := acceptance.only()
	main, _ := w.host.head("acme/infra-acceptance", "main")
	w.host.git("", "acme/infra-acceptance", "update-ref", "refs/heads/trunk", main)
	w.host.git("", "acme/infra-acceptance", "symbolic-ref", "HEAD", "refs/heads/trunk")
	repo := acceptance.Repository
	repo.DefaultBranch = "trunk"
	w.mem.SetRepository(repo)
	w.hear()
	w.hear()
	pr := acceptance.only()
	if pr.BaseBranch != "trunk" || pr.Number == old.Number {
		t.Errorf("#%d onto %s is open, want a new one onto trunk\n%s", pr.Number, pr.BaseBranch, acceptance.explain())
	}
	acceptance.comment(old.Number, "not the default branch any more")
	acceptance.gate(pr, forge.Success)
}

func TestADatabaseThatWasLostIsNoticedAlsoWhereTheConfigurationIsWrong(t *testing.T) {
	w := newWorld(t)
	acceptance, _ := w.shop()
	right := acceptance.file("main", ConfigFile)
	w.push(web, "1.1.0")
	w.work()
	acceptance.commit("main", map[string]string{ConfigFile: "nonsense\n"})
	w.loseDatabase()
	acceptance.commit("main", map[string]string{ConfigFile: right + "\n"})
	w.hear()
	if holds := acceptance.holds(); len(holds) != 1 || holds[0].Reason != promotion.LostReason {
		t.Errorf("holds %+v, want the environment held until a person has looked", holds)
	}
}

func TestNamesOfEnvironmentsBeforeAreComparedAsTheForgeDoes(t *testing.T) {
	w := newWorld(t)
	r := w.repo("infra", map[string]string{
		ConfigFile:                    w.config(environment("acceptance", below("acc")), environment("production", below("prod"), after("ACME/Infra:acceptance"))),
		"acc/web/kustomization.yaml":  kustomization(string(web) + ":1.0.0"),
		"prod/web/kustomization.yaml": kustomization(string(web) + ":1.0.0"),
	})
	w.discover()
	w.push(web, "1.1.0")
	w.work()
	if _, err := r.alice().Merge(r.ID, 1); err != nil {
		t.Fatal(err)
	}
	w.wake(r)
	w.turn() // one turn is enough, as acceptance is in the same repository
	r.gate(r.only(), forge.Success)
}
