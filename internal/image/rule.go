package image

import (
	"cmp"
	"strconv"
	"strings"
	"time"
)

// Seen is a tag at a digest, and when it was first seen so. The digest is empty while the registry has not been asked, the
// tag where a kustomization sets a digest alone, and First is zero where nobody saw the push.
type Seen struct {
	Tag    string
	Digest Digest
	First  time.Time
}

// Rule decides which tag of an image is wanted. It is made by Semver, Regex, Follow or Infer; the zero Rule allows nothing
// and compares nothing.
//
// Three questions are asked about what runs (b) and what might come (a). Newer is the licence to propose a, and the only
// one. Older says that a would be a downgrade. Where neither holds, a and b are either equal or cannot be compared, which
// Comparable tells: a tag that the rule cannot rank, such as latest under a semver rule, is neither older nor newer, so the
// unknown is never a licence to move, in whichever direction.
type Rule struct {
	impl rule
	text string // semver >=1.4.0
	yaml string // as a person would write it in .boatlift.yaml; empty where no written rule says the same
	say  string // what was inferred; empty for a written rule
}

type rule interface {
	// refusal is why the tag is not wanted, and empty where it is. It completes "1.5.0-rc.1 is not taken: ".
	refusal(tag string) string
	// compare ranks any two tags, also ones that are refused. It is a strict weak order over the tags that are not refused,
	// whether known or not; where known is false nobody may conclude anything about what runs.
	compare(a, b Seen) (order int, known bool)
	moving() bool
}

// IsZero tells a rule that was never made.
func (r Rule) IsZero() bool { return r.impl == nil }

// Allows tells whether the tag may be promoted at all. It says nothing about whether it is newer than what runs.
func (r Rule) Allows(tag string) bool { return r.Refusal(tag) == "" }

// Refusal is the reason why the tag is not allowed, in words that follow "tag 1.5.0-rc.1 is not taken: ", and empty where
// it is allowed.
func (r Rule) Refusal(tag string) string {
	if r.impl == nil {
		return "there is no tag rule"
	}
	if err := CheckTag(tag); err != nil {
		return "it is no tag that a registry could hold"
	}
	return r.impl.refusal(tag)
}

// Moving tells a rule that follows one tag wherever it goes: the digest is what changes, the tag never does.
func (r Rule) Moving() bool { return r.impl != nil && r.impl.moving() }

// ByTime tells a rule that ranks tags by when they were first seen, and by nothing in them.
func (r Rule) ByTime() bool {
	ordered, ok := r.impl.(*regexRule)
	return ok && ordered.order == Newest
}

// Comparable tells whether the rule can rank a and b against each other. Where it cannot, Older and Newer are both false,
// and a person has to make the first step: set the tag by hand once, or ask for a sync.
func (r Rule) Comparable(a, b Seen) bool {
	if r.impl == nil {
		return false
	}
	_, known := r.impl.compare(a, b)
	return known
}

// Older tells whether a ranks strictly below b, so that going from b to a would be a downgrade. Tags that the rule refuses
// are ranked too where they can be: with 2.0.0 running, 1.9.9 is older under every range. Not Older is no licence to move;
// only Newer is.
func (r Rule) Older(a, b Seen) bool {
	if r.impl == nil {
		return false
	}
	order, known := r.impl.compare(a, b)
	return known && order < 0
}

// Newer tells whether a is what should run instead of b: it ranks strictly above b, or the same with another digest, as
// after a tag was pushed again or has moved. A digest that is not known is not another digest, except that a rule that
// follows a tag wants the digest pinned, so there a known digest is newer than none.
//
// Two digests of one rank are newer than each other. Which of them is the present one only the registry can tell, so a must
// be what the tag resolves to now, not what an event once said. Newer does not ask Allows.
func (r Rule) Newer(a, b Seen) bool {
	if r.impl == nil {
		return false
	}
	order, known := r.impl.compare(a, b)
	if !known || order < 0 {
		return false
	}
	if order > 0 {
		return true
	}
	if a.Digest == "" || a.Digest == b.Digest {
		return false
	}
	return b.Digest != "" || r.impl.moving()
}

// Best is the highest allowed candidate, and false where none is allowed. The order and the repetition of candidates do not
// matter. Among equals (1.5.0 and v1.5.0, one tag at two digests) the tag first in byte order wins, then the one seen last,
// then a known digest over none, then the digest last in byte order. As a tag can move back to an earlier digest, callers
// pass what a tag resolves to now, not all that it ever did.
func (r Rule) Best(candidates []Seen) (Seen, bool) {
	var best Seen
	found := false
	for _, candidate := range candidates {
		if !r.Allows(candidate.Tag) {
			continue
		}
		if !found || r.total(candidate, best) > 0 {
			best, found = candidate, true
		}
	}
	return best, found
}

// total extends compare to an order without ties between different values.
func (r Rule) total(a, b Seen) int {
	order, _ := r.impl.compare(a, b)
	return cmp.Or(
		order,
		strings.Compare(b.Tag, a.Tag),
		a.First.Compare(b.First),
		strings.Compare(string(a.Digest), string(b.Digest)), // no digest sorts before any
	)
}

// String is the rule in a few words: semver >=1.4.0.
func (r Rule) String() string {
	if r.impl == nil {
		return "no tag rule"
	}
	return r.text
}

// YAML is the line that writes this rule in .boatlift.yaml, at an image: tags: {semver: '>=1.4.0'}. It is empty for the zero
// Rule.
func (r Rule) YAML() string { return r.yaml }

// Say is the rule in a sentence for people: what it is, and for an inferred one, from what and with which consequences.
func (r Rule) Say() string {
	if r.say == "" {
		return r.String()
	}
	return r.String() + ", " + r.say
}

// RuleError reports a tag rule that cannot be what its author meant.
type RuleError struct {
	Rule   string // what was written
	Reason string // what is wrong
	Right  string // what would be right
}

func (e *RuleError) Error() string { return e.Rule + ": " + e.Reason }

// Hint says what would be right.
func (e *RuleError) Hint() string { return e.Right }

// Permanent tells that only another rule helps.
func (e *RuleError) Permanent() bool { return true }

// Follow makes the rule of a moving tag, such as stable or main: whatever digest it has at the registry is wanted.
//
// There is no order in it: a tag that moves back to an earlier digest is followed back. What runs must be the same tag, or a
// digest without a tag, to be compared; another tag there needs a person's first step.
func Follow(tag string) (Rule, error) {
	if tag == "" {
		return Rule{}, &RuleError{"follow ''", "it is empty", "name one tag, such as {follow: stable}"}
	}
	if err := CheckTag(tag); err != nil {
		return Rule{}, &RuleError{
			"follow " + cut(tag), "a tag is 1 to 128 letters, digits, _, . or -, and does not start with . or -",
			"name one tag, such as {follow: stable}; for several tags write {regex: …, order: newest}",
		}
	}
	return Rule{impl: followRule(tag), text: "follow " + tag, yaml: "tags: {follow: " + quote(tag) + "}"}, nil
}

type followRule string

func (f followRule) refusal(tag string) string {
	if tag != string(f) {
		return "only the tag " + string(f) + " is followed"
	}
	return ""
}

func (f followRule) compare(a, b Seen) (int, bool) {
	return 0, (a.Tag == string(f) || a.Tag == "") && (b.Tag == string(f) || b.Tag == "")
}

func (f followRule) moving() bool { return true }

// quote writes a YAML scalar that is a string whatever it looks like.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// cut quotes text for an error: without control characters, and shortened where it is longer than anything sensible.
func cut(s string) string {
	const most = 120
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strconv.Quote(s)
}
