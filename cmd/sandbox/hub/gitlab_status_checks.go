package hub

import (
	"net/http"
	"time"
)

// statusCheck is an external status check of a project: somebody outside says of each merge request whether it passes.
type statusCheck struct {
	id        int64
	name, url string
	answers   map[string]string // merge request's id and head → passed or failed, or pending
}

// pendingFor is how long an external status check may be pending before it has failed.
const pendingFor = 2 * time.Minute

// AddStatusCheck gives a project an external status check, as its maintainer does in its settings.
func (h *Hub) AddStatusCheck(fullName, name, url string) error {
	return h.change(fullName, func(r *repo) error {
		r.statusChecks = append(r.statusChecks, &statusCheck{id: h.idLocked(), name: name, url: url, answers: map[string]string{}})
		return nil
	})
}

// StatusChecks tells how the external status checks stand on a merge request's head: passed, failed or pending, by their names.
func (h *Hub) StatusChecks(fullName string, number int) (map[string]string, error) {
	states := map[string]string{}
	err := h.change(fullName, func(r *repo) error {
		p, err := r.pull(number)
		if err != nil {
			return err
		}
		for _, check := range r.statusChecks {
			states[check.name] = h.statusCheckLocked(p, check)
		}
		return nil
	})
	return states, err
}

func (p *pull) checkKey() string { return itoa(p.id) + " " + p.headSHA }

// statusCheckLocked is how a check stands on a merge request's head.
func (h *Hub) statusCheckLocked(p *pull, check *statusCheck) string {
	if state := check.answers[p.checkKey()]; state != "" && state != "pending" {
		return state
	}
	if n := len(p.versions); n > 0 && h.now().Sub(p.versions[n-1].at) > pendingFor {
		return "failed"
	}
	return "pending"
}

func (f *gitLabFace) statusCheckRoutes() {
	licensed := func(serve route) route {
		return func(c *call) (int, any, error) {
			if c.h.opts.GitLab != Ultimate {
				return 0, nil, errUnauthorized
			}
			c.h.mu.Lock()
			defer c.h.mu.Unlock()
			return serve(c)
		}
	}
	f.add("GET /projects/{id}/external_status_checks", "maintain", licensed(func(c *call) (int, any, error) {
		items := []any{}
		for _, check := range c.repo.statusChecks {
			items = append(items, obj{"id": check.id, "name": check.name, "project_id": c.repo.id, "external_url": check.url, "hmac": false, "protected_branches": []any{}})
		}
		return http.StatusOK, listing{items: items}, nil
	}))
	f.add("GET /projects/{id}/merge_requests/{number}/status_checks", "read", licensed(func(c *call) (int, any, error) {
		p, err := c.mergeRequestLocked()
		if err != nil {
			return 0, nil, err
		}
		items := []any{}
		for _, check := range c.repo.statusChecks {
			items = append(items, obj{"id": check.id, "name": check.name, "external_url": check.url, "status": c.h.statusCheckLocked(p, check)})
		}
		return http.StatusOK, listing{items: items}, nil
	}))
	f.add("POST /projects/{id}/merge_requests/{number}/status_check_responses", "develop", licensed(func(c *call) (int, any, error) {
		var in struct {
			SHA    string `json:"sha"`
			Check  int64  `json:"external_status_check_id"`
			Status string `json:"status"`
		}
		if err := c.read(&in); err != nil {
			return 0, nil, err
		}
		p, err := c.mergeRequestLocked()
		switch {
		case err != nil:
			return 0, nil, err
		case in.SHA != p.headSHA:
			return 0, nil, says(http.StatusConflict, "409 SHA does not match HEAD of source branch")
		case in.Status != "passed" && in.Status != "failed" && in.Status != "pending":
			return 0, nil, &answer{http.StatusBadRequest, obj{"error": "status does not have a valid value"}}
		}
		for _, check := range c.repo.statusChecks {
			if check.id == in.Check {
				check.answers[p.checkKey()] = in.Status
				c.h.touchLocked(p)
				return http.StatusCreated, obj{
					"id": c.h.idLocked(), "merge_request": obj{"id": p.id, "iid": p.number, "project_id": c.repo.id},
					"external_status_check": obj{"id": check.id, "name": check.name, "external_url": check.url},
				}, nil
			}
		}
		return 0, nil, says(http.StatusNotFound, "404 Not found")
	}))
}
