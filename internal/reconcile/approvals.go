package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/promotion"
)

// uses are all policies that are judged in an environment.
func (t *turn) uses(env promotion.Environment) []gate.Use {
	return slices.Concat(t.r.Require, env.Policies)
}

// asksForApprovals tells whether anything in an environment waits for people to approve.
func (t *turn) asksForApprovals(environment string) bool {
	env, ok := t.world.Config.Environment(environment)
	return ok && (env.Merge == promotion.MergeApproved || t.r.Judge.Reads(t.uses(env), "approvals"))
}

// asksForChecks tells whether anything in an environment waits for checks of others on the head commit.
func (t *turn) asksForChecks(environment string) bool {
	env, ok := t.world.Config.Environment(environment)
	return ok && t.r.Judge.Reads(t.uses(env), "checks")
}

// asksForOwners tells whether anything in an environment asks who owns a file.
func (t *turn) asksForOwners(environment string) bool {
	env, ok := t.world.Config.Environment(environment)
	return ok && slices.ContainsFunc(t.uses(env), func(u gate.Use) bool {
		if u.Policy == "approvals" {
			return u.Parameters["codeOwners"] == true
		}
		return slices.ContainsFunc([]string{"codeOwners", "codeOwner", "owns"}, func(fact string) bool { return t.r.Judge.Reads([]gate.Use{u}, fact) })
	})
}

// review is a pull request whose reviews are read.
type review struct {
	number       int
	head         string
	author       forge.Actor
	environments []string // in which it changes images
	files        []string // that it changes
	tooMany      bool     // files, so that not all are here
}

// reviewing reads the newest decision of each person about a pull request, and what tells whether it counts: who may write, who belongs to
// which of the teams that are named, who owns the files, and who worked on it.
func (t *turn) reviewing(ctx context.Context, of review) (r promotion.Reviewing, err error) {
	if r.Approvals, err = t.decisions(ctx, of); err != nil {
		return r, err
	}
	var named []string
	owners := false
	for _, name := range of.environments {
		env, _ := t.world.Config.Environment(name)
		_, teams := gate.Approvers(t.uses(env))
		named = append(named, teams...)
		owners = owners || t.asksForOwners(name)
	}
	if owners {
		r.CodeOwners, r.OwnersUnread, err = t.codeOwners(ctx, of)
		if err != nil {
			return r, err
		}
		for _, o := range r.CodeOwners {
			for _, owner := range o.Owners {
				if strings.HasPrefix(owner, "@") && strings.Contains(owner, "/") {
					named = append(named, gate.Handle(owner))
				}
			}
		}
	}
	slices.Sort(named)
	for _, team := range slices.Compact(named) {
		members, unread, err := t.r.teams.members(ctx, t.forge, t.forgeName, team, t.now)
		if err != nil {
			return r, err
		}
		if unread != "" {
			if r.TeamsUnread == nil {
				r.TeamsUnread = map[string]string{}
			}
			r.TeamsUnread[team] = unread
			continue
		}
		for i := range r.Approvals {
			if a := &r.Approvals[i]; slices.Contains(members, gate.Handle(a.User)) {
				a.Teams = append(a.Teams, team)
			}
		}
	}
	for i := range r.Approvals {
		a := &r.Approvals[i]
		for _, o := range r.CodeOwners {
			if slices.ContainsFunc(o.Owners, func(owner string) bool { return owns(*a, owner) }) {
				a.CodeOwner, a.Owns = true, append(a.Owns, o.File)
			}
		}
	}
	return r, nil
}

// owns tells whether an owner of CODEOWNERS is the person, or a team of theirs. An address of mail is nobody that a forge would tell.
func owns(a gate.Approval, owner string) bool {
	if !strings.HasPrefix(owner, "@") {
		return false
	}
	handle := gate.Handle(owner)
	if strings.Contains(handle, "/") {
		return slices.Contains(a.Teams, handle)
	}
	return handle == gate.Handle(a.User)
}

// decisions reads the standing decision of each person.
func (t *turn) decisions(ctx context.Context, of review) ([]gate.Approval, error) {
	reviews, err := t.forge.Reviews(ctx, t.repo, of.number)
	if err != nil {
		return nil, fmt.Errorf("read the reviews: %w", err)
	}
	latest := map[string]forge.Review{}
	var order []string
	for _, review := range reviews {
		if review.State == forge.Commented || review.User.Bot || review.User.Self {
			continue
		}
		if _, seen := latest[review.User.Login]; !seen {
			order = append(order, review.User.Login)
		}
		latest[review.User.Login] = review
	}
	var all []gate.Approval
	for _, login := range order {
		review := latest[login]
		if review.State == forge.Dismissed {
			continue
		}
		person, err := t.person(ctx, review.User)
		if err != nil {
			return nil, err
		}
		all = append(all, gate.Approval{
			User: login, Approved: review.State == forge.Approved, At: review.At, OnHead: review.CommitSHA == of.head, CanWrite: person.CanWrite,
		})
	}
	mayCount := func(a gate.Approval) bool { return a.Approved && a.OnHead && a.CanWrite }
	if !slices.ContainsFunc(all, mayCount) {
		return all, nil // nobody whose own work it could be
	}
	workers, err := t.r.teams.contributors(ctx, t.forge, t.forgeName, t.repo, of)
	if err != nil {
		return nil, fmt.Errorf("find out who worked on it: %w", err)
	}
	for i := range all {
		all[i].Author = slices.Contains(workers, gate.Handle(all[i].User)) || strings.EqualFold(of.author.Login, all[i].User)
	}
	return all, nil
}

// askReviewers asks for reviews, once for each head. That it cannot be done keeps nothing from going on.
func (t *turn) askReviewers(ctx context.Context, a promotion.AskReviewers) error {
	pr := a.Promotion
	err := t.forge.RequestReviewers(ctx, t.repo, pr.PullRequest, a.Reviewers.Users, a.Reviewers.Teams)
	if err != nil && (endsTurn(err) || !permanent(err) && !errors.Is(err, forge.ErrForbidden)) {
		return fmt.Errorf("ask for reviews of %s: %w", t.named(pr.PullRequest), err)
	}
	if err != nil {
		t.log.Warn("ask for reviews", "pull request", pr.PullRequest, "error", err)
	}
	return t.save(ctx, pr, "", "asked for reviews", nil)
}
