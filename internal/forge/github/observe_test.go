package github

import (
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/boatlift/boatlift/internal/forge/wire"
)

func TestEveryRequestIsToldWithWhatRemains(t *testing.T) {
	var mu sync.Mutex
	var told []wire.Request
	f := newFake(t, func(o *Options) {
		o.Observe = func(r wire.Request) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, r)
		}
	})
	f.handle("GET /repos/acme/infra/collaborators/alice/permission", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-RateLimit-Remaining", "4321")
		w.Header().Set("X-RateLimit-Resource", "core")
		answer(w, 200, `{"permission": "write"}`)
	})
	if _, err := f.forge.Permission(t.Context(), infra(), "alice"); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if !slices.ContainsFunc(told, func(r wire.Request) bool {
		return r.Installation != 0 && r.Method == http.MethodGet && r.Status == 200 && r.Resource == "core" && r.Remaining == 4321
	}) {
		t.Errorf("told %+v, want the request of an installation with 4321 left", told)
	}
}
