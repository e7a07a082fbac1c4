package hub_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	gl "github.com/xanzy/go-gitlab"

	"github.com/boatlift/boatlift/cmd/sandbox/hub"
	"github.com/boatlift/boatlift/internal/forge"
)

// shape is what an answer or a webhook must look like: the type that go-gitlab reads it into, and one of its own recorded samples.
type shape struct {
	name   string // of a webhook, as X-Gitlab-Event says it; or METHOD and a pattern of the path below /api/v4
	into   any
	sample string // below go-gitlab's testdata; empty: it has none
}

func answerShapes() []shape {
	return []shape{
		{`GET /user`, gl.User{}, "get_user.json"},
		{`GET /users`, []gl.User{}, ""},
		{`GET /users/\d+`, gl.User{}, "get_user.json"},
		{`GET /version`, gl.Version{}, ""},
		{`GET /personal_access_tokens/self`, gl.PersonalAccessToken{}, "list_personal_access_tokens_single.json"},
		{`GET /projects`, []gl.Project{}, ""},
		{`GET /projects/[^/]+`, gl.Project{}, ""},
		{`GET /groups/[^/]+`, gl.Group{}, ""},
		{`GET /groups/[^/]+/members`, []gl.GroupMember{}, ""},
		{`GET /projects/\d+/members/all`, []gl.ProjectMember{}, ""},
		{`GET /projects/\d+/members/all/\d+`, gl.ProjectMember{}, ""},
		{`GET /projects/\d+/merge_requests`, []gl.MergeRequest{}, "get_merge_requests.json"},
		{`(GET|PUT) /projects/\d+/merge_requests/\d+(/merge)?`, gl.MergeRequest{}, "get_merge_request.json"},
		{`POST /projects/\d+/merge_requests`, gl.MergeRequest{}, "get_merge_request.json"},
		{`GET /projects/\d+/merge_requests/\d+/changes`, gl.MergeRequest{}, ""},
		{`GET /projects/\d+/merge_requests/\d+/diffs`, []gl.MergeRequestDiff{}, "list_merge_request_diff.json"},
		{`GET /projects/\d+/merge_requests/\d+/commits`, []gl.Commit{}, ""},
		{`GET /projects/\d+/merge_requests/\d+/versions`, []gl.MergeRequestDiffVersion{}, ""},
		{`GET /projects/\d+/merge_requests/\d+/reviewers`, []gl.MergeRequestReviewer{}, ""},
		{`GET /projects/\d+/merge_requests/\d+/participants`, []gl.BasicUser{}, ""},
		{`(GET|POST) /projects/\d+/merge_requests/\d+/(approvals|approve)`, gl.MergeRequestApprovals{}, ""},
		{`GET /projects/\d+/merge_requests/\d+/approval_state`, gl.MergeRequestApprovalState{}, ""},
		{`GET /projects/\d+/merge_requests/\d+/notes`, []gl.Note{}, ""},
		{`POST /projects/\d+/merge_requests/\d+/notes`, gl.Note{}, ""},
		{`GET /projects/\d+/merge_requests/\d+/pipelines`, []gl.PipelineInfo{}, ""},
		{`GET /projects/\d+/merge_requests/\d+/status_checks`, []gl.MergeStatusCheck{}, ""},
		{`GET /projects/\d+/external_status_checks`, []gl.ProjectStatusCheck{}, ""},
		{`GET /projects/\d+/labels`, []gl.Label{}, ""},
		{`GET /projects/\d+/pipelines`, []gl.PipelineInfo{}, ""},
		{`GET /projects/\d+/pipelines/\d+`, gl.Pipeline{}, ""},
		{`GET /projects/\d+/pipelines/\d+/jobs`, []gl.Job{}, ""},
		{`GET /projects/\d+/deployments`, []gl.Deployment{}, ""},
		{`GET /projects/\d+/deployments/\d+`, gl.Deployment{}, ""},
		{`GET /projects/\d+/environments`, []gl.Environment{}, ""},
		{`GET /projects/\d+/events`, []gl.ContributionEvent{}, ""},
		{`GET /projects/\d+/hooks`, []gl.ProjectHook{}, ""},
		{`GET /projects/\d+/protected_branches`, []gl.ProtectedBranch{}, ""},
		{`GET /projects/\d+/repository/branches`, []gl.Branch{}, "list_branches.json"},
		{`GET /projects/\d+/repository/branches/[^/]+`, gl.Branch{}, "get_branch.json"},
		{`GET /projects/\d+/repository/commits`, []gl.Commit{}, ""},
		{`GET /projects/\d+/repository/commits/\w+`, gl.Commit{}, "get_commit.json"},
		{`GET /projects/\d+/repository/commits/\w+/merge_requests`, []gl.MergeRequest{}, ""},
		{`GET /projects/\d+/repository/commits/\w+/statuses`, []gl.CommitStatus{}, ""},
		{`POST /projects/\d+/statuses/\w+`, gl.CommitStatus{}, ""},
		{`GET /projects/\d+/repository/compare`, gl.Compare{}, ""},
		{`GET /projects/\d+/repository/files/[^/]+`, gl.File{}, ""},
	}
}

