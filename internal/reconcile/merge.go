package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/store"
)

// merge merges exactly what gate and approvals saw. What became of it the next turn sees.
func (t *turn) merge(ctx context.Context, a promotion.Merge) (merged bool, err error) {
	if stands, err := t.stillStands(ctx, a); err != nil || !stands {
		return false, err
	}
	_, err = t.forge.Merge(ctx, t.repo, a.Promotion.PullRequest, a.Head, cmp.Or(a.Method, t.repo.MergeMethod))
	if errors.Is(err, forge.ErrStale) {
		t.wakeLater(5 * time.Second) // a list that lags behind told of a head that is not there any more
		return false, nil
	}
	if errors.Is(err, forge.ErrQueued) {
		t.log.Info("put into the merge queue", "pull request", a.Promotion.PullRequest, "promotion", a.Promotion.ID)
		pr := a.Promotion
		pr.QueuedAt, pr.LeftQueue = t.now, ""
		return true, t.save(ctx, pr, "", "queued", nil)
	}
	if err != nil {
		return false, fmt.Errorf("merge %s: %w", t.named(a.Promotion.PullRequest), err)
	}
	t.log.Info("merged", "pull request", a.Promotion.PullRequest, "promotion", a.Promotion.ID)
	return true, nil
}

// stillStands looks once more, just before the bot merges, at what people can take back at once: that nothing is on hold, and who approves.
// The turn may have been at work for a while since it looked. Where anything is different it is planned anew.
func (t *turn) stillStands(ctx context.Context, a promotion.Merge) (bool, error) {
	pr := a.Promotion
	holds, err := t.r.Store.Holds(ctx, store.HoldFilter{Repo: t.claim.Repo})
	if err != nil {
		return false, fmt.Errorf("look for holds before merging %s: %w", t.named(pr.PullRequest), err)
	}
	stands := !slices.ContainsFunc(holds, func(h store.RepoHold) bool {
		return slices.ContainsFunc(pr.Release.Changes, func(c promotion.Change) bool { return h.Covers(pr.Release.Environment, c.Image) })
	})
	if stands && t.asksForApprovals(pr.Release.Environment) {
		now, err := t.decisions(ctx, review{number: pr.PullRequest, head: a.Head, author: t.openPulls[pr.PullRequest].Author})
		if err != nil {
			return false, fmt.Errorf("look at %s before merging it: %w", t.named(pr.PullRequest), err)
		}
		stands = slices.EqualFunc(t.world.Pulls[pr.PullRequest].Approvals, now, func(was, is gate.Approval) bool {
			return was.User == is.User && was.Approved == is.Approved && was.OnHead == is.OnHead && was.CanWrite == is.CanWrite && was.At.Equal(is.At)
		})
	}
	if !stands {
		t.wakeLater(0)
	}
	return stands, nil
}
