package hub

import (
	"fmt"
	"strings"
	"time"
)

// gitLabTime is how GitLab's API writes a moment; nil: none.
func gitLabTime(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

func (f *gitLabFace) web(format string, args ...any) string {
	return f.h.base + fmt.Sprintf(format, args...)
}

// user is an account as most answers carry it; nil: nobody.
func (f *gitLabFace) user(a *account) any {
	if a == nil {
		return nil
	}
	return obj{
		"id": a.id, "username": a.login, "name": a.login, "state": "active", "avatar_url": nil, "web_url": f.web("/%s", a.login),
	}
}

// oneUser is an account that was asked for.
func (f *gitLabFace) oneUser(a *account) obj {
	body, _ := f.user(a).(obj)
	body["bot"], body["created_at"], body["bio"], body["location"], body["public_email"] = a.kind == kindBot, gitLabTime(time.Unix(0, 0)), "", "", nil
	body["website_url"], body["organization"], body["job_title"], body["linkedin"], body["twitter"] = "", "", "", "", ""
	return body
}

func gitLabAccess(p Permission) int {
	return map[Permission]int{Read: 20, Write: 30, Admin: 40}[p]
}

func (f *gitLabFace) member(r *repo, a *account) obj {
	body, _ := f.user(a).(obj)
	body["access_level"], body["created_at"], body["expires_at"] = gitLabAccess(f.h.permissionLocked(r, a)), gitLabTime(r.createdAt), nil
	return body
}

func (f *gitLabFace) namespace(a *account) obj {
	return obj{
		"id": a.id, "name": a.login, "path": a.login, "kind": "group", "full_path": a.login, "parent_id": nil, "avatar_url": nil, "web_url": f.web("/groups/%s", a.login),
	}
}

func (f *gitLabFace) group(a *account) obj {
	return obj{
		"id": a.id, "name": a.login, "path": a.login, "description": "", "visibility": "private", "full_name": a.login, "full_path": a.login,
		"parent_id": nil, "avatar_url": nil, "web_url": f.web("/groups/%s", a.login), "created_at": gitLabTime(time.Unix(0, 0)),
		"require_two_factor_authentication": false, "share_with_group_lock": false, "request_access_enabled": true, "lfs_enabled": true,
	}
}

// project is a repository as lists and questions after it carry it, for the account that asks.
func (f *gitLabFace) project(r *repo, by *account) obj {
	method, squash := "merge", "never"
	switch {
	case r.allows("merge") && r.allows("squash"):
		squash = "default_off"
	case r.allows("merge"):
	case r.allows("squash"):
		method, squash = "ff", "always"
	default:
		method = "ff"
	}
	var access any
	if level := gitLabAccess(f.h.permissionLocked(r, by)); level > 0 {
		access = obj{"access_level": level, "notification_level": 3}
	}
	pipelines := r.protection != nil && len(r.protection.Checks) > 0 && f.h.opts.GitLab != Ultimate
	web := f.web("/%s", r.fullName())
	body := obj{
		"id": r.id, "description": nil, "name": r.name, "name_with_namespace": r.owner.login + " / " + r.name, "path": r.name,
		"path_with_namespace": r.fullName(), "created_at": gitLabTime(r.createdAt), "updated_at": gitLabTime(r.pushedAt), "last_activity_at": gitLabTime(r.pushedAt),
		"default_branch": r.defaultBranch, "topics": []any{}, "tag_list": []any{}, "ssh_url_to_repo": "git@localhost:" + r.fullName() + ".git",
		"http_url_to_repo": web + ".git", "web_url": web, "readme_url": web + "/-/blob/" + r.defaultBranch + "/README.md", "avatar_url": nil,
		"forks_count": 0, "star_count": 0, "namespace": f.namespace(r.owner), "visibility": visibility(r.private), "archived": r.archived, "empty_repo": false,
		"creator_id": r.owner.id, "import_status": "none", "jobs_enabled": true, "merge_requests_enabled": true, "issues_enabled": true,
		"merge_requests_access_level": "enabled", "repository_access_level": "enabled", "builds_access_level": "enabled",
		"merge_method": method, "squash_option": squash, "only_allow_merge_if_pipeline_succeeds": pipelines, "allow_merge_on_skipped_pipeline": false,
		"only_allow_merge_if_all_discussions_are_resolved": false, "remove_source_branch_after_merge": r.deleteOnMerge, "can_create_merge_request_in": true,
		"request_access_enabled": true, "lfs_enabled": true, "permissions": obj{"project_access": access, "group_access": nil},
		"_links": obj{"self": f.h.APIURL() + "/projects/" + itoa(r.id), "merge_requests": f.h.APIURL() + "/projects/" + itoa(r.id) + "/merge_requests"},
	}
	if f.h.opts.GitLab != Free {
		if f.h.opts.GitLab == Ultimate {
			body["only_allow_merge_if_all_status_checks_passed"] = r.protection != nil && len(r.protection.Checks) > 0
		}
		body["approvals_before_merge"], body["mirror"], body["merge_trains_enabled"], body["merge_pipelines_enabled"] = 0, false, false, false
	}
	return body
}

// mergeRequest is a merge request as lists carry it.
func (f *gitLabFace) mergeRequest(p *pull) obj {
	r, status := p.repo, f.h.mergeStatusLocked(p)
	labels := []any{}
	for _, label := range p.labels {
		labels = append(labels, label)
	}
	reviewers := []any{}
	for _, a := range p.asked() {
		reviewers = append(reviewers, f.user(a))
	}
	body := obj{
		"id": p.id, "iid": p.number, "project_id": r.id, "source_project_id": r.id, "target_project_id": r.id,
		"title": p.title, "description": p.body, "state": gitLabState(p), "created_at": gitLabTime(p.createdAt), "updated_at": gitLabTime(p.updatedAt),
		"merged_by": f.user(p.mergedBy), "merged_at": gitLabTime(p.mergedAt), "closed_by": f.user(p.closedBy), "closed_at": gitLabTime(p.closedAt),
		"target_branch": p.base, "source_branch": p.head, "upvotes": 0, "downvotes": 0, "user_notes_count": len(p.comments),
		"author": f.user(p.author), "assignees": []any{}, "assignee": nil, "reviewers": reviewers, "labels": labels,
		"draft": p.draft, "work_in_progress": p.draft, "milestone": nil, "merge_when_pipeline_succeeds": false,
		"merge_status": status.plain, "detailed_merge_status": status.detailed, "has_conflicts": status.conflict,
		"sha": p.headSHA, "merge_commit_sha": nil, "squash_commit_sha": orNull(p.squashed), "discussion_locked": nil,
		"should_remove_source_branch": nil, "force_remove_source_branch": r.deleteOnMerge, "reference": "!" + itoa(int64(p.number)),
		"references": obj{"short": "!" + itoa(int64(p.number)), "relative": "!" + itoa(int64(p.number)), "full": fmt.Sprintf("%s!%d", r.fullName(), p.number)},
		"web_url":    f.web("/%s/-/merge_requests/%d", r.fullName(), p.number), "squash": false,
		"time_stats":                    obj{"time_estimate": 0, "total_time_spent": 0, "human_time_estimate": nil, "human_total_time_spent": nil},
		"task_completion_status":        obj{"count": 0, "completed_count": 0},
		"blocking_discussions_resolved": true,
	}
	if p.merged { // a merge is no closing here
		body["closed_by"], body["closed_at"] = nil, nil
		if p.mergeCommit != p.squashed && p.mergeCommit != p.headSHA {
			body["merge_commit_sha"] = p.mergeCommit
		}
	}
	return body
}

// singleMergeRequest is a merge request that was asked for. What GitLab finds out later is not there while it is fresh.
func (f *gitLabFace) singleMergeRequest(p *pull, by *account, from string, fresh bool) obj {
	body := f.mergeRequest(p)
	body["subscribed"], body["merge_error"], body["first_contribution"] = false, nil, false
	body["user"] = obj{"can_merge": f.h.mayMergeLocked(p, by)}
	body["diff_refs"], body["changes_count"], body["pipeline"], body["head_pipeline"] = nil, nil, nil, nil
	if fresh {
		return body
	}
	if n := len(p.versions); n > 0 {
		body["diff_refs"] = obj{"base_sha": from, "head_sha": p.headSHA, "start_sha": p.versions[n-1].base}
	}
	if p.stats != nil {
		body["changes_count"] = itoa(int64(p.stats.files))
	}
	if line := f.h.headPipelineLocked(p); line != nil {
		body["head_pipeline"], body["pipeline"] = f.onePipeline(p.repo, line), f.pipeline(p.repo, line)
	}
	return body
}

func gitLabState(p *pull) string {
	switch {
	case p.merged:
		return "merged"
	case p.state == pullOpen:
		return "opened"
	}
	return "closed"
}

// isDraft tells whether a title makes a draft.
func isDraft(title string) bool {
	for _, prefix := range []string{"draft:", "[draft]", "(draft)"} {
		if len(title) >= len(prefix) && strings.EqualFold(title[:len(prefix)], prefix) {
			return true
		}
	}
	return false
}

func (f *gitLabFace) commit(r *repo, c *commitInfo) obj {
	title, _, _ := strings.Cut(c.Message, "\n")
	parents := []any{}
	for _, parent := range c.Parents {
		parents = append(parents, parent)
	}
	return obj{
		"id": c.SHA, "short_id": c.SHA[:8], "created_at": gitLabTime(c.Committer.When), "parent_ids": parents, "title": title, "message": c.Message,
		"author_name": c.Author.Name, "author_email": c.Author.Email, "authored_date": gitLabTime(c.Author.When),
		"committer_name": c.Committer.Name, "committer_email": c.Committer.Email, "committed_date": gitLabTime(c.Committer.When),
		"trailers": obj{}, "extended_trailers": obj{}, "web_url": f.web("/%s/-/commit/%s", r.fullName(), c.SHA),
	}
}

func (f *gitLabFace) label(id int64, name string) obj {
	return obj{
		"id": id, "name": name, "color": "#6699cc", "text_color": "#FFFFFF", "description": nil, "subscribed": false, "priority": nil, "is_project_label": true,
		"open_issues_count": 0, "closed_issues_count": 0, "open_merge_requests_count": 0,
	}
}
