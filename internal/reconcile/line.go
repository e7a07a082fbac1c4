package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/store"
)

// kind is what is done for a promotion whose branch is there.
type kind int

// In the order in which they are done: what is open already goes before what is new.
const (
	reopening kind = iota
	rebuilding
	opening
)

func (w *work) kind() kind {
	switch {
	case w.reopen:
		return reopening
	case w.rebuild != "":
		return rebuilding
	default:
		return opening
	}
}

// paceOf is the error by which a forge's governor holds a write back; nil for every other one.
func paceOf(err error) *forge.PaceError {
	var pace *forge.PaceError
	errors.As(err, &pace)
	return pace
}

// reconsider is how long a promotion stands in the line at most before it asks again: those ahead of it may have gone.
const reconsider = 10 * time.Minute

// postpone makes another turn when a write that was held back may go.
func (t *turn) postpone(pace *forge.PaceError) { t.wakes = append(t.wakes, t.until(pace)) }

// until is when a write that was held back may go. The turn may have taken a while, so that it is reckoned from now.
func (t *turn) until(pace *forge.PaceError) time.Time {
	return t.r.Now().Add(min(pace.After, reconsider))
}

// branchStands tells whether a new promotion needs no push: an earlier turn made its branch, on this base or for a pull request that was
// only waited for. Where base has moved meanwhile, what became of that is found out as for those that are open.
func (t *turn) branchStands(w *work) bool {
	pr := w.pr
	return w.kind() == opening && pr.Head != "" && string(t.refs.Branch(pr.Branch)) == pr.Head && (pr.Base == string(t.base) || !pr.WaitsUntil.IsZero())
}

// paced tells whether the forge may have writes wait.
func (t *turn) paced() bool {
	pacer, ok := forge.As[forge.Pacer](t.forge)
	return ok && pacer.Paced()
}

// inOrder brings what is to be done into the order of the line: what is open already first. Where nobody has to wait, new pull requests are
// left in the order of the file.
func (t *turn) inOrder(ctx context.Context, all []*work) error {
	if len(all) < 2 {
		return nil
	}
	if !t.paced() {
		slices.SortStableFunc(all, func(a, b *work) int { return cmp.Compare(a.kind(), b.kind()) })
		return nil
	}
	ends, err := t.r.Store.EndsOf(ctx, t.claim.Repo)
	if err != nil {
		return fmt.Errorf("find the order of what is opened: %w", err)
	}
	rank := func(w *work) int {
		if ends[w.pr.Release.Environment] {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(all, func(a, b *work) int {
		return cmp.Or(cmp.Compare(a.kind(), b.kind()), cmp.Compare(rank(a), rank(b)), cmp.Compare(a.pr.CreatedAt.UnixMicro(), b.pr.CreatedAt.UnixMicro()),
			strings.Compare(a.pr.Release.App, b.pr.Release.App), strings.Compare(a.pr.ID, b.pr.ID))
	})
	return nil
}

// mostCommits is how many commits a turn makes. Where each is a write that may have to wait, only few are made before their pull requests are
// opened; else all of them go in one push.
func (t *turn) mostCommits() int {
	if t.r.Verified[t.forgeName] && t.paced() {
		return 8
	}
	return math.MaxInt
}

// lineUp writes down for many new pull requests that their branches are there, and that nobody was asked for them yet: the turn may end
// before their time has come.
func (t *turn) lineUp(ctx context.Context, ready []*work) error {
	var waiting []*work
	for _, w := range ready {
		if w.kind() == opening {
			waiting = append(waiting, w)
		}
	}
	if len(waiting) < 2 {
		return nil
	}
	for _, w := range waiting {
		w.pr.WaitsUntil = t.now
	}
	return t.saveAll(ctx, waiting)
}

// waitInLine lets promotions wait for their pull requests, as the governor said to the first of them. They stay as they are.
func (t *turn) waitInLine(ctx context.Context, waiting []*work, pace *forge.PaceError, out outcome) error {
	until := t.until(pace)
	for _, w := range waiting {
		out.failed[w.pr.ID] = true // nothing is superseded by them yet
		w.pr.WaitsUntil = until
	}
	t.wakes = append(t.wakes, until)
	t.log.Info("pull requests wait, to stay within the forge's limits", "waiting", len(waiting), "ahead", pace.Ahead, "until", until)
	return t.saveAll(ctx, waiting)
}

// leaveForNext ends a turn that has taken its share of the time. What it did not come to is written down as waiting.
func (t *turn) leaveForNext(left []*work, out outcome) error {
	for _, w := range left {
		out.failed[w.pr.ID] = true
	}
	t.wakeLater(0)
	t.log.Info("pull requests are left for the next turn", "left", len(left))
	return nil
}

// putOff writes down that a promotion was not carried on, for no fault of anybody.
func (t *turn) putOff(ctx context.Context, w *work, pace *forge.PaceError, out outcome) error {
	t.postpone(pace)
	out.failed[w.pr.ID] = true
	pr := w.pr
	switch {
	case w.reopen:
		pr.Reopened--
	case w.replaced != "":
		pr.Head = w.replaced // the next turn finds a new head, and says what this one could not
	}
	pr.RetryAt = t.until(pace)
	return t.saveAll(ctx, []*work{{pr: pr}})
}

// saveAll writes promotions down in one transaction.
func (t *turn) saveAll(ctx context.Context, all []*work) error {
	if len(all) == 0 {
		return nil
	}
	err := t.r.Store.Update(ctx, t.claim, func(tx *store.Tx) error {
		for _, w := range all {
			tx.SavePromotion(w.pr)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("write %d promotions down: %w", len(all), err)
	}
	for _, w := range all {
		t.wrote(w.pr)
	}
	return nil
}

func promotionsOf(all []*work) []promotion.Promotion {
	list := make([]promotion.Promotion, len(all))
	for i, w := range all {
		list[i] = w.pr
	}
	return list
}
