package image

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// Name is a repository together with its registry host, in canonical form: registry.acme.io/shop/web. Images of Docker Hub
// carry their full name, docker.io/library/nginx, so that every way of writing one image compares equal.
type Name string

// Host is the registry's host, with its port where it has one.
func (n Name) Host() string {
	host, _, _ := strings.Cut(string(n), "/")
	return host
}

// Repository is the path below the host: shop/web.
func (n Name) Repository() string {
	_, repository, _ := strings.Cut(string(n), "/")
	return repository
}

// Base is the last element of the repository's path, the short word people use for the image: web.
func (n Name) Base() string {
	return string(n)[strings.LastIndexByte(string(n), '/')+1:]
}

func (n Name) String() string { return string(n) }

// Digest is the content hash of a manifest: sha256:… in lower case hexadecimal.
type Digest string

// Short is the digest cut for people: the first twelve hexadecimal digits.
func (d Digest) Short() string {
	_, hex, ok := strings.Cut(string(d), ":")
	if !ok || len(hex) < 12 {
		return string(d)
	}
	return hex[:12]
}

func (d Digest) String() string { return string(d) }

// Ref is an image as a kustomization or a person names it; tag and digest are empty where they are not given.
type Ref struct {
	Name   Name
	Tag    string
	Digest Digest
}

// String writes the reference as registries and container runtimes take it: name:tag@digest.
func (r Ref) String() string {
	s := string(r.Name)
	if r.Tag != "" {
		s += ":" + r.Tag
	}
	if r.Digest != "" {
		s += "@" + string(r.Digest)
	}
	return s
}

// The grammar of github.com/distribution/reference, which registries enforce.
var (
	tagPattern       = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)
	digestPattern    = regexp.MustCompile(`^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$`)
	hostPattern      = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*|\[[0-9a-fA-F:]+\])(:[0-9]{1,5})?$`)
	componentPattern = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*$`)
)

// ParseError reports text that is no image reference, tag or digest.
type ParseError struct {
	Text, Reason string
}

func (e *ParseError) Error() string {
	return cut(e.Text) + " is no image reference: " + e.Reason
}

// Permanent tells that trying again with the same text cannot help.
func (e *ParseError) Permanent() bool { return true }

// CheckTag reports whether a registry could hold the tag.
func CheckTag(tag string) error {
	if !tagPattern.MatchString(tag) {
		return &ParseError{tag, "a tag is 1 to 128 letters, digits, _, . or -, and does not start with . or -"}
	}
	return nil
}

// ParseDigest checks a digest. Only sha256 and sha512 are known, in lower case, with their full length.
func ParseDigest(s string) (Digest, error) {
	if !digestPattern.MatchString(s) {
		return "", &ParseError{s, "a digest is sha256: and 64, or sha512: and 128, lower-case hexadecimal digits"}
	}
	return Digest(s), nil
}

// ParseName parses a repository without tag or digest and returns its canonical form. The repository is lower-cased, as
// several senders of push events write their owner's name in its original case.
func ParseName(s string) (Name, error) {
	if s == "" {
		return "", &ParseError{s, "it is empty"}
	}
	if len(s) > maxName {
		return "", &ParseError{s, tooLong}
	}
	if !ascii(s) { // before any lower-casing, which would make an ASCII k of the Kelvin sign
		return "", &ParseError{s, "it has letters outside of ASCII"}
	}
	host, repository, found := strings.Cut(s, "/")
	if !found || !isHost(host) {
		host, repository = dockerHub, s
	}
	host = canonicalHost(host)
	if !hostPattern.MatchString(host) {
		return "", &ParseError{s, "its host is not a host name with an optional port"}
	}
	repository = strings.ToLower(repository)
	for component := range strings.SplitSeq(repository, "/") {
		if !componentPattern.MatchString(component) {
			return "", &ParseError{s, "a repository is lower-case letters, digits and single . _ - between them, in parts divided by /"}
		}
	}
	if host == dockerHub && !strings.Contains(repository, "/") {
		repository = "library/" + repository
	}
	name := Name(host + "/" + repository)
	if len(name) > maxName {
		return "", &ParseError{s, tooLong}
	}
	return name, nil
}

const (
	maxName = 255
	tooLong = "it is longer than 255 characters"
)

func ascii(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf })
}

// dockerHub is the host of images that are written without one.
const dockerHub = "docker.io"

// isHost tells a registry's host from the first element of a Docker Hub repository, by the rule that container runtimes
// follow: a host has a dot or a port, or is localhost.
func isHost(first string) bool {
	return strings.ContainsAny(first, ".:") || strings.EqualFold(first, "localhost")
}

// canonicalHost lower-cases a host and gives Docker Hub its one name.
func canonicalHost(host string) string {
	host = strings.ToLower(host)
	switch host {
	case "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com":
		return dockerHub
	}
	return host
}

// NewName joins a registry's host and a repository below it, both as a registry or its notification says them. Unlike in
// ParseName the host is known to be one, so a host that could be a Docker Hub user (registry, without dot or port) is refused
// instead of taken for one.
func NewName(host, repository string) (Name, error) {
	name, err := ParseName(host + "/" + repository)
	if err != nil {
		return "", err
	}
	if !isHost(host) || strings.Contains(host, "/") {
		return "", &ParseError{host, "a registry's host has a dot or a port, or is localhost"}
	}
	return name, nil
}

// Parse parses name[:tag][@digest].
func Parse(s string) (Ref, error) {
	rest, digestText, hasDigest := strings.Cut(s, "@")
	var ref Ref
	if hasDigest {
		digest, err := ParseDigest(digestText)
		if err != nil {
			return Ref{}, &ParseError{s, "what follows @ is no digest"}
		}
		ref.Digest = digest
	}
	if colon := strings.LastIndexByte(rest, ':'); colon > strings.LastIndexByte(rest, '/') {
		ref.Tag = rest[colon+1:]
		if err := CheckTag(ref.Tag); err != nil {
			return Ref{}, &ParseError{s, "what follows the last : is no tag"}
		}
		rest = rest[:colon]
	}
	name, err := ParseName(rest)
	if err != nil {
		return Ref{}, err
	}
	ref.Name = name
	return ref, nil
}
