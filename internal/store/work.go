package store

import (
	"time"

	"github.com/boatlift/boatlift/internal/promotion"
)

// Claim is one repo in one worker's hands.
type Claim struct {
	Repo      promotion.RepoKey
	Owner     string
	Token     int64
	Wanted    int64 // the generation that the turn will have done
	Attempts  int   // turns that failed in a row before this one
	LastError string
	Started   time.Time
}

// Finish is how a turn ended.
type Finish struct {
	WakeAt     time.Time           // when a clock may change something; zero: no clock does
	Err        string              // why the turn failed, for people; empty: it did not
	RetryAfter time.Duration       // how long a failed turn has to wait at least
	Wake       []promotion.RepoKey // others that have work because of this turn
}

// StuckAfter is the number of failed turns in a row from which work is shown as stuck. It is still tried.
const StuckAfter = 8

// WorkRow is the work of one repo, or of a pseudo key such as discover/github.
type WorkRow struct {
	Repo       promotion.RepoKey
	Pending    bool   // an event waits for its turn, or is in one
	Owner      string // the worker that has it; empty: none
	LeaseUntil time.Time
	StartedAt  time.Time // of the last claim
	Attempts   int
	LastError  string
	WakeAt     time.Time // when a clock makes a turn; zero: none does
	DueAt      time.Time // when it can next be claimed; zero: there is nothing to do
	Stuck      bool
}
