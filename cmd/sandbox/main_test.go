package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/boatlift/boatlift/cmd/sandbox/hub"
	"github.com/boatlift/boatlift/internal/render"
)

// TestMain makes this program be the sandbox when it is called by that name, and the child in which the forge's pipelines render.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == render.ChildCommand {
		os.Exit(render.ChildMain(os.Stdin, os.Stdout))
	}
	testscript.Main(runner{m}, map[string]func(){"sandbox": main})
}

// runner removes what the tests share when they have ended.
type runner struct{ tests *testing.M }

func (r runner) Run() int {
	code := r.tests.Run()
	if path, err := builtBot(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	return code
}

// builtBot builds the bot's program, once.
var builtBot = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "bl")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "boatlift")
	out, err := exec.CommandContext(context.Background(), "go", "build", "-o", path, "../boatlift").CombinedOutput()
	if err != nil {
		return "", errors.Join(fmt.Errorf("build the bot: %w\n%s", err, out), os.RemoveAll(dir))
	}
	return path, nil
})

func bot(t *testing.T) string {
	t.Helper()
	path, err := builtBot()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// tempFolder makes an empty folder with a short name the place for temporary files, and tells whether it is empty.
func tempFolder(t *testing.T) (empty func()) {
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
	t.Setenv("TMPDIR", dir)
	return func() {
		t.Helper()
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			t.Errorf("%s is left in the folder for temporary files", e.Name())
		}
	}
}

// patience is how long a test waits for the sandbox to say something.
const testPatience = time.Minute

var process = regexp.MustCompile(`process (\d+), with a SQLite database`)

// botIsGone tells whether the bot that a transcript names has ended.
func botIsGone(t *testing.T, transcript string) {
	t.Helper()
	m := process.FindStringSubmatch(transcript)
	if m == nil {
		t.Fatalf("the transcript does not name the bot's process:\n%s", transcript)
	}
	pid, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the bot, process %d, is still there: %v", pid, err)
	}
}

// TestOnce demands the same transcript of every forge, but for how it writes a pull request and in which words it refuses a merge.
func TestOnce(t *testing.T) {
	path := bot(t)
	for forge, refusal := range map[string]string{
		"github":          `the forge refuses: Repository rule violations found Required status check "boatlift/gate" is expected\.`,
		"gitlab":          `the forge refuses: Merge blocked: Merge request must not be draft\.`,
		"gitlab-ultimate": `the forge refuses: Merge blocked: Status checks must pass: boatlift/gate is failed\.`,
	} {
		t.Run(forge, func(t *testing.T) { testOnce(t, path, forge, refusal) })
	}
}

