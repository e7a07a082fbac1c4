package github

import (
	"context"
	"net/http"
	"strings"

	gh "github.com/google/go-github/v60/github"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/wire"
)

// Compare implements forge.Sources. It is one request: GitHub answers with the newest 250 commits where no page is asked for.
func (f *Forge) Compare(ctx context.Context, repo forge.Repository, address, from, to string, most int) (forge.Comparison, error) {
	doing := "compare two revisions of " + wire.Clean(address, 200)
	missing := func(why string) error { return &wire.Error{Doing: doing, Message: why, Kind: forge.ErrNotFound} }
	path, here := strings.CutPrefix(address, f.at.web+"/")
	path = strings.TrimSuffix(strings.TrimSuffix(path, "/"), ".git")
	if !here {
		return forge.Comparison{}, missing("the address is not on this forge")
	}
	owner, name, err := names(path)
	if err != nil {
		return forge.Comparison{}, err
	}
	if !wire.IsRevision(from) || !wire.IsRevision(to) {
		return forge.Comparison{}, missing("a revision is not a commit id")
	}
	var found *gh.CommitsComparison
	err = f.in(ctx, repo, doing, func(t target) error {
		answer, response, err := t.Repositories.CompareCommits(ctx, owner, name, from, to, nil)
		if response != nil && (response.StatusCode/100 == 3 || response.StatusCode == http.StatusNotFound ||
			response.StatusCode == http.StatusUnprocessableEntity) {
			return nil // it is the source that is not there, not the repository that asks
		}
		found = answer
		return err
	})
	switch {
	case err != nil:
		return forge.Comparison{}, err
	case found == nil:
		return forge.Comparison{}, missing("GitHub does not show the repository or the revisions to the App")
	}
	web := f.at.web + "/" + owner + "/" + name
	c := forge.Comparison{URL: web + "/compare/" + from + "..." + to, Total: found.GetTotalCommits()}
	for i := len(found.Commits) - 1; i >= 0 && len(c.Commits) < most; i-- {
		one := found.Commits[i]
		if !wire.IsRevision(one.GetSHA()) {
			continue
		}
		title, _, _ := strings.Cut(one.GetCommit().GetMessage(), "\n")
		c.Commits = append(c.Commits, forge.Commit{
			SHA: one.GetSHA(), Title: wire.Clean(title, 500), Author: wire.Clean(authorOf(one), 100), URL: web + "/commit/" + one.GetSHA(),
			At: moment(one.GetCommit().GetCommitter().Date),
		})
	}
	return c, nil
}

// MergeBase implements forge.Sources.
// https://docs.github.com/en/rest/commits/commits#compare-two-commits
func (f *Forge) MergeBase(ctx context.Context, repo forge.Repository, a, b string) (string, error) {
	const doing = "find the merge base of two commits"
	missing := func(why string) error { return &wire.Error{Doing: doing, Message: why, Kind: forge.ErrNotFound} }
	if !wire.IsRevision(a) || !wire.IsRevision(b) {
		return "", missing("one is not named by its hash")
	}
	var base string
	err := f.in(ctx, repo, doing, func(t target) error {
		found, response, err := t.Repositories.CompareCommits(ctx, t.owner, t.name, a, b, &gh.ListOptions{PerPage: 1})
		if response != nil && (response.StatusCode == http.StatusNotFound || response.StatusCode == http.StatusUnprocessableEntity) {
			return nil // it is a commit that is not there, not the repository
		}
		base = found.GetMergeBaseCommit().GetSHA()
		return err
	})
	if err == nil && !wire.IsRevision(base) {
		err = missing("GitHub knows of none")
	}
	return base, err
}

// authorOf is the account that GitHub knows, else the name in the commit.
func authorOf(c *gh.RepositoryCommit) string {
	if login := c.GetAuthor().GetLogin(); login != "" {
		return login
	}
	return c.GetCommit().GetAuthor().GetName()
}
