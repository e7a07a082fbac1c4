package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"regexp"
	"strings"
)

const redacted = "[redacted]"

// Secret is a value that must not be seen. However it is printed, logged or encoded, [redacted] comes out; Reveal alone has it. One in a
// file may change: whoever uses it asks for it each time.
//
// It is kept in a function, since printers that look into unexported fields, where no method is asked, do not call functions.
type Secret struct{ reveal func() []byte }

// NewSecret hides a value. An empty value is no secret.
func NewSecret(value []byte) Secret {
	if len(value) == 0 {
		return Secret{}
	}
	kept := bytes.Clone(value)
	return Secret{func() []byte { return bytes.Clone(kept) }}
}

// Reveal is the secret itself, and nil where there is none.
func (s Secret) Reveal() []byte {
	if s.reveal == nil {
		return nil
	}
	return s.reveal()
}

// IsZero tells that there is no secret.
func (s Secret) IsZero() bool { return s.reveal == nil }

func (s Secret) String() string { return redacted }

// GoString hides it from %#v.
func (s Secret) GoString() string { return redacted }

// Format hides it from every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue hides it from package slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText hides it from encoders of text.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON hides it from JSON.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(redacted) }

// MarshalYAML hides it from YAML.
func (s Secret) MarshalYAML() (any, error) { return redacted, nil }

// Secrets prove the same, each by itself: two while one is rotated.
type Secrets []Secret

// Reveal is the secrets themselves.
func (s Secrets) Reveal() [][]byte {
	list := make([][]byte, len(s))
	for i, one := range s {
		list[i] = one.Reveal()
	}
	return list
}

// First is the one that is given to others, or none.
func (s Secrets) First() Secret {
	if len(s) == 0 {
		return Secret{}
	}
	return s[0]
}

// secretSource is where the file says that a secret is.
type secretSource struct {
	place
	set  bool
	kind string // env or file
	name string
}

const secretRight = "write env:NAME for an environment variable, or file:/path for a file"

func (s *secretSource) read(d *decoder, n *node, f field) {
	if n.kind != scalarText { // of which nothing is repeated, also not that it is a number
		d.add(n, f.key+" must be text that says where the secret is", secretRight)
		return
	}
	kind, name, found := strings.Cut(n.value.(string), ":")
	switch {
	case !found || (kind != "env" && kind != "file"):
		d.add(n, f.key+" must not stand in the file itself", secretRight)
	case kind == "env" && !envPattern.MatchString(name):
		d.add(n, f.key+" names no environment variable after env:", "write env:NAME, with letters, digits and _")
	case kind == "file" && (strings.TrimSpace(name) == "" || strings.ContainsRune(name, 0)):
		d.add(n, f.key+" names no file after file:", "write file:/path")
	default:
		s.set, s.kind, s.name = true, kind, name
	}
}

// secretSources is one secret, or a list of those that prove the same.
type secretSources struct {
	place
	list []secretSource
}

// maxSecrets is how many secrets may prove the same: an old one, a new one, and one that nobody dares to take out.
const maxSecrets = 3

func (s *secretSources) read(d *decoder, n *node, f field) {
	if n.kind != sequence {
		one := secretSource{place: n.place}
		one.read(d, n, f)
		s.list = append(s.list, one)
		return
	}
	if len(n.items) == 0 || len(n.items) > maxSecrets {
		d.add(n, fmt.Sprintf("%s is a list of %d", f.key, len(n.items)), fmt.Sprintf("write one secret, or while it is changed a list of the new and the old one; %d at most", maxSecrets))
		return
	}
	for _, item := range n.items {
		if !d.spend() {
			return
		}
		one := secretSource{place: item.place}
		one.read(d, item, field{key: "an item of " + f.key, example: f.example})
		s.list = append(s.list, one)
	}
}

// secrets reads all of them.
func (b *botCheck) secrets(s secretSources, key string) Secrets {
	var list Secrets
	for _, source := range s.list {
		if one := b.secret(source, key); !one.IsZero() {
			list = append(list, one)
		}
	}
	return list
}

var (
	envPattern   = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	upperPattern = regexp.MustCompile(`^[A-Z_][A-Z0-9_]*$`)
)

const maxSecret = 64 << 10

// secret reads a secret from where it is. What cannot be read, or is empty, is a problem: an empty secret proves nobody.
func (b *botCheck) secret(s secretSource, key string) Secret {
	if !s.set {
		return Secret{}
	}
	var value []byte
	if s.kind == "env" {
		variable := "the environment variable of " + key
		if upperPattern.MatchString(s.name) { // anything else may be the secret itself, written there by mistake
			variable = "the environment variable " + s.name
		}
		text, ok := b.env.getenv(s.name)
		if !ok {
			b.add(s, variable+" is not set", "set it where the bot is started")
			return Secret{}
		}
		if value = trimmed([]byte(text)); len(value) == 0 {
			b.add(s, variable+" is empty", "set it to the secret: without one anybody could do what it protects")
			return Secret{}
		}
	} else {
		text, err := b.env.readFile(s.name)
		if err != nil {
			b.add(s, "the file of "+key+" cannot be read: "+reason(err), "name a file that the bot may read; a relative path begins at the folder of this file")
			return Secret{}
		}
		if value = trimmed(text); len(value) == 0 {
			b.add(s, "the file of "+key+" is empty", "write the secret into it: without one anybody could do what it protects")
			return Secret{}
		}
	}
	if len(value) > maxSecret {
		b.add(s, fmt.Sprintf("%s is larger than %d KiB", key, maxSecret>>10), "see whether it is the right one")
		return Secret{}
	}
	if s.kind == "env" {
		return NewSecret(value)
	}
	l := &live{key: key, value: value, at: b.env.now(), now: b.env.now, tell: b.env.renewed, read: func() ([]byte, error) { return b.env.readFile(s.name) }}
	return Secret{l.reveal}
}

// trimmed leaves out the line ends that editors and echo add, and everything where nothing but blanks is left.
func trimmed(value []byte) []byte {
	if len(bytes.TrimSpace(value)) == 0 {
		return nil
	}
	return bytes.TrimRight(value, "\r\n")
}

// reason is why a file cannot be read, without its name: it may be the secret, written there by mistake.
func reason(err error) string {
	if inner, ok := errors.AsType[*fs.PathError](err); ok {
		err = inner.Err
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "there is no such file"
	case errors.Is(err, fs.ErrPermission):
		return "it may not be read by this user"
	default:
		return err.Error()
	}
}
