package hub_test

import (
	"testing"

	"github.com/boatlift/boatlift/cmd/sandbox/hub"
	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/forgetest"
	"github.com/boatlift/boatlift/internal/forge/github"
)

// TestContractByAToken is the same with the other way in: a personal access token of an account without any right but to write, and
// webhooks of the organisation.
func TestContractByAToken(t *testing.T) {
	for name, fine := range map[string]map[string]string{
		"classic":      nil,
		"fine-grained": {"members": "read", "contents": "write", "pull_requests": "write", "statuses": "write", "deployments": "read", "actions": "read", "checks": "read"},
	} {
		t.Run(name, func(t *testing.T) {
			forgetest.Contract(t, func(t testing.TB) forgetest.Harness { return newTokenHarness(t, fine) })
		})
	}
}

const machine = "boatlift-acme"

// tokenHarness drives a sandbox in which no app is installed.
type tokenHarness struct{ byAccount }

var (
	_ forgetest.TokenKeeper = tokenHarness{}
	_ forgetest.Queuer      = tokenHarness{}
)

func newTokenHarness(t testing.TB, permissions map[string]string) tokenHarness {
	t.Helper()
	opts := hub.Options{Dir: t.TempDir(), Organization: true}
	listen(t, &opts, true)
	running, err := hub.Start(opts)
	must(t, err)
	h := tokenHarness{newByAccount(t, running, machine, permissions)}
	h.harness = withAdapter(t, running, github.Options{Token: h.held})
	return h
}

func (h tokenHarness) RequireCheck(t testing.TB, repo forge.RepoID, _, name string) {
	must(t, h.hub.SetProtection(h.name(t, repo), &hub.Protection{Checks: []hub.RequiredCheck{{Context: name}}}))
}

func (h tokenHarness) RequireQueue(t testing.TB, repo forge.RepoID, _, check string) {
	must(t, h.hub.SetProtection(h.name(t, repo), &hub.Protection{Checks: []hub.RequiredCheck{{Context: check}}, MergeQueue: true}))
}

func (h tokenHarness) Enqueue(t testing.TB, repo forge.RepoID, login string, number int) {
	queuing{h.harness}.Enqueue(t, repo, login, number)
}

func (h tokenHarness) Dequeue(t testing.TB, repo forge.RepoID, login string, number int) {
	queuing{h.harness}.Dequeue(t, repo, login, number)
}

func (h tokenHarness) Process(t testing.TB, repo forge.RepoID, branch string) {
	queuing{h.harness}.Process(t, repo, branch)
}
