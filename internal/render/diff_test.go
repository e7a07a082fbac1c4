package render

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func objectOf(kind, namespace, name, text string) *object {
	return &object{apiVersion: "v1", kind: kind, namespace: namespace, name: name, text: text}
}

func TestPair(t *testing.T) {
	o := func(name string) *object { return objectOf("ConfigMap", "", name, "") }
	const h1, h2, h3 = "-7g4b2m9k4t", "-hhh4cdk6dk", "-d99726cm5h"
	for _, test := range []struct {
		name          string
		before, after []string
		want          string
	}{
		{"same", []string{"a", "b"}, []string{"a", "b"}, "a=a b=b"},
		{"order of after, then what went", []string{"x", "a", "b"}, []string{"b", "a", "n"}, "b=b a=a =n x="},
		{"generated name", []string{"a" + h1}, []string{"a" + h2}, "a" + h1 + "=a" + h2},
		{"generated name that stays", []string{"a" + h1}, []string{"a" + h1, "a" + h2}, "a" + h1 + "=a" + h1 + " =a" + h2},
		{"in doubt", []string{"a" + h1, "a" + h2}, []string{"a" + h3}, "=a" + h3 + " a" + h1 + "= a" + h2 + "="},
		{"not a hash", []string{"a-1234567890"}, []string{"a-1234567891"}, "=a-1234567891 a-1234567890="},
		{"empty", nil, nil, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var before, after []*object
			for _, n := range test.before {
				before = append(before, o(n))
			}
			for _, n := range test.after {
				after = append(after, o(n))
			}
			var got []string
			for _, c := range pair(before, after) {
				b, a := "", ""
				if c.before != nil {
					b = c.before.name
				}
				if c.after != nil {
					a = c.after.name
				}
				got = append(got, b+"="+a)
			}
			if s := strings.Join(got, " "); s != test.want {
				t.Errorf("pair(%v, %v) = %s; want %s", test.before, test.after, s, test.want)
			}
		})
	}
}

func TestDiffOf(t *testing.T) {
	for _, test := range []struct {
		name   string
		change change
		want   string
	}{
		{"equal", change{objectOf("A", "n", "x", "a\n"), objectOf("A", "n", "x", "a\n")}, ""},
		{
			"changed",
			change{objectOf("A", "n", "x", "a\nb\n"), objectOf("A", "n", "x", "a\nc\n")},
			"--- A n/x\n+++ A n/x\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n",
		},
		{"added", change{nil, objectOf("A", "", "x", "a\n")}, "--- (none)\n+++ A x\n@@ -0,0 +1 @@\n+a\n"},
		{"removed", change{objectOf("A", "", "x", "a\n"), nil}, "--- A x\n+++ (none)\n@@ -1 +0,0 @@\n-a\n"},
		{
			"renamed",
			change{objectOf("A", "", "x", "a\n"), objectOf("A", "", "y", "b\n")},
			"--- A x\n+++ A y\n@@ -1 +1 @@\n-a\n+b\n",
		},
		{
			"hostile",
			change{nil, objectOf("A\n+++ B", "", "x\u202e", "\x1b[0m\rz\n")},
			"--- (none)\n+++ A\\n+++ B x\\u202e\n@@ -0,0 +1 @@\n+\\x1b[0m\\rz\n",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, cut := diffOf([]change{test.change}, 4<<10, 500)
			if got != test.want || cut {
				t.Errorf("diffOf = %q, %v; want %q, false", got, cut, test.want)
			}
		})
	}
}

