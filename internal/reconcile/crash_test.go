package reconcile

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/promotion"
)

// scene is a history in which the bot dies once, and what must be true at its end whenever that was.
type scene struct {
	name  string
	begin func(w *world, r *infra) // up to the turns in which the bot may die
	check func(t *testing.T, r *infra)
}

func scenes() []scene {
	return []scene{
		{
			"opening", func(w *world, _ *infra) { w.push(web, "1.1.0") },
			func(t *testing.T, r *infra) {
				t.Helper()
				wantPulls(t, r, "open acceptance: web 1.0.0 → 1.1.0", "open production: web 1.0.0 → 1.1.0")
				r.gate(r.open()[0], forge.Success)
				r.gate(r.open()[1], forge.Pending)
			},
		},
		{
			"superseding", func(w *world, _ *infra) {
				w.push(web, "1.1.0")
				w.work()
				w.push(web, "1.2.0")
			},
			func(t *testing.T, r *infra) {
				t.Helper()
				wantPulls(t, r, "closed acceptance: web 1.0.0 → 1.1.0", "closed production: web 1.0.0 → 1.1.0",
					"open acceptance: web 1.0.0 → 1.2.0", "open production: web 1.0.0 → 1.2.0")
				r.comment(1, "Superseded by [pull request ")
				for _, pr := range r.pulls(forge.Closed) {
					if _, ok := r.host.head(r.name(r.ID), pr.HeadBranch); ok {
						t.Errorf("the branch of #%d is still there", pr.Number)
					}
				}
			},
		},
		{
			"rejecting", func(w *world, r *infra) {
				w.push(web, "1.1.0")
				w.work()
				if err := r.alice().Close(r.ID, 1); err != nil {
					w.t.Fatal(err)
				}
				w.wake(r)
			},
			func(t *testing.T, r *infra) {
				t.Helper()
				wantPulls(t, r, "closed acceptance: web 1.0.0 → 1.1.0", "open production: web 1.0.0 → 1.1.0")
				r.note(web, "rejected by alice")
			},
		},
		{
			"following a merge", func(w *world, r *infra) {
				w.push(web, "1.1.0")
				w.work()
				if _, err := r.alice().Merge(r.ID, 1); err != nil {
					w.t.Fatal(err)
				}
				w.wake(r)
			},
			func(t *testing.T, r *infra) {
				t.Helper()
				wantPulls(t, r, "merged acceptance: web 1.0.0 → 1.1.0", "open production: web 1.0.0 → 1.1.0")
				r.gate(r.open()[0], forge.Success)
				if p := r.promotion(1); p.State != promotion.Deployed {
					t.Errorf("the merged promotion is %s", p.State)
				}
			},
		},
		{
			"merging", func(w *world, r *infra) {
				w.commitConfig(r, environment("acceptance", below("acc"), merging(promotion.MergeAuto)),
					environment("production", below("prod"), after("acceptance"), merging(promotion.MergeAuto)))
				w.wake(r)
				w.work()
				w.push(web, "1.1.0")
				w.work()
				w.clock.move(time.Second) // the turn that merges
			},
			func(t *testing.T, r *infra) {
				t.Helper()
				wantPulls(t, r, "merged acceptance: web 1.0.0 → 1.1.0", "merged production: web 1.0.0 → 1.1.0")
				for _, p := range r.promotions() {
					if p.State != promotion.Deployed || p.AgainstGate {
						t.Errorf("#%d is %s, against the gate %v", p.PullRequest, p.State, p.AgainstGate)
					}
				}
			},
		},
		{
			"making anew", func(w *world, r *infra) {
				w.push(web, "1.1.0")
				w.work()
				r.commit("main", map[string]string{"acc/web/kustomization.yaml": kustomization(string(web) + ":1.0.5")})
				w.wake(r)
			},
			func(t *testing.T, r *infra) {
				t.Helper()
				wantPulls(t, r, "open acceptance: web 1.0.0 → 1.1.0", "open production: web 1.0.0 → 1.1.0")
				r.comment(1, "Made anew", "Approvals given before do not count any more")
				r.gate(r.pull(1), forge.Success)
				if base, _ := r.host.head(r.name(r.ID), "main"); r.host.git("", r.name(r.ID), "rev-parse", r.pull(1).HeadSHA+"^") != base {
					t.Error("it is not on the present base")
				}
			},
		},
		{
			"reopening", func(w *world, r *infra) {
				w.push(web, "1.1.0")
				w.work()
				if err := w.mem.Machine("stale[bot]").DeleteBranch(r.ID, r.pull(1).HeadBranch); err != nil {
					w.t.Fatal(err)
				}
				w.wake(r)
			},
			func(t *testing.T, r *infra) {
				t.Helper()
				wantPulls(t, r, "open acceptance: web 1.0.0 → 1.1.0", "open production: web 1.0.0 → 1.1.0")
				if holds := r.holds(); len(holds) != 0 {
					t.Errorf("holds %+v", holds)
				}
			},
		},
	}
}

// wantPulls checks which pull requests the bot ever made, sorted, with their states.
func wantPulls(t tester, r *infra, want ...string) {
	t.Helper()
	var got []string
	for _, pr := range r.mem.All(r.ID) {
		got = append(got, string(pr.State)+" "+pr.Title)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Fatalf("the pull requests are\n  %s\nwant\n  %s\n%s", strings.Join(got, "\n  "), strings.Join(want, "\n  "), r.explain())
	}
}

