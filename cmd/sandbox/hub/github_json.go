package hub

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
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
	api := f.api("/users/%s", a.login)
	return obj{
		"login": a.login, "id": a.id, "node_id": nodeID(a.kind, a.id), "avatar_url": f.avatar(a), "gravatar_id": "",
		"url": api, "html_url": f.web("/%s", a.login), "type": a.kind, "site_admin": false,
		"events_url": api + "/events{/privacy}", "followers_url": api + "/followers", "following_url": api + "/following{/other_user}",
		"gists_url": api + "/gists{/gist_id}", "organizations_url": api + "/orgs", "received_events_url": api + "/received_events",
		"repos_url": api + "/repos", "starred_url": api + "/starred{/owner}{/repo}", "subscriptions_url": api + "/subscriptions",
	}
}

// avatar is where a picture of the account would be; the sandbox has none.
func (f *githubFace) avatar(a *account) string { return f.web("/avatars/%d", a.id) }

func (f *githubFace) app() obj {
	h := f.h
	return obj{
		"id": h.opts.AppID, "slug": h.opts.AppSlug, "node_id": nodeID("Integration", h.opts.AppID), "name": h.opts.AppSlug,
		"owner": f.account(h.bot), "description": "", "external_url": h.base, "html_url": f.web("/apps/%s", h.opts.AppSlug),
		"created_at": when(time.Unix(0, 0)), "updated_at": when(time.Unix(0, 0)), "permissions": f.h.appPermissions(), "events": appEvents(),
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
		"target_id": inst.account.id, "target_type": inst.account.kind, "permissions": f.h.appPermissions(), "events": appEvents(),
		"access_tokens_url": f.api("/app/installations/%d/access_tokens", inst.id), "repositories_url": f.api("/installation/repositories"),
		"html_url": f.web("/organizations/%s/settings/installations/%d", inst.account.login, inst.id), "single_file_name": nil,
		"created_at": when(inst.createdAt), "updated_at": when(inst.updatedAt), "suspended_at": nil, "suspended_by": nil,
	}
	if inst.suspended {
		body["suspended_at"], body["suspended_by"] = when(inst.updatedAt), f.account(inst.account)
	}
	return body
}

// branchRef is an end of a pull request; inside is the repository, in the shape and form that the body needs.
func (f *githubFace) branchRef(r *repo, branch, sha string, inside any) obj {
	return obj{"label": r.owner.login + ":" + branch, "ref": branch, "sha": sha, "user": f.account(r.owner), "repo": inside}
}

func (f *githubFace) labels(p *pull) []any {
	labels := []any{}
	for _, name := range p.labels {
		labels = append(labels, f.label(p.repo, name))
	}
	return labels
}

func (f *githubFace) label(r *repo, name string) obj {
	return obj{"id": int64(len(name)), "node_id": "", "url": f.api("/repos/%s/labels/%s", r.fullName(), name), "name": name, "color": "ededed", "default": false, "description": ""}
}

func (f *githubFace) team(r *repo, slug string) obj {
	api := f.api("/organizations/%d/team/%s", r.owner.id, slug)
	return obj{
		"id": int64(len(slug)), "node_id": nodeID("Team", int64(len(slug))), "name": slug, "slug": slug, "description": nil, "privacy": "closed",
		"notification_setting": "notifications_enabled", "permission": "push", "url": api, "html_url": f.web("/orgs/%s/teams/%s", r.owner.login, slug),
		"members_url": api + "/members{/member}", "repositories_url": api + "/repos", "parent": nil, "type": "organization", "organization_id": r.owner.id,
	}
}

