package github

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
)

// newAccount is a fake that is asked with a personal access token.
func newAccount(t *testing.T, change ...func(*Options)) *fake {
	t.Helper()
	f := newFake(t, append([]func(*Options){func(o *Options) {
		o.AppID, o.PrivateKey, o.Token = 0, nil, Fixed([]byte("ghp_"+strings.Repeat("x", 36)))
	}}, change...)...)
	f.json("GET /user", 200, `{"id": 77, "login": "boatlift-acme", "type": "User"}`)
	return f
}

func withoutInstallation() forge.Repository {
	repo := infra()
	repo.Installation = 0
	return repo
}

func TestByATokenTheBotIsItsAccount(t *testing.T) {
	f := newAccount(t)
	for range 2 {
		self, err := f.forge.Self(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		checkEqual(t, "Self", self, forge.Identity{Login: "boatlift-acme", Name: "boatlift-acme", Email: "77+boatlift-acme@users.noreply.127.0.0.1"})
	}
	checkEqual(t, "requests", f.lines(), []string{"GET /user"})
	checkEqual(t, "what is sent", f.requests[0].auth, "Bearer ghp_"+strings.Repeat("x", 36))
	f.json("GET /repos/acme/infra/pulls/1", 200, strings.Replace(pullJSON(1, ""), `"login": "boatlift[bot]", "type": "Bot"`, `"login": "boatlift-acme", "type": "User"`, 1))
	f.json("GET /repos/acme/infra/pulls/2", 200, pullJSON(2, ""))
	for number, want := range map[int]bool{1: true, 2: false} {
		pr, err := f.forge.PullRequest(t.Context(), withoutInstallation(), number)
		if err != nil || pr.Author.Self != want {
			t.Errorf("pull request %d by %+v, %v; want its own: %t", number, pr.Author, err, want)
		}
	}
}

func TestAnAppsAccountIsNoPersonOfItsName(t *testing.T) {
	for _, tc := range []struct {
		login, kind, self string
		want              bool
	}{
		{"boatlift[bot]", "Bot", "boatlift[bot]", true},
		{"boatlift[bot]", "User", "boatlift[bot]", false},
		{"boatlift", "User", "boatlift[bot]", false},
		{"boatlift", "User", "boatlift", true},
		{"boatlift", "Bot", "boatlift", false},
		{"boatlift", "Organization", "boatlift", true}, // there is one account of a name
		{"", "User", "", false},
	} {
		if got := isSelf(tc.login, tc.kind, tc.self); got != tc.want {
			t.Errorf("isSelf(%q, %q, %q) = %t", tc.login, tc.kind, tc.self, got)
		}
	}
}

func TestByATokenOnlyRepositoriesThatItMayWriteToAndIsMeantForAreFound(t *testing.T) {
	repo := func(id int, name, permissions string) string {
		return fmt.Sprintf(`{"id": %d, "full_name": %q, "default_branch": "main", "private": true, "permissions": %s}`, id, name, permissions)
	}
	const write, read = `{"pull": true, "push": true}`, `{"pull": true, "push": false}`
	var all []string
	for i := range 130 {
		all = append(all, repo(100+i, fmt.Sprintf("other/r%d", i), read))
	}
	all = append(all, repo(1001, "acme/infra", write), repo(1002, "Acme/Web", write), repo(1003, "other/infra", write), repo(1004, "acme/unwritable", read), `{"id": 1005, "full_name": "acme/silent"}`)
	for name, tc := range map[string]struct {
		only []string
		want string
	}{
		"all":            {nil, "acme/infra Acme/Web other/infra"},
		"one":            {[]string{"acme/INFRA"}, "acme/infra"},
		"an owner's":     {[]string{"acme/*"}, "acme/infra Acme/Web"},
		"two":            {[]string{"acme/infra", "other/*"}, "acme/infra other/infra"},
		"one not there":  {[]string{"acme/inf"}, ""},
		"no real naming": {[]string{"*"}, ""},
	} {
		f := newAccount(t, func(o *Options) { o.Only = tc.only })
		f.paged("GET /user/repos", all, nil)
		found, err := f.forge.Repositories(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, r := range found {
			names = append(names, r.FullName)
		}
		if got := strings.Join(names, " "); got != tc.want {
			t.Errorf("%s: found %q; want %q", name, got, tc.want)
		}
	}
}

func TestARepositoryThatTheTokenMayNoLongerWriteToIsNotFound(t *testing.T) {
	f := newAccount(t)
	mine := strings.Replace(repoJSON, `"private": true`, `"private": false, "permissions": {"push": true}`, 1)
	f.each("GET /user/repos", says(200, `[`+mine+`]`), says(200, `[]`))
	f.each("GET /repositories/1001", says(200, mine), says(200, strings.Replace(mine, "true}", "false}", 1)))
	if _, err := f.forge.Repositories(t.Context()); err != nil {
		t.Fatal(err)
	}
	repo, err := f.forge.Repository(t.Context(), 1001)
	if err != nil || repo.Installation != 0 || repo.FullName != "acme/infra" {
		t.Fatalf("Repository while the account is in it = %+v, %v", repo, err)
	}
	if _, err := f.forge.Repository(t.Context(), 1001); !errors.Is(err, forge.ErrNotFound) {
		t.Errorf("Repository: error %v; want ErrNotFound", err)
	}
}

func TestByATokenARenamedRepositoryIsFollowed(t *testing.T) {
	f := newAccount(t)
	f.json("GET /repositories/1001", 200, strings.Replace(strings.Replace(repoJSON, "acme/infra", "acme/moved", 1), `"private": true`, `"private": true, "permissions": {"push": true}`, 1))
	f.json("GET /repos/acme/moved/pulls/1", 200, pullJSON(1, ""))
	if _, err := f.forge.PullRequest(t.Context(), withoutInstallation(), 1); err != nil {
		t.Error(err)
	}
}

func TestGitGetsTheTokenAsItIsNow(t *testing.T) {
	var mu sync.Mutex
	token := "ghp_first00000000000000000000000000000000"
	f := newAccount(t, func(o *Options) {
		o.Token = func() []byte { mu.Lock(); defer mu.Unlock(); return []byte(token) }
	})
	for _, next := range []string{"github_pat_" + strings.Repeat("second_", 11), ""} {
		auth, err := f.forge.GitAuth(t.Context(), withoutInstallation())
		if err != nil || auth != (forge.GitAuth{Username: "boatlift-acme", Password: token}) {
			t.Errorf("GitAuth = user %q, %v; want the account and its present token", auth.Username, err)
		}
		mu.Lock()
		token = next
		mu.Unlock()
	}
}

func TestATokenThatIsReplacedWhileARequestIsRefusedIsTriedAnew(t *testing.T) {
	var mu sync.Mutex
	token := "ghp_old"
	f := newAccount(t, func(o *Options) {
		o.Token = func() []byte { mu.Lock(); defer mu.Unlock(); return []byte(token) }
	})
	f.handle("POST /repos/acme/infra/issues/1/labels", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer ghp_new" {
			mu.Lock()
			token = "ghp_new"
			mu.Unlock()
			answer(w, 401, `{"message": "Bad credentials"}`)
			return
		}
		answer(w, 200, `[]`)
	})
	if err := f.forge.AddLabels(t.Context(), withoutInstallation(), 1, []string{"x"}); err != nil {
		t.Error(err)
	}
}

