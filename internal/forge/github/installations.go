package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"

	gh "github.com/google/go-github/v60/github"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/wire"
)

// installation is the App in one account: one token, one client, one set of limits. By a token there is one, whose id is 0.
type installation struct {
	id     int64
	forge  *Forge
	limits *wire.Limits // outlives the client, so that a new token does not make it forget to wait

	mu  sync.Mutex
	api *gh.Client
}

func (f *Forge) installation(id int64) *installation {
	f.mu.Lock()
	defer f.mu.Unlock()
	if i := f.installations[id]; i != nil {
		return i
	}
	i := &installation{id: id, forge: f, limits: &wire.Limits{Clock: f.clock}}
	f.installations[id] = i
	return i
}

// client is go-github with this installation's token.
func (i *installation) client() *gh.Client {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.api == nil {
		i.api = i.forge.newClient(&limitedBy{limits: i.limits, next: limiter(i.forge.observe(i.forge.entry.transport(i.id), i.id))})
	}
	return i.api
}

// renew forgets a client whose token was refused.
func (i *installation) renew(refused *gh.Client) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.api == refused {
		i.api = nil
	}
}

// target is a repository within one attempt of a call.
type target struct {
	*gh.Client
	id           forge.RepoID
	owner, name  string
	installation int64
	doing        string
}

// is fails if an answer is about another repository. A name can be given to another one after a rename.
func (t target) is(repo *gh.Repository) error {
	if repo != nil && repo.ID != nil && repo.GetID() != int64(t.id) {
		return errElsewhere
	}
	return nil
}

// names splits acme/infra, or fails if that is not what it is: names become part of paths.
func names(fullName string) (owner, name string, err error) {
	if !fullNamePattern.MatchString(fullName) {
		return "", "", &wire.Error{Doing: "read the name " + wire.Clean(fullName, 100), Message: "it is not like acme/infra", Kind: forge.ErrNotFound}
	}
	owner, name, _ = strings.Cut(fullName, "/")
	if name == "." || name == ".." || owner == "." || owner == ".." {
		return "", "", &wire.Error{Doing: "read the name " + fullName, Message: "it is not like acme/infra", Kind: forge.ErrNotFound}
	}
	return owner, name, nil
}

