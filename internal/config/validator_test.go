package config

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"testing"
	"unicode/utf8"
)

// validator knows the part of JSON Schema that the schemas use, and fails on any other, so that nothing is left unchecked.
type validator struct {
	t      testing.TB
	schema map[string]any
}

func newValidator(t testing.TB, schema func() ([]byte, error)) validator {
	t.Helper()
	text, err := schema()
	if err != nil {
		t.Fatal(err)
	}
	v := validator{t: t}
	if err := json.Unmarshal(text, &v.schema); err != nil {
		t.Fatal(err)
	}
	return v
}

// wrong is what the schema has against a file; empty if nothing.
func (v validator) wrong(text []byte) string {
	root := parse(text, &problems{})
	if root == nil {
		return "it cannot be read"
	}
	d := &decoder{problems: &problems{}, left: maxNodes}
	return v.check("", v.schema, d.plain(root))
}

// check holds a value against a schema.
func (v validator) check(path string, schema any, value any) string {
	if yes, ok := schema.(bool); ok {
		if !yes {
			return path + " is not allowed"
		}
		return ""
	}
	s := schema.(map[string]any)
	for keyword, want := range s {
		if what := v.keyword(path, s, keyword, want, value); what != "" {
			return what
		}
	}
	return ""
}

func (v validator) keyword(path string, s map[string]any, keyword string, want, value any) string {
	text, isText := value.(string)
	object, isObject := value.(map[string]any)
	list, isList := value.([]any)
	number, isNumber := asFloat(value)
	fail := func(format string, args ...any) string { return path + ": " + fmt.Sprintf(format, args...) }
	switch keyword {
	case "$schema", "title", "description", "default":
	case "type":
		is := map[string]bool{
			"string": isText, "object": isObject, "array": isList, "null": value == nil, "integer": isNumber && number == math.Trunc(number),
			"boolean": value == true || value == false,
		}
		known := false
		for name := range is {
			known = known || name == want
		}
		if !known {
			v.t.Fatalf("the type %v is not known", want)
		}
		if !is[want.(string)] {
			return fail("%v is no %v", value, want)
		}
	case "const":
		if !reflect.DeepEqual(value, want) {
			return fail("%v is not %v", value, want)
		}
	case "enum":
		if !slices.ContainsFunc(want.([]any), func(one any) bool { return reflect.DeepEqual(one, value) }) {
			return fail("%v is none of %v", value, want)
		}
	case "not":
		if v.check(path, want, value) == "" {
			return fail("it is refused")
		}
	case "anyOf":
		if !slices.ContainsFunc(want.([]any), func(one any) bool { return v.check(path, one, value) == "" }) {
			return fail("%v fits none of %v", value, want)
		}
	case "oneOf":
		fits := 0
		for _, one := range want.([]any) {
			if v.check(path, one, value) == "" {
				fits++
			}
		}
		if fits != 1 {
			return fail("%v fits %d of %v", value, fits, want)
		}
	case "minLength":
		if isText && utf8.RuneCountInString(text) < int(want.(float64)) {
			return fail("%q is too short", text)
		}
	case "maxLength":
		if isText && utf8.RuneCountInString(text) > int(want.(float64)) {
			return fail("%q is too long", text)
		}
	case "pattern":
		if isText && !regexp.MustCompile(want.(string)).MatchString(text) {
			return fail("%q does not match %v", text, want)
		}
	case "minimum":
		if isNumber && number < want.(float64) {
			return fail("%v is too small", number)
		}
	case "maximum":
		if isNumber && number > want.(float64) {
			return fail("%v is too large", number)
		}
	case "maxItems":
		if isList && len(list) > int(want.(float64)) {
			return fail("it has too many items")
		}
	case "minItems":
		if isList && len(list) < int(want.(float64)) {
			return fail("it has too few items")
		}
	case "items":
		for i, item := range list {
			if what := v.check(fmt.Sprintf("%s[%d]", path, i), want, item); what != "" {
				return what
			}
		}
	case "minProperties":
		if isObject && len(object) < int(want.(float64)) {
			return fail("it has too few keys")
		}
	case "maxProperties":
		if isObject && len(object) > int(want.(float64)) {
			return fail("it has too many keys")
		}
	case "required":
		for _, key := range want.([]any) {
			if _, ok := object[key.(string)]; isObject && !ok {
				return fail("it lacks %v", key)
			}
		}
	case "dependentRequired":
		for key, others := range want.(map[string]any) {
			if _, ok := object[key]; ok {
				if what := v.keyword(path, s, "required", others, value); what != "" {
					return what
				}
			}
		}
	case "properties":
		for key, schema := range want.(map[string]any) {
			if inner, ok := object[key]; ok {
				if what := v.check(path+"."+key, schema, inner); what != "" {
					return what
				}
			}
		}
	case "additionalProperties":
		properties, _ := s["properties"].(map[string]any)
		for key := range object {
			if _, ok := properties[key]; !ok && want == false {
				return fail("the key %s is not known", key)
			}
		}
	default:
		v.t.Fatalf("the keyword %s is not known", keyword)
	}
	return ""
}

func asFloat(value any) (float64, bool) {
	switch n := value.(type) {
	case int64:
		return float64(n), true
	case uint64:
		return float64(n), true
	case float64:
		return n, true
	default:
		return 0, false
	}
}
