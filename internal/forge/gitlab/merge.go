package gitlab

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	gl "github.com/xanzy/go-gitlab"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/wire"
)

// Merge implements forge.PullRequests. A project with merge trains is left to people, as a merge by the API would overtake the train.
func (f *Forge) Merge(ctx context.Context, repo forge.Repository, number int, sha, method string) (string, error) {
	doing := fmt.Sprintf("merge merge request %d", number)
	if !wire.IsCommit(sha) {
		// GitLab would merge whatever the head is.
		return "", &wire.Error{Doing: doing, Message: "the commit to merge is not named by its full hash", Kind: forge.ErrStale}
	}
	f.mu.Lock()
	trains := f.trains[repo.ID]
	f.mu.Unlock()
	if trains {
		return "", &wire.Error{Doing: doing, Message: "the project merges by merge trains, which Boatlift does not drive: a person has to merge", Kind: forge.ErrNotMergeable}
	}
	merged, _, err := f.api.MergeRequests.AcceptMergeRequest(int(repo.ID), number, &gl.AcceptMergeRequestOptions{
		SHA: &sha, Squash: gl.Ptr(method == "squash"), ShouldRemoveSourceBranch: gl.Ptr(false),
	}, with(ctx)...)
	if err = f.about(repo, doing, err); err != nil {
		return "", f.whyNot(ctx, repo, number, sha, err)
	}
	if merged.State != "merged" {
		return "", &wire.Error{Doing: doing, Message: "it is " + wire.Clean(merged.State, 40) + " afterwards; " + wire.Clean(merged.MergeError, wire.MaxMessage), Kind: forge.ErrNotMergeable}
	}
	return mergeCommit(merged), nil
}

// whyNot says more of a merge that was refused: GitLab's answers hold the same few words for all reasons.
// https://docs.gitlab.com/api/merge_requests/#merge-a-merge-request
func (f *Forge) whyNot(ctx context.Context, repo forge.Repository, number int, sha string, err error) error {
	switch wire.Status(err) {
	case http.StatusConflict:
		return wire.As(err, forge.ErrStale)
	case http.StatusUnauthorized: // also where the account may not merge, which says nothing of the token
		if _, selfErr := f.readSelf(ctx, "read the bot's own account"); selfErr == nil {
			return wire.As(err, forge.ErrForbidden)
		}
		return err
	case http.StatusMethodNotAllowed, http.StatusNotAcceptable, http.StatusUnprocessableEntity, http.StatusBadRequest:
	default:
		return err
	}
	err = wire.As(err, forge.ErrNotMergeable)
	now, _, readErr := f.api.MergeRequests.GetMergeRequest(int(repo.ID), number, nil, with(ctx)...)
	if readErr != nil {
		return err
	}
	if now.State == "opened" && now.SHA != sha {
		return wire.As(err, forge.ErrStale)
	}
	if mergeability(now) == forge.MergeUnknown || now.DetailedMergeStatus == "draft_status" && !now.Draft {
		err = wire.As(err, forge.ErrChecking)
	}
	var e *wire.Error
	if errors.As(err, &e) {
		e.Message = strings.TrimPrefix(e.Message+"; it is "+wire.Clean(now.State, 40)+", "+strings.ReplaceAll(wire.Clean(now.DetailedMergeStatus, 60), "_", " "), "; ")
	}
	return err
}

// DeleteBranch implements forge.PullRequests.
func (f *Forge) DeleteBranch(ctx context.Context, repo forge.Repository, branch string) error {
	doing := "delete branch " + wire.Clean(branch, 100)
	for part := range strings.SplitSeq(branch, "/") {
		if part == "" || part == "." || part == ".." {
			return &wire.Error{Doing: doing, Message: "no branch has such a name", Kind: forge.ErrRefused}
		}
	}
	_, err := f.api.Branches.DeleteBranch(int(repo.ID), branch, with(ctx)...)
	err = f.about(repo, doing, err)
	if !errors.Is(err, forge.ErrNotFound) {
		return err
	}
	if _, readErr := f.Repository(ctx, repo.ID); readErr != nil {
		return err // it is the project that is gone
	}
	return nil
}
