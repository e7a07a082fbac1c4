package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
)

// where gathers the conditions of a filter with their arguments.
type where struct {
	conditions []string
	args       []any
}

// and adds a condition; every ? in it is the argument.
func (w *where) and(condition string, arg any) {
	w.args = append(w.args, arg)
	w.conditions = append(w.conditions, strings.ReplaceAll(condition, "?", "$"+strconv.Itoa(len(w.args))))
}

// all is the WHERE clause with an order.
func (w *where) all(order string) string {
	clause := ""
	if len(w.conditions) > 0 {
		clause = " WHERE " + strings.Join(w.conditions, " AND ")
	}
	return clause + " ORDER BY " + order
}

// text is the WHERE clause with an order and a limit, which is 100 where none is asked for.
func (w *where) text(order string, limit int) string {
	if limit <= 0 {
		limit = defaultLimit
	}
	w.args = append(w.args, limit)
	return w.all(order) + " LIMIT $" + strconv.Itoa(len(w.args))
}

const defaultLimit = 100

// Deliveries lists deliveries, newest first.
func (s *Store) Deliveries(ctx context.Context, f DeliveryFilter) (list []Delivery, err error) {
	var w where
	if f.Sender != "" {
		w.and(`sender = ?`, f.Sender)
	}
	if f.Event != "" {
		w.and(`event = ?`, f.Event)
	}
	if f.Outcome != "" {
		w.and(`outcome = ?`, string(f.Outcome))
	}
	if f.Image != "" {
		w.and(`id IN (SELECT delivery FROM delivery_subjects WHERE subject = ?)`, string(f.Image))
	}
	if f.Repo != "" {
		w.and(`id IN (SELECT delivery FROM delivery_subjects WHERE subject = ?)`, string(f.Repo))
	}
	if !f.Since.IsZero() {
		w.and(`received_at >= ?`, micros(f.Since))
	}
	if f.Before > 0 {
		w.and(`id < ?`, f.Before)
	}
	rest := w.text("id DESC", f.Limit)
	err = s.read(ctx, "list deliveries", func(ctx context.Context, q *conn) error {
		list, err = selectDeliveries(ctx, q, f.Bodies, rest, w.args...)
		return err
	})
	return list, err
}

// Delivery finds one by its number or, where ref is none, the newest one with that id at its sender. Its body is read too.
func (s *Store) Delivery(ctx context.Context, ref string) (d Delivery, found bool, err error) {
	err = s.read(ctx, "find delivery "+plain(ref, 80), func(ctx context.Context, q *conn) error {
		var list []Delivery
		if id, noNumber := strconv.ParseInt(ref, 10, 64); noNumber == nil {
			if list, err = selectDeliveries(ctx, q, true, ` WHERE id = $1`, id); err != nil {
				return err
			}
		}
		if len(list) == 0 && ref != "" {
			if list, err = selectDeliveries(ctx, q, true, ` WHERE delivery_id = $1 ORDER BY id DESC LIMIT 1`, shortID(ref)); err != nil {
				return err
			}
		}
		if len(list) > 0 {
			d, found = list[0], true
		}
		return nil
	})
	return d, found, err
}

func selectDeliveries(ctx context.Context, q *conn, bodies bool, rest string, args ...any) (list []Delivery, err error) {
	body := "NULL"
	if bodies {
		body = "body"
	}
	err = q.each(ctx, func(r row) error {
		var d Delivery
		var received int64
		var images, repos string
		if err := r.Scan(&d.ID, &d.Sender, &d.DeliveryID, &d.Event, &d.Outcome, &d.Reason, &d.About, &d.Body, &received, &images, &repos); err != nil {
			return err
		}
		d.ReceivedAt = instant(received)
		if err := readList(images, &d.Images); err != nil {
			return fmt.Errorf("delivery %d: %w", d.ID, err)
		}
		if err := readList(repos, &d.Repos); err != nil {
			return fmt.Errorf("delivery %d: %w", d.ID, err)
		}
		list = append(list, d)
		return nil
	}, `SELECT id, sender, delivery_id, event, outcome, reason, about, `+body+`, received_at, images, repos FROM deliveries`+rest, args...)
	return list, err
}

