package reconcile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
)

// table writes rows while they fit, and how many do not.
func table(head string, rows []string, most int, more string) string {
	var b strings.Builder
	b.WriteString("| " + head + " |\n|" + strings.Repeat(" --- |", strings.Count(head, "|")+1) + "\n")
	for i, row := range rows {
		if b.Len()+len(row) > most {
			fmt.Fprintf(&b, "\n…and %d more %s.\n", len(rows)-i, more)
			break
		}
		b.WriteString("| " + row + " |\n")
	}
	return b.String()
}

// movesTable is what moves from where to where, and in which directories. Where it is not known which, the release tells the rest.
func movesTable(moves []movement, r promotion.Release) string {
	if len(moves) == 0 {
		for _, c := range r.Changes {
			moves = append(moves, movement{Change: c})
		}
	}
	var rows []string
	for _, m := range moves {
		var dirs []string
		for _, d := range m.dirs {
			dirs = append(dirs, code(cut(d, 200)))
		}
		rows = append(rows, fmt.Sprintf("%s | %s | %s | %s", code(cut(string(m.Image), 300)), version(m.FromTag, m.FromDigest), version(m.Tag, m.Digest), some(dirs)))
	}
	return table("image | from | to | in", rows, maxMoves, "images")
}

func version(tag string, digest image.Digest) string {
	s := code(cut(orNone(tag), 200))
	if digest != "" {
		s += "<br>" + code(digest.Short())
	}
	return s
}

// placesTable says where the release's digests run already, and since when.
func placesTable(places []place, r promotion.Release) string {
	var rows []string
	for _, p := range places {
		what, since := p.runs(r)
		if what == "" {
			continue
		}
		rows = append(rows, fmt.Sprintf("%s | %s | %s", code(cut(p.name, 300)), what, since))
	}
	if len(rows) == 0 {
		return ""
	}
	return "### Where these digests run already\n\n" + table("environment | what runs there | since", rows, maxPlaces, "environments") + "\n"
}

// runs compares what an environment runs with a release. Environments that are not asked for by `after` are only worth a line where they
// run all of it.
func (p place) runs(r promotion.Release) (what, since string) {
	if p.problem != "" {
		return plain(cut(p.problem, maxSentence)), ""
	}
	var other, unused []string
	at := p.running.At
	for i, c := range r.Changes {
		run, ok := p.running.Images[c.Image]
		switch {
		case !slices.Contains(p.listed, c.Image):
			unused = append(unused, code(c.Image.Base()))
		case !ok || c.Digest == "" || run.Digest != c.Digest:
			other = append(other, code(c.Image.Base())+" "+code(cut(runningTag(run, ok), 200)))
		}
		if ok && (i == 0 || run.Since.After(at)) {
			at = run.Since
		}
	}
	switch {
	case len(other)+len(unused) == 0 && !at.IsZero():
		return "✅ exactly these", instant(at)
	case !p.before:
		return "", ""
	case len(unused) == len(r.Changes):
		return "these images are not used there", ""
	}
	what = "others: " + some(other)
	if p.running.SHA == "" {
		what = "it is not known what runs there"
	}
	if len(unused) > 0 {
		what += "; not used there: " + some(unused)
	}
	if p.url != "" {
		what += "<br>" + link("its pull request", p.url) + " is open"
	}
	switch forge.RolloutState(p.running.State) {
	case forge.RolloutRunning:
		what += "<br>" + link("a rollout", p.running.URL) + " is running"
	case forge.RolloutFailed:
		what += "<br>" + link("its last rollout", p.running.URL) + " failed"
	}
	return what, ""
}

func runningTag(run promotion.RunningImage, known bool) string {
	switch {
	case !known:
		return "unknown"
	case run.Tag != "":
		return run.Tag
	case run.Digest != "":
		return run.Digest.Short()
	default:
		return "unknown"
	}
}

// cutTable leaves rows of a table away that do not fit.
func cutTable(s string, most int) string {
	if len(s) <= most {
		return s
	}
	s = s[:most]
	return s[:strings.LastIndexByte(s, '\n')+1] + "\n…and more.\n\n"
}

// historySection lists the commits that the release brings.
func historySection(history []span) string {
	if len(history) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("### Commits\n\n")
	left := maxCommits
	for _, s := range history {
		var names []string
		for _, n := range s.images {
			names = append(names, code(n.Base()))
		}
		head := fmt.Sprintf("%s: %s, %s → %s\n", some(names), link(count(s.total, "commit"), s.url), code(short(s.from)), code(short(s.to)))
		if b.Len()+len(head) > maxHistory {
			break
		}
		b.WriteString(head + "\n")
		shown := 0
		for _, c := range s.commits {
			line := fmt.Sprintf("- %s %s (%s)\n", link(code(short(c.SHA)), c.URL), unlinked(plain(cut(oneLine(c.Title), 120))), unlinked(plain(cut(oneLine(c.Author), 60))))
			if left == 0 || b.Len()+len(line) > maxHistory {
				break
			}
			b.WriteString(line)
			left--
			shown++
		}
		if more := s.total - shown; more > 0 {
			fmt.Fprintf(&b, "- …and %s\n", link(fmt.Sprintf("%d more", more), s.url))
		}
		b.WriteString("\n")
	}
	return b.String()
}

func count(n int, what string) string {
	switch n {
	case 0:
		return "no " + what + "s"
	case 1:
		return "1 " + what
	default:
		return fmt.Sprintf("%d %ss", n, what)
	}
}

// renderedSection is the difference in the manifests, in so many bytes.
func renderedSection(e edit, room int) string {
	if len(e.shown) == 0 && e.notice == "" {
		return ""
	}
	var b strings.Builder
	b.WriteString("### What changes in the manifests\n\n")
	room -= len(e.notice)*2 + 300
	for i, d := range e.shown {
		dir := d.Dir
		if dir == "" {
			dir = "the root directory"
		}
		dir = cut(dir, 300)
		each := (room - b.Len()) / (len(e.shown) - i) // what one leaves over the next may use
		var text string
		switch {
		case d.Err != nil:
			text = fmt.Sprintf("%s could not be rendered, which does not stand in the way of the release: %s\n\n", code(dir), plain(cut(d.Err.Error(), 1000)))
		case d.Diff == "":
			text = code(dir) + ": no manifest changes.\n\n"
		default:
			diff := d.Diff
			frame := len(htmlText(dir)) + 120
			if len(diff) > each-frame {
				diff = cut(diff, each-frame)
			}
			if each-frame >= leastShown || len(diff) == len(d.Diff) {
				text = fmt.Sprintf("<details open><summary>%s</summary>\n\n%s\n\n</details>\n\n", htmlText(dir), fence("diff", diff))
			}
		}
		if text == "" || b.Len()+len(text) > room {
			b.WriteString("_The rest is too long to be shown here._\n\n")
			break
		}
		b.WriteString(text)
	}
	if e.notice != "" {
		b.WriteString(plain(cut(e.notice, 1000)) + "\n\n")
	}
	return b.String()
}