var fullNamePattern = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}/[A-Za-z0-9._-]{1,100}$`)

// in makes one call about a repository through the installation that reaches it. Where the repository is no longer where it was, it is
// looked for, and the call is made once more: what was refused with 404, 401 or a redirect has had no effect.
func (f *Forge) in(ctx context.Context, repo forge.Repository, doing string, call func(target) error) error {
	doing += " in " + wire.Clean(repo.FullName, 201)
	at, err := f.whereIs(ctx, repo, doing)
	if err != nil {
		return err
	}
	err = f.attempt(ctx, at, doing, call)
	if !lost(err) {
		return err
	}
	now, findErr := f.find(ctx, at, doing)
	var limit *forge.LimitError
	switch {
	case errors.As(findErr, &limit):
		return findErr // it may still be there
	case findErr != nil || now == at:
		return err
	}
	return f.attempt(ctx, now, doing, call)
}

// lost tells whether an error may mean that the repository is not where it was.
func lost(err error) bool {
	if err == nil {
		return false
	}
	status := wire.Status(err)
	return errors.Is(err, forge.ErrNotFound) || errors.Is(err, forge.ErrGone) || status >= 300 && status < 400
}

func (f *Forge) attempt(ctx context.Context, at place, doing string, call func(target) error) error {
	owner, name, err := names(at.fullName)
	if err != nil {
		return err
	}
	i := f.installation(at.installation)
	for try := 0; ; try++ {
		client := i.client()
		err = f.translate(doing, call(target{Client: client, id: at.id, owner: owner, name: name, installation: at.installation, doing: doing}))
		if wire.Status(err) != http.StatusUnauthorized || try > 0 {
			break
		}
		i.renew(client) // the token was revoked; a 401 has had no effect, so this may be a write
		f.entry.renew(i.id)
	}
	if errors.Is(err, forge.ErrForbidden) && f.entry.suspended(ctx, at.installation) {
		return wire.As(err, forge.ErrGone)
	}
	return err
}

// whereIs is where a repository was last seen, by this Forge or by whoever asks.
func (f *Forge) whereIs(ctx context.Context, repo forge.Repository, doing string) (place, error) {
	f.mu.Lock()
	at, ok := f.places[repo.ID]
	f.mu.Unlock()
	if ok {
		return at, nil
	}
	at = place{id: repo.ID, fullName: repo.FullName, installation: repo.Installation}
	if at.installation != 0 {
		return at, nil
	}
	i, err := f.entry.locate(ctx, repo.FullName, doing)
	at.installation = i
	return at, err
}

func (f *Forge) remember(repo forge.Repository) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.places[repo.ID] = place{id: repo.ID, fullName: repo.FullName, installation: repo.Installation}
}

func (f *Forge) forget(id forge.RepoID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.places, id)
	f.entry.forget(func(other forge.RepoID) bool { return other != id })
}

// find looks for a repository that is not where it was: under another name, or through another installation.
func (f *Forge) find(ctx context.Context, old place, doing string) (place, error) {
	repo, err := f.visit(ctx, old.installation, old.id, doing)
	if err != nil && lost(err) {
		var i int64
		if i, err = f.entry.locate(ctx, old.fullName, doing); err == nil {
			repo, err = f.visit(ctx, i, old.id, doing)
		}
	}
	if err != nil {
		return place{}, err
	}
	f.remember(repo)
	return place{id: repo.ID, fullName: repo.FullName, installation: repo.Installation}, nil
}

// visit reads a repository by its id through one installation, and makes sure that the installation really reaches it.
func (f *Forge) visit(ctx context.Context, installation int64, id forge.RepoID, doing string) (forge.Repository, error) {
	var found *gh.Repository
	i := f.installation(installation)
	for try := 0; ; try++ {
		client := i.client()
		repo, _, err := client.Repositories.GetByID(ctx, int64(id))
		err = f.translate(doing, err)
		if wire.Status(err) == http.StatusUnauthorized && try == 0 {
			i.renew(client)
			continue
		}
		if err != nil {
			return forge.Repository{}, err
		}
		found = repo
		break
	}
	if found.GetID() != int64(id) {
		return forge.Repository{}, &wire.Error{Doing: doing, Message: "the answer is about another repository", Kind: forge.ErrNotFound}
	}
	reached, err := f.entry.reaches(ctx, found, installation, doing)
	if err != nil {
		return forge.Repository{}, err
	}
	return f.repository(found, reached)
}

// pages collects all pages of a list.
func pages[T any](fetch func(gh.ListOptions) ([]T, *gh.Response, error)) ([]T, error) {
	var all []T
	page := gh.ListOptions{Page: 1, PerPage: pageSize}
	for range maxPages {
		items, response, err := fetch(page)
		if err != nil {
			return nil, err
		}
		all = append(all, items...)
		if response == nil || response.NextPage <= page.Page {
			return all, nil
		}
		page.Page = response.NextPage
	}
	return nil, fmt.Errorf("the list has more than %d pages", maxPages)
}

// GitAuth implements forge.Repositories. An App's token reaches the contents of this one repository, and lasts five minutes at least.
func (f *Forge) GitAuth(ctx context.Context, repo forge.Repository) (forge.GitAuth, error) {
	var auth forge.GitAuth
	err := f.in(ctx, repo, "mint a token for git", func(t target) (err error) {
		auth, err = f.entry.gitAuth(ctx, t)
		return err
	})
	if err != nil {
		return forge.GitAuth{}, err
	}
	return auth, nil
}
