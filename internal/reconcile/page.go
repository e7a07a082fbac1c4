package reconcile

import (
	"fmt"
	"strings"

	"github.com/boatlift/boatlift/internal/promotion"
)

// GitHub takes 65,536 characters of body; these are bytes, of which there are never fewer.
const (
	maxBody   = 65000
	maxMarker = 24000 // of it; a marker that is longer is left out, and the branch alone tells whose the pull request is
	maxRows   = 100   // of the table of images
	maxDiff   = 16000 // of the difference of the kustomizations
)

// pullBody says all that a reviewer needs: what moves, what changes in files and manifests, and what happens next.
func (t *turn) pullBody(w *work) string {
	r := w.pr.Release
	env, _ := t.world.Config.Environment(r.Environment)
	mark := marker{ID: w.pr.ID, Release: r}.sign(t.r.MarkerKey(t.forgeName), t.claim.Repo)
	if len(mark) > maxMarker {
		mark = ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Promotes **%s** %s to **%s**.\n\n", plain(r.App), code(cut(r.Label(), 500)), plain(r.Environment))
	b.WriteString("| image | from | to | digest |\n| --- | --- | --- | --- |\n")
	for _, c := range r.Changes[:min(maxRows, len(r.Changes))] {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", code(string(c.Image)), code(orNone(c.FromTag)), code(orNone(c.Tag)), code(c.Digest.Short()))
	}
	if more := len(r.Changes) - maxRows; more > 0 {
		fmt.Fprintf(&b, "\n…and %d more images.\n", more)
	}
	b.WriteString("\n" + next(env) + "\n\n")
	if origin := t.originSection(r); b.Len()+len(origin)+len(mark)+maxDiff < maxBody {
		b.WriteString(origin)
	}
	if w.pr.Unsigned != "" {
		b.WriteString("The commit is not signed by the forge: " + plain(cut(w.pr.Unsigned, 500)) + ".\n\n")
	}
	b.WriteString("### What changes in the repository\n\n" + fence("diff", cut(w.changes.diff, maxDiff)) + "\n\n")
	rendered := renderedSection(w.changes)
	if b.Len()+len(rendered)+len(mark) > maxBody {
		rendered = "### What changes in the manifests\n\n_Too long to be shown here._\n\n"
	}
	return b.String() + rendered + mark + "\n"
}

// next tells what happens when somebody acts on the pull request.
func next(env promotion.Environment) string {
	var s []string
	if len(env.After) > 0 {
		names := make([]string, len(env.After))
		for i, ref := range env.After {
			names[i] = code(ref.String())
		}
		s = append(s, "It may be merged once "+strings.Join(names, " and ")+" runs exactly these digests; the check "+code(CheckName)+" says so.")
	}
	switch env.Merge {
	case promotion.MergeAuto:
		s = append(s, "**Boatlift merges it** as soon as the gate allows.")
	case promotion.MergeApproved:
		s = append(s, "**Approving it deploys it**: Boatlift merges once the gate is green and a review given since then approves.")
	default:
		s = append(s, "**Merging it deploys it.**")
	}
	s = append(s, "Closing it rejects these digests for "+plain(env.Name)+"; reopening takes that back.")
	return strings.Join(s, " ")
}

func renderedSection(e edit) string {
	if len(e.shown) == 0 && e.notice == "" {
		return ""
	}
	var b strings.Builder
	b.WriteString("### What changes in the manifests\n\n")
	for _, d := range e.shown {
		dir := d.Dir
		if dir == "" {
			dir = "the root directory"
		}
		switch {
		case d.Err != nil:
			fmt.Fprintf(&b, "%s could not be rendered, which does not stand in the way of the release: %s\n\n", code(dir), plain(d.Err.Error()))
		case d.Diff == "":
			fmt.Fprintf(&b, "%s: no manifest changes.\n\n", code(dir))
		default:
			fmt.Fprintf(&b, "<details open><summary>%s</summary>\n\n%s\n\n</details>\n\n", htmlText(dir), fence("diff", d.Diff))
		}
	}
	if e.notice != "" {
		b.WriteString(plain(e.notice) + "\n\n")
	}
	return b.String()
}
