package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/boatlift/boatlift/internal/promotion"
)

// What of the ended promotions Plan still has to know, to recognise a revert or a pull request that was reopened.
const (
	rememberFor  = 90 * 24 * time.Hour
	rememberMost = 50 // in each environment
)

// Memory reads all that is remembered of one repo, as of one moment. A repo that is not recorded is not Found, and all else is empty.
func (s *Store) Memory(ctx context.Context, key promotion.RepoKey) (m Memory, err error) {
	err = s.read(ctx, "remember "+string(key), func(ctx context.Context, q *conn) error {
		m = Memory{FirstSeen: map[EnvImage]time.Time{}, Checks: map[int]map[string]string{}}
		repos, err := selectRepos(ctx, q, ` WHERE repo = $1`, string(key))
		if err != nil || len(repos) == 0 {
			return err
		}
		m.Repo, m.Found = repos[0], true
		if m.Listings, err = selectListings(ctx, q, ` WHERE repo = $1 ORDER BY place`, string(key)); err != nil {
			return err
		}
		if err := q.each(ctx, func(r row) error {
			var k EnvImage
			var at int64
			err := r.Scan(&k.Environment, &k.Image, &at)
			m.FirstSeen[k] = instant(at)
			return err
		}, `SELECT environment, image, first_at FROM listed_since WHERE repo = $1`, string(key)); err != nil {
			return err
		}
		if m.Promotions, err = selectPromotions(ctx, q, `SELECT body FROM (
				SELECT body, id, created_at FROM promotions WHERE repo = $1 AND live = 1
				UNION ALL
				SELECT body, id, created_at FROM (
					SELECT body, id, created_at, ROW_NUMBER() OVER (PARTITION BY environment ORDER BY ended_at DESC, created_at DESC, id) AS place
					FROM promotions WHERE repo = $1 AND live = 0 AND ended_at >= {now} - $2) AS recent
				WHERE place <= $3) AS remembered
			ORDER BY created_at, id`, string(key), rememberFor.Microseconds(), rememberMost); err != nil {
			return err
		}
		if err := q.each(ctx, func(r row) error {
			var j promotion.Rejection
			var at int64
			if err := r.Scan(&j.Environment, &j.Image, &j.Digest, &j.Promotion, &j.Actor, &at); err != nil {
				return err
			}
			j.At = instant(at)
			m.Rejections = append(m.Rejections, j)
			return nil
		}, `SELECT environment, image, digest, promotion, actor, at FROM rejections WHERE repo = $1
			ORDER BY at, environment, image, digest, promotion`, string(key)); err != nil {
			return err
		}
		holds, err := selectHolds(ctx, q, HoldFilter{Repo: key})
		if err != nil {
			return err
		}
		for _, h := range holds {
			m.Holds = append(m.Holds, h.Hold)
		}
		if m.Running, err = selectRunning(ctx, q, ` WHERE repo = $1 ORDER BY environment`, string(key)); err != nil {
			return err
		}
		if m.Verifications, err = selectVerifications(ctx, q, string(key)); err != nil {
			return err
		}
		notes, err := selectNotes(ctx, q, NoteFilter{Repo: key})
		if err != nil {
			return err
		}
		for _, n := range notes {
			m.Notes = append(m.Notes, n.Note)
		}
		return q.each(ctx, func(r row) error {
			var pr int
			var head, shown string
			if err := r.Scan(&pr, &head, &shown); err != nil {
				return err
			}
			if m.Checks[pr] == nil {
				m.Checks[pr] = map[string]string{}
			}
			m.Checks[pr][head] = shown
			return nil
		}, `SELECT pull_request, head, shown FROM checks WHERE repo = $1`, string(key))
	})
	return m, err
}

