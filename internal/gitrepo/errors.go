package gitrepo

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"time"
	"unicode"
)

// These are what errors of this package are compared with (errors.Is). The errors themselves say more.
var (
	// ErrStale means that a branch is not where the update's Old says it is. Nothing was changed.
	ErrStale = errors.New("the branch has moved")
	// ErrNothingToCommit means that the update's files are already so in its parent. No commit was made.
	ErrNothingToCommit = errors.New("nothing to commit")
	// ErrRejected means that the server refused a branch for a reason of its own: a hook, a protected branch, a lock.
	ErrRejected = errors.New("the server refused the update")
	// ErrEmptyRepository means that the repository has no commit yet.
	ErrEmptyRepository = errors.New("the repository is empty")
	// ErrNoSuchObject means that the server does not have (or does not give) an object, such as a commit that was force-pushed away.
	ErrNoSuchObject = errors.New("no such object")
	// ErrUnauthorized means that the credentials are missing or wrong.
	ErrUnauthorized = errors.New("not authorized")
	// ErrForbidden means that the credentials do not allow it.
	ErrForbidden = errors.New("forbidden")
	// ErrNotFound means that there is no such repository, or that the credentials may not see it.
	ErrNotFound = errors.New("repository not found")
	// ErrTooLarge means that an answer went over a limit of Options.
	ErrTooLarge = errors.New("too large")
	// ErrUnsupported means that the repository or a path uses something that is refused on purpose.
	ErrUnsupported = errors.New("not supported")
)

// HTTPError is an answer that is not a success.
type HTTPError struct {
	Host   string
	Op     string // what was being done, such as "list references"
	Status int
	Text   string // from the server: cut, cleaned, without credentials
	After  time.Duration
}

func (e *HTTPError) Error() string {
	s := fmt.Sprintf("%s: %s answered %d %s", e.Op, e.Host, e.Status, http.StatusText(e.Status))
	if e.Text != "" {
		s += ": " + e.Text
	}
	return s
}

// Is makes the status comparable with ErrUnauthorized, ErrForbidden and ErrNotFound.
func (e *HTTPError) Is(target error) bool {
	switch target {
	case ErrUnauthorized:
		return e.Status == http.StatusUnauthorized
	case ErrForbidden:
		return e.Status == http.StatusForbidden
	case ErrNotFound:
		return e.Status == http.StatusNotFound || e.Status == http.StatusGone
	}
	return false
}

// Permanent reports that the same request would get the same answer. A 403 with Retry-After is a rate limit.
func (e *HTTPError) Permanent() bool {
	switch e.Status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	case http.StatusForbidden:
		return e.After == 0
	}
	return e.Status < 500
}

// RetryAfter is how long the server asked to be left alone, 0 when it did not say.
func (e *HTTPError) RetryAfter() time.Duration { return e.After }

// Hint says what to do.
func (e *HTTPError) Hint() string {
	switch e.Status {
	case http.StatusUnauthorized:
		return "check the credentials for " + e.Host
	case http.StatusForbidden:
		return "give the bot access to the repository's contents on " + e.Host
	case http.StatusNotFound, http.StatusGone:
		return "check the repository's address, and that the bot may see it"
	}
	return ""
}

// TransportError is a request that got no answer, or whose answer broke off: refused connections, time-outs, TLS.
type TransportError struct {
	Host string
	Op   string
	Err  error
}

func (e *TransportError) Error() string { return fmt.Sprintf("%s: %s: %v", e.Op, e.Host, e.Err) }
func (e *TransportError) Unwrap() error { return e.Err }

// Permanent is false: the next try may get through.
func (e *TransportError) Permanent() bool { return false }

// Timeout reports that the time ran out, ours or the caller's.
func (e *TransportError) Timeout() bool {
	var t interface{ Timeout() bool }
	return errors.As(e.Err, &t) && t.Timeout()
}

// RedirectError is a redirect that is not followed.
type RedirectError struct {
	Host   string
	To     string // scheme and host only
	Reason string
}

func (e *RedirectError) Error() string {
	return fmt.Sprintf("%s redirects to %s: %s", e.Host, e.To, e.Reason)
}

// Permanent is true: somebody has to correct the address.
func (e *RedirectError) Permanent() bool { return true }

// Hint says what to do.
func (e *RedirectError) Hint() string { return "use the repository's new address" }

// ProtocolError is an answer that is not what git says it should be, or an error line of the server's.
type ProtocolError struct {
	Host   string
	Op     string
	Reason string
}

func (e *ProtocolError) Error() string { return fmt.Sprintf("%s: %s: %s", e.Op, e.Host, e.Reason) }

// Permanent is false: broken answers are mostly overload.
func (e *ProtocolError) Permanent() bool { return false }

// MissingObjectError names what the server did not give.
type MissingObjectError struct {
	Host   string
	Object Hash
}

