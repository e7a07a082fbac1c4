package reconcile

import (
	"fmt"
	"strings"
	"time"

	"github.com/boatlift/boatlift/internal/promotion"
)

// originSection tells where the images of a release come from, as they say themselves; empty where they say nothing.
func (t *turn) originSection(r promotion.Release) string {
	var b strings.Builder
	for _, c := range r.Changes[:min(maxRows, len(r.Changes))] {
		now, before := t.facts(c.Digest), t.facts(t.ranAt(r.Environment, c))
		if now.SaysNothing() {
			continue
		}
		revision := code(now.Revision)
		if before.Revision != "" && before.Revision != now.Revision {
			revision = code(before.Revision) + " → " + revision
		}
		built := ""
		if !now.Created.IsZero() {
			built = now.Created.UTC().Format(time.DateTime) + " UTC"
		}
		source := now.Source
		if source == "" {
			source = now.URL
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", code(string(c.Image)), code(source), revision, built)
	}
	if b.Len() == 0 {
		return ""
	}
	return "### Where it comes from\n\nWhat the images say about themselves:\n\n| image | source | revision | built |\n| --- | --- | --- | --- |\n" + b.String() + "\n"
}
