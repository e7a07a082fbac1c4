package hub

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// outsidePipeline is what GitLab makes to show statuses of a commit that no pipeline of its own ran for.
type outsidePipeline struct {
	id       int64
	sha, ref string
	by       *account
	at       time.Time
}

// pipelineLine is one pipeline as GitLab lists it: one that ran, or one that is made of statuses.
type pipelineLine struct {
	id, iid              int64
	sha, ref, name       string // name is what the pipeline's file calls it; empty where it has no names
	source, state        string
	by                   *account
	createdAt, updatedAt time.Time
	finishedAt           time.Time
	jobs                 []pipelineJob
}

type pipelineJob struct {
	id          int64
	name, state string
	url         string
	by          *account
	at          time.Time
}

// gitLabStatus is the state of a status or a run in GitLab's words.
func gitLabStatus(state string) string {
	switch state {
	case "failure", "error", "timed_out":
		return "failed"
	case "cancelled":
		return "canceled"
	case "requested":
		return "pending"
	case "in_progress":
		return "running"
	}
	return state
}

// reportJobLocked shows a job of somebody's pipeline on a commit.
func (h *Hub) reportJobLocked(r *repo, by *account, check Check, commit *commitInfo) {
	state := cmp.Or(check.Conclusion, check.Status)
	allowed := state == "neutral"
	if allowed {
		state = "failure"
	}
	if state == "in_progress" {
		state = "running"
	}
	sha := commit.SHA
	s := &commitStatus{id: h.idLocked(), sha: sha, context: check.Name, state: state, targetURL: check.DetailsURL, creator: by, at: h.stamp(), allowed: allowed}
	r.statuses[sha] = append(r.statuses[sha], s)
	h.placeLocked(r, s)
	h.emitLocked(event{kind: statusEvent, repo: r, actor: by, status: s, commits: []*commitInfo{commit}})
}

// placeLocked gives a status its branch and its pipeline: the newest that ran for the commit on that branch, else one of its own.
func (h *Hub) placeLocked(r *repo, s *commitStatus) {
	if s.ref == "" {
		s.ref = r.branchOfLocked(s.sha)
	}
	for _, run := range slices.Backward(r.runs) {
		if run.head.SHA == s.sha && run.branch == s.ref {
			s.pipeline = run.id
			return
		}
	}
	for _, outside := range r.outside {
		if outside.sha == s.sha && outside.ref == s.ref {
			s.pipeline = outside.id
			return
		}
	}
	outside := &outsidePipeline{id: h.idLocked(), sha: s.sha, ref: s.ref, by: s.creator, at: h.stamp()}
	r.outside = append(r.outside, outside)
	s.pipeline = outside.id
}

// branchOfLocked is a branch whose head is the commit, else that of a merge request, else the default branch.
func (r *repo) branchOfLocked(sha string) string {
	for _, name := range sortedKeys(r.refs) {
		if branch, ok := strings.CutPrefix(name, "refs/heads/"); ok && r.refs[name] == sha {
			return branch
		}
	}
	for _, p := range r.pulls {
		if p.headSHA == sha {
			return p.head
		}
	}
	return r.defaultBranch
}

// pipelinesLocked lists all pipelines, oldest first.
func (h *Hub) pipelinesLocked(r *repo) []*pipelineLine {
	var lines []*pipelineLine
	for _, run := range r.runs {
		line := &pipelineLine{
			id: run.id, sha: run.head.SHA, ref: run.branch, name: run.workflow.file, source: "push", state: gitLabStatus(cmp.Or(run.conclusion, run.status)), by: run.actor,
			createdAt: run.createdAt, updatedAt: run.updatedAt,
		}
		line.jobs = []pipelineJob{{id: run.suite, name: strings.TrimSuffix(run.workflow.file, ".yml"), state: line.state, by: run.actor, at: run.startedAt}}
		lines = append(lines, line)
	}
	for _, outside := range r.outside {
		lines = append(lines, &pipelineLine{
			id: outside.id, sha: outside.sha, ref: outside.ref, source: "external", by: outside.by, createdAt: outside.at, updatedAt: outside.at,
		})
	}
	slices.SortFunc(lines, func(a, b *pipelineLine) int { return cmp.Compare(a.id, b.id) })
	for i, line := range lines {
		line.iid = int64(i + 1)
		for _, s := range latestStatuses(r.statuses[line.sha]) {
			if s.pipeline != line.id {
				continue
			}
			state := gitLabStatus(s.state)
			if s.allowed {
				state = "success" // of the whole
			}
			line.jobs = append(line.jobs, pipelineJob{id: s.id, name: s.context, state: state, url: s.targetURL, by: s.creator, at: s.at})
			if s.at.After(line.updatedAt) {
				line.updatedAt = s.at
			}
		}
		line.state = together(line.jobs)
		if line.state != "pending" && line.state != "running" {
			line.finishedAt = line.updatedAt
		}
	}
	return lines
}

