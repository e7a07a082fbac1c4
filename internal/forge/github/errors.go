package github

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/bradleyfalzon/ghinstallation/v2"
	gh "github.com/google/go-github/v60/github"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/wire"
)

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
	var known *wire.Error
	if errors.As(err, &known) {
		return err
	}
	return f.errorOf(doing, err)
}

func (f *Forge) errorOf(doing string, err error) *wire.Error {
	if limit := f.limitIn(err); limit != nil {
		return &wire.Error{Doing: doing, Message: limit.Error(), Cause: limit}
	}
	var mint *ghinstallation.HTTPError
	if errors.As(err, &mint) && mint.Response != nil {
		return f.mintError(doing, mint.Response)
	}
	var answer *gh.ErrorResponse
	if errors.As(err, &answer) && answer.Response != nil {
		return f.newError(doing, answer.Response)
	}
	e := wire.NoAnswer(doing, err)
	e.Kind = elsewhere(err)
	return e
}

// advise knows what to do about a refusal. Needs are the permissions that would have sufficed, where GitHub says so: pull_requests=write.
func (f *Forge) advise(needs string) func(kind error) string {
	return func(kind error) string {
		gone, forbidden := errors.Is(kind, forge.ErrGone), errors.Is(kind, forge.ErrForbidden)
		switch token := f.appID == 0; {
		case token && gone:
			return "check that the token has neither expired nor been revoked, and that the organisation lets it in; a new one is used as soon as it is in its file"
		case token && forbidden && needs != "":
			return "give the token " + needs + " in its settings"
		case token && forbidden:
			return "give the token the missing permission in its settings; a classic one needs the scope repo"
		case gone:
			return "check that the App is installed there and not suspended, that its id and private key belong together, and that this machine's clock is right"
		case forbidden && needs != "":
			return "give the App " + needs + " in its settings, and accept the change where it is installed"
		case forbidden:
			return "give the App the missing permission in its settings, and accept the change where it is installed"
		}
		return ""
	}
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
func (f *Forge) mintError(doing string, response *http.Response) *wire.Error {
	e := f.newError(doing+": mint a token", response)
	switch e.Status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
		e.Kind = forge.ErrGone
	case http.StatusUnprocessableEntity: // narrowed to a repository that the installation does not reach
		e.Kind = forge.ErrNotFound
	}
	return e
}

// newError reads an answer that is not a success.
func (f *Forge) newError(doing string, response *http.Response) *wire.Error {
	e := &wire.Error{
		Forge: "GitHub", Doing: doing, Status: response.StatusCode, Message: message(response),
		Advise: f.advise(wire.Clean(response.Header.Get("X-Accepted-Github-Permissions"), 100)),
	}
	switch e.Status {
	case http.StatusUnauthorized:
		e.Kind = forge.ErrGone
	case http.StatusForbidden, http.StatusUnavailableForLegalReasons:
		e.Kind = forge.ErrForbidden
	case http.StatusNotFound:
		e.Kind = forge.ErrNotFound
	case http.StatusUnprocessableEntity:
		e.Kind = forge.ErrRefused
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
	return wire.Clean(strings.Join(said, "; "), wire.MaxMessage)
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
