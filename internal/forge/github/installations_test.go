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

func TestRepositoriesOfAllInstallationsAreListedButSuspendedAndGoneOnes(t *testing.T) {
	f := newFake(t)
	var installations []string
	for i := range 101 {
		installations = append(installations, fmt.Sprintf(`{"id": %d, "suspended_at": "2026-01-01T00:00:00Z"}`, 500+i))
	}
	installations = append(installations, `{"id": 7}`, `{"id": 8}`, `{"id": 9}`)
	f.paged("GET /app/installations", installations, nil)
	var seven []string
	for i := range 205 {
		seven = append(seven, fmt.Sprintf(`{"id": %d, "full_name": "acme/r%d", "private": true}`, 1+i, i))
	}
	wrap := func(list string) string { return `{"total_count": 1, "repositories": ` + list + `}` }
	f.handle("GET /installation/repositories", func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.Contains(r.Header.Get("Authorization"), ".7."):
			one := &fake{t: t, server: f.server, routes: http.NewServeMux()}
			one.paged("GET /installation/repositories", seven, wrap)
			one.routes.ServeHTTP(w, r)
		case strings.Contains(r.Header.Get("Authorization"), ".8."):
			answer(w, 200, wrap(`[{"id": 3001, "full_name": "other/infra", "archived": true, "allow_merge_commit": false, "allow_squash_merge": true, "default_branch": "trunk"},
				{"id": 1, "full_name": "acme/r0"}, {"id": 3002, "full_name": "other/../../admin"}, {"id": 3003, "full_name": "other/off", "disabled": true}]`))
		default:
			answer(w, 404, `{}`) // uninstalled since
		}
	})
	list, err := f.forge.Repositories(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	checkEqual(t, "number", len(list), 207)
	checkEqual(t, "one", list[205], forge.Repository{
		ID: 3001, FullName: "other/infra", DefaultBranch: "trunk", CloneURL: f.forge.at.web + "/other/infra.git", WebURL: f.forge.at.web + "/other/infra",
		Installation: 8, Archived: true, MergeMethod: "squash",
	})
	checkEqual(t, "a disabled one is archived", list[206].Archived, true)
	checkEqual(t, "tokens for the suspended", f.count("POST /app/installations/5"), 0)
}

func TestAListThatCannotBeFinishedIsAnErrorAndNotShorter(t *testing.T) {
	f := newFake(t)
	f.json("GET /app/installations", 200, `[{"id": 7}, {"id": 8}]`)
	f.handle("GET /installation/repositories", func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.Header.Get("Authorization"), ".8.") {
			answer(w, 500, `{}`)
			return
		}
		answer(w, 200, `{"repositories": [`+repoJSON+`]}`)
	})
	if list, err := f.forge.Repositories(t.Context()); err == nil {
		t.Errorf("Repositories = %v; want an error", list)
	}
}

func TestMintingThatIsRefusedMeansGone(t *testing.T) {
	for status, want := range map[int]error{404: forge.ErrGone, 401: forge.ErrGone, 403: forge.ErrGone} {
		f := newFakeWithout(t, "access_tokens")
		f.json("POST /app/installations/7/access_tokens", status, `{"message": "This installation has been suspended"}`)
		_, err := f.forge.PullRequest(t.Context(), infra(), 1)
		if !errors.Is(err, want) {
			t.Errorf("minting answered %d: error %v; want %v", status, err, want)
		}
		if _, err := f.forge.GitAuth(t.Context(), infra()); !errors.Is(err, want) {
			t.Errorf("minting for git answered %d: error %v; want %v", status, err, want)
		}
	}
}

func TestARefusalOfASuspendedInstallationIsGone(t *testing.T) {
	f := newFake(t)
	f.json("GET /app/installations/7", 200, `{"id": 7, "suspended_at": "2026-01-05T09:00:00Z"}`)
	f.json("GET /repos/acme/infra/pulls/1", 403, `{"message": "This installation has been suspended"}`)
	if _, err := f.forge.PullRequest(t.Context(), infra(), 1); !errors.Is(err, forge.ErrGone) {
		t.Errorf("PullRequest: error %v; want ErrGone", err)
	}
}

func TestARevokedTokenIsReplacedOnce(t *testing.T) {
	f := newFake(t)
	f.each("POST /repos/acme/infra/issues/1/labels", says(401, `{"message": "Bad credentials"}`), says(200, `[]`))
	if err := f.forge.AddLabels(t.Context(), infra(), 1, []string{"x"}); err != nil {
		t.Errorf("AddLabels: %v", err)
	}
	checkEqual(t, "tokens", f.minted, 2)
	f = newFake(t)
	f.json("POST /repos/acme/infra/issues/1/labels", 401, `{"message": "Bad credentials"}`)
	if err := f.forge.AddLabels(t.Context(), infra(), 1, []string{"x"}); !errors.Is(err, forge.ErrGone) {
		t.Errorf("AddLabels: error %v; want ErrGone", err)
	}
	checkEqual(t, "tries", f.count("POST /repos/acme/infra/issues/1/labels"), 2)
}

