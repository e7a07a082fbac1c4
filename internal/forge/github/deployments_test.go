package github

import (
	"fmt"
	"strings"
	"testing"

	"github.com/boatlift/boatlift/internal/forge"
)

func TestStatusesOfADeploymentComeToAState(t *testing.T) {
	for states, want := range map[string]forge.RolloutState{
		"":                             forge.RolloutRunning,
		"queued":                       forge.RolloutRunning,
		"pending":                      forge.RolloutRunning,
		"waiting":                      forge.RolloutRunning,
		"in_progress queued":           forge.RolloutRunning,
		"success in_progress queued":   forge.RolloutSucceeded,
		"failure in_progress":          forge.RolloutFailed,
		"error in_progress":            forge.RolloutFailed,
		"inactive success in_progress": forge.RolloutSucceeded,
		"inactive failure in_progress": forge.RolloutFailed,
		"inactive in_progress":         forge.RolloutUnknown,
		"inactive":                     forge.RolloutUnknown,
		"something_new in_progress":    forge.RolloutUnknown,
		"success failure in_progress":  forge.RolloutSucceeded, // tried again
	} {
		f := newFake(t)
		f.json("GET /repos/acme/infra/deployments", 200, `[{"id": 1, "environment": "production", "sha": "abc", "created_at": "2026-01-05T09:00:00Z", "updated_at": "2026-01-05T09:00:00Z"}]`)
		var list []string
		for i, state := range strings.Fields(states) {
			list = append(list, fmt.Sprintf(`{"id": %d, "state": %q, "log_url": "https://log.example/%s", "created_at": "2026-01-05T09:%02d:00Z"}`, 90-i, state, state, 30-i))
		}
		f.json("GET /repos/acme/infra/deployments/1/statuses", 200, "["+strings.Join(list, ",")+"]")
		got, err := f.forge.Deployments(t.Context(), infra(), "production", 5)
		if err != nil || len(got) != 1 {
			t.Fatalf("Deployments = %v, %v; want one", got, err)
		}
		if got[0].State != want {
			t.Errorf("state of %q = %s; want %s", states, got[0].State, want)
		}
		if want == forge.RolloutSucceeded && got[0].URL != "https://log.example/success" {
			t.Errorf("log of %q = %q; want the successful one's", states, got[0].URL)
		}
	}
}

func TestDeploymentsAreNewestFirstAndNoMoreThanAskedFor(t *testing.T) {
	f := newFake(t)
	var items []string
	for i := range 130 {
		items = append(items, fmt.Sprintf(`{"id": %d, "environment": "production", "sha": "s%d", "created_at": "2026-01-05T09:00:00Z"}`, 1000-i, i))
	}
	items[3] = `{"id": 997, "environment": "production-eu", "sha": "s"}` // a server that filters by the beginning
	f.paged("GET /repos/acme/infra/deployments", items, nil)
	f.json("GET /repos/acme/infra/deployments/{id}/statuses", 200, `[{"id": 1, "state": "success", "log_url": "javascript:x", "target_url": "https://ci.example/1"}]`)
	for limit, want := range map[int]int{0: 0, 1: 1, 4: 4, 120: 120, 500: 129} {
		list, err := f.forge.Deployments(t.Context(), infra(), "production", limit)
		if err != nil || len(list) != want {
			t.Fatalf("Deployments(limit %d): %d, %v; want %d", limit, len(list), err, want)
		}
		for i := 1; i < len(list); i++ {
			if list[i].ID >= list[i-1].ID || list[i].URL != "https://ci.example/1" {
				t.Fatalf("Deployments(limit %d)[%d] = %+v after %d", limit, i, list[i], list[i-1].ID)
			}
		}
	}
	if line := f.lines()[0]; !strings.Contains(line, "environment=production") {
		t.Errorf("%s does not filter", line)
	}
}
