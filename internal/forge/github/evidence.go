package github

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	gh "github.com/google/go-github/v60/github"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/wire"
)

// maxRunPages is how far back is looked, should a server not filter by branch and event.
const maxRunPages = 10

// Runs implements forge.Evidence. It needs the permission actions: read.
func (f *Forge) Runs(ctx context.Context, repo forge.Repository, workflow, branch string, limit int) ([]forge.Deployment, error) {
	if limit <= 0 {
		return nil, nil
	}
	var list []forge.Deployment
	err := f.in(ctx, repo, "list the runs of "+wire.Clean(workflow, 100), func(t target) error {
		list = nil
		options := &gh.ListWorkflowRunsOptions{
			Branch: branch, Event: "push", ExcludePullRequests: true, ListOptions: gh.ListOptions{Page: 1, PerPage: min(limit, pageSize)},
		}
		for range maxRunPages {
			found, response, err := t.Actions.ListWorkflowRunsByFileName(ctx, t.owner, t.name, workflow, options)
			if err != nil {
				return err
			}
			for _, run := range found.WorkflowRuns {
				if run.GetHeadBranch() == branch && run.GetEvent() == "push" && len(list) < limit {
					list = append(list, deploymentOf(run, workflow))
				}
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

// deploymentOf is a run as a deployment. Runs that are repeated keep their id and the moment at which they were first begun.
func deploymentOf(run *gh.WorkflowRun, workflow string) forge.Deployment {
	updated := moment(run.UpdatedAt)
	if started := moment(run.RunStartedAt); started.After(updated) {
		updated = started
	}
	return forge.Deployment{
		ID: run.GetID(), Environment: workflow, SHA: run.GetHeadSHA(), State: runResult(run.GetStatus(), run.GetConclusion()),
		URL: wire.Link(run.GetHTMLURL()), CreatedAt: moment(run.CreatedAt), UpdatedAt: updated,
	}
}

// runResult is what a run came to. One that was cancelled, as a concurrency group does with those that wait, may have applied all,
// something or nothing.
func runResult(status, conclusion string) forge.RolloutState {
	switch status {
	case "queued", "in_progress", "requested", "waiting", "pending":
		return forge.RolloutRunning
	case "completed":
	default:
		return forge.RolloutUnknown
	}
	switch conclusion {
	case "success":
		return forge.RolloutSucceeded
	case "failure", "timed_out", "startup_failure":
		return forge.RolloutFailed
	}
	return forge.RolloutUnknown
}

// Statuses implements forge.Evidence. It needs the permissions checks: read and statuses: read. Of a context that several set GitHub
// keeps the newest word, whoever said it; check runs are each App's own.
func (f *Forge) Statuses(ctx context.Context, repo forge.Repository, sha string) ([]forge.Status, error) {
	doing := "list the statuses of " + wire.Clean(sha, 12)
	if !wire.IsCommit(sha) {
		return nil, &wire.Error{Doing: doing, Message: "the commit is not named by its full hash", Kind: forge.ErrRefused}
	}
	self, err := f.whoami(ctx, doing)
	if err != nil {
		return nil, err
	}
	var list []forge.Status
	err = f.in(ctx, repo, doing, func(t target) error {
		runs, err := pages(func(page gh.ListOptions) ([]*gh.CheckRun, *gh.Response, error) {
			found, response, err := t.Checks.ListCheckRunsForRef(ctx, t.owner, t.name, sha, &gh.ListCheckRunsOptions{Filter: gh.String("latest"), ListOptions: page})
			if err != nil {
				return nil, response, err
			}
			return found.CheckRuns, response, nil
		})
		if err != nil {
			return err
		}
		statuses, err := pages(func(page gh.ListOptions) ([]*gh.RepoStatus, *gh.Response, error) {
			return t.Repositories.ListStatuses(ctx, t.owner, t.name, sha, &page)
		})
		if err != nil {
			return err
		}
		list = append(newestRuns(runs, f.appID), newestStatuses(statuses, self.Login)...)
		return nil
	})
	slices.SortFunc(list, func(a, b forge.Status) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.By.Login, b.By.Login))
	})
	return list, err
}

// newestRuns keeps the newest run of each name and App. A job that is run again is a new run; so is that of the same name in a workflow
// that another event began.
func newestRuns(runs []*gh.CheckRun, appID int64) []forge.Status {
	type key struct {
		name string
		app  int64
	}
	newest := map[key]*gh.CheckRun{}
	for _, run := range runs {
		k := key{run.GetName(), run.GetApp().GetID()}
		if was := newest[k]; was == nil || run.GetID() > was.GetID() {
			newest[k] = run
		}
	}
	list := make([]forge.Status, 0, len(newest))
	for k, run := range newest {
		s := forge.Status{
			Name: k.name, State: checkState(run.GetStatus(), run.GetConclusion()), URL: wire.Link(run.GetDetailsURL()), At: moment(run.StartedAt),
			By: forge.Actor{Login: run.GetApp().GetSlug(), Bot: true, Self: k.app == appID && appID != 0},
		}
		if s.URL == "" {
			s.URL = wire.Link(run.GetHTMLURL())
		}
		if done := moment(run.CompletedAt); done.After(s.At) {
			s.At = done
		}
		list = append(list, s)
	}
	return list
}

// newestStatuses keeps the newest status of each context.
func newestStatuses(statuses []*gh.RepoStatus, self string) []forge.Status {
	newest := map[string]*gh.RepoStatus{}
	at := func(s *gh.RepoStatus) time.Time { return moment(s.CreatedAt) }
	for _, s := range statuses {
		was := newest[s.GetContext()]
		if was == nil || cmp.Or(at(s).Compare(at(was)), cmp.Compare(s.GetID(), was.GetID())) > 0 {
			newest[s.GetContext()] = s
		}
	}
	list := make([]forge.Status, 0, len(newest))
	for name, s := range newest {
		list = append(list, forge.Status{
			Name: name, State: statusState(s.GetState()), URL: wire.Link(s.GetTargetURL()), At: at(s), By: actor(s.Creator, self),
		})
	}
	return list
}

// checkState is what a check run says. A conclusion that is not known is not green.
func checkState(status, conclusion string) forge.StatusState {
	if status != "completed" {
		return forge.StatusPending
	}
	switch conclusion {
	case "success":
		return forge.StatusSuccess
	case "neutral":
		return forge.StatusNeutral
	case "skipped":
		return forge.StatusSkipped
	}
	return forge.StatusFailure
}

func statusState(state string) forge.StatusState {
	switch state {
	case "success":
		return forge.StatusSuccess
	case "pending":
		return forge.StatusPending
	}
	return forge.StatusFailure
}
