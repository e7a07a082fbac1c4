package config

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/invopop/jsonschema"

	"github.com/boatlift/boatlift/internal/gate"
)

// SchemaRepo is the JSON Schema of .boatlift.yaml. It is made of the Go types that the file is read into, and of the policies that
// ship with the bot.
func SchemaRepo() ([]byte, error) { return shippedSchema(SchemaRepoWith) }

// SchemaBot is the JSON Schema of the bot's boatlift.yaml, made as SchemaRepo is.
func SchemaBot() ([]byte, error) { return shippedSchema(SchemaBotWith) }

// SchemaRepoWith is SchemaRepo for other policies than those that ship with the bot.
func SchemaRepoWith(policies []gate.Description) ([]byte, error) {
	return schema(repoFile{}, "Boatlift: the .boatlift.yaml of an infra repository", policies)
}

// SchemaBotWith is SchemaBot for other policies than those that ship with the bot.
func SchemaBotWith(policies []gate.Description) ([]byte, error) {
	return schema(botFile{}, "Boatlift: the bot's own boatlift.yaml", policies)
}

func shippedSchema(of func([]gate.Description) ([]byte, error)) ([]byte, error) {
	engine, err := gate.New()
	if err != nil {
		return nil, fmt.Errorf("read the policies: %w", err)
	}
	return of(engine.Policies())
}

func schema(shape any, title string, policies []gate.Description) ([]byte, error) {
	r := jsonschema.Reflector{Anonymous: true, DoNotReference: true, Mapper: mapper{policySchema(policies)}.schema}
	s := r.Reflect(shape)
	s.Title = title
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the schema: %w", err)
	}
	// Escaped for HTML by the library, which only makes ranges hard to read.
	return []byte(strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(string(text))), nil
}

// mapper knows the schemas of the types that read themselves.
type mapper struct{ policy *jsonschema.Schema }

func (m mapper) schema(t reflect.Type) *jsonschema.Schema {
	one := uint64(1)
	switch t {
	case reflect.TypeFor[text]():
		return &jsonschema.Schema{Type: "string", MinLength: &one}
	case reflect.TypeFor[boolean]():
		return &jsonschema.Schema{Type: "boolean"}
	case reflect.TypeFor[number]():
		return &jsonschema.Schema{Type: "integer"}
	case reflect.TypeFor[span]():
		return &jsonschema.Schema{Type: "string", Pattern: durationPattern.String()}
	case reflect.TypeFor[every]():
		return &jsonschema.Schema{Type: "string", Pattern: "^off$|" + durationPattern.String()}
	case reflect.TypeFor[secretSource]():
		return secretSchema()
	case reflect.TypeFor[secretSources]():
		most := uint64(maxSecrets)
		return &jsonschema.Schema{OneOf: []*jsonschema.Schema{secretSchema(), {Type: "array", MinItems: &one, MaxItems: &most, Items: secretSchema()}}}
	case reflect.TypeFor[settings]():
		return &jsonschema.Schema{Type: "object", AdditionalProperties: &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Type: "string"}, {Type: "number"}}}}
	case reflect.TypeFor[notYet]():
		return &jsonschema.Schema{Not: &jsonschema.Schema{}}
	case reflect.TypeFor[group]():
		member := &jsonschema.Schema{Type: "string", MinLength: &one}
		return &jsonschema.Schema{OneOf: []*jsonschema.Schema{
			{Const: "environment"},
			{Type: "array", MinItems: &one, Items: &jsonschema.Schema{Type: "array", MinItems: &one, Items: member}},
		}}
	case reflect.TypeFor[check]():
		return &jsonschema.Schema{OneOf: []*jsonschema.Schema{{Type: "string", MinLength: &one}, m.inside(checkMap{})}}
	case reflect.TypeFor[policyUse]():
		return m.policy
	default:
		return nil
	}
}

func secretSchema() *jsonschema.Schema {
	return &jsonschema.Schema{Type: "string", Pattern: `^(env:[A-Za-z_][A-Za-z0-9_]*|file:.*\S.*)$`}
}

// inside is the schema of a map within a value that reads itself.
func (m mapper) inside(shape any) *jsonschema.Schema {
	r := jsonschema.Reflector{Anonymous: true, DoNotReference: true, Mapper: m.schema}
	s := r.Reflect(shape)
	s.Version = ""
	return s
}