func TestARefusedTokenSaysWhatToDo(t *testing.T) {
	f := newAccount(t)
	for status, want := range map[int]string{401: "expired", 403: "scope repo"} {
		f.routes = http.NewServeMux()
		f.json("POST /repos/acme/infra/issues/1/labels", status, `{"message": "Resource not accessible by personal access token"}`)
		err := f.forge.AddLabels(t.Context(), withoutInstallation(), 1, []string{"x"})
		var hinted interface{ Hint() string }
		if !errors.As(err, &hinted) || !strings.Contains(hinted.Hint(), want) || strings.Contains(hinted.Hint(), "App") {
			t.Errorf("answered %d: %v; want a hint about the token", status, err)
		}
	}
}

func TestByATokenNobodyRedelivers(t *testing.T) {
	f := newAccount(t)
	if _, err := f.forge.Redeliver(t.Context(), time.Now()); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Redeliver: %v; want ErrUnsupported", err)
	}
	for _, c := range []forge.Capability{forge.CheckText, forge.PinnedCheck, forge.Redelivery} {
		if f.forge.Can(c) {
			t.Errorf("by a token there is no %s", c)
		}
		if !newFake(t).forge.Can(c) {
			t.Errorf("an App has %s", c)
		}
	}
	if newFake(t).forge.Can("fly") {
		t.Error("an App can fly")
	}
}

