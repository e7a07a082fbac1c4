package config

import (
	"encoding/json"
	"reflect"

	"github.com/invopop/jsonschema"
)

// SchemaRepo is the JSON Schema of .boatlift.yaml. It is made of the Go types that the file is read into.
func SchemaRepo() ([]byte, error) {
	return schema(repoFile{}, "Boatlift: an infra repository's .boatlift.yaml")
}

// SchemaBot is the JSON Schema of the bot's boatlift.yaml. It is made of the Go types that the file is read into.
func SchemaBot() ([]byte, error) {
	return schema(botFile{}, "Boatlift: the bot's boatlift.yaml")
}

func schema(shape any, title string) ([]byte, error) {
	r := jsonschema.Reflector{Anonymous: true, DoNotReference: true, Mapper: mapped}
	s := r.Reflect(shape)
	s.Title = title
	return json.MarshalIndent(s, "", "  ")
}

// mapped is the schema of the types that read themselves.
func mapped(t reflect.Type) *jsonschema.Schema {
	switch t {
	case reflect.TypeFor[text]():
		return &jsonschema.Schema{Type: "string"}
	case reflect.TypeFor[flag]():
		return &jsonschema.Schema{Type: "boolean"}
	case reflect.TypeFor[number]():
		return &jsonschema.Schema{Type: "integer"}
	case reflect.TypeFor[span]():
		return &jsonschema.Schema{Type: "string"}
	case reflect.TypeFor[secretSource]():
		return &jsonschema.Schema{Type: "string", Pattern: "^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$"}
	case reflect.TypeFor[notYet]():
		return &jsonschema.Schema{Not: &jsonschema.Schema{}}
	case reflect.TypeFor[group]():
		return &jsonschema.Schema{OneOf: []*jsonschema.Schema{
			{Const: "environment"},
			{Type: "array", Items: &jsonschema.Schema{Type: "array", Items: &jsonschema.Schema{Type: "string"}}},
		}}
	case reflect.TypeFor[policyUse]():
		return &jsonschema.Schema{OneOf: []*jsonschema.Schema{{Type: "string"}, {Type: "object"}}}
	default:
		return nil
	}
}
