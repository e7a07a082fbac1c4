package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/boatlift/boatlift/internal/promotion"
)

// inbox gathers deliveries that come while a transaction is being written, for the next one.
type inbox struct {
	lead chan struct{} // held by the one who writes

	mu    sync.Mutex
	queue []*arrival
}

func newInbox() *inbox { return &inbox{lead: make(chan struct{}, 1)} }

// arrival is a delivery on its way in.
type arrival struct {
	delivery Delivery
	images   string // as stored
	repos    string
	subjects []string
	pushes   []Push
	wake     []promotion.RepoKey

	answer Accepted
	err    error
	done   chan struct{} // closed when answer and err are there
}

const (
	batchMost    = 256              // deliveries in one transaction
	batchTimeout = 20 * time.Second // longer than the engine waits for a lock
	refusedMost  = 1000             // refused deliveries that are kept for each sender
)

// Accept stores a delivery with its pushes and the work they make, in one transaction, and returns when it is durable. Work is made
// for the repos in wake and for every active repo that lists a pushed image. A delivery that was stored before is Known, and changes
// nothing; so is one that is ignored or refused once more. Whether it was stored is unknown only where ctx ends first.
func (s *Store) Accept(ctx context.Context, d Delivery, pushes []Push, wake []promotion.RepoKey) (Accepted, error) {
	a, err := newArrival(d, pushes, wake)
	if err != nil {
		return Accepted{}, fmt.Errorf("store delivery: %w", err)
	}
	s.inbox.mu.Lock()
	s.inbox.queue = append(s.inbox.queue, a)
	s.inbox.mu.Unlock()
	for {
		select {
		case <-a.done:
			return a.answer, a.err
		case s.inbox.lead <- struct{}{}:
			// The batch is not this caller's alone, so it does not end with this caller's context.
			lead, cancel := context.WithTimeout(context.WithoutCancel(ctx), batchTimeout)
			s.acceptBatch(lead, s.inbox.next())
			cancel()
			<-s.inbox.lead
		case <-ctx.Done():
			s.inbox.forget(a)
			return Accepted{}, fmt.Errorf("store delivery: %w", context.Cause(ctx))
		}
	}
}

// next takes the batch that is to be written.
func (in *inbox) next() []*arrival {
	in.mu.Lock()
	defer in.mu.Unlock()
	n := min(len(in.queue), batchMost)
	batch := slices.Clone(in.queue[:n])
	in.queue = slices.Delete(in.queue, 0, n)
	return batch
}

// forget takes out an arrival whose caller has gone. One that is being written stays there.
func (in *inbox) forget(a *arrival) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.queue = slices.DeleteFunc(in.queue, func(other *arrival) bool { return other == a })
}

// newArrival makes everything of a delivery that needs no database, outside the transaction.
func newArrival(d Delivery, pushes []Push, wake []promotion.RepoKey) (*arrival, error) {
	if d.Sender == "" {
		return nil, errors.New("it has no sender")
	}
	switch d.Outcome {
	case Stored, Ignored, Duplicate, Refused:
	default:
		return nil, errors.New("it has no outcome")
	}
	a := &arrival{delivery: d, pushes: slices.Clone(pushes), wake: slices.Clone(wake), done: make(chan struct{})}
	a.delivery.Sender = plain(d.Sender, 200)
	a.delivery.DeliveryID = shortID(d.DeliveryID)
	a.delivery.Event = plain(d.Event, 200)
	a.delivery.Reason = plain(d.Reason, 2000)
	a.delivery.About = plain(d.About, 500)
	images := slices.Clone(d.Images)
	for i := range images {
		images[i] = plain(images[i], 300)
	}
	for i := range a.pushes {
		p := &a.pushes[i]
		p.Tag, p.MediaType = plain(p.Tag, 200), plain(p.MediaType, 200)
		images = append(images, plain(string(p.Image), 300))
	}
	images = sortedSet(images)
	repos := sortedSet(d.Repos)
	a.images, a.repos = jsonList(images), jsonList(repos)
	a.subjects = images
	for _, key := range repos {
		a.subjects = append(a.subjects, plain(string(key), 300))
	}
	a.subjects = sortedSet(a.subjects)
	return a, nil
}

