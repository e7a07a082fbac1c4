package gate

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"

	_ "time/tzdata" // freeze windows need time zones also where the machine has none

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/interpreter"

	"github.com/boatlift/boatlift/policies"
)

// The built-in policies: judged for every pull request, whatever the configuration says; after where there is anything to come
// after.
const (
	policyHeld  = "held"
	policyAfter = "after"
)

const (
	// costLimit is the work that one policy may do, in CEL's units; a shipped one over a hundred changes needs a fiftieth at
	// most, but for a freeze of very many windows.
	costLimit = 1_000_000
	// deadline bounds a whole verdict. It is a backstop for a starved machine: the cost limit is what stops a hostile policy.
	deadline = 5 * time.Second
)

// Engine judges by compiled policies. It is never changed after New, and safe for concurrent use.
type Engine struct {
	policies map[string]*policy
	broken   map[string]*BrokenPolicyError // policies that Load could not compile, by the name under which they would be used
	names    []string                      // of both, sorted
	schema   *schema
	limit    uint64        // what one policy may cost
	deadline time.Duration // what one verdict may take
}

// New compiles the policies that ship with the bot and those in the sources: every *.yaml in the root of each but *_test.yaml.
// A policy cannot take the name of another. The error joins a *FileError for each thing that is wrong in any file.
func New(sources ...fs.FS) (*Engine, error) {
	return newEngine(costLimit, sources...)
}

func newEngine(limit uint64, sources ...fs.FS) (*Engine, error) {
	e, wrong, err := load(limit, sources...)
	if err = errors.Join(append(wrong, err)...); err != nil {
		return nil, err
	}
	return e, nil
}

// Load compiles as New does, and goes on where a policy of the sources is wrong: whatever uses that policy is denied, with the file and
// the line that are wrong, and everything else is judged. A name that two files claim is used for neither. The problems are a
// *FileError for each thing that is wrong; the error tells that a source cannot be read at all.
func Load(sources ...fs.FS) (e *Engine, problems []error, err error) {
	return load(costLimit, sources...)
}

func load(limit uint64, sources ...fs.FS) (*Engine, []error, error) {
	adapter := types.NewEmptyRegistry()
	schema, err := newSchema(adapter, Facts{})
	if err != nil {
		return nil, nil, fmt.Errorf("read the shape of the facts: %w", err)
	}
	funcs := newFunctions(adapter, &zones{})
	c := &compiler{schema: schema, funcs: funcs, params: newParameterTypes(funcs), limit: limit}
	e := &Engine{policies: map[string]*policy{}, broken: map[string]*BrokenPolicyError{}, schema: schema, limit: limit, deadline: deadline}

	var all []loaded
	var problems []error
	for i, source := range append([]fs.FS{policies.FS}, sources...) {
		if i > 0 && isShipped(source) {
			continue // they are there already
		}
		some, wrong, err := e.load(c, source, i == 0)
		if err != nil {
			return nil, nil, err
		}
		all, problems = append(all, some...), append(problems, wrong...)
	}
	compiled := make([]*policy, len(all))
	for i, l := range all {
		compiled[i] = l.policy
	}
	env, err := c.environment(compiled)
	if err != nil {
		return nil, nil, fmt.Errorf("prepare the language of policies: %w", err)
	}
	for _, l := range all {
		if len(l.reader.errs) == 0 {
			c.compile(env, l.reader, l.file, l.policy)
		}
		problems = append(problems, l.reader.errs...)
		if len(l.reader.errs) > 0 {
			e.breaks(l.policy.Name, l.reader.errs[0])
		}
	}
	e.names = slices.Sorted(maps.Keys(e.policies))
	e.names = append(e.names, slices.Collect(maps.Keys(e.broken))...)
	slices.Sort(e.names)
	return e, problems, nil
}

// loaded is a policy that was read, but not compiled yet.
type loaded struct {
	reader *reader
	file   *policyFile
	policy *policy
}

