package kustomize

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// addEntries plans new entries for the changes at the given indexes, in this order.
func (p *plan) addEntries(adds []int, changes []Change) error {
	fresh := make([][]keyValue, 0, len(adds))
	for _, i := range adds {
		entry, err := newEntry(changes[i])
		if err != nil {
			return err
		}
		want := make([]pairWant, len(entry))
		for j, kv := range entry {
			want[j] = pairWant{changed: true, key: kv.key, value: kv.value}
			p.changes[i].Fields = append(p.changes[i].Fields, FieldChange{Field: kv.key, New: kv.value})
		}
		p.added = append(p.added, want)
		p.changes[i].Added = true
		p.changes[i].Index = p.listed() + len(fresh)
		fresh = append(fresh, entry)
	}
	for _, i := range adds {
		p.leaders[i] = adds[0]
	}
	switch {
	case p.list != nil && (p.list.Kind == yaml.AliasNode || p.aliased[p.list]):
		return p.refuseLine(p.list.Line, "images is shared through an alias", "write the list out in both places")
	case p.list == nil && p.root != nil && p.root.Style&yaml.FlowStyle != 0:
		return p.addFlowKey(adds, fresh)
	case p.list == nil:
		return p.addBlockKey(adds, fresh)
	case p.list.Kind == yaml.SequenceNode && len(p.list.Content) > 0 && p.list.Style&yaml.FlowStyle != 0:
		return p.addToFlowList(adds, fresh)
	case p.list.Kind == yaml.SequenceNode && len(p.list.Content) > 0:
		return p.addToBlockList(adds, fresh)
	case p.root.Style&yaml.FlowStyle != 0:
		return p.fillFlowList(adds, fresh)
	}
	return p.fillBlockList(adds, fresh)
}

// listed is the number of entries under images.
func (p *plan) listed() int {
	n := 0
	for _, it := range p.items {
		if !it.Deprecated {
			n++
		}
	}
	return n
}

// keyValue is a field of a new entry.
type keyValue struct {
	field      field
	key, value string
}

// newEntry is the entry that a change adds: name first, then what is given.
func newEntry(c Change) ([]keyValue, error) {
	value := func(v *string) string {
		if v == nil {
			return ""
		}
		return *v
	}
	newName, tag, digest := value(c.NewName), value(c.Tag), value(c.Digest)
	if newName == c.Name && tag+digest != "" {
		newName = "" // it would say nothing
	}
	if newName+tag+digest == "" {
		return nil, &ChangeError{c.Name, "a new entry needs a newName, a tag or a digest"}
	}
	var out []keyValue
	for _, kv := range []keyValue{{fieldName, "name", c.Name}, {fieldNewName, "newName", newName}, {fieldNewTag, "newTag", tag}, {fieldDigest, "digest", digest}} {
		if kv.value == "" {
			continue
		}
		if reason := unwritable(kv.value); reason != "" {
			return nil, &ChangeError{c.Name, fmt.Sprintf("the new %s %s", kv.key, reason)}
		}
		out = append(out, kv)
	}
	return out, nil
}

// looks is how new entries are written, copied from one that is there.
type looks struct {
	keys   quoting
	values [fieldCount]quoting
	colon  string
}

// looksOf copies from the last entry; without one everything is plain, in JSON quoted.
func (p *plan) looksOf(like *yaml.Node, inFlow bool) looks {
	l := looks{colon: ": "}
	if p.root != nil && inFlow && p.root.Style&yaml.FlowStyle != 0 {
		l.keys = p.quotingOfKeys(p.root)
	}
	if p.json && p.minified() {
		l.colon = ":"
	}
	if like != nil && like.Kind == yaml.MappingNode && len(like.Content) > 0 {
		it := p.item(like)
		l.keys = p.quotingOfKeys(like)
		name := quotingOf(it.fields[fieldName].value)
		for f := range fieldCount {
			l.values[f] = plain
			if v := it.fields[f].value; v != nil {
				l.values[f] = quotingOf(v)
			}
		}
		if it.fields[fieldNewName].value == nil {
			l.values[fieldNewName] = name
		}
		if inFlow {
			l.colon = p.colonOf(it.fields[fieldName])
		}
		for _, half := range [][2]field{{fieldNewTag, fieldDigest}, {fieldDigest, fieldNewTag}} {
			if it.fields[half[0]].value == nil {
				l.values[half[0]] = quotingOf(it.fields[half[1]].value)
			}
		}
	}
	if p.json || (inFlow && l.keys == double) {
		l.keys = double
		for f := range fieldCount {
			l.values[f] = double
		}
	}
	return l
}

