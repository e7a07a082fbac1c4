package gate

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
)

const fine = "name: mine\ntitle: t\ndescription: d\nallow: 'true'\nsay: '\"s\"'\n"

func TestNewNamesFileAndLine(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, body, want string }{
		{"no YAML", "name: [", "mine.yaml:1:"},
		{"empty", "", "mine.yaml: it must hold one YAML document"},
		{"a list", "- name: mine", "mine.yaml:1:1: a map is wanted here"},
		{"two documents", fine + "---\n" + fine, "mine.yaml: it must hold one YAML document"},
		{"a key twice", fine + "allow: 'false'\n", "mine.yaml:6:1: mapping key \"allow\" already defined"},
		{"an unknown key", fine + "untill: 'null'\n", `mine.yaml:6:1: unknown key "untill"; did you mean "until"?`},
		{"an anchor", "name: &a mine\ntitle: *a\n", "mine.yaml:1:7: anchors and aliases are not allowed here"},
		{"a bad name", strings.Replace(fine, "name: mine", "name: My Policy", 1), "mine.yaml:1:7: a name is lower-case words joined by -, as max-age"},
		{"no title", strings.Replace(fine, "title: t\n", "", 1), "title is missing"},
		{"no description", strings.Replace(fine, "description: d\n", "", 1), "description is missing"},
		{"neither allow nor deny", strings.Replace(fine, "allow: 'true'\n", "", 1), "allow or deny is missing"},
		{"no say", strings.Replace(fine, "say: '\"s\"'\n", "", 1), "say is missing"},
		{"no sentence for a wait", strings.Replace(fine, "say: '\"s\"'", "say: {allow: '\"s\"'}", 1), "say lacks a sentence for wait"},
		{"no sentence for a denial", strings.Replace(fine, "say: '\"s\"'", "say: {allow: '\"s\"', wait: '\"s\"'}\ndeny: 'false'", 1), "say lacks a sentence for deny"},
		{"an unknown state", fine + "detail: {maybe: '\"x\"'}", `mine.yaml:6:10: unknown state "maybe": write allow, wait or deny`},
		{"an unknown kind", fine + "kind: approvals", `mine.yaml:6:7: the only kind is "approval"`},
		{"an unknown rollback", fine + "rollback: never", "mine.yaml:6:11: write skip or judge (the default)"},
		{"a built-in policy of a user", fine + "builtin: true", "mine.yaml: only policies that ship with the bot can be built in"},
		{"a name that is taken", strings.Replace(fine, "name: mine", "name: soak", 1), `mine.yaml: the name "soak" is taken by soak.yaml`},

		{"an unknown fact", strings.Replace(fine, "'true'", "facts.hold == ''", 1), "mine.yaml:4:8: undefined field 'hold'"},
		{"a syntax error in a block", strings.Replace(fine, "'true'", "|\n  facts.held == '' &&\n  facts.app ==== 'x'", 1), "mine.yaml:6: Syntax error"},
		{"an unknown parameter", strings.Replace(fine, "'true'", "params.x == 1", 1), "mine.yaml:4:8: undefined field 'x'"},
		{"no bool", strings.Replace(fine, "'true'", "facts.app", 1), "mine.yaml:4:8: the expression is a string; a bool is wanted"},
		{"no text", strings.Replace(fine, "'\"s\"'", "'1'", 1), "mine.yaml:5:6: the expression is a int; a string is wanted"},
		{"no time", fine + "until: '1'", "mine.yaml:6:8: the expression is a int; a google.protobuf.Timestamp is wanted"},
		{"a bad pattern", strings.Replace(fine, "'true'", `facts.app.matches("(")`, 1), "mine.yaml:4:8: invalid matches argument"},
		{"state in allow", strings.Replace(fine, "'true'", "state == 'allow'", 1), "mine.yaml:4:8: undeclared reference to 'state'"},
		{"facts in refuse, unknown parameter", fine + "refuse: [{when: 'true', parameter: y, say: '\"s\"'}]", `refuse names the unknown parameter "y"`},
		{"half a refuse", fine + "refuse: [{when: 'true'}]", "mine.yaml:6:10: when, parameter and say are all needed"},
		{"a let that shadows", fine + "let: {facts: '1'}", `mine.yaml:6:7: "facts" cannot be the name of a let`},
		{"a let that looks ahead", fine + "let: {a: b, b: '1'}", "mine.yaml:6:10: undeclared reference to 'b'"},

		{"an unknown type", fine + "parameters: {x: {type: map, description: d}}", `parameter "x": "map" is no parameter type`},
		{"no parameter description", fine + "parameters: {x: {type: int}}", `mine.yaml:6:14: the parameter "x" has no description`},
		{"a wrong default", fine + "parameters: {x: {type: int, default: one, description: d}}", `the default of "x": "one" is no whole number`},
		{"required with default", fine + "parameters: {x: {type: int, default: 1, required: true, description: d}}", `the parameter "x" is required, so it cannot have a default`},
		{"a bad parameter name", fine + "parameters: {X-y: {type: int, description: d}}", `"X-y" cannot be the name of a parameter`},

		{"dyn", strings.Replace(fine, "'true'", "dyn(1) == dyn(1)", 1), "undeclared reference to 'dyn'"},
		{"a protocol buffer", strings.Replace(fine, "'true'", "google.protobuf.Struct{} == google.protobuf.Struct{}", 1), "undeclared reference"},
		{"a made-up fact", strings.Replace(fine, "'true'", "Change{} == Change{}", 1), "a policy cannot make a Change"},
		{"lists added", strings.Replace(fine, "'true'", "size([1] + [2]) > 0", 1), "lists cannot be added"},
		{"lists of lists compared", strings.Replace(fine, "'true'", "'[[1]] == [[2]]'", 1), "lists and maps of lists or maps cannot be compared"},
		{"lists in lists searched", strings.Replace(fine, "'true'", "'[1] in [[2]]'", 1), "lists and maps of lists or maps cannot be compared"},
		{"mixed lists", strings.Replace(fine, "'true'", "size([1, 'a']) > 0", 1), "expected type 'int' but found 'string'"},
		{"five loops in each other", strings.Replace(fine, "'true'", "'"+strings.Repeat("[1].all(x, ", 5)+"true"+strings.Repeat(")", 5)+"'", 1), "comprehension exceeds nesting limit"},
		{"a giant", fine + "# " + strings.Repeat("x", maxPolicyFile), "mine.yaml: it is larger than 64 kB"},
		{"deep brackets", strings.Replace(fine, "'true'", "'"+strings.Repeat("(", 500)+"true"+strings.Repeat(")", 500)+"'", 1), "mine.yaml:4:8:"},
	} {
		_, err := New(fstest.MapFS{"mine.yaml": {Data: []byte(tt.body)}})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: New = %v; want an error with %q", tt.name, err, tt.want)
			continue
		}
		var file *FileError
		if !errors.As(err, &file) || file.File != "mine.yaml" || !file.Permanent() {
			t.Errorf("%s: %v is no *FileError of mine.yaml", tt.name, err)
		}
	}
}

