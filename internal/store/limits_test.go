package store

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/promotion"
)

// writer asks for leave in the name of an installation.
type writer struct {
	t      *testing.T
	s      *Store
	limits Limits
}

func (w writer) ask(writes int, of ...promotion.Promotion) WriteGrant {
	w.t.Helper()
	r := WriteRequest{Forge: "github", Installation: 7, Writes: writes, Limits: w.limits, Within: 45 * time.Second}
	if len(of) > 0 {
		r.Repo, r.Promotion = of[0].Repo, of[0].ID
	}
	return must1(w.s.TakeWrites(w.t.Context(), r))(w.t)
}

func (w writer) settle(g WriteGrant, writes int) {
	w.t.Helper()
	must(w.t, w.s.SettleWrites(w.t.Context(), "github", 7, g.ID, writes))
}

// write asks, and settles what was let through at once.
func (w writer) write(writes int, of ...promotion.Promotion) WriteGrant {
	w.t.Helper()
	g := w.ask(writes, of...)
	if g.ID != 0 {
		w.settle(g, writes)
	}
	return g
}

// inLineAt records promotions that wait until a moment, created one second after the other.
func inLineAt(t *testing.T, s *Store, clock *hands, key promotion.RepoKey, environment string, n int) (list []promotion.Promotion) {
	t.Helper()
	turn(t, s, key, func(tx *Tx) {
		for i := range n {
			p := promoted(key, environment, i+1)
			p.ID, p.State, p.PullRequest = fmt.Sprintf("%s-%d", environment, i), promotion.Opening, 0
			p.Branch = "boatlift/" + p.ID
			p.CreatedAt, p.WaitsUntil = clock.now().Add(time.Duration(i)*time.Second), clock.now()
			tx.SavePromotion(p)
			list = append(list, p)
		}
	})
	return list
}

// twoOfOne is production after acceptance, in two repos of one installation.
func twoOfOne(t *testing.T, s *Store) {
	t.Helper()
	a, p := infra(acceptance, "acme/infra-acceptance"), infra(production, "acme/infra-production")
	discover(t, s, a, p)
	a.Environments = []EnvRow{{Name: "acceptance", Mode: promotion.Propose}}
	p.Environments = []EnvRow{{Name: "production", Mode: promotion.Propose, After: []promotion.EnvRef{{Repo: "Acme/Infra-acceptance", Environment: "acceptance"}}}}
	turn(t, s, acceptance, func(tx *Tx) { tx.SaveRepo(a) })
	turn(t, s, production, func(tx *Tx) { tx.SaveRepo(p) })
}