// policySchema allows the name of a policy that needs no parameters, or a map of one policy and its parameters.
func policySchema(policies []gate.Description) *jsonschema.Schema {
	one := uint64(1)
	bare := &jsonschema.Schema{Type: "string"}
	with := &jsonschema.Schema{
		Type: "object", Properties: jsonschema.NewProperties(), MinProperties: &one, MaxProperties: &one, AdditionalProperties: jsonschema.FalseSchema,
	}
	for _, about := range policies {
		if about.Builtin {
			continue
		}
		params := &jsonschema.Schema{
			Type: "object", Properties: jsonschema.NewProperties(), AdditionalProperties: jsonschema.FalseSchema,
		}
		says := about.Title + ". " + strings.Join(strings.Fields(about.Description), " ")
		for _, p := range about.Parameters {
			s := parameterSchema(p.Type)
			s.Description = strings.TrimSpace(p.Description)
			for _, v := range p.Values {
				s.Enum = append(s.Enum, v)
			}
			if p.Required {
				params.Required = append(params.Required, p.Name)
			}
			params.Properties.Set(p.Name, s)
		}
		if len(params.Required) == 0 {
			bare.Enum = append(bare.Enum, about.Name)
			params = &jsonschema.Schema{OneOf: []*jsonschema.Schema{{Type: "null"}, params}}
		}
		params.Description = says
		with.Properties.Set(about.Name, params)
	}
	return &jsonschema.Schema{OneOf: []*jsonschema.Schema{bare, with}}
}

// parameterSchema is the schema of a parameter type of package gate. What a schema cannot tell is left to the check.
func parameterSchema(name string) *jsonschema.Schema {
	if inner, ok := strings.CutPrefix(name, "list("); ok {
		return &jsonschema.Schema{Type: "array", Items: parameterSchema(strings.TrimSuffix(inner, ")"))}
	}
	switch name {
	case "bool":
		return &jsonschema.Schema{Type: "boolean"}
	case "int":
		return &jsonschema.Schema{Type: "integer"}
	case "window":
		s := &jsonschema.Schema{Type: "object", Properties: jsonschema.NewProperties(), Required: []string{"from", "to"}, AdditionalProperties: jsonschema.FalseSchema}
		for _, key := range []string{"from", "to", "why"} {
			s.Properties.Set(key, &jsonschema.Schema{Type: "string"})
		}
		return s
	default:
		return &jsonschema.Schema{Type: "string"}
	}
}

// exactlyOne demands one of several sets of keys.
func exactlyOne(s *jsonschema.Schema, sets ...[]string) {
	for _, keys := range sets {
		s.OneOf = append(s.OneOf, &jsonschema.Schema{Required: keys})
	}
}

// JSONSchemaExtend adds what no tag of a field can say.
func (rollout) JSONSchemaExtend(s *jsonschema.Schema) {
	if merge, ok := s.Properties.Get("merge"); ok {
		merge.Const = true
	}
	exactlyOne(s, []string{"deployment"}, []string{"workflow"}, []string{"merge"})
}

// JSONSchemaExtend adds what no tag of a field can say.
func (checkMap) JSONSchemaExtend(s *jsonschema.Schema) {
	s.Not = &jsonschema.Schema{Required: []string{"app", "user"}}
}

// JSONSchemaExtend adds what no tag of a field can say.
func (tags) JSONSchemaExtend(s *jsonschema.Schema) {
	exactlyOne(s, []string{"semver"}, []string{"regex"}, []string{"follow"})
	s.DependentRequired = map[string][]string{"regex": {"order"}, "order": {"regex"}}
}

// JSONSchemaExtend adds what no tag of a field can say.
func (forgeEntry) JSONSchemaExtend(s *jsonschema.Schema) {
	if repositories, ok := s.Properties.Get("repositories"); ok {
		repositories.Items.Pattern = projectPattern.String()
	}
	app, token := []string{"appID", "privateKey"}, []string{"token"}
	exactlyOne(s, app, token)
	s.OneOf[0].Properties = jsonschema.NewProperties()
	s.OneOf[0].Properties.Set("type", &jsonschema.Schema{Const: GitHub})
	s.OneOf[1].Properties = jsonschema.NewProperties()
	for _, key := range app {
		s.OneOf[1].Properties.Set(key, &jsonschema.Schema{Not: &jsonschema.Schema{}})
	}
	s.DependentRequired = map[string][]string{"repositories": token}
}

// JSONSchemaExtend adds what no tag of a field can say.
func (credentialsEntry) JSONSchemaExtend(s *jsonschema.Schema) {
	exactlyOne(s, []string{"username", "password"}, []string{"token"}, []string{"helper"})
}

// JSONSchemaExtend adds what no tag of a field can say.
func (registryEntry) JSONSchemaExtend(s *jsonschema.Schema) {
	for _, key := range []string{"secret", "webhook", "poll", "settings"} { // the last for types that prove themselves by it
		s.AnyOf = append(s.AnyOf, &jsonschema.Schema{Required: []string{key}})
	}
	s.Not = &jsonschema.Schema{Required: []string{"secret", "webhook"}}
	s.DependentRequired = map[string][]string{"credentials": {"host"}, "insecure": {"host"}}
}
