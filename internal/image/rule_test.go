package image

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func minute(n int) time.Time { return time.Date(2026, 3, 2, 9, n, 0, 0, time.UTC) }

const (
	d1 = Digest("sha256:1111111111111111111111111111111111111111111111111111111111111111")
	d2 = Digest("sha256:2222222222222222222222222222222222222222222222222222222222222222")
)

func TestAllows(t *testing.T) {
	tests := []struct {
		rule    Rule
		yes, no []string
	}{
		{must(Semver(">=1.4.0 <2.0.0")), []string{"1.4.0", "v1.4.0", "1.99.0"}, []string{"1.3.9", "2.0.0", "1.4", "1", "latest", "1.5.0-rc.1", "01.4.0", "1.4.0.1", "V1.4.0", "vv1.4.0", "1.4.1-alpine", "20241105", "", "1.4.0 "}},
		{must(Semver(">=1.4.0 <2.0.0-0")), []string{"1.4.0", "1.9.9"}, []string{"1.5.0-rc.1", "2.0.0-rc.1", "2.0.0"}},
		{must(Semver(">=1.4.0-0")), []string{"1.4.0", "1.5.0-rc.1", "1.4.0-alpha"}, []string{"1.3.9"}},
		{must(Semver("^1.2 || >=2.0.0-0 <3.0.0")), []string{"1.2.0", "2.0.0-rc.1", "2.1.0"}, []string{"1.3.0-rc.1", "3.0.0"}},
		{must(Semver("~1.4.2")), []string{"1.4.2", "1.4.9"}, []string{"1.5.0", "1.4.1"}},
		{must(Semver("1.x")), []string{"1.0.0", "v1.9.0"}, []string{"2.0.0", "0.9.0"}},
		{must(Semver("1.2 - 1.4.5")), []string{"1.2.0", "1.4.5"}, []string{"1.4.6"}},
		{must(Semver("*")), []string{"0.0.1", "99.0.0"}, []string{"1.0.0-rc.1"}},
		{must(Regex(`build-(\d+)`, Numeric)), []string{"build-1", "build-007"}, []string{"build-", "xbuild-1", "build-1x", "1"}},
		{must(Regex(`main-[0-9a-f]{7}`, Newest)), []string{"main-3f2a1bc"}, []string{"main-3f2a1bcd", "main-XXXXXXX"}},
		{must(Regex(`a|b`, Alphabetical)), []string{"a", "b"}, []string{"ab", "xa", "bx"}},
		{must(Regex(`^r-(.*)$`, Numeric)), []string{"r-1", "r-1.2", "r-2024-11_5"}, []string{"r-", "r-x", "r-1.", "r-1..2", "r-v1"}},
		{must(Regex(`(?:x(\d+))?y`, Numeric)), []string{"x1y"}, []string{"y"}},
		{must(Follow("stable")), []string{"stable"}, []string{"Stable", "stable2", "latest"}},
		{must(Infer("1.4.1")), []string{"1.4.1", "v1.4.2", "2.0.0"}, []string{"1.4.0", "1.5.0-rc.1", "1.5.0-alpine", "1.5", "latest"}},
		{must(Infer("1.4")), []string{"1.4", "1.5", "v2.0"}, []string{"1.3", "1.5.1", "1.5-alpine"}},
		{must(Infer("v1.4.1-alpine")), []string{"1.4.1-alpine", "v2.0.0-alpine"}, []string{"1.5.0", "1.5.0-slim", "1.5.0-rc.1-alpine", "1.4.0-alpine", "1.5.0-alpine3.20"}},
		{must(Infer("1.4.1-rc.2")), []string{"1.4.1", "1.4.2"}, []string{"1.4.1-rc.2", "1.4.1-rc.3", "1.4.0"}},
		{must(Infer("1.4.1-rc.2-alpine")), []string{"1.4.1-alpine"}, []string{"1.4.1", "1.4.1-rc.3-alpine"}},
		{Rule{}, nil, []string{"", "1.0.0"}},
	}
	for _, test := range tests {
		for _, tag := range test.yes {
			if why := test.rule.Refusal(tag); why != "" || !test.rule.Allows(tag) {
				t.Errorf("%s allows %q = false (%s); want true", test.rule, tag, why)
			}
		}
		for _, tag := range test.no {
			if test.rule.Allows(tag) || test.rule.Refusal(tag) == "" {
				t.Errorf("%s allows %q = true; want false and a reason", test.rule, tag)
			}
		}
	}
}

