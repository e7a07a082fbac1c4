package polling

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/registry"
	"github.com/boatlift/boatlift/internal/store"
)

// Registry is one registry of boatlift.yaml.
type Registry struct {
	Name  string
	Host  string        // as images name it; never empty
	Every time.Duration // how often its images are asked for; 0: only by Sync
	// Told leaves out the images of owners (the first element of a path) of whom no webhook ever told, for hosts that many share.
	Told bool
}

// Asker asks registries. Package registry's client is one.
type Asker interface {
	Tags(ctx context.Context, of image.Name, mark string) (registry.Listing, error)
	Resolve(ctx context.Context, of image.Name, tag string) (image.Digest, error)
	Facts(ctx context.Context, of image.Name, digest image.Digest) (image.Facts, error)
	Created(ctx context.Context, of image.Name, tag string) (time.Time, error)
	Quota(host string) (registry.Quota, bool)
}

// Options are what a Poller is made of. All are needed unless a default is named.
type Options struct {
	Store      *store.Store
	Asker      Asker
	Registries []Registry
	Parse      func(text []byte) (promotion.Config, error) // reads a .boatlift.yaml
	Now        func() time.Time                            // the database's clock
	Random     func() float64                              // default math/rand's
	Log        *slog.Logger                                // default discards
	Lease      time.Duration                               // default 30 s
	Look       time.Duration                               // how often new images are looked for at most; default 10 s
	// Observe is told how every question for the tags of an image ended, for metrics: done or failed, and how many pushes were found. May
	// be nil.
	Observe func(registry, result string, found int)
}

// Poller asks registries.
type Poller struct {
	Options
	byHost map[string]Registry
}