var limitsTests = []test{
	{"no minute and no hour sees more writes than its limit", func(t *testing.T, s *Store) {
		clock := stop(s)
		w := writer{t, s, Limits{PerMinute: 10, PerHour: 37}}
		random := rand.New(rand.NewPCG(1, 2))
		var ended []time.Time // of every write
		for len(ended) < 150 {
			n := 1 + random.IntN(3)
			g := w.ask(n)
			if g.ID == 0 {
				if !g.Until.After(clock.now()) {
					t.Fatalf("it is %s, and TakeWrites() says %+v", clock.now(), g)
				}
				clock.move(g.Until.Sub(clock.now()))
				continue
			}
			clock.move(time.Duration(random.IntN(8000)) * time.Millisecond) // while it is under way
			n -= random.IntN(2)
			w.settle(g, n)
			for range n {
				ended = append(ended, clock.now())
			}
		}
		for i, from := range ended {
			for _, window := range []struct {
				length time.Duration
				most   int
			}{{time.Minute, 10}, {time.Hour, 37}} {
				n := 0
				for _, at := range ended[i:] {
					if at.Before(from.Add(window.length)) {
						n++
					}
				}
				if n > window.most {
					t.Fatalf("%d writes ended in the %s from %s; want at most %d", n, window.length, from, window.most)
				}
			}
		}
	}},
	{"all tokens may be spent at once and come back when a minute has gone", func(t *testing.T, s *Store) {
		clock := stop(s)
		w := writer{t, s, Limits{PerMinute: 3}}
		begun := clock.now()
		for range 3 {
			if g := w.write(1); g.ID == 0 {
				t.Fatalf("TakeWrites() = %+v; want leave", g)
			}
		}
		if g := w.write(1); !g.Until.Equal(begun.Add(time.Minute)) {
			t.Errorf("the fourth TakeWrites() = %+v; want to be asked again at %s", g, begun.Add(time.Minute))
		}
		other := must1(s.TakeWrites(t.Context(), WriteRequest{Forge: "github", Installation: 8, Writes: 1, Limits: w.limits}))(t)
		if other.ID == 0 {
			t.Errorf("another installation: %+v; want leave", other)
		}
		clock.move(time.Minute)
		if g := w.write(3); g.ID == 0 {
			t.Errorf("a minute later: %+v; want leave", g)
		}
	}},
	{"writes of an installation go one after the other", func(t *testing.T, s *Store) {
		clock := stop(s)
		w := writer{t, s, Limits{PerHour: 100}}
		first := w.ask(1)
		if g := w.ask(1); !g.Busy || g.ID != 0 {
			t.Errorf("while one is under way: %+v; want busy", g)
		}
		w.settle(first, 1)
		if g := w.ask(1); g.Busy || g.ID == 0 {
			t.Errorf("when it has ended: %+v; want leave", g)
		}
		clock.move(46 * time.Second)
		if g := w.ask(1); g.Busy || g.ID == 0 {
			t.Errorf("when the one before cannot be under way any more: %+v; want leave", g)
		}
	}},
	{"what was not written costs nothing", func(t *testing.T, s *Store) {
		stop(s)
		w := writer{t, s, Limits{PerMinute: 2}}
		w.settle(w.ask(2), 0)
		w.settle(w.ask(2), 1)
		if g := w.write(1); g.ID == 0 {
			t.Errorf("TakeWrites() = %+v; want leave", g)
		}
		if g := w.write(1); g.ID != 0 {
			t.Errorf("TakeWrites() = %+v; want none", g)
		}
	}},
	{"without limits everything may be written", func(t *testing.T, s *Store) {
		w := writer{t, s, Limits{}}
		for range 100 {
			if g := w.ask(3); g.Busy || !g.Until.IsZero() {
				t.Fatalf("TakeWrites() = %+v", g)
			}
		}
	}},
	{"a limit that is smaller than a pull request lets one through at a time", func(t *testing.T, s *Store) {
		clock := stop(s)
		w := writer{t, s, Limits{PerMinute: 1}}
		for range 3 {
			if g := w.write(2); g.ID == 0 {
				t.Errorf("TakeWrites() = %+v; want leave", g)
			}
			if g := w.write(2); !g.Until.Equal(clock.now().Add(time.Minute)) {
				t.Errorf("TakeWrites() = %+v; want to be asked again in a minute", g)
			}
			clock.move(time.Minute)
		}
	}},
	{"new pull requests leave an eighth to gates and merges", func(t *testing.T, s *Store) {
		clock := stop(s)
		twoOfOne(t, s)
		w := writer{t, s, Limits{PerMinute: 80}}
		line := inLineAt(t, s, clock, production, "production", 40)
		opened := 0
		for _, p := range line {
			g := w.write(3, p)
			if g.ID == 0 {
				break
			}
			opened++
			turn(t, s, production, func(tx *Tx) {
				p.State, p.PullRequest, p.WaitsUntil = promotion.Open, opened, time.Time{}
				tx.SavePromotion(p)
			})
		}
		if opened != 23 { // of 70 tokens
			t.Errorf("%d pull requests were let through; want 23", opened)
		}
		for i := range 11 {
			if g := w.write(1); g.ID == 0 {
				t.Errorf("write %d beside the line: %+v; want leave", i, g)
			}
		}
		if g := w.write(1); g.ID != 0 {
			t.Errorf("the 81st write: %+v; want none", g)
		}
	}},
	{"environments that nothing comes after go first, then the oldest", func(t *testing.T, s *Store) {
		clock := stop(s)
		twoOfOne(t, s)
		w := writer{t, s, Limits{PerMinute: 16}} // 14 for pull requests
		a := inLineAt(t, s, clock, acceptance, "acceptance", 3)
		clock.move(10 * time.Second)
		p := inLineAt(t, s, clock, production, "production", 3)
		lines := must1(s.Lines(t.Context(), w.limits))(t)
		if len(lines) != 1 || lines[0].Forge != "github" || lines[0].Installation != 7 {
			t.Fatalf("Lines() = %+v", lines)
		}
		var order []string
		for _, waiting := range lines[0].Waiting {
			order = append(order, fmt.Sprint(waiting.Promotion, " ", waiting.At.Sub(clock.now())))
		}
		if want := []string{"production-0 0s", "production-1 0s", "production-2 0s", "acceptance-0 0s", "acceptance-1 1m0s", "acceptance-2 1m0s"}; !slices.Equal(order, want) {
			t.Errorf("the line is %v; want %v", order, want)
		}
		if g := w.write(3, a[1]); g.ID != 0 || g.Ahead != 4 || !g.Until.Equal(clock.now().Add(time.Minute)) {
			t.Errorf("the fifth of the line: %+v", g)
		}
		if g := w.write(3, a[0]); g.ID == 0 {
			t.Errorf("the fourth, for whom there is enough: %+v; want leave", g)
		}
		if g := w.write(3, p[0]); g.ID == 0 {
			t.Errorf("the first: %+v; want leave", g)
		}
		ends := must1(s.EndsOf(t.Context(), acceptance))(t)
		if more := must1(s.EndsOf(t.Context(), production))(t); ends["acceptance"] || !more["production"] {
			t.Errorf("EndsOf() = %v and %v", ends, more)
		}
	}},
	{"whoever does not come back does not keep others waiting", func(t *testing.T, s *Store) {
		clock := stop(s)
		twoOfOne(t, s)
		w := writer{t, s, Limits{PerMinute: 8}}
		inLineAt(t, s, clock, production, "production", 3)
		a := inLineAt(t, s, clock, acceptance, "acceptance", 1)
		if g := w.write(3, a[0]); g.ID != 0 || g.Ahead != 3 {
			t.Errorf("behind three of production: %+v", g)
		}
		clock.move(31 * time.Second)
		if g := w.write(3, a[0]); g.ID == 0 {
			t.Errorf("when nobody came for half a minute: %+v; want leave", g)
		}
	}},
	{"a line is woken for some of it at once", func(t *testing.T, s *Store) {
		clock := stop(s)
		twoOfOne(t, s)
		w := writer{t, s, Limits{PerMinute: 80}}
		for range 35 {
			w.write(2)
			clock.move(time.Second)
		}
		line := inLineAt(t, s, clock, production, "production", 30)
		last := clock.now().Add(-35 * time.Second)
		// The eighth needs the tokens of twelve of those writes to be back.
		if g := w.ask(2, line[0]); !g.Until.Equal(last.Add(11*time.Second + time.Minute)) {
			t.Errorf("TakeWrites() = %+v; want to be asked again at %s", g, last.Add(11*time.Second+time.Minute))
		}
		if g := w.ask(2, line[29]); g.Ahead != 29 {
			t.Errorf("the last of the line: %+v; want 29 ahead", g)
		}
	}},
	{"eight writers together never exceed the limit", func(t *testing.T, s *Store) {
		w := writer{t, s, Limits{PerMinute: 25}}
		crowd(t, w, s)
	}},
}