func TestRuleErrors(t *testing.T) {
	semver := func(s string) func() (Rule, error) { return func() (Rule, error) { return Semver(s) } }
	regex := func(s string, o Order) func() (Rule, error) { return func() (Rule, error) { return Regex(s, o) } }
	follow := func(s string) func() (Rule, error) { return func() (Rule, error) { return Follow(s) } }
	for i, test := range []struct {
		build        func() (Rule, error)
		wrong, right string
	}{
		{semver(""), "it is empty", ">=0.0.0"},
		{semver("latest"), "it names no version", "{follow: …}"},
		{semver("1.2.3.4"), "at most three numbers", ">=1.4.0"},
		{semver(">=1.0.0 and <2.0.0"), "words or signs", "||"},
		{semver(">=1.0.0 && <2.0.0"), "words or signs", "||"},
		{semver(">=1.0.0 ||"), "one side of ||", ">=1.4.0"},
		{semver(">2.0.0 <1.0.0"), "no version can be in it", "the lower one comes first"},
		{semver("<0.0.0"), "no version can be in it", ""},
		{semver("=1.0.0 !=1.0.0"), "no version can be in it", ""},
		{semver(">=one.two"), "it names no version", ""},
		{semver(">>1.0.0"), "no range", ">=1.4.0"},
		{semver(strings.Repeat("1 ", 400)), "longer than 512", ""},
		{semver(strings.Repeat("1||", 40) + "1"), "more than 32 sides", ""},
		{regex("", Numeric), "it is empty", "build-"},
		{regex("a", ""), "it has no order", "order: numeric, alphabetical or newest"},
		{regex("a", "latest"), `the order "latest" is not known`, "numeric, alphabetical or newest"},
		{regex("(", Newest), "missing closing )", "RE2"},
		{regex(")(", Newest), "unexpected )", "RE2"},
		{regex(`(?=x)`, Newest), "invalid or unsupported Perl syntax", "RE2"},
		{regex(`build-\d+`, Numeric), "no ( ) says which part", `build-(\d+)`},
		{regex(`v\d+\.\d+`, Numeric), "no ( ) says which part", ""},
		{regex(strings.Repeat("a", 513), Newest), "longer than 512", ""},
		{follow(""), "it is empty", "{follow: stable}"},
		{follow("release/*"), "a tag is 1 to 128", "order: newest"},
	} {
		rule, err := test.build()
		var refused *RuleError
		if !errors.As(err, &refused) || !rule.IsZero() || !refused.Permanent() {
			t.Errorf("%d: %v, %v; want a RuleError", i, rule, err)
			continue
		}
		if !strings.Contains(refused.Error(), test.wrong) || !strings.Contains(refused.Hint(), test.right) || refused.Hint() == "" {
			t.Errorf("%d: %q, hint %q; want %q, hint %q", i, refused, refused.Hint(), test.wrong, test.right)
		}
	}
}

