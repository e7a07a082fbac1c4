package config

import (
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/boatlift/boatlift/internal/gate"
)

// PolicyChecker tells what is wrong with policies as a file uses them. *gate.Engine is one; nil checks nothing.
type PolicyChecker interface {
	Check(uses []gate.Use) []error
}

// policyUse is one policy with its parameters: soak, or soak: {for: 30m}.
type policyUse struct {
	place
	set    bool
	use    gate.Use
	params *node // nil where there are none
}

const policyRight = "write a policy with its parameters, as - soak: {for: 30m}"

func (p *policyUse) read(d *decoder, n *node, _ field) {
	switch {
	case n.kind == scalarText && n.value != "":
		p.set, p.use.Policy = true, n.value.(string)
		return
	case n.kind != mapping:
		d.add(n, "a policy must be a map, and is "+n.describedSize(), policyRight)
		return
	case len(n.pairs) != 1:
		d.add(n, "an item of policies must hold exactly one policy, and holds "+strconv.Itoa(len(n.pairs)), "begin each with its own -, as - soak: {for: 30m}")
		return
	}
	only := n.pairs[0]
	p.place = only.where
	switch only.value.kind {
	case nothing:
	case mapping:
		p.params = only.value
		p.use.Parameters = map[string]any{}
		for _, param := range only.value.pairs {
			p.use.Parameters[param.key] = d.plain(param.value)
		}
	default:
		d.add(only.value, "the parameters of a policy must be a map, and are "+only.value.described(), policyRight)
		return
	}
	p.set, p.use.Policy = true, only.key
}

// plain is a value as package gate reads it.
func (d *decoder) plain(n *node) any {
	if !d.spend() {
		return nil
	}
	switch n.kind {
	case mapping:
		m := make(map[string]any, len(n.pairs))
		for _, p := range n.pairs {
			m[p.key] = d.plain(p.value)
		}
		return m
	case sequence:
		items := make([]any, len(n.items))
		for i, item := range n.items {
			items[i] = d.plain(item)
		}
		return items
	default:
		return n.value
	}
}

// describe asks for the description of a policy. Whoever only checks is not asked.
func describe(checker PolicyChecker, policy string) (gate.Description, bool) {
	engine, ok := checker.(interface {
		Explain(name string) (gate.Description, error)
	})
	if !ok {
		return gate.Description{}, false
	}
	about, err := engine.Explain(policy)
	return about, err == nil
}

// needsAfter tells a policy that denies where an environment comes after none.
func needsAfter(checker PolicyChecker, use gate.Use) bool {
	about, ok := describe(checker, use.Policy)
	return ok && !about.Builtin && about.Needs == gate.NeedsAfter
}

// uses checks the policies of one list.
func (p *problems) uses(list []policyUse, checker PolicyChecker) []gate.Use {
	var uses []gate.Use
	for _, u := range list {
		if !u.set {
			continue
		}
		uses = append(uses, u.use)
		if checker == nil {
			continue
		}
		for _, err := range checker.Check([]gate.Use{u.use}) {
			wrong, ok := errors.AsType[*gate.UseError](err)
			if !ok {
				p.add(u, err.Error(), "see `boatlift policy list`")
				continue
			}
			what := "the policy " + shown(u.use.Policy)
			if wrong.Path != "" {
				what += ", " + wrong.Path
			}
			right := wrong.Hint()
			if wrong.Suggestion != "" {
				right = "did you mean " + wrong.Suggestion + "?"
			}
			p.add(u.find(wrong, checker), what+": "+wrong.Reason, right)
		}
	}
	return uses
}

// lookup is get for a node that may be nil.
func (n *node) lookup(key string) (*node, bool) {
	if n == nil {
		return nil, false
	}
	return n.get(key)
}

var pathStep = regexp.MustCompile(`^\.?([^.\[]+)|^\[(\d+)\]`)

// find is the place that a wrong parameter has in the file: that of windows[1].from, or of what holds it.
func (u policyUse) find(wrong *gate.UseError, checker PolicyChecker) placed {
	if wrong.Parameter == "" {
		return u
	}
	at, ok := u.params.lookup(wrong.Parameter)
	if !ok {
		return u // a parameter that is missing
	}
	if about, ok := describe(checker, u.use.Policy); ok && !slices.ContainsFunc(about.Parameters, func(p gate.Parameter) bool { return p.Name == wrong.Parameter }) {
		return u.keyOf(wrong.Parameter)
	}
	for rest := strings.TrimPrefix(wrong.Path, wrong.Parameter); rest != ""; {
		step := pathStep.FindStringSubmatch(rest)
		if step == nil {
			return at
		}
		rest = rest[len(step[0]):]
		if step[1] != "" {
			next, ok := at.get(step[1])
			if !ok {
				return at
			}
			at = next
			continue
		}
		i, err := strconv.Atoi(step[2])
		if err != nil || i >= len(at.items) {
			return at
		}
		at = at.items[i]
	}
	return at
}

// keyOf is the place of a parameter's name.
func (u policyUse) keyOf(name string) placed {
	for _, p := range u.params.pairs {
		if p.key == name {
			return p.where
		}
	}
	return u
}
