package forge

import (
	"context"
	"time"
)

// StatusState is what a status or a check run of others says of a commit, in the words that policies and `verify:` use.
type StatusState string

// The states of a status. Neutral and skipped are neither green nor red: whoever needs green does not take them for it.
const (
	StatusPending StatusState = "pending"
	StatusSuccess StatusState = "success"
	StatusFailure StatusState = "failure" // also: error, timed out, cancelled, action required, stale
	StatusNeutral StatusState = "neutral"
	StatusSkipped StatusState = "skipped"
)

// Status is the newest word of one status context or check run on a commit.
type Status struct {
	Name  string
	State StatusState
	By    Actor  // who reported it: the app of a check run, the creator of a status
	URL   string // its log; may be empty
	At    time.Time
}

// Evidence tells what pipelines and test systems said of commits.
type Evidence interface {
	// Runs lists the newest runs of a pipeline on a branch as deployments of the commits they ran for, newest first, at most limit. The
	// workflow is its file (GitHub: apply.yml; GitLab has one pipeline per project, named by an empty text). Only runs that pushes to
	// the branch began count. A run that was repeated is one run, in the state of its newest attempt. ErrNotFound: there is no such workflow.
	Runs(ctx context.Context, repo Repository, workflow, branch string, limit int) ([]Deployment, error)
	// Statuses lists the newest state of every status and check run on a commit, sorted by name; the bot's own check is among them. A name
	// that several report stands there once for each of them.
	Statuses(ctx context.Context, repo Repository, sha string) ([]Status, error)
}
