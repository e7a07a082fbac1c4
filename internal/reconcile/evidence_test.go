package reconcile

import (
	"strings"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/store"
)

// mergedShop has a release of web merged in acceptance, whose rollouts are seen as the change says.
func mergedShop(t *testing.T, change func(a *promotion.Environment)) (w *world, acceptance, production *infra, merged string) {
	t.Helper()
	w = newWorld(t)
	acceptance, production = w.shop(func(a, _ *promotion.Environment) { change(a) })
	w.push(web, "1.1.0")
	w.work()
	merged, err := acceptance.alice().Merge(acceptance.ID, 1)
	if err != nil {
		t.Fatal(err)
	}
	w.hear()
	return w, acceptance, production, merged
}

func byWorkflow(a *promotion.Environment) {
	a.Rollout = promotion.Rollout{Workflow: "apply.yml", Timeout: time.Hour}
}

func (r *infra) state(number int, want promotion.State, words ...string) {
	r.t.Helper()
	got := r.promotion(number)
	if got.State != want {
		r.t.Fatalf("the promotion of #%d is %s (%s), want %s", number, got.State, got.Reason, want)
	}
	for _, word := range words {
		if !strings.Contains(got.Reason, word) {
			r.t.Fatalf("the promotion of #%d is %s because %q, which does not say %q", number, got.State, got.Reason, word)
		}
	}
}

func TestProductionFollowsTheRunsOfAcceptancesWorkflow(t *testing.T) {
	w, acceptance, production, merged := mergedShop(t, byWorkflow)
	production.gate(production.only(), forge.Pending, "do not run in acme/infra-acceptance:acceptance at this digest"[3:])
	id := w.mem.StartRun(acceptance.ID, "apply.yml", "main", merged)
	w.hear()
	acceptance.state(1, promotion.RollingOut)
	production.gate(production.only(), forge.Pending)
	w.mem.SetRun(acceptance.ID, id, forge.RolloutFailed)
	w.hear()
	acceptance.state(1, promotion.Failed)
	acceptance.comment(1, "The rollout in acceptance failed", "/actions/runs/")
	production.gate(production.only(), forge.Failure, "failed", "/actions/runs/")
	w.mem.SetRun(acceptance.ID, id, forge.RolloutSucceeded) // run again
	w.hear()
	acceptance.state(1, promotion.Deployed)
	acceptance.comment(1, "Rolled out in acceptance after all")
	production.gate(production.only(), forge.Success)
}

func TestARunForTheMergeAndItsRevertIsNoRolloutOfTheRelease(t *testing.T) {
	w, acceptance, production, _ := mergedShop(t, byWorkflow)
	reverted := acceptance.commit("main", map[string]string{"apps/web/kustomization.yaml": kustomization(string(web) + ":1.0.0")})
	id := w.mem.StartRun(acceptance.ID, "apply.yml", "main", reverted)
	w.mem.SetRun(acceptance.ID, id, forge.RolloutSucceeded)
	w.hear()
	acceptance.state(1, promotion.Merged)
	production.gate(production.only(), forge.Pending)
	w.later(2 * time.Hour)
	acceptance.state(1, promotion.Merged, "does not carry its digests")
	production.gate(production.only(), forge.Pending)
}

func TestRunsOfOtherBranchesAndWorkflowsDoNotCount(t *testing.T) {
	w, acceptance, production, merged := mergedShop(t, byWorkflow)
	production.gate(production.only(), forge.Pending)
	w.mem.SetRun(acceptance.ID, w.mem.StartRun(acceptance.ID, "render.yml", "main", merged), forge.RolloutSucceeded)
	w.mem.SetRun(acceptance.ID, w.mem.StartRun(acceptance.ID, "apply.yml", "topic", merged), forge.RolloutSucceeded)
	w.hear()
	acceptance.state(1, promotion.Merged)
	production.gate(production.only(), forge.Pending)
}