// together is the state of a pipeline by those of its jobs.
func together(jobs []pipelineJob) string {
	state := "skipped"
	order := []string{"skipped", "success", "canceled", "failed", "pending", "running"}
	for _, job := range jobs {
		if slices.Index(order, job.state) > slices.Index(order, state) {
			state = job.state
		}
	}
	return state
}

// headPipelineLocked is the newest pipeline for a merge request's head; nil: there is none.
func (h *Hub) headPipelineLocked(p *pull) *pipelineLine {
	var newest *pipelineLine
	for _, line := range h.pipelinesLocked(p.repo) {
		if line.sha == p.headSHA {
			newest = line
		}
	}
	return newest
}

func (f *gitLabFace) pipelineRoutes() {
	f.add("GET /projects/{id}/pipelines", "read", func(c *call) (int, any, error) {
		c.h.mu.Lock()
		defer c.h.mu.Unlock()
		query := c.r.URL.Query()
		is := func(name, value string) bool { return query.Get(name) == "" || query.Get(name) == value }
		lines := c.h.pipelinesLocked(c.repo)
		if query.Get("sort") != "asc" {
			slices.Reverse(lines)
		}
		items := []any{}
		for _, line := range lines {
			if is("sha", line.sha) && is("ref", line.ref) && is("status", line.state) && is("source", line.source) && is("name", line.name) {
				items = append(items, f.pipeline(c.repo, line))
			}
		}
		return http.StatusOK, listing{items: items}, nil
	})
	f.add("GET /projects/{id}/pipelines/{pipeline}", "read", about((*call).lineLocked, func(c *call, line *pipelineLine) (int, any, error) {
		return http.StatusOK, f.onePipeline(c.repo, line), nil
	}))
	f.add("GET /projects/{id}/pipelines/{pipeline}/jobs", "read", about((*call).lineLocked, func(c *call, line *pipelineLine) (int, any, error) {
		items := []any{}
		for _, job := range line.jobs {
			items = append(items, f.job(c.repo, line, job))
		}
		return http.StatusOK, listing{items: items}, nil
	}))
	f.add("GET /projects/{id}/merge_requests/{number}/pipelines", "read", about((*call).mergeRequestLocked, func(c *call, p *pull) (int, any, error) {
		items := []any{}
		for _, line := range slices.Backward(c.h.pipelinesLocked(c.repo)) {
			if line.sha == p.headSHA {
				items = append(items, f.pipeline(c.repo, line))
			}
		}
		return http.StatusOK, listing{items: items}, nil
	}))
	f.add("GET /projects/{id}/repository/commits/{sha}/statuses", "read", f.listStatuses)
	f.add("POST /projects/{id}/statuses/{sha}", "develop", f.setStatus)
}

func (c *call) lineLocked() (*pipelineLine, error) {
	id, err := c.number("pipeline")
	lines := c.h.pipelinesLocked(c.repo)
	i := slices.IndexFunc(lines, func(line *pipelineLine) bool { return line.id == id })
	if err != nil || i < 0 {
		return nil, says(http.StatusNotFound, "404 Not found")
	}
	return lines[i], nil
}

func (f *gitLabFace) pipeline(r *repo, line *pipelineLine) obj {
	return obj{
		"id": line.id, "iid": line.iid, "project_id": r.id, "sha": line.sha, "ref": line.ref, "status": line.state, "source": line.source,
		"created_at": gitLabTime(line.createdAt), "updated_at": gitLabTime(line.updatedAt), "web_url": f.web("/%s/-/pipelines/%d", r.fullName(), line.id),
	}
}

func (f *gitLabFace) onePipeline(r *repo, line *pipelineLine) obj {
	body := f.pipeline(r, line)
	body["name"], body["before_sha"], body["tag"], body["yaml_errors"], body["user"] = orNull(line.name), noObject, false, nil, f.user(line.by)
	body["started_at"], body["finished_at"], body["committed_at"] = gitLabTime(line.createdAt), gitLabTime(line.finishedAt), nil
	body["duration"], body["queued_duration"], body["coverage"] = 0, 0, nil
	body["detailed_status"] = obj{
		"icon": "status_" + line.state, "text": line.state, "label": line.state, "group": line.state, "tooltip": line.state, "has_details": true,
		"details_path": fmt.Sprintf("/%s/-/pipelines/%d", r.fullName(), line.id), "illustration": nil, "favicon": "/favicon.png",
	}
	return body
}

func (f *gitLabFace) job(r *repo, line *pipelineLine, job pipelineJob) obj {
	return obj{
		"id": job.id, "name": job.name, "stage": "deploy", "status": job.state, "ref": line.ref, "tag": false, "coverage": nil, "allow_failure": false,
		"created_at": gitLabTime(job.at), "started_at": gitLabTime(job.at), "finished_at": nil, "erased_at": nil, "duration": nil, "queued_duration": nil,
		"user": f.user(job.by), "web_url": f.web("/%s/-/jobs/%d", r.fullName(), job.id), "tag_list": []any{}, "artifacts": []any{}, "runner": nil,
		"artifacts_expire_at": nil, "pipeline": obj{"id": line.id, "project_id": r.id, "sha": line.sha, "ref": line.ref, "status": line.state},
	}
}

