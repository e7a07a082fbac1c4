package github

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// secrets are GitHub's tokens in their old and their new form (with dots, of any length), JWTs, and credentials in a URL.
var secrets = regexp.MustCompile(`(?i)(gh[a-z]_[A-Za-z0-9._-]{8,}|github_pat_[A-Za-z0-9_]{8,}|eyJ[A-Za-z0-9._-]{16,}|(bearer|token|basic)\s+[A-Za-z0-9._~+/=-]{16,}|://[^/\s@]*@)`)

// clean makes a line for people out of what somebody else wrote: no secrets, no control characters, no more than so many runes.
func clean(text string, most int) string {
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

// cut shortens markdown to so many bytes and says that it did. A hidden mark at the end is kept.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	const notice = "\n\n… cut here, as it is longer than GitHub allows.\n"
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
