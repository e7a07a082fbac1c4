package github

import (
	"cmp"
	"context"
	"slices"

	gh "github.com/google/go-github/v60/github"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/wire"
)

// maxDeploymentPages is how far back is looked, should a server not filter by environment.
const maxDeploymentPages = 10

// Deployments implements forge.Rollouts. The state of each is a request of its own, so a small limit is a kindness.
func (f *Forge) Deployments(ctx context.Context, repo forge.Repository, environment string, limit int) ([]forge.Deployment, error) {
	if limit <= 0 {
		return nil, nil
	}
	var list []forge.Deployment
	err := f.in(ctx, repo, "list the deployments to "+wire.Clean(environment, 100), func(t target) error {
		list = nil
		options := &gh.DeploymentsListOptions{
			Environment: environment, ListOptions: gh.ListOptions{Page: 1, PerPage: min(limit, pageSize)},
		}
		for range maxDeploymentPages {
			found, response, err := t.Repositories.ListDeployments(ctx, t.owner, t.name, options)
			if err != nil {
				return err
			}
			for _, d := range found {
				if d.GetEnvironment() != environment || len(list) == limit {
					continue
				}
				deployment, err := readDeployment(ctx, t, d)
				if err != nil {
					return err
				}
				list = append(list, deployment)
			}
			if len(list) == limit || response.NextPage <= options.Page {
				break
			}
			options.Page = response.NextPage
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(list, func(a, b forge.Deployment) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(b.ID, a.ID))
	})
	return list, nil
}

func readDeployment(ctx context.Context, t target, d *gh.Deployment) (forge.Deployment, error) {
	deployment := forge.Deployment{
		ID: d.GetID(), Environment: d.GetEnvironment(), SHA: d.GetSHA(),
		CreatedAt: moment(d.CreatedAt), UpdatedAt: moment(d.UpdatedAt),
	}
	statuses, _, err := t.Repositories.ListDeploymentStatuses(ctx, t.owner, t.name, d.GetID(), &gh.ListOptions{PerPage: pageSize})
	if err != nil {
		return forge.Deployment{}, err
	}
	slices.SortStableFunc(statuses, func(a, b *gh.DeploymentStatus) int {
		return cmp.Or(moment(b.CreatedAt).Compare(moment(a.CreatedAt)), cmp.Compare(b.GetID(), a.GetID()))
	})
	state, told := rolloutState(statuses)
	deployment.State = state
	if told != nil {
		deployment.URL = wire.Link(told.GetLogURL())
		if deployment.URL == "" {
			deployment.URL = wire.Link(told.GetTargetURL())
		}
		if at := moment(told.CreatedAt); at.After(deployment.UpdatedAt) {
			deployment.UpdatedAt = at
		}
	}
	return deployment, nil
}

// rolloutState finds what a deployment came to in its statuses, newest first, and the status that told. GitHub marks older
// deployments inactive when a newer one succeeds; so inactive says nothing about how it went, and what was before it does. One that
// went inactive while it ran never came to an end.
func rolloutState(statuses []*gh.DeploymentStatus) (forge.RolloutState, *gh.DeploymentStatus) {
	inactive := false
	for _, s := range statuses {
		switch s.GetState() {
		case "inactive":
			inactive = true
			continue
		case "success":
			return forge.RolloutSucceeded, s
		case "failure", "error":
			return forge.RolloutFailed, s
		case "queued", "pending", "in_progress", "waiting":
			if inactive {
				return forge.RolloutUnknown, s
			}
			return forge.RolloutRunning, s
		}
		return forge.RolloutUnknown, s
	}
	if inactive {
		return forge.RolloutUnknown, statuses[0]
	}
	return forge.RolloutRunning, nil // nothing was told yet
}
