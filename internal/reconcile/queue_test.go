package reconcile

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/forgetest"
	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/promotion"
)

// withQueue is one environment that the bot merges itself, behind a merge queue that demands the gate. Its pull request is in the queue.
func (w *world) withQueue(change ...func(*promotion.Environment)) *infra {
	w.t.Helper()
	r := w.repo("infra", map[string]string{
		ConfigFile:                    w.config(environment("production", append([]func(*promotion.Environment){merging(promotion.MergeAuto)}, change...)...)),
		"apps/web/kustomization.yaml": kustomization(string(web) + ":1.0.0"),
	})
	w.mem.RequireCheck(r.ID, "main", CheckName)
	w.mem.SetQueue(r.ID, "main")
	w.discover()
	w.push(web, "1.1.0")
	w.work()
	w.later(time.Second)
	w.later(time.Second)
	return r
}

func (r *infra) queue() []forge.QueueEntry {
	r.t.Helper()
	entries, err := r.mem.Queue(r.ctx, r.Repository, "main")
	if err != nil {
		r.t.Fatal(err)
	}
	return entries
}

// group is the gate on what the queue would merge for an entry.
func (r *infra) group(i int) forge.Check {
	r.t.Helper()
	entries := r.queue()
	if i >= len(entries) {
		r.t.Fatalf("the queue has %d entries\n%s", len(entries), r.explain())
	}
	checks := r.mem.Checks(r.ID, entries[i].HeadSHA)
	if len(checks) != 1 {
		r.t.Fatalf("%d checks on the queue's commit for #%d\n%s", len(checks), entries[i].Number, r.explain())
	}
	return checks[0]
}

func TestTheBotMergesThroughTheQueue(t *testing.T) {
	w := newWorld(t)
	r := w.withQueue()
	if got := r.group(0); got.Conclusion != forge.Success {
		t.Fatalf("the gate on the queue's commit shows %s: %s", got.Conclusion, got.Title)
	}
	if p := r.promotion(1); p.QueuedAt.IsZero() || !strings.Contains(p.Next, "in the merge queue since") || p.State != promotion.Open {
		t.Errorf("the promotion says %q, queued at %v", p.Next, p.QueuedAt)
	}
	if n := len(callsOf(w, "Merge")); n != 1 {
		t.Errorf("%d merges were asked for while it waits in the queue; want one", n)
	}
	if n := w.mem.ProcessQueue(r.ID, "main"); n != 1 {
		t.Fatalf("the queue merged %d; want 1", n)
	}
	w.hear()
	if p := r.promotion(1); p.State != promotion.Deployed || p.AgainstGate {
		t.Errorf("the promotion is %s, against the gate %v\n%s", p.State, p.AgainstGate, r.explain())
	}
}

func TestWhatDeniesLeavesTheQueueAndComesBack(t *testing.T) {
	w := newWorld(t)
	r := w.withQueue()
	w.operate(r, promotion.Hold{Environment: "production", Reason: "the fair is on", Actor: "alice", At: w.clock.now()})
	w.hear()
	if got := r.group(0); got.Conclusion != forge.Failure || !strings.Contains(got.Title, "the fair is on") {
		t.Fatalf("the gate on the queue's commit shows %s: %s", got.Conclusion, got.Title)
	}
	w.mem.ProcessQueue(r.ID, "main")
	w.hear()
	if p := r.promotion(1); !strings.Contains(p.LeftQueue, "it left the merge queue: CI_FAILURE") || !p.QueuedAt.IsZero() || p.State != promotion.Open {
		t.Fatalf("the promotion says %q, queued at %v, and is %s", p.LeftQueue, p.QueuedAt, p.State)
	}
	w.lift(r, "production")
	w.hear()
	if len(r.queue()) != 0 {
		t.Fatal("it is back at once, which would go round in circles")
	}
	w.later(10 * time.Minute)
	w.later(time.Second)
	if got := r.group(0); got.Conclusion != forge.Success {
		t.Errorf("back in the queue the gate shows %s: %s", got.Conclusion, got.Title)
	}
}