const statusesOfHead = "GET /repos/acme/infra/commits/{sha}/statuses"

func statusJSON(id int, login, state, description string) string {
	return fmt.Sprintf(`{"id": %d, "context": "boatlift/gate", "state": %q, "description": %q, "target_url": "https://boat.example/r1", "creator": {"login": %q, "type": "User"}}`,
		id, state, description, login)
}

func TestByATokenTheGateIsACommitStatus(t *testing.T) {
	long := gate(forge.Pending)
	long.Title = strings.Repeat("wäits ", 40)
	for name, tc := range map[string]struct {
		there []string
		check forge.Check
		want  string // state and description that are sent; empty: nothing
	}{
		"none yet":             {nil, gate(forge.Pending), "pending waits"},
		"green":                {nil, gate(forge.Success), "success waits"},
		"red":                  {nil, gate(forge.Failure), "failure waits"},
		"shown already":        {[]string{statusJSON(2, "boatlift-acme", "success", "waits"), statusJSON(1, "boatlift-acme", "pending", "waits")}, gate(forge.Success), ""},
		"shown before":         {[]string{statusJSON(2, "boatlift-acme", "failure", "waits"), statusJSON(1, "boatlift-acme", "success", "waits")}, gate(forge.Success), "success waits"},
		"said by someone else": {[]string{statusJSON(2, "mallory", "success", "waits")}, gate(forge.Success), "success waits"},
		"set by someone over":  {[]string{statusJSON(3, "mallory", "success", "waits"), statusJSON(2, "boatlift-acme", "pending", "waits")}, gate(forge.Pending), "pending waits"},
		"in other words":       {[]string{statusJSON(2, "boatlift-acme", "success", "goes")}, gate(forge.Success), "success waits"},
		"too long":             {nil, long, "pending " + string([]rune(long.Title)[:139]) + "…"},
	} {
		f := newAccount(t)
		f.paged(statusesOfHead, tc.there, nil)
		f.json("POST /repos/acme/infra/statuses/{sha}", 201, `{}`)
		if err := f.forge.SetCheck(t.Context(), withoutInstallation(), tc.check); err != nil {
			t.Fatal(err)
		}
		sent := ""
		if f.count("POST ") > 0 {
			body := f.body("POST /repos/acme/infra/statuses/" + headSHA)
			sent = fmt.Sprint(body["state"], " ", body["description"])
			checkEqual(t, name+": name and link", fmt.Sprint(body["context"], " ", body["target_url"]), "boatlift/gate https://boat.example/r1")
		}
		checkEqual(t, name, sent, strings.TrimSpace(tc.want))
	}
}

func TestTheBotsOwnStatusIsNoNews(t *testing.T) {
	f := newAccount(t)
	if _, err := f.forge.Self(t.Context()); err != nil {
		t.Fatal(err)
	}
	for login, ignored := range map[string]bool{"boatlift-acme": true, "alice": false} {
		body := fmt.Sprintf(`{"context": "boatlift/gate", "state": "success", "repository": {"id": 1001}, "sender": {"login": %q, "type": "User"}}`, login)
		event, err := f.forge.Decode(http.Header{"X-Github-Event": {"status"}}, []byte(body))
		if err != nil || (event.Ignored != "") != ignored {
			t.Errorf("status by %s: %+v, %v; want ignored: %t", login, event, err, ignored)
		}
	}
}
