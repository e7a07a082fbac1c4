package render

import (
	"fmt"
	"strings"

	"github.com/aymanbagabas/go-udiff"
)

const (
	diffContext = 3
	// A resource above this size is not compared line by line.
	maxCompared = 256 << 10
	// How many resources a notice names.
	maxNamed = 10
)

// diffOf writes the unified diff of all changes, at most limit bytes of it in lines of at most width bytes, and reports whether
// that is less than all.
func diffOf(changes []change, limit int64, width int) (string, bool) {
	var b strings.Builder
	var left []string // titles of what no longer fits
	cut := false
	room := int(limit) - noticeRoom
	for _, c := range changes {
		if c.before != nil && c.after != nil && c.before.text == c.after.text {
			continue
		}
		title := c.title()
		if len(left) > 0 || b.Len() >= room {
			left = append(left, title)
			continue
		}
		text, whole := diffChange(c, title, width)
		cut = cut || !whole
		if b.Len()+len(text) <= room {
			b.WriteString(text)
			continue
		}
		if part := wholeLines(text, room-b.Len()); strings.Count(part, "\n") > 3 {
			b.WriteString(part)
			fmt.Fprintf(&b, "… the diff of %s is cut here\n", cutString(title, 200))
		} else {
			left = append(left, title)
		}
		cut = true
		if len(left) == 0 {
			room = b.Len() // nothing more fits
		}
	}
	if len(left) > 0 {
		b.WriteString(notice(left))
		cut = true
	}
	return b.String(), cut
}

// noticeRoom is kept free for the two notices at the end of a diff that is cut.
const noticeRoom = 1200

func notice(titles []string) string {
	named := titles[:min(len(titles), maxNamed)]
	short := make([]string, len(named))
	for i, t := range named {
		short[i] = cutString(t, 80)
	}
	s := fmt.Sprintf("… %d more changed, not shown: %s", len(titles), strings.Join(short, ", "))
	if len(titles) > len(named) {
		s += ", …"
	}
	return s + "\n"
}

// wholeLines is the longest beginning of s, in lines, that has at most n bytes.
func wholeLines(s string, n int) string {
	if n <= 0 {
		return ""
	}
	if len(s) <= n {
		return s
	}
	return s[:strings.LastIndexByte(s[:n], '\n')+1]
}

func (c change) title() string {
	var t string
	switch {
	case c.before == nil:
		t = c.after.title()
	case c.after == nil, c.before.title() == c.after.title():
		t = c.before.title()
	default:
		t = c.before.title() + " -> " + c.after.title()
	}
	return oneLine(t)
}

func oneLine(s string) string {
	return strings.NewReplacer("\n", `\n`, "\t", `\t`).Replace(printable(s))
}

// diffChange is the diff of one resource; false where it is not shown whole.
func diffChange(c change, title string, width int) (string, bool) {
	before, after, from, to := "", "", "(none)", "(none)"
	if c.before != nil {
		before, from = c.before.text, oneLine(c.before.title())
	}
	if c.after != nil {
		after, to = c.after.text, oneLine(c.after.title())
	}
	head := fmt.Sprintf("--- %s\n+++ %s\n", cutString(from, 400), cutString(to, 400))
	if len(before) > maxCompared || len(after) > maxCompared {
		return head + fmt.Sprintf("… %s changed; with %d bytes it is too large to be shown line by line\n",
			cutString(title, 200), max(len(before), len(after))), false
	}
	edits := udiff.Lines(before, after)
	unified, err := udiff.ToUnified("a", "b", before, edits, diffContext)
	if err != nil {
		return head + "… the difference cannot be shown\n", false
	}
	_, unified, _ = strings.Cut(unified, "\n") // its own heading: --- a
	_, unified, _ = strings.Cut(unified, "\n") // +++ b
	var b strings.Builder
	b.WriteString(head)
	whole := true
	for line := range strings.Lines(unified) {
		line = printable(strings.TrimSuffix(line, "\n"))
		if len(line) > width {
			whole = false
		}
		b.WriteString(cutString(line, width))
		b.WriteByte('\n')
	}
	return b.String(), whole
}
