package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/gitrepo"
	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/render"
	"github.com/boatlift/boatlift/internal/store"
)

// realWorld is one whose clock is the real one, as Run waits by it.
func realWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.close()
	var err error
	if w.store, err = store.Open(w.ctx, w.url, store.Options{}); err != nil {
		t.Fatal(err)
	}
	w.options.Now = time.Now
	w.options.Workers = 2
	return w
}

// TestTwoWorkersOnManyRepositories runs the bot as the program does, under pushes that come while it works.
func TestTwoWorkersOnManyRepositories(t *testing.T) {
	w := realWorld(t)
	const repos = 6
	// Every check that is shown is an event to wait for.
	shown := make(chan struct{}, 1000)
	w.watch(func(what string) {
		if what == "after SetCheck" {
			shown <- struct{}{}
		}
	})
	w.start()
	var all []*infra
	for i := range repos {
		all = append(all, w.repo(fmt.Sprint("infra-", i), map[string]string{
			ConfigFile: w.config(environment("acceptance")), "apps/web/kustomization.yaml": kustomization(string(web) + ":1.0.0"),
		}))
	}
	discovered := make(chan struct{})
	w.bot.Observe = func(string, time.Duration) {
		if found, err := w.store.Repos(w.ctx); err == nil && len(found) == repos {
			ready := true
			for _, r := range found {
				ready = ready && !r.BaselineAt.IsZero()
			}
			if ready {
				select {
				case <-discovered:
				default:
					close(discovered)
				}
			}
		}
	}
	w.bot.Observe = oneAtATime(w.bot.Observe)
	ctx, stop := context.WithCancel(w.ctx)
	var running sync.WaitGroup
	running.Go(func() {
		if err := w.bot.Run(ctx, "test"); err != nil {
			t.Error(err)
		}
	})
	wait(t, discovered)
	for _, tag := range []string{"1.1.0", "1.1.0", "1.1.0"} { // the same event, again and again
		w.registry.set(web, tag, digestOf(web, tag, 0))
		w.accept(web, tag)
	}
	for range repos {
		wait(t, shown)
	}
	stop()
	running.Wait()
	for _, r := range all {
		if n := len(r.mem.All(r.ID)); n != 1 {
			t.Errorf("%s has %d pull requests, want 1", r.FullName, n)
		}
	}
	rows, err := w.store.Work(w.ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if row.Owner != "" {
			t.Errorf("%s is still in the hands of %s", row.Repo, row.Owner)
		}
	}
}

func oneAtATime(f func(string, time.Duration)) func(string, time.Duration) {
	var mu sync.Mutex
	return func(result string, took time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		f(result, took)
	}
}

// wait waits for an event; that it never comes is what the test's time limit is for.
func wait[T any](t *testing.T, event <-chan T) {
	t.Helper()
	select {
	case <-event:
	case <-t.Context().Done():
		t.Fatal("the test ended before")
	}
}

// TestStoppingGivesTheWorkBack stops the bot in the middle of a turn.
func TestStoppingGivesTheWorkBack(t *testing.T) {
	w := newWorld(t)
	r := w.both()
	w.push(web, "1.1.0")
	ctx, stop := context.WithCancel(w.ctx)
	w.watch(func(what string) {
		if what == "before CreatePullRequest" {
			stop()
		}
	})
	claim, err := w.store.Claim(w.ctx, "the bot", time.Minute)
	if err != nil || claim == nil {
		t.Fatal(claim, err)
	}
	w.bot.turn(ctx, claim)
	w.watch(nil)
	row := r.row()
	if row.Owner != "" || row.Attempts != 0 || row.DueAt.After(w.clock.now()) {
		t.Errorf("work %+v; want it given back at once, and no failure", row)
	}
	w.work()
	wantPulls(t, r, "open acceptance: web 1.0.0 → 1.1.0", "open production: web 1.0.0 → 1.1.0")
}

