package forge

import (
	"errors"
	"fmt"
	"time"
)

// Errors that callers act upon; adapters wrap them with what was being done.
var (
	// ErrNotFound: gone, or never visible to the bot.
	ErrNotFound = errors.New("not found at the forge")
	// ErrExists: what should be created is there already.
	ErrExists = errors.New("exists already")
	// ErrEmpty: the head of a pull request adds nothing to its base.
	ErrEmpty = errors.New("nothing to merge")
	// ErrStale: the head is not the commit that was meant.
	ErrStale = errors.New("the head has moved")
	// ErrNotMergeable: the forge refuses the merge.
	ErrNotMergeable = errors.New("not mergeable now")
	// ErrChecking: the forge refuses the merge because it is still finding out whether it can be done. It will be done soon.
	ErrChecking = fmt.Errorf("%w, as that is still being found out", ErrNotMergeable)
	// ErrQueued: not merged yet, but in the merge queue of the base branch, which goes on by itself.
	ErrQueued = errors.New("in the merge queue")
	// ErrRefused: the forge understood and will not do it, whoever asks: a missing branch, a closed one reopened. Asking again does not help.
	ErrRefused = errors.New("refused by the forge")
	// ErrForbidden: the bot lacks a permission.
	ErrForbidden = errors.New("not permitted")
	// ErrGone: the installation is suspended, uninstalled, or its key is refused; nothing will work until a person acts.
	ErrGone = errors.New("the bot has no access any more")
)

// LimitError tells that the forge wants fewer requests for a while.
type LimitError struct {
	After time.Duration // how long to wait, from now
	Cause error
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("the forge limits requests for %s: %v", e.After.Round(time.Second), e.Cause)
}

// Unwrap returns what the forge answered.
func (e *LimitError) Unwrap() error { return e.Cause }

// RetryAfter is how long to wait before asking again.
func (e *LimitError) RetryAfter() time.Duration { return e.After }

// Pacer is a forge whose writes may have to wait, with a *PaceError.
type Pacer interface{ Paced() bool }

// PaceError tells that a write was not sent, so that the bot stays within what the forge allows it. Nothing is wrong: its time will come.
type PaceError struct {
	After time.Duration // how long to wait, from now
	Ahead int           // new pull requests that go first
}

func (e *PaceError) Error() string {
	return fmt.Sprintf("held back for %s, to stay within the limits of writes", e.After.Round(time.Second))
}

// RetryAfter is how long to wait before asking again.
func (e *PaceError) RetryAfter() time.Duration { return e.After }
