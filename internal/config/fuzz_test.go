package config

import (
	"errors"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/boatlift/boatlift/internal/promotion"
)

// seed adds every file of testdata that is meant for a parser. They must exist.
func seed(f *testing.F, dir string) {
	f.Helper()
	n := 0
	for _, kind := range []string{"good", "bad"} {
		files, err := filepath.Glob(filepath.Join("testdata", dir, kind, "*.yaml"))
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
			n++
		}
	}
	if n < 10 {
		f.Fatalf("only %d seeds for %s", n, dir)
	}
}

// checkProblems demands that every problem can be found, printed and acted on.
func checkProblems(t *testing.T, text []byte, err error) {
	t.Helper()
	errs, ok := errors.AsType[*Errors](err)
	if !ok || len(errs.Problems) == 0 {
		t.Fatalf("the error is %#v", err)
	}
	lines := strings.Count(string(text), "\n") + strings.Count(string(text), "\r") + 1
	for _, p := range errs.Problems {
		if p.File != "f" || p.Line < 1 || p.Line > lines || p.Column < 1 || p.Column > len(text)+1 {
			t.Errorf("there is no such place in the file: %s", p)
		}
		if p.What == "" || p.Right == "" || !printable(p.What) || !printable(p.Right) || len(p.String()) > 4000 {
			t.Errorf("a problem cannot be shown: %q", p)
		}
	}
}

func FuzzRepo(f *testing.F) {
	seed(f, "repo")
	engine := newEngine(f)
	schema := newValidator(f, SchemaRepo)
	f.Fuzz(func(t *testing.T, text []byte) {
		cfg, err := ParseRepo("f", text, engine, Require{})
		if err != nil {
			checkProblems(t, text, err)
			return
		}
		checkConfig(t, cfg)
		if what := schema.wrong(text); what != "" {
			t.Errorf("the schema refuses what the parser takes: %s", what)
		}
		strict := Require{Merge: promotion.MergeManual, Rollout: "deployment", Pin: promotion.PinDigest}
		again, err := ParseRepo("f", text, engine, strict)
		if err != nil {
			checkProblems(t, text, err)
			return
		}
		for _, e := range again.Environments {
			if e.Merge != promotion.MergeManual || e.Rollout.Merge || e.Pin == promotion.PinTag {
				t.Errorf("looser than required: %+v", e)
			}
		}
	})
}

// checkConfig demands what the rest of the bot relies on.
func checkConfig(t *testing.T, cfg promotion.Config) {
	t.Helper()
	if len(cfg.Environments) == 0 {
		t.Error("no environments")
	}
	for i, e := range cfg.Environments {
		if !namePattern.MatchString(e.Name) || e.Settle < 0 || e.MaxOpen < 0 || len(e.Verify) > 0 && e.Rollout.None() {
			t.Errorf("an impossible environment: %+v", e)
		}
		if e.Path != "" && (path.Clean(e.Path) != e.Path || path.IsAbs(e.Path) || strings.HasPrefix(e.Path, "..")) {
			t.Errorf("an impossible path: %q", e.Path)
		}
		if !slices.Contains([]promotion.Pin{promotion.PinTagAndDigest, promotion.PinDigest, promotion.PinTag}, e.Pin) ||
			!slices.Contains([]promotion.MergeMode{promotion.MergeManual, promotion.MergeApproved, promotion.MergeAuto}, e.Merge) ||
			!slices.Contains([]promotion.Mode{promotion.Propose, promotion.Observe, promotion.Off}, e.Mode) {
			t.Errorf("an unknown word: %+v", e)
		}
		if e.Pin == promotion.PinTag && len(e.After) > 0 {
			t.Errorf("tags are compared: %+v", e)
		}
		for _, o := range cfg.Environments[:i] {
			if strings.EqualFold(o.Name, e.Name) || o.Path == "" || e.Contains(o.Path) || o.Contains(e.Path) {
				t.Errorf("two environments in one place: %+v and %+v", o, e)
			}
		}
		for _, rule := range e.Images {
			if rule.Image.IsZero() {
				t.Errorf("a rule for no image: %+v", e)
			}
		}
		for _, ref := range e.After {
			up, known := cfg.Environment(ref.Environment)
			if ref.Repo == "" && (!known || up.Pin == promotion.PinTag || up.Name == e.Name) {
				t.Errorf("%s comes after %s", e.Name, ref)
			}
		}
	}
}

func FuzzBot(f *testing.F) {
	seed(f, "bot")
	env := environ(f)
	env.Policies = newEngine(f)
	schema := newValidator(f, SchemaBot)
	f.Fuzz(func(t *testing.T, text []byte) {
		dir := DataDir(text)
		bot, err := ParseBot("f", text, env)
		if err != nil {
			checkProblems(t, text, err)
			return
		}
		if bot.DataDir == "" || dir != "" && bot.DataDir != dir || !strings.HasPrefix(bot.Database, "sqlite:") && bot.Postgres.IsZero() {
			t.Errorf("nowhere to keep data: %+v", bot)
		}
		names := map[string]bool{"discover": true, "sweep": true, "poll": true, "sync": true}
		for _, r := range bot.Registries {
			if names[r.Name] || (len(r.Secrets) == 0 && r.Webhook == "") != r.OnlyPolled || r.OnlyPolled && r.Poll == 0 || (r.Username == "") != r.Password.IsZero() {
				t.Errorf("an impossible registry: %+v", r)
			}
			names[r.Name] = true
		}
		for _, h := range bot.Forges {
			app := h.AppID > 0 && !h.PrivateKey.IsZero()
			if names[h.Name] || app == !h.Token.IsZero() || app && len(h.Repositories) > 0 || len(h.WebhookSecrets) == 0 {
				t.Errorf("an impossible forge: %+v", h)
			}
			names[h.Name] = true
		}
		if what := schema.wrong(text); what != "" {
			t.Errorf("the schema refuses what the parser takes: %s", what)
		}
	})
}
