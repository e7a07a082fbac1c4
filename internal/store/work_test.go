package store

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/promotion"
)

var workTests = []test{
	{"nothing is due in an empty store", func(t *testing.T, s *Store) {
		if c, err := s.Claim(t.Context(), "a", time.Minute); c != nil || err != nil {
			t.Errorf("Claim() = %+v, %v; want nothing", c, err)
		}
		if _, found, err := s.NextDue(t.Context()); found || err != nil {
			t.Errorf("NextDue() = %v, %v; want nothing", found, err)
		}
		if _, err := s.Claim(t.Context(), "", time.Minute); err == nil {
			t.Error("a worker without a name may claim")
		}
	}},
	{"a claim is one worker's until it is finished", func(t *testing.T, s *Store) {
		c := claim(t, s, acceptance)
		if c.Token != 1 || c.Wanted != 1 || c.Attempts != 0 || c.Owner != "tester" || c.Started.IsZero() {
			t.Errorf("Claim() = %+v", c)
		}
		must(t, s.Wake(t.Context(), acceptance))
		if other := must1(s.Claim(t.Context(), "other", time.Minute))(t); other != nil {
			t.Errorf("the other worker got %+v", other)
		}
		must(t, s.Finish(t.Context(), c, Finish{}))
		if again := must1(s.Claim(t.Context(), "other", time.Minute))(t); again == nil || again.Token != 2 || again.Wanted != 2 {
			t.Errorf("after an event during the turn Claim() = %+v; want another turn", again)
		}
	}},
	{"many events are one turn", func(t *testing.T, s *Store) {
		for range 100 {
			must(t, s.Wake(t.Context(), acceptance, acceptance))
		}
		c := must1(s.Claim(t.Context(), "a", time.Minute))(t)
		must(t, s.Finish(t.Context(), c, Finish{}))
		if again := must1(s.Claim(t.Context(), "a", time.Minute))(t); again != nil {
			t.Errorf("Claim() = %+v; want nothing more", again)
		}
		if len(pending(t, s)) != 0 {
			t.Errorf("pending: %v", pending(t, s))
		}
	}},
	{"a clock makes a turn", func(t *testing.T, s *Store) {
		clock := stop(s)
		c := claim(t, s, acceptance)
		at := clock.now().Add(time.Hour)
		must(t, s.Finish(t.Context(), c, Finish{WakeAt: at}))
		if due, found, err := s.NextDue(t.Context()); !found || err != nil || !due.Equal(at) {
			t.Errorf("NextDue() = %v, %v, %v; want %v", due, found, err, at)
		}
		clock.move(time.Hour - time.Second)
		if c := must1(s.Claim(t.Context(), "a", time.Minute))(t); c != nil {
			t.Errorf("Claim() a second too early = %+v", c)
		}
		clock.move(time.Second)
		c = must1(s.Claim(t.Context(), "a", time.Minute))(t)
		if c == nil {
			t.Fatal("Claim() finds nothing at the time")
		}
		must(t, s.Finish(t.Context(), c, Finish{}))
		if _, found, _ := s.NextDue(t.Context()); found {
			t.Error("the clock was not ended by the turn")
		}
	}},
	{"an event comes before a clock, and a turn sets the clock anew", func(t *testing.T, s *Store) {
		clock := stop(s)
		c := claim(t, s, acceptance)
		must(t, s.Finish(t.Context(), c, Finish{WakeAt: clock.now().Add(time.Hour)}))
		c = claim(t, s, acceptance)
		must(t, s.Finish(t.Context(), c, Finish{WakeAt: clock.now().Add(2 * time.Hour)}))
		if due, _, _ := s.NextDue(t.Context()); !due.Equal(clock.now().Add(2 * time.Hour)) {
			t.Errorf("NextDue() = %v; want in two hours", due)
		}
	}},
	{"whoever waits longest goes first", func(t *testing.T, s *Store) {
		clock := stop(s)
		for _, key := range []promotion.RepoKey{"github/3", "github/1", "github/2"} {
			must(t, s.Wake(t.Context(), key))
			clock.move(time.Second)
		}
		must(t, s.Wake(t.Context(), "github/3")) // keeps its place
		for _, want := range []promotion.RepoKey{"github/3", "github/1", "github/2"} {
			if c := must1(s.Claim(t.Context(), "a", time.Minute))(t); c == nil || c.Repo != want {
				t.Errorf("Claim() = %+v; want %s", c, want)
			}
		}
	}},
	{"an expired lease is taken over, and its holder writes nothing", func(t *testing.T, s *Store) {
		clock := stop(s)
		discover(t, s, infra(acceptance, "acme/infra"))
		old := claim(t, s, acceptance)
		clock.move(59 * time.Second)
		must(t, s.Renew(t.Context(), old, time.Minute))
		clock.move(59 * time.Second)
		if c := must1(s.Claim(t.Context(), "b", time.Minute))(t); c != nil {
			t.Fatalf("Claim() before the expiry = %+v", c)
		}
		due, _, err := s.NextDue(t.Context())
		must(t, err)
		clock.move(time.Second)
		if !due.Equal(clock.now()) {
			t.Errorf("NextDue() = %v; want the expiry %v", due, clock.now())
		}
		c := must1(s.Claim(t.Context(), "b", time.Minute))(t)
		if c == nil || c.Token != old.Token+1 || c.Attempts != 1 || c.LastError != "worker tester did not come back" {
			t.Fatalf("Claim() after the expiry = %+v", c)
		}
		for name, err := range map[string]error{
			"Renew":   s.Renew(t.Context(), old, time.Minute),
			"Release": s.Release(t.Context(), old),
			"Finish":  s.Finish(t.Context(), old, Finish{Wake: []promotion.RepoKey{"github/0", "github/8"}}),
			"Update": s.Update(t.Context(), old, func(tx *Tx) error {
				tx.SaveNotes(acceptance, []promotion.Note{{Say: "stale"}})
				tx.Audit(AuditEntry{Action: "stale"})
				tx.Wake("github/0", "github/8")
				return nil
			}),
		} {
			if !errors.Is(err, ErrLost) {
				t.Errorf("%s with a lost claim = %v; want ErrLost", name, err)
			}
		}
		must(t, s.Update(t.Context(), c, func(tx *Tx) error {
			tx.Audit(AuditEntry{Action: "fresh"})
			return nil
		}))
		if work := must1(s.Work(t.Context()))(t); len(work) != 1 {
			t.Errorf("the lost claim woke others: %+v", work)
		}
		if tail := must1(s.AuditTail(t.Context(), AuditFilter{}))(t); len(tail) != 1 || tail[0].Action != "fresh" {
			t.Errorf("the audit is %+v", tail)
		}
		if notes := must1(s.Notes(t.Context(), NoteFilter{}))(t); len(notes) != 0 {
			t.Errorf("the lost claim wrote %+v", notes)
		}
	}},
	{"a lease that ran out is still ours while nobody took it", func(t *testing.T, s *Store) {
		clock := stop(s)
		c := claim(t, s, acceptance)
		clock.move(time.Hour)
		must(t, s.Renew(t.Context(), c, time.Minute))
		must(t, s.Finish(t.Context(), c, Finish{}))
	}},
	{"a finished claim is lost", func(t *testing.T, s *Store) {
		c := claim(t, s, acceptance)
		must(t, s.Finish(t.Context(), c, Finish{}))
		if err := s.Finish(t.Context(), c, Finish{}); !errors.Is(err, ErrLost) {
			t.Errorf("Finish() again = %v; want ErrLost", err)
		}
		if err := s.Update(t.Context(), c, func(*Tx) error { return nil }); !errors.Is(err, ErrLost) {
			t.Errorf("Update() afterwards = %v; want ErrLost", err)
		}
	}},
	{"a claim that is given back is due at once", func(t *testing.T, s *Store) {
		c := claim(t, s, acceptance)
		must(t, s.Release(t.Context(), c))
		if again := must1(s.Claim(t.Context(), "b", time.Minute))(t); again == nil || again.Attempts != 0 {
			t.Errorf("Claim() = %+v; want it again without a failure", again)
		}
	}},
	{"a failed turn backs off, even from events", func(t *testing.T, s *Store) {
		clock := stop(s)
		s.random = func() float64 { return 0 }
		c := claim(t, s, acceptance)
		for attempt, wait := range []time.Duration{2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600} {
			must(t, s.Finish(t.Context(), c, Finish{Err: "the forge is away"}))
			w := must1(s.Work(t.Context()))(t)[0]
			if w.Attempts != attempt+1 || w.LastError != "the forge is away" || !w.Pending || w.Stuck != (attempt+1 >= StuckAfter) ||
				!w.DueAt.Equal(clock.now().Add(wait*time.Second)) {
				t.Errorf("after %d failures: %+v; want due in %v", attempt+1, w, wait*time.Second)
			}
			must(t, s.Wake(t.Context(), acceptance))
			clock.move(wait*time.Second - time.Millisecond)
			if c := must1(s.Claim(t.Context(), "a", time.Hour))(t); c != nil {
				t.Fatalf("failure %d: claimed too early", attempt+1)
			}
			clock.move(time.Millisecond)
			if c = must1(s.Claim(t.Context(), "a", time.Hour))(t); c == nil || c.Attempts != attempt+1 {
				t.Fatalf("failure %d: Claim() = %+v", attempt+1, c)
			}
		}
		must(t, s.Finish(t.Context(), c, Finish{}))
		if w := must1(s.Work(t.Context()))(t)[0]; w.Attempts != 0 || w.LastError != "" || w.Pending || !w.DueAt.IsZero() {
			t.Errorf("after a success: %+v", w)
		}
	}},
	{"a failed turn that a clock made is tried again", func(t *testing.T, s *Store) {
		clock := stop(s)
		c := claim(t, s, acceptance)
		must(t, s.Finish(t.Context(), c, Finish{WakeAt: clock.now().Add(time.Second)}))
		clock.move(time.Second)
		c = must1(s.Claim(t.Context(), "a", time.Minute))(t)
		must(t, s.Finish(t.Context(), c, Finish{Err: "away", RetryAfter: time.Hour}))
		if due, _, _ := s.NextDue(t.Context()); !due.Equal(clock.now().Add(time.Hour)) {
			t.Errorf("NextDue() = %v; want in an hour, as the forge said", due)
		}
		clock.move(time.Hour)
		if c := must1(s.Claim(t.Context(), "a", time.Minute))(t); c == nil {
			t.Error("it is not tried again")
		}
	}},
	{"a person may end a back-off", func(t *testing.T, s *Store) {
		stop(s)
		c := claim(t, s, acceptance)
		must(t, s.Finish(t.Context(), c, Finish{Err: "away", RetryAfter: time.Hour}))
		must(t, s.Retry(t.Context(), acceptance))
		if c := must1(s.Claim(t.Context(), "a", time.Minute))(t); c == nil || c.Attempts != 1 {
			t.Errorf("Claim() = %+v; want it now", c)
		}
		must(t, s.Retry(t.Context(), acceptance))
		if c := must1(s.Claim(t.Context(), "b", time.Minute))(t); c != nil {
			t.Errorf("Retry() took the repo out of a worker's hands: %+v", c)
		}
	}},
	{"a finish wakes others and itself", func(t *testing.T, s *Store) {
		c := claim(t, s, "github/5")
		must(t, s.Finish(t.Context(), c, Finish{Wake: []promotion.RepoKey{"github/9", "github/5", "github/1", "github/9"}}))
		if got := pending(t, s); len(got) != 3 {
			t.Errorf("pending: %v; want 1, 5 and 9", got)
		}
		c = claim(t, s, "github/1")
		must(t, s.Finish(t.Context(), c, Finish{Err: "failed", Wake: []promotion.RepoKey{"github/2"}}))
		if !pending(t, s)["github/2"] {
			t.Error("a failed turn wakes nobody")
		}
	}},
	{"workers are told", func(t *testing.T, s *Store) {
		must(t, second(s.Accept(t.Context(), hookOf("1"), nil, []promotion.RepoKey{acceptance, production})))
		<-s.Notify()
		c := must1(s.Claim(t.Context(), "a", time.Minute))(t)
		<-s.Notify() // the claim passes it on
		must(t, s.Finish(t.Context(), c, Finish{}))
		<-s.Notify()
		must(t, s.Wake(t.Context(), acceptance))
		<-s.Notify()
	}},
	{"eight workers share the work and never a repo", func(t *testing.T, s *Store) {
		const repos, events = 12, 40
		keys := make([]promotion.RepoKey, repos)
		busy := map[promotion.RepoKey]*atomic.Int32{}
		for i := range keys {
			keys[i] = promotion.RepoKey(fmt.Sprintf("github/%d", i))
			busy[keys[i]] = new(atomic.Int32)
		}
		discovered := make([]Repo, repos)
		for i, key := range keys {
			discovered[i] = infra(key, fmt.Sprintf("acme/infra-%d", i))
		}
		discover(t, s, discovered...)
		var producers, workers sync.WaitGroup
		stopped := make(chan struct{})
		for p := range 4 {
			producers.Go(func() {
				for i := range events {
					a, b := keys[(p*5+i)%repos], keys[(p+i*7)%repos]
					if _, err := s.Accept(t.Context(), hookOf(fmt.Sprintf("%d-%d", p, i)), nil, []promotion.RepoKey{b, a}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		var turns atomic.Int32
		for w := range 8 {
			workers.Go(func() {
				for {
					c, err := s.Claim(t.Context(), fmt.Sprint("worker-", w), time.Minute)
					if err != nil {
						t.Error(err)
						return
					}
					if c == nil {
						select {
						case <-stopped:
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
						tx.SaveTag(Tag{Image: web, Tag: fmt.Sprint(n % 3), Digest: digest(int(n))})
						tx.SaveTag(Tag{Image: web, Tag: fmt.Sprint(n % 2), Digest: digest(int(n))})
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
				}
			})
		}
		producers.Wait()
		for len(pending(t, s)) > 0 && !t.Failed() {
		}
		close(stopped)
		workers.Wait()
		report := must1(s.AuditVerify(t.Context()))(t)
		if report.Entries != int64(turns.Load()) {
			t.Errorf("%d turns left %d audit entries", turns.Load(), report.Entries)
		}
	}},
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		n      int
		random float64
		want   time.Duration
	}{
		{0, 0, 2 * time.Second},
		{0, 0.5, 1500 * time.Millisecond},
		{3, 0, 16 * time.Second},
		{8, 0, 512 * time.Second},
		{9, 0, 10 * time.Minute},
		{1000, 0, 10 * time.Minute},
		{1000, 1, 5 * time.Minute},
	} {
		if got := backoff(c.n, c.random); got != c.want {
			t.Errorf("backoff(%d, %v) = %v; want %v", c.n, c.random, got, c.want)
		}
	}
}
