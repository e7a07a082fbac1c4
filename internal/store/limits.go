package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/boatlift/boatlift/internal/promotion"
)

// Limits are how many writes an installation may do at its forge; 0 is no limit.
type Limits struct{ PerMinute, PerHour int }

// On tells whether anything is limited.
func (l Limits) On() bool { return l.PerMinute > 0 || l.PerHour > 0 }

// PullRequestWrites is what a new pull request takes: itself, its labels and its check.
const PullRequestWrites = 3

const (
	batchMostPulls = 8                // for so many pull requests a line is woken at once, as every turn looks at the whole repo
	lineGrace      = 30 * time.Second // whoever does not come back for so long after its time does not keep others waiting
)

// windows are the limits that are on, each with the time over which it counts.
func (l Limits) windows() []window {
	var on []window
	for _, w := range []window{{l.PerMinute, time.Minute.Microseconds()}, {l.PerHour, time.Hour.Microseconds()}} {
		if w.most > 0 {
			on = append(on, w)
		}
	}
	return on
}

// window is a limit on the writes of any stretch of time of one length.
type window struct {
	most   int
	length int64 // microseconds
}

// reserve is what new pull requests leave for all other writes.
func (w window) reserve() int { return max(1, w.most/8) }

// WriteRequest asks for leave to write at a forge.
type WriteRequest struct {
	Forge        string
	Installation int64
	Writes       int // at most; more is let through only where the limits are below that
	Limits       Limits
	Polite       bool          // leaves what is kept for gates, merges and closings, without standing in the line
	Within       time.Duration // after which the write will have ended even if nobody says so

	// Repo and Promotion are whose pull request it is that would be opened; empty: another write, which goes before all those.
	Repo      promotion.RepoKey
	Promotion string
}

// WriteGrant answers a WriteRequest. Leave is given where neither Busy nor Until is set; then the write has to be settled.
type WriteGrant struct {
	ID    int64
	Busy  bool      // another write of the installation is under way
	Until time.Time // when to ask again
	Ahead int       // pull requests that go first
}

// spent is a write that counts.
type spent struct {
	at     int64
	writes int
}

// earliest is the earliest moment, not before from, at which n writes fit into all windows after those of the log, which is in the order of
// time. Where more is asked than ever fits, it is when the window is empty.
func earliest(log []spent, windows []window, n int, polite bool, from int64) int64 {
	at := from
	for _, w := range windows {
		left := w.most - n
		if polite {
			left -= w.reserve()
		}
		for i := len(log) - 1; i >= 0; i-- {
			if left -= log[i].writes; left < 0 {
				at = max(at, log[i].at+w.length)
				break
			}
		}
	}
	return at
}

// TakeWrites gives leave to write, or says when to ask again. Writes of one installation go one after the other, of all replicas; no
// stretch of a minute or an hour sees more than its limit. New pull requests stand in a line: those of environments that nothing comes
// after first, then the oldest first. They leave an eighth of each limit to all other writes.
func (s *Store) TakeWrites(ctx context.Context, r WriteRequest) (grant WriteGrant, err error) {
	windows := r.Limits.windows()
	if len(windows) == 0 {
		return WriteGrant{}, nil
	}
	key := installationKey(r.Forge, r.Installation)
	err = s.write(ctx, "ask for leave to write", func(ctx context.Context, q *conn) error {
		grant = WriteGrant{}
		var id, now int64
		if _, err := q.one(ctx, []any{&id, &now}, `UPDATE counters SET last = last + 1 WHERE name = 'limits' RETURNING last, {now}`); err != nil {
			return err
		}
		if _, err := q.exec(ctx, `DELETE FROM limits WHERE installation = $1 AND at <= $2`, key, now-windows[len(windows)-1].length); err != nil {
			return err
		}
		log, busy, err := selectSpent(ctx, q, key, now)
		if err != nil {
			return err
		}
		if busy {
			grant.Busy = true
			return nil
		}
		at := earliest(log, windows, r.Writes, r.Polite, now)
		if r.Promotion != "" {
			line, err := selectLine(ctx, q, r.Forge, r.Installation, r.Repo, r.Promotion)
			if err != nil {
				return err
			}
			at, grant.Ahead = turnOf(r, line, log, windows, now)
		}
		if at > now {
			grant.Until = instant(at)
			return nil
		}
		grant.ID = id
		_, err = q.exec(ctx, `INSERT INTO limits (installation, id, writes, at, under_way) VALUES ($1, $2, $3, $4, 1)`,
			key, id, r.Writes, now+r.Within.Microseconds())
		return err
	})
	return grant, err
}

