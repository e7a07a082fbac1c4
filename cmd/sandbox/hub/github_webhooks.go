package hub

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// webhookHeader is what GitHub sends with a delivery.
func (f *githubFace) webhookHeader(d *delivery, secret string) http.Header {
	header := http.Header{}
	header.Set("Content-Type", "application/json")
	header.Set("User-Agent", "GitHub-Hookshot/sandbox")
	header.Set("X-GitHub-Event", d.event)
	header.Set("X-GitHub-Delivery", d.guid)
	header.Set("X-GitHub-Hook-ID", itoa(f.h.opts.AppID))
	header.Set("X-GitHub-Hook-Installation-Target-ID", itoa(f.h.opts.AppID))
	header.Set("X-GitHub-Hook-Installation-Target-Type", "integration")
	if f.h.opts.Organization {
		header.Set("X-GitHub-Hook-Installation-Target-ID", "1")
		header.Set("X-GitHub-Hook-Installation-Target-Type", "organization")
	}
	if secret != "" {
		header.Set("X-Hub-Signature-256", sign(secret, d.body))
	}
	return header
}

// webhook turns an event into GitHub's name and body for it.
func (f *githubFace) webhook(ev event) (string, obj) {
	body := obj{"sender": f.account(ev.actor)}
	if ev.action != "" {
		body["action"] = ev.action
	}
	if ev.repo != nil {
		body["repository"] = f.hookRepo(ev.repo)
		if ev.repo.owner.kind == kindOrg {
			body["organization"] = f.organization(ev.repo.owner)
		}
	}
	if ev.repo != nil && ev.installation != nil {
		body["installation"] = obj{"id": ev.installation.id, "node_id": nodeID("Integration", ev.installation.id)}
	}
	if ev.pull != nil {
		body["number"] = ev.pull.number
		body["pull_request"] = hookTeams(f.pull(ev.pull, f.hookRepo(ev.repo)))
	}
	switch ev.kind {
	case pushEvent:
		f.pushBody(ev, body)
	case pullEvent:
		body["pull_request"] = hookTeams(f.fullPull(ev.pull, f.hookRepo(ev.repo), nil, mergeUnknown))
		if ev.action == "synchronize" {
			body["before"], body["after"] = ev.before, ev.pull.headSHA
		}
		if ev.action == "edited" {
			body["changes"] = ev.changes
		}
		if ev.label != "" {
			body["label"] = f.label(ev.repo, ev.label)
		}
		if ev.reviewer != nil {
			body["requested_reviewer"] = f.account(ev.reviewer)
		}
		if ev.action == "dequeued" {
			body["reason"] = ev.reason
		}
		if ev.team != "" {
			body["requested_team"] = hookTeam(f.team(ev.repo, ev.team))
		}
	case mergeGroupEvent:
		e := ev.group
		body["merge_group"] = obj{
			"head_sha": e.group, "head_ref": e.ref(), "base_sha": e.base, "base_ref": "refs/heads/" + e.pull.base,
			"head_commit": obj{
				"id": e.group, "tree_id": e.group, "message": e.pull.title, "timestamp": when(e.at),
				"author": obj{"name": e.by.login, "email": e.by.email()}, "committer": obj{"name": "GitHub", "email": "noreply@localhost"},
			},
		}
		if ev.reason != "" {
			body["reason"] = ev.reason
		}
	case reviewEvent:
		delete(body, "number")
		review := f.review(ev.pull, ev.review)
		review["state"] = strings.ToLower(string(ev.review.state)) // lower case here, upper case in the API
		body["review"] = review
	case checkRunEvent:
		check := f.check(ev.repo, ev.check)
		check["check_suite"] = f.checkSuite(ev.repo, ev.check)
		body["check_run"] = check
	case statusEvent:
		f.statusBody(ev, body)
	case deploymentEvent:
		body["deployment"] = f.deployment(ev.repo, ev.deployment)
		body["workflow"], body["workflow_run"] = nil, nil
	case deploymentStatusEvent:
		body["deployment"] = f.deployment(ev.repo, ev.deployment)
		body["deployment_status"] = f.deploymentStatus(ev.repo, ev.deployment, ev.deployed)
		if ev.deployed.logURL == "" {
			status, _ := body["deployment_status"].(obj)
			delete(status, "log_url") // empty in the API, left out here
		}
	case workflowRunEvent:
		body["workflow_run"], body["workflow"] = f.workflowRun(ev.repo, ev.run), f.workflow(ev.repo, ev.run.workflow)
	case memberEvent:
		body["member"] = f.account(ev.member)
	case commentEvent:
		delete(body, "number")
		delete(body, "pull_request")
		body["issue"] = f.issue(ev.pull)
		body["comment"] = f.comment(ev.pull, ev.comment)
	case repositoryEvent:
		switch ev.action {
		case "renamed":
			body["changes"] = obj{"repository": obj{"name": obj{"from": ev.before}}}
		case "edited":
			body["changes"] = obj{"default_branch": obj{"from": ev.before}}
		}
	case installationEvent:
		body["installation"] = f.installation(ev.installation)
		body["repositories"] = f.installed(ev.installation)
	case installationReposEvent:
		installation := f.installation(ev.installation)
		body["installation"] = installation
		body["repository_selection"] = installation["repository_selection"]
		body["repositories_added"], body["repositories_removed"] = f.repoRefs(ev.added), f.repoRefs(ev.removed)
		body["requester"] = nil
	case pingEvent:
		body = obj{
			"zen": "Keep it logically awesome.", "hook_id": f.h.opts.AppID,
			"hook": obj{
				"type": "App", "id": f.h.opts.AppID, "name": "web", "active": true, "events": appEvents(), "app_id": f.h.opts.AppID,
				"config":     obj{"content_type": "json", "insecure_ssl": "0", "secret": "********", "url": f.h.webhook.URL},
				"created_at": when(time.Unix(0, 0)), "updated_at": when(time.Unix(0, 0)), "url": f.api("/app/hook"), "ping_url": f.api("/app/hook/pings"),
				"deliveries_url": f.api("/app/hook/deliveries"),
			},
		}
	}
	return string(ev.kind), body
}