// readList reads what jsonList wrote; an empty list is nil.
func readList[T ~string](text string, list *[]T) error {
	if text == "[]" {
		*list = nil
		return nil
	}
	return json.Unmarshal([]byte(text), list)
}

// Pushes lists the pushes of images received since a moment, oldest first.
func (s *Store) Pushes(ctx context.Context, images []image.Name, since time.Time) (list []Push, err error) {
	err = s.read(ctx, "list pushes", func(ctx context.Context, q *conn) error {
		list = nil
		return q.eachOf(ctx, func(r row) error {
			p, err := scanPush(r)
			list = append(list, p)
			return err
		}, `SELECT id, image, tag, digest, media_type, pushed_at, received_at, delivery, found FROM pushes WHERE received_at >= $1 AND image IN (`, `?`, `)`,
			anys(sortedSet(images)), micros(since))
	})
	slices.SortFunc(list, func(a, b Push) int {
		if c := a.ReceivedAt.Compare(b.ReceivedAt); c != 0 {
			return c
		}
		return int(a.ID - b.ID)
	})
	return list, err
}

// ReposListing tells which active repos list an image.
func (s *Store) ReposListing(ctx context.Context, name image.Name) (keys []promotion.RepoKey, err error) {
	err = s.read(ctx, "find repos that list "+string(name), func(ctx context.Context, q *conn) error {
		keys, err = reposListing(ctx, q, string(name))
		return err
	})
	return keys, err
}

// purgeMost is how many rows one transaction removes, so that a webhook never waits long for it.
const purgeMost = 500

// Purge removes what is older than its retention; a zero duration keeps everything. It returns how many rows it changed.
func (s *Store) Purge(ctx context.Context, r Retention) (changed int64, err error) {
	for _, step := range []struct {
		keep time.Duration
		text string
	}{
		{r.Bodies, `UPDATE deliveries SET body = NULL WHERE id IN (
			SELECT id FROM deliveries WHERE received_at < {now} - $1 AND body IS NOT NULL LIMIT $2)`},
		{r.Deliveries, `DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries WHERE received_at < {now} - $1 LIMIT $2)`},
		{r.Pushes, `DELETE FROM pushes WHERE id IN (SELECT id FROM pushes WHERE received_at < {now} - $1 LIMIT $2)`},
		{r.Pushes, `DELETE FROM polled WHERE image IN (SELECT image FROM polled WHERE tried_at < {now} - $1 LIMIT $2)`},
		{r.Promotions, `DELETE FROM promotions WHERE (repo, id) IN (
			SELECT repo, id FROM promotions WHERE created_at < {now} - $1 AND ended_at < {now} - $1 AND live = 0 LIMIT $2)`},
		{r.Checks, `DELETE FROM checks WHERE (repo, pull_request, head) IN (
			SELECT repo, pull_request, head FROM checks WHERE saved_at < {now} - $1 LIMIT $2)`},
		{r.Verifications, `DELETE FROM verifications WHERE (repo, environment, name, images_key) IN (
			SELECT repo, environment, name, images_key FROM verifications WHERE at < {now} - $1 LIMIT $2)`},
		{r.Facts, `DELETE FROM facts WHERE digest IN (SELECT digest FROM facts WHERE read_at < {now} - $1 LIMIT $2)`},
	} {
		for n := int64(purgeMost); step.keep > 0 && n == purgeMost; changed += n {
			if err := s.write(ctx, "remove what is old", func(ctx context.Context, q *conn) (err error) {
				n, err = q.exec(ctx, step.text, step.keep.Microseconds(), purgeMost)
				return err
			}); err != nil {
				return changed, err
			}
		}
	}
	return changed, nil
}
