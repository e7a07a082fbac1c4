package gate

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/google/cel-go/common/types"

	"github.com/boatlift/boatlift/internal/didyoumean"
)

// UseError reports a use of a policy that cannot work as configured.
type UseError struct {
	Index      int    // of the use, among those that were checked
	Policy     string // as written
	Parameter  string // the parameter that is meant; empty if the policy as a whole is
	Path       string // the same with the place inside its value: windows[1].from
	Reason     string
	Suggestion string // the name that was probably meant, if one is close
}

func (e *UseError) Error() string {
	what := "policy " + shown(e.Policy)
	if e.Path != "" {
		what += ", parameter " + e.Path
	}
	what += ": " + e.Reason
	if e.Suggestion != "" {
		what += fmt.Sprintf("; did you mean %q?", e.Suggestion)
	}
	return what
}

// Hint tells what a person can do about it.
func (e *UseError) Hint() string {
	if e.Suggestion != "" {
		return "write " + e.Suggestion
	}
	return "see `boatlift policy explain " + e.Policy + "`"
}

// Permanent tells that judging again with the same configuration cannot help.
func (e *UseError) Permanent() bool { return true }

// Check tells what is wrong with policies as a configuration file uses them, before anything is judged: unknown policies, and
// parameters that are unknown, wrong or missing. Each error is a *UseError, in the order of the uses. Judge denies what Check
// refuses. Uses of a policy that Load found broken are let through: the policy denies, with what is wrong in its own file.
func (e *Engine) Check(uses []Use) []error {
	var errs []error
	for i, use := range uses {
		if e.broken[use.Policy] != nil {
			continue // the file that uses it is not what is wrong
		}
		_, _, wrong := e.resolve(context.Background(), use)
		for _, w := range wrong {
			w.Index = i
			errs = append(errs, w)
		}
	}
	return errs
}

// resolve finds the policy of a use and reads its parameters.
func (e *Engine) resolve(ctx context.Context, use Use) (*policy, *object, []*UseError) {
	p, ok := e.policies[use.Policy]
	if !ok {
		return nil, nil, []*UseError{{Policy: use.Policy, Reason: "there is no such policy", Suggestion: didyoumean.Word(use.Policy, e.names)}}
	}
	if p.Builtin {
		return nil, nil, []*UseError{{Policy: use.Policy, Reason: "it is built in and always judged: leave it out"}}
	}
	var errs []*UseError
	fail := func(name string, err error) {
		inner := within(name, err).(*valueError)
		errs = append(errs, &UseError{Policy: use.Policy, Parameter: name, Path: inner.path, Reason: inner.reason})
	}
	for _, name := range slices.Sorted(maps.Keys(use.Parameters)) {
		if _, known := p.params.index[name]; !known {
			errs = append(errs, &UseError{
				Policy: use.Policy, Parameter: name, Path: sentence(name),
				Reason: "there is no such parameter", Suggestion: didyoumean.Word(name, p.parameterNames()),
			})
		}
	}
	params := &object{p.params, slices.Clone(p.defaults)}
	for i, param := range p.Parameters {
		raw, given := use.Parameters[param.Name]
		switch {
		case !given && param.Required:
			fail(param.Name, fmt.Errorf("it is required: %s", param.Description))
		case given:
			v, err := readParameter(param, p.types[i], raw)
			if err != nil {
				fail(param.Name, err)
			}
			params.values[i] = v
		}
	}
	if len(errs) > 0 {
		return nil, nil, errs
	}
	run := &run{vars: map[string]any{paramsName: params}, limit: e.limit}
	for _, r := range p.refusals {
		if ctx.Err() != nil {
			break // judging says so
		}
		refused, err := evaluate[types.Bool](ctx, run, r.when)
		if err != nil {
			fail(r.parameter, fmt.Errorf("it could not be checked: %s", explain(err)))
			continue
		}
		if refused {
			say, err := evaluate[types.String](ctx, run, r.say)
			if err != nil {
				say = types.String("it is refused, but why could not be told: " + explain(err))
			}
			fail(r.parameter, fmt.Errorf("%s", sentence(string(say))))
		}
	}
	if len(errs) > 0 {
		return nil, nil, errs
	}
	return p, params, nil
}

// Approvers are the people and teams that uses name as those who approve, in lower case and without @: the texts of a list parameter called
// from. A team is written with a slash.
func Approvers(uses []Use) (users, teams []string) {
	for _, use := range uses {
		list, _ := use.Parameters["from"].([]any)
		for _, item := range list {
			name, ok := item.(string)
			if !ok {
				continue
			}
			known := &users
			if strings.Contains(name, "/") {
				known = &teams
			}
			if name = Handle(name); name != "" && !slices.Contains(*known, name) {
				*known = append(*known, name)
			}
		}
	}
	return users, teams
}

// Soak is how long a release has to run in the environments before, by the longest soak among uses; 0 where there is none.
func Soak(uses []Use) time.Duration {
	var longest time.Duration
	for _, use := range uses {
		if text, ok := use.Parameters["for"].(string); ok && use.Policy == "soak" {
			if d, err := parseDuration(text); err == nil {
				longest = max(longest, d)
			}
		}
	}
	return longest
}

// Handle makes names of people and teams comparable, as the function of policies does: lower case, without a leading @ or a trailing /.
func Handle(name string) string {
	return strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(name, "@"), "/"))
}

// Stricter joins the policies that the organisation requires with those of a repository. All of them are judged, the
// organisation's first; as any denial denies and any wait waits, a repository can only add to what is required of it. A use that
// says the same as an earlier one is left out.
func Stricter(org, repo []Use) []Use {
	all := make([]Use, 0, len(org)+len(repo))
	for _, use := range slices.Concat(org, repo) {
		same := func(other Use) bool {
			return other.Policy == use.Policy && len(other.Parameters) == len(use.Parameters) &&
				(len(use.Parameters) == 0 || reflect.DeepEqual(other.Parameters, use.Parameters))
		}
		if !slices.ContainsFunc(all, same) {
			all = append(all, use)
		}
	}
	return all
}
