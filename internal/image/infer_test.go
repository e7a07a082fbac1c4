package image

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestInferSays(t *testing.T) {
	for _, test := range []struct{ tag, say, yaml string }{
		{
			"1.4.1",
			"semver >=1.4.1, inferred from the tag 1.4.1: this and any later release, also of the next major version; pre-releases are left out",
			"tags: {semver: '>=1.4.1'}",
		},
		{
			"v1.4.1-rc.1",
			"semver >=1.4.1, inferred from the tag v1.4.1-rc.1: this and any later release, also of the next major version; pre-releases are left out, although one runs; to take them too write tags: {semver: '>=1.4.1-0'}",
			"tags: {semver: '>=1.4.1'}",
		},
		{
			"1.4",
			"semver >=1.4 among tags of two numbers, inferred from the tag 1.4: this and any later release, also of the next major version; pre-releases are left out",
			`tags: {regex: 'v?(\d+\.\d+)', order: numeric}`,
		},
		{
			"1.4.1-alpine3.20",
			"semver >=1.4.1 among tags that end in -alpine3.20, inferred from the tag 1.4.1-alpine3.20: this and any later release, also of the next major version; pre-releases are left out",
			`tags: {regex: 'v?(\d+\.\d+\.\d+)-alpine3\.20', order: numeric}`,
		},
		{
			"1.4-slim",
			"semver >=1.4 among tags of two numbers that end in -slim, inferred from the tag 1.4-slim: this and any later release, also of the next major version; pre-releases are left out",
			`tags: {regex: 'v?(\d+\.\d+)-slim', order: numeric}`,
		},
	} {
		rule, err := Infer(test.tag)
		if err != nil || rule.Say() != test.say || rule.YAML() != test.yaml || rule.Moving() {
			t.Errorf("Infer(%q) = %s, %s, %v;\nwant %s, %s", test.tag, rule.Say(), rule.YAML(), err, test.say, test.yaml)
		}
	}
}

func TestInferNamesTheLineToWrite(t *testing.T) {
	for tag, want := range map[string]string{
		"":                   `tags: {semver: '>=0.0.0'}`,
		"not a tag":          `tags: {semver: '>=0.0.0'}`,
		"latest":             `tags: {follow: 'latest'}`,
		"main":               `tags: {follow: 'main'}`,
		"release-candidate":  `tags: {follow: 'release-candidate'}`,
		"v1":                 `tags: {follow: 'v1'}`,
		"16":                 `tags: {regex: '(\d+)', order: numeric}`,
		"20241105":           `tags: {regex: '(\d+)', order: numeric}`,
		"2024.11.05":         `tags: {regex: '(\d+\.\d+\.\d+)', order: numeric}`,
		"2024-11-05":         `tags: {regex: '(\d+-\d+-\d+)', order: numeric}`,
		"20241105-1":         `tags: {regex: '(\d+-\d+)', order: numeric}`,
		"1.4.1-123":          `tags: {regex: '(\d+\.\d+\.\d+-\d+)', order: numeric}`,
		"1.4.1.2":            `tags: {regex: '(\d+\.\d+\.\d+\.\d+)', order: numeric}`,
		"build-123":          `tags: {regex: 'build-(\d+)', order: numeric}`,
		"3f2a1bc":            `tags: {regex: 'g?[0-9a-f]{7,64}', order: newest}`,
		"main-3f2a1bc":       `tags: {regex: 'main-g?[0-9a-f]{7,64}', order: newest}`,
		"main-12-3f2a1bc":    `tags: {regex: 'main-\d+-g?[0-9a-f]{7,64}', order: newest}`,
		"20241105-3f2a1bc":   `tags: {regex: '\d+-g?[0-9a-f]{7,64}', order: newest}`,
		"1.4.1-3f2a1bc":      `tags: {regex: '\d+\.\d+\.\d+-g?[0-9a-f]{7,64}', order: newest}`,
		"v1.4.1-5-g3f2a1bc":  `tags: {regex: 'v\d+\.\d+\.\d+-\d+-g?[0-9a-f]{7,64}', order: newest}`,
		"1.4.1-debian-12-r3": `tags: {regex: '\d+\.\d+\.\d+-debian-\d+-r\d+', order: newest}`,
	} {
		rule, err := Infer(tag)
		var none *NoRuleError
		if !errors.As(err, &none) || !rule.IsZero() || !none.Permanent() {
			t.Errorf("Infer(%q) = %v, %v; want a NoRuleError", tag, rule, err)
			continue
		}
		if got := none.Hint(); got != "write at this image in .boatlift.yaml: "+want {
			t.Errorf("Infer(%q): hint %q; want %q", tag, got, want)
		}
	}
}

func TestNoRuleLines(t *testing.T) {
	_, err := Infer("latest")
	var none *NoRuleError
	if !errors.As(err, &none) {
		t.Fatal(err)
	}
	want := "    images:\n      - image: registry.acme.io/shop/web\n        tags: {follow: 'latest'}\n"
	if got := none.Lines("registry.acme.io/shop/web"); got != want {
		t.Errorf("Lines = %q; want %q", got, want)
	}
	if got, want := none.Error(), "no tag rule: latest is not a version; it looks like a tag that moves"; got != want {
		t.Errorf("Error = %q; want %q", got, want)
	}
}

func TestInferredNeverLower(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		running := sightings().Draw(t, "running")
		next := sightings().Draw(t, "next")
		rule, err := Infer(running.Tag)
		if err != nil {
			return
		}
		if rule.Allows(next.Tag) && rule.Older(next, running) {
			t.Fatalf("%s takes %s, which is lower", rule.Say(), next.Tag)
		}
		if rule.Allows(next.Tag) && strings.Contains(next.Tag, "rc") {
			t.Fatalf("%s takes the pre-release %s", rule.Say(), next.Tag)
		}
	})
}

func FuzzInfer(f *testing.F) {
	for _, seed := range []string{"1.4.1", "v1.4", "1.4.1-alpine", "1.4.1-rc.1", "latest", "main-3f2a1bc", "20241105", "16", "1.4.1-5-g3f2a1bc", "1.2.3-", "1.2.3-a..b", "99999999999999999999.1.1", "1.0.0--", "_1_", "1.0.0-a_b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, tag string) {
		rule, err := Infer(tag)
		if err == nil {
			if rule.IsZero() || rule.YAML() == "" || !rule.Comparable(Seen{Tag: tag}, Seen{Tag: tag}) {
				t.Fatalf("Infer(%q) = %s; want a rule that ranks the tag that is there", tag, rule.Say())
			}
			return
		}
		var none *NoRuleError
		if !errors.As(err, &none) || !rule.IsZero() || none.Suggested.IsZero() {
			t.Fatalf("Infer(%q) = %v, %v; want a NoRuleError with a suggestion", tag, rule, err)
		}
		if CheckTag(tag) == nil && !none.Suggested.Allows(tag) {
			t.Fatalf("Infer(%q) suggests %s, which does not take that tag: %s", tag, none.Suggested, none.Suggested.Refusal(tag))
		}
	})
}
