package reconcile

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/forgetest"
	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/promotion"
)

func merged(r *infra, number int) bool { return r.pull(number).State == forge.Merged }

func TestAutoMergesOnceTheGateAllows(t *testing.T) {
	w := newWorld(t)
	acceptance, production := w.shop(func(a, p *promotion.Environment) { a.Merge, p.Merge = promotion.MergeAuto, promotion.MergeAuto })
	w.push(web, "1.1.0")
	w.work()
	for range 3 {
		w.later(time.Second)
	}
	for _, r := range []*infra{acceptance, production} {
		if !merged(r, 1) {
			t.Fatalf("#1 of %s is not merged\n%s", r.FullName, r.explain())
		}
		if p := r.promotion(1); p.State != promotion.Deployed || p.AgainstGate || p.MergedBy != "boatlift[bot]" {
			t.Errorf("the promotion of %s is %s, merged by %q, against the gate %v", r.FullName, p.State, p.MergedBy, p.AgainstGate)
		}
		if got := r.file("main", "apps/web/kustomization.yaml"); got+"\n" != kustomization(string(web)+":1.1.0") {
			t.Errorf("base of %s has\n%s", r.FullName, got)
		}
	}
	if !acceptance.pull(1).MergedAt.Before(production.pull(1).MergedAt.Add(time.Nanosecond)) {
		t.Error("production was merged before acceptance")
	}
}

func TestManualIsLeftToPeople(t *testing.T) {
	w := newWorld(t)
	acceptance, _ := w.shop()
	w.push(web, "1.1.0")
	w.work()
	w.hear()
	if len(callsOf(w, "Merge")) != 0 || merged(acceptance, 1) {
		t.Error("the bot merged though the file does not say so")
	}
}

func TestApprovedMergesOnlyOnAnApprovalThatCounts(t *testing.T) {
	review := func(who string, state forge.ReviewState) func(*testing.T, *infra) {
		return func(t *testing.T, p *infra) {
			t.Helper()
			if err := p.mem.Person(who).Review(p.ID, 1, state); err != nil {
				t.Fatal(err)
			}
		}
	}
	approve := func(who string) func(*testing.T, *infra) { return review(who, forge.Approved) }
	for _, test := range []struct {
		name          string
		before, after []func(*testing.T, *infra) // the gate turned green
		want          bool
	}{
		{name: "nobody approved", want: false},
		{name: "approved after green", after: []func(*testing.T, *infra){approve("alice")}, want: true},
		{name: "approved before green", before: []func(*testing.T, *infra){approve("alice")}, want: false},
		{name: "approved before and after green", before: []func(*testing.T, *infra){approve("alice")}, after: []func(*testing.T, *infra){approve("alice")}, want: true},
		{name: "by somebody who may not write", after: []func(*testing.T, *infra){approve("bob")}, want: false},
		{name: "only commented", after: []func(*testing.T, *infra){review("alice", forge.Commented)}, want: false},
		{name: "approved and dismissed", after: []func(*testing.T, *infra){approve("alice"), review("alice", forge.Dismissed)}, want: false},
		{name: "approved and then objected", after: []func(*testing.T, *infra){approve("alice"), review("alice", forge.ChangesRequested)}, want: false},
		{
			name: "by a machine", want: false, after: []func(*testing.T, *infra){func(t *testing.T, p *infra) {
				t.Helper()
				if err := p.mem.Machine("approver[bot]").Review(p.ID, 1, forge.Approved); err != nil {
					t.Fatal(err)
				}
			}},
		},
		{
			name: "on an old head", want: false, after: []func(*testing.T, *infra){approve("alice"), func(_ *testing.T, p *infra) {
				p.commit("main", map[string]string{"apps/web/kustomization.yaml": kustomization(string(web) + ":1.0.5")})
			}},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			acceptance, production := w.shop(func(_, p *promotion.Environment) { p.Merge = promotion.MergeApproved })
			w.push(web, "1.1.0")
			w.work()
			w.clock.move(time.Second)
			for _, do := range test.before {
				do(t, production)
			}
			w.hear()
			if merged(production, 1) {
				t.Fatal("it was merged while the gate waited")
			}
			if _, err := acceptance.alice().Merge(acceptance.ID, 1); err != nil {
				t.Fatal(err)
			}
			w.hear()
			production.gate(production.pull(1), forge.Success)
			w.clock.move(time.Second)
			for _, do := range test.after {
				do(t, production)
			}
			w.hear()
			if got := merged(production, 1); got != test.want {
				t.Errorf("merged = %v; want %v\n%s", got, test.want, production.explain())
			}
		})
	}
}

