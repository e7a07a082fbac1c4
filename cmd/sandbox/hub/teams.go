package hub

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// SetTeam gives a team, owner/name, its members. All of them must have accounts, or get one.
func (h *Hub) SetTeam(team string, members ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var accounts []*account
	for _, login := range members {
		accounts = append(accounts, h.accountLocked(login, kindUser))
	}
	h.teams[strings.ToLower(team)] = accounts
}

// Requested tells who is asked for a review and has not given one: people, and teams with their owner, sorted.
func (h *Hub) Requested(fullName string, number int) (asked []string, err error) {
	err = h.change(fullName, func(r *repo) error {
		p, err := r.pull(number)
		if err != nil {
			return err
		}
		for _, a := range p.reviewers {
			asked = append(asked, a.login)
		}
		for _, slug := range p.teams {
			asked = append(asked, r.owner.login+"/"+slug)
		}
		slices.Sort(asked)
		return nil
	})
	return asked, err
}

// activity is one push to a branch.
type activity struct {
	id            int64
	ref           string
	before, after string
	at            time.Time
	actor         *account
}

func (f *githubFace) teamRoutes() {
	f.add("GET /orgs/{org}/installation", "app", func(c *call) (int, any, error) {
		c.h.mu.Lock()
		defer c.h.mu.Unlock()
		inst, err := c.h.ownerInstallationLocked(c.r.PathValue("org"))
		if err != nil {
			return 0, nil, missing()
		}
		return http.StatusOK, f.installation(inst), nil
	})
	f.add("GET /orgs/{org}/teams/{slug}/members", "members:read", func(c *call) (int, any, error) {
		c.h.mu.Lock()
		defer c.h.mu.Unlock()
		org := c.r.PathValue("org")
		if t := c.who.token; t != nil && !strings.EqualFold(t.installation.account.login, org) {
			return 0, nil, missing()
		}
		members, ok := c.h.teams[strings.ToLower(org+"/"+c.r.PathValue("slug"))]
		if !ok {
			return 0, nil, missing()
		}
		var items []any
		for _, m := range members {
			items = append(items, f.account(m))
		}
		return http.StatusOK, listing{items: items}, nil
	})
	f.add("GET /repos/{owner}/{repo}/activity", "contents:read", f.listActivity)
}

// listActivity lists pushes, the newest first.
func (f *githubFace) listActivity(c *call) (int, any, error) {
	ref, err := url.QueryUnescape(c.r.URL.Query().Get("ref"))
	if err != nil {
		return 0, nil, validation(fieldProblem{Resource: "Activity", Code: "invalid", Field: "ref"})
	}
	if ref != "" && !strings.HasPrefix(ref, "refs/") {
		ref = "refs/heads/" + ref
	}
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	items := []any{}
	for _, a := range slices.Backward(c.repo.activity) {
		if ref != "" && a.ref != ref || len(items) == atoiOr(c.r.URL.Query().Get("per_page"), defaultPerPage) {
			continue
		}
		kind := "push"
		switch {
		case a.before == noObject:
			kind = "branch_creation"
		case a.after == noObject:
			kind = "branch_deletion"
		}
		items = append(items, obj{
			"id": a.id, "node_id": nodeID("PSH", a.id), "before": a.before, "after": a.after, "ref": a.ref, "timestamp": when(a.at),
			"activity_type": kind, "actor": f.account(a.actor),
		})
	}
	return http.StatusOK, items, nil
}
