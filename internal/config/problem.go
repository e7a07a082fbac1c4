package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with a configuration file.
type Problem struct {
	File         string
	Line, Column int    // from 1; columns count characters
	What         string // what is wrong
	Right        string // what would be right
}

func (p Problem) String() string {
	text := fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.What)
	if p.Right != "" {
		text += " (" + p.Right + ")"
	}
	return text
}

// Errors are all problems of one file, in the order of the file.
type Errors struct {
	Problems []Problem
}

// Error has one line per problem.
func (e *Errors) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Permanent tells that reading the same file again cannot help.
func (e *Errors) Permanent() bool { return true }

// maxProblems is how many problems of one file are told. Whoever has more starts with these.
const maxProblems = 100

// place is where something stands in a file.
type place struct{ line, column int }

func (p place) at() place             { return p }
func (p *place) setPlace(where place) { *p = where }

// object is a map of a file: where it is, and which keys it has, also those whose values are wrong.
type object struct {
	place
	isMap bool
	given map[string]bool
}

func (o *object) begin() { o.isMap, o.given = true, map[string]bool{} }

func (o *object) give(key string) { o.given[key] = true }

// empty tells a map without keys.
func (o *object) empty() bool { return o.isMap && len(o.given) == 0 }

// placed is whatever stands somewhere.
type placed interface{ at() place }

// problems collects what is wrong with one file.
type problems struct {
	file string
	all  []Problem
	more int // that were not kept
}

// add notes a problem. Of several that say the same of the same place, as those inside of an anchor that several aliases repeat, one is kept.
func (p *problems) add(where placed, what, right string) {
	at := where.at()
	next := Problem{p.file, at.line, at.column, what, right}
	switch {
	case slices.Contains(p.all, next):
	case len(p.all) == maxProblems:
		p.more++
	default:
		p.all = append(p.all, next)
	}
}

// err is nil where nothing is wrong.
func (p *problems) err() error {
	if len(p.all) == 0 {
		return nil
	}
	slices.SortStableFunc(p.all, func(a, b Problem) int { return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column)) })
	if p.more > 0 {
		last := p.all[len(p.all)-1]
		last.What, last.Right = fmt.Sprintf("%d more problems are not shown", p.more), "mend these first"
		p.all = append(p.all, last)
	}
	return &Errors{p.all}
}
