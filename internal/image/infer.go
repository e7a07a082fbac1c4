package image

import (
	"fmt"
	"regexp"
	"strings"
)

// NoRuleError reports that no rule can be inferred from the tag that is there, so nothing is promoted until one is written.
type NoRuleError struct {
	Tag    string // the tag that is there; may be empty
	Reason string
	// Suggested is the rule that a person most likely wants; Hint has it as the line to write. It allows Tag.
	Suggested Rule
}

func (e *NoRuleError) Error() string {
	if e.Tag == "" {
		return "no tag rule: " + e.Reason
	}
	return "no tag rule: " + e.Tag + " " + e.Reason
}

// Hint is the exact line to write in .boatlift.yaml.
func (e *NoRuleError) Hint() string {
	return "write at this image in .boatlift.yaml: " + e.Suggested.YAML()
}

// Lines are the lines to write in .boatlift.yaml, under an environment, for the image of this name.
func (e *NoRuleError) Lines(name Name) string {
	return fmt.Sprintf("    images:\n      - image: %s\n        %s\n", name, e.Suggested.YAML())
}

// Permanent tells that trying again with the same tag cannot help.
func (e *NoRuleError) Permanent() bool { return true }

// Words that mark a pre-release in the wild; a version's suffix that starts with any other word is a variant (-alpine, -slim).
const prereleaseWords = " a alpha b beta c canary cr dev devel develop development ea edge experimental m milestone next nightly pr pre preview prerelease rc snapshot test unstable "

var (
	hexWord     = regexp.MustCompile(`^g?[0-9a-f]{7,64}$`)
	hasDigit    = regexp.MustCompile(`[0-9]`)
	leadingWord = regexp.MustCompile(`^[A-Za-z]+`)
	digitsOnly  = regexp.MustCompile(`^[0-9]+$`)
	dateLike    = regexp.MustCompile(`^(19|20)[0-9]{2}[._-]?(0[1-9]|1[0-2])[._-]?(0[1-9]|[12][0-9]|3[01])`)
)

// Infer makes the rule of an image for which nobody wrote one, from the tag that is there.
//
//   - 1.4.1 and v1.4.1: this and any later release, also of the next major version, with or without v. Pre-releases are left
//     out, also where what runs is one.
//   - 1.4 and v1.4: the same among tags of two numbers, which are followed when they move to another digest.
//   - 1.4.1-alpine: the same among tags that end in exactly -alpine. A suffix that starts with rc, beta, dev, snapshot or
//     the like is a pre-release, not a variant.
//
// For everything else (latest, main, a commit's hash, a date, a build number) the error is a *NoRuleError with the line to
// write: there the tag does not tell what the next one is.
func Infer(current string) (Rule, error) {
	if current == "" {
		return Rule{}, noRule(current, "no tag is there to infer one from", must(Semver(">=0.0.0")))
	}
	if CheckTag(current) != nil {
		return Rule{}, noRule("", "what is there is no tag that a registry could hold", must(Semver(">=0.0.0")))
	}
	v, parts := parseVersion(current)
	if v == nil {
		return Rule{}, suggest(current)
	}
	var suffix strings.Builder
	prerelease := false
	if v.Prerelease() != "" {
		for segment := range strings.SplitSeq(v.Prerelease(), "-") {
			word := strings.ToLower(leadingWord.FindString(segment))
			switch {
			case word != "" && strings.Contains(prereleaseWords, " "+word+" "):
				prerelease = true
			case word == "", hexWord.MatchString(segment) && hasDigit.MatchString(segment):
				return Rule{}, suggest(current) // a build, a date or a commit, that the next tag will not share
			default:
				suffix.WriteString("-" + segment)
			}
		}
	}
	core := fmt.Sprintf("%d.%d.%d", v.Major(), v.Minor(), v.Patch())
	lowest, form := core, ""
	if parts == 2 {
		lowest = fmt.Sprintf("%d.%d", v.Major(), v.Minor())
		form = " among tags of two numbers"
	}
	impl, err := newSemver(">=" + core)
	if err != nil {
		return Rule{}, fmt.Errorf("infer a rule from %s: %w", current, err)
	}
	impl.parts, impl.suffix = parts, suffix.String()
	yaml := must(Semver(">=" + core)).yaml
	if parts == 2 || impl.suffix != "" {
		if impl.suffix != "" {
			form += " that end in " + impl.suffix
			if parts == 3 {
				form = " among tags" + form
			}
		}
		numbers := strings.Repeat(`\.\d+`, parts-1)
		yaml = must(Regex(`v?(\d+`+numbers+`)`+regexp.QuoteMeta(impl.suffix), Numeric)).yaml
	}
	rule := Rule{
		impl: impl,
		text: "semver >=" + lowest + form,
		yaml: yaml,
		say: "inferred from the tag " + current + ": this and any later release, also of the next major version; " +
			"pre-releases are left out",
	}
	if prerelease {
		rule.say += ", although one runs"
		if parts == 3 && impl.suffix == "" {
			rule.say += "; to take them too write " + must(Semver(">="+core+"-0")).yaml
		}
	}
	return rule, nil
}

