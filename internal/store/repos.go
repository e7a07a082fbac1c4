package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
)

// ReasonNotListed is the reason of a repo that is parked because its forge no longer lists it.
const ReasonNotListed = "the forge no longer lists it"

// nameKey is how a repo's name is compared: forges do not tell case apart.
func nameKey(fullName string) string { return strings.ToLower(fullName) }

// saveRepo records a repo with its environments.
func saveRepo(ctx context.Context, q *conn, r Repo) error {
	if err := saveRepoRow(ctx, q, r); err != nil {
		return err
	}
	return saveEnvironments(ctx, q, r)
}

func saveRepoRow(ctx context.Context, q *conn, r Repo) error {
	_, err := q.exec(ctx, `INSERT INTO repos (repo, forge, forge_id, installation, full_name, name_key, default_branch, clone_url, web_url,
			merge_method, base_head, config_text, config_error, config_sha, state, state_reason, baseline_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, CASE WHEN $15 = '' THEN 'active' ELSE $15 END, $16, $17, {now})
		ON CONFLICT (repo) DO UPDATE SET forge = excluded.forge, forge_id = excluded.forge_id, installation = excluded.installation,
			full_name = excluded.full_name, name_key = excluded.name_key, default_branch = excluded.default_branch,
			clone_url = excluded.clone_url, web_url = excluded.web_url, merge_method = excluded.merge_method,
			base_head = excluded.base_head, config_text = excluded.config_text, config_error = excluded.config_error,
			config_sha = excluded.config_sha, baseline_at = excluded.baseline_at, updated_at = excluded.updated_at,
			state = CASE WHEN $15 = '' THEN repos.state ELSE excluded.state END,
			state_reason = CASE WHEN $15 = '' THEN repos.state_reason ELSE excluded.state_reason END`,
		string(r.Key), r.Forge, r.ForgeID, r.Installation, r.FullName, nameKey(r.FullName), r.DefaultBranch, r.CloneURL, r.WebURL,
		r.MergeMethod, r.BaseHead, plain(r.ConfigText, 1<<20), plain(r.ConfigError, 1<<16), r.ConfigSHA, string(r.State), r.StateReason,
		micros(r.BaselineAt))
	return err
}

func saveEnvironments(ctx context.Context, q *conn, r Repo) error {
	for _, text := range []string{`DELETE FROM environments WHERE repo = $1`, `DELETE FROM environment_after WHERE repo = $1`} {
		if _, err := q.exec(ctx, text, string(r.Key)); err != nil {
			return err
		}
	}
	for i, e := range r.Environments {
		after, err := json.Marshal(e.After)
		if err != nil {
			return fmt.Errorf("environment %s: %w", e.Name, err)
		}
		if _, err := q.exec(ctx, `INSERT INTO environments (repo, place, name, path, mode, after) VALUES ($1, $2, $3, $4, $5, $6)`,
			string(r.Key), i, e.Name, e.Path, string(e.Mode), string(after)); err != nil {
			return err
		}
		for _, ref := range e.After {
			if _, err := q.exec(ctx, `INSERT INTO environment_after (repo, environment, after_repo, after_environment) VALUES ($1, $2, $3, $4)
				ON CONFLICT (repo, environment, after_repo, after_environment) DO NOTHING`,
				string(r.Key), e.Name, nameKey(ref.Repo), ref.Environment); err != nil {
				return err
			}
		}
	}
	return nil
}

