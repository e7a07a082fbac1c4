package hub_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/boatlift/boatlift/cmd/sandbox/hub"
)

func installationPath(s *sandbox) string {
	s.t.Helper()
	return "/app/installations/" + s.app("GET", "/app/installations", nil).want(200).str("0.id")
}

func TestAppProvesItself(t *testing.T) {
	s := start(t, hub.Options{})
	now := time.Now()
	s.app("GET", "/app", nil).want(200, `"slug":"boatlift"`)
	for name, jwt := range map[string]string{
		"another app":      s.jwt(4711, now, time.Minute),
		"expired":          s.jwt(s.AppID(), now.Add(-time.Hour), time.Minute),
		"lives too long":   s.jwt(s.AppID(), now, time.Hour),
		"from the future":  s.jwt(s.AppID(), now.Add(5*time.Minute), time.Minute),
		"broken signature": s.jwt(s.AppID(), now, time.Minute) + "AAAA",
		"no JWT":           "eyJhbGciOiJub25lIn0.e30.",
	} {
		if got := s.call("GET", "/app", "Bearer "+jwt, nil); got.status != 401 {
			t.Errorf("%s: %d %s; want 401", name, got.status, got.raw)
		}
	}
	s.call("GET", "/app", "", nil).want(401, "Requires authentication")
	s.bot("GET", "/app", nil).want(401)
	s.app("GET", "/repos/"+infra, nil).want(403)
}

func TestInstallationTokens(t *testing.T) {
	clock := newClock(time.Now())
	s := start(t, hub.Options{Now: clock.now})
	other := s.repo("acme/other", hub.RepoOptions{})
	path := installationPath(s)
	minted := s.app("POST", path+"/access_tokens", nil).want(201)
	if token := minted.str("token"); !strings.HasPrefix(token, "ghs_") || len(token) != 40 {
		t.Errorf("token = %s", token)
	}
	narrow := s.app("POST", path+"/access_tokens", map[string]any{
		"repository_ids": []int64{other.ID}, "permissions": map[string]string{"contents": "read", "pull_requests": "read"},
	}).want(201).str("token")
	use := func(token, method, path string) answer {
		return s.call(method, path, "token "+token, map[string]any{})
	}
	use(narrow, "GET", "/repos/acme/other/pulls").want(200)
	use(narrow, "GET", "/repos/"+infra+"/pulls").want(404)
	use(narrow, "POST", "/repos/acme/other/pulls").want(403, "Resource not accessible by integration")
	use(narrow, "GET", "/repos/acme/other/deployments").want(403)
	s.app("POST", path+"/access_tokens", map[string]any{"permissions": map[string]string{"administration": "write"}}).want(422)
	s.app("POST", path+"/access_tokens", map[string]any{"repository_ids": []int64{1}}).want(422)
	if got := s.call("GET", "/installation/repositories", "token "+narrow, nil).want(200); got.int("total_count") != 1 {
		t.Errorf("a narrow token sees %s", got.raw)
	}
	if got := s.bot("GET", "/installation/repositories?per_page=1", nil).want(200); got.int("total_count") != 2 || !strings.Contains(got.header.Get("Link"), `rel="next"`) {
		t.Errorf("the token sees %s, Link %s", got.raw, got.header.Get("Link"))
	}
	use(narrow, "DELETE", "/installation/token").want(204)
	use(narrow, "GET", "/repos/acme/other/pulls").want(401)
	clock.add(61 * time.Minute)
	s.bot("GET", "/repos/"+infra, nil).want(401, "Bad credentials")
}

func TestLongTokens(t *testing.T) {
	s := start(t, hub.Options{LongTokens: true})
	if !strings.HasPrefix(s.token, "ghs_1001_ey") || len(s.token) < 500 || strings.Count(s.token, ".") != 2 {
		t.Errorf("token of %d characters: %s", len(s.token), s.token)
	}
	s.bot("GET", "/repos/"+infra, nil).want(200)
	s.clone(infra, "x-access-token", s.token)
}

