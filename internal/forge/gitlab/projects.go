package gitlab

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	gl "github.com/xanzy/go-gitlab"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/wire"
)

// pathPattern is the full path of a project or a group: acme/platform/infra. It becomes part of addresses.
var pathPattern = regexp.MustCompile(`^[A-Za-z0-9_.][A-Za-z0-9_.-]*(/[A-Za-z0-9_.][A-Za-z0-9_.-]*)*$`)

const maxPath = 1000 // of 20 groups in each other, and more than anybody types

func isPath(path string) bool {
	for part := range strings.SplitSeq(path, "/") {
		if part == "." || part == ".." {
			return false
		}
	}
	return len(path) <= maxPath && pathPattern.MatchString(path)
}

// Repositories implements forge.Repositories. They are the projects of which the token's account is a member, itself or through a group, with
// the role Developer at least. The list is read by keyset, as GitLab ends others after 50,000.
func (f *Forge) Repositories(ctx context.Context) ([]forge.Repository, error) {
	const doing = "list the projects of the token"
	options := &gl.ListProjectsOptions{
		ListOptions: gl.ListOptions{Pagination: "keyset", PerPage: pageSize, OrderBy: "id", Sort: "asc"},
		Membership:  gl.Ptr(true), MinAccessLevel: gl.Ptr(gl.DeveloperPermissions),
	}
	found, err := pages(func(page int, next string) ([]*gl.Project, *gl.Response, error) {
		requests := with(ctx)
		switch {
		case next != "":
			requests = append(requests, gl.WithKeysetPaginationParameters(next))
		case page > 1: // it does not read by keyset
			options.ListOptions = gl.ListOptions{Page: page, PerPage: pageSize}
		}
		return f.api.Projects.ListProjects(options, requests...)
	})
	if err != nil {
		return nil, f.translate(doing, err)
	}
	var all []forge.Repository
	seen := map[forge.RepoID]bool{}
	for _, p := range found {
		if !f.meant(p.PathWithNamespace) || p.ID <= 0 || seen[forge.RepoID(p.ID)] {
			continue
		}
		repo, err := f.repository(p)
		if err != nil {
			f.log.Warn("a project is left out", "id", p.ID, "reason", err)
			continue
		}
		seen[repo.ID] = true
		all = append(all, repo)
	}
	return all, nil
}

// meant compares with what narrows the token. GitLab does not tell paths apart by their case.
func (f *Forge) meant(path string) bool {
	path = strings.ToLower(path)
	for _, pattern := range f.only {
		pattern = strings.ToLower(pattern)
		group, all := strings.CutSuffix(pattern, "/*")
		if pattern == path || all && strings.HasPrefix(path, group+"/") {
			return true
		}
	}
	return len(f.only) == 0
}

// Repository implements forge.Repositories. A project that anyone may read answers also where the bot is no member; so membership is proved.
func (f *Forge) Repository(ctx context.Context, id forge.RepoID) (forge.Repository, error) {
	const doing = "read a project"
	if id <= 0 {
		return forge.Repository{}, &wire.Error{Doing: doing, Message: "no project has such an id", Kind: forge.ErrNotFound}
	}
	found, _, err := f.api.Projects.GetProject(int(id), nil, with(ctx)...)
	if err != nil {
		return forge.Repository{}, f.translate(doing, err)
	}
	if found.ID != int(id) {
		return forge.Repository{}, &wire.Error{Doing: doing, Message: "the answer is about another project", Kind: forge.ErrNotFound}
	}
	if !f.meant(found.PathWithNamespace) {
		return forge.Repository{}, &wire.Error{Doing: doing, Message: "the configuration leaves it out", Kind: forge.ErrNotFound}
	}
	ok, err := f.mayWrite(ctx, found, doing)
	if err != nil {
		return forge.Repository{}, err
	}
	if !ok {
		return forge.Repository{}, &wire.Error{Doing: doing, Message: "the token's account is no member of it with the role Developer", Kind: forge.ErrNotFound}
	}
	return f.repository(found)
}

