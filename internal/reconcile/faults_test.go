package reconcile

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/forgetest"
	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/store"
)

// methods are the calls of a forge that a bot makes.
func methods() []string {
	return []string{
		"Self", "GitAuth", "Repository", "Repositories", "Permission", "OpenPullRequests", "PullRequest", "PullRequestsOf", "CreatePullRequest",
		"EditPullRequest", "Comment", "Merge", "DeleteBranch", "Reviews", "ChangedFiles", "SetCheck", "Deployments", "Compare", "MergeBase",
	}
}

// drawFault is a fault that ends.
func drawFault(t *rapid.T, name string) forgetest.Fault {
	f := forgetest.Fault{
		Method: rapid.SampledFrom(methods()).Draw(t, name+" method"),
		Times:  rapid.IntRange(1, 3).Draw(t, name+" times"),
		Skip:   rapid.IntRange(0, 3).Draw(t, name+" skip"),
		After:  rapid.Bool().Draw(t, name+" after it took effect"),
	}
	f.Err = rapid.SampledFrom([]error{
		errors.New("502 Bad Gateway"), context.DeadlineExceeded, &forge.LimitError{After: 90 * time.Second, Cause: errors.New("429")},
		forge.ErrNotFound, forge.ErrForbidden, forge.ErrExists, forge.ErrStale, forge.ErrNotMergeable, forge.ErrRefused,
	}).Draw(t, name+" error")
	if (f.Method == "EditPullRequest" || f.Method == "Repository") && (errors.Is(f.Err, forge.ErrRefused) || errors.Is(f.Err, forge.ErrNotFound)) {
		f.Err = errors.New("503") // who says so for good is believed: see the tests of holds and of parking
	}
	return f
}

// TestWhateverFailsNothingIsLostOrDoubled lets calls of every kind fail, before or after they took effect, while a release is opened,
// overtaken and merged; once the faults end, each release has exactly the one pull request that it should have.
func TestWhateverFailsNothingIsLostOrDoubled(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		r := w.both()
		for i := range rapid.IntRange(1, 4).Draw(t, "faults") {
			w.mem.Inject(drawFault(t, fmt.Sprint("fault ", i)))
		}
		if n := rapid.IntRange(0, 30).Draw(t, "git fails at"); n > 0 {
			w.failGit(n, rapid.Bool().Draw(t, "git fails after"))
		}
		w.push(web, "1.1.0")
		w.rounds(t, "first", 3)
		overtaken := rapid.Bool().Draw(t, "a newer one is pushed")
		if overtaken {
			w.push(web, "1.2.0")
			w.rounds(t, "second", 3)
		}
		w.mem.ClearFaults()
		w.mu.Lock()
		w.breakGit = nil
		w.mu.Unlock()
		w.discover()
		for range 4 {
			w.later(11 * time.Minute)
			w.hear()
		}
		w.atPeace(t, r, overtaken)

		// And people go on from there.
		for _, pr := range r.open() {
			if !strings.HasPrefix(pr.Title, "acceptance") {
				continue
			}
			if _, err := r.alice().Merge(r.ID, pr.Number); err != nil {
				t.Fatal(err)
			}
		}
		w.hear()
		r.gate(r.only(), forge.Success)
	})
}

// rounds lets some time pass in turns.
func (w *world) rounds(t *rapid.T, name string, most int) {
	for i := range rapid.IntRange(1, most).Draw(t, name+" rounds") {
		if rapid.Bool().Draw(t, fmt.Sprint(name, " waits ", i)) {
			w.later(2 * time.Minute)
		} else {
			w.hear()
		}
	}
}

// failGit lets the n-th request to git break off, before or after the server did what it asks.
func (w *world) failGit(n int, after bool) {
	when, count := "before git", 0
	if after {
		when = "after git"
	}
	w.breakGit = func(what string) error {
		if strings.HasPrefix(what, when) {
			if count++; count == n {
				return errors.New("connection reset by peer")
			}
		}
		return nil
	}
}

