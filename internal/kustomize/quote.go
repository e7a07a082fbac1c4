package kustomize

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// maxValue bounds what may be written: an image reference is a few hundred bytes at most.
const maxValue = 4096

// unwritable says why a value cannot be written on one line, or "".
func unwritable(value string) string {
	if len(value) > maxValue {
		return "is longer than 4096 bytes"
	}
	if !utf8.ValidString(value) {
		return "is not UTF-8"
	}
	for _, r := range value {
		if !unicode.IsPrint(r) {
			return "holds a character that cannot be printed"
		}
	}
	return ""
}

// plainCharacters are values that mean themselves without quotes wherever a value can stand, in block and in flow style.
var plainCharacters = regexp.MustCompile(`^[A-Za-z0-9_./$][A-Za-z0-9_./$:@+-]*$`)

// resolved are the plain values that YAML 1.1 or YAML 1.2, or a common parser of either, reads as something else than a string:
// numbers in all bases, in base 60 and with underscores, dates, truth values, null, and those that are not numbers.
var resolved = regexp.MustCompile(`(?i)^(?:` + strings.Join([]string{
	`[-+]?[0-9][0-9_]*`,
	`[-+]?0b[01_]+`,
	`[-+]?0o[0-7_]+`,
	`[-+]?0x[0-9a-f_]+`,
	`[-+]?(?:[0-9][0-9_]*)?\.[0-9_]*(?:e[-+]?[0-9]+)?`,
	`[-+]?[0-9][0-9_]*e[-+]?[0-9]+`,
	`[-+]?[0-9][0-9_]*(?::[0-9]+)+(?:\.[0-9_]*)?`,
	`[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:t.*)?`,
	`[-+]?\.?(?:inf|nan)`,
	`y|n|yes|no|on|off|true|false|null|~|<<|=`,
}, "|") + `)$`)

// needsQuotes reports whether a value must be quoted to be read as a string by every parser.
func needsQuotes(value string) bool {
	return !plainCharacters.MatchString(value) || strings.HasSuffix(value, ":") || resolved.MatchString(value)
}

// quoting is how a value or key is written.
type quoting byte

const (
	plain  quoting = 0
	single quoting = '\''
	double quoting = '"'
)

// quotingOf is how a scalar stands in the file.
func quotingOf(n *yaml.Node) quoting {
	switch {
	case n == nil || n.Kind != yaml.ScalarNode:
		return plain
	case n.Style&yaml.DoubleQuotedStyle != 0:
		return double
	case n.Style&yaml.SingleQuotedStyle != 0:
		return single
	}
	return plain
}

// write gives the text of a value. Quotes asked for are kept even where they are not needed; plain becomes double quotes where
// they are. The text of a double-quoted value is also valid JSON.
func (q quoting) write(value string) string {
	switch {
	case q == single:
		return "'" + q.inside(value) + "'"
	case q == double || needsQuotes(value):
		return `"` + double.inside(value) + `"`
	}
	return value
}

// inside gives a value's text as it stands between quotes that are there already.
func (q quoting) inside(value string) string {
	switch q {
	case single:
		return strings.ReplaceAll(value, "'", "''")
	case double:
		return strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value)
	}
	return value
}
