package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	ggcr "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/boatlift/boatlift/internal/image"
)

// rig is a registry in memory behind a handler that a test may replace, and a count of what came.
type rig struct {
	host    string
	mu      sync.Mutex
	seen    []string
	handler http.Handler
	inner   http.Handler
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{inner: ggcr.New(ggcr.Logger(log.New(io.Discard, "", 0)))}
	r.handler = r.inner
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		r.mu.Lock()
		r.seen = append(r.seen, request.Method+" "+request.URL.Path)
		handler := r.handler
		r.mu.Unlock()
		handler.ServeHTTP(w, request)
	}))
	t.Cleanup(server.Close)
	r.host = strings.TrimPrefix(server.URL, "http://")
	return r
}

// serve puts a handler before the registry.
func (r *rig) serve(handler http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.handler = handler
}

// requests are those since the last call.
func (r *rig) requests() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := r.seen
	r.seen = nil
	return seen
}

func (r *rig) name(repository string) image.Name { return image.Name(r.host + "/" + repository) }

func (r *rig) push(t *testing.T, repository, tag string, what v1.Image) image.Digest {
	t.Helper()
	ref, err := name.ParseReference(r.host + "/" + repository + ":" + tag)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, what); err != nil {
		t.Fatal(err)
	}
	digest, err := what.Digest()
	if err != nil {
		t.Fatal(err)
	}
	r.requests()
	return image.Digest(digest.String())
}

func anImage(t *testing.T) v1.Image {
	t.Helper()
	what, err := random.Image(64, 1)
	if err != nil {
		t.Fatal(err)
	}
	return what
}

func newTestClient(t *testing.T, options Options) *Client {
	t.Helper()
	options.NoDockerConfig = true
	client, err := NewClient(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdle)
	return client
}

func TestResolve(t *testing.T) {
	r := newRig(t)
	want := r.push(t, "shop/web", "1.4.2", anImage(t))
	client := newTestClient(t, Options{})
	for range 2 {
		got, err := client.Resolve(t.Context(), r.name("shop/web"), "1.4.2")
		if err != nil || got != want {
			t.Fatalf("Resolve = %s, %v; want %s", got, err, want)
		}
	}
	if got, want := r.requests(), []string{"GET /v2/", "HEAD /v2/shop/web/manifests/1.4.2", "HEAD /v2/shop/web/manifests/1.4.2"}; !slices.Equal(got, want) {
		t.Errorf("requests %v; want %v", got, want)
	}
	moved := r.push(t, "shop/web", "1.4.2", anImage(t))
	if got, err := client.Resolve(t.Context(), r.name("shop/web"), "1.4.2"); err != nil || got != moved {
		t.Errorf("Resolve after the tag moved = %s, %v; want %s", got, err, moved)
	}
}

func TestResolveWithoutHead(t *testing.T) {
	for name, refuse := range map[string]func(http.ResponseWriter, http.Handler, *http.Request){
		"405": func(w http.ResponseWriter, _ http.Handler, _ *http.Request) {
			w.WriteHeader(http.StatusMethodNotAllowed)
		},
		"501":            func(w http.ResponseWriter, _ http.Handler, _ *http.Request) { w.WriteHeader(http.StatusNotImplemented) },
		"400":            func(w http.ResponseWriter, _ http.Handler, _ *http.Request) { w.WriteHeader(http.StatusBadRequest) },
		"without digest": func(w http.ResponseWriter, _ http.Handler, _ *http.Request) { w.Header().Set("Content-Type", "x/y") },
		"with odd digest": func(w http.ResponseWriter, _ http.Handler, _ *http.Request) {
			w.Header().Set("Docker-Content-Digest", "sha256:xx")
		},
	} {
		r := newRig(t)
		want := r.push(t, "shop/web", "1", anImage(t))
		r.serve(func(w http.ResponseWriter, request *http.Request) {
			if request.Method == http.MethodHead {
				refuse(w, r.inner, request)
				return
			}
			r.inner.ServeHTTP(w, request)
		})
		got, err := newTestClient(t, Options{}).Resolve(t.Context(), r.name("shop/web"), "1")
		if err != nil || got != want {
			t.Errorf("HEAD %s: Resolve = %s, %v; want %s", name, got, err, want)
		}
	}
}

func TestNotFound(t *testing.T) {
	r := newRig(t)
	r.push(t, "shop/web", "1", anImage(t))
	client := newTestClient(t, Options{})
	for _, ask := range []func() error{
		func() error { _, err := client.Resolve(t.Context(), r.name("shop/web"), "2"); return err },
		func() error { _, err := client.Resolve(t.Context(), r.name("shop/none"), "1"); return err },
		func() error { _, err := client.Tags(t.Context(), r.name("shop/none"), ""); return err },
		func() error {
			_, err := client.Facts(t.Context(), r.name("shop/web"), image.Digest("sha256:"+strings.Repeat("0", 64)))
			return err
		},
	} {
		err := ask()
		var missing *NotFoundError
		if !errors.As(err, &missing) || !missing.Permanent() || !strings.Contains(missing.Hint(), r.host) || !strings.Contains(err.Error(), r.host+"/shop/") {
			t.Errorf("%v; want a NotFoundError", err)
		}
	}
}

