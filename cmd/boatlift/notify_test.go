package main

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/dashboard"
)

// trying tries on a clock that only waiting moves, and keeps how long was waited.
func trying(t *testing.T, within time.Duration, do func(n int) error) (waits []time.Duration, err error) {
	t.Helper()
	now, n := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC), 0
	err = again{
		within: within, say: &bytes.Buffer{}, now: func() time.Time { return now },
		wait: func(_ context.Context, d time.Duration) error {
			now, waits = now.Add(d), append(waits, d)
			return nil
		},
	}.try(t.Context(), func(context.Context) error {
		n++
		return do(n)
	})
	return waits, err
}

func TestWhatMayWorkLaterIsTriedAgain(t *testing.T) {
	unreached, unavailable := &noBotError{where: "here", err: errors.New("connection refused")}, &unavailableError{said: errors.New("503")}
	for name, c := range map[string]struct {
		within time.Duration
		do     func(n int) error
		want   []time.Duration
		fails  error
	}{
		"works at once": {time.Minute, func(int) error { return nil }, nil, nil},
		"works later":   {time.Minute, func(n int) error { return []error{unreached, unavailable, nil}[n-1] }, []time.Duration{time.Second, 2 * time.Second}, nil},
		"as long as asked": {time.Minute, func(n int) error {
			return []error{&unavailableError{after: 7 * time.Second, said: errors.New("503")}, nil}[n-1]
		}, []time.Duration{7 * time.Second}, nil},
		"never works":       {20 * time.Second, func(int) error { return unreached }, []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second}, unreached},
		"asked for longer":  {5 * time.Second, func(int) error { return &unavailableError{after: time.Hour, said: errors.ErrUnsupported} }, nil, errors.ErrUnsupported},
		"refused":           {time.Minute, func(int) error { return errors.ErrUnsupported }, nil, errors.ErrUnsupported},
		"no patience":       {0, func(int) error { return unreached }, nil, unreached},
		"never too patient": {100 * time.Second, func(n int) error { return []error{unreached, nil}[n/9] }, []time.Duration{1e9, 2e9, 4e9, 8e9, 15e9, 15e9, 15e9, 15e9}, nil},
	} {
		waits, err := trying(t, c.within, c.do)
		if !slices.Equal(waits, c.want) || !errors.Is(err, c.fails) {
			t.Errorf("%s: waited %v, %v; want %v, %v", name, waits, err, c.want, c.fails)
		}
	}
}

func TestTryingEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	stopped := errors.New("stopped")
	err := again{within: time.Hour, say: &bytes.Buffer{}, now: time.Now, wait: sleep}.try(ctx, func(context.Context) error {
		cancel(stopped)
		return &noBotError{where: "here", err: errors.New("refused")}
	})
	if err == nil {
		t.Error("it went on")
	}
	if err := sleep(ctx, time.Hour); !errors.Is(err, stopped) {
		t.Errorf("sleep = %v; want why the context ended", err)
	}
}

func TestWhatTheBotAnswersDecidesWhetherItIsAskedAgain(t *testing.T) {
	for status, want := range map[int]bool{429: true, 502: true, 503: true, 504: true, 400: false, 401: false, 403: false, 404: false, 500: false} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(status)
		}))
		err := running{server: server.URL, token: "token"}.ask(t.Context(), http.MethodPost, "/pushes", dashboard.PushRequest{}, &dashboard.PushAnswer{})
		server.Close()
		var unavailable *unavailableError
		if got := errors.As(err, &unavailable); got != want || want && unavailable.after != 7*time.Second {
			t.Errorf("%d: %#v; want another try: %v", status, err, want)
		}
	}
}

func TestTheRunnerIsAskedSafely(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("the secret went on to %s", r.URL) }))
	defer elsewhere.Close()
	answers := map[string]http.HandlerFunc{
		"/broken":   func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
		"/empty":    func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"value":""}`)) },
		"/redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) },
		"/down":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
		"/token": func(w http.ResponseWriter, r *http.Request) {
			if r.URL.RawQuery != "api-version=2&audience=https%3A%2F%2Fboatlift.acme.io" || r.Header.Get("Authorization") != "Bearer secret" {
				t.Errorf("asked %s", r.URL.RawQuery)
			}
			_, _ = w.Write([]byte(`{"count":1,"value":"a.b.c"}`))
		},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answers[r.URL.Path](w, r) }))
	defer server.Close()
	const audience = "https://boatlift.acme.io"
	if got, err := askRunner(t.Context(), server.URL+"/token?api-version=2", "secret", audience); got != "a.b.c" || err != nil {
		t.Errorf("askRunner() = %q, %v", got, err)
	}
	for path, again := range map[string]bool{"/broken": false, "/empty": false, "/redirect": false, "/down": true} {
		_, err := askRunner(t.Context(), server.URL+path, "secret", audience)
		var unavailable *unavailableError
		if err == nil || errors.As(err, &unavailable) != again || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", path, err)
		}
	}
	for _, address := range []string{"http://runner.example/token", "file:///etc/passwd", "::", ""} {
		if _, err := askRunner(t.Context(), address, "secret", audience); err == nil {
			t.Errorf("%q is asked", address)
		}
	}
	server.Close()
	var unavailable *unavailableError
	if _, err := askRunner(t.Context(), server.URL+"/token?run=4711", "secret", audience); !errors.As(err, &unavailable) || strings.Contains(err.Error(), "4711") {
		t.Errorf("a runner that is gone: %v; want another try, and not its address", err)
	}
}