func TestARenamedRepositoryIsFollowedByItsIDAndTheCallMadeOnceMore(t *testing.T) {
	for name, old := range map[string]http.HandlerFunc{
		"redirected": func(w http.ResponseWriter, r *http.Request) {
			// Following it would filter by the old owner and find nothing.
			http.Redirect(w, r, root+"/repositories/1001/pulls?"+r.URL.RawQuery, http.StatusMovedPermanently)
		},
		"gone":            says(404, `{"message": "Not Found"}`),
		"somebody else's": says(200, `[`+strings.ReplaceAll(pullJSON(3, ""), `"id": 1001`, `"id": 6666`)+`]`),
		"redirected by 307": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, root+"/elsewhere", http.StatusTemporaryRedirect)
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			f.handle("GET /repos/acme/infra/pulls", old)
			f.json("GET /repositories/1001", 200, strings.ReplaceAll(repoJSON, "acme/infra", "umbrella/infrastructure"))
			f.handle("GET /repos/umbrella/infrastructure/pulls", func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Query().Get("head") != "umbrella:boatlift/x" {
					answer(w, 200, `[]`)
					return
				}
				answer(w, 200, `[`+pullJSON(3, "")+`]`)
			})
			list, err := f.forge.PullRequestsOf(t.Context(), infra(), "boatlift/x")
			if err != nil || len(list) != 1 || list[0].Number != 3 {
				t.Fatalf("PullRequestsOf = %v, %v; want number 3", list, err)
			}
			if _, err := f.forge.PullRequestsOf(t.Context(), infra(), "boatlift/x"); err != nil {
				t.Fatal(err)
			}
			checkEqual(t, "requests by the old name", f.count("GET /repos/acme/infra/pulls"), 1)
		})
	}
}

func TestARedirectedWriteIsMadeAtTheNewNameAndNotAsARead(t *testing.T) {
	f := newFake(t)
	f.handle("PATCH /repos/acme/infra/pulls/1", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://evil.example/steal", http.StatusMovedPermanently)
	})
	f.json("GET /repositories/1001", 200, strings.ReplaceAll(repoJSON, "acme/infra", "acme/renamed"))
	f.json("PATCH /repos/acme/renamed/pulls/1", 200, pullJSON(1, `"title": "t"`))
	title := "t"
	if _, err := f.forge.EditPullRequest(t.Context(), infra(), 1, forge.Edit{Title: &title}); err != nil {
		t.Fatal(err)
	}
	checkEqual(t, "what was sent", f.body("PATCH /repos/acme/renamed/pulls/1"), map[string]any{"title": "t"})
}

func TestARepositoryIsFoundThroughAnotherInstallation(t *testing.T) {
	f := newFake(t)
	f.handle("GET /repos/acme/infra/pulls/1", func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.Header.Get("Authorization"), ".7.") {
			answer(w, 404, `{}`)
			return
		}
		answer(w, 200, pullJSON(1, ""))
	})
	f.json("GET /repos/acme/infra/installation", 200, `{"id": 9}`)
	f.handle("GET /repositories/1001", func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.Header.Get("Authorization"), ".7.") {
			answer(w, 404, `{}`)
			return
		}
		answer(w, 200, repoJSON)
	})
	for range 2 {
		if _, err := f.forge.PullRequest(t.Context(), infra(), 1); err != nil {
			t.Fatal(err)
		}
	}
	repo, err := f.forge.Repository(t.Context(), 1001)
	if err != nil || repo.Installation != 9 {
		t.Errorf("Repository = %+v, %v; want installation 9", repo, err)
	}
	checkEqual(t, "searches", f.count("GET /repos/acme/infra/installation"), 1)
}

func TestWhatIsReallyMissingIsNotFoundAfterOneLook(t *testing.T) {
	f := newFake(t)
	f.json("GET /repositories/1001", 200, repoJSON)
	if _, err := f.forge.PullRequest(t.Context(), infra(), 5); !errors.Is(err, forge.ErrNotFound) {
		t.Errorf("PullRequest: error %v; want ErrNotFound", err)
	}
	checkEqual(t, "requests", f.lines(), []string{"GET /repos/acme/infra/pulls/5", "GET /repositories/1001"})
}

