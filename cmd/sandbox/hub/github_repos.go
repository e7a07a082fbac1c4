package hub

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

func (f *githubFace) repoRoutes() {
	f.add("GET /repositories/{id}", "metadata:read", func(*call) (int, any, error) { return 0, nil, missing() }) // known ids never come here
	f.add("GET /repos/{owner}/{repo}", "metadata:read", func(c *call) (int, any, error) {
		c.h.mu.Lock()
		defer c.h.mu.Unlock()
		return http.StatusOK, c.permitted(c.repo, f.fullRepo(c.repo)), nil
	})
	f.add("GET /repos/{owner}/{repo}/collaborators/{login}/permission", "metadata:read", f.getPermission)
	f.add("GET /repos/{owner}/{repo}/rules/branches/{branch...}", "metadata:read", f.listRules)
	f.add("GET /repos/{owner}/{repo}/rulesets/{id}", "metadata:read", f.getRuleset)
	f.add("GET /repos/{owner}/{repo}/branches/{branch...}", "contents:read", f.getBranch)
	f.add("GET /repos/{owner}/{repo}/labels", "pull_requests:read", func(c *call) (int, any, error) {
		c.h.mu.Lock()
		defer c.h.mu.Unlock()
		var items []any
		for _, name := range slices.Sorted(maps.Keys(c.repo.labels)) {
			items = append(items, f.label(c.repo, name))
		}
		return http.StatusOK, listing{items: items}, nil
	})
	f.add("GET /repos/{owner}/{repo}/labels/{name}", "pull_requests:read", func(c *call) (int, any, error) {
		c.h.mu.Lock()
		defer c.h.mu.Unlock()
		if !c.repo.labels[c.r.PathValue("name")] {
			return 0, nil, missing()
		}
		return http.StatusOK, f.label(c.repo, c.r.PathValue("name")), nil
	})
	f.add("POST /repos/{owner}/{repo}/labels", "pull_requests:write", f.createLabel)
}

func (f *githubFace) getPermission(c *call) (int, any, error) {
	login := c.r.PathValue("login")
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	a := c.h.accounts[strings.ToLower(login)]
	if a == nil || a.kind == kindOrg {
		return 0, nil, refuse(notFound, login+" is not a user")
	}
	permission := c.h.permissionLocked(c.repo, a)
	if permission == NoPermission && !c.repo.private {
		permission = Read
	}
	user, _ := f.account(a).(obj)
	user["role_name"] = string(permission)
	user["permissions"] = obj{
		"pull": permission.rank() >= Read.rank(), "triage": permission.rank() >= Write.rank(), "push": permission.rank() >= Write.rank(),
		"maintain": permission == Admin, "admin": permission == Admin,
	}
	return http.StatusOK, obj{"permission": string(permission), "role_name": string(permission), "user": user}, nil
}

// listRules shows the protection of the default branch as the ruleset it would be.
func (f *githubFace) listRules(c *call) (int, any, error) {
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	rules := []any{}
	protection := c.repo.protection
	if protection == nil || c.r.PathValue("branch") != c.repo.defaultBranch {
		return http.StatusOK, listing{items: rules}, nil
	}
	add := func(kind string, parameters obj) {
		rules = append(rules, obj{
			"type": kind, "ruleset_source_type": "Repository", "ruleset_source": c.repo.fullName(), "ruleset_id": 1, "parameters": parameters,
		})
	}
	if len(protection.Checks) > 0 {
		checks := []any{}
		for _, check := range protection.Checks {
			entry := obj{"context": check.Context}
			if check.AppID != 0 {
				entry["integration_id"] = check.AppID
			}
			checks = append(checks, entry)
		}
		add("required_status_checks", obj{"required_status_checks": checks, "strict_required_status_checks_policy": false, "do_not_enforce_on_create": false})
	}
	if protection.Reviews > 0 {
		add("pull_request", obj{
			"required_approving_review_count": protection.Reviews, "dismiss_stale_reviews_on_push": protection.DismissStale,
			"require_code_owner_review": false, "require_last_push_approval": false, "required_review_thread_resolution": false,
		})
	}
	if protection.MergeQueue {
		add("merge_queue", obj{
			"check_response_timeout_minutes": 60, "grouping_strategy": "ALLGREEN", "max_entries_to_build": 5, "max_entries_to_merge": 5,
			"merge_method": strings.ToUpper(c.repo.methods[0]), "min_entries_to_merge": 1, "min_entries_to_merge_wait_minutes": 0,
		})
	}
	return http.StatusOK, listing{items: rules}, nil
}

