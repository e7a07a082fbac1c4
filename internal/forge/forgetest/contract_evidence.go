package forgetest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/boatlift/boatlift/internal/forge"
)

func (s *scene) runs(t *testing.T, workflow, branch string, limit int) []forge.Deployment {
	t.Helper()
	list, err := s.forge.Runs(t.Context(), s.repo, workflow, branch, limit)
	if err != nil {
		t.Fatalf("Runs(%s, %s): %v", workflow, branch, err)
	}
	return list
}

// statuses writes what a commit shows as name: state by whom.
func (s *scene) statuses(t *testing.T, sha string) []string {
	t.Helper()
	list, err := s.forge.Statuses(t.Context(), s.repo, sha)
	if err != nil {
		t.Fatalf("Statuses: %v", err)
	}
	said := make([]string, len(list))
	for i, status := range list {
		who := "person"
		switch {
		case status.By.Self:
			who = "this bot"
		case status.By.Bot:
			who = "bot"
		}
		said[i] = fmt.Sprintf("%s: %s by %s %s", status.Name, status.State, who, status.By.Login)
	}
	return said
}

func evidencePromises() []promise {
	return []promise{
		{"runs of a workflow on a branch are listed newest first with their state", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			base, _ := h.BranchHead(t, s.id, "main")
			first := h.StartRun(t, s.id, "apply.yml", "main", base)
			h.FinishRun(t, s.id, first, forge.RolloutSucceeded)
			second := h.StartRun(t, s.id, "apply.yml", "main", base)
			h.FinishRun(t, s.id, second, forge.RolloutFailed)
			h.StartRun(t, s.id, "render.yml", "main", base)
			h.StartRun(t, s.id, "apply.yml", "topic", h.Commit(t, s.id, "topic", map[string]string{"a": "b"}))
			third := h.StartRun(t, s.id, "apply.yml", "main", base)
			list := s.runs(t, "apply.yml", "main", 10)
			if len(list) != 3 {
				t.Fatalf("Runs = %+v; want three", list)
			}
			for i, want := range []struct {
				id    int64
				state forge.RolloutState
			}{{third, forge.RolloutRunning}, {second, forge.RolloutFailed}, {first, forge.RolloutSucceeded}} {
				check(t, "id", list[i].ID, want.id)
				check(t, "state", list[i].State, want.state)
				check(t, "commit", list[i].SHA, base)
				check(t, "environment", list[i].Environment, "apply.yml")
				check(t, "times are told", list[i].CreatedAt.IsZero() || list[i].UpdatedAt.IsZero(), false)
			}
			check(t, "at most the limit", len(s.runs(t, "apply.yml", "main", 2)), 2)
			check(t, "on a branch without runs", len(s.runs(t, "apply.yml", "other", 10)), 0)
		}},
		{"a run that is run again is one run in its new state", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			base, _ := h.BranchHead(t, s.id, "main")
			id := h.StartRun(t, s.id, "apply.yml", "main", base)
			h.FinishRun(t, s.id, id, forge.RolloutFailed)
			h.FinishRun(t, s.id, id, forge.RolloutSucceeded)
			list := s.runs(t, "apply.yml", "main", 10)
			if len(list) != 1 || list[0].State != forge.RolloutSucceeded {
				t.Errorf("Runs = %+v; want one that succeeded", list)
			}
		}},
		{"a workflow that is not there is not found", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			_, err := s.forge.Runs(t.Context(), s.repo, "absent.yml", "main", 10)
			checkError(t, "Runs", err, forge.ErrNotFound)
		}},
		{"more than a hundred statuses and checks of a commit are all listed", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			base, _ := h.BranchHead(t, s.id, "main")
			for i := range 103 {
				h.Report(t, s.id, base, "alice", fmt.Sprintf("status/%03d", i), forge.StatusSuccess)
				h.ReportCheck(t, s.id, base, "github-actions", fmt.Sprintf("check/%03d", i), forge.StatusSuccess)
			}
			names := map[string]bool{}
			list, err := s.forge.Statuses(t.Context(), s.repo, base)
			if err != nil {
				t.Fatal(err)
			}
			for _, status := range list {
				names[status.Name] = true
			}
			check(t, "different statuses and checks", len(names), 206)
		}},
		{"a commit shows the newest of its statuses and checks, and who said it", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			base, _ := h.BranchHead(t, s.id, "main")
			check(t, "of nobody", s.statuses(t, base), []string{})
			h.Report(t, s.id, base, "alice", "smoke", forge.StatusPending)
			h.Report(t, s.id, base, "alice", "smoke", forge.StatusFailure)
			h.ReportCheck(t, s.id, base, "github-actions", "e2e", forge.StatusFailure)
			h.ReportCheck(t, s.id, base, "github-actions", "lint", forge.StatusSkipped)
			h.ReportCheck(t, s.id, base, "github-actions", "load", forge.StatusNeutral)
			check(t, "statuses", s.statuses(t, base), []string{
				"e2e: failure by bot github-actions", "lint: skipped by bot github-actions", "load: neutral by bot github-actions", "smoke: failure by person alice",
			})
			h.Report(t, s.id, base, "alice", "smoke", forge.StatusSuccess)
			h.ReportCheck(t, s.id, base, "github-actions", "e2e", forge.StatusPending)
			s.set(t, forge.Check{HeadSHA: base, Name: "boatlift/gate", Conclusion: forge.Success, Title: "g"})
			self, err := s.forge.Self(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			check(t, "afterwards", s.statuses(t, base), []string{
				"boatlift/gate: success by this bot " + strings.TrimSuffix(self.Login, "[bot]"), "e2e: pending by bot github-actions", "lint: skipped by bot github-actions",
				"load: neutral by bot github-actions", "smoke: success by person alice",
			})
			h.ReportCheck(t, s.id, base, "github-actions", "e2e", forge.StatusSuccess)
			check(t, "once it is green", s.statuses(t, base)[1], "e2e: success by bot github-actions")
			check(t, "of another commit", s.statuses(t, s.push(t, bot, "1.0.0")), []string{})
		}},
		{"a name that several report stands there once for each of them", func(t *testing.T, h Harness) {
			needs(t, h, ReportersApart)
			s := newScene(t, h)
			base, _ := h.BranchHead(t, s.id, "main")
			h.Report(t, s.id, base, "alice", "smoke", forge.StatusSuccess)
			h.ReportCheck(t, s.id, base, "other-app", "smoke", forge.StatusFailure)
			check(t, "statuses", s.statuses(t, base), []string{"smoke: success by person alice", "smoke: failure by bot other-app"})
		}},
		{"a name that stands for one status is told with who reported it last, so that nobody speaks for somebody else", func(t *testing.T, h Harness) {
			without(t, h, ReportersApart)
			s := newScene(t, h)
			base, _ := h.BranchHead(t, s.id, "main")
			h.ReportCheck(t, s.id, base, "other-app", "smoke", forge.StatusFailure)
			h.Report(t, s.id, base, "alice", "smoke", forge.StatusSuccess)
			check(t, "statuses", s.statuses(t, base), []string{"smoke: success by person alice"})
		}},
	}
}
