package gitlab

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	gl "github.com/xanzy/go-gitlab"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/wire"
)

// maxRolloutPages is how far back is looked, should a server not filter.
const maxRolloutPages = 10

// Deployments implements forge.Rollouts.
func (f *Forge) Deployments(ctx context.Context, repo forge.Repository, environment string, limit int) ([]forge.Deployment, error) {
	if limit <= 0 {
		return nil, nil
	}
	options := &gl.ListProjectDeploymentsOptions{
		ListOptions: gl.ListOptions{Page: 1, PerPage: min(limit, pageSize)},
		Environment: &environment, OrderBy: gl.Ptr("id"), Sort: gl.Ptr("desc"),
	}
	var list []forge.Deployment
	for range maxRolloutPages {
		found, response, err := f.api.Deployments.ListProjectDeployments(int(repo.ID), options, with(ctx)...)
		if err != nil {
			return nil, f.about(repo, "list the deployments to "+wire.Clean(environment, 100), err)
		}
		for _, d := range found {
			if d.Environment == nil || d.Environment.Name != environment || len(list) == limit {
				continue
			}
			one := forge.Deployment{
				ID: int64(d.ID), Environment: environment, SHA: d.SHA, State: deploymentState(d.Status),
				CreatedAt: moment(d.CreatedAt), UpdatedAt: moment(d.UpdatedAt),
			}
			if d.Deployable.ID > 0 {
				one.URL = repo.WebURL + "/-/jobs/" + strconv.Itoa(d.Deployable.ID)
			}
			list = append(list, one)
		}
		if len(list) == limit || response.NextPage <= options.Page {
			break
		}
		options.Page = response.NextPage
	}
	slices.SortStableFunc(list, func(a, b forge.Deployment) int { return cmp.Compare(b.ID, a.ID) })
	return list, nil
}

// deploymentState is what a deployment came to. One that was cancelled or skipped may have applied all, something or nothing; one that is
// blocked waits for somebody's approval.
func deploymentState(status string) forge.RolloutState {
	switch status {
	case "created", "running", "blocked":
		return forge.RolloutRunning
	case "success":
		return forge.RolloutSucceeded
	case "failed":
		return forge.RolloutFailed
	}
	return forge.RolloutUnknown
}

// ciFile is by which name the pipeline of a project is meant, wherever its file lies.
const ciFile = ".gitlab-ci.yml"

// Runs implements forge.Evidence. GitLab has one pipeline per project, which may give each of its runs a name (workflow: name:). The file, or
// an empty workflow, means all of them; another one those of that name.
func (f *Forge) Runs(ctx context.Context, repo forge.Repository, workflow, branch string, limit int) ([]forge.Deployment, error) {
	if limit <= 0 {
		return nil, nil
	}
	doing := "list the pipelines of " + wire.Clean(branch, 100)
	options := &gl.ListProjectPipelinesOptions{
		ListOptions: gl.ListOptions{Page: 1, PerPage: min(limit, pageSize)},
		Ref:         &branch, Source: gl.Ptr("push"), OrderBy: gl.Ptr("id"), Sort: gl.Ptr("desc"),
	}
	named := workflow != "" && workflow != ciFile
	if named {
		options.Name = &workflow
	}
	var list []forge.Deployment
	for range maxRolloutPages {
		found, response, err := f.api.Pipelines.ListProjectPipelines(int(repo.ID), options, with(ctx)...)
		if err != nil {
			return nil, f.about(repo, doing, err)
		}
		for _, p := range found {
			if p.Ref != branch || p.Source != "push" || len(list) == limit {
				continue
			}
			list = append(list, forge.Deployment{
				ID: int64(p.ID), Environment: workflow, SHA: p.SHA, State: pipelineState(p.Status), URL: wire.Link(p.WebURL),
				CreatedAt: moment(p.CreatedAt), UpdatedAt: moment(p.UpdatedAt),
			})
		}
		if len(list) == limit || response.NextPage <= options.Page {
			break
		}
		options.Page = response.NextPage
	}
	if len(list) > 0 || !named {
		return list, nil
	}
	anywhere, _, err := f.api.Pipelines.ListProjectPipelines(int(repo.ID), &gl.ListProjectPipelinesOptions{
		ListOptions: gl.ListOptions{PerPage: 1}, Name: &workflow,
	}, with(ctx)...)
	switch {
	case err != nil:
		return nil, f.about(repo, doing, err)
	case len(anywhere) == 0:
		return nil, &wire.Error{Doing: doing, Message: "no pipeline is named " + wire.Clean(workflow, 100) + " (workflow: name: in .gitlab-ci.yml)", Kind: forge.ErrNotFound}
	}
	return nil, nil
}

