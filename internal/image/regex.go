package image

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
)

// Order tells how a regex rule ranks tags.
type Order string

// The orders of a regex rule. Numeric and Alphabetical compare the first capture group, or the whole tag where the pattern
// has none; Newest compares the time at which the tag was first seen at its digest.
//
// Numeric reads numbers with . _ or - between them and compares one after another, so 2024.9 is below 2024.10 and 9 below
// 10; a tag whose captured part is anything else is not taken. Alphabetical compares bytes, so 9 is above 10.
const (
	Numeric      Order = "numeric"
	Alphabetical Order = "alphabetical"
	Newest       Order = "newest"
)

const maxPattern = 512

// Regex makes a rule from a regular expression (RE2) that must match the whole tag, as if it stood between ^ and $, and the
// order in which the matching tags are ranked. The error is a *RuleError.
func Regex(pattern string, order Order) (Rule, error) {
	wrong := func(reason, right string) (Rule, error) {
		return Rule{}, &RuleError{"regex " + cut(pattern), reason, right}
	}
	switch order {
	case Numeric, Alphabetical, Newest:
	case "":
		return wrong("it has no order", "add order: numeric, alphabetical or newest, as in {regex: 'build-(\\d+)', order: numeric}")
	default:
		return wrong("the order "+cut(string(order))+" is not known", "write order: numeric, alphabetical or newest")
	}
	if pattern == "" {
		return wrong("it is empty", "write what the whole tag looks like, as in {regex: 'build-(\\d+)', order: numeric}")
	}
	if len(pattern) > maxPattern {
		return wrong(fmt.Sprintf("it is longer than %d characters", maxPattern), "write a shorter pattern")
	}
	if _, err := regexp.Compile(pattern); err != nil { // alone first, so that a ) too many does not close our own group
		reason := strings.TrimPrefix(err.Error(), "error parsing regexp: ")
		return wrong(reason, "write it in RE2 syntax (no look-around, no back-references), in single quotes")
	}
	compiled, err := regexp.Compile(`^(?:` + pattern + `)$`)
	if err != nil {
		return wrong("it is too large", "write a shorter pattern, with smaller repetitions")
	}
	if order == Numeric && compiled.NumSubexp() == 0 && demandsLetter(pattern) {
		return wrong("ordered by number, but the whole tag is never a number, and no ( ) says which part is",
			"put ( ) around the number, as in {regex: 'build-(\\d+)', order: numeric}")
	}
	return Rule{
		impl: &regexRule{pattern: compiled, order: order},
		text: "regex " + pattern + " by " + map[Order]string{Numeric: "number", Alphabetical: "alphabet", Newest: "time"}[order],
		yaml: "tags: {regex: " + quote(pattern) + ", order: " + string(order) + "}",
	}, nil
}

// demandsLetter tells whether every match has a letter at the top level of the pattern.
func demandsLetter(pattern string) bool {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return false
	}
	parsed = parsed.Simplify()
	parts := []*syntax.Regexp{parsed}
	if parsed.Op == syntax.OpConcat {
		parts = parsed.Sub
	}
	for _, part := range parts {
		if part.Op == syntax.OpLiteral && strings.ContainsFunc(string(part.Rune), func(r rune) bool { return (r|0x20) >= 'a' && (r|0x20) <= 'z' }) {
			return true
		}
	}
	return false
}

type regexRule struct {
	pattern *regexp.Regexp
	order   Order
}

// captured is the part of the tag that is ranked.
func (r *regexRule) captured(tag string) (string, bool) {
	match := r.pattern.FindStringSubmatch(tag)
	if match == nil {
		return "", false
	}
	return match[min(1, len(match)-1)], true
}

func (r *regexRule) refusal(tag string) string {
	captured, ok := r.captured(tag)
	switch {
	case !ok:
		return "it does not match the pattern"
	case r.order == Newest:
		return ""
	case captured == "":
		return "the part to order by is empty"
	case r.order == Numeric && numbers(captured) == nil:
		return "the part to order by, " + captured + ", is no number"
	}
	return ""
}

func (r *regexRule) compare(a, b Seen) (int, bool) {
	if r.order == Newest {
		return a.First.Compare(b.First), !a.First.IsZero() && !b.First.IsZero()
	}
	if r.refusal(a.Tag) != "" || r.refusal(b.Tag) != "" {
		return 0, false
	}
	ca, _ := r.captured(a.Tag)
	cb, _ := r.captured(b.Tag)
	if r.order == Alphabetical {
		return strings.Compare(ca, cb), true
	}
	return compareNumbers(numbers(ca), numbers(cb)), true
}

func (r *regexRule) moving() bool { return false }

// numbers splits 2024.11-3 into its numbers without leading zeros, as text, since they may be larger than any integer type.
// It returns nil where there is anything else than numbers with single . _ or - between them.
func numbers(s string) []string {
	fields := strings.FieldsFunc(s, func(r rune) bool { return r == '.' || r == '_' || r == '-' })
	length := len(fields) - 1
	for i, field := range fields {
		length += len(field)
		if strings.Trim(field, "0123456789") != "" {
			return nil
		}
		fields[i] = strings.TrimLeft(field, "0")
	}
	if length != len(s) { // a separator at an end, or two in a row
		return nil
	}
	return fields
}

func compareNumbers(a, b []string) int {
	for i := range min(len(a), len(b)) {
		if len(a[i]) != len(b[i]) {
			return len(a[i]) - len(b[i])
		}
		if order := strings.Compare(a[i], b[i]); order != 0 {
			return order
		}
	}
	return len(a) - len(b)
}
