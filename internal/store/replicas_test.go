package store

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
)

// replicas opens a database several times, as servers beside each other do. tries counts what was run again.
func replicas(t *testing.T, n int) (stores []*Store, deadlocks *atomic.Int32) {
	t.Helper()
	url := newDatabase(t)
	deadlocks = new(atomic.Int32)
	for range n {
		s := openURL(t, url)
		again := s.dialect.again
		s.dialect.again = func(err error, committing bool) (time.Duration, bool) {
			if postgresCode(err) == "40P01" {
				deadlocks.Add(1)
			}
			return again(err, committing)
		}
		stores = append(stores, s)
	}
	return stores, deadlocks
}

func TestReplicasShareTheWork(t *testing.T) {
	t.Parallel()
	const repos, events = 12, 60
	stores, deadlocks := replicas(t, 3)
	keys := make([]promotion.RepoKey, repos)
	busy := map[promotion.RepoKey]*atomic.Int32{}
	var discovered []Repo
	for i := range keys {
		keys[i] = promotion.RepoKey(fmt.Sprintf("github/%d", i))
		busy[keys[i]] = new(atomic.Int32)
		discovered = append(discovered, infra(keys[i], fmt.Sprintf("acme/infra-%d", i)))
	}
	discover(t, stores[0], discovered...)
	var producers, workers sync.WaitGroup
	for p := range 6 {
		producers.Go(func() {
			s := stores[p%3]
			for i := range events {
				a, b := keys[(p*5+i)%repos], keys[(p+i*7)%repos]
				must := func(err error) {
					if err != nil {
						t.Error(err)
					}
				}
				switch i % 6 {
				case 0:
					must(s.Wake(t.Context(), b, a))
				case 1:
					must(s.Operate(t.Context(), a, func(tx *Tx) error {
						tx.AddHold(promotion.Hold{Environment: "e", Images: []image.Name{web}})
						tx.Wake(b)
						tx.Audit(AuditEntry{Action: "hold"})
						return nil
					}))
				case 2:
					must(s.Operate(t.Context(), b, func(tx *Tx) error { tx.LiftHolds("e", []image.Name{web}); return nil }))
				case 3:
					changed := slices.Clone(discovered)
					changed[i%repos].WebURL = fmt.Sprint("https://", p, i)
					_, err := s.UpsertRepos(t.Context(), "github", changed)
					must(err)
				default:
					_, err := s.Accept(t.Context(), hookOf(fmt.Sprintf("%d-%d", p, i)), []Push{pushOf(web, fmt.Sprint(i), i)}, []promotion.RepoKey{b, a})
					must(err)
				}
			}
		})
	}
	var turns, held atomic.Int32
	done := make(chan struct{})
	for w := range 8 {
		workers.Go(func() {
			s := stores[w%3]
			for {
				c, err := s.Claim(t.Context(), fmt.Sprint("worker-", w), time.Minute)
				if err != nil {
					t.Error(err)
					return
				}
				if c == nil {
					select {
					case <-done:
						return
					case <-s.Notify():
						continue
					}
				}
				if busy[c.Repo].Add(1) != 1 {
					t.Errorf("%s is in two workers' hands", c.Repo)
				}
				n := turns.Add(1)
				err = s.Update(t.Context(), c, func(tx *Tx) error {
					tx.SaveListings(c.Repo, []promotion.Listing{{Environment: "e", Image: web, Tag: fmt.Sprint(n)}, {Environment: "e", Image: worker}}[n%2:])
					tx.SaveTag(Tag{Image: web, Tag: fmt.Sprint(n % 3), Digest: digest(int(n))})
					tx.SaveTag(Tag{Image: web, Tag: fmt.Sprint(n % 2), Digest: digest(int(n))})
					if n%7 == 0 {
						tx.Wake(keys[int(n*5)%repos], c.Repo)
					}
					tx.Audit(AuditEntry{Action: "turn", Subject: string(c.Repo)})
					return nil
				})
				busy[c.Repo].Add(-1)
				finish := Finish{}
				if n%10 == 0 && n < 300 {
					finish.Wake = []promotion.RepoKey{keys[int(n)%repos], c.Repo}
				}
				if err := errors.Join(err, s.Finish(t.Context(), c, finish)); err != nil {
					t.Error(err)
					return
				}
				held.Add(1)
			}
		})
	}
	producers.Wait()
	for len(pending(t, stores[0])) > 0 && !t.Failed() {
	}
	close(done)
	workers.Wait()
	report := must1(stores[2].AuditVerify(t.Context()))(t)
	if operated := int64(6 * events / 6); report.Entries != int64(turns.Load())+operated {
		t.Errorf("%d turns and %d orders left %d audit entries", turns.Load(), operated, report.Entries)
	}
	if n := deadlocks.Load(); n > 0 {
		t.Errorf("%d deadlocks; want the locks taken in one order", n)
	}
}

