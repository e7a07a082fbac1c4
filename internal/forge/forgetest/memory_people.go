package forgetest

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/boatlift/boatlift/internal/forge"
)

// SetTeam gives a team (acme/ops) its members.
func (m *Memory) SetTeam(team string, members ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.teams[strings.ToLower(team)] = members
}

// Requested tells who was asked to review a pull request: users, and teams with a slash, sorted.
func (m *Memory) Requested(repo forge.RepoID, number int) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.mustPullLocked(repo, number).requested)
}

// TeamMembers implements forge.People.
func (m *Memory) TeamMembers(ctx context.Context, team string) ([]string, error) {
	return call(ctx, m, Call{Method: "TeamMembers", Detail: team}, func() ([]string, error) {
		members, ok := m.teams[strings.ToLower(team)]
		if !ok {
			return nil, fmt.Errorf("team %s: %w", team, forge.ErrNotFound)
		}
		return slices.Clone(members), nil
	})
}

// RequestReviewers implements forge.People.
func (m *Memory) RequestReviewers(ctx context.Context, repo forge.Repository, number int, users, teams []string) error {
	_, err := call(ctx, m, Call{
		Method: "RequestReviewers", Repo: repo.ID, Number: number, Write: true, Detail: strings.Join(slices.Concat(users, teams), " "),
	}, func() (struct{}, error) {
		r, p, err := m.findLocked(repo.ID, number, m.writeLocked)
		if err != nil {
			return struct{}{}, err
		}
		if !m.Can(forge.TeamReviewers) { // their members are asked, each by themselves
			for _, team := range teams {
				users = append(slices.Clone(users), m.teams[strings.ToLower(team)]...)
			}
			teams = nil
		}
		for _, user := range users {
			permission := r.people[strings.ToLower(user)]
			if permission != "" && permission != forge.NoPermission && !strings.EqualFold(user, p.Author.Login) {
				p.request(user)
			}
		}
		for _, team := range teams {
			if _, ok := m.teams[strings.ToLower(team)]; ok {
				p.request(team)
			}
		}
		return struct{}{}, nil
	})
	return err
}

// request asks for a review, unless it was asked for already or given.
func (p *pull) request(who string) {
	reviewed := slices.ContainsFunc(p.reviews, func(r forge.Review) bool { return strings.EqualFold(r.User.Login, who) })
	if reviewed || slices.Contains(p.requested, who) {
		return
	}
	p.requested = append(p.requested, who)
	slices.Sort(p.requested)
}

// Contributors implements forge.People.
func (m *Memory) Contributors(ctx context.Context, repo forge.Repository, number int) ([]string, error) {
	return call(ctx, m, Call{Method: "Contributors", Repo: repo.ID, Number: number}, func() ([]string, error) {
		r, p, err := m.findLocked(repo.ID, number, m.reachLocked)
		if err != nil {
			return nil, err
		}
		logins := slices.Concat([]string{p.Author.Login}, r.pushers[p.HeadBranch])
		slices.Sort(logins)
		return slices.Compact(logins), nil
	})
}