func TestPossibleRanges(t *testing.T) {
	for _, text := range []string{
		">=1.0.0", ">1.0.0", ">1.0", ">1", "<1.0.0", "<=0.0.0", "=1.2.3", "!=1.0.0", ">1.0.0-rc.1 <1.0.0", ">1.0.0 !=1.0.1", "~0", "^0.0.1",
		"^0", "1.2.x", "x", "<2.0.0-0", ">1.0.0-rc.1 <1.0.0-rc.2", ">=1.2 <1.3", "1.2 - 1.3", ">1.9.9 <2.1.0", ">=1.0.0,<2.0.0", "~>1.2", "=>1.0",
	} {
		if _, err := Semver(text); err != nil {
			t.Errorf("Semver(%q): %v; want it accepted", text, err)
		}
	}
}

func TestOlderAndNewer(t *testing.T) {
	at := func(tag string, digest Digest, n int) Seen { return Seen{Tag: tag, Digest: digest, First: minute(n)} }
	semver := must(Semver("^1.0.0"))
	variant := must(Infer("1.4.1-alpine"))
	numeric := must(Regex(`b-(\d+(?:\.\d+)*)`, Numeric))
	alpha := must(Regex(`(?:x-)?([a-z0-9-]+)`, Alphabetical))
	newest := must(Regex(`main-.*`, Newest))
	follow := must(Follow("stable"))
	const (
		older = "older"
		newer = "newer"
		equal = "equal"
		apart = "not comparable"
	)
	for _, test := range []struct {
		rule Rule
		a, b Seen
		want string
	}{
		{semver, at("1.5.0", d2, 2), at("1.4.0", d1, 1), newer},
		{semver, at("1.10.0", d2, 2), at("1.9.0", d1, 1), newer},
		{semver, at("1.4.0", d2, 9), at("1.5.0", d1, 1), older},
		{semver, at("1.4.0", d1, 1), at("1.4.0", d1, 2), equal},
		{semver, at("v1.4.0", d1, 1), at("1.4.0", d1, 2), equal},
		{semver, at("1.4.0", d2, 1), at("1.4.0", d1, 2), newer}, // pushed again
		{semver, at("1.4.0", d2, 1), at("1.4.0", "", 2), equal}, // unknown is not another
		{semver, at("1.4.0", "", 1), at("1.4.0", d1, 2), equal},
		{semver, at("1.5.0", "", 1), at("1.4.0", d1, 2), newer},
		{semver, at("1.9.9", d2, 1), at("2.0.0", d1, 2), older}, // what runs is outside of the range, and still ranked
		{semver, at("1.5.0-rc.1", d2, 1), at("1.5.0", d1, 2), older},
		{semver, at("1.5.0", d2, 1), at("1.5.0-rc.1", d1, 2), newer},
		{semver, at("1.5.0", d2, 1), at("1.4", d1, 2), newer},
		{semver, at("1.3.0", d2, 1), at("1.4", d1, 2), older},
		{semver, at("1.5.0", d2, 1), at("latest", d1, 2), apart},
		{semver, at("latest", d2, 1), at("1.5.0", d1, 2), apart},
		{semver, at("1.5.0", d2, 1), at("", d1, 2), apart},
		{semver, at("1.5.0", d2, 1), at("20241105", d1, 2), apart},
		{variant, at("1.5.0-alpine", d2, 1), at("1.4.1-alpine", d1, 2), newer},
		{variant, at("1.4.0-alpine", d2, 1), at("1.4.1-alpine", d1, 2), older},
		{variant, at("1.4.1-alpine", d2, 1), at("1.4.2", d1, 2), older},
		{numeric, at("b-10", d2, 1), at("b-9", d1, 2), newer},
		{numeric, at("b-1.10", d2, 1), at("b-1.9", d1, 2), newer},
		{numeric, at("b-1", d2, 1), at("b-1.0", d1, 2), older},
		{numeric, at("b-007", d1, 1), at("b-7", d1, 2), equal},
		{numeric, at("b-99999999999999999999999", d2, 1), at("b-99999999999999999999998", d1, 2), newer},
		{numeric, at("b-10", d2, 1), at("latest", d1, 2), apart},
		{alpha, at("x-b", d2, 1), at("x-a", d1, 2), newer},
		{alpha, at("x-10", d2, 1), at("x-9", d1, 2), older},
		{alpha, at("x-b", d2, 1), at("x_a", d1, 2), apart},
		{newest, at("main-b", d2, 2), at("main-a", d1, 1), newer},
		{newest, at("main-b", d2, 1), at("main-a", d1, 2), older},
		{newest, at("main-b", d2, 2), Seen{Tag: "main-a", Digest: d1}, apart}, // nobody saw when
		{newest, Seen{Tag: "main-b", Digest: d2}, at("main-a", d1, 1), apart},
		{follow, at("stable", d2, 2), at("stable", d1, 1), newer},
		{follow, at("stable", d1, 1), at("stable", d2, 2), newer}, // it moved back
		{follow, at("stable", d1, 1), at("stable", d1, 2), equal},
		{follow, at("stable", d2, 1), at("", d1, 2), newer}, // only the digest is set
		{follow, at("stable", d2, 1), Seen{Tag: "stable"}, newer},
		{follow, Seen{Tag: "stable"}, at("stable", d1, 1), equal},
		{follow, at("stable", d2, 1), at("1.4.0", d1, 2), apart},
		{Rule{}, at("1.5.0", d2, 1), at("1.4.0", d1, 2), apart},
	} {
		got := equal
		switch {
		case test.rule.Older(test.a, test.b):
			got = older
		case test.rule.Newer(test.a, test.b):
			got = newer
		case !test.rule.Comparable(test.a, test.b):
			got = apart
		}
		if got != test.want {
			t.Errorf("%s: %s against %s = %s; want %s", test.rule, test.a.Tag, test.b.Tag, got, test.want)
		}
	}
}