func (e *MissingObjectError) Error() string {
	return fmt.Sprintf("%s has no object %s", e.Host, e.Object)
}

// Is makes it comparable with ErrNoSuchObject.
func (e *MissingObjectError) Is(target error) bool { return target == ErrNoSuchObject }

// Permanent is true: the object is gone; read the branch again.
func (e *MissingObjectError) Permanent() bool { return true }

// MalformedError is an object or a pack that git would not have written.
type MalformedError struct {
	Object Hash // empty for a pack
	Reason string
}

func (e *MalformedError) Error() string {
	if e.Object == "" {
		return "malformed pack: " + e.Reason
	}
	return fmt.Sprintf("malformed object %s: %s", e.Object.Short(), e.Reason)
}

// Permanent is true for objects, whose content never changes; a pack may have been damaged on its way.
func (e *MalformedError) Permanent() bool { return e.Object != "" }

// TooLargeError is an answer over a limit of Options.
type TooLargeError struct {
	What  string // "answer", "pack", "tree walk", "file"
	Limit int64
	Unit  string // "bytes", "objects", "entries"
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("%s has more than %d %s", e.What, e.Limit, e.Unit)
}

// Is makes it comparable with ErrTooLarge.
func (e *TooLargeError) Is(target error) bool { return target == ErrTooLarge }

// Permanent is true: the repository does not get smaller by itself.
func (e *TooLargeError) Permanent() bool { return true }

// Hint says what to do.
func (e *TooLargeError) Hint() string {
	return "allow partial fetches on the git server (uploadpack.allowFilter), or limit the environment to a path"
}

// UnsupportedError is a repository that is refused as a whole.
type UnsupportedError struct{ Host, Reason string }

func (e *UnsupportedError) Error() string { return e.Host + ": " + e.Reason }

// Is makes it comparable with ErrUnsupported.
func (e *UnsupportedError) Is(target error) bool { return target == ErrUnsupported }

// Permanent is true: the repository has to change.
func (e *UnsupportedError) Permanent() bool { return true }

// FileError is a path that cannot be read or written. A path that is not there satisfies errors.Is(err, fs.ErrNotExist).
type FileError struct {
	Path   string
	Reason string
	Err    error // fs.ErrNotExist or ErrUnsupported
}

func (e *FileError) Error() string { return fmt.Sprintf("%q: %s", e.Path, e.Reason) }
func (e *FileError) Unwrap() error { return e.Err }

// Permanent is true: the repository has to change.
func (e *FileError) Permanent() bool { return true }

func notExist(path string) error {
	return &FileError{Path: path, Reason: "no such file in this commit", Err: fs.ErrNotExist}
}

func refusePath(path, reason string) error {
	return &FileError{Path: path, Reason: reason, Err: ErrUnsupported}
}

// StaleError says where a branch is instead. Now is empty when it does not exist.
type StaleError struct {
	Branch   string
	Old, Now Hash
}

func (e *StaleError) Error() string {
	name := func(h Hash) string {
		if h == "" {
			return "absent"
		}
		return "at " + h.Short()
	}
	return fmt.Sprintf("branch %q was expected %s and is %s", e.Branch, name(e.Old), name(e.Now))
}

// Is makes it comparable with ErrStale.
func (e *StaleError) Is(target error) bool { return target == ErrStale }

// Permanent is false: a look at where the branch is now leads to another update.
func (e *StaleError) Permanent() bool { return false }

// RejectedError is a branch that the server refused although the lease was right.
type RejectedError struct {
	Host    string
	Branch  string
	Reason  string // from the server: cut, cleaned, without credentials
	passing bool
}

func (e *RejectedError) Error() string {
	return fmt.Sprintf("%s refused branch %q: %s", e.Host, e.Branch, e.Reason)
}

// Is makes it comparable with ErrRejected.
func (e *RejectedError) Is(target error) bool { return target == ErrRejected }

// Permanent is false when the reference was only locked by another writer, or the server did not say why.
func (e *RejectedError) Permanent() bool { return !e.passing }

// UpdateError is a BranchUpdate that cannot be carried out as it is written.
type UpdateError struct{ Branch, Reason string }

func (e *UpdateError) Error() string {
	return fmt.Sprintf("update of branch %q: %s", e.Branch, e.Reason)
}

// Permanent is true: the update has to change.
func (e *UpdateError) Permanent() bool { return true }

// maxServerText is how much of a server's words goes into an error.
const maxServerText = 300

// cleanServerText makes text from a server fit for an error: one line, printable, short, without the secrets.
func cleanServerText(text string, secrets []string) string {
	for _, s := range secrets {
		text = strings.ReplaceAll(text, s, "[redacted]")
	}
	text = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, "?"), func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	}), " ")
	if len(text) > maxServerText {
		text = strings.ToValidUTF8(text[:maxServerText], "") + "…"
	}
	return text
}
