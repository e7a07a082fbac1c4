package kustomize

import (
	"bytes"
	"strings"

	"go.yaml.in/yaml/v3"
)

// The parser tells where a node begins, never where it ends. The functions here find the end in the bytes, and refuse where the
// bytes do not agree with what was parsed.

// at is the byte offset at which the node begins, its anchor and tag included.
func (d *document) at(n *yaml.Node) int { return d.offset(n.Line, n.Column) }

// span is a scalar's place in the bytes: [start, end) with its quotes, [from, to) without.
type span struct{ start, from, to, end int }

// scalar finds the bytes of a scalar that can be replaced: on one line, without anchor, alias, tag or block style.
func (d *document) scalar(n *yaml.Node, what string) (span, error) {
	const hint = "write it as a plain or quoted value on one line"
	start := d.at(n)
	refuse := func(reason string) (span, error) { return span{}, d.refuse(start, what+" "+reason, hint) }
	switch {
	case n.Kind == yaml.AliasNode:
		return refuse("is an alias")
	case n.Anchor != "":
		return refuse("is anchored")
	case n.Style&yaml.TaggedStyle != 0:
		return refuse("has an explicit tag")
	case n.Kind != yaml.ScalarNode && bytes.HasPrefix(d.src[start:], []byte("{{")):
		return span{}, d.refuse(start, what+" is an unquoted template, which YAML reads as a map", "put the template in quotes, or render the file first")
	case n.Kind != yaml.ScalarNode:
		return refuse("is not a single value")
	case isBlockValue(n):
		return refuse("is a block scalar")
	}
	if n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 {
		end, ok := d.quoteEnd(start)
		switch {
		case !ok:
			return refuse("is not where the parser found it")
		case bytes.IndexByte(d.src[start:end], '\n') >= 0:
			return refuse("spans several lines")
		}
		return span{start, start + 1, end - 1, end}, nil
	}
	end := start + len(n.Value)
	switch {
	case n.Value == "":
		return refuse("is empty")
	case end > len(d.src) || string(d.src[start:end]) != n.Value:
		if start < len(d.src) && d.src[start] == '!' {
			return refuse("has an explicit tag")
		}
		return refuse("spans several lines")
	case end < len(d.src) && strings.IndexByte(" \t\r\n,]}:", d.src[end]) < 0:
		return refuse("is not where the parser found it")
	}
	return span{start, start, end, end}, nil
}

// quoteEnd is the offset after the quote that closes the one at off.
func (d *document) quoteEnd(off int) (int, bool) {
	if off >= len(d.src) {
		return 0, false
	}
	quote := d.src[off]
	if quote != '"' && quote != '\'' {
		return 0, false
	}
	for i := off + 1; i < len(d.src); i++ {
		switch {
		case d.src[i] == '\\' && quote == '"':
			i++
		case d.src[i] != quote:
		case quote == '\'' && i+1 < len(d.src) && d.src[i+1] == quote:
			i++
		default:
			return i + 1, true
		}
	}
	return 0, false
}

// end is the offset after the node's last character. Comments after it, and line endings, are not part of a node.
func (d *document) end(n *yaml.Node) (int, error) {
	start := d.at(n)
	unclear := func() (int, error) {
		return 0, d.refuse(start, "cannot tell where this value ends", "write the value in a simpler form")
	}
	if n.Kind == yaml.AliasNode {
		return min(start+1+len(n.Value), len(d.src)), nil
	}
	body := d.skipProperties(start)
	switch {
	case n.Kind == yaml.ScalarNode && n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0:
		if end, ok := d.quoteEnd(body); ok {
			return end, nil
		}
		return unclear()
	case n.Kind == yaml.ScalarNode && isBlockValue(n):
		return d.blockEnd(body, n)
	case n.Kind == yaml.ScalarNode && n.Value == "":
		for body > start && isSpace(d.src[body-1]) {
			body--
		}
		return body, nil
	case n.Kind == yaml.ScalarNode:
		if end, ok := d.matchText(body, n.Value); ok {
			return end, nil
		}
		return unclear()
	}
	last := body
	if len(n.Content) > 0 {
		end, err := d.lastEnd(n)
		if err != nil {
			return 0, err
		}
		last = end
	}
	if n.Style&yaml.FlowStyle == 0 || body >= len(d.src) || (d.src[body] != '{' && d.src[body] != '[') {
		return last, nil
	}
	if len(n.Content) > 0 && d.at(n.Content[0]) == body {
		return last, nil // a single pair without braces, whose key is itself in brackets
	}
	closing := d.closing(n, last)
	if closing < 0 {
		return unclear()
	}
	return closing + 1, nil
}

