package kustomize

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

const (
	// maxSize is the largest file that is looked at: a hundred times the largest kustomization seen.
	maxSize = 1 << 20
	// maxDepth bounds nesting, so that no file can make the recursion here deep.
	maxDepth = 500
	// maxExpanded bounds the nodes of a document with every alias replaced by what it stands for.
	maxExpanded = 1 << 20
)

// document is one parsed file.
type document struct {
	source
	root    *yaml.Node          // nil when the file holds nothing
	json    bool                // the whole file is JSON and must stay so
	aliased map[*yaml.Node]bool // nodes that an alias stands for
	markers map[int]bool        // what marked found, by line
}

// parse reads the first document of src, which is the one that kustomize reads. It accepts whatever is YAML and bounded.
func parse(path string, src []byte) (*document, error) {
	if err := checkSize(path, src); err != nil {
		return nil, err
	}
	d := &document{source: newSource(path, src)}
	root, _, err := d.decode(false)
	if err != nil {
		return nil, err
	}
	d.root = root
	if err := d.bound(); err != nil {
		return nil, err
	}
	return d, nil
}

// parseExact reads src for an edit: on top of parse it demands one document whose positions are beyond doubt.
func parseExact(path string, src []byte) (*document, error) {
	if err := checkSize(path, src); err != nil {
		return nil, err
	}
	d := &document{source: newSource(path, src)}
	if err := d.checkCharacters(); err != nil {
		return nil, err
	}
	root, second, err := d.decode(true)
	if err != nil {
		return nil, err
	}
	if second > 0 {
		return nil, d.refuseLine(second, "the file has more than one YAML document, and kustomize reads only the first",
			"keep one document in the file")
	}
	d.root = root
	if err := d.bound(); err != nil {
		return nil, err
	}
	d.json = root != nil && root.Kind == yaml.MappingNode && root.Style&yaml.FlowStyle != 0 && json.Valid(src[d.starts[0]:])
	return d, nil
}

func checkSize(path string, src []byte) error {
	if len(src) <= maxSize {
		return nil
	}
	return &RefusedError{File: path, Line: 1, Reason: fmt.Sprintf("the file has %d bytes, the limit is %d", len(src), maxSize), hint: "split the kustomization"}
}

// checkCharacters refuses what makes lines or columns mean different things to different parsers.
func (d *document) checkCharacters() error {
	for off := 0; off < len(d.src); {
		c := d.src[off]
		switch {
		case c == '\r':
			if off+1 == len(d.src) || d.src[off+1] != '\n' {
				return d.refuse(off, "a carriage return stands without a line feed", "use LF or CRLF line endings")
			}
			off++
		case c < utf8.RuneSelf:
			off++
		default:
			r, size := utf8.DecodeRune(d.src[off:])
			switch {
			case r == utf8.RuneError && size == 1:
				return d.refuse(off, "the file is not UTF-8", "save the file as UTF-8")
			case r == 0x85 || r == 0x2028 || r == 0x2029:
				return d.refuse(off, fmt.Sprintf("the character U+%04X is a line break to some parsers and not to others", r),
					"replace the character by a line feed or a space")
			}
			off += size
		}
	}
	return nil
}

// decode parses the first document; with all it also looks for a second and gives its line.
func (d *document) decode(all bool) (root *yaml.Node, second int, err error) {
	defer func() {
		// The parser reports through panics inside; one that it does not catch is still only a file that cannot be read.
		if r := recover(); r != nil {
			root, second, err = nil, 0, d.refuseLine(1, fmt.Sprintf("the file is not YAML: %v", r), "")
		}
	}()
	decoder := yaml.NewDecoder(bytes.NewReader(d.src))
	var doc yaml.Node
	switch err := decoder.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, 0, nil
	case err != nil:
		return nil, 0, d.notYAML(err)
	}
	if len(doc.Content) > 0 {
		root = doc.Content[0]
	}
	if root != nil && root.Kind == yaml.ScalarNode && root.Value == "" && root.Style == 0 && root.Anchor == "" {
		root = nil // comments and document marks only
	}
	if !all {
		return root, 0, nil
	}
	var next yaml.Node
	switch err := decoder.Decode(&next); {
	case errors.Is(err, io.EOF):
		return root, 0, nil
	case err != nil:
		return nil, 0, d.notYAML(err)
	}
	return root, max(1, next.Line), nil
}

