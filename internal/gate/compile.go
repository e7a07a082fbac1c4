package gate

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/env"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"

	"github.com/boatlift/boatlift/internal/didyoumean"
)

// policy is a policy ready to run. It is never changed after New.
type policy struct {
	Description
	types    []paramType // by the index of the parameter
	defaults []ref.Val   // nil where there is none
	params   *structType
	refusals []compiledRefusal
	lets     []compiledLet
	allow    cel.Program // nil: whatever is not denied is allowed
	deny     cel.Program // nil: whatever is not allowed waits
	until    cel.Program // nil: no clock changes the ruling
	say      map[State]cel.Program
	detail   map[State]cel.Program
	reads    map[string]bool // the names of all fields that its expressions look at, of facts, parameters and what they hold
}

type compiledRefusal struct {
	when, say cel.Program
	parameter string
}

type compiledLet struct {
	name    string
	program cel.Program
}

// compiler turns files into policies.
type compiler struct {
	schema *schema
	funcs  *functions
	params *parameterTypes
	limit  uint64
}

// prepare reads the parameters of a policy: their types and defaults.
func (c *compiler) prepare(r *reader, file *policyFile) *policy {
	p := &policy{Description: file.Description, say: map[State]cel.Program{}, detail: map[State]cel.Program{}}
	fields := make([]structField, len(file.Parameters))
	for i, param := range file.Parameters {
		at := file.parameterLines[param.Name]
		t, err := c.params.of(param.Type)
		if err != nil {
			r.fail(at, "parameter %q: %s", param.Name, err)
			t = c.params.scalars["string"]
		}
		var def ref.Val
		if param.Default != nil && err == nil {
			if def, err = readParameter(param, t, param.Default); err != nil {
				r.fail(at, "the default of %q: %s", param.Name, err)
			}
		}
		p.types = append(p.types, t)
		p.defaults = append(p.defaults, def)
		fields[i] = structField{name: param.Name, typ: t.cel, lack: "the parameter " + param.Name + " is not given"}
	}
	for _, refused := range file.refusals {
		if !slices.ContainsFunc(file.Parameters, func(p Parameter) bool { return p.Name == refused.parameter }) {
			r.fail(nil, "refuse names the unknown parameter %q", refused.parameter)
		}
	}
	p.params = newStructType("parameters of "+file.Name, fields)
	return p
}

// environment is what every policy's expressions may use, with the types of all parameters.
func (c *compiler) environment(policies []*policy) (*cel.Env, error) {
	structs := c.schema.byName()
	for _, t := range c.funcs.types() {
		structs[t.cel.TypeName()] = t
	}
	for _, p := range policies {
		structs[p.params.cel.TypeName()] = p.params
	}
	facts := structs["Facts"]
	options := []cel.EnvOption{
		// No dyn: every type is known when a policy is compiled, which the guard relies on.
		cel.StdLib(cel.StdLibSubset(env.NewLibrarySubset().AddExcludedFunctions(env.NewFunction("dyn")))),
		cel.CustomTypeProvider(&provider{types.NewEmptyRegistry(), structs}),
		cel.Variable(factsName, facts.cel),
		cel.EnableHiddenAccumulatorName(true),
		cel.ParserExpressionSizeLimit(16 << 10),
		cel.ParserRecursionLimit(100),
		cel.ExpressionNodeLimit(5000),
		cel.DefaultUTCTimeZone(true),
		cel.ASTValidators(guard{}, cel.ValidateRegexLiterals(), cel.ValidateDurationLiterals(), cel.ValidateTimestampLiterals(),
			cel.ValidateHomogeneousAggregateLiterals(), cel.ValidateComprehensionNestingLimit(4)),
		cel.EagerlyValidateDeclarations(true),
	}
	return cel.NewCustomEnv(append(options, c.funcs.declare()...)...)
}

