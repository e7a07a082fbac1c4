package wire

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
)

const (
	// DefaultWait is how long is waited where a forge limits requests and does not say for how long.
	DefaultWait = 60 * time.Second
	longestWait = time.Hour // more is a mistake of somebody's clock
)

// Limits remembers until when a forge asked to wait, so that requests are refused at once, as *forge.LimitError, and not sent.
type Limits struct {
	Clock func() time.Time

	mu        sync.Mutex
	notBefore time.Time
}

// Wait is an error for as long as nothing may be sent.
func (l *Limits) Wait() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if after := l.notBefore.Sub(l.Clock()); after > 0 {
		return &forge.LimitError{After: after, Cause: errors.New("an earlier answer asked to wait")}
	}
	return nil
}

// Remember waits for so long from now, or longer if that was asked before, and returns how long was asked now.
func (l *Limits) Remember(after time.Duration) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if until := l.Clock().Add(after); until.After(l.notBefore) {
		l.notBefore = until
	}
	return after
}

// Bounded is a wait that makes sense: a minute where it is none, an hour at most.
func Bounded(after time.Duration) time.Duration {
	if after <= 0 {
		return DefaultWait
	}
	return min(after, longestWait)
}

// RetryAfter reads the header, which is a number of seconds or a date.
func RetryAfter(header http.Header, now time.Time) (time.Duration, bool) {
	value := strings.TrimSpace(header.Get("Retry-After"))
	if seconds, err := strconv.ParseInt(value, 10, 64); err == nil {
		return time.Duration(min(seconds, int64(longestWait/time.Second))) * time.Second, seconds > 0
	}
	if at, err := http.ParseTime(value); err == nil {
		return at.Sub(now), at.After(now)
	}
	return 0, false
}
