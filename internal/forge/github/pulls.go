package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	gh "github.com/google/go-github/v60/github"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/wire"
)

const (
	maxTitle = 256   // characters
	maxBody  = 65535 // bytes, of descriptions, comments and summaries alike
	maxFiles = 3000  // what GitHub lists of a pull request at most
)

// OpenPullRequests implements forge.PullRequests.
func (f *Forge) OpenPullRequests(ctx context.Context, repo forge.Repository, base string) ([]forge.PullRequest, error) {
	return f.listPulls(ctx, repo, "list the open pull requests onto "+wire.Clean(base, 100), func(target) gh.PullRequestListOptions {
		return gh.PullRequestListOptions{State: "open", Base: base, Sort: "created", Direction: "asc"}
	}, func(pr forge.PullRequest) bool { return pr.BaseBranch == base && pr.State == forge.Open })
}

// PullRequestsOf implements forge.PullRequests.
func (f *Forge) PullRequestsOf(ctx context.Context, repo forge.Repository, branch string) ([]forge.PullRequest, error) {
	return f.listPulls(ctx, repo, "list the pull requests of "+wire.Clean(branch, 100), func(t target) gh.PullRequestListOptions {
		// Without its owner the filter would be ignored.
		return gh.PullRequestListOptions{State: "all", Head: t.owner + ":" + branch, Sort: "created", Direction: "desc"}
	}, func(pr forge.PullRequest) bool { return pr.HeadBranch == branch && !pr.HeadFork })
}

func (f *Forge) listPulls(ctx context.Context, repo forge.Repository, doing string, ask func(target) gh.PullRequestListOptions, wanted func(forge.PullRequest) bool) ([]forge.PullRequest, error) {
	self, err := f.whoami(ctx, doing)
	if err != nil {
		return nil, err
	}
	var list []forge.PullRequest
	err = f.in(ctx, repo, doing, func(t target) error {
		list = nil
		options := ask(t)
		found, err := pages(func(page gh.ListOptions) ([]*gh.PullRequest, *gh.Response, error) {
			options.ListOptions = page
			return t.PullRequests.List(ctx, t.owner, t.name, &options)
		})
		if err != nil {
			return err
		}
		seen := map[int]bool{} // a list that shifts between two pages shows one twice
		for _, p := range found {
			if err := t.is(p.GetBase().GetRepo()); err != nil {
				return err
			}
			if pr := pullRequest(p, self.Login); wanted(pr) && !seen[pr.Number] {
				seen[pr.Number] = true
				list = append(list, pr)
			}
		}
		return nil
	})
	return list, err
}

// PullRequest implements forge.PullRequests. Who closed one is known to its issue, which costs a second request where it is closed.
func (f *Forge) PullRequest(ctx context.Context, repo forge.Repository, number int) (forge.PullRequest, error) {
	doing := fmt.Sprintf("read pull request %d", number)
	self, err := f.whoami(ctx, doing)
	if err != nil {
		return forge.PullRequest{}, err
	}
	var pr forge.PullRequest
	err = f.in(ctx, repo, doing, func(t target) error {
		found, _, err := t.PullRequests.Get(ctx, t.owner, t.name, number)
		if err != nil {
			return err
		}
		if err := t.is(found.GetBase().GetRepo()); err != nil {
			return err
		}
		pr = single(found, self.Login)
		if pr.State != forge.Closed {
			return nil
		}
		issue, _, err := t.Issues.Get(ctx, t.owner, t.name, number)
		if err != nil {
			return err
		}
		if issue.ClosedBy != nil {
			pr.ClosedBy = actor(issue.ClosedBy, self.Login)
		}
		return nil
	})
	return pr, err
}

// CreatePullRequest implements forge.PullRequests. Labels are a second request: where only that fails, the pull request is returned
// beside the error.
func (f *Forge) CreatePullRequest(ctx context.Context, repo forge.Repository, pr forge.NewPullRequest) (forge.PullRequest, error) {
	doing := "open a pull request for " + wire.Clean(pr.Head, 100)
	self, err := f.whoami(ctx, doing)
	if err != nil {
		return forge.PullRequest{}, err
	}
	var created forge.PullRequest
	err = f.in(ctx, repo, doing, func(t target) error {
		answer, _, err := t.PullRequests.Create(ctx, t.owner, t.name, &gh.NewPullRequest{
			Title: gh.String(wire.Title(pr.Title, maxTitle)), Body: gh.String(wire.Cut(pr.Body, maxBody)),
			Head: gh.String(pr.Head), Base: gh.String(pr.Base), Draft: gh.Bool(pr.Draft),
		})
		if err != nil {
			return refusal(f.translate(t.doing, err))
		}
		created = single(answer, self.Login)
		return nil
	})
	if err != nil {
		return forge.PullRequest{}, err
	}
	if created.Number == 0 {
		return forge.PullRequest{}, &wire.Error{Doing: doing, Message: "the answer holds no number"}
	}
	if len(pr.Labels) == 0 {
		return created, nil
	}
	if err := f.AddLabels(ctx, repo, created.Number, pr.Labels); err != nil {
		return created, err
	}
	created.Labels = append(created.Labels, pr.Labels...)
	return created, nil
}

