package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Type is one kind of sender.
type Type struct {
	Name  string // as in boatlift.yaml: type: ghcr
	Title string // for people
	Host  string // where an endpoint sets none; empty where bodies name the host
	// NeedsHost tells that bodies do not say at which registry something was pushed, so that an endpoint has to.
	NeedsHost bool

	Proof    string    // what proves the sender, in a few words, for people
	Lacks    []string  // what its notifications do not tell, in a few words each, for people
	Repeats  Repeats   // what it does about a notification that was not answered
	Methods  []string  // what it sends besides POST
	Settings []Setting // what can be set besides host and secret
	// Secrecy tells how the endpoint's secret is used; nil is Shared.
	Secrecy func(Endpoint) Secrecy
	// Check finds what no setting shows alone, once the defaults are in place; may be nil.
	Check func(Endpoint) error

	// Verify proves that the request comes from who knows the secret. It is called before anything of the body is parsed,
	// compares in constant time, and returns a *ProofError.
	Verify func(Endpoint, Request) error
	// Prove takes the place of Verify where the proof needs the sender's own keys, which have to be fetched. Its error may
	// also be an *UndecidedError.
	Prove func(context.Context, Endpoint, Request) error
	// Reach is the allow-list: only to addresses for which it is true is anything sent, by Prove and Answer. Nil is none.
	Reach func(Endpoint, *url.URL) bool
	// Answer tells what a proved request wants to hear; nil, nil where it is one to be decoded. Nil for most types.
	Answer func(context.Context, Endpoint, Request) (*Answer, error)
	// Decode reads a proved request. Its error is a *DecodeError: this is no request of that sender at all. One bad event
	// among several is ignored alone, with its reason.
	Decode func(Endpoint, Request) (Decoded, error)
	// Looks tells whether a request that another type could not decode is likely this one's, from the body's top-level
	// fields (of a list, its first element's) and from the headers. It is only asked for hints.
	Looks func(keys map[string]json.RawMessage, header http.Header) bool
	// Setup says in text what to configure at the sender.
	Setup func(Endpoint, Guide) string
}

// Types lists every kind of sender, in the order in which they are documented.
func Types() []Type {
	return []Type{
		distribution(),
		gitlab(),
		ghcr(),
		dockerhub(),
		gitea(),
		harbor(),
		quay(),
		acr(),
		eventGrid(),
		google(),
		ecr(),
		artifactory(),
		nexus(),
		zot(),
		alibaba(),
		generic(),
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
	return "set type: to one of the known; any other sender can post CloudEvents (type: cloudevents)"
}

// Permanent tells that only another name helps.
func (e *UnknownTypeError) Permanent() bool { return true }

// Secrecy is how an endpoint's secret is used.
type Secrecy int

const (
	// Shared is a secret that a header carries, or that something is signed with.
	Shared Secrecy = iota
	// InPath is a secret that ends the endpoint's address, since the sender can do nothing else.
	InPath
	// InQuery is a secret in the address's query, as access_token.
	InQuery
	// None is no secret at all: the sender signs with keys of its own.
	None
)

// Setting is something that a type lets an endpoint set, besides its host and secret.
type Setting struct {
	Name     string
	Says     string // what it is, in a few words, for people
	Example  string
	Default  string
	Required bool
	Check    func(value string) error // nil where any text will do
}

// oneOf makes a check of a few allowed words.
func oneOf(words ...string) func(string) error {
	return func(value string) error {
		for _, word := range words {
			if value == word {
				return nil
			}
		}
		return fmt.Errorf("it is one of %s", strings.Join(words, ", "))
	}
}

// SettingError reports an endpoint's setting that its type cannot work with.
type SettingError struct {
	Type, Setting string
	Reason        string
	hint          string
}

func (e *SettingError) Error() string {
	return "sender of type " + e.Type + ": " + e.Setting + ": " + e.Reason
}

// Hint says what would be right; may be empty.
func (e *SettingError) Hint() string { return e.hint }

// Permanent tells that only another setting helps.
func (e *SettingError) Permanent() bool { return true }

// Guide is what a sender's setup has to name.
type Guide struct {
	Name   string // of the endpoint, as in boatlift.yaml
	URL    string // of the endpoint as the sender reaches it, without a secret: https://boatlift.acme.io/hooks/NAME
	Secret string // how to write the secret: itself, or a stand-in
}

// address is the endpoint's whole address, with the secret where that belongs in it.
func (g Guide) address(s Secrecy) string {
	switch s {
	case InPath:
		return strings.TrimSuffix(g.URL, "/") + "/" + g.Secret
	case InQuery:
		return g.URL + "?access_token=" + g.Secret
	}
	return g.URL
}

// setup makes a Setup that fills address, secret and name into a text: {url}, {secret}, {name}.
func setup(kind *Type, lines ...string) func(Endpoint, Guide) string {
	secrecy := kind.Secrecy
	return func(endpoint Endpoint, g Guide) string {
		s := Shared
		if secrecy != nil {
			s = secrecy(endpoint)
		}
		return strings.NewReplacer("{url}", g.address(s), "{secret}", g.Secret, "{name}", g.Name).Replace(strings.Join(lines, "\n") + "\n")
	}
}
