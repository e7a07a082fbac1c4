package hub

import (
	"context"
	"slices"
	"time"
)

// workflow is a file under .github/workflows that has run.
type workflow struct {
	id        int64
	file      string
	runs      int // how many there were
	createdAt time.Time
}

// workflowRun is one run of a workflow.
type workflowRun struct {
	id, suite  int64
	workflow   *workflow
	number     int
	attempt    int
	head       *commitInfo // the commit it ran for
	branch     string
	status     string // requested, in_progress, completed
	conclusion string // empty until completed
	actor      *account
	createdAt  time.Time
	startedAt  time.Time // of the newest attempt
	updatedAt  time.Time
	deployment int64 // what it deployed; 0: nothing
}

// Run is a run of a workflow as the forge shows it.
type Run struct {
	ID                 int64
	Workflow, SHA      string
	Status, Conclusion string
	Deployment         int64 // what it deployed; 0: nothing
	job                int64
}

// Runs returns the runs of all workflows of a repository, oldest first.
func (h *Hub) Runs(fullName string) ([]Run, error) {
	var views []Run
	err := h.change(fullName, func(r *repo) error {
		for _, run := range r.runs {
			views = append(views, Run{run.id, run.workflow.file, run.head.SHA, run.status, run.conclusion, run.deployment, run.suite})
		}
		return nil
	})
	return views, err
}

// StartRun begins a run of a workflow as a person's push to a branch does, without running anything, and returns its id.
func (h *Hub) StartRun(ctx context.Context, fullName, person, file, branch, sha string) (int64, error) {
	var at bare
	if err := h.change(fullName, func(r *repo) error { at = r.bare; return nil }); err != nil {
		return 0, err
	}
	head, err := at.commits(ctx, []string{sha})
	if err != nil {
		return 0, err
	}
	var id int64
	err = h.change(fullName, func(r *repo) error {
		by, err := h.writerLocked(r, person)
		if err != nil {
			return err
		}
		id = h.startRunLocked(r, by, file, branch, &head[0]).id
		return nil
	})
	return id, err
}

// FinishRun ends a run with a conclusion: success, failure, cancelled … One that has ended is run again, and then ends so.
func (h *Hub) FinishRun(fullName, person string, id int64, conclusion string) error {
	return h.change(fullName, func(r *repo) error {
		by, err := h.writerLocked(r, person)
		if err != nil {
			return err
		}
		run := r.run(id)
		if run == nil {
			return missing()
		}
		if run.status == "completed" {
			run.attempt++
			run.startedAt = h.stamp()
			h.runsLocked(r, run, by)
		}
		h.finishRunLocked(r, run, by, conclusion)
		return nil
	})
}

func (r *repo) run(id int64) *workflowRun {
	i := slices.IndexFunc(r.runs, func(run *workflowRun) bool { return run.id == id })
	if i < 0 {
		return nil
	}
	return r.runs[i]
}

// startRunLocked begins a run of a workflow, which is known from its first run.
func (h *Hub) startRunLocked(r *repo, by *account, file, branch string, head *commitInfo) *workflowRun {
	w := r.workflows[file]
	if w == nil {
		w = &workflow{id: h.idLocked(), file: file, createdAt: h.stamp()}
		r.workflows[file] = w
	}
	w.runs++
	now := h.stamp()
	run := &workflowRun{
		id: h.idLocked(), suite: h.idLocked(), workflow: w, number: w.runs, attempt: 1, head: head, branch: branch, status: "requested", actor: by,
		createdAt: now, startedAt: now, updatedAt: now,
	}
	r.runs = append(r.runs, run)
	h.emitLocked(event{kind: workflowRunEvent, action: "requested", repo: r, actor: by, run: run})
	h.runsLocked(r, run, by)
	return run
}

func (h *Hub) runsLocked(r *repo, run *workflowRun, by *account) {
	run.status, run.conclusion, run.updatedAt = "in_progress", "", h.stamp()
	h.emitLocked(event{kind: workflowRunEvent, action: "in_progress", repo: r, actor: by, run: run})
}

func (h *Hub) finishRunLocked(r *repo, run *workflowRun, by *account, conclusion string) {
	run.status, run.conclusion, run.updatedAt = "completed", conclusion, h.stamp()
	h.emitLocked(event{kind: workflowRunEvent, action: "completed", repo: r, actor: by, run: run})
}
