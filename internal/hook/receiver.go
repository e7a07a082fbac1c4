package hook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/registry"
	"github.com/boatlift/boatlift/internal/store"
)

// Inbox stores deliveries. The store is one.
type Inbox interface {
	Accept(ctx context.Context, d store.Delivery, pushes []store.Push, wake []store.RepoKey) (store.Accepted, error)
}

// Endpoint is one configured sender of webhooks: a registry, or a forge.
type Endpoint struct {
	Name string // as in boatlift.yaml; the endpoint is /hooks/NAME
	// Registry is the sender whose pushes come here. On a forge's endpoint it decodes the pushes that the forge itself tells of.
	Registry *registry.Sender
	Forge    forge.Webhook // nil on a registry's endpoint
}

// Unavailable is what Observe is told of a delivery that was answered 503. It is not stored, so it is no outcome that the store knows.
const Unavailable store.Outcome = "unavailable"

// Options configure a Receiver.
type Options struct {
	Endpoints []Endpoint
	Inbox     Inbox
	Now       func() time.Time // default time.Now
	Log       *slog.Logger     // default discards
	Most      int              // deliveries under way at once, not counting bodies that are still coming; more are answered 503. Default 256
	// BodyTimeout is how long a body may take to come. Default 10 s, which is as long as GitHub tries.
	BodyTimeout time.Duration
	// BodyMemory is how many bytes all bodies that are coming or under way may hold. What goes beyond it is answered 503. Default 128 MiB.
	BodyMemory int64
	// Observe is told the outcome of every delivery, for metrics; may be nil.
	Observe func(endpoint string, outcome store.Outcome)
}

// Receiver answers webhooks.
type Receiver struct {
	endpoints map[string]Endpoint
	inbox     Inbox
	now       func() time.Time
	log       *slog.Logger
	observe   func(string, store.Outcome)
	room      chan struct{}
	patience  time.Duration
	memory    memory

	mu    sync.Mutex
	noise map[string]*noise // by endpoint and kind
}

// New checks the endpoints.
func New(o Options) (*Receiver, error) {
	if o.Inbox == nil {
		return nil, errors.New("deliveries have nowhere to go")
	}
	r := &Receiver{
		endpoints: map[string]Endpoint{}, inbox: o.Inbox, now: o.Now, log: o.Log, observe: o.Observe, patience: o.BodyTimeout, noise: map[string]*noise{},
	}
	if r.now == nil {
		r.now = time.Now
	}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	if r.observe == nil {
		r.observe = func(string, store.Outcome) {}
	}
	if o.Most <= 0 {
		o.Most = 256
	}
	r.room = make(chan struct{}, o.Most)
	if r.patience <= 0 {
		r.patience = 10 * time.Second
	}
	if r.memory.left = o.BodyMemory; r.memory.left <= 0 {
		r.memory.left = 128 << 20
	}
	for _, e := range o.Endpoints {
		if e.Name == "" || url.PathEscape(e.Name) != e.Name || e.Name == "." || e.Name == ".." {
			return nil, fmt.Errorf("an endpoint is called %q, which cannot stand in a path", e.Name)
		}
		if e.Registry == nil && e.Forge == nil {
			return nil, fmt.Errorf("endpoint %s proves nobody", e.Name)
		}
		if _, twice := r.endpoints[e.Name]; twice {
			return nil, fmt.Errorf("two endpoints are called %s", e.Name)
		}
		r.endpoints[e.Name] = e
	}
	return r, nil
}

// Routes are the paths below /hooks. Webhooks are posted; an endpoint takes other methods where its sender asks something by them.
func (r *Receiver) Routes() chi.Router {
	mux := chi.NewRouter()
	mux.HandleFunc("/{name}", r.receive)
	mux.HandleFunc("/{name}/*", r.receive)
	mux.NotFound(func(w http.ResponseWriter, _ *http.Request) { unread(w, http.StatusNotFound, noEndpoint) })
	mux.MethodNotAllowed(func(w http.ResponseWriter, _ *http.Request) { notAllowed(w, []string{http.MethodPost}) })
	return mux
}

func notAllowed(w http.ResponseWriter, methods []string) {
	w.Header().Set("Allow", strings.Join(methods, ", "))
	unread(w, http.StatusMethodNotAllowed, "webhooks are posted")
}

// methods are those in which an endpoint's sender comes.
func methods(e Endpoint) []string {
	if e.Forge != nil {
		return []string{http.MethodPost}
	}
	return e.Registry.Methods()
}

const noEndpoint = "no such endpoint; see registries: and forges: in boatlift.yaml"

// unread answers a request whose body is left where it is. The connection ends with it: otherwise the server would wait for the body.
func unread(w http.ResponseWriter, status int, say string) {
	w.Header().Set("Connection", "close")
	http.Error(w, say, status)
}

func (r *Receiver) receive(w http.ResponseWriter, req *http.Request) {
	e, ok := r.endpoints[chi.URLParam(req, "name")]
	if !ok {
		unread(w, http.StatusNotFound, noEndpoint)
		return
	}
	if allowed := methods(e); !slices.Contains(allowed, req.Method) {
		notAllowed(w, allowed)
		return
	}
	body, release, err := r.read(w, req, limitOf(e))
	defer release()
	if err != nil {
		r.refuseBody(w, req, e, err)
		return
	}
	select {
	case r.room <- struct{}{}:
		defer func() { <-r.room }()
	default:
		r.overloaded(w, e, "too many deliveries are under way")
		return
	}
	// What has come whole is seen through although its sender may hang up: some wait for one second only, and never send again.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(req.Context()), seeThrough)
	defer cancel()
	d, err := r.understand(ctx, e, req, body)
	switch {
	case undecided(err):
		r.later(w, e, err)
	case err != nil:
		r.refuse(req, e, err.Error())
		http.Error(w, "not proved to come from who may post here", http.StatusUnauthorized)
	default:
		r.store(ctx, w, e, d)
	}
}