func TestBest(t *testing.T) {
	for _, test := range []struct {
		rule       Rule
		candidates []Seen
		want       Seen
	}{
		{must(Semver("^1.0.0")), []Seen{{Tag: "1.9.0"}, {Tag: "1.10.0"}, {Tag: "2.0.0"}, {Tag: "latest"}}, Seen{Tag: "1.10.0"}},
		{must(Semver("^1.0.0")), []Seen{{Tag: "v1.9.0", Digest: d2}, {Tag: "1.9.0", Digest: d1}}, Seen{Tag: "1.9.0", Digest: d1}},
		{must(Semver("^1.0.0")), []Seen{{Tag: "1.9.0", Digest: d1, First: minute(2)}, {Tag: "1.9.0", Digest: d2, First: minute(1)}}, Seen{Tag: "1.9.0", Digest: d1, First: minute(2)}},
		{must(Semver("^1.0.0")), []Seen{{Tag: "1.9.0"}, {Tag: "1.9.0", Digest: d1}}, Seen{Tag: "1.9.0", Digest: d1}},
		{must(Regex(`m-.*`, Newest)), []Seen{{Tag: "m-a", First: minute(1)}, {Tag: "m-b", First: minute(3)}, {Tag: "x", First: minute(9)}, {Tag: "m-c"}}, Seen{Tag: "m-b", First: minute(3)}},
		{must(Regex(`m-.*`, Newest)), []Seen{{Tag: "m-c"}, {Tag: "m-b"}}, Seen{Tag: "m-b"}},
		{must(Follow("stable")), []Seen{{Tag: "stable", Digest: d2, First: minute(1)}, {Tag: "stable", Digest: d1, First: minute(2)}}, Seen{Tag: "stable", Digest: d1, First: minute(2)}},
	} {
		if got, ok := test.rule.Best(test.candidates); !ok || got != test.want {
			t.Errorf("%s: Best = %+v, %v; want %+v", test.rule, got, ok, test.want)
		}
	}
	for _, rule := range []Rule{{}, must(Semver("^9")), must(Follow("x"))} {
		if got, ok := rule.Best([]Seen{{Tag: "1.0.0"}}); ok {
			t.Errorf("%s: Best = %+v; want none", rule, got)
		}
	}
}

