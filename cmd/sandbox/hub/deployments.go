package hub

import (
	"fmt"
	"slices"
	"time"
)

// deployment is one rollout as the forge records it.
type deployment struct {
	id          int64
	sha, ref    string
	environment string
	description string
	production  bool
	payload     any
	creator     *account
	createdAt   time.Time
	updatedAt   time.Time
	statuses    []*deploymentStatus // oldest first
}

type deploymentStatus struct {
	id                 int64
	state, description string
	logURL, envURL     string
	creator            *account
	at                 time.Time
}

func (d *deployment) state() string {
	if len(d.statuses) == 0 {
		return "pending"
	}
	return d.statuses[len(d.statuses)-1].state
}

// Deployment is a rollout as the forge shows it.
type Deployment struct {
	ID               int64
	Environment, SHA string
	State            string // the newest status: pending, in_progress, success, failure, inactive …
	LogURL           string
}

// Deployments returns a repository's deployments, oldest first.
func (h *Hub) Deployments(fullName string) ([]Deployment, error) {
	var views []Deployment
	err := h.change(fullName, func(r *repo) error {
		for _, d := range r.deployments {
			view := Deployment{ID: d.id, Environment: d.environment, SHA: d.sha, State: d.state()}
			if len(d.statuses) > 0 {
				view.LogURL = d.statuses[len(d.statuses)-1].logURL
			}
			views = append(views, view)
		}
		return nil
	})
	return views, err
}

// Deploy records a deployment of a commit by a person, without running anything, and returns its id.
func (h *Hub) Deploy(fullName, person, environment, sha string) (int64, error) {
	var id int64
	err := h.change(fullName, func(r *repo) error {
		by, err := h.writerLocked(r, person)
		if err != nil {
			return err
		}
		id = h.deployLocked(r, by, deployment{sha: sha, ref: sha, environment: environment}).id
		return nil
	})
	return id, err
}

// SetDeploymentState adds a status to a deployment as a person: in_progress, success, failure …
func (h *Hub) SetDeploymentState(fullName, person string, id int64, state string) error {
	return h.change(fullName, func(r *repo) error {
		by, err := h.writerLocked(r, person)
		if err != nil {
			return err
		}
		d := r.deployment(id)
		if d == nil {
			return missing()
		}
		_, err = h.deployStatusLocked(r, d, deploymentStatus{state: state, creator: by})
		return err
	})
}

func (r *repo) deployment(id int64) *deployment {
	for _, d := range r.deployments {
		if d.id == id {
			return d
		}
	}
	return nil
}

func (h *Hub) deployLocked(r *repo, by *account, d deployment) *deployment {
	if d.environment == "" {
		d.environment = "production"
	}
	d.id, d.creator, d.createdAt, d.updatedAt = h.idLocked(), by, h.stamp(), h.stamp()
	d.production = d.production || d.environment == "production"
	r.deployments = append(r.deployments, &d)
	h.emitLocked(event{kind: deploymentEvent, action: "created", repo: r, actor: by, deployment: &d})
	return &d
}

// deployStatusLocked adds a status. As GitHub does, a success makes earlier deployments of the same environment inactive, but not
// those of production.
func (h *Hub) deployStatusLocked(r *repo, d *deployment, status deploymentStatus) (*deploymentStatus, error) {
	states := []string{"error", "failure", "inactive", "in_progress", "queued", "pending", "success"}
	if !slices.Contains(states, status.state) {
		return nil, validation(fieldProblem{Resource: "DeploymentStatus", Code: "invalid", Field: "state", Message: fmt.Sprintf("%q is no state", status.state)})
	}
	h.addStatusLocked(r, d, status)
	added := d.statuses[len(d.statuses)-1]
	if status.state == "success" && !d.production && !r.gitLab {
		for _, older := range r.deployments {
			if older != d && older.id < d.id && older.environment == d.environment && older.state() == "success" {
				h.addStatusLocked(r, older, deploymentStatus{state: "inactive", creator: status.creator})
			}
		}
	}
	return added, nil
}

func (h *Hub) addStatusLocked(r *repo, d *deployment, status deploymentStatus) {
	status.id, status.at = h.idLocked(), h.stamp()
	d.updatedAt = status.at
	d.statuses = append(d.statuses, &status)
	if status.state == "inactive" {
		return // GitHub tells nobody of these
	}
	h.emitLocked(event{kind: deploymentStatusEvent, action: "created", repo: r, actor: status.creator, deployment: d, deployed: &status})
}
