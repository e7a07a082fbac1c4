package gate

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/boatlift/boatlift/internal/didyoumean"
)

// FileError reports what is wrong in a policy's file, and where.
type FileError struct {
	File         string
	Line, Column int // 0 if the whole file, or the whole line, is meant
	Reason       string
}

func (e *FileError) Error() string { return e.place() + ": " + e.Reason }

// place is where it is wrong: soak.yaml:4:8.
func (e *FileError) place() string {
	switch {
	case e.Line == 0:
		return e.File
	case e.Column == 0:
		return fmt.Sprintf("%s:%d", e.File, e.Line)
	}
	return fmt.Sprintf("%s:%d:%d", e.File, e.Line, e.Column)
}

// Permanent tells that reading the same file again cannot help.
func (e *FileError) Permanent() bool { return true }

// source is an expression and where its text begins.
type source struct {
	name         string // of the let; else empty
	text         string
	line, column int
	block        bool // a literal block: the lines of the text are lines of the file
}

// refusal is a rule about parameters that their types cannot express.
type refusal struct {
	when, say source
	parameter string
}

// policyFile is a policy as written.
type policyFile struct {
	Description
	parameterLines map[string]ast.Node
	lets           []source
	refusals       []refusal
	allow, deny    *source
	until          *source
	say, detail    map[State]*source // one for all states is under ""
}

// The names by which policies see what they judge, and the shape of every name in a policy's file.
const (
	factsName  = "facts"
	paramsName = "params"
	stateName  = "state"
)

var (
	policyNamePattern = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)
	fieldNamePattern  = regexp.MustCompile(`^[a-z][a-zA-Z0-9]*$`)
)

const maxPolicyFile = 64 << 10

// reader reads one YAML file strictly and collects everything that is wrong with it.
type reader struct {
	file         string
	own          bool // it does not ship with the bot
	errs         []error
	reads, facts map[string]bool // which fields the expressions compiled so far look at, and which facts
}

func (r *reader) fail(node ast.Node, format string, args ...any) {
	e := &FileError{File: r.file, Reason: fmt.Sprintf(format, args...)}
	if node != nil && node.GetToken() != nil {
		e.Line, e.Column = node.GetToken().Position.Line, node.GetToken().Position.Column
	}
	r.errs = append(r.errs, e)
}

// readBody reads a file whole, and refuses a giant one.
func readBody(fsys fs.FS, file string) ([]byte, error) {
	info, err := fs.Stat(fsys, file)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxPolicyFile {
		return nil, &FileError{File: file, Reason: fmt.Sprintf("it is larger than %d kB", maxPolicyFile>>10)}
	}
	return fs.ReadFile(fsys, file)
}

// parseYAML gives the body of a file's only document, and refuses anchors: they would let a small file grow.
func (r *reader) parseYAML(body []byte) ast.Node {
	parsed, err := parser.ParseBytes(body, 0)
	if err != nil {
		reason := &FileError{File: r.file, Reason: err.Error()}
		var yamlErr yaml.Error
		if errors.As(err, &yamlErr) {
			reason.Reason = yamlErr.GetMessage()
			if t := yamlErr.GetToken(); t != nil {
				reason.Line, reason.Column = t.Position.Line, t.Position.Column
			}
		}
		r.errs = append(r.errs, reason)
		return nil
	}
	if len(parsed.Docs) != 1 || parsed.Docs[0].Body == nil {
		r.fail(nil, "it must hold one YAML document")
		return nil
	}
	for _, kind := range []ast.NodeType{ast.AnchorType, ast.AliasType, ast.MergeKeyType} {
		if found := ast.Filter(kind, parsed.Docs[0].Body); len(found) > 0 {
			r.fail(found[0], "anchors and aliases are not allowed here")
			return nil
		}
	}
	return parsed.Docs[0].Body
}

// entries walks the keys of a map in the order in which they are written.
func (r *reader) entries(node ast.Node, do func(key string, keyNode, value ast.Node)) {
	m, ok := node.(*ast.MappingNode)
	if !ok {
		r.fail(node, "a map is wanted here")
		return
	}
	for _, entry := range m.Values {
		do(entry.Key.GetToken().Value, entry.Key, entry.Value)
	}
}

func (r *reader) text(node ast.Node) string {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value
	case *ast.LiteralNode:
		return n.Value.Value
	}
	r.fail(node, "text is wanted here; write it in quotes")
	return ""
}

func (r *reader) bool(node ast.Node) bool {
	if n, ok := node.(*ast.BoolNode); ok {
		return n.Value
	}
	r.fail(node, "true or false is wanted here")
	return false
}

func (r *reader) expression(name string, node ast.Node) *source {
	s := &source{name: name, line: node.GetToken().Position.Line, column: node.GetToken().Position.Column}
	switch n := node.(type) {
	case *ast.LiteralNode:
		s.block = strings.HasPrefix(n.Start.Value, "|")
		s.text = n.Value.Value
	case *ast.BoolNode, *ast.IntegerNode, *ast.NullNode: // `allow: true` is an expression as well
		s.text = n.GetToken().Value
	default:
		s.text = r.text(node)
	}
	return s
}

func (r *reader) byState(node ast.Node) map[State]*source {
	if _, ok := node.(*ast.MappingNode); !ok {
		return map[State]*source{"": r.expression("", node)}
	}
	sources := map[State]*source{}
	r.entries(node, func(key string, keyNode, value ast.Node) {
		if !slices.Contains([]State{Allow, Wait, Deny}, State(key)) {
			r.fail(keyNode, "unknown state %q: write allow, wait or deny", key)
			return
		}
		sources[State(key)] = r.expression("", value)
	})
	return sources
}

