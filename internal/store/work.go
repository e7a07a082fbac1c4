package store

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/boatlift/boatlift/internal/promotion"
)

// Claim is one repo in one worker's hands.
type Claim struct {
	Repo      promotion.RepoKey
	Owner     string
	Token     int64
	Wanted    int64 // the generation that the turn will have done
	Attempts  int   // turns that failed in a row before this one
	LastError string
	Started   time.Time

	pushes int64 // the number of the last push that was there before
}

// Finish is how a turn ended.
type Finish struct {
	WakeAt     time.Time           // when a clock may change something, by Store.Now; zero: no clock does
	Err        string              // why the turn failed, for people; empty: it did not
	RetryAfter time.Duration       // how long a failed turn has to wait at least
	Wake       []promotion.RepoKey // others that have work because of this turn
}

// StuckAfter is the number of failed turns in a row from which work is shown as stuck. It is still tried.
const StuckAfter = 8

// WorkRow is the work of one repo, or of a pseudo key such as discover/github.
type WorkRow struct {
	Repo       promotion.RepoKey
	Pending    bool   // an event waits for its turn, or is in one
	Owner      string // the worker that has it; empty: none
	LeaseUntil time.Time
	StartedAt  time.Time // of the last claim
	Attempts   int
	LastError  string
	WakeAt     time.Time // when a clock makes a turn; zero: none does
	DueAt      time.Time // when it can next be claimed; zero: there is nothing to do
	Stuck      bool
}

// due is the head of the queue: rows that may be claimed now.
const due = `due_at > 0 AND due_at <= {now}`

// Claim takes the repo that has been due longest, for the length of the lease. It returns nil where nothing is due, or where others
// are just about to take all that is. A claim whose holder died is taken over when its lease has expired, and counts as a failed turn.
func (s *Store) Claim(ctx context.Context, owner string, lease time.Duration) (*Claim, error) {
	if owner == "" {
		return nil, errors.New("claim work: the worker has no name")
	}
	if s.dialect.skipLocked != "" {
		return s.claim(ctx, owner, lease)
	}
	for { // with one writer for all, whoever finds nothing must not have been in the way
		waiting := false
		err := s.read(ctx, "look for work", func(ctx context.Context, q *conn) (err error) {
			var one int
			waiting, err = q.one(ctx, []any{&one}, `SELECT 1 FROM work WHERE `+due+` LIMIT 1`)
			return err
		})
		if err != nil || !waiting {
			return nil, err
		}
		c, err := s.claim(ctx, owner, lease)
		if err != nil || c != nil {
			return c, err
		}
	}
}

