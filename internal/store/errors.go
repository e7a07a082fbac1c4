package store

import (
	"errors"
	"fmt"
	"time"

	"github.com/boatlift/boatlift/internal/promotion"
)

// ErrLost reports that the claim is no longer ours: its lease ran out and another worker took the repo, or the claim was finished.
// Nothing was written.
var ErrLost = errors.New("the claim on the repo is lost")

// ErrNotFound reports that what should be changed is not there.
var ErrNotFound = errors.New("not found")

// LockedError reports that another server process has the database open.
type LockedError struct {
	File string // the lock file
	PID  int    // of the holder; 0 where it could not be read
}

func (e *LockedError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("another process holds %s", e.File)
	}
	return fmt.Sprintf("process %d holds %s", e.PID, e.File)
}

// Hint says what to do.
func (e *LockedError) Hint() string {
	return "a SQLite database serves one server at a time: stop the other one first, give this one its own database, or use PostgreSQL for several replicas; the lock goes with its process, so the file never has to be removed"
}

// Permanent tells that trying again does not help while the other process runs.
func (e *LockedError) Permanent() bool { return true }

// Fault is why a database cannot do its work.
type Fault string

// The faults.
const (
	Disk        Fault = "disk"        // full, broken, or the file is damaged
	Busy        Fault = "busy"        // it does not get round to it, or has no memory
	Away        Fault = "away"        // it cannot be reached, or stops or starts
	Connections Fault = "connections" // it has none left
	ReadOnly    Fault = "read-only"   // it is a standby
	Access      Fault = "access"      // it refuses us: the user, the password, the database or a right
	Gone        Fault = "gone"        // its file was removed or replaced
	Closed      Fault = "closed"      // the store was closed
)

// UnavailableError reports that the database could not do its work just now. Nothing was acknowledged. Only where the connection broke
// during the commit itself may what was to be written be there nevertheless.
type UnavailableError struct {
	Doing string
	Fault Fault
	Say   string // what is wrong, in a few words
	Err   error
	After time.Duration // when to try again
}

func (e *UnavailableError) Error() string { return fmt.Sprintf("%s: %s: %v", e.Doing, e.Say, e.Err) }

// Unwrap gives the driver's error.
func (e *UnavailableError) Unwrap() error { return e.Err }

// RetryAfter says when trying again makes sense.
func (e *UnavailableError) RetryAfter() time.Duration { return e.After }

// Hint says what an operator can do.
func (e *UnavailableError) Hint() string {
	switch e.Fault {
	case Away:
		return "look whether PostgreSQL runs and can be reached from here: host, port, TLS, network rules"
	case Connections:
		return "raise max_connections of PostgreSQL, or let each replica take fewer: ?pool_max_conns=6 behind the database URL (12 where it is left out)"
	case ReadOnly:
		return "the database URL has to lead to the primary; several hosts may stand in it, separated by commas, and the one that takes writes is found"
	case Access:
		return "look at the user, the password and the name in the database URL, and at pg_hba.conf; the user has to own the database or its schema"
	case Busy:
		return "look at what else the database does, and at the load of its machine; what was not acknowledged is sent again by its sender"
	case Gone:
		return "stop the bot, put the file back with those beside it whose names begin so, and start it: without it, it begins anew from the forge and the registries"
	case Closed:
		return "the bot is stopping; what was not acknowledged is sent again by its sender"
	}
	return "look at the disk that holds the database: free space, mount options, health; what was not acknowledged is sent again by its sender"
}

// URLError reports a database URL that cannot be used. URL holds nothing of it that may be secret.
type URLError struct{ URL, Reason string }

func (e *URLError) Error() string { return fmt.Sprintf("database %q: %s", e.URL, e.Reason) }

// Hint says what would be right.
func (e *URLError) Hint() string {
	return "write database: sqlite:path/to/boatlift.db, or postgres://user@host/database; special characters of a password in it have to be percent-encoded"
}

// Permanent tells that trying again cannot help.
func (e *URLError) Permanent() bool { return true }

// NewerError reports a database that a later version of the program has changed.
type NewerError struct{ Database, Known int64 }

func (e *NewerError) Error() string {
	return fmt.Sprintf("the database has schema version %d, this program knows %d", e.Database, e.Known)
}

// Hint says what to do.
func (e *NewerError) Hint() string {
	return "run the version that wrote it or a later one, or restore the backup made before the upgrade"
}

// Permanent tells that trying again cannot help.
func (e *NewerError) Permanent() bool { return true }

// DuplicateError reports a promotion that would open a second time: another one is active on the same branch of the same repo.
type DuplicateError struct {
	Repo      promotion.RepoKey
	Promotion string
	Branch    string
}

func (e *DuplicateError) Error() string {
	return fmt.Sprintf("promotion %s: another one is already open on %s of %s", e.Promotion, e.Branch, e.Repo)
}

// TamperedError reports an audit trail that is not as it was written.
type TamperedError struct {
	Seq    int64 // the first entry that is wrong or missing
	Reason string
}

func (e *TamperedError) Error() string { return fmt.Sprintf("audit entry %d: %s", e.Seq, e.Reason) }

// Hint says what to do.
func (e *TamperedError) Hint() string {
	return "compare with the last export; entries before this one are as they were written"
}
