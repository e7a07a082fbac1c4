package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

var errStandby = errors.New("the server takes no writes")

// EncodingError reports a database that cannot keep every text.
type EncodingError struct{ Encoding string }

func (e *EncodingError) Error() string {
	return fmt.Sprintf("the database's encoding is %s; it has to be UTF8", e.Encoding)
}

// Hint says what to do.
func (e *EncodingError) Hint() string {
	return "make one with: createdb --encoding=UTF8 --template=template0 boatlift"
}

// Permanent tells that trying again cannot help.
func (e *EncodingError) Permanent() bool { return true }

// passwordError reports that the password could not be read.
type passwordError struct{ err error }

func (e *passwordError) Error() string { return fmt.Sprintf("read the password: %v", e.err) }
func (e *passwordError) Unwrap() error { return e.err }

// postgresCode is the SQLSTATE of what the server said, as in PostgreSQL's manual, appendix A; empty where it said nothing.
func postgresCode(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

// postgresAgain runs a transaction again that lost against another one or whose connection broke. Where the commit's own answer did not
// come it may stand, and is not run again.
func postgresAgain(err error, committing bool) (pause time.Duration, ok bool) {
	switch code := postgresCode(err); code {
	case "40001", "40P01": // serialization failure, deadlock
		return 5 * time.Millisecond, true
	case "23503": // what was referred to has just been removed: the next try finds that out first
		return time.Millisecond, !committing
	case "0A000", "26000": // a statement that was prepared before the schema changed, or on another connection of a pooler
		return time.Millisecond, !committing
	case "53300", "57P01", "57P02": // no connection left; stopped, or crashed
		return 50 * time.Millisecond, !committing
	case "":
		return 50 * time.Millisecond, !committing && lost(err)
	}
	return 0, false
}

// lost tells that a connection which was there broke.
func lost(err error) bool {
	if _, connecting := errors.AsType[*pgconn.ConnectError](err); connecting || late(err) {
		return false
	}
	_, network := errors.AsType[*net.OpError](err)
	return network || pgconn.SafeToRetry(err) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}

func late(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || pgconn.Timeout(err)
}

// postgresUnavailable tells errors of the server and of the way to it from those of a statement.
func postgresUnavailable(err error) (Fault, string) {
	if _, ok := errors.AsType[*EncodingError](err); ok {
		return "", ""
	}
	if _, ok := errors.AsType[*passwordError](err); ok {
		return Access, "the password cannot be read"
	}
	if errors.Is(err, errStandby) {
		return ReadOnly, "the database is a read-only standby"
	}
	switch code := postgresCode(err); code {
	case "28P01", "28000":
		return Access, "the database refuses the user or the password"
	case "3D000":
		return Access, "there is no such database"
	case "42501", "3F000":
		return Access, "the user may not do that"
	case "25006":
		return ReadOnly, "the database is a read-only standby"
	case "53300":
		return Connections, "the database has no connection left"
	case "53100":
		return Disk, "the database's disk is full"
	case "58030", "58P01", "XX001", "XX002":
		return Disk, "the database's disk does not read or write"
	case "53000", "53200", "53400":
		return Busy, "the database has no memory"
	case "57014":
		return Busy, "a statement took too long"
	case "25P03", "25P04", "55P03", "40001", "40P01":
		return Busy, "the database is busy"
	case "57P01", "57P02", "57P03", "57P05":
		return Away, "the database stops or starts"
	case "":
		if _, connecting := errors.AsType[*pgconn.ConnectError](err); connecting {
			return Away, "the database cannot be reached"
		}
		if late(err) {
			return Busy, "the database did not answer in time"
		}
		if lost(err) {
			return Away, "the connection to the database broke"
		}
	default:
		if strings.HasPrefix(code, "08") {
			return Away, "the connection to the database broke"
		}
	}
	return "", ""
}

// postgresOutward takes out of an error what knows the password, and makes one line of it.
func postgresOutward(err error) error {
	if e, ok := errors.AsType[*EncodingError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		var lines []string
		for line := range strings.SplitSeq(e.Unwrap().Error(), "\n") {
			if line = strings.TrimSpace(line); line != "" && !slices.Contains(lines, line) {
				lines = append(lines, line)
			}
		}
		return &outwardError{fmt.Sprintf("connect as %s to %s: %s", e.Config.User, e.Config.Database, strings.Join(lines, "; ")), e.Unwrap()}
	}
	return err
}

// outwardError is another text for an error.
type outwardError struct {
	text string
	err  error
}

func (e *outwardError) Error() string { return e.text }
func (e *outwardError) Unwrap() error { return e.err }
