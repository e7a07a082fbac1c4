package kustomize

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Edit makes all changes in one pass over src, or none: with an error nothing is returned but the error. Where everything is as
// wanted already, out is src itself and the report says Changed false.
//
// The error is a [*RefusedError], an [*ImageNotListedError] or a [*ChangeError]; where several changes fail, all are joined.
func Edit(path string, src []byte, changes []Change) (out []byte, report Report, err error) {
	if err := checkChanges(changes); err != nil {
		return nil, Report{}, err
	}
	d, err := parseExact(path, src)
	if err != nil {
		return nil, Report{}, err
	}
	p, err := newPlan(d, len(changes))
	if err != nil {
		return nil, Report{}, err
	}
	if err := p.addChanges(changes); err != nil {
		return nil, Report{}, err
	}
	if len(p.edits) == 0 {
		return src, p.report(nil), nil
	}
	if overlap := sortEdits(p.edits); overlap != nil {
		return nil, Report{}, d.refuse(overlap.start, "two of the changes want the same bytes", "make one change after the other")
	}
	out = apply(src, 0, len(src), p.edits)
	if err := p.prove(out); err != nil {
		return nil, Report{}, err
	}
	return out, p.report(p.edits), nil
}

// checkChanges refuses requests that contradict themselves.
func checkChanges(changes []Change) error {
	type target struct {
		name  string
		index int
	}
	seen := map[target]bool{}
	var errs []error
	for _, c := range changes {
		if c.Name == "" {
			errs = append(errs, &ChangeError{c.Name, "the name is empty"})
			continue
		}
		t := target{c.Name, -1}
		if c.Index != nil {
			t.index = *c.Index
		}
		if seen[t] {
			errs = append(errs, &ChangeError{c.Name, "is asked for twice"})
		}
		seen[t] = true
		if c.Other < OtherUndecided || c.Other > OtherDrop {
			errs = append(errs, &ChangeError{c.Name, "says nothing known about the other half"})
		}
	}
	return joined(errs)
}

// joined is errors.Join, but a single error stays as it is.
func joined(errs []error) error {
	if len(errs) == 1 {
		return errs[0]
	}
	return errors.Join(errs...)
}

// plan collects the edits of all changes, and what the document must be once they are made.
type plan struct {
	*document
	items []item
	list  *yaml.Node // the value of images, nil where there is no such key
	key   *yaml.Node // its key

	edits   []edit
	lines   int // lines that the new file has more than the old one
	changes []ChangeReport
	leaders []int // of entries added in one piece, the change that owns the edit; else the change itself
	warned  []Warning

	fields  map[*yaml.Node][]pairWant // wanted pairs of changed entries
	scalars map[*yaml.Node]string     // wanted text of changed scalars outside of entries
	added   [][]pairWant              // wanted new entries
}

// pairWant is a key and value of the document to be: either as they were, or with text of their own.
type pairWant struct {
	old        pair   // nil nodes for a new pair
	key, value string // wanted text, where changed is true
	changed    bool
}

// newPlan checks what every edit of the file depends on.
func newPlan(d *document, changes int) (*plan, error) {
	p := &plan{document: d, changes: make([]ChangeReport, changes), leaders: make([]int, changes), fields: map[*yaml.Node][]pairWant{}, scalars: map[*yaml.Node]string{}}
	if d.root == nil {
		return p, nil
	}
	if d.root.Kind != yaml.MappingNode {
		return nil, d.refuseLine(d.root.Line, "the file is not a map of fields", "start from a kustomization.yaml with resources: and images:")
	}
	if key := duplicateKey(d.root); key != nil {
		return nil, d.refuseLine(key.Line, fmt.Sprintf("the key %s is given twice", key.Value), "remove one of the two")
	}
	for _, q := range pairs(d.root) {
		if isMerge(q.key) {
			return nil, d.refuseLine(q.key.Line, "a merge key at the top of the file may set images", "write the merged fields out")
		}
	}
	images, _ := d.lists()
	if len(images) > 1 {
		return nil, d.refuseLine(images[1].key.Line, fmt.Sprintf("images is given twice, as %s and %s", images[0].key.Value, images[1].key.Value), "remove one of the two")
	}
	if len(images) == 1 {
		p.key, p.list = images[0].key, images[0].value
		if err := p.checkList(); err != nil {
			return nil, err
		}
	}
	p.items = d.items()
	for _, it := range p.items {
		m := resolve(it.node)
		if key := duplicateKey(m); key != nil {
			return nil, d.refuseLine(key.Line, fmt.Sprintf("the key %s is given twice in one entry", key.Value), "remove one of the two")
		}
		if it.twice != nil {
			return nil, d.refuseLine(it.twice.Line, fmt.Sprintf("the key %s is given twice in one entry, in different case", it.twice.Value), "remove one of the two")
		}
	}
	return p, nil
}