func (r *reader) unknown(keyNode ast.Node, key string, known ...string) {
	if near := didyoumean.Word(key, known); near != "" {
		r.fail(keyNode, "unknown key %q; did you mean %q?", key, near)
		return
	}
	r.fail(keyNode, "unknown key %q; known are %s", key, strings.Join(known, ", "))
}

func (r *reader) policy(body []byte) *policyFile {
	root := r.parseYAML(body)
	if root == nil {
		return nil
	}
	p := &policyFile{parameterLines: map[string]ast.Node{}}
	p.File = r.file
	r.entries(root, func(key string, keyNode, value ast.Node) {
		switch key {
		case "name":
			if p.Name = r.text(value); !policyNamePattern.MatchString(p.Name) {
				r.fail(value, "a name is lower-case words joined by -, as max-age")
			}
		case "title":
			p.Title = strings.TrimSpace(r.text(value))
		case "description":
			p.Description.Description = strings.TrimSpace(r.text(value))
		case "kind":
			if p.Kind = r.text(value); p.Kind != KindApproval {
				r.fail(value, "the only kind is %q", KindApproval)
			}
		case "builtin":
			p.Builtin = r.bool(value)
		case "needs":
			if p.Needs = r.text(value); p.Needs != NeedsAfter {
				r.fail(value, "the only thing a policy can need is %q", NeedsAfter)
			}
		case "rollback":
			how := r.text(value)
			p.SkippedOnRollback = how == "skip"
			if how != "skip" && how != "judge" {
				r.fail(value, "write skip or judge (the default)")
			}
		case "parameters":
			r.entries(value, func(name string, keyNode, value ast.Node) {
				p.Parameters = append(p.Parameters, r.parameter(name, keyNode, value))
				p.parameterLines[name] = keyNode
			})
		case "refuse":
			p.refusals = r.refusals(value)
		case "let":
			r.entries(value, func(name string, keyNode, value ast.Node) {
				if !fieldNamePattern.MatchString(name) || slices.Contains([]string{factsName, paramsName, stateName}, name) {
					r.fail(keyNode, "%q cannot be the name of a let", name)
				}
				p.lets = append(p.lets, *r.expression(name, value))
			})
		case "allow":
			p.allow = r.expression("", value)
		case "deny":
			p.deny = r.expression("", value)
		case "until":
			p.until = r.expression("", value)
		case "say":
			p.say = r.byState(value)
		case "detail":
			p.detail = r.byState(value)
		default:
			r.unknown(keyNode, key, "name", "title", "description", "kind", "builtin", "needs", "rollback", "parameters", "refuse", "let",
				"allow", "deny", "until", "say", "detail")
		}
	})
	r.complete(root, p)
	return p
}

// complete checks that nothing is missing that every policy has.
func (r *reader) complete(root ast.Node, p *policyFile) {
	for _, want := range []struct {
		key  string
		lack bool
	}{
		{"name", p.Name == ""},
		{"title", p.Title == ""},
		{"description", p.Description.Description == ""},
		{"allow or deny", p.allow == nil && p.deny == nil},
		{"say", p.say == nil},
	} {
		if want.lack {
			r.fail(root, "%s is missing", want.key)
		}
	}
	if p.say == nil || p.say[""] != nil {
		return
	}
	for _, state := range p.states() {
		if p.say[state] == nil {
			r.fail(root, "say lacks a sentence for %s", state)
		}
	}
}

// states are the answers that the policy can give: one that only allows waits otherwise, one that only denies allows otherwise.
func (p *policyFile) states() []State {
	states := []State{Allow}
	if p.allow != nil {
		states = append(states, Wait)
	}
	if p.deny != nil {
		states = append(states, Deny)
	}
	return states
}

func (r *reader) parameter(name string, keyNode, node ast.Node) Parameter {
	p := Parameter{Name: name}
	if !fieldNamePattern.MatchString(name) {
		r.fail(keyNode, "%q cannot be the name of a parameter: write letters and digits, the first a small letter", name)
	}
	r.entries(node, func(key string, keyNode, value ast.Node) {
		switch key {
		case "type":
			p.Type = r.text(value)
		case "required":
			p.Required = r.bool(value)
		case "default":
			if err := yaml.NodeToValue(value, &p.Default); err != nil {
				r.fail(value, "the default cannot be read: %s", err)
			}
		case "values":
			if err := yaml.NodeToValue(value, &p.Values); err != nil {
				r.fail(value, "a list of texts is wanted here")
			}
		case "description":
			p.Description = strings.TrimSpace(r.text(value))
		default:
			r.unknown(keyNode, key, "type", "required", "default", "values", "description")
		}
	})
	if p.Description == "" {
		r.fail(keyNode, "the parameter %q has no description", name)
	}
	if p.Required && p.Default != nil {
		r.fail(keyNode, "the parameter %q is required, so it cannot have a default", name)
	}
	return p
}

func (r *reader) refusals(node ast.Node) []refusal {
	list, ok := node.(*ast.SequenceNode)
	if !ok {
		r.fail(node, "a list is wanted here")
		return nil
	}
	var refusals []refusal
	for _, item := range list.Values {
		var one refusal
		r.entries(item, func(key string, keyNode, value ast.Node) {
			switch key {
			case "when":
				one.when = *r.expression("", value)
			case "parameter":
				one.parameter = r.text(value)
			case "say":
				one.say = *r.expression("", value)
			default:
				r.unknown(keyNode, key, "when", "parameter", "say")
			}
		})
		if one.when.text == "" || one.say.text == "" || one.parameter == "" {
			r.fail(item, "when, parameter and say are all needed")
			continue
		}
		refusals = append(refusals, one)
	}
	return refusals
}
