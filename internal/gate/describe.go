package gate

import (
	"fmt"
	"strings"
)

// KindApproval is the kind of policies that wait for people to approve.
const KindApproval = "approval"

// NeedsAfter marks policies that look at the environments before; configuring one where there are none is a mistake.
const NeedsAfter = "after"

// Description is what people can know of a policy without reading its expressions.
type Description struct {
	Name              string      `json:"name"`
	Title             string      `json:"title"`
	Description       string      `json:"description"`
	Kind              string      `json:"kind,omitempty"`              // KindApproval, or empty
	Needs             string      `json:"needs,omitempty"`             // NeedsAfter, or empty
	Builtin           bool        `json:"builtin,omitempty"`           // always judged; cannot be named in a configuration file
	Shipped           bool        `json:"shipped,omitempty"`           // comes with the bot
	SkippedOnRollback bool        `json:"skippedOnRollback,omitempty"` // allows every rollback
	Parameters        []Parameter `json:"parameters,omitempty"`
	File              string      `json:"file"`
}

// UnknownPolicyError reports a name that no policy has.
type UnknownPolicyError struct {
	Name, Suggestion string
}

func (e *UnknownPolicyError) Error() string { return fmt.Sprintf("there is no policy %q", e.Name) }

// Hint tells what a person can do about it.
func (e *UnknownPolicyError) Hint() string {
	if e.Suggestion != "" {
		return fmt.Sprintf("did you mean %q?", e.Suggestion)
	}
	return "`boatlift policy explain` lists all policies"
}

// Explain describes a policy; the error is an *UnknownPolicyError.
func (e *Engine) Explain(name string) (Description, error) {
	p, ok := e.policies[name]
	if !ok {
		return Description{}, &UnknownPolicyError{name, nearest(name, e.names)}
	}
	return p.Description, nil
}

// Policies describes all policies, sorted by name. Its result must not be changed.
func (e *Engine) Policies() []Description {
	all := make([]Description, len(e.names))
	for i, name := range e.names {
		all[i] = e.policies[name].Description
	}
	return all
}

func (p *policy) parameterNames() []string {
	names := make([]string, len(p.Parameters))
	for i, param := range p.Parameters {
		names[i] = param.Name
	}
	return names
}

// Text describes the policy on a few lines, for a terminal.
func (d Description) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n\n%s\n", d.Name, d.Title, d.Description)
	for i, p := range d.Parameters {
		if i == 0 {
			b.WriteString("\nParameters:\n")
		}
		fmt.Fprintf(&b, "  %s (%s", p.Name, p.Type)
		switch {
		case p.Required:
			b.WriteString(", required")
		case p.Default != nil:
			fmt.Fprintf(&b, ", default %v", p.Default)
		}
		fmt.Fprintf(&b, ")\n      %s\n", strings.Join(strings.Fields(p.Description), " "))
	}
	var notes []string
	if d.Builtin {
		notes = append(notes, "It is built in: always judged, and not named in configuration files.")
	}
	if d.Needs == NeedsAfter {
		notes = append(notes, "It needs an environment with `after:`.")
	}
	if d.SkippedOnRollback {
		notes = append(notes, "It is not asked of a rollback.")
	}
	if len(notes) > 0 {
		b.WriteString("\n" + strings.Join(notes, "\n") + "\n")
	}
	return b.String()
}
