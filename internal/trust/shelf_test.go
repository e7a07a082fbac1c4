package trust

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/boatlift/boatlift/internal/trust/trusttest"
)

// noon is when the clock of a test starts.
var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func testShelf(w http.RoundTripper, c *trusttest.Clock) *Shelf {
	return NewShelf(w, c.Now, func(at *url.URL) bool { return at.Host == "keys.io" })
}

const keysURL = "https://keys.io/1"

func asText(body []byte) (any, error) {
	if len(body) == 0 {
		return nil, errors.New("it is empty")
	}
	return string(body), nil
}

func TestShelf(t *testing.T) {
	c := trusttest.NewClock(noon)
	w := &trusttest.Web{Pages: map[string]trusttest.Page{keysURL: {Status: http.StatusOK, Body: "a"}}}
	s := testShelf(w, c)
	lacks := ""
	get := func(want any, asked int) {
		t.Helper()
		got, err := s.Get(t.Context(), keysURL, asText, func(v any) bool { return v != lacks })
		if got != want || (err == nil) != (want != nil) {
			t.Errorf("get = %v, %v; want %v", got, err, want)
		}
		if w.Count() != asked {
			t.Errorf("asked %d times; want %d", w.Count(), asked)
		}
	}
	get("a", 1)
	get("a", 1)
	lacks = "a" // something is not in it: fetched anew, but not at once
	get("a", 1)
	c.Pass(pauseAfterSuccess)
	w.Set(keysURL, trusttest.Page{Status: http.StatusOK, Body: "b"})
	get("b", 2)
	c.Pass(keepDocument) // it is too old, and cannot be fetched
	w.Set(keysURL, trusttest.Page{Status: http.StatusServiceUnavailable})
	get("b", 3)
	get("b", 3)
	c.Pass(PauseAfterFailure)
	get("b", 4)
	w.Set(keysURL, trusttest.Page{Status: http.StatusOK}) // it cannot be read
	c.Pass(PauseAfterFailure)
	get("b", 5)
	c.Pass(staleDocument) // it is far too old
	get(nil, 6)
	get(nil, 6)
	c.Pass(-time.Hour) // the clock is set back
	w.Set(keysURL, trusttest.Page{Status: http.StatusOK, Body: "c"})
	get("c", 7)
}

func TestShelfAsksOnlyWhereAllowed(t *testing.T) {
	w := &trusttest.Web{Pages: map[string]trusttest.Page{}}
	s := testShelf(w, trusttest.NewClock(noon))
	for _, address := range []string{
		"http://keys.io/1", "https://elsewhere.io/1", "https://keys.io:8443/1", "https://me@keys.io/1", "https://keys.io/1#x", "keys.io/1", "", "https://%zz", "file:///etc/passwd",
	} {
		if _, err := s.Get(t.Context(), address, asText, nil); !errors.Is(err, ErrNotAllowed) {
			t.Errorf("get(%q) = %v; want it refused", address, err)
		}
		if err := s.Call(t.Context(), address); !errors.Is(err, ErrNotAllowed) {
			t.Errorf("call(%q) = %v; want it refused", address, err)
		}
	}
	if w.Count() != 0 {
		t.Errorf("asked %v", w.Asked())
	}
}

// Strangers who name one document after the other can neither have much fetched nor much kept.
func TestShelfIsBounded(t *testing.T) {
	c := trusttest.NewClock(noon)
	w := &trusttest.Web{Pages: map[string]trusttest.Page{keysURL: {Status: http.StatusOK, Body: "a"}}}
	s := testShelf(w, c)
	any := func(any) bool { return true }
	if _, err := s.Get(t.Context(), keysURL, asText, any); err != nil {
		t.Fatal(err)
	}
	for i := range 500 {
		if _, err := s.Get(t.Context(), fmt.Sprintf("https://keys.io/x%d", i), asText, any); err == nil {
			t.Fatal("a document that is not there was read")
		}
	}
	if w.Count() != fetchesPerMinute || len(s.kept) > maxDocuments {
		t.Errorf("asked %d times, kept %d", w.Count(), len(s.kept))
	}
	if got, err := s.Get(t.Context(), keysURL, asText, any); got != "a" || err != nil {
		t.Errorf("get = %v, %v; want what was kept before", got, err)
	}
	c.Pass(time.Minute)
	if err := s.Call(t.Context(), keysURL); err != nil {
		t.Errorf("call in the next minute = %v", err)
	}
}

// Many who want a document at once cause one fetch, which does not end with who began it; nobody waits for ever.
func TestShelfFetchesOnceForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		transport := roundTripper(func(request *http.Request) (*http.Response, error) {
			asked++
			select {
			case <-time.After(time.Second):
				return (&trusttest.Web{Pages: map[string]trusttest.Page{keysURL: {Status: http.StatusOK, Body: "a"}}}).RoundTrip(request)
			case <-request.Context().Done():
				return nil, request.Context().Err()
			}
		})
		s := testShelf(transport, trusttest.NewClock(noon))
		hurried, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		var wait sync.WaitGroup
		for i := range 20 {
			ctx := t.Context()
			if i%2 == 1 {
				ctx = hurried
			}
			wait.Go(func() {
				got, err := s.Get(ctx, keysURL, asText, func(any) bool { return true })
				if got != "a" && !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("get = %v, %v", got, err)
				}
			})
		}
		wait.Wait()
		if asked != 1 {
			t.Errorf("asked %d times; want once", asked)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s := testShelf(roundTripper(func(request *http.Request) (*http.Response, error) {
			<-request.Context().Done()
			return nil, request.Context().Err()
		}), trusttest.NewClock(noon))
		begin := time.Now()
		var unreached *UnreachedError
		if _, err := s.Get(t.Context(), keysURL, asText, nil); !errors.As(err, &unreached) || time.Since(begin) != fetchTimeout {
			t.Errorf("get = %v after %s", err, time.Since(begin))
		}
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }
