package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
)

// Tx collects what is to be written in one transaction. Nothing is written, and no lock is held, before the function that fills it
// has returned; then everything is, in the order of the calls, or nothing.
type Tx struct {
	repo   promotion.RepoKey
	pushes int64     // the number of the last push before the turn; negative outside of one
	began  time.Time // of the turn, by the database's clock; zero outside of one
	steps  []step
	tags   map[tagKey]Tag
	wakes  []promotion.RepoKey
	audits []AuditEntry
	err    error // the first misuse
}

type tagKey struct {
	image image.Name
	tag   string
}

// step writes one thing. It may run more than once, in transactions of which only the last one stands.
type step func(ctx context.Context, s *Store, q *conn) error

// Update writes what fn collects, if the claim is still ours; else it writes nothing and returns ErrLost. A promotion that another
// one stands in the way of gives *DuplicateError.
func (s *Store) Update(ctx context.Context, c *Claim, fn func(tx *Tx) error) error {
	tx := &Tx{repo: c.Repo, pushes: c.pushes, began: c.Started, tags: map[tagKey]Tag{}}
	if err := tx.fill(fn); err != nil {
		return err
	}
	err := s.write(ctx, "write down the turn of "+string(c.Repo), func(ctx context.Context, q *conn) error {
		// Once before, so that a worker that lost its claim long ago does not get as far as a lock.
		var one int
		found, err := q.one(ctx, []any{&one}, `SELECT 1 FROM work WHERE `+held, string(c.Repo), c.Token)
		if err != nil {
			return err
		}
		if !found {
			return ErrLost
		}
		if err := tx.write(ctx, s, q); err != nil {
			return err
		}
		// And once at the end, with the row locked until the commit: nobody takes the repo in between.
		if err := inOrder(ctx, q, c.Repo, tx.wakes, func() error {
			return mustHold(q.exec(ctx, `UPDATE work SET token = token WHERE `+held, string(c.Repo), c.Token))
		}); err != nil {
			return err
		}
		return appendAudit(ctx, q, tx.audits)
	})
	if err == nil && len(tx.wakes) > 0 {
		s.signal()
	}
	return err
}

// Operate writes what fn collects without a claim, for what a person decided: holds, lifted holds, audit. It wakes the repo, so that
// a turn which did not see it yet is followed by one that does. ErrNotFound: the repo is not recorded.
func (s *Store) Operate(ctx context.Context, repo promotion.RepoKey, fn func(tx *Tx) error) error {
	tx := &Tx{repo: repo, pushes: -1, tags: map[tagKey]Tag{}}
	if err := tx.fill(fn); err != nil {
		return err
	}
	err := s.write(ctx, "write for "+string(repo), func(ctx context.Context, q *conn) error {
		var one int
		found, err := q.one(ctx, []any{&one}, `SELECT 1 FROM repos WHERE repo = $1`, string(repo))
		if err != nil {
			return err
		}
		if !found {
			return ErrNotFound
		}
		if err := tx.write(ctx, s, q); err != nil {
			return err
		}
		if err := bump(ctx, q, sortedSet(append(slices.Clone(tx.wakes), repo))); err != nil {
			return err
		}
		return appendAudit(ctx, q, tx.audits)
	})
	if err == nil {
		s.signal()
	}
	return err
}

func (tx *Tx) fill(fn func(tx *Tx) error) error {
	if err := fn(tx); err != nil {
		return err
	}
	return tx.err
}

// write writes everything but work and audit, which come last, in this order, on every path.
func (tx *Tx) write(ctx context.Context, s *Store, q *conn) error {
	for _, step := range tx.steps {
		if err := step(ctx, s, q); err != nil {
			return err
		}
	}
	return saveTags(ctx, q, tx.tags)
}

func (tx *Tx) add(step step) { tx.steps = append(tx.steps, step) }

// own notes a write for another repo than the one of the transaction: nothing would keep it apart from that repo's own turn.
func (tx *Tx) own(repo promotion.RepoKey, what string) bool {
	if repo == tx.repo {
		return true
	}
	if tx.err == nil {
		tx.err = fmt.Errorf("%s of %s in a transaction of %s", what, repo, tx.repo)
	}
	return false
}

// Wake says that there is something new for other repos, or for this one: another turn.
func (tx *Tx) Wake(keys ...promotion.RepoKey) { tx.wakes = append(tx.wakes, keys...) }

// Audit appends to the audit trail.
func (tx *Tx) Audit(e AuditEntry) { tx.audits = append(tx.audits, e) }

// SaveTag records what a tag is now, as its registry says. Where reading failed (Err is set) the digest that is known stays.
func (tx *Tx) SaveTag(t Tag) { tx.tags[tagKey{t.Image, t.Tag}] = t }

// SaveRepo records the repo with its environments. An empty State leaves the state as it is.
func (tx *Tx) SaveRepo(r Repo) {
	if !tx.own(r.Key, "repo") {
		return
	}
	r.Environments = slices.Clone(r.Environments)
	tx.add(func(ctx context.Context, _ *Store, q *conn) error { return saveRepo(ctx, q, r) })
}

