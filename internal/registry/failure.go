package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/login"
)

// NotFoundError reports a tag, a digest or a repository that the registry says it does not have.
type NotFoundError struct {
	Name      image.Name
	Reference string // the tag or digest; empty where the repository is meant
}

func (e *NotFoundError) Error() string {
	if e.Reference == "" {
		return "registry has no repository " + string(e.Name)
	}
	return "registry has no " + join(e.Name, e.Reference)
}

// Hint says what may be the cause besides.
func (e *NotFoundError) Hint() string {
	return "it may have been deleted, or the credentials for " + e.Name.Host() + " cannot see it"
}

// Permanent tells that asking again does not help until somebody pushes.
func (e *NotFoundError) Permanent() bool { return true }

// UnauthorizedError reports credentials that are missing, wrong or not enough. Several registries answer so too where there
// is no such repository.
type UnauthorizedError struct {
	Name   image.Name
	Status int // 401 or 403
}

func (e *UnauthorizedError) Error() string {
	return fmt.Sprintf("registry refuses access to %s (HTTP %d)", e.Name, e.Status)
}

// Hint says which setting to look at.
func (e *UnauthorizedError) Hint() string {
	return "check the credentials for " + e.Name.Host() + " under registries: in boatlift.yaml (they must be allowed to pull " +
		e.Name.Repository() + "), and that the repository exists"
}

// UnavailableError reports a registry that gave no usable answer now; asking again later may help.
type UnavailableError struct {
	Host   string
	Status int // of the answer; 0 where none came
	Reason string

	after time.Duration
	hint  string
	cause error // only a context's error
}

func (e *UnavailableError) Error() string {
	s := "registry " + e.Host + " is not available: "
	if e.Status != 0 {
		s += "HTTP " + strconv.Itoa(e.Status)
		if e.Reason != "" {
			s += ", "
		}
	}
	return s + e.Reason
}

// Hint is empty where waiting is all that can be done.
func (e *UnavailableError) Hint() string { return e.hint }

// RetryAfter is how long the registry wants not to be asked; 0 where it did not say.
func (e *UnavailableError) RetryAfter() time.Duration { return e.after }

func (e *UnavailableError) Unwrap() error { return e.cause }

// plainHTTPError reports that a credential or a question would have gone over the network in clear text.
type plainHTTPError struct{ host string }

func (e *plainHTTPError) Error() string { return e.host + " is not asked over plain http" }

func (e *plainHTTPError) hint() string {
	return "give " + e.host + " a certificate, or set insecure: true for it under registries: in boatlift.yaml"
}

var (
	errSlow     = errors.New("no complete answer in time")
	errTooLarge = errors.New("the answer is larger than any that makes sense")
)

// fault sorts an error of go-containerregistry. Nothing of that error's text leaves here unread: it can hold addresses with
// signatures in them, and whole bodies of token servers.
func (c *Client) fault(ctx context.Context, name image.Name, reference string, err error) error {
	if ctx.Err() != nil && !errors.Is(context.Cause(ctx), errSlow) {
		return fmt.Errorf("ask registry about %s: %w", join(name, reference), context.Cause(ctx))
	}
	var (
		unavailable *UnavailableError
		plain       *plainHTTPError
		answer      *transport.Error
		loggedIn    *login.Error
	)
	host := name.Host()
	switch {
	case errors.As(err, &unavailable):
		return &UnavailableError{Host: host, Status: unavailable.Status, Reason: unavailable.Reason, after: unavailable.after}
	case errors.As(err, &plain):
		// Also where https was tried first and failed for another reason, which is then the reason given.
		return &UnavailableError{Host: host, Reason: c.scrub(err), hint: plain.hint()}
	case errors.As(err, &loggedIn):
		return &UnavailableError{Host: host, Reason: c.scrub(loggedIn), hint: loggedIn.Hint()}
	case errors.As(err, &answer):
		return sortAnswer(name, reference, answer)
	case errors.Is(err, errSlow), errors.Is(err, context.DeadlineExceeded):
		return &UnavailableError{Host: host, Reason: fmt.Sprintf("no complete answer within %s", c.timeout), cause: context.DeadlineExceeded}
	}
	fault := &UnavailableError{Host: host, Reason: c.scrub(err)}
	if strings.Contains(fault.Reason, "server gave HTTP response to HTTPS client") {
		fault.hint = (&plainHTTPError{host}).hint()
	}
	return fault
}

func sortAnswer(name image.Name, reference string, answer *transport.Error) error {
	path := ""
	if answer.Request != nil && answer.Request.URL != nil {
		path = answer.Request.URL.Path
	}
	switch answer.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		return &UnauthorizedError{Name: name, Status: answer.StatusCode}
	case http.StatusNotFound:
		for _, diagnostic := range answer.Errors {
			if diagnostic.Code == transport.NameUnknownErrorCode {
				return &NotFoundError{Name: name}
			}
		}
		if strings.Contains(path, "/manifests/") || strings.HasSuffix(path, "/tags/list") || strings.Contains(path, "/blobs/") {
			return &NotFoundError{Name: name, Reference: reference}
		}
		return &UnavailableError{Host: name.Host(), Status: answer.StatusCode, Reason: "it does not speak the registry protocol at " + clip(strconv.QuoteToASCII(path))}
	}
	reason := ""
	if len(answer.Errors) > 0 {
		reason = clip(strconv.QuoteToASCII(string(answer.Errors[0].Code) + " " + answer.Errors[0].Message))
	}
	return &UnavailableError{Host: name.Host(), Status: answer.StatusCode, Reason: reason}
}

var (
	query    = regexp.MustCompile(`\?[^\s"']*`)
	userinfo = regexp.MustCompile(`//[^\s/"'@]*@`)
)

// scrub makes one line of an error, without credentials and without the queries of addresses.
func (c *Client) scrub(err error) string {
	var at *url.Error
	for errors.As(err, &at) { // keeps what went wrong, leaves the address
		err = at.Err
	}
	text, _, _ := strings.Cut(err.Error(), "\n")
	text = userinfo.ReplaceAllString(query.ReplaceAllString(text, ""), "//")
	for _, credential := range c.credentials {
		secrets := []string{credential.Password, credential.Token}
		if credential.Renewed != nil {
			secrets = append(secrets, string(credential.Renewed()))
		}
		for _, secret := range secrets {
			if secret != "" {
				text = strings.ReplaceAll(text, secret, "[redacted]")
			}
		}
	}
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text)
	return clip(text)
}

// retryAfter reads the header of that name: seconds, or a date. What lies further off than a day is taken for a mistake.
func retryAfter(header http.Header, now time.Time) time.Duration {
	value := header.Get("Retry-After")
	after := time.Duration(0)
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		after = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		after = at.Sub(now)
	}
	return min(max(after, 0), 24*time.Hour)
}

func join(name image.Name, reference string) string {
	switch {
	case reference == "":
		return string(name)
	case strings.Contains(reference, ":"):
		return string(name) + "@" + reference
	}
	return string(name) + ":" + reference
}