// pull is a pull request as lists carry it. inside is its repository, written once for all of a list.
func (f *githubFace) pull(p *pull, inside any) obj {
	r := p.repo
	api := f.api("/repos/%s/pulls/%d", r.fullName(), p.number)
	reviewers := []any{}
	for _, a := range p.reviewers {
		reviewers = append(reviewers, f.account(a))
	}
	teams := []any{}
	for _, slug := range p.teams {
		teams = append(teams, f.team(r, slug))
	}
	web, issue, comments := f.web("/%s/pull/%d", r.fullName(), p.number), f.api("/repos/%s/issues/%d", r.fullName(), p.number), api+"/comments"
	statuses := f.api("/repos/%s/statuses/%s", r.fullName(), p.headSHA)
	link := func(to string) obj { return obj{"href": to} }
	return obj{
		"url": api, "id": p.id, "node_id": nodeID("PullRequest", p.id), "html_url": web, "diff_url": web + ".diff", "patch_url": web + ".patch",
		"issue_url": issue, "commits_url": api + "/commits", "review_comments_url": comments, "comments_url": issue + "/comments",
		"review_comment_url": f.api("/repos/%s/pulls/comments{/number}", r.fullName()), "statuses_url": statuses,
		"number": p.number, "state": string(p.state), "locked": false, "title": p.title, "user": f.account(p.author), "body": orNull(p.body),
		"created_at": when(p.createdAt), "updated_at": when(p.updatedAt), "closed_at": when(p.closedAt), "merged_at": when(p.mergedAt),
		"merge_commit_sha": orNull(p.mergeCommit), "assignee": nil, "assignees": []any{}, "requested_reviewers": reviewers, "requested_teams": teams,
		"labels": f.labels(p), "milestone": nil, "draft": p.draft,
		"head": f.branchRef(r, p.head, p.headSHA, inside), "base": f.branchRef(r, p.base, p.baseSHA, inside),
		"author_association": "NONE", "auto_merge": nil, "active_lock_reason": nil,
		"_links": obj{
			"self": link(api), "html": link(web), "issue": link(issue), "comments": link(issue + "/comments"), "review_comments": link(comments),
			"review_comment": link(f.api("/repos/%s/pulls/comments{/number}", r.fullName())), "commits": link(api + "/commits"), "statuses": link(statuses),
		},
	}
}

// written is a body that several others hold: it is put into JSON once.
func written(body obj) json.RawMessage {
	raw, err := json.Marshal(body)
	if err != nil {
		panic(err) // the bodies are made here, of texts, numbers and their like
	}
	return raw
}

