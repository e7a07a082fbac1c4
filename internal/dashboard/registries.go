package dashboard

import (
	"cmp"
	"context"
	"strconv"
	"time"

	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/store"
)

// Polling is a registry of boatlift.yaml as far as asking it goes.
type Polling struct {
	Name  string
	Host  string
	Every time.Duration // 0: it is not polled
}

// Registry is how it stands with a registry that can be asked for tags.
type Registry struct {
	Name    string    `json:"name"`
	Host    string    `json:"host"`
	Poll    string    `json:"poll"`              // how often, or off
	Images  int       `json:"images"`            // that environments run, of this registry
	Failing int       `json:"failing"`           // of them, which could not be asked for the last time
	Oldest  time.Time `json:"oldest,omitzero"`   // when the image that waits longest was last asked for; zero: one was never
	Until   time.Time `json:"until,omitzero"`    // until when the registry is left alone
	Reason  string    `json:"reason,omitempty"`  // why it is left alone, or why the first failing image cannot be asked for
	Asking  string    `json:"asking,omitempty"`  // which replica asks it just now
	Example string    `json:"example,omitempty"` // the first failing image
}

// registries tells how it stands with them, in the order of boatlift.yaml.
func (a *API) registries(ctx context.Context) ([]Registry, error) {
	list := []Registry{}
	if len(a.Polls) == 0 {
		return list, nil
	}
	rows, err := a.Store.Polls(ctx)
	if err != nil {
		return list, err
	}
	due, err := a.Store.PollsDue(ctx)
	if err != nil {
		return list, err
	}
	for _, p := range a.Polls {
		r := Registry{Name: p.Name, Host: p.Host, Poll: "off"}
		if p.Every > 0 {
			r.Poll = Span(p.Every)
		}
		var oldest []time.Time
		for _, d := range due {
			if d.Image.Host() != p.Host {
				continue
			}
			r.Images++
			oldest = append(oldest, d.PolledAt)
			if d.Err != "" && p.Every > 0 {
				if r.Failing++; r.Failing == 1 {
					r.Example, r.Reason = string(d.Image), d.Err
				}
			}
		}
		for i, at := range oldest {
			if i == 0 || at.Before(r.Oldest) {
				r.Oldest = at
			}
		}
		row := rows[p.Name]
		r.Asking = row.Owner
		if !row.Until.IsZero() && p.Every > 0 {
			r.Until, r.Reason = row.Until, cmp.Or(row.Reason, r.Reason)
		}
		list = append(list, r)
	}
	return list, nil
}

// sayPushed tells how a push came to be known.
func (a *API) sayPushed(ctx context.Context, e *Explanation, name image.Name, p store.Push) error {
	say := "was pushed"
	deliveries, err := a.Store.Deliveries(ctx, store.DeliveryFilter{Before: p.Delivery + 1, Limit: 1})
	if err != nil {
		return err
	}
	if len(deliveries) == 1 && deliveries[0].ID == p.Delivery {
		switch deliveries[0].Sender {
		case pollSender:
			say = "was found in its registry, and no webhook had told of it"
		case syncSender:
			say = "was brought in: " + deliveries[0].Reason
		}
	}
	e.say(p.ReceivedAt, "", string(name)+":"+p.Tag+" "+say+" (delivery "+strconv.FormatInt(p.Delivery, 10)+")", "")
	return nil
}

// Those in whose names package polling records what it found.
const (
	pollSender = "poll"
	syncSender = "sync"
)

// sayPolled tells how it stands with asking an image's registry for its tags.
func (a *API) sayPolled(ctx context.Context, e *Explanation, name image.Name) error {
	for _, p := range a.Polls {
		if p.Host != name.Host() || p.Every == 0 {
			continue
		}
		rows, err := a.Store.Polls(ctx)
		if err != nil {
			return err
		}
		due, err := a.Store.PollsDue(ctx)
		if err != nil {
			return err
		}
		if row := rows[p.Name]; !row.Until.IsZero() && row.Reason != "" {
			e.add(Sentence{Until: row.Until, Say: "its registry is left alone for a while: " + row.Reason, Hint: "it is asked again by itself"})
		}
		for _, d := range due {
			switch {
			case d.Image != name:
			case d.Err != "":
				e.add(Sentence{
					Until: d.At, Say: "its registry could not be asked for its tags: " + d.Err,
					Hint: "it is asked again by itself; check its credentials if this lasts",
				})
			case !d.PolledAt.IsZero():
				e.say(d.PolledAt, "", "its registry was last asked for its tags, as it is every "+Span(p.Every), "")
			}
		}
		return nil
	}
	return nil
}
