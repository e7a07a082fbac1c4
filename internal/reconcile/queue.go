package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/gitrepo"
	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/store"
)

// whileQueued is how often a merge queue is looked at in which something waits, should its webhooks be lost.
const whileQueued = time.Minute

// observeQueue looks at the merge queue of base, and tells whether anything follows from it. It is not asked for in a turn that opens pull
// requests, nor where none is open: then nothing can be in it.
func (t *turn) observeQueue(ctx context.Context) (matters bool, err error) {
	was := func(pr promotion.Promotion) bool { return !pr.QueuedAt.IsZero() && pr.State.Active() }
	if len(t.openPulls) == 0 && !slices.ContainsFunc(t.world.Promotions, was) {
		return false, nil
	}
	entries, err := t.forge.Queue(ctx, t.repo, t.repo.DefaultBranch)
	switch {
	case errors.Is(err, forge.ErrForbidden):
		t.log.Debug("the merge queue cannot be seen", "error", err) // most have none, and need no permission for it
		return false, nil
	case err != nil && endsTurn(err):
		return false, fmt.Errorf("look at the merge queue of %s: %w", t.repo.FullName, err)
	case err != nil:
		t.log.Warn("look at the merge queue", "error", err)
		t.wakeLater(lookAgain)
		return false, nil
	}
	t.world.QueueSeen, t.world.Departures = true, map[int]promotion.Departure{}
	for _, pr := range t.world.Promotions {
		if !was(pr) {
			continue
		}
		matters = true
		if slices.ContainsFunc(entries, func(e forge.QueueEntry) bool { return e.Number == pr.PullRequest }) {
			continue
		}
		if err := t.observeDeparture(ctx, pr.PullRequest); err != nil {
			return false, err
		}
	}
	if len(entries) == 0 {
		return matters, nil
	}
	t.wakeLater(whileQueued)
	on := string(t.base)
	for _, e := range entries {
		q := promotion.Queued{Number: e.Number, Head: e.HeadSHA, At: e.At}
		if q.Current = e.HeadSHA != "" && e.BaseSHA == on; q.Current {
			on = e.HeadSHA
			q.Shown = t.shownOn(e.Number, e.HeadSHA)
			if err := t.groupChanges(ctx, &q); err != nil {
				return false, err
			}
		}
		t.world.Queue = append(t.world.Queue, q)
	}
	return true, nil
}

func (t *turn) observeDeparture(ctx context.Context, number int) error {
	left, err := t.forge.LeftQueue(ctx, t.repo, number)
	if err != nil && endsTurn(err) {
		return fmt.Errorf("ask why %s left the merge queue: %w", t.named(number), err)
	}
	if err != nil {
		t.log.Warn("ask why a pull request left the merge queue", "pull request", number, "error", err)
	}
	t.world.Departures[number] = promotion.Departure{
		At: left.At, Reason: left.Reason, By: promotion.Person{Login: left.By.Login, Bot: left.By.Bot || left.By.Self},
	}
	return nil
}

// groupChanges compares the images that a commit of the merge queue sets with those of base.
func (t *turn) groupChanges(ctx context.Context, q *promotion.Queued) error {
	tree, err := t.remote.Tree(ctx, gitrepo.Hash(q.Head))
	var lists []promotion.Listing
	if err == nil {
		lists, err = t.list(ctx, tree)
	}
	switch {
	case permanent(err):
		q.Problem = "what the merge queue would merge cannot be read: " + firstLine(err.Error())
		return nil
	case err != nil:
		return fmt.Errorf("read what the merge queue of %s would merge: %w", t.repo.FullName, err)
	}
	q.Changes = map[string][]gate.Change{}
	t.compare(lists, nil, q.Changes)
	return nil
}

// showGroup shows the gate on a commit of the merge queue, and remembers what was shown.
func (t *turn) showGroup(ctx context.Context, a promotion.ShowGroup) error {
	err := t.forge.SetCheck(ctx, t.repo, groupCheck(a.Head, a.Verdict))
	if errors.Is(err, forge.ErrRefused) || errors.Is(err, forge.ErrNotFound) {
		t.wakeLater(time.Second) // the queue has made another commit meanwhile
		return nil
	}
	if err != nil {
		return fmt.Errorf("show the gate on the merge queue's commit for %s: %w", t.named(a.Number), err)
	}
	return t.r.Store.Update(ctx, t.claim, func(tx *store.Tx) error {
		tx.SaveCheck(t.claim.Repo, a.Number, a.Head, a.Shown+shownBy+t.configurationSum())
		return nil
	})
}
