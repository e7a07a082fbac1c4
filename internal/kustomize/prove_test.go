package kustomize

import (
	"errors"
	"strings"
	"testing"
)

// The proof must catch planning that is wrong, so it is given wrong plans here.
func TestProveCatchesWrongPlans(t *testing.T) {
	const src = "resources:\n- a.yaml\nimages:\n- name: web\n  newTag: v1\n- name: api\n  newTag: v1\n"
	const jsonSrc = `{"images": [{"name": "web", "newTag": "v1"}]}`
	set := Change{Name: "web", Tag: ptr("v2")}
	add := Change{Name: "new", Tag: ptr("v1"), Add: true}
	insert := Change{Name: "web", Digest: ptr(someDigest), Other: OtherKeep}
	tests := []struct {
		name, src string
		change    Change
		spoil     func(p *plan, out string) string
		want      string
	}{
		{"another value", src, set, func(p *plan, out string) string { return strings.Replace(out, "v2", "v3", 1) }, "bytes would change"},
		{"another place", src, set, func(p *plan, out string) string { return strings.Replace(out, "a.yaml", "b.yaml", 1) }, "bytes would change"},
		{"a number", src, set, spoilText("2.0"), "more would change"},
		{"a map", src, set, spoilText("{}"), "more would change"},
		{"a second key", src, set, spoilText("v2\n  digest: x"), "1 lines would come or go instead of 0"},
		{"not YAML", src, set, spoilText("[v2"), "after it the file is not YAML"},
		{"two documents", src, set, spoilText("v2\n---\nx:"), "after it the file has more than one YAML document"},
		{"another entry", src, set, func(p *plan, out string) string {
			p.moveTo("v1\n", 2)
			return string(apply(p.src, 0, len(p.src), p.edits))
		}, "more would change"},
		{"a field elsewhere", src, set, func(p *plan, out string) string {
			p.moveTo("a.yaml", 1)
			return string(apply(p.src, 0, len(p.src), p.edits))
		}, "more would change"},
		{"no longer JSON", jsonSrc, set, spoilText("v2\", x: \"y"), "no longer be JSON"},
		{"a new entry with another name", src, add, spoilText("- name: other\n  newTag: v1\n"), "more would change"},
		{"a new entry twice", src, add, spoilText("- name: new\n  newTag: v1\n- name: new\n  newTag: v1\n"), "4 lines would come or go instead of 2"},
		{"a new entry with more", src, add, spoilText("- name: new\n  newTag: {x: y}\n"), "more would change"},
		{"an inserted key of another name", src, insert, spoilText("  other: " + someDigest + "\n"), "more would change"},
		{"an inserted key with an anchor", src, insert, spoilText("  digest: &x " + someDigest + "\n"), "more would change"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, err := parseExact("k.yaml", []byte(tt.src))
			if err != nil {
				t.Fatal(err)
			}
			p, err := newPlan(d, 1)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.addChanges([]Change{tt.change}); err != nil {
				t.Fatal(err)
			}
			out := string(apply(p.src, 0, len(p.src), p.edits))
			if err := p.prove([]byte(out)); err != nil {
				t.Fatalf("the right plan is refused: %v", err)
			}
			err = p.prove([]byte(tt.spoil(p, out)))
			var refused *RefusedError
			if !errors.As(err, &refused) || !strings.Contains(refused.Reason, tt.want) {
				t.Errorf("error %v, want %s", err, tt.want)
			}
		})
	}
}

// spoilText gives the first edit another text.
func spoilText(text string) func(*plan, string) string {
	return func(p *plan, _ string) string {
		p.edits[0].text = text
		return string(apply(p.src, 0, len(p.src), p.edits))
	}
}

// moveTo moves the first edit to the nth place where a text stands.
func (p *plan) moveTo(text string, nth int) {
	off := -1
	for range nth {
		off += 1 + strings.Index(string(p.src[off+1:]), text)
	}
	p.edits[0].start, p.edits[0].end = off, off+len(strings.TrimSpace(text))
}
