package github

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/boatlift/boatlift/internal/forge"
)

func TestAMissingPermissionForTeamsIsToldApartFromAMissingTeam(t *testing.T) {
	f := newFake(t)
	f.json("GET /orgs/acme/installation", 200, `{"id": 7}`)
	f.handle("GET /orgs/acme/teams/ops/members", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Accepted-Github-Permissions", "members=read")
		answer(w, 403, `{"message": "Resource not accessible by integration"}`)
	})
	_, err := f.forge.TeamMembers(t.Context(), "acme/ops")
	var hint interface{ Hint() string }
	if !errors.Is(err, forge.ErrForbidden) || !errors.As(err, &hint) || !strings.Contains(hint.Hint(), "members=read") {
		t.Errorf("TeamMembers = %v; want that a permission is missing, and which", err)
	}
	if _, err := f.forge.TeamMembers(t.Context(), "acme/nobody"); !errors.Is(err, forge.ErrNotFound) {
		t.Errorf("TeamMembers of no team = %v", err)
	}
	before := len(f.lines())
	for _, team := range []string{"ops", "acme/../x", "acme/..", "a b/c", "acme/ops/members", "", "/ops", "acme/"} {
		if _, err := f.forge.TeamMembers(t.Context(), team); !errors.Is(err, forge.ErrNotFound) {
			t.Errorf("TeamMembers(%q) = %v; want not found", team, err)
		}
	}
	if len(f.lines()) != before {
		t.Errorf("names that are no teams were asked for: %v", f.lines()[before:])
	}
}

func TestContributorsAreAuthorsCommittersAndPushers(t *testing.T) {
	f := newFake(t)
	f.json("GET /repos/acme/infra/pulls/4", 200, pullJSON(4, ""))
	f.paged("GET /repos/acme/infra/pulls/4/commits", []string{
		`{"author": {"login": "bob"}, "committer": {"login": "web-flow"}}`, `{"author": null, "committer": null}`, `{"author": {"login": "bob"}}`,
	}, nil)
	f.json("GET /repos/acme/infra/activity", 200, `[{"actor": {"login": "mallory"}}, {"actor": null}]`)
	who, err := f.forge.Contributors(t.Context(), infra(), 4)
	if err != nil {
		t.Fatal(err)
	}
	checkEqual(t, "Contributors", who, []string{"boatlift[bot]", "bob", "mallory", "web-flow"})
	if f.count("GET /repos/acme/infra/activity?per_page=100&ref=refs%2Fheads%2Fboatlift%2Fx") != 1 {
		t.Errorf("requests %v; want the activity of the head branch", f.lines())
	}
}
