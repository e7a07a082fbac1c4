package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/promotion"
)

// present opens the pull request of a pushed branch whose changes are rendered, or brings the one that is there up to date, and shows the gate on its head.
func (t *turn) present(ctx context.Context, w *work) error {
	env := w.pr.Release.Environment
	p, err := t.pageOf(ctx, w.pr)
	if err != nil {
		return err
	}
	p.history, p.changes = t.knownHistory(&p.pr), w.changes
	title, body, sum := pullTitle(w.pr.Release), p.body(t.mark(w.pr)), p.sum()
	t.r.edits.put(w.pr.Head, w.changes)
	if w.kind() == opening { // from here on there may be a pull request, and the next turn has to look for it
		w.pr.WaitsUntil = time.Time{}
		if err := t.save(ctx, w.pr, "", "", nil); err != nil {
			return err
		}
	}
	isNew := false
	switch {
	case w.reopen:
		open := forge.Open
		if _, err := t.forge.EditPullRequest(ctx, t.repo, w.pr.PullRequest, forge.Edit{State: &open}); err != nil {
			return fmt.Errorf("reopen %s: %w", t.named(w.pr.PullRequest), err)
		}
		if err := t.forge.Comment(ctx, t.repo, w.pr.PullRequest, "reopened-"+w.pr.ID, reopenComment); err != nil {
			return fmt.Errorf("comment on %s: %w", t.named(w.pr.PullRequest), err)
		}
	case w.rebuild != "":
		if _, err := t.forge.EditPullRequest(ctx, t.repo, w.pr.PullRequest, forge.Edit{Title: &title, Body: &body}); err != nil {
			return fmt.Errorf("bring %s up to date: %w", t.named(w.pr.PullRequest), err)
		}
		w.pr.Page, w.pr.History = sum, p.pr.History
		if err := t.forge.Comment(ctx, t.repo, w.pr.PullRequest, rebuiltKey(w.pr.Head), rebuildComment(w.rebuild)); err != nil {
			return fmt.Errorf("comment on %s: %w", t.named(w.pr.PullRequest), err)
		}
	default:
		pull, found, err := t.openOrFind(ctx, w.pr, forge.NewPullRequest{
			Head: w.pr.Branch, Base: t.repo.DefaultBranch, Title: title, Body: body, Labels: []string{"boatlift", "boatlift/" + env},
			GateShut: w.verdict.State != gate.Allow, Promotion: w.pr.ID,
		})
		if err != nil {
			return err
		}
		w.pr.PullRequest, w.pr.URL, w.pr.OpenedAt = pull.Number, pull.URL, t.now
		if isNew = !found; isNew { // else it says what was so when it was opened
			w.pr.Page, w.pr.History = sum, p.pr.History
		}
		t.log.Info("pull request opened", "environment", env, "release", w.pr.Release.Label(), "url", pull.URL)
	}
	w.pr.State, w.pr.GateHead = promotion.Open, w.pr.Head
	w.pr.Attempts, w.pr.LastError, w.pr.RetryAt = 0, "", time.Time{}
	action := "opened"
	if w.rebuild != "" {
		action = "rebuilt"
	} else if w.reopen {
		action = "reopened"
	}
	if err := t.forgetGreen(ctx, w.pr, w.verdict); err != nil {
		return err
	}
	showing := t.showGate(ctx, w.pr.Head, w.pr, w.verdict, isNew)
	if showing != nil {
		w.pr.GateHead = "" // shown at the next turn
		t.wakeLater(max(5*time.Second, retryAfter(showing)))
	}
	if err := t.save(ctx, w.pr, "", action, nil); err != nil {
		return err
	}
	if showing != nil && endsTurn(showing) {
		return showing
	}
	return nil
}

// showChanges renders what a promotion changes; where an earlier turn pushed its branch, that is found out anew. What waits for its pull
// request is rendered when its time has come, not in every turn before.
func (t *turn) showChanges(ctx context.Context, w *work) (err error) {
	switch {
	case w.shown:
	case w.on != nil:
		w.shown = true
		t.render(ctx, w.on, &w.changes)
	case !w.reopen:
		w.changes, err = t.changesAt(ctx, w.pr)
	}
	return err
}

// openOrFind opens a pull request, or finds the one that is open for the branch already.
func (t *turn) openOrFind(ctx context.Context, of promotion.Promotion, pr forge.NewPullRequest) (pull forge.PullRequest, found bool, err error) {
	for n, f := range t.openPulls { // not asked of the forge again and again, for as long as people keep it open
		if f.HeadBranch == of.Branch && !f.HeadFork && f.BaseBranch == pr.Base && t.ofAnother(of, n) {
			return pull, false, t.stillOpen(n)
		}
	}
	pull, err = t.forge.CreatePullRequest(ctx, t.repo, pr)
	if pull.Number != 0 && !errors.Is(err, forge.ErrExists) {
		t.r.Opened(t.repo.FullName, of.Release.Environment)
	}
	if err != nil && pull.Number != 0 {
		t.log.Warn("the pull request is open, but without its labels", "pull request", pull.Number, "error", err)
		return pull, false, nil
	}
	if !errors.Is(err, forge.ErrExists) {
		if err != nil {
			return pull, false, fmt.Errorf("open a pull request for branch %s: %w", of.Branch, err)
		}
		return pull, false, nil
	}
	there, err := t.forge.PullRequestsOf(ctx, t.repo, of.Branch)
	if err != nil {
		return pull, false, fmt.Errorf("look for the pull request of branch %s: %w", of.Branch, err)
	}
	for _, f := range there {
		if f.State != forge.Open || f.BaseBranch != pr.Base {
			continue
		}
		if t.ofAnother(of, f.Number) {
			return pull, false, t.stillOpen(f.Number)
		}
		return f, true, nil
	}
	return pull, false, fmt.Errorf("the forge says that a pull request for branch %s exists, and shows none", of.Branch)
}

// ofAnother tells whether a pull request is another promotion's.
func (t *turn) ofAnother(of promotion.Promotion, number int) bool {
	return slices.ContainsFunc(t.world.Promotions, func(o promotion.Promotion) bool { return o.ID != of.ID && o.PullRequest == number })
}

func (t *turn) stillOpen(number int) error {
	return fmt.Errorf("%s, of an earlier promotion of the same images, is still open", t.named(number))
}

// rebuiltKey tells the comments on heads that took the place of others apart.
func rebuiltKey(head string) string { return "rebuilt-" + head[:min(12, len(head))] }
