package kustomize

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// want is what shall become of one field of an entry.
type want struct {
	set, remove bool
	value       string
}

func wantOf(value *string) want {
	switch {
	case value == nil:
		return want{}
	case *value == "":
		return want{remove: true}
	}
	return want{set: true, value: *value}
}

// current is the text of an entry's own field; there is false where the key is missing.
func (it *item) current(f field) (text string, there bool) {
	if it.fields[f].key == nil {
		return "", false
	}
	text, _ = scalarText(it.fields[f].value)
	return text, true
}

// changeEntry plans one change of an entry that is in the file.
func (p *plan) changeEntry(owner int, it *item, c Change) error {
	wants := [fieldCount]want{fieldNewName: wantOf(c.NewName), fieldNewTag: wantOf(c.Tag), fieldDigest: wantOf(c.Digest)}
	oldTag := it.NewTag
	if !p.differs(it, wants, c.Other) && !c.MoveRefs {
		return nil
	}
	if p.differs(it, wants, c.Other) {
		if err := p.checkEntry(it); err != nil {
			return err
		}
		if err := p.otherHalf(it, &wants, c); err != nil {
			return err
		}
		if err := p.editEntry(owner, it, wants); err != nil {
			return err
		}
	}
	if c.MoveRefs {
		return p.moveRefs(owner, oldTag, wants[fieldNewTag].value, c.RefsUnder)
	}
	return nil
}

// differs reports whether the entry is not yet as wanted.
func (p *plan) differs(it *item, wants [fieldCount]want, other Other) bool {
	texts := [fieldCount]string{fieldNewName: it.NewName, fieldNewTag: it.NewTag, fieldDigest: it.Digest}
	for f, w := range wants {
		switch {
		case w.remove && texts[f] != "":
			return true
		case w.set && texts[f] != w.value && !(field(f) == fieldNewName && texts[f] == "" && w.value == it.Name):
			return true
		}
	}
	if other != OtherReplace && other != OtherDrop {
		return false
	}
	for _, half := range [][2]field{{fieldNewTag, fieldDigest}, {fieldDigest, fieldNewTag}} {
		if wants[half[0]].set && wants[half[1]] == (want{}) && texts[half[1]] != "" {
			return true
		}
	}
	return false
}

// checkEntry refuses entries whose keys cannot be told apart from those of other places.
func (p *plan) checkEntry(it *item) error {
	const hint = "write the entry out without anchors and aliases"
	switch {
	case it.Deprecated:
		return p.refuseLine(it.Line, "imageTags is the old name of images and is not edited", "rename imageTags to images")
	case p.list.Kind == yaml.AliasNode:
		return p.refuseLine(p.list.Line, "images is an alias", hint)
	case it.node.Kind == yaml.AliasNode:
		return p.refuseLine(it.node.Line, "this entry is an alias", hint)
	case it.merge != nil:
		return p.refuseLine(it.merge.Line, "this entry has a merge key", hint)
	case p.aliased[p.list] || p.aliased[it.node]:
		return p.refuseLine(it.Line, "an alias elsewhere in the file stands for this entry too", hint)
	}
	return nil
}

// otherHalf completes the wants with what becomes of the half that the change does not give.
func (p *plan) otherHalf(it *item, wants *[fieldCount]want, c Change) error {
	for _, half := range [][2]field{{fieldNewTag, fieldDigest}, {fieldDigest, fieldNewTag}} {
		given, other := half[0], half[1]
		if !wants[given].set || wants[other] != (want{}) {
			continue
		}
		old, _ := it.current(given)
		if old == wants[given].value && c.Other != OtherReplace && c.Other != OtherDrop {
			continue // nothing changes in this half, so nothing needs to be said about the other
		}
		if strings.Contains(it.NewTag, "@") && (c.Other == OtherUndecided || c.Other == OtherKeep) {
			return p.refuseLine(it.fields[fieldNewTag].key.Line, fmt.Sprintf("newTag carries a digest (%s), so half of it cannot be changed alone", it.NewTag),
				"give tag and digest, or drop the other half")
		}
		text, there := it.current(other)
		if !there || text == "" {
			continue
		}
		switch c.Other {
		case OtherKeep:
		case OtherReplace, OtherDrop:
			wants[other] = want{remove: true}
		default:
			return p.refuseLine(it.fields[other].key.Line, fmt.Sprintf("the entry also has a %s, which would stay in force", other),
				fmt.Sprintf("say whether %s is kept, replaced or dropped", other))
		}
	}
	return nil
}

