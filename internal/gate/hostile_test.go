package gate

import (
	"fmt"
	"strings"
	"testing"
)

func TestHostilePolicies(t *testing.T) {
	t.Parallel()
	doubling := "let:\n  x0: '\"aaaaaaaaaaaaaaaa\"'\n"
	for i := range 40 {
		doubling += fmt.Sprintf("  x%d: x%d + x%d\n", i+1, i, i)
	}
	e := custom(t, map[string]string{
		"nested":     "parameters: {x: {type: list(string), default: [], description: d}}\nallow: |\n  params.x.all(a, params.x.all(b, params.x.all(c, params.x.all(d, a + b + c + d != ''))))\nsay: '\"s\"'",
		"doubling":   doubling + "allow: size(x40) > 0\nsay: '\"s\"'",
		"pattern":    "parameters: {x: {type: list(string), default: [], description: d}}\nallow: |\n  params.x.all(a, params.x.all(b, !(a + a + a).matches('(a*)*(b*)*$' + b)))\nsay: '\"s\"'",
		"long-joins": "parameters: {x: {type: list(string), default: [], description: d}}\nallow: params.x.join(params.x[0]) != ''\nsay: '\"s\"'",
		"long-words": "allow: 'true'\nsay: |\n  " + `"` + strings.Repeat("wörd ", 2000) + `"`,
	})
	items := make([]any, 300)
	for i := range items {
		items[i] = strings.Repeat("a", 300)
	}
	for _, tt := range []struct{ policy, want string }{
		{"nested", "nested could not be judged: it takes more work than a policy may do (nested.yaml:6)"},
		{"doubling", "doubling could not be judged: it takes more work than a policy may do (doubling.yaml:24:8)"},
		{"pattern", "pattern could not be judged: it takes more work than a policy may do (pattern.yaml:6)"},
		{"long-joins", "long-joins could not be judged: join would write more than 65536 bytes (long-joins.yaml:5:8)"},
	} {
		use := Use{Policy: tt.policy}
		if tt.policy != "doubling" {
			use.Parameters = map[string]any{"x": items}
		}
		v := e.Judge(t.Context(), good(), []Use{use})
		if v.State != Deny || v.Reason() != tt.want {
			t.Errorf("Judge(%s) = %s: %.200s; want deny: %s", tt.policy, v.State, v.Reason(), tt.want)
		}
	}
	long := e.Judge(t.Context(), good(), []Use{{Policy: "long-words"}}).Rulings[2].Say
	if len(long) > maxSentence || !strings.HasSuffix(long, "…") {
		t.Errorf("a sentence of %d bytes, ending in %q", len(long), long[len(long)-8:])
	}
}

// Parameters are values. None of them can become part of an expression or of another policy's sentence.
func TestParametersAreNotCode(t *testing.T) {
	t.Parallel()
	e := shipped(t)
	for _, evil := range []string{
		`") || true || ("`, `' || true || '`, `"] + params.from + ["`, "${true}", "{{true}}", "\\", "\x00", "facts.held == ''",
		strings.Repeat("(", 1000), "%s%s%s%n", "a\nb\ncount: 0",
	} {
		for _, use := range []Use{
			{"approvals", map[string]any{"from": []any{evil}}},
			{"checks", map[string]any{"names": []any{evil}}},
			{"blocked-digests", map[string]any{"digests": []any{string(good().Changes[0].ToDigest)}, "why": evil}},
			{"only-tags", map[string]any{"match": []any{evil}}},
			{"freeze", map[string]any{"zone": evil, "from": "22:00", "to": "06:00"}},
			{"freeze", map[string]any{"zone": "UTC", "windows": []any{map[string]any{"from": "2026-03-06", "to": "2026-03-06", "why": evil}}}},
		} {
			v := e.Judge(t.Context(), good(), []Use{use})
			if v.State == Allow {
				t.Errorf("Judge(%v) allows: %+v", use, v)
			}
			if strings.ContainsAny(v.Reason(), "\n\x00") {
				t.Errorf("Judge(%v) says %q", use, v.Reason())
			}
		}
	}
}
