package governor

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/forgetest"
	"github.com/boatlift/boatlift/internal/store"
)

// clock moves by hand.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// scene is a forge in memory with one repository, a database and a clock.
type scene struct {
	clock  *clock
	memory *forgetest.Memory
	store  *store.Store
	repo   forge.Repository
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{clock: &clock{at: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)}, memory: forgetest.NewMemory(forgetest.Options{})}
	s.repo = s.memory.AddRepository(forge.Repository{FullName: "acme/infra"})
	s.memory.Commit(s.repo.ID, "head", map[string]string{"a.yaml": "1\n"})
	var err error
	if s.store, err = store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "db"), store.Options{Clock: s.clock.now}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.store.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *scene) govern(below forge.Forge, limits store.Limits) *Forge {
	return New(Options{Forge: below, Name: "github", Tokens: s.store, Limits: limits})
}

func open(t *testing.T, f forge.Forge, repo forge.Repository) {
	t.Helper()
	if _, err := f.CreatePullRequest(t.Context(), repo, forge.NewPullRequest{Head: "head", Base: "main", Title: "t", Labels: []string{"a"}}); err != nil {
		t.Fatal(err)
	}
}

func TestBeyondTheLimitNothingIsSentAndTheErrorSaysWhenToComeBack(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	f := s.govern(s.memory, store.Limits{PerMinute: 5})
	open(t, f, s.repo) // two writes
	comment := func(key string) error { return f.Comment(t.Context(), s.repo, 1, key, "hello "+key) }
	for _, key := range []string{"a", "b", "c"} {
		if err := comment(key); err != nil {
			t.Fatal(err)
		}
	}
	s.clock.move(10 * time.Second)
	err := comment("d")
	var pace *forge.PaceError
	if !errors.As(err, &pace) || pace.After != 50*time.Second || pace.RetryAfter() != pace.After {
		t.Errorf("the sixth write: %v (%+v), want to be asked again in 50 s", err, pace)
	}
	if n := len(s.memory.Comments(s.repo.ID, 1)); n != 3 {
		t.Errorf("%d comments are there, want 3", n)
	}
	for _, write := range []func() error{
		func() error {
			_, err := f.CreatePullRequest(t.Context(), s.repo, forge.NewPullRequest{Head: "head", Base: "main"})
			return err
		},
		func() error { _, err := f.EditPullRequest(t.Context(), s.repo, 1, forge.Edit{}); return err },
		func() error { return f.AddLabels(t.Context(), s.repo, 1, []string{"b"}) },
		func() error { _, err := f.Merge(t.Context(), s.repo, 1, "sha", "merge"); return err },
		func() error { return f.SetCheck(t.Context(), s.repo, forge.Check{Conclusion: forge.Pending}) },
	} {
		if err := write(); !errors.As(err, &pace) {
			t.Errorf("another write: %v, want a PaceError", err)
		}
	}
	if _, err := f.OpenPullRequests(t.Context(), s.repo, "main"); err != nil {
		t.Errorf("a read: %v", err)
	}
	s.clock.move(50 * time.Second)
	if err := comment("d"); err != nil {
		t.Errorf("50 s later: %v", err)
	}
}

// TestNoWriteGoesPastTheGovernor calls everything that a forge offers while no token is left.
func TestNoWriteGoesPastTheGovernor(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	f := s.govern(s.memory, store.Limits{PerMinute: 1})
	if err := f.AddLabels(t.Context(), s.repo, 1, nil); err == nil {
		t.Fatal("pull request 1 is there")
	}
	s.memory.ForgetCalls()
	port := reflect.TypeFor[forge.Forge]()
	for i := range port.NumMethod() {
		m := reflect.ValueOf(f).MethodByName(port.Method(i).Name)
		args := []reflect.Value{reflect.ValueOf(t.Context())}
		for a := 1; a < m.Type().NumIn(); a++ {
			arg := reflect.New(m.Type().In(a)).Elem()
			if arg.Type() == reflect.TypeOf(s.repo) {
				arg.Set(reflect.ValueOf(s.repo))
			}
			args = append(args, arg)
		}
		m.Call(args)
	}
	seen := 0
	for _, c := range s.memory.Calls() {
		seen++
		if c.Write && c.Method != "DeleteBranch" {
			t.Errorf("%s was let through", c.Method)
		}
	}
	if seen < 10 {
		t.Errorf("only %d calls came through, want all that read", seen)
	}
}

