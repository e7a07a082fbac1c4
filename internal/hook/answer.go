package hook

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strconv"
	"time"

	"github.com/boatlift/boatlift/internal/registry"
	"github.com/boatlift/boatlift/internal/store"
)

// seeThrough is how long proof and store may take together. It outlasts a database that is busy, and no sender waits longer.
const seeThrough = 15 * time.Second

// answer is what a sender reads, if anybody does.
type answer struct {
	Outcome store.Outcome `json:"outcome"`
	ID      int64         `json:"id,omitempty"`
	Reason  string        `json:"reason,omitempty"`
}

func (r *Receiver) store(ctx context.Context, w http.ResponseWriter, e Endpoint, d delivery) {
	accepted, err := r.inbox.Accept(ctx, d.Delivery, d.pushes, d.wake)
	if err != nil {
		r.log.Error("delivery not stored; its sender is asked to try again", "endpoint", e.Name, "error", err)
		r.observe(e.Name, Unavailable)
		unavailable(w, waitOf(err), "the delivery could not be stored")
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
	if d.answer != nil {
		give(w, d.answer)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(a) // the sender may be gone; what counts is stored
}

// give answers a request in the way that its sender asked for.
func give(w http.ResponseWriter, a *registry.Answer) {
	maps.Copy(w.Header(), a.Header)
	w.WriteHeader(a.Status)
	_, _ = w.Write(a.Body) // as above
}

// waitOf is when a sender should try again, by what stands in the way.
func waitOf(err error) time.Duration {
	var after interface{ RetryAfter() time.Duration }
	if errors.As(err, &after) && after.RetryAfter() > 0 {
		return after.RetryAfter()
	}
	return 5 * time.Second
}

// later answers a request of which cannot be told now whether it is proved. Anybody can bring that about.
func (r *Receiver) later(w http.ResponseWriter, e Endpoint, err error) {
	r.observe(e.Name, Unavailable)
	if more, due := r.due("undecided " + e.Name); due {
		r.log.Warn("delivery put off; its sender is asked to try again", "endpoint", e.Name, "error", err, "more", more)
	}
	unavailable(w, waitOf(err), "it cannot be told now who sent this")
}

func unavailable(w http.ResponseWriter, wait time.Duration, reason string) {
	seconds := max(1, (wait+time.Second-1)/time.Second)
	w.Header().Set("Retry-After", strconv.FormatInt(int64(seconds), 10))
	http.Error(w, reason, http.StatusServiceUnavailable)
}

// overloaded answers a request for which there is no room, proved or not.
func (r *Receiver) overloaded(w http.ResponseWriter, e Endpoint, reason string) {
	r.observe(e.Name, Unavailable)
	if more, due := r.due("overloaded " + e.Name); due {
		r.log.Warn("delivery turned away; its sender is asked to try again", "endpoint", e.Name, "reason", reason, "more", more)
	}
	unavailable(w, time.Second, reason)
}

// refuse counts a request that is not proved, and writes it down if it is time for that, so that a stranger can fill neither database
// nor log.
func (r *Receiver) refuse(req *http.Request, e Endpoint, reason string) {
	r.observe(e.Name, store.Refused)
	more, due := r.due("refused " + e.Name)
	if !due {
		return
	}
	r.log.Warn("delivery refused", "endpoint", e.Name, "reason", reason, "more", more)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(req.Context()), seeThrough)
	defer cancel()
	d := store.Delivery{Sender: e.Name, DeliveryID: hubDelivery(req.Header), Outcome: store.Refused, Reason: reason, ReceivedAt: r.now()}
	if _, err := r.inbox.Accept(ctx, d, nil, nil); err != nil {
		r.log.Warn("refusal not written down", "endpoint", e.Name, "error", err)
	}
}

// quiet is how long nothing more is said about what anybody can bring about.
const quiet = 10 * time.Second

// noise is one kind of it.
type noise struct {
	said time.Time // when it was last mentioned
	more int       // how often it has come since
}

// due tells whether to mention something again, and how often it was not mentioned since the last time.
func (r *Receiver) due(kind string) (more int, due bool) {
	now := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.noise[kind]
	if n == nil {
		n = &noise{}
		r.noise[kind] = n
	}
	if since := now.Sub(n.said); !n.said.IsZero() && since >= 0 && since < quiet { // a clock that was set back is no reason for silence
		n.more++
		return 0, false
	}
	more, n.said, n.more = n.more, now, 0
	return more, true
}