// saveListings replaces a repo's listings, if they are others than those that are there. missed tells that an image which is new here
// was pushed after the push of the given number, unless that is negative.
func saveListings(ctx context.Context, q *conn, repo promotion.RepoKey, listings []promotion.Listing, pushes int64, began time.Time) (missed bool, err error) {
	for i := range listings {
		l := &listings[i]
		l.File, l.Entry, l.Tag, l.Refusal = storable(l.File), storable(l.Entry), storable(l.Tag), plain(l.Refusal, 2000)
	}
	there, err := selectListings(ctx, q, ` WHERE repo = $1 ORDER BY place`, string(repo))
	if err != nil || slices.Equal(there, listings) {
		return false, err
	}
	before, placed := map[image.Name]bool{}, map[EnvImage]bool{}
	for _, l := range there {
		before[l.Image], placed[EnvImage{l.Environment, l.Image}] = true, true
	}
	if _, err := q.exec(ctx, `DELETE FROM listings WHERE repo = $1`, string(repo)); err != nil {
		return false, err
	}
	if pushes >= 0 && slices.ContainsFunc(listings, func(l promotion.Listing) bool { return !before[l.Image] }) {
		// A delivery that is just being stored either sees these listings or is seen here, because it holds the same row.
		if _, err := q.exec(ctx, `UPDATE counters SET last = last WHERE name = 'pushes'`); err != nil {
			return false, err
		}
	}
	var rows, since []any
	for i, l := range listings {
		rows = append(rows, string(repo), i, l.Environment, l.File, l.Entry, string(l.Image), l.Tag, string(l.Digest), l.Refusal)
		if placed[EnvImage{l.Environment, l.Image}] {
			continue
		}
		placed[EnvImage{l.Environment, l.Image}] = true
		at := micros(began)
		if pushes >= 0 {
			// A push that comes while the turn looks is news already, so an image is listed since the turn began. The clock may be too
			// coarse to tell which of both was first; the push's number does.
			var next sql.NullInt64
			if _, err := q.one(ctx, []any{&next}, `SELECT MIN(received_at) FROM pushes WHERE image = $1 AND id > $2`, string(l.Image), pushes); err != nil {
				return false, err
			}
			if next.Valid {
				missed = missed || !before[l.Image]
				at = min(at, next.Int64-1)
			}
		}
		since = append(since, string(repo), l.Environment, string(l.Image), at)
	}
	if err := q.many(ctx, `INSERT INTO listings (repo, place, environment, file, entry, image, tag, digest, refusal) VALUES `,
		`(?, ?, ?, ?, ?, ?, ?, ?, ?)`, ``, rows); err != nil {
		return false, err
	}
	if err := q.many(ctx, `INSERT INTO listed_since (repo, environment, image, first_at) VALUES `, `(?, ?, ?, ?)`,
		` ON CONFLICT (repo, environment, image) DO NOTHING`, since); err != nil {
		return false, err
	}
	return missed, nil
}

func saveTags(ctx context.Context, q *conn, tags map[tagKey]Tag) error {
	keys := make([]tagKey, 0, len(tags))
	for key := range tags {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b tagKey) int {
		if c := strings.Compare(string(a.image), string(b.image)); c != 0 {
			return c
		}
		return strings.Compare(a.tag, b.tag)
	})
	for _, key := range keys {
		t := tags[key]
		if _, err := q.exec(ctx, `INSERT INTO tags (image, tag, digest, first_at, read_at, error)
			VALUES ($1, $2, $3, CASE WHEN $3 = '' THEN 0 ELSE {now} END, CASE WHEN CAST($4 AS BIGINT) = 0 THEN {now} ELSE CAST($4 AS BIGINT) END, $5)
			ON CONFLICT (image, tag) DO UPDATE SET read_at = excluded.read_at, error = excluded.error,
				digest = CASE WHEN $5 <> '' THEN tags.digest ELSE excluded.digest END,
				first_at = CASE WHEN $5 <> '' OR tags.digest = excluded.digest THEN tags.first_at ELSE excluded.first_at END
			WHERE tags.read_at <= excluded.read_at`,
			string(t.Image), plain(t.Tag, 200), string(t.Digest), micros(t.ReadAt), plain(t.Err, 1000)); err != nil {
			return err
		}
	}
	return nil
}

// Tags gives what is known of all tags of images.
func (s *Store) Tags(ctx context.Context, images []image.Name) (tags map[image.Name]map[string]Tag, err error) {
	err = s.read(ctx, "read tags", func(ctx context.Context, q *conn) error {
		tags = map[image.Name]map[string]Tag{}
		return q.eachOf(ctx, func(r row) error {
			var t Tag
			var first, read int64
			if err := r.Scan(&t.Image, &t.Tag, &t.Digest, &first, &read, &t.Err); err != nil {
				return err
			}
			t.First, t.ReadAt = instant(first), instant(read)
			if tags[t.Image] == nil {
				tags[t.Image] = map[string]Tag{}
			}
			tags[t.Image][t.Tag] = t
			return nil
		}, `SELECT image, tag, digest, first_at, read_at, error FROM tags WHERE image IN (`, `?`, `)`, anys(sortedSet(images)))
	})
	return tags, err
}

// Repo finds a repo by its key.
func (s *Store) Repo(ctx context.Context, key promotion.RepoKey) (r Repo, found bool, err error) {
	return s.oneRepo(ctx, "read repo "+string(key), ` WHERE repo = $1`, string(key))
}

