package config

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestSchemasTakeGoodFiles holds every file that the parsers take against the schemas.
func TestSchemasTakeGoodFiles(t *testing.T) {
	for dir, schema := range map[string]func() ([]byte, error){"repo": SchemaRepo, "bot": SchemaBot} {
		v := newValidator(t, schema)
		files, _ := filepath.Glob(filepath.Join("testdata", dir, "good", "*.yaml"))
		if len(files) == 0 {
			t.Fatalf("no files in %s", dir)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if what := v.wrong(text); what != "" {
				t.Errorf("the schema refuses %s: %s", file, what)
			}
		}
	}
}

// TestSchemasRefuse has what an editor can show without knowing more than the schema.
func TestSchemasRefuse(t *testing.T) {
	repo, bot := newValidator(t, SchemaRepo), newValidator(t, SchemaBot)
	in := func(keys string) string { return "environments: [{name: a, " + keys + "}]" }
	sender := func(keys string) string { return "registries: [{name: a, type: ghcr, " + keys + "}]" }
	for _, c := range []struct {
		v    validator
		text string
	}{
		{repo, "environments: []"},
		{repo, "{}"},
		{repo, "environments: [{path: a}]"},
		{repo, "environments: [{name: a b}]"},
		{repo, in("merg: auto")},
		{repo, in("merge: automatic")},
		{repo, in("pin: tags")},
		{repo, in("mode: on")},
		{repo, in("verify: smoke")},
		{repo, in("verify: [1]")},
		{repo, in("verify: [{app: a}]")},
		{repo, in("verify: [{name: a, by: b}]")},
		{repo, in("verify: [{name: a, app: b, user: c}]")},
		{repo, in("rollout: {}")},
		{repo, in("rollout: {workflow: .github/workflows/apply.yml}")},
		{repo, in("rollout: {workflow: apply}")},
		{repo, in("rollout: {workflow: apply.yml, deployment: a}")},
		{repo, in("rollout: {timeout: 1h}")},
		{repo, in("rollout: {deployment: a, timeout: 60}")},
		{repo, in("rollout: {merge: false}")},
		{repo, in("rollout: {merge: true, deployment: a}")},
		{repo, in("settle: 1 minute")},
		{repo, in("settle: 60")},
		{repo, in("maxOpen: -1")},
		{repo, in("maxOpen: 1.5")},
		{repo, in("group: all")},
		{repo, in("group: [web]")},
		{repo, in("images: []")},
		{repo, in("images: [{}]")},
		{repo, in("images: [{image: a, tags: {}}]")},
		{repo, in("images: [{image: a, tags: {regex: a}}]")},
		{repo, in("images: [{image: a, tags: {follow: a, semver: 1.x}}]")},
		{repo, in("images: [{image: a, tags: {semver: 1.x, order: numeric}}]")},
		{repo, in("policies: [soak]")},
		{repo, in("policies: [soak: {}]")},
		{repo, in("policies: [soek: {for: 30m}]")},
		{repo, in("policies: [soak: {for: 30}]")},
		{repo, in("policies: [soak: {for: 30m, fro: 1}]")},
		{repo, in("policies: [{soak: {for: 30m}, approvals: {}}]")},
		{repo, in("policies: [checks: {names: a}]")},
		{repo, in("policies: [checks: {}]")},
		{repo, in("policies: [after: {}]")},
		{repo, in("policies: [approvals: {codeOwners: alice}]")},
		{repo, in("policies: [approvals: {from: acme/ops}]")},
		{bot, "limits: {writesPerMinute: -1}"},
		{bot, "limits: {writesPerDay: 5}"},
		{bot, "database: mysql:db"},
		{bot, "tokens: [{name: a, role: admin, token: env:A}]"},
		{bot, "tokens: [{name: a, role: read}]"},
		{bot, "workers: 0"},
		{bot, "log: {level: verbose}"},
		{bot, "require: {rollout: anything}"},
		{bot, sender("secret: hunter2")},
		{bot, sender("host: ghcr.io")},
		{bot, sender("secret: env:A, webhook: a")},
		{bot, sender("secret: env:A, insecure: true")},
		{bot, sender("host: a.io, poll: often")},
		{bot, sender("secret: env:A, webhook: a, poll: 5m")},
		{bot, sender("host: a.io, poll: false")},
		{bot, sender("secret: env:A, host: a.io, credentials: {username: a}")},
		{bot, "forges: [{name: a, type: gitlab, appID: 1, privateKey: env:A, webhookSecret: env:A}]"},
		{bot, "forges: [{name: a, type: github, appID: 0, privateKey: env:A, webhookSecret: env:A}]"},
	} {
		if what := c.v.wrong([]byte(c.text)); what == "" {
			t.Errorf("the schema takes %s", c.text)
		}
	}
}

