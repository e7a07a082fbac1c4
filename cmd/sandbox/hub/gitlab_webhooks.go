package hub

import (
	"strings"
	"time"
)

// webhook turns an event into GitLab's name and body for it. What a group's webhook does not tell of has no name.
func (f *gitLabFace) webhook(ev event) (string, obj) {
	switch ev.kind {
	case pushEvent:
		return f.pushHook(ev)
	case pullEvent:
		return f.requestHook(ev, ev.action)
	case reviewEvent:
		return f.reviewHook(ev)
	case commentEvent:
		return f.noteHook(ev.repo, ev.pull, ev.actor, gitLabNote{id: ev.comment.id, by: ev.actor, body: ev.comment.body, at: ev.comment.createdAt})
	case statusEvent:
		return f.pipelineHook(ev.repo, ev.status.pipeline, ev.actor, ev.commits[0])
	case workflowRunEvent:
		return f.pipelineHook(ev.repo, ev.run.id, ev.actor, ev.run.head)
	case deploymentStatusEvent:
		return f.deploymentHook(ev)
	}
	return "", nil
}

// hookTime is how webhooks write a moment.
func hookTime(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

func (f *gitLabFace) hookUser(a *account) obj {
	return obj{"id": a.id, "name": a.login, "username": a.login, "avatar_url": nil, "email": "[REDACTED]"}
}

func (f *gitLabFace) hookProject(r *repo) obj {
	web, level := f.web("/%s", r.fullName()), 20
	if r.private {
		level = 0
	}
	ssh := "git@localhost:" + r.fullName() + ".git"
	return obj{
		"id": r.id, "name": r.name, "description": nil, "web_url": web, "avatar_url": nil, "git_ssh_url": ssh, "git_http_url": web + ".git",
		"namespace": r.owner.login, "visibility_level": level, "path_with_namespace": r.fullName(), "default_branch": r.defaultBranch, "ci_config_path": nil,
		"homepage": web, "url": ssh, "ssh_url": ssh, "http_url": web + ".git",
	}
}

// hookSide is a project as one side of a merge request.
func (f *gitLabFace) hookSide(r *repo) obj {
	body := f.hookProject(r)
	delete(body, "id")
	return body
}

func (f *gitLabFace) hookRepository(r *repo) obj {
	web := f.web("/%s", r.fullName())
	return obj{"name": r.name, "url": "git@localhost:" + r.fullName() + ".git", "description": nil, "homepage": web}
}

func (f *gitLabFace) hookCommit(r *repo, c *commitInfo) obj {
	title, _, _ := strings.Cut(c.Message, "\n")
	return obj{
		"id": c.SHA, "message": c.Message, "title": title, "timestamp": c.Committer.When.Format(time.RFC3339),
		"url": f.web("/%s/-/commit/%s", r.fullName(), c.SHA), "author": obj{"name": c.Author.Name, "email": "[REDACTED]"},
	}
}

func (f *gitLabFace) pushHook(ev event) (string, obj) {
	c, r := ev.ref, ev.repo
	name, kind := "Push Hook", "push"
	if strings.HasPrefix(c.Name, "refs/tags/") {
		name, kind = "Tag Push Hook", "tag_push"
	}
	var checkout any
	if c.After != noObject {
		checkout = c.After
	}
	commits := []any{}
	for _, info := range ev.commits[max(0, len(ev.commits)-maxPushCommits):] {
		commit := f.hookCommit(r, info)
		commit["added"], commit["modified"], commit["removed"] = texts(info.Added), texts(info.Modified), texts(info.Removed)
		commits = append(commits, commit)
	}
	repository := f.hookRepository(r)
	project := f.hookProject(r)
	repository["git_http_url"], repository["git_ssh_url"], repository["visibility_level"] = project["git_http_url"], project["git_ssh_url"], project["visibility_level"]
	return name, obj{
		"object_kind": kind, "event_name": kind, "before": c.Before, "after": c.After, "ref": c.Name, "ref_protected": r.protection != nil && c.Name == "refs/heads/"+r.defaultBranch,
		"checkout_sha": checkout, "message": nil, "user_id": ev.actor.id, "user_name": ev.actor.login, "user_username": ev.actor.login, "user_email": nil,
		"user_avatar": nil, "project_id": r.id, "project": project, "commits": commits, "total_commits_count": len(ev.commits), "push_options": obj{},
		"repository": repository,
	}
}

func texts(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// requestHook tells of a merge request. What happened to it is the action; most of it is an update.
func (f *gitLabFace) requestHook(ev event, what string) (string, obj) {
	p, r := ev.pull, ev.repo
	changes := obj{}
	action := map[string]string{
		"opened": "open", "closed": "close", "reopened": "reopen", "synchronize": "update", "edited": "update", "labeled": "update", "review_requested": "update",
		"approved": "approved", "unapproved": "unapproved",
	}[what]
	if action == "" {
		return "", nil
	}
	if what == "closed" && p.merged {
		action = "merge"
	}
	status := f.h.mergeStatusLocked(p)
	attributes := obj{
		"id": p.id, "iid": p.number, "target_branch": p.base, "source_branch": p.head, "source_project_id": r.id, "target_project_id": r.id,
		"author_id": p.author.id, "assignee_id": nil, "assignee_ids": []any{}, "reviewer_ids": []any{}, "title": p.title, "description": p.body,
		"created_at": hookTime(p.createdAt), "updated_at": hookTime(p.updatedAt), "last_edited_at": nil, "last_edited_by_id": nil, "milestone_id": nil,
		"state": gitLabState(p), "state_id": map[string]int{"opened": 1, "closed": 2, "merged": 3}[gitLabState(p)], "draft": p.draft, "work_in_progress": p.draft,
		"merge_status": status.plain, "detailed_merge_status": status.detailed, "blocking_discussions_resolved": true, "first_contribution": false,
		"merge_commit_sha": nil, "merge_error": nil, "merge_params": obj{}, "merge_user_id": nil, "merge_when_pipeline_succeeds": false, "head_pipeline_id": nil,
		"url": f.web("/%s/-/merge_requests/%d", r.fullName(), p.number), "source": f.hookSide(r), "target": f.hookSide(r), "labels": f.hookLabels(p),
		"last_commit":      obj{"id": p.headSHA, "message": "", "title": "", "timestamp": nil, "url": f.web("/%s/-/commit/%s", r.fullName(), p.headSHA), "author": obj{"name": "", "email": ""}},
		"total_time_spent": 0, "time_change": 0, "time_estimate": 0, "human_total_time_spent": nil, "human_time_change": nil, "human_time_estimate": nil,
		"action": action,
	}
	if p.merged {
		attributes["merge_commit_sha"], attributes["merge_user_id"] = orNull(p.mergeCommit), p.mergedBy.id
	}
	reviewers, ids := []any{}, []any{}
	for _, a := range p.asked() {
		reviewers, ids = append(reviewers, f.hookUser(a)), append(ids, a.id)
	}
	attributes["reviewer_ids"] = ids
	switch what {
	case "synchronize":
		attributes["oldrev"] = ev.before
	case "edited":
		for name, change := range ev.changes {
			from, _ := change.(map[string]any)
			switch name {
			case "title":
				changes["title"] = obj{"previous": from["from"], "current": p.title}
			case "body":
				changes["description"] = obj{"previous": from["from"], "current": p.body}
			case "draft":
				changes["draft"] = obj{"previous": from["from"], "current": p.draft}
			}
		}
	case "labeled":
		changes["labels"] = obj{"previous": []any{}, "current": f.hookLabels(p)}
	case "review_requested":
		changes["reviewers"] = obj{"previous": []any{}, "current": reviewers}
	}
	return "Merge Request Hook", obj{
		"object_kind": "merge_request", "event_type": "merge_request", "user": f.hookUser(ev.actor), "project": f.hookProject(r), "repository": f.hookRepository(r),
		"object_attributes": attributes, "labels": f.hookLabels(p), "changes": changes, "assignees": []any{}, "reviewers": reviewers,
	}
}

func (f *gitLabFace) hookLabels(p *pull) []any {
	labels := []any{}
	for i, name := range p.labels {
		labels = append(labels, obj{
			"id": i + 1, "title": name, "color": "#6699cc", "project_id": p.repo.id, "created_at": hookTime(p.createdAt), "updated_at": hookTime(p.createdAt),
			"template": false, "description": nil, "type": "ProjectLabel", "group_id": nil,
		})
	}
	return labels
}

// reviewHook tells of approvals as such; of demands and remarks it tells by the note that they come with.
func (f *gitLabFace) reviewHook(ev event) (string, obj) {
	switch {
	case ev.action == "dismissed":
		return f.requestHook(ev, "unapproved")
	case ev.review.state == reviewApproved:
		return f.requestHook(ev, "approved")
	}
	return f.noteHook(ev.repo, ev.pull, ev.actor, gitLabNote{id: ev.review.id, by: ev.actor, body: ev.review.body, at: ev.review.at})
}

func (f *gitLabFace) noteHook(r *repo, p *pull, by *account, n gitLabNote) (string, obj) {
	_, request := f.requestHook(event{repo: r, pull: p, actor: by}, "edited")
	attributes, _ := request["object_attributes"].(obj)
	about := obj{}
	for _, name := range []string{
		"id", "iid", "target_branch", "source_branch", "source_project_id", "target_project_id", "author_id", "assignee_id", "title", "description", "created_at",
		"updated_at", "milestone_id", "state", "merge_status", "detailed_merge_status", "labels", "source", "target", "last_commit", "work_in_progress",
	} {
		about[name] = attributes[name]
	}
	return "Note Hook", obj{
		"object_kind": "note", "event_type": "note", "user": f.hookUser(by), "project_id": r.id, "project": f.hookProject(r), "repository": f.hookRepository(r),
		"merge_request": about,
		"object_attributes": obj{
			"id": n.id, "note": n.body, "noteable_type": "MergeRequest", "author_id": by.id, "created_at": hookTime(n.at), "updated_at": hookTime(n.at),
			"project_id": r.id, "attachment": nil, "line_code": nil, "commit_id": "", "noteable_id": p.id, "system": n.system, "st_diff": nil, "action": "create",
			"url": f.web("/%s/-/merge_requests/%d#note_%d", r.fullName(), p.number, n.id),
		},
	}
}

func (f *gitLabFace) pipelineHook(r *repo, id int64, by *account, commit *commitInfo) (string, obj) {
	for _, line := range f.h.pipelinesLocked(r) {
		if line.id != id {
			continue
		}
		builds := []any{}
		for _, job := range line.jobs {
			builds = append(builds, obj{
				"id": job.id, "stage": "deploy", "name": job.name, "status": job.state, "created_at": hookTime(job.at), "started_at": hookTime(job.at),
				"finished_at": nil, "duration": nil, "queued_duration": nil, "failure_reason": nil, "when": "on_success", "manual": false, "allow_failure": false,
				"user": f.hookUser(job.by), "runner": nil, "artifacts_file": obj{"filename": nil, "size": nil}, "environment": nil,
			})
		}
		var request any
		for _, p := range r.pulls {
			if p.state == pullOpen && p.headSHA == line.sha {
				status := f.h.mergeStatusLocked(p)
				request = obj{
					"id": p.id, "iid": p.number, "title": p.title, "source_branch": p.head, "source_project_id": r.id, "target_branch": p.base,
					"target_project_id": r.id, "state": gitLabState(p), "merge_status": status.plain, "detailed_merge_status": status.detailed,
					"url": f.web("/%s/-/merge_requests/%d", r.fullName(), p.number),
				}
			}
		}
		return "Pipeline Hook", obj{
			"object_kind": "pipeline", "user": f.hookUser(by), "project": f.hookProject(r), "commit": f.hookCommit(r, commit), "merge_request": request, "builds": builds,
			"object_attributes": obj{
				"id": line.id, "iid": line.iid, "name": nil, "ref": line.ref, "tag": false, "sha": line.sha, "before_sha": noObject, "source": line.source,
				"status": line.state, "detailed_status": line.state, "stages": []any{"deploy"}, "created_at": hookTime(line.createdAt),
				"finished_at": hookTime(line.finishedAt), "duration": nil, "queued_duration": nil, "variables": []any{},
				"url": f.web("/%s/-/pipelines/%d", r.fullName(), line.id),
			},
		}
	}
	return "", nil
}

func (f *gitLabFace) deploymentHook(ev event) (string, obj) {
	d, r := ev.deployment, ev.repo
	env := f.environment(r, d.environment)
	return "Deployment Hook", obj{
		"object_kind": "deployment", "status": gitLabDeployState(d), "status_changed_at": d.updatedAt.Format("2006-01-02 15:04:05 -0700"),
		"deployment_id": d.id, "deployable_id": nil, "deployable_url": nil, "environment": d.environment, "environment_slug": env["slug"],
		"environment_tier": env["tier"], "environment_external_url": nil, "project": f.hookProject(r), "short_sha": d.sha[:min(8, len(d.sha))],
		"user": f.hookUser(ev.actor), "user_url": f.web("/%s", ev.actor.login), "commit_url": f.web("/%s/-/commit/%s", r.fullName(), d.sha),
		"commit_title": "", "ref": d.ref,
	}
}