func TestARolloutThatIsSilentForTooLongIsUnknown(t *testing.T) {
	w, acceptance, production, merged := mergedShop(t, byWorkflow)
	id := w.mem.StartRun(acceptance.ID, "apply.yml", "main", merged)
	w.hear()
	acceptance.state(1, promotion.RollingOut)
	w.later(59 * time.Minute)
	acceptance.state(1, promotion.RollingOut)
	w.later(time.Minute) // by the clock alone
	acceptance.state(1, promotion.Merged, "has told nothing since 2026-03-02 09:00 UTC", "rollout.timeout (1h0m0s)")
	acceptance.comment(1, "It is not known whether it was rolled out", "rollout.timeout")
	if got := acceptance.running("acceptance"); got.State != "unknown" {
		t.Errorf("the rollout is %s; want unknown", got.State)
	}
	w.hear()
	production.gate(production.only(), forge.Pending, "rollout.timeout")
	w.mem.SetRun(acceptance.ID, id, forge.RolloutSucceeded) // late, but it did
	w.hear()
	acceptance.state(1, promotion.Deployed)
	production.gate(production.only(), forge.Success)
}

func TestARolloutThatNeverAppearsIsUnknown(t *testing.T) {
	for name, rollout := range map[string]promotion.Rollout{
		"deployment": {Deployment: "acceptance", Timeout: 30 * time.Minute}, "workflow": {Workflow: "apply.yml", Timeout: 30 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			w, acceptance, production, _ := mergedShop(t, func(a *promotion.Environment) { a.Rollout = rollout })
			w.later(29 * time.Minute)
			acceptance.state(1, promotion.Merged, "merged by alice")
			w.later(time.Minute)
			acceptance.state(1, promotion.Merged, "nothing was heard of that within 30m")
			acceptance.comment(1, "nothing was heard of that within")
			production.gate(production.only(), forge.Pending)
			if n := len(callsOf(w, "Comment")); n != 1 {
				t.Errorf("%d comments; want one", n)
			}
		})
	}
}

func TestARunThatWasCancelledIsUnknown(t *testing.T) {
	w, acceptance, production, merged := mergedShop(t, byWorkflow)
	id := w.mem.StartRun(acceptance.ID, "apply.yml", "main", merged)
	w.hear()
	w.mem.SetRun(acceptance.ID, id, forge.RolloutUnknown)
	w.hear()
	acceptance.state(1, promotion.Merged, "ended without telling")
	production.gate(production.only(), forge.Pending)
}

// smoke asks for a check called smoke, and sees rollouts in merges.
func smoke(checks ...promotion.Check) func(a *promotion.Environment) {
	if len(checks) == 0 {
		checks = []promotion.Check{{Name: "smoke"}}
	}
	return func(a *promotion.Environment) { a.Verify = checks }
}

func (r *infra) report(sha, name string, state forge.StatusState, by forge.Actor) {
	r.t.Helper()
	r.mem.Report(r.ID, sha, forge.Status{Name: name, State: state, By: by, URL: "https://ci.example/" + name})
	r.hear()
}

var (
	alice   = forge.Actor{Login: "alice"}
	actions = forge.Actor{Login: "github-actions", Bot: true}
)

func TestProductionWaitsUntilAcceptanceIsVerified(t *testing.T) {
	_, acceptance, production, merged := mergedShop(t, smoke())
	acceptance.state(1, promotion.Deployed)
	production.gate(production.only(), forge.Pending, "not verified yet", "smoke is not reported")
	acceptance.report(merged, "smoke", forge.StatusPending, alice)
	production.gate(production.only(), forge.Pending, "smoke is pending")
	for _, state := range []forge.StatusState{forge.StatusNeutral, forge.StatusSkipped} {
		acceptance.report(merged, "smoke", state, alice)
		production.gate(production.only(), forge.Pending, "smoke is "+string(state))
	}
	acceptance.report(merged, "other", forge.StatusSuccess, alice)
	production.gate(production.only(), forge.Pending)
	acceptance.state(1, promotion.Deployed)
	acceptance.report(merged, "smoke", forge.StatusSuccess, alice)
	production.gate(production.only(), forge.Success)
	acceptance.state(1, promotion.Verified, "smoke")
}

