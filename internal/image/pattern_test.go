package image

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestPatternMatch(t *testing.T) {
	tests := []struct {
		pattern string
		yes, no []Name
	}{
		{"registry.acme.io/shop/*", []Name{"registry.acme.io/shop/web"}, []Name{"registry.acme.io/shop", "registry.acme.io/shop/a/b", "evil.registry.acme.io/shop/web", "registry.acme.io/shopx/web"}},
		{"registry.acme.io/**", []Name{"registry.acme.io/web", "registry.acme.io/a/b/c"}, []Name{"registry.acme.io:5000/web", "ghcr.io/web"}},
		{"registry.acme.io/**/web", []Name{"registry.acme.io/web", "registry.acme.io/a/b/web"}, []Name{"registry.acme.io/a/b/webs", "registry.acme.io/a/web/b"}},
		{"registry.acme.io/a/**/b/**/c", []Name{"registry.acme.io/a/b/c", "registry.acme.io/a/x/b/b/y/c/c"}, []Name{"registry.acme.io/a/c/b"}},
		{"registry.acme.io/shop/web-*", []Name{"registry.acme.io/shop/web-eu", "registry.acme.io/shop/web-"}, []Name{"registry.acme.io/shop/web", "registry.acme.io/shop/web-a/b"}},
		{"registry.acme.io/*/*", []Name{"registry.acme.io/a/b"}, []Name{"registry.acme.io/a", "registry.acme.io/a/b/c"}},
		{"Registry.Acme.IO/Shop/Web", []Name{"registry.acme.io/shop/web"}, []Name{"registry.acme.io/shop/web2"}},
		{"nginx", []Name{"docker.io/library/nginx"}, []Name{"docker.io/acme/nginx"}},
		{"bitnami/*", []Name{"docker.io/bitnami/redis"}, []Name{"ghcr.io/bitnami/redis"}},
		{"index.docker.io/bitnami/*", []Name{"docker.io/bitnami/redis"}, nil},
		{"**", []Name{"docker.io/library/nginx", "a.io/b/c/d/e"}, nil},
		{"**/web", []Name{"docker.io/library/web", "a.io/web"}, []Name{"a.io/web/x"}},
		{"*/shop/web", []Name{"a.io/shop/web", "localhost:5000/shop/web"}, []Name{"a.io/x/shop/web"}},
		{"*.acme.io/web", []Name{"eu.acme.io/web", "a.b.acme.io/web"}, []Name{"acme.io/web"}},
		{"localhost:5000/*", []Name{"localhost:5000/web"}, []Name{"localhost/web"}},
	}
	for _, test := range tests {
		pattern, err := ParsePattern(test.pattern)
		if err != nil {
			t.Errorf("ParsePattern(%q): %v", test.pattern, err)
			continue
		}
		for _, name := range test.yes {
			if !pattern.Match(name) {
				t.Errorf("%s matches %s = false; want true", test.pattern, name)
			}
		}
		for _, name := range test.no {
			if pattern.Match(name) {
				t.Errorf("%s matches %s = true; want false", test.pattern, name)
			}
		}
	}
	if (Pattern{}).Match("a.io/b") || !(Pattern{}).IsZero() {
		t.Error("the zero Pattern matches; want it to match nothing")
	}
}

func TestParsePatternRefuses(t *testing.T) {
	for in, want := range map[string]string{
		"":                           "it is empty",
		"registry.acme.io/web:1.*":   "it has a tag",
		"web:1":                      "it has a tag",
		"web@sha256:" + hex64:        "it has a digest",
		"registry.acme.io/shop/web?": "only * and ** are wildcards",
		"registry.acme.io/[ab]":      "only * and ** are wildcards",
		"registry.acme.io/web**":     "** stands alone",
		"registry.acme.io//*":        "empty",
		"registry.acme.io/*/":        "empty",
		"*":                          "stands for the registry's host",
		"web-*":                      "stands for the registry's host",
		"registry.acme.io/a b/*":     "no image's name",
		"registry.acme.io/../*":      "no image's name",
		"registry.acme.io/\u212a*":   "letters that no image's name has",
		strings.Repeat("a*/", 100):   "longer than",
		"https://registry.acme.io/*": "no image's name",
	} {
		_, err := ParsePattern(in)
		var refused *PatternError
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), want) || refused.Hint() == "" || !refused.Permanent() {
			t.Errorf("ParsePattern(%q) = %v; want a PatternError with %q and a hint", in, err, want)
		}
	}
}

func TestComparePatterns(t *testing.T) {
	want := []string{
		"docker.io/library/nginx", "registry.acme.io/shop/web", "registry.acme.io/shop/web-eu-*", "registry.acme.io/shop/web-*",
		"registry.acme.io/shop/*", "registry.acme.io/shop/**", "registry.acme.io/*/*", "registry.acme.io/*", "registry.acme.io/**/web", "registry.acme.io/**",
		"*.acme.io/web", "**/web", "**",
	}
	rapid.Check(t, func(t *rapid.T) {
		var patterns []Pattern
		for _, text := range rapid.Permutation(want).Draw(t, "patterns") {
			pattern, err := ParsePattern(text)
			if err != nil {
				t.Fatal(err)
			}
			patterns = append(patterns, pattern)
		}
		slices.SortFunc(patterns, ComparePatterns)
		for i, pattern := range patterns {
			if pattern.String() != want[i] {
				t.Fatalf("sorted[%d] = %s; want %s", i, pattern, want[i])
			}
		}
	})
}

func FuzzParsePattern(f *testing.F) {
	for _, seed := range []string{"registry.acme.io/shop/*", "**/web", "nginx", "*.acme.io/a*b*c/**/d", "[::1]:5000/*", "a:1", "**/**", "*:5000/x"} {
		f.Add(seed, "registry.acme.io/shop/web")
	}
	f.Fuzz(func(t *testing.T, text, image string) {
		pattern, err := ParsePattern(text)
		if err != nil {
			return
		}
		again, err := ParsePattern(pattern.String())
		if err != nil || again.String() != pattern.String() {
			t.Fatalf("ParsePattern(%q) = %s, but that gives %s, %v", text, pattern, again, err)
		}
		name, err := ParseName(image)
		if err != nil {
			return
		}
		if pattern.Exact() != (pattern.Match(Name(pattern.String())) && !strings.Contains(pattern.String(), "*")) {
			t.Fatalf("%s does not match itself", pattern)
		}
		exact, err := ParsePattern(string(name))
		if err != nil || !exact.Match(name) {
			t.Fatalf("the pattern %s does not match the image of that name: %v", name, err)
		}
	})
}