// editEntry plans the edits that bring an entry to what is wanted, and notes the pairs that it must have then.
func (p *plan) editEntry(owner int, it *item, wants [fieldCount]want) error {
	e := entryEdit{plan: p, owner: owner, it: it}
	report := &p.changes[owner]
	for _, half := range [][2]field{{fieldNewTag, fieldDigest}, {fieldDigest, fieldNewTag}} {
		to, from := half[0], half[1]
		old, there := it.current(from)
		if _, taken := it.current(to); !wants[to].set || !wants[from].remove || !there || old == "" || taken {
			continue
		}
		if err := e.rename(from, to, wants[to].value); err != nil {
			return err
		}
		report.Fields = append(report.Fields, FieldChange{from.String(), old, ""}, FieldChange{to.String(), "", wants[to].value})
		wants[from], wants[to] = want{}, want{}
	}
	for f := range fieldName {
		w := wants[f]
		old, there := it.current(f)
		switch {
		case w.remove && old != "":
			e.deleted = append(e.deleted, f)
		case w.set && there && old != w.value:
			if err := e.set(f, w.value); err != nil {
				return err
			}
		case w.set && !there && !(f == fieldNewName && w.value == it.Name):
			e.inserted = append(e.inserted, f)
			e.values[f] = w.value
		default:
			continue
		}
		report.Fields = append(report.Fields, FieldChange{f.String(), old, w.value})
	}
	if err := e.delete(); err != nil {
		return err
	}
	if err := e.insert(); err != nil {
		return err
	}
	p.fields[it.node] = e.result()
	return nil
}

// entryEdit is the work on one entry.
type entryEdit struct {
	*plan
	owner    int
	it       *item
	deleted  []field
	inserted []field
	values   [fieldCount]string // of set, renamed and inserted fields
	renamed  [fieldCount]field  // what a field's key becomes
	changed  [fieldCount]bool   // the pair that holds the field has a new value
}

func (e *entryEdit) flow() bool { return e.it.node.Style&yaml.FlowStyle != 0 }

// set replaces a field's value.
func (e *entryEdit) set(f field, value string) error {
	q := e.it.fields[f]
	if reason := unwritable(value); reason != "" {
		return &ChangeError{e.it.Name, fmt.Sprintf("the new %s %s", f, reason)}
	}
	place, err := e.scalar(q.value, fmt.Sprintf("the %s of %s", f, e.it.Name))
	if err != nil {
		return err
	}
	if old := q.value.Value; strings.Contains(old, "{{") || strings.Contains(old, "${") {
		e.warn(q.value.Line, "the template %s was replaced by a fixed value", old)
	}
	e.changed[f], e.values[f], e.renamed[f] = true, value, f
	how := quotingOf(q.value)
	switch {
	case how != plain:
		e.replace(e.owner, place.from, place.to, how.inside(value))
	case e.json || (e.flow() && quotingOf(q.key) == double):
		e.replace(e.owner, place.start, place.end, double.write(value))
	default:
		e.replace(e.owner, place.start, place.end, plain.write(value))
	}
	return nil
}

// rename turns one half's key into the other's, with a new value, on the same line.
func (e *entryEdit) rename(from, to field, value string) error {
	q := e.it.fields[from]
	if e.marked(q.key.Line-1) || e.marked(q.value.Line-1) {
		return e.refuseLine(q.key.Line, fmt.Sprintf("a Flux setter marker expects %s on this line, so it cannot become %s", from, to),
			"remove the marker first")
	}
	key, err := e.scalar(q.key, "the key "+from.String())
	if err != nil {
		return err
	}
	e.replace(e.owner, key.from, key.to, to.String())
	if err := e.set(from, value); err != nil {
		return err
	}
	e.renamed[from] = to
	return nil
}

// result lists the pairs that the entry must have after the edit.
func (e *entryEdit) result() []pairWant {
	var out []pairWant
next:
	for _, q := range pairs(e.it.node) {
		for _, f := range e.deleted {
			if e.it.fields[f].key == q.key {
				continue next
			}
		}
		w := pairWant{old: q}
		for f := range fieldCount {
			if e.changed[f] && e.it.fields[f].key == q.key {
				w.changed, w.key, w.value = true, q.key.Value, e.values[f]
				if e.renamed[f] != f {
					w.key = e.renamed[f].String()
				}
			}
		}
		out = append(out, w)
	}
	for _, f := range e.inserted {
		out = append(out, pairWant{changed: true, key: f.String(), value: e.values[f]})
	}
	return out
}
