package gitlab

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	gl "github.com/xanzy/go-gitlab"

	"github.com/boatlift/boatlift/internal/forge"
)

func TestDeploymentsTellTheirState(t *testing.T) {
	f := newFake(t)
	f.answer("GET /projects/7/deployments", 200, `[
		{"id": 6, "sha": "`+newer+`", "status": "blocked", "environment": {"name": "production"}, "created_at": "2026-11-20T12:00:00Z", "updated_at": "2026-11-20T12:00:00Z"},
		{"id": 5, "sha": "`+head+`", "status": "success", "environment": {"name": "production"}, "deployable": {"id": 77}, "created_at": "2026-11-20T11:00:00Z", "updated_at": "2026-11-20T11:05:00Z"},
		{"id": 4, "sha": "`+head+`", "status": "success", "environment": {"name": "production/eu"}},
		{"id": 3, "sha": "`+head+`", "status": "canceled", "environment": {"name": "production"}},
		{"id": 2, "sha": "`+head+`", "status": "failed", "environment": {"name": "production"}}]`)
	repo := infra
	repo.WebURL = "https://gitlab.acme.io/acme/platform/infra"
	list, err := f.forge.Deployments(t.Context(), repo, "production", 3)
	if err != nil || len(list) != 3 {
		t.Fatalf("Deployments = %+v, %v; want three", list, err)
	}
	equal(t, "states", []forge.RolloutState{list[0].State, list[1].State, list[2].State}, []forge.RolloutState{forge.RolloutRunning, forge.RolloutSucceeded, forge.RolloutUnknown})
	equal(t, "the log", list[1].URL, "https://gitlab.acme.io/acme/platform/infra/-/jobs/77")
	for _, want := range []string{"environment=production", "sort=desc", "order_by=id"} {
		if q := f.sent("GET", "/deployments")[0].Query; !strings.Contains(q, want) {
			t.Errorf("asked with %s; want %s", q, want)
		}
	}
}

func TestPipelinesThatPushesBeganAreRuns(t *testing.T) {
	f := newFake(t)
	f.handle("GET /projects/7/pipelines", func(w http.ResponseWriter, r *http.Request) {
		text := `[{"id": 9, "ref": "main", "sha": "` + head + `", "source": "external", "status": "pending"},
			{"id": 8, "ref": "main", "sha": "` + head + `", "source": "push", "status": "manual"},
			{"id": 7, "ref": "main", "sha": "` + head + `", "source": "push", "status": "canceled"}]`
		if name := r.URL.Query().Get("name"); name != "" && name != "apply" {
			text = `[]`
		}
		_, _ = w.Write([]byte(text))
	})
	for _, workflow := range []string{"", ".gitlab-ci.yml", "apply"} {
		list, err := f.forge.Runs(t.Context(), infra, workflow, "main", 10)
		if err != nil || len(list) != 2 || list[0].State != forge.RolloutRunning || list[1].State != forge.RolloutUnknown || list[0].Environment != workflow {
			t.Errorf("Runs(%q) = %+v, %v; want the two that pushes began", workflow, list, err)
		}
	}
	if _, err := f.forge.Runs(t.Context(), infra, "absent", "main", 10); !errors.Is(err, forge.ErrNotFound) {
		t.Errorf("Runs of no pipeline's name: %v; want ErrNotFound", err)
	}
}

func TestStatesOfJobsAndStatuses(t *testing.T) {
	for _, c := range []struct {
		status    string
		mayFail   bool
		want      forge.StatusState
		isRollout forge.RolloutState
	}{
		{"pending", false, forge.StatusPending, forge.RolloutRunning},
		{"waiting_for_resource", false, forge.StatusPending, forge.RolloutRunning},
		{"success", false, forge.StatusSuccess, forge.RolloutSucceeded},
		{"failed", false, forge.StatusFailure, forge.RolloutFailed},
		{"failed", true, forge.StatusNeutral, forge.RolloutFailed},
		{"canceled", false, forge.StatusFailure, forge.RolloutUnknown},
		{"skipped", false, forge.StatusSkipped, forge.RolloutUnknown},
		{"manual", false, forge.StatusPending, forge.RolloutRunning},
		{"manual", true, forge.StatusSkipped, forge.RolloutRunning},
		{"a_newer_word", false, forge.StatusFailure, forge.RolloutUnknown},
	} {
		if got := statusState(&gl.CommitStatus{Status: c.status, AllowFailure: c.mayFail}); got != c.want {
			t.Errorf("%s, may fail %t = %s; want %s", c.status, c.mayFail, got, c.want)
		}
		if got := pipelineState(c.status); got != c.isRollout {
			t.Errorf("pipeline %s = %s; want %s", c.status, got, c.isRollout)
		}
	}
}