func webhookShapes() []shape {
	return []shape{
		{"Push Hook", gl.PushEvent{}, "webhooks/push.json"},
		{"Merge Request Hook", gl.MergeEvent{}, "webhooks/merge_request.json"},
		{"Note Hook", gl.MergeCommentEvent{}, "webhooks/note_merge_request.json"},
		{"Pipeline Hook", gl.PipelineEvent{}, "webhooks/pipeline.json"},
		{"Deployment Hook", gl.DeploymentEvent{}, "webhooks/deployment.json"},
	}
}

// documented are the fields which GitLab's documents have, and neither go-gitlab's types nor its samples, by the end of their path; each
// with where it stands.
func documented() map[string]string {
	return map[string]string{
		"only_allow_merge_if_all_status_checks_passed": "docs.gitlab.com/api/projects, Ultimate",
		"disabled_until":               "docs.gitlab.com/user/project/integrations/webhooks, of a webhook that failed",
		"environment_tier":             "docs.gitlab.com/user/project/integrations/webhook_events, deployment events",
		"ref_protected":                "the same, push events",
		"push_options":                 "the same, push events",
		"message":                      "the same, push events",
		"ci_config_path":               "the same, project of every event",
		"merge_params":                 "the same, merge request events",
		"draft":                        "the same, merge request events",
		"text_color":                   "docs.gitlab.com/api/labels",
		"is_project_label":             "docs.gitlab.com/api/labels",
		"merge_when_pipeline_succeeds": "the same, merge request events",
		"commit_email":                 "docs.gitlab.com/api/users, the current user",
		"author.web_url":               "docs.gitlab.com/api/commits, statuses",
		"author.avatar_url":            "docs.gitlab.com/api/commits, statuses",
		"hmac":                         "docs.gitlab.com/api/status_checks",
		"execute_filemode":             "docs.gitlab.com/api/repository_files",
		"extended_trailers":            "docs.gitlab.com/api/commits",
	}
}

// needless are the fields of samples that the sandbox leaves out, as nothing that it shows needs them.
func needless() map[string]bool {
	names := map[string]bool{}
	for _, name := range strings.Fields(`avatar_url milestone time_stats user_email theme_id color_scheme_id skype last_activity_on
		last_sign_in_at confirmed_at current_sign_in_at current_sign_in_ip last_sign_in_ip note twitter linkedin organization extern_uid provider
		shared_runners_minutes_limit extra_shared_runners_minutes_limit custom_attributes using_license_seat namespace_id
		last_pipeline trailers discussion_locked latest_build_started_at latest_build_finished_at first_deployed_to_production_at
		approvals_before_merge diverged_commits_count rebase_in_progress allow_collaboration allow_maintainer_to_push assignee label_details
		source_pipeline is_admin two_factor_enabled external private_profile can_create_group can_create_project projects_limit identities email locked
		oldrev changes following followers labels position st_diff merge_when_pipeline_succeeds illustration favicon`) {
		names[name] = true
	}
	return names
}

// TestAnswersAreGitLabs holds whatever the sandbox says as a GitLab to go-gitlab's types and to the samples of its own tests: every field is one
// that GitLab has, in the type that it has there, and none that a sample has is missing without a reason.
func TestAnswersAreGitLabs(t *testing.T) {
	heard := &heardGitLab{answers: map[string][]hub.Exchange{}, hooks: map[string][][]byte{}}
	for _, tier := range []hub.Tier{hub.Free, hub.Ultimate} {
		heard.live(t, tier)
	}
	samples := sampleFolder(t)
	met := map[string]bool{}
	for _, s := range answerShapes() {
		pattern := regexp.MustCompile("^" + s.name + "$")
		for _, call := range slices.Sorted(maps.Keys(heard.answers)) {
			if !pattern.MatchString(call) {
				continue
			}
			met[call] = true
			for _, e := range heard.answers[call] {
				s.judge(t, call, e.Answer, samples)
			}
		}
		if !slices.ContainsFunc(slices.Collect(maps.Keys(met)), pattern.MatchString) {
			t.Errorf("nothing was heard of %s", s.name)
		}
	}
	for call := range heard.answers {
		if !met[call] {
			t.Errorf("no shape is known of %s", call)
		}
	}
	for _, s := range webhookShapes() {
		if len(heard.hooks[s.name]) == 0 {
			t.Errorf("no %s was sent", s.name)
		}
		for _, body := range heard.hooks[s.name] {
			s.judge(t, s.name, body, samples)
		}
	}
}