func (w *world) atPeace(t *rapid.T, r *infra, overtaken bool) {
	t.Helper()
	newest := "1.1.0"
	if overtaken {
		newest = "1.2.0"
	}
	byTitle := map[string]forge.PullRequest{}
	for _, pr := range r.mem.All(r.ID) {
		if pr.State == forge.Open {
			byTitle[pr.Title] = pr
			continue
		}
		if !overtaken || !strings.HasSuffix(pr.Title, "1.1.0") {
			t.Fatalf("%q is %s\n%s", pr.Title, pr.State, r.explain())
		}
	}
	acceptance, production := byTitle["acceptance: web 1.0.0 → "+newest], byTitle["production: web 1.0.0 → "+newest]
	if len(r.open()) != 2 || acceptance.Number == 0 || production.Number == 0 {
		t.Fatalf("want %s in both environments once\n%s", newest, r.explain())
	}
	if n := len(r.mem.All(r.ID)); n > 4 {
		t.Fatalf("%d pull requests were made", n)
	}
	r.gate(acceptance, forge.Success)
	r.gate(production, forge.Pending)
	for _, p := range r.promotions() {
		if p.ToClose || p.State.Active() && (p.LastError != "" || p.Attempts != 0) || p.State == promotion.Opening {
			t.Fatalf("promotion %+v at peace", p)
		}
	}
	if row := r.row(); row.Attempts != 0 || row.LastError != "" {
		t.Fatalf("work %+v at peace", row)
	}
}

func TestALimitPutsTheWorkBackUntilItEnds(t *testing.T) {
	w := newWorld(t)
	r := w.both()
	w.mem.Inject(forgetest.Fault{Method: "CreatePullRequest", Skip: 1, Err: &forge.LimitError{After: 20 * time.Minute, Cause: errors.New("secondary rate limit")}})
	w.push(web, "1.1.0")
	w.work()
	r.only()
	row := r.row()
	if wait := row.DueAt.Sub(w.clock.now()); wait != 20*time.Minute || row.Attempts != 1 || !strings.Contains(row.LastError, "limits requests for 20m") {
		t.Errorf("due in %s, attempts %d: %s; want the 20 minutes the forge asks for", wait, row.Attempts, row.LastError)
	}
	w.push(web, "1.1.0") // news does not end the pause
	w.mem.ForgetCalls()
	w.work()
	w.later(19 * time.Minute)
	calls := slices.DeleteFunc(w.mem.Calls(), func(c forgetest.Call) bool { return c.Method == "Repositories" }) // which is no turn of this one
	if len(calls) != 0 {
		t.Errorf("the forge was asked while it wants to be left alone: %v", calls)
	}
	w.mem.ClearFaults()
	w.later(time.Minute)
	if n := len(r.open()); n != 2 {
		t.Errorf("%d pull requests are open, want 2", n)
	}
}

// Those whose creation was never tried are not looked for one by one: with hundreds of them that alone would use the limit up again.
func TestAfterALimitOnlyThoseThatMayExistAreLookedFor(t *testing.T) {
	w := newWorld(t)
	files := map[string]string{ConfigFile: w.config(environment("acceptance", func(e *promotion.Environment) { e.MaxOpen = 0 }))}
	for i := range 12 {
		files[fmt.Sprintf("apps/%d/kustomization.yaml", i)] = kustomization(fmt.Sprintf("registry.acme.io/shop/app%d:1.0.0", i))
	}
	r := w.repo("infra", files)
	w.discover()
	w.mem.Inject(forgetest.Fault{Method: "CreatePullRequest", Skip: 4, Times: 1, Err: &forge.LimitError{After: time.Minute, Cause: errors.New("429")}})
	for i := range 12 {
		w.push(names(i), "1.1.0")
	}
	w.work()
	if n := len(r.open()); n != 4 {
		t.Fatalf("%d are open before the limit, want 4", n)
	}
	w.mem.ForgetCalls()
	w.later(time.Minute)
	if n := len(r.open()); n != 12 {
		t.Errorf("%d are open, want 12", n)
	}
	if n := len(callsOf(w, "PullRequestsOf")); n > 1 {
		t.Errorf("%d promotions were looked for singly, want the one whose creation was tried", n)
	}
}