// turnOf is when a new pull request may be opened, and how many go before it. Where that is not now, it is put off until some of those
// behind it in its repo can come along.
func turnOf(r WriteRequest, line []inLine, log []spent, windows []window, now int64) (at int64, ahead int) {
	place := slices.IndexFunc(line, func(w inLine) bool { return w.Repo == r.Repo && w.Promotion == r.Promotion })
	before, behind := line, 0
	if place >= 0 {
		before = line[:place]
		for _, w := range line[place+1:] {
			if w.Repo == r.Repo {
				behind++
			}
		}
	}
	log = slices.Clone(log)
	at = now
	next := func() {
		at = earliest(log, windows, PullRequestWrites, true, at)
		log = append(log, spent{at, PullRequestWrites})
	}
	for _, w := range before {
		if w.until+lineGrace.Microseconds() > now {
			next()
			ahead++
		}
	}
	if next(); at == now {
		return now, ahead
	}
	together := batchMostPulls
	for _, w := range windows {
		together = min(together, (w.most-w.reserve())/PullRequestWrites)
	}
	for range min(together-1, behind) {
		next()
	}
	return at, ahead
}

// SettleWrites says that a write has ended, and how many it really were.
func (s *Store) SettleWrites(ctx context.Context, forge string, installation, id int64, writes int) error {
	return s.write(ctx, "settle a write", func(ctx context.Context, q *conn) error {
		if writes <= 0 {
			_, err := q.exec(ctx, `DELETE FROM limits WHERE installation = $1 AND id = $2`, installationKey(forge, installation), id)
			return err
		}
		_, err := q.exec(ctx, `UPDATE limits SET writes = $3, at = {now}, under_way = 0 WHERE installation = $1 AND id = $2`,
			installationKey(forge, installation), id, writes)
		return err
	})
}

// Line is what an installation has to do and may not yet.
type Line struct {
	Forge        string
	Installation int64
	Minute, Hour int       // writes in the last minute and hour
	Waiting      []Waiting // in the order in which they go
}

// Ends is when the last of the line has its turn.
func (l Line) Ends() time.Time {
	if len(l.Waiting) == 0 {
		return time.Time{}
	}
	return l.Waiting[len(l.Waiting)-1].At
}

// Waiting is a promotion that waits for leave to open its pull request.
type Waiting struct {
	Repo        promotion.RepoKey
	Promotion   string
	Environment string
	At          time.Time // when its turn comes, if nothing else is written meanwhile
}

// inLine is a row of a line.
type inLine struct {
	Waiting
	until int64 // when it asks again
}

// Lines are the lines of all installations in which anybody waits.
func (s *Store) Lines(ctx context.Context, limits Limits) (lines []Line, err error) {
	windows := limits.windows()
	if len(windows) == 0 {
		return nil, nil
	}
	err = s.read(ctx, "look at who waits to write", func(ctx context.Context, q *conn) error {
		lines = nil
		if err := q.each(ctx, func(r row) error {
			var l Line
			err := r.Scan(&l.Forge, &l.Installation)
			lines = append(lines, l)
			return err
		}, `SELECT DISTINCT repos.forge, repos.installation FROM promotions JOIN repos ON repos.repo = promotions.repo
			WHERE promotions.waits_until > 0 AND promotions.active = 1 AND repos.state = 'active' ORDER BY repos.forge, repos.installation`); err != nil {
			return err
		}
		for i := range lines {
			if err := lines[i].read(ctx, q, windows); err != nil {
				return err
			}
		}
		return nil
	})
	return lines, err
}

