package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/boatlift/boatlift/cmd/sandbox/stage"
	"github.com/boatlift/boatlift/internal/store"
)

// admitted is a stage whose bot lets callers in over the network: one of each role, with tokens that begin with its name.
func admitted(t *testing.T) *stage.Stage {
	t.Helper()
	secrets := map[string][]byte{}
	var config strings.Builder
	config.WriteString("tokens:\n")
	for role, more := range map[string]string{
		"read": "", "operate": "", "override": "", "push": ", images: ['**']",
		"certify": ", certify: [{names: [smoke], environments: ['acme/*:*']}]",
	} {
		secrets[role] = []byte(tokenOf(role))
		fmt.Fprintf(&config, "  - {name: %ser, role: %s, token: 'file:%s'%s}\n", role, role, role, more)
	}
	return set(t, stage.Options{BotConfig: config.String(), Secrets: secrets})
}

func tokenOf(role string) string { return role + "-" + strings.Repeat("0", 32) }

func asks(t *testing.T, s *stage.Stage, token, method, path, body string) (int, string, http.Header) {
	t.Helper()
	header := http.Header{}
	if token != "" {
		header.Set("Authorization", "Bearer "+token)
	}
	return fetched(t, http.DefaultClient, method, s.Bot.URL()+"/api/v1"+path, header, body)
}

// trail is the audit trail of a bot that has ended, oldest first. That it is whole is proved on the way.
func trail(t *testing.T, s *stage.Stage) []store.AuditEntry {
	t.Helper()
	if err := s.Bot.Stop(); err != nil {
		t.Fatal(err)
	}
	return trailOf(t, "sqlite:"+filepath.Join(s.Bot.DataDir(), "boatlift.db"))
}

const holdBody = `{"environment": "acme/infra-production:production", "reason": "load test", "actor": "mallory"}`

// TestEachRoleIsRefusedWhatTheNextOneMay asks for everything with every role. What is refused leaves no trace but in the answer.
func TestEachRoleIsRefusedWhatTheNextOneMay(t *testing.T) {
	t.Parallel()
	s := admitted(t)
	const none = ""
	roles := []string{none, "read", "operate", "override", "push", "certify"}
	for _, tc := range []struct {
		method, path, body string
		needs              string
		may                []string
	}{
		{"GET", "/status", "", "read", []string{"read", "operate", "override"}},
		{"HEAD", "/status", "", "read", []string{"read", "operate", "override"}},
		{"GET", "/why?about=shop/web:1.4.1", "", "read", []string{"read", "operate", "override"}},
		{"GET", "/holds", "", "read", []string{"read", "operate", "override"}}, // there is no such thing, which is said to readers only
		{"POST", "/holds", "not JSON", "operate", []string{"operate", "override"}},
		{"POST", "/lifts", "not JSON", "operate", []string{"operate", "override"}},
		{"POST", "/resumes", "not JSON", "operate", []string{"operate", "override"}},
		{"POST", "/sync", "not JSON", "operate", []string{"operate", "override"}},
		{"POST", "/pushes", "not JSON", "push", []string{"operate", "override", "push"}},
		{"POST", "/verifications", "not JSON", "certify", []string{"certify"}},
		{"DELETE", "/holds", "", "operate", []string{"operate", "override"}},
		{"PATCH", "/unknown", "", "operate", []string{"operate", "override"}},
		{"POST", "/status", "", "operate", []string{"operate", "override"}},
		{"POST", "/holds/../status", "", "operate", []string{"operate", "override"}},
		{"POST", "//holds", "not JSON", "operate", []string{"operate", "override"}},
		{"POST", "/x/pushes", "not JSON", "push", []string{"operate", "override", "push"}}, // it ends like the other, and is not known
	} {
		for _, role := range roles {
			token := ""
			if role != none {
				token = tokenOf(role)
			}
			status, text, header := asks(t, s, token, tc.method, tc.path, tc.body)
			switch {
			case role == none:
				if status != http.StatusUnauthorized && status != http.StatusTooManyRequests || status == http.StatusUnauthorized && header.Get("WWW-Authenticate") != "Bearer" {
					t.Errorf("%s %s without a token is answered %d %s", tc.method, tc.path, status, text)
				}
			case slices.Contains(tc.may, role):
				if status == http.StatusUnauthorized || status == http.StatusForbidden {
					t.Errorf("%s %s as %s is answered %d %s", tc.method, tc.path, role, status, text)
				}
			case status != http.StatusForbidden || tc.method != "HEAD" && !strings.Contains(text, role+"er has the role "+role+", and this needs "+tc.needs):
				t.Errorf("%s %s as %s is answered %d %s; want 403, and that it needs %s", tc.method, tc.path, role, status, text, tc.needs)
			}
		}
	}
	for _, role := range []string{"read", "push", "certify"} { // also with a request that would do
		if status, text, _ := asks(t, s, tokenOf(role), "POST", "/holds", holdBody); status != http.StatusForbidden {
			t.Errorf("a hold as %s is answered %d %s", role, status, text)
		}
	}
	for _, e := range trail(t, s) {
		if strings.Contains(e.Action, "held") {
			t.Errorf("%s by %s although nobody might", e.Action, e.Actor)
		}
	}
}