func TestAVerificationThatFailsKeepsProductionAndIsToldInBothPullRequests(t *testing.T) {
	_, acceptance, production, merged := mergedShop(t, smoke())
	acceptance.report(merged, "smoke", forge.StatusFailure, actions)
	production.gate(production.only(), forge.Pending, "smoke is failure (https://ci.example/smoke)", "run again")
	acceptance.state(1, promotion.Deployed, "not verified", "smoke failed")
	acceptance.comment(1, "is not verified", "smoke failed https://ci.example/smoke")
	acceptance.report(merged, "smoke", forge.StatusSuccess, actions) // a rerun
	production.gate(production.only(), forge.Success)
	acceptance.state(1, promotion.Verified)
	acceptance.comment(1, "Verified in acceptance after all")
	acceptance.report(merged, "smoke", forge.StatusFailure, actions)
	production.gate(production.only(), forge.Pending)
	acceptance.state(1, promotion.Deployed)
}

func TestOnlyThoseWhoAreNamedVerify(t *testing.T) {
	mallory := forge.Actor{Login: "github-actions"} // a person of that name
	_, acceptance, production, merged := mergedShop(t, smoke(promotion.Check{Name: "smoke", App: "github-actions"}, promotion.Check{Name: "e2e", User: "alice"}))
	acceptance.report(merged, "smoke", forge.StatusSuccess, mallory)
	acceptance.report(merged, "smoke", forge.StatusSuccess, forge.Actor{Login: "other-app", Bot: true})
	acceptance.report(merged, "e2e", forge.StatusSuccess, actions)
	production.gate(production.only(), forge.Pending, "smoke by github-actions is not reported", "e2e by alice is not reported")
	acceptance.report(merged, "smoke", forge.StatusSuccess, actions)
	acceptance.report(merged, "e2e", forge.StatusSuccess, alice)
	production.gate(production.only(), forge.Success)
}

func TestWhatWasVerifiedStaysSoWhileItRunsOnUnlessItFails(t *testing.T) {
	_, acceptance, production, merged := mergedShop(t, smoke())
	acceptance.report(merged, "smoke", forge.StatusSuccess, alice)
	production.gate(production.only(), forge.Success)
	next := acceptance.commit("main", map[string]string{"README.md": "other things"})
	acceptance.hear()
	production.gate(production.only(), forge.Success)
	acceptance.report(next, "smoke", forge.StatusPending, alice)
	production.gate(production.only(), forge.Success)
	acceptance.report(next, "smoke", forge.StatusFailure, alice)
	production.gate(production.only(), forge.Pending, "smoke is failure")
	acceptance.commit("main", map[string]string{"README.md": "again others"})
	acceptance.hear()
	production.gate(production.only(), forge.Pending, "smoke is not reported")
}

func TestNothingIsVerifiedWhereStatusesCannotBeRead(t *testing.T) {
	w, acceptance, production, merged := mergedShop(t, smoke())
	w.mem.Inject(forbiddenTo("Statuses"))
	acceptance.certify(true, map[image.Name]image.Digest{web: digestOf(web, "1.1.0", 0)})
	acceptance.report(merged, "smoke", forge.StatusFailure, alice)
	production.gate(production.only(), forge.Pending, "smoke is unknown")
}

