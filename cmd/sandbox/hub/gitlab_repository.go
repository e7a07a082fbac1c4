package hub

import (
	"context"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
)

func (f *gitLabFace) repositoryRoutes() {
	const project = "/projects/{id}/repository"
	f.add("GET "+project+"/branches", "read", func(c *call) (int, any, error) {
		c.h.mu.Lock()
		refs := sortedKeys(c.repo.refs)
		c.h.mu.Unlock()
		items := []any{}
		for _, ref := range refs {
			if branch, ok := strings.CutPrefix(ref, "refs/heads/"); ok {
				if body, err := f.branch(c, branch); err == nil {
					items = append(items, body)
				}
			}
		}
		return http.StatusOK, listing{items: items}, nil
	})
	f.add("GET "+project+"/branches/{branch}", "read", func(c *call) (int, any, error) {
		body, err := f.branch(c, c.r.PathValue("branch"))
		return http.StatusOK, body, err
	})
	f.add("POST "+project+"/branches", "develop", f.createBranch)
	f.add("DELETE "+project+"/branches/{branch}", "develop", f.deleteBranch)
	f.add("GET "+project+"/commits", "read", f.listHistory)
	f.add("GET "+project+"/commits/{sha}", "read", func(c *call) (int, any, error) {
		info, err := c.commit()
		if err != nil {
			return 0, nil, err
		}
		c.h.mu.Lock()
		defer c.h.mu.Unlock()
		body := f.commit(c.repo, info)
		body["project_id"], body["stats"], body["status"], body["last_pipeline"] = c.repo.id, obj{"additions": 0, "deletions": 0, "total": 0}, nil, nil
		return http.StatusOK, body, nil
	})
	f.add("GET "+project+"/commits/{sha}/merge_requests", "read", func(c *call) (int, any, error) {
		info, err := c.commit()
		if err != nil {
			return 0, nil, err
		}
		return f.requestsWith(c, info.SHA)
	})
	f.add("GET "+project+"/compare", "read", f.compare)
	f.add("GET "+project+"/merge_base", "read", func(c *call) (int, any, error) {
		refs := c.r.URL.Query()["refs[]"]
		if len(refs) != 2 {
			return 0, nil, says(http.StatusBadRequest, "400 Bad request - provide exactly 2 refs")
		}
		base := c.repo.bare.mergeBase(c.r.Context(), refs[0], refs[1])
		infos, err := c.repo.bare.commits(c.r.Context(), slices.DeleteFunc([]string{base}, func(s string) bool { return s == "" }))
		if err != nil || len(infos) == 0 {
			return 0, nil, says(http.StatusNotFound, "404 Merge Base Not Found")
		}
		return http.StatusOK, f.commit(c.repo, &infos[0]), nil
	})
	f.add("GET "+project+"/files/{path}/raw", "read", func(c *call) (int, any, error) {
		_, content, err := c.file()
		return http.StatusOK, content, err
	})
	f.add("GET "+project+"/files/{path}", "read", func(c *call) (int, any, error) {
		sha, content, err := c.file()
		if err != nil {
			return 0, nil, err
		}
		path := c.r.PathValue("path")
		blob, err := c.repo.bare.git(c.r.Context(), "rev-parse", sha+":"+path)
		return http.StatusOK, obj{
			"file_name": path[strings.LastIndexByte(path, '/')+1:], "file_path": path, "size": len(content), "encoding": "base64",
			"content": base64.StdEncoding.EncodeToString(content), "ref": c.r.URL.Query().Get("ref"), "blob_id": blob, "commit_id": sha, "last_commit_id": sha,
			"execute_filemode": false,
		}, err
	})
	f.add("GET /projects/{id}/protected_branches", "maintain", func(c *call) (int, any, error) {
		c.h.mu.Lock()
		defer c.h.mu.Unlock()
		items := []any{}
		if c.repo.protection != nil {
			items = append(items, f.protectedBranch(c.repo))
		}
		return http.StatusOK, listing{items: items}, nil
	})
	f.add("GET /projects/{id}/protected_branches/{branch}", "maintain", func(c *call) (int, any, error) {
		c.h.mu.Lock()
		defer c.h.mu.Unlock()
		if c.repo.protection == nil || c.r.PathValue("branch") != c.repo.defaultBranch {
			return 0, nil, says(http.StatusNotFound, "404 Not found")
		}
		return http.StatusOK, f.protectedBranch(c.repo), nil
	})
	f.add("GET /projects/{id}/events", "read", f.listEvents)
}