// RepoByName finds a repo by what it is called today; one that is not parked goes first.
func (s *Store) RepoByName(ctx context.Context, forge, fullName string) (r Repo, found bool, err error) {
	return s.oneRepo(ctx, "read repo "+fullName, ` WHERE forge = $1 AND name_key = $2 ORDER BY state, updated_at DESC, repo LIMIT 1`, forge, nameKey(fullName))
}

func (s *Store) oneRepo(ctx context.Context, doing, where string, args ...any) (r Repo, found bool, err error) {
	err = s.read(ctx, doing, func(ctx context.Context, q *conn) error {
		list, err := selectRepos(ctx, q, where, args...)
		if found = len(list) > 0; found {
			r = list[0]
		}
		return err
	})
	return r, found, err
}

// Repos lists all repos, parked ones too, sorted by name.
func (s *Store) Repos(ctx context.Context) (list []Repo, err error) {
	err = s.read(ctx, "list repos", func(ctx context.Context, q *conn) error {
		list, err = selectRepos(ctx, q, ` ORDER BY forge, name_key, repo`)
		return err
	})
	return list, err
}

func selectRepos(ctx context.Context, q *conn, where string, args ...any) (list []Repo, err error) {
	if err := q.each(ctx, func(row row) error {
		var r Repo
		var baseline, updated int64
		if err := row.Scan(&r.Key, &r.Forge, &r.ForgeID, &r.Installation, &r.FullName, &r.DefaultBranch, &r.CloneURL, &r.WebURL, &r.MergeMethod,
			&r.BaseHead, &r.ConfigText, &r.ConfigError, &r.ConfigSHA, &r.State, &r.StateReason, &baseline, &updated); err != nil {
			return err
		}
		r.BaselineAt, r.UpdatedAt = instant(baseline), instant(updated)
		list = append(list, r)
		return nil
	}, `SELECT repo, forge, forge_id, installation, full_name, default_branch, clone_url, web_url, merge_method, base_head, config_text,
		config_error, config_sha, state, state_reason, baseline_at, updated_at FROM repos`+where, args...); err != nil {
		return nil, err
	}
	place := make(map[promotion.RepoKey]int, len(list))
	keys := make([]promotion.RepoKey, len(list))
	for i, r := range list {
		place[r.Key], keys[i] = i, r.Key
	}
	return list, q.eachOf(ctx, func(row row) error {
		var key promotion.RepoKey
		var e EnvRow
		var after string
		if err := row.Scan(&key, &e.Name, &e.Path, &e.Mode, &after); err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(after), &e.After); err != nil {
			return fmt.Errorf("environment %s of %s: %w", e.Name, key, err)
		}
		r := &list[place[key]]
		r.Environments = append(r.Environments, e)
		return nil
	}, `SELECT repo, name, path, mode, after FROM environments WHERE repo IN (`, `?`, `) ORDER BY repo, place`, anys(keys))
}

// UpsertRepos records everything that a forge lists for the bot, in one transaction. Repos that are new, have changed or were parked
// are woken, and returned; what the bot itself has found out about a repo stays. Repos of the forge that are not in the list are
// parked, so the list has to be complete: where a page of it could not be read, do not call this.
func (s *Store) UpsertRepos(ctx context.Context, forge string, found []Repo) (woken []promotion.RepoKey, err error) {
	found = slices.Clone(found)
	slices.SortFunc(found, func(a, b Repo) int { return strings.Compare(string(a.Key), string(b.Key)) })
	for _, r := range found {
		if r.Forge != forge || r.Key == "" {
			return nil, fmt.Errorf("record repos of %s: %q is of forge %q", forge, r.Key, r.Forge)
		}
	}
	err = s.write(ctx, "record repos of "+forge, func(ctx context.Context, q *conn) error {
		woken = nil
		// One at a time, and with the rows locked, so that nothing is overwritten that a turn finds out meanwhile.
		if _, err := q.exec(ctx, `UPDATE counters SET last = last WHERE name = 'repos'`); err != nil {
			return err
		}
		list, err := selectRepos(ctx, q, ` WHERE forge = $1 ORDER BY repo {for update}`, forge)
		if err != nil {
			return err
		}
		there := make(map[promotion.RepoKey]Repo, len(list))
		for _, r := range list {
			there[r.Key] = r
		}
		var gone []promotion.RepoKey
		for _, r := range found {
			old, known := there[r.Key]
			delete(there, r.Key)
			if r.State == "" {
				r.State = RepoActive
			}
			merged := old
			merged.Key, merged.Forge, merged.ForgeID, merged.Installation = r.Key, r.Forge, r.ForgeID, r.Installation
			merged.FullName, merged.DefaultBranch, merged.CloneURL, merged.WebURL = r.FullName, r.DefaultBranch, r.CloneURL, r.WebURL
			merged.MergeMethod, merged.State, merged.StateReason = r.MergeMethod, r.State, r.StateReason
			if known && same(old, merged) {
				continue
			}
			if err := saveRepoRow(ctx, q, merged); err != nil { // its environments stay what they are
				return err
			}
			if merged.State == RepoActive {
				woken = append(woken, r.Key)
			} else {
				gone = append(gone, r.Key)
			}
		}
		for _, key := range sortedKeys(there) {
			if there[key].State != RepoActive {
				continue
			}
			if err := setState(ctx, q, key, RepoParked, ReasonNotListed); err != nil {
				return err
			}
			gone = append(gone, key)
		}
		return wakeAndRest(ctx, q, woken, gone)
	})
	if err != nil {
		return nil, err
	}
	if len(woken) > 0 {
		s.signal()
	}
	return woken, nil
}

