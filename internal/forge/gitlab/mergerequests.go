package gitlab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	gl "github.com/xanzy/go-gitlab"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/wire"
)

const (
	maxTitle = 255     // characters, with what makes it a draft
	maxText  = 900_000 // bytes, of descriptions and comments: GitLab takes a million characters
)

// OpenPullRequests implements forge.PullRequests.
func (f *Forge) OpenPullRequests(ctx context.Context, repo forge.Repository, base string) ([]forge.PullRequest, error) {
	return f.list(ctx, repo, "list the open merge requests onto "+wire.Clean(base, 100),
		gl.ListProjectMergeRequestsOptions{State: gl.Ptr("opened"), TargetBranch: &base, OrderBy: gl.Ptr("created_at"), Sort: gl.Ptr("asc")},
		func(a, b int) int { return cmp.Compare(a, b) },
		func(pr forge.PullRequest) bool { return pr.BaseBranch == base && pr.State == forge.Open })
}

// PullRequestsOf implements forge.PullRequests.
func (f *Forge) PullRequestsOf(ctx context.Context, repo forge.Repository, branch string) ([]forge.PullRequest, error) {
	return f.list(ctx, repo, "list the merge requests of "+wire.Clean(branch, 100),
		gl.ListProjectMergeRequestsOptions{SourceBranch: &branch, OrderBy: gl.Ptr("created_at"), Sort: gl.Ptr("desc")},
		func(a, b int) int { return cmp.Compare(b, a) },
		func(pr forge.PullRequest) bool { return pr.HeadBranch == branch && !pr.HeadFork })
}

func (f *Forge) list(ctx context.Context, repo forge.Repository, doing string, options gl.ListProjectMergeRequestsOptions, order func(a, b int) int, wanted func(forge.PullRequest) bool) ([]forge.PullRequest, error) {
	self, err := f.whoami(ctx, doing)
	if err != nil {
		return nil, err
	}
	found, err := pages(func(page int, _ string) ([]*gl.MergeRequest, *gl.Response, error) {
		options.ListOptions = gl.ListOptions{Page: page, PerPage: pageSize}
		return f.api.MergeRequests.ListProjectMergeRequests(int(repo.ID), &options, with(ctx)...)
	})
	if err != nil {
		return nil, f.about(repo, doing, err)
	}
	var list []forge.PullRequest
	seen := map[int]bool{} // a list that shifts between two pages shows one twice
	for _, m := range found {
		if pr := f.pullRequest(m, self); wanted(pr) && !seen[pr.Number] {
			seen[pr.Number] = true
			list = append(list, pr)
		}
	}
	slices.SortStableFunc(list, func(a, b forge.PullRequest) int { return order(a.Number, b.Number) }) // those of one second too
	return list, nil
}

// PullRequest implements forge.PullRequests.
func (f *Forge) PullRequest(ctx context.Context, repo forge.Repository, number int) (forge.PullRequest, error) {
	doing := fmt.Sprintf("read merge request %d", number)
	self, err := f.whoami(ctx, doing)
	if err != nil {
		return forge.PullRequest{}, err
	}
	m, _, err := f.api.MergeRequests.GetMergeRequest(int(repo.ID), number, nil, with(ctx)...)
	if err != nil {
		return forge.PullRequest{}, f.about(repo, doing, err)
	}
	return f.single(ctx, m, self)
}

