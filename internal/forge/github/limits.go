package github

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/bradleyfalzon/ghinstallation/v2"
	"github.com/gofri/go-github-ratelimit/v2/github_ratelimit"
	"github.com/gofri/go-github-ratelimit/v2/github_ratelimit/github_primary_ratelimit"
	"github.com/gofri/go-github-ratelimit/v2/github_ratelimit/github_secondary_ratelimit"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/wire"
)

// limiter puts go-github-ratelimit around a transport. It never sleeps; see the package's decisions.
func limiter(next http.RoundTripper) http.RoundTripper {
	return github_ratelimit.New(next, github_secondary_ratelimit.WithSingleSleepLimit(0, nil))
}

// limitedBy sends through next, under limits that may outlive it.
type limitedBy struct {
	limits *wire.Limits
	next   http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (b *limitedBy) RoundTrip(request *http.Request) (*http.Response, error) {
	l := b.limits
	if err := l.Wait(); err != nil {
		if request.Body != nil {
			_ = request.Body.Close()
		}
		return nil, err
	}
	forge.Sending(request.Context(), request.Method)
	response, err := b.next.RoundTrip(request)
	if err != nil {
		return nil, learn(l, err)
	}
	if !limited(response) {
		return response, nil
	}
	after := l.Remember(waitOf(response, l.Clock()))
	_ = response.Body.Close()
	return nil, &forge.LimitError{After: after, Cause: errors.New(reason(response))}
}

// learn turns the errors of the layers below that mean a limit into *forge.LimitError, and leaves others as they are.
func learn(l *wire.Limits, err error) error {
	var primary *github_primary_ratelimit.RateLimitReachedError
	if errors.As(err, &primary) {
		after := wire.DefaultWait
		if primary.Response != nil && primary.Response.Header.Get("X-Ratelimit-Reset") != "" {
			after = waitOf(primary.Response, l.Clock())
		} else if primary.ResetTime != nil {
			after = wire.Bounded(primary.ResetTime.Sub(l.Clock()))
		}
		return &forge.LimitError{After: l.Remember(after), Cause: errors.New("no requests are left in this hour")}
	}
	var mint *ghinstallation.HTTPError
	if errors.As(err, &mint) && mint.Response != nil && limited(mint.Response) {
		_ = mint.Response.Body.Close()
		return &forge.LimitError{
			After: l.Remember(waitOf(mint.Response, l.Clock())),
			Cause: errors.New("minting a token: " + reason(mint.Response)),
		}
	}
	return err
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
	if after, ok := wire.RetryAfter(response.Header, now); ok {
		return wire.Bounded(after)
	}
	if response.Header.Get("X-Ratelimit-Remaining") == "0" {
		if reset, err := strconv.ParseInt(response.Header.Get("X-Ratelimit-Reset"), 10, 64); err == nil {
			return wire.Bounded(time.Unix(reset, 0).Sub(now))
		}
	}
	return wire.DefaultWait
}

// settle gives an answer that is a secondary limit a Retry-After in whole seconds, so that each layer above understands the same.
func settle(response *http.Response, body []byte, now time.Time) {
	if response.StatusCode != http.StatusForbidden && response.StatusCode != http.StatusTooManyRequests {
		return
	}
	if response.Header.Get("X-Ratelimit-Remaining") == "0" && response.Header.Get("Retry-After") == "" {
		return // a primary limit; its reset says how long
	}
	after, ok := wire.RetryAfter(response.Header, now)
	if !ok {
		if response.StatusCode == http.StatusForbidden && response.Header.Get("Retry-After") == "" && !speaksOfLimits(body) {
			return // a missing permission
		}
		after = wire.DefaultWait
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