// heardGitLab is what a sandbox said.
type heardGitLab struct {
	mu      sync.Mutex
	answers map[string][]hub.Exchange // by METHOD and path; only those that went well and have a body in JSON
	hooks   map[string][][]byte
}

func (g *heardGitLab) exchange(e hub.Exchange) {
	if e.Status >= 300 || e.Status == http.StatusNoContent || !json.Valid(e.Answer) || strings.HasSuffix(e.Path, "/status_check_responses") {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	call := e.Method + " " + strings.TrimPrefix(e.Path, "/api/v4")
	g.answers[call] = append(g.answers[call], e)
}

func (g *heardGitLab) webhook(w hub.Webhook) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hooks[w.Event] = append(g.hooks[w.Event], w.Body)
}

// live lets a merge request live its life, and asks for everything that there is to be asked.
func (g *heardGitLab) live(t *testing.T, tier hub.Tier) {
	t.Helper()
	h := newGitLabHarness(t, hub.Options{GitLab: tier, OnExchange: g.exchange, OnWebhook: g.webhook})
	id := h.CreateRepository(t, "infra")
	h.Permit(t, id, "alice", forge.WritePermission)
	h.Permit(t, id, service, forge.AdminPermission)
	h.Team(t, id, "acme/ops", "alice")
	h.RequireCheck(t, id, "main", "boatlift/gate")
	h.hub.SetWebhook("http://127.0.0.1:1/hooks/gitlab", "hook-secret") // nobody is there
	sha := h.Commit(t, id, "topic", map[string]string{"a.yaml": "1\n"})
	repo, err := h.Forge().Repository(t.Context(), id)
	must(t, err)
	pr, err := h.Forge().CreatePullRequest(t.Context(), repo, forge.NewPullRequest{Head: "topic", Base: "main", Title: "t", Body: "b", Labels: []string{"boatlift"}})
	must(t, err)
	must(t, h.Forge().RequestReviewers(t.Context(), repo, pr.Number, []string{"alice"}, nil))
	must(t, h.Forge().Comment(t.Context(), repo, pr.Number, "k", "a comment"))
	h.Comment(t, id, "alice", pr.Number, "another")
	h.Review(t, id, "alice", pr.Number, forge.Approved)
	gate := forge.Check{HeadSHA: sha, Number: pr.Number, Name: "boatlift/gate", Conclusion: forge.Pending, Title: "waits"}
	must(t, h.Forge().SetCheck(t.Context(), repo, gate))
	gate.Conclusion = forge.Success
	must(t, h.Forge().SetCheck(t.Context(), repo, gate))
	h.FinishRun(t, id, h.StartRun(t, id, "apply", "main", sha), forge.RolloutSucceeded)
	deployment := h.Deploy(t, id, "production", sha)
	h.FinishDeployment(t, id, deployment, forge.RolloutSucceeded)
	lines, err := h.hub.Runs("acme/infra")
	must(t, err)

	project, request := fmt.Sprintf("/projects/%d", id), fmt.Sprintf("/projects/%d/merge_requests/%d", id, pr.Number)
	for _, path := range []string{
		"/version", "/user", "/users?username=alice", "/personal_access_tokens/self", "/projects?membership=true", project, "/groups/acme", "/groups/acme%2Fops/members",
		project + "/members/all", project + "/merge_requests", request, request + "/changes", request + "/diffs", request + "/commits", request + "/versions",
		request + "/reviewers", request + "/participants", request + "/approvals", request + "/notes", request + "/pipelines", project + "/labels",
		project + "/pipelines", fmt.Sprintf("%s/pipelines/%d", project, lines[0].ID), fmt.Sprintf("%s/pipelines/%d/jobs", project, lines[0].ID),
		project + "/deployments", fmt.Sprintf("%s/deployments/%d", project, deployment), project + "/environments", project + "/events", project + "/hooks",
		project + "/protected_branches", project + "/repository/branches", project + "/repository/branches/topic", project + "/repository/commits",
		project + "/repository/commits/" + sha, project + "/repository/commits/" + sha + "/merge_requests", project + "/repository/commits/" + sha + "/statuses",
		project + "/repository/compare?from=main&to=topic", project + "/repository/files/" + url.PathEscape("README.md") + "?ref=main",
	} {
		g.ask(t, h, path)
	}
	self := h.hub.AddPerson("alice")
	g.ask(t, h, fmt.Sprintf("/users/%d", self.ID))
	g.ask(t, h, fmt.Sprintf("%s/members/all/%d", project, self.ID))
	if tier == hub.Ultimate {
		g.ask(t, h, project+"/external_status_checks")
		g.ask(t, h, request+"/status_checks")
		g.ask(t, h, request+"/approval_state")
	}
	_, err = h.Forge().Merge(t.Context(), repo, pr.Number, sha, "merge")
	must(t, err)
	must(t, h.hub.Idle(t.Context()))
}