func TestRepositories(t *testing.T) {
	s := start(t, hub.Options{})
	info, err := s.Repo(infra)
	s.must(err)
	byID := fmt.Sprintf("/repositories/%d", info.ID)
	got := s.bot("GET", byID, nil).want(200)
	if got.str("full_name") != infra || got.str("clone_url") != info.CloneURL || got.str("default_branch") != "main" || got.str("archived") != "false" {
		t.Errorf("repository = %s", got.raw)
	}
	s.must(s.Rename(infra, "renamed"))
	s.bot("GET", byID, nil).want(200, `"full_name":"acme/renamed"`)
	s.bot("GET", byID+"/pulls", nil).want(200)
	moved := s.bot("GET", pulls+"?state=all", nil).want(301)
	if want := s.APIURL() + byID + "/pulls?state=all"; moved.header.Get("Location") != want {
		t.Errorf("Location = %s; want %s", moved.header.Get("Location"), want)
	}
	s.bot("POST", pulls, nil).want(307)
	if h := s.one("repository.renamed"); h.str("changes.repository.name.from") != "infra" || h.str("repository.full_name") != "acme/renamed" {
		t.Errorf("the webhook says %v", h.body["changes"])
	}
	s.clone("acme/renamed", "x-access-token", s.token)
	s.clone(infra, "x-access-token", s.token) // git follows a rename too
	s.must(s.SetArchived("acme/renamed", true))
	s.bot("POST", "/repos/acme/renamed/pulls", nil).want(403, "archived")
	s.must(s.DeleteRepo("acme/renamed"))
	s.bot("GET", byID, nil).want(404)
}

func TestPermission(t *testing.T) {
	s := start(t, hub.Options{})
	s.AddPerson("carol")
	for login, want := range map[string]string{"alice": "admin", "bob": "write", "rita": "read", "carol": "none"} {
		if got := s.bot("GET", "/repos/"+infra+"/collaborators/"+login+"/permission", nil).want(200).str("permission"); got != want {
			t.Errorf("permission of %s = %s; want %s", login, got, want)
		}
	}
	s.bot("GET", "/repos/"+infra+"/collaborators/nobody/permission", nil).want(404, "nobody is not a user")
	s.bot("GET", "/users/boatlift%5Bbot%5D", nil).want(200, `"type":"Bot"`)
	s.bot("GET", "/users/nobody", nil).want(404)
	s.as("rita", "GET", "/user", nil).want(200, `"login":"rita"`)
	s.as("carol", "GET", "/repos/"+infra, nil).want(404)
	s.as("rita", "PUT", pulls+"/1/merge", nil).want(403)
}

func TestSuspendAndUninstall(t *testing.T) {
	s := start(t, hub.Options{})
	path := installationPath(s)
	s.app("GET", "/repos/"+infra+"/installation", nil).want(200)
	s.must(s.SetSuspended("acme", true))
	s.bot("GET", "/repos/"+infra, nil).want(403, "suspended")
	s.app("POST", path+"/access_tokens", nil).want(403, "suspended")
	s.app("GET", path, nil).want(200, `"suspended_at":"`)
	s.push("alice", "quiet", "1.1.0")
	if got := s.of("push"); len(got) != 0 {
		t.Errorf("a suspended app hears of %d pushes", len(got))
	}
	s.must(s.SetSuspended("acme", false))
	s.bot("GET", "/repos/"+infra, nil).want(200)
	s.must(s.RemoveFromInstallation(infra))
	s.bot("GET", "/repos/"+infra, nil).want(404)
	s.must(s.Install(infra))
	s.bot("GET", "/repos/"+infra, nil).want(200)
	s.must(s.Uninstall("acme"))
	s.bot("GET", "/repos/"+infra, nil).want(401, "Bad credentials")
	s.app("POST", path+"/access_tokens", nil).want(404)
	s.app("GET", "/repos/"+infra+"/installation", nil).want(404)
	for _, kind := range []string{"installation.created", "installation.suspend", "installation.unsuspend", "installation.deleted", "installation_repositories.added", "installation_repositories.removed"} {
		if h := s.one(kind); h.str("installation.account.login") != "acme" {
			t.Errorf("%s says %v", kind, h.body["installation"])
		}
	}
}

func TestPathPrefix(t *testing.T) {
	s := start(t, hub.Options{PathPrefix: "/ghes"})
	if !strings.HasSuffix(s.APIURL(), "/ghes/api/v3") {
		t.Errorf("APIURL = %s", s.APIURL())
	}
	s.bot("GET", "/repos/"+infra, nil).want(200, s.URL()+"/"+infra+".git")
	s.clone(infra, "x-access-token", s.token)
	s.call("GET", strings.TrimSuffix(s.URL(), "/ghes")+"/api/v3/app", "", nil).want(404)
}
