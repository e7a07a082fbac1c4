package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/boatlift/boatlift/internal/image"
)

// PollClaim is one registry in the hands of the replica that asks it for tags.
type PollClaim struct {
	Registry string
	Attempts int // rounds that failed in a row before this one
	token    int64
}

// PollEnd is how a round of questions to a registry ended.
type PollEnd struct {
	Failed bool          // the registry cannot be asked: it is left alone for a back-off that doubles up to ten minutes
	Rest   time.Duration // how long to leave it alone at least
	Reason string        // why it is left alone, for people; empty: it is not
}

// PollRow is how it stands with a registry.
type PollRow struct {
	Registry string
	Owner    string    // the replica that asks it just now; empty: none
	Until    time.Time // until when it is left alone; zero: it is not
	Attempts int       // rounds that failed in a row
	Reason   string    // why it is left alone, or was last
}

// ClaimPoll takes a registry for the length of the lease. It returns nil where another replica has it, or where it is left alone, and
// then when that may be over.
func (s *Store) ClaimPoll(ctx context.Context, registry, owner string, lease time.Duration) (c *PollClaim, until time.Time, err error) {
	if registry == "" || owner == "" {
		return nil, time.Time{}, errors.New("claim a registry: it, or who polls it, has no name")
	}
	err = s.write(ctx, "claim registry "+registry, func(ctx context.Context, q *conn) error {
		c, until = nil, time.Time{}
		next := PollClaim{Registry: registry}
		found, err := q.one(ctx, []any{&next.token, &next.Attempts}, `INSERT INTO polls (registry, owner, lease_until, token, not_before, attempts, reason)
			VALUES ($1, $2, {now} + $3, 1, 0, 0, '')
			ON CONFLICT (registry) DO UPDATE SET owner = excluded.owner, lease_until = excluded.lease_until, token = polls.token + 1
			WHERE polls.lease_until <= {now} AND polls.not_before <= {now}
			RETURNING token, attempts`, registry, owner, lease.Microseconds())
		if err != nil {
			return err
		}
		if found {
			c = &next
			return nil
		}
		var leased, rests int64
		_, err = q.one(ctx, []any{&leased, &rests}, `SELECT lease_until, not_before FROM polls WHERE registry = $1`, registry)
		until = instant(max(leased, rests))
		return err
	})
	return c, until, err
}

const pollHeld = `registry = $1 AND token = $2 AND lease_until > 0`

// RenewPoll extends a claim's lease. ErrLost: another replica has the registry.
func (s *Store) RenewPoll(ctx context.Context, c *PollClaim, lease time.Duration) error {
	return s.write(ctx, "renew the claim on registry "+c.Registry, func(ctx context.Context, q *conn) error {
		return mustHold(q.exec(ctx, `UPDATE polls SET lease_until = {now} + $3 WHERE `+pollHeld, c.Registry, c.token, lease.Microseconds()))
	})
}

// FinishPoll gives a registry back.
func (s *Store) FinishPoll(ctx context.Context, c *PollClaim, end PollEnd) error {
	rest, attempts := end.Rest, 0
	if end.Failed {
		rest, attempts = max(rest, backoff(c.Attempts, s.random())), c.Attempts+1
	}
	return s.write(ctx, "finish asking registry "+c.Registry, func(ctx context.Context, q *conn) error {
		return mustHold(q.exec(ctx, `UPDATE polls SET owner = '', lease_until = 0, attempts = $4, reason = $5,
				not_before = CASE WHEN CAST($3 AS BIGINT) = 0 THEN 0 ELSE {now} + CAST($3 AS BIGINT) END WHERE `+pollHeld,
			c.Registry, c.token, rest.Microseconds(), attempts, plain(end.Reason, 1000)))
	})
}

// Polls tells how it stands with all registries that were ever asked for tags, by name.
func (s *Store) Polls(ctx context.Context) (rows map[string]PollRow, err error) {
	err = s.read(ctx, "read how registries are polled", func(ctx context.Context, q *conn) error {
		rows = map[string]PollRow{}
		return q.each(ctx, func(r row) error {
			var p PollRow
			var until int64
			if err := r.Scan(&p.Registry, &p.Owner, &until, &p.Attempts, &p.Reason); err != nil {
				return err
			}
			p.Until = instant(until)
			rows[p.Registry] = p
			return nil
		}, `SELECT registry, CASE WHEN lease_until > {now} THEN owner ELSE '' END, CASE WHEN not_before > {now} THEN not_before ELSE 0 END, attempts, reason FROM polls`)
	})
	return rows, err
}