func TestNoRegistryThere(t *testing.T) {
	r := newRig(t)
	r.serve(http.NotFound)
	_, err := newTestClient(t, Options{}).Resolve(t.Context(), r.name("shop/web"), "1")
	var unavailable *UnavailableError
	if !errors.As(err, &unavailable) || !strings.Contains(err.Error(), "does not speak the registry protocol") {
		t.Errorf("%v; want an UnavailableError", err)
	}
}

func TestUnavailable(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		status int
		header string
		after  time.Duration
	}{
		{http.StatusTooManyRequests, "17", 17 * time.Second},
		{http.StatusTooManyRequests, now.Add(90 * time.Second).Format(http.TimeFormat), 90 * time.Second},
		{http.StatusTooManyRequests, now.Add(-time.Hour).Format(http.TimeFormat), 0},
		{http.StatusTooManyRequests, "-5", 0},
		{http.StatusTooManyRequests, "99999999", 24 * time.Hour},
		{http.StatusTooManyRequests, "99999999999999999999", 0},
		{http.StatusServiceUnavailable, "3", 3 * time.Second},
		{http.StatusInternalServerError, "", 0},
		{http.StatusBadGateway, "soon", 0},
		{http.StatusTeapot, "", 0},
	} {
		for _, everything := range []bool{true, false} { // from the first request on, or only for the manifest
			r := newRig(t)
			r.push(t, "shop/web", "1", anImage(t))
			r.serve(func(w http.ResponseWriter, request *http.Request) {
				if !everything && request.URL.Path == "/v2/" {
					return
				}
				if test.header != "" {
					w.Header().Set("Retry-After", test.header)
				}
				w.WriteHeader(test.status)
			})
			client := newTestClient(t, Options{Now: func() time.Time { return now }})
			_, err := client.Resolve(t.Context(), r.name("shop/web"), "1")
			var unavailable *UnavailableError
			if !errors.As(err, &unavailable) || unavailable.Status != test.status || unavailable.RetryAfter() != test.after || unavailable.Host != r.host {
				t.Errorf("%d, Retry-After %q: %v; want an UnavailableError after %s", test.status, test.header, err, test.after)
			}
			if test.status == http.StatusTooManyRequests && len(r.requests()) > 3 {
				t.Errorf("a registry that said 429 was asked again")
			}
		}
	}
}

