package kustomize

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// delete plans the removal of the deleted fields.
func (e *entryEdit) delete() error {
	if len(e.deleted) == 0 {
		return nil
	}
	all := pairs(e.it.node)
	gone := make([]bool, len(all))
	for i, q := range all {
		gone[i] = slices.ContainsFunc(e.deleted, func(f field) bool { return e.it.fields[f].key == q.key })
		if !gone[i] {
			continue
		}
		if _, err := e.scalar(q.value, "the "+q.key.Value+" of "+e.it.Name); err != nil {
			return err
		}
		if q.key.Anchor != "" || q.key.Kind != yaml.ScalarNode {
			return e.refuseLine(q.key.Line, "the key "+q.key.Value+" is anchored or an alias", "write the key plainly")
		}
	}
	for i := 0; i < len(all); {
		if !gone[i] {
			i++
			continue
		}
		run := i
		for run < len(all) && gone[run] {
			run++
		}
		var err error
		if e.flow() {
			err = e.deleteFlow(all, i, run)
		} else {
			err = e.deleteBlock(all, i, run)
		}
		if err != nil {
			return err
		}
		i = run
	}
	return nil
}

// deleteBlock removes the neighbouring pairs all[from:to] of a block map: whole lines, or where they begin on the line of the
// dash, everything up to the next key, which moves up to the dash.
func (e *entryEdit) deleteBlock(all []pair, from, to int) error {
	for i := from; i < to; i++ {
		start := e.at(all[i].key)
		end, err := e.valueEnd(all[i])
		if err != nil {
			return err
		}
		if !e.endsLine(end) {
			return e.refuse(end, "something follows the "+all[i].key.Value+" on its line", "write one key per line")
		}
		if !e.startsLine(start) {
			if i != 0 || to == len(all) {
				return e.refuse(start, "the key "+all[i].key.Value+" does not begin its line", "write one key per line")
			}
			return e.deleteFirst(all, to)
		}
		first, last := e.line(start), e.line(end)
		if e.hasComment(end, e.lineEnd(last)) {
			e.warn(last+1, "the comment on this line went with the %s", all[i].key.Value)
		}
		e.replace(e.owner, e.starts[first], e.lineEnd(last), "")
	}
	return nil
}

// deleteFirst removes the first pairs of an entry, all[:to], by moving the key after them up to the dash.
func (e *entryEdit) deleteFirst(all []pair, to int) error {
	start, next := e.at(all[0].key), e.at(all[to].key)
	for i := range to {
		end, err := e.valueEnd(all[i])
		if err != nil {
			return err
		}
		until := next
		if i+1 < to {
			until = e.at(all[i+1].key)
		}
		if !isBlank(e.src[end:until]) {
			return e.refuse(end, "a comment stands between the "+all[i].key.Value+" and the next key", "move the comment, or put name first")
		}
	}
	e.replace(e.owner, start, next, "")
	return nil
}

// deleteFlow removes the neighbouring pairs all[from:to] of a map in braces, with one comma.
func (e *entryEdit) deleteFlow(all []pair, from, to int) error {
	if !e.braced(e.it.node) {
		return e.refuseLine(e.it.Line, "this entry is a pair without braces", "write the entry as a map")
	}
	last, err := e.valueEnd(all[to-1])
	if err != nil {
		return err
	}
	start, end := e.at(all[from].key), last
	if from > 0 {
		if start, err = e.valueEnd(all[from-1]); err != nil {
			return err
		}
	} else {
		end = e.at(all[to].key) // name is never deleted, so there is one
	}
	gap := start
	for i := from; i <= to && i < len(all); i++ {
		if gap < e.at(all[i].key) && e.hasComment(gap, e.at(all[i].key)) {
			return e.refuse(gap, "a comment stands between the keys of this entry", "move the comment above the entry")
		}
		if gap, err = e.valueEnd(all[i]); err != nil {
			return err
		}
	}
	e.replace(e.owner, start, end, "")
	return nil
}

