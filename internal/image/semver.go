package image

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// The shapes of ranges that people write; the first in a hint is the one most want.
const semverRight = "write a range such as \">=1.4.0\", \"^1.4\" (1.4 up to, not including, 2.0), \"~1.4.2\" (1.4.2 up to 1.5) or \">=1.0.0 <2.0.0\""

// Semver makes a rule from a range of semantic versions as github.com/Masterminds/semver/v3 reads it: comparisons joined by
// space or comma (both must hold) and || (one must hold), ^1.4, ~1.4.2, 1.x, 1.2 - 1.4.
//
// Tags are versions of three numbers, with or without a leading v; 1.4 and latest are not. Pre-releases (1.5.0-rc.1, and by
// the standard also 1.5.0-alpine) are taken only by a part of the range that names one, as ">=1.5.0-0" does. An upper bound
// such as <2.0.0-0 names none: people write it to keep the pre-releases of 2.0.0 out, not to let those of 1.x in.
//
// The error is a *RuleError. A range that no version can be in is an error too.
func Semver(rangeText string) (Rule, error) {
	rangeText = strings.TrimSpace(rangeText)
	impl, err := newSemver(rangeText)
	if err != nil {
		return Rule{}, err
	}
	return Rule{impl: impl, text: "semver " + rangeText, yaml: "tags: {semver: " + quote(rangeText) + "}"}, nil
}

// alternative is one side of ||.
type alternative struct {
	constraints *semver.Constraints
	prereleases bool // it names a pre-release other than as an upper bound -0
}

type semverRule struct {
	alternatives []alternative
	// What tags look like apart from the optional v. Written rules: 3 and "". Inferred ones may have 2 (1.4), and the suffix
	// of a variant (-alpine) that every tag must end in.
	parts  int
	suffix string
}

// comparator finds the versions that a range names, with what stands before them.
var comparator = regexp.MustCompile(`(!=|>=|=>|<=|=<|~>|[=<>~^]|)\s*v?([0-9xX*]+(?:\.[0-9xX*]+){0,2})(-[0-9A-Za-z.-]+)?`)

func newSemver(rangeText string) (*semverRule, error) {
	wrong := func(reason, right string) (*semverRule, error) {
		return nil, &RuleError{"semver " + cut(rangeText), reason, right}
	}
	if rangeText == "" {
		return wrong("it is empty", semverRight+"; \">=0.0.0\" takes every release")
	}
	impl := &semverRule{parts: 3}
	var named []*semver.Version
	for part := range strings.SplitSeq(rangeText, "||") {
		part = strings.TrimSpace(part)
		if part == "" {
			return wrong("there is nothing on one side of ||", semverRight)
		}
		constraints, err := semver.NewConstraint(part)
		if err != nil {
			return wrong(explainRange(part))
		}
		one := alternative{constraints: constraints}
		for _, found := range comparator.FindAllStringSubmatch(part, -1) {
			operator, version, pre := found[1], found[2], found[3]
			if pre != "" && !(pre == "-0" && (operator == "<" || operator == "<=" || operator == "=<")) {
				one.prereleases = true
			}
			if v, err := semver.NewVersion(strings.NewReplacer("x", "0", "X", "0", "*", "0").Replace(version) + pre); err == nil {
				named = append(named, v)
			}
		}
		impl.alternatives = append(impl.alternatives, one)
	}
	if len(impl.alternatives) > semver.MaxConstraintGroups {
		return wrong("it has more than "+strconv.Itoa(semver.MaxConstraintGroups)+" sides of ||", semverRight)
	}
	if !impl.possible(named) {
		return wrong("no version can be in it", "check the bounds: the lower one comes first, as in \">=1.0.0 <2.0.0\"")
	}
	return impl, nil
}

