package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	gh "github.com/google/go-github/v60/github"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/wire"
)

// account is the way in with a personal access token, classic or fine-grained. The bot then is whose token it is: an account of its own,
// as what a person does under it looks like the bot's doing.
type account struct {
	*Forge
	token Secret
	only  []string
}

func (a *account) bearer() string { return "the token" }

// can is little: a commit status has no room for text, whoever may write could set it, and nobody keeps lost webhooks.
func (a *account) can(c forge.Capability) bool { return c == forge.TeamReviewers }

// transport sends the token as it is now with every request.
func (a *account) transport(int64) http.RoundTripper {
	return roundTrip(func(request *http.Request) (*http.Response, error) {
		request = request.Clone(request.Context())
		request.Header.Set("Authorization", "Bearer "+string(a.token()))
		return a.base.RoundTrip(request)
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (r roundTrip) RoundTrip(request *http.Request) (*http.Response, error) { return r(request) }

func (a *account) client() *gh.Client { return a.installation(0).client() }

func (a *account) whoami(ctx context.Context, doing string) (identity, error) {
	user, _, err := a.client().Users.Get(ctx, "")
	if err = a.translate(doing, err); err != nil {
		return identity{}, err
	}
	if !loginPattern.MatchString(user.GetLogin()) || user.GetID() <= 0 {
		return identity{}, &wire.Error{Doing: doing, Message: "the account has no name or number"}
	}
	login := user.GetLogin()
	return identity{Identity: forge.Identity{Login: login, Name: login, Email: fmt.Sprintf("%d+%s@%s", user.GetID(), login, a.at.mail)}}, nil
}

func (a *account) mail(_ context.Context, _ string, self identity) (string, error) {
	return self.Email, nil
}

// repositories lists what the account may write to. In others the bot could do nothing.
func (a *account) repositories(ctx context.Context) ([]forge.Repository, error) {
	return a.listRepositories(ctx, 0, "list the repositories of the token", func(client *gh.Client, page gh.ListOptions) ([]*gh.Repository, *gh.Response, error) {
		found, response, err := client.Repositories.ListByAuthenticatedUser(ctx, &gh.RepositoryListByAuthenticatedUserOptions{
			Affiliation: "owner,collaborator,organization_member", Sort: "full_name", ListOptions: page,
		})
		var list []*gh.Repository
		for _, repo := range found {
			if a.mayWork(repo) {
				list = append(list, repo)
			}
		}
		return list, response, err
	})
}

// mayWork tells whether the account may write to a repository, and was meant to.
func (a *account) mayWork(repo *gh.Repository) bool {
	return repo.GetPermissions()["push"] && a.meant(repo.GetFullName())
}

// meant compares with the names that narrow a token. GitHub does not tell names apart by their case.
func (a *account) meant(fullName string) bool {
	owner, _, _ := strings.Cut(fullName, "/")
	for _, pattern := range a.only {
		if strings.EqualFold(pattern, fullName) || strings.EqualFold(pattern, owner+"/*") {
			return true
		}
	}
	return len(a.only) == 0
}

func (a *account) locate(context.Context, string, string) (int64, error) { return 0, nil }

func (a *account) organisation(context.Context, string, string) (int64, error) { return 0, nil }

func (a *account) reaches(_ context.Context, repo *gh.Repository, _ int64, doing string) (int64, error) {
	if !a.mayWork(repo) {
		return 0, &wire.Error{Doing: doing, Message: "the token's account may not write to it, or the configuration leaves it out", Kind: forge.ErrNotFound}
	}
	return 0, nil
}

func (a *account) suspended(context.Context, int64) bool { return false }

func (a *account) renew(int64) {}

func (a *account) forget(func(forge.RepoID) bool) {}

// gitAuth is the token itself: it cannot be narrowed.
func (a *account) gitAuth(ctx context.Context, t target) (forge.GitAuth, error) {
	self, err := a.Forge.whoami(ctx, t.doing)
	if err != nil {
		return forge.GitAuth{}, err
	}
	return forge.GitAuth{Username: self.Login, Password: string(a.token())}, nil
}

func (a *account) redeliver(context.Context, time.Time) (int, error) {
	return 0, fmt.Errorf("ask for lost webhooks by a token: %w", errors.ErrUnsupported)
}
