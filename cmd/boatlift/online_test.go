package main

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/boatlift/boatlift/cmd/sandbox/hub"
	"github.com/boatlift/boatlift/cmd/sandbox/stage"
)

// reconfigure changes the boatlift.yaml that the stage wrote, for commands; the running bot has read it already.
func reconfigure(t *testing.T, s *stage.Stage, changes ...string) string {
	t.Helper()
	file := filepath.Join(s.Bot.Dir(), "boatlift.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.NewReplacer(changes...).Replace(string(text))
	if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	return s.Bot.Dir()
}

// inspected runs check --online for people and for scripts, which must say the same.
func inspected(t *testing.T, s *stage.Stage, dir string, todo bool) (text string, findings []onlineFinding) {
	t.Helper()
	text, err := s.Bot.Command(t.Context(), "check", "--online", dir)
	if (err != nil) != todo {
		t.Fatalf("check --online: %v; want something to do: %t\n%s", err, todo, text)
	}
	if todo && !strings.Contains(err.Error(), "exit status 1") {
		t.Errorf("check --online: %v; want exit code 1", err)
	}
	asJSON, err := s.Bot.Command(t.Context(), "check", "--online", "--json", dir)
	if (err != nil) != todo {
		t.Fatalf("check --online --json: %v", err)
	}
	var report onlineReport
	if err := json.Unmarshal([]byte(asJSON), &report); err != nil {
		t.Fatalf("%v in %s", err, asJSON)
	}
	n := 0
	for _, f := range report.Findings {
		if f.Fix != "" {
			n++
		}
	}
	if n != report.ToDo || (n > 0) != todo {
		t.Errorf("%d things to do, and it says %d", n, report.ToDo)
	}
	return text, report.Findings
}

// demandFinding wants a finding, and the line that tells what to do below it; an empty fix is none.
func demandFinding(t *testing.T, text string, findings []onlineFinding, about, say, fix string) {
	t.Helper()
	i := slices.IndexFunc(findings, func(f onlineFinding) bool {
		return strings.Contains(f.About, about) && strings.Contains(f.Say, say) && strings.Contains(f.Fix, fix) && (f.Fix == "") == (fix == "")
	})
	if i < 0 {
		t.Errorf("nothing says of %s: %s / %s; there is:\n%s", about, say, fix, text)
		return
	}
	f := findings[i]
	lines := "  + " + f.About + ": " + f.Say + "\n"
	if fix != "" {
		lines = "  ! " + f.About + ": " + f.Say + "\n      " + f.Fix + "\n"
	}
	if !strings.Contains(text, lines) && !strings.Contains(f.Say, " after ") { // another run took another time
		t.Errorf("people are not told:\n%s\nin\n%s", lines, text)
	}
}

func TestOnlineFindsNothingToDo(t *testing.T) {
	t.Parallel()
	s := set(t, stage.Options{Hub: func(o *hub.Options) { o.PathPrefix = "/ghe" }})
	dir := reconfigure(t, s, "dataDir:", "publicURL: "+s.Bot.URL()+"\ndataDir:", "type: distribution\n", "type: distribution\n    host: "+s.Registry.Host()+"\n")
	text, findings := inspected(t, s, dir, false)
	for _, want := range [][2]string{
		{"secrets", "long enough"},
		{"/hooks/registry", "the bot hears there"},
		{"/hooks/github", "the bot hears there"},
		{s.Registry.Host(), "it answers after"},
		{"127.0.0.1", "it answers after"},
		{"App boatlift", "its key is right"},
		{"App boatlift", "it has all permissions that it needs, and no others"},
		{"App boatlift", "it has all events that it needs, and no others"},
		{"App boatlift", "its webhook goes to " + s.Bot.URL() + "/hooks/github"},
		{"App boatlift", "did not arrive"},
		{"installation acme", "it reaches 2 repositories"},
		{stage.Acceptance, "its .boatlift.yaml is right: acceptance"},
		{stage.Acceptance, "boatlift/gate is required on main, from this App alone"},
		{stage.Production, "its .boatlift.yaml is right: production"},
		{stage.Production, "boatlift/gate is required on main, from this App alone"},
	} {
		demandFinding(t, text, findings, want[0], want[1], "")
	}
	if !strings.HasSuffix(text, "\nNothing has to be done.\n") {
		t.Errorf("it ends with %q", text[max(0, len(text)-60):])
	}
}

func TestOnlineFindsAllThatIsWrong(t *testing.T) {
	t.Parallel()
	s := set(t, stage.Options{
		Hub: func(o *hub.Options) {
			o.Without, o.Excess = []string{"checks", "members"}, []string{"administration", "deployments"}
		},
		Secrets: map[string][]byte{"short": []byte("guess-me")},
	})
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	must(closed.Close())
	must(s.Hub.SetProtection(stage.Acceptance, nil))
	must(s.Hub.SetProtection(stage.Production, &hub.Protection{Checks: []hub.RequiredCheck{{Context: stage.GateCheck}}, Bypassed: true}))
	_, err = s.Hub.Push(t.Context(), stage.Acceptance, hub.Commit{Person: "alice", Files: map[string][]byte{".boatlift.yaml": []byte("environments: [{name: acceptance, rolout: {merge: true}}]\n")}})
	must(err)
	_, err = s.Hub.CreateRepo(t.Context(), "acme/site", hub.RepoOptions{})
	must(err)
	_, err = s.Hub.CreateRepo(t.Context(), "acme/other-app", hub.RepoOptions{
		Files:      map[string][]byte{".boatlift.yaml": []byte("environments: [{name: other, after: [\"acme/nowhere:a\", \"acme/site:b\", \"Acme/infra-production:c\"]}]\n")},
		Protection: &hub.Protection{Checks: []hub.RequiredCheck{{Context: stage.GateCheck, AppID: 4711}}},
	})
	must(err)
	s.Hub.SetWebhook(s.Bot.URL()+"/hooks/elsewhere", "sandbox-webhook-secret")
	must(s.Hub.Idle(t.Context()))
	dir := reconfigure(t, s, "dataDir:", "publicURL: "+s.Bot.URL()+"\ndataDir:", "registries:\n",
		"registries:\n  - {name: unheard, type: distribution, host: "+closed.Addr().String()+", secret: \"file:short\"}\n")
	text, findings := inspected(t, s, dir, true)
	for _, want := range [][3]string{
		{"secret of registry unheard", "8 characters", "make one with"},
		{"/hooks/unheard", "has no such endpoint", "start it with this boatlift.yaml"},
		{"/hooks/github", "the bot hears there", ""},
		{closed.Addr().String(), "connection refused", "see whether this machine reaches"},
		{"App boatlift", "it lacks permissions: checks: write", "add them in its settings"},
		{"App boatlift", "no use for: deployments: write, where read will do, administration: write", "take them away in its settings"},
		{"App boatlift", "it does without members: read (for teams and code owners)", ""},
		{"App boatlift", "its webhook goes to " + s.Bot.URL() + "/hooks/elsewhere, and the bot hears at " + s.Bot.URL() + "/hooks/github", "set the webhook's address"},
		{"App boatlift", "of the newest GitHub says: Invalid HTTP Response: 404", "see whether GitHub reaches the bot"},
		{"installation acme", "it reaches 4 repositories", ""},
		{stage.Acceptance + " .boatlift.yaml:1:35", `there is no key "rolout" here`, "did you mean rollout?"},
		{stage.Acceptance, "boatlift/gate is not required on main", "add this ruleset"},
		{stage.Production, "its .boatlift.yaml is right", ""},
		{stage.Production, "boatlift/gate is required from anybody", "(integration_id 1001)"},
		{stage.Production, "the bot may bypass the ruleset main", "take the App out"},
		{"acme/other-app", "is required from the App 4711, which is not this bot", "change the source"},
		{stage.Production, "production comes after acme/infra-acceptance:acceptance, whose file cannot be used", "mend .boatlift.yaml of acme/infra-acceptance first"},
		{"acme/other-app", "other comes after acme/nowhere:a, and the bot does not reach that repository", "let the bot into acme/nowhere, or correct after of other"},
		{"acme/other-app", "other comes after acme/site:b, and that repository has no .boatlift.yaml", "add one that names b there"},
		{"acme/other-app", "other comes after Acme/infra-production:c, and that repository has no such environment", "name c in its .boatlift.yaml"},
		{"repositories", "1 of 4 have no .boatlift.yaml", ""},
	} {
		demandFinding(t, text, findings, want[0], want[1], want[2])
	}
	if strings.Contains(text, "guess-me") || strings.Contains(text, "sandbox-webhook-secret") {
		t.Errorf("a secret is told:\n%s", text)
	}
	i := slices.IndexFunc(findings, func(f onlineFinding) bool { return f.Text != "" })
	var ruleset struct {
		Rules []struct {
			Parameters struct {
				Checks []struct {
					Context string `json:"context"`
					App     int64  `json:"integration_id"`
				} `json:"required_status_checks"`
			} `json:"parameters"`
		} `json:"rules"`
	}
	if i < 0 || json.Unmarshal([]byte(findings[i].Text), &ruleset) != nil || len(ruleset.Rules) != 1 || len(ruleset.Rules[0].Parameters.Checks) != 1 ||
		ruleset.Rules[0].Parameters.Checks[0].Context != stage.GateCheck || ruleset.Rules[0].Parameters.Checks[0].App != s.Hub.AppID() {
		t.Errorf("the ruleset is %+v", ruleset)
	}
}

func TestOnlineLooksAtATokenAndWithoutABot(t *testing.T) {
	t.Parallel()
	s := set(t, stage.Options{ByToken: true})
	dir := reconfigure(t, s, "dataDir:", "publicURL: "+s.Bot.URL()+"\ndataDir:")
	text, findings := inspected(t, s, dir, false)
	for _, want := range [][2]string{
		{"the token of " + stage.Machine, "it is right"},
		{"the token of " + stage.Machine, "the gate is a commit status"},
		{"the token of " + stage.Machine, "it may write to 2 repositories"},
		{"registry", "which host to ask is learned from its webhooks"},
		{stage.Acceptance, "boatlift/gate is required on main"},
	} {
		demandFinding(t, text, findings, want[0], want[1], "")
	}

	// The same with a token that is wrong, a check that only an App could report, and nobody at home.
	if err := s.Bot.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := s.Hub.SetProtection(stage.Acceptance, &hub.Protection{Checks: []hub.RequiredCheck{{Context: stage.GateCheck, AppID: s.Hub.AppID()}}}); err != nil {
		t.Fatal(err)
	}
	token, err := s.Hub.AddToken(stage.Machine, hub.NewToken{Scopes: []string{"repo", "admin:org"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct{ token, about, say, fix string }{
		{token, "the token of " + stage.Machine, "scopes that the bot has no use for: admin:org", "make a token with the scope repo alone"},
		{token, stage.Acceptance, "is required from the App 1001, which is not this bot", "change the source"},
		{token, "/hooks/github", "no answer: connection refused", "see whether the bot runs"},
		{"ghp_no-longer", "the token", "Bad credentials", "neither expired nor been revoked"},
	} {
		if err := os.WriteFile(filepath.Join(dir, "token"), []byte(step.token), 0o600); err != nil {
			t.Fatal(err)
		}
		text, findings := inspected(t, s, dir, true)
		demandFinding(t, text, findings, step.about, step.say, step.fix)
		if strings.Contains(text, step.token) {
			t.Errorf("the token is told:\n%s", text)
		}
	}
}
