package config

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// first is the first problem of a file that has no problem but those of YAML.
func first(t *testing.T, text string) string {
	t.Helper()
	_, err := ParseRepo("f", []byte(text), nil, Require{})
	if err == nil {
		t.Fatalf("ParseRepo(%.60q) takes it", text)
	}
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// TestHostileFiles has what would take a parser long, deep or far.
func TestHostileFiles(t *testing.T) {
	laughs := "environments:\n  - &a [x, x, x, x, x, x, x, x, x, x]\n"
	for i := range 8 {
		previous, next := string(rune('a'+i)), string(rune('b'+i))
		laughs += "  - &" + next + " [" + strings.Repeat("*"+previous+", ", 10) + "]\n"
	}
	laughs += "  - {name: x, policies: [{p: {a: *i}}]}\n"
	many := strings.Builder{}
	many.WriteString("environments:\n")
	for i := range maxEnvironments + 1 {
		fmt.Fprintf(&many, "- {name: e%d, path: e%d}\n", i, i)
	}
	indented := strings.Builder{}
	for i := range 60 {
		indented.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	for _, c := range []struct{ name, text, want string }{
		{"large", strings.Repeat("#", maxBytes+1), "f:1:1: the file is larger than 256 KiB"},
		{"many words", "environments: [" + strings.Repeat("a,", maxToken) + "]", "f:1:30013: the file has more than 30000 words and signs"},
		{"many keys", strings.Repeat("a: b\n", 20_000), "f:10001:1: the file has more than 30000 words and signs"},
		{"brackets", strings.Repeat("[", 100_000), "f:1:33: more than 32 collections are inside each other"},
		{"braces", strings.Repeat("{a: ", 50_000), "f:1:129: more than 32 collections are inside each other"},
		{"dashes", strings.Repeat("- ", 100_000), "f:1:65: more than 32 collections are inside each other"},
		{"questions", strings.Repeat("? ", 100_000), "f:1:65: more than 32 collections are inside each other"},
		{"indented", indented.String(), "f:34:34: more than 32 collections are inside each other"},
		{"far to the right", "a:\n" + strings.Repeat(" ", 300) + "b: c\n", "f:2:301: the line is indented by more than 200 columns"},
		{"laughs", laughs, "f:1:1: the file has too many values, or its aliases repeat too much"},
		{"environments", many.String(), "f:202:3: there are more than 200 environments"},
		{"no UTF-8", "environments:\n  - name: \xff\n", "f:2:11: the file is not UTF-8"},
		{"control character", "environments:\n  - name: \x1b[31m\n", "f:2:11: there is a control character, U+001B"},
		{"nul", "\x00", "f:1:1: there is a control character, U+0000"},
		{"mark in the middle", "environments:\n  - \ufeffname: a\n", "f:2:5: there is a control character, U+FEFF"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if len(c.text) > maxBytes+1 {
				t.Fatalf("the file has %d bytes, which is refused for its size", len(c.text))
			}
			if got, _, _ := strings.Cut(first(t, c.text), " ("); got != c.want {
				t.Errorf("ParseRepo = %s, want %s", got, c.want)
			}
		})
	}
}

// TestPlaces has files whose lines and columns are easily miscounted.
func TestPlaces(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"carriage returns", "environments:\r\n  - name: a\r\n    mode: of\r\n", "f:3:11"},
		{"byte order mark", "\ufeffenvironments: [{name: a, mode: of}]", "f:1:32"},
		{"letters of several bytes", `environments: [{name: a, path: "üü/é→", mode: of}]`, "f:1:47"},
		{"letters of four bytes", `environments: [{name: a, path: "🚢", mode: of}]`, "f:1:43"},
		{"after a long text", "environments:\n  - name: a\n    path: >-\n      b\n      c\n    mode: of\n", "f:6:11"},
		{"after a text in lines", "environments:\n  - name: a\n    path: |-\n      b\n    mode: of\n", "f:5:11"},
		{"after text in quotes over lines", "environments:\n  - name: a\n    path: \"b\n      c\"\n    mode: of\n", "f:5:11"},
		{"after comments", "# é\n\n---\n# b\nenvironments: # c\n  # d\n  - name: a # e\n    # f\n    mode: of # g\n", "f:9:11"},
		{"a directive", "%YAML 1.2\n---\nenvironments: [{name: a, mode: of}]\n", "f:3:32"},
		{"an empty value", "environments:\n  - name: a\n    mode:\n    path: p\n", "f:3:5"},
		{"an empty item", "environments:\n  - name: a\n    path: p\n  -\n", "f:4:3"},
		{"inside of an anchor", "environments:\n  - {name: a, path: a, rollout: &r {merge: 1}}\n  - {name: b, path: b, rollout: *r}\n", "f:2:44"},
		{"brackets over lines", "environments: [\n  {name: a,\n   mode: of},\n]\n", "f:3:10"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := first(t, c.text); !strings.HasPrefix(got, c.want+": ") {
				t.Errorf("ParseRepo = %s, want it at %s", got, c.want)
			}
		})
	}
}

func TestProblems(t *testing.T) {
	text := strings.Builder{}
	text.WriteString("environments:\n  - name: a\n")
	for i := range 150 {
		fmt.Fprintf(&text, "    key%d: x\n", i)
	}
	_, err := ParseRepo("dir/f.yaml", []byte(text.String()), nil, Require{})
	errs, ok := errors.AsType[*Errors](err)
	if !ok {
		t.Fatalf("the error is a %T", err)
	}
	if !errs.Permanent() {
		t.Error("reading the file again would help")
	}
	if got, want := len(errs.Problems), maxProblems+1; got != want {
		t.Errorf("%d problems, want %d", got, want)
	}
	lines := strings.Split(err.Error(), "\n")
	if got, want := len(lines), len(errs.Problems); got != want {
		t.Errorf("%d lines, want %d", got, want)
	}
	if got, want := lines[len(lines)-1], "dir/f.yaml:102:5: 50 more problems are not shown (mend these first)"; got != want {
		t.Errorf("last line %s, want %s", got, want)
	}
	if got, want := errs.Problems[0], (Problem{
		"dir/f.yaml", 3, 5, `there is no key "key0" here`,
		"the keys here are name, path, after, rollout, images, verify, policies, pin, merge, group, together, settle, mode, maxOpen, platforms, earlierApprovals, mergeMethod and reviewers",
	}); got != want {
		t.Errorf("first problem %+v, want %+v", got, want)
	}
}