// checkList refuses an images value that is no list of maps.
func (p *plan) checkList() error {
	list := resolve(p.list)
	if isNull(list) {
		return nil
	}
	if list.Kind != yaml.SequenceNode {
		return p.refuseLine(p.list.Line, "images is not a list", "write images as a list of entries with a name")
	}
	for _, n := range list.Content {
		if resolve(n).Kind != yaml.MappingNode {
			return p.refuseLine(n.Line, "this item of images is not a map", "write each item of images as a map with a name")
		}
	}
	return nil
}

// addChanges plans each change: first those of entries that are there, then those that add one, which go after them.
func (p *plan) addChanges(changes []Change) error {
	var errs []error
	var adds []int
	targets := map[int]bool{}
	for i, c := range changes {
		p.changes[i], p.leaders[i] = ChangeReport{Name: c.Name}, i
		it, err := p.find(c)
		var missing *ImageNotListedError
		switch {
		case errors.As(err, &missing) && c.Add:
			adds = append(adds, i)
			continue
		case err == nil && targets[it.Index]:
			err = &ChangeError{c.Name, "is asked for twice"}
		case err == nil:
			targets[it.Index] = true
			p.changes[i].Index = it.Index
			err = p.changeEntry(i, it, c)
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	if len(adds) > 0 {
		if err := p.addEntries(adds, changes); err != nil {
			errs = append(errs, err)
		}
	}
	for i, c := range changes {
		if err := p.checkMarked(i, c); err != nil && len(errs) == 0 {
			errs = append(errs, err)
		}
	}
	return joined(errs)
}

// find gives the entry that a change is about.
func (p *plan) find(c Change) (*item, error) {
	var found []*item
	for i := range p.items {
		if it := &p.items[i]; it.Name == c.Name && (c.Index == nil || it.Index == *c.Index) {
			found = append(found, it)
		}
	}
	switch {
	case len(found) == 0 && c.Index != nil:
		return nil, &ChangeError{c.Name, fmt.Sprintf("entry %d of %s does not have this name", *c.Index, p.path)}
	case len(found) == 0:
		return nil, &ImageNotListedError{File: p.path, Image: c.Name}
	case len(found) > 1:
		at := make([]string, 0, 4)
		for i, it := range found {
			if i == 3 && len(found) > 4 {
				at = append(at, "…")
				break
			}
			at = append(at, fmt.Sprint(it.Line))
		}
		return nil, p.refuseLine(found[1].Line, fmt.Sprintf("the name %s stands %d times, on lines %s", c.Name, len(found), strings.Join(at, ", ")),
			"merge the entries, or say which one is meant")
	}
	return found[0], nil
}

// checkMarked refuses edits of a line that a setter marker gives to another controller.
func (p *plan) checkMarked(owner int, c Change) error {
	if c.AllowMarked {
		return nil
	}
	for _, e := range p.edits {
		if e.owner != owner && e.owner != p.leaders[owner] {
			continue
		}
		for first, after := e.touched(&p.source); first < after; first++ {
			if p.marked(first) {
				return p.refuseLine(first+1, "a Flux setter marker gives this line to another controller",
					"remove the marker, or allow marked lines to be changed")
			}
		}
	}
	return nil
}

// replace plans to put text in the place of src[start:end].
func (p *plan) replace(owner, start, end int, text string) {
	p.lines += strings.Count(text, "\n") - bytes.Count(p.src[start:end], []byte{'\n'})
	if start < end && text == "" && end == len(p.src) && start == p.starts[p.line(start)] && p.src[end-1] != '\n' {
		p.lines-- // a last line without an ending
	}
	p.edits = append(p.edits, edit{start: start, end: end, text: text, owner: owner})
}

// insertLines plans to put whole lines after line i.
func (p *plan) insertLines(owner, i int, lines []string) {
	ending := p.ending(i)
	text := strings.Join(lines, ending)
	p.lines += strings.Count(text, "\n") + 1
	if end := p.lineEnd(i); end == p.starts[0] || p.src[end-1] == '\n' { // of an empty file there is no last line to be like
		p.edits = append(p.edits, edit{start: end, end: end, text: text + ending, owner: owner})
		return
	}
	p.edits = append(p.edits, edit{start: len(p.src), end: len(p.src), text: text, newLine: ending, owner: owner})
}

func (p *plan) warn(line int, format string, args ...any) {
	p.warned = append(p.warned, Warning{Line: line, Text: fmt.Sprintf(format, args...)})
}

// report says what the sorted edits do.
func (p *plan) report(edits []edit) Report {
	r := Report{Changed: len(edits) > 0, Changes: p.changes, Warnings: p.warned}
	var byOwner [][]LineChange
	r.Lines, byOwner = p.lineChanges(edits, len(p.changes))
	for i := range r.Changes {
		r.Changes[i].Lines = byOwner[i]
		if len(byOwner[i]) == 0 {
			r.Changes[i].Lines = byOwner[p.leaders[i]]
		}
		r.Changes[i].Changed = len(r.Changes[i].Lines) > 0
	}
	slices.SortStableFunc(r.Warnings, func(a, b Warning) int { return a.Line - b.Line })
	return r
}
