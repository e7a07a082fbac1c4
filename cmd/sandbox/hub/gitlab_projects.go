package hub

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

func (f *gitLabFace) accountRoutes() {
	f.add("GET /version", "user", func(*call) (int, any, error) {
		return http.StatusOK, obj{"version": "17.11.0", "revision": "sandbox"}, nil
	})
	f.add("GET /metadata", "user", func(c *call) (int, any, error) {
		return http.StatusOK, obj{
			"version": "17.11.0", "revision": "sandbox", "enterprise": c.h.opts.GitLab != Free,
			"kas": obj{"enabled": false, "externalUrl": nil, "version": nil},
		}, nil
	})
	f.add("GET /user", "user", func(c *call) (int, any, error) {
		body := f.oneUser(c.by)
		body["email"], body["commit_email"] = c.by.email(), c.by.email()
		body["is_admin"], body["can_create_group"], body["can_create_project"], body["external"], body["private_profile"] = false, false, false, false, false
		body["two_factor_enabled"], body["projects_limit"], body["identities"] = false, 0, []any{}
		return http.StatusOK, body, nil
	})
	f.add("GET /users", "user", func(c *call) (int, any, error) {
		c.h.mu.Lock()
		defer c.h.mu.Unlock()
		query := c.r.URL.Query()
		items := []any{}
		for _, key := range sortedKeys(c.h.accounts) {
			a := c.h.accounts[key]
			if a.kind == kindOrg || query.Has("username") && !strings.EqualFold(a.login, query.Get("username")) ||
				query.Has("search") && !strings.Contains(strings.ToLower(a.login+" "+a.email()), strings.ToLower(query.Get("search"))) {
				continue
			}
			items = append(items, f.user(a))
		}
		return http.StatusOK, listing{items: items}, nil
	})
	f.add("GET /users/{user}", "user", func(c *call) (int, any, error) {
		c.h.mu.Lock()
		defer c.h.mu.Unlock()
		a, err := c.accountLocked("user")
		if err != nil {
			return 0, nil, err
		}
		return http.StatusOK, f.oneUser(a), nil
	})
	f.add("GET /personal_access_tokens/self", "user", func(c *call) (int, any, error) {
		t := c.who.personal
		scopes := []any{}
		for _, scope := range t.scopes {
			scopes = append(scopes, scope)
		}
		var expires any
		if !t.expires.IsZero() {
			expires = t.expires.UTC().Format(time.DateOnly)
		}
		return http.StatusOK, obj{
			"id": t.id, "name": t.owner.login, "revoked": false, "created_at": gitLabTime(t.createdAt), "scopes": scopes, "user_id": t.owner.id,
			"last_used_at": gitLabTime(c.h.now()), "active": true, "expires_at": expires,
		}, nil
	})
}

// accountLocked finds the person or machine whose id the path has.
func (c *call) accountLocked(name string) (*account, error) {
	id, err := strconv.ParseInt(c.r.PathValue(name), 10, 64)
	if err != nil {
		return nil, absent("User")
	}
	for _, a := range c.h.accounts {
		if a.id == id && a.kind != kindOrg {
			return a, nil
		}
	}
	return nil, absent("User")
}

