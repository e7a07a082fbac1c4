package store

import (
	"errors"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
)

// polledOf is what is known of one image.
func polledOf(t *testing.T, s *Store, name image.Name) Polled {
	t.Helper()
	all, _, err := s.Polled(t.Context(), []image.Name{name})
	must(t, err)
	return all[name]
}

var pollsTests = []test{
	{"a registry is in one replica's hands at a time", func(t *testing.T, s *Store) {
		clock := stop(s)
		first, _, err := s.ClaimPoll(t.Context(), "acme", "a", time.Minute)
		must(t, err)
		if first == nil {
			t.Fatal("nobody has the registry, and it cannot be claimed")
		}
		if c, until, err := s.ClaimPoll(t.Context(), "acme", "b", time.Minute); c != nil || err != nil || !until.Equal(s.Now().Add(time.Minute)) {
			t.Errorf("ClaimPoll of a claimed registry = %+v, %s, %v; want the end of the lease", c, until, err)
		}
		if other, _, err := s.ClaimPoll(t.Context(), "ghcr", "b", time.Minute); other == nil || err != nil {
			t.Errorf("another registry cannot be claimed: %v", err)
		}
		clock.move(50 * time.Second)
		must(t, s.RenewPoll(t.Context(), first, time.Minute))
		clock.move(50 * time.Second)
		if c, _, err := s.ClaimPoll(t.Context(), "acme", "b", time.Minute); c != nil || err != nil {
			t.Errorf("ClaimPoll of a renewed claim = %+v, %v", c, err)
		}
		if got := must1(s.Polls(t.Context()))(t)["acme"]; got.Owner != "a" {
			t.Errorf("Polls = %+v; want owner a", got)
		}
		clock.move(time.Minute)
		second, _, err := s.ClaimPoll(t.Context(), "acme", "b", time.Minute)
		must(t, err)
		if second == nil {
			t.Fatal("a registry whose holder died cannot be claimed")
		}
		for what, err := range map[string]error{
			"renew": s.RenewPoll(t.Context(), first, time.Minute), "finish": s.FinishPoll(t.Context(), first, PollEnd{}),
		} {
			if !errors.Is(err, ErrLost) {
				t.Errorf("%s a lost claim: %v; want ErrLost", what, err)
			}
		}
		must(t, s.FinishPoll(t.Context(), second, PollEnd{}))
		if third, _, err := s.ClaimPoll(t.Context(), "acme", "a", time.Minute); third == nil || third.Attempts != 0 || err != nil {
			t.Errorf("ClaimPoll after the end of a round = %+v, %v", third, err)
		}
	}},
	{"of many who want a registry one gets it", func(t *testing.T, s *Store) {
		var mu sync.Mutex
		var all sync.WaitGroup
		got := 0
		for i := range 8 {
			all.Go(func() {
				c, _, err := s.ClaimPoll(t.Context(), "acme", strconv.Itoa(i), time.Minute)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				}
				if c != nil {
					got++
				}
			})
		}
		all.Wait()
		if got != 1 {
			t.Errorf("%d got it", got)
		}
	}},
	{"a registry that cannot be asked is left alone, longer each time, and as long as it wants", func(t *testing.T, s *Store) {
		clock := stop(s)
		s.random = func() float64 { return 0 }
		for n, c := range []struct {
			end  PollEnd
			wait time.Duration
		}{
			{PollEnd{Failed: true, Reason: "HTTP 502"}, 2 * time.Second},
			{PollEnd{Failed: true, Reason: "HTTP 502"}, 4 * time.Second},
			{PollEnd{Failed: true, Reason: "HTTP 429", Rest: time.Hour}, time.Hour},
			{PollEnd{Rest: time.Minute, Reason: "3 of 100 questions are left"}, time.Minute},
			{PollEnd{Failed: true, Reason: "HTTP 502"}, 2 * time.Second},
		} {
			claim, _, err := s.ClaimPoll(t.Context(), "acme", "a", time.Minute)
			must(t, err)
			if claim == nil {
				t.Fatalf("%d: it is left alone for longer than %s", n, c.wait)
			}
			must(t, s.FinishPoll(t.Context(), claim, c.end))
			row := must1(s.Polls(t.Context()))(t)["acme"]
			if !row.Until.Equal(s.Now().Add(c.wait)) || row.Reason != c.end.Reason || row.Owner != "" || (row.Attempts > 0) != c.end.Failed {
				t.Errorf("%d: Polls = %+v; want %+v until %s", n, row, c.end, s.Now().Add(c.wait))
			}
			clock.move(c.wait - time.Microsecond)
			if c, until, err := s.ClaimPoll(t.Context(), "acme", "a", time.Minute); c != nil || err != nil || !until.Equal(row.Until) {
				t.Errorf("%d: ClaimPoll = %+v, %s, %v; want to wait until %s", n, c, until, err, row.Until)
			}
			clock.move(time.Microsecond)
		}
	}},
	{"what a registry said of tags comes back as it was, with the number of the last push", func(t *testing.T, s *Store) {
		if got, pushes, err := s.Polled(t.Context(), []image.Name{web}); len(got) != 0 || pushes != 0 || err != nil {
			t.Errorf("Polled = %+v, %d, %v; want nothing", got, pushes, err)
		}
		must(t, second(s.Accept(t.Context(), hookOf("1"), []Push{pushOf(web, "1", 1), pushOf(worker, "1", 1)}, nil)))
		p := Polled{
			Image: web, At: time.Unix(5, 0).UTC(), TriedAt: time.Unix(6, 0).UTC(), DueAt: time.Unix(7, 0).UTC(), Mark: `W/"a"`, Pushes: 2,
			Digests: map[string]image.Digest{"1": digest(1)}, Attempts: 3, Err: "HTTP 404",
		}
		for n := range 3000 {
			p.Tags = append(p.Tags, strconv.Itoa(n))
		}
		must(t, second(s.SavePolled(t.Context(), p, Found{})))
		all, pushes, err := s.Polled(t.Context(), []image.Name{web, worker})
		must(t, err)
		got := all[web]
		if got.version = 0; len(all) != 1 || pushes != 2 || !reflect.DeepEqual(got, p) {
			t.Errorf("Polled = %+v, %d; want %+v", all, pushes, p)
		}
		list := must1(s.PushesAfter(t.Context(), web, 0))(t)
		if len(list) != 1 || list[0].ID != 1 || list[0].Digest != digest(1) {
			t.Errorf("PushesAfter(0) = %+v", list)
		}
		if list := must1(s.PushesAfter(t.Context(), web, 1))(t); len(list) != 0 {
			t.Errorf("PushesAfter(1) = %+v", list)
		}
		if got := must1(s.PushedImages(t.Context(), []image.Name{web, "registry.acme.io/shop/api", worker}))(t); !slices.Equal(got, []image.Name{web, worker}) {
			t.Errorf("PushedImages = %v", got)
		}
		must(t, second(s.Accept(t.Context(), hookOf("2"), []Push{pushOf("registry.acme.io0/other/web", "1", 1), pushOf("registry.acme.io/blog", "1", 1)}, nil)))
		if got := must1(s.PushOwners(t.Context(), "registry.acme.io"))(t); !slices.Equal(got, []string{"blog", "shop"}) {
			t.Errorf("PushOwners = %v", got)
		}
	}},
	{"what was found is stored like an event, once, with what it makes", func(t *testing.T, s *Store) {
		discover(t, s, infra(acceptance, "acme/infra-acceptance"))
		list(t, s, acceptance, "acceptance", web)
		p := polledOf(t, s, web)
		p.Image, p.Tags = web, []string{"1", "2"}
		found := Found{
			Delivery: Delivery{Sender: "poll", Event: "acme", Outcome: Stored, Reason: "no webhook told of it", About: "web:2"},
			Pushes:   []Push{pushOf(web, "2", 2)}, Audit: []AuditEntry{{Actor: "ada", Action: "synced", Subject: string(web)}},
		}
		got := must1(s.SavePolled(t.Context(), p, found))(t)
		if got.ID == 0 || got.Known || !slices.Equal(got.Woken, []promotion.RepoKey{acceptance}) || !pending(t, s)[acceptance] {
			t.Errorf("SavePolled = %+v; want a delivery that wakes the repo", got)
		}
		if _, err := s.SavePolled(t.Context(), p, found); !errors.Is(err, ErrLost) {
			t.Errorf("who comes second gets %v; want ErrLost", err)
		}
		stale := polledOf(t, s, web)
		must(t, second(s.SavePolled(t.Context(), stale, Found{})))
		if _, err := s.SavePolled(t.Context(), stale, found); !errors.Is(err, ErrLost) {
			t.Errorf("who knows something older gets %v; want ErrLost", err)
		}
		if pushes := must1(s.Pushes(t.Context(), []image.Name{web}, time.Time{}))(t); len(pushes) != 1 || pushes[0].Delivery != got.ID || !pushes[0].Found {
			t.Errorf("Pushes = %+v; want one of delivery %d that was found", pushes, got.ID)
		}
		if told := must1(s.PushedImages(t.Context(), []image.Name{web}))(t); len(told) != 0 {
			t.Errorf("PushedImages = %v; nobody told of any", told)
		}
		d, _, err := s.Delivery(t.Context(), strconv.FormatInt(got.ID, 10))
		must(t, err)
		if d.Sender != "poll" || d.Reason != found.Delivery.Reason || !slices.Equal(d.Images, []string{string(web)}) {
			t.Errorf("the delivery is %+v", d)
		}
		if trail := must1(s.AuditTail(t.Context(), AuditFilter{Action: "synced"}))(t); len(trail) != 1 || trail[0].Actor != "ada" {
			t.Errorf("the audit trail has %+v", trail)
		}
	}},
	{"images are due that active repos list, those first that were never asked for", func(t *testing.T, s *Store) {
		discover(t, s, infra(acceptance, "acme/infra-acceptance"), infra(production, "acme/infra-production"), infra("github/3", "acme/gone"))
		list(t, s, acceptance, "acceptance", web, worker)
		list(t, s, production, "production", web)
		list(t, s, "github/3", "test", "registry.acme.io/shop/gone")
		must(t, s.SetRepoState(t.Context(), "github/3", RepoParked, "archived"))
		must(t, second(s.SavePolled(t.Context(), Polled{Image: web, At: time.Unix(8, 0), DueAt: time.Unix(9, 0), Attempts: 2, Err: "HTTP 404"}, Found{})))
		want := []PollDue{{Image: worker}, {Image: web, At: time.Unix(9, 0).UTC(), PolledAt: time.Unix(8, 0).UTC(), Attempts: 2, Err: "HTTP 404"}}
		if got := must1(s.PollsDue(t.Context()))(t); !reflect.DeepEqual(got, want) {
			t.Errorf("PollsDue = %+v; want %+v", got, want)
		}
	}},
	{"what was not asked for in a year is forgotten", func(t *testing.T, s *Store) {
		clock := stop(s)
		must(t, second(s.SavePolled(t.Context(), Polled{Image: web, TriedAt: s.Now()}, Found{})))
		clock.move(300 * 24 * time.Hour)
		must(t, second(s.SavePolled(t.Context(), Polled{Image: worker, TriedAt: s.Now()}, Found{})))
		clock.move(70 * 24 * time.Hour)
		if n := must1(s.Purge(t.Context(), DefaultRetention()))(t); n != 1 || polledOf(t, s, worker).TriedAt.IsZero() || !polledOf(t, s, web).TriedAt.IsZero() {
			t.Errorf("Purge removed %d rows", n)
		}
	}},
}
