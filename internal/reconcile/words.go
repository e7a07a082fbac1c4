package reconcile

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/promotion"
)

// CheckName is the check that the gate is shown as. Rulesets require it by this name.
const CheckName = "boatlift/gate"

// Everything in this file ends up as markdown at a forge. What comes from outside (paths, tags, reasons) goes through code, fence or plain.

// code writes text from outside as a code span that it cannot leave. In a table no escape of a pipe is safe beside backslashes, so there
// another sign stands for it.
func code(s string) string {
	s = strings.ReplaceAll(oneLine(s), "|", "\u00a6")
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
	const nothing = "\u200b" // has no width
	var b strings.Builder
	runes := []rune(oneLine(s))
	for i, r := range runes {
		b.WriteRune(r)
		dash := r == '-' && i >= 2 && strings.EqualFold(string(runes[i-2:i]), "gh")
		if r == '@' || r == '#' || dash {
			b.WriteString(nothing)
		}
	}
	return b.String()
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

// cut shortens text to a number of bytes, and says that it did.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "\n… cut: there is more than fits here"
}

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

func htmlText(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "`", "&grave;").Replace(inert(s))
}

func endComment(pr promotion.Promotion, by *promotion.Promotion) string {
	if pr.State == promotion.Superseded && by != nil {
		return fmt.Sprintf("Superseded by %s (%s).", link(plain(pullName(*by)), by.URL), code(by.Release.Label()))
	}
	return "Closed by Boatlift: " + plain(pr.Reason) + "."
}

func pullName(pr promotion.Promotion) string {
	if pr.PullRequest == 0 {
		return "a newer release"
	}
	return fmt.Sprintf("pull request %d", pr.PullRequest)
}

func rejectComment(a promotion.Reject) string {
	env := plain(a.Promotion.Release.Environment)
	return "Rejected. Boatlift will not propose these digests for " + env + " again, under whatever tag they come back. Reopen this pull request to take the rejection back."
}

const reopenComment = "Reopened: it was closed by a machine, or by somebody who may not reject a release. A person with write access rejects a release by closing its pull request."

func rebuildComment(why string) string {
	return "Made anew on the present base, because " + plain(why) + ". **Approvals given before do not count any more.**"
}

// gateCheck is a verdict as a check on a commit.
func gateCheck(head string, v gate.Verdict, id string) forge.Check {
	check := forge.Check{HeadSHA: head, Name: CheckName, ExternalID: id}
	switch v.State {
	case gate.Allow:
		check.Conclusion, check.Title = forge.Success, "may be merged"
	case gate.Deny:
		check.Conclusion, check.Title = forge.Failure, "must not be merged: "+oneLine(v.Reason())
	default:
		check.Conclusion, check.Title = forge.Pending, "waits: "+oneLine(v.Reason())
	}
	if runes := []rune(check.Title); len(runes) > 200 {
		check.Title = string(runes[:199]) + "…"
	}
	check.Summary = verdictTable(v)
	return check
}

func verdictTable(v gate.Verdict) string {
	if len(v.Rulings) == 0 {
		return "No policy objects."
	}
	const most = 60000 // forges take 65,535 bytes
	var b strings.Builder
	b.WriteString("| | policy | what it says |\n| --- | --- | --- |\n")
	for i, r := range v.Rulings {
		if b.Len() > most {
			fmt.Fprintf(&b, "\n…and %d more policies.\n", len(v.Rulings)-i)
			break
		}
		say := plain(cut(r.Say, 2000))
		if r.Detail != "" && r.State != gate.Allow {
			say += "<br>" + plain(cut(r.Detail, 2000))
		}
		if r.State != gate.Allow && !r.Until.IsZero() {
			say += "<br>until " + r.Until.UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", map[gate.State]string{gate.Allow: "✅ allows", gate.Wait: "⏳ waits", gate.Deny: "⛔ denies"}[r.State], code(r.Policy), say)
	}
	return b.String()
}