// shortID keeps a sender's id as it is unless no sensible sender would write it.
func shortID(id string) string {
	if short := plain(id, 200); short == id {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// acceptBatch writes a batch and answers everyone in it. Where the batch as a whole fails for a reason that may be one delivery's,
// each is written alone.
func (s *Store) acceptBatch(ctx context.Context, batch []*arrival) {
	if len(batch) == 0 {
		return
	}
	err := s.write(ctx, "store deliveries", func(ctx context.Context, q *conn) error { return insertArrivals(ctx, q, batch) })
	if _, unavailable := errors.AsType[*UnavailableError](err); err != nil && !unavailable && len(batch) > 1 && ctx.Err() == nil {
		for _, a := range batch {
			s.acceptBatch(ctx, []*arrival{a})
		}
		return
	}
	woken := false
	for _, a := range batch {
		if err != nil {
			a.answer, a.err = Accepted{}, err
		}
		woken = woken || len(a.answer.Woken) > 0
		close(a.done)
	}
	if woken {
		s.signal()
	}
}

// insertArrivals writes a batch. The rows of the counters are locked first and until the commit, so that one batch at a time is written,
// of all replicas: what a batch finds not to be there nobody else can put there.
func insertArrivals(ctx context.Context, q *conn, batch []*arrival) error {
	in := insertion{bumps: map[promotion.RepoKey]bool{}, listing: map[string][]promotion.RepoKey{}, refused: map[string]bool{}}
	if _, err := q.one(ctx, []any{&in.delivery, &in.now}, `UPDATE counters SET last = last WHERE name = 'deliveries' RETURNING last, {now}`); err != nil {
		return err
	}
	pushes := slices.ContainsFunc(batch, func(a *arrival) bool { return len(a.pushes) > 0 })
	if pushes {
		if _, err := q.one(ctx, []any{&in.push}, `UPDATE counters SET last = last WHERE name = 'pushes' RETURNING last`); err != nil {
			return err
		}
	}
	for len(batch) > 0 {
		n := withoutRepeats(batch)
		if err := in.insert(ctx, q, batch[:n]); err != nil {
			return err
		}
		batch = batch[n:]
	}
	if _, err := q.exec(ctx, `UPDATE counters SET last = $1 WHERE name = 'deliveries'`, in.delivery); err != nil {
		return err
	}
	if pushes {
		if _, err := q.exec(ctx, `UPDATE counters SET last = $1 WHERE name = 'pushes'`, in.push); err != nil {
			return err
		}
	}
	for _, sender := range sortedKeys(in.refused) {
		// Anyone can make refused deliveries, so their number is bounded.
		if _, err := q.exec(ctx, `DELETE FROM deliveries WHERE sender = $1 AND outcome = 'refused' AND id <= (
				SELECT id FROM deliveries WHERE sender = $1 AND outcome = 'refused' ORDER BY id DESC LIMIT 1 OFFSET $2)`, sender, refusedMost); err != nil {
			return err
		}
	}
	return bump(ctx, q, sortedKeys(in.bumps))
}

// sentID is by what a sender's delivery is known again.
type sentID struct{ sender, id string }

// withoutRepeats is how many of a batch, from its beginning, are different deliveries.
func withoutRepeats(batch []*arrival) int {
	seen := map[sentID]bool{}
	for i, a := range batch {
		key := sentID{a.delivery.Sender, a.delivery.DeliveryID}
		if key.id != "" && seen[key] {
			return i
		}
		seen[key] = true
	}
	return len(batch)
}

// insertion is the writing of one batch.
type insertion struct {
	delivery, push int64 // the last numbers that are taken
	now            int64
	bumps          map[promotion.RepoKey]bool     // the repos that have work
	listing        map[string][]promotion.RepoKey // the repos that list an image, as far as it was looked up
	refused        map[string]bool                // senders of which something was refused
}

// stored is a delivery that is there already.
type stored struct {
	id      int64
	outcome Outcome
}

// makesWay tells whether a delivery with this outcome is replaced when the same one comes again with another outcome. A refused one is,
// as whoever those come from must not be able to keep a true one out by guessing its id. So is one that was ignored and is not any
// more, because the configuration was mended since: that is what people have it sent again for.
func (o Outcome) makesWay(other Outcome) bool {
	return o == Refused && other != Refused || o == Ignored && other == Stored
}

// insert writes deliveries that are different from one another.
func (in *insertion) insert(ctx context.Context, q *conn, batch []*arrival) error {
	known, err := lookUp(ctx, q, batch)
	if err != nil {
		return err
	}
	if err := in.lookUpListings(ctx, q, batch); err != nil {
		return err
	}
	var deliveries, subjects, pushes []any
	for _, a := range batch {
		a.answer = Accepted{}
		d := &a.delivery
		if there, found := known[sentID{d.Sender, d.DeliveryID}]; found {
			if !there.outcome.makesWay(d.Outcome) {
				a.answer = Accepted{ID: there.id, Known: true}
				continue
			}
			if _, err := q.exec(ctx, `DELETE FROM deliveries WHERE id = $1`, there.id); err != nil {
				return err
			}
		}
		received := micros(d.ReceivedAt)
		if received == 0 {
			received = in.now
		}
		var body any
		if d.Body != nil {
			body = d.Body
		}
		in.delivery++
		a.answer.ID = in.delivery
		deliveries = append(deliveries, in.delivery, d.Sender, d.DeliveryID, d.Event, string(d.Outcome), d.Reason, d.About, body, received, a.images, a.repos)
		for _, subject := range a.subjects {
			subjects = append(subjects, subject, in.delivery)
		}
		if d.Outcome == Refused {
			in.refused[d.Sender] = true
			continue
		}
		wake := slices.Clone(a.wake)
		for _, p := range a.pushes {
			at := micros(p.ReceivedAt)
			if at == 0 {
				at = received
			}
			in.push++
			pushes = append(pushes, in.push, string(p.Image), p.Tag, string(p.Digest), p.MediaType, micros(p.PushedAt), at, in.delivery, bit(p.Found))
			wake = append(wake, in.listing[string(p.Image)]...)
		}
		a.answer.Woken = sortedSet(wake)
		for _, key := range a.answer.Woken {
			in.bumps[key] = true
		}
	}
	if err := q.many(ctx, `INSERT INTO deliveries (id, sender, delivery_id, event, outcome, reason, about, body, received_at, images, repos) VALUES `,
		`(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, ``, deliveries); err != nil {
		return err
	}
	if err := q.many(ctx, `INSERT INTO delivery_subjects (subject, delivery) VALUES `, `(?, ?)`, ``, subjects); err != nil {
		return err
	}
	return q.many(ctx, `INSERT INTO pushes (id, image, tag, digest, media_type, pushed_at, received_at, delivery, found) VALUES `,
		`(?, ?, ?, ?, ?, ?, ?, ?, ?)`, ``, pushes)
}

// lookUp finds which of the deliveries are there already.
func lookUp(ctx context.Context, q *conn, batch []*arrival) (known map[sentID]stored, err error) {
	known = map[sentID]stored{}
	var keys []any
	for _, a := range batch {
		if a.delivery.DeliveryID != "" {
			keys = append(keys, a.delivery.Sender, a.delivery.DeliveryID)
		}
	}
	err = q.eachOf(ctx, func(r row) error {
		var key sentID
		var there stored
		if err := r.Scan(&key.sender, &key.id, &there.id, &there.outcome); err != nil {
			return err
		}
		known[key] = there
		return nil
	}, `SELECT sender, delivery_id, id, outcome FROM deliveries WHERE delivery_id <> '' AND (sender, delivery_id) IN (VALUES `, `(?, ?)`, `)`, keys)
	return known, err
}

// lookUpListings finds the active repos that list the pushed images.
func (in *insertion) lookUpListings(ctx context.Context, q *conn, batch []*arrival) error {
	var images []any
	for _, a := range batch {
		for _, p := range a.pushes {
			if _, seen := in.listing[string(p.Image)]; !seen && a.delivery.Outcome != Refused {
				in.listing[string(p.Image)] = nil
				images = append(images, string(p.Image))
			}
		}
	}
	return q.eachOf(ctx, func(r row) error {
		var image string
		var key promotion.RepoKey
		if err := r.Scan(&image, &key); err != nil {
			return err
		}
		in.listing[image] = append(in.listing[image], key)
		return nil
	}, `SELECT DISTINCT listings.image, listings.repo FROM listings JOIN repos ON repos.repo = listings.repo
		WHERE repos.state = 'active' AND listings.image IN (`, `?`, `)`, images)
}

// reposListing finds the active repos that list an image.
func reposListing(ctx context.Context, q *conn, image string) (keys []promotion.RepoKey, err error) {
	err = q.each(ctx, func(r row) error {
		var key promotion.RepoKey
		if err := r.Scan(&key); err != nil {
			return err
		}
		keys = append(keys, key)
		return nil
	}, `SELECT DISTINCT listings.repo FROM listings JOIN repos ON repos.repo = listings.repo
		WHERE listings.image = $1 AND repos.state = 'active' ORDER BY listings.repo`, image)
	return keys, err
}

func sortedSet[T ~string](in []T) []T {
	out := slices.Clone(in)
	slices.Sort(out)
	return slices.Compact(out)
}

func sortedKeys[K ~string, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// jsonList writes strings as a JSON array; strings always can be.
func jsonList[T ~string](list []T) string {
	if len(list) == 0 {
		return "[]"
	}
	text, err := json.Marshal(list)
	if err != nil {
		return "[]"
	}
	return string(text)
}
