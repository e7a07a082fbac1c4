package polling

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/config"
	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/registry"
	"github.com/boatlift/boatlift/internal/store"
)

const (
	web    = image.Name("registry.acme.io/shop/web")
	worker = image.Name("registry.acme.io/shop/worker")
	api    = image.Name("registry.acme.io/shop/api")
	caddy  = image.Name("docker.io/library/caddy")
	infra  = promotion.RepoKey("github/1")
)

func digest(n int) image.Digest { return image.Digest(fmt.Sprintf("sha256:%064d", n)) }

// shelf is a registry that a test fills.
type shelf struct {
	mu      sync.Mutex
	tags    map[image.Name]map[string]image.Digest
	created map[string]time.Time
	mark    string
	errs    map[image.Name]error
	quota   registry.Quota
	asked   []string
	listed  chan struct{} // gets a signal when it is asked for a list
}

func (s *shelf) has(name image.Name, tags map[string]image.Digest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tags[name] == nil {
		s.tags[name] = map[string]image.Digest{}
	}
	maps.Copy(s.tags[name], tags)
}

func (s *shelf) lacks(name image.Name, tag string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.tags[name], tag)
}

func (s *shelf) fails(name image.Name, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.errs[name] = err
}

// questions are those since the last call.
func (s *shelf) questions() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := s.asked
	s.asked = nil
	slices.Sort(asked)
	return asked
}

func (s *shelf) Tags(_ context.Context, of image.Name, mark string) (registry.Listing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, "list "+of.Base())
	select {
	case s.listed <- struct{}{}:
	default:
	}
	if err := s.errs[of]; err != nil {
		return registry.Listing{}, err
	}
	if mark != "" && mark == s.mark {
		return registry.Listing{Mark: mark, Unchanged: true}, nil
	}
	return registry.Listing{Tags: slices.Sorted(maps.Keys(s.tags[of])), Mark: s.mark}, nil
}

func (s *shelf) Resolve(_ context.Context, of image.Name, tag string) (image.Digest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, "head "+of.Base()+":"+tag)
	if at, ok := s.tags[of][tag]; ok {
		return at, nil
	}
	return "", &registry.NotFoundError{Name: of, Reference: tag}
}

func (s *shelf) Facts(context.Context, image.Name, image.Digest) (image.Facts, error) {
	return image.Facts{}, nil
}

func (s *shelf) Created(_ context.Context, of image.Name, tag string) (time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, "read "+of.Base()+":"+tag)
	return s.created[tag], nil
}

func (s *shelf) Quota(string) (registry.Quota, bool) { return s.quota, !s.quota.At.IsZero() }

// scene is a poller on a database in memory with one infra repo.
type scene struct {
	t     *testing.T
	store *store.Store
	shelf *shelf
	acme  Registry
	clock struct {
		sync.Mutex
		ahead time.Duration
	}
	*Poller
	lists []promotion.Listing
	n     int // deliveries
}

