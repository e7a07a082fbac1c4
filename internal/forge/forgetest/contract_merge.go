package forgetest

import (
	"testing"

	"github.com/boatlift/boatlift/internal/forge"
)

// conflict pushes the same file differently to the branch and to main.
func (s *scene) conflict(t *testing.T, branch string) forge.PullRequest {
	t.Helper()
	path := "apps/" + branch + "/kustomization.yaml"
	s.Commit(t, s.id, "main", map[string]string{path: "newTag: 0.9.0\n"})
	s.Commit(t, s.id, branch, map[string]string{path: "newTag: 1.0.0\n"})
	s.Commit(t, s.id, "main", map[string]string{path: "newTag: 2.0.0\n"})
	return s.open(t, branch)
}

func mergePromises() []promise {
	return []promise{
		{"merging returns the commit that base got", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			pr := s.propose(t, bot)
			s.Settle(t)
			sha, err := s.forge.Merge(t.Context(), s.repo, pr.Number, pr.HeadSHA, s.repo.MergeMethod)
			if err != nil {
				t.Fatal(err)
			}
			base, _ := h.BranchHead(t, s.id, "main")
			check(t, "Merge", sha, base)
			got := s.read(t, pr.Number)
			check(t, "State", got.State, forge.Merged)
			check(t, "MergeCommit", got.MergeCommit, base)
			check(t, "MergedBy", got.MergedBy, forge.Actor{Login: got.Author.Login, Bot: true, Self: true})
			check(t, "MergedAt is told", got.MergedAt.IsZero(), false)
			check(t, "HeadSHA", got.HeadSHA, pr.HeadSHA)
			check(t, "open", s.openNumbers(t, "main"), []int{})
			list, err := s.forge.PullRequestsOf(t.Context(), s.repo, bot)
			if err != nil || len(list) != 1 || list[0].State != forge.Merged {
				t.Errorf("PullRequestsOf = %+v, %v; want one that is merged", list, err)
			}
		}},
		{"it is told who merged", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			pr := s.propose(t, bot)
			s.Settle(t)
			h.MergePullRequest(t, s.id, "alice", pr.Number)
			got := s.read(t, pr.Number)
			base, _ := h.BranchHead(t, s.id, "main")
			check(t, "State", got.State, forge.Merged)
			check(t, "MergedBy", got.MergedBy, forge.Actor{Login: "alice"})
			check(t, "MergeCommit", got.MergeCommit, base)
		}},
		{"a head that moved is not merged", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			pr := s.propose(t, bot)
			before, _ := h.BranchHead(t, s.id, "main")
			s.push(t, bot, "6.6.6")
			s.Settle(t)
			_, err := s.forge.Merge(t.Context(), s.repo, pr.Number, pr.HeadSHA, s.repo.MergeMethod)
			checkError(t, "Merge", err, forge.ErrStale)
			after, _ := h.BranchHead(t, s.id, "main")
			check(t, "main", after, before)
			check(t, "State", s.read(t, pr.Number).State, forge.Open)
		}},
		{"a conflict is told and not merged", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			pr := s.conflict(t, bot)
			check(t, "Mergeability", s.read(t, pr.Number).Mergeability, forge.Conflicting)
			_, err := s.forge.Merge(t.Context(), s.repo, pr.Number, pr.HeadSHA, s.repo.MergeMethod)
			checkError(t, "Merge", err, forge.ErrNotMergeable)
		}},
		{"what does not conflict is mergeable, also when base moved on", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			pr := s.propose(t, bot)
			h.Commit(t, s.id, "main", map[string]string{"elsewhere.yaml": "1\n"})
			check(t, "Mergeability", s.read(t, pr.Number).Mergeability, forge.Mergeable)
			if _, err := s.forge.Merge(t.Context(), s.repo, pr.Number, pr.HeadSHA, s.repo.MergeMethod); err != nil {
				t.Errorf("Merge: %v", err)
			}
		}},
		{"what is merged or closed is not merged", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			merged, closed := s.propose(t, bot), s.propose(t, bot+"-b")
			s.Settle(t)
			h.MergePullRequest(t, s.id, "alice", merged.Number)
			h.ClosePullRequest(t, s.id, "alice", closed.Number)
			for _, pr := range []forge.PullRequest{merged, closed} {
				_, err := s.forge.Merge(t.Context(), s.repo, pr.Number, pr.HeadSHA, s.repo.MergeMethod)
				checkError(t, "Merge", err, forge.ErrNotMergeable)
			}
		}},
		{"a merged pull request is not reopened", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			pr := s.propose(t, bot)
			s.Settle(t)
			h.MergePullRequest(t, s.id, "alice", pr.Number)
			_, err := s.forge.EditPullRequest(t.Context(), s.repo, pr.Number, forge.Edit{State: pointer(forge.Open)})
			checkError(t, "EditPullRequest", err, forge.ErrRefused)
			check(t, "State", s.read(t, pr.Number).State, forge.Merged)
		}},
		{"where only a draft holds a merge, the bot's own is one until its gate is green", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			if capable, says := forge.As[forge.Capable](s.forge); !says || !capable.Can(forge.DraftGate) {
				leaveOut(t, h, "can require a check, and needs no drafts")
			}
			s.push(t, bot, "1.0.0")
			pr, err := s.forge.CreatePullRequest(t.Context(), s.repo, forge.NewPullRequest{Head: bot, Base: "main", Title: "deploy", GateShut: true})
			if err != nil {
				t.Fatal(err)
			}
			gate := forge.Check{HeadSHA: pr.HeadSHA, Number: pr.Number, Name: "boatlift/gate", Title: "t"}
			for _, conclusion := range []forge.Conclusion{"", forge.Pending, forge.Success, forge.Failure} {
				if gate.Conclusion = conclusion; conclusion != "" {
					s.set(t, gate)
				}
				got := s.read(t, pr.Number)
				check(t, "the title", got.Title, "deploy")
				check(t, "a draft of somebody's", got.Draft, false)
				if conclusion != forge.Success {
					check(t, "ungated", got.Ungated, false)
					_, err := s.forge.Merge(t.Context(), s.repo, pr.Number, pr.HeadSHA, s.repo.MergeMethod)
					checkError(t, "Merge with the gate at "+string(conclusion), err, forge.ErrNotMergeable)
				}
			}
			title := "by hand"
			s.edit(t, pr.Number, forge.Edit{Title: &title})
			_, err = s.forge.Merge(t.Context(), s.repo, pr.Number, pr.HeadSHA, s.repo.MergeMethod)
			checkError(t, "Merge with another title", err, forge.ErrNotMergeable)
			gate.Conclusion = forge.Success
			s.set(t, gate)
			if _, err := s.forge.Merge(t.Context(), s.repo, pr.Number, pr.HeadSHA, s.repo.MergeMethod); err != nil {
				t.Errorf("Merge with the gate green: %v", err)
			}
		}},
		{"a required check holds the merge until it is green", func(t *testing.T, h Harness) {
			protector := can[Protector](t, h, "cannot require checks")
			s := newScene(t, h)
			protector.RequireCheck(t, s.id, "main", "boatlift/gate")
			pr := s.propose(t, bot)
			s.Settle(t)
			for _, conclusion := range []forge.Conclusion{"", forge.Pending, forge.Failure} {
				if conclusion != "" {
					s.set(t, forge.Check{HeadSHA: pr.HeadSHA, Number: pr.Number, Name: "boatlift/gate", Conclusion: conclusion, Title: "t"})
				}
				_, err := s.forge.Merge(t.Context(), s.repo, pr.Number, pr.HeadSHA, s.repo.MergeMethod)
				checkError(t, "Merge with the check at "+string(conclusion), err, forge.ErrNotMergeable)
			}
			s.set(t, forge.Check{HeadSHA: pr.HeadSHA, Number: pr.Number, Name: "boatlift/gate", Conclusion: forge.Success, Title: "t"})
			if _, err := s.forge.Merge(t.Context(), s.repo, pr.Number, pr.HeadSHA, s.repo.MergeMethod); err != nil {
				t.Errorf("Merge with the check green: %v", err)
			}
		}},
	}
}
