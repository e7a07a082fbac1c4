package hook_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/hook"
	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/registry"
	"github.com/boatlift/boatlift/internal/store"
)

const (
	secret = "registry-webhook-fixture-secret" // also that of the bodies in testdata
	bearer = "Bearer " + secret
	web    = image.Name("registry.acme.io/shop/web")
	digest = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
	guid   = "72d3162e-cc78-11e3-81ab-4c9367dc0958"
)

// scene is a receiver over a real database in a folder of its own.
type scene struct {
	t        testing.TB
	file     string
	store    *store.Store
	hooks    http.Handler
	log      *buffer
	outcomes *tally
	now      time.Time
}

func newScene(t testing.TB, change ...func(*hook.Options)) *scene {
	t.Helper()
	s := &scene{
		t: t, file: filepath.Join(t.TempDir(), "boatlift.db"), log: &buffer{}, outcomes: &tally{}, now: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC),
	}
	s.open()
	t.Cleanup(func() { must(t, s.store.Close()) })
	o := hook.Options{
		Endpoints: endpoints(t), Inbox: s.store, Now: func() time.Time { return s.now }, Observe: s.outcomes.add,
		Log: slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, c := range change {
		c(&o)
	}
	s.hooks = handler(t, o)
	return s
}

func (s *scene) open() {
	s.t.Helper()
	var err error
	s.store, err = store.Open(s.t.Context(), "sqlite:"+s.file, store.Options{})
	must(s.t, err)
}

func handler(t testing.TB, o hook.Options) http.Handler {
	t.Helper()
	r, err := hook.New(o)
	must(t, err)
	mux := chi.NewRouter()
	mux.Mount("/hooks", r.Routes())
	return mux
}

// endpoints are one of each kind.
func endpoints(t testing.TB) []hook.Endpoint {
	t.Helper()
	ghcr := sender(t, "ghcr")
	return []hook.Endpoint{
		{Name: "distribution", Registry: sender(t, "distribution")},
		{Name: "gitlab", Registry: sender(t, "gitlab")},
		{Name: "ghcr", Registry: ghcr},
		{Name: "app", Forge: hub{}},
		{Name: "appwithpackages", Forge: hub{}, Registry: ghcr},
	}
}

func sender(t testing.TB, kind string) *registry.Sender {
	t.Helper()
	typ, err := registry.Lookup(kind)
	must(t, err)
	return senderOf(t, typ)
}

func senderOf(t testing.TB, typ registry.Type) *registry.Sender {
	t.Helper()
	s, err := registry.NewSender(typ, registry.Endpoint{Secret: []byte(secret)})
	must(t, err)
	return &s
}

// list makes a repo list images.
func (s *scene) list(id int64, images ...image.Name) store.RepoKey {
	s.t.Helper()
	ctx, key := s.t.Context(), store.KeyOf("app", id)
	known, err := s.store.Repos(ctx)
	must(s.t, err)
	known = append(known, store.Repo{Key: key, Forge: "app", ForgeID: id, FullName: fmt.Sprintf("acme/infra-%d", id), DefaultBranch: "main"})
	for i := range known {
		known[i].Environments = nil
	}
	_, err = s.store.UpsertRepos(ctx, "app", known)
	must(s.t, err)
	for {
		c, err := s.store.Claim(ctx, "tester", time.Minute)
		must(s.t, err)
		if c == nil {
			return key
		}
		if c.Repo == key {
			must(s.t, s.store.Update(ctx, c, func(tx *store.Tx) error {
				var listings []promotion.Listing
				for _, name := range images {
					listings = append(listings, promotion.Listing{Environment: "production", File: "kustomization.yaml", Entry: string(name), Image: name, Tag: "1.0.0"})
				}
				tx.SaveListings(key, listings)
				return nil
			}))
		}
		must(s.t, s.store.Finish(ctx, c, store.Finish{}))
	}
}

// pending are the keys that have work.
func (s *scene) pending() []store.RepoKey {
	s.t.Helper()
	rows, err := s.store.Work(s.t.Context())
	must(s.t, err)
	keys := []store.RepoKey{}
	for _, w := range rows {
		if w.Pending {
			keys = append(keys, w.Repo)
		}
	}
	return keys
}

func (s *scene) wantPending(keys ...store.RepoKey) {
	s.t.Helper()
	if got := s.pending(); !slices.Equal(got, keys) {
		s.t.Errorf("work is pending for %v; want %v", got, keys)
	}
}

// deliveries are all that are recorded, oldest first.
func (s *scene) deliveries() []store.Delivery {
	s.t.Helper()
	list, err := s.store.Deliveries(s.t.Context(), store.DeliveryFilter{Bodies: true, Limit: 10_000})
	must(s.t, err)
	slices.Reverse(list)
	return list
}

func (s *scene) only() store.Delivery {
	s.t.Helper()
	list := s.deliveries()
	if len(list) != 1 {
		s.t.Fatalf("%d deliveries are recorded; want 1: %+v", len(list), list)
	}
	return list[0]
}

