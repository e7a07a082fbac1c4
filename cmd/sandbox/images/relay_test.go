package images

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// TestNothingIsToldAfterTheEnd is why there is a relay: the library's queue outlives the library's end.
func TestNothingIsToldAfterTheEnd(t *testing.T) {
	var heard atomic.Int32
	listener := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.URL.Path != "/hooks/registry" || r.Header.Get("Authorization") != "Bearer s3cret" || string(body) != "told" {
			t.Errorf("heard %q at %s with %v: %v", body, r.URL.Path, r.Header, err)
		}
		heard.Add(1)
		w.WriteHeader(http.StatusAccepted)
	}))
	defer listener.Close()
	r, err := newRelay(listener.URL + "/hooks/registry")
	if err != nil {
		t.Fatal(err)
	}
	tell := func(want int) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url, strings.NewReader("told"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer s3cret")
		answer, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("answered %d, want %d", answer.StatusCode, want)
		}
	}
	tell(http.StatusAccepted)
	r.end()
	tell(http.StatusOK)
	if n := heard.Load(); n != 1 {
		t.Errorf("%d were passed on, want only the one before the end", n)
	}
	if err := r.close(); err != nil {
		t.Error(err)
	}
}