// Polled is what a registry said last of an image's tags.
type Polled struct {
	Image    image.Name
	At       time.Time // when it last said it; zero: never, and so everything that it has is there from before
	TriedAt  time.Time // when it was last asked
	DueAt    time.Time // when it is asked next
	Mark     string    // what tells the registry which answer is known
	Tags     []string
	Digests  map[string]image.Digest // of the tags that matter
	Pushes   int64                   // the number of the last push that was there when it was asked
	Attempts int                     // questions in a row that failed
	Err      string                  // why the last question failed; the rest is then from the one before

	version int64 // of the row; 0: there is none
}

// Polled gives what is known of images, by name, and the number of the last push of all. What was never asked is missing.
func (s *Store) Polled(ctx context.Context, images []image.Name) (polled map[image.Name]Polled, pushes int64, err error) {
	err = s.read(ctx, "read what registries said of tags", func(ctx context.Context, q *conn) error {
		polled = map[image.Name]Polled{}
		if _, err := q.one(ctx, []any{&pushes}, `SELECT last FROM counters WHERE name = 'pushes'`); err != nil {
			return err
		}
		return q.eachOf(ctx, func(r row) error {
			var p Polled
			var at, tried, due int64
			var tags, digests string
			if err := r.Scan(&p.Image, &p.version, &at, &tried, &due, &p.Pushes, &p.Mark, &tags, &digests, &p.Attempts, &p.Err); err != nil {
				return err
			}
			p.At, p.TriedAt, p.DueAt = instant(at), instant(tried), instant(due)
			if tags != "" {
				p.Tags = strings.Split(tags, "\n")
			}
			if err := json.Unmarshal([]byte(digests), &p.Digests); err != nil {
				return fmt.Errorf("tags of %s: %w", p.Image, err)
			}
			polled[p.Image] = p
			return nil
		}, `SELECT image, version, polled_at, tried_at, due_at, pushes, mark, tags, digests, attempts, error FROM polled WHERE image IN (`, `?`, `)`,
			anys(sortedSet(images)))
	})
	return polled, pushes, err
}

// PollDue is an image that an environment lists, and when to ask for its tags next.
type PollDue struct {
	Image    image.Name
	At       time.Time // zero: it was never asked for, or there is no reason to wait
	PolledAt time.Time // when it was last asked for with success; zero: never
	Attempts int       // questions in a row that failed
	Err      string    // why the last one did
}

// PollsDue lists the images that active repos list, those first that have been due longest.
func (s *Store) PollsDue(ctx context.Context) (list []PollDue, err error) {
	err = s.read(ctx, "list the images that environments run", func(ctx context.Context, q *conn) error {
		list = nil
		return q.each(ctx, func(r row) error {
			var d PollDue
			var at, polled int64
			err := r.Scan(&d.Image, &at, &polled, &d.Attempts, &d.Err)
			d.At, d.PolledAt = instant(at), instant(polled)
			list = append(list, d)
			return err
		}, `SELECT DISTINCT listings.image, COALESCE(polled.due_at, 0), COALESCE(polled.polled_at, 0), COALESCE(polled.attempts, 0), COALESCE(polled.error, '')
			FROM listings JOIN repos ON repos.repo = listings.repo
			LEFT JOIN polled ON polled.image = listings.image WHERE repos.state = 'active' ORDER BY 2, 1`)
	})
	return list, err
}

// Found is what was found at a registry that no webhook told of.
type Found struct {
	Delivery Delivery // in whose name the pushes are recorded
	Pushes   []Push   // none: nothing was found, and no delivery is recorded
	Audit    []AuditEntry
}