// Upstream finds the environment that ref names at a forge. Its name may fit none, or more than one: then only Found is filled in.
func (s *Store) Upstream(ctx context.Context, forge string, ref promotion.EnvRef) (u Upstream, err error) {
	err = s.read(ctx, "read environment "+ref.String(), func(ctx context.Context, q *conn) error {
		u = Upstream{}
		repos, err := selectRepos(ctx, q, ` WHERE forge = $1 AND name_key = $2 AND state = 'active' ORDER BY repo`, forge, nameKey(ref.Repo))
		if err != nil {
			return err
		}
		for _, r := range repos {
			for _, e := range r.Environments {
				if e.Name == ref.Environment {
					u.Found++
					u.Repo, u.Env = r, e
				}
			}
		}
		if u.Found != 1 {
			u = Upstream{Found: u.Found}
			return nil
		}
		key := string(u.Repo.Key)
		running, err := selectRunning(ctx, q, ` WHERE repo = $1 AND environment = $2`, key, ref.Environment)
		if err != nil {
			return err
		}
		u.Running = promotion.Running{Environment: ref.Environment}
		if len(running) == 1 {
			u.Running = running[0]
		}
		if u.Listings, err = selectListings(ctx, q, ` WHERE repo = $1 AND environment = $2 ORDER BY place`, key, ref.Environment); err != nil {
			return err
		}
		live, err := selectPromotions(ctx, q, `SELECT body FROM promotions WHERE repo = $1 AND live = 1 AND environment = $2 ORDER BY created_at, id`,
			key, ref.Environment)
		u.Promotions = slices.DeleteFunc(live, func(p promotion.Promotion) bool { return !p.State.Active() && !p.State.InRollout() })
		return err
	})
	return u, err
}

// Downstream finds the active repos with an environment that comes after one of the environments of a repo, that repo itself too.
func (s *Store) Downstream(ctx context.Context, forge, repoFullName string, environments []string) (keys []promotion.RepoKey, err error) {
	err = s.read(ctx, "find what comes after "+repoFullName, func(ctx context.Context, q *conn) error {
		keys = nil
		for _, environment := range sortedSet(environments) {
			if err := q.each(ctx, func(r row) error {
				var key promotion.RepoKey
				err := r.Scan(&key)
				keys = append(keys, key)
				return err
			}, `SELECT environment_after.repo FROM environment_after JOIN repos ON repos.repo = environment_after.repo
				WHERE environment_after.after_environment = $1 AND repos.forge = $2 AND repos.state = 'active'
				AND (environment_after.after_repo = $3 OR (environment_after.after_repo = '' AND repos.name_key = $3))`,
				environment, forge, nameKey(repoFullName)); err != nil {
				return err
			}
		}
		return nil
	})
	return sortedSet(keys), err
}

// Followers are the active promotions of environments that come after one of a repo, with the .boatlift.yaml of their repos.
func (s *Store) Followers(ctx context.Context, forge, repoFullName, environment string) (list []Follower, err error) {
	err = s.read(ctx, "find what follows "+repoFullName+":"+environment, func(ctx context.Context, q *conn) error {
		list = nil
		return q.each(ctx, func(r row) error {
			var f Follower
			var body []byte
			if err := r.Scan(&body, &f.FullName, &f.ConfigText); err != nil {
				return err
			}
			if err := json.Unmarshal(body, &f.Promotion); err != nil {
				return fmt.Errorf("read a promotion: %w", err)
			}
			list = append(list, f)
			return nil
		}, `SELECT promotions.body, repos.full_name, repos.config_text FROM promotions
			JOIN environment_after ON environment_after.repo = promotions.repo AND environment_after.environment = promotions.environment
			JOIN repos ON repos.repo = promotions.repo
			WHERE promotions.active = 1 AND environment_after.after_environment = $1 AND repos.forge = $2 AND repos.state = 'active'
			AND (environment_after.after_repo = $3 OR (environment_after.after_repo = '' AND repos.name_key = $3))
			ORDER BY promotions.repo, promotions.created_at, promotions.id`, environment, forge, nameKey(repoFullName))
	})
	return list, err
}

// Promotions lists promotions, newest first.
func (s *Store) Promotions(ctx context.Context, f PromotionFilter) (list []promotion.Promotion, err error) {
	var w where
	if f.ID != "" {
		w.and(`id = ?`, f.ID)
	}
	if f.Repo != "" {
		w.and(`repo = ?`, string(f.Repo))
	}
	if f.Environment != "" {
		w.and(`environment = ?`, f.Environment)
	}
	if f.Image != "" {
		w.and(`(repo, id) IN (SELECT repo, promotion FROM promotion_images WHERE image = ?)`, string(f.Image))
	}
	if f.PullRequest != 0 {
		w.and(`pull_request = ?`, f.PullRequest)
	}
	if f.Branch != "" {
		w.and(`branch = ?`, f.Branch)
	}
	if f.Active {
		w.and(`active = ?`, 1)
	}
	if !f.Since.IsZero() {
		w.and(`created_at >= ?`, micros(f.Since))
	}
	if len(f.States) > 0 {
		var places []string
		for _, state := range f.States {
			w.args = append(w.args, string(state))
			places = append(places, "$"+strconv.Itoa(len(w.args)))
		}
		w.conditions = append(w.conditions, `state IN (`+strings.Join(places, ", ")+`)`)
	}
	text := `SELECT body FROM promotions` + w.text("created_at DESC, repo DESC, id DESC", f.Limit)
	err = s.read(ctx, "list promotions", func(ctx context.Context, q *conn) error {
		list, err = selectPromotions(ctx, q, text, w.args...)
		return err
	})
	return list, err
}

