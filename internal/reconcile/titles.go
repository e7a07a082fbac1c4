package reconcile

import (
	"fmt"
	"strings"

	"github.com/boatlift/boatlift/internal/promotion"
)

// pullTitle is also the subject of the commit and, with most forges, of the commit that merges it, where references act too. Forges refuse
// titles of more than 256 characters.
func pullTitle(r promotion.Release) string {
	const most = 200
	from := promotion.Release{Changes: make([]promotion.Change, len(r.Changes))}
	for i, c := range r.Changes {
		from.Changes[i] = promotion.Change{Image: c.Image, Tag: c.FromTag, Digest: c.FromDigest}
	}
	title := fmt.Sprintf("%s: %s %s", r.Environment, r.App, r.Label())
	if was := from.Label(); !strings.Contains(was, ", ") && was != "" && was != r.Label() {
		title = fmt.Sprintf("%s: %s %s → %s", r.Environment, r.App, was, r.Label())
	}
	title = inert(title)
	if runes := []rune(title); len(runes) > most {
		title = string(runes[:most-1]) + "…"
	}
	return title
}

// commitMessage depends on the release alone, so that a push that is repeated makes the same commit.
func commitMessage(r promotion.Release) string {
	var b strings.Builder
	b.WriteString(pullTitle(r) + "\n\n")
	for _, c := range r.Changes {
		fmt.Fprintf(&b, "%s %s -> %s\n", inert(string(c.Image)), inert(orNone(c.FromTag)), inert(orNone(c.Tag)))
		fmt.Fprintf(&b, "  %s\n", inert(string(c.Digest)))
	}
	b.WriteString("\n" + trailerKey + r.ID + "\n")
	return b.String()
}

func orNone(s string) string {
	if s == "" {
		return "(none)"
	}
	return s
}
