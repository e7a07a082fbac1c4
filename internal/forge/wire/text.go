package wire

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// secrets are the forges' tokens in their old and new forms (with dots, of any length), JWTs, signing tokens, and credentials in a URL.
var secrets = regexp.MustCompile(`(?i)(gh[a-z]_[A-Za-z0-9._-]{8,}|github_pat_[A-Za-z0-9_]{8,}|gl[a-z]{2,6}-[A-Za-z0-9._-]{8,}|whsec_[A-Za-z0-9+/=_-]{8,}` +
	`|eyJ[A-Za-z0-9._-]{16,}|(bearer|token|basic)\s+[A-Za-z0-9._~+/=-]{16,}|://[^/\s@]*@)`)

// Clean makes a line for people out of what somebody else wrote: no secrets, no control characters, no more than so many runes.
func Clean(text string, most int) string {
	if len(text) > 16*most {
		text = text[:16*most]
	}
	text = strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError, unicode.Is(unicode.Cf, r):
			return -1
		case unicode.IsControl(r), unicode.IsSpace(r):
			return ' '
		}
		return r
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	text = secrets.ReplaceAllString(text, "[redacted]")
	if utf8.RuneCountInString(text) > most {
		text = string([]rune(text)[:most]) + "…"
	}
	return text
}

// Cut shortens markdown to so many bytes and says that it did. A hidden mark at the end is kept.
func Cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	const notice = "\n\n… cut here, as it is longer than the forge allows.\n"
	tail := notice
	if at := strings.LastIndex(text, "<!--"); at >= 0 && strings.HasSuffix(strings.TrimSpace(text), "-->") && len(text)-at <= most/2 {
		tail += "\n" + text[at:]
	}
	keep := most - len(tail)
	for keep > 0 && !utf8.RuneStart(text[keep]) {
		keep--
	}
	return text[:keep] + tail
}

// Short cuts one line to so many characters.
func Short(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}

// Title is one line of at most so many characters. Nothing else is changed, so that what is read back compares equal.
func Title(text string, most int) string {
	return Short(strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)), most)
}

var (
	commit   = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)
	revision = regexp.MustCompile(`^[0-9a-fA-F]{7,64}$`)
)

// IsCommit tells whether a text is a commit's full hash, SHA-1 or SHA-256.
func IsCommit(text string) bool { return commit.MatchString(text) }

// IsRevision tells whether a text is a commit's hash, whole or shortened. Other names of revisions move, and become part of a path.
func IsRevision(text string) bool { return revision.MatchString(text) }

var plainKey = regexp.MustCompile(`^[A-Za-z0-9](-?[A-Za-z0-9._:/]){0,99}$`)

// Mark is the hidden beginning of a comment by which it is found again. A key in which two dashes or an angle would end it is hashed.
func Mark(key string) string {
	if !plainKey.MatchString(key) {
		sum := sha256.Sum256([]byte(key))
		key = "sha256:" + hex.EncodeToString(sum[:])
	}
	return "<!-- boatlift:" + key + " -->"
}
