package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
)

// blocked waits until some statement in the store's database waits for a lock.
func blocked(t *testing.T, s *Store) {
	t.Helper()
	for n := 0; n == 0 && t.Context().Err() == nil; {
		must(t, s.reader.db.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&n))
	}
}

// pause makes a step of a transaction that tells that it has begun and goes on when it is told to.
func pause() (step step, begun chan struct{}, goOn chan struct{}) {
	begun, goOn = make(chan struct{}), make(chan struct{})
	var once sync.Once
	return func(context.Context, *Store, *conn) error {
		once.Do(func() { close(begun) })
		<-goOn
		return nil
	}, begun, goOn
}

func TestAPushAndAListingThatMeetMakeATurn(t *testing.T) {
	t.Parallel()
	t.Run("the listing first", func(t *testing.T) {
		t.Parallel()
		stores, _ := replicas(t, 2)
		discover(t, stores[0], infra(production, "acme/infra"))
		c := claim(t, stores[0], production)
		step, begun, goOn := pause()
		var all sync.WaitGroup
		all.Go(func() {
			if err := stores[0].Update(t.Context(), c, func(tx *Tx) error {
				tx.SaveListings(production, []promotion.Listing{{Environment: "production", Image: web}})
				tx.add(step)
				return nil
			}); err != nil {
				t.Error(err)
			}
		})
		<-begun
		all.Go(func() {
			if got, err := stores[1].Accept(t.Context(), hookOf("1"), []Push{pushOf(web, "2", 2)}, nil); err != nil || !slices.Equal(got.Woken, []promotion.RepoKey{production}) {
				t.Errorf("Accept() = %+v, %v; want production woken", got, err)
			}
		})
		blocked(t, stores[0])
		close(goOn)
		all.Wait()
	})
	t.Run("the push first", func(t *testing.T) {
		t.Parallel()
		stores, _ := replicas(t, 2)
		discover(t, stores[0], infra(production, "acme/infra"))
		c := claim(t, stores[0], production)
		step, begun, goOn := pause()
		var all sync.WaitGroup
		all.Go(func() {
			a := must1(newArrival(hookOf("1"), []Push{pushOf(web, "2", 2)}, nil))(t)
			if err := stores[1].write(t.Context(), "accept", func(ctx context.Context, q *conn) error {
				if err := insertArrivals(ctx, q, []*arrival{a}); err != nil {
					return err
				}
				return step(ctx, nil, q)
			}); err != nil || len(a.answer.Woken) != 0 {
				t.Errorf("insertArrivals() = %+v, %v; want nobody woken: nobody lists it yet", a.answer, err)
			}
		})
		<-begun
		all.Go(func() {
			if err := stores[0].Update(t.Context(), c, func(tx *Tx) error {
				tx.SaveListings(production, []promotion.Listing{{Environment: "production", Image: web}})
				return nil
			}); err != nil {
				t.Error(err)
			}
		})
		blocked(t, stores[0])
		close(goOn)
		all.Wait()
		must(t, stores[0].Finish(t.Context(), c, Finish{}))
		if !pending(t, stores[0])[production] {
			t.Error("the push is forgotten")
		}
	})
}

func TestADiscoveryDoesNotUndoATurn(t *testing.T) {
	t.Parallel()
	stores, _ := replicas(t, 3)
	discover(t, stores[0], infra(production, "acme/infra"))
	c := claim(t, stores[0], production)
	step, begun, goOn := pause()
	var all sync.WaitGroup
	all.Go(func() {
		r := infra(production, "acme/infra")
		r.ConfigText, r.BaseHead, r.Environments = "found by the turn", "b2", []EnvRow{{Name: "production"}}
		if err := stores[0].Update(t.Context(), c, func(tx *Tx) error {
			tx.SaveRepo(r)
			tx.add(step)
			return nil
		}); err != nil {
			t.Error(err)
		}
	})
	<-begun
	for i, s := range stores[1:] { // two discoveries at once
		all.Go(func() {
			renamed := infra(production, "acme/renamed")
			other := infra(promotion.RepoKey(fmt.Sprint("github/", 10+i)), "acme/other")
			if _, err := s.UpsertRepos(t.Context(), "github", []Repo{renamed, other}); err != nil {
				t.Error(err)
			}
		})
	}
	blocked(t, stores[0])
	close(goOn)
	all.Wait()
	r, _, err := stores[0].Repo(t.Context(), production)
	must(t, err)
	if r.FullName != "acme/renamed" || r.ConfigText != "found by the turn" || r.BaseHead != "b2" || len(r.Environments) != 1 {
		t.Errorf("Repo() = %+v; want the new name and what the turn found", r)
	}
}