// SaveListings replaces what is known of the images that the repo's kustomizations set. When an image was first listed in an
// environment is kept. The repo is woken where an image is new to it and was pushed since the turn began, because that push could not
// know that it concerns this repo.
func (tx *Tx) SaveListings(repo promotion.RepoKey, listings []promotion.Listing) {
	if !tx.own(repo, "listings") {
		return
	}
	listings = slices.Clone(listings)
	tx.add(func(ctx context.Context, _ *Store, q *conn) error {
		missed, err := saveListings(ctx, q, repo, listings, tx.pushes, tx.began)
		if missed && !slices.Contains(tx.wakes, repo) {
			tx.wakes = append(tx.wakes, repo)
		}
		return err
	})
}

// SavePromotion records a promotion as it is now.
func (tx *Tx) SavePromotion(p promotion.Promotion) {
	if !tx.own(p.Repo, "promotion") {
		return
	}
	tx.add(func(ctx context.Context, s *Store, q *conn) error { return savePromotion(ctx, s, q, p) })
}

// AddRejections records what a person refused. Doing it again changes nothing.
func (tx *Tx) AddRejections(rejections ...promotion.Rejection) {
	rejections = slices.Clone(rejections)
	tx.add(func(ctx context.Context, _ *Store, q *conn) error {
		for _, r := range rejections {
			if _, err := q.exec(ctx, `INSERT INTO rejections (repo, environment, image, digest, promotion, actor, at)
				VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (repo, environment, image, digest, promotion) DO NOTHING`,
				string(tx.repo), r.Environment, string(r.Image), string(r.Digest), r.Promotion, plain(r.Actor, 200), micros(r.At)); err != nil {
				return err
			}
		}
		return nil
	})
}

// LiftRejections takes back the rejections that one promotion brought.
func (tx *Tx) LiftRejections(promotionID string) {
	tx.add(func(ctx context.Context, _ *Store, q *conn) error {
		_, err := q.exec(ctx, `DELETE FROM rejections WHERE repo = $1 AND promotion = $2`, string(tx.repo), promotionID)
		return err
	})
}

// AddHold records a hold. One that is there on the same images stays as it is.
func (tx *Tx) AddHold(h promotion.Hold) {
	images := jsonList(sortedSet(h.Images))
	tx.add(func(ctx context.Context, _ *Store, q *conn) error {
		return addHold(ctx, q, tx.repo, h.Environment, images, plain(h.Reason, 2000), plain(h.Actor, 200), h.At)
	})
}

// LiftHolds lifts the holds on images of an environment; images that a hold names besides stay held. Without images it lifts every
// hold of the environment, and only so one on the whole environment is lifted.
func (tx *Tx) LiftHolds(environment string, images []image.Name) {
	images = slices.Clone(images)
	tx.add(func(ctx context.Context, _ *Store, q *conn) error {
		return liftHolds(ctx, q, tx.repo, environment, images)
	})
}

// SaveRunning records what environments run; those that are not named stay as they are.
func (tx *Tx) SaveRunning(running []promotion.Running) {
	running = slices.Clone(running)
	tx.add(func(ctx context.Context, _ *Store, q *conn) error {
		for _, r := range running {
			images, err := json.Marshal(r.Images)
			if err != nil {
				return fmt.Errorf("what runs in %s: %w", r.Environment, err)
			}
			more, err := json.Marshal(moreOf(r))
			if err != nil {
				return fmt.Errorf("what is known of %s: %w", r.Environment, err)
			}
			if _, err := q.exec(ctx, `INSERT INTO rollouts (repo, environment, sha, state, url, images, more) VALUES ($1, $2, $3, $4, $5, $6, $7)
				ON CONFLICT (repo, environment) DO UPDATE SET sha = excluded.sha, state = excluded.state, url = excluded.url, images = excluded.images,
					more = excluded.more`, string(tx.repo), r.Environment, r.SHA, r.State, r.URL, string(images), string(more)); err != nil {
				return err
			}
		}
		return nil
	})
}

// SaveNotes replaces the notes of the repo.
func (tx *Tx) SaveNotes(repo promotion.RepoKey, notes []promotion.Note) {
	if !tx.own(repo, "notes") {
		return
	}
	notes = slices.Clone(notes)
	tx.add(func(ctx context.Context, _ *Store, q *conn) error {
		if _, err := q.exec(ctx, `DELETE FROM notes WHERE repo = $1`, string(repo)); err != nil {
			return err
		}
		var rows []any
		for i, n := range notes {
			body, err := json.Marshal(n)
			if err != nil {
				return fmt.Errorf("note on %s: %w", n.Image, err)
			}
			rows = append(rows, string(repo), i, n.Environment, string(n.Image), string(body))
		}
		return q.many(ctx, `INSERT INTO notes (repo, place, environment, image, body) VALUES `, `(?, ?, ?, ?, ?)`, ``, rows)
	})
}

