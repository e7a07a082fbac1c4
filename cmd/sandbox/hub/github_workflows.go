package hub

import (
	"net/http"
	"path"
	"slices"
)

func (f *githubFace) workflowRoutes() {
	f.add("GET /repos/{owner}/{repo}/actions/workflows/{workflow}/runs", "actions:read", f.listRuns)
	f.add("GET /repos/{owner}/{repo}/actions/runs/{id}", "actions:read", func(c *call) (int, any, error) {
		id, err := c.number("id")
		if err != nil {
			return 0, nil, err
		}
		c.h.mu.Lock()
		defer c.h.mu.Unlock()
		run := c.repo.run(id)
		if run == nil {
			return 0, nil, missing()
		}
		return http.StatusOK, f.workflowRun(c.repo, run), nil
	})
}

// listRuns lists the runs of a workflow, named by its file or its id. All runs are begun by pushes here.
func (f *githubFace) listRuns(c *call) (int, any, error) {
	query := c.r.URL.Query()
	named := c.r.PathValue("workflow")
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	known := false
	var items []any
	for _, w := range c.repo.workflows {
		known = known || w.file == named || itoa(w.id) == named
	}
	if !known {
		return 0, nil, missing()
	}
	for _, run := range slices.Backward(c.repo.runs) {
		switch {
		case run.workflow.file != named && itoa(run.workflow.id) != named:
		case query.Get("branch") != "" && run.branch != query.Get("branch"):
		case query.Get("event") != "" && query.Get("event") != "push":
		case query.Get("head_sha") != "" && run.head.SHA != query.Get("head_sha"):
		case query.Get("status") != "" && run.status != query.Get("status") && run.conclusion != query.Get("status"):
		default:
			items = append(items, f.workflowRun(c.repo, run))
		}
	}
	return http.StatusOK, listing{key: "workflow_runs", items: items}, nil
}

func workflowPath(w *workflow) string { return path.Join(".github/workflows", w.file) }

func (f *githubFace) workflow(r *repo, w *workflow) obj {
	return obj{
		"id": w.id, "node_id": nodeID("Workflow", w.id), "name": w.file, "path": workflowPath(w), "state": "active",
		"created_at": when(w.createdAt), "updated_at": when(w.createdAt), "url": f.api("/repos/%s/actions/workflows/%d", r.fullName(), w.id),
		"html_url":  f.web("/%s/blob/%s/%s", r.fullName(), r.defaultBranch, workflowPath(w)),
		"badge_url": f.web("/%s/workflows/%s/badge.svg", r.fullName(), w.file),
	}
}

func (f *githubFace) workflowRun(r *repo, run *workflowRun) obj {
	api := f.api("/repos/%s/actions/runs/%d", r.fullName(), run.id)
	person := func(s signature) obj { return obj{"name": s.Name, "email": s.Email} }
	head := run.head
	return obj{
		"id": run.id, "node_id": nodeID("WorkflowRun", run.id), "name": run.workflow.file, "head_branch": run.branch, "head_sha": run.head.SHA,
		"path": workflowPath(run.workflow), "display_title": run.workflow.file, "run_number": run.number, "run_attempt": run.attempt, "event": "push",
		"status": run.status, "conclusion": orNull(run.conclusion), "workflow_id": run.workflow.id, "check_suite_id": run.suite,
		"check_suite_node_id": nodeID("CheckSuite", run.suite), "url": api, "html_url": f.web("/%s/actions/runs/%d", r.fullName(), run.id),
		"pull_requests": []any{}, "created_at": when(run.createdAt), "updated_at": when(run.updatedAt), "run_started_at": when(run.startedAt),
		"actor": f.account(run.actor), "triggering_actor": f.account(run.actor), "referenced_workflows": []any{}, "previous_attempt_url": nil,
		"jobs_url": api + "/jobs", "logs_url": api + "/logs", "artifacts_url": api + "/artifacts", "cancel_url": api + "/cancel", "rerun_url": api + "/rerun",
		"check_suite_url": f.api("/repos/%s/check-suites/%d", r.fullName(), run.suite),
		"workflow_url":    f.api("/repos/%s/actions/workflows/%d", r.fullName(), run.workflow.id),
		"head_commit": obj{
			"id": head.SHA, "tree_id": head.Tree, "message": trimmed(head.Message), "timestamp": when(head.Committer.When),
			"author": person(head.Author), "committer": person(head.Committer),
		},
		"repository": f.minimalRepo(r), "head_repository": f.minimalRepo(r),
	}
}
