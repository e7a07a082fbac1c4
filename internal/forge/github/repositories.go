package github

import (
	"context"
	"errors"
	"regexp"
	"time"

	gh "github.com/google/go-github/v60/github"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/wire"
)

// Repositories implements forge.Repositories.
func (f *Forge) Repositories(ctx context.Context) ([]forge.Repository, error) {
	found, err := f.entry.repositories(ctx)
	if err != nil {
		return nil, err
	}
	var all []forge.Repository
	seen := map[forge.RepoID]bool{}
	for _, repo := range found {
		if !seen[repo.ID] {
			seen[repo.ID] = true
			all = append(all, repo)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.places)
	f.entry.forget(func(id forge.RepoID) bool { return seen[id] })
	for _, repo := range all {
		f.places[repo.ID] = place{id: repo.ID, fullName: repo.FullName, installation: repo.Installation}
	}
	return all, nil
}

// listRepositories reads a list of repositories through one installation. Those that are not what GitHub sends are left out.
func (f *Forge) listRepositories(ctx context.Context, installation int64, doing string, list func(*gh.Client, gh.ListOptions) ([]*gh.Repository, *gh.Response, error)) ([]forge.Repository, error) {
	i := f.installation(installation)
	var all []*gh.Repository
	for try := 0; ; try++ {
		client := i.client()
		found, err := pages(func(page gh.ListOptions) ([]*gh.Repository, *gh.Response, error) { return list(client, page) })
		err = f.translate(doing, err)
		if wire.Status(err) == 401 && try == 0 {
			i.renew(client)
			continue
		}
		if errors.Is(err, forge.ErrForbidden) && f.entry.suspended(ctx, installation) {
			err = wire.As(err, forge.ErrGone)
		}
		if err != nil {
			return nil, err
		}
		all = found
		break
	}
	repos := make([]forge.Repository, 0, len(all))
	for _, found := range all {
		repo, err := f.repository(found, installation)
		if err != nil {
			f.log.Warn("a repository is left out", "id", found.GetID(), "reason", err)
			continue
		}
		repos = append(repos, repo)
	}
	return repos, nil
}

// Repository implements forge.Repositories. Where it is not where it was last seen, all installations are searched.
func (f *Forge) Repository(ctx context.Context, id forge.RepoID) (forge.Repository, error) {
	const doing = "read a repository"
	f.mu.Lock()
	at, known := f.places[id]
	f.mu.Unlock()
	if known {
		repo, err := f.visit(ctx, at.installation, id, doing)
		if err == nil {
			f.remember(repo)
			return repo, nil
		}
		if !lost(err) {
			return forge.Repository{}, err
		}
	}
	all, err := f.Repositories(ctx)
	if err != nil {
		return forge.Repository{}, err
	}
	for _, repo := range all {
		if repo.ID == id {
			return repo, nil
		}
	}
	f.forget(id)
	return forge.Repository{}, &wire.Error{Doing: doing, Message: f.entry.bearer() + " does not reach it", Kind: forge.ErrNotFound}
}

func (f *Forge) repository(r *gh.Repository, installation int64) (forge.Repository, error) {
	if _, _, err := names(r.GetFullName()); err != nil {
		return forge.Repository{}, err
	}
	if r.GetID() <= 0 {
		return forge.Repository{}, &wire.Error{Doing: "read a repository", Message: "the answer holds no id"}
	}
	return forge.Repository{
		ID:            forge.RepoID(r.GetID()),
		FullName:      r.GetFullName(),
		DefaultBranch: r.GetDefaultBranch(),
		CloneURL:      f.at.web + "/" + r.GetFullName() + ".git",
		WebURL:        f.at.web + "/" + r.GetFullName(),
		Installation:  installation,
		Archived:      r.GetArchived() || r.GetDisabled(),
		MergeMethod:   mergeMethod(r),
	}, nil
}

// mergeMethod is the first that is allowed. GitHub leaves the fields out where the App may not see them; then it is a guess.
func mergeMethod(r *gh.Repository) string {
	methods := []struct {
		name    string
		allowed *bool
	}{{"merge", r.AllowMergeCommit}, {"squash", r.AllowSquashMerge}, {"rebase", r.AllowRebaseMerge}}
	for _, m := range methods {
		if m.allowed != nil && *m.allowed {
			return m.name
		}
	}
	for _, m := range methods {
		if m.allowed == nil {
			return m.name
		}
	}
	return "merge"
}

// loginPattern is what may be a login: it becomes part of a path.
var loginPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

// Permission implements forge.Repositories. Somebody unknown, and every bot, has none.
func (f *Forge) Permission(ctx context.Context, repo forge.Repository, login string) (forge.Permission, error) {
	if !loginPattern.MatchString(login) {
		return forge.NoPermission, nil
	}
	permission := forge.NoPermission
	err := f.in(ctx, repo, "read the permission of "+login, func(t target) error {
		level, _, err := t.Repositories.GetPermissionLevel(ctx, t.owner, t.name, login)
		if err != nil {
			return err
		}
		switch level.GetPermission() {
		case "admin":
			permission = forge.AdminPermission
		case "write", "maintain":
			permission = forge.WritePermission
		case "read", "triage":
			permission = forge.ReadPermission
		default:
			permission = forge.NoPermission
		}
		return nil
	})
	if wire.Status(err) == 404 && errors.Is(err, forge.ErrNotFound) {
		// The call has made sure that the repository is there, so it is the person who is not. Unless the repository went meanwhile,
		// and then nobody may do anything in it either.
		return forge.NoPermission, nil
	}
	if err != nil {
		return forge.NoPermission, err
	}
	return permission, nil
}

// actor is who did something. GitHub's own stand-in for deleted accounts is ghost.
func actor(user *gh.User, self string) forge.Actor {
	if user == nil {
		return forge.Actor{Login: "ghost"}
	}
	own := isSelf(user.GetLogin(), user.GetType(), self) // a bot, also where its account is of the kind that people have
	return forge.Actor{Login: user.GetLogin(), Bot: own || user.GetType() == "Bot", Self: own}
}

func moment(t *gh.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.Time.UTC()
}
