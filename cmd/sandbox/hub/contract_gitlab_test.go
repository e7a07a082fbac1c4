package hub_test

import (
	"slices"
	"strings"
	"sync/atomic"
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
	*harness
	tier  hub.Tier
	token *atomic.Value // as the bot's file has it
	long  *atomic.Bool
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
	h := gitLabHarness{tier: opts.GitLab, token: &atomic.Value{}, long: &atomic.Bool{}}
	h.replaceToken(t, running)
	adapter, err := gitlab.New(gitlab.Options{
		BaseURL: running.URL(), Token: func() []byte { return []byte(h.token.Load().(string)) },
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

// replaceToken makes a token and puts it where the bot has it.
func (h gitLabHarness) replaceToken(t testing.TB, at *hub.Hub) {
	t.Helper()
	token, err := at.AddToken(service, hub.NewToken{Long: h.long.Load()})
	must(t, err)
	h.token.Store(token)
}

func (h gitLabHarness) RevokeTokens(t testing.TB) {
	old := h.token.Load().(string)
	h.replaceToken(t, h.hub)
	h.hub.RevokeToken(old)
}

func (h gitLabHarness) LongTokens(testing.TB) { h.long.Store(true) }

func (h gitLabHarness) CreateRepository(t testing.TB, name string) forge.RepoID {
	info, err := h.hub.CreateRepo(t.Context(), "acme/"+name, hub.RepoOptions{Author: "founder", NotInstalled: true})
	must(t, err)
	must(t, h.hub.SetPermission(info.FullName, service, hub.Write))
	return forge.RepoID(info.ID)
}

func (h gitLabHarness) RemoveBot(t testing.TB, repo forge.RepoID) {
	must(t, h.hub.SetPermission(h.name(t, repo), service, hub.NoPermission))
}

func (h gitLabHarness) Uninstall(t testing.TB) {
	for _, info := range h.hub.Repos() {
		must(t, h.hub.SetPermission(info.FullName, service, hub.NoPermission))
	}
}

func (h gitLabHarness) Comments(t testing.TB, repo forge.RepoID, number int) []forgetest.Comment {
	comments := h.harness.Comments(t, repo, number)
	for i, c := range comments {
		comments[i].Author.Self = c.Author.Login == service
	}
	return comments
}

// Checks are the newest statuses.
func (h gitLabHarness) Checks(t testing.TB, repo forge.RepoID, sha string) []forge.Check {
	shown, err := h.hub.Statuses(h.name(t, repo), sha)
	must(t, err)
	var checks []forge.Check
	for _, s := range shown {
		checks = append(checks, forge.Check{HeadSHA: sha, Name: s.Context, Conclusion: forge.Conclusion(s.State), Title: s.Description, DetailsURL: s.TargetURL})
	}
	slices.SortFunc(checks, func(a, b forge.Check) int { return strings.Compare(a.Name, b.Name) })
	return checks
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
