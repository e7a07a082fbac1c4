package forgetest

import (
	"errors"
	"testing"

	"github.com/boatlift/boatlift/internal/forge"
)

func lagPromises() []promise {
	return []promise{
		{"find before create: what was opened without an answer is found, and is not opened twice", func(t *testing.T, h Harness) {
			loser := can[AnswerLoser](t, h, "cannot lose an answer")
			s := newScene(t, h)
			s.push(t, bot, "1.0.0")
			loser.LoseAnswer(t, s.id)
			_, err := s.forge.CreatePullRequest(t.Context(), s.repo, forge.NewPullRequest{Head: bot, Base: "main", Title: "deploy"})
			if err == nil || errors.Is(err, forge.ErrExists) {
				t.Fatalf("CreatePullRequest without an answer: error %v; want one, and not that it exists", err)
			}
			found := s.numbersOf(t, bot)
			if len(found) != 1 {
				t.Fatalf("PullRequestsOf = %v; want the one that was opened", found)
			}
			check(t, "state", s.read(t, found[0]).State, forge.Open)
			_, err = s.forge.CreatePullRequest(t.Context(), s.repo, forge.NewPullRequest{Head: bot, Base: "main", Title: "deploy"})
			checkError(t, "CreatePullRequest again", err, forge.ErrExists)
			check(t, "PullRequestsOf", s.numbersOf(t, bot), found)
		}},
		{"where lists lag, a duplicate is refused all the same", func(t *testing.T, h Harness) {
			lagger := can[Lagger](t, h, "has no lists that lag")
			s := newScene(t, h)
			lagger.Lag(t, true)
			pr := s.propose(t, bot)
			check(t, "PullRequestsOf, behind", s.numbersOf(t, bot), []int{})
			check(t, "OpenPullRequests, behind", s.openNumbers(t, "main"), []int{})
			_, err := s.forge.CreatePullRequest(t.Context(), s.repo, forge.NewPullRequest{Head: bot, Base: "main", Title: "again"})
			checkError(t, "CreatePullRequest", err, forge.ErrExists)
			lagger.Lag(t, false)
			check(t, "PullRequestsOf, caught up", s.numbersOf(t, bot), []int{pr.Number})
			check(t, "OpenPullRequests, caught up", s.openNumbers(t, "main"), []int{pr.Number})
		}},
		{"where lists lag, a pull request that is asked for by its number is as it is now", func(t *testing.T, h Harness) {
			lagger := can[Lagger](t, h, "has no lists that lag")
			s := newScene(t, h)
			lagger.Lag(t, true)
			pr := s.propose(t, bot)
			check(t, "opened", s.read(t, pr.Number).State, forge.Open)
			h.ClosePullRequest(t, s.id, "alice", pr.Number)
			got := s.read(t, pr.Number)
			check(t, "closed", got.State, forge.Closed)
			check(t, "closed by", got.ClosedBy, forge.Actor{Login: "alice"})
		}},
	}
}