// same compares what a forge says of a repo.
func same(a, b Repo) bool {
	return a.ForgeID == b.ForgeID && a.Installation == b.Installation && a.FullName == b.FullName && a.DefaultBranch == b.DefaultBranch &&
		a.CloneURL == b.CloneURL && a.WebURL == b.WebURL && a.MergeMethod == b.MergeMethod && a.State == b.State && a.StateReason == b.StateReason
}

// wakeAndRest writes rows of work in the order of their keys: some are bumped, others have nothing to do any more.
func wakeAndRest(ctx context.Context, q *conn, woken, rest []promotion.RepoKey) error {
	for _, key := range sortedSet(slices.Concat(woken, rest)) {
		if slices.Contains(rest, key) {
			if _, err := q.exec(ctx, `UPDATE work SET done = wanted, wake_at = 0, not_before = 0, attempts = 0, last_error = '',
				due_at = CASE WHEN lease_until > 0 THEN due_at ELSE 0 END WHERE repo = $1`, string(key)); err != nil {
				return err
			}
		} else if err := bump(ctx, q, []promotion.RepoKey{key}); err != nil {
			return err
		}
	}
	return nil
}

func setState(ctx context.Context, q *conn, key promotion.RepoKey, state RepoState, reason string) error {
	n, err := q.exec(ctx, `UPDATE repos SET state = $2, state_reason = $3, updated_at = {now} WHERE repo = $1`, string(key), string(state), plain(reason, 1000))
	if err == nil && n == 0 {
		return ErrNotFound
	}
	return err
}

// SetRepoState parks a repo, which ends its work, or takes it up again, which wakes it. ErrNotFound: it is not recorded.
func (s *Store) SetRepoState(ctx context.Context, key promotion.RepoKey, state RepoState, reason string) error {
	err := s.write(ctx, "change the state of "+string(key), func(ctx context.Context, q *conn) error {
		if err := setState(ctx, q, key, state, reason); err != nil {
			return err
		}
		if state == RepoActive {
			return wakeAndRest(ctx, q, []promotion.RepoKey{key}, nil)
		}
		return wakeAndRest(ctx, q, nil, []promotion.RepoKey{key})
	})
	if err == nil && state == RepoActive {
		s.signal()
	}
	return err
}

// RemoveRepos forgets repos and all that belongs to them, but not what the audit says of them. Whoever has one of them in hand loses
// the claim. The row of work stays, because its token may never fall.
func (s *Store) RemoveRepos(ctx context.Context, keys ...promotion.RepoKey) error {
	keys = sortedSet(keys)
	return s.write(ctx, "forget repos", func(ctx context.Context, q *conn) error {
		for _, key := range keys {
			if _, err := q.exec(ctx, `DELETE FROM repos WHERE repo = $1`, string(key)); err != nil {
				return err
			}
		}
		for _, key := range keys {
			if _, err := q.exec(ctx, `UPDATE work SET token = token + 1, owner = '', lease_until = 0, due_at = 0, done = wanted, wake_at = 0,
				not_before = 0, attempts = 0, last_error = '' WHERE repo = $1`, string(key)); err != nil {
				return err
			}
		}
		return nil
	})
}