// pipelineState is what a pipeline came to.
func pipelineState(status string) forge.RolloutState {
	switch status {
	case "created", "waiting_for_resource", "waiting_for_callback", "preparing", "pending", "running", "scheduled", "manual", "canceling":
		return forge.RolloutRunning
	case "success":
		return forge.RolloutSucceeded
	case "failed":
		return forge.RolloutFailed
	}
	return forge.RolloutUnknown
}

// Statuses implements forge.Evidence: jobs of pipelines, and what others reported from outside.
func (f *Forge) Statuses(ctx context.Context, repo forge.Repository, sha string) ([]forge.Status, error) {
	doing := "list the statuses of " + wire.Clean(sha, 12)
	if !wire.IsCommit(sha) {
		return nil, &wire.Error{Doing: doing, Message: "the commit is not named by its full hash", Kind: forge.ErrRefused}
	}
	self, err := f.whoami(ctx, doing)
	if err != nil {
		return nil, err
	}
	found, err := f.statuses(ctx, repo, sha, "")
	if err != nil {
		return nil, f.about(repo, doing, err)
	}
	type key struct {
		name string
		by   int
	}
	newest := map[key]*gl.CommitStatus{}
	for _, s := range found {
		k := key{s.Name, s.Author.ID}
		if was := newest[k]; was == nil || s.ID > was.ID {
			newest[k] = s
		}
	}
	list := make([]forge.Status, 0, len(newest))
	for _, s := range newest {
		by, err := f.decided(ctx, s.Author.ID, s.Author.Username, self)
		if err != nil {
			return nil, err
		}
		one := forge.Status{Name: s.Name, State: statusState(s), URL: wire.Link(s.TargetURL), By: by, At: moment(s.CreatedAt)}
		if done := moment(s.FinishedAt); done.After(one.At) {
			one.At = done
		}
		list = append(list, one)
	}
	slices.SortFunc(list, func(a, b forge.Status) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.By.Login, b.By.Login))
	})
	return list, nil
}

// statuses lists the newest statuses of a commit, of one name or of all. A commit without any answers like one that is not there.
func (f *Forge) statuses(ctx context.Context, repo forge.Repository, sha, name string) ([]*gl.CommitStatus, error) {
	options := &gl.GetCommitStatusesOptions{}
	if name != "" {
		options.Name = &name
	}
	return pages(func(page int, _ string) ([]*gl.CommitStatus, *gl.Response, error) {
		options.ListOptions = gl.ListOptions{Page: page, PerPage: pageSize}
		return f.api.Commits.GetCommitStatuses(int(repo.ID), sha, options, with(ctx)...)
	})
}

// statusState is what a job or a status says. What is not known is not green; what failed and may fail is neither green nor red.
func statusState(s *gl.CommitStatus) forge.StatusState {
	switch s.Status {
	case "created", "waiting_for_resource", "waiting_for_callback", "preparing", "pending", "running", "scheduled", "canceling":
		return forge.StatusPending
	case "success":
		return forge.StatusSuccess
	case "skipped":
		return forge.StatusSkipped
	case "manual":
		if s.AllowFailure {
			return forge.StatusSkipped // nobody has to start it
		}
		return forge.StatusPending
	}
	if s.AllowFailure {
		return forge.StatusNeutral
	}
	return forge.StatusFailure
}

// Queue implements forge.Queues. Merge trains are not driven, so no branch has a queue.
func (f *Forge) Queue(context.Context, forge.Repository, string) ([]forge.QueueEntry, error) {
	return nil, nil
}

// LeftQueue implements forge.Queues.
func (f *Forge) LeftQueue(context.Context, forge.Repository, int) (forge.Departure, error) {
	return forge.Departure{}, nil
}
