package conform

import (
	"maps"
	"slices"

	"github.com/getkin/kin-openapi/openapi3"
)

// undocumented finds members of a value that none of its schemas knows. A schema allows them, as GitHub adds members before it
// describes them; but the bot must not send what GitHub does not know, nor the sandbox invent what GitHub does not say.
func undocumented(schemas []*openapi3.Schema, value any, at string) (found []string) {
	schemas = alternatives(schemas)
	switch v := value.(type) {
	case []any:
		var items []*openapi3.Schema
		for _, s := range schemas {
			if s.Items != nil {
				items = append(items, s.Items.Value)
			}
		}
		for _, item := range v {
			found = append(found, undocumented(items, item, at+"/*")...)
		}
	case map[string]any:
		described, open := false, false
		for _, s := range schemas {
			described = described || len(s.Properties) > 0 || s.AdditionalProperties.Schema != nil
			open = open || s.AdditionalProperties.Has != nil && *s.AdditionalProperties.Has
		}
		if !described {
			return nil // any object will do
		}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			var of []*openapi3.Schema
			for _, s := range schemas {
				if p := s.Properties[name]; p != nil {
					of = append(of, p.Value)
				} else if s.AdditionalProperties.Schema != nil {
					of = append(of, s.AdditionalProperties.Schema.Value)
				}
			}
			switch {
			case len(of) > 0:
				found = append(found, undocumented(of, v[name], at+"/"+name)...)
			case !open:
				found = append(found, at+"/"+name)
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// alternatives adds what schemas are composed of, however deep.
func alternatives(schemas []*openapi3.Schema) []*openapi3.Schema {
	var all []*openapi3.Schema
	var add func(*openapi3.Schema)
	add = func(s *openapi3.Schema) {
		if s == nil || slices.Contains(all, s) {
			return
		}
		all = append(all, s)
		for _, refs := range []openapi3.SchemaRefs{s.AllOf, s.AnyOf, s.OneOf} {
			for _, ref := range refs {
				add(ref.Value)
			}
		}
	}
	for _, s := range schemas {
		add(s)
	}
	return all
}
