package wire

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/boatlift/boatlift/internal/forge"
)

// MaxMessage is how much of a forge's own words is shown, in characters.
const MaxMessage = 300

// Error is what a forge answered, or that it did not answer. errors.Is finds the forge's own error in it where there is one.
type Error struct {
	Forge   string                  // its name, where it answered
	Doing   string                  // what was being done
	Status  int                     // of the answer; 0: none came
	Message string                  // the forge's words, cut and cleaned
	Kind    error                   // one of package forge's, or nil
	Cause   error                   // why no answer came, or nil
	Advise  func(kind error) string // what a person can do about it, empty where that is nothing; may be nil
}

// NoAnswer is the error where no answer came that could be read.
func NoAnswer(doing string, err error) *Error {
	cause := Innermost(err)
	said := Clean(cause.Error(), MaxMessage)
	if errors.Is(cause, context.DeadlineExceeded) {
		said = "no answer in time"
	}
	return &Error{Doing: doing, Message: said, Cause: cause}
}

// Error says what was being done and what the forge said.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Doing)
	if e.Kind != nil {
		fmt.Fprintf(&b, ": %v", e.Kind)
	}
	if e.Status != 0 {
		fmt.Fprintf(&b, ": %s answered %d", e.Forge, e.Status)
	}
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	}
	return b.String()
}

// Unwrap finds the forge's error and the network's.
func (e *Error) Unwrap() []error {
	var list []error
	if e.Kind != nil {
		list = append(list, e.Kind)
	}
	if e.Cause != nil {
		list = append(list, e.Cause)
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
	return errors.Is(e.Kind, forge.ErrRefused)
}

// Hint says what a person can do, where there is something.
func (e *Error) Hint() string {
	if e.Advise != nil {
		if advice := e.Advise(e.Kind); advice != "" {
			return advice
		}
	}
	if e.Status == http.StatusGone {
		return e.Forge + " no longer answers this; update Boatlift"
	}
	return ""
}

// Status is the status of the forge's answer in an error; 0: there is none.
func Status(err error) int {
	var e *Error
	if errors.As(err, &e) {
		return e.Status
	}
	return 0
}

// Says tells whether the forge's words in an error hold a text, given in lower case.
func Says(err error, text string) bool {
	var e *Error
	return errors.As(err, &e) && strings.Contains(strings.ToLower(e.Message), text)
}

// As gives an error of the forge's another meaning.
func As(err, kind error) error {
	var e *Error
	if errors.As(err, &e) {
		e.Kind = kind
	}
	return err
}

// Innermost leaves out the URL that net/http wraps around an error, and hides everything but the reason.
func Innermost(err error) error {
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
