package hub

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

func (f *githubFace) appRoutes() {
	f.add("GET /app", "app", func(c *call) (int, any, error) {
		c.h.mu.Lock()
		defer c.h.mu.Unlock()
		body := f.app()
		body["installations_count"] = len(c.h.installations)
		return http.StatusOK, body, nil
	})
	f.add("GET /app/installations", "app", f.listInstallations)
	f.add("GET /app/installations/{id}", "app", about((*call).installationLocked, func(c *call, inst *installation) (int, any, error) {
		return http.StatusOK, f.installation(inst), nil
	}))
	f.add("POST /app/installations/{id}/access_tokens", "app", f.createToken)
	f.add("DELETE /installation/token", "any", func(c *call) (int, any, error) {
		c.h.mu.Lock()
		defer c.h.mu.Unlock()
		if c.who.token == nil {
			return 0, nil, refuse(forbidden, "Resource not accessible by personal access token")
		}
		delete(c.h.tokens, c.who.token.text)
		return http.StatusNoContent, nil, nil
	})
	f.add("GET /installation/repositories", "any", f.listInstallationRepos)
	f.add("GET /repos/{owner}/{repo}/installation", "app", func(c *call) (int, any, error) {
		c.h.mu.Lock()
		defer c.h.mu.Unlock()
		inst := c.h.installationOfLocked(c.repo)
		if inst == nil {
			return 0, nil, missing()
		}
		return http.StatusOK, f.installation(inst), nil
	})
	f.add("GET /app/hook/config", "app", func(c *call) (int, any, error) {
		c.h.mu.Lock()
		defer c.h.mu.Unlock()
		config := obj{"content_type": "json", "insecure_ssl": "0"}
		if c.h.webhook.URL != "" {
			config["url"], config["secret"] = c.h.webhook.URL, "********"
		}
		return http.StatusOK, config, nil
	})
	f.add("GET /app/hook/deliveries", "app", f.listDeliveries)
	f.add("GET /app/hook/deliveries/{id}", "app", about((*call).deliveryLocked, func(c *call, d *delivery) (int, any, error) {
		return http.StatusOK, f.fullDelivery(d), nil
	}))
	f.add("POST /app/hook/deliveries/{id}/attempts", "app", about((*call).deliveryLocked, func(c *call, d *delivery) (int, any, error) {
		c.h.redeliverLocked(d)
		return http.StatusAccepted, obj{}, nil
	}))
	user := func(c *call, a *account) (int, any, error) {
		if a == nil {
			return 0, nil, missing()
		}
		body, _ := f.account(a).(obj)
		for _, unknown := range []string{"email", "company", "blog", "location", "hireable", "bio"} {
			body[unknown] = nil
		}
		for _, none := range []string{"public_repos", "public_gists", "followers", "following"} {
			body[none] = 0
		}
		body["name"], body["user_view_type"] = a.login, "public"
		body["created_at"], body["updated_at"] = when(time.Unix(0, 0)), when(time.Unix(0, 0))
		return http.StatusOK, body, nil
	}
	f.add("GET /users/{login}", "any", func(c *call) (int, any, error) {
		c.h.mu.Lock()
		defer c.h.mu.Unlock()
		return user(c, c.h.accounts[strings.ToLower(c.r.PathValue("login"))])
	})
	f.add("GET /user", "any", func(c *call) (int, any, error) {
		c.h.mu.Lock()
		defer c.h.mu.Unlock()
		if c.who.person == nil {
			return 0, nil, refuse(forbidden, "Resource not accessible by integration")
		}
		return user(c, c.who.person)
	})
	f.add("GET /user/repos", "any", f.listUserRepos)
	f.add("GET /meta", "any", func(*call) (int, any, error) {
		return http.StatusOK, obj{"verifiable_password_authentication": false}, nil
	})
	f.add("GET /rate_limit", "any", func(c *call) (int, any, error) {
		core := obj{"limit": hourlyLimit, "remaining": hourlyLimit, "used": 0, "reset": c.h.now().Unix() + 3600}
		return http.StatusOK, obj{"resources": obj{"core": core}, "rate": core}, nil
	})
}

// listUserRepos lists what the caller was let into; what anybody may read is not among it.
func (f *githubFace) listUserRepos(c *call) (int, any, error) {
	h := c.h
	h.mu.Lock()
	defer h.mu.Unlock()
	if c.who.person == nil {
		return 0, nil, refuse(forbidden, "Resource not accessible by integration")
	}
	var items []any
	for _, id := range slices.Sorted(maps.Keys(h.repos)) {
		if r := h.repos[id]; h.permissionLocked(r, c.who.person).rank() > NoPermission.rank() && c.who.personal.sees(r) {
			items = append(items, c.permitted(r, f.repo(r)))
		}
	}
	return http.StatusOK, listing{items: items}, nil
}

func (c *call) installationLocked() (*installation, error) {
	id, err := c.number("id")
	if err != nil {
		return nil, err
	}
	inst := c.h.installations[id]
	if inst == nil {
		return nil, missing()
	}
	return inst, nil
}

func (f *githubFace) listInstallations(c *call) (int, any, error) {
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	var items []any
	for _, id := range slices.Sorted(maps.Keys(c.h.installations)) {
		items = append(items, f.installation(c.h.installations[id]))
	}
	return http.StatusOK, listing{items: items}, nil
}

