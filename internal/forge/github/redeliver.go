package github

import (
	"context"
	"time"

	gh "github.com/google/go-github/v60/github"
)

// maxSwept bounds how many pages of deliveries one sweep reads. A hundred are on each.
const maxSwept = 50

// Redeliver implements forge.Redeliverer. By a token it is unsupported: the webhooks are a repository's or an organisation's, and only its
// owners may look at their deliveries.
func (f *Forge) Redeliver(ctx context.Context, since time.Time) (int, error) {
	return f.entry.redeliver(ctx, since)
}

// redeliver asks for an App's own webhooks. GitHub keeps deliveries for three days (an Enterprise Server for seven) and never repeats one by
// itself. Attempts of one event share a GUID; an event is asked for again if none of its attempts is OK. The API's own filter for
// failures is not used: it leaves time-outs and refused connections out.
func (a *app) redeliver(ctx context.Context, since time.Time) (int, error) {
	const doing = "look for webhooks that did not arrive"
	type event struct {
		newest  int64 // the delivery to repeat
		arrived bool
	}
	events := map[string]*event{}
	var order []string
	options := &gh.ListCursorOptions{PerPage: pageSize}
	for range maxSwept {
		page, response, err := a.client().Apps.ListHookDeliveries(ctx, options)
		if err != nil {
			return 0, a.translate(doing, err)
		}
		old := false
		for _, d := range page {
			if old = d.GetDeliveredAt().Before(since); old {
				break // newest first
			}
			e := events[d.GetGUID()]
			if e == nil {
				e = &event{newest: d.GetID()}
				events[d.GetGUID()] = e
				order = append(order, d.GetGUID())
			}
			e.arrived = e.arrived || d.GetStatus() == "OK"
		}
		if old || response.Cursor == "" || len(page) == 0 {
			break
		}
		options.Cursor = response.Cursor
	}
	n := 0
	for i := len(order) - 1; i >= 0; i-- { // oldest first, as they happened
		e := events[order[i]]
		if e.arrived {
			continue
		}
		_, _, err := a.client().Apps.RedeliverHookDelivery(ctx, e.newest)
		if err := a.translate("ask for a webhook again", err); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
