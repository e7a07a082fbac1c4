package dashboard

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/boatlift/boatlift/internal/image"
)

// hidden stands for a character that is not shown.
const hidden = unicode.ReplacementChar

// visible is the character itself, or hidden for one that has no look of its own and could change that of others: controls, marks that turn
// the direction of text, zero-width characters. A line's end and a tab stay.
func visible(r rune) rune {
	switch {
	case r == '\n' || r == '\t':
		return r
	case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Cs):
		return hidden
	default:
		return r
	}
}

// line makes one line of text from outside.
func line(s string) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' || r == '\t' }), " ")
	return strings.Map(visible, s)
}

// first is the first line of a text that has several.
func first(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	return s
}

// label is what people call an image at a tag and a digest.
func label(tag string, digest image.Digest) string {
	switch {
	case tag != "" && digest != "":
		return tag + " (" + digest.Short() + ")"
	case tag != "":
		return tag
	case digest != "":
		return digest.Short()
	default:
		return "no tag"
	}
}

func orNone(s string) string {
	if s == "" {
		return "no tag"
	}
	return s
}

func orSomebody(s string) string {
	if s == "" {
		return "somebody"
	}
	return s
}

// moment is a time in words; it is for hints, which have no time of their own.
func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// count writes a number with its noun.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// names writes a list for people.
func names[T ~string](list []T) string {
	texts := make([]string, len(list))
	for i, s := range list {
		texts[i] = string(s)
	}
	return strings.Join(texts, ", ")
}

// Span writes a duration as people do in boatlift.yaml: 5m, not 5m0s.
func Span(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