// must is for rules that are written in the program itself.
func must(rule Rule, err error) Rule {
	if err != nil {
		panic(err)
	}
	return rule
}

func noRule(tag, reason string, suggested Rule) *NoRuleError {
	return &NoRuleError{Tag: tag, Reason: reason, Suggested: suggested}
}

// suggest finds what kind of tag it is, and the rule for its kind.
func suggest(tag string) *NoRuleError {
	pattern, numbered := generalise(tag)
	v, _ := parseVersion(tag)
	switch {
	case digitsOnly.MatchString(tag) && !dateLike.MatchString(tag):
		return noRule(tag, "is a bare number: it may be a build's, or a moving tag", must(Regex(`(\d+)`, Numeric)))
	case numbers(tag) != nil && dateLike.MatchString(tag):
		return noRule(tag, "looks like a date", must(Regex("("+pattern+")", Numeric)))
	case numbers(tag) != nil && v != nil:
		return noRule(tag, "is a version with a build number, which semantic versions rank below the version", must(Regex("("+pattern+")", Numeric)))
	case numbers(tag) != nil:
		return noRule(tag, "is not a version of three numbers", must(Regex("("+pattern+")", Numeric)))
	case hexWord.MatchString(tag):
		return noRule(tag, "looks like a commit, which has no order", must(Regex(commit, Newest)))
	case v != nil:
		return noRule(tag, "is a version with a build in it, which semantic versions do not order", must(Regex(pattern, Newest)))
	case pattern == regexp.QuoteMeta(tag), leadingWord.FindString(tag) != "" && !strings.ContainsAny(tag, "._-"): // main, v1
		return noRule(tag, "is not a version; it looks like a tag that moves", must(Follow(tag)))
	case numbered == 1: // build-123
		return noRule(tag, "is not a version", must(Regex(strings.Replace(pattern, number, "("+number+")", 1), Numeric)))
	}
	return noRule(tag, "is not a version", must(Regex(pattern, Newest)))
}

const (
	number = `\d+`
	commit = `g?[0-9a-f]{7,64}`
)

// generalise writes the pattern of tags that look like this one: any number where it has a number, any commit where it has
// one, and its other words as they are. It counts the numbers, as none where there is a commit too.
func generalise(tag string) (pattern string, numbered int) {
	var b strings.Builder
	at, commits := 0, 0
	for _, span := range word.FindAllStringIndex(tag, -1) {
		b.WriteString(regexp.QuoteMeta(tag[at:span[0]]))
		at = span[1]
		switch text := tag[span[0]:span[1]]; {
		case hexWord.MatchString(text) && hasDigit.MatchString(text) && !digitsOnly.MatchString(text):
			b.WriteString(commit)
			commits++
		default:
			b.WriteString(digits.ReplaceAllString(text, number))
			numbered += len(digits.FindAllString(text, -1))
		}
	}
	b.WriteString(regexp.QuoteMeta(tag[at:]))
	if commits > 0 {
		numbered = 0
	}
	return b.String(), numbered
}

var (
	word   = regexp.MustCompile(`[A-Za-z0-9]+`)
	digits = regexp.MustCompile(`[0-9]+`)
)
