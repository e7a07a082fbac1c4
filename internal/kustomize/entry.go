package kustomize

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Entry is one item of a kustomization's images as it stands in a file. Empty means absent or null.
type Entry struct {
	Index     int    // position among the file's entries, from 0
	Line      int    // 1-based, where the item's first key stands
	Name      string // what the manifests call the image; often a placeholder, sometimes a pattern
	NewName   string
	NewTag    string // may carry a digest: "1.2@sha256:…"
	Digest    string
	TagSuffix string

	// Marked is true where a Flux setter marker stands on one of the item's lines: another controller owns that line.
	Marked bool
	// Deprecated is true for an entry of imageTags, the old name of images: kustomize applies it, Edit refuses it.
	Deprecated bool
}

// Image is the image that the entry deploys: NewName where there is one, else Name.
func (e Entry) Image() string {
	if e.NewName != "" {
		return e.NewName
	}
	return e.Name
}

// Read lists the images that a kustomization sets, in the order of the file. It is lenient: what [Edit] would refuse is listed
// too, with merge keys and aliases resolved, as long as the file is YAML within bounds; else the error is a [*RefusedError].
// Of several documents the first counts, as in kustomize.
func Read(path string, src []byte) ([]Entry, error) {
	d, err := parse(path, src)
	if err != nil {
		return nil, err
	}
	items := d.items()
	entries := make([]Entry, 0, len(items))
	for _, it := range items {
		entries = append(entries, it.Entry)
	}
	return entries, nil
}

// field is a key of an entry that can be changed.
type field int

const (
	fieldNewName field = iota
	fieldNewTag
	fieldDigest
	fieldName      // never changed
	fieldTagSuffix // never changed
	fieldCount
)

func (f field) String() string {
	switch f {
	case fieldNewName:
		return "newName"
	case fieldNewTag:
		return "newTag"
	case fieldDigest:
		return "digest"
	case fieldTagSuffix:
		return "tagSuffix"
	default:
		return "name"
	}
}

// item is an entry and the nodes behind it.
type item struct {
	Entry
	node   *yaml.Node // what stands in the list, aliases not resolved
	fields [fieldCount]pair
	twice  *yaml.Node // a key that names a field for the second time
	merge  *yaml.Node // a merge key
}

// lists finds the keys of the root that are images and imageTags, in whatever case.
func (d *document) lists() (images, deprecated []pair) {
	if d.root == nil || d.root.Kind != yaml.MappingNode {
		return nil, nil
	}
	return named(d.root, "images"), named(d.root, "imageTags")
}

// named lists a mapping's pairs of this name, in whatever case, the one that counts last. Of keys that differ in case kustomize
// takes the last by the order of their bytes, because it sorts them; of equal keys the last in the file.
func named(m *yaml.Node, name string) []pair {
	var out []pair
	for i := 0; i+1 < len(m.Content); i += 2 {
		if key, ok := scalarText(m.Content[i]); ok && strings.EqualFold(key, name) && !isMerge(m.Content[i]) {
			out = append(out, pair{m.Content[i], m.Content[i+1]})
		}
	}
	slices.SortStableFunc(out, func(a, b pair) int { return strings.Compare(resolve(a.key).Value, resolve(b.key).Value) })
	return out
}

// items lists what can be read as an entry.
func (d *document) items() []item {
	images, deprecated := d.lists()
	var items []item
	for i, all := range [][]pair{images, deprecated} {
		if len(all) == 0 {
			continue
		}
		list := resolve(all[len(all)-1].value)
		if list.Kind != yaml.SequenceNode {
			continue
		}
		for _, n := range list.Content {
			if resolve(n).Kind != yaml.MappingNode {
				continue
			}
			it := d.item(n)
			it.Index, it.Deprecated = len(items), i > 0
			items = append(items, it)
		}
	}
	return items
}

func (d *document) item(n *yaml.Node) item {
	m := resolve(n)
	it := item{node: n}
	it.Line = n.Line
	if n == m && len(m.Content) > 0 {
		it.Line = m.Content[0].Line
	}
	for i := 0; i+1 < len(m.Content); i += 2 {
		q := pair{m.Content[i], m.Content[i+1]}
		if isMerge(q.key) {
			it.merge = q.key
			continue
		}
		key, ok := scalarText(q.key)
		if !ok {
			continue
		}
		for f := range fieldCount {
			if !strings.EqualFold(key, f.String()) {
				continue
			}
			before := it.fields[f]
			if before.key != nil {
				it.twice = q.key
			}
			if before.key == nil || resolve(before.key).Value <= key {
				it.fields[f] = q // as kustomize takes it, see named
			}
		}
	}
	it.Name, it.NewName, it.NewTag = it.read(fieldName), it.read(fieldNewName), it.read(fieldNewTag)
	it.Digest, it.TagSuffix = it.read(fieldDigest), it.read(fieldTagSuffix)
	for _, p := range it.fields {
		if p.value != nil && n == m && (d.marked(p.key.Line-1) || d.marked(p.value.Line-1)) {
			it.Marked = true
		}
	}
	return it
}

// read is the text of a field, from a merge key where the entry does not say it itself.
func (it *item) read(f field) string {
	if it.fields[f].key == nil && it.merge != nil {
		return lookup(resolve(it.node), f.String(), 0)
	}
	text, _ := scalarText(it.fields[f].value)
	return text
}

// lookup reads a mapping's value by key, through merge keys: what the mapping says itself goes before what it merges.
func lookup(m *yaml.Node, key string, depth int) string {
	if m == nil || m.Kind != yaml.MappingNode || depth > maxDepth {
		return ""
	}
	if own := named(m, key); len(own) > 0 {
		text, _ := scalarText(own[len(own)-1].value)
		return text
	}
	for _, p := range pairs(m) {
		if !isMerge(p.key) {
			continue
		}
		merged := resolve(p.value)
		if merged.Kind != yaml.SequenceNode {
			return lookup(merged, key, depth+1)
		}
		for _, n := range merged.Content {
			if text := lookup(resolve(n), key, depth+1); text != "" {
				return text
			}
		}
	}
	return ""
}