func TestTheApprovalsPolicyIsShownAndCounts(t *testing.T) {
	w := newWorld(t)
	acceptance, _ := w.shop(func(a, _ *promotion.Environment) { a.Policies = []gate.Use{{Policy: "approvals"}} })
	w.push(web, "1.1.0")
	w.work()
	acceptance.gate(acceptance.only(), forge.Pending, "waiting for approval")
	if err := acceptance.alice().Review(acceptance.ID, 1, forge.Approved); err != nil {
		t.Fatal(err)
	}
	w.hear()
	acceptance.gate(acceptance.only(), forge.Success, "approved by alice")
}

func TestAMergePassesTheHeadThatWasSeen(t *testing.T) {
	w := newWorld(t)
	acceptance, _ := w.shop(acceptanceMerges(promotion.MergeAuto))
	var theirs string
	w.watch(func(what string) { // alice pushes just before the bot merges
		if what == "before Merge" && theirs == "" {
			theirs = acceptance.commit(acceptance.open()[0].HeadBranch, map[string]string{"README.md": "alice was here\n"})
		}
	})
	w.push(web, "1.1.0")
	w.work()
	w.later(time.Second)
	w.later(time.Minute)
	if theirs == "" || merged(acceptance, 1) {
		t.Errorf("merged = %v; want the bot to leave alice's commit %q alone", merged(acceptance, 1), theirs)
	}
	if p := acceptance.promotion(1); !p.Modified {
		t.Error("the bot did not notice alice's commit")
	}
}

// The gate may turn green in the very turn that fails to open a pull request again, or to make it anew: it has to be shown all the same.
func TestAGateThatTurnsGreenWhileReopeningFailsIsShownBeforeTheBotMerges(t *testing.T) {
	w := newWorld(t)
	acceptance, production := w.shop(func(_, p *promotion.Environment) { soaking("30m")(p); p.Merge = promotion.MergeAuto })
	w.push(web, "1.1.0")
	w.work()
	if _, err := acceptance.alice().Merge(acceptance.ID, 1); err != nil {
		t.Fatal(err)
	}
	w.hear()
	production.gate(production.only(), forge.Pending)
	if err := w.mem.Machine("stale[bot]").Close(production.ID, 1); err != nil {
		t.Fatal(err)
	}
	w.mem.Inject(failing("EditPullRequest", 1, false))
	w.later(31 * time.Minute)
	if err := production.alice().Reopen(production.ID, 1); err != nil {
		t.Fatal(err)
	}
	green := false
	w.watch(func(what string) {
		if what == "before Merge" {
			green = production.check(CheckName, production.pull(1).HeadSHA).Conclusion == forge.Success
		}
	})
	w.hear()
	w.later(11 * time.Minute)
	w.watch(nil)
	if !merged(production, 1) || !green {
		t.Errorf("merged %v, while the gate was shown as green %v; want both\n%s", merged(production, 1), green, production.explain())
	}
}

// A turn may be long: what people take back while it is at work counts, until the bot merges.
func TestWhatIsTakenBackDuringTheTurnIsNotMerged(t *testing.T) {
	for name, test := range map[string]struct {
		take func(w *world, r *infra)
		says string
	}{
		"dismissed": {func(w *world, r *infra) {
			if err := r.alice().Review(r.ID, 1, forge.Dismissed); err != nil {
				t.Error(err)
			}
		}, "waiting for approval"},
		"changes requested": {func(w *world, r *infra) {
			if err := r.alice().Review(r.ID, 1, forge.ChangesRequested); err != nil {
				t.Error(err)
			}
		}, "changes"},
		"held": {func(w *world, r *infra) {
			w.hold(r, promotion.Hold{Environment: "production", Reason: "the fair is on", Actor: "alice", At: w.clock.now()})
		}, "the fair is on"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			r := w.single(nil, approvals(map[string]any{"from": []any{"alice"}}), merging(promotion.MergeApproved))
			w.later(time.Second)
			if err := r.alice().Review(r.ID, 1, forge.Approved); err != nil {
				t.Fatal(err)
			}
			taken := false
			w.watch(func(what string) {
				if what == "after SetCheck" && !taken { // the gate turned green: the turn has looked, and is about to merge
					taken = true
					test.take(w, r)
				}
			})
			w.hear()
			w.watch(nil)
			for range 3 {
				w.later(time.Minute)
			}
			if !taken || merged(r, 1) {
				t.Fatalf("taken back: %v, merged: %v; want it not merged\n%s", taken, merged(r, 1), r.explain())
			}
			c := r.check(CheckName, r.pull(1).HeadSHA)
			if c.Conclusion == forge.Success || !strings.Contains(c.Title+c.Summary, test.says) {
				t.Errorf("the gate is %s: %s; want it to say %q", c.Conclusion, c.Title, test.says)
			}
		})
	}
}

