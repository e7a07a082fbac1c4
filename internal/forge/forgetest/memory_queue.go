package forgetest

import (
	"context"
	"fmt"
	"slices"

	"github.com/boatlift/boatlift/internal/forge"
)

// queue is the merge queue of a branch.
type queue struct {
	branch  string
	base    string // the commit of the branch that the entries were made on
	entries []*queued
}

type queued struct {
	pull *pull
	forge.QueueEntry
}

// SetQueue gives a branch a merge queue: whoever merges onto it enters the queue instead. ProcessQueue lets it go on.
func (m *Memory) SetQueue(repo forge.RepoID, branch string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.mustLocked(repo)
	r.queues = append(r.queues, &queue{branch: branch})
}

func (r *repository) queueOf(branch string) *queue {
	for _, q := range r.queues {
		if q.branch == branch {
			return q
		}
	}
	return nil
}

func (q *queue) index(p *pull) int {
	return slices.IndexFunc(q.entries, func(e *queued) bool { return e.pull == p })
}

// enqueueLocked puts a pull request that may be merged into the queue.
func (m *Memory) enqueueLocked(r *repository, q *queue, p *pull) error {
	if q.index(p) < 0 {
		q.entries = append(q.entries, &queued{pull: p, QueueEntry: forge.QueueEntry{Number: p.Number, At: m.nowLocked()}})
		if err := m.regroupLocked(r, q); err != nil {
			return err
		}
	}
	return fmt.Errorf("merge pull request %d of %s: %w", p.Number, r.FullName, forge.ErrQueued)
}

// regroupLocked makes the commits of a queue anew: each entry's on the one before, the first on the branch. An entry that conflicts leaves.
func (m *Memory) regroupLocked(r *repository, q *queue) error {
	base, _ := m.headLocked(r, q.branch)
	on := base
	q.base = base
	for i := 0; i < len(q.entries); {
		e := q.entries[i]
		if e.HeadSHA != "" && e.BaseSHA == on {
			on = e.HeadSHA
			i++
			continue
		}
		sha, err := m.groupLocked(r, e.pull, on)
		if err != nil {
			q.entries = slices.Delete(q.entries, i, i+1)
			e.pull.left = forge.Departure{At: m.nowLocked(), Reason: "MERGE_CONFLICT"}
			continue
		}
		e.HeadSHA, e.BaseSHA = sha, on
		on = sha
		i++
	}
	return nil
}

// groupLocked makes the commit that a base would get.
func (m *Memory) groupLocked(r *repository, p *pull, on string) (string, error) {
	if hook := m.options.OnQueue; hook != nil {
		pr := m.singleLocked(r, p)
		m.mu.Unlock()
		defer m.mu.Lock()
		return hook(r.ID, pr, on)
	}
	if m.compareLocked(r, on, p.HeadSHA).Conflict {
		return "", fmt.Errorf("pull request %d: %w", p.Number, forge.ErrNotMergeable)
	}
	branch := fmt.Sprintf("gh-readonly-queue/%s/pr-%d-%s", p.BaseBranch, p.Number, on)
	r.history.branches[branch] = on
	return r.history.merge(branch, p.HeadSHA, r.MergeMethod), nil
}

// ProcessQueue lets the queue of a branch go on: what is first and has all required checks green is merged, what has a red one leaves.
// It returns how many were merged.
func (m *Memory) ProcessQueue(repo forge.RepoID, branch string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.mustLocked(repo)
	m.syncLocked(r)
	q := r.queueOf(branch)
	merged := 0
	for q != nil && len(q.entries) > 0 {
		if base, _ := m.headLocked(r, branch); base != q.base {
			_ = m.regroupLocked(r, q) // conflicts leave the queue
			continue
		}
		first := q.entries[0]
		state := r.requiredLocked(branch, first.HeadSHA)
		if state == forge.Pending {
			return merged
		}
		q.entries = q.entries[1:]
		if state == forge.Failure {
			first.pull.left = forge.Departure{At: m.nowLocked(), Reason: "CI_FAILURE"}
		} else {
			m.changingLocked(r)
			m.advanceLocked(r, q, first)
			merged++
		}
		_ = m.regroupLocked(r, q) // conflicts leave the queue
	}
	return merged
}

