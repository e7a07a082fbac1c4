package hub_test

import (
	"testing"

	"github.com/boatlift/boatlift/cmd/sandbox/hub"
	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/forgetest"
	"github.com/boatlift/boatlift/internal/forge/gitlab"
)

// TestContractThroughGitLab proves that the bot's GitLab adapter keeps the same promises, and that this sandbox is enough of a GitLab for it.
func TestContractThroughGitLab(t *testing.T) {
	t.Run("premium under a prefix", func(t *testing.T) {
		forgetest.Contract(t, func(t testing.TB) forgetest.Harness {
			return newGitLabHarness(t, hub.Options{GitLab: hub.Premium, PathPrefix: "/gitlab"})
		})
	})
	t.Run("ultimate", func(t *testing.T) { // which differs in what a check holds
		forgetest.ContractAbout(t, func(t testing.TB) forgetest.Harness { return newGitLabHarness(t, hub.Options{GitLab: hub.Ultimate}) }, "check")
	})
}

// gitLabHarness drives a sandbox that is a GitLab, in which the bot is a service account.
type gitLabHarness struct {
	byAccount
	tier hub.Tier
}

var _ forgetest.Different = gitLabHarness{}

// Lacks implements forgetest.Different.
func (h gitLabHarness) Lacks() []forgetest.Trait {
	traits := []forgetest.Trait{forgetest.ReportersApart}
	if h.tier == hub.Free {
		traits = append(traits, forgetest.ManyReviewers)
	}
	return traits
}

const service = "boatlift"

func newGitLabHarness(t testing.TB, opts hub.Options) gitLabHarness {
	t.Helper()
	opts.Dir = t.TempDir()
	running, err := hub.Start(opts)
	must(t, err)
	running.AddMachine(service)
	h := gitLabHarness{newByAccount(t, running, service, nil), opts.GitLab}
	adapter, err := gitlab.New(gitlab.Options{
		BaseURL: running.URL(), Token: h.held,
		WebhookSecrets: func() [][]byte { return [][]byte{[]byte("hook-secret")} },
	})
	must(t, err)
	t.Cleanup(func() {
		adapter.Close()
		if err := running.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	h.harness = &harness{LeftOut: &forgetest.LeftOut{}, hub: running, forge: adapter}
	return h
}

// Review is as on GitHub, but that people take back what they said themselves, and need no words to demand changes.
func (h gitLabHarness) Review(t testing.TB, repo forge.RepoID, login string, number int, state forge.ReviewState) {
	switch state {
	case forge.Dismissed:
		must(t, h.hub.Dismiss(h.name(t, repo), number, login, login))
	case forge.ChangesRequested:
		must(t, h.hub.Review(h.name(t, repo), number, login, hub.RequestChanges, ""))
	default:
		h.harness.Review(t, repo, login, number, state)
	}
}

func (h gitLabHarness) RequireCheck(t testing.TB, repo forge.RepoID, _, name string) {
	must(t, h.hub.SetProtection(h.name(t, repo), &hub.Protection{Checks: []hub.RequiredCheck{{Context: name}}}))
	if h.tier == hub.Ultimate {
		must(t, h.hub.AddStatusCheck(h.name(t, repo), name, "https://boatlift.acme.io/"))
	}
}
