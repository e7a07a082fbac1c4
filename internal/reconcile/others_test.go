package reconcile

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/forgetest"
	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/promotion"
)

// proposal is a pull request of alice's from a branch with these files.
func (r *infra) proposal(branch string, files map[string]string) forge.PullRequest {
	r.t.Helper()
	r.commit(branch, files)
	n, err := r.alice().Open(r.ID, forge.NewPullRequest{Head: branch, Base: "main", Title: "alice's"})
	if err != nil {
		r.t.Fatal(err)
	}
	return r.pull(n)
}

func TestPullRequestsWithoutImageChangesAreGreen(t *testing.T) {
	w := newWorld(t)
	_, production := w.shop()
	readme := production.proposal("readme", map[string]string{"README.md": "hello\n"})
	patch := production.proposal("patch", map[string]string{
		"apps/web/kustomization.yaml": kustomization(string(web)+":1.0.0") + "namePrefix: a-\n",
		"apps/web/broken.yaml":        "images: [\n",
	})
	w.hear()
	production.gate(readme, forge.Success)
	production.gate(patch, forge.Success)
	w.mem.ForgetCalls()
	w.hear()
	if calls := callsOf(w, "ChangedFiles"); len(calls) != 0 {
		t.Errorf("a head that was looked at is looked at again: %v", calls)
	}
}

func TestPullRequestsThatChangeImagesAreJudged(t *testing.T) {
	w := newWorld(t)
	acceptance, production := w.shop()
	pr := production.proposal("web", map[string]string{"apps/web/kustomization.yaml": kustomization(string(web) + ":1.1.0")})
	held := acceptance.proposal("web", map[string]string{"apps/web/kustomization.yaml": kustomization(string(web) + ":1.1.0")})
	w.operate(acceptance, promotion.Hold{Environment: "acceptance", Reason: "the fair is on", Actor: "alice", At: w.clock.now()})
	w.hear()
	production.gate(pr, forge.Pending, "web does not run in acme/infra-acceptance:acceptance at this digest yet")
	acceptance.gate(held, forge.Failure, "the fair is on")
	w.lift(acceptance, "acceptance")
	acceptance.gate(held, forge.Success)
	if _, err := acceptance.alice().Merge(acceptance.ID, held.Number); err != nil {
		t.Fatal(err)
	}
	w.hear()
	production.gate(pr, forge.Success)
}

func TestApprovalsCountOnOtherPeoplesPullRequestsToo(t *testing.T) {
	w := newWorld(t)
	acceptance, _ := w.shop(func(a, _ *promotion.Environment) { a.Policies = []gate.Use{{Policy: "approvals"}} })
	w.mem.Permit(acceptance.ID, "carol", forge.WritePermission)
	pr := acceptance.proposal("web", map[string]string{"apps/web/kustomization.yaml": kustomization(string(web) + ":1.1.0")})
	w.hear()
	acceptance.gate(pr, forge.Pending, "waiting for approval")
	if err := acceptance.alice().Review(acceptance.ID, pr.Number, forge.Approved); err != nil {
		t.Fatal(err)
	}
	w.hear()
	acceptance.gate(pr, forge.Pending, "alice worked on it")
	if err := w.mem.Person("carol").Review(acceptance.ID, pr.Number, forge.Approved); err != nil {
		t.Fatal(err)
	}
	w.hear()
	acceptance.gate(pr, forge.Success, "approved by carol")
}

func TestAKustomizationThatCannotBeUnderstoodIsDenied(t *testing.T) {
	w := newWorld(t)
	_, production := w.shop()
	broken := production.proposal("broken", map[string]string{"apps/web/kustomization.yaml": "images: [\n"})
	linked := production.proposal("linked", map[string]string{"apps/web/kustomization.yaml": "link to other.yaml"})
	unknown := production.proposal("unknown", map[string]string{"apps/new/kustomization.yaml": "images: [\n"})
	w.hear()
	production.gate(broken, forge.Failure, "apps/web/kustomization.yaml")
	production.gate(linked, forge.Failure, "apps/web/kustomization.yaml")
	production.gate(unknown, forge.Success)
}

func TestANewHeadOfAPullRequestIsLookedAtAgain(t *testing.T) {
	w := newWorld(t)
	_, production := w.shop()
	pr := production.proposal("readme", map[string]string{"README.md": "hello\n"})
	w.hear()
	production.gate(pr, forge.Success)
	production.commit("readme", map[string]string{"apps/web/kustomization.yaml": kustomization(string(web) + ":1.1.0")})
	w.hear()
	production.gate(production.pull(pr.Number), forge.Pending)
}

func TestHeadsInForksAreJudged(t *testing.T) {
	w := newWorld(t)
	_, production := w.shop()
	pr := production.proposal("fork/mallory", map[string]string{"apps/web/kustomization.yaml": kustomization(string(web) + ":1.1.0")})
	w.hear()
	production.gate(pr, forge.Pending)
	production.none()
}