// both is one repository with both environments, so that one turn opens both pull requests.
func (w *world) both() *infra {
	w.t.Helper()
	r := w.repo("infra", map[string]string{
		ConfigFile:                    w.config(environment("acceptance", below("acc")), environment("production", below("prod"), after("acceptance"))),
		"acc/web/kustomization.yaml":  kustomization(string(web) + ":1.0.0"),
		"prod/web/kustomization.yaml": kustomization(string(web) + ":1.0.0"),
	})
	w.discover()
	return r
}

func (w *world) wake(r *infra) {
	w.t.Helper()
	w.clock.move(time.Second)
	if err := w.store.Wake(w.ctx, r.key()); err != nil {
		w.t.Fatal(err)
	}
}

// lasting tells moments between which the world may have changed: before every call that changes something at the forge, after every request
// to git, and at the beginning of every transaction. To die between two of them is to die at the later one.
func lasting(what string) bool {
	when, name, _ := strings.Cut(what, " ")
	switch name {
	case "CreatePullRequest", "EditPullRequest", "Comment", "DeleteBranch", "SetCheck":
		return when == "before"
	case "Merge":
		return true
	default:
		return what == "store" || when == "after" && strings.HasPrefix(name, "git ")
	}
}

// diesAt does turns until the bot dies at the n-th lasting moment. Death is a context that ends: nothing that comes after has any effect, and
// the claim stays as it is. It reports where that was; empty if the bot came to rest before.
func (w *world) diesAt(n int) (where string) {
	w.t.Helper()
	ctx, die := context.WithCancel(w.ctx)
	defer die()
	var mu sync.Mutex // a turn does some things side by side
	touches, died := 0, func() string {
		mu.Lock()
		defer mu.Unlock()
		return where
	}
	for range 20 {
		claim, err := w.store.Claim(w.ctx, "the bot that dies", time.Minute)
		if err != nil {
			w.t.Fatal(err)
		}
		if claim == nil {
			return died()
		}
		w.watch(func(what string) {
			mu.Lock()
			defer mu.Unlock()
			if lasting(what) {
				touches++
			}
			if touches == n && where == "" {
				where = what
				die()
			}
		})
		finish, err := w.bot.do(ctx, claim)
		w.watch(nil)
		if died() != "" {
			return died()
		}
		if err != nil {
			w.t.Fatalf("a turn failed before the bot died: %v", err)
		}
		if err := w.store.Finish(w.ctx, claim, finish); err != nil {
			w.t.Fatal(err)
		}
	}
	w.t.Fatal("the bot never comes to rest")
	return ""
}

// revive is another process on the same database, after the leases of the one that died ran out.
func (w *world) revive() {
	w.t.Helper()
	w.close()
	w.open()
	w.start()
	w.clock.move(2 * time.Minute)
	w.work()
	w.hear()
	w.later(time.Minute)
	w.hear()
}

// stride is how many moments lie between two at which the bot dies. Under the race detector, which is slow, not every moment is tried: the
// same code runs side by side in all of them.
func stride() int {
	if testing.Short() {
		return 10
	}
	return 1
}

func TestWheneverTheBotDiesTheNextOneGoesOn(t *testing.T) {
	for _, s := range scenes() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			for n := 1; ; n += stride() {
				where := ""
				t.Run(fmt.Sprint(n), func(t *testing.T) {
					w := newWorld(sequential{t})
					r := w.both()
					s.begin(w, r)
					where = w.diesAt(n)
					w.revive()
					s.check(t, r)
					if t.Failed() {
						t.Logf("the bot died %s", where)
					}
				})
				if where == "" {
					if n < 5 {
						t.Fatalf("the bot touched the world %d times: nothing was tried", n-1)
					}
					return
				}
			}
		})
	}
}

// A crash must not keep from production that acceptance runs a release: nothing else would tell it before the next poll.
func TestWheneverTheBotDiesWhatComesAfterHears(t *testing.T) {
	t.Parallel()
	for n := 1; ; n += stride() {
		where := ""
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			w := newWorld(sequential{t})
			acceptance, production := w.shop()
			w.push(web, "1.1.0")
			w.work()
			if _, err := acceptance.alice().Merge(acceptance.ID, 1); err != nil {
				t.Fatal(err)
			}
			w.wake(acceptance)
			where = w.diesAt(n)
			w.later(2 * time.Minute) // the lease runs out; nobody wakes anybody
			production.gate(production.only(), forge.Success)
		})
		if where == "" {
			return
		}
	}
}

// sequential is a test that does not run beside others.
type sequential struct{ tester }

// A merge while the forge shows a red gate is against the gate, also where the bot died before it could write down what it showed.
func TestWheneverTheBotDiesAMergeAgainstTheGateIsKnown(t *testing.T) {
	t.Parallel()
	for n := 1; ; n += stride() {
		where := ""
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			w := newWorld(sequential{t})
			acceptance, _ := w.shop()
			w.push(web, "1.1.0")
			w.work()
			w.hold(acceptance, promotion.Hold{Environment: "acceptance", Reason: "the fair is on", Actor: "alice", At: w.clock.now()})
			where = w.diesAt(n)
			red := acceptance.check(CheckName, acceptance.only().HeadSHA).Conclusion != forge.Success
			if _, err := acceptance.alice().Merge(acceptance.ID, 1); err != nil {
				t.Fatal(err)
			}
			w.later(2 * time.Minute)
			w.hear()
			if p := acceptance.promotion(1); red && !p.AgainstGate {
				t.Errorf("the bot died %s, and the merge against the gate is not known", where)
			}
		})
		if where == "" {
			return
		}
	}
}