// insert plans new keys after the entry's last one.
func (e *entryEdit) insert() error {
	if len(e.inserted) == 0 {
		return nil
	}
	how := e.quotingOfKeys(e.it.node)
	texts := make([]string, len(e.inserted))
	for i, f := range e.inserted {
		if reason := unwritable(e.values[f]); reason != "" {
			return &ChangeError{e.it.Name, "the new " + f.String() + " " + reason}
		}
		if tag := e.it.fields[fieldNewTag]; f == fieldDigest && tag.key != nil && e.marked(tag.value.Line-1) {
			e.warn(tag.value.Line, "a Flux setter marker gives this tag to another controller, and the new digest stays in force when it changes")
		}
		texts[i] = how.write(f.String()) + e.colon(e.it) + e.styleFor(f).write(e.values[f])
	}
	if e.flow() {
		if !e.braced(e.it.node) {
			return e.refuseLine(e.it.Line, "this entry is a pair without braces", "write the entry as a map")
		}
		return e.appendFlow(e.owner, e.it.node, texts)
	}
	all := pairs(e.it.node)
	column := all[0].key.Column
	for _, q := range all {
		if q.key.Column != column || e.explicitKey(q.key) {
			return e.refuseLine(q.key.Line, "the keys of this entry are written in an unusual way", "write each key on a line of its own")
		}
	}
	end, err := e.valueEnd(all[len(all)-1])
	if err != nil {
		return err
	}
	if !e.endsLine(end) {
		return e.refuse(end, "something follows this entry on its last line", "write one key per line")
	}
	for i := range texts {
		texts[i] = strings.Repeat(" ", column-1) + texts[i]
	}
	e.insertLines(e.owner, e.line(end), texts)
	return nil
}

// styleFor is the quoting of a new value: that of the other half, else of newName, else plain; a new newName follows name. In a
// map whose keys stand in double quotes values do too, as JSON demands.
func (e *entryEdit) styleFor(f field) quoting {
	if e.json || (e.flow() && e.quotingOfKeys(e.it.node) == double) {
		return double
	}
	like := map[field][]field{
		fieldNewTag:  {fieldDigest, fieldNewName},
		fieldDigest:  {fieldNewTag, fieldNewName},
		fieldNewName: {fieldName},
	}
	for _, g := range like[f] {
		if value := e.it.fields[g].value; value != nil && value.Kind == yaml.ScalarNode {
			return quotingOf(value)
		}
	}
	return plain
}

// quotingOfKeys is how the keys of a map are written, judged by the first.
func (d *document) quotingOfKeys(m *yaml.Node) quoting {
	if len(m.Content) == 0 {
		return plain
	}
	return quotingOf(m.Content[0])
}

// colon is what stands between a new key and its value: in flow style what the entry's name has.
func (e *entryEdit) colon(it *item) string {
	if !e.flow() {
		return ": "
	}
	return e.colonOf(it.fields[fieldName])
}

// colonOf is the text between a key and its value where that is a colon and spaces, else a colon and a space.
func (d *document) colonOf(q pair) string {
	if q.key == nil || q.key.Kind != yaml.ScalarNode || q.value.Kind != yaml.ScalarNode {
		return ": "
	}
	end, err := d.end(q.key)
	if err != nil || d.at(q.value) < end {
		return ": "
	}
	between := string(d.src[end:d.at(q.value)])
	if between == ":" && quotingOf(q.key) != double {
		return ": "
	}
	if strings.Trim(between, " ") != ":" {
		return ": "
	}
	return between
}

// explicitKey reports whether a key is written with a question mark.
func (d *document) explicitKey(key *yaml.Node) bool {
	before := strings.TrimRight(string(d.src[d.starts[d.line(d.at(key))]:d.at(key)]), " \t")
	return strings.HasSuffix(before, "?")
}

// braced reports whether a flow collection is written with its own brackets.
func (d *document) braced(n *yaml.Node) bool {
	body := d.skipProperties(d.at(n))
	return n.Style&yaml.FlowStyle != 0 && body < len(d.src) && d.src[body] == opening(n) &&
		(len(n.Content) == 0 || d.at(n.Content[0]) != body)
}