// getRuleset shows the ruleset that the protection would be. Who may bypass it is told to administrators, and whether oneself may to all.
func (f *githubFace) getRuleset(c *call) (int, any, error) {
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	if c.repo.protection == nil || c.r.PathValue("id") != "1" {
		return 0, nil, missing()
	}
	bypass := "never"
	if c.repo.protection.Bypassed {
		bypass = "always"
	}
	return http.StatusOK, obj{
		"id": 1, "name": "main", "target": "branch", "source_type": "Repository", "source": c.repo.fullName(), "enforcement": "active",
		"current_user_can_bypass": bypass,
	}, nil
}

func (f *githubFace) getBranch(c *call) (int, any, error) {
	branch := c.r.PathValue("branch")
	c.h.mu.Lock()
	sha := c.repo.head(branch)
	protected := c.repo.protection != nil && branch == c.repo.defaultBranch
	c.h.mu.Unlock()
	if sha == "" {
		return 0, nil, refuse(notFound, "Branch not found")
	}
	infos, err := c.repo.bare.commits(c.r.Context(), []string{sha})
	if err != nil {
		return 0, nil, err
	}
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	self := f.api("/repos/%s/branches/%s", c.repo.fullName(), branch)
	return http.StatusOK, obj{
		"name": branch, "commit": f.gitCommit(c.repo, &infos[0]), "protected": protected, "protection": obj{"enabled": false}, // it is a ruleset
		"protection_url": self + "/protection", "_links": obj{"self": self, "html": f.web("/%s/tree/%s", c.repo.fullName(), branch)},
	}, nil
}

func (f *githubFace) createLabel(c *call) (int, any, error) {
	var in struct{ Name, Color, Description string }
	if err := c.read(&in); err != nil {
		return 0, nil, err
	}
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	switch {
	case in.Name == "":
		return 0, nil, validation(fieldProblem{Resource: "Label", Code: "missing_field", Field: "name"})
	case c.repo.labels[in.Name]:
		return 0, nil, validation(fieldProblem{Resource: "Label", Code: "already_exists", Field: "name"})
	}
	c.repo.labels[in.Name] = true
	return http.StatusCreated, f.label(c.repo, in.Name), nil
}

func (f *githubFace) gitRoutes() {
	f.add("GET /repos/{owner}/{repo}/git/ref/{ref...}", "contents:read", func(c *call) (int, any, error) {
		c.h.mu.Lock()
		defer c.h.mu.Unlock()
		name := "refs/" + c.r.PathValue("ref")
		if c.repo.refs[name] == "" {
			return 0, nil, missing()
		}
		return http.StatusOK, f.ref(c.repo, name, c.repo.refs[name]), nil
	})
	f.add("GET /repos/{owner}/{repo}/git/matching-refs/{ref...}", "contents:read", func(c *call) (int, any, error) {
		c.h.mu.Lock()
		defer c.h.mu.Unlock()
		var items []any
		for _, name := range slices.Sorted(maps.Keys(c.repo.refs)) {
			if strings.HasPrefix(name, "refs/"+c.r.PathValue("ref")) {
				items = append(items, f.ref(c.repo, name, c.repo.refs[name]))
			}
		}
		return http.StatusOK, listing{items: items}, nil
	})
	f.add("POST /repos/{owner}/{repo}/git/refs", "contents:write", func(c *call) (int, any, error) {
		var in struct{ Ref, SHA string }
		if err := c.read(&in); err != nil {
			return 0, nil, err
		}
		if err := c.h.createRef(c.r.Context(), c.repo, c.by, in.Ref, in.SHA); err != nil {
			return 0, nil, err
		}
		c.h.mu.Lock()
		defer c.h.mu.Unlock()
		return http.StatusCreated, f.ref(c.repo, in.Ref, in.SHA), nil
	})
	f.add("DELETE /repos/{owner}/{repo}/git/refs/{ref...}", "contents:write", func(c *call) (int, any, error) {
		if err := c.h.deleteRef(c.r.Context(), c.repo, c.by, "refs/"+c.r.PathValue("ref")); err != nil {
			return 0, nil, err
		}
		return http.StatusNoContent, nil, nil
	})
	f.add("GET /repos/{owner}/{repo}/commits/{rest...}", "contents:read", f.commitRoute)
	f.add("GET /repos/{owner}/{repo}/compare/{basehead...}", "contents:read", f.compare)
	f.add("GET /repos/{owner}/{repo}/contents/{path...}", "contents:read", f.contents)
}

