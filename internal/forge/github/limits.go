package github

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/bradleyfalzon/ghinstallation/v2"
	"github.com/gofri/go-github-ratelimit/v2/github_ratelimit"
	"github.com/gofri/go-github-ratelimit/v2/github_ratelimit/github_primary_ratelimit"
	"github.com/gofri/go-github-ratelimit/v2/github_ratelimit/github_secondary_ratelimit"

	"github.com/boatlift/boatlift/internal/forge"
)

const (
	defaultWait = 60 * time.Second // what GitHub asks for where it does not say
	longestWait = time.Hour        // primary limits last no longer; more is a mistake of somebody's clock
)

// limits refuses requests at once, as *forge.LimitError, for as long as GitHub asked to wait. It stands above what adds the token,
// so it is one installation's, as GitHub's limits are.
type limits struct {
	clock func() time.Time

	mu        sync.Mutex
	notBefore time.Time
}

// limiter puts go-github-ratelimit around a transport. It never sleeps; see the package's decisions.
func limiter(next http.RoundTripper) http.RoundTripper {
	return github_ratelimit.New(next, github_secondary_ratelimit.WithSingleSleepLimit(0, nil))
}

// limitedBy sends through next, under limits that may outlive it.
type limitedBy struct {
	limits *limits
	next   http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (b *limitedBy) RoundTrip(request *http.Request) (*http.Response, error) {
	l := b.limits
	if err := l.wait(); err != nil {
		if request.Body != nil {
			_ = request.Body.Close()
		}
		return nil, err
	}
	forge.Sending(request.Context(), request.Method)
	response, err := b.next.RoundTrip(request)
	if err != nil {
		return nil, l.learn(err)
	}
	if !limited(response) {
		return response, nil
	}
	after := l.remember(waitOf(response, l.clock()))
	_ = response.Body.Close()
	return nil, &forge.LimitError{After: after, Cause: errors.New(reason(response))}
}

// wait is an error for as long as nothing may be sent.
func (l *limits) wait() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if after := l.notBefore.Sub(l.clock()); after > 0 {
		return &forge.LimitError{After: after, Cause: errors.New("an earlier answer asked to wait")}
	}
	return nil
}

// learn turns the errors of the layers below that mean a limit into *forge.LimitError, and leaves others as they are.
func (l *limits) learn(err error) error {
	var primary *github_primary_ratelimit.RateLimitReachedError
	if errors.As(err, &primary) {
		after := defaultWait
		if primary.Response != nil && primary.Response.Header.Get("X-Ratelimit-Reset") != "" {
			after = waitOf(primary.Response, l.clock())
		} else if primary.ResetTime != nil {
			after = bounded(primary.ResetTime.Sub(l.clock()))
		}
		return &forge.LimitError{After: l.remember(after), Cause: errors.New("no requests are left in this hour")}
	}
	var mint *ghinstallation.HTTPError
	if errors.As(err, &mint) && mint.Response != nil && limited(mint.Response) {
		_ = mint.Response.Body.Close()
		return &forge.LimitError{
			After: l.remember(waitOf(mint.Response, l.clock())),
			Cause: errors.New("minting a token: " + reason(mint.Response)),
		}
	}
	return err
}

func (l *limits) remember(after time.Duration) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if until := l.clock().Add(after); until.After(l.notBefore) {
		l.notBefore = until
	}
	return after
}

// limited tells whether an answer, after [answers] has seen it, is a primary or a secondary limit.
func limited(response *http.Response) bool {
	switch response.StatusCode {
	case http.StatusTooManyRequests:
		return true
	case http.StatusForbidden:
		return response.Header.Get("X-Ratelimit-Remaining") == "0" || response.Header.Get("Retry-After") != ""
	}
	return false
}

func reason(response *http.Response) string {
	if response.Header.Get("X-Ratelimit-Remaining") == "0" {
		return "no requests are left in this hour"
	}
	return "GitHub answered " + strconv.Itoa(response.StatusCode) + ", a secondary limit"
}

// waitOf is how long an answer asks to wait, by GitHub's rules: Retry-After; else until the reset if nothing remains; else a minute.
func waitOf(response *http.Response, now time.Time) time.Duration {
	if after, ok := retryAfter(response.Header, now); ok {
		return bounded(after)
	}
	if response.Header.Get("X-Ratelimit-Remaining") == "0" {
		if reset, err := strconv.ParseInt(response.Header.Get("X-Ratelimit-Reset"), 10, 64); err == nil {
			return bounded(time.Unix(reset, 0).Sub(now))
		}
	}
	return defaultWait
}

func bounded(after time.Duration) time.Duration {
	if after <= 0 {
		return defaultWait
	}
	return min(after, longestWait)
}

// retryAfter reads the header, which is a number of seconds or a date.
func retryAfter(header http.Header, now time.Time) (time.Duration, bool) {
	value := strings.TrimSpace(header.Get("Retry-After"))
	if seconds, err := strconv.ParseInt(value, 10, 64); err == nil {
		return time.Duration(min(seconds, int64(longestWait/time.Second))) * time.Second, seconds > 0
	}
	if at, err := http.ParseTime(value); err == nil {
		return at.Sub(now), at.After(now)
	}
	return 0, false
}

// settle gives an answer that is a secondary limit a Retry-After in whole seconds, so that each layer above understands the same.
func settle(response *http.Response, body []byte, now time.Time) {
	if response.StatusCode != http.StatusForbidden && response.StatusCode != http.StatusTooManyRequests {
		return
	}
	if response.Header.Get("X-Ratelimit-Remaining") == "0" && response.Header.Get("Retry-After") == "" {
		return // a primary limit; its reset says how long
	}
	after, ok := retryAfter(response.Header, now)
	if !ok {
		if response.StatusCode == http.StatusForbidden && response.Header.Get("Retry-After") == "" && !speaksOfLimits(body) {
			return // a missing permission
		}
		after = defaultWait
	}
	seconds := max(1, int64((after+time.Second-1)/time.Second))
	response.Header.Set("Retry-After", strconv.FormatInt(seconds, 10))
}

// speaksOfLimits recognises a 403 that is a secondary limit. GitHub marks it by nothing but its words and its link.
func speaksOfLimits(body []byte) bool {
	var answer struct {
		Message       string `json:"message"`
		Documentation string `json:"documentation_url"`
	}
	if json.Unmarshal(body, &answer) != nil {
		return false
	}
	message := strings.ToLower(answer.Message)
	return strings.Contains(answer.Documentation, "rate-limit") ||
		strings.Contains(message, "rate limit") || strings.Contains(message, "abuse detection")
}