// load reads the policies of a source and gives them their names.
func (e *Engine) load(c *compiler, source fs.FS, shipped bool) (all []loaded, problems []error, err error) {
	files, err := policyFiles(source)
	if err != nil {
		return nil, nil, fmt.Errorf("list policies: %w", err)
	}
	for _, name := range files {
		r := &reader{file: name, own: !shipped}
		body, err := readBody(source, name)
		if err != nil {
			var known *FileError
			if !errors.As(err, &known) {
				known = &FileError{File: name, Reason: "it cannot be read: " + err.Error()}
			}
			problems = append(problems, known)
			e.breaks(policyName(nil, name), known)
			continue
		}
		file := r.policy(body)
		if file != nil && file.Builtin && !shipped {
			r.errs = append(r.errs, &FileError{File: name, Reason: "only policies that ship with the bot can be built in"})
		}
		if file == nil || len(r.errs) > 0 {
			problems = append(problems, r.errs...)
			e.breaks(policyName(file, name), r.errs[0])
			continue
		}
		file.Shipped = shipped
		if other, taken := e.policies[file.Name]; taken {
			twice := &FileError{File: name, Reason: fmt.Sprintf("the name %q is taken by %s", file.Name, other.File)}
			problems = append(problems, twice)
			e.breaks(file.Name, twice)
			continue
		}
		p := c.prepare(r, file)
		e.policies[file.Name] = p
		all = append(all, loaded{r, file, p})
	}
	return all, problems, nil
}

// policyName is the name under which a file's policy would be used: its own or, where it has none that could be one, the file's.
func policyName(file *policyFile, name string) string {
	if file != nil && policyNamePattern.MatchString(file.Name) {
		return file.Name
	}
	return strings.TrimSuffix(name, path.Ext(name))
}

// breaks keeps a policy from being judged. The built-in ones stay whatever a file says.
func (e *Engine) breaks(name string, why error) {
	if p := e.policies[name]; p != nil && p.Builtin {
		return
	}
	delete(e.policies, name)
	if e.broken[name] == nil {
		e.broken[name] = &BrokenPolicyError{name, why}
	}
}

// isShipped tells whether the source is that of the policies which ship with the bot.
func isShipped(source fs.FS) bool {
	e, ok := source.(embed.FS)
	return ok && e == policies.FS
}

const testSuffix = "_test.yaml"

// policyFiles are the names of the policies' files in the root of a source, sorted.
func policyFiles(source fs.FS) ([]string, error) {
	files, err := fs.Glob(source, "*.yaml")
	if err != nil {
		return nil, err
	}
	if _, err := fs.ReadDir(source, "."); err != nil { // Glob hides what keeps it from looking
		return nil, err
	}
	return slices.DeleteFunc(files, func(name string) bool { return strings.HasSuffix(name, testSuffix) || path.Base(name)[0] == '.' }), nil
}

// Judge asks every policy whether the pull request may be merged now: the built-in ones first, then the uses in their order, each
// with one ruling. Whatever cannot be judged is denied with a sentence: an unknown policy, a wrong parameter, an error, too much
// work, no time left. It never panics. Equal arguments give equal verdicts, unless time runs out.
func (e *Engine) Judge(ctx context.Context, f Facts, uses []Use) Verdict {
	ctx, cancel := context.WithTimeout(ctx, e.deadline)
	defer cancel()
	facts := e.schema.value(reflect.ValueOf(f))
	rulings := make([]Ruling, 0, len(uses)+2)
	rulings = append(rulings, e.judge(ctx, f, facts, e.policies[policyHeld], nil))
	if len(f.After) > 0 {
		rulings = append(rulings, e.judge(ctx, f, facts, e.policies[policyAfter], nil))
	}
	for _, use := range uses {
		rulings = append(rulings, e.judgeUse(ctx, f, facts, use))
	}
	return Judge(rulings...)
}

// judgeUse resolves a use and judges it; what Check would refuse is denied.
func (e *Engine) judgeUse(ctx context.Context, f Facts, facts ref.Val, use Use) (ruling Ruling) {
	defer func() {
		if r := recover(); r != nil {
			ruling = Ruling{Policy: use.Policy, State: Deny, Say: "the policy could not be judged because of a mistake in the bot", Detail: "please report it"}
		}
	}()
	if wrong := e.broken[use.Policy]; wrong != nil {
		return Ruling{Policy: use.Policy, State: Deny, Say: sentence(wrong.Error()), Detail: wrong.Hint()}
	}
	p, params, errs := e.resolve(ctx, use)
	if len(errs) > 0 {
		return Ruling{
			Policy: use.Policy,
			State:  Deny,
			Say:    sentence(errs[0].Error()),
			Detail: "correct the policies in .boatlift.yaml, or under require: in boatlift.yaml",
		}
	}
	return e.judge(ctx, f, facts, p, params)
}

// judge runs one policy. Its kind is left out where it failed, so that a failure is never taken for a missing approval.
func (e *Engine) judge(ctx context.Context, f Facts, facts ref.Val, p *policy, params *object) (ruling Ruling) {
	if params == nil {
		params = &object{p.params, slices.Clone(p.defaults)}
	}
	if f.Rollback && p.SkippedOnRollback {
		return Ruling{Policy: p.Name, State: Allow, Kind: p.Kind, Say: "not asked of a rollback: it brings back what ran here before"}
	}
	ruling, err := p.rule(ctx, &run{vars: map[string]any{factsName: facts, paramsName: params}, limit: e.limit}, f.Now)
	if err != nil {
		return Ruling{
			Policy: p.Name,
			State:  Deny,
			Say:    sentence(fmt.Sprintf("%s could not be judged: %s", p.Name, explain(err))),
			Detail: "what cannot be judged is denied; correct the policy or its parameters, or see what is not known",
		}
	}
	return ruling
}