// crowd lets eight writers write until no more may be written.
func crowd(t *testing.T, w writer, stores ...*Store) {
	t.Helper()
	var mu sync.Mutex
	let, underWay := 0, 0
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			w := w
			w.s = stores[i%len(stores)]
			for {
				g, err := w.s.TakeWrites(t.Context(), WriteRequest{Forge: "github", Installation: 7, Writes: 1, Limits: w.limits, Within: time.Minute})
				switch {
				case err != nil:
					t.Error(err)
					return
				case g.Busy:
					continue
				case g.ID == 0:
					return
				}
				mu.Lock()
				if underWay++; underWay > 1 {
					t.Error("two writes are under way at once")
				}
				let++
				mu.Unlock()
				mu.Lock()
				underWay--
				mu.Unlock()
				if err := w.s.SettleWrites(t.Context(), "github", 7, g.ID, 1); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	if let != w.limits.PerMinute {
		t.Errorf("%d writes were let through; want %d", let, w.limits.PerMinute)
	}
}

func TestReplicasShareTheTokens(t *testing.T) {
	t.Parallel()
	stores, deadlocks := replicas(t, 3)
	crowd(t, writer{t, stores[0], Limits{PerMinute: 40, PerHour: 60}}, stores...)
	if n := deadlocks.Load(); n > 0 {
		t.Errorf("%d deadlocks", n)
	}
}