func TestDiffIsBoundedAndSaysSo(t *testing.T) {
	big := func(s string, n int) string { return strings.Repeat(s+"\n", n) }
	var many []change
	for i := range 200 {
		name := fmt.Sprintf("x%03d", i)
		many = append(many, change{objectOf("A", "n", name, "a\n"), objectOf("A", "n", name, "b\n")})
	}
	for _, test := range []struct {
		name    string
		changes []change
		want    []string
	}{
		{"many resources", many, []string{"A n/x000\n", "more changed, not shown: A n/x", ", …\n"}},
		{
			"one long resource, one more",
			[]change{{objectOf("A", "", "x", ""), objectOf("A", "", "x", big("line", 2000))}, many[0]},
			[]string{"… the diff of A x is cut here\n", "… 1 more changed, not shown: A n/x000\n"},
		},
		{
			"one huge resource",
			[]change{{objectOf("A", "", "x", big("a", maxCompared)), objectOf("A", "", "x", big("b", maxCompared))}, many[0]},
			[]string{"too large to be shown line by line", "+++ A n/x000\n"},
		},
		{
			"one long line",
			[]change{{objectOf("A", "", "x", "a\n"), objectOf("A", "", "x", strings.Repeat("é", 4000)+"\n")}},
			[]string{"é […]\n"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			const limit, width = 4 << 10, 100
			got, cut := diffOf(test.changes, limit, width)
			if !cut {
				t.Error("cut = false; want true")
			}
			if len(got) > limit {
				t.Errorf("the diff has %d bytes; want at most %d", len(got), limit)
			}
			for _, want := range test.want {
				if !strings.Contains(got, want) {
					t.Errorf("diff has no %q:\n%s", want, got)
				}
			}
		})
	}
}

func TestDiffBoundsHoldForAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.Custom(func(t *rapid.T) *object {
			lines := rapid.SliceOfN(rapid.String(), 0, 30).Draw(t, "lines")
			return objectOf(rapid.String().Draw(t, "kind"), rapid.String().Draw(t, "namespace"), rapid.String().Draw(t, "name"),
				strings.Repeat(strings.Join(lines, "\n"), rapid.IntRange(1, 20).Draw(t, "times")))
		})
		changes := pair(rapid.SliceOfN(text, 0, 8).Draw(t, "before"), rapid.SliceOfN(text, 0, 8).Draw(t, "after"))
		const limit, width = 4 << 10, 80
		got, _ := diffOf(changes, limit, width)
		if len(got) > limit {
			t.Fatalf("the diff has %d bytes; want at most %d", len(got), limit)
		}
		if got != printable(got) || !utf8.ValidString(got) {
			t.Fatalf("the diff holds characters that act: %q", got)
		}
		if got != "" && !strings.HasSuffix(got, "\n") {
			t.Fatalf("the diff ends within a line: %q", got)
		}
		for _, c := range changes {
			if c.before == nil && c.after == nil {
				t.Fatal("a change of nothing")
			}
		}
	})
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"plain\n\ttext é 漢":    "plain\n\ttext é 漢",
		"\x1b[31m":             `\x1b[31m`,
		"a\r\nb":               "a\\r\nb",
		"\x00\x7f\u0085":       `\x00\x7f\x85`,
		"\u202e\u2066\ufeff":   `\u202e\u2066\ufeff`,
		"\u2028":               `\u2028`,
		"\U000e0041":           `\U000e0041`,
		"bad \xff\xfe":         `bad \xff\xfe`,
		"real \ufffd":          "real \ufffd",
		"soft\u00adhy\u200dph": `soft\xadhy\u200dph`,
	} {
		if got := printable(in); got != want {
			t.Errorf("printable(%q) = %q; want %q", in, got, want)
		}
	}
}

func TestCutString(t *testing.T) {
	for _, test := range []struct {
		in   string
		n    int
		want string
	}{
		{"short", 10, "short"},
		{"exactly ten", 11, "exactly ten"},
		{"a longer text", 10, "a lo […]"},
		{"éééééééé", 12, "ééé […]"},
		{"anything", 2, " […]"},
	} {
		if got := cutString(test.in, test.n); got != test.want {
			t.Errorf("cutString(%q, %d) = %q; want %q", test.in, test.n, got, test.want)
		}
	}
}
