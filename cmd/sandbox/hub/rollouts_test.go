package hub_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/boatlift/boatlift/cmd/sandbox/hub"
)

func TestMergeRollsOut(t *testing.T) {
	s := start(t, hub.Options{})
	s.must(s.SetEnvironments(infra, hub.Environment{Name: "acceptance"}, hub.Environment{Name: "elsewhere", Path: "billing"}))
	number := s.pull("boatlift/web", "1.1.0")
	s.bot("PUT", fmt.Sprintf("%s/%d/merge", pulls, number), nil).want(200)
	states := s.of("deployment_status")
	if len(states) != 2 || states[0].str("deployment_status.state") != "in_progress" || states[1].str("deployment_status.state") != "success" {
		t.Fatalf("statuses: %v", states)
	}
	if states[1].str("deployment.environment") != "acceptance" || states[1].str("deployment.sha") != mustHead(s, "main") {
		t.Errorf("deployed %v", states[1].body["deployment"])
	}
	list := s.bot("GET", "/repos/"+infra+"/deployments?environment=acceptance", nil).want(200)
	if list.count() != 1 {
		t.Fatalf("deployments: %s", list.raw)
	}
	statuses := s.bot("GET", "/repos/"+infra+"/deployments/"+list.str("0.id")+"/statuses", nil).want(200)
	if statuses.str("0.state") != "success" || !strings.Contains(statuses.str("0.log_url"), "/rollouts/") {
		t.Errorf("statuses: %s", statuses.raw)
	}
	log, err := s.RolloutLog(infra, int64(list.int("0.id")))
	if err != nil || !strings.Contains(log, "kubectl apply --server-side -k shop") {
		t.Errorf("log = %q, %v", log, err)
	}
}

func TestRolloutsFailAndHang(t *testing.T) {
	s := start(t, hub.Options{})
	s.must(s.SetEnvironments(infra, hub.Environment{Name: "production"}))
	s.must(s.FailNextRollout(infra, "production"))
	s.push("alice", "main", "1.1.0")
	if got := lastState(s); got != "failure" {
		t.Errorf("state = %s; want failure", got)
	}
	_, err := s.Push(t.Context(), infra, hub.Commit{Person: "alice", Files: map[string][]byte{"shop/kustomization.yaml": []byte("resources: [absent.yaml]\n")}})
	s.must(err)
	if got := lastState(s); got != "failure" {
		t.Errorf("a kustomization that does not build: %s; want failure", got)
	}
	s.must(s.HangRollouts(infra, "production"))
	s.push("alice", "main", "1.2.0")
	s.push("alice", "main", "1.2.1") // waits, and gives its place to the next
	newest := s.push("alice", "main", "1.2.2")
	s.must(s.ReleaseRollouts(infra, "production"))
	if got := lastState(s); got != "success" {
		t.Errorf("state = %s; want success", got)
	}
	all, err := s.Deployments(infra)
	s.must(err)
	if len(all) != 4 || all[3].SHA != newest {
		t.Errorf("deployments: %+v; want four, the last of %s", all, newest)
	}
}

func lastState(s *sandbox) string {
	s.t.Helper()
	s.of("push")
	all, err := s.Deployments(infra)
	s.must(err)
	if len(all) == 0 {
		return "none"
	}
	return all[len(all)-1].State
}

func TestOwnPipeline(t *testing.T) {
	var got hub.Rollout
	s := start(t, hub.Options{Pipeline: func(ctx context.Context, r hub.Rollout) (string, error) {
		got = r
		content, err := r.Tree.ReadFile(ctx, "shop/kustomization.yaml")
		return string(content), err
	}})
	s.must(s.SetEnvironments(infra, hub.Environment{Name: "acceptance", Path: "/shop/"}))
	sha := s.push("alice", "main", "1.1.0")
	if state := lastState(s); state != "success" || got.SHA != sha || got.Path != "shop" || got.Environment != "acceptance" || got.Repo != infra {
		t.Errorf("%s: %+v", state, got)
	}
	_, err := s.Push(t.Context(), infra, hub.Commit{Person: "alice", Files: map[string][]byte{"README.md": []byte("x")}})
	s.must(err)
	s.of("push")
	if all, _ := s.Deployments(infra); len(all) != 1 {
		t.Errorf("a change outside the path deployed: %d deployments", len(all))
	}
}