var parserLine = regexp.MustCompile(`^line (\d+): `)

// notYAML turns the parser's error into one with a line of its own.
func (d *document) notYAML(err error) error {
	text, line := strings.TrimPrefix(err.Error(), "yaml: "), 1
	if m := parserLine.FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1])
		text = text[len(m[0]):]
	}
	hint := "correct the file"
	if bytes.Contains(d.src, []byte("{{")) {
		hint = "a file with template lines must be rendered before it can be edited"
	}
	return d.refuseLine(min(line, len(d.starts)), "the file is not YAML: "+text, hint)
}

// bound refuses documents that are too deep or that grow out of bounds through aliases, and notes which nodes aliases stand for.
func (d *document) bound() error {
	if d.root == nil {
		return nil
	}
	b := bounds{sizes: map[*yaml.Node]int{}, open: map[*yaml.Node]bool{}}
	size, line, reason := b.visit(d.root, 0)
	d.aliased = b.aliased
	if reason == "" && size > maxExpanded {
		line, reason = d.root.Line, "the aliases of this file stand for too much content"
	}
	if reason != "" {
		return d.refuseLine(line, reason, "simplify the file")
	}
	return nil
}

type bounds struct {
	sizes   map[*yaml.Node]int  // of anchored nodes, aliases expanded
	open    map[*yaml.Node]bool // anchored nodes that are being visited
	aliased map[*yaml.Node]bool
}

// visit gives the node's expanded size, or the line and reason of a refusal.
func (b *bounds) visit(n *yaml.Node, depth int) (size, line int, reason string) {
	if depth > maxDepth {
		return 0, n.Line, fmt.Sprintf("the file nests deeper than %d levels", maxDepth)
	}
	if n.Kind == yaml.AliasNode {
		if b.open[n.Alias] {
			return 0, n.Line, "an alias stands inside of what it stands for"
		}
		if b.aliased == nil {
			b.aliased = map[*yaml.Node]bool{}
		}
		b.aliased[n.Alias] = true
		return b.sizes[n.Alias], 0, ""
	}
	if n.Anchor != "" {
		b.open[n] = true
		defer delete(b.open, n)
	}
	size = 1
	for _, child := range n.Content {
		s, line, reason := b.visit(child, depth+1)
		if reason != "" {
			return 0, line, reason
		}
		size = min(size+s, maxExpanded+1)
	}
	if n.Anchor != "" {
		b.sizes[n] = size
	}
	return size, 0, ""
}

// pair is a key and its value in a mapping.
type pair struct{ key, value *yaml.Node }

// pairs lists a mapping's keys and values in the order of the file.
func pairs(m *yaml.Node) []pair {
	out := make([]pair, 0, len(m.Content)/2)
	for i := 0; i+1 < len(m.Content); i += 2 {
		out = append(out, pair{m.Content[i], m.Content[i+1]})
	}
	return out
}

// resolve gives the node that n stands for.
func resolve(n *yaml.Node) *yaml.Node {
	for n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// scalarText is the text of a scalar; a null, and what is no scalar, has none.
func scalarText(n *yaml.Node) (string, bool) {
	n = resolve(n)
	if n == nil || n.Kind != yaml.ScalarNode || isNull(n) {
		return "", false
	}
	return n.Value, true
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

func isMerge(key *yaml.Node) bool { return key.Tag == "!!merge" }

// isBlockValue reports whether a scalar is written with | or >.
func isBlockValue(n *yaml.Node) bool { return n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 }

// duplicateKey finds a key that a mapping holds twice.
func duplicateKey(m *yaml.Node) *yaml.Node {
	seen := make(map[string]bool, len(m.Content)/2)
	for _, p := range pairs(m) {
		key := resolve(p.key)
		if key.Kind != yaml.ScalarNode {
			continue
		}
		if seen[key.Value] {
			return p.key
		}
		seen[key.Value] = true
	}
	return nil
}