func TestWrongTokensAreSlowedDownFromOutside(t *testing.T) {
	t.Parallel()
	s := admitted(t)
	const most = 10
	wrong := []string{"", "x", tokenOf("reader"), tokenOf("read") + "0", strings.ToUpper(tokenOf("read")), tokenOf("read")[1:], "é", strings.Repeat("x", 4000), "eyJ", " "}
	if len(wrong) != most {
		t.Fatal("each of the guesses that are let through should be another one")
	}
	for i, token := range wrong {
		if status, text, _ := asks(t, s, token, "GET", "/status", ""); status != http.StatusUnauthorized || strings.Contains(text, tokenOf("read")) {
			t.Errorf("guess %d is answered %d %s; want 401", i, status, text)
		}
	}
	for range 3 {
		status, text, header := asks(t, s, "one-more", "GET", "/status", "")
		if after, err := strconv.Atoi(header.Get("Retry-After")); status != http.StatusTooManyRequests || err != nil || after < 1 || after > 61 {
			t.Errorf("a guess after %d is answered %d %s, Retry-After %q; want 429, and a minute", most, status, text, header.Get("Retry-After"))
		}
	}
	if status, text, _ := asks(t, s, tokenOf("read"), "GET", "/status", ""); status != http.StatusOK {
		t.Errorf("a right token from the same address is answered %d %s: whoever guesses must lock nobody out", status, text)
	}
	if log := botLog(filepath.Dir(s.Bot.Dir())); strings.Contains(log, tokenOf("read")) || strings.Contains(log, "one-more") {
		t.Error("the log has a token")
	}
}

// TestEveryChangeRecordsWhoMadeIt makes each change over the network, where the token's name counts and not what the request says, and on
// the socket, where the person at the keyboard does.
func TestEveryChangeRecordsWhoMadeIt(t *testing.T) {
	t.Parallel()
	s := admitted(t)
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	lose := func() { // so that there is something to resume
		must(s.Bot.Kill())
		files, err := filepath.Glob(filepath.Join(s.Bot.DataDir(), "boatlift.db*"))
		must(err)
		for _, name := range files {
			must(os.Remove(name))
		}
		must(s.Bot.Start(ctx))
		awaitSaid(t, s, "boatlift resume")
		must(s.Quiet(ctx))
	}
	must(s.Poll(ctx, "1h", true)) // it has a registry that sync can ask
	must(s.Push(ctx, "1.4.2"))
	for _, repo := range []string{stage.Acceptance, stage.Production} {
		_, err := s.AwaitPull(ctx, repo, "1.4.2")
		must(err)
	}
	digest := "sha256:" + strings.Repeat("a", 64)
	web := s.Registry.Host() + "/shop/web@" + digest
	for _, who := range []struct{ operator, certifier, operates, certifies string }{
		{"operateer", "certifyer", "operate", "certify"}, {whoami(), whoami(), "override", "override"},
	} {
		lose()
		if who.operator == whoami() {
			for _, command := range [][]string{
				{"resume"},
				{"hold", "acme/infra-production:production", "--reason", "load test"},
				{"lift", "acme/infra-production:production"},
				{"sync"},
				{"verify", "--environment", "acme/infra-acceptance:acceptance", "--name", "smoke", "--result", "passed", "--image", web},
			} {
				if out, err := s.Bot.Command(ctx, command...); err != nil {
					t.Errorf("%v: %v\n%s", command, err, out)
				}
			}
		} else {
			verification, err := json.Marshal(map[string]any{
				"environment": "acme/infra-acceptance:acceptance", "name": "smoke", "result": "passed", "images": []string{web}, "actor": "mallory",
			})
			must(err)
			for _, r := range []struct{ role, path, body string }{
				{"operate", "/resumes", `{"actor": "mallory"}`},
				{"operate", "/holds", holdBody},
				{"operate", "/lifts", holdBody},
				{"operate", "/sync", `{"actor": "mallory"}`},
				{"certify", "/verifications", string(verification)},
			} {
				if status, text, _ := asks(t, s, tokenOf(r.role), "POST", r.path, r.body); status != http.StatusOK {
					t.Errorf("%s as %s is answered %d %s", r.path, r.role, status, text)
				}
			}
		}
		entries := trail(t, s)
		for action, by := range map[string][2]string{
			"resumed": {who.operator, who.operates}, "held": {who.operator, who.operates}, "lifted hold": {who.operator, who.operates},
			"asked for a sync": {who.operator, who.operates}, "certified passed": {who.certifier, who.certifies},
		} {
			if !slices.ContainsFunc(entries, func(e store.AuditEntry) bool { return e.Action == action && e.Actor == by[0] && e.Role == by[1] }) {
				t.Errorf("no entry says that %q was done by %s as %s; there is %+v", action, by[0], by[1], entries)
			}
		}
		for _, e := range entries {
			if e.Actor == "mallory" || e.Actor == "" {
				t.Errorf("%s is said to be done by %q", e.Action, e.Actor)
			}
		}
		must(s.Bot.Start(ctx))
	}
}
