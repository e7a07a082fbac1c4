package gitlab

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	gl "github.com/xanzy/go-gitlab"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/wire"
)

// Compare implements forge.Sources. A token may reach the projects of many groups; so that what is shown in one's merge requests never comes
// from another's secrets, it sees projects below the same top-level group, and those that anyone may read.
func (f *Forge) Compare(ctx context.Context, repo forge.Repository, address, from, to string, most int) (forge.Comparison, error) {
	doing := "compare two revisions of " + wire.Clean(address, 200)
	missing := func(why string) error { return &wire.Error{Doing: doing, Message: why, Kind: forge.ErrNotFound} }
	path, here := strings.CutPrefix(address, f.at.web+"/")
	path = strings.TrimSuffix(strings.TrimSuffix(path, "/"), ".git")
	switch {
	case !here || !isPath(path) || !strings.Contains(path, "/"):
		return forge.Comparison{}, missing("the address is not a project on this forge")
	case !wire.IsRevision(from) || !wire.IsRevision(to):
		return forge.Comparison{}, missing("a revision is not a commit id")
	}
	project, _, err := f.api.Projects.GetProject(path, nil, with(ctx)...)
	if err != nil {
		return forge.Comparison{}, f.notThere(doing, err)
	}
	if project.Visibility != gl.PublicVisibility && !strings.EqualFold(topOf(project.PathWithNamespace), topOf(repo.FullName)) {
		return forge.Comparison{}, missing("it is another group's, and not public")
	}
	if !isPath(project.PathWithNamespace) {
		return forge.Comparison{}, missing("its path is not like acme/shop")
	}
	found, _, err := f.api.Repositories.Compare(project.ID, &gl.CompareOptions{From: &from, To: &to}, with(ctx)...)
	if err != nil {
		return forge.Comparison{}, f.notThere(doing, err)
	}
	web := f.at.web + "/" + project.PathWithNamespace
	c := forge.Comparison{URL: web + "/-/compare/" + from + "..." + to, Total: len(found.Commits)}
	commits := found.Commits
	if n := len(commits); n > 1 && found.Commit != nil && commits[0].ID != found.Commit.ID && commits[n-1].ID == found.Commit.ID {
		slices.Reverse(commits) // the newest is told apart
	}
	for _, one := range commits {
		if len(c.Commits) >= most {
			break
		}
		if !wire.IsRevision(one.ID) {
			continue
		}
		c.Commits = append(c.Commits, forge.Commit{
			SHA: one.ID, Title: wire.Clean(one.Title, 500), Author: wire.Clean(one.AuthorName, 100), URL: web + "/-/commit/" + one.ID, At: moment(one.CommittedDate),
		})
	}
	return c, nil
}

// MergeBase implements forge.Sources.
// https://docs.gitlab.com/api/repositories/#merge-base
func (f *Forge) MergeBase(ctx context.Context, repo forge.Repository, a, b string) (string, error) {
	const doing = "find the merge base of two commits"
	missing := func(why string) error { return &wire.Error{Doing: doing, Message: why, Kind: forge.ErrNotFound} }
	if !wire.IsRevision(a) || !wire.IsRevision(b) {
		return "", missing("one is not named by its hash")
	}
	found, response, err := f.api.Repositories.MergeBase(int(repo.ID), &gl.MergeBaseOptions{Ref: &[]string{a, b}}, with(ctx)...)
	switch {
	case response != nil && (response.StatusCode == http.StatusNotFound || response.StatusCode == http.StatusBadRequest):
		return "", missing("GitLab knows of none")
	case err != nil:
		return "", f.about(repo, doing, err)
	case !wire.IsRevision(found.ID):
		return "", missing("GitLab knows of none")
	}
	return found.ID, nil
}

// notThere makes of a refusal that the source is not there. Only that it could not be asked for stays what it is.
func (f *Forge) notThere(doing string, err error) error {
	err = f.translate(doing, err)
	for _, kind := range []error{forge.ErrForbidden, forge.ErrRefused} {
		if errors.Is(err, kind) {
			return wire.As(err, forge.ErrNotFound)
		}
	}
	return err
}

// topOf is the top-level group of a path, or the person whose it is.
func topOf(path string) string {
	top, _, _ := strings.Cut(path, "/")
	return top
}