// TestSchemasAndParsersKnowTheSameKeys walks the schemas beside the types that the parsers fill.
func TestSchemasAndParsersKnowTheSameKeys(t *testing.T) {
	for _, c := range []struct {
		shape  reflect.Type
		schema func() ([]byte, error)
		most   int
	}{{reflect.TypeFor[repoFile](), SchemaRepo, 24}, {reflect.TypeFor[botFile](), SchemaBot, 30}} {
		seen := 0
		var walk func(path string, shape reflect.Type, schema map[string]any)
		walk = func(path string, shape reflect.Type, schema map[string]any) {
			for shape.Kind() == reflect.Pointer || shape.Kind() == reflect.Slice {
				if shape.Kind() == reflect.Slice {
					schema = schema["items"].(map[string]any)
				}
				shape = shape.Elem()
			}
			if reflect.PointerTo(shape).Implements(reflect.TypeFor[reader]()) {
				return // a value that reads itself has no keys of its own
			}
			properties, _ := schema["properties"].(map[string]any)
			var keys, required []string
			for _, f := range fieldsOf(shape) {
				seen++
				keys = append(keys, f.key)
				if f.required {
					required = append(required, f.key)
				}
				inner, _ := properties[f.key].(map[string]any)
				if says, _ := inner["description"].(string); !strings.HasSuffix(says, ".") {
					t.Errorf("%s.%s is described as %q", path, f.key, says)
				}
				if !strings.Contains(f.example, f.key+": ") && shapeOf(shape, f) != reflect.TypeFor[notYet]() {
					t.Errorf("%s.%s has the example %q", path, f.key, f.example)
				}
				if _, refused := inner["not"]; !refused {
					walk(path+"."+f.key, shapeOf(shape, f), inner)
				}
			}
			slices.Sort(keys)
			if got := slices.Sorted(maps.Keys(properties)); !slices.Equal(got, keys) {
				t.Errorf("the schema of %s has %v, the parser %v", path, got, keys)
			}
			var needs []string
			for _, key := range asList(schema["required"]) {
				needs = append(needs, key.(string))
			}
			if !slices.Equal(needs, required) {
				t.Errorf("the schema of %s needs %v, the parser %v", path, needs, required)
			}
			if schema["additionalProperties"] != false {
				t.Errorf("the schema of %s takes any key", path)
			}
		}
		text, err := c.schema()
		if err != nil {
			t.Fatal(err)
		}
		var schema map[string]any
		if err := json.Unmarshal(text, &schema); err != nil {
			t.Fatal(err)
		}
		walk("", c.shape, schema)
		if seen < c.most {
			t.Errorf("only %d keys of %s were looked at", seen, c.shape)
		}
	}
}

func shapeOf(shape reflect.Type, f field) reflect.Type { return shape.Field(f.index).Type }

func asList(v any) []any {
	list, _ := v.([]any)
	return list
}

// TestSchemasAreTheSameEveryTime keeps files made of them from changing for nothing.
func TestSchemasAreTheSameEveryTime(t *testing.T) {
	for _, schema := range []func() ([]byte, error){SchemaRepo, SchemaBot} {
		a, err := schema()
		if err != nil {
			t.Fatal(err)
		}
		b, err := schema()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a, b) || !json.Valid(a) || bytes.Contains(a, []byte(`\u003`)) {
			t.Errorf("the schemas differ, or are not as they should be:\n%s\n%s", a, b)
		}
	}
}