func TestNewReportsAllProblems(t *testing.T) {
	t.Parallel()
	_, err := New(folder(map[string]string{"one": "allow: facts.x\nsay: '\"s\"'", "two": "deny: facts.y\nsay: '\"s\"'\nkind: z"}))
	for _, want := range []string{"one.yaml:4:8: undefined field 'x'", "two.yaml:6:7: the only kind"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New = %v; want %q in it", err, want)
		}
	}
	if _, err := New(brokenFS{}); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("New(unreadable folder) = %v; want %v", err, fs.ErrPermission)
	}
}

type brokenFS struct{}

func (brokenFS) Open(string) (fs.File, error) { return nil, fs.ErrPermission }

// The example of package policies' doc.
const officeHours = `
name: office-hours
title: Only while somebody is there
description: |
  What it does, for people.
parameters:
  zone: {type: zone, default: Europe/Amsterdam, description: the time zone}
let:
  hour: facts.now.getHours(params.zone)
allow: hour >= 9 && hour < 17
deny: facts.held != ""
until: "null"
say:
  allow: |
    "somebody is there"
  wait: |
    "nobody is there at " + facts.now.text(params.zone)
  deny: facts.held
`

func TestOwnPolicy(t *testing.T) {
	t.Parallel()
	fsys := fstest.MapFS{
		"office-hours.yaml": {Data: []byte(officeHours)},
		"office-hours_test.yaml": {Data: []byte(`
policy: office-hours
facts: {now: 2026-03-06T15:00:00Z}
tests:
  - name: allows at four
    want: {state: allow, say: somebody is there}
  - name: waits an hour later
    facts: {now: 2026-03-06T16:00:00Z}
    want: {state: wait, say: "nobody is there at Fri 2026-03-06 17:00 CET", until: none}
  - name: denies what is held
    facts: {held: stop}
    want: {state: deny, say: stop}
  - name: is wrong about the sentence
    want: {state: allow, say: nobody is there}
  - name: is wrong about a refusal
    want: {refused: x}
  - name: is wrong about the parameters
    parameters: {zone: Mars}
    want: {state: allow}
  - name: names no fact
    facts: {noon: true}
    want: {state: allow}
`)},
		"idle.yaml":  {Data: []byte(strings.Replace(fine, "mine", "idle", 1))},
		"notes.text": {Data: []byte("no policy")},
	}
	results, err := Test(fsys)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range results {
		got = append(got, r.String())
	}
	want := []string{
		"ok    office-hours: allows at four",
		"ok    office-hours: waits an hour later",
		"ok    office-hours: denies what is held",
		"FAIL  office-hours: is wrong about the sentence\n      office-hours_test.yaml:13: say = \"somebody is there\"; want \"nobody is there\"",
		"FAIL  office-hours: is wrong about a refusal\n      office-hours_test.yaml:15: the parameters are fine; a refusal with \"x\" is wanted",
		"FAIL  office-hours: is wrong about the parameters\n      office-hours_test.yaml:17: the parameters are refused: policy \"office-hours\", parameter zone: \"Mars\" is no time zone: write its IANA name, as Europe/Amsterdam or UTC",
		"FAIL  office-hours: names no fact\n      office-hours_test.yaml:20: facts: json: unknown field \"noon\"",
		"FAIL  idle: has tests\n      idle.yaml: there is no test of this policy",
	}
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		t.Errorf("Test =\n%s\nwant\n%s", g, w)
	}
}

func TestTestRefusesBrokenFiles(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ body, want string }{
		{"policy: nobody\ntests: [{name: n, want: {state: allow}}]", `x_test.yaml: there is no policy "nobody"`},
		{"policy: soak\ntests: []", "x_test.yaml:1:7: policy and tests are needed"},
		{"policy: soak\ntests: [{name: n}]", "x_test.yaml:2: a test needs a name, and under want: either state or refused"},
		{"policy: soak\ntests: [{name: n, wants: {state: allow}}]", `json: unknown field "wants"`},
	} {
		_, err := Test(fstest.MapFS{"x_test.yaml": {Data: []byte(tt.body)}})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Test(%q) = %v; want an error with %q", tt.body, err, tt.want)
		}
	}
}