// refusal tells GitHub's refusals of a pull request apart. They share their status and their code; only the words differ.
func refusal(err error) error {
	var e *wire.Error
	if !errors.As(err, &e) || e.Status != http.StatusUnprocessableEntity {
		return err
	}
	switch text := strings.ToLower(e.Message); {
	case strings.Contains(text, "already exists"), strings.Contains(text, "already an open pull request"):
		return wire.As(err, forge.ErrExists)
	case strings.Contains(text, "no commits between"), strings.Contains(text, "no history in common"):
		return wire.As(err, forge.ErrEmpty)
	}
	return err
}

// EditPullRequest implements forge.PullRequests.
func (f *Forge) EditPullRequest(ctx context.Context, repo forge.Repository, number int, edit forge.Edit) (forge.PullRequest, error) {
	doing := fmt.Sprintf("change pull request %d", number)
	change := &gh.PullRequest{}
	if edit.Title != nil {
		change.Title = gh.String(wire.Title(*edit.Title, maxTitle))
	}
	if edit.Body != nil {
		change.Body = gh.String(wire.Cut(*edit.Body, maxBody))
	}
	if edit.State != nil {
		switch *edit.State {
		case forge.Open:
			change.State = gh.String("open")
		case forge.Closed:
			change.State = gh.String("closed")
		default:
			return forge.PullRequest{}, &wire.Error{Doing: doing, Message: "only a merge makes it merged", Kind: forge.ErrRefused}
		}
	}
	self, err := f.whoami(ctx, doing)
	if err != nil {
		return forge.PullRequest{}, err
	}
	var pr forge.PullRequest
	err = f.in(ctx, repo, doing, func(t target) error {
		answer, _, err := t.PullRequests.Edit(ctx, t.owner, t.name, number, change)
		if err != nil {
			return refusal(f.translate(t.doing, err))
		}
		pr = single(answer, self.Login)
		return nil
	})
	if err == nil && edit.State != nil && *edit.State == forge.Open && pr.State == forge.Merged {
		// GitHub may answer this without an error, and changes nothing.
		return pr, &wire.Error{Doing: doing, Message: "it is merged", Kind: forge.ErrRefused}
	}
	return pr, err
}

// AddLabels implements forge.PullRequests. GitHub makes labels that it does not know.
func (f *Forge) AddLabels(ctx context.Context, repo forge.Repository, number int, labels []string) error {
	if len(labels) == 0 {
		return nil
	}
	return f.in(ctx, repo, fmt.Sprintf("label pull request %d", number), func(t target) error {
		// go-github sends a bare list, which GitHub's own document of this call no longer has.
		body := struct {
			Labels []string `json:"labels"`
		}{labels}
		request, err := t.NewRequest(http.MethodPost, fmt.Sprintf("repos/%s/%s/issues/%d/labels", t.owner, t.name, number), body)
		if err != nil {
			return err
		}
		_, err = t.Do(ctx, request, nil)
		return err
	})
}

// Merge implements forge.PullRequests. A branch with a merge queue refuses the merge; then the pull request is put into the queue.
func (f *Forge) Merge(ctx context.Context, repo forge.Repository, number int, sha, method string) (string, error) {
	doing := fmt.Sprintf("merge pull request %d", number)
	if !wire.IsCommit(sha) {
		// GitHub would merge whatever the head is.
		return "", &wire.Error{Doing: doing, Message: "the commit to merge is not named by its full hash", Kind: forge.ErrStale}
	}
	var commit string
	err := f.in(ctx, repo, doing, func(t target) error {
		result, _, err := t.PullRequests.Merge(ctx, t.owner, t.name, number, "", &gh.PullRequestOptions{SHA: sha, MergeMethod: method})
		if err = f.translate(t.doing, err); err != nil {
			switch wire.Status(err) {
			case http.StatusMethodNotAllowed: // also where base has a merge queue
				return f.enqueue(ctx, t, number, sha, wire.As(err, forge.ErrNotMergeable))
			case http.StatusConflict:
				return wire.As(err, forge.ErrStale)
			}
			return err
		}
		if !result.GetMerged() {
			return &wire.Error{Doing: t.doing, Message: wire.Clean(result.GetMessage(), wire.MaxMessage), Kind: forge.ErrNotMergeable}
		}
		commit = result.GetSHA()
		return nil
	})
	return commit, err
}