// listStatuses lists the newest of each name, jobs of pipelines among them, as GitLab keeps both in one place.
func (f *gitLabFace) listStatuses(c *call) (int, any, error) {
	info, err := c.commit()
	if err != nil {
		return 0, nil, err
	}
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	query := c.r.URL.Query()
	statuses := latestStatuses(c.repo.statuses[info.SHA])
	if yes(query.Get("all")) {
		statuses = slices.Clone(c.repo.statuses[info.SHA])
	}
	var items []any
	for _, s := range statuses {
		if query.Get("name") == "" || query.Get("name") == s.context {
			items = append(items, f.status(c.repo, s))
		}
	}
	for _, line := range c.h.pipelinesLocked(c.repo) {
		if line.sha != info.SHA || line.source != "push" {
			continue
		}
		job := line.jobs[0]
		if query.Get("name") == "" || query.Get("name") == job.name {
			items = append(items, obj{
				"id": job.id, "sha": line.sha, "ref": line.ref, "status": job.state, "name": job.name, "target_url": f.web("/%s/-/jobs/%d", c.repo.fullName(), job.id),
				"description": nil, "created_at": gitLabTime(job.at), "started_at": gitLabTime(job.at), "finished_at": nil, "allow_failure": false, "coverage": nil,
				"pipeline_id": line.id, "author": f.user(job.by),
			})
		}
	}
	slices.SortStableFunc(items, func(a, b any) int { return cmp.Compare(a.(obj)["id"].(int64), b.(obj)["id"].(int64)) })
	return http.StatusOK, listing{items: items}, nil
}

func (f *gitLabFace) status(r *repo, s *commitStatus) obj {
	var finished any
	if s.state != "pending" && s.state != "running" {
		finished = gitLabTime(s.at)
	}
	return obj{
		"id": s.id, "sha": s.sha, "ref": s.ref, "status": gitLabStatus(s.state), "name": s.context, "target_url": orNull(s.targetURL),
		"description": orNull(s.description), "created_at": gitLabTime(s.at), "started_at": nil, "finished_at": finished, "allow_failure": s.allowed, "coverage": nil,
		"pipeline_id": s.pipeline, "author": f.user(s.creator),
	}
}

// maxStatusText is how much GitLab takes as a status' description.
const maxStatusText = 255

// setStatus reports a status. One of the caller's that has not finished is changed, and cannot go to where it is; else it is a new one.
func (f *gitLabFace) setStatus(c *call) (int, any, error) {
	in := struct {
		State       string `json:"state"`
		Ref         string `json:"ref"`
		Name        string `json:"name"`
		Context     string `json:"context"`
		TargetURL   string `json:"target_url"`
		Description string `json:"description"`
	}{}
	if err := c.read(&in); err != nil {
		return 0, nil, err
	}
	words := map[string]string{"pending": "pending", "running": "running", "success": "success", "failed": "failure", "canceled": "error", "skipped": "skipped"}
	if words[in.State] == "" {
		return 0, nil, &answer{http.StatusBadRequest, obj{"error": "state does not have a valid value"}}
	}
	if len([]rune(in.Description)) > maxStatusText {
		return 0, nil, says(http.StatusBadRequest, obj{"description": []string{fmt.Sprintf("is too long (maximum is %d characters)", maxStatusText)}})
	}
	if !fullSHA(c.r.PathValue("sha")) {
		return 0, nil, absent("Commit")
	}
	info, err := c.commit()
	if err != nil {
		return 0, nil, err
	}
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	name := cmp.Or(in.Name, in.Context, "default")
	for _, s := range latestStatuses(c.repo.statuses[info.SHA]) {
		if s.context != name || s.creator != c.by || s.state != "pending" && s.state != "running" {
			continue
		}
		if s.state == words[in.State] {
			event := map[string]string{"pending": "enqueue", "running": "run"}[in.State]
			return 0, nil, says(http.StatusBadRequest, fmt.Sprintf(
				"Cannot transition status via :%s from :%s (Reason(s): Status cannot transition via %q)", event, in.State, event))
		}
		s.state, s.at = words[in.State], c.h.stamp()
		s.description, s.targetURL = cmp.Or(in.Description, s.description), cmp.Or(in.TargetURL, s.targetURL)
		c.h.emitLocked(event{kind: statusEvent, repo: c.repo, actor: c.by, status: s, commits: []*commitInfo{info}})
		return http.StatusCreated, f.status(c.repo, s), nil
	}
	s, err := c.h.statusLocked(c.repo, c.by, Status{SHA: info.SHA, Context: name, State: words[in.State], Description: in.Description, TargetURL: in.TargetURL}, info)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusCreated, f.status(c.repo, s), nil
}
