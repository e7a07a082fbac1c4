package image

import (
	"cmp"
	"strings"
)

// Pattern selects images by name: registry.acme.io/shop/*. In it * stands for one element of the path, or for any characters
// within one (web-*), and ** for any number of elements, none included.
//
// A pattern is canonical as names are: in lower case, and with Docker Hub's host and library/ written out where neither a
// host nor a wildcard comes first, so that nginx selects docker.io/library/nginx. A wildcard at the very start stands for
// the host too: **/web is the web of every registry, */shop/web that of every registry with that path.
//
// The zero Pattern matches nothing.
type Pattern struct {
	text     string
	elements []string
}

// ParsePattern checks a pattern. The error is a *PatternError.
func ParsePattern(s string) (Pattern, error) {
	wrong := func(reason, right string) (Pattern, error) {
		return Pattern{}, &PatternError{s, reason, right}
	}
	const right = "write an image's name without its tag, such as registry.acme.io/shop/web or registry.acme.io/shop/*"
	switch {
	case s == "":
		return wrong("it is empty", right+"; ** selects every image")
	case len(s) > 255:
		return wrong("it is longer than 255 characters", right)
	case strings.Contains(s, "@"):
		return wrong("it has a digest", right)
	case strings.LastIndexByte(s, ':') > strings.LastIndexByte(s, '/'):
		return wrong("it has a tag", right+"; which tags are taken stands under tags:")
	case strings.ContainsAny(s, "?[{") && !strings.HasPrefix(s, "["):
		return wrong("only * and ** are wildcards", right)
	}
	if !ascii(s) {
		return wrong("it has letters that no image's name has", right)
	}
	if !strings.Contains(s, "*") {
		name, err := ParseName(s)
		if err != nil {
			return wrong("it is no image name", right)
		}
		return Pattern{string(name), strings.Split(string(name), "/")}, nil
	}
	elements := strings.Split(strings.ToLower(s), "/")
	for i, element := range elements {
		if element == "" {
			return wrong("an element between two / is empty", right)
		}
		if strings.Contains(element, "**") && element != "**" {
			return wrong("** stands alone between two /", "write * for any characters within one element, /**/ for any number of elements")
		}
		valid := componentPattern
		if i == 0 && (strings.Contains(element, "*") || isHost(element)) {
			valid = hostPattern
		}
		if !valid.MatchString(strings.ReplaceAll(element, "*", "x")) && element != "**" {
			return wrong("no image's name has an element such as "+element, right)
		}
	}
	switch first := elements[0]; {
	case strings.Contains(first, "*"):
		if len(elements) == 1 && first != "**" {
			return wrong("a wildcard at the start stands for the registry's host, and no path comes after it", "write docker.io/library/"+first+" or **/"+first)
		}
	case !isHost(first):
		elements = append([]string{dockerHub}, elements...)
	default:
		elements[0] = canonicalHost(first)
		if len(elements) == 1 {
			return wrong("it is a host without a path", "write "+first+"/** for all images of "+first)
		}
	}
	return Pattern{strings.Join(elements, "/"), elements}, nil
}

// Match tells whether the pattern selects the image.
func (p Pattern) Match(name Name) bool {
	if p.elements == nil {
		return false
	}
	return glob(p.elements, strings.Split(string(name), "/"), "**", matchElement)
}

// Exact tells a pattern without wildcards, which selects one image.
func (p Pattern) Exact() bool { return p.text != "" && !strings.Contains(p.text, "*") }

func (p Pattern) String() string { return p.text }

// IsZero tells a pattern that was never made.
func (p Pattern) IsZero() bool { return p.elements == nil }

// ComparePatterns orders patterns from the most to the least specific, so that the first of those that match an image is the
// one that was meant for it: element by element, plain text before web-*, that before *, and ** last; longer text first.
func ComparePatterns(a, b Pattern) int {
	for i := range min(len(a.elements), len(b.elements)) {
		x, y := a.elements[i], b.elements[i]
		kind := breadth(x)
		if order := cmp.Compare(kind, breadth(y)); order != 0 {
			return order
		}
		if order := cmp.Compare(len(y), len(x)); order != 0 && kind != plain {
			return order
		}
	}
	return cmp.Or(cmp.Compare(len(b.elements), len(a.elements)), strings.Compare(a.text, b.text))
}

// How much an element of a pattern stands for.
const (
	plain = iota
	partly
	anyElement
	anyPath
)

func breadth(element string) int {
	switch {
	case element == "**":
		return anyPath
	case element == "*":
		return anyElement
	case strings.Contains(element, "*"):
		return partly
	}
	return plain
}

func matchElement(pattern, text string) bool {
	if !strings.Contains(pattern, "*") {
		return pattern == text
	}
	return glob([]byte(pattern), []byte(text), '*', func(p, t byte) bool { return p == t })
}

// glob matches with one kind of wildcard that stands for any number of items. It goes back only to the last wildcard, so it
// takes at most len(pattern) × len(text) steps.
func glob[T comparable](pattern, text []T, wildcard T, equal func(p, t T) bool) bool {
	p, t, back, resume := 0, 0, -1, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == wildcard:
			back, resume = p, t
			p++
		case p < len(pattern) && equal(pattern[p], text[t]):
			p++
			t++
		case back >= 0:
			resume++
			p, t = back+1, resume
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == wildcard {
		p++
	}
	return p == len(pattern)
}

// PatternError reports an image pattern that selects nothing.
type PatternError struct{ Pattern, Reason, Right string }

func (e *PatternError) Error() string { return "image " + cut(e.Pattern) + ": " + e.Reason }

// Hint says what would be right.
func (e *PatternError) Hint() string { return e.Right }

// Permanent tells that only another pattern helps.
func (e *PatternError) Permanent() bool { return true }