func TestATurnThatTakesTooLongFailsAndGoesOnLater(t *testing.T) {
	w := newWorld(t)
	r := w.both()
	w.push(web, "1.1.0")
	w.options.TurnLimit = 300 * time.Millisecond // of the real clock
	w.start()
	w.registry.hang[web.Host()] = true
	w.bot.registryTimeout = time.Hour
	w.turn()
	w.registry.hang[web.Host()] = false
	if row := r.row(); !strings.Contains(row.LastError, "took too long") {
		t.Errorf("the last error is %q", row.LastError)
	}
	w.options.TurnLimit = 0
	w.start()
	w.later(time.Minute)
	wantPulls(t, r, "open acceptance: web 1.0.0 → 1.1.0", "open production: web 1.0.0 → 1.1.0")
}

func TestEveryTurnIsTold(t *testing.T) {
	w := newWorld(t)
	var results []string
	w.options.Observe = func(result string, _ time.Duration) { results = append(results, result) }
	w.start()
	r := w.repo("infra", map[string]string{ConfigFile: w.config(environment("acceptance"))})
	w.discover()
	w.mem.Inject(failing("OpenPullRequests", 1, false))
	w.wake(r)
	w.work()
	if got := strings.Join(results, " "); got != "done done failed" {
		t.Errorf("told %q, want the discovery, a turn, and one that failed", got)
	}
}

func TestNewWantsAllItsParts(t *testing.T) {
	t.Parallel()
	whole := func() Options {
		return Options{
			Store: &store.Store{}, Forges: map[string]forge.Forge{"github": nil}, Git: &gitrepo.Client{}, Registry: &fakeRegistry{},
			Judge: nobody{}, Parse: func([]byte) (promotion.Config, error) { return promotion.Config{}, errors.New("none") }, MarkerKey: func(string) []byte { return nil },
		}
	}
	if r, err := New(whole()); err != nil || r.Workers < 1 || r.Lease <= 0 || r.Poll <= 0 || r.TurnLimit <= 0 || r.Now == nil || r.Log == nil {
		t.Fatalf("New = %+v, %v; want defaults", r, err)
	}
	for name, without := range map[string]func(*Options){
		"store": func(o *Options) { o.Store = nil }, "forges": func(o *Options) { o.Forges = nil }, "git": func(o *Options) { o.Git = nil },
		"registry": func(o *Options) { o.Registry = nil }, "judge": func(o *Options) { o.Judge = nil }, "parser": func(o *Options) { o.Parse = nil },
		"marker key": func(o *Options) { o.MarkerKey = nil },
	} {
		o := whole()
		without(&o)
		if _, err := New(o); err == nil {
			t.Errorf("New without its %s gives no error", name)
		}
	}
}

type nobody struct{}

func (nobody) Reads([]gate.Use, string) bool                              { return false }
func (nobody) Judge(context.Context, gate.Facts, []gate.Use) gate.Verdict { return gate.Verdict{} }

func TestTheManifestsThatChangeAreShown(t *testing.T) {
	w := newWorld(t)
	w.options.Renderer = render.New(render.Options{})
	w.start()
	r := w.repo("infra", map[string]string{
		ConfigFile:                    w.config(environment("acceptance")),
		"apps/web/kustomization.yaml": kustomization(string(web)+":1.0.0") + "resources:\n  - deployment.yaml\n",
		"apps/web/deployment.yaml": "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  template:\n    spec:\n      containers:\n" +
			"        - name: web\n          image: " + string(web) + "\n",
		"apps/broken/kustomization.yaml": kustomization(string(worker)+":1.0.0") + "resources:\n  - missing.yaml\n",
	})
	w.discover()
	w.push(web, "1.1.0")
	w.push(worker, "1.1.0")
	w.work()
	for _, pr := range r.open() {
		want := "+      - image: " + string(web) + ":1.1.0@" + string(digestOf(web, "1.1.0", 0))
		if strings.Contains(pr.Title, "worker") {
			want = "`apps/broken` could not be rendered, which does not stand in the way of the release"
		}
		if !strings.Contains(pr.Body, want) {
			t.Errorf("the body of %q does not say %q:\n%s", pr.Title, want, pr.Body)
		}
	}
	if n := len(r.open()); n != 2 {
		t.Errorf("%d are open, want 2", n)
	}
}