// advanceLocked gives the branch the commit of an entry.
func (m *Memory) advanceLocked(r *repository, q *queue, e *queued) {
	if hook := m.options.OnAdvance; hook != nil {
		m.mu.Unlock()
		hook(r.ID, q.branch, e.HeadSHA)
		m.mu.Lock()
	} else {
		r.history.branches[q.branch] = e.HeadSHA
	}
	q.base = e.HeadSHA
	now, by, p := m.nowLocked(), forge.Actor{Login: "github-merge-queue[bot]", Bot: true}, e.pull
	p.State, p.MergedAt, p.ClosedAt, p.UpdatedAt = forge.Merged, now, now, now
	p.MergedBy, p.ClosedBy, p.MergeCommit = by, by, e.HeadSHA
}

// requiredLocked is what the required checks of a branch say of a commit together.
func (r *repository) requiredLocked(branch, sha string) forge.Conclusion {
	all := forge.Success
	for _, name := range r.required[branch] {
		i := slices.IndexFunc(r.checks, func(c forge.Check) bool { return c.HeadSHA == sha && c.Name == name })
		switch {
		case i < 0 || r.checks[i].Conclusion == forge.Pending:
			if all == forge.Success {
				all = forge.Pending
			}
		case r.checks[i].Conclusion == forge.Failure:
			all = forge.Failure
		}
	}
	return all
}

// Dequeue takes a pull request out of its queue, as a person does.
func (p Person) Dequeue(repo forge.RepoID, number int) error {
	return p.act(repo, number, func(r *repository, pr *pull) error {
		q := r.queueOf(pr.BaseBranch)
		if q == nil || q.index(pr) < 0 {
			return fmt.Errorf("take pull request %d out of the queue: it is not there: %w", number, forge.ErrRefused)
		}
		q.entries = slices.Delete(q.entries, q.index(pr), q.index(pr)+1)
		pr.left = forge.Departure{At: p.m.nowLocked(), Reason: "MANUAL", By: p.actor}
		return p.m.regroupLocked(r, q)
	})
}

// leaveLocked takes pull requests out of the queues that cannot stay: closed ones, and those whose head moved.
func (m *Memory) leaveLocked(r *repository) {
	for _, q := range r.queues {
		q.entries = slices.DeleteFunc(q.entries, func(e *queued) bool { return e.pull.State != forge.Open })
	}
}

// Queue implements forge.Queues.
func (m *Memory) Queue(ctx context.Context, repo forge.Repository, branch string) ([]forge.QueueEntry, error) {
	return call(ctx, m, Call{Method: "Queue", Repo: repo.ID, Detail: branch}, func() ([]forge.QueueEntry, error) {
		r, err := m.reachLocked(repo.ID)
		if err != nil {
			return nil, err
		}
		m.syncLocked(r)
		m.leaveLocked(r)
		var entries []forge.QueueEntry
		if q := r.queueOf(branch); q != nil {
			for _, e := range q.entries {
				entries = append(entries, e.QueueEntry)
			}
		}
		return entries, nil
	})
}

// LeftQueue implements forge.Queues.
func (m *Memory) LeftQueue(ctx context.Context, repo forge.Repository, number int) (forge.Departure, error) {
	return call(ctx, m, Call{Method: "LeftQueue", Repo: repo.ID, Number: number}, func() (forge.Departure, error) {
		_, p, err := m.findLocked(repo.ID, number, m.reachLocked)
		if err != nil {
			return forge.Departure{}, err
		}
		return p.left, nil
	})
}