// protectedBranch is the default branch where it is protected. Pushes are not: the sandbox's git takes what a developer pushes.
func (f *gitLabFace) protectedBranch(r *repo) obj {
	level := func(p Permission) []any {
		words := map[Permission]string{Write: "Developers + Maintainers", Admin: "Maintainers"}
		return []any{obj{"id": r.id, "access_level": gitLabAccess(p), "access_level_description": words[p], "user_id": nil, "group_id": nil, "deploy_key_id": nil}}
	}
	push := level(Write)
	if r.protection.PushNobody {
		push = []any{obj{"id": r.id, "access_level": 0, "access_level_description": "No one", "user_id": nil, "group_id": nil, "deploy_key_id": nil}}
	}
	by := r.protection.MergeBy
	if by == "" {
		by = Write
	}
	merge := level(by)
	if only := f.h.accounts[strings.ToLower(r.protection.MergeOnly)]; only != nil {
		merge = []any{obj{"id": r.id, "access_level": 40, "access_level_description": only.login, "user_id": only.id, "group_id": nil, "deploy_key_id": nil}}
	}
	body := obj{"id": r.id, "name": r.defaultBranch, "push_access_levels": push, "merge_access_levels": merge, "allow_force_push": false}
	if f.h.opts.GitLab != Free {
		body["unprotect_access_levels"], body["code_owner_approval_required"] = []any{}, false
	}
	return body
}

func (f *gitLabFace) branch(c *call, name string) (obj, error) {
	c.h.mu.Lock()
	sha := c.repo.head(name)
	c.h.mu.Unlock()
	if sha == "" {
		return nil, absent("Branch")
	}
	infos, err := c.repo.bare.commits(c.r.Context(), []string{sha})
	if err != nil {
		return nil, err
	}
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	r := c.repo
	isProtected := name == r.defaultBranch && r.protection != nil
	byDevelopers := !isProtected || r.protection.MergeBy != Admin && r.protection.MergeOnly == ""
	return obj{
		"name": name, "commit": f.commit(r, &infos[0]), "merged": false, "protected": isProtected, "default": name == r.defaultBranch,
		"developers_can_push": !isProtected || !r.protection.PushNobody, "developers_can_merge": byDevelopers, "can_push": c.h.permissionLocked(r, c.by).rank() >= Write.rank(),
		"web_url": f.web("/%s/-/tree/%s", r.fullName(), name),
	}, nil
}

func (f *gitLabFace) createBranch(c *call) (int, any, error) {
	in := struct{ Branch, Ref string }{c.r.URL.Query().Get("branch"), c.r.URL.Query().Get("ref")}
	if err := c.read(&in); err != nil {
		return 0, nil, err
	}
	sha, ok := c.repo.bare.commitID(c.r.Context(), in.Ref)
	if !ok {
		return 0, nil, says(http.StatusBadRequest, "Invalid reference name: "+in.Ref)
	}
	if err := c.h.createRef(c.r.Context(), c.repo, c.by, "refs/heads/"+in.Branch, sha); err != nil {
		return 0, nil, says(http.StatusBadRequest, "Branch already exists")
	}
	body, err := f.branch(c, in.Branch)
	return http.StatusCreated, body, err
}

func (f *gitLabFace) deleteBranch(c *call) (int, any, error) {
	branch := c.r.PathValue("branch")
	c.h.mu.Lock()
	sha, isDefault := c.repo.head(branch), branch == c.repo.defaultBranch
	c.h.mu.Unlock()
	switch {
	case sha == "":
		return 0, nil, absent("Branch")
	case isDefault:
		return 0, nil, errForbidden
	}
	return http.StatusNoContent, nil, c.h.deleteRef(c.r.Context(), c.repo, c.by, "refs/heads/"+branch)
}

// commit reads the commit that the path names: its id, or what leads to it.
func (c *call) commit() (*commitInfo, error) {
	sha, ok := c.repo.bare.commitID(c.r.Context(), c.r.PathValue("sha"))
	if !ok {
		return nil, absent("Commit")
	}
	infos, err := c.repo.bare.commits(c.r.Context(), []string{sha})
	if err != nil {
		return nil, err
	}
	return &infos[0], nil
}

// file reads the file that the path and the query name.
func (c *call) file() (sha string, content []byte, err error) {
	at := c.r.URL.Query().Get("ref")
	if at == "" || at == "HEAD" {
		c.h.mu.Lock()
		at = c.repo.defaultBranch
		c.h.mu.Unlock()
	}
	sha, ok := c.repo.bare.commitID(c.r.Context(), at)
	if !ok {
		return "", nil, absent("Commit")
	}
	if content, ok = c.repo.bare.file(c.r.Context(), sha, c.r.PathValue("path")); !ok {
		return "", nil, absent("File")
	}
	return sha, content, nil
}

// listHistory lists the commits of a ref, newest first.
func (f *gitLabFace) listHistory(c *call) (int, any, error) {
	at := c.r.URL.Query().Get("ref_name")
	if at == "" {
		c.h.mu.Lock()
		at = c.repo.defaultBranch
		c.h.mu.Unlock()
	}
	from, to, within := strings.Cut(at, "..")
	args := []string{"rev-list", "--max-count=1000", at, "--"}
	if within {
		args = []string{"rev-list", "--max-count=1000", to, "^" + from, "--"}
	}
	out, err := c.repo.bare.git(c.r.Context(), args...)
	if err != nil {
		return 0, nil, absent("Commit")
	}
	return f.listCommits(c, strings.Fields(out))
}