// DeleteBranch implements forge.PullRequests.
func (f *Forge) DeleteBranch(ctx context.Context, repo forge.Repository, branch string) error {
	ref, err := branchPath(branch)
	if err != nil {
		return err
	}
	return f.in(ctx, repo, "delete branch "+wire.Clean(branch, 100), func(t target) error {
		_, err := t.Git.DeleteRef(ctx, t.owner, t.name, ref)
		if err = f.translate(t.doing, err); err == nil {
			return nil
		}
		if status := wire.Status(err); status != http.StatusUnprocessableEntity && status != http.StatusNotFound {
			return err
		}
		// Gone already, or refused? The words would tell; the branch does too. A repository that is not there is found out by in.
		if _, _, readErr := t.Repositories.GetByID(ctx, int64(t.id)); readErr != nil {
			return err
		}
		_, _, readErr := t.Git.GetRef(ctx, t.owner, t.name, ref)
		if errors.Is(f.translate(t.doing, readErr), forge.ErrNotFound) {
			return nil
		}
		return err
	})
}

// pullRequest converts what lists and single reads share.
func pullRequest(p *gh.PullRequest, self string) forge.PullRequest {
	pr := forge.PullRequest{
		Number: p.GetNumber(), URL: wire.Link(p.GetHTMLURL()), Title: p.GetTitle(), Body: p.GetBody(),
		State: forge.Open, Draft: p.GetDraft(), Author: actor(p.User, self),
		HeadBranch: p.GetHead().GetRef(), HeadSHA: p.GetHead().GetSHA(),
		BaseBranch: p.GetBase().GetRef(), BaseSHA: p.GetBase().GetSHA(),
		CreatedAt: moment(p.CreatedAt), UpdatedAt: moment(p.UpdatedAt), ClosedAt: moment(p.ClosedAt), MergedAt: moment(p.MergedAt),
	}
	// A fork that was deleted leaves no repository at all.
	pr.HeadFork = p.GetHead().GetRepo().GetID() != p.GetBase().GetRepo().GetID()
	switch {
	case p.GetMerged() || p.MergedAt != nil:
		pr.State = forge.Merged
	case p.GetState() == "closed":
		pr.State = forge.Closed
	}
	for _, label := range p.Labels {
		pr.Labels = append(pr.Labels, label.GetName())
	}
	return pr
}

// single converts an answer about one pull request, which has more fields.
func single(p *gh.PullRequest, self string) forge.PullRequest {
	pr := pullRequest(p, self)
	switch pr.State {
	case forge.Merged:
		pr.MergeCommit = p.GetMergeCommitSHA() // of an open one it would be a trial merge
		if p.MergedBy != nil {
			pr.MergedBy = actor(p.MergedBy, self)
			pr.ClosedBy = pr.MergedBy
		}
	case forge.Open:
		pr.Mergeability = mergeability(p)
	}
	return pr
}

// mergeability reads what GitHub finds out in the background; until then it answers null and unknown.
func mergeability(p *gh.PullRequest) forge.Mergeability {
	switch {
	case p.GetMergeableState() == "dirty":
		return forge.Conflicting
	case p.Mergeable == nil || p.GetMergeableState() == "unknown":
		return forge.MergeUnknown
	case *p.Mergeable:
		return forge.Mergeable
	}
	return forge.Conflicting
}

// branchPath is a branch as a part of a path. Dots that climb would be resolved before the request is sent, and it would be another one.
func branchPath(branch string) (string, error) {
	for part := range strings.SplitSeq(branch, "/") {
		if part == "" || part == "." || part == ".." {
			return "", &wire.Error{Doing: "name branch " + wire.Clean(branch, 100), Message: "no branch has such a name", Kind: forge.ErrRefused}
		}
	}
	return "heads/" + branch, nil
}
