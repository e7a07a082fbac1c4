package hub_test

import (
	"slices"
	"strings"
	"sync/atomic"
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

// tokenHarness drives a sandbox in which no app is installed.
type tokenHarness struct {
	queuing
	permissions map[string]string // of a fine-grained token; nil: classic
	token       *atomic.Value     // as the bot's file has it
	long        *atomic.Bool
}

var _ forgetest.TokenKeeper = tokenHarness{}

const machine = "boatlift-acme"

func newTokenHarness(t testing.TB, permissions map[string]string) tokenHarness {
	t.Helper()
	opts := hub.Options{Dir: t.TempDir(), Organization: true}
	listen(t, &opts, true)
	running, err := hub.Start(opts)
	must(t, err)
	h := tokenHarness{permissions: permissions, token: &atomic.Value{}, long: &atomic.Bool{}}
	h.replaceToken(t, running)
	h.queuing = queuing{withAdapter(t, running, github.Options{Token: func() []byte { return []byte(h.token.Load().(string)) }})}
	return h
}

// replaceToken makes a token and puts it where the bot has it.
func (h tokenHarness) replaceToken(t testing.TB, at *hub.Hub) {
	t.Helper()
	token, err := at.AddToken(machine, hub.NewToken{Permissions: h.permissions, Long: h.long.Load()})
	must(t, err)
	h.token.Store(token)
}

// RevokeTokens ends the token after it was replaced, as its owner does who changes it.
func (h tokenHarness) RevokeTokens(t testing.TB) {
	old := h.token.Load().(string)
	h.replaceToken(t, h.hub)
	h.hub.RevokeToken(old)
}

func (h tokenHarness) LongTokens(testing.TB) { h.long.Store(true) }

func (h tokenHarness) CreateRepository(t testing.TB, name string) forge.RepoID {
	info, err := h.hub.CreateRepo(t.Context(), "acme/"+name, hub.RepoOptions{Author: "founder", NotInstalled: true})
	must(t, err)
	must(t, h.hub.SetPermission(info.FullName, machine, hub.Write))
	return forge.RepoID(info.ID)
}

func (h tokenHarness) RemoveBot(t testing.TB, repo forge.RepoID) {
	must(t, h.hub.SetPermission(h.name(t, repo), machine, hub.NoPermission))
}

func (h tokenHarness) Uninstall(t testing.TB) {
	for _, info := range h.hub.Repos() {
		must(t, h.hub.SetPermission(info.FullName, machine, hub.NoPermission))
	}
}

func (h tokenHarness) Comments(t testing.TB, repo forge.RepoID, number int) []forgetest.Comment {
	comments := h.queuing.Comments(t, repo, number)
	for i, c := range comments {
		comments[i].Author.Self = c.Author.Login == machine
	}
	return comments
}

// Checks are the newest statuses.
func (h tokenHarness) Checks(t testing.TB, repo forge.RepoID, sha string) []forge.Check {
	shown, err := h.hub.Statuses(h.name(t, repo), sha)
	must(t, err)
	var checks []forge.Check
	for _, s := range shown {
		checks = append(checks, forge.Check{HeadSHA: sha, Name: s.Context, Conclusion: forge.Conclusion(s.State), Title: s.Description, DetailsURL: s.TargetURL})
	}
	slices.SortFunc(checks, func(a, b forge.Check) int { return strings.Compare(a.Name, b.Name) })
	return checks
}

func (h tokenHarness) RequireCheck(t testing.TB, repo forge.RepoID, _, name string) {
	must(t, h.hub.SetProtection(h.name(t, repo), &hub.Protection{Checks: []hub.RequiredCheck{{Context: name}}}))
}

func (h tokenHarness) RequireQueue(t testing.TB, repo forge.RepoID, _, check string) {
	must(t, h.hub.SetProtection(h.name(t, repo), &hub.Protection{Checks: []hub.RequiredCheck{{Context: check}}, MergeQueue: true}))
}
