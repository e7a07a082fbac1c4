package config

import (
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/boatlift/boatlift/internal/didyoumean"
)

// choice tells which of the words to write, and first the one that was probably meant.
func choice(wrong string, known []string) string {
	if word := didyoumean.Word(wrong, known); word != "" {
		return "did you mean " + word + "? write " + alternatives(known)
	}
	return "write " + alternatives(known)
}

// list joins words: a, b and c.
func list(words []string) string { return joined(words, " and ") }

// alternatives joins words: a, b or c.
func alternatives(words []string) string { return joined(words, " or ") }

func joined(words []string, last string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + last + words[len(words)-1]
}

// shown is text of a file for an error: in quotes, without control characters, and cut to what fits a sentence.
func shown(s string) string {
	const most = 60
	runes := []rune(s)
	if len(runes) > most {
		runes = append(slices.Clone(runes[:most]), '…')
	}
	return strconv.Quote(string(runes))
}

// printable tells text that can stand in a page, a log and a check as it is.
func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}