func TestReplicasAcceptTogether(t *testing.T) {
	t.Parallel()
	const senders, each = 64, 8
	stores, deadlocks := replicas(t, 2)
	discover(t, stores[0], infra(production, "acme/infra"))
	list(t, stores[0], production, "production", web)
	known := new(atomic.Int32)
	var all sync.WaitGroup
	for n := range senders {
		all.Go(func() {
			for i := range each {
				id := fmt.Sprintf("%d-%d", n/2, i) // each delivery comes to both replicas
				got, err := stores[n%2].Accept(t.Context(), hookOf(id), []Push{pushOf(web, id, i)}, []promotion.RepoKey{promotion.RepoKey("github/" + fmt.Sprint(i)), "github/1000"})
				if err != nil {
					t.Error(err)
				}
				if got.Known {
					known.Add(1)
				} else if !slices.Contains(got.Woken, production) {
					t.Errorf("Accept(%s) = %+v; want production woken", id, got)
				}
			}
		})
	}
	all.Wait()
	stored := must1(stores[1].Deliveries(t.Context(), DeliveryFilter{Limit: 10_000}))(t)
	if len(stored) != senders*each/2 || known.Load() != senders*each/2 || stored[0].ID != int64(len(stored)) {
		t.Errorf("%d stored up to number %d, %d known; want half of %d each, without a gap", len(stored), stored[0].ID, known.Load(), senders*each)
	}
	if pushes := must1(stores[0].Pushes(t.Context(), []image.Name{web}, time.Time{}))(t); len(pushes) != len(stored) {
		t.Errorf("%d pushes; want %d", len(pushes), len(stored))
	}
	if n := deadlocks.Load(); n > 0 {
		t.Errorf("%d deadlocks", n)
	}
}

func TestReplicasUpgradeOneAfterTheOther(t *testing.T) {
	t.Parallel()
	url := newDatabase(t)
	run(t, url, `DROP SCHEMA public CASCADE`)
	run(t, url, `CREATE SCHEMA public`)
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() {
			s, err := Open(t.Context(), url, Options{})
			if err != nil {
				t.Errorf("Open() beside others = %v", err)
				return
			}
			if err := errors.Join(s.Ping(t.Context()), s.Close()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

func TestAnotherReplicasWorkIsNoticed(t *testing.T) {
	t.Parallel()
	stores, _ := replicas(t, 2)
	told := stores[1].Notify()
	must(t, second(stores[0].Accept(t.Context(), hookOf("1"), nil, []promotion.RepoKey{acceptance})))
	<-told
	if c := must1(stores[1].Claim(t.Context(), "b", time.Minute))(t); c == nil || c.Repo != acceptance {
		t.Errorf("Claim() = %+v", c)
	}
	must(t, stores[1].Close())
	stores[1].Notify() // begins nothing any more
}

func TestAWrongClockOfAReplicaChangesNothing(t *testing.T) {
	t.Parallel()
	url := newDatabase(t)
	var stores []*Store
	for _, off := range []time.Duration{0, time.Hour, -time.Hour} {
		s, err := Open(t.Context(), url, Options{local: func() time.Time { return time.Now().Add(off) }})
		must(t, err)
		t.Cleanup(func() { must(t, s.Close()) })
		stores = append(stores, s)
	}
	about := func(what string, got, want time.Time) {
		t.Helper()
		if d := got.Sub(want); d < -time.Minute || d > time.Minute { // an hour is what may not show
			t.Errorf("%s is %v; want about %v", what, got, want)
		}
	}
	for i, s := range stores {
		about(fmt.Sprintf("Now() of replica %d", i), s.Now(), time.Now())
	}
	for i, s := range stores {
		c := claim(t, s, acceptance)
		about("Started", c.Started, time.Now())
		for j, other := range stores {
			if stolen := must1(other.Claim(t.Context(), "thief", time.Minute))(t); stolen != nil {
				t.Fatalf("replica %d takes what %d has: %+v", j, i, stolen)
			}
			due, _, err := other.NextDue(t.Context())
			must(t, err)
			about(fmt.Sprintf("NextDue() of replica %d", j), due, time.Now().Add(time.Minute))
		}
		must(t, s.Renew(t.Context(), c, time.Minute))
		must(t, s.Finish(t.Context(), c, Finish{WakeAt: s.Now().Add(30 * time.Minute)}))
		if again := must1(stores[0].Claim(t.Context(), "a", time.Minute))(t); again != nil {
			t.Errorf("replica %d sets the clock of a turn into the past", i)
		}
		due, _, err := stores[0].NextDue(t.Context())
		must(t, err)
		about("NextDue()", due, time.Now().Add(30*time.Minute))
		must(t, second(s.Accept(t.Context(), hookOf(fmt.Sprint(i)), nil, nil)))
		must(t, s.Audit(t.Context(), entry(i)))
		d, _, err := s.Delivery(t.Context(), fmt.Sprint(i))
		must(t, err)
		about("ReceivedAt", d.ReceivedAt, time.Now())
		about("At", must1(s.AuditTail(t.Context(), AuditFilter{}))(t)[0].At, time.Now())
	}
}

func TestAClockThatIsSetIsNoticed(t *testing.T) {
	t.Parallel()
	var off atomic.Int64
	s, err := Open(t.Context(), newDatabase(t), Options{local: func() time.Time { return time.Now().Add(time.Duration(off.Load())) }})
	must(t, err)
	defer func() { must(t, s.Close()) }()
	must(t, s.Wake(t.Context(), acceptance))
	off.Store(int64(3 * time.Hour))
	must(t, second(first2(s.NextDue(t.Context()))))
	if d := time.Until(s.Now()); d > time.Minute {
		t.Errorf("Now() is %v ahead", d)
	}
}

// first2 leaves out the second of three values.
func first2[A, B any](a A, _ B, err error) (A, error) { return a, err }

func TestAppendersOfAllReplicasMakeOneChain(t *testing.T) {
	t.Parallel()
	stores, _ := replicas(t, 4)
	var all sync.WaitGroup
	for w := range 16 {
		all.Go(func() {
			for n := range 10 {
				if err := stores[w%4].Audit(t.Context(), entry(w*100+n)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if got := must1(stores[3].AuditVerify(t.Context()))(t); got.Entries != 160 {
		t.Errorf("AuditVerify() = %+v; want 160 entries", got)
	}
}
