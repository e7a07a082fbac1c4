package hook

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/registry"
	"github.com/boatlift/boatlift/internal/store"
)

// Limits of what is read. Only GitHub documents a cap for what it sends; its package events are far smaller.
const (
	registryBody = 1 << 20
	forgeBody    = 25 << 20
)

// Inbox stores deliveries. The store is one.
type Inbox interface {
	Accept(ctx context.Context, d store.Delivery, pushes []store.Push, wake []store.RepoKey) (store.Accepted, error)
}

// Endpoint is one configured sender of webhooks: a registry, or a forge.
type Endpoint struct {
	Name string
	// Registry is the sender whose pushes come here. On a forge's endpoint it decodes the pushes that the forge itself tells of.
	Registry *registry.Sender
	Forge    forge.Webhook // nil on a registry's endpoint
}

// Options configure a Receiver.
type Options struct {
	Endpoints []Endpoint
	Inbox     Inbox
	Now       func() time.Time // default time.Now
	Log       *slog.Logger     // default discards
	Most      int              // deliveries under way at once; more are answered 503. Default 256
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

	mu      sync.Mutex
	refused map[string]time.Time // when a refusal at an endpoint was last written down
}

// New checks the endpoints.
func New(o Options) (*Receiver, error) {
	r := &Receiver{
		endpoints: map[string]Endpoint{}, inbox: o.Inbox, now: o.Now, log: o.Log, observe: o.Observe, refused: map[string]time.Time{},
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
	for _, e := range o.Endpoints {
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

// Routes are the paths below /hooks.
func (r *Receiver) Routes() chi.Router {
	mux := chi.NewRouter()
	mux.Post("/{name}", r.receive)
	mux.Post("/{name}/*", r.receive)
	return mux
}

// answer is what a sender reads, if anybody does.
type answer struct {
	Outcome store.Outcome `json:"outcome"`
	ID      int64         `json:"id,omitempty"`
	Reason  string        `json:"reason,omitempty"`
}

func (r *Receiver) receive(w http.ResponseWriter, req *http.Request) {
	e, ok := r.endpoints[chi.URLParam(req, "name")]
	if !ok {
		http.Error(w, "no such endpoint; see registries: and forges: in boatlift.yaml", http.StatusNotFound)
		return
	}
	select {
	case r.room <- struct{}{}:
		defer func() { <-r.room }()
	default:
		unavailable(w, time.Second, "too many deliveries are under way")
		return
	}
	limit := int64(registryBody)
	if e.Forge != nil {
		limit = forgeBody
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, limit))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		r.refuse(req.Context(), e, fmt.Sprintf("the body is larger than %d bytes", limit))
		http.Error(w, "body too large", http.StatusRequestEntityTooLarge)
		return
	case err != nil:
		http.Error(w, "the body could not be read", http.StatusBadRequest)
		return
	}
	d, err := r.understand(e, req, body)
	if err != nil {
		r.refuse(req.Context(), e, err.Error())
		http.Error(w, "not proved to come from who may post here", http.StatusUnauthorized)
		return
	}
	r.store(w, req, e, d)
}

// delivery is a proved request and what it means.
type delivery struct {
	store.Delivery
	pushes []store.Push
	wake   []store.RepoKey
}

// understand proves and decodes. Its only error is that the request is not proved. A decoder that fails, even by a fault of ours, is a
// reason to ignore an authentic delivery, never to refuse it.
func (r *Receiver) understand(e Endpoint, req *http.Request, body []byte) (d delivery, err error) {
	d.Sender, d.ReceivedAt = e.Name, r.now()
	if e.Forge == nil {
		return r.fromRegistry(e, d, request(req, body), true)
	}
	if err := e.Forge.Verify(req.Header, body); err != nil {
		return d, err
	}
	event, err := decodeForge(e.Forge, req.Header, body)
	d.DeliveryID, d.Event, d.About = event.DeliveryID, event.Kind, event.About
	switch {
	case err != nil:
		d.Outcome, d.Reason = store.Ignored, err.Error()
	case event.Push && e.Registry != nil:
		return r.fromRegistry(e, d, request(req, body), false)
	case event.Push:
		d.Outcome, d.Reason = store.Ignored, "an image was pushed, but no registry of type "+event.PushType+" is configured"
	case event.Ignored != "":
		d.Outcome, d.Reason = store.Ignored, event.Ignored
	default:
		d.Outcome, d.Body = store.Stored, body
		if event.Repo != 0 {
			d.wake = append(d.wake, store.KeyOf(e.Name, int64(event.Repo)))
		}
		if event.Discover {
			d.wake = append(d.wake, store.DiscoverKey(e.Name))
		}
	}
	if d.DeliveryID == "" {
		d.DeliveryID = sum(body)
	}
	return d, nil
}

func request(req *http.Request, body []byte) registry.Request {
	return registry.Request{Method: req.Method, Path: chi.URLParam(req, "*"), Query: req.URL.Query(), Header: req.Header, Body: body}
}

func decodeForge(f forge.Webhook, header http.Header, body []byte) (event forge.Event, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("a fault in the decoder: %v", p)
		}
	}()
	return f.Decode(header, body)
}

