package hub_test

import (
	"strings"
	"testing"

	"github.com/boatlift/boatlift/cmd/sandbox/hub"
	"github.com/boatlift/boatlift/internal/forge"
)

// TestInspectionThroughTheAdapter looks from outside, by both ways in, at a set-up with nothing wrong but what each case makes wrong. What
// each request and answer looks like is judged by GitHub's documents beside it.
func TestInspectionThroughTheAdapter(t *testing.T) {
	for name, by := range map[string]func(t testing.TB) *harness{
		"app":   func(t testing.TB) *harness { return newHarness(t, hub.Options{}) },
		"token": func(t testing.TB) *harness { return newTokenHarness(t, nil).harness },
	} {
		t.Run(name, func(t *testing.T) {
			h := by(t)
			source := int64(0)
			if name == "app" {
				source = h.hub.AppID()
				h.hub.SetWebhook("http://127.0.0.1:1/hooks/github", "hook-secret") // nobody is there
				must(t, h.hub.Idle(t.Context()))
			}
			for repo, protection := range map[string]*hub.Protection{
				"acme/right":    {Checks: []hub.RequiredCheck{{Context: "boatlift/gate", AppID: source}}},
				"acme/open":     nil,
				"acme/bypassed": {Checks: []hub.RequiredCheck{{Context: "boatlift/gate", AppID: source}}, Bypassed: true},
			} {
				_, err := h.hub.CreateRepo(t.Context(), repo, hub.RepoOptions{Author: "founder", NotInstalled: name == "token", Protection: protection})
				must(t, err)
				if name == "token" {
					must(t, h.hub.SetPermission(repo, machine, hub.Write))
				}
			}
			told := map[string][]forge.Finding{}
			tell := func(f forge.Finding) { told[f.About] = append(told[f.About], f) }
			must(t, h.github.Inspect(t.Context(), "", tell))
			repos, err := h.forge.Repositories(t.Context())
			must(t, err)
			for _, repo := range repos {
				must(t, h.github.InspectRepository(t.Context(), repo, forge.Wanted{Check: "boatlift/gate"}, tell))
			}
			account := "App boatlift"
			if name == "token" {
				account = "the token of " + machine
			}
			demand := func(about, say string, fix bool) {
				t.Helper()
				for _, f := range told[about] {
					if strings.Contains(f.Say, say) && (f.Fix != "") == fix {
						return
					}
				}
				t.Errorf("nothing says of %s that %s; there is %q", about, say, told[about])
			}
			demand(account, "right", false)
			if name == "app" {
				demand(account, "its webhook goes to http://127.0.0.1:1/hooks/github", false)
				demand(account, "did not arrive", true)
				demand("installation acme", "it reaches 3 repositories", false)
			}
			demand("acme/right", "boatlift/gate is required on main", false)
			demand("acme/open", "boatlift/gate is not required on main", true)
			demand("acme/bypassed", "boatlift/gate is required on main", false)
			demand("acme/bypassed", "the bot may bypass the ruleset main", true)
		})
	}
}
