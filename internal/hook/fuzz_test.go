package hook_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/boatlift/boatlift/internal/hook"
	"github.com/boatlift/boatlift/internal/store"
)

// documented are the answers that the package's documentation lists, and that an in-process request can get.
var documented = []int{
	http.StatusOK, http.StatusAccepted, http.StatusUnauthorized, http.StatusNotFound, http.StatusMethodNotAllowed,
	http.StatusRequestEntityTooLarge, http.StatusServiceUnavailable,
}

// FuzzHooks posts anything to any endpoint, proved or not.
func FuzzHooks(f *testing.F) {
	for _, b := range samples(f) {
		var header strings.Builder
		for name, value := range b.header {
			header.WriteString(name + ": " + value + "\n")
		}
		f.Add(http.MethodPost, b.sender, header.String(), []byte(b.body), true)
		f.Add(http.MethodPost, "github", header.String(), []byte(b.body), true)
		f.Add(http.MethodPost, b.sender, header.String(), []byte(b.body[:len(b.body)/2]), false)
	}
	f.Add(http.MethodPost, "app", "X-GitHub-Event: push\n", []byte(`{"Repo":4711,"Kind":"push"}`), true)
	f.Add(http.MethodPost, "app", "", []byte(`{"Kind":"panic"}`), true)
	f.Add(http.MethodGet, "distribution/secret?token=1", "Authorization: Bearer\nAuthorization: \n", []byte(nil), false)
	f.Add("PROPFIND", "%2e%2e/%00", ":\n\n", []byte{0, 0xff}, false)

	ends := append(endpoints(f), realHub(f))
	for _, e := range trusting(f) {
		if !slices.ContainsFunc(ends, func(o hook.Endpoint) bool { return o.Name == e.Name }) {
			ends = append(ends, e)
		}
	}
	trusted := func(path string) bool {
		name, _, _ := strings.Cut(path, "/")
		return !slices.Contains([]string{"distribution", "gitlab", "ghcr", "app", "appwithpackages", "github"}, name)
	}
	var taken []delivered
	h := handler(f, hook.Options{Endpoints: ends, Inbox: inbox(func(_ context.Context, d store.Delivery, pushes []store.Push, wake []store.RepoKey) (store.Accepted, error) {
		taken = append(taken, delivered{d, pushes, wake})
		return store.Accepted{ID: int64(len(taken))}, nil
	})})
	f.Fuzz(func(t *testing.T, method, path, header string, body []byte, proved bool) {
		target, err := url.Parse("/hooks/" + path)
		if err != nil {
			t.Skip("no server would hand on this path")
		}
		req := &http.Request{
			Method: method, URL: target, Header: http.Header{}, Body: http.NoBody, ContentLength: int64(len(body)), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		}
		req = req.WithContext(t.Context())
		req.Body = readCloser{strings.NewReader(string(body))}
		for line := range strings.Lines(header) {
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
			req.Header.Add(name, strings.TrimSpace(value))
		}
		for _, values := range req.Header {
			for _, value := range values {
				if strings.Contains(value, secret) || value == sign(string(body)) {
					proved = true // by its own means
				}
			}
		}
		if trusted(strings.TrimPrefix(target.Path, "/hooks/")) {
			proved = true
		}
		if proved {
			req.Header.Set("Authorization", bearer)
			req.Header.Set("X-Hub-Signature-256", sign(string(body)))
		}
		taken = nil
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		if !slices.Contains(documented, w.Code) {
			t.Fatalf("answer = %d; it is not documented", w.Code)
		}
		for _, d := range taken {
			d.check(t, proved)
		}
		if w.Code == http.StatusOK || w.Code == http.StatusAccepted {
			var a reply
			if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || len(taken) != 1 || !proved {
				t.Fatalf("answer = %d %s (%v), %d stored, proved: %v", w.Code, w.Body, err, len(taken), proved)
			}
			if (w.Code == http.StatusAccepted) != (a.Outcome == store.Stored) || (a.Outcome == store.Ignored && a.Reason == "") {
				t.Fatalf("answer = %d %+v", w.Code, a)
			}
		}
		if strings.Contains(w.Body.String(), secret) && !strings.Contains(string(body), secret) && !strings.Contains(header, secret) {
			t.Fatalf("the answer tells the secret: %s", w.Body)
		}
	})
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

// delivered is what reached the inbox.
type delivered struct {
	store.Delivery
	pushes []store.Push
	wake   []store.RepoKey
}

func (d delivered) check(t *testing.T, proved bool) {
	t.Helper()
	work := len(d.pushes)+len(d.wake) > 0
	switch {
	case d.Outcome != store.Refused && !proved:
		t.Fatalf("what is not proved is %s: %+v", d.Outcome, d)
	case (d.Outcome == store.Stored) != work:
		t.Fatalf("%s with pushes %v, wake %v", d.Outcome, d.pushes, d.wake)
	case d.Outcome != store.Stored && (d.Reason == "" || d.Body != nil):
		t.Fatalf("%s without reason, or with a body: %+v", d.Outcome, d)
	case d.Sender == "" || d.ReceivedAt.IsZero():
		t.Fatalf("nobody knows whence or when: %+v", d)
	}
	for _, text := range []string{d.DeliveryID, d.Event, d.About} {
		if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' }) {
			t.Fatalf("the delivery has text that breaks lines: %q", text)
		}
	}
}
