package stage

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/render"
)

// TestMain lets this program be the child in which the forge's pipelines render.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == render.ChildCommand {
		os.Exit(render.ChildMain(os.Stdin, os.Stdout))
	}
	os.Exit(m.Run())
}

// folder is a folder with a short name, as a socket lies below it.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "bl")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func buildBot(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "boatlift")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, "../../boatlift").CombinedOutput(); err != nil {
		t.Fatalf("build the bot: %v\n%s", err, out)
	}
	return path
}

func TestStage(t *testing.T) {
	bot := buildBot(t)
	t.Run("starts again at its address", func(t *testing.T) { testAgain(t, bot) })
	t.Run("says why the bot does not start", func(t *testing.T) { testWrongConfig(t, bot) })
	t.Run("replaces configuration and adds files", func(t *testing.T) { testOptions(t, bot) })
}

func testAgain(t *testing.T, bot string) {
	dir := folder(t)
	var log bytes.Buffer
	s, err := Start(t.Context(), Options{Dir: dir, BotPath: bot, Log: &log})
	if err != nil {
		t.Fatal(err)
	}
	url, pid := s.Bot.URL(), s.Bot.PID()
	for name, end := range map[string]func() error{"kill": s.Bot.Kill, "stop": s.Bot.Stop} {
		if err := end(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := s.Bot.Status(t.Context()); err == nil {
			t.Errorf("after %s the bot answers", name)
		}
		if _, err := s.Bot.Command(t.Context(), "status"); err == nil || !strings.Contains(err.Error(), "the bot cannot be reached") {
			t.Errorf("after %s, boatlift status: %v", name, err)
		}
		if err := s.Bot.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s.Bot.URL() != url || s.Bot.PID() == pid {
			t.Errorf("after %s it is at %s as process %d; want %s and another one than %d", name, s.Bot.URL(), s.Bot.PID(), url, pid)
		}
	}
	if err := s.Push(t.Context(), "1.4.2"); err != nil {
		t.Fatal(err)
	}
	for _, repo := range []string{Acceptance, Production} {
		if err := s.Merge(t.Context(), repo, "1.4.2"); err != nil {
			t.Fatal(err)
		}
		if err := s.AwaitRuns(t.Context(), repo, "1.4.2"); err != nil {
			t.Fatal(err)
		}
		git, err := s.GitDir(repo)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(git, "HEAD")); err != nil {
			t.Error(err)
		}
	}
	if err := s.Quiet(t.Context()); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "boatlift is listening") {
		t.Error("the log was not handed on")
	}
	if _, err := os.Stat(filepath.Join(dir, "bot", "bot.log")); err != nil {
		t.Errorf("the folder is the caller's, and its content is gone: %v", err)
	}
}

func testWrongConfig(t *testing.T, bot string) {
	s, err := Start(t.Context(), Options{Dir: folder(t), BotPath: bot, BotConfig: "pol: 1s\n"})
	if err == nil || !strings.Contains(err.Error(), "the bot ended at once") || !strings.Contains(err.Error(), `no key "pol"`) {
		t.Errorf("a bot with a wrong file: %v", err)
	}
	if s != nil {
		t.Error("there is a stage all the same")
	}
}

func testOptions(t *testing.T, bot string) {
	config := "environments:\n  - name: test\n    mode: \"off\"\n"
	s, err := Start(t.Context(), Options{
		Dir: folder(t), BotPath: bot, BotConfig: "poll: 1s\n",
		Config: map[string]string{Acceptance: config}, Files: map[string][]byte{"docs/more.md": []byte("more\n")},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	for path, want := range map[string]string{".boatlift.yaml": config, "docs/more.md": "more\n"} {
		if got, ok, err := s.Hub.File(t.Context(), Acceptance, "main", path); err != nil || !ok || string(got) != want {
			t.Errorf("%s is %q (%v, %v), want %q", path, got, ok, err, want)
		}
	}
	status, err := s.Bot.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(status.Repos) != 2 || len(status.Repos[0].Environments) != 1 || status.Repos[0].Environments[0].Name != "test" {
		t.Errorf("the status is %+v", status.Repos)
	}
	if _, ok, err := s.Open(Acceptance, "1.4.2"); ok || err != nil {
		t.Errorf("a pull request that nobody opened is there: %v", err)
	}
	if _, _, err := s.Open("acme/nothing", "1.4.2"); err == nil {
		t.Error("a repository that does not exist has pull requests")
	}
}

func TestAwait(t *testing.T) {
	ctx := t.Context()
	asked := 0
	if err := Await(ctx, time.Minute, "the third time", func() (bool, error) { asked++; return asked == 3, nil }); err != nil || asked != 3 {
		t.Errorf("Await = %v after %d questions", err, asked)
	}
	broken := errors.New("broken")
	if err := Await(ctx, time.Minute, "it", func() (bool, error) { return false, broken }); !errors.Is(err, broken) || !strings.Contains(err.Error(), "wait for it") {
		t.Errorf("Await = %v, want one that wraps %v", err, broken)
	}
	if err := Await(ctx, time.Millisecond, "the end", func() (bool, error) { return false, nil }); err == nil || !strings.Contains(err.Error(), "in vain for the end") {
		t.Errorf("Await = %v", err)
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if err := Await(gone, time.Minute, "it", func() (bool, error) { return false, nil }); err == nil {
		t.Error("Await went on after its context had ended")
	}
}
