package kustomize

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// appendFlow plans to put texts after the last item of a list or map in brackets: on lines of their own where the last item
// stands on one, else after a comma as the items before have it.
func (p *plan) appendFlow(owner int, n *yaml.Node, texts []string) error {
	open := p.skipProperties(p.at(n))
	if len(n.Content) == 0 {
		end := p.closing(n, open+1)
		if end < 0 || !isBlank(p.src[open+1:end]) {
			return p.refuse(open, "the empty brackets hold a comment", "remove the comment")
		}
		p.replace(owner, open+1, open+1, strings.Join(texts, ", "))
		return nil
	}
	end, err := p.lastEnd(n)
	if err != nil {
		return err
	}
	closing := p.closing(n, end)
	if closing < 0 {
		return p.refuse(end, "cannot tell where this list or map ends", "write it in a simpler form")
	}
	comma := ","
	if p.src[end-1] == ':' {
		comma = " ," // after an empty value: without the space the colon would be part of the key
	}
	begin := p.at(lastItem(n))
	if !p.startsLine(begin) || p.line(closing) == p.line(end) {
		separator := p.separator(n)
		p.replace(owner, end, end, comma+separator[1:]+strings.Join(texts, separator))
		return nil
	}
	trailing, after := false, end
	if next := p.skipSpace(end); p.src[next] == ',' {
		trailing, after = true, next+1
	} else {
		p.replace(owner, end, end, comma)
	}
	if !p.endsLine(after) {
		return p.refuse(end, "something follows the last item on its line", "write one item per line")
	}
	indent := p.indent(p.line(begin))
	for i := range texts {
		texts[i] = indent + texts[i]
		if trailing || i+1 < len(texts) {
			texts[i] += ","
		}
	}
	p.insertLines(owner, p.line(after-1), texts)
	return nil
}

// lastItem is the node at which a collection's last item begins: of a map the key.
func lastItem(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.MappingNode {
		return n.Content[len(n.Content)-2]
	}
	return n.Content[len(n.Content)-1]
}

// separator is what stands between the last two items of a collection in brackets where that is a comma and spaces, else a comma
// and a space.
func (d *document) separator(n *yaml.Node) string {
	step := 1
	if n.Kind == yaml.MappingNode {
		step = 2
	}
	if len(n.Content) < 2*step {
		if d.json && d.minified() {
			return ","
		}
		return ", "
	}
	before := n.Content[len(n.Content)-step-1]
	end, err := d.end(before)
	begin := d.at(lastItem(n))
	if err != nil || begin < end {
		return ", "
	}
	between := string(d.src[end:begin])
	if strings.TrimRight(between, " ") != "," {
		return ", "
	}
	return between
}

// minified reports whether the root of a JSON file has no space after its first key.
func (d *document) minified() bool {
	return len(d.root.Content) > 0 && strings.HasSuffix(d.firstColon(), ":")
}

// firstColon is the text between the root's first key and its value.
func (d *document) firstColon() string {
	end, err := d.end(d.root.Content[0])
	if err != nil {
		return ": "
	}
	return string(d.src[end:max(end, d.at(d.root.Content[1]))])
}

// flowEntry writes an entry in braces, like another one where there is such: its spaces inside the braces, or one key per line.
func (p *plan) flowEntry(like *yaml.Node, texts []string) string {
	left, right, separator := "", "", ", "
	if p.json && p.minified() {
		separator = ","
	}
	if like == nil || !p.braced(like) || len(like.Content) == 0 {
		return "{" + strings.Join(texts, separator) + "}"
	}
	separator = p.separator(like)
	open := p.skipProperties(p.at(like))
	first := p.at(like.Content[0])
	end, err := p.lastEnd(like)
	closing := -1
	if err == nil {
		closing = p.closing(like, end)
	}
	if closing < 0 || p.hasComment(open, first) {
		return "{" + strings.Join(texts, separator) + "}"
	}
	if p.startsLine(first) && p.startsLine(closing) {
		ending := p.ending(p.line(open))
		inner := ending + p.indent(p.line(first))
		return "{" + inner + strings.Join(texts, ","+inner) + ending + p.indent(p.line(closing)) + "}"
	}
	if p.line(first) == p.line(open) {
		left = string(p.src[open+1 : first])
	}
	if pad := string(p.src[end:closing]); strings.Trim(pad, " ") == "" {
		right = pad
	}
	return "{" + left + strings.Join(texts, separator) + right + "}"
}
