package kustomize

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// shape is how a generated file is written.
type shape struct {
	ending string
	indent string // of the dashes
	dash   string // the dash and what follows it up to the first key
}

// file is a generated kustomization: its bytes and what they set.
type file struct {
	src     []byte
	entries []Entry
	flow    map[int]bool // entries written in braces
	pinned  map[int]bool // entries whose first key cannot go, because a comment follows it
}

// drawFile writes a kustomization in one of the many ways in which people and tools write it, all of which can be edited.
func drawFile(t *rapid.T) file {
	s := shape{
		ending: rapid.SampledFrom([]string{"\n", "\n", "\r\n"}).Draw(t, "ending"),
		indent: rapid.SampledFrom([]string{"", "  ", "    "}).Draw(t, "indent"),
		dash:   rapid.SampledFrom([]string{"- ", "- ", "-   ", "-\n"}).Draw(t, "dash"),
	}
	f := file{flow: map[int]bool{}, pinned: map[int]bool{}}
	var b strings.Builder
	b.WriteString(rapid.SampledFrom([]string{"", "", byteOrderMark}).Draw(t, "mark"))
	b.WriteString(rapid.SampledFrom([]string{"", "---\n", "# Größe: ©\n---\n", "# licence\n\n"}).Draw(t, "head"))
	others := []string{
		"resources:\n- a.yaml\n  # - b.yaml\n- \"c.yaml\"   # why\n",
		"components: [a, b]\n",
		"commonLabels:\n    app:   web\n",
		"patches:\n- patch: |-\n    images:\n    - name: web\n      newTag: no\n\n  target: {kind: Deployment}\n",
		"configMapGenerator:\n- literals:\n  - a=b\n  name: x\n  files: &f [x]\n- name: z\n  files: *f\n",
		"namePrefix: 'é-'\n\n\n",
		"unknown: >\n  folded\n\n  text\n",
	}
	for i, text := range others {
		if rapid.Bool().Draw(t, fmt.Sprint("before", i)) {
			b.WriteString(text)
		} else {
			others[i] = "+" + text
		}
	}
	b.WriteString(rapid.SampledFrom([]string{"images:\n", "images: # all of them\n", "\"images\":\n", "images:\n\n"}).Draw(t, "key"))
	for i := range rapid.IntRange(1, 4).Draw(t, "entries") {
		drawEntry(t, &b, &f, s, i)
	}
	b.WriteString(rapid.SampledFrom([]string{"", "\n", "# end\n", "\n  # indented end\n\n"}).Draw(t, "tail"))
	for i, text := range others {
		if text[0] == '+' && rapid.Bool().Draw(t, fmt.Sprint("after", i)) {
			b.WriteString(text[1:])
		}
	}
	text := b.String()
	if rapid.IntRange(0, 4).Draw(t, "unterminated") == 0 {
		text = strings.TrimRight(text, "\n")
	}
	f.src = []byte(strings.ReplaceAll(text, "\n", s.ending))
	return f
}

var drawnValues = []string{"v1", "1.10", "20240101", "1e3", "main-1234567", "yes", "0x1f", "1.2.3-rc.1", "latest", "12:30", "host:5000/a/b", "sha"}

// drawEntry writes one entry and notes what it sets.
func drawEntry(t *rapid.T, b *strings.Builder, f *file, s shape, i int) {
	label := func(what string) string { return fmt.Sprint(what, i) }
	e := Entry{Index: i, Name: fmt.Sprintf("registry.acme.io/web%d", i)}
	keys := [][2]string{{"name", e.Name}}
	if rapid.Bool().Draw(t, label("hasNewName")) {
		e.NewName = rapid.SampledFrom([]string{"x/web", "host:5000/a/b", e.Name}).Draw(t, label("newName"))
		keys = append(keys, [2]string{"newName", e.NewName})
	}
	if rapid.Bool().Draw(t, label("hasTag")) {
		e.NewTag = rapid.SampledFrom(drawnValues).Draw(t, label("tag"))
		keys = append(keys, [2]string{"newTag", e.NewTag})
	}
	if rapid.Bool().Draw(t, label("hasDigest")) {
		e.Digest = otherDigest
		keys = append(keys, [2]string{"digest", e.Digest})
	}
	if rapid.IntRange(0, 5).Draw(t, label("hasSuffix")) == 0 {
		e.TagSuffix = "-debug"
		keys = append(keys, [2]string{"tagSuffix", e.TagSuffix})
	}
	keys = rapid.Permutation(keys).Draw(t, label("order"))
	write := func(value string) string {
		return rapid.SampledFrom([]quoting{plain, plain, single, double}).Draw(t, label("quoting")).write(value)
	}
	b.WriteString(s.indent)
	if rapid.IntRange(0, 5).Draw(t, label("flow")) == 0 {
		f.flow[i] = true
		var parts []string
		quotedKeys := rapid.Bool().Draw(t, label("quotedKeys"))
		for _, kv := range keys {
			if quotedKeys {
				parts = append(parts, fmt.Sprintf("%q: %q", kv[0], kv[1]))
			} else {
				parts = append(parts, kv[0]+": "+write(kv[1]))
			}
		}
		b.WriteString("- {" + strings.Join(parts, rapid.SampledFrom([]string{", ", ","}).Draw(t, label("comma"))) + "}\n")
		f.entries = append(f.entries, e)
		return
	}
	column := s.indent + strings.Repeat(" ", len(s.dash))
	if s.dash == "-\n" {
		b.WriteString("-\n")
		b.WriteString(column)
	} else {
		b.WriteString(s.dash)
	}
	for j, kv := range keys {
		if j > 0 {
			b.WriteString(column)
		}
		fmt.Fprint(b, kv[0], rapid.SampledFrom([]string{": ", ": ", ":   ", " : "}).Draw(t, label("colon")), write(kv[1]))
		comment := rapid.SampledFrom([]string{"", "", "", " # why", "   "}).Draw(t, label("comment"))
		b.WriteString(comment + "\n")
		gap := rapid.SampledFrom([]string{"", "", "", "", "\n", column + "# renovate: x\n", "# left\n"}).Draw(t, label("gap"))
		b.WriteString(gap)
		if j == 0 && (kv[0] == "digest" || kv[0] == "newTag") && s.dash != "-\n" && strings.Contains(comment+gap, "#") {
			f.pinned[i] = true
		}
	}
	f.entries = append(f.entries, e)
}

