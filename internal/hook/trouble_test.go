package hook_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/hook"
	"github.com/boatlift/boatlift/internal/registry"
	"github.com/boatlift/boatlift/internal/store"
)

func TestADecoderThatPanicsIsAReason(t *testing.T) {
	fails := func(what any) *registry.Sender {
		return senderOf(t, registry.Type{
			Name: "faulty", Verify: func(registry.Endpoint, registry.Request) error { return nil },
			Decode: func(_ registry.Endpoint, r registry.Request) (registry.Decoded, error) {
				if what == nil {
					_ = r.Body[len(r.Body)]
				}
				panic(what)
			},
		})
	}
	proves := senderOf(t, registry.Type{Name: "proof", Verify: func(registry.Endpoint, registry.Request) error { panic("no") }})
	s := newScene(t, func(o *hook.Options) {
		o.Endpoints = append(o.Endpoints, hook.Endpoint{Name: "index", Registry: fails(nil)}, hook.Endpoint{Name: "text", Registry: fails("the token is " + secret)},
			hook.Endpoint{Name: "proof", Registry: proves})
	})
	for path, reason := range map[string]string{
		"index": "a fault in the program while decoding it: runtime error: index out of range [5] with length 5",
		"text":  "a fault in the program while decoding it: panic with a string",
	} {
		a := s.want(http.StatusOK, request{path: "/hooks/" + path, body: "never"})
		if a.Outcome != store.Ignored || a.Reason != reason {
			t.Errorf("answer = %+v; want it ignored because %q", a, reason)
		}
	}
	a := s.want(http.StatusOK, happened(t, "app", eventOfKind("panic")))
	if want := "a fault in the program while decoding it: runtime error: invalid memory address or nil pointer dereference"; a.Reason != want {
		t.Errorf("reason = %q; want %q", a.Reason, want)
	}
	s.want(http.StatusUnauthorized, request{path: "/hooks/proof", body: "never"})
	if log := s.log.String(); !strings.Contains(log, "stack=") || strings.Contains(log, secret) {
		t.Errorf("the log has no stack, or a secret:\n%s", log)
	}
	s.want(http.StatusAccepted, envelope(pushed("e1", "shop/web", "1.4.2")))
}

// fullDisk is an error of a store that cannot write.
type fullDisk struct{ wait time.Duration }

func (fullDisk) Error() string               { return "the disk is full" }
func (e fullDisk) RetryAfter() time.Duration { return e.wait }

func TestNothingIsAcknowledgedThatIsNotStored(t *testing.T) {
	for name, tc := range map[string]struct {
		err   error
		after string
	}{
		"the store says when":    {fullDisk{30 * time.Second}, "30"},
		"a part of a second":     {fullDisk{time.Millisecond}, "1"},
		"it does not say":        {errors.New("no"), "5"},
		"its time ran out":       {context.DeadlineExceeded, "5"},
		"a store that is closed": {&store.UnavailableError{After: 5 * time.Second, Err: errors.New("closed")}, "5"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, func(o *hook.Options) {
				o.Inbox = inbox(func(context.Context, store.Delivery, []store.Push, []store.RepoKey) (store.Accepted, error) {
					return store.Accepted{ID: 7}, tc.err
				})
			})
			for _, r := range []request{envelope(pushed("e1", "shop/web", "1.4.2")), envelope()} {
				w := s.send(r)
				if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != tc.after || w.Body.String() != "the delivery could not be stored\n" {
					t.Errorf("answer = %d %q, Retry-After %s; want 503 after %s", w.Code, w.Body, w.Header().Get("Retry-After"), tc.after)
				}
			}
			if n := s.outcomes.of("distribution unavailable"); n != 2 {
				t.Errorf("unavailable observed = %d; want 2", n)
			}
			// What is not proved is refused whether or not that can be written down.
			s.want(http.StatusUnauthorized, envelope().with("Authorization", ""))
		})
	}
}