// Notes lists why apps and images do not move, by repo and in the order in which they were written.
func (s *Store) Notes(ctx context.Context, f NoteFilter) (list []RepoNote, err error) {
	err = s.read(ctx, "list notes", func(ctx context.Context, q *conn) error {
		list, err = selectNotes(ctx, q, f)
		return err
	})
	return list, err
}

// Holds lists holds, the oldest first.
func (s *Store) Holds(ctx context.Context, f HoldFilter) (list []RepoHold, err error) {
	err = s.read(ctx, "list holds", func(ctx context.Context, q *conn) error {
		list, err = selectHolds(ctx, q, f)
		return err
	})
	return list, err
}

func selectPromotions(ctx context.Context, q *conn, text string, args ...any) (list []promotion.Promotion, err error) {
	err = q.each(ctx, func(r row) error {
		var body []byte
		if err := r.Scan(&body); err != nil {
			return err
		}
		var p promotion.Promotion
		if err := json.Unmarshal(body, &p); err != nil {
			return fmt.Errorf("read a promotion: %w", err)
		}
		list = append(list, p)
		return nil
	}, text, args...)
	return list, err
}

func selectListings(ctx context.Context, q *conn, rest string, args ...any) (list []promotion.Listing, err error) {
	err = q.each(ctx, func(r row) error {
		var l promotion.Listing
		err := r.Scan(&l.Environment, &l.File, &l.Entry, &l.Image, &l.Tag, &l.Digest, &l.Refusal)
		list = append(list, l)
		return err
	}, `SELECT environment, file, entry, image, tag, digest, refusal FROM listings`+rest, args...)
	return list, err
}

func selectRunning(ctx context.Context, q *conn, rest string, args ...any) (list []promotion.Running, err error) {
	err = q.each(ctx, func(r row) error {
		var run promotion.Running
		var images, text []byte
		var more moreRunning
		if err := r.Scan(&run.Environment, &run.SHA, &run.State, &run.URL, &images, &text); err != nil {
			return err
		}
		if err := json.Unmarshal(text, &more); err != nil {
			return fmt.Errorf("read what is known of %s: %w", run.Environment, err)
		}
		run.Newest, run.At, run.Says, run.Proofs = more.Newest, more.At, more.Says, more.Proofs
		if err := json.Unmarshal(images, &run.Images); err != nil {
			return fmt.Errorf("read what runs in %s: %w", run.Environment, err)
		}
		list = append(list, run)
		return nil
	}, `SELECT environment, sha, state, url, images, more FROM rollouts`+rest, args...)
	return list, err
}

func selectNotes(ctx context.Context, q *conn, f NoteFilter) (list []RepoNote, err error) {
	var w where
	if f.Repo != "" {
		w.and(`repo = ?`, string(f.Repo))
	}
	if f.Environment != "" {
		w.and(`environment = ?`, f.Environment)
	}
	if f.Image != "" {
		w.and(`image = ?`, string(f.Image))
	}
	err = q.each(ctx, func(r row) error {
		var n RepoNote
		var body []byte
		if err := r.Scan(&n.Repo, &body); err != nil {
			return err
		}
		if err := json.Unmarshal(body, &n.Note); err != nil {
			return fmt.Errorf("read a note of %s: %w", n.Repo, err)
		}
		list = append(list, n)
		return nil
	}, `SELECT repo, body FROM notes`+w.all("repo, place"), w.args...)
	return list, err
}

func selectHolds(ctx context.Context, q *conn, f HoldFilter) (list []RepoHold, err error) {
	var w where
	if f.Repo != "" {
		w.and(`repo = ?`, string(f.Repo))
	}
	if f.Environment != "" {
		w.and(`environment = ?`, f.Environment)
	}
	err = q.each(ctx, func(r row) error {
		var h RepoHold
		if err := scanHold(r, &h.Hold, &h.Repo, &h.Environment); err != nil {
			return err
		}
		list = append(list, h)
		return nil
	}, `SELECT repo, environment, images, reason, actor, at FROM holds`+w.all("at, repo, environment, images"), w.args...)
	return list, err
}
