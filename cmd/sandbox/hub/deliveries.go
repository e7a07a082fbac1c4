package hub

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"time"
)

const (
	webhookTimeout = 10 * time.Second // GitHub gives a receiver this long
	reorderWait    = 200 * time.Millisecond
	maxAnswerKept  = 4 << 10
)

type webhookTarget struct{ URL, Secret string }

// delivery is one attempt to tell the app of an event; guarded by Hub.mu once queued.
type delivery struct {
	id             int64
	guid           string
	event, action  string
	repoID         int64
	installationID int64
	redelivery     bool
	header         http.Header
	body           []byte
	at             time.Time
	took           time.Duration
	status         string // OK, or why not; empty while it waits
	code           int
	answer         []byte
}

// Delivery is a webhook that was sent, or lost.
type Delivery struct {
	ID            int64
	GUID          string // the same for every attempt of one event
	Event, Action string
	Status        string // OK, or what went wrong; empty while it waits
	Code          int
	Redelivery    bool
	Body          []byte
}

// SetWebhook changes where the app's webhooks go and what signs them, and sends a ping there.
func (h *Hub) SetWebhook(url, secret string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.webhook, h.health = webhookTarget{URL: url, Secret: secret}, hookHealth{pause: h.health.pause}
	h.emitLocked(event{kind: pingEvent, actor: h.bot})
}

// Deliveries returns every webhook so far, oldest first.
func (h *Hub) Deliveries() []Delivery {
	h.mu.Lock()
	defer h.mu.Unlock()
	views := make([]Delivery, 0, len(h.deliveries))
	for _, d := range h.deliveries {
		views = append(views, Delivery{
			ID: d.id, GUID: d.guid, Event: d.event, Action: d.action, Status: d.status, Code: d.code, Redelivery: d.redelivery, Body: slices.Clone(d.body),
		})
	}
	return views
}

// Redeliver sends a delivery once more, under the same GUID.
func (h *Hub) Redeliver(id int64) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, d := range h.deliveries {
		if d.id == id {
			h.redeliverLocked(d)
			return nil
		}
	}
	return missing()
}

func (h *Hub) redeliverLocked(d *delivery) {
	h.pushLocked(&delivery{
		id: h.idLocked(), guid: d.guid, event: d.event, action: d.action, repoID: d.repoID, installationID: d.installationID, redelivery: true, body: d.body,
	})
}

// enqueueLocked puts a new event into the outbox, or into the hands of a fault.
func (h *Hub) enqueueLocked(name string, ev event, body any) {
	if h.webhook.URL == "" && h.opts.OnWebhook == nil {
		return
	}
	raw, err := json.Marshal(body)
	if err != nil {
		h.log.Error("sandbox forge cannot write a webhook", "event", name, "error", err)
		return
	}
	if h.opts.OnWebhook != nil {
		h.opts.OnWebhook(Webhook{Event: name, Body: bytes.Clone(raw)})
	}
	if h.webhook.URL == "" || h.mutedLocked() {
		return
	}
	d := &delivery{id: h.idLocked(), guid: newGUID(), event: name, action: ev.action, body: raw}
	if ev.repo != nil {
		d.repoID = ev.repo.id
	}
	if ev.installation != nil {
		d.installationID = ev.installation.id
	}
	switch fate := h.faults.webhookLocked(); fate {
	case fateLost:
		d.at, d.status, d.code = h.stamp(), "failed to connect to host", http.StatusBadGateway
		h.deliveries = append(h.deliveries, d)
	case fateForgotten:
	case fateLate:
		h.sendLater(d, h.faults.set.WebhookDelay)
	case fateTwice:
		h.pushLocked(d)
		again := *d
		again.id = h.idLocked()
		h.pushLocked(&again)
	default:
		h.pushLocked(d)
	}
}

func (h *Hub) pushLocked(d *delivery) {
	h.busy.add()
	h.outbox = append(h.outbox, d)
	h.wake()
}

func (h *Hub) wake() {
	select {
	case h.queue <- struct{}{}:
	default:
	}
}

func (h *Hub) sendLater(d *delivery, delay time.Duration) {
	h.busy.add()
	h.owned.Add(1)
	go func() {
		defer h.owned.Done()
		defer h.busy.done()
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-timer.C:
			h.mu.Lock()
			h.pushLocked(d)
			h.mu.Unlock()
		case <-h.ctx.Done():
		}
	}()
}

// sendAll sends what is in the outbox, one after the other, until the hub closes.
func (h *Hub) sendAll() {
	defer h.owned.Done()
	for {
		d := h.next()
		if d == nil {
			select {
			case <-h.queue:
				continue
			case <-h.ctx.Done():
				return
			}
		}
		h.mu.Lock()
		reorder := h.faults.reorderLocked()
		h.mu.Unlock()
		if reorder {
			if later := h.nextWithin(reorderWait); later != nil {
				h.send(later)
			}
		}
		h.send(d)
	}
}

func (h *Hub) next() *delivery {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.outbox) == 0 || h.ctx.Err() != nil {
		return nil
	}
	d := h.outbox[0]
	h.outbox = h.outbox[1:]
	return d
}

// nextWithin waits a little for another delivery.
func (h *Hub) nextWithin(wait time.Duration) *delivery {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		if d := h.next(); d != nil {
			return d
		}
		select {
		case <-h.queue:
		case <-timer.C:
			return nil
		case <-h.ctx.Done():
			return nil
		}
	}
}

// send makes one attempt and records what came of it. Nothing is ever sent again by itself, as on GitHub.
func (h *Hub) send(d *delivery) {
	defer h.busy.done()
	h.mu.Lock()
	target := h.webhook
	d.at = h.stamp()
	d.header = h.face.webhookHeader(d, target.Secret)
	header, body := d.header.Clone(), d.body
	h.deliveries = append(h.deliveries, d)
	h.mu.Unlock()

	begun := time.Now()
	code, answer, err := h.post(target.URL, header, body)
	h.mu.Lock()
	defer h.mu.Unlock()
	d.took, d.code, d.answer = time.Since(begun), code, answer
	h.health.wentLocked(err == nil && code < 300, h.now())
	switch {
	case errors.Is(err, context.DeadlineExceeded) || os.IsTimeout(err):
		d.status, d.code = "timed out", http.StatusGatewayTimeout
	case err != nil:
		d.status, d.code = "failed to connect to host", http.StatusBadGateway
	case code >= 200 && code < 300:
		d.status = "OK"
	default:
		d.status = fmt.Sprintf("Invalid HTTP Response: %d", code)
	}
}

func (h *Hub) post(url string, header http.Header, body []byte) (int, []byte, error) {
	ctx, cancel := context.WithTimeout(h.ctx, webhookTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header = header
	res, err := h.hooks.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer discard(res.Body)
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswerKept))
	return res.StatusCode, answer, err
}

// sign is GitHub's X-Hub-Signature-256 of a body.
func sign(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// newGUID is a random UUID.
func newGUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