func TestAPullRequestThatCannotBeReadDoesNotKeepTheBotFromItsOwn(t *testing.T) {
	for _, method := range []string{"ChangedFiles", "SetCheck"} {
		t.Run(method, func(t *testing.T) {
			w := newWorld(t)
			acceptance, _ := w.shop()
			pr := acceptance.proposal("readme", map[string]string{"README.md": "hello\n"})
			w.mem.Inject(forgetest.Fault{Method: method, Repo: acceptance.ID, Err: errors.New("500")})
			w.push(web, "1.1.0")
			w.work()
			acceptance.only()
			if row := acceptance.row(); row.Attempts != 0 || row.DueAt.Sub(w.clock.now()) > 2*time.Minute {
				t.Errorf("attempts %d, due %v: %s", row.Attempts, row.DueAt, row.LastError)
			}
			w.mem.ClearFaults()
			w.later(2 * time.Minute)
			acceptance.gate(pr, forge.Success)
			acceptance.gate(acceptance.only(), forge.Success)
		})
	}
}

func TestPoliciesSeeWhatAPersonPutsBack(t *testing.T) {
	w := newWorld(t)
	acceptance, production := w.shop(func(a, _ *promotion.Environment) { a.Policies = []gate.Use{{Policy: "no-downgrade"}} })
	back := map[string]string{"apps/web/kustomization.yaml": kustomization(string(web) + ":0.9.0")}
	denied, left := acceptance.proposal("back", back), acceptance.proposal("on", map[string]string{"apps/web/kustomization.yaml": kustomization(string(web) + ":1.1.0")})
	without := production.proposal("back", back)
	w.hear()
	acceptance.gate(denied, forge.Failure, "would go back from 1.0.0 to 0.9.0")
	acceptance.gate(left, forge.Success)
	production.gate(without, forge.Pending, "acceptance")
}

func TestAnotherConfigurationLooksAtEveryPullRequestAnew(t *testing.T) {
	w := newWorld(t)
	r := w.repo("infra", map[string]string{
		ConfigFile:                   w.config(environment("acceptance", below("acc"))),
		"acc/web/kustomization.yaml": kustomization(string(web) + ":1.0.0"), "prod/web/kustomization.yaml": kustomization(string(web) + ":1.0.0"),
	})
	w.discover()
	pr := r.proposal("web", map[string]string{"prod/web/kustomization.yaml": kustomization(string(web) + ":1.1.0")})
	w.hear()
	r.gate(pr, forge.Success)
	w.commitConfig(r, environment("acceptance", below("acc")), environment("production", below("prod"), after("acceptance")))
	w.hear()
	r.gate(pr, forge.Pending)
}

func TestWhereTheBotOnlyObservesNothingIsShown(t *testing.T) {
	w := newWorld(t)
	acceptance, _ := w.shop(func(a, _ *promotion.Environment) { a.Mode = promotion.Observe })
	pr := acceptance.proposal("readme", map[string]string{"README.md": "hello\n"})
	w.hear()
	if c := acceptance.check(CheckName, pr.HeadSHA); c.Name != "" {
		t.Errorf("the gate shows %s", c.Title)
	}
}

func TestAnEntryThatStandsTwiceIsNoChange(t *testing.T) {
	w := newWorld(t)
	twice := kustomization(string(web)+":1.0.0", string(web)+":2.0.0")
	r := w.repo("infra", map[string]string{ConfigFile: w.config(environment("acceptance")), "kustomization.yaml": twice})
	w.discover()
	pr := r.proposal("comment", map[string]string{"kustomization.yaml": "# a comment\n" + twice})
	w.hear()
	r.gate(pr, forge.Success, "no image of an environment changes")
	if strings.Contains(r.check(CheckName, pr.HeadSHA).Summary, "held") {
		t.Error("it was judged though nothing changes")
	}
}

// TestAHeadThatSetsWhatBaseHasIsJudgedOnceBaseIsSetBack is about a way around the gate: what changes no image today may change one tomorrow.
func TestAHeadThatSetsWhatBaseHasIsJudgedOnceBaseIsSetBack(t *testing.T) {
	w := newWorld(t)
	_, production := w.shop()
	pr := production.proposal("web", map[string]string{"apps/web/kustomization.yaml": kustomization(string(web) + ":1.1.0"), "README.md": "alice's\n"})
	production.commit("main", map[string]string{"apps/web/kustomization.yaml": kustomization(string(web) + ":1.1.0")})
	w.hear()
	production.gate(pr, forge.Success)
	production.commit("main", map[string]string{"apps/web/kustomization.yaml": kustomization(string(web) + ":1.0.0")})
	w.hear()
	production.gate(pr, forge.Failure, "set web back from 1.1.0 to 1.0.0", "web does not run in acme/infra-acceptance:acceptance at this digest yet")
}

// TestWhatBaseGotMeanwhileIsNobodysChange keeps a pull request that was begun before a release from being held for setting it back.
func TestWhatBaseGotMeanwhileIsNobodysChange(t *testing.T) {
	w := newWorld(t)
	_, production := w.shop()
	early := production.proposal("early", map[string]string{"apps/web/kustomization.yaml": kustomization(string(web)+":1.0.0") + "namePrefix: a-\n"})
	w.hear()
	production.gate(early, forge.Success)
	production.commit("late", map[string]string{"apps/web/kustomization.yaml": kustomization(string(web)+":1.0.0") + "nameSuffix: -b\n"})
	production.commit("main", map[string]string{"apps/web/kustomization.yaml": kustomization(string(web) + ":1.1.0")})
	n, err := production.alice().Open(production.ID, forge.NewPullRequest{Head: "late", Base: "main", Title: "alice's"})
	if err != nil {
		t.Fatal(err)
	}
	w.hear()
	production.gate(early, forge.Success)
	production.gate(production.pull(n), forge.Success)
}
