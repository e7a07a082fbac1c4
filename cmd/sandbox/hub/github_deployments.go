package hub

import (
	"net/http"
	"slices"
)

func (f *githubFace) deploymentRoutes() {
	f.add("GET /repos/{owner}/{repo}/deployments", "deployments:read", f.listDeployments)
	f.add("POST /repos/{owner}/{repo}/deployments", "deployments:write", f.createDeployment)
	f.add("GET /repos/{owner}/{repo}/deployments/{id}", "deployments:read", about((*call).deploymentLocked, func(c *call, d *deployment) (int, any, error) {
		return http.StatusOK, f.deployment(c.repo, d), nil
	}))
	f.add("GET /repos/{owner}/{repo}/deployments/{id}/statuses", "deployments:read", f.listDeploymentStatuses)
	f.add("POST /repos/{owner}/{repo}/deployments/{id}/statuses", "deployments:write", f.createDeploymentStatus)
}

func (c *call) deploymentLocked() (*deployment, error) {
	id, err := c.number("id")
	if err != nil {
		return nil, err
	}
	d := c.repo.deployment(id)
	if d == nil {
		return nil, missing()
	}
	return d, nil
}

func (f *githubFace) listDeployments(c *call) (int, any, error) {
	query := c.r.URL.Query()
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	var items []any
	for _, d := range slices.Backward(c.repo.deployments) {
		switch {
		case query.Get("environment") != "" && d.environment != query.Get("environment"):
		case query.Get("sha") != "" && d.sha != query.Get("sha"):
		case query.Get("ref") != "" && d.ref != query.Get("ref"):
		default:
			items = append(items, f.deployment(c.repo, d))
		}
	}
	return http.StatusOK, listing{items: items}, nil
}

func (f *githubFace) createDeployment(c *call) (int, any, error) {
	var in struct {
		Ref, Environment, Description string
		Payload                       any
		Production                    *bool     `json:"production_environment"`
		RequiredContexts              *[]string `json:"required_contexts"`
	}
	if err := c.read(&in); err != nil {
		return 0, nil, err
	}
	if in.Ref == "" {
		return 0, nil, validation(fieldProblem{Resource: "Deployment", Code: "missing_field", Field: "ref"})
	}
	sha, ok := c.repo.bare.commitID(c.r.Context(), in.Ref)
	if !ok {
		return 0, nil, refuse(invalid, "No ref found for: "+in.Ref)
	}
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	d := deployment{sha: sha, ref: in.Ref, environment: in.Environment, description: in.Description, payload: in.Payload}
	if in.Production != nil {
		d.production = *in.Production
	}
	return http.StatusCreated, f.deployment(c.repo, c.h.deployLocked(c.repo, c.by, d)), nil
}

func (f *githubFace) listDeploymentStatuses(c *call) (int, any, error) {
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	d, err := c.deploymentLocked()
	if err != nil {
		return 0, nil, err
	}
	var items []any
	for _, status := range slices.Backward(d.statuses) {
		items = append(items, f.deploymentStatus(c.repo, d, status))
	}
	return http.StatusOK, listing{items: items}, nil
}

func (f *githubFace) createDeploymentStatus(c *call) (int, any, error) {
	var in struct {
		State, Description string
		LogURL             string `json:"log_url"`
		TargetURL          string `json:"target_url"`
		EnvironmentURL     string `json:"environment_url"`
	}
	if err := c.read(&in); err != nil {
		return 0, nil, err
	}
	if in.LogURL == "" {
		in.LogURL = in.TargetURL
	}
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	d, err := c.deploymentLocked()
	if err != nil {
		return 0, nil, err
	}
	status, err := c.h.deployStatusLocked(c.repo, d, deploymentStatus{
		state: in.State, description: in.Description, logURL: in.LogURL, envURL: in.EnvironmentURL, creator: c.by,
	})
	if err != nil {
		return 0, nil, err
	}
	return http.StatusCreated, f.deploymentStatus(c.repo, d, status), nil
}
