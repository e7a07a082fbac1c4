package kustomize

import (
	"bytes"
	"errors"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// prove parses the result and refuses it unless it is the old document plus what was planned, nothing else. It does not trust
// the planning: a mistake there, or a file more unusual than it knows, ends here and not in someone's repository.
func (p *plan) prove(out []byte) error {
	refuse := func(line int, what string) error {
		return p.refuseLine(line, "an edit of this file cannot be proved right: "+what, "edit the file by hand, and report the file's shape")
	}
	firstLine := p.line(p.edits[0].start) + 1
	next, err := parseExact(p.path, out)
	if err != nil {
		var refused *RefusedError
		if errors.As(err, &refused) {
			return refuse(firstLine, "after it "+refused.Reason)
		}
		return err
	}
	if p.json && !next.json {
		return refuse(firstLine, "the file would no longer be JSON")
	}
	if next.root == nil || (p.root == nil && len(p.added) == 0) {
		return refuse(firstLine, "the file would be empty")
	}
	if !p.unchangedOutside(out) {
		return refuse(firstLine, "bytes would change that were not meant to")
	}
	if got := countLines(out) - countLines(p.src); got != p.lines {
		return refuse(firstLine, fmt.Sprintf("%d lines would come or go instead of %d", got, p.lines))
	}
	if line := p.compareRoot(next.root); line > 0 {
		return refuse(line, "more would change than what was asked for")
	}
	return nil
}

// countLines counts lines, the last one also where it has no ending.
func countLines(b []byte) int {
	b = bytes.TrimPrefix(b, []byte(byteOrderMark))
	n := bytes.Count(b, []byte{'\n'})
	if len(b) > 0 && b[len(b)-1] != '\n' {
		n++
	}
	return n
}

// unchangedOutside walks both texts and reports whether they differ in the planned ranges only.
func (p *plan) unchangedOutside(out []byte) bool {
	from := 0
	for _, e := range p.edits {
		kept := p.src[from:e.start]
		if !bytes.HasPrefix(out, kept) {
			return false
		}
		out = out[len(kept):]
		if !bytes.HasPrefix(out, []byte(e.text)) {
			if out = bytes.TrimPrefix(out, []byte(e.newLine)); !bytes.HasPrefix(out, []byte(e.text)) {
				return false
			}
		}
		out = out[len(e.text):]
		from = e.end
	}
	return bytes.Equal(out, p.src[from:])
}

// compareRoot gives the line of the first difference that was not planned, or 0.
func (p *plan) compareRoot(now *yaml.Node) int {
	if p.root == nil {
		if now.Kind != yaml.MappingNode || len(now.Content) != 2 || now.Content[0].Value != "images" {
			return 1
		}
		return p.compareAdded(now.Content[1], 0)
	}
	added := p.list == nil && len(p.added) > 0
	want := len(p.root.Content)
	if added {
		want += 2
	}
	if now.Kind != p.root.Kind || now.Tag != p.root.Tag || now.Anchor != p.root.Anchor || len(now.Content) != want {
		return p.root.Line
	}
	for i, old := range p.root.Content {
		if line := p.compare(old, now.Content[i]); line > 0 {
			return line
		}
	}
	if !added {
		return 0
	}
	if now.Content[want-2].Value != "images" {
		return p.root.Line
	}
	return p.compareAdded(now.Content[want-1], 0)
}

// compare gives the line of the first unplanned difference below old, or 0.
func (p *plan) compare(old, now *yaml.Node) int {
	if old == p.list && len(p.added) > 0 {
		return p.compareList(old, now)
	}
	if wants, planned := p.fields[old]; planned {
		return p.compareEntry(old, now, wants)
	}
	if text, planned := p.scalars[old]; planned {
		if !isString(now, text) {
			return old.Line
		}
		return 0
	}
	if old.Kind != now.Kind || old.Tag != now.Tag || old.Value != now.Value || old.Anchor != now.Anchor || len(old.Content) != len(now.Content) {
		return max(1, old.Line)
	}
	for i := range old.Content {
		if line := p.compare(old.Content[i], now.Content[i]); line > 0 {
			return line
		}
	}
	return 0
}

// compareList checks a list of images that got new entries.
func (p *plan) compareList(old, now *yaml.Node) int {
	if now.Kind != yaml.SequenceNode || now.Anchor != old.Anchor || (old.Kind == yaml.SequenceNode && now.Tag != old.Tag) {
		return max(1, old.Line)
	}
	if len(now.Content) < len(old.Content) {
		return max(1, old.Line)
	}
	for i := range old.Content {
		if line := p.compare(old.Content[i], now.Content[i]); line > 0 {
			return line
		}
	}
	return p.compareAdded(now, len(old.Content))
}

// compareAdded checks that the list's items from an index on are the new entries.
func (p *plan) compareAdded(list *yaml.Node, from int) int {
	if list.Kind != yaml.SequenceNode || len(list.Content) != from+len(p.added) {
		return max(1, list.Line)
	}
	for i, wants := range p.added {
		if line := p.compareEntry(nil, list.Content[from+i], wants); line > 0 {
			return line
		}
	}
	return 0
}

// compareEntry checks an entry against the pairs that it must have.
func (p *plan) compareEntry(old, now *yaml.Node, wants []pairWant) int {
	line := max(1, now.Line)
	if now.Kind != yaml.MappingNode || len(now.Content) != 2*len(wants) {
		return line
	}
	if old != nil && (now.Anchor != old.Anchor || now.Tag != old.Tag) {
		return line
	}
	for i, w := range wants {
		key, value := now.Content[2*i], now.Content[2*i+1]
		if !w.changed {
			if l := p.compare(w.old.key, key); l > 0 {
				return l
			}
			if l := p.compare(w.old.value, value); l > 0 {
				return l
			}
			continue
		}
		if key.Kind != yaml.ScalarNode || key.Value != w.key || !isString(value, w.value) {
			return line
		}
	}
	return 0
}

// isString reports whether a node is this string, and nothing that a parser reads as another type.
func isString(n *yaml.Node, text string) bool {
	return n.Kind == yaml.ScalarNode && n.Tag == "!!str" && n.Value == text && n.Anchor == ""
}
