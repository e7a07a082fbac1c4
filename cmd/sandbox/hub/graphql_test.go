package hub

import (
	"encoding/json"
	"errors"
	"testing"
)

func TestGraphQLPicksWhatIsAskedFor(t *testing.T) {
	root := obj{"__typename": "Query", "repository": resolver(func(args map[string]any) (any, error) {
		if args["name"] != "infra" || args["n"] != 7.0 || args["list"].([]any)[1] != "TWO" || args["o"].(map[string]any)["text"] != `a "quoted" one` {
			t.Errorf("arguments %v", args)
		}
		return obj{"__typename": "Repository", "id": "R1", "secret": "x", "none": nil, "nodes": []any{
			obj{"__typename": "A", "a": 1}, obj{"__typename": "B", "b": 2},
		}}, nil
	})}
	mutation, fields, err := parseGraphQL(`query Some($name: String!) {
		repository(name: $name, n: 7, list: [ONE, TWO], o: {text: "a \"quoted\" one", yes: true}) {
			key: id, none { x } nodes { __typename ... on A { a } ... on B { b } }
		}
	}`, map[string]any{"name": "infra"})
	if err != nil || mutation {
		t.Fatalf("parse: %v, mutation %v", err, mutation)
	}
	got, err := project(root, fields)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(got)
	const want = `{"repository":{"key":"R1","nodes":[{"__typename":"A","a":1},{"__typename":"B","b":2}],"none":null}}`
	if err != nil || string(text) != want {
		t.Errorf("project = %s, %v; want %s", text, err, want)
	}
}

func TestGraphQLRefusals(t *testing.T) {
	for _, text := range []string{"", "{", "query", "{ a( }", "{ a(b: ) }", "{ a { ... off B { c } } }", `{ a(b: "open) }`, "mutation { a(b: [1 }"} {
		if _, _, err := parseGraphQL(text, nil); !errors.Is(err, errGraphQL) {
			t.Errorf("parseGraphQL(%q) = %v; want it refused", text, err)
		}
	}
	_, fields, err := parseGraphQL("{ nothing }", nil)
	if err != nil {
		t.Fatal(err)
	}
	var undefined *undefinedField
	if _, err := project(obj{"__typename": "Query"}, fields); !errors.As(err, &undefined) {
		t.Errorf("project = %v; want an undefined field", err)
	}
}