func TestHoldsThatAreLiftedTogetherAreAllLifted(t *testing.T) {
	t.Parallel()
	stores, _ := replicas(t, 2)
	discover(t, stores[0], infra(production, "acme/infra"))
	var names []image.Name
	for n := range 6 {
		names = append(names, image.Name(fmt.Sprint("registry.acme.io/", n)))
	}
	for range 5 {
		must(t, stores[0].Operate(t.Context(), production, func(tx *Tx) error {
			tx.AddHold(promotion.Hold{Environment: "production", Images: names})
			return nil
		}))
		var all sync.WaitGroup
		for i := range names {
			all.Go(func() {
				if err := stores[i%2].Operate(t.Context(), production, func(tx *Tx) error {
					tx.LiftHolds("production", names[i:i+1])
					return nil
				}); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if left := must1(stores[1].Holds(t.Context(), HoldFilter{}))(t); len(left) != 0 {
			t.Fatalf("%+v are left", left)
		}
	}
}

func TestAHolderThatWakesUpInTheMiddleWritesNothing(t *testing.T) {
	t.Parallel()
	stores, _ := replicas(t, 2)
	discover(t, stores[0], infra(production, "acme/infra"))
	must(t, stores[0].Wake(t.Context(), production))
	old := must1(stores[0].Claim(t.Context(), "old", 50*time.Millisecond))(t)
	step, begun, goOn := pause()
	var all sync.WaitGroup
	all.Go(func() {
		err := stores[0].Update(t.Context(), old, func(tx *Tx) error {
			tx.SaveNotes(production, []promotion.Note{{Say: "stale"}})
			tx.SaveTag(Tag{Image: web, Tag: "1", Digest: digest(666)})
			tx.add(step)
			tx.SaveListings(production, []promotion.Listing{{Environment: "production", Image: web}})
			tx.Audit(AuditEntry{Action: "stale"})
			tx.Wake("github/0", "github/9")
			return nil
		})
		if !errors.Is(err, ErrLost) {
			t.Errorf("Update() of the one that slept = %v; want ErrLost", err)
		}
	})
	<-begun
	var next *Claim
	for next == nil { // by the database's clock
		next = must1(stores[1].Claim(t.Context(), "next", time.Minute))(t)
	}
	if next.Attempts != 1 || next.LastError != "worker old did not come back" {
		t.Errorf("Claim() = %+v; want it to count as a failure", next)
	}
	all.Go(func() {
		if err := stores[1].Update(t.Context(), next, func(tx *Tx) error { // waits for the one that sleeps, and goes on
			tx.SaveNotes(production, []promotion.Note{{Say: "fresh"}})
			tx.Audit(AuditEntry{Action: "fresh"})
			return nil
		}); err != nil {
			t.Error(err)
		}
	})
	close(goOn)
	all.Wait()
	m := must1(stores[1].Memory(t.Context(), production))(t)
	tail := must1(stores[1].AuditTail(t.Context(), AuditFilter{}))(t)
	if len(m.Notes) != 1 || m.Notes[0].Say != "fresh" || len(m.Listings) != 0 || len(tail) != 1 || tail[0].Action != "fresh" {
		t.Errorf("left are %+v, %+v and %+v", m.Notes, m.Listings, tail)
	}
	if work := must1(stores[1].Work(t.Context()))(t); len(work) != 1 {
		t.Errorf("it woke others: %+v", work)
	}
	for name, err := range map[string]error{
		"Renew": stores[0].Renew(t.Context(), old, time.Hour), "Release": stores[0].Release(t.Context(), old), "Finish": stores[0].Finish(t.Context(), old, Finish{}),
	} {
		if !errors.Is(err, ErrLost) {
			t.Errorf("%s = %v; want ErrLost", name, err)
		}
	}
}

func TestARepoThatIsRemovedMeanwhile(t *testing.T) {
	t.Parallel()
	stores, _ := replicas(t, 2)
	discover(t, stores[0], infra(production, "acme/infra"))
	step, begun, goOn := pause()
	var all sync.WaitGroup
	all.Go(func() {
		err := stores[0].Operate(t.Context(), production, func(tx *Tx) error {
			tx.add(step)
			tx.AddHold(promotion.Hold{Environment: "production"})
			return nil
		})
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("Operate() on a repo that was removed meanwhile = %v; want ErrNotFound", err)
		}
	})
	<-begun
	must(t, stores[1].RemoveRepos(t.Context(), production))
	close(goOn)
	all.Wait()
}
