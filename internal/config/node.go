package config

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	yaml "github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// What a file may be at most, so that reading it takes bounded time and memory whoever wrote it.
const (
	maxBytes = 256 << 10
	maxDepth = 32     // collections inside each other
	maxWidth = 200    // columns that a line is indented by
	maxNodes = 20_000 // values, those that aliases repeat counted each time
	maxToken = 30_000 // words and signs: the parser takes quadratic time in the length of a map
)

// kind is what a value is.
type kind int

const (
	nothing kind = iota
	scalarText
	scalarNumber
	scalarBool
	mapping
	sequence
)

// node is one value of a file. Aliases point to the node of their anchor, so a file is a graph without cycles.
type node struct {
	place
	kind  kind
	value any    // string, int64, uint64, float64 or bool
	text  string // a number as it is written
	pairs []pair
	items []*node
}

type pair struct {
	key   string
	where place // of the key
	value *node
}

// get finds the value of a key.
func (n *node) get(key string) (*node, bool) {
	for _, p := range n.pairs {
		if p.key == key {
			return p.value, true
		}
	}
	return nil, false
}

// described is what the value is, for people. It says nothing of its content, which may be a secret.
func (n *node) described() string {
	switch n.kind {
	case scalarText:
		return "text"
	case scalarNumber:
		return "a number"
	case scalarBool:
		return "true or false"
	case mapping:
		return "a map"
	case sequence:
		return "a list"
	default:
		return "nothing"
	}
}

// parse reads the one document of a file. It returns nil where the file holds nothing, or what is wrong with it as a whole; the
// problems tell which.
func parse(text []byte, found *problems) (root *node) {
	start := place{1, 1}
	if len(text) > maxBytes {
		found.add(start, fmt.Sprintf("the file is larger than %d KiB", maxBytes>>10), "no configuration needs that much")
		return nil
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	if where, what := unreadable(text); what != "" {
		found.add(where, what, "save the file as UTF-8 text")
		return nil
	}
	defer func() { // the parser is not ours, and the text is anybody's
		if recover() != nil {
			found.add(start, "the file is no YAML that can be understood", "write plain YAML: maps, lists and text")
			root = nil
		}
	}()
	tokens := lexer.Tokenize(string(text))
	if !shallow(tokens, found) {
		return nil
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		where, what := explain(err)
		found.add(where, what, "see that quotes and brackets are closed and that lines are indented with spaces, evenly")
		return nil
	}
	var body ast.Node
	for _, doc := range file.Docs {
		switch {
		case doc.Body == nil || doc.Body.Type() == ast.DirectiveType || doc.Body.Type() == ast.CommentGroupType:
		case body != nil:
			where := start
			if t := firstToken(doc.Body); t != nil {
				where = placeOf(t)
			}
			found.add(where, "a second document begins here", "write everything in one document, without --- between")
			return nil
		default:
			body = doc.Body
		}
	}
	if body == nil {
		return nil
	}
	b := builder{found: found, anchors: map[string]*node{}}
	root = b.node(body, start, 0)
	if b.refused {
		return nil
	}
	return root
}

// unreadable finds what text cannot hold.
func unreadable(text []byte) (place, string) {
	where := place{1, 1}
	for rest := text; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		switch {
		case r == utf8.RuneError && size == 1:
			return where, "the file is not UTF-8"
		case r == '\n':
			where.line, where.column = where.line+1, 1
		case r == '\ufeff', r < ' ' && r != '\t' && r != '\r', r == 0x7f:
			return where, fmt.Sprintf("there is a control character, U+%04X", r)
		default:
			where.column++
		}
		rest = rest[size:]
	}
	return where, ""
}

