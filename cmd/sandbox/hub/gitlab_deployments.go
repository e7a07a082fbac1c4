package hub

import (
	"net/http"
	"slices"
	"strings"
)

func (f *gitLabFace) deploymentRoutes() {
	f.add("GET /projects/{id}/deployments", "read", func(c *call) (int, any, error) {
		c.h.mu.Lock()
		defer c.h.mu.Unlock()
		query := c.r.URL.Query()
		is := func(name, value string) bool { return query.Get(name) == "" || query.Get(name) == value }
		list := slices.Clone(c.repo.deployments)
		if query.Get("sort") == "desc" { // without it the oldest comes first
			slices.Reverse(list)
		}
		items := []any{}
		for _, d := range list {
			if is("environment", d.environment) && is("status", gitLabDeployState(d)) {
				items = append(items, f.deployment(c.repo, d))
			}
		}
		return http.StatusOK, listing{items: items}, nil
	})
	f.add("GET /projects/{id}/deployments/{deployment}", "read", about((*call).gitLabDeploymentLocked, func(c *call, d *deployment) (int, any, error) {
		return http.StatusOK, f.deployment(c.repo, d), nil
	}))
	f.add("POST /projects/{id}/deployments", "develop", f.createDeployment)
	f.add("PUT /projects/{id}/deployments/{deployment}", "develop", func(c *call) (int, any, error) {
		var in struct{ Status string }
		if err := c.read(&in); err != nil {
			return 0, nil, err
		}
		c.h.mu.Lock()
		defer c.h.mu.Unlock()
		d, err := c.gitLabDeploymentLocked()
		if err != nil {
			return 0, nil, err
		}
		return f.deployState(c, d, in.Status, http.StatusOK)
	})
	f.add("GET /projects/{id}/environments", "read", func(c *call) (int, any, error) {
		c.h.mu.Lock()
		defer c.h.mu.Unlock()
		items := []any{}
		for _, name := range c.repo.environmentNames() {
			if want := c.r.URL.Query().Get("name"); want == "" || want == name {
				items = append(items, f.environment(c.repo, name))
			}
		}
		return http.StatusOK, listing{items: items}, nil
	})
}

// environmentNames lists the environments in the order in which they came to be; the place in it is an environment's id.
func (r *repo) environmentNames() []string {
	var names []string
	for _, env := range r.environments {
		names = append(names, env.Name)
	}
	for _, d := range r.deployments {
		if !slices.Contains(names, d.environment) {
			names = append(names, d.environment)
		}
	}
	return names
}

func (f *gitLabFace) environment(r *repo, name string) obj {
	tier := "other"
	if name == "production" {
		tier = "production"
	}
	return obj{
		"id": slices.Index(r.environmentNames(), name) + 1, "name": name, "slug": strings.ToLower(strings.ReplaceAll(name, "/", "-")), "external_url": nil,
		"created_at": gitLabTime(r.createdAt), "updated_at": gitLabTime(r.createdAt), "tier": tier, "state": "available",
	}
}

func gitLabDeployState(d *deployment) string {
	switch state := d.state(); state {
	case "pending", "queued":
		return "created"
	case "inactive":
		return "success"
	default:
		return gitLabStatus(state)
	}
}

func (f *gitLabFace) deployment(r *repo, d *deployment) obj {
	var job any
	for _, run := range r.runs {
		if run.deployment == d.id {
			job = obj{
				"id": run.suite, "status": gitLabDeployState(d), "stage": "deploy", "name": d.environment, "ref": d.ref, "tag": false, "coverage": nil,
				"created_at": gitLabTime(run.createdAt), "started_at": gitLabTime(run.startedAt), "finished_at": nil, "duration": nil, "user": f.user(run.actor),
				"commit": f.commit(r, run.head), "runner": nil,
				"pipeline": obj{
					"id": run.id, "sha": run.head.SHA, "ref": run.branch, "status": gitLabDeployState(d), "created_at": gitLabTime(run.createdAt), "updated_at": gitLabTime(run.updatedAt),
				},
			}
		}
	}
	return obj{
		"id": d.id, "iid": slices.Index(r.deployments, d) + 1, "ref": d.ref, "sha": d.sha, "status": gitLabDeployState(d), "created_at": gitLabTime(d.createdAt),
		"updated_at": gitLabTime(d.updatedAt), "user": f.user(d.creator), "environment": f.environment(r, d.environment), "deployable": job,
	}
}

func (f *gitLabFace) createDeployment(c *call) (int, any, error) {
	var in struct {
		Environment, SHA, Ref, Status string
		Tag                           bool
	}
	if err := c.read(&in); err != nil {
		return 0, nil, err
	}
	if sha, ok := c.repo.bare.commitID(c.r.Context(), in.SHA); !ok || sha != in.SHA {
		return 0, nil, absent("Commit")
	}
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	d := c.h.deployLocked(c.repo, c.by, deployment{sha: in.SHA, ref: in.Ref, environment: in.Environment})
	return f.deployState(c, d, in.Status, http.StatusCreated)
}

// deployState adds a state in GitLab's words.
func (f *gitLabFace) deployState(c *call, d *deployment, state string, code int) (int, any, error) {
	words := map[string]string{"created": "pending", "running": "in_progress", "success": "success", "failed": "failure", "canceled": "error"}
	if words[state] == "" {
		return 0, nil, &answer{http.StatusBadRequest, obj{"error": "status does not have a valid value"}}
	}
	if _, err := c.h.deployStatusLocked(c.repo, d, deploymentStatus{state: words[state], creator: c.by}); err != nil {
		return 0, nil, err
	}
	return code, f.deployment(c.repo, d), nil
}

// gitLabDeploymentLocked is the deployment that a path names.
func (c *call) gitLabDeploymentLocked() (*deployment, error) {
	id, err := c.number("deployment")
	d := c.repo.deployment(id)
	if err != nil || d == nil {
		return nil, absent("Deployment")
	}
	return d, nil
}
