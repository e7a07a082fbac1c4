package render

import (
	"encoding/base64"
	"maps"
	"slices"
	"strings"
	"testing"
)

// values that must never be seen, in any form.
var values = map[string]string{
	"password": "correct horse battery",
	"changed":  "was-one-thing-0001",
	"changed2": "is-another-thing-0002",
	"short":    "q7!",
	"flowing":  "flows-through-replacements",
	"multi":    "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0\n-----END KEY-----\n",
}

func encoded(name string) string { return base64.StdEncoding.EncodeToString([]byte(values[name])) }

func assertNoSecrets(t *testing.T, where, text string) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(values)) {
		for line := range strings.Lines(values[name]) {
			if strings.Contains(text, strings.TrimSpace(line)) {
				t.Errorf("%s shows the value of %s:\n%s", where, name, text)
			}
		}
		if strings.Contains(text, encoded(name)) {
			t.Errorf("%s shows the value of %s, encoded:\n%s", where, name, text)
		}
	}
}

func secretManifest(change string) string {
	return "apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\n  annotations:\n    " + lastApplied + `: '{"data":"` + encoded("password") + `"}'` +
		"\ndata:\n  password: " + encoded("password") + "\n  multi: " + encoded("multi") + "\n  other: " + encoded(change) +
		"\nstringData:\n  short: " + values["short"] + "\n  flowing: " + values["flowing"] + "\n"
}

func TestSecretsNeverInACompare(t *testing.T) {
	deployment := "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  template:\n    spec:\n      containers:\n" +
		"      - name: web\n        image: web:1\n        env:\n        - {name: TOKEN, value: x}\n        - {name: URL, value: postgres://u@h/db}\n"
	src := files(map[string]string{
		"a/kustomization.yaml": `
resources: [s.yaml, web.yaml, list.yaml, template.yaml]
secretGenerator:
- name: generated
  literals: ["password=` + values["password"] + `", short=` + values["short"] + `]
  files: [key.pem]
replacements:
- source: {kind: Secret, name: s, fieldPath: stringData.flowing}
  targets:
  - select: {kind: Deployment}
    fieldPaths: ["spec.template.spec.containers.[name=web].env.[name=TOKEN].value"]
  - select: {kind: Deployment}
    fieldPaths: ["spec.template.spec.containers.[name=web].env.[name=URL].value"]
    options: {delimiter: '@', index: 1}
- source: {kind: Secret, name: s, fieldPath: data.password}
  targets:
  - select: {kind: Deployment}
    fieldPaths: [metadata.annotations.copy]
    options: {create: true}
images: [{name: web, newTag: "1"}]
`,
		"a/s.yaml":   secretManifest("changed"),
		"a/web.yaml": deployment,
		"a/key.pem":  values["multi"],
		"a/list.yaml": "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Secret\n  metadata: {name: in-list}\n  data: {password: " +
			encoded("password") + "}\n",
		"a/template.yaml": "apiVersion: x/v1\nkind: Template\nmetadata: {name: t}\nobjects:\n- kind: Secret\n  metadata: {name: nested}\n  stringData: {password: " +
			values["password"] + "}\n- kind: Secret\n  name: only-a-reference\n",
	})
	overlay := map[string][]byte{
		"a/s.yaml":   []byte(secretManifest("changed2")),
		"a/key.pem":  []byte(values["multi"] + "and more"),
		"a/web.yaml": []byte(strings.Replace(deployment, "web:1", "web:1\n        imagePullPolicy: Always", 1)),
	}
	d := compareOne(t, New(Options{}), src, "a", overlay)
	if d.Err != nil {
		t.Fatal(d.Err)
	}
	assertNoSecrets(t, "the diff", d.Diff)
	assertNoSecrets(t, "the build before", string(d.Before))
	assertNoSecrets(t, "the build after", string(d.After))

	removed, added := changedLines(d.Diff)
	for _, want := range []string{"other: '[secret value]'", "key.pem: '[secret value]'", "name: generated-[hash]"} {
		if !slices.Contains(removed, want) {
			t.Errorf("removed lines = %q; want %q", removed, want)
		}
	}
	for _, want := range []string{"other: '[secret value, changed]'", "key.pem: '[secret value, changed]'", "name: generated-[hash, changed]"} {
		if !slices.Contains(added, want) {
			t.Errorf("added lines = %q; want %q", added, want)
		}
	}
	for _, want := range []string{"password: '[secret value, unchanged]'", "name: only-a-reference", "value: postgres://u@[secret value]", "value: '[secret value]'"} {
		if !strings.Contains(string(d.After), want) && !strings.Contains(string(d.After), strings.ReplaceAll(want, "'", "")) {
			t.Errorf("the build after has no %q:\n%s", want, d.After)
		}
	}
	if strings.Contains(d.Diff, "password") && !strings.Contains(d.Diff, noteUnchanged) {
		t.Error("an unchanged value is shown as changed")
	}
}