func TestAClosedStoreTakesNothing(t *testing.T) {
	s := newScene(t)
	must(t, s.store.Close())
	w := s.send(envelope(pushed("e1", "shop/web", "1.4.2")))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("answer = %d, Retry-After %q; want 503", w.Code, w.Header().Get("Retry-After"))
	}
	s.open()
	if n := len(s.deliveries()); n != 0 {
		t.Errorf("%d deliveries are recorded; want none", n)
	}
	s.hooks = handler(t, hook.Options{Endpoints: endpoints(t), Inbox: s.store})
	s.want(http.StatusAccepted, envelope(pushed("e1", "shop/web", "1.4.2")))
}

func TestAProvedDeliveryIsStoredThoughItsSenderHungUp(t *testing.T) {
	s := newScene(t)
	ctx, hangUp := context.WithCancel(t.Context())
	hangUp()
	w := httptest.NewRecorder()
	s.hooks.ServeHTTP(w, envelope(pushed("e1", "shop/web", "1.4.2")).build().WithContext(ctx))
	if w.Code != http.StatusAccepted || s.only().Outcome != store.Stored {
		t.Errorf("status = %d, delivery = %+v; want it stored", w.Code, s.only())
	}
}

func TestMoreThanFitAreSentAway(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	s := newScene(t, func(o *hook.Options) {
		o.Most = 2
		o.Inbox = inbox(func(context.Context, store.Delivery, []store.Push, []store.RepoKey) (store.Accepted, error) {
			entered <- struct{}{}
			<-leave
			return store.Accepted{ID: 1}, nil
		})
	})
	push := envelope(pushed("e1", "shop/web", "1.4.2"))
	under := make(chan int)
	for range 2 {
		go func() { under <- s.send(push).Code }()
		<-entered
	}
	for range 3 {
		w := s.send(push)
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "1" {
			t.Errorf("answer = %d, Retry-After %q; want 503 after 1", w.Code, w.Header().Get("Retry-After"))
		}
	}
	if n := strings.Count(s.log.String(), "turned away"); n != 1 {
		t.Errorf("it is logged %d times; want once", n)
	}
	if n := s.outcomes.of("distribution unavailable"); n != 3 {
		t.Errorf("unavailable observed = %d; want 3", n)
	}
	close(leave)
	for range 2 {
		if status := <-under; status != http.StatusAccepted {
			t.Errorf("status = %d; want 202", status)
		}
	}
	go func() { under <- s.send(push).Code }()
	<-entered
	if status := <-under; status != http.StatusAccepted {
		t.Errorf("status once there is room = %d; want 202", status)
	}
}

// TestABlockedStoreIsBackPressure: while the store cannot write, as many deliveries wait as fit, and all others are sent away at once. Those
// who wait are stored when it can again.
func TestABlockedStoreIsBackPressure(t *testing.T) {
	const most, senders = 20, 200
	leave, answers := make(chan struct{}), make(chan *httptest.ResponseRecorder)
	s := newScene(t, func(o *hook.Options) {
		o.Most = most
		real := o.Inbox
		o.Inbox = inbox(func(ctx context.Context, d store.Delivery, pushes []store.Push, wake []store.RepoKey) (store.Accepted, error) {
			<-leave
			return real.Accept(ctx, d, pushes, wake)
		})
	})
	for i := range senders {
		go func() { answers <- s.send(envelope(pushed(fmt.Sprint("e", i), "shop/web", "1.4.2"))) }()
	}
	for range senders - most {
		if w := <-answers; w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
			t.Errorf("answer = %d, Retry-After %q; want 503 while the store is blocked", w.Code, w.Header().Get("Retry-After"))
		}
	}
	close(leave)
	for range most {
		if w := <-answers; w.Code != http.StatusAccepted {
			t.Errorf("answer = %d; want 202 once the store can write", w.Code)
		}
	}
	if n := len(s.deliveries()); n != most {
		t.Errorf("%d deliveries are stored, want the %d that waited", n, most)
	}
}
