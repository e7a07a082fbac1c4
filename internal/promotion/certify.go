package promotion

import (
	"slices"
	"strings"
)

// Certify is what a test system may certify: results under these names, in these environments. A * stands for any characters; in
// environments, as acme/infra-*:acceptance, for any within one part.
type Certify struct {
	Names        []string
	Environments []string
}

// Allows tells whether a name may be certified in an environment, which may have several names: with its forge's before it, and without.
func (c Certify) Allows(name string, environments ...string) bool {
	return slices.ContainsFunc(c.Names, func(pattern string) bool { return matches(pattern, name, "") }) &&
		slices.ContainsFunc(c.Environments, func(pattern string) bool {
			return slices.ContainsFunc(environments, func(e string) bool { return matches(strings.ToLower(pattern), strings.ToLower(e), "/:") })
		})
}

// matches tells whether a pattern matches all of a text. Its stars match no character of those that stop them.
func matches(pattern, text, stop string) bool {
	before, after, star := strings.Cut(pattern, "*")
	rest, ok := strings.CutPrefix(text, before)
	if !ok || !star {
		return ok && rest == ""
	}
	for i := 0; ; i++ {
		if matches(after, rest[i:], stop) {
			return true
		}
		if i == len(rest) || strings.ContainsRune(stop, rune(rest[i])) {
			return false
		}
	}
}
