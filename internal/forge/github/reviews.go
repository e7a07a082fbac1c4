package github

import (
	"context"
	"fmt"
	"strings"

	gh "github.com/google/go-github/v60/github"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/wire"
)

// Reviews implements forge.PullRequests. Reviews that are written but not submitted are left out.
func (f *Forge) Reviews(ctx context.Context, repo forge.Repository, number int) ([]forge.Review, error) {
	doing := fmt.Sprintf("list the reviews of pull request %d", number)
	self, err := f.whoami(ctx, doing)
	if err != nil {
		return nil, err
	}
	var list []forge.Review
	err = f.in(ctx, repo, doing, func(t target) error {
		list = nil
		found, err := pages(func(page gh.ListOptions) ([]*gh.PullRequestReview, *gh.Response, error) {
			return t.PullRequests.ListReviews(ctx, t.owner, t.name, number, &page)
		})
		if err != nil {
			return err
		}
		for _, r := range found {
			state, ok := reviewState(r.GetState())
			if !ok {
				continue
			}
			list = append(list, forge.Review{
				User: actor(r.User, self.Login), State: state, CommitSHA: r.GetCommitID(), At: moment(r.SubmittedAt),
			})
		}
		return nil
	})
	return list, err
}

// reviewState knows the states in both spellings: lists say APPROVED, events say approved. A state that is not known decides nothing.
func reviewState(state string) (forge.ReviewState, bool) {
	switch strings.ToLower(state) {
	case "approved":
		return forge.Approved, true
	case "changes_requested":
		return forge.ChangesRequested, true
	case "dismissed":
		return forge.Dismissed, true
	case "pending":
		return "", false
	}
	return forge.Commented, true
}

// ChangedFiles implements forge.PullRequests. GitHub lists 3,000 files and keeps silent about further ones, so that many are "more".
func (f *Forge) ChangedFiles(ctx context.Context, repo forge.Repository, number, limit int) (paths []string, more bool, err error) {
	err = f.in(ctx, repo, fmt.Sprintf("list the files of pull request %d", number), func(t target) error {
		paths, more = nil, false
		files := 0
		page := gh.ListOptions{Page: 1, PerPage: pageSize}
		for {
			found, response, err := t.PullRequests.ListFiles(ctx, t.owner, t.name, number, &page)
			if err != nil {
				return err
			}
			for _, file := range found {
				paths = append(paths, file.GetFilename())
				if old := file.GetPreviousFilename(); old != "" {
					paths = append(paths, old)
				}
			}
			files += len(found)
			switch {
			case len(paths) > max(limit, 0):
				paths, more = paths[:max(limit, 0)], true
				return nil
			case files >= maxFiles:
				more = true
				return nil
			case response.NextPage <= page.Page:
				return nil
			}
			page.Page = response.NextPage
		}
	})
	return paths, more, err
}

// Comment implements forge.PullRequests. The key is hidden at the beginning of the comment. Only the bot's own comments are looked
// at, so that nobody silences it with a copy.
func (f *Forge) Comment(ctx context.Context, repo forge.Repository, number int, key, body string) error {
	doing := fmt.Sprintf("comment on pull request %d", number)
	self, err := f.whoami(ctx, doing)
	if err != nil {
		return err
	}
	mark := wire.Mark(key)
	return f.in(ctx, repo, doing, func(t target) error {
		said, err := pages(func(page gh.ListOptions) ([]*gh.IssueComment, *gh.Response, error) {
			return t.Issues.ListComments(ctx, t.owner, t.name, number, &gh.IssueListCommentsOptions{ListOptions: page})
		})
		if err != nil {
			return err
		}
		for _, c := range said {
			if actor(c.User, self.Login).Self && strings.HasPrefix(c.GetBody(), mark) {
				return nil
			}
		}
		_, _, err = t.Issues.CreateComment(ctx, t.owner, t.name, number, &gh.IssueComment{Body: gh.String(wire.Cut(mark+"\n"+body, maxBody))})
		return err
	})
}
