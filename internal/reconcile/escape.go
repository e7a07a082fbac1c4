package reconcile

import (
	"regexp"
	"strings"
	"unicode"
)

// What this package writes ends up as markdown at a forge. What comes from outside (paths, tags, reasons) goes through the functions below.

// code writes text from outside as a code span that it cannot leave. In a table no escape of a pipe is safe beside backslashes, so there
// another sign stands for it.
func code(s string) string {
	s = strings.ReplaceAll(defuse(oneLine(s)), "|", "\u00a6")
	if strings.TrimSpace(s) == "" {
		return ""
	}
	marks := "`"
	for strings.Contains(s, marks) {
		marks += "`"
	}
	if strings.HasPrefix(s, "`") || strings.HasSuffix(s, "`") {
		s = " " + s + " "
	}
	return marks + s + marks
}

// fence writes text from outside as a block that it cannot leave.
func fence(language, s string) string {
	s = defuse(s)
	marks := "```"
	for strings.Contains(s, marks) {
		marks += "`"
	}
	return marks + language + "\n" + strings.TrimRight(s, "\n") + "\n" + marks
}

// plain escapes what markdown, and the forge's mentions and references, would act upon.
func plain(s string) string {
	var b strings.Builder
	for _, r := range inert(s) {
		switch r {
		case '\\', '`', '*', '_', '[', ']', '<', '>', '|', '~', '!', '&', '$':
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// inert is text on one line that calls nobody and closes nothing, also where no markdown is read.
func inert(s string) string {
	var b strings.Builder
	runes := []rune(defuse(oneLine(s)))
	for i, r := range runes {
		b.WriteRune(r)
		dash := r == '-' && i >= 2 && strings.EqualFold(string(runes[i-2:i]), "gh")
		if r == '@' || r == '#' || dash {
			b.WriteString(nothing)
		}
	}
	return b.String()
}

// nothing is a sign that has no width.
const nothing = "\u200b"

// closer is how forges are told, anywhere in a text, to close an issue. A description may become the message of a commit, where nobody
// reads markdown: so code spans and blocks do not keep from it.
var closer = regexp.MustCompile(`(?i)\b(close[sd]?|fix(?:es|ed)?|resolve[sd]?|implement(?:s|ed)?)(:?\s+(?:[\w.-]+/[\w.-]+)?#\d|:?\s+gh-\d|:?\s+https?://)`)

// defuse lets text close nothing, and leaves it as it is where it would not.
func defuse(s string) string { return closer.ReplaceAllString(s, "$1"+nothing+"$2") }

// unlinked takes from text of strangers what forges make links of.
func unlinked(s string) string {
	return strings.NewReplacer("://", ":"+nothing+"//", "www.", "www"+nothing+".").Replace(s)
}

// link is the bot's own links; the address is the forge's.
func link(text, address string) string {
	if !strings.HasPrefix(address, "https://") && !strings.HasPrefix(address, "http://") || strings.ContainsAny(address, " ()<>\n") {
		return text
	}
	return "[" + text + "](" + address + ")"
}

// oneLine takes line breaks and all else out that a reader does not see, or sees elsewhere than it stands.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, s)
}

// cut shortens text to a number of bytes, and says that it did. Of several lines none is shown in part.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	s = strings.ToValidUTF8(s[:max(most, 0)], "")
	if i := strings.LastIndexByte(s, '\n'); i >= 0 {
		s = s[:i]
	}
	return s + "\n… cut: there is more than fits here"
}

func htmlText(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "`", "&grave;").Replace(inert(s))
}