func (f *gitLabFace) projectRoutes() {
	f.add("GET /projects", "user", func(c *call) (int, any, error) { return f.listProjects(c, nil) })
	f.add("GET /projects/{id}", "read", func(c *call) (int, any, error) {
		c.h.mu.Lock()
		defer c.h.mu.Unlock()
		return http.StatusOK, f.project(c.repo, c.by), nil
	})
	for _, path := range []string{"GET /projects/{id}/members", "GET /projects/{id}/members/all"} {
		f.add(path, "read", f.listMembers)
	}
	for _, path := range []string{"GET /projects/{id}/members/{user}", "GET /projects/{id}/members/all/{user}"} {
		f.add(path, "read", func(c *call) (int, any, error) {
			c.h.mu.Lock()
			defer c.h.mu.Unlock()
			a, err := c.accountLocked("user")
			if err != nil || c.h.permissionLocked(c.repo, a).rank() == 0 {
				return 0, nil, says(http.StatusNotFound, "404 Not found")
			}
			return http.StatusOK, f.member(c.repo, a), nil
		})
	}
	f.add("GET /groups/{group}", "user", func(c *call) (int, any, error) {
		c.h.mu.Lock()
		defer c.h.mu.Unlock()
		owner, team, ok := c.h.groupLocked(c.r.PathValue("group"))
		if !ok || !c.belongsLocked(owner) {
			return 0, nil, absent("Group")
		}
		body := f.group(owner)
		if team != "" {
			body["name"], body["path"], body["full_path"], body["parent_id"] = team, team, owner.login+"/"+team, owner.id
		}
		return http.StatusOK, body, nil
	})
	f.add("GET /groups/{group}/projects", "user", func(c *call) (int, any, error) {
		c.h.mu.Lock()
		owner, team, ok := c.h.groupLocked(c.r.PathValue("group"))
		ok = ok && c.belongsLocked(owner)
		c.h.mu.Unlock()
		if !ok {
			return 0, nil, absent("Group")
		}
		if team != "" {
			return http.StatusOK, listing{}, nil
		}
		return f.listProjects(c, owner)
	})
	for _, path := range []string{"GET /groups/{group}/members", "GET /groups/{group}/members/all"} {
		f.add(path, "user", f.groupMembers)
	}
}

// belongsLocked tells whether the caller may see that there is a group: as a member of any of its projects.
func (c *call) belongsLocked(owner *account) bool {
	for _, r := range c.h.repos {
		if r.owner == owner && c.h.permissionLocked(r, c.by).rank() > 0 {
			return true
		}
	}
	return false
}

// listProjects lists by id, the newest first unless asked otherwise.
func (f *gitLabFace) listProjects(c *call, owner *account) (int, any, error) {
	query := c.r.URL.Query()
	least, _ := strconv.Atoi(query.Get("min_access_level"))
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	var found []*repo
	for _, r := range c.h.repos {
		level := gitLabAccess(c.h.permissionLocked(r, c.by))
		switch {
		case owner != nil && r.owner != owner, !c.readsLocked(r), level < least, yes(query.Get("membership")) && level == 0:
		case query.Has("archived") && yes(query.Get("archived")) != r.archived:
		case query.Get("search") != "" && !strings.Contains(strings.ToLower(r.name), strings.ToLower(query.Get("search"))):
		default:
			found = append(found, r)
		}
	}
	after, _ := strconv.ParseInt(query.Get("id_after"), 10, 64)
	slices.SortFunc(found, func(a, b *repo) int {
		if query.Get("sort") == "asc" {
			return cmp.Compare(a.id, b.id)
		}
		return cmp.Compare(b.id, a.id)
	})
	items := []any{}
	for _, r := range found {
		if r.id > after {
			items = append(items, f.project(r, c.by))
		}
	}
	return http.StatusOK, listing{items: items}, nil
}

func (f *gitLabFace) listMembers(c *call) (int, any, error) {
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	items := []any{}
	for _, key := range sortedKeys(c.h.accounts) {
		a := c.h.accounts[key]
		if a.kind != kindOrg && c.h.permissionLocked(c.repo, a).rank() > 0 && strings.Contains(key, strings.ToLower(c.r.URL.Query().Get("query"))) {
			items = append(items, f.member(c.repo, a))
		}
	}
	return http.StatusOK, listing{items: items}, nil
}

func (f *gitLabFace) groupMembers(c *call) (int, any, error) {
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	owner, team, ok := c.h.groupLocked(c.r.PathValue("group"))
	if !ok || !c.belongsLocked(owner) {
		return 0, nil, absent("Group")
	}
	items := []any{}
	for _, a := range c.h.teams[strings.ToLower(owner.login+"/"+team)] {
		body, _ := f.user(a).(obj)
		body["access_level"], body["created_at"], body["expires_at"] = 30, gitLabTime(time.Unix(0, 0)), nil
		items = append(items, body)
	}
	return http.StatusOK, listing{items: items}, nil
}
