package config

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/boatlift/boatlift/internal/didyoumean"
)

// field is a key of a file, as the tags of a Go field describe it. The schemas are made of the same tags, so that they and the
// decoder know the same keys.
//
//	json:"name"            the key; with omitempty it may be left out
//	eg:"name: production"  what would be right, for errors
//	jsonschema:"enum=a"    the only words allowed
type field struct {
	key      string
	example  string
	enum     []string
	required bool
	index    int
}

func fieldsOf(t reflect.Type) []field {
	var fields []field
	for i := range t.NumField() {
		f := t.Field(i)
		tag, ok := f.Tag.Lookup("json")
		if !ok {
			continue
		}
		key, options, _ := strings.Cut(tag, ",")
		var enum []string
		for option := range strings.SplitSeq(f.Tag.Get("jsonschema"), ",") {
			if word, ok := strings.CutPrefix(option, "enum="); ok {
				enum = append(enum, word)
			}
		}
		fields = append(fields, field{key, f.Tag.Get("eg"), enum, options != "omitempty", i})
	}
	return fields
}

// right is what to write for the field.
func (f field) right() string {
	if len(f.enum) > 0 {
		return "write " + alternatives(f.enum)
	}
	return "write " + f.example
}

// decoder fills the Go values that have the shape of a file.
type decoder struct {
	*problems
	quiet bool // nothing that the file says is repeated: it may be a secret
	left  int  // how many nodes may still be read
}

// reader is a value that reads itself.
type reader interface {
	read(d *decoder, n *node, f field)
}

// decode fills shape, a pointer to a struct, from the root of a file.
func decode(root *node, shape any, example string, found *problems, quiet bool) {
	d := &decoder{problems: found, quiet: quiet, left: maxNodes}
	d.value(root, reflect.ValueOf(shape).Elem(), field{key: "the file", example: example})
	if d.left < 0 {
		found.add(root, "the file has too many values, or its aliases repeat too much", "no configuration needs that much")
	}
}

// spend tells whether another node may be read.
func (d *decoder) spend() bool {
	d.left--
	return d.left >= 0
}

func (d *decoder) value(n *node, into reflect.Value, f field) {
	if !d.spend() {
		return
	}
	if p, ok := into.Addr().Interface().(interface{ setPlace(place) }); ok {
		p.setPlace(n.place)
	}
	if r, ok := into.Addr().Interface().(reader); ok {
		r.read(d, n, f)
		return
	}
	switch into.Kind() {
	case reflect.Pointer:
		into.Set(reflect.New(into.Type().Elem()))
		d.left++ // the same node
		d.value(n, into.Elem(), f)
	case reflect.Struct:
		if d.is(n, mapping, f) {
			d.object(n, into)
		}
	case reflect.Slice:
		if !d.is(n, sequence, f) {
			return
		}
		item := f
		item.key = "an item of " + f.key
		for _, from := range n.items {
			if d.left < 0 {
				return
			}
			to := reflect.New(into.Type().Elem()).Elem()
			d.value(from, to, item)
			into.Set(reflect.Append(into, to))
		}
	default:
		panic("config: no file can be decoded into " + into.Type().String())
	}
}

// is notes a problem where a value is of another kind.
func (d *decoder) is(n *node, want kind, f field) bool {
	switch {
	case n.kind == want:
		return true
	case n.kind == nothing:
		right := f.right()
		if !f.required {
			right += ", or leave the key out"
		}
		d.add(n, f.key+" says nothing", right)
	case want == scalarText && n.kind == scalarNumber && len(f.enum) == 0 && !d.quiet:
		d.add(n, f.key+" must be text, and "+strings.Trim(shown(n.text), `"`)+" is a number", "put it in quotes: "+shown(n.text))
	default:
		d.add(n, f.key+" must be "+(&node{kind: want}).described()+", and is "+n.described(), f.right())
	}
	return false
}