func decodeRegistry(s *registry.Sender, in registry.Request) (decoded registry.Decoded, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("a fault in the decoder: %v", p)
		}
	}()
	return s.Decode(in)
}

// fromRegistry turns a registry's request into pushes.
func (r *Receiver) fromRegistry(e Endpoint, d delivery, in registry.Request, verify bool) (delivery, error) {
	if verify {
		if err := e.Registry.Verify(in); err != nil {
			return d, err
		}
	}
	if d.Event == "" {
		d.Event = e.Registry.Type()
	}
	decoded, err := decodeRegistry(e.Registry, in)
	if d.DeliveryID == "" {
		d.DeliveryID = decoded.DeliveryID
	}
	if d.DeliveryID == "" {
		d.DeliveryID = sum(in.Body)
	}
	if err != nil {
		d.Outcome, d.Reason = store.Ignored, err.Error()
		return d, nil
	}
	var about []string
	for _, p := range decoded.Pushes {
		d.pushes = append(d.pushes, store.Push{
			Image: p.Name(), Tag: p.Tag, Digest: image.Digest(p.Digest), MediaType: p.MediaType, PushedAt: p.Time, ReceivedAt: d.ReceivedAt,
		})
		about = append(about, string(p.Name())+":"+p.Tag)
		d.Images = append(d.Images, string(p.Name()))
	}
	if len(d.pushes) == 0 {
		d.Outcome, d.Reason = store.Ignored, "it tells of no push of an image"
		if len(decoded.Ignored) > 0 {
			d.Reason = decoded.Ignored[0].Reason
		}
		return d, nil
	}
	d.Outcome, d.Body, d.About = store.Stored, in.Body, strings.Join(about, ", ")
	return d, nil
}

func sum(body []byte) string {
	s := sha256.Sum256(body)
	return "sha256:" + hex.EncodeToString(s[:])
}

func (r *Receiver) store(w http.ResponseWriter, req *http.Request, e Endpoint, d delivery) {
	accepted, err := r.inbox.Accept(req.Context(), d.Delivery, d.pushes, d.wake)
	if err != nil {
		r.log.Error("delivery not stored; its sender is asked to try again", "endpoint", e.Name, "error", err)
		wait := 5 * time.Second
		var after interface{ RetryAfter() time.Duration }
		if errors.As(err, &after) && after.RetryAfter() > 0 {
			wait = after.RetryAfter()
		}
		unavailable(w, wait, "the delivery could not be stored")
		return
	}
	status, a := http.StatusAccepted, answer{Outcome: d.Outcome, ID: accepted.ID, Reason: d.Reason}
	switch {
	case accepted.Known:
		status, a.Outcome, a.Reason = http.StatusOK, store.Duplicate, "this delivery is known already"
	case d.Outcome == store.Ignored:
		status = http.StatusOK
	}
	r.observe(e.Name, a.Outcome)
	r.log.Debug("delivery", "endpoint", e.Name, "event", d.Event, "outcome", a.Outcome, "about", d.About, "reason", a.Reason, "id", a.ID)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(a) // the sender may be gone; what counts is stored
}

func unavailable(w http.ResponseWriter, wait time.Duration, reason string) {
	w.Header().Set("Retry-After", fmt.Sprint(int(max(1, (wait+time.Second-1)/time.Second))))
	http.Error(w, reason, http.StatusServiceUnavailable)
}

// refuse counts a request that is not proved, and writes down at most one in ten seconds for each endpoint, so that a stranger cannot fill
// the database.
func (r *Receiver) refuse(ctx context.Context, e Endpoint, reason string) {
	r.observe(e.Name, store.Refused)
	r.log.Warn("delivery refused", "endpoint", e.Name, "reason", reason)
	now := r.now()
	r.mu.Lock()
	last := r.refused[e.Name]
	due := now.Sub(last) >= 10*time.Second
	if due {
		r.refused[e.Name] = now
	}
	r.mu.Unlock()
	if !due {
		return
	}
	if _, err := r.inbox.Accept(ctx, store.Delivery{Sender: e.Name, Outcome: store.Refused, Reason: reason, ReceivedAt: now}, nil, nil); err != nil {
		r.log.Warn("refusal not written down", "error", err)
	}
}