func TestBuildKeepsSecrets(t *testing.T) {
	src := files(map[string]string{"a/kustomization.yaml": "resources: [s.yaml]\n", "a/s.yaml": secretManifest("changed")})
	got, err := New(Options{}).Build(t.Context(), src, "a", nil)
	if err != nil || !strings.Contains(string(got), encoded("changed")) {
		t.Errorf("Build = %q, %v; want what kustomize prints", got, err)
	}
}

func TestReasonsShowNoSecrets(t *testing.T) {
	patch := "apiVersion: v1\nkind: Secret\nmetadata: {name: none}\nstringData:\n  password: " + values["password"] + "\n"
	indent := func(s string) string { return strings.ReplaceAll(s, "\n", "\n    ") }
	for name, content := range map[string]map[string]string{
		"literal without a key": {"kustomization.yaml": "secretGenerator:\n- name: x\n  literals: ['" + values["password"] + "']\n"},
		"env line that is not text": {
			"kustomization.yaml": "secretGenerator:\n- name: x\n  envs: [x.env]\n", "x.env": "A=" + values["password"] + "\xff\n",
		},
		"short literal": {"kustomization.yaml": "secretGenerator:\n- name: x\n  literals: ['" + values["short"] + "']\n"},
		"patch without a target": {
			"kustomization.yaml": "resources: [s.yaml]\npatches:\n- path: p.yaml\n", "p.yaml": patch, "s.yaml": configMap("c", "a: b"),
		},
		"inline patch without a target": {
			"kustomization.yaml": "resources: [s.yaml]\npatches:\n- patch: |-\n    " + indent(patch) + "\n", "s.yaml": configMap("c", "a: b"),
		},
		"inline patch that is broken": {
			"kustomization.yaml": "resources: [s.yaml]\npatches:\n- patch: |-\n    " + indent(patch) + "{[\n", "s.yaml": configMap("c", "a: b"),
		},
		"json patch of a secret": {
			"kustomization.yaml": "resources: [s.yaml]\npatches:\n- target: {kind: Secret}\n  patch: |-\n    - {op: replace, path: /data/none/deep, value: " +
				encoded("password") + "}\n",
			"s.yaml": secretManifest("changed"),
		},
		"data that is no map": {
			"kustomization.yaml": "resources: [s.yaml]\nnamePrefix: x-\nsecretGenerator:\n- name: s\n  behavior: merge\n  literals: [a=b]\n",
			"s.yaml":             "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: " + values["password"] + "\ndata: [" + encoded("password") + "]\n",
		},
		"manifest that does not parse": {
			"kustomization.yaml": "resources: [s.yaml]\n", "s.yaml": "kind: Secret\ndata:\n  password: " + encoded("password") + "\n bad: : {\n" + values["password"] + "\n",
		},
		"secret without a name": {
			"kustomization.yaml": "resources: [s.yaml]\n", "s.yaml": "apiVersion: v1\nkind: Secret\ndata: {password: " + encoded("password") + "}\n",
		},
		"secret twice": {
			"kustomization.yaml": "resources: [s.yaml, t.yaml]\n", "s.yaml": secretManifest("changed"), "t.yaml": secretManifest("changed2"),
		},
		"replacement of a missing field": {
			"kustomization.yaml": "resources: [s.yaml, c.yaml]\nreplacements:\n- source: {kind: Secret, name: s, fieldPath: data}\n  targets: [{select: {kind: ConfigMap}, fieldPaths: [data.x.y]}]\n",
			"s.yaml":             secretManifest("changed"), "c.yaml": configMap("c", "a: b"),
		},
		"strict field": {"kustomization.yaml": "secretGenerator:\n- name: x\n  literals: [" + "{a: '" + values["password"] + "'}]\n"},
	} {
		t.Run(name, func(t *testing.T) {
			tree := map[string]string{}
			for p, c := range content {
				tree["a/"+p] = c
			}
			d := compareOne(t, New(Options{}), files(tree), "a", nil)
			if d.Err == nil {
				assertNoSecrets(t, "the build", string(d.After))
				return
			}
			refused := refusedOf(t, d.Err)
			assertNoSecrets(t, "the reason", refused.Reason)
			if strings.Contains(refused.Reason, "before the edit") {
				t.Errorf("reason = %q; want the same before and after", refused.Reason)
			}
		})
	}
}