// TestEditProperties changes generated files in every way. None may be refused, each must read as wanted afterwards, and no
// line may change but one per field.
func TestEditProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawFile(t)
		listed, err := Read("k", f.src)
		if err != nil {
			t.Fatalf("%v\n%s", err, f.src)
		}
		if !sameEntries(listed, f.entries) {
			t.Fatalf("read %+v\nwrote %+v\n%s", listed, f.entries, f.src)
		}
		want := append([]Entry(nil), f.entries...)
		var changes []Change
		lines := 0
		for i := range want {
			if rapid.Bool().Draw(t, fmt.Sprint("leave", i)) {
				continue
			}
			c, n := drawChange(t, &want[i], f.pinned[i])
			lines += n
			changes = append(changes, c)
		}
		if rapid.Bool().Draw(t, "add") {
			tag := rapid.SampledFrom(drawnValues).Draw(t, "added tag")
			want = append(want, Entry{Index: len(want), Name: "added", NewTag: tag})
			changes = append(changes, Change{Name: "added", Tag: &tag, Add: true})
		}
		out, report, err := Edit("k", f.src, changes)
		if err != nil {
			t.Fatalf("%v\n%+v\n%s", err, changes, f.src)
		}
		after, err := Read("k", out)
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if !sameEntries(after, want) {
			t.Fatalf("want %+v\ngot %+v\nfrom\n%s\nto\n%s", want, after, f.src, out)
		}
		checkProperties(t, f, out, report, lines)
	})
}

// drawChange makes up a change, applies it to the entry and tells how many lines it may touch at most.
func drawChange(t *rapid.T, e *Entry, pinned bool) (Change, int) {
	c := Change{Name: e.Name, Other: rapid.SampledFrom([]Other{OtherKeep, OtherDrop, OtherReplace}).Draw(t, "other")}
	lines := 0
	if rapid.Bool().Draw(t, "set newName") {
		v := rapid.SampledFrom([]string{"y/web", "host:5000/c"}).Draw(t, "value of newName")
		c.NewName, e.NewName = &v, v
		lines++
	}
	tagged, digested := rapid.Bool().Draw(t, "set tag"), rapid.Bool().Draw(t, "set digest")
	if pinned {
		tagged, digested = true, true // else a first key would have to go, over a comment
	}
	if tagged {
		v := rapid.SampledFrom(drawnValues).Draw(t, "value of tag")
		c.Tag = &v
	}
	if digested {
		v := someDigest
		c.Digest = &v
	}
	drop := c.Other == OtherDrop || c.Other == OtherReplace
	switch {
	case tagged && digested:
		e.NewTag, e.Digest = *c.Tag, *c.Digest
	case tagged:
		e.NewTag = *c.Tag
		if drop {
			e.Digest = ""
		}
	case digested:
		e.Digest = *c.Digest
		if drop {
			e.NewTag = ""
		}
	}
	if tagged || digested {
		lines += 2
	}
	return c, lines
}

func checkProperties(t *rapid.T, f file, out []byte, report Report, lines int) {
	changed, added := 0, 0
	for _, c := range report.Changes {
		if c.Added {
			added = len(c.Lines)
		}
	}
	for _, l := range report.Lines {
		if l.Before == 0 || l.After == 0 || l.Old != l.New {
			changed++
		}
	}
	// A digest that is an entry's first key goes together with the blank lines after it.
	blank := bytes.Count(f.src, []byte("\n\n")) + bytes.Count(f.src, []byte("\n\r\n"))
	if changed > lines+added+blank {
		t.Fatalf("%d lines changed, at most %d+%d asked for: %+v\nfrom\n%s\nto\n%s", changed, lines, added, report.Lines, f.src, out)
	}
	if added > 3 {
		t.Fatalf("%d lines for a new entry", added)
	}
	if bytes.HasSuffix(f.src, []byte("\n")) != bytes.HasSuffix(out, []byte("\n")) {
		last := f.entries[len(f.entries)-1]
		if last.Digest == "" && last.NewTag == "" { // a last line that goes leaves the ending of the one before
			t.Fatalf("the final newline came or went, from\n%q\nto\n%q", f.src, out)
		}
	}
	if bytes.Contains(f.src, []byte("\r\n")) && bytes.Count(out, []byte("\n")) != bytes.Count(out, []byte("\r\n")) {
		t.Fatalf("line endings are mixed now:\n%q", out)
	}
	reporter := &collected{}
	if checkLines(reporter, f.src, out, report); reporter.text != "" {
		t.Fatalf("%s\nfrom\n%s\nto\n%s", reporter.text, f.src, out)
	}
}

// collected keeps the first complaint.
type collected struct{ text string }

func (c *collected) Errorf(format string, args ...any) {
	if c.text == "" {
		c.text = fmt.Sprintf(format, args...)
	}
}