func TestALostClaimWritesNothingMore(t *testing.T) {
	for _, at := range []string{"before OpenPullRequests", "before git POST", "before CreatePullRequest", "after CreatePullRequest", "before SetCheck"} {
		t.Run(at, func(t *testing.T) {
			w := newWorld(t)
			r := w.both()
			w.push(web, "1.1.0")
			claim, err := w.store.Claim(w.ctx, "slow", time.Minute)
			if err != nil || claim == nil {
				t.Fatal(claim, err)
			}
			var other *store.Claim
			w.watch(func(what string) {
				if what == at && other == nil {
					w.clock.move(2 * time.Minute)
					if other, err = w.store.Claim(w.ctx, "other", time.Minute); err != nil || other == nil {
						t.Error(other, err)
					}
				}
			})
			w.bot.turn(w.ctx, claim)
			w.watch(nil)
			if other == nil {
				t.Fatal("the turn never came to " + at)
			}
			for _, p := range r.promotions() {
				if p.State != promotion.Opening || p.PullRequest != 0 {
					t.Errorf("the worker that lost its claim wrote %+v", p)
				}
			}
			if len(callsOf(w, "CreatePullRequest")) > 1 {
				t.Error("the worker that lost its claim went on")
			}
			w.bot.turn(w.ctx, other)
			w.hear()
			w.hear()
			wantPulls(t, r, "open acceptance: web 1.0.0 → 1.1.0", "open production: web 1.0.0 → 1.1.0")
		})
	}
}

func TestAFaultOfTheProgramStopsOnlyItsTurn(t *testing.T) {
	w := newWorld(t)
	r := w.both()
	w.push(web, "1.1.0")
	once := true
	w.watch(func(what string) {
		if what == "before CreatePullRequest" && once {
			once = false
			panic("a nil somewhere")
		}
	})
	w.work()
	if row := r.row(); !strings.Contains(row.LastError, "a nil somewhere") {
		t.Errorf("the last error is %q", row.LastError)
	}
	w.later(time.Minute)
	wantPulls(t, r, "open acceptance: web 1.0.0 → 1.1.0", "open production: web 1.0.0 → 1.1.0")
}

func TestSomebodyElsesBranchOfTheSameNameIsNotOverwritten(t *testing.T) {
	w := newWorld(t)
	r := w.both()
	branch := promotion.NewRelease("acceptance", "web", []promotion.Change{{Image: web, Digest: digestOf(web, "1.1.0", 0)}}).Branch()
	theirs := r.commit(branch, map[string]string{"README.md": "mine\n"})
	w.push(web, "1.1.0")
	w.work()
	if head, _ := w.host.head("acme/infra", branch); head != theirs {
		t.Error("the bot overwrote somebody's branch")
	}
	wantPulls(t, r, "open production: web 1.0.0 → 1.1.0")
	for _, p := range r.promotions() {
		if p.Branch == branch && !strings.Contains(p.LastError, "a commit that is not the bot's") {
			t.Errorf("the promotion says %q", p.LastError)
		}
	}
}

// breaking is a transport that fails where it is told to.
type breaking struct {
	http.RoundTripper
	fail func(what string) error
}

func (b breaking) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := b.fail("before git " + r.Method); err != nil {
		_ = r.Body.Close()
		return nil, err
	}
	resp, err := b.RoundTripper.RoundTrip(r)
	if broken := b.fail("after git " + r.Method); broken != nil && err == nil {
		_ = resp.Body.Close()
		return nil, broken
	}
	return resp, err
}