// mayWrite tells whether the bot is a Developer of a project at least. What the answer itself tells leaves out membership by an invited group.
func (f *Forge) mayWrite(ctx context.Context, p *gl.Project, doing string) (bool, error) {
	if p.Permissions != nil {
		if a := p.Permissions.ProjectAccess; a != nil && a.AccessLevel >= gl.DeveloperPermissions {
			return true, nil
		}
		if a := p.Permissions.GroupAccess; a != nil && a.AccessLevel >= gl.DeveloperPermissions {
			return true, nil
		}
	}
	self, err := f.whoami(ctx, doing)
	if err != nil {
		return false, err
	}
	member, _, err := f.api.ProjectMembers.GetInheritedProjectMember(p.ID, int(self.id), with(ctx)...)
	if err = f.translate(doing, err); errors.Is(err, forge.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return member.AccessLevel >= gl.DeveloperPermissions, nil
}

func (f *Forge) repository(p *gl.Project) (forge.Repository, error) {
	if !isPath(p.PathWithNamespace) || !strings.Contains(p.PathWithNamespace, "/") {
		return forge.Repository{}, &wire.Error{Doing: "read a project", Message: "its path is not like acme/infra", Kind: forge.ErrNotFound}
	}
	id := forge.RepoID(p.ID)
	f.mu.Lock()
	f.trains[id] = p.MergeTrainsEnabled
	f.mu.Unlock()
	web := f.at.web + "/" + p.PathWithNamespace
	return forge.Repository{
		ID: id, FullName: p.PathWithNamespace, DefaultBranch: p.DefaultBranch, CloneURL: web + ".git", WebURL: web, Archived: p.Archived,
		MergeMethod: mergeMethod(p),
	}, nil
}

// mergeMethod is what a merge does unless somebody says else. Whether there is a merge commit is the project's setting, not the merge's.
func mergeMethod(p *gl.Project) string {
	switch {
	case p.SquashOption == gl.SquashOptionAlways:
		return "squash"
	case p.MergeMethod == gl.FastForwardMerge:
		return "rebase"
	}
	return "merge"
}

// GitAuth implements forge.Repositories. It is the token itself: it cannot be narrowed. GitLab takes any user name with it.
func (f *Forge) GitAuth(context.Context, forge.Repository) (forge.GitAuth, error) {
	return forge.GitAuth{Username: "oauth2", Password: string(f.token())}, nil
}

// Permission implements forge.Repositories. Who is no member may not do anything here, also where anyone may read.
func (f *Forge) Permission(ctx context.Context, repo forge.Repository, login string) (forge.Permission, error) {
	member, err := f.member(ctx, repo, login)
	if err != nil || member == nil {
		return forge.NoPermission, err
	}
	switch level := member.AccessLevel; {
	case level >= gl.MaintainerPermissions:
		return forge.AdminPermission, nil
	case level >= gl.DeveloperPermissions:
		return forge.WritePermission, nil
	case level >= gl.GuestPermissions:
		return forge.ReadPermission, nil
	}
	return forge.NoPermission, nil
}

// member finds somebody among the members of a project and of the groups above it and invited to it; nil: it is none, or is blocked.
func (f *Forge) member(ctx context.Context, repo forge.Repository, login string) (*gl.ProjectMember, error) {
	if !loginPattern.MatchString(login) {
		return nil, nil
	}
	found, err := pages(func(page int, _ string) ([]*gl.ProjectMember, *gl.Response, error) {
		return f.api.ProjectMembers.ListAllProjectMembers(int(repo.ID), &gl.ListProjectMembersOptions{
			ListOptions: gl.ListOptions{Page: page, PerPage: pageSize}, Query: &login,
		}, with(ctx)...)
	})
	if err != nil {
		return nil, f.about(repo, "read the role of "+login, err)
	}
	var best *gl.ProjectMember
	for _, m := range found {
		if strings.EqualFold(m.Username, login) && (m.State == "active" || m.State == "") && (best == nil || m.AccessLevel > best.AccessLevel) {
			best = m
		}
	}
	return best, nil
}

// about translates an error of a call about a repository.
func (f *Forge) about(repo forge.Repository, doing string, err error) error {
	return f.translate(doing+" in "+wire.Clean(repo.FullName, 255), err)
}

// pages collects all pages of a list, by their numbers or by the link to the next one.
func pages[T any](fetch func(page int, next string) ([]T, *gl.Response, error)) ([]T, error) {
	var all []T
	page, next := 1, ""
	for range maxPages {
		items, response, err := fetch(page, next)
		if err != nil {
			return nil, err
		}
		all = append(all, items...)
		switch {
		case response == nil:
			return all, nil
		case response.NextPage > page:
			page = response.NextPage
		case response.NextLink != "" && response.NextLink != next && response.Header.Get("X-Page") == "":
			next = response.NextLink
		default:
			return all, nil
		}
	}
	return nil, fmt.Errorf("%w: more than %d", errTooLong, maxPages)
}

// account is what an account is.
type account struct {
	bot bool
	at  time.Time
}

// machineName is how GitLab names the accounts of project and group tokens.
var machineName = regexp.MustCompile(`^(project|group)_[0-9]+_bot(_?[0-9a-f]+)?$|^service_account_`)

// actor is who did something. What is not told in the answer, whether a service account is behind it, is not asked here.
func (f *Forge) actor(id int, login string, self identity) forge.Actor {
	if login == "" {
		return forge.Actor{Login: "ghost"}
	}
	own := self.Login != "" && (login == self.Login || id != 0 && int64(id) == self.id)
	bot := own || machineName.MatchString(login)
	if !bot && id != 0 {
		f.mu.Lock()
		bot = f.accounts[int64(id)].bot
		f.mu.Unlock()
	}
	return forge.Actor{Login: login, Bot: bot, Self: own}
}

// decided is who did something that counts: whether a machine did is asked, and believed for ten minutes.
func (f *Forge) decided(ctx context.Context, id int, login string, self identity) (forge.Actor, error) {
	who := f.actor(id, login, self)
	if who.Bot || id <= 0 {
		return who, nil
	}
	f.mu.Lock()
	known, ok := f.accounts[int64(id)]
	f.mu.Unlock()
	if !ok || f.clock().Sub(known.at) > believed {
		user, _, err := f.api.Users.GetUser(id, gl.GetUsersOptions{}, with(ctx)...)
		if err = f.translate("read the account "+wire.Clean(login, 100), err); err != nil && !errors.Is(err, forge.ErrNotFound) {
			return forge.Actor{}, err
		}
		known = account{at: f.clock()}
		if err == nil {
			known.bot = user.Bot
		}
		f.mu.Lock()
		f.accounts[int64(id)] = known
		f.mu.Unlock()
	}
	who.Bot = known.bot
	return who, nil
}
