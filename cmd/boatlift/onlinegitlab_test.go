package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/boatlift/boatlift/cmd/sandbox/hub"
)

// TestOnlineGitLab looks with the program at a GitLab of each tier, with what each can enforce and what each makes wrong.
func TestOnlineGitLab(t *testing.T) {
	t.Parallel()
	const gate, token = "boatlift/gate", "boatlift-bot"
	const merges = "environments: [{name: production, rollout: {merge: true}, merge: auto}]\n"
	for _, tc := range []struct {
		tier       hub.Tier
		config     string
		role       hub.Permission
		protection *hub.Protection
		check      bool // there is an external status check of the gate's name
		token      hub.NewToken
		elsewhere  bool // the webhook goes to another address
		todo       bool
		want       [][3]string // about, what, what to do
	}{
		{
			tier: hub.Free, config: merges, role: hub.Admin, protection: &hub.Protection{MergeBy: hub.Admin, PushNobody: true},
			want: [][3]string{
				{"the token of " + token, "it is right", ""},
				{"the token of " + token, "it has the scopes that it needs, and no others", ""},
				{"the token of " + token, "it never ends", ""},
				{"the token of " + token, "it may write to 1 projects", ""},
				{"acme/infra", "its .boatlift.yaml is right: production", ""},
				{"acme/infra", "the bot is a Maintainer", ""},
				{"acme/infra", gate + " holds all but Maintainers", ""},
				{"acme/infra", "with all triggers that the bot needs", ""},
			},
		},
		{
			tier: hub.Free, config: "environments: [{name: production}]\n", role: hub.Admin, elsewhere: true, todo: true,
			token: hub.NewToken{Scopes: []string{"api", "sudo"}, Expires: time.Now().Add(20 * 24 * time.Hour)},
			want: [][3]string{
				{"the token of " + token, "it lacks scopes: write_repository", "make a token"},
				{"the token of " + token, "no use for: sudo", "make a token"},
				{"the token of " + token, "it ends on", "make a new one"},
				{"acme/infra", "the bot is a Maintainer, and may change what holds it", "the role Developer"},
				{"acme/infra", "main is not protected", "protect it"},
				{"acme/infra", gate + " is not enforced: only the mark [Draft]", "Maintainers merge, of whom the bot is one; and write merge: approved or auto"},
				{"acme/infra", "a webhook goes to https://old.example/hooks/gitlab, and the bot hears at", "set its address"},
			},
		},
		{
			tier: hub.Premium, config: merges, role: hub.Write, protection: &hub.Protection{MergeOnly: token, PushNobody: true},
			want: [][3]string{
				{"acme/infra", "the bot is a Developer", ""},
				{"acme/infra", "its account has to be named among those who merge into main: that is shown to Maintainers only", ""},
				{"acme/infra", gate + " holds all but those who may merge into main beside the bot; it should be nobody", ""},
				{"acme/infra", "its webhooks are shown to Maintainers only", ""},
			},
		},
		{
			tier: hub.Premium, config: merges, role: hub.Admin, protection: &hub.Protection{MergeOnly: token, PushNobody: true}, todo: true, // more than a Developer
			want: [][3]string{{"acme/infra", gate + " holds every merge: nobody but the bot merges", ""}},
		},
		{
			tier: hub.Ultimate, config: merges, role: hub.Write, protection: &hub.Protection{Checks: []hub.RequiredCheck{{Context: gate}}, PushNobody: true}, check: true,
			want: [][3]string{{"acme/infra", "external status checks have to succeed; whether one is " + gate + " is shown to Maintainers only", ""}},
		},
		{
			tier: hub.Ultimate, config: merges, role: hub.Admin, protection: &hub.Protection{Checks: []hub.RequiredCheck{{Context: gate}}, PushNobody: true}, check: true, todo: true,
			want: [][3]string{{"acme/infra", gate + " holds every merge, as an external status check", ""}},
		},
		{
			tier: hub.Ultimate, config: merges, role: hub.Admin, protection: &hub.Protection{Checks: []hub.RequiredCheck{{Context: gate}}, PushNobody: true}, todo: true,
			want: [][3]string{{"acme/infra", "there is no external status check " + gate, "add one named " + gate}},
		},
	} {
		t.Run(fmt.Sprintf("%s as %s", tc.tier, tc.role), func(t *testing.T) {
			must := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			bot := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { // as the bot answers who only knocks
				if r.Method == http.MethodPost {
					return
				}
				http.Error(w, "webhooks are posted here", http.StatusMethodNotAllowed)
			}))
			defer bot.Close()
			address := bot.URL + "/hooks/gitlab"
			if tc.elsewhere {
				address = "https://old.example/hooks/gitlab"
			}
			h, err := hub.Start(hub.Options{Dir: t.TempDir(), GitLab: tc.tier, WebhookURL: address, WebhookSecret: "the-secret-of-webhooks"})
			must(err)
			defer func() { must(h.Close()) }()
			_, err = h.CreateRepo(t.Context(), "acme/infra", hub.RepoOptions{Author: "founder", Protection: tc.protection, Files: map[string][]byte{".boatlift.yaml": []byte(tc.config)}})
			must(err)
			must(h.SetPermission("acme/infra", token, tc.role))
			if tc.check {
				must(h.AddStatusCheck("acme/infra", gate, bot.URL))
			}
			if tc.token.Scopes == nil {
				tc.token.Scopes = []string{"api", "write_repository"}
			}
			secret, err := h.AddToken(token, tc.token)
			must(err)
			dir := t.TempDir()
			for name, text := range map[string]string{
				"token": secret, "hook": "the-secret-of-webhooks", "registry": strings.Repeat("r", 32),
				"boatlift.yaml": fmt.Sprintf("publicURL: %s\nregistries: [{name: registry, type: distribution, secret: 'file:registry'}]\nforges:\n"+
					"  - {name: gitlab, type: gitlab, url: %q, token: 'file:token', webhookSecret: 'file:hook'}\n", bot.URL, h.APIURL()),
			} {
				must(os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
			}
			run := func(args ...string) string {
				t.Helper()
				var out, complaint bytes.Buffer
				cmd := exec.CommandContext(t.Context(), program(t), append([]string{"check", "--online", dir}, args...)...)
				cmd.Stdout, cmd.Stderr = &out, &complaint
				err := cmd.Run()
				var ended *exec.ExitError
				if tc.todo != (errors.As(err, &ended) && ended.ExitCode() == exitFailed) || !tc.todo && err != nil {
					t.Errorf("%v; want something to do: %t\n%s%s", err, tc.todo, out.String(), complaint.String())
				}
				if strings.Contains(out.String(), secret) || strings.Contains(out.String(), "the-secret-of-webhooks") {
					t.Errorf("a secret is told:\n%s", out.String())
				}
				return out.String()
			}
			text := run()
			var report onlineReport
			must(json.Unmarshal([]byte(run("--json")), &report))
			for _, want := range tc.want {
				demandFinding(t, text, report.Findings, want[0], want[1], want[2])
			}
		})
	}
}
