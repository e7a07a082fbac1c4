package registry

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/boatlift/boatlift/internal/image"
)

// Request is one delivery as it came in, with the whole body.
type Request struct {
	Method string
	Path   string     // what follows the endpoint's own path, where senders without a header for a secret carry it
	Query  url.Values // may be nil
	Header http.Header
	Body   []byte
}

// Endpoint is what is configured of a sender.
type Endpoint struct {
	Host   string // the registry as images name it; overrides what bodies say. Empty: what bodies say, or the type's own
	Secret []byte // what proves the sender; how, is the type's matter. Never empty
}

// Type is one kind of sender.
type Type struct {
	Name  string // as in boatlift.yaml: type: ghcr
	Title string // for people
	Host  string // where an endpoint sets none; empty where bodies name the host

	// Verify proves that the request comes from who knows the secret. It is called before anything of the body is parsed,
	// compares in constant time, and returns a *ProofError.
	Verify func(Endpoint, Request) error
	// Decode reads a proved request. Its error is a *DecodeError: this is no request of that sender at all. One bad event
	// among several is ignored alone, with its reason.
	Decode func(Endpoint, Request) (Decoded, error)
	// Looks tells whether a request that another type could not decode is likely this one's, from the names of the body's
	// top-level fields and from the headers. It is only asked for hints.
	Looks func(keys map[string]json.RawMessage, header http.Header) bool
}

// Types lists every kind of sender, in the order in which they are documented.
func Types() []Type {
	return []Type{
		distribution(),
		gitlab(),
		ghcr(),
	}
}

// Lookup finds a type by its name in boatlift.yaml. The error is an *UnknownTypeError that lists the names.
func Lookup(name string) (Type, error) {
	for _, t := range Types() {
		if t.Name == name {
			return t, nil
		}
	}
	return Type{}, &UnknownTypeError{name}
}

// UnknownTypeError reports a type of sender that does not exist.
type UnknownTypeError struct{ Name string }

func (e *UnknownTypeError) Error() string {
	var names []string
	for _, t := range Types() {
		names = append(names, t.Name)
	}
	return fmt.Sprintf("unknown registry type %s; known are %s", clip(fmt.Sprintf("%q", e.Name)), strings.Join(names, ", "))
}

// Hint says what to do where none of the types fits.
func (e *UnknownTypeError) Hint() string {
	return "set type: to one of the known; a registry that sends none of these needs no type:, it is polled"
}

// Permanent tells that only another name helps.
func (e *UnknownTypeError) Permanent() bool { return true }

// Sender is one configured endpoint. The zero Sender proves nothing.
type Sender struct {
	kind     Type
	endpoint Endpoint
}

// NewSender joins a type and its configuration. It refuses an empty secret, since several senders leave their signature out,
// or sign with nothing, when they have none; and a host that no image's name could have.
func NewSender(kind Type, endpoint Endpoint) (Sender, error) {
	if len(bytes.TrimSpace(endpoint.Secret)) == 0 {
		return Sender{}, fmt.Errorf("sender of type %s: %w", kind.Name, ErrNoSecret)
	}
	if endpoint.Host == "" {
		endpoint.Host = kind.Host
	}
	if endpoint.Host != "" {
		name, err := image.NewName(endpoint.Host, "x/x")
		if err != nil {
			return Sender{}, fmt.Errorf("sender of type %s: host: %w", kind.Name, err)
		}
		endpoint.Host = name.Host()
	}
	endpoint.Secret = bytes.Clone(endpoint.Secret)
	return Sender{kind, endpoint}, nil
}

// ErrNoSecret reports an endpoint without a secret.
var ErrNoSecret = errors.New("it has no secret, so anybody could post to it")

// Type is the name of the sender's type.
func (s Sender) Type() string { return s.kind.Name }

// Verify proves the request over its raw bytes. The error is a *ProofError: answer 401, and decode nothing.
func (s Sender) Verify(request Request) error {
	if s.kind.Verify == nil {
		return &ProofError{Sender: "nobody", Reason: "the endpoint is not configured"}
	}
	return s.kind.Verify(s.endpoint, request)
}

// Decode reads a request that Verify has proved. The error is a *DecodeError: the sender is who it says, but this is not
// what it sends; answer 200, so that it is not sent again and again, and keep the reason.
func (s Sender) Decode(request Request) (Decoded, error) {
	if s.kind.Decode == nil {
		return Decoded{}, &DecodeError{Sender: "nobody", Reason: "the endpoint is not configured"}
	}
	return s.kind.Decode(s.endpoint, request)
}

// Receive proves, then decodes.
func (s Sender) Receive(request Request) (Decoded, error) {
	if err := s.Verify(request); err != nil {
		return Decoded{}, err
	}
	return s.Decode(request)
}

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
	var keys map[string]json.RawMessage
	if json.Unmarshal(body, &keys) != nil {
		keys = nil
	}
	return &DecodeError{Sender: kind.Name, Reason: reason, Likely: likely(kind, keys, request.Header)}
}

func likely(kind Type, keys map[string]json.RawMessage, header http.Header) string {
	for _, t := range Types() {
		if t.Looks(keys, header) {
			if t.Name == kind.Name {
				return ""
			}
			return t.Name
		}
	}
	return ""
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

// equal compares in constant time. It compares hashes, so that not even the lengths show.
func equal(a, b []byte) bool {
	ha, hb := sha256.Sum256(a), sha256.Sum256(b)
	return subtle.ConstantTimeCompare(ha[:], hb[:]) == 1
}
