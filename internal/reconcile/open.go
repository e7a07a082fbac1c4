package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/gitrepo"
	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/store"
)

type verdict = gate.Verdict

// work is one promotion whose branch and pull request are brought into being, or made anew.
type work struct {
	pr      promotion.Promotion
	verdict verdict
	rebuild string // why the commit is made anew; empty otherwise
	reopen  bool
	changes edit
	on      tree // what the changes were made on
	shown   bool // the changes are rendered

	replaced string // the head that was replaced by a push of this turn
}

// outcome tells what became of the promotions that act on pull requests that are opened.
type outcome struct {
	promotions map[string]promotion.Promotion // opened, by id
	failed     map[string]bool
}

// open makes the commits of all promotions that need one, pushes their branches in one request, and opens the pull requests.
func (t *turn) open(ctx context.Context, d promotion.Decision) (outcome, error) {
	out := outcome{promotions: map[string]promotion.Promotion{}, failed: map[string]bool{}}
	var all []*work
	for _, a := range d.Actions {
		switch a := a.(type) {
		case promotion.OpenPull:
			all = append(all, &work{pr: a.Promotion, verdict: a.Verdict})
		case promotion.Rebuild:
			all = append(all, &work{pr: a.Promotion, verdict: a.Verdict, rebuild: a.Why})
		case promotion.Reopen:
			all = append(all, &work{pr: a.Promotion, verdict: a.Verdict, reopen: true})
		}
	}
	if len(all) == 0 {
		return out, nil
	}
	for _, w := range all {
		w.pr.GateHead = "" // what the gate says now is not shown yet, and if the turn ends before, the next one has to
	}
	learned := t.learningFacts(ctx, all)
	defer learned()
	if err := t.inOrder(ctx, all); err != nil {
		return out, err
	}
	t.begun = append(t.begun, promotionsOf(all)...)
	// A crash from here on is taken up by the next turn; a reopening only counts once it is done.
	if err := t.saveAll(ctx, slices.DeleteFunc(slices.Clone(all), func(w *work) bool { return w.reopen })); err != nil {
		return out, err
	}
	ready, err := t.pushThose(ctx, all, out)
	if err != nil {
		return out, err
	}
	if err := t.lineUp(ctx, ready); err != nil {
		return out, err
	}
	learned()
	for i, w := range ready {
		if w.kind() == opening && i > 0 && t.r.Now().Sub(t.now) > t.r.TurnLimit/2 {
			return out, t.leaveForNext(ready[i:], out)
		}
		err := t.presentWhileRendering(ctx, w, ready[i+1:])
		if pace := paceOf(err); pace != nil {
			if w.kind() == opening { // and so all behind it
				return out, t.waitInLine(ctx, ready[i:], pace, out)
			}
			if err := t.putOff(ctx, w, pace, out); err != nil {
				return out, err
			}
			continue
		}
		if err != nil {
			if err := t.openFailed(ctx, w, err, out); err != nil {
				return out, err
			}
			continue
		}
		out.promotions[w.pr.ID] = w.pr
		env, _ := t.world.Config.Environment(w.pr.Release.Environment)
		if env.Merge == promotion.MergeAuto && w.verdict.State == gate.Allow || !env.Reviewers.None() || t.asksForApprovals(env.Name) {
			t.wakeLater(time.Second) // the next turn merges it, or asks for reviews; forges say nothing to a bot of what it opened itself
		}
	}
	return out, nil
}

// presentWhileRendering presents one, and renders the next meanwhile.
func (t *turn) presentWhileRendering(ctx context.Context, w *work, next []*work) error {
	if err := t.showChanges(ctx, w); err != nil {
		return err
	}
	defer t.renderAhead(ctx, next[:min(1, len(next))])()
	return t.present(ctx, w)
}

// learningFacts lets the registries be asked while branches are made and pushed. What it returns waits for the answers.
func (t *turn) learningFacts(ctx context.Context, all []*work) (wait func()) {
	releases := make([]promotion.Release, len(all))
	for i, w := range all {
		releases[i] = w.pr.Release
	}
	var learning sync.WaitGroup
	learning.Go(func() { t.learnFacts(ctx, releases...) })
	return learning.Wait
}

// pushThose makes the commits that are missing and pushes their branches in one request. It returns those of which the branch is there.
func (t *turn) pushThose(ctx context.Context, all []*work, out outcome) (ready []*work, err error) {
	var updates []gitrepo.BranchUpdate
	var pushed []*work
	there := map[*work]bool{}
	left, held := false, false
	for _, w := range all {
		if t.branchStands(w) {
			there[w] = true
			continue
		}
		if len(updates) >= t.mostCommits() {
			out.failed[w.pr.ID], left = true, true // a later turn comes to it
			continue
		}
		update, needed, err := t.prepare(ctx, w)
		switch {
		case err != nil:
			if err := t.openFailed(ctx, w, err, out); err != nil {
				return nil, err
			}
		case needed:
			updates, pushed = append(updates, update), append(pushed, w)
		default:
			there[w] = true
		}
	}
	rendered := t.renderAhead(ctx, pushed)
	results := t.publish(ctx, updates, pushed)
	rendered()
	for i, result := range results {
		w := pushed[i]
		if pace := paceOf(result.Err); pace != nil {
			held = true
			if err := t.putOff(ctx, w, pace, out); err != nil {
				return nil, err
			}
			continue
		}
		if result.Err != nil {
			if err := t.openFailed(ctx, w, fmt.Errorf("push branch %s: %w", w.pr.Branch, result.Err), out); err != nil {
				return nil, err
			}
			continue
		}
		w.replaced = w.pr.Head
		w.pr.Head, w.pr.Base = string(result.New), string(updates[i].Parent)
		if w.pr.MergeableAt = ""; w.pr.Base == string(t.base) {
			w.pr.MergeableAt = w.pr.Base
		}
		there[w] = true
	}
	if left && !held {
		t.wakeLater(0)
	}
	return slices.DeleteFunc(slices.Clone(all), func(w *work) bool { return !there[w] }), nil
}

