package hub_test

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/boatlift/boatlift/cmd/sandbox/hub"
	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/forgetest"
)

// byAccount is a harness in which the bot has an account of its own and a token, and no app is installed.
type byAccount struct {
	*harness
	login       string
	permissions map[string]string // of a fine-grained token; nil: one that may do what its account may
	token       *atomic.Value     // as the bot's file has it
	long        *atomic.Bool
}

func newByAccount(t testing.TB, running *hub.Hub, login string, permissions map[string]string) byAccount {
	t.Helper()
	h := byAccount{login: login, permissions: permissions, token: &atomic.Value{}, long: &atomic.Bool{}}
	h.replaceToken(t, running)
	return h
}

// held is the token that the bot has now.
func (h byAccount) held() []byte { return []byte(h.token.Load().(string)) }

// replaceToken makes a token and puts it where the bot has it.
func (h byAccount) replaceToken(t testing.TB, at *hub.Hub) {
	t.Helper()
	token, err := at.AddToken(h.login, hub.NewToken{Permissions: h.permissions, Long: h.long.Load()})
	must(t, err)
	h.token.Store(token)
}

// RevokeTokens ends the token after it was replaced, as its owner does who changes it.
func (h byAccount) RevokeTokens(t testing.TB) {
	old := string(h.held())
	h.replaceToken(t, h.hub)
	h.hub.RevokeToken(old)
}

func (h byAccount) LongTokens(testing.TB) { h.long.Store(true) }

func (h byAccount) CreateRepository(t testing.TB, name string) forge.RepoID {
	info, err := h.hub.CreateRepo(t.Context(), "acme/"+name, hub.RepoOptions{Author: "founder", NotInstalled: true})
	must(t, err)
	must(t, h.hub.SetPermission(info.FullName, h.login, hub.Write))
	return forge.RepoID(info.ID)
}

func (h byAccount) RemoveBot(t testing.TB, repo forge.RepoID) {
	must(t, h.hub.SetPermission(h.name(t, repo), h.login, hub.NoPermission))
}

func (h byAccount) Uninstall(t testing.TB) {
	for _, info := range h.hub.Repos() {
		must(t, h.hub.SetPermission(info.FullName, h.login, hub.NoPermission))
	}
}

func (h byAccount) Comments(t testing.TB, repo forge.RepoID, number int) []forgetest.Comment {
	comments := h.harness.Comments(t, repo, number)
	for i, c := range comments {
		comments[i].Author.Self = c.Author.Login == h.login
	}
	return comments
}

// Checks are the newest statuses.
func (h byAccount) Checks(t testing.TB, repo forge.RepoID, sha string) []forge.Check {
	shown, err := h.hub.Statuses(h.name(t, repo), sha)
	must(t, err)
	var checks []forge.Check
	for _, s := range shown {
		checks = append(checks, forge.Check{HeadSHA: sha, Name: s.Context, Conclusion: forge.Conclusion(s.State), Title: s.Description, DetailsURL: s.TargetURL})
	}
	slices.SortFunc(checks, func(a, b forge.Check) int { return strings.Compare(a.Name, b.Name) })
	return checks
}
