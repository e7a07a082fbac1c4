package registry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/boatlift/boatlift/internal/trust"
)

// ProofError reports a request that does not come from who knows the secret.
type ProofError struct {
	Sender string // the endpoint's type
	Reason string // for operators, not for the answer; never has any part of a secret
	hint   string
}

func (e *ProofError) Error() string { return "not proved to come from " + e.Sender + ": " + e.Reason }

// Hint says what an operator can do.
func (e *ProofError) Hint() string { return e.hint }

// Permanent tells that the same request will never be proved.
func (e *ProofError) Permanent() bool { return true }

// UndecidedError reports a request of which cannot be told now whether it is genuine, or whose wish cannot be met now,
// because the sender's own service gave no usable answer. The same request may be proved later.
type UndecidedError struct {
	Sender string // the endpoint's type
	Host   string // who was asked
	Reason string
}

func (e *UndecidedError) Error() string {
	return "cannot tell now whether this comes from " + e.Sender + ": " + e.Host + ": " + e.Reason
}

// Hint says what an operator can look at.
func (e *UndecidedError) Hint() string {
	return "the bot must be able to reach https://" + e.Host + "; the sender tries again"
}

// RetryAfter is how long nothing new is asked.
func (e *UndecidedError) RetryAfter() time.Duration { return trust.PauseAfterFailure }

// DecodeError reports a proved request that is not what its sender sends.
type DecodeError struct {
	Sender string // the endpoint's type
	Reason string
	Likely string // the type it seems to be instead; may be empty
}

func (e *DecodeError) Error() string { return "no " + e.Sender + " notification: " + e.Reason }

// Hint says what an operator can do.
func (e *DecodeError) Hint() string {
	if e.Likely != "" {
		return "it looks like one of " + e.Likely + ": set type: " + e.Likely + " for this registry, or post it to the endpoint of that type"
	}
	return "compare what is posted here with what type: " + e.Sender + " expects"
}

// Permanent tells that the same request will never be understood.
func (e *DecodeError) Permanent() bool { return true }

// unproved builds a ProofError, with a hint where the headers show another sender.
func unproved(kind Type, request Request, reason, hint string) error {
	if likely := likely(kind, nil, request.Header); likely != "" {
		hint = "its headers look like those of " + likely + ": set type: " + likely + " for this registry, or post it to the endpoint of that type"
	}
	return &ProofError{Sender: kind.Name, Reason: reason, hint: hint}
}

// undecoded builds a DecodeError, with the type that the body seems to be of.
func undecoded(kind Type, request Request, body []byte, reason string) error {
	return &DecodeError{Sender: kind.Name, Reason: reason, Likely: likely(kind, topLevel(body), request.Header)}
}

// topLevel reads the fields of an object, or of the first object of a list. It is nil of anything else.
func topLevel(body []byte) map[string]json.RawMessage {
	var keys map[string]json.RawMessage
	if trimmed := bytes.TrimLeft(body, " \t\r\n"); len(trimmed) > 0 && trimmed[0] == '[' {
		var list []json.RawMessage
		if json.Unmarshal(trimmed, &list) != nil || len(list) == 0 {
			return nil
		}
		body = list[0]
	}
	if json.Unmarshal(body, &keys) != nil {
		return nil
	}
	return keys
}

// likely names another type that a request seems to be of.
func likely(kind Type, keys map[string]json.RawMessage, header http.Header) string {
	if kind.Looks != nil && kind.Looks(keys, header) {
		return ""
	}
	for _, t := range Types() {
		if t.Name != kind.Name && t.Looks(keys, header) {
			return t.Name
		}
	}
	return ""
}

// has tells whether a body has all of the top-level fields.
func has(keys map[string]json.RawMessage, names ...string) bool {
	for _, name := range names {
		if _, ok := keys[name]; !ok {
			return false
		}
	}
	return true
}

// inside reads the fields of a top-level field that is an object.
func inside(keys map[string]json.RawMessage, name string) map[string]json.RawMessage {
	var fields map[string]json.RawMessage
	if json.Unmarshal(keys[name], &fields) != nil {
		return nil
	}
	return fields
}

// word reads a top-level field that is a string.
func word(keys map[string]json.RawMessage, name string) string {
	var s string
	if json.Unmarshal(keys[name], &s) != nil {
		return ""
	}
	return s
}

// explainJSON says what is wrong with a body, without repeating it.
func explainJSON(err error) string {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &kind):
		if kind.Field == "" {
			return "the body is a JSON " + kind.Value + " where an object is expected"
		}
		return clip(fmt.Sprintf("the field %+q is a %s", kind.Field, kind.Value))
	case errors.As(err, &syntax):
		return fmt.Sprintf("the body is not JSON, or cut off, at byte %d", syntax.Offset)
	}
	return "the body is not JSON"
}
