package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
)

func pushOf(name image.Name, tag string, n int) Push {
	return Push{Image: name, Tag: tag, Digest: digest(n), MediaType: "application/vnd.oci.image.index.v1+json"}
}

func hookOf(id string) Delivery {
	return Delivery{Sender: "harbor", DeliveryID: id, Event: "PUSH_ARTIFACT", Outcome: Stored, About: "web:1.1.0", Body: []byte(`{"id":"` + id + `"}`)}
}

var inboxTests = []test{
	{"a delivery comes back as it was", func(t *testing.T, s *Store) {
		clock := stop(s)
		d := hookOf("d-1")
		d.Reason, d.Repos, d.Images = "pushed", []promotion.RepoKey{acceptance}, []string{"registry.acme.io/other"}
		pushed := clock.now().Add(-3 * time.Second)
		p := pushOf(web, "1.1.0", 1)
		p.PushedAt = pushed
		got := must1(s.Accept(t.Context(), d, []Push{p}, []promotion.RepoKey{"discover/github"}))(t)
		if got.ID != 1 || got.Known || !slices.Equal(got.Woken, []promotion.RepoKey{"discover/github"}) {
			t.Errorf("Accept() = %+v", got)
		}
		for _, ref := range []string{"1", "d-1"} {
			back, found, err := s.Delivery(t.Context(), ref)
			must(t, err)
			want := d
			want.ID, want.ReceivedAt, want.Images = 1, clock.now(), []string{"registry.acme.io/other", string(web)}
			if !found || fmt.Sprintf("%+v", back) != fmt.Sprintf("%+v", want) {
				t.Errorf("Delivery(%q) = %+v, %v; want %+v", ref, back, found, want)
			}
		}
		pushes := must1(s.Pushes(t.Context(), []image.Name{web, worker}, time.Time{}))(t)
		p.ID, p.ReceivedAt, p.Delivery = 1, clock.now(), 1
		if len(pushes) != 1 || pushes[0] != p {
			t.Errorf("Pushes() = %+v; want %+v", pushes, p)
		}
		if _, found, err := s.Delivery(t.Context(), "nothing"); found || err != nil {
			t.Errorf("Delivery(nothing) = %v, %v", found, err)
		}
	}},
	{"a push wakes the active repos that list the image", func(t *testing.T, s *Store) {
		discover(t, s, infra(acceptance, "acme/infra-acceptance"), infra(production, "acme/infra-production"), infra("github/3", "acme/parked"))
		list(t, s, acceptance, "acceptance", web, worker)
		list(t, s, production, "production", web)
		list(t, s, "github/3", "acceptance", web)
		must(t, s.SetRepoState(t.Context(), "github/3", RepoParked, "archived"))
		got := must1(s.Accept(t.Context(), hookOf("1"), []Push{pushOf(web, "1.1.0", 2), pushOf(web, "latest", 2)}, nil))(t)
		if want := []promotion.RepoKey{acceptance, production}; !slices.Equal(got.Woken, want) {
			t.Errorf("Accept(web) wakes %v; want %v", got.Woken, want)
		}
		got = must1(s.Accept(t.Context(), hookOf("2"), []Push{pushOf(worker, "1.1.0", 2)}, []promotion.RepoKey{"github/9"}))(t)
		if want := []promotion.RepoKey{acceptance, "github/9"}; !slices.Equal(got.Woken, want) {
			t.Errorf("Accept(worker) wakes %v; want %v", got.Woken, want)
		}
		if got, want := pending(t, s), 3; len(got) != want {
			t.Errorf("pending: %v; want %d", got, want)
		}
	}},
	{"a delivery that is known changes nothing", func(t *testing.T, s *Store) {
		for _, outcome := range []Outcome{Stored, Ignored} {
			d := hookOf("id-" + string(outcome))
			d.Outcome = outcome
			first := must1(s.Accept(t.Context(), d, []Push{pushOf(web, "1", 1)}, []promotion.RepoKey{acceptance}))(t)
			before := must1(s.Work(t.Context()))(t)
			again := d
			again.Body = []byte("other")
			second := must1(s.Accept(t.Context(), again, []Push{pushOf(worker, "1", 1)}, []promotion.RepoKey{production}))(t)
			if !second.Known || second.ID != first.ID || second.Woken != nil {
				t.Errorf("%s: the second Accept() = %+v; want known as %d", outcome, second, first.ID)
			}
			if after := must1(s.Work(t.Context()))(t); !slices.Equal(after, before) {
				t.Errorf("%s: work is %+v; want %+v", outcome, after, before)
			}
		}
		if pushes := must1(s.Pushes(t.Context(), []image.Name{worker}, time.Time{}))(t); len(pushes) != 0 {
			t.Errorf("Pushes(worker) = %+v; want none", pushes)
		}
		other := hookOf("id-stored")
		other.Sender = "ghcr"
		if got := must1(s.Accept(t.Context(), other, nil, nil))(t); got.Known || got.ID != 3 {
			t.Errorf("the same id of another sender = %+v; want a new delivery with number 3", got)
		}
	}},
	{"a delivery that was ignored is taken once it is wanted, and only once", func(t *testing.T, s *Store) {
		d := hookOf("mended")
		d.Outcome, d.Reason = Ignored, "set host: for this registry"
		first := must1(s.Accept(t.Context(), d, nil, nil))(t)
		d.Outcome, d.Reason = Stored, ""
		got := must1(s.Accept(t.Context(), d, []Push{pushOf(web, "1", 1)}, []promotion.RepoKey{acceptance}))(t)
		if got.Known || got.ID == first.ID || !pending(t, s)[acceptance] {
			t.Errorf("Accept(mended) = %+v; want a new one that makes work", got)
		}
		d.Outcome = Ignored // and nothing takes its place any more
		for range 2 {
			if again := must1(s.Accept(t.Context(), d, []Push{pushOf(web, "1", 1)}, nil))(t); !again.Known || again.ID != got.ID {
				t.Errorf("Accept(mended again) = %+v; want known as %d", again, got.ID)
			}
			d.Outcome = Stored
		}
		if pushes := must1(s.Pushes(t.Context(), []image.Name{web}, time.Time{}))(t); len(pushes) != 1 {
			t.Errorf("Pushes(web) = %+v; want one", pushes)
		}
	}},
	{"deliveries without an id are never known", func(t *testing.T, s *Store) {
		for want := int64(1); want <= 3; want++ {
			if got := must1(s.Accept(t.Context(), hookOf(""), nil, nil))(t); got.Known || got.ID != want {
				t.Errorf("Accept() = %+v; want number %d", got, want)
			}
		}
		if _, found, err := s.Delivery(t.Context(), ""); found || err != nil {
			t.Errorf(`Delivery("") = %v, %v`, found, err)
		}
	}},
	{"a refused delivery keeps no true one out and wakes nobody", func(t *testing.T, s *Store) {
		forged := hookOf("guessed")
		forged.Outcome, forged.Images = Refused, []string{string(worker)}
		if got := must1(s.Accept(t.Context(), forged, []Push{pushOf(web, "1", 1)}, []promotion.RepoKey{acceptance}))(t); got.Known || got.Woken != nil {
			t.Errorf("Accept(forged) = %+v", got)
		}
		if got := must1(s.Accept(t.Context(), forged, nil, nil))(t); !got.Known {
			t.Errorf("Accept(forged again) = %+v; want known", got)
		}
		if pushes := must1(s.Pushes(t.Context(), []image.Name{web}, time.Time{}))(t); len(pushes) != 0 || len(pending(t, s)) != 0 {
			t.Errorf("a refused delivery left %v and %v", pushes, pending(t, s))
		}
		got := must1(s.Accept(t.Context(), hookOf("guessed"), nil, []promotion.RepoKey{acceptance}))(t)
		if got.Known || !pending(t, s)[acceptance] {
			t.Errorf("Accept(true) = %+v; want a new one", got)
		}
		forged.Body = []byte("forged")
		must(t, second(s.Accept(t.Context(), forged, nil, nil)))
		d, _, err := s.Delivery(t.Context(), "guessed")
		must(t, err)
		if d.Outcome != Stored || string(d.Body) != `{"id":"guessed"}` {
			t.Errorf("Delivery(guessed) = %+v; want the true one", d)
		}
		if rest := must1(s.Deliveries(t.Context(), DeliveryFilter{}))(t); len(rest) != 1 {
			t.Errorf("Deliveries() = %+v; want one", rest)
		}
	}},
	{"refused deliveries are bounded", func(t *testing.T, s *Store) {
		must(t, second(s.Accept(t.Context(), hookOf("true"), nil, nil)))
		var all sync.WaitGroup
		for part := range 8 {
			all.Go(func() {
				for i := range (refusedMost + 160) / 8 {
					d := hookOf(fmt.Sprintf("forged-%d-%d", part, i))
					d.Outcome, d.Body = Refused, nil
					if _, err := s.Accept(t.Context(), d, nil, nil); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		if got := len(must1(s.Deliveries(t.Context(), DeliveryFilter{Outcome: Refused, Limit: 5000}))(t)); got != refusedMost {
			t.Errorf("%d refused deliveries are kept; want %d", got, refusedMost)
		}
		if _, found, _ := s.Delivery(t.Context(), "true"); !found {
			t.Error("the true delivery is gone")
		}
	}},
	{"hostile text is stored", func(t *testing.T, s *Store) {
		d := hookOf(strings.Repeat("x", 100_000))
		d.Event, d.Reason, d.About = "a\x00b", "\xff\xfe", strings.Repeat("é", 1000)
		d.Images = []string{strings.Repeat("y", 10_000), "\x00"}
		d.Body = []byte{0, 0xff, 1}
		must(t, second(s.Accept(t.Context(), d, []Push{{Image: web, Tag: "\x00\xff" + strings.Repeat("t", 1000)}}, nil)))
		if got := must1(s.Accept(t.Context(), d, nil, nil))(t); !got.Known {
			t.Errorf("the second Accept() = %+v; want known", got)
		}
		back, found, err := s.Delivery(t.Context(), d.DeliveryID)
		must(t, err)
		if !found || back.Event != "ab" || string(back.Body) != string(d.Body) || len(back.About) > 500 || !strings.HasSuffix(back.About, "é…") {
			t.Errorf("Delivery() = %+v", back)
		}
	}},
	{"a delivery without sender or outcome is refused by itself", func(t *testing.T, s *Store) {
		for _, d := range []Delivery{{DeliveryID: "1", Outcome: Stored}, {Sender: "x", DeliveryID: "1"}} {
			if _, err := s.Accept(t.Context(), d, nil, nil); err == nil {
				t.Errorf("Accept(%+v) succeeds", d)
			}
		}
	}},
	{"many senders at once lose and mix up nothing", func(t *testing.T, s *Store) {
		const senders, each = 16, 25
		var all sync.WaitGroup
		ids := make([]map[int64]string, senders)
		for n := range senders {
			ids[n] = map[int64]string{}
			all.Go(func() {
				for i := range each {
					id := fmt.Sprintf("%d-%d", n, i)
					key := promotion.RepoKey(fmt.Sprintf("github/%d", (n*7+i)%10))
					got, err := s.Accept(t.Context(), hookOf(id), []Push{pushOf(web, id, n)}, []promotion.RepoKey{key, "github/0"})
					if err != nil || got.Known {
						t.Errorf("Accept(%s) = %+v, %v", id, got, err)
					}
					ids[n][got.ID] = id
				}
			})
		}
		all.Wait()
		for n := range senders {
			for id, want := range ids[n] {
				if d, _, err := s.Delivery(t.Context(), fmt.Sprint(id)); err != nil || d.DeliveryID != want {
					t.Errorf("delivery %d is %q, %v; want %q", id, d.DeliveryID, err, want)
				}
			}
		}
		list := must1(s.Deliveries(t.Context(), DeliveryFilter{Limit: 1000}))(t)
		if len(list) != senders*each || list[0].ID != senders*each {
			t.Errorf("%d deliveries up to number %d; want %d without a gap", len(list), list[0].ID, senders*each)
		}
		if got := len(pending(t, s)); got != 10 {
			t.Errorf("%d repos have work; want 10", got)
		}
	}},
	{"a caller that goes away leaves the others alone", func(t *testing.T, s *Store) {
		s.inbox.lead <- struct{}{} // somebody writes
		gone, cancel := context.WithCancelCause(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := s.Accept(gone, hookOf("gone"), nil, nil); !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("Accept() = %v; want the reason of the caller", err)
			}
		})
		cancel(errors.ErrUnsupported)
		all.Wait()
		all.Go(func() { must(t, second(s.Accept(t.Context(), hookOf("stays"), nil, nil))) })
		<-s.inbox.lead
		all.Wait()
		if list := must1(s.Deliveries(t.Context(), DeliveryFilter{}))(t); len(list) != 1 || list[0].DeliveryID != "stays" {
			t.Errorf("Deliveries() = %+v; want the one that stays", list)
		}
	}},
	{"one delivery that fails does not hold up its batch", func(t *testing.T, s *Store) {
		batch := make([]*arrival, 3)
		for i := range batch {
			batch[i] = must1(newArrival(hookOf(fmt.Sprint(i)), nil, nil))(t)
		}
		batch[1].subjects = []string{"twice", "twice"} // breaks a primary key
		s.acceptBatch(t.Context(), batch)
		for i, a := range batch {
			<-a.done
			if (a.err != nil) != (i == 1) {
				t.Errorf("delivery %d: %v", i, a.err)
			}
		}
		if list := must1(s.Deliveries(t.Context(), DeliveryFilter{}))(t); len(list) != 2 || list[0].ID != 2 {
			t.Errorf("Deliveries() = %+v; want two", list)
		}
	}},
	{"deliveries are found by what they are about", func(t *testing.T, s *Store) {
		clock := stop(s)
		for i := range 4 {
			d := hookOf(fmt.Sprint(i))
			d.Repos = []promotion.RepoKey{promotion.RepoKey(fmt.Sprintf("github/%d", i))}
			if i == 3 {
				d.Sender, d.Outcome, d.Event, d.Images = "ghcr", Ignored, "ping", []string{string(worker)}
			}
			must(t, second(s.Accept(t.Context(), d, []Push{pushOf(web, "1", 1)}[:min(1, 3-i)], nil)))
			clock.move(time.Hour)
		}
		for _, c := range []struct {
			filter DeliveryFilter
			want   string
		}{
			{DeliveryFilter{}, "3 2 1 0"},
			{DeliveryFilter{Limit: 2}, "3 2"},
			{DeliveryFilter{Limit: 2, Before: 3}, "1 0"},
			{DeliveryFilter{Sender: "ghcr"}, "3"},
			{DeliveryFilter{Outcome: Stored, Event: "PUSH_ARTIFACT"}, "2 1 0"},
			{DeliveryFilter{Image: web}, "2 1 0"},
			{DeliveryFilter{Image: worker}, "3"},
			{DeliveryFilter{Repo: "github/1"}, "1"},
			{DeliveryFilter{Since: clock.now().Add(-2 * time.Hour)}, "3 2"},
		} {
			var got []string
			for _, d := range must1(s.Deliveries(t.Context(), c.filter))(t) {
				got = append(got, d.DeliveryID)
				if d.Body != nil {
					t.Errorf("Deliveries(%+v) reads a body", c.filter)
				}
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("Deliveries(%+v) = %v; want %s", c.filter, got, c.want)
			}
		}
		if list := must1(s.Deliveries(t.Context(), DeliveryFilter{Limit: 1, Bodies: true}))(t); string(list[0].Body) != `{"id":"3"}` {
			t.Errorf("the body is %q", list[0].Body)
		}
	}},
	{"pushes come oldest first from a moment on", func(t *testing.T, s *Store) {
		clock := stop(s)
		for i, name := range []image.Name{web, worker, web, "registry.acme.io/other"} {
			must(t, second(s.Accept(t.Context(), hookOf(fmt.Sprint(i)), []Push{pushOf(name, fmt.Sprint(i), 1)}, nil)))
			clock.move(time.Minute)
		}
		var got []string
		for _, p := range must1(s.Pushes(t.Context(), []image.Name{worker, web, web}, clock.now().Add(-3*time.Minute)))(t) {
			got = append(got, p.Tag)
		}
		if strings.Join(got, " ") != "1 2" {
			t.Errorf("Pushes() = %v; want 1 2", got)
		}
	}},
	{"purge removes what is old and keeps the rest", func(t *testing.T, s *Store) {
		clock := stop(s)
		for i := range purgeMost + 3 {
			d := hookOf(fmt.Sprint("old", i))
			d.ReceivedAt = clock.now().Add(-31 * 24 * time.Hour)
			must(t, second(s.Accept(t.Context(), d, []Push{pushOf(web, "1", 1)}, nil)))
		}
		week := hookOf("week")
		week.ReceivedAt = clock.now().Add(-8 * 24 * time.Hour)
		must(t, second(s.Accept(t.Context(), week, nil, nil)))
		must(t, second(s.Accept(t.Context(), hookOf("new"), nil, nil)))
		if n := must1(s.Purge(t.Context(), DefaultRetention()))(t); n != 2*(purgeMost+3)+1 {
			t.Errorf("Purge() = %d; want %d bodies and deliveries and one more body", n, purgeMost+3)
		}
		left := must1(s.Deliveries(t.Context(), DeliveryFilter{Bodies: true}))(t)
		if len(left) != 2 || left[0].Body == nil || left[1].Body != nil {
			t.Errorf("left are %+v", left)
		}
		if n := must1(s.Purge(t.Context(), Retention{}))(t); n != 0 {
			t.Errorf("Purge(nothing) = %d", n)
		}
		if got := len(must1(s.Pushes(t.Context(), []image.Name{web}, time.Time{}))(t)); got != purgeMost+3 {
			t.Errorf("%d pushes are left; want all", got)
		}
		if got := must1(s.Accept(t.Context(), hookOf("next"), nil, nil))(t); got.ID != purgeMost+6 {
			t.Errorf("the next delivery has number %d; want %d, never one again", got.ID, purgeMost+6)
		}
	}},
}
