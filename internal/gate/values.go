package gate

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

// structType is a Go struct, or the parameters of a policy, as policies see it: named, typed fields that the compiler checks.
type structType struct {
	cel    *types.Type
	fields []structField
	index  map[string]int
}

type structField struct {
	name string
	typ  *types.Type
	lack string // what an error says when the field is read although it has no value
	zero bool   // has() is false for what is empty, as in protocol buffers
	at   int    // index of the Go field
}

func newStructType(name string, fields []structField) *structType {
	t := &structType{cel: types.NewObjectType(name), fields: fields, index: make(map[string]int, len(fields))}
	for i, f := range fields {
		t.index[f.name] = i
	}
	return t
}

// object is a value of a structType. A field without a value is nil: has() is false for it and reading it is an error, which
// denies. So a policy cannot mistake "not known" for "long ago".
type object struct {
	typ    *structType
	values []ref.Val
}

func (o *object) ConvertToNative(t reflect.Type) (any, error) {
	return nil, fmt.Errorf("%s cannot become a Go %s", o.typ.cel.TypeName(), t)
}

func (o *object) ConvertToType(t ref.Type) ref.Val {
	return types.NewErr("%s cannot become a %s", o.typ.cel.TypeName(), t.TypeName())
}

// Equal compares identities: comparing contents could cost more than the comparison is charged.
func (o *object) Equal(other ref.Val) ref.Val { return types.Bool(other == ref.Val(o)) }
func (o *object) Type() ref.Type              { return o.typ.cel }
func (o *object) Value() any                  { return o }

// provider tells CEL's compiler and interpreter which types there are: those of the facts and parameters, and no others. No
// policy can construct one.
type provider struct {
	types.Provider
	structs map[string]*structType
}

func (p *provider) FindStructType(name string) (*types.Type, bool) {
	t, ok := p.structs[name]
	if !ok {
		return nil, false
	}
	return types.NewTypeTypeWithParam(t.cel), true
}

func (p *provider) FindStructFieldNames(name string) ([]string, bool) {
	t, ok := p.structs[name]
	if !ok {
		return nil, false
	}
	names := make([]string, len(t.fields))
	for i, f := range t.fields {
		names[i] = f.name
	}
	return names, true
}

func (p *provider) FindStructFieldType(name, field string) (*types.FieldType, bool) {
	t, ok := p.structs[name]
	if !ok {
		return nil, false
	}
	i, ok := t.index[field]
	if !ok {
		return nil, false
	}
	f := t.fields[i]
	value := func(target any) ref.Val {
		if o, ok := target.(*object); ok && o.typ == t {
			return o.values[i]
		}
		return nil
	}
	return &types.FieldType{
		Type: f.typ,
		IsSet: func(target any) bool {
			v := value(target)
			return v != nil && (!f.zero || !isEmpty(v))
		},
		GetFrom: func(target any) (any, error) {
			if v := value(target); v != nil {
				return v, nil
			}
			return nil, fmt.Errorf("%s", f.lack)
		},
	}, true
}

func (p *provider) NewValue(name string, _ map[string]ref.Val) ref.Val {
	return types.NewErr("a policy cannot make a %s", name)
}

func isEmpty(v ref.Val) bool {
	switch v := v.(type) {
	case types.Bool:
		return !bool(v)
	case traits.Sizer:
		return v.Size() == types.IntZero
	}
	return false
}

// schema turns Go structs into CEL types and values, by their JSON names.
type schema struct {
	adapter types.Adapter
	structs map[reflect.Type]*structType
}

// newSchema reads the structs that are reachable from sample.
func newSchema(adapter types.Adapter, sample any) (*schema, error) {
	s := &schema{adapter: adapter, structs: map[reflect.Type]*structType{}}
	_, err := s.celType(reflect.TypeOf(sample))
	return s, err
}

func (s *schema) celType(t reflect.Type) (*types.Type, error) {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return types.TimestampType, nil
	case t == reflect.TypeFor[time.Duration]():
		return types.DurationType, nil
	}
	switch t.Kind() {
	case reflect.String:
		return types.StringType, nil
	case reflect.Bool:
		return types.BoolType, nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return types.IntType, nil
	case reflect.Slice:
		elem, err := s.celType(t.Elem())
		return types.NewListType(elem), err
	case reflect.Map:
		if t.Key().Kind() != reflect.String {
			return nil, fmt.Errorf("%s: keys must be strings", t)
		}
		elem, err := s.celType(t.Elem())
		return types.NewMapType(types.StringType, elem), err
	case reflect.Struct:
		if known, ok := s.structs[t]; ok {
			return known.cel, nil
		}
		var fields []structField
		for i := range t.NumField() {
			name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
			if !t.Field(i).IsExported() || name == "" || name == "-" {
				continue
			}
			typ, err := s.celType(t.Field(i).Type)
			if err != nil {
				return nil, fmt.Errorf("%s.%s: %w", t.Name(), t.Field(i).Name, err)
			}
			fields = append(fields, structField{name: name, typ: typ, lack: name + " is not known", zero: true, at: i})
		}
		st := newStructType(t.Name(), fields)
		s.structs[t] = st
		return st.cel, nil
	}
	return nil, fmt.Errorf("policies cannot see a %s", t)
}

// value turns a Go value of a type of the schema into a CEL value. A zero time becomes nil: not known.
func (s *schema) value(v reflect.Value) ref.Val {
	switch x := v.Interface().(type) {
	case time.Time:
		if x.IsZero() {
			return nil
		}
		return types.Timestamp{Time: x.UTC()}
	case time.Duration:
		return types.Duration{Duration: x}
	}
	switch v.Kind() {
	case reflect.String:
		return types.String(v.String())
	case reflect.Bool:
		return types.Bool(v.Bool())
	case reflect.Slice:
		list := make([]ref.Val, 0, v.Len())
		for i := range v.Len() {
			if elem := s.value(v.Index(i)); elem != nil {
				list = append(list, elem)
			}
		}
		return types.NewRefValList(s.adapter, list)
	case reflect.Map:
		entries := make(map[ref.Val]ref.Val, v.Len())
		keys := make([]string, 0, v.Len())
		for key, elem := range v.Seq2() {
			if e := s.value(elem); e != nil {
				entries[types.String(key.String())] = e
				keys = append(keys, key.String())
			}
		}
		slices.Sort(keys)
		return &sortedMap{types.NewRefValMap(s.adapter, entries), s.adapter, keys}
	case reflect.Struct:
		st := s.structs[v.Type()]
		o := &object{st, make([]ref.Val, len(st.fields))}
		for i, f := range st.fields {
			o.values[i] = s.value(v.Field(f.at))
		}
		return o
	}
	return types.Int(v.Int()) // celType let nothing else through
}

// byName are the schema's types for a provider.
func (s *schema) byName() map[string]*structType {
	byName := make(map[string]*structType, len(s.structs))
	for st := range maps.Values(s.structs) {
		byName[st.cel.TypeName()] = st
	}
	return byName
}

// sortedMap is a map that policies iterate in the order of its keys, so that the same facts give the same sentence.
type sortedMap struct {
	traits.Mapper
	adapter types.Adapter
	keys    []string
}

func (m *sortedMap) Iterator() traits.Iterator {
	return types.NewStringList(m.adapter, m.keys).Iterator()
}
