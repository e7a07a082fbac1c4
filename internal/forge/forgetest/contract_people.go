package forgetest

import (
	"slices"
	"testing"

	"github.com/boatlift/boatlift/internal/forge"
)

func peoplePromises() []promise {
	return []promise{
		{"the members of a team are told", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			h.Permit(t, s.id, "bob", forge.WritePermission)
			h.Team(t, s.id, "acme/ops", "alice", "bob")
			members, err := s.forge.TeamMembers(t.Context(), "acme/ops")
			slices.Sort(members)
			if err != nil || !slices.Equal(members, []string{"alice", "bob"}) {
				t.Errorf("TeamMembers = %v, %v; want alice and bob", members, err)
			}
			_, err = s.forge.TeamMembers(t.Context(), "acme/nobody")
			checkError(t, "members of a team that is not there", err, forge.ErrNotFound)
			_, err = s.forge.TeamMembers(t.Context(), "elsewhere/ops")
			checkError(t, "members of another organisation's team", err, forge.ErrNotFound)
			_, err = s.forge.TeamMembers(t.Context(), "../ops")
			checkError(t, "members of what is no team", err, forge.ErrNotFound)
		}},
		{"people and teams are asked for a review", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			s.needs(t, forge.TeamReviewers, "asks no teams for a review, but their members")
			h.Permit(t, s.id, "bob", forge.WritePermission)
			h.Team(t, s.id, "acme/ops", "bob")
			pr := s.propose(t, bot)
			for range 2 { // asked twice is asked once
				if err := s.forge.RequestReviewers(t.Context(), s.repo, pr.Number, []string{"alice"}, []string{"acme/ops"}); err != nil {
					t.Fatalf("RequestReviewers: %v", err)
				}
			}
			check(t, "asked", h.Requested(t, s.id, pr.Number), []string{"acme/ops", "alice"})
			if err := s.forge.RequestReviewers(t.Context(), s.repo, pr.Number, nil, nil); err != nil {
				t.Errorf("RequestReviewers of nobody: %v", err)
			}
		}},
		{"where a team is not asked for a review, its members are, each by themselves", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			if s.can(forge.TeamReviewers) {
				leaveOut(t, h, "asks teams for a review")
			}
			h.Permit(t, s.id, "bob", forge.WritePermission)
			h.Team(t, s.id, "acme/ops", "bob")
			pr := s.propose(t, bot)
			for range 2 {
				if err := s.forge.RequestReviewers(t.Context(), s.repo, pr.Number, nil, []string{"acme/ops"}); err != nil {
					t.Fatalf("RequestReviewers: %v", err)
				}
			}
			check(t, "asked", h.Requested(t, s.id, pr.Number), []string{"bob"})
		}},
		{"several people are asked for a review", func(t *testing.T, h Harness) {
			needs(t, h, ManyReviewers)
			s := newScene(t, h)
			h.Permit(t, s.id, "bob", forge.WritePermission)
			pr := s.propose(t, bot)
			if err := s.forge.RequestReviewers(t.Context(), s.repo, pr.Number, []string{"bob", "alice"}, nil); err != nil {
				t.Fatalf("RequestReviewers: %v", err)
			}
			check(t, "asked", h.Requested(t, s.id, pr.Number), []string{"alice", "bob"})
		}},
		{"a forge that asks one person for a review asks the first who may review", func(t *testing.T, h Harness) {
			without(t, h, ManyReviewers)
			s := newScene(t, h)
			h.Permit(t, s.id, "bob", forge.WritePermission)
			pr := s.propose(t, bot)
			if err := s.forge.RequestReviewers(t.Context(), s.repo, pr.Number, []string{"no-such-person", "alice", "bob"}, nil); err != nil {
				t.Fatalf("RequestReviewers: %v", err)
			}
			check(t, "asked", h.Requested(t, s.id, pr.Number), []string{"alice"})
		}},
		{"who may not review does not keep the others from being asked", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			h.Permit(t, s.id, "mallory", forge.NoPermission)
			pr := s.propose(t, bot)
			err := s.forge.RequestReviewers(t.Context(), s.repo, pr.Number, []string{"mallory", "alice", "no-such-person"}, []string{"acme/no-such-team"})
			if err != nil {
				t.Fatalf("RequestReviewers: %v", err)
			}
			check(t, "asked", h.Requested(t, s.id, pr.Number), []string{"alice"})
		}},
		{"it is told who worked on a pull request", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			h.Permit(t, s.id, "bob", forge.WritePermission)
			h.CommitAs(t, s.id, "bob", "topic", map[string]string{"a.yaml": "1\n"})
			number := h.OpenPullRequest(t, s.id, "alice", "topic", "main")
			who, err := s.forge.Contributors(t.Context(), s.repo, number)
			if err != nil || !slices.Contains(who, "alice") || !slices.Contains(who, "bob") || !slices.IsSorted(who) {
				t.Errorf("Contributors = %v, %v; want alice, who opened it, and bob, who pushed to it", who, err)
			}
			_, err = s.forge.Contributors(t.Context(), s.repo, 99)
			checkError(t, "of a pull request that is not there", err, forge.ErrNotFound)
		}},
	}
}