// compile turns the expressions of a file into programs; whatever is wrong with them goes to the reader.
func (c *compiler) compile(scope *cel.Env, r *reader, file *policyFile, p *policy) {
	extend := func(name string, t *cel.Type) {
		extended, err := scope.Extend(cel.Variable(name, t))
		if err != nil {
			r.fail(nil, "%q cannot be declared: %s", name, err)
			return
		}
		scope = extended
	}
	text, boolean := types.StringType, types.BoolType
	r.reads, r.facts = map[string]bool{}, map[string]bool{}
	defer func() { p.reads, p.Facts = r.reads, slices.Sorted(maps.Keys(r.facts)) }()
	extend(paramsName, p.params.cel)
	for _, refused := range file.refusals {
		p.refusals = append(p.refusals, compiledRefusal{
			c.program(scope, r, &refused.when, boolean), c.program(scope, r, &refused.say, text), refused.parameter,
		})
	}
	for _, let := range file.lets {
		program, t := c.typed(scope, r, &let)
		if program == nil {
			return // what follows would only repeat the error
		}
		p.lets = append(p.lets, compiledLet{let.name, program})
		extend(let.name, t)
	}
	p.allow = c.program(scope, r, file.allow, boolean)
	p.deny = c.program(scope, r, file.deny, boolean)
	extend(stateName, text)
	p.until = c.program(scope, r, file.until, types.TimestampType)
	for _, state := range file.states() {
		for _, part := range []struct {
			from map[State]*source
			to   map[State]cel.Program
		}{{file.say, p.say}, {file.detail, p.detail}} {
			s := part.from[state]
			if s == nil {
				s = part.from[""]
			}
			if program := c.program(scope, r, s, text); program != nil {
				part.to[state] = program
			}
		}
	}
}

// program compiles an expression of a known type; nil for no expression.
func (c *compiler) program(scope *cel.Env, r *reader, s *source, want *cel.Type) cel.Program {
	if s == nil {
		return nil
	}
	program, got := c.typed(scope, r, s)
	if program != nil && !got.IsExactType(want) && !(want == types.TimestampType && got.IsExactType(types.NullType)) {
		r.errs = append(r.errs, &FileError{r.file, s.line, s.column, fmt.Sprintf("the expression is a %s; a %s is wanted", cel.FormatCELType(got), want)})
	}
	return program
}

func (c *compiler) typed(scope *cel.Env, r *reader, s *source) (cel.Program, *cel.Type) {
	checked, issues := scope.Compile(s.text)
	if issues.Err() != nil {
		for _, e := range issues.Errors() {
			line, column := s.line, s.column
			if s.block { // the text begins below the | and its lines are the file's lines
				line, column = s.line+e.Location.Line(), 0
			}
			r.errs = append(r.errs, &FileError{r.file, line, column, e.Message})
		}
		return nil, nil
	}
	program, err := scope.Program(checked, cel.EvalOptions(cel.OptOptimize|cel.OptTrackCost), cel.CostLimit(c.limit),
		cel.InterruptCheckFrequency(100), c.funcs.costs())
	if err != nil {
		r.errs = append(r.errs, &FileError{r.file, s.line, s.column, err.Error()})
		return nil, nil
	}
	for _, selected := range ast.MatchDescendants(ast.NavigateAST(checked.NativeRep()), ast.KindMatcher(ast.SelectKind)) {
		field := selected.AsSelect()
		r.reads[field.FieldName()] = true
		if of := field.Operand(); of.Kind() == ast.IdentKind && of.AsIdent() == factsName {
			r.facts[field.FieldName()] = true
		}
	}
	if r.own {
		at := FileError{File: r.file, Line: s.line, Column: s.column}
		if s.block {
			at.Line, at.Column = s.line+1, 0
		}
		return located{program, at}, checked.OutputType()
	}
	return program, checked.OutputType()
}

// readParameter reads a value for a parameter.
func readParameter(p Parameter, t paramType, raw any) (ref.Val, error) {
	v, err := t.read(raw)
	if err != nil {
		return nil, err
	}
	if s, ok := v.(types.String); ok && len(p.Values) > 0 && !slices.Contains(p.Values, string(s)) {
		reason := fmt.Sprintf("%s is not one of %v", shown(raw), p.Values)
		if near := didyoumean.Word(string(s), p.Values); near != "" {
			reason += fmt.Sprintf("; did you mean %q?", near)
		}
		return nil, errors.New(reason)
	}
	return v, nil
}