func testOnce(t *testing.T, path, forge, refusal string) {
	mark, draft, changed := "!", "", []string{"GET /api/v4/user 200", "POST /api/v4/projects/ID/merge_requests 201", "Merge Request Hook"}
	switch forge {
	case "github":
		mark, changed = "#", []string{"GET /api/v3/app/installations 200", "POST /api/v3/repos/acme/infra-production/pulls 201", "pull_request"}
	case "gitlab":
		draft = `\[Draft\] ` // what holds it
	}
	record := filepath.Join(t.TempDir(), "record.jsonl")
	empty := tempFolder(t)
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"-bot", path, "-forge", forge, "-once", "-record", record}, strings.NewReader(""), &stdout, &stderr); code != 0 || stderr.Len() > 0 {
		t.Fatalf("exit code %d\n%s\n%s", code, &stdout, &stderr)
	}
	from := 0
	for _, want := range []string{ // in this order
		`(?m)^  registry +127\.0\.0\.1:\d+ `,
		`(?m)^  forge +http://127\.0\.0\.1:\d+ `,
		`Both environments run shop/web:1\.4\.1 and shop/worker:1\.4\.1`,
		`(?m)^1\. shop/web:1\.4\.2 and shop/worker:1\.4\.2 are pushed to the registry$`,
		`(?m)^   acme/infra-acceptance` + mark + `1 opens: acceptance: web\+worker 1\.4\.1 → 1\.4\.2$`,
		`(?m)^     \+    newTag: 1\.4\.2   # moved by pull request$`,
		`(?m)^     gate: may be merged$`,
		`(?m)^       ✅ allows +held `,
		`(?m)^   acme/infra-production` + mark + `1 opens: ` + draft + `production: web\+worker 1\.4\.1 → 1\.4\.2$`,
		`(?m)^     gate: waits$`,
		`(?m)^       ⏳ waits +after +shop/web and shop/worker do not run in acme/infra-acceptance:acceptance`,
		refusal,
		`(?m)^2\. alice merges acceptance's$`,
		`its pipeline rolls it out, and reports success`,
		`(?m)^     gate: waits$`,
		`after +acme/infra-acceptance:acceptance is not verified yet: smoke is not reported`,
		`(?m)^3\. the smoke test passes on what acceptance runs$`,
		`(?m)^     gate: may be merged$`,
		`(?m)^       ✅ allows +after +acme/infra-acceptance:acceptance runs these images since`,
		`(?m)^4\. bob approves production's$`,
		`Boatlift merges acme/infra-production` + mark + `1`,
		`production runs 1\.4\.2`,
		`(?m)^5\. 1\.4\.3 is pushed, and its smoke test fails$`,
		`its pipeline rolls it out, and reports success`,
		`after +acme/infra-acceptance:acceptance is not verified yet: smoke is failure \(http`,
		refusal,
		`(?m)^6\. 1\.4\.4 is pushed, and alice closes production's pull request$`,
		`alice closes acme/infra-production` + mark + `3: rejected`,
		`and it stays so`,
		`(?m)^7\. 1\.4\.5 is pushed$`,
		`acme/infra-acceptance` + mark + `3 \(1\.4\.4\) is closed: superseded by pull request 4 \(http://[^ )]+\)`,
		`What became of 1\.4\.4, as boatlift why shop/web:1\.4\.4 tells it:`,
		`is superseded`,
		`is rejected`,
		`(?m)^Done: nothing lost, and production never first\.$`,
	} {
		at := regexp.MustCompile(want).FindStringIndex(stdout.String()[from:])
		if at == nil {
			t.Fatalf("after %d bytes the transcript has no %s:\n%s", from, want, &stdout)
		}
		from += at[1]
	}
	botIsGone(t, stdout.String())
	empty()
	recorded(t, record, changed)
}

// recorded demands that the file tells of the bot's first question, of a pull request that it opened, and of a webhook that one was merged.
func recorded(t *testing.T, path string, wanted []string) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	seen := map[string]bool{}
	err = hub.ReadTranscript(file, func(e hub.Exchange) {
		seen[fmt.Sprint(e.Method, " ", regexp.MustCompile(`/projects/\d+`).ReplaceAllString(e.Path, "/projects/ID"), " ", e.Status)] = true
	}, func(w hub.Webhook) {
		seen[w.Event] = seen[w.Event] || bytes.Contains(w.Body, []byte(`"merged":true`)) || bytes.Contains(w.Body, []byte(`"action":"merge"`))
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range wanted {
		if !seen[want] {
			t.Errorf("the record lacks %s", want)
		}
	}
}

func TestAFolderThatWasNamedStays(t *testing.T) {
	path := bot(t)
	empty := tempFolder(t)
	dir := filepath.Join(os.Getenv("TMPDIR"), "mine")
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"-bot", path, "-once", "-dir", dir}, strings.NewReader(""), &stdout, &stderr); code != 0 {
		t.Fatalf("exit code %d\n%s\n%s", code, &stdout, &stderr)
	}
	for _, pattern := range []string{"bot/boatlift.yaml", "bot/bot.log", "bot/data/boatlift.db", "forge/*.git"} {
		if found, err := filepath.Glob(filepath.Join(dir, pattern)); err != nil || len(found) == 0 {
			t.Errorf("%s is not in the folder: %v", pattern, err)
		}
	}
	botIsGone(t, stdout.String())
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	empty()
}

