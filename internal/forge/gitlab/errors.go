package gitlab

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	gl "github.com/xanzy/go-gitlab"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/wire"
)

// Error is what GitLab answered, or that it did not answer. errors.Is finds the forge's own error in it where there is one.
type Error struct {
	Doing   string // what was being done
	Status  int    // of the answer; 0: none came
	Message string // GitLab's words, cut and cleaned
	kind    error  // one of package forge's, or nil
	cause   error  // why no answer came, or nil
}

// Error says what was being done and what GitLab said.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Doing)
	if e.kind != nil {
		fmt.Fprintf(&b, ": %v", e.kind)
	}
	if e.Status != 0 {
		fmt.Fprintf(&b, ": GitLab answered %d", e.Status)
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
	case http.StatusBadRequest, http.StatusGone, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return true
	}
	return errors.Is(e.kind, forge.ErrRefused)
}

// Hint says what a person can do, where there is something.
func (e *Error) Hint() string {
	switch {
	case errors.Is(e.kind, forge.ErrGone):
		return "check that the token has neither expired nor been revoked; a new one is used as soon as it is in its file"
	case errors.Is(e.kind, forge.ErrForbidden) && strings.Contains(e.Message, "insufficient_scope"):
		return "give the token the scopes api and write_repository"
	case errors.Is(e.kind, forge.ErrForbidden):
		return "give the token's account the role Developer in the project, Maintainer where it merges into a protected branch; the token needs the scopes api and write_repository"
	case e.Status == http.StatusGone:
		return "GitLab no longer answers this; update Boatlift"
	}
	return ""
}

// translate turns whatever a call of go-gitlab's returned into what this package promises; nil stays nil.
func (f *Forge) translate(doing string, err error) error {
	if err == nil {
		return nil
	}
	var known *Error
	if errors.As(err, &known) {
		return err
	}
	var limit *forge.LimitError
	if errors.As(err, &limit) {
		return &Error{Doing: doing, Message: limit.Error(), cause: limit}
	}
	var refused *refusal
	if errors.As(err, &refused) {
		return &Error{Doing: doing, Status: refused.status, Message: refused.said, kind: kindOf(refused.status)}
	}
	if errors.Is(err, gl.ErrNotFound) {
		return &Error{Doing: doing, Status: http.StatusNotFound, kind: forge.ErrNotFound}
	}
	cause := innermost(err)
	said := wire.Clean(cause.Error(), maxMessage)
	if errors.Is(cause, context.DeadlineExceeded) {
		said = "no answer in time"
	}
	return &Error{Doing: doing, Message: said, cause: cause}
}

// kindOf is what a status means where nothing better is known.
func kindOf(status int) error {
	switch status {
	case http.StatusUnauthorized:
		return forge.ErrGone
	case http.StatusForbidden:
		return forge.ErrForbidden
	case http.StatusNotFound:
		return forge.ErrNotFound
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return forge.ErrRefused
	}
	if status >= 300 && status < 400 {
		return forge.ErrNotFound // it moved; a redirect is never followed
	}
	return nil
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

// statusOf is the status of GitLab's answer in an error; 0: there is none.
func statusOf(err error) int {
	var e *Error
	if errors.As(err, &e) {
		return e.Status
	}
	return 0
}

// as gives an error of GitLab's another meaning.
func as(err, kind error) error {
	var e *Error
	if errors.As(err, &e) {
		e.kind = kind
	}
	return err
}

// says tells whether GitLab's words hold a text, whatever its case.
func says(err error, text string) bool {
	var e *Error
	return errors.As(err, &e) && strings.Contains(strings.ToLower(e.Message), text)
}
