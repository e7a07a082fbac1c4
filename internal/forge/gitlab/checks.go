package gitlab

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	gl "github.com/xanzy/go-gitlab"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/wire"
)

// maxDescription is how much a commit status says at most, in characters.
const maxDescription = 140

// SetCheck implements forge.Checks. A commit status shows the gate, and holds nothing. What holds is an external status check of the same name
// where the project has one; else the bot's own merge requests are drafts for as long as their gate is not green.
func (f *Forge) SetCheck(ctx context.Context, repo forge.Repository, check forge.Check) error {
	doing := "set check " + wire.Clean(check.Name, 100)
	if !wire.IsCommit(check.HeadSHA) {
		return &wire.Error{Doing: doing, Message: "the commit is not named by its full hash", Kind: forge.ErrRefused}
	}
	switch check.Conclusion {
	case forge.Pending, forge.Success, forge.Failure:
	default:
		return fmt.Errorf("set a check: unknown conclusion %s", check.Conclusion)
	}
	self, err := f.whoami(ctx, doing)
	if err != nil {
		return err
	}
	var m *gl.MergeRequest
	if check.Number > 0 {
		if m, _, err = f.api.MergeRequests.GetMergeRequest(int(repo.ID), check.Number, nil, with(ctx)...); err != nil {
			return f.about(repo, doing, err)
		}
		if m.State != "opened" || m.SHA != check.HeadSHA {
			m = nil // it is about a commit, and no longer about what would be merged
		}
	}
	green := check.Conclusion == forge.Success
	if m != nil && !green { // first what holds, then what shows
		if err := f.hold(ctx, repo, m, self, check); err != nil {
			return f.about(repo, doing, err)
		}
	}
	if err := f.setStatus(ctx, repo, m, self, check); err != nil {
		return f.about(repo, doing, err)
	}
	if m != nil && green {
		return f.about(repo, doing, f.hold(ctx, repo, m, self, check))
	}
	return nil
}

// hold lets a merge request be merged, or keeps people from merging it.
func (f *Forge) hold(ctx context.Context, repo forge.Repository, m *gl.MergeRequest, self identity, check forge.Check) error {
	external, err := f.externalCheck(ctx, repo, m.IID, check.Name)
	if err != nil {
		return err
	}
	mark, title := splitTitle(m.Title)
	own := f.basic(m.Author, self).Self
	shut := check.Conclusion != forge.Success
	wanted := mark
	switch {
	case !own: // other people's are theirs
	case mark == gateDraft && (external != nil || !shut):
		wanted = ""
	case mark == "" && external == nil && shut:
		wanted = gateDraft
	}
	if external != nil {
		// One that is pending turns failed after two minutes, whoever said it; so what waits has failed until it has not.
		status := "passed"
		if shut {
			status = "failed"
		}
		if external.Status != status {
			_, err := f.api.ExternalStatusChecks.SetExternalStatusCheckStatus(int(repo.ID), m.IID, &gl.SetExternalStatusCheckStatusOptions{
				SHA: &check.HeadSHA, ExternalStatusCheckID: &external.ID, Status: &status,
			}, with(ctx)...)
			if err != nil {
				return err
			}
		}
	}
	if wanted == mark {
		return nil
	}
	_, _, err = f.api.MergeRequests.UpdateMergeRequest(int(repo.ID), m.IID, &gl.UpdateMergeRequestOptions{
		Title: gl.Ptr(wire.Title(wanted+title, maxTitle)),
	}, with(ctx)...)
	return err
}

