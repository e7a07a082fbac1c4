package github

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/bradleyfalzon/ghinstallation/v2"
	gh "github.com/google/go-github/v60/github"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/wire"
)

// app is the way in as a GitHub App: a JWT for what is the App's own, and a token for each installation.
type app struct {
	*Forge
	id     int64
	secret Secret       // the private key
	limits *wire.Limits // of what is sent as the App itself

	mu        sync.Mutex
	key       []byte // the newest that is one
	refused   []byte // a newer one that is none
	api       *gh.Client
	gitTokens map[forge.RepoID]*gitToken
}

// gitToken is a token for one repository's contents.
type gitToken struct {
	installation int64
	value        string
	expires      time.Time
}

// freshEnough is how long a token for git must last at least: git may use it for a while.
const freshEnough = 5 * time.Minute

func newApp(f *Forge, id int64, key Secret) (*app, error) {
	a := &app{Forge: f, id: id, secret: key, limits: &wire.Limits{Clock: f.clock}, gitTokens: map[forge.RepoID]*gitToken{}}
	a.client()
	if a.api == nil {
		return nil, errors.New("github: the App's private key is not an RSA key in PEM form")
	}
	return a, nil
}

// client speaks as the App itself, with a JWT. A key that was replaced is taken up with the next request; one that is no key is not, and
// the last one stays.
func (a *app) client() *gh.Client {
	a.mu.Lock()
	defer a.mu.Unlock()
	key := a.secret()
	if a.api != nil && (bytes.Equal(key, a.key) || bytes.Equal(key, a.refused)) {
		return a.api
	}
	// One AppsTransport for the App's own requests only: ghinstallation writes into the one that an installation's transport
	// holds, so that sharing it would be a data race.
	transport, err := ghinstallation.NewAppsTransport(a.base, a.id, key)
	if err != nil {
		a.log.Error("the App's private key was changed to what is not an RSA key in PEM form; the last one is used on")
		a.refused = bytes.Clone(key)
		return a.api
	}
	a.key, a.api = bytes.Clone(key), a.newClient(&limitedBy{limits: a.limits, next: limiter(a.observe(transport, 0))})
	return a.api
}

func (a *app) bearer() string { return "the App" }

func (a *app) can(c forge.Capability) bool {
	switch c {
	case forge.CheckText, forge.PinnedCheck, forge.Redelivery, forge.TeamReviewers:
		return true
	}
	return false
}

func (a *app) whoami(ctx context.Context, doing string) (identity, error) {
	app, _, err := a.client().Apps.Get(ctx, "")
	if err = a.translate(doing, err); err != nil {
		return identity{}, err
	}
	if app.GetSlug() == "" {
		return identity{}, &wire.Error{Doing: doing, Message: "the App has no slug"}
	}
	login := app.GetSlug() + "[bot]"
	return identity{Identity: forge.Identity{Login: login, Name: login}}, nil
}

// mail asks for the number in the mail address. It is the bot account's, which is not the App's. JWTs may not read accounts, installations
// may.
func (a *app) mail(ctx context.Context, doing string, self identity) (string, error) {
	installations, err := a.listInstallations(ctx)
	if err != nil {
		return "", err
	}
	err = &wire.Error{Doing: doing, Message: "the App is installed nowhere", Kind: forge.ErrGone, Advise: a.advise("")}
	for _, i := range installations {
		if i.SuspendedAt != nil {
			continue
		}
		user, _, getErr := a.installation(i.GetID()).client().Users.Get(ctx, self.Login)
		if err = a.translate(doing, getErr); err == nil {
			return fmt.Sprintf("%d+%s@%s", user.GetID(), self.Login, a.at.mail), nil
		}
		if !errors.Is(err, forge.ErrGone) {
			break
		}
	}
	return "", err
}

// transport mints the installation's tokens.
func (a *app) transport(installation int64) http.RoundTripper { return a.mint(installation, nil) }

func (a *app) mint(installation int64, narrowed *gh.InstallationTokenOptions) *ghinstallation.Transport {
	a.client() // takes up a new key
	a.mu.Lock()
	key := a.key
	a.mu.Unlock()
	transport, err := ghinstallation.New(a.base, a.id, installation, key)
	if err != nil {
		panic("github: a key that parsed does not parse") // the same bytes
	}
	transport.BaseURL = strings.TrimRight(a.at.api.String(), "/")
	transport.InstallationTokenOptions = narrowed
	if narrowed == nil {
		transport.InstallationTokenOptions = &gh.InstallationTokenOptions{} // a nil one would be sent as null
	}
	return transport
}