// possible tries the versions at and right after every bound, where a range that is not empty has a member.
func (s *semverRule) possible(named []*semver.Version) bool {
	try := []*semver.Version{semver.New(0, 0, 0, "", "")}
	for _, v := range named {
		core := semver.New(v.Major(), v.Minor(), v.Patch(), "", "")
		patch, minor, major := core.IncPatch(), core.IncMinor(), core.IncMajor()
		try = append(try, v, core, &patch, &minor, &major)
		if v.Prerelease() != "" {
			try = append(try, semver.New(v.Major(), v.Minor(), v.Patch(), v.Prerelease()+".0", ""))
		}
	}
	for _, v := range try {
		if s.inRange(v) {
			return true
		}
	}
	return false
}

// explainRange says what is wrong with a range that was not understood, and what would be right.
func explainRange(part string) (reason, right string) {
	switch {
	case len(part) > semver.MaxConstraintLen:
		return "it is longer than " + strconv.Itoa(semver.MaxConstraintLen) + " characters", semverRight
	case regexp.MustCompile(`(?i)\b(and|or)\b|&`).MatchString(part):
		return "it has words or signs that a range does not know", "put a space where both must hold and || where one must, as in \">=1.0.0 <2.0.0 || >=3.0.0\""
	case regexp.MustCompile(`^v?[0-9xX*.]+$`).MatchString(part):
		return "it is no version of at most three numbers", semverRight
	case !strings.ContainsAny(part, "0123456789"):
		return "it names no version", semverRight + "; for a moving tag write {follow: …} instead, for other tags {regex: …, order: …}"
	}
	return "it is no range of semantic versions", semverRight
}

func (s *semverRule) inRange(v *semver.Version) bool {
	for _, one := range s.alternatives {
		if (v.Prerelease() == "" || one.prereleases) && one.constraints.Check(v) {
			return true
		}
	}
	return false
}

func (s *semverRule) refusal(tag string) string {
	core, ok := strings.CutSuffix(tag, s.suffix)
	if !ok {
		return "it does not end in " + s.suffix + ", as the tag that is there does"
	}
	v, parts := parseVersion(core)
	switch {
	case v == nil && s.parts == 2, v != nil && parts != s.parts && s.parts == 2:
		return "it is not two numbers such as 1.4, as the tag that is there is"
	case v == nil, parts != s.parts:
		return "it is no semantic version of three numbers, such as 1.4.2"
	case s.inRange(v):
		return ""
	case v.Prerelease() != "" && !s.namesPrerelease():
		return "it is a pre-release (or a variant), and the range names none"
	}
	return "it is outside of the range"
}

func (s *semverRule) namesPrerelease() bool {
	for _, one := range s.alternatives {
		if one.prereleases {
			return true
		}
	}
	return false
}

func (s *semverRule) compare(a, b Seen) (int, bool) {
	va, vb := s.version(a.Tag), s.version(b.Tag)
	if va == nil || vb == nil {
		return 0, false
	}
	return va.Compare(vb), true
}

// version reads more than refusal allows, so that what runs outside of the range can still be ranked against what is in it.
func (s *semverRule) version(tag string) *semver.Version {
	if core, ok := strings.CutSuffix(tag, s.suffix); ok {
		if v, _ := parseVersion(core); v != nil {
			return v
		}
	}
	v, _ := parseVersion(tag)
	return v
}

func (s *semverRule) moving() bool { return false }

// parseVersion reads 1.4.2, v1.4.2, 1.4.2-rc.1, and with two parts 1.4 and 1.4-rc.1. It returns nil for anything else: a
// single number may be a build, a date or part of a commit's hash.
func parseVersion(tag string) (v *semver.Version, parts int) {
	text := strings.TrimPrefix(tag, "v")
	core, pre, hasPre := strings.Cut(text, "-")
	parts = strings.Count(core, ".") + 1
	switch parts {
	case 2:
		text = core + ".0"
		if hasPre {
			text += "-" + pre
		}
	case 3:
	default:
		return nil, 0
	}
	v, err := semver.StrictNewVersion(text)
	if err != nil {
		return nil, 0
	}
	return v, parts
}