// pushAll pushes all branches in one request. There is a result for each, whatever happens.
func (t *turn) pushAll(ctx context.Context, updates []gitrepo.BranchUpdate) []gitrepo.Result {
	if len(updates) == 0 {
		return nil
	}
	results, err := t.remote.Push(ctx, updates)
	if err != nil && len(results) != len(updates) {
		results = make([]gitrepo.Result, len(updates))
		for i := range results {
			results[i].Err = err
		}
	}
	return results
}

// openFailed writes on a promotion why it could not be carried on. An error is only returned where it ends the turn.
func (t *turn) openFailed(ctx context.Context, w *work, err error, out outcome) error {
	if endsTurn(err) {
		return err
	}
	out.failed[w.pr.ID] = true
	pr := w.pr
	switch {
	case w.reopen && errors.Is(err, forge.ErrRefused):
		return t.holdClosed(ctx, pr, err)
	case w.reopen:
		pr.Reopened--
	case w.rebuild != "" && w.replaced != "":
		pr.Head = w.replaced // the next turn finds a new head, and says what this one could not
	}
	return t.failed(ctx, pr, err)
}

// holdClosed ends a promotion that was closed by a machine and that the forge does not let be opened again. Its images are held, as opening
// another pull request would only have that closed too.
func (t *turn) holdClosed(ctx context.Context, pr promotion.Promotion, cause error) error {
	reason := fmt.Sprintf("%s was closed by a machine, or by somebody who may not reject a release, and cannot be reopened: %s", t.named(pr.PullRequest), firstLine(cause.Error()))
	pr.State, pr.Reason, pr.EndedAt, pr.ToDelete = promotion.Stale, reason, t.now, true
	hold := promotion.Hold{Environment: pr.Release.Environment, Images: imagesOf(pr.Release), Reason: reason, Actor: "boatlift", At: t.now}
	return t.save(ctx, pr, "", string(pr.State), func(tx *store.Tx) {
		tx.AddHold(hold)
		tx.Audit(t.audit("boatlift", "held", t.repo.FullName+":"+hold.Environment, hold))
	})
}

// prepare makes the edit of a promotion. It is made on the present base, but for a pull request that is to be reopened: forges only do that
// while its branch is where it was, so there it is made on the old base, which gives the same commit again, or left alone.
func (t *turn) prepare(ctx context.Context, w *work) (update gitrepo.BranchUpdate, needed bool, err error) {
	on, lists := t.tree, t.world.Listings
	old := t.refs.Branch(w.pr.Branch)
	if w.reopen {
		if string(old) == w.pr.Head && old != "" {
			return update, false, nil
		}
		if w.pr.Base != "" && w.pr.Base != string(t.base) {
			if on, err = t.remote.Tree(ctx, gitrepo.Hash(w.pr.Base)); err != nil {
				return update, false, err
			}
			if lists, err = t.list(ctx, on); err != nil {
				return update, false, fmt.Errorf("read the base of branch %s: %w", w.pr.Branch, err)
			}
		}
	}
	env, _ := t.world.Config.Environment(w.pr.Release.Environment)
	if w.changes, err = t.edit(ctx, on, lists, env, w.pr.Release); err != nil {
		return update, false, err
	}
	w.on, w.pr.Files = on, sortedKeys(w.changes.files)
	if old != "" && string(old) != w.pr.Head {
		_, ours, err := t.wouldMake(ctx, w.pr, string(old))
		if err != nil {
			return update, false, fmt.Errorf("look at branch %s: %w", w.pr.Branch, err)
		}
		if !ours {
			return update, false, &foreignBranchError{w.pr.Branch}
		}
	}
	who := gitrepo.Identity{Name: t.self.Name, Email: t.self.Email}
	return gitrepo.BranchUpdate{
		Branch: w.pr.Branch, Old: old, Parent: on.Commit(), Files: w.changes.files, Message: commitMessage(w.pr.Release),
		Author: who, Committer: who, When: w.pr.CreatedAt.Truncate(time.Second), Signer: t.r.Signers[t.forgeName],
	}, true, nil
}

// foreignBranchError reports a branch of the bot's naming with somebody else's commit on it.
type foreignBranchError struct{ branch string }

func (e *foreignBranchError) Error() string {
	return "branch " + e.branch + " is there already, with a commit that is not the bot's"
}
func (e *foreignBranchError) Hint() string    { return "delete or rename the branch " + e.branch }
func (e *foreignBranchError) Permanent() bool { return true }

func imagesOf(r promotion.Release) []image.Name {
	names := make([]image.Name, len(r.Changes))
	for i, c := range r.Changes {
		names[i] = c.Image
	}
	return names
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