func TestMaskSecrets(t *testing.T) {
	type m = map[string]any
	secret := func(data any) m { return m{"kind": "Secret", "metadata": m{"name": "s"}, "data": data} }
	for _, test := range []struct {
		name          string
		before, after m
		wantB, wantA  any // data
	}{
		{"same", secret(m{"k": "v"}), secret(m{"k": "v"}), m{"k": noteUnchanged}, m{"k": noteUnchanged}},
		{"changed", secret(m{"k": "v"}), secret(m{"k": "w"}), m{"k": noteValue}, m{"k": noteChanged}},
		{"added key", secret(m{}), secret(m{"k": "v"}), m{}, m{"k": noteValue}},
		{"removed key", secret(m{"k": "v"}), secret(m{}), m{"k": noteValue}, m{}},
		{"added secret", nil, secret(m{"k": "v"}), nil, m{"k": noteValue}},
		{"removed secret", secret(m{"k": "v"}), nil, m{"k": noteValue}, nil},
		{"no map", secret("v"), secret([]any{"v"}), noteValue, noteChanged},
		{"map and no map", secret(m{"k": "v"}), secret("v"), noteValue, noteChanged},
		{"nested", secret(m{"k": m{"l": "v"}}), secret(m{"k": m{"l": "v"}}), m{"k": m{"l": noteUnchanged}}, m{"k": m{"l": noteUnchanged}}},
		{"keys that are no strings", secret(map[any]any{1: "v"}), secret(map[any]any{1: "w"}), noteValue, noteChanged},
		{"list", m{"kind": "SecretList", "data": "v", "items": []any{}}, nil, noteValue, nil},
		{"other case", m{"kind": "secret", "data": "v"}, nil, noteValue, nil},
		{"unknown field", m{"kind": "Secret", "dataa": "v", "data": nil}, nil, noteValue, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			if !maskSecrets(test.before, test.after) {
				t.Error("maskSecrets = false; want true")
			}
			if got := test.before["data"]; !equal(got, test.wantB) {
				t.Errorf("data before = %v; want %v", got, test.wantB)
			}
			if got := test.after["data"]; !equal(got, test.wantA) {
				t.Errorf("data after = %v; want %v", got, test.wantA)
			}
			if v, ok := test.before["dataa"]; ok && v != noteValue {
				t.Errorf("unknown field = %v; want it masked", v)
			}
		})
	}
	other := m{"kind": "ConfigMap", "data": m{"k": "v"}, "ref": m{"kind": "Secret", "name": "s"}}
	if maskSecrets(other, nil) || asMap(other["data"])["k"] != "v" || asMap(other["ref"])["name"] != "s" {
		t.Errorf("a ConfigMap was masked: %v", other)
	}
}

func TestScrubber(t *testing.T) {
	s := newSecretValues()
	s.addText("ab")
	s.addText("long-value")
	s.addText("long-value-and-more")
	scrub := s.scrubber()
	for in, want := range map[string]string{
		"nothing here":              "nothing here",
		"ab":                        noteValue,
		"cab abc ab. (ab)":          "cab abc " + noteValue + ". (" + noteValue + ")",
		"xlong-valuex":              "x" + noteValue + "x",
		"long-value-and-more":       noteValue,
		"YWI=":                      noteValue,
		"déab, abé ab\u00a0":        "déab, abé " + noteValue + "\u00a0",
		"ab" + "ab" + " ab ab_ _ab": "abab " + noteValue + " ab_ _ab",
	} {
		if got := scrub(in); got != want {
			t.Errorf("scrub(%q) = %q; want %q", in, got, want)
		}
	}
	for i := range maxSecretValues + 1 {
		s.add(strings.Repeat("x", 10) + string(rune('a'+i%26)) + strings.Repeat("y", i%1000) + string(rune(0x4e00+i)))
	}
	if got := s.scrubber()("plain"); got == "plain" {
		t.Error("with too many values the text is still shown")
	}
}

func equal(a, b any) bool {
	am, bm := asMap(a), asMap(b)
	if am == nil || bm == nil {
		return a == b
	}
	return maps.EqualFunc(am, bm, equal)
}
