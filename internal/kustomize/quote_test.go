package kustomize

import (
	"strings"
	"testing"
)

func TestNeedsQuotes(t *testing.T) {
	quoted := "1.10 0.1 1. .5 20240101 1234567 00123 012 1e3 0x1f 0X1F 0o17 0b11 1_000 .inf .Inf -.inf y n Y N yes no on off Yes NO On OFF " +
		"true false True FALSE null Null NULL ~ 2024-01-01 2024-1-1T10:00:00Z 12:30 1:30:00 190:20:30.15 nan .nan NaN inf 1,000 12e4567 0e1 1E10 +1 -1 " +
		"- -a a: :a @a `a *a &a !a %a |a >a ?a #a a#b a,b {a} [a] 'a \"a << = +.5e3 1.5e-3 1e-5 1.e5"
	for _, value := range strings.Fields(quoted) {
		if !needsQuotes(value) {
			t.Errorf("%s stays plain; want quotes", value)
		}
	}
	for _, value := range []string{"", " ", "a b", " a", "a ", "a: b", "a #b", "größe", "${TAG}", "{{ tag }}"} {
		if !needsQuotes(value) {
			t.Errorf("%q stays plain; want quotes", value)
		}
	}
	bare := "v1 1.2.3 latest main-20240101 1e5f _x v1.10 1.2.3-rc.1 0.1.0 2024.01.01 2024-01-01-abc deadbeef 1234567f 0x1g sha-1234567 " +
		"registry.acme.io/shop/web host:5000/a/b 1.2.3+build yes-1 nope on1 null0 e1 x1e3 " + someDigest
	for _, value := range strings.Fields(bare) {
		if needsQuotes(value) {
			t.Errorf("%s gets quotes; want plain", value)
		}
	}
}

// What is written must be read back as the same string, in block and flow style and under every kind of quotes.
func FuzzQuoting(f *testing.F) {
	for _, v := range []string{"v1", "1.10", "a'b", `a"b\`, "a: b", "größe", "#", "'", `\`, "{{ x }}", "日本"} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if value == "" || unwritable(value) != "" {
			return
		}
		for _, src := range []string{
			"images:\n- name: web\n  newTag: v1\n", "images:\n- name: web\n  newTag: 'v1'\n", "images:\n- name: web\n  newTag: \"v1\"\n",
			"images: [{name: web, newTag: v1}]\n", "images: [{name: web, newTag: 'v1'}]\n", `{"images": [{"name": "web", "newTag": "v1"}]}`,
		} {
			out, _, err := Edit("k", []byte(src), []Change{{Name: "web", Tag: &value}})
			if err != nil {
				t.Fatalf("%q: %v", value, err)
			}
			entries, err := Read("k", out)
			if err != nil || entries[0].NewTag != value {
				t.Fatalf("%q is read back as %+v, %v from %q", value, entries, err, out)
			}
		}
	})
}