func acceptanceMerges(mode promotion.MergeMode) func(a, p *promotion.Environment) {
	return func(a, _ *promotion.Environment) { a.Merge = mode }
}

func TestAMergeThatTheForgeRefusesIsTriedLaterAndTheGateStaysTrue(t *testing.T) {
	w := newWorld(t)
	acceptance, _ := w.shop(acceptanceMerges(promotion.MergeAuto))
	w.mem.Inject(forgetest.Fault{Method: "Merge", Err: fmt.Errorf("a review is missing: %w", forge.ErrNotMergeable)})
	w.push(web, "1.1.0")
	w.work()
	w.later(time.Second)
	pr := acceptance.only()
	acceptance.gate(pr, forge.Success)
	if p := acceptance.promotion(1); p.LastError == "" || p.Attempts != 1 || !p.RetryAt.After(w.clock.now()) {
		t.Errorf("the promotion has attempts %d, retry at %v, error %q; want one try that failed", p.Attempts, p.RetryAt, p.LastError)
	}
	// A hold turns the gate although the merge is not due to be tried again.
	w.operate(acceptance, promotion.Hold{Environment: "acceptance", Reason: "the fair is on", Actor: "alice", At: w.clock.now()})
	acceptance.gate(pr, forge.Failure, "the fair is on")
	w.lift(acceptance, "acceptance")
	acceptance.gate(pr, forge.Success)
	w.mem.ClearFaults()
	w.later(10 * time.Minute)
	if !merged(acceptance, 1) {
		t.Errorf("it was never merged\n%s", acceptance.explain())
	}
}

func TestNothingIsMergedThatCouldNotBeShownGreen(t *testing.T) {
	w := newWorld(t)
	acceptance, _ := w.shop(acceptanceMerges(promotion.MergeAuto))
	w.mem.Inject(forgetest.Fault{Method: "SetCheck", Err: fmt.Errorf("checks: %w", forge.ErrForbidden)})
	w.push(web, "1.1.0")
	w.work()
	w.later(time.Minute)
	acceptance.only()
	if len(callsOf(w, "Merge")) != 0 {
		t.Error("the bot merged what nobody could see to be green")
	}
	w.mem.ClearFaults()
	w.later(10 * time.Minute)
	if !merged(acceptance, 1) {
		t.Errorf("it was never merged\n%s", acceptance.explain())
	}
}

func TestAListThatLagsBehindNeverMakesTheBotSpin(t *testing.T) {
	w := newWorld(t)
	acceptance, production := w.shop(func(a, p *promotion.Environment) { a.Merge, p.Merge = promotion.MergeAuto, promotion.MergeAuto })
	w.push(web, "1.1.0")
	w.mem.Lag(true)
	w.work() // gives up where turns never end
	for range 5 {
		w.hear()
	}
	w.mem.Lag(false)
	w.hear()
	w.later(time.Minute)
	w.hear()
	for _, r := range []*infra{acceptance, production} {
		if n := len(r.mem.All(r.ID)); n != 1 || !merged(r, 1) {
			t.Errorf("%s has %d pull requests, the first %s; want one, merged\n%s", r.FullName, n, r.pull(1).State, r.explain())
		}
	}
}

func TestALaggingListReopensNothing(t *testing.T) {
	w := newWorld(t)
	acceptance, _ := w.shop()
	w.push(web, "1.1.0")
	w.work()
	w.mem.Lag(true)
	if err := acceptance.alice().Close(acceptance.ID, 1); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		w.hear()
	}
	w.mem.Lag(false)
	w.hear()
	w.mem.Lag(true)
	for range 3 {
		w.hear()
	}
	acceptance.none()
	if p := acceptance.promotion(1); p.State != promotion.Rejected {
		t.Errorf("the promotion is %s, want rejected", p.State)
	}
}
