package github

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/bradleyfalzon/ghinstallation/v2"
	gh "github.com/google/go-github/v60/github"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/wire"
)

// Error is what GitHub answered, or that it did not answer. errors.Is finds the forge's own error in it where there is one.
type Error struct {
	Doing   string // what was being done
	Status  int    // of the answer; 0: none came
	Message string // GitHub's words, cut and cleaned
	Needs   string // the permissions that would have sufficed, where GitHub says so: pull_requests=write
	kind    error  // one of package forge's, or nil
	cause   error  // why no answer came, or nil
	token   bool   // it was asked with a personal access token, not as an App
}

// Error says what was being done and what GitHub said.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Doing)
	if e.kind != nil {
		fmt.Fprintf(&b, ": %v", e.kind)
	}
	if e.Status != 0 {
		fmt.Fprintf(&b, ": GitHub answered %d", e.Status)
	}
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	}
	return b.String()
}

// Unwrap finds the forge's error and the network's.
func (e *Error) Unwrap() []error {
	var list []error
	if e.kind != nil {
		list = append(list, e.kind)
	}
	if e.cause != nil {
		list = append(list, e.cause)
	}
	return list
}

// Permanent tells that the same request will get the same answer.
func (e *Error) Permanent() bool {
	switch e.Status {
	case http.StatusBadRequest, http.StatusGone, http.StatusRequestEntityTooLarge,
		http.StatusUnprocessableEntity, http.StatusUnavailableForLegalReasons:
		return true
	}
	return errors.Is(e.kind, forge.ErrRefused)
}

// Hint says what a person can do, where there is something.
func (e *Error) Hint() string {
	switch {
	case e.token && errors.Is(e.kind, forge.ErrGone):
		return "check that the token has neither expired nor been revoked, and that the organisation lets it in; a new one is used as soon as it is in its file"
	case e.token && errors.Is(e.kind, forge.ErrForbidden) && e.Needs != "":
		return "give the token " + e.Needs + " in its settings"
	case e.token && errors.Is(e.kind, forge.ErrForbidden):
		return "give the token the missing permission in its settings; a classic one needs the scope repo"
	case errors.Is(e.kind, forge.ErrGone):
		return "check that the App is installed there and not suspended, that its id and private key belong together, and that this machine's clock is right"
	case errors.Is(e.kind, forge.ErrForbidden) && e.Needs != "":
		return "give the App " + e.Needs + " in its settings, and accept the change where it is installed"
	case errors.Is(e.kind, forge.ErrForbidden):
		return "give the App the missing permission in its settings, and accept the change where it is installed"
	case e.Status == http.StatusGone:
		return "GitHub no longer answers this; update Boatlift"
	}
	return ""
}

// errElsewhere reports that a name led to another repository than the one that is meant.
var errElsewhere = errors.New("the name belongs to another repository now")

// translate turns whatever a call of go-github's returned into what this package promises; nil stays nil. A 202 is a success, which
// go-github reports as an error. It must see each error once, as it reads the answer.
func (f *Forge) translate(doing string, err error) error {
	if err == nil {
		return nil
	}
	var accepted *gh.AcceptedError
	if errors.As(err, &accepted) {
		return nil
	}
	var known *Error
	if errors.As(err, &known) {
		return err
	}
	e := f.errorOf(doing, err)
	e.token = f.appID == 0
	return e
}

func (f *Forge) errorOf(doing string, err error) *Error {
	if limit := f.limitIn(err); limit != nil {
		return &Error{Doing: doing, Message: limit.Error(), cause: limit}
	}
	var mint *ghinstallation.HTTPError
	if errors.As(err, &mint) && mint.Response != nil {
		return mintError(doing, mint.Response)
	}
	var answer *gh.ErrorResponse
	if errors.As(err, &answer) && answer.Response != nil {
		return newError(doing, answer.Response)
	}
	cause := innermost(err)
	said := wire.Clean(cause.Error(), maxMessage)
	if errors.Is(cause, context.DeadlineExceeded) {
		said = "no answer in time"
	}
	return &Error{Doing: doing, Message: said, kind: elsewhere(err), cause: cause}
}

