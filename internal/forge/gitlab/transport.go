package gitlab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/wire"
)

// exchange sends a request with the token as it is now, and turns every answer that is not a success into an error, so that none is taken for
// one. It keeps to the waits that GitLab asks for.
type exchange struct {
	forge *Forge
	next  http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (e *exchange) RoundTrip(request *http.Request) (*http.Response, error) {
	f := e.forge
	if err := f.limits.Wait(); err != nil {
		closeBody(request)
		return nil, err
	}
	request = request.Clone(request.Context())
	request.Header.Set("PRIVATE-TOKEN", string(f.token()))
	forge.Sending(request.Context(), request.Method)
	response, err := e.next.RoundTrip(request)
	f.observe(request, response)
	if err != nil {
		return nil, err
	}
	if response.StatusCode < 300 || response.StatusCode == http.StatusNotModified {
		return response, nil
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	_ = response.Body.Close()
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	if isLimit(response, body) {
		after := f.limits.Remember(waitOf(response, f.clock()))
		return nil, &forge.LimitError{After: after, Cause: fmt.Errorf("GitLab answered %d", response.StatusCode)}
	}
	return nil, &refusal{status: response.StatusCode, said: message(body)}
}

func closeBody(request *http.Request) {
	if request.Body != nil {
		_ = request.Body.Close()
	}
}

// refusal is an answer that is not a success, before anybody knows what was being done.
type refusal struct {
	status int
	said   string
}

func (r *refusal) Error() string { return strconv.Itoa(r.status) + " " + r.said }

// isLimit tells whether an answer asks to wait. GitLab itself answers 429; what stands before it may answer 403.
// https://docs.gitlab.com/administration/settings/user_and_ip_rate_limits/
func isLimit(response *http.Response, body []byte) bool {
	switch response.StatusCode {
	case http.StatusTooManyRequests:
		return true
	case http.StatusForbidden:
		said := strings.ToLower(string(body))
		return response.Header.Get("Retry-After") != "" || response.Header.Get("RateLimit-Remaining") == "0" ||
			strings.Contains(said, "retry later") || strings.Contains(said, "rate limit")
	}
	return false
}

// waitOf is how long an answer asks to wait: Retry-After; else until the reset if nothing remains; else a minute.
func waitOf(response *http.Response, now time.Time) time.Duration {
	if after, ok := wire.RetryAfter(response.Header, now); ok {
		return wire.Bounded(after)
	}
	if remaining := response.Header.Get("RateLimit-Remaining"); remaining == "0" || remaining == "" {
		if reset, err := strconv.ParseInt(response.Header.Get("RateLimit-Reset"), 10, 64); err == nil {
			return wire.Bounded(time.Unix(reset, 0).Sub(now))
		}
	}
	return wire.DefaultWait
}

// message collects GitLab's words, which are a text, a list, or lists by field, under "message" or "error".
func message(body []byte) string {
	var answer struct {
		Message     any    `json:"message"`
		Error       any    `json:"error"`
		Description string `json:"error_description"`
	}
	if json.Unmarshal(body, &answer) != nil {
		return "" // a proxy's page; nobody wants to read it
	}
	said := append(words(answer.Message), words(answer.Error)...)
	if answer.Description != "" {
		said = append(said, answer.Description)
	}
	return wire.Clean(strings.Join(said, "; "), wire.MaxMessage)
}

func words(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		var all []string
		for _, one := range v {
			all = append(all, words(one)...)
		}
		return all
	case map[string]any:
		var all []string
		for field, one := range v {
			all = append(all, field+" "+strings.Join(words(one), ", "))
		}
		slices.Sort(all)
		return all
	}
	return nil
}

func (f *Forge) observe(request *http.Request, response *http.Response) {
	if f.tell == nil {
		return
	}
	r := wire.Request{Method: request.Method, Resource: "core", Remaining: -1}
	if response != nil {
		r.Status = response.StatusCode
		if n, err := strconv.Atoi(response.Header.Get("RateLimit-Remaining")); err == nil && n >= 0 {
			r.Remaining = n
		}
	}
	f.tell(r)
}

var errTooLong = errors.New("the list has too many pages")
