package hub_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/boatlift/boatlift/cmd/sandbox/hub"
)

// page fetches a page and returns its text.
func (s *sandbox) page(path string, want int) string {
	s.t.Helper()
	return string(s.call("GET", s.URL()+path, "", nil).want(want).raw)
}

// press sends a pull request page's form as a browser would.
func (s *sandbox) press(path string, form url.Values, origin string) (int, string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.URL()+path, strings.NewReader(form.Encode()))
	s.must(err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if origin != "" {
		req.Header.Set("Origin", origin)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	s.must(err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	s.must(err)
	return res.StatusCode, string(body)
}

func TestPagesShowAndAct(t *testing.T) {
	for _, prefix := range []string{"", "/ghes"} {
		t.Run("under "+prefix, func(t *testing.T) {
			s := start(t, hub.Options{PathPrefix: prefix})
			s.must(s.SetEnvironments(infra, hub.Environment{Name: "acceptance"}))
			number := s.pull("boatlift/web", "1.1.0")
			s.bot("POST", "/repos/"+infra+"/check-runs", map[string]any{
				"name": "boatlift/gate", "head_sha": mustHead(s, "boatlift/web"), "conclusion": "failure",
				"output": map[string]any{"title": "soaking", "summary": "| a |\n| - |\n| **b** |"},
			}).want(201)
			if home := s.page("/", 200); !strings.Contains(home, prefix+"/"+infra) {
				t.Errorf("the home page lacks the repository: %s", home)
			}
			if repo := s.page("/"+infra, 200); !strings.Contains(repo, "Promote 1.1.0") || !strings.Contains(repo, "shop/kustomization.yaml") {
				t.Errorf("the repository's page is %s", repo)
			}
			path := fmt.Sprintf("/%s/pull/%d", infra, number)
			shown := s.page(path, 200)
			for _, want := range []string{"as asked", "&#43;  newTag: 1.1.0", "soaking", "<strong>b</strong>", "can be merged", "<option>alice</option>"} {
				if !strings.Contains(strings.ReplaceAll(shown, "+  newTag", "&#43;  newTag"), want) {
					t.Errorf("the pull request's page lacks %q", want)
				}
			}
			csrf := regexp.MustCompile(`name="csrf" value="([0-9a-f]+)"`).FindStringSubmatch(shown)[1]
			form := func(do, person, body string) url.Values {
				return url.Values{"csrf": {csrf}, "do": {do}, "person": {person}, "body": {body}, "sha": {mustHead(s, "boatlift/web")}}
			}
			press := func(do, person, body string, want int) string {
				t.Helper()
				status, answer := s.press(path, form(do, person, body), "")
				if status != want {
					t.Fatalf("%s by %s = %d; want %d: %s", do, person, status, want, answer)
				}
				return answer
			}
			press("request_changes", "bob", "not yet", 303)
			press("comment", "rita", "I watch", 303)
			press("approve", "bob", "", 303)
			press("close", "bob", "", 303)
			press("reopen", "alice", "", 303)
			if refused := press("merge", "rita", "", 422); !strings.Contains(refused, "rita may not write") {
				t.Errorf("the refusal does not say why: %s", refused)
			}
			press("merge", "alice", "", 303)
			s.of("deployment_status")
			after := s.page(path, 200)
			for _, want := range []string{"merged", "approved by <strong>bob</strong>", "I watch", "reopened this"} {
				if !strings.Contains(after, want) {
					t.Errorf("after all that the page lacks %q", want)
				}
			}
			deployments, err := s.Deployments(infra)
			s.must(err)
			if log := s.page(fmt.Sprintf("/%s/rollouts/%d", infra, deployments[0].ID), 200); !strings.Contains(log, "kubectl apply") {
				t.Errorf("the rollout's page is %s", log)
			}
			s.page("/"+infra+"/commit/"+mustHead(s, "main"), 200)
			s.page("/"+infra+"/blob/main/shop/kustomization.yaml", 200)
			s.page("/sandbox-style.css", 200)
			s.page("/acme/absent", 404)
			s.page("/"+infra+"/pull/99", 404)

			wrong := form("close", "alice", "")
			wrong.Set("csrf", "guessed")
			if status, _ := s.press(path, wrong, ""); status != 403 {
				t.Errorf("a form without the token = %d; want 403", status)
			}
			if status, _ := s.press(path, form("close", "alice", ""), "https://evil.example"); status != 403 {
				t.Errorf("another site's form = %d; want 403", status)
			}
		})
	}
}

func TestPagesEscapeEverything(t *testing.T) {
	s := start(t, hub.Options{})
	evil := `"><script>alert(1)</script><img src=x onerror=alert(1)>`
	_, err := s.Push(t.Context(), infra, hub.Commit{Person: "alice", Branch: "x", Message: evil, Files: map[string][]byte{"<script>.txt": []byte(evil + "\n")}})
	s.must(err)
	number, err := s.OpenPull(t.Context(), infra, hub.NewPull{Person: "alice", Title: evil, Body: evil, Head: "x"})
	s.must(err)
	s.must(s.Comment(infra, number, "bob", evil))
	s.must(s.Review(infra, number, "bob", hub.RequestChanges, evil))
	s.must(s.SetStatus(t.Context(), infra, "bob", hub.Status{SHA: mustHead(s, "x"), Context: evil, State: "success", Description: evil}))
	s.bot("POST", "/repos/"+infra+"/check-runs", map[string]any{
		"name": evil, "head_sha": mustHead(s, "x"), "conclusion": "success", "details_url": "javascript:alert(1)",
		"output": map[string]any{"title": evil, "summary": evil},
	}).want(201)
	s.bot("POST", fmt.Sprintf("/repos/%s/issues/%d/labels", infra, number), []string{evil}).want(200)
	for _, path := range []string{"/", "/" + infra, fmt.Sprintf("/%s/pull/%d", infra, number), "/" + infra + "/commit/" + mustHead(s, "x"), "/" + infra + "/blob/x/%3Cscript%3E.txt"} {
		got := s.call("GET", s.URL()+path, "", nil).want(200)
		for _, bad := range []string{"<script", "<img", `href="javascript`} {
			if strings.Contains(string(got.raw), bad) {
				t.Errorf("%s lets %s through", path, bad)
			}
		}
		if policy := got.header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") {
			t.Errorf("%s has the policy %q", path, policy)
		}
	}
}

func TestScriptsAPI(t *testing.T) {
	s := start(t, hub.Options{})
	s.must(s.SetEnvironments(infra, hub.Environment{Name: "acceptance"}))
	post := func(path string, body any) answer { return s.call("POST", s.URL()+"/sandbox"+path, "", body) }
	repo := "/repos/" + infra
	post(repo+"/push", map[string]any{"person": "alice", "branch": "x", "files": map[string]any{"shop/kustomization.yaml": kustomization("1.1.0"), "README.md": nil}}).want(200, `"sha"`)
	number := post(repo+"/pulls", map[string]any{"person": "alice", "title": "t", "head": "x"}).want(200).str("number")
	pull := repo + "/pulls/" + number
	post(pull+"/review", map[string]any{"person": "alice", "kind": "approve"}).want(422, "your own pull request")
	post(pull+"/review", map[string]any{"person": "bob", "kind": "approve"}).want(200)
	post(pull+"/comment", map[string]any{"person": "rita", "body": "hm"}).want(200)
	post(pull+"/close", map[string]any{"person": "rita"}).want(403)
	post(pull+"/close", map[string]any{"person": "bob"}).want(200)
	post(pull+"/reopen", map[string]any{"person": "bob"}).want(200)
	post(repo+"/rollouts/fail", map[string]any{"environment": "acceptance"}).want(200)
	post(pull+"/merge", map[string]any{"person": "bob", "method": "squash"}).want(200, `"sha"`)
	post(pull+"/merge", map[string]any{"person": "bob"}).want(405)
	post(pull+"/dance", map[string]any{}).want(404)
	post("/repos/acme/absent/pulls/1/merge", map[string]any{"person": "bob"}).want(404)
	if got := lastState(s); got != "failure" {
		t.Errorf("the rollout ended as %s; want failure, as told", got)
	}
	post(repo+"/statuses", map[string]any{"person": "bob", "sha": mustHead(s, "main"), "context": "smoke", "state": "success"}).want(200)
	s.call("GET", s.URL()+"/sandbox"+repo+"/pulls", "", nil).want(200, `"Merged":true`)
	s.call("GET", s.URL()+"/sandbox/deliveries", "", nil).want(200, `"pull_request"`)
	s.call("PUT", s.URL()+"/sandbox/faults", "", map[string]any{"errorEvery": 1, "errorStatus": 503}).want(200)
	s.bot("GET", "/repos/"+infra, nil).want(503)
	s.call("PUT", s.URL()+"/sandbox/faults", "", map[string]any{"unknown": 1}).want(400)
	s.call("PUT", s.URL()+"/sandbox/faults", "", map[string]any{}).want(200)
	post("/installations/acme/suspend", nil).want(200)
	s.bot("GET", "/repos/"+infra, nil).want(403)
	post("/installations/acme/unsuspend", nil).want(200)
	post(repo+"/rename", map[string]any{"name": "other"}).want(200)
	s.bot("GET", "/repos/acme/other", nil).want(200)
}