func TestOnceIsInterrupted(t *testing.T) {
	path := bot(t)
	empty := tempFolder(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := &transcript{on: map[string]func(){"2. alice merges": cancel}}
	var stderr bytes.Buffer
	if code := run(ctx, []string{"-bot", path, "-once"}, strings.NewReader(""), out, &stderr); code != 1 || stderr.Len() == 0 {
		t.Errorf("exit code %d, want 1 and a reason\n%s", code, &stderr)
	}
	botIsGone(t, out.String())
	empty()
}

func TestABotThatDoesNotStart(t *testing.T) {
	empty := tempFolder(t)
	for path, want := range map[string]string{"/bin/false": "the bot ended at once", "/nowhere/boatlift": "make build makes it"} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), []string{"-bot", path, "-once"}, strings.NewReader(""), &stdout, &stderr); code != 1 || !strings.Contains(stderr.String(), want) {
			t.Errorf("with %s: exit code %d, and not %q: %s", path, code, want, &stderr)
		}
	}
	empty()
}

// transcript collects what is written, and does something when a text has come.
type transcript struct {
	mu   sync.Mutex
	text strings.Builder
	on   map[string]func()
}

func (t *transcript) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text.Write(p)
	for words, do := range t.on {
		if strings.Contains(t.text.String(), words) {
			delete(t.on, words)
			do()
		}
	}
	return len(p), nil
}

func (t *transcript) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.String()
}

func TestUsage(t *testing.T) {
	for _, test := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"-h"}, 0, "Try Boatlift on this machine"},
		{[]string{"--nope"}, 2, "flag provided but not defined: -nope"},
		{[]string{"dance"}, 2, "sandbox: what is dance?"},
		{[]string{"push"}, 2, "sandbox push HOST/REPOSITORY:TAG"},
		{[]string{"push", "shop/web"}, 2, "shop/web is not HOST/REPOSITORY:TAG"},
		{[]string{"push", "127.0.0.1:1/shop/web"}, 2, "is not HOST/REPOSITORY:TAG"},
		{[]string{"push", "registry.acme.io/shop/web:1.0.0"}, 2, "to registries on this machine only"},
		{[]string{"push", "127.0.0.1.example.com:80/shop/web:1.0.0"}, 2, "to registries on this machine only"},
		{[]string{"push", "127.0.0.1:1/shop/web:1.0.0"}, 1, "sandbox: "},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			code := run(t.Context(), test.args, strings.NewReader(""), &stdout, &stderr)
			if code != test.code || !strings.Contains(stderr.String(), test.want) || stdout.Len() > 0 {
				t.Errorf("exit code %d, want %d and %q:\n%s%s", code, test.code, test.want, &stdout, &stderr)
			}
			if code == 2 && !strings.Contains(stderr.String(), "sandbox [-bot PATH]") {
				t.Errorf("the usage is not shown:\n%s", &stderr)
			}
		})
	}
}

