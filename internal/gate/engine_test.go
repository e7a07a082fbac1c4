package gate

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/policies"
)

func shipped(t testing.TB) *Engine {
	t.Helper()
	e, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// folder makes a folder of policies, each from its expressions.
func folder(bodies map[string]string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for name, body := range bodies {
		fsys[name+".yaml"] = &fstest.MapFile{Data: []byte("name: " + name + "\ntitle: t\ndescription: d\n" + body)}
	}
	return fsys
}

func custom(t testing.TB, bodies map[string]string) *Engine {
	t.Helper()
	e, err := New(folder(bodies))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

var noon = time.Date(2026, 3, 6, 12, 0, 0, 0, time.UTC)

// good are facts that every shipped policy allows with the parameters of goodUses.
func good() Facts {
	return Facts{
		Now: noon, Environment: "production", App: "web", OpenCount: 1, Head: "c0ffee", OpenedAt: noon.Add(-time.Hour), GreenAt: noon.Add(-time.Minute),
		Changes: []Change{{
			Image: "registry.acme.io/shop/web", FromTag: "1.0.0", ToTag: "1.1.0", PushedAt: noon.Add(-48 * time.Hour),
			ToDigest: image.Digest("sha256:" + strings.Repeat("1", 64)),
		}},
		After:     []Upstream{{Environment: "acceptance", RunsSince: noon.Add(-time.Hour), Rollout: "succeeded", Verified: true}},
		Approvals: []Approval{{User: "alice", Approved: true, At: noon, OnHead: true, CanWrite: true}},
		Checks:    map[string]string{"build": "success"},
	}
}

func goodUses() []Use {
	return []Use{
		{"soak", map[string]any{"for": "30m"}},
		{"freeze", map[string]any{"from": "Fri 16:00", "to": "Mon 07:00", "zone": "Europe/Amsterdam"}},
		{"approvals", nil},
		{"checks", map[string]any{"names": []any{"build"}}},
		{"max-age", map[string]any{"age": "7d"}},
		{"blocked-digests", map[string]any{"digests": []any{}}},
		{"no-downgrade", nil},
		{"only-tags", map[string]any{"match": []any{`\d+\.\d+\.\d+`}}},
		{"max-open", map[string]any{"count": uint64(10)}},
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	e := shipped(t)
	if errs := e.Check(goodUses()); len(errs) > 0 {
		t.Fatal(errs)
	}
	v := e.Judge(t.Context(), good(), goodUses())
	if v.State != Allow {
		t.Errorf("Judge(good) = %+v; want allow", v)
	}
	var order []string
	for _, r := range v.Rulings {
		order = append(order, r.Policy)
		if r.Say == "" {
			t.Errorf("%s says nothing", r.Policy)
		}
	}
	want := []string{"held", "after", "soak", "freeze", "approvals", "checks", "max-age", "blocked-digests", "no-downgrade", "only-tags", "max-open"}
	if !slices.Equal(order, want) {
		t.Errorf("rulings of %v; want %v", order, want)
	}
	if begins := time.Date(2026, 3, 6, 15, 0, 0, 0, time.UTC); !v.Until.Equal(begins) {
		t.Errorf("until = %s; want %s, when the freeze begins", v.Until, begins)
	}
	if again := e.Judge(t.Context(), good(), goodUses()); !reflect.DeepEqual(v, again) {
		t.Errorf("Judge is not deterministic: %+v; then %+v", v, again)
	}
}

func TestJudgeWithoutPolicies(t *testing.T) {
	t.Parallel()
	e := shipped(t)
	v := e.Judge(t.Context(), Facts{}, nil)
	if v.State != Allow || len(v.Rulings) != 1 {
		t.Errorf("Judge(nothing) = %+v; want allow by held alone", v)
	}
	v = e.Judge(t.Context(), Facts{Held: "stop", After: []Upstream{{Environment: "acceptance"}}}, nil)
	if v.State != Deny || v.Reason() != "is on hold in : stop" {
		t.Errorf("Judge(held) = %+v; want deny", v)
	}
}

// What is not known denies or waits, whatever the policy.
func TestUnknownFactsNeverAllow(t *testing.T) {
	t.Parallel()
	e := shipped(t)
	bare := Facts{Changes: []Change{{Image: "registry.acme.io/shop/web"}}, After: []Upstream{{Environment: "acceptance"}}}
	vacuous := []string{"held", "no-downgrade", "max-open"} // their facts have no way of being unknown
	for _, r := range e.Judge(t.Context(), bare, goodUses()).Rulings {
		if r.State == Allow && !slices.Contains(vacuous, r.Policy) && r.Policy != "blocked-digests" {
			t.Errorf("%s allows what is not known: %s", r.Policy, r.Say)
		}
		if r.Policy == "blocked-digests" && r.State != Deny {
			t.Errorf("%s = %s where the digest is not known; want deny", r.Policy, r.State)
		}
	}
}

func TestJudgeDeniesWhatCannotBeJudged(t *testing.T) {
	t.Parallel()
	e := custom(t, map[string]string{
		"reads-unknown": "allow: facts.greenAt < facts.now\nsay: '\"s\"'",
		"out-of-range":  "allow: facts.changes[7].downgrade\nsay: '\"s\"'",
		"no-such-key":   "allow: facts.checks['x'] == ''\nsay: '\"s\"'",
		"divides":       "allow: 1 / facts.openCount == 0\nsay: '\"s\"'",
		"overflows":     "allow: 9223372036854775807 + facts.openCount + 1 > 0\nsay: '\"s\"'",
		"bad-pattern":   "allow: '\"x\".matches(facts.app)'\nsay: '\"s\"'",
		"bad-let":       "let: {x: 'facts.changes[7].toTag'}\nallow: 'true'\nsay: '\"s\"'",
		"bad-say":       "allow: 'true'\nsay: facts.changes[7].toTag",
		"bad-detail":    "allow: 'true'\nsay: '\"s\"'\ndetail: facts.changes[7].toTag",
		"bad-until":     "allow: 'true'\nsay: '\"s\"'\nuntil: latest([facts.greenAt])",
		"not-given":     "parameters: {x: {type: string, description: d}}\nallow: params.x == ''\nsay: '\"s\"'",
		"bad-refuse":    "parameters: {x: {type: int, default: 0, description: d}}\nrefuse: [{when: 1 / params.x == 1, parameter: x, say: '\"s\"'}]\nallow: 'true'\nsay: '\"s\"'",
	})
	facts := Facts{Now: noon, App: "("}
	for _, tt := range []struct {
		use  Use
		want string
	}{
		{Use{Policy: "sok"}, `policy "sok": there is no such policy; did you mean "soak"?`},
		{Use{Policy: "hold-your-horses"}, `policy "hold-your-horses": there is no such policy`},
		{Use{Policy: ""}, `policy "": there is no such policy`},
		{Use{Policy: "held"}, `policy "held": it is built in and always judged: leave it out`},
		{Use{Policy: "soak"}, `policy "soak", parameter for: it is required: how long, as 30m, 12h or 2d`},
		{Use{"soak", map[string]any{"for": "30m", "fro": "x"}}, `policy "soak", parameter fro: there is no such parameter; did you mean "for"?`},
		{Use{"soak", map[string]any{"for": nil}}, `policy "soak", parameter for: nothing is no duration: write a number with its unit, as 30m, 12h or 7d`},
		{Use{Policy: "reads-unknown"}, "reads-unknown could not be judged: greenAt is not known (reads-unknown.yaml:4:8)"},
		{Use{Policy: "out-of-range"}, "out-of-range could not be judged: index out of bounds: 7 (out-of-range.yaml:4:8)"},
		{Use{Policy: "no-such-key"}, "no-such-key could not be judged: no such key: x (no-such-key.yaml:4:8)"},
		{Use{Policy: "divides"}, "divides could not be judged: division by zero (divides.yaml:4:8)"},
		{Use{Policy: "overflows"}, "overflows could not be judged: integer overflow (overflows.yaml:4:8)"},
		{Use{Policy: "bad-pattern"}, "bad-pattern could not be judged: error parsing regexp: missing closing ): `(` (bad-pattern.yaml:4:8)"},
		{Use{Policy: "bad-let"}, "bad-let could not be judged: index out of bounds: 7 (bad-let.yaml:4:10)"},
		{Use{Policy: "bad-say"}, "bad-say could not be judged: index out of bounds: 7 (bad-say.yaml:5:6)"},
		{Use{Policy: "bad-detail"}, "bad-detail could not be judged: index out of bounds: 7 (bad-detail.yaml:6:9)"},
		{Use{Policy: "bad-until"}, "bad-until could not be judged: greenAt is not known (bad-until.yaml:6:8)"},
		{Use{Policy: "not-given"}, "not-given could not be judged: the parameter x is not given (not-given.yaml:5:8)"},
		{Use{Policy: "bad-refuse"}, `policy "bad-refuse", parameter x: it could not be checked: division by zero (bad-refuse.yaml:5:17)`},
	} {
		v := e.Judge(t.Context(), facts, []Use{tt.use})
		r := v.Rulings[len(v.Rulings)-1]
		if v.State != Deny || r.State != Deny || r.Say != tt.want || r.Detail == "" || r.Kind != "" {
			t.Errorf("Judge(%v) = %+v; want deny: %s", tt.use, r, tt.want)
		}
	}
}

func TestJudgeInterrupted(t *testing.T) {
	t.Parallel()
	e := shipped(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	v := e.Judge(ctx, good(), goodUses())
	for _, r := range v.Rulings {
		if r.State != Deny || !strings.HasSuffix(r.Say, "could not be judged: it was interrupted") {
			t.Errorf("%s = %s: %s; want deny", r.Policy, r.State, r.Say)
		}
	}
	late := *e
	late.deadline = -time.Second
	if v := late.Judge(t.Context(), good(), nil); v.State != Deny || v.Reason() != "held could not be judged: time ran out" {
		t.Errorf("Judge after the deadline = %+v; want deny", v)
	}
}

func TestSentence(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain":                          "plain",
		"two\nlines\r\n\tand tabs ":      "two lines and tabs",
		"bell\a and \x1b[31mred":         "bell and [31mred",
		"\u202egnp.exe":                  "gnp.exe", // turns the direction of what follows
		"zero\u200bwidth":                "zerowidth",
		"broken \xff\xfe bytes":          "broken bytes",
		"<script> | `code` **bold** é 船": "<script> | `code` **bold** é 船", // escaping is left to whoever shows it
	} {
		if got := sentence(in); got != want {
			t.Errorf("sentence(%q) = %q; want %q", in, got, want)
		}
	}
}

func TestApartFrom(t *testing.T) {
	t.Parallel()
	e := shipped(t)
	facts := good()
	facts.Approvals = nil
	v := e.Judge(t.Context(), facts, goodUses())
	if v.State != Wait || v.ApartFrom(KindApproval).State != Allow || v.ApartFrom("").State != Wait {
		t.Errorf("Judge(not approved) = %s, apart from approvals %s; want wait, allow", v.State, v.ApartFrom(KindApproval).State)
	}
	if len(v.Rulings) != 11 || len(v.ApartFrom(KindApproval).Rulings) != 10 {
		t.Errorf("rulings: %d and %d; want 11 and 10", len(v.Rulings), len(v.ApartFrom(KindApproval).Rulings))
	}
	broken := e.Judge(t.Context(), facts, []Use{{"approvals", map[string]any{"count": -1}}})
	if broken.ApartFrom(KindApproval).State != Deny {
		t.Errorf("an approval policy that cannot be judged is taken for one that waits: %+v", broken)
	}
}

func TestStricter(t *testing.T) {
	t.Parallel()
	org := []Use{{"approvals", map[string]any{"count": uint64(2)}}, {Policy: "no-downgrade"}}
	repo := []Use{{"approvals", map[string]any{"count": uint64(1)}}, {"no-downgrade", map[string]any{}}, {"soak", map[string]any{"for": "1h"}}}
	got := Stricter(org, repo)
	want := []Use{org[0], org[1], repo[0], repo[2]}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Stricter = %v; want %v", got, want)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	e := shipped(t)
	errs := e.Check([]Use{
		{"soak", map[string]any{"for": "30m"}},
		{"freeze", map[string]any{"zome": "UTC", "windows": []any{map[string]any{"from": "2026-01-01", "to": "2026-01-02"}, map[string]any{"from": "x", "to": "2026-01-02"}}}},
		{Policy: "aproval"},
		{"approvals", map[string]any{"count": 1.5, "fourEyes": "yes"}},
	})
	var got []UseError
	for _, err := range errs {
		var wrong *UseError
		if !errors.As(err, &wrong) {
			t.Fatalf("%v is no *UseError", err)
		}
		if wrong.Hint() == "" || !wrong.Permanent() {
			t.Errorf("%v: hint %q", err, wrong.Hint())
		}
		got = append(got, *wrong)
	}
	want := []UseError{
		{1, "freeze", "zome", "zome", "there is no such parameter", "zone"},
		{1, "freeze", "zone", "zone", "it is required: the time zone, by its IANA name, as Europe/Amsterdam or UTC", ""},
		{1, "freeze", "windows", "windows[1]", `from: "x" is no moment: write "Fri 16:00", "22:00", "2026-12-24" or "2026-12-24 18:00"`, ""},
		{2, "aproval", "", "", "there is no such policy", "approvals"},
		{3, "approvals", "count", "count", "1.5 is no whole number", ""},
		{3, "approvals", "fourEyes", "fourEyes", `"yes" is neither true nor false`, ""},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Check = %+v; want %+v", got, want)
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	e := shipped(t)
	d, err := e.Explain("soak")
	if err != nil || d.Needs != NeedsAfter || !d.Shipped || len(d.Parameters) != 1 || !d.Parameters[0].Required {
		t.Errorf("Explain(soak) = %+v, %v", d, err)
	}
	_, err = e.Explain("soka")
	var unknown *UnknownPolicyError
	if !errors.As(err, &unknown) || unknown.Hint() != `did you mean "soak"?` {
		t.Errorf("Explain(soka) = %v", err)
	}
	for _, d := range e.Policies() {
		if text := d.Text(); !strings.Contains(text, d.Title) || !strings.Contains(text, d.Description) {
			t.Errorf("%s is explained as %q", d.Name, text)
		}
	}
}

func TestConcurrency(t *testing.T) {
	t.Parallel()
	e := shipped(t)
	want := e.Judge(t.Context(), good(), goodUses())
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				if got := e.Judge(t.Context(), good(), goodUses()); !reflect.DeepEqual(got, want) {
					t.Errorf("Judge = %+v; want %+v", got, want)
				}
				e.Check(goodUses())
				e.Policies()
			}
		})
	}
	wg.Wait()
}

func TestShippedSourceMayBePassed(t *testing.T) {
	t.Parallel()
	e, err := New(policies.FS, folder(map[string]string{"mine": "allow: 'true'\nsay: '\"s\"'"}))
	if err != nil {
		t.Fatal(err)
	}
	if len(e.Policies()) != len(shipped(t).Policies())+1 {
		t.Errorf("%d policies", len(e.Policies()))
	}
}
