package reconcile

import (
	"slices"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/forgetest"
	"github.com/boatlift/boatlift/internal/promotion"
)

// pace holds back the next calls of a method, as the governor does.
func (w *world) pace(method string) {
	w.mem.Inject(forgetest.Fault{Method: method, Times: 2, Err: &forge.PaceError{After: 20 * time.Second}})
}

// unhurt checks that nothing was taken for a failure.
func (r *infra) unhurt() {
	r.t.Helper()
	if row := r.row(); row.Attempts != 0 || row.LastError != "" {
		r.t.Fatalf("the turn failed: %s", row.LastError)
	}
	for _, p := range r.promotions() {
		if p.Attempts != 0 || p.LastError != "" {
			r.t.Fatalf("promotion #%d failed %d times: %s", p.PullRequest, p.Attempts, p.LastError)
		}
	}
}

// What is held back to stay within a forge's limits is neither lost nor a failure, whichever write it is.
func TestAWriteThatIsHeldBackIsMadeLater(t *testing.T) {
	for _, method := range []string{"CreatePullRequest", "SetCheck", "RequestReviewers", "EditPullRequest", "Merge", "DeleteBranch"} {
		t.Run(method, func(t *testing.T) {
			w := newWorld(t)
			w.pace(method)
			r := w.single(nil, approvals(map[string]any{"from": []any{"alice"}}), merging(promotion.MergeApproved))
			settle := func() {
				for range 5 {
					r.unhurt()
					w.later(21 * time.Second)
				}
			}
			settle()
			if asked := w.mem.Requested(r.ID, 1); !slices.Equal(asked, []string{"alice"}) {
				t.Fatalf("asked %v; want alice\n%s", asked, r.explain())
			}
			r.gate(r.pull(1), forge.Pending, "waiting for approval")
			if method != "CreatePullRequest" && method != "RequestReviewers" {
				w.pace(method)
			}
			r.approve("alice")
			settle()
			if !merged(r, 1) {
				t.Fatalf("#1 is not merged\n%s", r.explain())
			}
			r.says(1, true, "**Merged by")
			if _, ok := w.host.head("acme/infra", r.pull(1).HeadBranch); ok {
				t.Error("the branch of what was merged is still there")
			}
		})
	}
}

func TestACommentThatIsHeldBackIsMadeLaterHoweverOftenTheTurnFailed(t *testing.T) {
	w := newWorld(t)
	r := w.single(nil)
	w.mem.Inject(forgetest.Fault{Method: "OpenPullRequests", Times: commentTries + 1, Err: failing("OpenPullRequests", 1, false).Err})
	if err := r.alice().Close(r.ID, 1); err != nil {
		t.Fatal(err)
	}
	w.hear()
	w.pace("Comment")
	for range 8 {
		w.later(10 * time.Minute)
	}
	r.comment(1, "Rejected")
	if p := r.promotion(1); p.State != promotion.Rejected {
		t.Errorf("it is %s, want rejected", p.State)
	}
	r.unhurt()
}

func TestTheGateOnSomebodysPullRequestIsShownLaterWhereItIsHeldBack(t *testing.T) {
	w := newWorld(t)
	r := w.single(nil)
	pr := r.proposal("mine", map[string]string{"README.md": "mine\n"})
	w.pace("SetCheck")
	w.hear()
	if c := r.check(CheckName, pr.HeadSHA); c.Name != "" {
		t.Fatal("the gate was shown at once; want it held back")
	}
	for range 3 {
		w.later(20 * time.Second)
	}
	r.gate(pr, forge.Success)
	r.unhurt()
}
