package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	gh "github.com/google/go-github/v60/github"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/wire"
)

var teamPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,99}/[A-Za-z0-9._-]{1,200}$`)

// TeamMembers implements forge.People. It needs the permission members: read of the organisation, which may only be one in which the App is
// installed. GitHub counts those of teams below a team as its members.
func (f *Forge) TeamMembers(ctx context.Context, team string) ([]string, error) {
	doing := "list the members of team " + wire.Clean(team, 200)
	org, slug, _ := strings.Cut(team, "/")
	if !teamPattern.MatchString(team) || slug == "." || slug == ".." {
		return nil, &wire.Error{Doing: doing, Message: "a team is named like acme/ops", Kind: forge.ErrNotFound}
	}
	installation, err := f.entry.organisation(ctx, org, doing)
	if err != nil {
		return nil, err
	}
	i := f.installation(installation)
	for try := 0; ; try++ {
		client := i.client()
		members, err := pages(func(page gh.ListOptions) ([]*gh.User, *gh.Response, error) {
			return client.Teams.ListTeamMembersBySlug(ctx, org, slug, &gh.TeamListTeamMembersOptions{ListOptions: page})
		})
		err = f.translate(doing, err)
		if wire.Status(err) == http.StatusUnauthorized && try == 0 {
			i.renew(client)
			f.entry.renew(installation)
			continue
		}
		if err != nil {
			return nil, err
		}
		logins := make([]string, 0, len(members))
		for _, m := range members {
			logins = append(logins, m.GetLogin())
		}
		return logins, nil
	}
}

// RequestReviewers implements forge.People. GitHub refuses all where one may not review, so after such an answer each is asked for alone. A
// team's organisation is left out of its name there.
func (f *Forge) RequestReviewers(ctx context.Context, repo forge.Repository, number int, users, teams []string) error {
	if len(users)+len(teams) == 0 {
		return nil
	}
	var slugs []string
	for _, team := range teams {
		_, slug, _ := strings.Cut(team, "/")
		slugs = append(slugs, slug)
	}
	return f.in(ctx, repo, fmt.Sprintf("ask for reviews of pull request %d", number), func(t target) error {
		ask := func(users, teams []string) error {
			_, _, err := t.PullRequests.RequestReviewers(ctx, t.owner, t.name, number, gh.ReviewersRequest{Reviewers: users, TeamReviewers: teams})
			return f.translate(t.doing, err)
		}
		err := ask(users, slugs)
		if wire.Status(err) != http.StatusUnprocessableEntity || len(users)+len(slugs) == 1 {
			return unlessRefused(err)
		}
		for _, user := range users {
			if err := unlessRefused(ask([]string{user}, nil)); err != nil {
				return err
			}
		}
		for _, slug := range slugs {
			if err := unlessRefused(ask(nil, []string{slug})); err != nil {
				return err
			}
		}
		return nil
	})
}

// unlessRefused leaves out that somebody may not review.
func unlessRefused(err error) error {
	if wire.Status(err) == http.StatusUnprocessableEntity {
		return nil
	}
	return err
}

// maxContributors bounds how many commits and pushes are looked at. GitHub lists no more than 250 commits of a pull request.
const maxContributors = 250

// Contributors implements forge.People. Who made a commit anybody can write into it, so who pushed to the head branch is asked as well, which
// GitHub knows of branches of the repository itself.
func (f *Forge) Contributors(ctx context.Context, repo forge.Repository, number int) ([]string, error) {
	var logins []string
	add := func(users ...*gh.User) {
		for _, u := range users {
			if login := u.GetLogin(); login != "" && !slices.Contains(logins, login) {
				logins = append(logins, login)
			}
		}
	}
	err := f.in(ctx, repo, fmt.Sprintf("list who worked on pull request %d", number), func(t target) error {
		logins = nil
		pr, _, err := t.PullRequests.Get(ctx, t.owner, t.name, number)
		if err != nil {
			return err
		}
		add(pr.User)
		commits, err := pages(func(page gh.ListOptions) ([]*gh.RepositoryCommit, *gh.Response, error) {
			return t.PullRequests.ListCommits(ctx, t.owner, t.name, number, &page)
		})
		if err != nil {
			return err
		}
		for _, c := range commits {
			add(c.Author, c.Committer)
		}
		if pr.GetHead().GetRepo().GetID() != int64(t.id) {
			return nil
		}
		pushers, err := t.pushers(ctx, pr.GetHead().GetRef())
		if errors.Is(f.translate(t.doing, err), forge.ErrNotFound) {
			return nil // an Enterprise Server that does not keep it
		}
		add(pushers...)
		return err
	})
	slices.Sort(logins)
	return logins, err
}

// pushers are those who pushed to a branch lately.
func (t target) pushers(ctx context.Context, branch string) ([]*gh.User, error) {
	at := fmt.Sprintf("repos/%s/%s/activity?per_page=%d&ref=%s", t.owner, t.name, pageSize, url.QueryEscape("refs/heads/"+branch))
	request, err := t.NewRequest(http.MethodGet, at, nil)
	if err != nil {
		return nil, err
	}
	var found []struct {
		Actor *gh.User `json:"actor"`
	}
	if _, err := t.Do(ctx, request, &found); err != nil {
		return nil, err
	}
	var users []*gh.User
	for _, activity := range found[:min(len(found), maxContributors)] {
		users = append(users, activity.Actor)
	}
	return users, nil
}