func elsewhere(err error) error {
	if errors.Is(err, errElsewhere) {
		return forge.ErrNotFound
	}
	return nil
}

// limitIn finds a limit that a layer below, or go-github itself, reported.
func (f *Forge) limitIn(err error) *forge.LimitError {
	var limit *forge.LimitError
	if errors.As(err, &limit) {
		return limit
	}
	var primary *gh.RateLimitError
	if errors.As(err, &primary) {
		return &forge.LimitError{
			After: wire.Bounded(primary.Rate.Reset.Sub(f.clock())),
			Cause: errors.New("no requests are left in this hour"),
		}
	}
	var secondary *gh.AbuseRateLimitError
	if errors.As(err, &secondary) {
		after := wire.DefaultWait
		if secondary.RetryAfter != nil {
			after = wire.Bounded(*secondary.RetryAfter)
		}
		return &forge.LimitError{After: after, Cause: errors.New("a secondary limit")}
	}
	return nil
}

// mintError is what a refused installation token means: the installation is suspended or gone, or the App's key is refused.
func mintError(doing string, response *http.Response) *Error {
	e := newError(doing+": mint a token", response)
	switch e.Status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
		e.kind = forge.ErrGone
	case http.StatusUnprocessableEntity: // narrowed to a repository that the installation does not reach
		e.kind = forge.ErrNotFound
	}
	return e
}

const maxMessage = 300

// newError reads an answer that is not a success.
func newError(doing string, response *http.Response) *Error {
	e := &Error{
		Doing: doing, Status: response.StatusCode, Message: message(response),
		Needs: wire.Clean(response.Header.Get("X-Accepted-Github-Permissions"), 100),
	}
	switch e.Status {
	case http.StatusUnauthorized:
		e.kind = forge.ErrGone
	case http.StatusForbidden, http.StatusUnavailableForLegalReasons:
		e.kind = forge.ErrForbidden
	case http.StatusNotFound:
		e.kind = forge.ErrNotFound
	case http.StatusUnprocessableEntity:
		e.kind = forge.ErrRefused
	}
	return e
}

// message collects GitHub's words. go-github drops them all when "errors" is not the list that it expects.
func message(response *http.Response) string {
	body, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	_ = response.Body.Close()
	if err != nil || len(body) == 0 {
		return ""
	}
	var answer struct {
		Message string          `json:"message"`
		Errors  json.RawMessage `json:"errors"`
	}
	if json.Unmarshal(body, &answer) != nil {
		return "" // a proxy's page; nobody wants to read it
	}
	words := []string{answer.Message}
	var details []json.RawMessage
	if json.Unmarshal(answer.Errors, &details) != nil {
		details = []json.RawMessage{answer.Errors}
	}
	for _, detail := range details {
		words = append(words, detailText(detail))
	}
	var said []string
	for _, word := range words {
		if word != "" {
			said = append(said, word)
		}
	}
	return wire.Clean(strings.Join(said, "; "), maxMessage)
}

func detailText(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	var detail struct {
		Resource, Field, Code, Message string
	}
	if json.Unmarshal(raw, &detail) != nil {
		return ""
	}
	if detail.Message != "" {
		return detail.Message
	}
	return strings.TrimSpace(detail.Field + " " + detail.Code)
}

// innermost leaves out the URL that net/http wraps around an error, and hides everything but the reason.
func innermost(err error) error {
	for _, known := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, known) {
			return known
		}
	}
	var inURL *url.Error
	if errors.As(err, &inURL) {
		return inURL.Err
	}
	return err
}

// statusOf is the status of GitHub's answer in an error; 0: there is none.
func statusOf(err error) int {
	var e *Error
	if errors.As(err, &e) {
		return e.Status
	}
	return 0
}

// as gives an error of GitHub's another meaning.
func as(err, kind error) error {
	var e *Error
	if errors.As(err, &e) {
		e.kind = kind
	}
	return err
}