// SaveCheck records the digest of what was shown on a commit of a pull request (0: on a commit without one).
func (tx *Tx) SaveCheck(repo promotion.RepoKey, pullRequest int, head, shown string) {
	if !tx.own(repo, "check") {
		return
	}
	tx.add(func(ctx context.Context, _ *Store, q *conn) error {
		_, err := q.exec(ctx, `INSERT INTO checks (repo, pull_request, head, shown, saved_at) VALUES ($1, $2, $3, $4, {now})
			ON CONFLICT (repo, pull_request, head) DO UPDATE SET shown = excluded.shown, saved_at = excluded.saved_at`,
			string(repo), pullRequest, head, shown)
		return err
	})
}

// addHold adds a hold on a sorted list of images, unless there is one.
func addHold(ctx context.Context, q *conn, repo promotion.RepoKey, environment, images, reason, actor string, at time.Time) error {
	key := images
	if len(key) > 1000 {
		sum := sha256.Sum256([]byte(images))
		key = "sha256:" + hex.EncodeToString(sum[:])
	}
	_, err := q.exec(ctx, `INSERT INTO holds (repo, environment, images_key, images, reason, actor, at) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (repo, environment, images_key) DO NOTHING`, string(repo), environment, key, images, reason, actor, micros(at))
	return err
}

func liftHolds(ctx context.Context, q *conn, repo promotion.RepoKey, environment string, images []image.Name) error {
	if len(images) == 0 {
		_, err := q.exec(ctx, `DELETE FROM holds WHERE repo = $1 AND environment = $2`, string(repo), environment)
		return err
	}
	for changed := true; changed; { // what somebody else changed after it was read is looked at again
		changed = false
		var there []promotion.Hold
		if err := q.each(ctx, func(r row) error {
			h := promotion.Hold{Environment: environment}
			if err := scanHold(r, &h); err != nil {
				return err
			}
			there = append(there, h)
			return nil
		}, `SELECT images, reason, actor, at FROM holds WHERE repo = $1 AND environment = $2 ORDER BY images_key`, string(repo), environment); err != nil {
			return err
		}
		for _, h := range there {
			left := slices.DeleteFunc(slices.Clone(h.Images), func(name image.Name) bool { return slices.Contains(images, name) })
			if len(left) == len(h.Images) {
				continue
			}
			n, err := q.exec(ctx, `DELETE FROM holds WHERE repo = $1 AND environment = $2 AND images = $3`, string(repo), environment, jsonList(h.Images))
			if err != nil {
				return err
			}
			if n == 0 {
				changed = true
				continue
			}
			if len(left) > 0 {
				if err := addHold(ctx, q, repo, environment, jsonList(left), h.Reason, h.Actor, h.At); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func scanHold(r row, h *promotion.Hold, before ...any) error {
	var images string
	var at int64
	if err := r.Scan(append(before, &images, &h.Reason, &h.Actor, &at)...); err != nil {
		return err
	}
	h.At = instant(at)
	return readList(images, &h.Images)
}

func savePromotion(ctx context.Context, s *Store, q *conn, p promotion.Promotion) error {
	if p.ID == "" {
		return errors.New("a promotion has no id")
	}
	body, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("promotion %s: %w", p.ID, err)
	}
	live := p.State.Active() || p.State.InRollout() || p.ToClose || p.ToDelete
	ended := int64(0)
	for _, t := range []time.Time{p.EndedAt, p.MergedAt, p.OpenedAt, p.CreatedAt} {
		if ended == 0 && !live {
			ended = micros(t)
		}
	}
	if _, err := q.exec(ctx, `INSERT INTO promotions (repo, id, environment, app, release_id, state, active, live, branch, pull_request, created_at, ended_at, body, waits_until)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
		ON CONFLICT (repo, id) DO UPDATE SET environment = excluded.environment, app = excluded.app, release_id = excluded.release_id,
			state = excluded.state, active = excluded.active, live = excluded.live, branch = excluded.branch,
			pull_request = excluded.pull_request, created_at = excluded.created_at, ended_at = excluded.ended_at, body = excluded.body,
			waits_until = excluded.waits_until`,
		string(p.Repo), p.ID, p.Release.Environment, p.Release.App, p.Release.ID, string(p.State), bit(p.State.Active()), bit(live),
		p.Branch, p.PullRequest, micros(p.CreatedAt), ended, string(body), micros(p.WaitsUntil)); err != nil {
		if s.dialect.duplicate(err) {
			return &DuplicateError{Repo: p.Repo, Promotion: p.ID, Branch: p.Branch}
		}
		return err
	}
	for _, c := range p.Release.Changes {
		if _, err := q.exec(ctx, `INSERT INTO promotion_images (repo, promotion, image, tag, digest) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (repo, promotion, image) DO UPDATE SET tag = excluded.tag, digest = excluded.digest`,
			string(p.Repo), p.ID, string(c.Image), c.Tag, string(c.Digest)); err != nil {
			return err
		}
	}
	return nil
}
