package reconcile

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/gitrepo"
	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/kustomize"
	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/render"
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

	replaced string // the head that was replaced by a push of this turn
}

// edit is what a promotion changes in the repository.
type edit struct {
	files  map[string][]byte // new content by path
	diff   string            // of the kustomizations
	shown  []render.Directory
	notice string // why nothing is rendered
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
	var updates []gitrepo.BranchUpdate
	var ready, pushed []*work
	for _, w := range all {
		t.begun = append(t.begun, w.pr)
		if !w.reopen { // a crash from here on is taken up by the next turn; a reopening only counts once it is done
			if err := t.save(ctx, w.pr, "", "", nil); err != nil {
				return out, err
			}
		}
		update, needed, err := t.prepare(ctx, w)
		switch {
		case err != nil:
			if err := t.openFailed(ctx, w, err, out); err != nil {
				return out, err
			}
		case needed:
			updates, pushed = append(updates, update), append(pushed, w)
		default:
			ready = append(ready, w)
		}
	}
	for i, result := range t.pushAll(ctx, updates) {
		w := pushed[i]
		if result.Err != nil {
			if err := t.openFailed(ctx, w, fmt.Errorf("push branch %s: %w", w.pr.Branch, result.Err), out); err != nil {
				return out, err
			}
			continue
		}
		w.replaced = w.pr.Head
		w.pr.Head, w.pr.Base = string(result.New), string(updates[i].Parent)
		if w.pr.MergeableAt = ""; w.pr.Base == string(t.base) {
			w.pr.MergeableAt = w.pr.Base
		}
		ready = append(ready, w)
	}
	for _, w := range ready {
		if err := t.present(ctx, w); err != nil {
			if err := t.openFailed(ctx, w, err, out); err != nil {
				return out, err
			}
			continue
		}
		out.promotions[w.pr.ID] = w.pr
		if env, _ := t.world.Config.Environment(w.pr.Release.Environment); env.Merge == promotion.MergeAuto && w.verdict.State == gate.Allow {
			t.wakeLater(time.Second) // the next turn merges it; forges say nothing to a bot of what it opened itself
		}
	}
	return out, nil
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
	reason := fmt.Sprintf("#%d was closed by a machine, or by somebody who may not reject a release, and cannot be reopened: %s", pr.PullRequest, firstLine(cause.Error()))
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
	w.pr.Files = sortedKeys(w.changes.files)
	if old != "" && string(old) != w.pr.Head {
		commit, err := t.remote.Commit(ctx, old)
		if err != nil {
			return update, false, fmt.Errorf("look at branch %s: %w", w.pr.Branch, err)
		}
		if commit.Author.Email != t.self.Email || trailer(commit.Message) != w.pr.Release.ID {
			return update, false, &foreignBranchError{w.pr.Branch}
		}
	}
	who := gitrepo.Identity{Name: t.self.Name, Email: t.self.Email}
	return gitrepo.BranchUpdate{
		Branch: w.pr.Branch, Old: old, Parent: on.Commit(), Files: w.changes.files, Message: commitMessage(w.pr.Release),
		Author: who, Committer: who, When: w.pr.CreatedAt.Truncate(time.Second),
	}, true, nil
}

// foreignBranchError reports a branch of the bot's naming with somebody else's commit on it.
type foreignBranchError struct{ branch string }

func (e *foreignBranchError) Error() string {
	return "branch " + e.branch + " is there already, with a commit that is not the bot's"
}
func (e *foreignBranchError) Hint() string    { return "delete or rename the branch " + e.branch }
func (e *foreignBranchError) Permanent() bool { return true }

// edit changes every kustomization of the environment that lists an image of the release.
func (t *turn) edit(ctx context.Context, tree *gitrepo.Tree, lists []promotion.Listing, env promotion.Environment, release promotion.Release) (edit, error) {
	changes := map[string][]kustomize.Change{}
	for _, l := range lists {
		if l.Environment != env.Name || !release.Moves(l.Image) {
			continue
		}
		if l.Refusal != "" {
			return edit{}, &refusedError{l.Refusal}
		}
		for _, c := range release.Changes {
			if c.Image == l.Image {
				changes[l.File] = append(changes[l.File], change(env.Pin, l.Entry, c))
			}
		}
	}
	files := sortedKeys(changes)
	texts, err := tree.ReadFiles(ctx, files)
	if err != nil {
		return edit{}, fmt.Errorf("read the kustomizations: %w", err)
	}
	e := edit{files: map[string][]byte{}}
	for _, f := range files {
		after, report, err := kustomize.Edit(f, texts[f], changes[f])
		if err != nil {
			return edit{}, err
		}
		if report.Changed {
			e.files[f] = after
			e.diff += kustomize.Diff(f, texts[f], after)
		}
	}
	if len(e.files) == 0 {
		return edit{}, fmt.Errorf("%s has %s already", env.Name, release.Label())
	}
	t.render(ctx, tree, &e)
	return e, nil
}

// refusedError is an edit that is never made.
type refusedError struct{ reason string }

func (e *refusedError) Error() string   { return e.reason }
func (e *refusedError) Permanent() bool { return true }

func change(pin promotion.Pin, entry string, c promotion.Change) kustomize.Change {
	tag, digest := c.Tag, string(c.Digest)
	ch := kustomize.Change{Name: entry}
	switch pin {
	case promotion.PinDigest:
		ch.Digest, ch.Other = &digest, kustomize.OtherReplace
	case promotion.PinTag:
		ch.Tag, ch.Other = &tag, kustomize.OtherReplace
	default:
		ch.Tag, ch.Digest = &tag, &digest
	}
	return ch
}