// CreatePullRequest implements forge.PullRequests. GitLab opens merge requests that add nothing, and of branches that do not exist; so both are
// looked for first.
func (f *Forge) CreatePullRequest(ctx context.Context, repo forge.Repository, pr forge.NewPullRequest) (forge.PullRequest, error) {
	doing := "open a merge request for " + wire.Clean(pr.Head, 100)
	self, err := f.whoami(ctx, doing)
	if err != nil {
		return forge.PullRequest{}, err
	}
	difference, _, err := f.api.Repositories.Compare(int(repo.ID), &gl.CompareOptions{From: &pr.Base, To: &pr.Head}, with(ctx)...)
	switch err = f.about(repo, doing, err); {
	case errors.Is(err, forge.ErrNotFound) && !wire.Says(err, "project"):
		return forge.PullRequest{}, wire.As(err, forge.ErrRefused)
	case err != nil:
		return forge.PullRequest{}, err
	case len(difference.Commits) == 0:
		return forge.PullRequest{}, &wire.Error{Doing: doing, Message: "it has no commit that " + wire.Clean(pr.Base, 100) + " lacks", Kind: forge.ErrEmpty}
	}
	title := pr.Title
	switch {
	case pr.Draft:
		title = draft + title
	case pr.GateShut:
		title = gateDraft + title
	}
	options := &gl.CreateMergeRequestOptions{
		Title: gl.Ptr(wire.Title(title, maxTitle)), Description: gl.Ptr(escape(wire.Cut(pr.Body, maxText))), SourceBranch: &pr.Head, TargetBranch: &pr.Base,
		RemoveSourceBranch: gl.Ptr(false),
	}
	if len(pr.Labels) > 0 {
		options.Labels = labels(pr.Labels)
	}
	created, _, err := f.api.MergeRequests.CreateMergeRequest(int(repo.ID), options, with(ctx)...)
	if err = f.about(repo, doing, err); err != nil {
		if wire.Status(err) == http.StatusConflict {
			return forge.PullRequest{}, wire.As(err, forge.ErrExists)
		}
		return forge.PullRequest{}, err
	}
	if created.IID <= 0 {
		return forge.PullRequest{}, &wire.Error{Doing: doing, Message: "the answer holds no number"}
	}
	return f.single(ctx, created, self)
}

// labels is a list of labels. A comma would end one.
func labels(names []string) *gl.LabelOptions {
	list := make(gl.LabelOptions, 0, len(names))
	for _, name := range names {
		list = append(list, strings.ReplaceAll(name, ",", " "))
	}
	return &list
}

// EditPullRequest implements forge.PullRequests. Whether it is a draft is part of a title at GitLab, and is kept.
func (f *Forge) EditPullRequest(ctx context.Context, repo forge.Repository, number int, edit forge.Edit) (forge.PullRequest, error) {
	doing := fmt.Sprintf("change merge request %d", number)
	self, err := f.whoami(ctx, doing)
	if err != nil {
		return forge.PullRequest{}, err
	}
	change := &gl.UpdateMergeRequestOptions{}
	if edit.Title != nil {
		now, _, err := f.api.MergeRequests.GetMergeRequest(int(repo.ID), number, nil, with(ctx)...)
		if err != nil {
			return forge.PullRequest{}, f.about(repo, doing, err)
		}
		prefix, _ := splitTitle(now.Title)
		change.Title = gl.Ptr(wire.Title(prefix+*edit.Title, maxTitle))
	}
	if edit.Body != nil {
		change.Description = gl.Ptr(escape(wire.Cut(*edit.Body, maxText)))
	}
	if edit.State != nil {
		switch *edit.State {
		case forge.Open:
			change.StateEvent = gl.Ptr("reopen")
		case forge.Closed:
			change.StateEvent = gl.Ptr("close")
		default:
			return forge.PullRequest{}, &wire.Error{Doing: doing, Message: "only a merge makes it merged", Kind: forge.ErrRefused}
		}
	}
	answer, _, err := f.api.MergeRequests.UpdateMergeRequest(int(repo.ID), number, change, with(ctx)...)
	if err = f.about(repo, doing, err); err != nil {
		if wire.Status(err) == http.StatusConflict {
			return forge.PullRequest{}, wire.As(err, forge.ErrExists)
		}
		return forge.PullRequest{}, err
	}
	pr, err := f.single(ctx, answer, self)
	if err == nil && edit.State != nil && *edit.State == forge.Open && pr.State != forge.Open {
		// GitLab answers this without an error, and changes nothing.
		return pr, &wire.Error{Doing: doing, Message: "it is " + string(pr.State), Kind: forge.ErrRefused}
	}
	return pr, err
}