func (s *scene) pushes(names ...image.Name) []store.Push {
	s.t.Helper()
	list, err := s.store.Pushes(s.t.Context(), names, time.Time{})
	must(s.t, err)
	return list
}

// request is one delivery of a test.
type request struct {
	method, path string
	header       map[string]string
	body         string
}

func (r request) with(name, value string) request {
	header := map[string]string{name: value}
	for k, v := range r.header {
		if k != name {
			header[k] = v
		}
	}
	r.header = header
	return r
}

func (r request) at(path string) request { r.path = path; return r }

func (r request) build() *http.Request {
	method := r.method
	if method == "" {
		method = http.MethodPost
	}
	req := httptest.NewRequest(method, r.path, strings.NewReader(r.body))
	for name, value := range r.header {
		req.Header.Set(name, value)
	}
	return req
}

func (s *scene) send(r request) *httptest.ResponseRecorder {
	s.t.Helper()
	w := httptest.NewRecorder()
	s.hooks.ServeHTTP(w, r.build())
	return w
}

// want sends and compares the status. It returns what was answered.
func (s *scene) want(status int, r request) reply {
	s.t.Helper()
	w := s.send(r)
	if w.Code != status {
		s.t.Fatalf("%s answers %d %s; want %d", r.path, w.Code, w.Body, status)
	}
	var a reply
	if strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") {
		must(s.t, json.Unmarshal(w.Body.Bytes(), &a))
	}
	a.text = w.Body.String()
	return a
}

type reply struct {
	Outcome store.Outcome
	ID      int64
	Reason  string
	text    string
}

// envelope is a delivery of a Distribution registry with events.
func envelope(events ...string) request {
	return request{
		path:   "/hooks/distribution",
		header: map[string]string{"Authorization": bearer, "Content-Type": "application/vnd.docker.distribution.events.v2+json"},
		body:   `{"events":[` + strings.Join(events, ",") + `]}`,
	}
}

func pushed(id, repository, tag string) string {
	return fmt.Sprintf(`{"id":%q,"timestamp":"2026-03-02T08:59:59Z","action":"push","target":{"mediaType":"application/vnd.oci.image.manifest.v1+json",`+
		`"digest":%q,"repository":%q,"tag":%q},"request":{"host":"registry.acme.io"}}`, id, digest, repository, tag)
}

// hubPush is a package event of GitHub's.
func hubPush(endpoint, tag string) request {
	body := fmt.Sprintf(`{"action":"published","registry_package":{"name":"web","namespace":"Acme","package_type":"CONTAINER",`+
		`"package_version":{"package_url":"ghcr.io/acme/web:%s","container_metadata":{"tag":{"name":%q,"digest":%q}}}}}`, tag, tag, digest)
	return request{path: "/hooks/" + endpoint, body: body, header: map[string]string{
		"X-GitHub-Event": "registry_package", "X-GitHub-Delivery": guid, "X-Hub-Signature-256": sign(body), "Content-Type": "application/json",
	}}
}

func sign(body string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// hub is a forge that signs like GitHub and whose bodies are its events.
type hub struct{}

func (hub) Verify(header http.Header, body []byte) error {
	if !hmac.Equal([]byte(header.Get("X-Hub-Signature-256")), []byte(sign(string(body)))) {
		return errors.New("the signature does not fit")
	}
	return nil
}

func (hub) Decode(header http.Header, body []byte) (forge.Event, error) {
	var e forge.Event
	if header.Get("X-GitHub-Event") == "registry_package" {
		return forge.Event{Kind: "registry_package.published", Push: true, PushType: "ghcr", DeliveryID: header.Get("X-GitHub-Delivery"), About: "a package"}, nil
	}
	if err := json.Unmarshal(body, &e); err != nil {
		return e, errors.New("the body is not what the hub sends")
	}
	if e.Kind == "panic" {
		var nothing *forge.Event
		return *nothing, nil
	}
	return e, nil
}

func happened(t testing.TB, endpoint string, e forge.Event) request {
	t.Helper()
	body, err := json.Marshal(e)
	must(t, err)
	return request{path: "/hooks/" + endpoint, body: string(body), header: map[string]string{"X-Hub-Signature-256": sign(string(body))}}
}

// tally counts outcomes.
type tally struct {
	mu    sync.Mutex
	count map[string]int
}

func (c *tally) add(endpoint string, o store.Outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.count == nil {
		c.count = map[string]int{}
	}
	c.count[endpoint+" "+string(o)]++
}

func (c *tally) of(what string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.count[what]
}

// buffer is a log that may be written to and read at once.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// inbox is an Inbox made of a function.
type inbox func(context.Context, store.Delivery, []store.Push, []store.RepoKey) (store.Accepted, error)

func (f inbox) Accept(ctx context.Context, d store.Delivery, pushes []store.Push, wake []store.RepoKey) (store.Accepted, error) {
	return f(ctx, d, pushes, wake)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