func (f *githubFace) ref(r *repo, name, sha string) obj {
	return obj{
		"ref": name, "node_id": nodeID("Ref", r.id), "url": f.api("/repos/%s/git/%s", r.fullName(), (&url.URL{Path: name}).EscapedPath()),
		"object": obj{"type": "commit", "sha": sha, "url": f.api("/repos/%s/git/commits/%s", r.fullName(), sha)},
	}
}

// commitRoute serves …/commits/{ref} and what lies below it: a ref may hold slashes, so the end of the path decides.
func (f *githubFace) commitRoute(c *call) (int, any, error) {
	rest := c.r.PathValue("rest")
	for suffix, serve := range map[string]func(*call, string) (int, any, error){
		"/check-runs": f.listChecks, "/status": f.combinedStatus, "/statuses": f.listStatuses, "/pulls": f.pullsOfCommit,
	} {
		ref, ok := strings.CutSuffix(rest, suffix)
		if !ok {
			continue
		}
		sha, found := c.repo.bare.commitID(c.r.Context(), ref)
		if !found {
			return 0, nil, refuse(invalid, "No commit found for SHA: "+ref)
		}
		return serve(c, sha)
	}
	sha, found := c.repo.bare.commitID(c.r.Context(), rest)
	if !found {
		return 0, nil, refuse(invalid, "No commit found for SHA: "+rest)
	}
	infos, err := c.repo.bare.commits(c.r.Context(), []string{sha})
	if err != nil {
		return 0, nil, err
	}
	parent := emptyTree
	if len(infos[0].Parents) > 0 {
		parent = infos[0].Parents[0]
	}
	files, err := f.files(c, parent, sha)
	if err != nil {
		return 0, nil, err
	}
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	body := f.gitCommit(c.repo, &infos[0])
	body["files"] = files
	return http.StatusOK, body, nil
}

// emptyTree is git's name for a tree without entries.
const emptyTree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"

// files is a comparison as GitHub lists it.
func (f *githubFace) files(c *call, from, to string) ([]any, error) {
	changes, err := c.repo.bare.changedFiles(c.r.Context(), from, to)
	if err != nil {
		return nil, err
	}
	diff, err := c.repo.bare.diff(c.r.Context(), from, to)
	if err != nil {
		return nil, err
	}
	byPath := patches(diff)
	c.h.mu.Lock()
	fullName := c.repo.fullName()
	c.h.mu.Unlock()
	files := []any{}
	for _, change := range changes {
		file := obj{
			"sha": change.Blob, "filename": change.Path, "status": change.Status, "additions": change.Additions, "deletions": change.Deletions,
			"changes": change.Additions + change.Deletions, "blob_url": f.web("/%s/blob/%s/%s", fullName, to, change.Path),
			"raw_url": f.web("/%s/raw/%s/%s", fullName, to, change.Path), "contents_url": f.api("/repos/%s/contents/%s?ref=%s", fullName, change.Path, to),
		}
		if patch, ok := byPath[change.Path]; ok {
			file["patch"] = patch
		}
		if change.OldPath != "" {
			file["previous_filename"] = change.OldPath
		}
		files = append(files, file)
	}
	return files, nil
}