// rule runs the expressions of a policy in the order in which its file's format has them.
func (p *policy) rule(ctx context.Context, run *run, now time.Time) (Ruling, error) {
	for _, let := range p.lets {
		v, err := evaluate[ref.Val](ctx, run, let.program)
		if err != nil {
			return Ruling{}, err
		}
		run.vars[let.name] = v
	}
	state := Allow
	if p.allow != nil {
		allowed, err := evaluate[types.Bool](ctx, run, p.allow)
		if err != nil {
			return Ruling{}, err
		}
		if !allowed {
			state = Wait
		}
	}
	if p.deny != nil {
		denied, err := evaluate[types.Bool](ctx, run, p.deny)
		if err != nil {
			return Ruling{}, err
		}
		if denied {
			state = Deny
		}
	}
	ruling := Ruling{Policy: p.Name, State: state, Kind: p.Kind}
	run.vars[stateName] = types.String(state)
	if p.until != nil {
		v, err := evaluate[ref.Val](ctx, run, p.until)
		if err != nil {
			return Ruling{}, err
		}
		// What is not ahead would only make the caller look again at once, for ever.
		if until, ok := v.(types.Timestamp); ok && until.After(now) {
			ruling.Until = until.UTC()
		}
	}
	for _, text := range []struct {
		program cel.Program
		to      *string
	}{{p.say[state], &ruling.Say}, {p.detail[state], &ruling.Detail}} {
		if text.program == nil {
			continue
		}
		s, err := evaluate[types.String](ctx, run, text.program)
		if err != nil {
			return Ruling{}, err
		}
		*text.to = sentence(string(s))
	}
	if ruling.Say == "" {
		ruling.Say = map[State]string{Allow: "allowed by ", Wait: "waiting for ", Deny: "denied by "}[state] + p.Name
	}
	return ruling, nil
}

// run is one policy being evaluated: what its expressions see, and what they have cost so far. The limit of a program bounds each
// expression; all of them together may cost no more.
type run struct {
	vars  map[string]any
	spent uint64
	limit uint64
}

var errCost = errors.New("it takes more work than a policy may do")

// evaluate runs a program whose result the compiler checked to be a T.
func evaluate[T ref.Val](ctx context.Context, run *run, program cel.Program) (result T, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("internal error: %v", r)
		}
	}()
	if err := ctx.Err(); err != nil {
		return result, err
	}
	if where, ok := program.(located); ok {
		defer func() {
			if err != nil {
				err = &placedError{where.at, err}
			}
		}()
	}
	v, details, err := program.ContextEval(ctx, run.vars)
	if err != nil {
		return result, err
	}
	if cost := details.ActualCost(); cost != nil {
		run.spent += *cost
	}
	if run.spent > run.limit {
		return result, errCost
	}
	result, ok := v.(T)
	if !ok || types.IsUnknownOrError(v) {
		return result, fmt.Errorf("the result is a %s", v.Type().TypeName())
	}
	return result, nil
}

// located is an expression of a policy that does not ship with the bot. Where it fails it says where it stands.
type located struct {
	cel.Program
	at FileError
}

type placedError struct {
	at  FileError
	err error
}

func (e *placedError) Error() string { return e.err.Error() }
func (e *placedError) Unwrap() error { return e.err }

// explain says in words for people why an evaluation failed, and of users' own policies where.
func explain(err error) string {
	var placed *placedError
	if errors.As(err, &placed) {
		return explain(placed.err) + " (" + placed.at.place() + ")"
	}
	var cancelled interpreter.EvalCancelledError
	switch {
	case errors.As(err, &cancelled) && cancelled.Cause == interpreter.CostLimitExceeded:
		return errCost.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return "time ran out"
	case errors.Is(err, context.Canceled):
		return "it was interrupted"
	}
	return err.Error()
}

// maxSentence bounds what a policy says, in bytes.
const maxSentence = 2000

// sentence makes text safe to show anywhere as one line: no line breaks, control or direction-changing characters, bounded. It is
// not escaped for markdown or HTML.
func sentence(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == unicode.ReplacementChar:
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > maxSentence {
		s = strings.ToValidUTF8(s[:maxSentence-len("…")], "") + "…"
	}
	return s
}
