package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/gitrepo"
)

// publish brings the commits of all updates into the repository and moves their branches in one push. There is a result for each, whatever
// happens.
func (t *turn) publish(ctx context.Context, updates []gitrepo.BranchUpdate, works []*work) []gitrepo.Result {
	if !t.r.Verified[t.forgeName] {
		return t.pushAll(ctx, updates)
	}
	results := make([]gitrepo.Result, len(updates))
	var sent, left []gitrepo.BranchUpdate
	var places []int
	for i, u := range updates {
		moved, scratch, err := t.signed(ctx, u, works[i])
		if err != nil {
			results[i] = gitrepo.Result{Branch: u.Branch, Err: err}
			continue
		}
		sent, places = append(sent, moved), append(places, i)
		if scratch != "" {
			left = append(left, gitrepo.BranchUpdate{Branch: scratch, Old: moved.To, Delete: true})
		}
	}
	for i, result := range t.pushAll(ctx, append(sent, left...)) {
		if i < len(places) {
			results[places[i]] = result
		} else if result.Err != nil {
			t.log.Warn("a branch for one commit was left", "branch", result.Branch, "error", result.Err)
		}
	}
	return results
}

// scratchPrefix is where the forge makes a commit before the promotion's own branch is moved to it: a crash in between must not leave
// that branch without its commit, and a branch that is made anew cannot be continued.
const scratchPrefix = "boatlift-next/"

// signed has the forge make the commit of an update, and returns the update that moves the branch to it. Where the forge does not, the
// update is returned as it is, to be pushed, and the promotion says why. An error means that it should be tried again.
func (t *turn) signed(ctx context.Context, u gitrepo.BranchUpdate, w *work) (moved gitrepo.BranchUpdate, scratch string, err error) {
	if w.reopen && w.pr.Head != "" { // the forge kept the commit; another one would not do
		return gitrepo.BranchUpdate{Branch: u.Branch, Old: u.Old, To: gitrepo.Hash(w.pr.Head)}, "", nil
	}
	w.pr.Unsigned = ""
	committer, ok := forge.As[forge.Committer](t.forge)
	if !ok {
		w.pr.Unsigned = "this forge makes no commits itself"
		return u, "", nil
	}
	tree, err := t.remote.Tree(ctx, u.Parent)
	if err != nil {
		return u, "", err
	}
	for _, path := range sortedKeys(u.Files) {
		plain, err := tree.IsPlain(ctx, path)
		if err != nil {
			return u, "", fmt.Errorf("look at the mode of %s: %w", path, err)
		}
		if !plain {
			w.pr.Unsigned = "the mode of " + path + " is not that of an ordinary file, and would be lost"
			return u, "", nil
		}
	}
	scratch = scratchPrefix + strings.TrimPrefix(u.Branch, "boatlift/")
	commit := forge.NewCommit{Branch: scratch, Parent: string(u.Parent), Message: u.Message, Files: u.Files}
	sha, signed, err := committer.CreateCommit(ctx, t.repo, commit)
	if errors.Is(err, forge.ErrStale) { // an earlier turn died here
		if err := t.forge.DeleteBranch(ctx, t.repo, scratch); err != nil {
			return u, "", fmt.Errorf("delete branch %s: %w", scratch, err)
		}
		sha, signed, err = committer.CreateCommit(ctx, t.repo, commit)
	}
	switch {
	case err != nil && !endsTurn(err) && (errors.Is(err, forge.ErrRefused) || errors.Is(err, forge.ErrForbidden) || permanent(err)):
		w.pr.Unsigned = firstLine(err.Error())
		return u, "", nil
	case err != nil:
		return u, "", err
	case !signed:
		w.pr.Unsigned = "the forge made the commit and did not sign it"
	}
	return gitrepo.BranchUpdate{Branch: u.Branch, Old: u.Old, To: gitrepo.Hash(sha)}, scratch, nil
}
