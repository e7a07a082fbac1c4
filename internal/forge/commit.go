package forge

import "context"

// NewCommit is one commit that the forge makes and signs itself.
type NewCommit struct {
	Branch  string            // is created at Parent where it does not exist
	Parent  string            // the commit that the branch must be at
	Message string            // subject, blank line, body
	Files   map[string][]byte // whole new contents by path; all are ordinary files
}

// Committer is a forge that makes commits through its API, which it then shows as verified. Optional: a forge without it is pushed to.
type Committer interface {
	// CreateCommit makes one commit on a branch and returns its sha. ErrStale: the branch is not at Parent. ErrRefused: this forge or this
	// repository does not sign such commits, with the reason.
	CreateCommit(ctx context.Context, repo Repository, commit NewCommit) (string, error)
}