// SavePolled records what a registry said, with the pushes that follow from it and the work that they make, in one transaction. p has
// to be what Polled gave, changed. ErrLost: somebody else recorded something newer meanwhile, and nothing was written.
func (s *Store) SavePolled(ctx context.Context, p Polled, found Found) (Accepted, error) {
	digests, err := json.Marshal(p.Digests)
	if err != nil {
		return Accepted{}, fmt.Errorf("tags of %s: %w", p.Image, err)
	}
	if p.Digests == nil {
		digests = []byte("{}")
	}
	var batch []*arrival
	if len(found.Pushes) > 0 {
		pushes := slices.Clone(found.Pushes)
		for i := range pushes {
			pushes[i].Found = true
		}
		a, err := newArrival(found.Delivery, pushes, nil)
		if err != nil {
			return Accepted{}, fmt.Errorf("record what was found of %s: %w", p.Image, err)
		}
		batch = append(batch, a)
	}
	err = s.write(ctx, "record the tags of "+string(p.Image), func(ctx context.Context, q *conn) error {
		n, err := q.exec(ctx, `INSERT INTO polled (image, version, polled_at, tried_at, due_at, pushes, mark, tags, digests, attempts, error)
			VALUES ($1, $2 + 1, $3, $4, $5, $6, $7, $8, $9, $10, $11)
			ON CONFLICT (image) DO UPDATE SET version = excluded.version, polled_at = excluded.polled_at, tried_at = excluded.tried_at,
				due_at = excluded.due_at, pushes = excluded.pushes, mark = excluded.mark, tags = excluded.tags, digests = excluded.digests,
				attempts = excluded.attempts, error = excluded.error
			WHERE polled.version = $2`,
			string(p.Image), p.version, micros(p.At), micros(p.TriedAt), micros(p.DueAt), p.Pushes, plain(p.Mark, 300), strings.Join(p.Tags, "\n"),
			string(digests), p.Attempts, plain(p.Err, 1000))
		if err := mustHold(n, err); err != nil {
			return err
		}
		if len(batch) > 0 {
			if err := insertArrivals(ctx, q, batch); err != nil {
				return err
			}
		}
		return appendAudit(ctx, q, found.Audit)
	})
	if err != nil || len(batch) == 0 {
		return Accepted{}, err
	}
	if len(batch[0].answer.Woken) > 0 {
		s.signal()
	}
	return batch[0].answer, nil
}

// PushesAfter lists the pushes of an image with higher numbers than one, by number.
func (s *Store) PushesAfter(ctx context.Context, name image.Name, number int64) (list []Push, err error) {
	err = s.read(ctx, "list pushes of "+string(name), func(ctx context.Context, q *conn) error {
		list, err = selectPushes(ctx, q, ` WHERE image = $1 AND id > $2 ORDER BY id`, string(name), number)
		return err
	})
	return list, err
}

func selectPushes(ctx context.Context, q *conn, rest string, args ...any) (list []Push, err error) {
	err = q.each(ctx, func(r row) error {
		p, err := scanPush(r)
		list = append(list, p)
		return err
	}, `SELECT id, image, tag, digest, media_type, pushed_at, received_at, delivery, found FROM pushes`+rest, args...)
	return list, err
}

func scanPush(r row) (p Push, err error) {
	var pushed, received, found int64
	err = r.Scan(&p.ID, &p.Image, &p.Tag, &p.Digest, &p.MediaType, &pushed, &received, &p.Delivery, &found)
	p.PushedAt, p.ReceivedAt, p.Found = instant(pushed), instant(received), found > 0
	return p, err
}

// PushedImages tells which of some images any sender has ever told of. What was found by asking does not count.
func (s *Store) PushedImages(ctx context.Context, images []image.Name) (told []image.Name, err error) {
	err = s.read(ctx, "look for pushes", func(ctx context.Context, q *conn) error {
		told = nil
		return q.eachOf(ctx, func(r row) error {
			var name image.Name
			err := r.Scan(&name)
			told = append(told, name)
			return err
		}, `SELECT DISTINCT image FROM pushes WHERE found = 0 AND image IN (`, `?`, `)`, anys(sortedSet(images)))
	})
	slices.Sort(told)
	return told, err
}

// PushOwners are the owners (the first element of a repository's path) at a host of whose images any sender has ever told. What was
// found by asking does not count.
func (s *Store) PushOwners(ctx context.Context, host string) (owners []string, err error) {
	err = s.read(ctx, "look whose images were pushed", func(ctx context.Context, q *conn) error {
		owners = nil
		return q.each(ctx, func(r row) error {
			var name image.Name
			if err := r.Scan(&name); err != nil {
				return err
			}
			owner, _, _ := strings.Cut(name.Repository(), "/")
			owners = append(owners, owner)
			return nil
		}, `SELECT DISTINCT image FROM pushes WHERE found = 0 AND image >= $1 AND image < $2`, host+"/", host+"0") // 0 follows / in byte order
	})
	return sortedSet(owners), err
}