func TestSlowRegistry(t *testing.T) {
	r := newRig(t)
	client := newTestClient(t, Options{Timeout: 30 * time.Millisecond})
	r.serve(func(_ http.ResponseWriter, request *http.Request) { <-request.Context().Done() })
	_, err := client.Resolve(t.Context(), r.name("shop/web"), "1")
	var unavailable *UnavailableError
	if !errors.As(err, &unavailable) || !strings.Contains(err.Error(), "no complete answer within 30ms") || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("slow registry: %v; want an UnavailableError", err)
	}
	patient := newTestClient(t, Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, err := patient.Resolve(ctx, r.name("shop/web"), "1"); !errors.Is(err, context.DeadlineExceeded) || errors.As(err, &unavailable) {
		t.Errorf("the caller's own deadline: %v; want that, not the registry's fault", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	r.serve(func(_ http.ResponseWriter, request *http.Request) { cancel(); <-request.Context().Done() })
	if _, err := patient.Resolve(ctx, r.name("shop/web"), "1"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v; want context.Canceled", err)
	}
}

func TestNobodyListens(t *testing.T) {
	r := newRig(t)
	server := httptest.NewServer(nil)
	host := strings.TrimPrefix(server.URL, "http://")
	server.Close()
	_, err := newTestClient(t, Options{}).Resolve(t.Context(), image.Name(host+"/shop/web"), "1")
	var unavailable *UnavailableError
	if !errors.As(err, &unavailable) || unavailable.RetryAfter() != 0 || !strings.Contains(err.Error(), "refused") {
		t.Errorf("%v; want an UnavailableError", err)
	}
	for _, of := range []image.Name{"", "web", "nginx/web", "Registry.acme.io/Web", "docker.io/nginx"} {
		if _, err := newTestClient(t, Options{}).Resolve(t.Context(), of, "1"); err == nil || !strings.Contains(err.Error(), "canonical") {
			t.Errorf("Resolve of %q = %v; want a refusal", of, err)
		}
	}
	if _, err := newTestClient(t, Options{}).Resolve(t.Context(), r.name("shop/web"), "../x"); err == nil || len(r.requests()) > 0 {
		t.Errorf("Resolve of an impossible tag = %v; want a refusal and no request", err)
	}
}

func TestTags(t *testing.T) {
	r := newRig(t)
	pages := map[string][]string{
		"":  {"1.0.0", "1.1.0", "sha256-" + strings.Repeat("a", 64) + ".sig"},
		"b": {"1.1.0", "2.0.0", "not a tag", "latest"},
		"c": {},
	}
	next := map[string]string{"": "b", "b": "c"}
	r.serve(func(w http.ResponseWriter, request *http.Request) {
		if request.URL.Path == "/v2/" {
			return
		}
		last := request.URL.Query().Get("last")
		if following, ok := next[last]; ok {
			w.Header().Set("Link", `</v2/shop/web/tags/list?last=`+following+`>; rel="next"`)
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"name": "shop/web", "tags": pages[last]})
	})
	client := newTestClient(t, Options{})
	got, err := client.Tags(t.Context(), r.name("shop/web"), "")
	if want := []string{"1.0.0", "1.1.0", "2.0.0", "latest"}; err != nil || !slices.Equal(got.Tags, want) {
		t.Errorf("Tags = %v, %v; want %v", got, err, want)
	}
	r.requests()
	next["c"] = "b" // round in circles
	var tooMany *TooManyTagsError
	if got, err := client.Tags(t.Context(), r.name("shop/web"), ""); !errors.As(err, &tooMany) || len(r.requests()) > 30 || !tooMany.Permanent() || tooMany.Hint() == "" {
		t.Errorf("Tags of a listing without end = %v, %v; want a TooManyTagsError", got, err)
	}
}

func TestTagsFailingMidway(t *testing.T) {
	r := newRig(t)
	var password, now atomic.Value
	password.Store("pw")
	now.Store(time.Unix(0, 0))
	var fail atomic.Int32
	r.serve(func(w http.ResponseWriter, request *http.Request) {
		if request.URL.Path == "/v2/" {
			return
		}
		if request.URL.Query().Get("last") == "" {
			w.Header().Set("Link", `</v2/shop/web/tags/list?last=1>; rel="next"`)
			fmt.Fprint(w, `{"tags":["1"]}`)
			return
		}
		if status := fail.Swap(0); status != 0 {
			w.WriteHeader(int(status))
			return
		}
		fmt.Fprint(w, `{"tags":["2"]}`)
	})
	client := newTestClient(t, Options{Now: func() time.Time { return now.Load().(time.Time) }})
	fail.Store(http.StatusBadGateway)
	var unavailable *UnavailableError
	if got, err := client.Tags(t.Context(), r.name("shop/web"), ""); !errors.As(err, &unavailable) || got.Tags != nil {
		t.Errorf("Tags = %v, %v; want an UnavailableError and no part of the list", got, err)
	}
	fail.Store(http.StatusUnauthorized)
	now.Store(time.Unix(100, 0)) // long enough for a login to have expired
	if got, err := client.Tags(t.Context(), r.name("shop/web"), ""); err != nil || !slices.Equal(got.Tags, []string{"1", "2"}) {
		t.Errorf("Tags = %v, %v; want both pages after a new login", got, err)
	}
}

func TestTagsToAnotherHost(t *testing.T) {
	r := newRig(t)
	r.serve(func(w http.ResponseWriter, request *http.Request) {
		w.Header().Set("Link", `<http://169.254.169.254/latest>; rel="next"`)
		fmt.Fprint(w, `{"tags":["1"]}`)
	})
	if got, err := newTestClient(t, Options{}).Tags(t.Context(), r.name("shop/web"), ""); err == nil {
		t.Errorf("Tags = %v; want a next page elsewhere refused", got)
	}
}

func TestAnswersAreBounded(t *testing.T) {
	r := newRig(t)
	r.serve(func(w http.ResponseWriter, request *http.Request) {
		if request.URL.Path == "/v2/" {
			return
		}
		fmt.Fprint(w, `{"tags":["1"`)
		for range (maxAnswer >> 20) + 2 {
			if _, err := io.WriteString(w, strings.Repeat(" ", 1<<20)); err != nil {
				return
			}
		}
		fmt.Fprint(w, `]}`)
	})
	_, err := newTestClient(t, Options{}).Tags(t.Context(), r.name("shop/web"), "")
	var unavailable *UnavailableError
	if !errors.As(err, &unavailable) || !strings.Contains(err.Error(), errTooLarge.Error()) {
		t.Errorf("Tags = %v; want an answer that is too large", err)
	}
}

func TestManyAskAtOnce(t *testing.T) {
	r := newRig(t)
	want := r.push(t, "shop/web", "1", anImage(t))
	client := newTestClient(t, Options{})
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if got, err := client.Resolve(t.Context(), r.name("shop/web"), "1"); err != nil || got != want {
				t.Errorf("Resolve = %s, %v; want %s", got, err, want)
			}
			if _, err := client.Facts(t.Context(), r.name("shop/web"), want); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

func TestNewClientRefuses(t *testing.T) {
	for _, options := range []Options{
		{Credentials: map[string]Credential{"registry": {}}},
		{Credentials: map[string]Credential{"https://a.io": {}}},
		{PlainHTTP: []string{"a.io/shop"}},
	} {
		if _, err := NewClient(options); err == nil {
			t.Errorf("NewClient(%v) = nil; want an error", options)
		}
	}
}