func (f *githubFace) compare(c *call) (int, any, error) {
	base, head, ok := strings.Cut(c.r.PathValue("basehead"), "...")
	if !ok {
		return 0, nil, missing()
	}
	ctx := c.r.Context()
	from, okBase := c.repo.bare.commitID(ctx, base)
	to, okHead := c.repo.bare.commitID(ctx, head)
	if !okBase || !okHead {
		return 0, nil, missing()
	}
	ahead, behind, err := c.repo.bare.count(ctx, from, to)
	if err != nil {
		return 0, nil, err
	}
	ancestor := c.repo.bare.mergeBase(ctx, from, to)
	if ancestor == "" {
		return 0, nil, refuse(notFound, "No common ancestor between "+base+" and "+head+".")
	}
	status := map[[2]bool]string{{true, true}: "diverged", {true, false}: "ahead", {false, true}: "behind", {false, false}: "identical"}[[2]bool{ahead > 0, behind > 0}]
	commits, err := c.repo.bare.log(ctx, from, to, 250)
	if err != nil {
		return 0, nil, err
	}
	ends, err := c.repo.bare.commits(ctx, []string{from, ancestor})
	if err != nil {
		return 0, nil, err
	}
	files, err := f.files(c, ancestor, to)
	if err != nil {
		return 0, nil, err
	}
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	list := []any{}
	for i := range commits {
		list = append(list, f.gitCommit(c.repo, &commits[i]))
	}
	api := f.api("/repos/%s/compare/%s...%s", c.repo.fullName(), url.PathEscape(base), url.PathEscape(head))
	web := f.web("/%s/compare/%s...%s", c.repo.fullName(), url.PathEscape(base), url.PathEscape(head))
	return http.StatusOK, obj{
		"url": api, "html_url": web, "permalink_url": f.web("/%s/compare/%s...%s", c.repo.fullName(), from, to), "diff_url": web + ".diff",
		"patch_url": web + ".patch", "status": status, "ahead_by": ahead, "behind_by": behind,
		"total_commits": ahead, "base_commit": f.gitCommit(c.repo, &ends[0]), "merge_base_commit": f.gitCommit(c.repo, &ends[1]), "commits": list, "files": files,
	}, nil
}

// contents reads one file; directories are not needed by anybody here.
func (f *githubFace) contents(c *call) (int, any, error) {
	at := c.r.URL.Query().Get("ref")
	if at == "" {
		c.h.mu.Lock()
		at = c.repo.defaultBranch
		c.h.mu.Unlock()
	}
	path := c.r.PathValue("path")
	sha, ok := c.repo.bare.commitID(c.r.Context(), at)
	if !ok {
		return 0, nil, refuse(notFound, "No commit found for the ref "+at)
	}
	content, ok := c.repo.bare.file(c.r.Context(), sha, path)
	if !ok {
		return 0, nil, missing()
	}
	blob, err := c.repo.bare.git(c.r.Context(), "rev-parse", sha+":"+path)
	if err != nil {
		return 0, nil, err
	}
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	api := f.api("/repos/%s/contents/%s?ref=%s", c.repo.fullName(), (&url.URL{Path: path}).EscapedPath(), url.QueryEscape(at))
	web := f.web("/%s/blob/%s/%s", c.repo.fullName(), at, path)
	git := f.api("/repos/%s/git/blobs/%s", c.repo.fullName(), blob)
	return http.StatusOK, obj{
		"type": "file", "encoding": "base64", "size": len(content), "name": path[strings.LastIndexByte(path, '/')+1:], "path": path,
		"content": base64Lines(content), "sha": blob, "url": api, "html_url": web, "download_url": nil, "git_url": git,
		"_links": obj{"self": api, "git": git, "html": web},
	}, nil
}
