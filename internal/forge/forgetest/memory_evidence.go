package forgetest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/boatlift/boatlift/internal/forge"
)

// run is one run of a workflow.
type run struct {
	forge.Deployment
	branch string
}

// StartRun records that a push to a branch began a run of a workflow, and returns the run's id. A workflow is known from its first run.
func (m *Memory) StartRun(repo forge.RepoID, workflow, branch, sha string) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.mustLocked(repo)
	m.deployments++
	now := m.nowLocked()
	r.runs = append(r.runs, &run{branch: branch, Deployment: forge.Deployment{
		ID: m.deployments, Environment: workflow, SHA: sha, State: forge.RolloutRunning,
		URL: fmt.Sprintf("%s/actions/runs/%d", r.WebURL, m.deployments), CreatedAt: now, UpdatedAt: now,
	}})
	return m.deployments
}

// SetRun records how a run went on.
func (m *Memory) SetRun(repo forge.RepoID, id int64, state forge.RolloutState) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.mustLocked(repo)
	i := slices.IndexFunc(r.runs, func(one *run) bool { return one.ID == id })
	if i < 0 {
		panic(fmt.Sprintf("forgetest: %s has no run %d", r.FullName, id))
	}
	r.runs[i].State, r.runs[i].UpdatedAt = state, m.nowLocked()
}

// Report sets a status, or a check run where a machine reports it, on a commit. It takes the place of what the same one said under the
// same name; of what persons said under a name only the newest stays.
func (m *Memory) Report(repo forge.RepoID, sha string, s forge.Status) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.mustLocked(repo)
	if s.At.IsZero() {
		s.At = m.nowLocked()
	}
	r.statuses[sha] = append(slices.DeleteFunc(r.statuses[sha], func(old forge.Status) bool {
		return old.Name == s.Name && old.By.Bot == s.By.Bot && (!s.By.Bot || old.By == s.By)
	}), s)
}

// Runs implements forge.Evidence.
func (m *Memory) Runs(ctx context.Context, repo forge.Repository, workflow, branch string, limit int) ([]forge.Deployment, error) {
	return call(ctx, m, Call{Method: "Runs", Repo: repo.ID, Detail: workflow + " " + branch}, func() ([]forge.Deployment, error) {
		r, err := m.reachLocked(repo.ID)
		if err != nil {
			return nil, err
		}
		known := false
		var list []forge.Deployment
		for _, one := range slices.Backward(r.runs) {
			if one.Environment != workflow {
				continue
			}
			known = true
			if one.branch == branch {
				list = append(list, one.Deployment)
			}
		}
		if !known {
			return nil, fmt.Errorf("%s has no workflow %s: %w", r.FullName, workflow, forge.ErrNotFound)
		}
		return list[:min(len(list), max(limit, 0))], nil
	})
}

// Statuses implements forge.Evidence.
func (m *Memory) Statuses(ctx context.Context, repo forge.Repository, sha string) ([]forge.Status, error) {
	return call(ctx, m, Call{Method: "Statuses", Repo: repo.ID, Detail: sha}, func() ([]forge.Status, error) {
		r, err := m.reachLocked(repo.ID)
		if err != nil {
			return nil, err
		}
		list := slices.Clone(r.statuses[sha])
		for _, c := range r.checks {
			if c.HeadSHA == sha {
				list = append(list, forge.Status{
					Name: c.Name, State: forge.StatusState(c.Conclusion), URL: c.DetailsURL,
					By: forge.Actor{Login: strings.TrimSuffix(m.options.Self.Login, "[bot]"), Bot: true, Self: true},
				})
			}
		}
		slices.SortStableFunc(list, func(a, b forge.Status) int {
			return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.By.Login, b.By.Login))
		})
		return list, nil
	})
}
