package config

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// nearest is the known word that a wrong one was probably meant to be; empty if none is close.
func nearest(wrong string, known []string) string {
	best, least := "", min(3, len(wrong)/2+1)
	for _, word := range known {
		if d := distance(strings.ToLower(wrong), strings.ToLower(word)); d < least {
			best, least = word, d
		}
	}
	return best
}

// distance counts the letters to insert, delete, replace or swap with their neighbour to turn a into b.
func distance(a, b string) int {
	const most = 64
	if len(a) > most || len(b) > most {
		return most
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}

// choice tells which of the words to write, and first the one that was probably meant.
func choice(wrong string, known []string) string {
	if word := nearest(wrong, known); word != "" {
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