// read reads who waits, and reckons when each one's turn comes.
func (l *Line) read(ctx context.Context, q *conn, windows []window) error {
	var now int64
	if _, err := q.one(ctx, []any{&now}, `SELECT {now}`); err != nil {
		return err
	}
	log, _, err := selectSpent(ctx, q, installationKey(l.Forge, l.Installation), now)
	if err != nil {
		return err
	}
	for _, w := range log {
		if w.at > now-time.Minute.Microseconds() {
			l.Minute += w.writes
		}
		if w.at > now-time.Hour.Microseconds() {
			l.Hour += w.writes
		}
	}
	rows, err := selectLine(ctx, q, l.Forge, l.Installation, "", "")
	if err != nil {
		return err
	}
	for _, w := range rows {
		at := earliest(log, windows, PullRequestWrites, true, now)
		log = append(log, spent{at, PullRequestWrites})
		w.At = instant(at)
		l.Waiting = append(l.Waiting, w.Waiting)
	}
	return nil
}

// EndsOf tells which environments of a repo nothing comes after.
func (s *Store) EndsOf(ctx context.Context, repo promotion.RepoKey) (ends map[string]bool, err error) {
	err = s.read(ctx, "find what nothing comes after", func(ctx context.Context, q *conn) error {
		ends = map[string]bool{}
		return q.each(ctx, func(r row) error {
			var name string
			var last int
			err := r.Scan(&name, &last)
			ends[name] = last == 1
			return err
		}, `SELECT environments.name, `+lastOf("environments.name")+` FROM environments JOIN repos ON repos.repo = environments.repo WHERE environments.repo = $1`,
			string(repo))
	})
	return ends, err
}

// lastOf is SQL for 1 where nothing comes after the environment of a row of repos, else 0.
func lastOf(environment string) string {
	return `CASE WHEN EXISTS (SELECT 1 FROM environment_after JOIN repos AS later ON later.repo = environment_after.repo
		WHERE environment_after.after_environment = ` + environment + ` AND later.forge = repos.forge AND later.state = 'active'
		AND (environment_after.after_repo = repos.name_key OR (environment_after.after_repo = '' AND later.repo = repos.repo))) THEN 0 ELSE 1 END`
}

// selectLine reads a line. The promotion that is named has its place in it also where it did not have to wait yet.
func selectLine(ctx context.Context, q *conn, forge string, installation int64, repo promotion.RepoKey, id string) (line []inLine, err error) {
	err = q.each(ctx, func(r row) error {
		var w inLine
		var last int
		err := r.Scan(&w.Repo, &w.Promotion, &w.Environment, &w.until, &last)
		line = append(line, w)
		return err
	}, `SELECT promotions.repo, promotions.id, promotions.environment, promotions.waits_until, `+lastOf("promotions.environment")+` AS last
		FROM promotions JOIN repos ON repos.repo = promotions.repo
		WHERE (promotions.waits_until > 0 OR (promotions.repo = $3 AND promotions.id = $4)) AND promotions.active = 1
		AND repos.state = 'active' AND repos.forge = $1 AND repos.installation = $2
		ORDER BY last DESC, promotions.created_at, promotions.repo, promotions.app, promotions.id`, forge, installation, string(repo), id)
	return line, err
}

// selectSpent reads what counts, in the order of time. It is busy where a write is under way.
func selectSpent(ctx context.Context, q *conn, key string, now int64) (log []spent, busy bool, err error) {
	err = q.each(ctx, func(r row) error {
		var w spent
		var underWay int
		err := r.Scan(&w.writes, &w.at, &underWay)
		busy = busy || underWay == 1 && w.at > now
		log = append(log, w)
		return err
	}, `SELECT writes, at, under_way FROM limits WHERE installation = $1 ORDER BY at`, key)
	return log, busy, err
}

func installationKey(forge string, installation int64) string {
	return fmt.Sprint(forge, "/", installation)
}