// certify records a verification of a test system.
func (r *infra) certify(passed bool, images map[image.Name]image.Digest) {
	r.t.Helper()
	r.clock.move(time.Second)
	if err := r.store.Operate(r.ctx, r.key(), func(tx *store.Tx) error {
		tx.AddVerification(promotion.Verification{
			Environment: "acceptance", Name: "smoke", Images: images, Passed: passed, URL: "https://jenkins.example/7", Actor: "jenkins", At: r.clock.now(),
		})
		return nil
	}); err != nil {
		r.t.Fatal(err)
	}
	r.work()
}

func TestATestSystemVerifiesDigests(t *testing.T) {
	_, acceptance, production, _ := mergedShop(t, smoke())
	acceptance.certify(true, map[image.Name]image.Digest{web: digestOf(web, "1.0.0", 0)}) // of what ran before
	production.gate(production.only(), forge.Pending, "smoke is not reported")
	acceptance.certify(true, map[image.Name]image.Digest{web: digestOf(web, "1.1.0", 0), worker: digestOf(worker, "1.1.0", 0)}) // worker does not run there
	production.gate(production.only(), forge.Pending, "smoke is not reported")
	acceptance.certify(false, map[image.Name]image.Digest{web: digestOf(web, "1.1.0", 0)})
	production.gate(production.only(), forge.Pending, "smoke is failure (https://jenkins.example/7)")
	acceptance.comment(1, "is not verified", "https://jenkins.example/7")
	acceptance.certify(true, map[image.Name]image.Digest{web: digestOf(web, "1.1.0", 0)})
	production.gate(production.only(), forge.Success)
	acceptance.state(1, promotion.Verified)
}

func TestATestSystemDoesNotSpeakForAnApp(t *testing.T) {
	_, acceptance, production, _ := mergedShop(t, smoke(promotion.Check{Name: "smoke", App: "github-actions"}))
	acceptance.certify(true, map[image.Name]image.Digest{web: digestOf(web, "1.1.0", 0)})
	production.gate(production.only(), forge.Pending, "not reported")
}

func TestThePolicyChecksLooksAtTheHead(t *testing.T) {
	w := newWorld(t)
	w.options.Require = []gate.Use{{Policy: "checks", Parameters: map[string]any{"names": []any{"build"}}}}
	w.start()
	acceptance, _ := w.shop()
	w.push(web, "1.1.0")
	w.work()
	pr := acceptance.only()
	acceptance.gate(pr, forge.Pending, "build (not reported)")
	acceptance.report(pr.HeadSHA, "build", forge.StatusPending, actions)
	acceptance.gate(pr, forge.Pending, "build (pending)")
	acceptance.report(pr.HeadSHA, "build", forge.StatusFailure, actions)
	acceptance.gate(pr, forge.Failure, "build is failure")
	acceptance.report(pr.HeadSHA, "build", forge.StatusSuccess, actions)
	acceptance.gate(pr, forge.Success)
	acceptance.report(pr.HeadSHA, "build", forge.StatusFailure, alice) // the worst of what is said under one name
	acceptance.gate(pr, forge.Failure)
}

func TestThePolicyChecksLooksAtPeoplesPullRequestsToo(t *testing.T) {
	w := newWorld(t)
	w.options.Require = []gate.Use{{Policy: "checks", Parameters: map[string]any{"names": []any{"build"}}}}
	w.start()
	acceptance, _ := w.shop()
	head := acceptance.commit("topic", map[string]string{"apps/web/kustomization.yaml": kustomization(string(web) + ":1.1.0")})
	if _, err := acceptance.alice().Open(acceptance.ID, forge.NewPullRequest{Head: "topic", Base: "main", Title: "by hand"}); err != nil {
		t.Fatal(err)
	}
	w.mem.SetChangedFiles(acceptance.ID, 1, "apps/web/kustomization.yaml")
	w.hear()
	pr := forge.PullRequest{Number: 1, HeadSHA: head}
	acceptance.gate(pr, forge.Pending, "build (not reported)")
	acceptance.report(head, "build", forge.StatusSuccess, actions)
	acceptance.gate(pr, forge.Success)
}
