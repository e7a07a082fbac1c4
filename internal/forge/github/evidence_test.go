package github

import (
	"fmt"
	"strings"
	"testing"

	"github.com/boatlift/boatlift/internal/forge"
)

func TestARunComesToAState(t *testing.T) {
	for said, want := range map[string]forge.RolloutState{
		"queued":                    forge.RolloutRunning,
		"requested":                 forge.RolloutRunning,
		"waiting":                   forge.RolloutRunning,
		"pending":                   forge.RolloutRunning,
		"in_progress":               forge.RolloutRunning,
		"completed success":         forge.RolloutSucceeded,
		"completed failure":         forge.RolloutFailed,
		"completed timed_out":       forge.RolloutFailed,
		"completed startup_failure": forge.RolloutFailed,
		"completed cancelled":       forge.RolloutUnknown,
		"completed skipped":         forge.RolloutUnknown,
		"completed neutral":         forge.RolloutUnknown,
		"completed action_required": forge.RolloutUnknown,
		"completed something_new":   forge.RolloutUnknown,
		"completed":                 forge.RolloutUnknown,
		"something_new":             forge.RolloutUnknown,
	} {
		status, conclusion, _ := strings.Cut(said, " ")
		f := newFake(t)
		f.json("GET /repos/acme/infra/actions/workflows/apply.yml/runs", 200, fmt.Sprintf(`{"total_count": 1, "workflow_runs": [
			{"id": 1, "head_branch": "main", "event": "push", "head_sha": "abc", "status": %q, "conclusion": %q, "html_url": "https://github.example/run/1",
			"created_at": "2026-01-05T09:00:00Z", "run_started_at": "2026-01-05T11:00:00Z", "updated_at": "2026-01-05T10:00:00Z"}]}`, status, conclusion))
		got, err := f.forge.Runs(t.Context(), infra(), "apply.yml", "main", 5)
		if err != nil || len(got) != 1 {
			t.Fatalf("Runs = %v, %v; want one", got, err)
		}
		if got[0].State != want {
			t.Errorf("state of %q = %s; want %s", said, got[0].State, want)
		}
		if got[0].URL != "https://github.example/run/1" || got[0].CreatedAt.Hour() != 9 || got[0].UpdatedAt.Hour() != 11 {
			t.Errorf("%+v; want the run's page, its first beginning and the beginning of its newest attempt", got[0])
		}
	}
}

func TestOnlyRunsOfPushesToTheBranchCount(t *testing.T) {
	f := newFake(t)
	var items []string
	for i := range 130 {
		items = append(items, fmt.Sprintf(`{"id": %d, "head_branch": "main", "event": "push", "status": "completed", "conclusion": "success", "created_at": "2026-01-05T09:00:00Z"}`, 1000-i))
	}
	items[3] = `{"id": 997, "head_branch": "main", "event": "workflow_dispatch"}` // a server that does not filter
	items[4] = `{"id": 996, "head_branch": "topic", "event": "push"}`
	f.paged("GET /repos/acme/infra/actions/workflows/apply.yml/runs", items, func(page string) string { return `{"workflow_runs": ` + page + `}` })
	for limit, want := range map[int]int{0: 0, 4: 4, 500: 128} {
		list, err := f.forge.Runs(t.Context(), infra(), "apply.yml", "main", limit)
		if err != nil || len(list) != want {
			t.Fatalf("Runs(limit %d): %d, %v; want %d", limit, len(list), err, want)
		}
	}
	if line := f.lines()[0]; !strings.Contains(line, "branch=main") || !strings.Contains(line, "event=push") {
		t.Errorf("%s does not filter", line)
	}
}

const head = "0123456789012345678901234567890123456789"

func TestACheckOrStatusIsGreenPendingOrRed(t *testing.T) {
	for said, want := range map[string]forge.StatusState{
		"check queued":                    forge.StatusPending,
		"check in_progress":               forge.StatusPending,
		"check something_new":             forge.StatusPending,
		"check completed success":         forge.StatusSuccess,
		"check completed neutral":         forge.StatusNeutral,
		"check completed skipped":         forge.StatusSkipped,
		"check completed failure":         forge.StatusFailure,
		"check completed cancelled":       forge.StatusFailure,
		"check completed timed_out":       forge.StatusFailure,
		"check completed action_required": forge.StatusFailure,
		"check completed stale":           forge.StatusFailure,
		"check completed something_new":   forge.StatusFailure,
		"status pending":                  forge.StatusPending,
		"status success":                  forge.StatusSuccess,
		"status failure":                  forge.StatusFailure,
		"status error":                    forge.StatusFailure,
		"status something_new":            forge.StatusFailure,
	} {
		words := strings.Fields(said + " ")
		f := newFake(t)
		checks, statuses := `{"check_runs": []}`, "[]"
		if words[0] == "check" {
			conclusion := ""
			if len(words) > 2 {
				conclusion = words[2]
			}
			checks = fmt.Sprintf(`{"check_runs": [{"id": 1, "name": "smoke", "status": %q, "conclusion": %q, "app": {"id": 15368, "slug": "github-actions"},
				"details_url": "javascript:x", "html_url": "https://github.example/1", "started_at": "2026-01-05T09:00:00Z"}]}`, words[1], conclusion)
		} else {
			statuses = fmt.Sprintf(`[{"id": 1, "context": "smoke", "state": %q, "target_url": "https://ci.example/1", "creator": {"login": "alice", "type": "User"}}]`, words[1])
		}
		f.json("GET /repos/acme/infra/commits/"+head+"/check-runs", 200, checks)
		f.json("GET /repos/acme/infra/commits/"+head+"/statuses", 200, statuses)
		got, err := f.forge.Statuses(t.Context(), infra(), head)
		if err != nil || len(got) != 1 {
			t.Fatalf("Statuses = %v, %v; want one", got, err)
		}
		if got[0].State != want || got[0].Name != "smoke" || !strings.HasPrefix(got[0].URL, "https://") || got[0].By.Bot != (words[0] == "check") {
			t.Errorf("%q = %+v; want %s", said, got[0], want)
		}
	}
}

func TestAMissingPermissionIsNotSilence(t *testing.T) {
	f := newFake(t)
	f.json("GET /repos/acme/infra/commits/"+head+"/check-runs", 200, `{"check_runs": []}`)
	f.json("GET /repos/acme/infra/commits/"+head+"/statuses", 403, `{"message": "Resource not accessible by integration"}`)
	if got, err := f.forge.Statuses(t.Context(), infra(), head); err == nil || got != nil {
		t.Errorf("Statuses = %v, %v; want an error, as a status that is red might not be seen", got, err)
	}
	if _, err := f.forge.Statuses(t.Context(), infra(), "main"); err == nil {
		t.Error("a branch was taken for a commit")
	}
}
