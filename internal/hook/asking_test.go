package hook_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/boatlift/boatlift/internal/hook"
	"github.com/boatlift/boatlift/internal/registry"
	"github.com/boatlift/boatlift/internal/store"
)

// curious is a sender that asks before it posts.
func curious(prove error, answer *registry.Answer, wish error) registry.Type {
	return registry.Type{
		Name: "curious", Methods: []string{http.MethodOptions},
		Prove: func(context.Context, registry.Endpoint, registry.Request) error { return prove },
		Answer: func(_ context.Context, _ registry.Endpoint, r registry.Request) (*registry.Answer, error) {
			if r.Method == http.MethodOptions {
				return answer, wish
			}
			return nil, nil
		},
		Decode: func(registry.Endpoint, registry.Request) (registry.Decoded, error) {
			return registry.Decoded{Pushes: []registry.Push{{Registry: "registry.acme.io", Repository: "shop/web", Tag: "1.4.2"}}}, nil
		},
	}
}

func asking(t *testing.T, kind registry.Type) (*scene, request) {
	s := newScene(t, func(o *hook.Options) { o.Endpoints = []hook.Endpoint{{Name: "curious", Registry: senderOf(t, kind)}} })
	return s, request{method: http.MethodOptions, path: "/hooks/curious"}
}

func TestASenderThatAsksIsAnswered(t *testing.T) {
	allowed := &registry.Answer{
		Status: http.StatusOK, Header: http.Header{"Webhook-Allowed-Origin": {"events.example"}}, Body: []byte(`{"validationResponse":"7"}`),
		Reason: "events.example asked whether it may post here, and may",
	}
	s, r := asking(t, curious(nil, allowed, nil))
	for range 2 { // it may ask again
		w := s.send(r)
		if w.Code != http.StatusOK || w.Header().Get("WebHook-Allowed-Origin") != "events.example" || w.Body.String() != `{"validationResponse":"7"}` {
			t.Errorf("answer = %d %v %s; want the sender's own", w.Code, w.Header(), w.Body)
		}
	}
	for _, d := range s.deliveries() {
		if d.Outcome != store.Ignored || d.Reason != allowed.Reason {
			t.Errorf("delivery = %+v; want it ignored because %q", d, allowed.Reason)
		}
	}
	r.method = http.MethodPost
	s.want(http.StatusAccepted, r)
	r.method = http.MethodPut
	if w := s.send(r); w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "POST, OPTIONS" {
		t.Errorf("a PUT is answered %d, Allow %q; want 405 and both methods", w.Code, w.Header().Get("Allow"))
	}
}

func TestAQuestionThatIsNotUnderstoodIsAReason(t *testing.T) {
	for name, kind := range map[string]registry.Type{
		"no answer": curious(nil, nil, &registry.DecodeError{Sender: "curious", Reason: "it names no origin"}),
		"a fault": func() registry.Type {
			k := curious(nil, nil, nil)
			k.Answer = func(context.Context, registry.Endpoint, registry.Request) (*registry.Answer, error) { panic("no") }
			return k
		}(),
	} {
		t.Run(name, func(t *testing.T) {
			s, r := asking(t, kind)
			if a := s.want(http.StatusOK, r); a.Outcome != store.Ignored || a.Reason == "" {
				t.Errorf("answer = %+v; want it ignored with a reason", a)
			}
		})
	}
}

func TestAnUnprovedQuestionIsNotAnswered(t *testing.T) {
	s, r := asking(t, curious(&registry.ProofError{Sender: "curious", Reason: "no"}, &registry.Answer{Status: http.StatusOK, Body: []byte("yes")}, nil))
	if a := s.want(http.StatusUnauthorized, r); strings.Contains(a.text, "yes") {
		t.Errorf("answer = %q", a.text)
	}
}

// Where the keys that prove a sender cannot be had, nothing is refused and nothing is believed.
func TestWhatCannotBeToldNowComesAgain(t *testing.T) {
	later := &registry.UndecidedError{Sender: "curious", Host: "keys.example", Reason: "HTTP 502"}
	for name, kind := range map[string]registry.Type{
		"who sent it":     curious(later, nil, nil),
		"what it asks":    curious(nil, nil, later),
		"wrapped, though": curious(errors.Join(errors.New("prove it"), later), nil, nil),
	} {
		t.Run(name, func(t *testing.T) {
			s, r := asking(t, kind)
			for range 5 {
				w := s.send(r)
				if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "10" || strings.Contains(w.Body.String(), "keys.example") {
					t.Errorf("answer = %d, Retry-After %q, %s; want 503 after 10, and no more", w.Code, w.Header().Get("Retry-After"), w.Body)
				}
			}
			if n := len(s.deliveries()); n != 0 {
				t.Errorf("%d deliveries are recorded; want none", n)
			}
			if n := strings.Count(s.log.String(), "put off"); n != 1 || s.outcomes.of("curious unavailable") != 5 {
				t.Errorf("logged %d times, observed %d times; want 1 and 5", n, s.outcomes.of("curious unavailable"))
			}
		})
	}
}

func TestAQuestionIsNotAnsweredUnlessItIsRecorded(t *testing.T) {
	s, r := asking(t, curious(nil, &registry.Answer{Status: http.StatusOK, Body: []byte("yes"), Reason: "asked"}, nil))
	must(t, s.store.Close())
	if a := s.want(http.StatusServiceUnavailable, r); strings.Contains(a.text, "yes") {
		t.Errorf("answer = %q", a.text)
	}
	s.open()
}