// write gives an entry's "key: value" texts.
func (l looks) write(entry []keyValue) []string {
	texts := make([]string, len(entry))
	for i, kv := range entry {
		texts[i] = l.keys.write(kv.key) + l.colon + l.values[kv.field].write(kv.value)
	}
	return texts
}

// addToFlowList appends to a list in brackets that has entries.
func (p *plan) addToFlowList(adds []int, fresh [][]keyValue) error {
	last := p.list.Content[len(p.list.Content)-1]
	var texts []string
	for _, entry := range fresh {
		texts = append(texts, p.flowEntry(last, p.looksOf(last, true).write(entry)))
	}
	return p.appendFlow(adds[0], p.list, texts)
}

// addToBlockList appends to a list with dashes, each entry written as the last one is.
func (p *plan) addToBlockList(adds []int, fresh [][]keyValue) error {
	last := p.list.Content[len(p.list.Content)-1]
	end, err := p.end(last)
	if err != nil {
		return err
	}
	if !p.endsLine(end) {
		return p.refuse(end, "something follows the last entry on its line", "write one entry per line")
	}
	dash, ok := p.dash(last)
	if !ok {
		return p.refuseLine(last.Line, "cannot tell where the dash of the last entry stands", "write the dash on the line of the entry's first key")
	}
	begin := p.at(last)
	prefix, column := string(p.src[p.starts[p.line(dash)]:dash])+"- ", dash-p.starts[p.line(dash)]+2
	var alone []string // a dash on a line of its own
	if last.Kind == yaml.MappingNode && last.Anchor == "" && last.Style&yaml.TaggedStyle == 0 {
		switch {
		case p.line(begin) == p.line(dash):
			prefix = string(p.src[p.starts[p.line(dash)]:begin])
			column = last.Column - 1
		case p.startsLine(begin):
			alone = []string{prefix[:len(prefix)-1]}
			prefix, column = p.indent(p.line(begin)), last.Column-1
		}
	}
	if strings.Trim(prefix, " \t-") != "" {
		return p.refuse(dash, "this list does not begin its line", "write images: and its list on lines of their own")
	}
	inFlow := last.Style&yaml.FlowStyle != 0
	l := p.looksOf(last, inFlow)
	for i, entry := range fresh {
		texts := l.write(entry)
		if inFlow {
			texts = []string{p.flowEntry(last, texts)}
		}
		texts[0] = prefix + texts[0]
		for j := 1; j < len(texts); j++ {
			texts[j] = strings.Repeat(" ", column) + texts[j]
		}
		p.insertLines(adds[i], p.line(end), append(alone[:len(alone):len(alone)], texts...))
	}
	return nil
}

// dash finds the dash before an item of a block list.
func (p *plan) dash(n *yaml.Node) (int, bool) {
	begin := p.at(n)
	line := p.line(begin)
	before := strings.TrimRight(string(p.src[p.starts[line]:begin]), " \t")
	for before == "" && line > 0 {
		line--
		text, _, _ := strings.Cut(p.text(line), "#")
		before = strings.TrimRight(text, " \t")
	}
	if !strings.HasSuffix(before, "-") || strings.Trim(before[:len(before)-1], " ") != "" {
		return 0, false
	}
	return p.starts[line] + len(before) - 1, true
}

// blockItems writes new entries with dashes where there is none to copy from.
func (p *plan) blockItems(fresh []keyValue) []string {
	indent := strings.Repeat(" ", p.rootColumn()-1+p.listIndent())
	texts := p.looksOf(nil, false).write(fresh)
	for i := range texts {
		if i == 0 {
			texts[i] = indent + "- " + texts[i]
		} else {
			texts[i] = indent + "  " + texts[i]
		}
	}
	return texts
}

// rootColumn is the column of the file's keys.
func (p *plan) rootColumn() int {
	if p.root == nil || len(p.root.Content) == 0 {
		return 1
	}
	return p.root.Content[0].Column
}