func TestAPublicRepositoryThatTheBotWasTakenOutOfIsNotFound(t *testing.T) {
	f := newFake(t)
	public := strings.Replace(repoJSON, `"private": true`, `"private": false`, 1)
	f.json("GET /app/installations", 200, `[{"id": 7}]`)
	f.each("GET /installation/repositories", says(200, `{"repositories": [`+public+`]}`), says(200, `{"repositories": []}`))
	f.json("GET /repositories/1001", 200, public) // anyone may read it
	f.each("GET /repos/acme/infra/installation", says(200, `{"id": 7}`), says(404, `{}`))
	if _, err := f.forge.Repositories(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := f.forge.Repository(t.Context(), 1001); err != nil {
		t.Fatalf("Repository while the bot is in it: %v", err)
	}
	if _, err := f.forge.Repository(t.Context(), 1001); !errors.Is(err, forge.ErrNotFound) {
		t.Errorf("Repository: error %v; want ErrNotFound", err)
	}
}

func TestARepositoryThatNobodyAskedForBeforeIsFoundInTheList(t *testing.T) {
	f := newFake(t)
	f.json("GET /app/installations", 200, `[{"id": 7}]`)
	f.json("GET /installation/repositories", 200, `{"repositories": [`+repoJSON+`]}`)
	repo, err := f.forge.Repository(t.Context(), 1001)
	if err != nil || repo.FullName != "acme/infra" || repo.CloneURL != f.server.URL+"/some/prefix/acme/infra.git" {
		t.Errorf("Repository = %+v, %v; want acme/infra with an address derived from the API's", repo, err)
	}
	if _, err := f.forge.Repository(t.Context(), 4711); !errors.Is(err, forge.ErrNotFound) {
		t.Errorf("Repository of an unknown id: error %v; want ErrNotFound", err)
	}
}

func TestANameThatIsNoNameIsNeverSent(t *testing.T) {
	f := newFake(t)
	for _, name := range []string{"", "acme", "acme/infra/../../admin", "../x", "acme/..", "acme/in fra", "acme/infra?x=1"} {
		_, err := f.forge.PullRequest(t.Context(), forge.Repository{ID: 5, FullName: name, Installation: 7}, 1)
		if err == nil {
			t.Errorf("PullRequest in %q: no error", name)
		}
	}
	checkEqual(t, "requests about a pull request", f.count("GET /repos/"), 0)
}

func TestGitTokensAreNarrowedAndFresh(t *testing.T) {
	now := time.Now()
	var mu sync.Mutex
	f := newFake(t, func(o *Options) {
		o.Clock = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	})
	get := func() forge.GitAuth {
		t.Helper()
		auth, err := f.forge.GitAuth(t.Context(), infra())
		if err != nil {
			t.Fatal(err)
		}
		return auth
	}
	first := get()
	checkEqual(t, "user", first.Username, "x-access-token")
	checkEqual(t, "what was asked for", f.body("POST /app/installations/7/access_tokens"),
		map[string]any{"repository_ids": []any{1001.0}, "permissions": map[string]any{"contents": "write"}})
	if second := get(); second.Password != first.Password {
		t.Error("a second token was minted within the hour")
	}
	mu.Lock()
	now = now.Add(56 * time.Minute)
	mu.Unlock()
	if third := get(); third.Password == first.Password {
		t.Error("a token that has less than five minutes left was handed out")
	}
}

func TestGitTokensForARepositoryThatTheInstallationDoesNotReach(t *testing.T) {
	f := newFakeWithout(t, "access_tokens")
	f.json("POST /app/installations/7/access_tokens", 422, `{"message": "There is at least one repository that does not exist or is not accessible to the parent installation."}`)
	if _, err := f.forge.GitAuth(t.Context(), infra()); !errors.Is(err, forge.ErrNotFound) {
		t.Errorf("GitAuth: error %v; want ErrNotFound", err)
	}
}

func TestManyAtOnceMintOneToken(t *testing.T) {
	f := newFake(t)
	f.json("GET /repos/acme/infra/pulls/1", 200, pullJSON(1, ""))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := f.forge.PullRequest(t.Context(), infra(), 1); err != nil {
				t.Error(err)
			}
			if _, err := f.forge.GitAuth(t.Context(), forge.Repository{ID: 1002, FullName: "acme/b", Installation: 8}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	checkEqual(t, "tokens of installation 7", f.count("POST /app/installations/7/access_tokens"), 1)
}

func TestPermissions(t *testing.T) {
	f := newFake(t)
	f.json("GET /repositories/1001", 200, repoJSON)
	for login, said := range map[string]string{"admin": "admin", "writer": "write", "maintainer": "maintain", "reader": "read", "triager": "triage", "nobody": "none"} {
		f.json("GET /repos/acme/infra/collaborators/"+login+"/permission", 200, `{"permission": "`+said+`"}`)
	}
	for login, want := range map[string]forge.Permission{
		"admin": forge.AdminPermission, "writer": forge.WritePermission, "maintainer": forge.WritePermission,
		"reader": forge.ReadPermission, "triager": forge.ReadPermission, "nobody": forge.NoPermission,
		"unknown": forge.NoPermission, "dependabot[bot]": forge.NoPermission, "../../../admin": forge.NoPermission, "": forge.NoPermission,
	} {
		got, err := f.forge.Permission(t.Context(), infra(), login)
		if err != nil || got != want {
			t.Errorf("Permission(%q) = %q, %v; want %q", login, got, err, want)
		}
	}
	f = newFake(t)
	f.json("GET /repos/acme/infra/collaborators/alice/permission", 500, `{}`)
	if _, err := f.forge.Permission(t.Context(), infra(), "alice"); err == nil {
		t.Error("Permission answered with 500: no error")
	}
}
