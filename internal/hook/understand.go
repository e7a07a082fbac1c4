package hook

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/registry"
	"github.com/boatlift/boatlift/internal/store"
)

// delivery is a proved request and what it means.
type delivery struct {
	store.Delivery
	pushes []store.Push
	wake   []store.RepoKey
	answer *registry.Answer // what its sender wants to hear; nil for nearly all
}

// keepBody is how large a body may be that is kept.
const keepBody = 1 << 20

// understand proves and decodes. Its errors are that the request is not proved, or cannot be proved or answered just now. A decoder that
// fails, even by a fault of ours, is a reason to ignore an authentic delivery, never to refuse it.
func (r *Receiver) understand(ctx context.Context, e Endpoint, req *http.Request, body []byte) (delivery, error) {
	d := delivery{Delivery: store.Delivery{Sender: e.Name, DeliveryID: hubDelivery(req.Header), ReceivedAt: r.now()}}
	if e.Forge == nil {
		d.Event = e.Registry.Type()
		return r.postedBy(ctx, e, d, request(req, body))
	}
	if err := verifyForge(e.Forge, req.Header, body); err != nil {
		r.reportFault(e, err)
		return d, err
	}
	event, err := decodeForge(e.Forge, req.Header, body)
	if event.DeliveryID != "" {
		d.DeliveryID = event.DeliveryID
	}
	d.Event, d.About = event.Kind, event.About
	switch {
	case err != nil:
		r.reportFault(e, err)
		return d.ignored(err.Error()), nil
	case event.Push && e.Registry != nil && e.Registry.Type() == event.PushType:
		return r.fromRegistry(e, d, request(req, body)), nil
	case event.Push:
		return d.ignored("an image was pushed, but no registry of type " + event.PushType + " hears of it through this forge's webhook"), nil
	case event.Ignored != "":
		return d.ignored(event.Ignored), nil
	}
	if event.Repo != 0 {
		d.wake = append(d.wake, store.KeyOf(e.Name, int64(event.Repo)))
	}
	if event.Discover {
		d.wake = append(d.wake, store.DiscoverKey(e.Name))
	}
	if len(d.wake) == 0 {
		return d.ignored("it names nothing to look at"), nil
	}
	d.Repos = d.wake
	return d.stored(body), nil
}

func (d delivery) ignored(reason string) delivery {
	d.Outcome, d.Reason = store.Ignored, reason
	return d
}

func (d delivery) stored(body []byte) delivery {
	d.Outcome = store.Stored
	if len(body) <= keepBody {
		d.Body = body
	}
	return d
}

// request is what a registry's decoder gets to see.
func request(req *http.Request, body []byte) registry.Request {
	path := chi.URLParam(req, "*")
	if req.URL.RawPath != "" { // the router looked at the escaped path
		if plain, err := url.PathUnescape(path); err == nil {
			path = plain
		}
	}
	return registry.Request{Method: req.Method, Path: path, Query: req.URL.Query(), Header: req.Header, Body: body}
}

// postedBy proves a registry's own request, hears what it asks for, and decodes it.
func (r *Receiver) postedBy(ctx context.Context, e Endpoint, d delivery, in registry.Request) (delivery, error) {
	if err := prove(ctx, *e.Registry, in); err != nil {
		r.reportFault(e, err)
		return d, err
	}
	answer, err := wish(ctx, *e.Registry, in)
	switch {
	case undecided(err):
		return d, err
	case err != nil:
		r.reportFault(e, err)
		return d.ignored(err.Error()), nil
	case answer != nil:
		d.answer = answer
		return d.ignored(answer.Reason), nil
	}
	return r.fromRegistry(e, d, in), nil
}

// fromRegistry turns a proved request into pushes.
func (r *Receiver) fromRegistry(e Endpoint, d delivery, in registry.Request) delivery {
	decoded, err := decode(*e.Registry, in)
	if err == nil && e.Forge == nil {
		d.DeliveryID = decoded.DeliveryID
	}
	if d.DeliveryID == "" {
		d.DeliveryID = recognise(decoded.Pushes, in.Body)
	}
	if err != nil {
		r.reportFault(e, err)
		return d.ignored(err.Error())
	}
	if len(decoded.Pushes) == 0 {
		if len(decoded.Ignored) == 0 {
			return d.ignored("it tells of no push of an image")
		}
		return d.ignored(reasons(decoded.Ignored))
	}
	d.About = subjects(decoded.Pushes)
	for _, p := range decoded.Pushes {
		d.pushes = append(d.pushes, store.Push{
			Image: p.Name(), Tag: p.Tag, Digest: image.Digest(p.Digest), MediaType: p.MediaType, PushedAt: p.Time, ReceivedAt: d.ReceivedAt,
		})
		d.Images = append(d.Images, string(p.Name()))
	}
	if len(decoded.Ignored) > 0 {
		d.Reason = "ignored in it: " + reasons(decoded.Ignored)
	}
	return d.stored(in.Body)
}

// reportFault logs what has to be mended in the program.
func (r *Receiver) reportFault(e Endpoint, err error) {
	var fault *faultError
	if errors.As(err, &fault) {
		r.log.Error("a fault in the program", "endpoint", e.Name, "error", fault, "stack", string(fault.stack))
	}
}

// recognise is the id of a delivery whose sender gave none: that of its body if the same body cannot mean another push, else none.
func recognise(pushes []registry.Push, body []byte) string {
	if len(pushes) == 0 || slices.ContainsFunc(pushes, func(p registry.Push) bool { return p.Time.IsZero() }) {
		return ""
	}
	sum := sha256.Sum256(body)
	return "sha256:" + hex.EncodeToString(sum[:])
}

var uuid = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// hubDelivery is the delivery's id in the header in which GitHub, and those who speak like it, write one. It stands for deliveries that
// were not decoded.
func hubDelivery(header http.Header) string {
	if id := header.Get("X-GitHub-Delivery"); uuid.MatchString(id) {
		return id
	}
	return ""
}

// named is how many of many things are named to people.
const named = 3

func reasons(ignored []registry.Ignored) string {
	var texts []string
	for _, i := range ignored {
		if !slices.Contains(texts, i.Reason) {
			texts = append(texts, i.Reason)
		}
	}
	return enough(texts, "; ")
}

func subjects(pushes []registry.Push) string {
	texts := make([]string, len(pushes))
	for i, p := range pushes {
		texts[i] = string(p.Name()) + ":" + p.Tag
	}
	return enough(texts, ", ")
}

// enough joins the first of the texts, and counts the rest.
func enough(texts []string, between string) string {
	if more := len(texts) - named; more > 0 {
		return strings.Join(texts[:named], between) + between + fmt.Sprintf("and %d more", more)
	}
	return strings.Join(texts, between)
}