func (d *decoder) object(n *node, into reflect.Value) {
	fields := fieldsOf(into.Type())
	keys := make([]string, len(fields))
	for i, f := range fields {
		keys[i] = f.key
	}
	shape := into.Addr().Interface().(interface {
		begin()
		give(key string)
	})
	shape.begin()
	for _, p := range n.pairs {
		shape.give(p.key)
		i := slices.Index(keys, p.key)
		if i < 0 {
			d.spend()
			d.unknown(p, keys)
			continue
		}
		d.value(p.value, into.Field(fields[i].index), fields[i])
	}
	for _, f := range fields {
		if _, given := n.get(f.key); f.required && !given {
			d.add(n, f.key+" is missing", "write "+f.example)
		}
	}
}

func (d *decoder) unknown(p pair, keys []string) {
	what := "there is no key " + shown(p.key) + " here"
	if d.quiet && didyoumean.Word(p.key, keys) == "" {
		what = "there is no such key here" // it may be half of a secret
	}
	if word := didyoumean.Word(p.key, keys); word != "" {
		d.add(p.where, what, "did you mean "+word+"?")
		return
	}
	if len(keys) == 1 {
		d.add(p.where, what, "the only key here is "+keys[0])
		return
	}
	d.add(p.where, what, "the keys here are "+list(keys))
}

// text is a key with text. It is not set where the key is left out or wrong.
type text struct {
	place
	set   bool
	value string
}

func (t *text) read(d *decoder, n *node, f field) {
	if !d.is(n, scalarText, f) {
		return
	}
	s := n.value.(string)
	switch {
	case s == "":
		d.add(n, f.key+" is empty", f.right())
	case len(f.enum) > 0 && !slices.Contains(f.enum, s):
		what := shown(s) + " is no value of " + f.key
		if d.quiet && didyoumean.Word(s, f.enum) == "" {
			what = f.key + " has no such value"
		}
		d.add(n, what, choice(s, f.enum))
	default:
		t.set, t.value = true, s
	}
}

// or is the text, or another where none is set.
func (t text) or(other string) string {
	if t.set {
		return t.value
	}
	return other
}

// boolean is a key with true or false.
type boolean struct {
	place
	set, value bool
}

func (b *boolean) read(d *decoder, n *node, f field) {
	if d.is(n, scalarBool, f) {
		b.set, b.value = true, n.value.(bool)
	}
}

// number is a key with a whole number that is not negative.
type number struct {
	place
	set   bool
	value int64
}

func (i *number) read(d *decoder, n *node, f field) {
	if !d.is(n, scalarNumber, f) {
		return
	}
	const most = 1 << 53 // what JSON Schema's tools can tell apart
	var v int64 = -1
	switch raw := n.value.(type) {
	case int64:
		v = raw
	case uint64:
		if raw <= most {
			v = int64(raw)
		}
	}
	if v < 0 || v > most {
		d.add(n, f.key+" must be a whole number, not negative", f.right())
		return
	}
	i.set, i.value = true, v
}

// durationPattern is what people write: no signs, and nothing below a millisecond.
var durationPattern = regexp.MustCompile(`^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`)

// span is a key with a duration.
type span struct {
	place
	set   bool
	value time.Duration
}

func (s *span) read(d *decoder, n *node, f field) {
	if n.kind == scalarNumber {
		d.add(n, f.key+" lacks a unit", f.right())
		return
	}
	if !d.is(n, scalarText, f) {
		return
	}
	written := n.value.(string)
	v, err := time.ParseDuration(written)
	if err != nil || !durationPattern.MatchString(written) {
		d.add(n, f.key+" is no duration", "write a number with its unit, as 90s, 5m or 1h30m")
		return
	}
	s.set, s.value = true, v
}

// notYet is a key that a later version will know. It is refused, as what is not enforced must not look as if it were.
type notYet struct{ place }

func (*notYet) read(d *decoder, n *node, f field) {
	d.add(n, "this version of boatlift does not know "+f.key+" yet", "leave it out: "+f.example)
}