func (f *githubFace) installed(inst *installation) []any {
	var repos []*repo
	for _, id := range slices.Sorted(maps.Keys(inst.repos)) {
		if r := f.h.repos[id]; r != nil {
			repos = append(repos, r)
		}
	}
	return f.repoRefs(repos)
}

func (f *githubFace) repoRefs(repos []*repo) []any {
	refs := []any{}
	for _, r := range repos {
		refs = append(refs, f.repoRef(r))
	}
	return refs
}

func (f *githubFace) pushBody(ev event, body obj) {
	c := ev.ref
	body["ref"], body["before"], body["after"] = c.Name, c.Before, c.After
	body["created"], body["deleted"], body["forced"] = c.Before == noObject, c.After == noObject, ev.forced
	body["base_ref"] = nil
	body["compare"] = f.web("/%s/compare/%s...%s", ev.repo.fullName(), short(c.Before), short(c.After))
	body["pusher"] = obj{"name": ev.actor.login, "email": ev.actor.email()}
	commits := []any{}
	for _, info := range ev.commits[max(0, len(ev.commits)-maxPushCommits):] {
		commits = append(commits, f.pushCommit(ev.repo, info))
	}
	body["commits"], body["head_commit"] = commits, nil
	if len(commits) > 0 {
		body["head_commit"] = commits[len(commits)-1]
	}
	repository, _ := body["repository"].(obj)
	repository["pushed_at"] = ev.repo.pushedAt.Unix() // push events alone carry this as a number
	repository["created_at"] = ev.repo.createdAt.Unix()
	repository["master_branch"] = ev.repo.defaultBranch
}

func (f *githubFace) pushCommit(r *repo, c *commitInfo) obj {
	list := func(paths []string) []string {
		if paths == nil {
			return []string{}
		}
		return paths
	}
	person := func(s signature) obj {
		return obj{"name": s.Name, "email": s.Email, "date": s.When.Format(time.RFC3339)}
	}
	return obj{
		"id": c.SHA, "tree_id": c.Tree, "distinct": true, "message": trimmed(c.Message), "timestamp": c.Committer.When.Format(time.RFC3339),
		"url": f.web("/%s/commit/%s", r.fullName(), c.SHA), "author": person(c.Author), "committer": person(c.Committer),
		"added": list(c.Added), "removed": list(c.Removed), "modified": list(c.Modified),
	}
}

func (f *githubFace) statusBody(ev event, body obj) {
	s := ev.status
	branches := []any{}
	for _, name := range slices.Sorted(maps.Keys(ev.repo.refs)) {
		if branch, ok := strings.CutPrefix(name, "refs/heads/"); ok && ev.repo.refs[name] == s.sha {
			branches = append(branches, obj{"name": branch, "commit": obj{"sha": s.sha, "url": f.api("/repos/%s/commits/%s", ev.repo.fullName(), s.sha)}, "protected": false})
		}
	}
	maps.Copy(body, obj{
		"id": s.id, "sha": s.sha, "name": ev.repo.fullName(), "target_url": orNull(s.targetURL), "context": s.context, "description": orNull(s.description),
		"state": s.state, "commit": f.hookCommit(ev.repo, ev.commits[0]), "branches": branches, "created_at": when(s.at), "updated_at": when(s.at),
	})
}

// hookCommit is a commit as the status event carries it.
func (f *githubFace) hookCommit(r *repo, c *commitInfo) obj {
	body := f.gitCommit(r, c)
	inner, _ := body["commit"].(obj)
	verification, _ := inner["verification"].(obj)
	delete(verification, "verified_at")
	return body
}

func trimmed(message string) string { return strings.TrimRight(message, "\n") }

func rawJSON(body []byte) json.RawMessage { return json.RawMessage(body) }

func atoiOr(text string, otherwise int) int {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return otherwise
	}
	return n
}

// hookTeam is a team as webhooks have it: without what only the API tells.
func hookTeam(team obj) obj {
	delete(team, "type")
	delete(team, "organization_id")
	return team
}

// hookTeams does so for the teams of a pull request.
func hookTeams(pull obj) obj {
	for _, team := range pull["requested_teams"].([]any) {
		hookTeam(team.(obj))
	}
	return pull
}