// shallow refuses what would take the parser too deep: it recurses.
func shallow(tokens token.Tokens, found *problems) bool {
	depth, line, onLine, count := 0, 0, 0, 0
	for _, t := range tokens {
		if t.Position == nil || t.Type == token.CommentType {
			continue
		}
		if count++; count > maxToken {
			found.add(placeOf(t), fmt.Sprintf("the file has more than %d words and signs", maxToken), "no configuration needs that much")
			return false
		}
		if t.Position.Line != line {
			line, onLine = t.Position.Line, 0
			if depth == 0 && t.Position.Column > maxWidth {
				found.add(placeOf(t), fmt.Sprintf("the line is indented by more than %d columns", maxWidth), "indent by two spaces")
				return false
			}
		}
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			depth++
		case token.SequenceEndType, token.MappingEndType:
			depth = max(0, depth-1)
		case token.SequenceEntryType, token.MappingKeyType, token.AnchorType, token.TagType:
			onLine++
		}
		if depth > maxDepth || onLine > maxDepth {
			found.add(placeOf(t), fmt.Sprintf("more than %d collections are inside each other", maxDepth), "no key of this file needs that")
			return false
		}
	}
	return true
}

// explain takes what the parser says, without the part of the source that it would show: that may hold a secret.
func explain(err error) (place, string) {
	var said yaml.Error
	if !errors.As(err, &said) {
		return place{1, 1}, "the file is no YAML"
	}
	where := place{1, 1}
	if t := said.GetToken(); t != nil && t.Position != nil {
		where = placeOf(t)
	}
	what := said.GetMessage()
	switch {
	case strings.Contains(what, "\t"):
		what = "there is a tab where only spaces can be"
	case strings.Contains(what, `"`): // which quotes the file
		what = "it is not understood"
	default:
		what = strings.TrimSpace(quotedLetter.ReplaceAllString(what, ""))
	}
	return where, "this is no YAML: " + what
}

func placeOf(t *token.Token) place {
	if t == nil || t.Position == nil {
		return place{1, 1}
	}
	return place{max(1, t.Position.Line), max(1, t.Position.Column)}
}

// firstToken is where a value begins.
func firstToken(n ast.Node) *token.Token {
	switch n := n.(type) {
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return firstToken(n.Values[0].Key)
		}
		return n.Start
	case *ast.MappingValueNode:
		return firstToken(n.Key)
	case *ast.SequenceNode:
		return n.Start
	case *ast.LiteralNode:
		return n.Start
	case *ast.AnchorNode:
		return n.Start
	case nil:
		return nil
	default:
		return n.GetToken()
	}
}

// quotedLetter is what the file has of an escape sequence.
var quotedLetter = regexp.MustCompile(`'[A-Za-z0-9]'`)

var anchorPattern = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// builder makes nodes of the parser's tree.
type builder struct {
	found   *problems
	anchors map[string]*node
	flow    int // how many brackets are around
	refused bool
}

func (b *builder) refuse(where placed, what, right string) *node {
	b.refused = true
	b.found.add(where, what, right)
	return &node{place: where.at()}
}