// maxRendered bounds how many directories are rendered for one pull request.
const maxRendered = 4

// render shows what the edit changes in the manifests. It never stands in the way of the pull request.
func (t *turn) render(ctx context.Context, tree *gitrepo.Tree, e *edit) {
	if t.r.Renderer == nil {
		return
	}
	var dirs []string
	for _, f := range sortedKeys(e.files) {
		dirs = append(dirs, path.Dir(f))
	}
	dirs = slices.Compact(dirs)
	if len(dirs) > maxRendered {
		e.notice = fmt.Sprintf("%d more directories are not shown.", len(dirs)-maxRendered)
		dirs = dirs[:maxRendered]
	}
	for i, d := range dirs {
		if d == "." {
			dirs[i] = ""
		}
	}
	result, err := t.r.Renderer.Compare(ctx, treeSource{tree}, dirs, e.files)
	if err != nil {
		e.notice = "The manifests could not be rendered: " + firstLine(err.Error())
		return
	}
	e.shown = result.Dirs
}

// treeSource lets the renderer read a commit.
type treeSource struct{ tree *gitrepo.Tree }

func (s treeSource) ReadFile(ctx context.Context, p string) ([]byte, error) {
	return s.tree.ReadFile(ctx, p)
}

func (s treeSource) IsDir(ctx context.Context, p string) (bool, error) {
	if p == "" || p == "." {
		return true, nil
	}
	return s.tree.IsDir(ctx, p)
}

// present opens the pull request of a pushed branch, or brings the one that is there up to date, and shows the gate on its head.
func (t *turn) present(ctx context.Context, w *work) error {
	env := w.pr.Release.Environment
	title, body := pullTitle(w.pr.Release), t.pullBody(w)
	if !w.reopen && w.rebuild == "" { // from here on there may be a pull request, and the next turn has to look for it
		if err := t.save(ctx, w.pr, "", "", nil); err != nil {
			return err
		}
	}
	switch {
	case w.reopen:
		open := forge.Open
		if _, err := t.forge.EditPullRequest(ctx, t.repo, w.pr.PullRequest, forge.Edit{State: &open}); err != nil {
			return fmt.Errorf("reopen #%d: %w", w.pr.PullRequest, err)
		}
		if err := t.forge.Comment(ctx, t.repo, w.pr.PullRequest, "reopened-"+w.pr.ID, reopenComment); err != nil {
			return fmt.Errorf("comment on #%d: %w", w.pr.PullRequest, err)
		}
	case w.rebuild != "":
		if _, err := t.forge.EditPullRequest(ctx, t.repo, w.pr.PullRequest, forge.Edit{Title: &title, Body: &body}); err != nil {
			return fmt.Errorf("bring #%d up to date: %w", w.pr.PullRequest, err)
		}
		if err := t.forge.Comment(ctx, t.repo, w.pr.PullRequest, rebuiltKey(w.pr.Head), rebuildComment(w.rebuild)); err != nil {
			return fmt.Errorf("comment on #%d: %w", w.pr.PullRequest, err)
		}
	default:
		pull, err := t.openOrFind(ctx, w.pr, forge.NewPullRequest{
			Head: w.pr.Branch, Base: t.repo.DefaultBranch, Title: title, Body: body, Labels: []string{"boatlift", "boatlift/" + env},
		})
		if err != nil {
			return err
		}
		w.pr.PullRequest, w.pr.URL, w.pr.OpenedAt = pull.Number, pull.URL, t.now
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
	showing := t.showGate(ctx, w.pr.Head, w.pr, w.verdict)
	if showing != nil {
		w.pr.GateHead = "" // shown at the next turn
		t.wakeLater(5 * time.Second)
	}
	if err := t.save(ctx, w.pr, "", action, nil); err != nil {
		return err
	}
	if showing != nil && endsTurn(showing) {
		return showing
	}
	return nil
}

// openOrFind opens a pull request, or finds the one that is open for the branch already.
func (t *turn) openOrFind(ctx context.Context, of promotion.Promotion, pr forge.NewPullRequest) (forge.PullRequest, error) {
	branch := of.Branch
	pull, err := t.forge.CreatePullRequest(ctx, t.repo, pr)
	if err != nil && pull.Number != 0 {
		t.log.Warn("the pull request is open, but without its labels", "pull request", pull.Number, "error", err)
		return pull, nil
	}
	if !errors.Is(err, forge.ErrExists) {
		if err != nil {
			return pull, fmt.Errorf("open a pull request for branch %s: %w", branch, err)
		}
		return pull, nil
	}
	found, err := t.forge.PullRequestsOf(ctx, t.repo, branch)
	if err != nil {
		return pull, fmt.Errorf("look for the pull request of branch %s: %w", branch, err)
	}
	for _, f := range found {
		if f.State != forge.Open || f.BaseBranch != pr.Base {
			continue
		}
		if slices.ContainsFunc(t.world.Promotions, func(o promotion.Promotion) bool { return o.ID != of.ID && o.PullRequest == f.Number }) {
			return pull, fmt.Errorf("#%d, of an earlier promotion of the same images, is still open", f.Number)
		}
		return f, nil
	}
	return pull, fmt.Errorf("the forge says that a pull request for branch %s exists, and shows none", branch)
}

// rebuiltKey tells the comments on heads that took the place of others apart.
func rebuiltKey(head string) string { return "rebuilt-" + head[:min(12, len(head))] }

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
