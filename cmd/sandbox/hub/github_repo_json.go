package hub

import "maps"

// The shapes of a repository. GitHub has several: lists of what happened carry a minimal one, webhooks one of their own.

// repoPaths are the addresses of a repository's parts below the repository's own, as templates.
var repoPaths = map[string]string{
	"archive_url": "/{archive_format}{/ref}", "assignees_url": "/assignees{/user}", "blobs_url": "/git/blobs{/sha}",
	"branches_url": "/branches{/branch}", "collaborators_url": "/collaborators{/collaborator}", "comments_url": "/comments{/number}",
	"commits_url": "/commits{/sha}", "compare_url": "/compare/{base}...{head}", "contents_url": "/contents/{+path}",
	"contributors_url": "/contributors", "deployments_url": "/deployments", "downloads_url": "/downloads", "events_url": "/events",
	"forks_url": "/forks", "git_commits_url": "/git/commits{/sha}", "git_refs_url": "/git/refs{/sha}", "git_tags_url": "/git/tags{/sha}",
	"hooks_url": "/hooks", "issue_comment_url": "/issues/comments{/number}", "issue_events_url": "/issues/events{/number}",
	"issues_url": "/issues{/number}", "keys_url": "/keys{/key_id}", "labels_url": "/labels{/name}", "languages_url": "/languages",
	"merges_url": "/merges", "milestones_url": "/milestones{/number}", "notifications_url": "/notifications{?since,all,participating}",
	"pulls_url": "/pulls{/number}", "releases_url": "/releases{/id}", "stargazers_url": "/stargazers", "statuses_url": "/statuses/{sha}",
	"subscribers_url": "/subscribers", "subscription_url": "/subscription", "tags_url": "/tags", "teams_url": "/teams", "trees_url": "/git/trees{/sha}",
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

// minimalRepo is a repository as runs of workflows and the combined status of a commit carry it.
func (f *githubFace) minimalRepo(r *repo) obj {
	body := f.repoRef(r)
	api := f.api("/repos/%s", r.fullName())
	maps.Copy(body, obj{
		"owner": f.account(r.owner), "html_url": f.web("/%s", r.fullName()), "description": nil, "fork": false, "url": api,
	})
	for name, path := range repoPaths {
		body[name] = api + path
	}
	return body
}

// repo is a repository as lists and pull requests carry it.
func (f *githubFace) repo(r *repo) obj {
	body := f.minimalRepo(r)
	open := 0
	for _, p := range r.pulls {
		if p.state == pullOpen {
			open++
		}
	}
	maps.Copy(body, obj{
		"clone_url": f.web("/%s.git", r.fullName()), "git_url": "git://localhost/" + r.fullName() + ".git",
		"ssh_url": "git@localhost:" + r.fullName() + ".git", "svn_url": f.web("/%s", r.fullName()), "mirror_url": nil, "homepage": nil, "language": nil, "license": nil,
		"default_branch": r.defaultBranch, "visibility": visibility(r.private), "archived": r.archived, "disabled": false,
		"created_at": when(r.createdAt), "updated_at": when(r.pushedAt), "pushed_at": when(r.pushedAt),
		"allow_merge_commit": r.allows("merge"), "allow_squash_merge": r.allows("squash"), "allow_rebase_merge": r.allows("rebase"),
		"allow_auto_merge": false, "allow_forking": true, "delete_branch_on_merge": r.deleteOnMerge, "web_commit_signoff_required": false,
		"has_issues": true, "has_projects": false, "has_downloads": false, "has_wiki": false, "has_pages": false, "has_discussions": false,
		"forks": 0, "forks_count": 0, "open_issues": open, "open_issues_count": open, "size": 0, "stargazers_count": 0, "watchers": 0, "watchers_count": 0,
		"is_template": false, "topics": []any{},
	})
	return body
}

// fullRepo is a repository that was asked for.
func (f *githubFace) fullRepo(r *repo) obj {
	body := f.repo(r)
	maps.Copy(body, obj{"network_count": 0, "subscribers_count": 0, "custom_properties": obj{}})
	return body
}

// permitted adds to a repository what the caller's account may do in it.
func (c *call) permitted(r *repo, body obj) obj {
	rank := c.h.permissionLocked(r, c.by).rank()
	body["permissions"] = obj{
		"admin": rank >= Admin.rank(), "maintain": rank >= Admin.rank(), "push": rank >= Write.rank(), "triage": rank >= Write.rank(),
		"pull": rank >= Read.rank() || !r.private,
	}
	return body
}

// hookRepo is a repository as webhooks carry it.
func (f *githubFace) hookRepo(r *repo) obj {
	body := f.repo(r)
	body["custom_properties"] = obj{}
	return body
}

// organization is an account as webhooks name the organization that they are about.
func (f *githubFace) organization(a *account) obj {
	api := f.api("/orgs/%s", a.login)
	return obj{
		"login": a.login, "id": a.id, "node_id": nodeID(a.kind, a.id), "url": api, "repos_url": api + "/repos", "events_url": api + "/events",
		"hooks_url": api + "/hooks", "issues_url": api + "/issues", "members_url": api + "/members{/member}",
		"public_members_url": api + "/public_members{/member}", "avatar_url": f.avatar(a), "description": nil,
	}
}