// rules draws a rule of every kind, and tags the kind of tags that any of them meets.
func rules() *rapid.Generator[Rule] {
	return rapid.SampledFrom([]Rule{
		must(Semver(">=0.0.0")), must(Semver(">=1.0.0-0")), must(Semver("^1 || ^3")), must(Infer("1.1.0")), must(Infer("1.1")), must(Infer("v1.0.1-alpine")),
		must(Regex(`v?(\d+\.\d+)\..*`, Numeric)), must(Regex(`\d+(\.\d+)*`, Alphabetical)), must(Regex(`.*`, Newest)), must(Regex(`.*`, Alphabetical)),
		must(Regex(`(.*)`, Numeric)), must(Follow("stable")),
		{},
	})
}

func sightings() *rapid.Generator[Seen] {
	return rapid.Custom(func(t *rapid.T) Seen {
		n := rapid.IntRange(0, 3)
		tag := rapid.OneOf(
			rapid.SampledFrom([]string{"stable", "latest", "", "20241105", "1", "main-3f2a1bc"}),
			rapid.Custom(func(t *rapid.T) string {
				tag := rapid.SampledFrom([]string{"", "v"}).Draw(t, "v") + fmt.Sprint(n.Draw(t, "major"), ".", n.Draw(t, "minor"))
				if rapid.Bool().Draw(t, "three") {
					tag += fmt.Sprint(".", n.Draw(t, "patch"))
				}
				return tag + rapid.SampledFrom([]string{"", "", "-alpine", "-rc.1", "-rc.2-alpine", "-0"}).Draw(t, "suffix")
			}),
		).Draw(t, "tag")
		seen := Seen{Tag: tag, Digest: rapid.SampledFrom([]Digest{"", d1, d2}).Draw(t, "digest")}
		if m := n.Draw(t, "first"); m > 0 {
			seen.First = minute(m)
		}
		return seen
	})
}

func TestBestIgnoresOrderAndRepetition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule := rules().Draw(t, "rule")
		candidates := rapid.SliceOfN(sightings(), 1, 12).Draw(t, "candidates")
		want, found := rule.Best(candidates)
		more := append(rapid.Permutation(candidates).Draw(t, "shuffled"), rapid.SliceOf(rapid.SampledFrom(candidates)).Draw(t, "again")...)
		if got, ok := rule.Best(rapid.Permutation(more).Draw(t, "all")); got != want || ok != found {
			t.Fatalf("%s: Best = %+v, %v; in another order %+v, %v", rule, want, found, got, ok)
		}
		for _, candidate := range candidates {
			if found && rule.Allows(candidate.Tag) && rule.Older(want, candidate) {
				t.Fatalf("%s: Best = %+v, which is older than %+v", rule, want, candidate)
			}
		}
	})
}

func TestNoDowngradeWhateverComes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule := rules().Draw(t, "rule")
		a, b, c := sightings().Draw(t, "a"), sightings().Draw(t, "b"), sightings().Draw(t, "c")
		switch {
		case rule.Older(a, b) && rule.Newer(a, b):
			t.Fatalf("%s: %+v is both older and newer than %+v", rule, a, b)
		case rule.Older(a, b) && rule.Older(b, a):
			t.Fatalf("%s: %+v and %+v are older than each other", rule, a, b)
		case rule.Older(a, b) && rule.Older(b, c) && !rule.Older(a, c):
			t.Fatalf("%s: older is not transitive over %+v, %+v, %+v", rule, a, b, c)
		case !rule.Comparable(a, b) && (rule.Older(a, b) || rule.Newer(a, b)):
			t.Fatalf("%s: %+v and %+v are ranked, though not comparable", rule, a, b)
		case rule.Comparable(a, b) != rule.Comparable(b, a):
			t.Fatalf("%s: comparable depends on the order of %+v and %+v", rule, a, b)
		case rule.Older(a, b) && a.Digest != b.Digest && !rule.Newer(b, a):
			t.Fatalf("%s: %+v is older than %+v, which is not newer", rule, a, b)
		}
	})
}