func TestChecksAndStatuses(t *testing.T) {
	s := start(t, hub.Options{Excess: []string{"statuses"}})
	sha := mustHead(s, "main")
	path := "/repos/" + infra + "/check-runs"
	made := s.bot("POST", path, map[string]any{"name": "boatlift/gate", "head_sha": sha, "status": "in_progress", "external_id": "r1"}).want(201)
	one := path + "/" + made.str("id")
	s.bot("PATCH", one, map[string]any{"conclusion": "success", "output": map[string]any{"title": "may go", "summary": "**yes**"}}).want(200, `"status":"completed"`)
	s.bot("PATCH", one, map[string]any{"status": "in_progress"}).want(200, `"conclusion":null`)
	s.bot("POST", path, map[string]any{"name": "boatlift/gate", "head_sha": sha, "conclusion": "failure"}).want(201)
	list := "/repos/" + infra + "/commits/" + sha + "/check-runs"
	for query, want := range map[string]int{
		"": 1, "?filter=all": 2, "?check_name=boatlift%2Fgate": 1, "?check_name=other": 0, fmt.Sprintf("?app_id=%d&filter=all", s.AppID()): 2, "?app_id=7": 0, "?status=completed": 1,
	} {
		if got := s.bot("GET", list+query, nil).want(200).int("total_count"); got != want {
			t.Errorf("check-runs%s: %d; want %d", query, got, want)
		}
	}
	s.bot("GET", "/repos/"+infra+"/commits/main/check-runs", nil).want(200, `"conclusion":"failure"`)
	for name, body := range map[string]map[string]any{
		"no name":          {"head_sha": sha},
		"no commit":        {"name": "x", "head_sha": strings.Repeat("3", 40)},
		"no output title":  {"name": "x", "head_sha": sha, "output": map[string]any{"summary": "s"}},
		"too long":         {"name": "x", "head_sha": sha, "output": map[string]any{"title": "t", "summary": strings.Repeat("x", 65536)}},
		"odd conclusion":   {"name": "x", "head_sha": sha, "conclusion": "maybe"},
		"completed barely": {"name": "x", "head_sha": sha, "status": "completed"},
	} {
		if got := s.bot("POST", path, body); got.status != 422 {
			t.Errorf("%s: %d %s; want 422", name, got.status, got.raw)
		}
	}
	s.as("alice", "POST", path, map[string]any{"name": "x", "head_sha": sha}).want(403, "GitHub App")
	s.bot("PATCH", path+"/1", map[string]any{"conclusion": "success"}).want(404)

	status := "/repos/" + infra + "/statuses/" + sha
	combined := func() string {
		return s.bot("GET", "/repos/"+infra+"/commits/"+sha+"/status", nil).want(200).str("state")
	}
	for _, c := range []struct{ context, state, want string }{
		{"smoke", "pending", "pending"}, {"smoke", "success", "success"}, {"lint", "failure", "failure"}, {"lint", "success", "success"},
	} {
		s.bot("POST", status, map[string]any{"context": c.context, "state": c.state}).want(201)
		if got := combined(); got != c.want {
			t.Errorf("after %s %s the combined status is %s; want %s", c.context, c.state, got, c.want)
		}
	}
	s.bot("POST", status, map[string]any{"state": "odd"}).want(422)
	if got := s.bot("GET", "/repos/"+infra+"/commits/"+sha+"/statuses", nil).want(200).count(); got != 4 {
		t.Errorf("%d statuses; want 4", got)
	}
	if h := s.of("status"); len(h) != 4 || h[3].str("sha") != sha || h[3].str("branches.0.name") != "main" {
		t.Errorf("status webhooks: %d", len(h))
	}
}

func TestDeploymentsByAPI(t *testing.T) {
	s := start(t, hub.Options{Excess: []string{"deployments"}})
	path := "/repos/" + infra + "/deployments"
	deploy := func(environment string) string {
		t.Helper()
		id := s.bot("POST", path, map[string]any{"ref": "main", "environment": environment, "auto_merge": false, "required_contexts": []string{}}).want(201).str("id")
		s.bot("POST", path+"/"+id+"/statuses", map[string]any{"state": "success"}).want(201)
		return id
	}
	state := func(id string) string { return s.bot("GET", path+"/"+id+"/statuses", nil).want(200).str("0.state") }
	old, oldProduction := deploy("acceptance"), deploy("production")
	deploy("acceptance")
	deploy("production")
	if state(old) != "inactive" || state(oldProduction) != "success" {
		t.Errorf("older deployments are %s and %s; want inactive, and success in production", state(old), state(oldProduction))
	}
	if got := s.bot("GET", path+"?environment=production&per_page=1", nil).want(200); got.count() != 1 || got.str("0.sha") != mustHead(s, "main") {
		t.Errorf("deployments: %s", got.raw)
	}
	s.bot("POST", path, map[string]any{"ref": "absent"}).want(422)
	s.bot("POST", path+"/"+old+"/statuses", map[string]any{"state": "odd"}).want(422)
	s.bot("GET", path+"/1/statuses", nil).want(404)
}