// TestWithAPerson runs the sandbox as a process, types what its help says, and ends it with Ctrl-C.
func TestWithAPerson(t *testing.T) {
	path := bot(t)
	empty := tempFolder(t)
	self, err := exec.LookPath("sandbox")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-bot", path)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a terminal sends Ctrl-C to all of a group
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := &listener{lines: make(chan string)}
	go said.listen(stdout)

	m := said.until(t, regexp.MustCompile(`in another terminal: (\S+) push (127\.0\.0\.1:\d+)/shop/web:1\.4\.3`))
	said.until(t, regexp.MustCompile(`end +Ctrl-C`))
	for _, turn := range []struct{ typed, answer string }{
		{"dance", `^push TAG, status, why IMAGE or PULL REQUEST; Ctrl-C ends$`},
		{"", ``},
		{"push 1.4.3", `^pushed shop/web:1\.4\.3 and shop/worker:1\.4\.3$`},
		{"push not/a/tag", `.`},
		{"status", `^acme/infra-acceptance$`},
		{"why shop/web:1.4.2", `^acme/infra-acceptance:acceptance$`},
		{"why", `accepts 1 arg`},
	} {
		if _, err := io.WriteString(stdin, turn.typed+"\n"); err != nil {
			t.Fatal(err)
		}
		if turn.answer != "" {
			said.until(t, regexp.MustCompile(turn.answer))
		}
	}
	// What it says to type in another terminal.
	out, err := exec.CommandContext(t.Context(), "sandbox", "push", m[2]+"/shop/api:1.0.0").CombinedOutput()
	if err != nil || !regexp.MustCompile(`^pushed 127\.0\.0\.1:\d+/shop/api:1\.0\.0@sha256:[0-9a-f]{64}\n$`).Match(out) {
		t.Errorf("sandbox push: %v: %s", err, out)
	}

	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	said.until(t, regexp.MustCompile(`^Ending; everything is removed\.$`))
	said.toTheEnd(t)
	if err := cmd.Wait(); err != nil || stderr.Len() > 0 {
		t.Errorf("it ended with %v: %s", err, &stderr)
	}
	botIsGone(t, said.all.String())
	if left := running(t, cmd.Process.Pid); len(left) > 0 {
		t.Errorf("processes of its group are left: %v", left)
	}
	empty()
}

// running are the processes of a group that still run. One that has ended and waits for its parent to notice does not.
func running(t *testing.T, group int) []string {
	t.Helper()
	if errors.Is(syscall.Kill(-group, 0), syscall.ESRCH) {
		return nil
	}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, file := range stats {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // gone meanwhile
		}
		// pid (name) state parent group …
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		if len(fields) > 2 && fields[0] != "Z" && fields[0] != "X" && fields[2] == strconv.Itoa(group) {
			left = append(left, strings.TrimSpace(string(text)))
		}
	}
	return left
}

// listener hears what a process says.
type listener struct {
	lines chan string
	all   strings.Builder
}

func (l *listener) listen(from io.Reader) {
	defer close(l.lines)
	in := bufio.NewScanner(from)
	for in.Scan() {
		l.lines <- in.Text()
	}
}

// until waits for a line.
func (l *listener) until(t *testing.T, pattern *regexp.Regexp) []string {
	t.Helper()
	late := time.NewTimer(testPatience)
	defer late.Stop()
	for {
		select {
		case line, ok := <-l.lines:
			if !ok {
				t.Fatalf("it ended without a line like %s:\n%s", pattern, l.all.String())
			}
			l.all.WriteString(line + "\n")
			if m := pattern.FindStringSubmatch(line); m != nil {
				return m
			}
		case <-late.C:
			t.Fatalf("there came no line like %s:\n%s", pattern, l.all.String())
		}
	}
}

func (l *listener) toTheEnd(t *testing.T) {
	t.Helper()
	late := time.NewTimer(testPatience)
	defer late.Stop()
	for {
		select {
		case line, ok := <-l.lines:
			if !ok {
				return
			}
			l.all.WriteString(line + "\n")
		case <-late.C:
			t.Fatalf("it does not end:\n%s", l.all.String())
		}
	}
}

// TestTheHelpNamesEveryFlag holds the usage to the flags.
func TestTheHelpNamesEveryFlag(t *testing.T) {
	var stdout, stderr bytes.Buffer
	run(t.Context(), []string{"-h"}, strings.NewReader(""), &stdout, &stderr)
	var flags []string
	for _, m := range regexp.MustCompile(`(?m)^  (-[a-z]+)`).FindAllStringSubmatch(stderr.String(), -1) {
		flags = append(flags, m[1])
	}
	slices.Sort(flags)
	if want := []string{"-bot", "-dir", "-forge", "-once", "-publish", "-record"}; !slices.Equal(flags, want) {
		t.Errorf("the flags are %v, want %v", flags, want)
	}
	for _, f := range flags {
		if !strings.Contains(usage, "["+f) {
			t.Errorf("the usage leaves out %s", f)
		}
	}
}