func TestNewerOnlyEverClimbs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule := rules().Filter(func(r Rule) bool { return !r.Moving() }).Draw(t, "rule")
		running := sightings().Draw(t, "running")
		highest := running
		for _, next := range rapid.SliceOf(sightings()).Draw(t, "pushes") {
			if rule.Allows(next.Tag) && rule.Newer(next, running) {
				running = next
			}
			if rule.Older(highest, running) {
				highest = running
			}
			if rule.Older(running, highest) {
				t.Fatalf("%s: went down to %+v after %+v", rule, running, highest)
			}
		}
	})
}

func TestSay(t *testing.T) {
	for _, test := range []struct{ rule, yaml, say string }{
		{">=1.4.0 <2.0.0-0", "tags: {semver: '>=1.4.0 <2.0.0-0'}", "semver >=1.4.0 <2.0.0-0"},
	} {
		rule := must(Semver(test.rule))
		if rule.YAML() != test.yaml || rule.Say() != test.say {
			t.Errorf("%s: %s, %s; want %s, %s", test.rule, rule.YAML(), rule.Say(), test.yaml, test.say)
		}
	}
	regex := must(Regex(`it's-(\d+)`, Numeric))
	if got, want := regex.YAML(), `tags: {regex: 'it''s-(\d+)', order: numeric}`; got != want {
		t.Errorf("YAML = %s; want %s", got, want)
	}
	if got, want := regex.String(), `regex it's-(\d+) by number`; got != want {
		t.Errorf("String = %s; want %s", got, want)
	}
	if got := (Rule{}).Say(); got != "no tag rule" {
		t.Errorf("Say of the zero Rule = %s", got)
	}
}

func FuzzSemver(f *testing.F) {
	for _, seed := range [][2]string{{">=1.4.0 <2.0.0-0", "1.4.1"}, {"^1.2 || ~2", "v2.0.1"}, {"1 - 2", "1.5.0-rc.1"}, {"x", "1.0.0"}, {"=>1,<3", "2.0.0"}, {"1|2", "1.0.0"}, {"=0.0.0-0", "0.0.0-0"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, text, tag string) {
		rule, err := Semver(text)
		if err != nil {
			var refused *RuleError
			if !errors.As(err, &refused) || refused.Hint() == "" || !rule.IsZero() {
				t.Fatalf("Semver(%q) = %v, %v; want a RuleError with a hint", text, rule, err)
			}
			return
		}
		if rule.Allows(tag) {
			if !rule.Comparable(Seen{Tag: tag}, Seen{Tag: tag}) {
				t.Fatalf("%s allows %q, but cannot rank it", rule, tag)
			}
			if strings.Contains(tag, "-") && !strings.Contains(text, "-") {
				t.Fatalf("%s allows the pre-release %q", rule, tag)
			}
		}
	})
}

func FuzzRegex(f *testing.F) {
	for _, seed := range [][2]string{{`build-(\d+)`, "build-12"}, {`main-[0-9a-f]{7}`, "main-3f2a1bc"}, {`(a)|(b)`, "b"}, {`)(`, "x"}, {`x{1000}`, "x"}, {`(?i)V(\d+)`, "v1"}, {``, ""}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, tag string) {
		for _, order := range []Order{Numeric, Alphabetical, Newest} {
			rule, err := Regex(pattern, order)
			if err != nil {
				continue
			}
			if rule.Allows(tag) && order != Newest && !rule.Comparable(Seen{Tag: tag}, Seen{Tag: tag}) {
				t.Fatalf("%s allows %q, but cannot rank it", rule, tag)
			}
		}
	})
}