// node reads a value; where is what it stands at if it has no place of its own.
func (b *builder) node(from ast.Node, where place, depth int) *node {
	if t := firstToken(from); t != nil && t.Position != nil && t.Type != token.ImplicitNullType {
		where = placeOf(t)
	}
	if depth > maxDepth {
		return b.refuse(where, fmt.Sprintf("more than %d collections are inside each other", maxDepth), "no key of this file needs that")
	}
	n := &node{place: where}
	switch from := from.(type) {
	case nil, *ast.NullNode, *ast.CommentGroupNode:
	case *ast.StringNode:
		n.kind, n.value = scalarText, from.Value
	case *ast.LiteralNode:
		n.kind, n.value = scalarText, from.Value.Value
	case *ast.BoolNode:
		n.kind, n.value = scalarBool, from.Value
	case *ast.IntegerNode:
		n.kind, n.value, n.text = scalarNumber, from.Value, from.Token.Value
	case *ast.FloatNode:
		n.kind, n.value, n.text = scalarNumber, from.Value, from.Token.Value
	case *ast.InfinityNode:
		n.kind, n.value, n.text = scalarNumber, from.Value, from.Token.Value
	case *ast.NanNode:
		n.kind, n.value, n.text = scalarNumber, from.GetValue(), from.Token.Value
	case *ast.MappingValueNode:
		b.mapping(n, []*ast.MappingValueNode{from}, depth)
	case *ast.MappingNode:
		if from.IsFlowStyle {
			b.flow++
			defer func() { b.flow-- }()
		}
		b.mapping(n, from.Values, depth)
	case *ast.SequenceNode:
		if from.IsFlowStyle {
			b.flow++
			defer func() { b.flow-- }()
		}
		n.kind = sequence
		for i, value := range from.Values {
			at := where
			if i < len(from.Entries) && from.Entries[i] != nil && from.Entries[i].Start != nil {
				at = placeOf(from.Entries[i].Start)
			}
			item := b.node(value, at, depth+1)
			if b.flow == 0 && item.line > at.line && item.column <= at.column && value.Type() != ast.AliasType {
				b.refuse(at, "the item is empty", "write it behind the -, or take the - away")
			}
			n.items = append(n.items, item)
		}
	case *ast.AnchorNode:
		name := from.Name.GetToken().Value
		if !anchorPattern.MatchString(name) {
			return b.refuse(where, "this is no name of an anchor", "write &name, with letters, digits, - and _")
		}
		n = b.node(from.Value, where, depth+1)
		b.anchors[name] = n // only now, so that no value holds itself
	case *ast.AliasNode:
		target, known := b.anchors[from.Value.GetToken().Value]
		if !known {
			return b.refuse(where, "no anchor of this name comes before", "write &name at the value that is meant, above")
		}
		return target
	case *ast.TagNode:
		return b.refuse(where, "YAML tags such as !!str are not read here", "leave it out; for text, write quotes")
	default:
		return b.refuse(where, "this kind of YAML is not read here", "write maps, lists and text")
	}
	return n
}

// bare tells a key without quotes.
func bare(key ast.MapKeyNode) bool {
	t := key.GetToken()
	return t != nil && t.Type != token.DoubleQuoteType && t.Type != token.SingleQuoteType
}

func (b *builder) mapping(n *node, values []*ast.MappingValueNode, depth int) {
	n.kind = mapping
	first := map[string]place{}
	for _, value := range values {
		var key string
		where := n.place
		if t := firstToken(value.Key); t != nil {
			where = placeOf(t)
		}
		switch k := value.Key.(type) {
		case *ast.StringNode:
			key = k.Value
		case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode, *ast.InfinityNode, *ast.NanNode:
			key = value.Key.GetToken().Value
		case *ast.MergeKeyNode:
			b.refuse(where, "the merge key << is not read here", "write the keys out, or repeat a whole value with *name")
			continue
		default:
			b.refuse(where, "a key is a word", "write it as name: value")
			continue
		}
		if before, twice := first[key]; twice {
			b.refuse(where, "the key stands here again, first in line "+strconv.Itoa(before.line), "write it once")
			continue
		}
		first[key] = where
		if value.Start != nil && placeOf(value.Start).line != where.line {
			b.refuse(where, "the key and its colon are not in one line", "write it as name: value")
			continue
		}
		if t := firstToken(value.Value); b.flow > 0 && t != nil && t.Type != token.ImplicitNullType && bare(value.Key) && value.Start != nil {
			if colon, after := placeOf(value.Start), placeOf(t); colon.line == after.line && colon.column+1 == after.column {
				// YAML has plain text here, and the parser a key and its value.
				b.refuse(where, "between brackets, a colon without a space behind it can be read in two ways", "put text in quotes, as \"acme/infra:acceptance\", and a space behind the colon of a key")
				continue
			}
		}
		v := b.node(value.Value, where, depth+1)
		if least := where.column + 1; b.flow == 0 && v.line > where.line && value.Value.Type() != ast.AliasType {
			if v.kind == sequence {
				least-- // lists may begin below their key
			}
			if v.column < least {
				b.refuse(v, "the line is not indented as part of what is above it", "indent it further than its key")
			}
		}
		n.pairs = append(n.pairs, pair{key, where, v})
	}
}

// describedSize is described, and tells an empty list.
func (n *node) describedSize() string {
	if n.kind == sequence && len(n.items) == 0 {
		return "an empty list"
	}
	return n.described()
}