// lastEnd is the offset after the last child of a collection.
func (d *document) lastEnd(n *yaml.Node) (int, error) {
	last := n.Content[len(n.Content)-1]
	if n.Kind != yaml.MappingNode || last.Kind != yaml.ScalarNode || last.Value != "" || last.Style != 0 || last.Anchor != "" {
		return d.end(last)
	}
	return d.emptyEnd(n.Content[len(n.Content)-2])
}

// emptyEnd is the offset after an empty value: after the colon that follows its key, or after the key where there is none.
func (d *document) emptyEnd(key *yaml.Node) (int, error) {
	end, err := d.end(key)
	if err != nil {
		return 0, err
	}
	if next := d.skipSpace(end); next < len(d.src) && d.src[next] == ':' {
		return next + 1, nil
	}
	return end, nil
}

// valueEnd is the offset after the value of a pair, or after its colon where the value is empty.
func (d *document) valueEnd(p pair) (int, error) {
	if p.value.Kind == yaml.ScalarNode && p.value.Value == "" && p.value.Style == 0 && p.value.Anchor == "" {
		return d.emptyEnd(p.key)
	}
	return d.end(p.value)
}

func opening(n *yaml.Node) byte {
	if n.Kind == yaml.MappingNode {
		return '{'
	}
	return '['
}

// closing is the offset of the bracket that closes a flow collection whose last child ends at off, or -1.
func (d *document) closing(n *yaml.Node, off int) int {
	want := opening(n) + 2 // ']' and '}' stand two after '[' and '{'
	if len(n.Content) == 0 {
		off = d.skipProperties(d.at(n)) + 1
	}
	for {
		off = d.skipSpace(off)
		switch {
		case off >= len(d.src):
			return -1
		case d.src[off] == want:
			return off
		case d.src[off] != ',' && d.src[off] != ':':
			return -1
		}
		off++
	}
}

// skipProperties moves from a node's beginning over its anchor and tag.
func (d *document) skipProperties(off int) int {
	for off < len(d.src) && (d.src[off] == '&' || d.src[off] == '!') {
		for off < len(d.src) && strings.IndexByte(" \t\r\n,[]{}", d.src[off]) < 0 {
			off++
		}
		off = d.skipSpace(off)
	}
	return off
}

// matchText finds where a plain scalar ends. Folding changes white space only, so the rest must match in order.
func (d *document) matchText(off int, text string) (int, bool) {
	for i := 0; i < len(text); {
		if isSpace(text[i]) {
			for i < len(text) && isSpace(text[i]) {
				i++
			}
			if i == len(text) {
				return off, true
			}
			for off < len(d.src) && isSpace(d.src[off]) {
				off++
			}
			continue
		}
		if off >= len(d.src) || d.src[off] != text[i] {
			return 0, false
		}
		i++
		off++
	}
	return off, true
}

// blockEnd finds where a | or > scalar ends: after its last line that is not blank, or with the indicator + after the blank
// lines that follow and belong to it.
func (d *document) blockEnd(off int, n *yaml.Node) (int, error) {
	header := d.line(off)
	keep := strings.ContainsRune(strings.SplitN(d.text(header)[off-d.starts[header]:], "#", 2)[0], '+')
	end := d.starts[header] + len(d.text(header))
	first := header + 1
	if strings.Trim(n.Value, " \t\r\n") != "" {
		if first >= len(d.starts) {
			return 0, d.refuse(off, "cannot tell where this value ends", "write the value in a simpler form")
		}
		found, ok := d.matchText(d.skipBlank(d.starts[first]), strings.Trim(n.Value, " \t\r\n"))
		if !ok {
			return 0, d.refuse(off, "cannot tell where this value ends", "write the value in a simpler form")
		}
		end = found
		first = d.line(max(end-1, 0)) + 1
	}
	if keep {
		for ; first < len(d.starts) && d.starts[first] < len(d.src) && d.blank(first); first++ {
			end = d.starts[first] + len(d.text(first))
		}
	}
	return end, nil
}

// skipBlank moves over white space and line breaks only.
func (d *document) skipBlank(off int) int {
	for off < len(d.src) && isSpace(d.src[off]) {
		off++
	}
	return off
}
