package conform

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"github.com/boatlift/boatlift/cmd/sandbox/hub"
)

// hookDocument is Octokit's description of webhook bodies, one schema per event and action.
type hookDocument struct {
	compiler    *jsonschema.Compiler
	definitions map[string]bool
	compiled    map[string]*jsonschema.Schema
}

const hookSchemas = "https://octokit.example/webhooks.json"

func readHooks(raw []byte) (*hookDocument, error) {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("read the schemas of webhooks: %w", err)
	}
	var names struct {
		Definitions map[string]json.RawMessage `json:"definitions"`
	}
	if err := json.Unmarshal(raw, &names); err != nil {
		return nil, fmt.Errorf("read the schemas of webhooks: %w", err)
	}
	d := &hookDocument{
		compiler: jsonschema.NewCompiler(), definitions: map[string]bool{}, compiled: map[string]*jsonschema.Schema{},
	}
	for name := range names.Definitions {
		d.definitions[name] = true
	}
	d.compiler.DefaultDraft(jsonschema.Draft7)
	d.compiler.AssertFormat()
	// The library splits templates at slashes before it looks for braces, and so takes {/number} for a broken one.
	d.compiler.RegisterFormat(&jsonschema.Format{Name: "uri-template", Validate: func(v any) error {
		if text, ok := v.(string); ok && !isTemplate(text) {
			return errors.New("is no URI template")
		}
		return nil
	}})
	if err := d.compiler.AddResource(hookSchemas, document); err != nil {
		return nil, fmt.Errorf("read the schemas of webhooks: %w", err)
	}
	return d, nil
}

// judge returns the name of the webhook, event and action, and what does not conform.
func (d *hookDocument) judge(w hub.Webhook) (name string, found []Finding) {
	var head struct {
		Action string `json:"action"`
	}
	name = "webhook " + w.Event
	body, err := jsonschema.UnmarshalJSON(bytes.NewReader(w.Body))
	if err != nil {
		return name, []Finding{{Subject: name, Problem: "is no JSON: " + err.Error()}}
	}
	_ = json.Unmarshal(w.Body, &head) // an event without an action has none
	definition := w.Event + "$event"
	if head.Action != "" {
		name += "." + head.Action
		definition = w.Event + "$" + head.Action
	}
	if !d.definitions[definition] {
		return name, []Finding{{Subject: name, Problem: "has no schema"}}
	}
	schema := d.compiled[definition]
	if schema == nil {
		if schema, err = d.compiler.Compile(hookSchemas + "#/definitions/" + definition); err != nil {
			return name, []Finding{{Subject: name, Problem: "has a schema that cannot be used: " + err.Error()}}
		}
		d.compiled[definition] = schema
	}
	var wrong *jsonschema.ValidationError
	if err := schema.Validate(body); errors.As(err, &wrong) {
		return name, leaves(name, wrong, nil)
	} else if err != nil {
		return name, []Finding{{Subject: name, Problem: err.Error()}}
	}
	return name, nil
}

// leaves takes an error apart: its ends say what is wrong.
func leaves(name string, wrong *jsonschema.ValidationError, found []Finding) []Finding {
	at := func(member, problem string) {
		where := pointer(wrong.InstanceLocation)
		if member != "" {
			where += "/" + member
		}
		found = append(found, Finding{Subject: name, At: where, Problem: problem})
	}
	if len(wrong.Causes) > 0 {
		for _, cause := range wrong.Causes {
			found = leaves(name, cause, found)
		}
		return found
	}
	switch k := wrong.ErrorKind.(type) {
	case *kind.Required:
		for _, member := range k.Missing {
			at(member, "is missing")
		}
	case *kind.AdditionalProperties:
		for _, member := range k.Properties {
			at(member, "is not documented")
		}
	case *kind.Format:
		at("", "is no "+k.Want)
	case *kind.Enum, *kind.Const:
		at("", "is none of the allowed values")
	default:
		at("", strings.Join(strings.Fields(wrong.BasicOutput().Error.String()), " "))
	}
	return found
}