// listIndent is how far the dashes of the file's lists stand right of their key: what most lists do, else 0 as kustomize writes.
func (p *plan) listIndent() int {
	if p.root == nil {
		return 0
	}
	counts := map[int]int{}
	best := 0
	for _, q := range pairs(p.root) {
		v := q.value
		if v.Kind != yaml.SequenceNode || v.Style&yaml.FlowStyle != 0 || v.Line == q.key.Line {
			continue
		}
		by := v.Column - q.key.Column
		counts[by]++
		if counts[by] > counts[best] {
			best = by
		}
	}
	return best
}

// fillBlockList gives an images key without entries its first ones.
func (p *plan) fillBlockList(adds []int, fresh [][]keyValue) error {
	if p.list.Anchor != "" || p.list.Style&yaml.TaggedStyle != 0 {
		return p.refuseLine(p.list.Line, "the empty images list is anchored or tagged", "remove the anchor or tag")
	}
	colon, err := p.emptyEnd(p.key)
	if err != nil {
		return err
	}
	end, err := p.valueEnd(pair{p.key, p.list})
	if err != nil {
		return err
	}
	if p.src[colon-1] != ':' || !p.endsLine(end) {
		return p.refuse(colon, "something follows images on its line", "write images: on a line of its own")
	}
	if end > colon {
		// Only white space and the empty list itself may go.
		if between := string(p.src[colon:end]); strings.Trim(between, " \t\r\n[]~nulNUL") != "" {
			return p.refuse(colon, "the empty images list holds a comment", "remove the comment")
		}
		p.replace(adds[0], colon, end, "")
	}
	for i, entry := range fresh {
		p.insertLines(adds[i], p.line(end), p.blockItems(entry))
	}
	return nil
}

// fillFlowList does the same in a file in braces.
func (p *plan) fillFlowList(adds []int, fresh [][]keyValue) error {
	l := p.looksOf(nil, true)
	var texts []string
	for _, entry := range fresh {
		texts = append(texts, p.flowEntry(nil, l.write(entry)))
	}
	if p.list.Kind == yaml.SequenceNode {
		return p.appendFlow(adds[0], p.list, texts)
	}
	place, err := p.scalar(p.list, "images")
	if err != nil {
		return err
	}
	p.replace(adds[0], place.start, place.end, "["+strings.Join(texts, ", ")+"]")
	return nil
}

// addFlowKey gives a file in braces an images key.
func (p *plan) addFlowKey(adds []int, fresh [][]keyValue) error {
	if !p.braced(p.root) {
		return p.refuseLine(p.root.Line, "cannot tell where the map ends", "write the file in braces or in block style")
	}
	l := p.looksOf(nil, true)
	var texts []string
	for _, entry := range fresh {
		texts = append(texts, p.flowEntry(nil, l.write(entry)))
	}
	separator := ", "
	if p.json && p.minified() {
		separator = ","
	}
	return p.appendFlow(adds[0], p.root, []string{l.keys.write("images") + l.colon + "[" + strings.Join(texts, separator) + "]"})
}

// addBlockKey gives a file an images key, after the last line that is not blank: after comments, which belong to what stands
// above them.
func (p *plan) addBlockKey(adds []int, fresh [][]keyValue) error {
	line, err := p.lastLine()
	if err != nil {
		return err
	}
	var key quoting
	if p.root != nil {
		key = p.quotingOfKeys(p.root)
		for _, q := range pairs(p.root) {
			if q.key.Column != p.rootColumn() || p.explicitKey(q.key) || !p.startsLine(p.at(q.key)) {
				return p.refuseLine(q.key.Line, "the keys of this file are written in an unusual way", "add images: by hand")
			}
		}
	}
	for i, entry := range fresh {
		lines := p.blockItems(entry)
		if i == 0 {
			lines = append([]string{strings.Repeat(" ", p.rootColumn()-1) + key.write("images") + ":"}, lines...)
		}
		p.insertLines(adds[i], line, lines)
	}
	return nil
}

// lastLine is the line after which a new top-level key goes.
func (p *plan) lastLine() (int, error) {
	last, line := len(p.starts)-1, 0
	if p.root != nil {
		end, err := p.lastEnd(p.root)
		if err != nil {
			return 0, err
		}
		line = p.line(end)
		if !p.endsLine(end) {
			return 0, p.refuse(end, "something follows the last field on its line", "add images: by hand")
		}
	}
	for i := line; i <= last; i++ {
		switch {
		case p.blank(i):
		case p.root != nil && i > line && !p.commentOnly(i):
			return line, nil // the mark of the document's end
		default:
			line = i
		}
	}
	return line, nil
}