func TestAWaitInTheQueueFailsThere(t *testing.T) {
	check := groupCheck("head", gate.Judge(gate.Ruling{Policy: "freeze", State: gate.Wait, Say: "frozen until Mon"}))
	if check.Conclusion != forge.Failure || !strings.HasPrefix(check.Title, "must not be merged now, and waits outside of the queue: frozen") {
		t.Errorf("%s: %s; want it to leave the queue, so that others go on", check.Conclusion, check.Title)
	}
}

func TestWhatAPersonTookOutOfTheQueueStaysOut(t *testing.T) {
	w := newWorld(t)
	r := w.withQueue()
	if err := r.alice().Dequeue(r.ID, 1); err != nil {
		t.Fatal(err)
	}
	w.hear()
	w.later(time.Hour)
	w.hear()
	if len(r.queue()) != 0 {
		t.Fatal("the bot put back what alice took out")
	}
	if p := r.promotion(1); !strings.Contains(p.Next, "alice took it out of the merge queue: put it back") {
		t.Errorf("the promotion says %q", p.Next)
	}
	if _, err := r.alice().Merge(r.ID, 1); !errors.Is(err, forge.ErrQueued) {
		t.Fatal(err)
	}
	w.hear()
	if p := r.promotion(1); p.QueuedAt.IsZero() || p.OutOfQueue != "" {
		t.Errorf("put back by alice, it says %q", p.Next)
	}
}

// Everybody's pull requests come through the queue; what they change together is judged, and nothing else passes.
func TestOthersInTheQueueAreJudged(t *testing.T) {
	w := newWorld(t)
	r := w.withQueue()
	r.commit("docs", map[string]string{"README.md": "hello\n"})
	r.commit("mine", map[string]string{"apps/other/kustomization.yaml": kustomization(string(worker) + ":1.0.0")})
	for _, branch := range []string{"docs", "mine"} {
		number, err := r.alice().Open(r.ID, forge.NewPullRequest{Head: branch, Base: "main", Title: branch})
		if err != nil {
			t.Fatal(err)
		}
		w.hear()
		if _, err := r.alice().Merge(r.ID, number); !errors.Is(err, forge.ErrQueued) {
			t.Fatalf("%s: %v", branch, err)
		}
		w.hear()
	}
	for i := range 3 {
		if got := r.group(i); got.Conclusion != forge.Success {
			t.Errorf("entry %d shows %s: %s\n%s", i, got.Conclusion, got.Title, got.Summary)
		}
	}
	if n := w.mem.ProcessQueue(r.ID, "main"); n != 3 {
		t.Errorf("%d were merged; want 3", n)
	}
}

func TestNothingElseComesThroughTheQueue(t *testing.T) {
	w := newWorld(t)
	w.breakGroup = func(bare, branch string) {
		w.host.commit(bare, branch, "mallory@acme.io", map[string]string{"apps/web/kustomization.yaml": kustomization(string(web) + ":6.6.6")})
	}
	r := w.withQueue()
	if got := r.group(0); got.Conclusion != forge.Failure || !strings.Contains(got.Summary, "would set registry.acme.io/shop/web to 6.6.6 in production, which none of its pull requests does") {
		t.Errorf("the gate on a commit that changes more shows %s: %s", got.Conclusion, got.Summary)
	}
}

func TestAQueueThatCannotBeSeenKeepsNothingFromGoingOn(t *testing.T) {
	for name, err := range map[string]error{"no permission": fmt.Errorf("queue: %w", forge.ErrForbidden), "no answer": errors.New("no answer")} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.mem.Inject(forgetest.Fault{Method: "Queue", Err: err})
			acceptance, _ := w.shop(func(a, _ *promotion.Environment) { a.Merge = promotion.MergeAuto })
			w.push(web, "1.1.0")
			w.work()
			for range 3 {
				w.later(time.Second)
			}
			if !merged(acceptance, 1) {
				t.Errorf("#1 is not merged\n%s", acceptance.explain())
			}
		})
	}
}