// AddLabels implements forge.PullRequests. GitLab makes labels that it does not know.
func (f *Forge) AddLabels(ctx context.Context, repo forge.Repository, number int, names []string) error {
	if len(names) == 0 {
		return nil
	}
	_, _, err := f.api.MergeRequests.UpdateMergeRequest(int(repo.ID), number, &gl.UpdateMergeRequestOptions{AddLabels: labels(names)}, with(ctx)...)
	return f.about(repo, fmt.Sprintf("label merge request %d", number), err)
}

// pullRequest converts what lists and single reads share.
func (f *Forge) pullRequest(m *gl.MergeRequest, self identity) forge.PullRequest {
	prefix, title := splitTitle(m.Title)
	pr := forge.PullRequest{
		Number: m.IID, URL: wire.Link(m.WebURL), Title: title, Body: unescape(m.Description), State: forge.Open, Author: f.basic(m.Author, self),
		HeadBranch: m.SourceBranch, HeadSHA: m.SHA, BaseBranch: m.TargetBranch, BaseSHA: m.DiffRefs.StartSha,
		// A fork that was deleted leaves no project at all.
		HeadFork: m.SourceProjectID != m.TargetProjectID,
		Labels:   m.Labels, CreatedAt: moment(m.CreatedAt), UpdatedAt: moment(m.UpdatedAt),
	}
	pr.Draft = (m.Draft || m.WorkInProgress) && (prefix != gateDraft || !pr.Author.Self)
	if kind, known := f.gateOf(forge.RepoID(m.TargetProjectID)); pr.Author.Self && m.State == "opened" && prefix == "" {
		pr.Ungated = !known || !kind.external
	}
	switch m.State {
	case "merged":
		pr.State, pr.MergedAt = forge.Merged, moment(m.MergedAt)
		pr.ClosedAt = pr.MergedAt
	case "closed":
		pr.State, pr.ClosedAt = forge.Closed, moment(m.ClosedAt)
		if pr.ClosedAt.IsZero() {
			pr.ClosedAt = pr.UpdatedAt
		}
	}
	return pr
}

func (f *Forge) basic(u *gl.BasicUser, self identity) forge.Actor {
	if u == nil {
		return forge.Actor{Login: "ghost"}
	}
	return f.actor(u.ID, u.Username, self)
}

// single converts an answer about one merge request, which has more fields.
func (f *Forge) single(ctx context.Context, m *gl.MergeRequest, self identity) (forge.PullRequest, error) {
	pr := f.pullRequest(m, self)
	var who *gl.BasicUser
	switch pr.State {
	case forge.Merged:
		who, pr.MergeCommit = m.MergedBy, mergeCommit(m)
	case forge.Closed:
		who = m.ClosedBy
	default:
		pr.Mergeability = mergeability(m)
	}
	if who == nil {
		return pr, nil
	}
	actor, err := f.decided(ctx, who.ID, who.Username, self)
	if err != nil {
		return forge.PullRequest{}, err
	}
	pr.ClosedBy = actor
	if pr.State == forge.Merged {
		pr.MergedBy = actor
	}
	return pr, nil
}

// mergeCommit is what base got: a merge commit, else the squashed one, else, where base was only moved forward, the head itself.
func mergeCommit(m *gl.MergeRequest) string {
	return cmp.Or(m.MergeCommitSHA, m.SquashCommitSHA, m.SHA)
}

// mergeability reads what GitLab finds out in the background. Its detailed status names one obstacle of several; where that is not a conflict,
// the older fields tell whether there is one.
// https://docs.gitlab.com/api/merge_requests/#merge-status
func mergeability(m *gl.MergeRequest) forge.Mergeability {
	switch m.DetailedMergeStatus {
	case "mergeable":
		return forge.Mergeable
	case "unchecked", "checking", "preparing", "approvals_syncing":
		return forge.MergeUnknown
	case "conflict", "need_rebase":
		return forge.Conflicting
	}
	//lint:ignore SA1019 its successor names one obstacle of several, and this one is about conflicts alone
	older := m.MergeStatus
	switch {
	case m.HasConflicts || older == "cannot_be_merged":
		return forge.Conflicting
	case older == "can_be_merged":
		return forge.Mergeable
	}
	return forge.MergeUnknown
}

func moment(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}