// newScene has a repo with a configuration that lists web at 1.4.1.
func newScene(t *testing.T, text string) *scene {
	t.Helper()
	db, err := store.Open(t.Context(), "sqlite::memory:", store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	s := &scene{t: t, store: db, acme: Registry{Name: "acme", Host: "registry.acme.io", Every: time.Minute}}
	s.shelf = &shelf{tags: map[image.Name]map[string]image.Digest{}, created: map[string]time.Time{}, errs: map[image.Name]error{}, listed: make(chan struct{}, 1)}
	s.Poller = s.poller()
	if _, err := db.UpsertRepos(t.Context(), "github", []store.Repo{{Key: infra, Forge: "github", ForgeID: 1, FullName: "acme/infra", DefaultBranch: "main"}}); err != nil {
		t.Fatal(err)
	}
	s.turn(func(tx *store.Tx) {
		tx.SaveRepo(store.Repo{Key: infra, Forge: "github", ForgeID: 1, FullName: "acme/infra", DefaultBranch: "main", ConfigText: text, State: store.RepoActive})
	})
	s.list(promotion.Listing{Environment: "test", File: "kustomization.yaml", Entry: "web", Image: web, Tag: "1.4.1", Digest: digest(141)})
	s.shelf.has(web, map[string]image.Digest{"1.4.0": digest(140), "1.4.1": digest(141)})
	return s
}

// poller is another replica's.
func (s *scene) poller() *Poller {
	s.t.Helper()
	engine, err := gate.New()
	if err != nil {
		s.t.Fatal(err)
	}
	p, err := New(Options{
		Store: s.store, Asker: s.shelf, Registries: []Registry{s.acme, {Name: "off", Host: "off.acme.io"}},
		Parse: func(text []byte) (promotion.Config, error) {
			return config.ParseRepo(".boatlift.yaml", text, engine, config.Require{})
		},
		Now: func() time.Time {
			s.clock.Lock()
			defer s.clock.Unlock()
			return s.store.Now().Add(s.clock.ahead)
		},
		Random: func() float64 { return 0.5 },
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

func (s *scene) turn(do func(*store.Tx)) {
	s.t.Helper()
	s.check(s.store.Wake(s.t.Context(), infra))
	claim, err := s.store.Claim(s.t.Context(), "test", time.Minute)
	s.check(err)
	s.check(s.store.Update(s.t.Context(), claim, func(tx *store.Tx) error {
		do(tx)
		return nil
	}))
	s.check(s.store.Finish(s.t.Context(), claim, store.Finish{}))
}

func (s *scene) list(more ...promotion.Listing) {
	s.t.Helper()
	s.lists = append(s.lists, more...)
	s.turn(func(tx *store.Tx) { tx.SaveListings(infra, s.lists) })
}

func (s *scene) check(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// later lets everything be due again.
func (s *scene) later(d time.Duration) {
	s.clock.Lock()
	defer s.clock.Unlock()
	s.clock.ahead += d
}

// poll asks for what is due, and returns what was found since the last call.
func (s *scene) poll() []string {
	s.t.Helper()
	s.later(2 * time.Minute)
	s.round(s.t.Context(), s.acme, "test")
	return s.news()
}

// news are the pushes since the last call, and in whose name they were stored.
func (s *scene) news() []string {
	s.t.Helper()
	var news []string
	deliveries, err := s.store.Deliveries(s.t.Context(), store.DeliveryFilter{})
	s.check(err)
	from := map[int64]store.Delivery{}
	for _, d := range deliveries {
		from[d.ID] = d
	}
	for _, name := range []image.Name{web, worker, api, caddy} {
		pushes, err := s.store.PushesAfter(s.t.Context(), name, 0)
		s.check(err)
		for _, p := range pushes {
			if p.Delivery > int64(s.n) {
				short := "?"
				if p.Digest != "" {
					short = strings.TrimLeft(string(p.Digest)[7:], "0")
				}
				news = append(news, fmt.Sprintf("%s %s:%s@%s", from[p.Delivery].Sender, name.Base(), p.Tag, short))
			}
		}
	}
	if len(deliveries) > 0 {
		s.n = int(deliveries[0].ID)
	}
	return news
}

// hear is a webhook.
func (s *scene) hear(name image.Name, tag string, at image.Digest) {
	s.t.Helper()
	_, err := s.store.Accept(s.t.Context(), store.Delivery{Sender: "acme", Outcome: store.Stored}, []store.Push{{Image: name, Tag: tag, Digest: at, ReceivedAt: s.Now()}}, nil)
	s.check(err)
	s.news()
}

func (s *scene) want(got []string, want ...string) {
	s.t.Helper()
	if !slices.Equal(got, want) {
		s.t.Errorf("there is %q, want %q", got, want)
	}
}

func (s *scene) row() store.PollRow {
	s.t.Helper()
	rows, err := s.store.Polls(s.t.Context())
	s.check(err)
	return rows["acme"]
}

const plain = "environments:\n  - name: test\n"

// unavailable is a registry's answer that may be another one later.
func unavailable(text string) error {
	return &registry.UnavailableError{Host: "registry.acme.io", Reason: text}
}