func (f *gitLabFace) listCommits(c *call, shas []string) (int, any, error) {
	items, err := f.commitItems(c.r.Context(), c.repo, shas)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, listing{items: items}, nil
}

func (f *gitLabFace) commitItems(ctx context.Context, r *repo, shas []string) ([]any, error) {
	infos, err := r.bare.commits(ctx, shas)
	if err != nil {
		return nil, err
	}
	f.h.mu.Lock()
	defer f.h.mu.Unlock()
	items := []any{}
	for i := range infos {
		items = append(items, f.commit(r, &infos[i]))
	}
	return items, nil
}

// compare lists what leads from one revision to another, oldest first; straight compares the two ends themselves.
func (f *gitLabFace) compare(c *call) (int, any, error) {
	query, ctx := c.r.URL.Query(), c.r.Context()
	from, okFrom := c.repo.bare.commitID(ctx, query.Get("from"))
	to, okTo := c.repo.bare.commitID(ctx, query.Get("to"))
	if !okFrom || !okTo {
		return 0, nil, says(http.StatusNotFound, "404 Ref Not Found")
	}
	out, err := c.repo.bare.git(ctx, "rev-list", "--reverse", "--topo-order", to, "^"+from)
	if err != nil {
		return 0, nil, err
	}
	commits, err := f.commitItems(ctx, c.repo, strings.Fields(out))
	if err != nil {
		return 0, nil, err
	}
	base := from
	if !yes(query.Get("straight")) {
		if base = c.repo.bare.mergeBase(ctx, from, to); base == "" {
			base = emptyTree
		}
	}
	diffs, err := f.diffs(ctx, c.repo, base, to)
	if err != nil {
		return 0, nil, err
	}
	var last any
	if len(commits) > 0 {
		last = commits[len(commits)-1]
	}
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	return http.StatusOK, obj{
		"commit": last, "commits": commits, "diffs": diffs, "compare_timeout": false, "compare_same_ref": from == to,
		"web_url": f.web("/%s/-/compare/%s...%s", c.repo.fullName(), query.Get("from"), query.Get("to")),
	}, nil
}

// diffs is what changes between two commits, file by file.
func (f *gitLabFace) diffs(ctx context.Context, r *repo, from, to string) ([]any, error) {
	changes, err := r.bare.changedFiles(ctx, from, to)
	if err != nil {
		return nil, err
	}
	text, err := r.bare.diff(ctx, from, to)
	if err != nil {
		return nil, err
	}
	byPath := patches(text)
	items := []any{}
	for _, change := range changes {
		old, aMode, bMode := change.Path, "100644", "100644"
		switch change.Status {
		case "added":
			aMode = "0"
		case "removed":
			bMode = "0"
		case "renamed":
			old = change.OldPath
		}
		patch := byPath[change.Path]
		if patch != "" {
			patch += "\n"
		}
		items = append(items, obj{
			"old_path": old, "new_path": change.Path, "a_mode": aMode, "b_mode": bMode, "diff": patch,
			"new_file": change.Status == "added", "renamed_file": change.Status == "renamed", "deleted_file": change.Status == "removed",
		})
	}
	return items, nil
}

// listEvents lists pushes, the newest first; of other events the sandbox keeps no list.
func (f *gitLabFace) listEvents(c *call) (int, any, error) {
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	items := []any{}
	query := c.r.URL.Query()
	if action := query.Get("action"); action != "" && action != "pushed" {
		return http.StatusOK, listing{items: items}, nil
	}
	for _, a := range slices.Backward(c.repo.activity) {
		branch, isBranch := strings.CutPrefix(a.ref, "refs/heads/")
		kind, name, from, to := "branch", "pushed to", any(a.before), any(a.after)
		if !isBranch {
			kind, branch = "tag", strings.TrimPrefix(a.ref, "refs/tags/")
		}
		action := "pushed"
		switch {
		case a.before == noObject:
			action, name, from = "created", "pushed new", nil
		case a.after == noObject:
			action, name, to = "removed", "deleted", nil
		}
		items = append(items, obj{
			"id": a.id, "project_id": c.repo.id, "action_name": name, "target_id": nil, "target_iid": nil, "target_type": nil, "target_title": nil,
			"author_id": a.actor.id, "author": f.user(a.actor), "author_username": a.actor.login, "created_at": gitLabTime(a.at),
			"push_data": obj{"commit_count": 1, "action": action, "ref_type": kind, "commit_from": from, "commit_to": to, "ref": branch, "commit_title": nil},
		})
	}
	return http.StatusOK, listing{items: items}, nil
}