// listInstallations lists all of them, suspended ones too.
func (a *app) listInstallations(ctx context.Context) ([]*gh.Installation, error) {
	all, err := pages(func(page gh.ListOptions) ([]*gh.Installation, *gh.Response, error) {
		return a.client().Apps.ListInstallations(ctx, &page)
	})
	return all, a.translate("list the App's installations", err)
}

func (a *app) repositories(ctx context.Context) ([]forge.Repository, error) {
	installations, err := a.listInstallations(ctx)
	if err != nil {
		return nil, err
	}
	var all []forge.Repository
	for _, i := range installations {
		if i.SuspendedAt != nil {
			continue
		}
		list, err := a.repositoriesOf(ctx, i.GetID())
		if errors.Is(err, forge.ErrGone) || errors.Is(err, forge.ErrNotFound) {
			continue // suspended or uninstalled since the list was made
		}
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	return all, nil
}

func (a *app) repositoriesOf(ctx context.Context, installation int64) ([]forge.Repository, error) {
	return a.listRepositories(ctx, installation, "list the repositories of an installation", func(client *gh.Client, page gh.ListOptions) ([]*gh.Repository, *gh.Response, error) {
		list, response, err := client.Apps.ListRepos(ctx, &page)
		if err != nil {
			return nil, response, err
		}
		return list.Repositories, response, nil
	})
}

func (a *app) locate(ctx context.Context, fullName, doing string) (int64, error) {
	owner, name, err := names(fullName)
	if err != nil {
		return 0, err
	}
	i, _, err := a.client().Apps.FindRepositoryInstallation(ctx, owner, name)
	if err = a.translate(doing+": find its installation", err); err != nil {
		return 0, err
	}
	if i.SuspendedAt != nil {
		return 0, &wire.Error{Doing: doing, Message: "the installation is suspended", Kind: forge.ErrGone, Advise: a.advise("")}
	}
	return i.GetID(), nil
}

func (a *app) organisation(ctx context.Context, org, doing string) (int64, error) {
	i, _, err := a.client().Apps.FindOrganizationInstallation(ctx, org)
	if err = a.translate(doing+": find the installation", err); err != nil {
		return 0, err
	}
	if i.SuspendedAt != nil {
		return 0, &wire.Error{Doing: doing, Message: "the installation is suspended", Kind: forge.ErrGone, Advise: a.advise("")}
	}
	return i.GetID(), nil
}

// reaches asks, of a repository that anybody may read, whether the App is still in it.
func (a *app) reaches(ctx context.Context, repo *gh.Repository, installation int64, doing string) (int64, error) {
	if repo.GetPrivate() {
		return installation, nil
	}
	return a.locate(ctx, repo.GetFullName(), doing)
}

func (a *app) suspended(ctx context.Context, installation int64) bool {
	i, _, err := a.client().Apps.GetInstallation(ctx, installation)
	return err == nil && i.SuspendedAt != nil
}

func (a *app) renew(installation int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	maps.DeleteFunc(a.gitTokens, func(_ forge.RepoID, t *gitToken) bool { return t.installation == installation })
}

func (a *app) forget(keep func(forge.RepoID) bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	maps.DeleteFunc(a.gitTokens, func(id forge.RepoID, _ *gitToken) bool { return !keep(id) })
}

// gitAuth mints a token for the contents of one repository.
func (a *app) gitAuth(ctx context.Context, t target) (forge.GitAuth, error) {
	a.mu.Lock()
	known := a.gitTokens[t.id]
	a.mu.Unlock()
	if known != nil && known.installation == t.installation && known.expires.Sub(a.clock()) > freshEnough {
		return forge.GitAuth{Username: "x-access-token", Password: known.value}, nil
	}
	limits := a.installation(t.installation).limits
	if err := limits.Wait(); err != nil {
		return forge.GitAuth{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	// The transport is used once, as its expiry cannot be read while somebody else refreshes it.
	transport := a.mint(t.installation, &gh.InstallationTokenOptions{
		RepositoryIDs: []int64{int64(t.id)},
		Permissions:   &gh.InstallationPermissions{Contents: gh.String("write")},
	})
	value, err := transport.Token(ctx)
	if err != nil {
		return forge.GitAuth{}, learn(limits, err)
	}
	expires, _, err := transport.Expiry()
	if err != nil || value == "" {
		return forge.GitAuth{}, errors.New("the answer holds no token")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.gitTokens[t.id] = &gitToken{installation: t.installation, value: value, expires: expires}
	return forge.GitAuth{Username: "x-access-token", Password: value}, nil
}
