package gate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/boatlift/boatlift/internal/didyoumean"
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
	Facts             []string    `json:"facts,omitempty"` // the names of those that its expressions look at, sorted
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

// BrokenPolicyError reports a policy that is not judged, because its file is wrong.
type BrokenPolicyError struct {
	Policy string
	Cause  error // the first thing that is wrong: a *FileError
}

func (e *BrokenPolicyError) Error() string { return e.Policy + " cannot be judged: " + e.Cause.Error() }
func (e *BrokenPolicyError) Unwrap() error { return e.Cause }

// Hint tells what a person can do about it.
func (e *BrokenPolicyError) Hint() string {
	return "correct the policy's file, which `boatlift policy test` checks, and start the bot again"
}

// Permanent tells that judging again with the same file cannot help.
func (e *BrokenPolicyError) Permanent() bool { return true }

// Broken lists the policies that Load could not compile, by name.
func (e *Engine) Broken() []*BrokenPolicyError {
	var all []*BrokenPolicyError
	for _, name := range e.names {
		if wrong := e.broken[name]; wrong != nil {
			all = append(all, wrong)
		}
	}
	return all
}

// Reads tells whether any of the uses is of a policy whose expressions look at a field of this name: of the facts, or of what they hold.
// Facts that nobody looks at need not be collected. A policy that is not known looks at nothing.
func (e *Engine) Reads(uses []Use, field string) bool {
	return slices.ContainsFunc(uses, func(use Use) bool {
		p := e.policies[use.Policy]
		return p != nil && p.reads[field]
	})
}

// Explain describes a policy; the error is an *UnknownPolicyError or a *BrokenPolicyError.
func (e *Engine) Explain(name string) (Description, error) {
	if wrong := e.broken[name]; wrong != nil {
		return Description{}, wrong
	}
	p, ok := e.policies[name]
	if !ok {
		return Description{}, &UnknownPolicyError{name, didyoumean.Word(name, e.names)}
	}
	return p.Description, nil
}

// Policies describes all policies that can be judged, sorted by name. Its result must not be changed.
func (e *Engine) Policies() []Description {
	all := make([]Description, 0, len(e.policies))
	for _, name := range e.names {
		if p := e.policies[name]; p != nil {
			all = append(all, p.Description)
		}
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
	for i, name := range d.Facts {
		if i == 0 {
			b.WriteString("\nFacts that it looks at:\n")
		}
		fmt.Fprintf(&b, "  facts.%s\n      %s\n", name, factAbout(name))
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