// New checks the options and fills in the defaults.
func New(o Options) (*Poller, error) {
	if o.Store == nil || o.Asker == nil || o.Parse == nil || o.Now == nil {
		return nil, errors.New("a poller needs a store, an asker, a parser and a clock")
	}
	if o.Random == nil {
		o.Random = rand.Float64
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Lease <= 0 {
		o.Lease = 30 * time.Second
	}
	if o.Look <= 0 {
		o.Look = 10 * time.Second
	}
	if o.Observe == nil {
		o.Observe = func(string, string, int) {}
	}
	p := &Poller{Options: o, byHost: map[string]Registry{}}
	for _, r := range o.Registries {
		if r.Name == "" || r.Host == "" {
			return nil, fmt.Errorf("registry %q cannot be asked: its host is not known", r.Name)
		}
		if has, ok := p.byHost[r.Host]; !ok || has.Every == 0 || r.Every > 0 && r.Every < has.Every {
			r.Told = r.Told && (!ok || has.Told)
			p.byHost[r.Host] = r // several entries may speak of one host; the most diligent asks
		}
	}
	return p, nil
}

// Run polls until the context ends, and returns when the last question has been answered. The owner names this process in leases.
func (p *Poller) Run(ctx context.Context, owner string) {
	var registries sync.WaitGroup
	for _, r := range p.byHost {
		if r.Every <= 0 {
			continue
		}
		registries.Go(func() {
			for ctx.Err() == nil {
				p.sleep(ctx, p.round(ctx, r, owner))
			}
		})
	}
	registries.Wait()
}

func (p *Poller) sleep(ctx context.Context, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// patience is how long to wait before looking again whether there is anything to ask a registry.
func (p *Poller) patience(r Registry) time.Duration {
	return max(min(p.Look, r.Every/2), 100*time.Millisecond)
}

// roundMost bounds the images of one round, and slots how many are asked for at once.
const (
	roundMost = 500
	slots     = 4
)

// round asks for the images of a registry that are due, if no other replica does. It returns when to look again.
func (p *Poller) round(ctx context.Context, r Registry, owner string) time.Duration {
	due, wait, err := p.due(ctx, r)
	if err != nil && ctx.Err() == nil {
		p.Log.Error("look which images to ask for", "registry", r.Name, "error", err)
	}
	if err != nil || len(due) == 0 {
		return wait
	}
	claim, until, err := p.Store.ClaimPoll(ctx, r.Name, owner, p.Lease)
	if err != nil {
		if ctx.Err() == nil {
			p.Log.Error("claim a registry", "registry", r.Name, "error", err)
		}
		return p.Look
	}
	if claim == nil { // another replica is at it, or it is left alone
		return min(max(until.Sub(p.Now()), p.patience(r)), p.Look)
	}
	end := p.ask(ctx, claim, r, due)
	finish, stop := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer stop()
	if err := p.Store.FinishPoll(finish, claim, end); err != nil && !errors.Is(err, store.ErrLost) {
		p.Log.Error("finish asking a registry", "registry", r.Name, "error", err)
	}
	if end.Failed {
		p.Log.Warn("registry cannot be asked for tags", "registry", r.Name, "reason", end.Reason, "attempts", claim.Attempts+1)
	}
	return p.patience(r)
}

// due are the images of a registry that are due, those first that wait longest, and when to look again if there are none.
func (p *Poller) due(ctx context.Context, r Registry) (due []image.Name, wait time.Duration, err error) {
	wait = p.patience(r)
	list, err := p.Store.PollsDue(ctx)
	if err != nil {
		return nil, wait, err
	}
	now := p.Now()
	for _, d := range list {
		if d.Image.Host() == r.Host && !d.At.After(now) {
			due = append(due, d.Image)
		}
	}
	if due, err = p.ours(ctx, r, due); err != nil {
		return nil, wait, err
	}
	return due[:min(len(due), roundMost)], wait, nil
}

// ours leaves out images of others at a registry that many share.
func (p *Poller) ours(ctx context.Context, r Registry, images []image.Name) ([]image.Name, error) {
	if !r.Told || len(images) == 0 {
		return images, nil
	}
	owners, err := p.Store.PushOwners(ctx, r.Host)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(images, func(name image.Name) bool {
		owner, _, _ := strings.Cut(name.Repository(), "/")
		return !slices.Contains(owners, owner)
	}), nil
}

// ask asks for images under a claim that is renewed.
func (p *Poller) ask(ctx context.Context, claim *store.PollClaim, r Registry, due []image.Name) (end store.PollEnd) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var renewing sync.WaitGroup
	renewing.Go(func() {
		tick := time.NewTicker(p.Lease / 3)
		defer tick.Stop()
		for failures := 0; ; {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if err := p.Store.RenewPoll(ctx, claim, p.Lease); err == nil {
				failures = 0
			} else if failures++; errors.Is(err, store.ErrLost) || failures >= 3 {
				cancel(store.ErrLost)
				return
			}
		}
	})
	defer renewing.Wait()
	defer cancel(nil)

	views := newViews(p)
	var mu sync.Mutex
	silent := 0 // images in a row for which there was no answer
	next := make(chan image.Name)
	var askers sync.WaitGroup
	for range min(slots, len(due)) {
		askers.Go(func() {
			for name := range next {
				err := p.askFor(ctx, r, views, name)
				mu.Lock()
				switch after, unavailable := isUnavailable(err); {
				case !unavailable:
					silent = 0
				case ctx.Err() != nil:
				default:
					if silent++; silent >= 3 || after > 0 || len(due) < 3 {
						end = store.PollEnd{Failed: true, Rest: max(end.Rest, after), Reason: firstLine(err)}
						cancel(errEnough)
					}
				}
				mu.Unlock()
			}
		})
	}
	for _, name := range due {
		if q, ok := p.Asker.Quota(r.Host); ok && q.Rest(p.Now()) > 0 {
			mu.Lock()
			if !end.Failed {
				end = store.PollEnd{Rest: q.Rest(p.Now()), Reason: q.String()}
			}
			mu.Unlock()
			break
		}
		select {
		case next <- name:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(next)
	askers.Wait()
	return end
}

var errEnough = errors.New("the registry cannot be asked")

// isUnavailable tells an error that says something about the registry as a whole, and how long that wants to be left alone.
func isUnavailable(err error) (after time.Duration, unavailable bool) {
	var e *registry.UnavailableError
	if !errors.As(err, &e) {
		return 0, false
	}
	return e.RetryAfter(), true
}

// askFor asks for one image and records the answer. The error is the registry's.
func (p *Poller) askFor(ctx context.Context, r Registry, views *views, name image.Name) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			p.Log.Error("a fault in the program", "image", string(name), "fault", fault)
			err = fmt.Errorf("a fault in the program: %v", fault)
		}
	}()
	polled, pushes, err := p.Store.Polled(ctx, []image.Name{name})
	if err != nil {
		return p.unrecorded(ctx, name, err)
	}
	before := polled[name]
	before.Image = name
	of, err := views.of(ctx, name)
	if err != nil {
		return p.unrecorded(ctx, name, err)
	}
	now := p.Now()
	every := time.Duration(float64(r.Every) * (0.9 + 0.2*p.Random())) // so that not all are due at once for ever
	if !of.wanted(name) {
		before.DueAt = now.Add(every)
		_, err := p.Store.SavePolled(ctx, before, store.Found{})
		return p.unrecorded(ctx, name, err)
	}
	seen, asked := p.look(ctx, name, before, pushes, of)
	if ctx.Err() != nil { // nothing that was said now is known to be the registry's word
		return context.Cause(ctx)
	}
	record := context.WithoutCancel(ctx)
	if asked != nil {
		before.TriedAt, before.Err, before.Attempts = now, firstLine(asked), before.Attempts+1
		before.DueAt = now.Add(max(min(every<<min(before.Attempts, 10), time.Hour), every))
		_, err := p.Store.SavePolled(record, before, store.Found{})
		p.Observe(r.Name, "failed", 0)
		p.Log.Debug("an image cannot be asked for", "image", string(name), "error", asked)
		return errors.Join(asked, p.unrecorded(ctx, name, err))
	}
	seen.polled.DueAt = now.Add(every)
	found := store.Found{Pushes: seen.pushes(name, p.Now())}
	if len(found.Pushes) > 0 {
		found.Delivery = store.Delivery{
			Sender: Sender, Event: r.Name, Outcome: store.Stored, About: about(name, found.Pushes),
			Reason: "found by asking " + r.Host + " for its tags: no webhook told of it",
		}
	}
	accepted, err := p.Store.SavePolled(record, seen.polled, found)
	if err != nil {
		return p.unrecorded(ctx, name, err)
	}
	p.Observe(r.Name, "done", len(found.Pushes))
	if len(found.Pushes) > 0 {
		p.Log.Info("found pushes that no webhook told of", "registry", r.Name, "about", found.Delivery.About, "delivery", accepted.ID)
	}
	return nil
}

// unrecorded logs what could not be read or recorded; it is looked at again. Somebody else who was quicker is no error.
func (p *Poller) unrecorded(ctx context.Context, name image.Name, err error) error {
	if err != nil && ctx.Err() == nil && !errors.Is(err, store.ErrLost) {
		p.Log.Error("record the tags of an image", "image", string(name), "error", err)
	}
	return nil
}