func (s *Store) claim(ctx context.Context, owner string, lease time.Duration) (c *Claim, err error) {
	err = s.write(ctx, "claim work", func(ctx context.Context, q *conn) error {
		c = nil
		next := Claim{Owner: owner}
		var started int64
		// The predicate stands outside the sub-select again: where two workers found the same row, the second one looks once more.
		found, err := q.one(ctx, []any{&next.Repo, &next.Token, &next.Wanted, &next.Attempts, &next.LastError, &started, &next.pushes},
			`UPDATE work SET token = token + 1, claimed_at = {now}, lease_until = {now} + $2, due_at = {now} + $2,
				attempts = CASE WHEN lease_until > 0 THEN attempts + 1 ELSE attempts END,
				last_error = CASE WHEN lease_until > 0 THEN 'worker ' || owner || ' did not come back' ELSE last_error END,
				owner = $1
			WHERE repo = (SELECT repo FROM work WHERE `+due+` ORDER BY due_at, repo LIMIT 1 {skip locked}) AND `+due+`
			RETURNING repo, token, wanted, attempts, last_error, claimed_at, (SELECT last FROM counters WHERE name = 'pushes')`, owner, lease.Microseconds())
		if found {
			next.Started = instant(started)
			c = &next
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if c != nil {
		s.signal() // there may be more for another worker
	}
	return c, nil
}

// held is the condition by which every write of a turn demands its claim.
const held = `repo = $1 AND token = $2 AND lease_until > 0`

// Renew extends a claim's lease, counted from now. ErrLost: the claim is no longer ours, and the turn has to stop.
func (s *Store) Renew(ctx context.Context, c *Claim, lease time.Duration) error {
	return s.change(ctx, "renew the claim on "+string(c.Repo),
		`UPDATE work SET lease_until = {now} + $3, due_at = {now} + $3 WHERE `+held, string(c.Repo), c.Token, lease.Microseconds())
}

// Release gives a claim back unfinished, as a server does that stops: the work is due at once and counts no failure.
func (s *Store) Release(ctx context.Context, c *Claim) error {
	return s.change(ctx, "give back "+string(c.Repo), `UPDATE work SET owner = '', lease_until = 0, due_at = {now} WHERE `+held, string(c.Repo), c.Token)
}

// change runs one statement that demands a claim.
func (s *Store) change(ctx context.Context, doing, text string, args ...any) error {
	err := s.write(ctx, doing, func(ctx context.Context, q *conn) error { return mustHold(q.exec(ctx, text, args...)) })
	if err == nil {
		s.signal()
	}
	return err
}

func mustHold(n int64, err error) error {
	if err == nil && n == 0 {
		return ErrLost
	}
	return err
}

// Finish ends a turn. Of a turn that did not fail the claimed generation is done: an event that came meanwhile makes another turn
// at once. One that failed is tried again after a back-off that doubles up to ten minutes, or after RetryAfter if that is longer.
func (s *Store) Finish(ctx context.Context, c *Claim, f Finish) error {
	wait := f.RetryAfter
	if f.Err != "" {
		wait = max(wait, backoff(c.Attempts, s.random()))
	}
	err := s.write(ctx, "finish the turn of "+string(c.Repo), func(ctx context.Context, q *conn) error {
		return inOrder(ctx, q, c.Repo, f.Wake, func() error {
			if f.Err != "" {
				return mustHold(q.exec(ctx, `UPDATE work SET owner = '', lease_until = 0, attempts = attempts + 1, last_error = $4,
						wake_at = {now} + $3, not_before = {now} + $3, due_at = {now} + $3 WHERE `+held,
					string(c.Repo), c.Token, wait.Microseconds(), plain(f.Err, 2000)))
			}
			return mustHold(q.exec(ctx, `UPDATE work SET owner = '', lease_until = 0, attempts = 0, last_error = '', not_before = 0,
					done = $3, wake_at = $4, due_at = CASE WHEN wanted > $3 THEN {now} ELSE $4 END WHERE `+held,
				string(c.Repo), c.Token, c.Wanted, micros(f.WakeAt)))
		})
	})
	if err == nil {
		s.signal()
	}
	return err
}

// backoff is how long a repo waits after its nth failed turn in a row, n counted from 0: 2 s, doubled up to ten minutes, of which
// a random part of up to a half is taken away so that what failed together does not come back together.
func backoff(n int, random float64) time.Duration {
	const most = 10 * time.Minute
	wait := most
	if n < 9 {
		wait = 2 * time.Second << n
	}
	return wait - time.Duration(random*float64(wait)/2)
}

// Wake says that there is something new for repos, or for pseudo keys such as discover/github.
func (s *Store) Wake(ctx context.Context, keys ...promotion.RepoKey) error {
	return s.wake(ctx, bump, keys)
}

// Retry wakes like Wake, and ends a back-off.
func (s *Store) Retry(ctx context.Context, keys ...promotion.RepoKey) error {
	return s.wake(ctx, func(ctx context.Context, q *conn, keys []promotion.RepoKey) error {
		for _, key := range keys {
			if _, err := q.exec(ctx, `UPDATE work SET not_before = 0, due_at = CASE WHEN lease_until > 0 THEN due_at ELSE {now} END WHERE repo = $1`,
				string(key)); err != nil {
				return err
			}
			if err := bump(ctx, q, []promotion.RepoKey{key}); err != nil {
				return err
			}
		}
		return nil
	}, keys)
}

func (s *Store) wake(ctx context.Context, how func(context.Context, *conn, []promotion.RepoKey) error, keys []promotion.RepoKey) error {
	if len(keys) == 0 {
		return nil
	}
	keys = sortedSet(keys)
	err := s.write(ctx, "wake repos", func(ctx context.Context, q *conn) error { return how(ctx, q, keys) })
	if err == nil {
		s.signal()
	}
	return err
}

// bump makes work. The keys have to be sorted, and each there once. A row in a worker's hands keeps its time: the finish looks at wanted, and the expiry
// of the lease comes anyway. One that waits its turn already keeps its place; one that backs off, its pause.
func bump(ctx context.Context, q *conn, keys []promotion.RepoKey) error {
	return q.many(ctx, `INSERT INTO work (repo, wanted, done, wake_at, owner, lease_until, token, claimed_at, attempts, last_error, not_before, due_at) VALUES `,
		`(?, 1, 0, 0, '', 0, 0, 0, 0, '', 0, {now})`,
		` ON CONFLICT (repo) DO UPDATE SET wanted = work.wanted + 1, due_at = CASE
			WHEN work.lease_until > 0 THEN work.due_at
			WHEN work.due_at > 0 AND work.due_at <= {now} THEN work.due_at
			WHEN work.not_before > {now} THEN work.not_before
			ELSE {now} END`, anys(keys))
}

// inOrder bumps others and writes a row of work of one's own, all in the order of their keys.
func inOrder(ctx context.Context, q *conn, own promotion.RepoKey, others []promotion.RepoKey, write func() error) error {
	others = sortedSet(others)
	at, _ := slices.BinarySearch(others, own)
	if err := bump(ctx, q, others[:at]); err != nil {
		return err
	}
	if at < len(others) && others[at] == own {
		if err := bump(ctx, q, others[at:at+1]); err != nil {
			return err
		}
		at++
	}
	if err := write(); err != nil {
		return err
	}
	return bump(ctx, q, others[at:])
}

// NextDue tells when the next work can be claimed, by Store.Now; that moment may have passed. The expiry of a lease counts.
func (s *Store) NextDue(ctx context.Context) (at time.Time, found bool, err error) {
	err = s.read(ctx, "look for work", func(ctx context.Context, q *conn) error {
		var dueAt, now int64
		asked := s.local()
		found, err = q.one(ctx, []any{&dueAt, &now}, `SELECT due_at, {now} FROM work WHERE due_at > 0 ORDER BY due_at LIMIT 1`)
		if found {
			s.heard(asked, now)
			at = s.Now().Add(time.Duration(dueAt-now) * time.Microsecond)
		}
		return err
	})
	return at, found, err
}

// Work lists all work, sorted by key.
func (s *Store) Work(ctx context.Context) (list []WorkRow, err error) {
	err = s.read(ctx, "list work", func(ctx context.Context, q *conn) error {
		list = nil
		return q.each(ctx, func(r row) error {
			var w WorkRow
			var wanted, done, lease, claimed, wake, due int64
			if err := r.Scan(&w.Repo, &wanted, &done, &w.Owner, &lease, &claimed, &w.Attempts, &w.LastError, &wake, &due); err != nil {
				return err
			}
			w.Pending, w.Stuck = wanted > done, w.Attempts >= StuckAfter
			w.LeaseUntil, w.StartedAt, w.WakeAt, w.DueAt = instant(lease), instant(claimed), instant(wake), instant(due)
			list = append(list, w)
			return nil
		}, `SELECT repo, wanted, done, owner, lease_until, claimed_at, attempts, last_error, wake_at, due_at FROM work ORDER BY repo`)
	})
	return list, err
}
