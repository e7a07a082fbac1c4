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

// code writes text from outside as a code span that it cannot leave.
func code(s string) string {
	s = oneLine(s)
	if s == "" {
		return ""
	}
	marks := "`"
	for strings.Contains(s, marks) {
		marks += "`"
	}
	if strings.HasPrefix(s, "`") || strings.HasSuffix(s, "`") {
		s = " " + s + " "
	}
	return marks + strings.ReplaceAll(s, "|", "\\|") + marks
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
	for _, r := range oneLine(s) {
		switch r {
		case '\\', '`', '*', '_', '[', ']', '<', '>', '|', '~', '!':
			b.WriteByte('\\')
			b.WriteRune(r)
		case '@', '#':
			b.WriteRune(r)
			b.WriteRune('\u200b') // nobody is called, nothing is closed
		default:
			b.WriteRune(r)
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

func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, s)
}

func pullTitle(r promotion.Release) string {
	from := promotion.Release{Changes: make([]promotion.Change, len(r.Changes))}
	for i, c := range r.Changes {
		from.Changes[i] = promotion.Change{Image: c.Image, Tag: c.FromTag, Digest: c.FromDigest}
	}
	was := from.Label()
	if strings.Contains(was, ", ") || was == "" || was == r.Label() {
		return fmt.Sprintf("%s: %s %s", r.Environment, r.App, r.Label())
	}
	return fmt.Sprintf("%s: %s %s → %s", r.Environment, r.App, was, r.Label())
}

// commitMessage depends on the release alone, so that a push that is repeated makes the same commit.
func commitMessage(r promotion.Release, repo string) string {
	var b strings.Builder
	b.WriteString(pullTitle(r) + "\n\n")
	for _, c := range r.Changes {
		fmt.Fprintf(&b, "%s %s -> %s\n", c.Image, orNone(c.FromTag), orNone(c.Tag))
		fmt.Fprintf(&b, "  %s\n", c.Digest)
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

// maxBody is what GitHub takes for a pull request's body, with room left for the marker.
const maxBody = 60000

// pullBody says all that a reviewer needs: what moves, what changes in files and manifests, and what happens next.
func (t *turn) pullBody(w *work) string {
	r := w.pr.Release
	env, _ := t.world.Config.Environment(r.Environment)
	var b strings.Builder
	fmt.Fprintf(&b, "Promotes **%s** %s to **%s**.\n\n", plain(r.App), code(r.Label()), plain(r.Environment))
	b.WriteString("| image | from | to | digest |\n| --- | --- | --- | --- |\n")
	for _, c := range r.Changes {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", code(string(c.Image)), code(orNone(c.FromTag)), code(orNone(c.Tag)), code(c.Digest.Short()))
	}
	b.WriteString("\n" + next(env) + "\n\n")
	b.WriteString("### What changes in the repository\n\n" + fence("diff", w.changes.diff) + "\n\n")
	rendered := renderedSection(w.changes)
	if b.Len()+len(rendered) > maxBody {
		rendered = "_The rendered difference is too long to be shown here._\n\n"
	}
	b.WriteString(rendered)
	body := b.String()
	if len(body) > maxBody {
		body = body[:maxBody]
		body = strings.ToValidUTF8(body, "") + "\n```\n\n_Cut: there is more than fits here._\n\n"
	}
	return body + marker{ID: w.pr.ID, Release: r}.sign(t.r.MarkerKey(t.forgeName), t.claim.Repo) + "\n"
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
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;").Replace(oneLine(s))
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
	var b strings.Builder
	b.WriteString("| | policy | what it says |\n| --- | --- | --- |\n")
	for _, r := range v.Rulings {
		say := plain(r.Say)
		if r.Detail != "" && r.State != gate.Allow {
			say += "<br>" + plain(r.Detail)
		}
		if r.State != gate.Allow && !r.Until.IsZero() {
			say += "<br>until " + r.Until.UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", map[gate.State]string{gate.Allow: "✅ allows", gate.Wait: "⏳ waits", gate.Deny: "⛔ denies"}[r.State], code(r.Policy), say)
	}
	return b.String()
}