// ask asks as the bot does, and demands an answer.
func (g *heardGitLab) ask(t *testing.T, h gitLabHarness, path string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.hub.APIURL()+path, http.NoBody)
	must(t, err)
	req.Header.Set("PRIVATE-TOKEN", h.token.Load().(string))
	res, err := http.DefaultClient.Do(req)
	must(t, err)
	must(t, res.Body.Close())
	if res.StatusCode != http.StatusOK {
		t.Errorf("GET %s: %s", path, res.Status)
	}
}

// sampleFolder is where go-gitlab's own tests have their samples.
func sampleFolder(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/xanzy/go-gitlab").Output()
	must(t, err)
	return filepath.Join(string(bytes.TrimSpace(out)), "testdata")
}

// judge holds what was said to the type and the sample.
func (s shape) judge(t *testing.T, what string, said []byte, samples string) {
	t.Helper()
	into := reflect.New(reflect.TypeOf(s.into))
	if err := json.Unmarshal(said, into.Interface()); err != nil {
		t.Errorf("%s: go-gitlab cannot read it: %v", what, err)
		return
	}
	var got, sample any
	must(t, json.Unmarshal(said, &got))
	if s.sample != "" {
		raw, err := os.ReadFile(filepath.Join(samples, s.sample))
		must(t, err)
		must(t, json.Unmarshal(raw, &sample))
	}
	c := comparison{t: t, what: what, documented: documented(), needless: needless()}
	c.known("", got, into.Type().Elem(), sample)
	c.complete("", got, sample)
}

type comparison struct {
	t          *testing.T
	what       string
	documented map[string]string
	needless   map[string]bool
}

// known demands that every field is one of the type's, of the sample's, or documented.
func (c comparison) known(at string, got any, kind reflect.Type, sample any) {
	c.t.Helper()
	for kind != nil && kind.Kind() == reflect.Pointer {
		kind = kind.Elem()
	}
	switch value := got.(type) {
	case []any:
		var inside reflect.Type
		if kind != nil && kind.Kind() == reflect.Slice {
			inside = kind.Elem()
		}
		for _, one := range value {
			c.known(at+"[]", one, inside, first(sample))
		}
	case map[string]any:
		if kind != nil && kind.Kind() != reflect.Struct {
			return // a map, or something that reads itself
		}
		fields, sampled := fieldsOf(kind), object(sample)
		for name, inner := range value {
			inside, typed := fields[name]
			like, shown := sampled[name]
			_, told := c.documented[name]
			if !told {
				_, told = c.documented[at[strings.LastIndexByte(at, '.')+1:]+"."+name]
			}
			if !typed && !shown && !told {
				c.t.Errorf("%s: GitLab has no %s.%s", c.what, at, name)
				continue
			}
			if inner != nil && like != nil && fmt.Sprintf("%T", inner) != fmt.Sprintf("%T", like) {
				c.t.Errorf("%s: %s.%s is a %T; in go-gitlab's sample it is a %T", c.what, at, name, inner, like)
			}
			if typed || shown {
				c.known(at+"."+name, inner, inside, like)
			}
		}
	}
}

// complete demands every field of the sample.
func (c comparison) complete(at string, got, sample any) {
	c.t.Helper()
	if list, ok := got.([]any); ok {
		for _, one := range list {
			c.complete(at+"[]", one, first(sample))
		}
		return
	}
	value, ok := got.(map[string]any)
	if !ok {
		return
	}
	for name, like := range object(sample) {
		inner, there := value[name]
		if !there && !c.needless[name] {
			c.t.Errorf("%s: %s.%s is missing, which go-gitlab's sample has", c.what, at, name)
		}
		if there && !c.needless[name] {
			c.complete(at+"."+name, inner, like)
		}
	}
}

func first(list any) any {
	if items, ok := list.([]any); ok && len(items) > 0 {
		return items[0]
	}
	return nil
}

func object(v any) map[string]any {
	fields, _ := v.(map[string]any)
	return fields
}

// fieldsOf are the fields of a struct by their names in JSON, those of embedded ones among them.
func fieldsOf(kind reflect.Type) map[string]reflect.Type {
	fields := map[string]reflect.Type{}
	if kind == nil || kind.Kind() != reflect.Struct {
		return fields
	}
	for i := range kind.NumField() {
		field := kind.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case field.Anonymous && name == "":
			inner := field.Type
			if inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			maps.Copy(fields, fieldsOf(inner))
		case name == "":
			fields[strings.ToLower(field.Name)] = field.Type
		case name != "-":
			fields[name] = field.Type
		}
	}
	return fields
}
