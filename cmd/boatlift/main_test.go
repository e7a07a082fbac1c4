package main

import (
	"bytes"
	"cmp"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/boatlift/boatlift/cmd/sandbox/hub"
	"github.com/boatlift/boatlift/cmd/sandbox/stage"
	"github.com/boatlift/boatlift/internal/render"
	"github.com/boatlift/boatlift/internal/store/postgrestest"
)

// TestMain makes this program be boatlift when it is called by that name, for scripts and for the bot of a stage, and the child in which
// the forge's pipelines render.
func TestMain(m *testing.M) {
	postgrestest.Main()
	if len(os.Args) == 2 && os.Args[1] == render.ChildCommand {
		os.Exit(render.ChildMain(os.Stdin, os.Stdout))
	}
	// Most of these tests wait for bots that wait; a flag on the command line still overrules this.
	if err := flag.Set("test.parallel", strconv.Itoa(max(6, runtime.GOMAXPROCS(0)))); err != nil {
		panic(err)
	}
	testscript.Main(m, map[string]func(){"boatlift": main})
}

// TestScripts runs testdata/script: the program as a user types it, and the bot among a registry, a forge and people.
func TestScripts(t *testing.T) {
	t.Parallel()
	runScripts(t, "", testscript.Params{Dir: filepath.Join("testdata", "script"), UpdateScripts: *update})
}

// onlyAtGitHub are the scripts with a forge in them that are not played at a GitLab, and why.
func onlyAtGitHub() map[string]string {
	return map[string]string{
		"queue": "merge queues are GitHub's; merge trains are left to people",
		"token": "tells how a token differs from an app; a GitLab lets the bot in by a token only",
	}
}

// TestScriptsOnGitLab plays every script that has a forge in it once more at a GitLab of the least tier, and at the one that can require a
// check those in which the gate holds or lets go.
func TestScriptsOnGitLab(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("testdata", "script", "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no scripts: %v", err)
	}
	left, held, played := onlyAtGitHub(), []string{"approvals", "auto", "own-policies", "promotion", "reject", "restart"}, map[hub.Tier][]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(file), ".txtar")
		switch _, leave := left[name]; {
		case leave:
			t.Logf("%s is not played at a GitLab: %s", name, left[name])
			delete(left, name)
			continue
		case !bytes.Contains(text, []byte("\nstage start")):
			continue
		}
		played[hub.Free] = append(played[hub.Free], file)
		if slices.Contains(held, name) {
			played[hub.Ultimate] = append(played[hub.Ultimate], file)
		}
	}
	if len(left) > 0 || len(played[hub.Ultimate]) != len(held) {
		t.Errorf("scripts are named that are not there: %v, or of %v", left, held)
	}
	for tier, files := range played {
		t.Run(string(tier), func(t *testing.T) { runScripts(t, tier, testscript.Params{Files: files}) })
	}
}

// runScripts runs scripts whose stages have a GitLab of this tier as their forge; empty: a GitHub.
func runScripts(t *testing.T, tier hub.Tier, params testscript.Params) {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	params.RequireExplicitExec, params.RequireUniqueNames, params.Cmds = true, true, commands()
	params.Condition = func(what string) (bool, error) {
		if what != "checktext" { // a check has room for more than one line
			return false, fmt.Errorf("no condition is called %s", what)
		}
		return tier == "", nil
	}
	params.Setup = func(env *testscript.Env) error {
		p := &play{env: env, tier: tier}
		env.Defer(p.end)
		env.Values[playKey{}] = p
		env.Setenv("WEBHOOKS", filepath.Join(root, "testdata", "webhooks"))
		env.Setenv("TZ", "UTC")
		return nil
	}
	testscript.Run(t, params)
}

// program is boatlift as a file, to be run as a process.
func program(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("boatlift")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// set sets a stage that ends with the test. Its folder has a short name, as a socket lies in it.
func set(t testing.TB, o stage.Options) *stage.Stage {
	t.Helper()
	return setJudged(t, o, soundLog)
}

// setJudged is set where the log is judged otherwise, as the test lets things break that are worth an error.
func setJudged(t testing.TB, o stage.Options, sound func(dir string) error) *stage.Stage {
	t.Helper()
	dir, err := os.MkdirTemp("", "bl")
	if err != nil {
		t.Fatal(err)
	}
	o.Dir, o.BotPath = dir, cmp.Or(o.BotPath, program(t))
	s, err := stage.Start(t.Context(), o)
	if err != nil {
		t.Fatalf("%v\n%s", err, botLog(dir))
	}
	t.Cleanup(func() {
		if err := errors.Join(s.Close(), sound(dir)); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(botLog(dir))
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return s
}

// soundLog looks for what a bot's log never has, whatever happens.
func soundLog(dir string) error {
	logs, err := filepath.Glob(filepath.Join(dir, "bot*", "bot.log"))
	if err != nil {
		return err
	}
	var text []byte
	for _, name := range logs {
		more, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		text = append(text, more...)
	}
	for line := range strings.Lines(string(text)) {
		for _, never := range []string{"a fault in the program", "a fault in the decoder", "panic: ", "DATA RACE", `"level":"ERROR"`} {
			if strings.Contains(line, never) {
				return fmt.Errorf("the bot's log has: %s", line)
			}
		}
		for _, secret := range []string{"sandbox-registry-token", "sandbox-webhook-secret", "PRIVATE KEY", "ghs_", "ghp_", "github_pat_", "glpat-"} {
			if strings.Contains(line, secret) {
				return fmt.Errorf("the bot's log tells a secret: %s", line)
			}
		}
	}
	return nil
}

// botLog is the end of a bot's log.
func botLog(dir string) string {
	const most = 16 << 10
	logs, err := filepath.Glob(filepath.Join(dir, "bot*", "bot.log"))
	if err != nil {
		return err.Error()
	}
	said := ""
	for _, name := range logs {
		text, err := os.ReadFile(name)
		if err != nil {
			return err.Error()
		}
		said += "the end of " + name + ":\n" + string(text[max(0, len(text)-most):])
	}
	return said
}