// fullPull adds what only a single pull request carries.
func (f *githubFace) fullPull(p *pull, inside any, mergeable *bool, state string) obj {
	body := f.pull(p, inside)
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

// issue is a pull request as the issues API shows it, but for who closed it, which only a single one tells.
func (f *githubFace) issue(p *pull) obj {
	r := p.repo
	api := f.api("/repos/%s/issues/%d", r.fullName(), p.number)
	return obj{
		"url": api, "id": p.id, "node_id": nodeID("Issue", p.id), "number": p.number, "repository_url": f.api("/repos/%s", r.fullName()),
		"labels_url": api + "/labels{/name}", "comments_url": api + "/comments", "events_url": api + "/events",
		"html_url": f.web("/%s/pull/%d", r.fullName(), p.number), "title": p.title, "body": orNull(p.body), "state": string(p.state),
		"user": f.account(p.author), "labels": f.labels(p), "comments": len(p.comments), "locked": false, "assignee": nil, "assignees": []any{}, "milestone": nil,
		"created_at": when(p.createdAt), "updated_at": when(p.updatedAt), "closed_at": when(p.closedAt), "draft": p.draft,
		"author_association": "NONE", "active_lock_reason": nil, "reactions": reactions(api),
		"pull_request": obj{
			"url": f.api("/repos/%s/pulls/%d", r.fullName(), p.number), "html_url": f.web("/%s/pull/%d", r.fullName(), p.number),
			"diff_url": f.web("/%s/pull/%d.diff", r.fullName(), p.number), "patch_url": f.web("/%s/pull/%d.patch", r.fullName(), p.number),
			"merged_at": when(p.mergedAt),
		},
	}
}

// reactions are none: nobody reacts here with a picture.
func reactions(of string) obj {
	return obj{
		"url": of + "/reactions", "total_count": 0, "+1": 0, "-1": 0, "laugh": 0, "hooray": 0, "confused": 0, "heart": 0, "rocket": 0, "eyes": 0,
	}
}

func (f *githubFace) comment(p *pull, c *comment) obj {
	api := f.api("/repos/%s/issues/comments/%d", p.repo.fullName(), c.id)
	return obj{
		"id": c.id, "node_id": nodeID("IssueComment", c.id), "url": api, "issue_url": f.api("/repos/%s/issues/%d", p.repo.fullName(), p.number),
		"html_url": f.web("/%s/pull/%d#comment-%d", p.repo.fullName(), p.number, c.id), "body": c.body, "user": f.account(c.author),
		"created_at": when(c.createdAt), "updated_at": when(c.updatedAt), "author_association": "NONE", "performed_via_github_app": nil,
		"reactions": reactions(api),
	}
}

func (f *githubFace) review(p *pull, rv *review) obj {
	web, pull := f.web("/%s/pull/%d#review-%d", p.repo.fullName(), p.number, rv.id), f.api("/repos/%s/pulls/%d", p.repo.fullName(), p.number)
	return obj{
		"id": rv.id, "node_id": nodeID("PullRequestReview", rv.id), "user": f.account(rv.author), "body": rv.body, "state": string(rv.state),
		"html_url": web, "commit_id": rv.commit, "submitted_at": when(rv.at), "pull_request_url": pull, "author_association": "MEMBER",
		"_links": obj{"html": obj{"href": web}, "pull_request": obj{"href": pull}},
	}
}

func (f *githubFace) check(r *repo, c *checkRun) obj {
	api := f.api("/repos/%s/check-runs/%d", r.fullName(), c.id)
	details := c.detailsURL
	if details == "" {
		details = f.web("/%s/checks/%d", r.fullName(), c.id) // GitHub fills in the app's own page
	}
	return obj{
		"id": c.id, "node_id": nodeID("CheckRun", c.id), "head_sha": c.sha, "external_id": c.externalID, "name": c.name, "status": c.status,
		"conclusion": orNull(c.conclusion), "started_at": when(c.startedAt), "completed_at": when(c.completedAt), "details_url": details,
		"url": api, "html_url": f.web("/%s/checks/%d", r.fullName(), c.id),
		"output": obj{
			"title": orNull(c.title), "summary": orNull(c.summary), "text": orNull(c.text), "annotations_count": 0, "annotations_url": api + "/annotations",
		},
		"check_suite": obj{"id": c.suite}, "app": f.appOf(c.app), "pull_requests": f.checkPulls(r, c.sha),
	}
}

// checkSuite is the suite of a check run as webhooks carry it. Here a suite is what an app says of a commit, so its newest run tells.
func (f *githubFace) checkSuite(r *repo, c *checkRun) obj {
	status := c.status
	if status != "completed" && status != "in_progress" {
		status = "queued"
	}
	conclusion := c.conclusion
	if conclusion == "skipped" {
		conclusion = "neutral" // a suite has no word of its own for it
	}
	var branch any
	for _, name := range slices.Sorted(maps.Keys(r.refs)) {
		if head, ok := strings.CutPrefix(name, "refs/heads/"); ok && r.refs[name] == c.sha {
			branch = head
		}
	}
	return obj{
		"id": c.suite, "node_id": nodeID("CheckSuite", c.suite), "head_branch": branch, "head_sha": c.sha, "status": status,
		"conclusion": orNull(conclusion), "url": f.api("/repos/%s/check-suites/%d", r.fullName(), c.suite), "before": nil, "after": c.sha,
		"pull_requests": f.checkPulls(r, c.sha), "app": f.appOf(c.app), "created_at": when(c.startedAt), "updated_at": when(f.h.stamp()),
	}
}

// checkPulls are the open pull requests whose head is a commit, as checks name them.
func (f *githubFace) checkPulls(r *repo, sha string) []any {
	inside := obj{"id": r.id, "name": r.name, "url": f.api("/repos/%s", r.fullName())}
	pulls := []any{}
	for _, p := range r.pulls {
		if p.state == pullOpen && p.headSHA == sha {
			pulls = append(pulls, obj{
				"id": p.id, "number": p.number, "url": f.api("/repos/%s/pulls/%d", r.fullName(), p.number),
				"head": obj{"ref": p.head, "sha": p.headSHA, "repo": inside}, "base": obj{"ref": p.base, "sha": p.baseSHA, "repo": inside},
			})
		}
	}
	return pulls
}

func (f *githubFace) status(r *repo, s *commitStatus) obj {
	return obj{
		"id": s.id, "node_id": nodeID("StatusContext", s.id), "avatar_url": f.avatar(s.creator), "url": f.api("/repos/%s/statuses/%s", r.fullName(), s.sha), "state": s.state,
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
	api := f.api("/repos/%s/commits/%s", r.fullName(), c.SHA)
	parents := []any{}
	for _, parent := range c.Parents {
		parents = append(parents, obj{
			"sha": parent, "url": f.api("/repos/%s/commits/%s", r.fullName(), parent), "html_url": f.web("/%s/commit/%s", r.fullName(), parent),
		})
	}
	person := func(s signature) obj { return obj{"name": s.Name, "email": s.Email, "date": when(s.When)} }
	return obj{
		"sha": c.SHA, "node_id": nodeID("Commit", int64(len(c.SHA))), "url": api, "comments_url": api + "/comments",
		"html_url": f.web("/%s/commit/%s", r.fullName(), c.SHA), "parents": parents, "author": nil, "committer": nil,
		"commit": obj{
			"author": person(c.Author), "committer": person(c.Committer), "message": trimmed(c.Message), "comment_count": 0,
			"tree": obj{"sha": c.Tree, "url": f.api("/repos/%s/git/trees/%s", r.fullName(), c.Tree)}, "url": f.api("/repos/%s/git/commits/%s", r.fullName(), c.SHA),
			"verification": obj{"verified": false, "reason": "unsigned", "signature": nil, "payload": nil, "verified_at": nil},
		},
	}
}
