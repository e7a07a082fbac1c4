package dashboard

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"

	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/store"
)

// HoldRequest asks to keep apps of an environment where they are, or to let them go again.
type HoldRequest struct {
	Environment string   `json:"environment"` // acme/infra-production:production
	Images      []string `json:"images,omitempty"`
	Reason      string   `json:"reason,omitempty"` // needed for a hold: people read it in pull requests
	Actor       string   `json:"actor"`            // who says so, on the socket; a token's own name goes before it
}

// HoldAnswer tells what was done.
type HoldAnswer struct {
	Done string `json:"done"`
}

// change is a request that is understood.
type change struct {
	HoldRequest
	role   string
	place  place
	images []image.Name // sorted; empty: the whole environment
	holds  []promotion.Hold
}

// what names what the change is about.
func (c change) what() string { return what(c.images, c.place) }

func what(images []image.Name, p place) string {
	if len(images) == 0 {
		return p.String()
	}
	return names(images) + " in " + p.String()
}

func be(images []image.Name) string {
	if len(images) > 1 {
		return " are"
	}
	return " is"
}

func (a *API) hold(r *http.Request) (any, error) {
	c, err := a.understand(r)
	if err != nil {
		return nil, err
	}
	if c.Reason == "" {
		return nil, &Problem{Message: "a hold needs a reason", Fix: "people read it in the pull requests that wait for it", Status: http.StatusBadRequest}
	}
	var replaced bool
	for _, h := range c.holds {
		if !slices.Equal(h.Images, c.images) {
			continue
		}
		if h.Reason != promotion.LostReason {
			return HoldAnswer{Done: c.what() + be(c.images) + " on hold already, since " + moment(h.At) + " by " + orSomebody(h.Actor) + ": " + h.Reason}, nil
		}
		replaced = true // what a person holds outlives boatlift resume
	}
	err = a.write(r.Context(), c, "held", func(tx *store.Tx) {
		if replaced {
			tx.LiftHolds(c.place.name, nil)
			for _, h := range c.holds {
				if !slices.Equal(h.Images, c.images) {
					tx.AddHold(h)
				}
			}
		}
		tx.AddHold(promotion.Hold{Environment: c.place.name, Images: c.images, Reason: c.Reason, Actor: c.Actor, At: a.now()})
	})
	if err != nil {
		return nil, err
	}
	return HoldAnswer{Done: c.what() + be(c.images) + " on hold until somebody runs boatlift lift"}, nil
}

func (a *API) lift(r *http.Request) (any, error) {
	c, err := a.understand(r)
	if err != nil {
		return nil, err
	}
	held := slices.ContainsFunc(c.holds, func(h promotion.Hold) bool { return len(h.Images) == 0 })
	if len(c.holds) == 0 {
		return nil, &Problem{Message: "nothing is on hold in " + c.place.String(), Status: http.StatusNotFound}
	}
	lifted := c.images
	if len(lifted) > 0 {
		lifted = slices.DeleteFunc(slices.Clone(lifted), func(name image.Name) bool {
			return !slices.ContainsFunc(c.holds, func(h promotion.Hold) bool { return slices.Contains(h.Images, name) })
		})
		switch {
		case len(lifted) == 0 && held:
			return nil, &Problem{Message: c.place.String() + " is on hold as a whole", Fix: "lift that with boatlift lift " + c.place.String(), Status: http.StatusConflict}
		case len(lifted) == 0:
			return nil, &Problem{Message: c.what() + be(c.images) + " not on hold", Fix: "boatlift status names what is", Status: http.StatusNotFound}
		}
	}
	err = a.write(r.Context(), c, "lifted hold", func(tx *store.Tx) { tx.LiftHolds(c.place.name, lifted) })
	if err != nil {
		return nil, err
	}
	done := what(lifted, c.place) + " may move again"
	if len(lifted) > 0 && held {
		done = "the hold on " + what(lifted, c.place) + " is lifted, but the environment is on hold as a whole: boatlift lift " + c.place.String()
	}
	return HoldAnswer{Done: done}, nil
}

// understand reads a request to hold or to lift. Images may be named as an environment lists them or, so that no hold outlives the last
// listing of its image, as a hold does.
func (a *API) understand(r *http.Request) (c change, err error) {
	if err := decode(r, &c.HoldRequest); err != nil {
		return c, err
	}
	c.role = role(r)
	if c.Actor = actor(r, c.Actor); c.Actor == "" {
		return c, errNobody()
	}
	if c.place, err = a.environment(r.Context(), c.Environment); err != nil {
		return c, err
	}
	memory, err := a.Store.Memory(r.Context(), c.place.repo.Key)
	if err != nil {
		return c, err
	}
	known := imagesOf(memory.Listings, c.place.name)
	for _, h := range memory.Holds {
		if h.Environment == c.place.name {
			c.holds = append(c.holds, h)
			known = append(known, h.Images...)
		}
	}
	slices.Sort(known)
	known = slices.Compact(known)
	for _, text := range c.Images {
		switch matched := matchImages(text, known); len(matched) {
		case 1:
			c.images = append(c.images, matched...)
		case 0:
			p := &Problem{Message: c.place.String() + " does not list " + quote(text), Fix: "it lists " + names(known) + "; name an image without its tag", Status: http.StatusNotFound}
			if len(known) == 0 {
				p.Fix = "it lists no image at all"
			}
			return c, p
		default:
			return c, &Problem{Message: count(len(matched), "image", "images") + " of " + c.place.String() + " end in " + text, Fix: "write one of " + names(matched), Status: http.StatusConflict}
		}
	}
	slices.Sort(c.images)
	c.images = slices.Compact(c.images)
	return c, nil
}

// write changes holds, with an entry in the audit trail that has the request as it was made.
func (a *API) write(ctx context.Context, c change, action string, do func(*store.Tx)) error {
	detail, err := json.Marshal(c.HoldRequest)
	if err != nil {
		return err
	}
	return a.Store.Operate(ctx, c.place.repo.Key, func(tx *store.Tx) error {
		do(tx)
		tx.Audit(store.AuditEntry{Actor: c.Actor, Role: c.role, Action: action, Subject: c.place.String(), Detail: detail})
		return nil
	})
}

// decode reads a request's body; what it does not know, it refuses.
func decode(r *http.Request, into any) error {
	const most = 64 << 10
	dec := json.NewDecoder(http.MaxBytesReader(nil, r.Body, most))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return &Problem{Message: "the request is not understood: " + err.Error(), Status: http.StatusBadRequest}
	}
	return nil
}

func errNobody() error {
	return &Problem{Message: "the request does not say who makes it", Status: http.StatusBadRequest}
}
