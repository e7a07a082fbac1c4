package registry

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Quota is what a registry said last of how often it may still be asked.
type Quota struct {
	Limit, Remaining int           // Limit is 0 where only the rest was said
	Window           time.Duration // in which so many questions are allowed; 0: not said
	At               time.Time     // when it was said

	reset time.Time // when the count begins anew; zero: not said
}

// Rest is how long who can wait should leave the registry alone from now on, so that others, who cannot, still get an answer: the
// last tenth of what is allowed is for them. It is 0 where there is no reason to wait.
func (q Quota) Rest(now time.Time) time.Duration {
	if q.At.IsZero() || q.Remaining > q.Limit/10 {
		return 0
	}
	until := q.At.Add(5 * time.Minute)
	switch {
	case !q.reset.IsZero():
		until = q.reset
	case q.Window > 0: // a window slides: in a tenth of it a tenth of the limit comes back
		until = q.At.Add(q.Window / 10)
	}
	return min(max(until.Sub(now), 0), maxRest)
}

// maxRest is how long a registry is believed that it does not want to be asked.
const maxRest = 24 * time.Hour

func (q Quota) String() string {
	switch {
	case q.Limit == 0:
		return fmt.Sprintf("%d more questions are allowed", q.Remaining)
	case q.Window == 0:
		return fmt.Sprintf("%d of %d questions are left", q.Remaining, q.Limit)
	}
	return fmt.Sprintf("%d of %d questions in %s are left", q.Remaining, q.Limit, q.Window)
}

// Quota tells what the registry at a host last said of its limits; ok is false where it said nothing.
func (c *Client) Quota(host string) (q Quota, ok bool) {
	canonical, err := canonicalHost(host)
	if err != nil {
		return Quota{}, false
	}
	return c.quotas.of(canonical)
}

// quotas are those of all hosts. The zero value is ready.
type quotas struct {
	mu sync.Mutex
	by map[string]Quota
}

func (s *quotas) of(host string) (Quota, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, ok := s.by[host]
	return q, ok
}

// note keeps what an answer says. Only hosts that are asked get here, so there are few.
func (s *quotas) note(host string, header http.Header, now time.Time) {
	q, ok := readQuota(header, now)
	if !ok {
		return
	}
	if canonical, err := canonicalHost(host); err == nil {
		host = canonical
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.by == nil {
		s.by = map[string]Quota{}
	}
	s.by[host] = q
}

// readQuota reads the headers by which registries tell of their limits: RateLimit-Limit and RateLimit-Remaining with the window as a
// parameter (Docker Hub: 100;w=21600), RateLimit-Reset (GitLab, in seconds since 1970; the IETF's draft, in seconds from now), and
// all of them with X- before.
func readQuota(header http.Header, now time.Time) (Quota, bool) {
	remaining, window, ok := readLimit(header, "RateLimit-Remaining")
	if !ok {
		return Quota{}, false
	}
	q := Quota{Remaining: remaining, Window: window, At: now}
	if limit, window, ok := readLimit(header, "RateLimit-Limit"); ok {
		q.Limit = limit
		if window > 0 {
			q.Window = window
		}
	}
	q.reset = resetAt(limitHeader(header, "RateLimit-Reset"), now)
	return q, true
}

func limitHeader(header http.Header, name string) string {
	if value := header.Get(name); value != "" {
		return value
	}
	return header.Get("X-" + name)
}

// readLimit reads a number, and the window after it.
func readLimit(header http.Header, name string) (n int, window time.Duration, ok bool) {
	number, parameters, _ := strings.Cut(limitHeader(header, name), ";")
	parsed, err := strconv.ParseUint(strings.TrimSpace(number), 10, 31)
	if err != nil {
		return 0, 0, false
	}
	for parameter := range strings.SplitSeq(parameters, ";") {
		if value, is := strings.CutPrefix(strings.TrimSpace(parameter), "w="); is {
			if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
				window = min(time.Duration(seconds)*time.Second, maxRest)
			}
		}
	}
	return int(parsed), window, true
}

// resetAt reads seconds, counted from 1970 where they are too many to be counted from now. It is zero where the text is neither.
func resetAt(text string, now time.Time) time.Time {
	seconds, err := strconv.ParseUint(strings.TrimSpace(text), 10, 40)
	switch {
	case err != nil:
		return time.Time{}
	case seconds > 1_000_000_000:
		return time.Unix(int64(seconds), 0)
	default:
		return now.Add(time.Duration(min(seconds, uint64(maxRest/time.Second))) * time.Second)
	}
}

// comeBack is how long after an answer that means "later" to ask again: as Retry-After says, or Docker Hub's X-Retry-After, or else
// when a limit that is used up begins anew. 0: it does not say.
func comeBack(header http.Header, status int, now time.Time) time.Duration {
	if after := retryAfter(header, now); after > 0 {
		return after
	}
	if at := resetAt(header.Get("X-Retry-After"), now); !at.IsZero() {
		return min(max(at.Sub(now), 0), maxRest)
	}
	if q, ok := readQuota(header, now); ok && status == http.StatusTooManyRequests {
		q.Remaining = 0
		return q.Rest(now)
	}
	return 0
}
