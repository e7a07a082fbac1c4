package forge

import (
	"context"
	"time"
)

// QueueEntry is one pull request in the merge queue of a branch.
type QueueEntry struct {
	Number  int
	HeadSHA string    // the commit that the branch gets if all checks of it are green; empty while the forge has not made it
	BaseSHA string    // what that commit is made on: the branch, or the commit of the entry before; empty if the forge does not say
	At      time.Time // since when it waits
}

// Departure is how a pull request left a merge queue without being merged.
type Departure struct {
	At     time.Time
	Reason string // in the forge's words, such as CI_FAILURE; empty if it does not say
	By     Actor  // who took it out; the forge itself where empty
}

// Queues merges through the queue of a branch, where it has one.
type Queues interface {
	// Queue lists the merge queue of a branch, the first to be merged first. A branch without a queue has no entries. ErrForbidden: the bot
	// may not see queues.
	Queue(ctx context.Context, repo Repository, branch string) ([]QueueEntry, error)
	// LeftQueue tells how a pull request last left a queue; zero if it never did, or the forge does not remember.
	LeftQueue(ctx context.Context, repo Repository, number int) (Departure, error)
}
