package forge

import "context"

// NewCommit is one commit that the forge makes, and signs, itself.
type NewCommit struct {
	Branch  string            // short name; it is made at Parent where it does not exist
	Parent  string            // where the branch must be, if it exists
	Message string            // subject, blank line, body
	Files   map[string][]byte // whole new contents by path; the forge makes all of them ordinary files
}

// Committer is a forge that makes commits through its API, which it then shows as verified. Optional: a forge without it is pushed to.
type Committer interface {
	// CreateCommit makes one commit of the bot's upon Parent and moves the branch to it. signed tells whether the forge really signed it.
	// ErrStale: the branch is somewhere else. ErrRefused and ErrForbidden: this forge makes no such commit, with the reason.
	CreateCommit(ctx context.Context, repo Repository, commit NewCommit) (sha string, signed bool, err error)
}