// createToken mints an installation token: one hour, narrowed to repositories and permissions where asked, never widened.
func (f *githubFace) createToken(c *call) (int, any, error) {
	var in struct {
		RepositoryIDs []int64           `json:"repository_ids"`
		Repositories  []string          `json:"repositories"`
		Permissions   map[string]string `json:"permissions"`
	}
	if err := c.read(&in); err != nil {
		return 0, nil, err
	}
	h := c.h
	h.mu.Lock()
	defer h.mu.Unlock()
	inst, err := c.installationLocked()
	if err != nil {
		return 0, nil, err
	}
	if inst.suspended {
		return 0, nil, refuse(forbidden, "This installation has been suspended")
	}
	var repos map[int64]bool
	if len(in.RepositoryIDs)+len(in.Repositories) > 0 {
		repos = map[int64]bool{}
		for _, id := range in.RepositoryIDs {
			repos[id] = true
		}
		for _, name := range in.Repositories {
			if r, err := h.repoLocked(inst.account.login + "/" + name); err == nil {
				repos[r.id] = true
			}
		}
		for id := range repos {
			if !inst.repos[id] {
				return 0, nil, refuse(invalid, "There is at least one repository that does not exist or is not accessible to the parent installation.")
			}
		}
	}
	granted := h.appPermissions()
	for name, level := range in.Permissions {
		if granted[name] == "" || level == "write" && granted[name] != "write" {
			return 0, nil, refuse(invalid, "The permissions requested are not granted to this installation.")
		}
	}
	permissions := granted
	if len(in.Permissions) > 0 {
		permissions = maps.Clone(in.Permissions)
		permissions["metadata"] = "read"
	}
	long := h.opts.LongTokens || c.r.Header.Get("X-GitHub-Stateless-S2S-Token") == "enabled"
	t, err := h.mintLocked(inst, repos, permissions, long)
	if err != nil {
		return 0, nil, err
	}
	body := obj{"token": t.text, "expires_at": when(t.expires), "permissions": t.permissions, "repository_selection": "all"}
	if repos != nil || !inst.all {
		body["repository_selection"] = "selected"
	}
	if repos != nil {
		list := []any{}
		for id := range repos {
			list = append(list, f.repo(h.repos[id]))
		}
		body["repositories"] = list
	}
	return http.StatusCreated, body, nil
}

func (f *githubFace) listInstallationRepos(c *call) (int, any, error) {
	h := c.h
	h.mu.Lock()
	defer h.mu.Unlock()
	if c.who.token == nil {
		return 0, nil, refuse(forbidden, "Resource not accessible by personal access token")
	}
	var items []any
	for _, id := range slices.Sorted(maps.Keys(h.repos)) {
		if h.tokenSeesLocked(c.who.token, h.repos[id]) {
			items = append(items, c.permitted(h.repos[id], f.repo(h.repos[id])))
		}
	}
	return http.StatusOK, listing{key: "repositories", items: items}, nil
}

func (c *call) deliveryLocked() (*delivery, error) {
	id, err := c.number("id")
	if err != nil {
		return nil, err
	}
	for _, d := range c.h.deliveries {
		if d.id == id {
			return d, nil
		}
	}
	return nil, missing()
}

// listDeliveries pages by cursor, newest first, as GitHub does.
func (f *githubFace) listDeliveries(c *call) (int, any, error) {
	query := c.r.URL.Query()
	size := atoiOr(query.Get("per_page"), defaultPerPage)
	before := int64(atoiOr(strings.TrimPrefix(query.Get("cursor"), "v1_"), 0))
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	page := cursored{items: []any{}}
	for i := len(c.h.deliveries) - 1; i >= 0; i-- {
		d := c.h.deliveries[i]
		if before > 0 && int64(i) >= before || d.status == "" {
			continue
		}
		if query.Get("status") == "failure" && (d.code < 400 || d.code > 599) || query.Get("status") == "success" && d.status != "OK" {
			continue
		}
		if len(page.items) == min(size, maxPerPage) {
			page.next = "v1_" + itoa(int64(i+1))
			break
		}
		page.items = append(page.items, f.delivery(d))
	}
	return http.StatusOK, page, nil
}

func (f *githubFace) delivery(d *delivery) obj {
	body := obj{
		"id": d.id, "guid": d.guid, "delivered_at": when(d.at), "redelivery": d.redelivery, "duration": d.took.Seconds(), "status": d.status,
		"status_code": d.code, "event": d.event, "action": orNull(d.action), "installation_id": nil, "repository_id": nil, "throttled_at": nil,
	}
	if d.installationID != 0 {
		body["installation_id"] = d.installationID
	}
	if d.repoID != 0 {
		body["repository_id"] = d.repoID
	}
	return body
}

func (f *githubFace) fullDelivery(d *delivery) obj {
	body := f.delivery(d)
	headers := obj{}
	for key := range d.header {
		headers[key] = d.header.Get(key)
	}
	body["url"] = f.h.webhook.URL
	body["request"] = obj{"headers": headers, "payload": rawJSON(d.body)}
	body["response"] = obj{"headers": obj{}, "payload": string(d.answer)}
	return body
}
