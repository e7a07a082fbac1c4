package hub

import (
	"encoding/base64"
	"fmt"
	"maps"
	"time"
)

// The shapes of GitHub's API and webhooks. All of them read the state and so need Hub.mu.

func when(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(time.RFC3339)
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func nodeID(kind string, id int64) string {
	return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%s:%d", kind, id))
}

func (f *githubFace) api(format string, args ...any) string {
	return f.h.APIURL() + fmt.Sprintf(format, args...)
}

func (f *githubFace) web(format string, args ...any) string {
	return f.h.base + fmt.Sprintf(format, args...)
}

func (f *githubFace) account(a *account) any {
	if a == nil {
		return nil
	}
	return obj{
		"login": a.login, "id": a.id, "node_id": nodeID(a.kind, a.id), "avatar_url": "", "gravatar_id": "",
		"url": f.api("/users/%s", a.login), "html_url": f.web("/%s", a.login), "type": a.kind, "site_admin": false,
	}
}

func (f *githubFace) app() obj {
	h := f.h
	return obj{
		"id": h.opts.AppID, "slug": h.opts.AppSlug, "node_id": nodeID("Integration", h.opts.AppID), "name": h.opts.AppSlug,
		"owner": f.account(h.bot), "description": "", "external_url": h.base, "html_url": f.web("/apps/%s", h.opts.AppSlug),
		"created_at": when(time.Unix(0, 0)), "updated_at": when(time.Unix(0, 0)), "permissions": appPermissions(), "events": appEvents(),
		"installations_count": len(h.installations),
	}
}

// appOf is the app that reported a check.
func (f *githubFace) appOf(a checkApp) obj {
	if a.id == f.h.opts.AppID {
		return f.app()
	}
	return obj{
		"id": a.id, "slug": a.slug, "node_id": nodeID("Integration", a.id), "name": a.slug, "owner": f.account(f.h.accountLocked(a.slug, kindOrg)),
		"description": "", "external_url": f.h.base, "html_url": f.web("/apps/%s", a.slug), "created_at": when(time.Unix(0, 0)),
		"updated_at": when(time.Unix(0, 0)), "permissions": map[string]string{"metadata": "read", "checks": "write"}, "events": []string{},
	}
}

func (f *githubFace) installation(inst *installation) obj {
	selection := "selected"
	if inst.all {
		selection = "all"
	}
	body := obj{
		"id": inst.id, "account": f.account(inst.account), "repository_selection": selection, "app_id": f.h.opts.AppID, "app_slug": f.h.opts.AppSlug,
		"target_id": inst.account.id, "target_type": inst.account.kind, "permissions": appPermissions(), "events": appEvents(),
		"access_tokens_url": f.api("/app/installations/%d/access_tokens", inst.id), "repositories_url": f.api("/installation/repositories"),
		"html_url": f.web("/organizations/%s/settings/installations/%d", inst.account.login, inst.id), "single_file_name": nil,
		"created_at": when(inst.createdAt), "updated_at": when(inst.updatedAt), "suspended_at": nil, "suspended_by": nil,
	}
	if inst.suspended {
		body["suspended_at"], body["suspended_by"] = when(inst.updatedAt), f.account(inst.account)
	}
	return body
}

func visibility(private bool) string {
	if private {
		return "private"
	}
	return "public"
}

// repoRef is a repository as installation events name it.
func (f *githubFace) repoRef(r *repo) obj {
	return obj{"id": r.id, "node_id": nodeID("Repository", r.id), "name": r.name, "full_name": r.fullName(), "private": r.private}
}

func (f *githubFace) repo(r *repo) obj {
	body := f.repoRef(r)
	api := f.api("/repos/%s", r.fullName())
	maps.Copy(body, obj{
		"owner": f.account(r.owner), "html_url": f.web("/%s", r.fullName()), "description": nil, "fork": false, "url": api,
		"clone_url": f.web("/%s.git", r.fullName()), "git_url": "git://localhost/" + r.fullName() + ".git",
		"ssh_url": "git@localhost:" + r.fullName() + ".git", "default_branch": r.defaultBranch, "visibility": visibility(r.private),
		"archived": r.archived, "disabled": false, "created_at": when(r.createdAt), "updated_at": when(r.pushedAt), "pushed_at": when(r.pushedAt),
		"allow_merge_commit": r.allows("merge"), "allow_squash_merge": r.allows("squash"), "allow_rebase_merge": r.allows("rebase"),
		"allow_auto_merge": false, "delete_branch_on_merge": r.deleteOnMerge, "has_issues": true, "open_issues_count": 0, "size": 0,
		"pulls_url": api + "/pulls{/number}", "deployments_url": api + "/deployments", "statuses_url": api + "/statuses/{sha}",
	})
	return body
}

func (f *githubFace) branchRef(r *repo, branch, sha string) obj {
	return obj{"label": r.owner.login + ":" + branch, "ref": branch, "sha": sha, "user": f.account(r.owner), "repo": f.repo(r)}
}

func (f *githubFace) labels(p *pull) []any {
	labels := []any{}
	for _, name := range p.labels {
		labels = append(labels, f.label(p.repo, name))
	}
	return labels
}

func (f *githubFace) label(r *repo, name string) obj {
	return obj{"id": int64(len(name)), "node_id": "", "url": f.api("/repos/%s/labels/%s", r.fullName(), name), "name": name, "color": "ededed", "default": false, "description": nil}
}

// pull is a pull request as lists and webhooks carry it.
func (f *githubFace) pull(p *pull) obj {
	r := p.repo
	api := f.api("/repos/%s/pulls/%d", r.fullName(), p.number)
	reviewers := []any{}
	for _, a := range p.reviewers {
		reviewers = append(reviewers, f.account(a))
	}
	return obj{
		"url": api, "id": p.id, "node_id": nodeID("PullRequest", p.id), "html_url": f.web("/%s/pull/%d", r.fullName(), p.number),
		"diff_url": f.web("/%s/pull/%d.diff", r.fullName(), p.number), "issue_url": f.api("/repos/%s/issues/%d", r.fullName(), p.number),
		"number": p.number, "state": string(p.state), "locked": false, "title": p.title, "user": f.account(p.author), "body": orNull(p.body),
		"created_at": when(p.createdAt), "updated_at": when(p.updatedAt), "closed_at": when(p.closedAt), "merged_at": when(p.mergedAt),
		"merge_commit_sha": orNull(p.mergeCommit), "assignee": nil, "assignees": []any{}, "requested_reviewers": reviewers, "requested_teams": []any{},
		"labels": f.labels(p), "milestone": nil, "draft": p.draft, "head": f.branchRef(r, p.head, p.headSHA), "base": f.branchRef(r, p.base, p.baseSHA),
		"statuses_url": f.api("/repos/%s/statuses/%s", r.fullName(), p.headSHA), "comments_url": f.api("/repos/%s/issues/%d/comments", r.fullName(), p.number),
		"author_association": "NONE", "auto_merge": nil, "active_lock_reason": nil,
	}
}

// fullPull adds what only a single pull request carries.
func (f *githubFace) fullPull(p *pull, mergeable *bool, state string) obj {
	body := f.pull(p)
	stats := pullStats{}
	if p.stats != nil {
		stats = *p.stats
	}
	maps.Copy(body, obj{
		"merged": p.merged, "merged_by": f.account(p.mergedBy), "mergeable": mergeable, "rebaseable": mergeable, "mergeable_state": state,
		"comments": len(p.comments), "review_comments": 0, "maintainer_can_modify": false,
		"commits": stats.commits, "additions": stats.additions, "deletions": stats.deletions, "changed_files": stats.files,
	})
	return body
}

// issue is a pull request as the issues API shows it: the only place that tells who closed it.
func (f *githubFace) issue(p *pull) obj {
	r := p.repo
	return obj{
		"url": f.api("/repos/%s/issues/%d", r.fullName(), p.number), "id": p.id, "node_id": nodeID("Issue", p.id), "number": p.number,
		"html_url": f.web("/%s/pull/%d", r.fullName(), p.number), "title": p.title, "body": orNull(p.body), "state": string(p.state),
		"user": f.account(p.author), "labels": f.labels(p), "comments": len(p.comments), "locked": false, "closed_by": f.account(p.closedBy),
		"created_at": when(p.createdAt), "updated_at": when(p.updatedAt), "closed_at": when(p.closedAt), "draft": p.draft,
		"pull_request": obj{
			"url": f.api("/repos/%s/pulls/%d", r.fullName(), p.number), "html_url": f.web("/%s/pull/%d", r.fullName(), p.number), "merged_at": when(p.mergedAt),
		},
	}
}

func (f *githubFace) comment(p *pull, c *comment) obj {
	return obj{
		"id": c.id, "node_id": nodeID("IssueComment", c.id), "url": f.api("/repos/%s/issues/comments/%d", p.repo.fullName(), c.id),
		"html_url": f.web("/%s/pull/%d#comment-%d", p.repo.fullName(), p.number, c.id), "body": c.body, "user": f.account(c.author),
		"created_at": when(c.createdAt), "updated_at": when(c.updatedAt), "author_association": "NONE",
	}
}

func (f *githubFace) review(p *pull, rv *review) obj {
	return obj{
		"id": rv.id, "node_id": nodeID("PullRequestReview", rv.id), "user": f.account(rv.author), "body": rv.body, "state": string(rv.state),
		"html_url": f.web("/%s/pull/%d#review-%d", p.repo.fullName(), p.number, rv.id), "commit_id": rv.commit, "submitted_at": when(rv.at),
		"pull_request_url": f.api("/repos/%s/pulls/%d", p.repo.fullName(), p.number), "author_association": "MEMBER",
	}
}

func (f *githubFace) check(r *repo, c *checkRun) obj {
	pulls := []any{}
	for _, p := range r.pulls {
		if p.state == pullOpen && p.headSHA == c.sha {
			pulls = append(pulls, obj{
				"id": p.id, "number": p.number, "url": f.api("/repos/%s/pulls/%d", r.fullName(), p.number),
				"head": obj{"ref": p.head, "sha": p.headSHA, "repo": obj{"id": r.id, "name": r.name}},
				"base": obj{"ref": p.base, "sha": p.baseSHA, "repo": obj{"id": r.id, "name": r.name}},
			})
		}
	}
	return obj{
		"id": c.id, "node_id": nodeID("CheckRun", c.id), "head_sha": c.sha, "external_id": c.externalID, "name": c.name, "status": c.status,
		"conclusion": orNull(c.conclusion), "started_at": when(c.startedAt), "completed_at": when(c.completedAt), "details_url": orNull(c.detailsURL),
		"url": f.api("/repos/%s/check-runs/%d", r.fullName(), c.id), "html_url": f.web("/%s/checks/%d", r.fullName(), c.id),
		"output": obj{
			"title": orNull(c.title), "summary": orNull(c.summary), "text": orNull(c.text), "annotations_count": 0,
			"annotations_url": f.api("/repos/%s/check-runs/%d/annotations", r.fullName(), c.id),
		},
		"check_suite": obj{"id": c.suite}, "app": f.appOf(c.app), "pull_requests": pulls,
	}
}

func (f *githubFace) status(r *repo, s *commitStatus) obj {
	return obj{
		"id": s.id, "node_id": nodeID("StatusContext", s.id), "url": f.api("/repos/%s/statuses/%s", r.fullName(), s.sha), "state": s.state,
		"description": orNull(s.description), "target_url": orNull(s.targetURL), "context": s.context, "creator": f.account(s.creator),
		"created_at": when(s.at), "updated_at": when(s.at),
	}
}

func (f *githubFace) deployment(r *repo, d *deployment) obj {
	payload := d.payload
	if payload == nil {
		payload = obj{}
	}
	api := f.api("/repos/%s/deployments/%d", r.fullName(), d.id)
	return obj{
		"url": api, "id": d.id, "node_id": nodeID("Deployment", d.id), "task": "deploy", "original_environment": d.environment, "environment": d.environment,
		"description": orNull(d.description), "created_at": when(d.createdAt), "updated_at": when(d.updatedAt), "statuses_url": api + "/statuses",
		"repository_url": f.api("/repos/%s", r.fullName()), "creator": f.account(d.creator), "sha": d.sha, "ref": d.ref, "payload": payload,
		"transient_environment": false, "production_environment": d.production,
	}
}

func (f *githubFace) deploymentStatus(r *repo, d *deployment, s *deploymentStatus) obj {
	api := f.api("/repos/%s/deployments/%d", r.fullName(), d.id)
	return obj{
		"url": fmt.Sprintf("%s/statuses/%d", api, s.id), "id": s.id, "node_id": nodeID("DeploymentStatus", s.id), "state": s.state,
		"creator": f.account(s.creator), "description": s.description, "environment": d.environment, "target_url": s.logURL, "log_url": s.logURL,
		"environment_url": s.envURL, "created_at": when(s.at), "updated_at": when(s.at), "deployment_url": api,
		"repository_url": f.api("/repos/%s", r.fullName()),
	}
}

func (f *githubFace) gitCommit(r *repo, c *commitInfo) obj {
	parents := []any{}
	for _, parent := range c.Parents {
		parents = append(parents, obj{"sha": parent, "url": f.api("/repos/%s/commits/%s", r.fullName(), parent)})
	}
	person := func(s signature) obj { return obj{"name": s.Name, "email": s.Email, "date": when(s.When)} }
	return obj{
		"sha": c.SHA, "node_id": nodeID("Commit", int64(len(c.SHA))), "url": f.api("/repos/%s/commits/%s", r.fullName(), c.SHA),
		"html_url": f.web("/%s/commit/%s", r.fullName(), c.SHA), "parents": parents, "author": nil, "committer": nil,
		"commit": obj{
			"author": person(c.Author), "committer": person(c.Committer), "message": trimmed(c.Message), "tree": obj{"sha": c.Tree},
			"comment_count": 0, "verification": obj{"verified": false, "reason": "unsigned", "signature": nil, "payload": nil},
		},
	}
}
