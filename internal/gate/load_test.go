package gate

import (
	"strings"
	"testing"
	"testing/fstest"
)

func TestLoadGoesOnWithoutWhatIsBroken(t *testing.T) {
	t.Parallel()
	named := func(name, allow string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte("name: " + name + "\ntitle: t\ndescription: d\nallow: " + allow + "\nsay: '\"s\"'\n")}
	}
	e, problems, err := Load(fstest.MapFS{
		"office-hours.yaml": named("office-hours", "facts.hold == ''"),
		"wrong-type.yaml":   named("wrong-type", "facts.app"),
		"no-yaml.yaml":      {Data: []byte("name: [")},
		"mine.yaml":         named("mine", "facts.approvals.exists(a, a.codeOwner)"),
		"one.yaml":          named("twice", "'true'"),
		"two.yaml":          named("twice", "'true'"),
		"soak.yaml":         named("soak", "'true'"),
		"held.yaml":         named("held", "'true'"),
	})
	if err != nil || len(problems) != 6 {
		t.Fatalf("Load = %v, %v; want six problems and an engine", problems, err)
	}
	for policy, want := range map[string]string{
		"office-hours": "office-hours cannot be judged: office-hours.yaml:4:8: undefined field 'hold'",
		"wrong-type":   "wrong-type cannot be judged: wrong-type.yaml:4:8: the expression is a string; a bool is wanted",
		"no-yaml":      "no-yaml cannot be judged: no-yaml.yaml:1:",
		"twice":        `twice cannot be judged: two.yaml: the name "twice" is taken by one.yaml`,
		"soak":         `soak cannot be judged: soak.yaml: the name "soak" is taken by soak.yaml`,
	} {
		use := Use{Policy: policy, Parameters: map[string]any{"for": "30m"}}
		if errs := e.Check([]Use{use}); errs != nil {
			t.Errorf("Check(%s) = %v; want the use to be right, as only the policy's file is wrong", policy, errs)
		}
		r := e.Judge(t.Context(), good(), []Use{use}).Rulings
		if last := r[len(r)-1]; last.State != Deny || last.Policy != policy || !strings.HasPrefix(last.Say, want) || last.Detail == "" {
			t.Errorf("Judge(%s) = %+v; want deny: %s", policy, last, want)
		}
		if _, err := e.Explain(policy); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("Explain(%s) = %v; want %s", policy, err, want)
		}
	}
	if len(e.Broken()) != 5 {
		t.Errorf("Broken = %v; want five", e.Broken())
	}
	if v := e.Judge(t.Context(), good(), nil); v.State != Allow {
		t.Errorf("Judge without any use = %+v; want allow: built-in policies stay", v)
	}
	if v := e.Judge(t.Context(), good(), []Use{{Policy: "mine"}}); v.State != Wait {
		t.Errorf("Judge(mine) = %+v; want wait: it is not broken", v)
	}
}

func TestReadsTellsWhichFactsAreLookedAt(t *testing.T) {
	t.Parallel()
	e := custom(t, map[string]string{
		"mine":  "let: {x: 'facts.approvals.filter(a, a.owns.size() > 0)'}\nallow: size(x) > 0\nsay: '\"s\"'",
		"plain": "allow: 'true'\nsay: '\"s\"'\ndetail: facts.checks.map(n, n).join(\"\")",
	})
	for _, tt := range []struct {
		policy, field string
		want          bool
	}{
		{"mine", "approvals", true},
		{"mine", "owns", true},
		{"mine", "checks", false},
		{"plain", "checks", true},
		{"plain", "approvals", false},
		{"approvals", "teamsUnread", true},
		{"soak", "approvals", false},
		{"nothing", "approvals", false},
	} {
		if got := e.Reads([]Use{{Policy: "held"}, {Policy: tt.policy}}, tt.field); got != tt.want {
			t.Errorf("Reads(%s, %s) = %v", tt.policy, tt.field, got)
		}
	}
	d, err := e.Explain("approvals")
	if err != nil || !strings.Contains(d.Text(), "facts.teamsUnread") || !strings.Contains(d.Text(), "each person's standing decision") {
		t.Errorf("Explain(approvals) = %v:\n%s", err, d.Text())
	}
}