func TestProjectsAreListedByKeyset(t *testing.T) {
	f := newFake(t, func(o *Options) { o.Only = []string{"ACME/*", "other/infra"} })
	const first = `[{"id": 1, "path_with_namespace": "acme/platform/infra", "default_branch": "main"}, {"id": 2, "path_with_namespace": "other/app"},
		{"id": 3, "path_with_namespace": "acme/../x"}]`
	f.handle("GET /projects", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if q.Get("membership") != "true" || q.Get("min_access_level") != "30" || q.Get("pagination") != "keyset" {
			t.Errorf("asked with %s; want those that it may write to, by keyset", r.URL.RawQuery)
		}
		if q.Get("id_after") == "" {
			w.Header().Set("Link", `<https://elsewhere.example/api/v4/projects?id_after=3&membership=true&min_access_level=30&pagination=keyset&per_page=100>; rel="next"`)
			_, _ = w.Write([]byte(first))
			return
		}
		_, _ = w.Write([]byte(`[{"id": 4, "path_with_namespace": "other/infra", "merge_method": "ff", "archived": true}, {"id": 1, "path_with_namespace": "acme/platform/infra"}]`))
	})
	list, err := f.forge.Repositories(t.Context())
	if err != nil || len(list) != 2 {
		t.Fatalf("Repositories = %+v, %v; want two", list, err)
	}
	web := strings.TrimSuffix(f.forge.at.api.String(), "/api/v4/")
	equal(t, "the first", list[0], forge.Repository{
		ID: 1, FullName: "acme/platform/infra", DefaultBranch: "main", CloneURL: web + "/acme/platform/infra.git", WebURL: web + "/acme/platform/infra", MergeMethod: "merge",
	})
	equal(t, "the second", []any{list[1].FullName, list[1].MergeMethod, list[1].Archived}, []any{"other/infra", "rebase", true})
	if !strings.Contains(f.logs.String(), "left out") {
		t.Error("a project with an impossible path is left out without a word")
	}
}

func TestAProjectThatAnyoneReadsIsNotTheBots(t *testing.T) {
	project := func(permissions string) string {
		return `{"id": 7, "path_with_namespace": "acme/infra", "visibility": "public", "permissions": ` + permissions + `}`
	}
	for name, c := range map[string]struct {
		project, member string
		status          int
		ok              bool
	}{
		"a member by itself":           {project(`{"project_access": {"access_level": 30}}`), "", 500, true},
		"a member by its group":        {project(`{"project_access": {"access_level": 20}, "group_access": {"access_level": 40}}`), "", 500, true},
		"a member by an invited group": {project(`{"project_access": null, "group_access": null}`), `{"id": 42, "access_level": 30}`, 200, true},
		"a reporter":                   {project(`{"project_access": {"access_level": 20}}`), `{"id": 42, "access_level": 20}`, 200, false},
		"nobody":                       {project(`{}`), `{"message": "404 Not found"}`, 404, false},
	} {
		f := newFake(t)
		f.answer("GET /projects/7", 200, c.project)
		f.answer("GET /projects/7/members/all/42", c.status, c.member)
		_, err := f.forge.Repository(t.Context(), 7)
		if (err == nil) != c.ok || err != nil && !errors.Is(err, forge.ErrNotFound) {
			t.Errorf("%s: %v; want found %t", name, err, c.ok)
		}
	}
}

func TestWhoPushedIsAContributor(t *testing.T) {
	f := newFake(t)
	f.answer("GET "+mr5, 200, mergeRequest())
	f.answer("GET "+mr5+"/notes", 200, `[{"system": true, "body": "added 1 commit\n\n<ul></ul>", "author": {"id": 3, "username": "carol"}},
		{"system": false, "body": "added 1 commit", "author": {"id": 6, "username": "talker"}}]`)
	f.answer("GET "+mr5+"/commits", 200, `[{"id": "`+head+`", "author_email": "9-dave@users.noreply.127.0.0.1", "committer_email": "eve@example.com"}]`)
	f.answer("GET /projects/7/events", 200, `[{"action_name": "pushed to", "author_username": "bob", "push_data": {"ref": "boatlift/web", "ref_type": "branch"}},
		{"action_name": "pushed to", "author_username": "else", "push_data": {"ref": "main", "ref_type": "branch"}}]`)
	logins, err := f.forge.Contributors(t.Context(), infra, 5)
	equal(t, "Contributors", []any{logins, err}, []any{[]string{"boatlift", "bob", "carol", "dave"}, nil})
}

func TestSourcesOfOtherGroupsStayTheirs(t *testing.T) {
	f := newFake(t)
	web := f.forge.at.web
	compared := `{"commit": {"id": "` + newer + `"}, "commits": [{"id": "` + head + `", "title": "old", "author_name": "a"}, {"id": "` + newer + `", "title": "new", "author_name": "b"}]}`
	for path, visibility := range map[string]string{"acme%2Fshop": "private", "other%2Fshop": "private", "other%2Flib": "public"} {
		plain := strings.ReplaceAll(path, "%2F", "/")
		f.answer("GET /projects/"+path, 200, `{"id": 70, "path_with_namespace": "`+plain+`", "visibility": "`+visibility+`"}`)
	}
	f.answer("GET /projects/70/repository/compare", 200, compared)
	for path, ok := range map[string]bool{"acme/shop": true, "acme/shop.git": true, "other/shop": false, "other/lib": true, "acme": false, "../x": false} {
		c, err := f.forge.Compare(t.Context(), infra, web+"/"+path, head, newer, 10)
		if (err == nil) != ok || err != nil && !errors.Is(err, forge.ErrNotFound) {
			t.Errorf("Compare(%s): %v; want shown %t", path, err, ok)
		}
		if ok && (len(c.Commits) != 2 || c.Commits[0].SHA != newer) {
			t.Errorf("Compare(%s) = %+v; want the newest first", path, c.Commits)
		}
	}
}
