package hub

import (
	"fmt"
	"html"
	"html/template"
	"regexp"
	"strings"
)

// markdown renders the part of GitHub's markdown that pull request bodies, comments and check summaries use: headings, paragraphs,
// lists, tables, quotes, code, emphasis, links, details. Everything else, HTML above all, is shown as text: whatever goes in, only
// the tags written down here come out.
func markdown(text string) template.HTML {
	r := renderer{lines: strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")}
	r.blocks(0)
	for ; r.details > 0; r.details-- {
		r.out.WriteString("</details>\n")
	}
	return template.HTML(r.out.String()) //nolint:gosec // built from escaped text and fixed tags
}

const (
	maxNesting = 8    // of quotes and of emphasis
	maxSpan    = 2000 // how far a closing mark is looked for, so that hostile text takes no quadratic time
)

type renderer struct {
	lines   []string
	out     strings.Builder
	details int
}

type blockPatterns struct{ heading, item, rule, tableRule, comment *regexp.Regexp }

func patternsOfBlocks() blockPatterns {
	return blockPatterns{
		heading:   regexp.MustCompile(`^(#{1,6})\s+(.*?)\s*#*$`),
		item:      regexp.MustCompile(`^\s*([-*+]|\d{1,9}[.)])\s+(.*)$`),
		rule:      regexp.MustCompile(`^\s*([-*_])(\s*[-*_]){2,}\s*$`),
		tableRule: regexp.MustCompile(`^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$`),
		comment:   regexp.MustCompile(`(?s)<!--.*?-->`),
	}
}

// blocks renders lines until there are none.
func (r *renderer) blocks(depth int) {
	p := patternsOfBlocks()
	r.lines = strings.Split(p.comment.ReplaceAllString(strings.Join(r.lines, "\n"), ""), "\n")
	for len(r.lines) > 0 {
		line := strings.TrimRight(r.lines[0], " \t")
		trimmed := strings.TrimSpace(line)
		switch {
		case trimmed == "":
			r.lines = r.lines[1:]
		case strings.HasPrefix(trimmed, "```") || strings.HasPrefix(trimmed, "~~~"):
			r.fence(trimmed)
		case p.heading.MatchString(trimmed):
			m := p.heading.FindStringSubmatch(trimmed)
			fmt.Fprintf(&r.out, "<h%d>%s</h%d>\n", len(m[1]), inline(m[2], 0), len(m[1]))
			r.lines = r.lines[1:]
		case r.detailsTag(trimmed):
		case strings.Contains(line, "|") && len(r.lines) > 1 && strings.Contains(r.lines[1], "-") && p.tableRule.MatchString(r.lines[1]):
			r.table()
		case p.rule.MatchString(trimmed):
			r.out.WriteString("<hr>\n")
			r.lines = r.lines[1:]
		case strings.HasPrefix(trimmed, ">") && depth < maxNesting:
			r.quote(depth)
		case p.item.MatchString(line):
			r.list(p)
		default:
			r.paragraph(p)
		}
	}
}

func (r *renderer) fence(opening string) {
	mark := opening[:3]
	language := strings.Trim(opening, "`~ ")
	r.lines = r.lines[1:]
	class := ""
	if language == "diff" {
		class = ` class="diff"`
	}
	fmt.Fprintf(&r.out, "<pre%s><code>", class)
	for len(r.lines) > 0 {
		line := r.lines[0]
		r.lines = r.lines[1:]
		if strings.HasPrefix(strings.TrimSpace(line), mark) {
			break
		}
		r.out.WriteString(diffLine(line, language == "diff"))
	}
	r.out.WriteString("</code></pre>\n")
}

// diffLine escapes a line and, in a diff, marks it as added, removed or a hunk's head.
func diffLine(line string, isDiff bool) string {
	escaped := html.EscapeString(line) + "\n"
	if !isDiff {
		return escaped
	}
	switch {
	case strings.HasPrefix(line, "+++ "), strings.HasPrefix(line, "--- "):
		return `<span class="hunk">` + escaped + "</span>"
	case strings.HasPrefix(line, "+"):
		return `<span class="added">` + escaped + "</span>"
	case strings.HasPrefix(line, "-"):
		return `<span class="removed">` + escaped + "</span>"
	case strings.HasPrefix(line, "@@"), strings.HasPrefix(line, "diff "):
		return `<span class="hunk">` + escaped + "</span>"
	}
	return escaped
}

// detailsTag renders a line that is one of the few HTML tags that bodies use; false: it is not.
func (r *renderer) detailsTag(line string) bool {
	lower := strings.ToLower(line)
	switch {
	case lower == "<details>" || lower == "<details open>":
		r.out.WriteString(lower + "\n")
		r.details++
	case lower == "</details>":
		if r.details > 0 {
			r.details--
			r.out.WriteString("</details>\n")
		}
	case strings.HasPrefix(lower, "<details><summary>") && strings.HasSuffix(lower, "</summary>"),
		strings.HasPrefix(lower, "<details open><summary>") && strings.HasSuffix(lower, "</summary>"):
		r.details++
		tag, _, _ := strings.Cut(lower, "<summary>")
		fmt.Fprintf(&r.out, "%s<summary>%s</summary>\n", tag, inline(line[len(tag)+len("<summary>"):len(line)-len("</summary>")], 0))
	case strings.HasPrefix(lower, "<summary>") && strings.HasSuffix(lower, "</summary>"):
		fmt.Fprintf(&r.out, "<summary>%s</summary>\n", inline(line[len("<summary>"):len(line)-len("</summary>")], 0))
	default:
		return false
	}
	r.lines = r.lines[1:]
	return true
}

func (r *renderer) table() {
	row := func(line, cell string) {
		r.out.WriteString("<tr>")
		for _, text := range cells(line) {
			fmt.Fprintf(&r.out, "<%s>%s</%s>", cell, inline(text, 0), cell)
		}
		r.out.WriteString("</tr>\n")
	}
	r.out.WriteString("<table>\n")
	row(r.lines[0], "th")
	r.lines = r.lines[2:]
	for len(r.lines) > 0 && strings.Contains(r.lines[0], "|") {
		row(r.lines[0], "td")
		r.lines = r.lines[1:]
	}
	r.out.WriteString("</table>\n")
}

// cells splits a table's row at its unescaped bars.
func cells(line string) []string {
	line = strings.TrimSpace(line)
	line = strings.TrimPrefix(line, "|")
	if strings.HasSuffix(line, "|") && !strings.HasSuffix(line, `\|`) {
		line = line[:len(line)-1]
	}
	var found []string
	var cell strings.Builder
	for i := 0; i < len(line); i++ {
		switch {
		case line[i] == '\\' && i+1 < len(line) && line[i+1] == '|':
			cell.WriteByte('|')
			i++
		case line[i] == '|':
			found = append(found, strings.TrimSpace(cell.String()))
			cell.Reset()
		default:
			cell.WriteByte(line[i])
		}
	}
	return append(found, strings.TrimSpace(cell.String()))
}

func (r *renderer) quote(depth int) {
	inner := renderer{}
	for len(r.lines) > 0 {
		line := strings.TrimSpace(r.lines[0])
		if !strings.HasPrefix(line, ">") {
			break
		}
		inner.lines = append(inner.lines, strings.TrimPrefix(line[1:], " "))
		r.lines = r.lines[1:]
	}
	inner.blocks(depth + 1)
	for ; inner.details > 0; inner.details-- {
		inner.out.WriteString("</details>\n")
	}
	r.out.WriteString("<blockquote>\n" + inner.out.String() + "</blockquote>\n")
}

// list renders items of one level; deeper ones are shown on the same level.
func (r *renderer) list(p blockPatterns) {
	tag := "ul"
	if marker := p.item.FindStringSubmatch(r.lines[0])[1]; marker[0] >= '0' && marker[0] <= '9' {
		tag = "ol"
	}
	fmt.Fprintf(&r.out, "<%s>\n", tag)
	for len(r.lines) > 0 {
		m := p.item.FindStringSubmatch(r.lines[0])
		if m == nil {
			break
		}
		text := m[2]
		r.lines = r.lines[1:]
		for len(r.lines) > 0 && strings.HasPrefix(r.lines[0], "  ") && strings.TrimSpace(r.lines[0]) != "" && !p.item.MatchString(r.lines[0]) {
			text += " " + strings.TrimSpace(r.lines[0])
			r.lines = r.lines[1:]
		}
		box := ""
		switch {
		case strings.HasPrefix(text, "[ ] "):
			box, text = `<input type="checkbox" disabled> `, text[4:]
		case strings.HasPrefix(text, "[x] "), strings.HasPrefix(text, "[X] "):
			box, text = `<input type="checkbox" disabled checked> `, text[4:]
		}
		fmt.Fprintf(&r.out, "<li>%s%s</li>\n", box, inline(text, 0))
	}
	fmt.Fprintf(&r.out, "</%s>\n", tag)
}

func (r *renderer) paragraph(p blockPatterns) {
	lines := []string{strings.TrimSpace(r.lines[0])}
	r.lines = r.lines[1:]
	for len(r.lines) > 0 {
		line := strings.TrimSpace(r.lines[0])
		if line == "" || strings.HasPrefix(line, "```") || strings.HasPrefix(line, ">") || p.heading.MatchString(line) || p.item.MatchString(line) ||
			strings.HasPrefix(strings.ToLower(line), "<details") || strings.HasPrefix(strings.ToLower(line), "</details") {
			break
		}
		lines = append(lines, line)
		r.lines = r.lines[1:]
	}
	r.out.WriteString("<p>" + inline(strings.Join(lines, "\n"), 0) + "</p>\n")
}
