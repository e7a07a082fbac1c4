package store

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
)

// suite is what every engine has to pass. open gives an empty store that the test closes.
func suite(t *testing.T, open func(t *testing.T) *Store) {
	t.Helper()
	for _, topic := range []struct {
		name  string
		tests []test
	}{
		{"inbox", inboxTests},
		{"work", workTests},
		{"turn", turnTests},
		{"memory", memoryTests},
		{"repos", reposTests},
		{"facts", factsTests},
		{"verifications", verificationsTests},
		{"polls", pollsTests},
		{"audit", auditTests},
		{"limits", limitsTests},
	} {
		t.Run(topic.name, func(t *testing.T) {
			for _, test := range topic.tests {
				t.Run(strings.ReplaceAll(test.promise, " ", "_"), func(t *testing.T) {
					t.Parallel()
					test.run(t, open(t))
				})
			}
		})
	}
}

// test is one promise of the store.
type test struct {
	promise string
	run     func(t *testing.T, s *Store)
}

// hands is a clock that moves by hand.
type hands struct {
	mu sync.Mutex
	at time.Time
}

// stop replaces the store's clock by one that only the test moves. It starts at a moment that is the same in every run.
func stop(s *Store) *hands {
	h := &hands{at: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)}
	s.clock = h.now
	return h
}

func (h *hands) now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.at
}

func (h *hands) move(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at = h.at.Add(d)
}

const (
	acceptance = promotion.RepoKey("github/1")
	production = promotion.RepoKey("github/2")
	web        = image.Name("registry.acme.io/shop/web")
	worker     = image.Name("registry.acme.io/shop/worker")
)

// digest makes a digest that differs by n.
func digest(n int) image.Digest { return image.Digest(fmt.Sprintf("sha256:%064x", n)) }

// infra is a repo as a discovery reports it.
func infra(key promotion.RepoKey, name string) Repo {
	var id int64
	_, _ = fmt.Sscanf(string(key), "github/%d", &id)
	return Repo{
		Key: key, Forge: "github", ForgeID: id, Installation: 7, FullName: name, DefaultBranch: "main",
		CloneURL: "https://github.example/" + name + ".git", WebURL: "https://github.example/" + name, MergeMethod: "squash",
	}
}

// discover records repos of github and ends the work that this makes.
func discover(t *testing.T, s *Store, repos ...Repo) {
	t.Helper()
	must(t, second(s.UpsertRepos(t.Context(), "github", repos)))
	for {
		c := must1(s.Claim(t.Context(), "discover", time.Minute))(t)
		if c == nil {
			return
		}
		must(t, s.Finish(t.Context(), c, Finish{}))
	}
}

// claim wakes a repo and claims it.
func claim(t *testing.T, s *Store, key promotion.RepoKey) *Claim {
	t.Helper()
	must(t, s.Wake(t.Context(), key))
	c := must1(s.Claim(t.Context(), "tester", time.Minute))(t)
	if c == nil || c.Repo != key {
		t.Fatalf("Claim() = %+v; want one of %s", c, key)
	}
	return c
}

// turn makes one turn of a repo, which must be the only one with work.
func turn(t *testing.T, s *Store, key promotion.RepoKey, fn func(tx *Tx)) {
	t.Helper()
	c := claim(t, s, key)
	must(t, s.Update(t.Context(), c, func(tx *Tx) error {
		fn(tx)
		return nil
	}))
	must(t, s.Finish(t.Context(), c, Finish{}))
}

// list makes a repo list images in an environment.
func list(t *testing.T, s *Store, key promotion.RepoKey, environment string, images ...image.Name) {
	t.Helper()
	var listings []promotion.Listing
	for _, name := range images {
		listings = append(listings, promotion.Listing{
			Environment: environment, File: "apps/" + name.Base() + "/kustomization.yaml", Entry: name.Base(), Image: name, Tag: "1.0.0", Digest: digest(1),
		})
	}
	turn(t, s, key, func(tx *Tx) { tx.SaveListings(key, listings) })
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// must1 passes on a value: must1(f())(t).
func must1[T any](value T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		must(t, err)
		return value
	}
}

func second[T any](_ T, err error) error { return err }

// pending tells which repos have work that waits.
func pending(t *testing.T, s *Store) map[promotion.RepoKey]bool {
	t.Helper()
	set := map[promotion.RepoKey]bool{}
	for _, w := range must1(s.Work(t.Context()))(t) {
		if w.Pending {
			set[w.Repo] = true
		}
	}
	return set
}