// sending is a forge that tells what it sends.
type sending struct {
	forge.Forge
	methods []string
}

func (s *sending) Comment(ctx context.Context, _ forge.Repository, _ int, _, _ string) error {
	for _, m := range s.methods {
		forge.Sending(ctx, m)
	}
	return nil
}

func TestACallCostsWhatWasSentForIt(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		methods []string
		calls   int // that a limit of 12 lets through
	}{
		"nobody tells":             {nil, 12},
		"a write":                  {[]string{http.MethodGet, http.MethodPost}, 12},
		"three writes":             {[]string{http.MethodPost, http.MethodPatch, http.MethodPut}, 4},
		"nothing had to be said":   {[]string{http.MethodGet}, 20},
		"a deletion is no content": {[]string{http.MethodDelete}, 20},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			f := s.govern(&sending{s.memory, tc.methods}, store.Limits{PerMinute: 12})
			calls := 0
			for calls < 20 && f.Comment(t.Context(), s.repo, 1, "", "") == nil {
				calls++
			}
			if calls != tc.calls {
				t.Errorf("%d calls were let through, want %d", calls, tc.calls)
			}
		})
	}
}

// narrow is a forge that notices when two writes meet.
type narrow struct {
	forge.Forge
	inside, met, calls atomic.Int32
	entered            chan struct{}
}

func (n *narrow) Comment(context.Context, forge.Repository, int, string, string) error {
	if n.inside.Add(1) > 1 {
		n.met.Add(1)
	}
	n.calls.Add(1)
	if n.entered != nil {
		n.entered <- struct{}{}
		n.entered <- struct{}{}
	}
	n.inside.Add(-1)
	return nil
}

func TestWritesOfAnInstallationGoOneAfterTheOtherAcrossReplicas(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	below := &narrow{Forge: s.memory}
	replicas := []*Forge{s.govern(below, store.Limits{PerHour: 1000}), s.govern(below, store.Limits{PerHour: 1000})}
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for range 5 {
				if err := replicas[i%2].Comment(t.Context(), s.repo, 1, "", ""); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if below.met.Load() != 0 || below.calls.Load() != 40 {
		t.Errorf("of %d writes %d met another, want none of 40", below.calls.Load(), below.met.Load())
	}
}

func TestWhoeverWaitsForAnotherWriteCanGiveUp(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	below := &narrow{Forge: s.memory, entered: make(chan struct{})}
	here, there := s.govern(below, store.Limits{PerHour: 1000}), s.govern(below, store.Limits{PerHour: 1000})
	done := make(chan error, 1)
	go func() { done <- here.Comment(t.Context(), s.repo, 1, "", "") }()
	<-below.entered
	for name, f := range map[string]*Forge{"in this process": here, "in another": there} {
		ctx, cancel := context.WithCancelCause(t.Context())
		gaveUp := errors.New("gave up")
		cancel(gaveUp)
		if err := f.Comment(ctx, s.repo, 1, "", ""); !errors.Is(err, gaveUp) && !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want that it was given up", name, err)
		}
	}
	<-below.entered
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// committing is a forge that can do more.
type committing struct {
	forge.Forge
	commits int
}

func (c *committing) CreateCommit(context.Context, forge.Repository, forge.NewCommit) (string, bool, error) {
	c.commits++
	return "sha", true, nil
}

func TestWhatAForgeOffersBesideIsFoundBehindAndGovernedWhereItWrites(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	if _, ok := forge.As[forge.Committer](s.govern(&sending{Forge: s.memory}, store.Limits{PerMinute: 10})); ok {
		t.Error("a forge that makes no commits is said to")
	}
	below := &committing{Forge: s.memory}
	c, ok := forge.As[forge.Committer](s.govern(below, store.Limits{PerMinute: 5}))
	if !ok {
		t.Fatal("a forge that makes commits is not found behind its governor")
	}
	var err error
	for range 3 {
		_, _, err = c.CreateCommit(t.Context(), s.repo, forge.NewCommit{})
	}
	var pace *forge.PaceError
	if !errors.As(err, &pace) || below.commits != 2 {
		t.Errorf("%d commits, then %v; want 2, then a PaceError", below.commits, err)
	}
	if p, ok := forge.As[forge.Pacer](s.govern(s.memory, store.Limits{PerMinute: 4})); !ok || !p.Paced() {
		t.Error("a governed forge does not say so")
	}
	if _, ok := forge.As[forge.Pacer](s.memory); ok {
		t.Error("a forge without a governor says that it is paced")
	}
}
