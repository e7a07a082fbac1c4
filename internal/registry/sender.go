package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/trust"
)

// Request is one delivery as it came in, with the whole body. It prints and logs without anything that could be a secret.
type Request struct {
	Method string
	Path   string     // what follows the endpoint's own path, where senders without a header for a secret carry it
	Query  url.Values // may be nil
	Header http.Header
	Body   []byte
}

func (r Request) String() string { return fmt.Sprintf("%s of %d bytes", r.Method, len(r.Body)) }

// GoString is String.
func (r Request) GoString() string { return r.String() }

// LogValue is String.
func (r Request) LogValue() slog.Value { return slog.StringValue(r.String()) }

// Endpoint is what is configured of a sender. It prints and logs without its secret.
type Endpoint struct {
	Host     string            // the registry as images name it; overrides what bodies say. Empty: what bodies say, or the type's own
	Secret   []byte            // what proves the sender; how, is the type's matter
	Settings map[string]string // what the type's Settings list; nil where nothing is set

	// Secrets stands in for Secret where that may change: it is asked for every request, and each of them proves by itself.
	Secrets func() [][]byte

	// Transport is the way to the few addresses that the type's Reach allows; nil is http.DefaultTransport.
	Transport http.RoundTripper
	// Now is the clock by which tokens and certificates expire; nil is time.Now.
	Now func() time.Time

	shelf *trust.Shelf // of the sender
}

func (e Endpoint) String() string { return "endpoint with host " + fmt.Sprintf("%q", e.Host) }

// GoString is String.
func (e Endpoint) GoString() string { return e.String() }

// LogValue is String.
func (e Endpoint) LogValue() slog.Value { return slog.StringValue(e.String()) }

// Sender is one configured endpoint. The zero Sender proves nothing.
type Sender struct {
	kind     Type
	endpoint Endpoint
	decodes  bool // only; it proves nothing
}

// NewSender joins a type and its configuration. It refuses an empty secret, since several senders leave their signature out,
// or sign with nothing, when they have none; one that belongs in an address and could be guessed; a host that no image's name
// could have; and settings that the type does not have, lacks or cannot read. The errors are *SettingError or ErrNoSecret,
// joined where there are several.
func NewSender(kind Type, endpoint Endpoint) (Sender, error) { return newSender(kind, endpoint, false) }

// NewDecoder is NewSender for somebody who only wants to know what would come out of a request: it needs neither a secret nor
// the settings of the proof, and Verify refuses everything.
func NewDecoder(kind Type, endpoint Endpoint) (Sender, error) { return newSender(kind, endpoint, true) }

func newSender(kind Type, endpoint Endpoint, decodes bool) (Sender, error) {
	var problems []error
	report := func(setting, reason, hint string) {
		problems = append(problems, &SettingError{Type: kind.Name, Setting: setting, Reason: reason, hint: hint})
	}
	endpoint.Settings = readSettings(kind, endpoint.Settings, decodes, report)
	if endpoint.Host == "" {
		endpoint.Host = kind.Host
	}
	if endpoint.Host != "" {
		name, err := image.NewName(endpoint.Host, "x/x")
		if err != nil {
			report("host", err.Error(), "write the registry as images name it: registry.acme.io, or with its port, registry.acme.io:5000")
		} else {
			endpoint.Host = name.Host()
		}
	}
	if !decodes {
		endpoint.Secret = kind.weakest(endpoint)
		if endpoint.Host == "" && kind.NeedsHost {
			report("host", "it is not set, and this sender does not say at which registry something was pushed", "write the registry as images name it: registry.acme.io")
		}
		switch secrecy := kind.secrecy(endpoint); {
		case secrecy == None:
		case len(bytes.TrimSpace(endpoint.Secret)) == 0:
			problems = append(problems, fmt.Errorf("sender of type %s: %w", kind.Name, ErrNoSecret))
		case secrecy == InPath || secrecy == InQuery:
			if reason := guessable(endpoint.Secret); reason != "" {
				report("secret", reason, "make one with: openssl rand -hex 32")
			}
		}
		if kind.Check != nil && len(problems) == 0 {
			if err := kind.Check(endpoint); err != nil {
				problems = append(problems, err)
			}
		}
	}
	if len(problems) == 1 {
		return Sender{}, problems[0]
	} else if len(problems) > 1 {
		return Sender{}, errors.Join(problems...)
	}
	endpoint.Secret = bytes.Clone(endpoint.Secret)
	if endpoint.Transport == nil {
		endpoint.Transport = http.DefaultTransport
	}
	if endpoint.Now == nil {
		endpoint.Now = time.Now
	}
	if kind.Reach != nil {
		endpoint.shelf = trust.NewShelf(endpoint.Transport, endpoint.Now, func(at *url.URL) bool { return kind.Reach(endpoint, at) })
	}
	return Sender{kind, endpoint, decodes}, nil
}

// weakest is the first secret of an endpoint that will not do, else the last one.
func (t Type) weakest(endpoint Endpoint) []byte {
	for _, secret := range endpoint.secretsNow() {
		endpoint.Secret = secret
		secrecy := t.secrecy(endpoint)
		if len(bytes.TrimSpace(secret)) == 0 || (secrecy == InPath || secrecy == InQuery) && guessable(secret) != "" {
			break
		}
	}
	return endpoint.Secret
}