// externalCheck finds the external status check of a name among those of a merge request; nil where there is none, as on all tiers but one.
func (f *Forge) externalCheck(ctx context.Context, repo forge.Repository, number int, name string) (*gl.MergeStatusCheck, error) {
	if kind, known := f.gateOf(repo.ID); known && !kind.external {
		return nil, nil
	}
	found, err := pages(func(page int, _ string) ([]*gl.MergeStatusCheck, *gl.Response, error) {
		return f.api.ExternalStatusChecks.ListMergeStatusChecks(int(repo.ID), number, &gl.ListOptions{Page: page, PerPage: pageSize}, with(ctx)...)
	})
	switch err = f.about(repo, "list the external status checks", err); {
	case errors.Is(err, forge.ErrNotFound), errors.Is(err, forge.ErrForbidden), errors.Is(err, forge.ErrGone):
		found = nil // a GitLab without the licence answers 401; a token that is dead is found out by what follows
	case err != nil:
		return nil, err
	}
	var check *gl.MergeStatusCheck
	for _, c := range found {
		if c.Name == name {
			check = c
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gates[repo.ID] = gateKind{external: check != nil, until: f.clock().Add(believed)}
	return check, nil
}

// gateOf is what was found to hold a merge in a project a short while ago.
func (f *Forge) gateOf(id forge.RepoID) (kind gateKind, known bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	kind = f.gates[id]
	return kind, f.clock().Before(kind.until)
}

// setStatus shows a check as a commit status. One that says it already is left alone. GitLab refuses to change a status into what it is, with
// another text too; then it is ended and begun anew.
// https://docs.gitlab.com/api/commits/#set-commit-pipeline-status
func (f *Forge) setStatus(ctx context.Context, repo forge.Repository, m *gl.MergeRequest, self identity, check forge.Check) error {
	options := &gl.SetCommitStatusOptions{
		Name: &check.Name, Description: gl.Ptr(wire.Short(wire.Title(check.Title, 1000), maxDescription)),
	}
	if link := wire.Link(check.DetailsURL); link != "" {
		options.TargetURL = &link
	}
	if m != nil && m.SourceProjectID == m.TargetProjectID {
		options.Ref = &m.SourceBranch
	}
	switch check.Conclusion {
	case forge.Success:
		options.State = gl.Success
	case forge.Failure:
		options.State = gl.Failed
	default:
		options.State = gl.Pending
	}
	shown, err := f.shows(ctx, repo, self, check, options)
	if err != nil || shown {
		return err
	}
	_, _, err = f.api.Commits.SetCommitStatus(int(repo.ID), check.HeadSHA, options, with(ctx)...)
	err = f.translate("set a commit status", err)
	switch {
	case wire.Status(err) == http.StatusBadRequest && wire.Says(err, "transition"):
	case errors.Is(err, forge.ErrNotFound) && m != nil && m.SourceProjectID != m.TargetProjectID:
		return nil // the commit is a fork's, and no branch of this project has it: there is nothing to show it on
	default:
		return err
	}
	if shown, readErr := f.shows(ctx, repo, self, check, options); readErr != nil || shown {
		return readErr // it took the text, or somebody else's turn said the same
	}
	state := options.State
	for _, options.State = range []gl.BuildStateValue{gl.Canceled, state} {
		if _, _, err := f.api.Commits.SetCommitStatus(int(repo.ID), check.HeadSHA, options, with(ctx)...); err != nil {
			return err
		}
	}
	return nil
}

// shows tells whether the newest status of this name is the bot's and says the same.
func (f *Forge) shows(ctx context.Context, repo forge.Repository, self identity, check forge.Check, wanted *gl.SetCommitStatusOptions) (bool, error) {
	list, err := f.statuses(ctx, repo, check.HeadSHA, check.Name)
	if err != nil {
		return false, err
	}
	var newest *gl.CommitStatus
	for _, s := range list {
		if s.Name == check.Name && (newest == nil || s.ID > newest.ID) {
			newest = s
		}
	}
	if newest == nil || int64(newest.Author.ID) != self.id {
		return false, nil
	}
	target := ""
	if wanted.TargetURL != nil {
		target = *wanted.TargetURL
	}
	return newest.Status == string(wanted.State) && newest.Description == *wanted.Description && newest.TargetURL == target, nil
}