// readSettings checks what is set and fills in the defaults.
func readSettings(kind Type, set map[string]string, decodes bool, report func(setting, reason, hint string)) map[string]string {
	read := make(map[string]string, len(kind.Settings))
	var known []string
	for _, s := range kind.Settings {
		known = append(known, s.Name)
		value, ok := set[s.Name]
		value = strings.TrimSpace(value)
		hint := s.Says
		if s.Example != "" {
			hint += ", like " + s.Example
		}
		switch {
		case !ok && s.Required && !decodes:
			report(s.Name, "it is not set", hint)
		case ok && value == "":
			report(s.Name, "it is empty", hint)
		case !ok:
			value = s.Default
		case s.Check != nil:
			if err := s.Check(value); err != nil {
				report(s.Name, err.Error(), hint)
			}
		}
		read[s.Name] = value
	}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if slices.Contains(known, name) {
			continue
		}
		hint := "this type has no settings besides host and secret"
		if len(known) > 0 {
			hint = "this type has the settings " + strings.Join(known, ", ")
		}
		report(subject(name, ""), "there is no such setting", hint)
	}
	return read
}

// guessable says why a secret that belongs in an address is not one of 128 random bits, or nothing.
func guessable(secret []byte) string {
	seen := map[byte]bool{}
	var digit, hexLower, hexUpper, lower, upper, other bool
	for _, b := range secret {
		seen[b] = true
		switch {
		case b >= '0' && b <= '9':
			digit = true
		case b >= 'a' && b <= 'f':
			hexLower = true
		case b >= 'A' && b <= 'F':
			hexUpper = true
		case b >= 'a' && b <= 'z':
			lower = true
		case b >= 'A' && b <= 'Z':
			upper = true
		case strings.IndexByte("-_.~", b) >= 0:
			other = true
		default:
			return "it stands in the address, so it may only have letters, digits and - _ . ~"
		}
	}
	letters := 0
	for _, class := range []struct {
		there bool
		size  int
	}{{digit, 10}, {hexLower, 6}, {lower, 20}, {hexUpper, 6}, {upper, 20}, {other, 4}} {
		if class.there {
			letters += class.size
		}
	}
	const bits, distinct = 128, 8
	if float64(len(secret))*math.Log2(float64(max(letters, 2))) < bits || len(seen) < distinct {
		return "it stands in the address and is all that proves the sender, so it has to be at least 128 random bits"
	}
	return ""
}

// ErrNoSecret reports an endpoint without a secret.
var ErrNoSecret = errors.New("it has no secret, so anybody could post to it")

func (t Type) secrecy(endpoint Endpoint) Secrecy {
	if t.Secrecy == nil {
		return Shared
	}
	return t.Secrecy(endpoint)
}

// MayLackSecret tells whether an endpoint of the type can be proved without a secret of ours, given its settings.
func (t Type) MayLackSecret() bool {
	all := map[string]string{}
	for _, s := range t.Settings {
		all[s.Name] = s.Example
	}
	return t.secrecy(Endpoint{Settings: all}) == None
}

// Type is the name of the sender's type.
func (s Sender) Type() string { return s.kind.Name }

func (s Sender) String() string { return "sender of type " + s.kind.Name }

// GoString is String.
func (s Sender) GoString() string { return s.String() }

// LogValue is String.
func (s Sender) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Secrecy is how the endpoint's secret is used. Where it is InPath or InQuery, neither path nor query of a request may be
// logged or shown.
func (s Sender) Secrecy() Secrecy { return s.kind.secrecy(s.endpoint) }

// Methods are the methods of the requests that the sender posts: POST, and for some another.
func (s Sender) Methods() []string { return append([]string{http.MethodPost}, s.kind.Methods...) }

// Setup says what to configure at the sender, in plain text of several lines.
func (s Sender) Setup(g Guide) string {
	if s.kind.Setup == nil {
		return ""
	}
	return s.kind.Setup(s.endpoint, g)
}

// Verify is VerifyContext for a caller who has no context. What is fetched for a proof is bounded in time in any case.
func (s Sender) Verify(request Request) error { return s.VerifyContext(context.Background(), request) }

// VerifyContext proves the request over its raw bytes. The error is a *ProofError: answer 401, and decode nothing; or an
// *UndecidedError: the sender's keys could not be fetched, answer 503, so that the request comes again.
func (s Sender) VerifyContext(ctx context.Context, request Request) error {
	switch {
	case s.decodes:
		return &ProofError{Sender: s.kind.Name, Reason: "the endpoint is only for decoding"}
	case s.kind.Prove == nil && s.kind.Verify == nil:
		return &ProofError{Sender: "nobody", Reason: "the endpoint is not configured"}
	}
	var proved bool
	var refused error
	endpoint := s.endpoint
	for _, secret := range s.endpoint.secretsNow() { // all of them, so that the time taken does not tell which was nearly right
		endpoint.Secret = secret
		var err error
		if s.kind.Prove != nil {
			err = s.kind.Prove(ctx, endpoint, request)
		} else {
			err = s.kind.Verify(endpoint, request)
		}
		if proved = proved || err == nil; refused == nil {
			refused = err
		}
	}
	if proved {
		return nil
	}
	return refused
}

// secretsNow are the secrets that prove a request now; one that is empty where there is none.
func (e Endpoint) secretsNow() [][]byte {
	if e.Secrets == nil {
		return [][]byte{e.Secret}
	}
	if list := e.Secrets(); len(list) > 0 {
		return list
	}
	return [][]byte{nil}
}

// Answer tells what a request that VerifyContext has proved wants to hear. It is nil for nearly all: then Decode. The error
// is a *DecodeError: the request asks for something and is not understood; or an *UndecidedError: what it asks for could not
// be done now, answer 503, so that it comes again.
func (s Sender) Answer(ctx context.Context, request Request) (*Answer, error) {
	if s.kind.Answer == nil || s.decodes {
		return nil, nil
	}
	return s.kind.Answer(ctx, s.endpoint, request)
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
