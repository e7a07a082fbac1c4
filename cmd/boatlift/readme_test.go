package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/boatlift/boatlift/cmd/sandbox/stage"
	"github.com/boatlift/boatlift/internal/config"
	"github.com/boatlift/boatlift/internal/forge/github"
	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/kustomize"
	"github.com/boatlift/boatlift/internal/reconcile"
	"github.com/boatlift/boatlift/internal/registry"
)

// readmeRoot is the repository.
const readmeRoot = "../.."

// readmeFile is the text of a file of the repository.
func readmeFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(readmeRoot, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// notRun are the commands of the README that no test runs, and why. Each is written as it stands there.
func notRun() map[string]string {
	const (
		inCI   = ".ci/run runs it as a step of its own, and this test is a part of it"
		docker = "it needs a Docker daemon and its registries; TestImageHoldsTheBinaryAlone looks at the Dockerfile"
		inside = "it changes a cluster; what would be applied is built by kubectl kustomize"
	)
	return map[string]string{
		"make test": inCI,
		"docker build --build-arg VERSION=0.1.0 --tag registry.acme.io/platform/boatlift:0.1.0 .":                                                                     docker,
		`docker run --read-only --cap-drop=ALL --publish 8080:8080 --volume boatlift:/data --volume "$PWD":/etc/boatlift:ro registry.acme.io/platform/boatlift:0.1.0`: docker,
		"kubectl create namespace boatlift": inside,
		"kubectl --namespace=boatlift create secret generic boatlift --from-file=github-app-key=secrets/github-app-key.pem --from-file=github-webhook=secrets/github-webhook --from-file=acme-webhook=secrets/acme-webhook --from-file=acme-password=secrets/acme-password": inside,
		"kubectl apply --kustomize deploy/kubernetes/example":                               inside,
		"boatlift notify registry.acme.io/shop/web:1.4.2 --server https://boatlift.acme.io": "it needs a bot at that address and a job's token; testdata/script/notify.txtar has both",
		"boatlift verify --environment acme/infra-acceptance:acceptance --name playwright --result passed --image registry.acme.io/shop/web:1.4.2 --url https://jenkins.acme.io/job/7 --server https://boatlift.acme.io": "it needs a bot at that address and a token; testdata/script/verify.txtar has both",
		"gh api --method POST repos/acme/infra-production/rulesets --input ruleset.json": "it needs an account at GitHub; the JSON is checked by TestReadmeRuleset",
	}
}

// readmeBlock is a fenced block.
type readmeBlock struct {
	line       int // of its first line
	lang, text string
}

// file is the name of the file that a block shows, from its first line, a comment.
func (b readmeBlock) file() string {
	first, _, _ := strings.Cut(b.text, "\n")
	name, _, _ := strings.Cut(strings.TrimPrefix(first, "# "), " ")
	return name
}

// readme is the text outside of fenced blocks, and the blocks.
func readme(t *testing.T) (prose string, blocks []readmeBlock) {
	t.Helper()
	var out strings.Builder
	var open *readmeBlock
	for i, line := range strings.Split(readmeFile(t, "README.md"), "\n") {
		lang, fence := strings.CutPrefix(line, "```")
		switch {
		case fence && open == nil:
			open = &readmeBlock{line: i + 2, lang: lang}
		case fence:
			blocks, open = append(blocks, *open), nil
		case open != nil:
			open.text += line + "\n"
		default:
			out.WriteString(line + "\n")
		}
	}
	if open != nil {
		t.Fatalf("README.md:%d: the block has no end", open.line)
	}
	return out.String(), blocks
}

// readmeStep is one command with what the README says that it prints.
type readmeStep struct {
	line    int
	command string
	want    []string // nil: not said
	code    int
}

// steps are the commands of a block: every line of sh, and what follows $ in console.
func (b readmeBlock) steps() []readmeStep {
	var steps []readmeStep
	for i, line := range strings.Split(strings.TrimSuffix(b.text, "\n"), "\n") {
		command, isCommand := strings.CutPrefix(line, "$ ")
		last := len(steps) - 1
		switch {
		case b.lang == "sh" && (line == "" || strings.HasPrefix(line, "#")):
		case b.lang == "sh":
			steps = append(steps, readmeStep{line: b.line + i, command: line})
		case isCommand && command == "echo $?":
			steps[last].code = -1 // what the next line says
		case isCommand:
			steps = append(steps, readmeStep{line: b.line + i, command: command})
		case steps[last].code == -1:
			_, _ = fmt.Sscan(line, &steps[last].code)
		default:
			steps[last].want = append(steps[last].want, line)
		}
	}
	return steps
}

// TestReadmeBlocks keeps commands out of blocks in which nothing would look for them.
func TestReadmeBlocks(t *testing.T) {
	command := regexp.MustCompile(`(?m)^ {0,4}(\$ .*|(sudo |boatlift|sandbox|make|kubectl|docker|gh|git|go|curl) .*)`)
	_, blocks := readme(t)
	for _, b := range blocks {
		switch b.lang {
		case "sh", "console", "yaml", "json":
		case "text":
			if found := command.FindString(strings.ReplaceAll(b.text, "docker push shop/web:1.4.2", "")); found != "" {
				t.Errorf("README.md:%d: %q stands in a text block, whose commands are not run: make it sh or console", b.line, strings.TrimSpace(found))
			}
		default:
			t.Errorf("README.md:%d: blocks are sh, console, yaml, json or text, and this is %q", b.line, b.lang)
		}
	}
}

// TestReadmeCommands runs every command of the README, in its order, with the files that it shows.
func TestReadmeCommands(t *testing.T) {
	if testing.Short() {
		t.Skip("builds both programs and starts the sandbox; left out with -short")
	}
	w := newReadmeWorld(t)
	skipped := notRun()
	_, blocks := readme(t)
	for i, b := range blocks {
		if b.lang == "yaml" {
			w.write(t, b)
		}
		if b.lang != "sh" && b.lang != "console" {
			continue
		}
		for _, step := range b.steps() {
			if reason, ok := notRun()[step.command]; ok {
				delete(skipped, step.command)
				t.Logf("README.md:%d: %s: not run: %s", step.line, step.command, reason)
				w.promised(t, step, reason)
				continue
			}
			if step.command == "make demo ONCE=1" { // what it prints stands in the next block
				step.want = append(append([]string{"…"}, strings.Split(strings.TrimSpace(blocks[i+1].text), "\n")...), "…")
			}
			t.Run(fmt.Sprintf("line %d", step.line), func(t *testing.T) { w.run(t, step) })
		}
	}
	for command := range skipped {
		t.Errorf("notRun names %q, which the README does not have any more", command)
	}
}

// readmeWorld is where the commands are run: a folder with the files that the README shows, and the sandbox for those that ask a bot.
type readmeWorld struct {
	root, dir string
	stage     *stage.Stage
}

// How long a command may take, as make may have to build everything, and how long a bot may take until it says what the README does.
const (
	readmePatience    = 8 * time.Minute
	readmeBotPatience = time.Minute
)

func newReadmeWorld(t *testing.T) *readmeWorld {
	root, err := filepath.Abs(readmeRoot)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "bl") // a short name: a socket lies below it
	if err != nil {
		t.Fatal(err)
	}
	w := &readmeWorld{root: root, dir: dir}
	t.Cleanup(func() {
		if w.stage != nil {
			if err := w.stage.Close(); err != nil {
				t.Error(err)
			}
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return w
}

// write writes a file that the README shows. The bot's own is made to listen on a free port and to know the sandbox for GitHub.
func (w *readmeWorld) write(t *testing.T, b readmeBlock) {
	name, text := b.file(), b.text
	if name == "boatlift.yaml" {
		s := w.sandbox(t)
		for _, change := range [][2]string{
			{"listen: 127.0.0.1:8080", "listen: 127.0.0.1:0"},
			{"appID: 123456", fmt.Sprintf("appID: %d", s.Hub.AppID())},
			{"    type: github\n", "    type: github\n    url: " + s.Hub.APIURL() + "\n"},
		} {
			if !strings.Contains(text, change[0]) {
				t.Fatalf("README.md:%d: boatlift.yaml has no %q any more", b.line, change[0])
			}
			text = strings.Replace(text, change[0], change[1], 1)
		}
		for name, content := range map[string][]byte{"github-app-key.pem": s.Hub.AppKeyPEM(), "acme-password": []byte("password")} {
			w.save(t, filepath.Join("secrets", name), content)
		}
	}
	w.save(t, filepath.FromSlash(name), []byte(text))
}

func (w *readmeWorld) save(t *testing.T, name string, content []byte) {
	path := filepath.Join(w.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// sandbox is a bot among a registry and a forge, with one release under way.
func (w *readmeWorld) sandbox(t *testing.T) *stage.Stage {
	if w.stage != nil {
		return w.stage
	}
	s, err := stage.Start(context.WithoutCancel(t.Context()), stage.Options{Dir: filepath.Join(w.dir, "s"), BotPath: filepath.Join(w.root, "bin", "boatlift")})
	if err != nil {
		t.Fatal(err)
	}
	w.stage = s
	if err := s.Push(t.Context(), "1.4.2"); err != nil {
		t.Fatal(err)
	}
	return s
}

// command is a command as a shell runs it, where the README lets it be run.
func (w *readmeWorld) command(ctx context.Context, line string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "sh", "-c", line)
	cmd.Dir = w.dir
	cmd.Env = slices.DeleteFunc(os.Environ(), func(s string) bool { // of a make that runs this test
		return strings.HasPrefix(s, "MAKE") || strings.HasPrefix(s, "MFLAGS=") || strings.HasPrefix(s, "BOATLIFT_")
	})
	cmd.Env = append(cmd.Env, "PATH="+filepath.Join(w.root, "bin")+string(filepath.ListSeparator)+os.Getenv("PATH"))
	program, rest, _ := strings.Cut(strings.TrimPrefix(line, "exec "), " ")
	sub, _, _ := strings.Cut(rest, " ")
	switch {
	case program == "make" || program == "kubectl" || strings.HasPrefix(program, "bin/"):
		cmd.Dir = w.root
	case program == "boatlift" && slices.Contains([]string{"status", "why", "hold", "lift"}, sub):
		cmd.Env = append(cmd.Env, "BOATLIFT_DATA="+w.stage.Bot.DataDir())
	}
	return cmd
}

// promised holds an exception to its reason.
func (w *readmeWorld) promised(t *testing.T, step readmeStep, reason string) {
	if !strings.Contains(reason, ".ci/run") {
		return
	}
	if !strings.Contains(readmeFile(t, ".ci/run"), step.command) {
		t.Errorf("README.md:%d: .ci/run does not run %s", step.line, step.command)
	}
	if out, err := w.command(t.Context(), "make -n "+strings.TrimPrefix(step.command, "make ")).CombinedOutput(); err != nil {
		t.Errorf("README.md:%d: %s: %v\n%s", step.line, step.command, err, out)
	}
}

func (w *readmeWorld) run(t *testing.T, step readmeStep) {
	ctx, cancel := context.WithTimeout(t.Context(), readmePatience)
	defer cancel()
	program, _, _ := strings.Cut(step.command, " ")
	switch {
	case step.command == "make demo":
		w.runDemo(ctx, t, step)
		return
	case strings.HasPrefix(step.command, "boatlift serve"):
		w.runServe(ctx, t, step)
		return
	}
	if _, err := exec.LookPath(program); err != nil && program == "kubectl" {
		t.Skipf("%s is not run here: %v; TestManifestsBuild builds deploy/ without it", step.command, err)
	}
	asks := strings.HasPrefix(step.command, "boatlift status") || strings.HasPrefix(step.command, "boatlift why")
	most := readmePatience
	if asks {
		most = readmeBotPatience
	}
	var out string
	err := stage.Await(ctx, most, step.command, func() (bool, error) {
		cmd := w.command(ctx, step.command)
		text, err := cmd.CombinedOutput()
		out = w.plain(string(text))
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		code := 0
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			code = exit.ExitCode()
		} else if err != nil {
			return false, err
		}
		if code != step.code {
			return false, fmt.Errorf("exit code %d; want %d", code, step.code)
		}
		if step.want == nil || readmeMatches(w.lines(strings.Join(step.want, "\n")), w.lines(out)) {
			return true, nil
		}
		if !asks {
			return false, errors.New("it prints something else")
		}
		return false, nil // the bot may not be that far yet
	})
	if err != nil {
		t.Errorf("README.md:%d: $ %s: %v\nit prints:\n%s\nthe README says:\n%s", step.line, step.command, err, out, strings.Join(step.want, "\n"))
	}
}

// plain shows the sandbox's addresses as the README does.
func (w *readmeWorld) plain(text string) string {
	if w.stage == nil {
		return text
	}
	return strings.NewReplacer(w.stage.Hub.URL(), "https://github.com", w.stage.Registry.Host(), "registry.acme.io").Replace(text)
}

// lines are those of a text without what differs from run to run.
func (w *readmeWorld) lines(text string) []string {
	for pattern, with := range map[string]string{
		`127\.0\.0\.1:\d+`: "ADDRESS", `\b[0-9a-f]{7,64}\b`: "HASH", `\b\d{1,2} [A-Z][a-z]{2} \d\d:\d\d(:\d\d)?`: "TIME", `delivery \d+`: "delivery N",
	} {
		text = regexp.MustCompile(pattern).ReplaceAllString(text, with)
	}
	return strings.Split(strings.TrimSpace(text), "\n")
}

// readmeMatches compares lines. In what is wanted, … stands for any text, and alone in a line for any lines.
func readmeMatches(want, got []string) bool {
	switch {
	case len(want) == 0:
		return len(got) == 0
	case strings.TrimSpace(want[0]) == "…":
		return readmeMatches(want[1:], got) || len(got) > 0 && readmeMatches(want, got[1:])
	case len(got) == 0:
		return false
	}
	pattern := "^" + strings.ReplaceAll(regexp.QuoteMeta(strings.TrimRight(want[0], " ")), "…", ".*") + "$"
	return regexp.MustCompile(pattern).MatchString(strings.TrimRight(got[0], " ")) && readmeMatches(want[1:], got[1:])
}

// readmeProcess is a program that runs until it is interrupted.
type readmeProcess struct {
	t     *testing.T
	step  readmeStep
	cmd   *exec.Cmd
	stdin io.Writer
	out   *bufio.Scanner
	said  strings.Builder
}

// start starts a command whose lines on standard output and standard error are waited for.
func (w *readmeWorld) start(ctx context.Context, t *testing.T, step readmeStep, line string) *readmeProcess {
	t.Helper()
	p := &readmeProcess{t: t, step: step, cmd: w.command(ctx, "exec "+line+" 2>&1")}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.out = bufio.NewScanner(stdout)
	return p
}

// await is the first group of the next line that has a pattern.
func (p *readmeProcess) await(pattern string) string {
	p.t.Helper()
	for p.out.Scan() {
		p.said.WriteString(p.out.Text() + "\n")
		if found := regexp.MustCompile(pattern + "()").FindStringSubmatch(p.out.Text()); found != nil {
			return found[1]
		}
	}
	p.t.Fatalf("README.md:%d: %s: waited in vain for %q; it said:\n%s", p.step.line, p.step.command, pattern, p.said.String())
	return ""
}

// interrupt is Ctrl-C. The program must end well.
func (p *readmeProcess) interrupt(last string) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		p.t.Error(err)
	}
	p.await(last)
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("README.md:%d: %s: %v; it said:\n%s", p.step.line, p.step.command, err, p.said.String())
	}
}

// runDemo runs what make demo runs, with somebody who types what the README says.
func (w *readmeWorld) runDemo(ctx context.Context, t *testing.T, step readmeStep) {
	if out, err := w.command(ctx, "make build").CombinedOutput(); err != nil {
		t.Fatalf("make build: %v\n%s", err, out)
	}
	out, err := w.command(ctx, "make -n demo").Output()
	if err != nil {
		t.Fatalf("README.md:%d: make -n demo: %v\n%s", step.line, err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	p := w.start(ctx, t, step, lines[len(lines)-1])
	p.await("/acme/infra-production/pull/1")
	p.await("Ctrl-C")
	prose, _ := readme(t)
	for _, talk := range [][2]string{{"push 1.4.3", "pushed shop/web:1.4.3"}, {"status", "acme/infra-production"}, {"why shop/web:1.4.3", "shop/web:1.4.3"}} {
		if !strings.Contains(prose, "`"+talk[0]+"`") {
			t.Errorf("README.md:%d: %q is not said to be typed any more", step.line, talk[0])
		}
		if _, err := fmt.Fprintln(p.stdin, talk[0]); err != nil {
			t.Fatal(err)
		}
		p.await(talk[1])
	}
	p.interrupt("everything is removed")
}

// runServe starts the bot with the README's boatlift.yaml, and sends it what a registry set up by the README sends.
func (w *readmeWorld) runServe(ctx context.Context, t *testing.T, step readmeStep) {
	p := w.start(ctx, t, step, step.command)
	address := p.await(`msg="boatlift is listening".* address=(\S+)`)
	header := w.notification(ctx, t)
	for _, ask := range []struct {
		method, path, authorization string
		want                        int
	}{
		{http.MethodGet, "/healthz", "", 200},
		{http.MethodGet, "/readyz", "", 200},
		{http.MethodGet, "/metrics", "", 200},
		{http.MethodPost, "/hooks/acme", header, 200},
		{http.MethodPost, "/hooks/acme", header + "x", 401},
		{http.MethodPost, "/hooks/github", "", 401},
		{http.MethodPost, "/hooks/packages", "", 404},
	} {
		req, err := http.NewRequestWithContext(ctx, ask.method, "http://"+address+ask.path, strings.NewReader(`{"events": []}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/vnd.docker.distribution.events.v2+json")
		req.Header.Set("Authorization", ask.authorization)
		answer, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(io.Discard, answer.Body)
		if err := errors.Join(err, answer.Body.Close()); err != nil {
			t.Error(err)
		}
		if answer.StatusCode != ask.want {
			t.Errorf("README.md:%d: %s %s = %d; want %d", step.line, ask.method, ask.path, answer.StatusCode, ask.want)
		}
	}
	p.interrupt("msg=stopped")
}

// notification is the Authorization header that hooks setup tells to configure at the registry.
func (w *readmeWorld) notification(ctx context.Context, t *testing.T) string {
	out, err := w.command(ctx, "boatlift hooks setup acme --show-secret").CombinedOutput()
	if err != nil {
		t.Fatalf("boatlift hooks setup: %v\n%s", err, out)
	}
	header := regexp.MustCompile(`Authorization: \[(.*)\]`).FindSubmatch(out)
	if header == nil {
		t.Fatalf("boatlift hooks setup tells of no header:\n%s", out)
	}
	return string(header[1])
}

// TestReadmeFiles reads every YAML block as the program does.
func TestReadmeFiles(t *testing.T) {
	engine, err := gate.New()
	if err != nil {
		t.Fatal(err)
	}
	_, blocks := readme(t)
	for _, b := range blocks {
		if b.lang != "yaml" {
			continue
		}
		name, text := b.file(), b.text
		var err error
		switch filepath.Base(name) {
		case reconcile.ConfigFile:
			_, err = config.ParseRepo(name, []byte(text), engine, config.Require{})
			if strings.HasPrefix(name, "wrong/") && err == nil {
				t.Errorf("README.md:%d: %s is right", b.line, name)
			} else if strings.HasPrefix(name, "wrong/") {
				err = nil
			}
		case "boatlift.yaml":
			env := environ(name)
			env.Getenv = func(string) (string, bool) { return "secret", true }
			env.ReadFile = func(string) ([]byte, error) {
				return []byte("-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n"), nil
			}
			_, err = config.ParseBot(name, []byte(text), env)
		case "kustomization.yaml":
			var entries []kustomize.Entry
			if entries, err = kustomize.Read(name, []byte(text)); err == nil && len(entries) == 0 {
				err = errors.New("it lists no image")
			}
		default:
			err = errors.New("the first line of a YAML block names its file, as # infra/.boatlift.yaml")
		}
		if err != nil {
			t.Errorf("README.md:%d: %v", b.line, err)
		}
	}
}

// TestReadmeRuleset holds the ruleset to the check that the bot makes and the App of the README's boatlift.yaml.
func TestReadmeRuleset(t *testing.T) {
	_, blocks := readme(t)
	var rulesets int
	var bot string
	for _, b := range blocks {
		if b.file() == "boatlift.yaml" {
			bot = b.text
		}
		if b.lang != "json" {
			continue
		}
		rulesets++
		var set struct {
			Name, Target, Enforcement string
			Conditions                json.RawMessage
			Rules                     []struct {
				Type       string
				Parameters map[string]json.RawMessage
			}
		}
		dec := json.NewDecoder(strings.NewReader(b.text))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&set); err != nil {
			t.Errorf("README.md:%d: %v", b.line, err)
			continue
		}
		var checks []struct {
			Context       string
			IntegrationID int64 `json:"integration_id"`
		}
		for _, r := range set.Rules {
			if r.Type == "required_status_checks" {
				if err := json.Unmarshal(r.Parameters["required_status_checks"], &checks); err != nil {
					t.Errorf("README.md:%d: %v", b.line, err)
				}
			}
		}
		if len(checks) != 1 || checks[0].Context != reconcile.CheckName || !strings.Contains(bot, fmt.Sprintf("appID: %d\n", checks[0].IntegrationID)) {
			t.Errorf("README.md:%d: the ruleset requires %v; want %s of the App of boatlift.yaml", b.line, checks, reconcile.CheckName)
		}
	}
	if rulesets != 1 {
		t.Errorf("README.md has %d JSON blocks; want the ruleset", rulesets)
	}
}

// readmeTable are the rows below a header that begins so, by their first cell without back-ticks.
func readmeTable(t *testing.T, prose, header string) map[string][]string {
	t.Helper()
	_, after, found := strings.Cut(prose, "\n| "+header)
	if !found {
		t.Fatalf("README.md has no table | %s", header)
	}
	rows := map[string][]string{}
	for line := range strings.SplitSeq(strings.SplitN(after, "\n", 3)[2], "\n") {
		if !strings.HasPrefix(line, "| ") {
			break
		}
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		rows[strings.Trim(cells[0], "`")] = cells[1:]
	}
	return rows
}

// readmeSame compares what a table has with what it should.
func readmeSame(t *testing.T, table string, got map[string][]string, want []string) {
	t.Helper()
	for _, w := range want {
		if _, ok := got[w]; !ok {
			t.Errorf("README.md: the table of %s does not have %s: add a row for it", table, w)
		}
	}
	for g := range got {
		if !slices.Contains(want, g) {
			t.Errorf("README.md: the table of %s has %s, which does not exist", table, g)
		}
	}
}

func TestReadmeConfigurationReference(t *testing.T) {
	prose, _ := readme(t)
	for _, file := range []struct {
		heading, prefix string
		schema          func() ([]byte, error)
	}{
		{"### The bot's `boatlift.yaml`", "", config.SchemaBot},
		{"### A repository's `.boatlift.yaml`", "environments[].", config.SchemaRepo},
	} {
		_, section, ok := strings.Cut(prose, file.heading+"\n")
		if !ok {
			t.Fatalf("README.md has no section %s", file.heading)
		}
		text, err := file.schema()
		if err != nil {
			t.Fatal(err)
		}
		var schema map[string]any
		if err := json.Unmarshal(text, &schema); err != nil {
			t.Fatal(err)
		}
		var keys []string
		for _, key := range schemaKeys(schema, "") {
			keys = append(keys, strings.TrimPrefix(key, file.prefix))
		}
		readmeSame(t, file.heading, readmeTable(t, section, "key |"), keys)
	}
}

// schemaKeys are the keys of a JSON Schema that have no keys below them: log.level, registries[].name.
func schemaKeys(schema map[string]any, at string) []string {
	if items, ok := schema["items"].(map[string]any); ok && items["properties"] != nil {
		return schemaKeys(items, at+"[]")
	}
	properties, ok := schema["properties"].(map[string]any)
	if !ok {
		return []string{at}
	}
	var keys []string
	for name, below := range properties {
		object, isObject := below.(map[string]any)
		if !isObject {
			object = map[string]any{}
		}
		keys = append(keys, schemaKeys(object, strings.TrimPrefix(at+"."+name, "."))...)
	}
	return keys
}

func TestReadmeTables(t *testing.T) {
	prose, _ := readme(t)
	engine, err := gate.New()
	if err != nil {
		t.Fatal(err)
	}
	var policies, types, codes, folders []string
	for _, d := range engine.Policies() {
		policies = append(policies, d.Name)
	}
	readmeSame(t, "policies", readmeTable(t, prose, "policy |"), policies)
	registries := readmeTable(t, prose, "`type:` |")
	for _, kind := range registry.Types() {
		types = append(types, kind.Name)
		if want := []string{kind.Title, kind.Proof}; registries[kind.Name] != nil && !slices.Equal(registries[kind.Name], want) {
			t.Errorf("README.md: the registry %s is %q; want %q", kind.Name, registries[kind.Name], want)
		}
	}
	readmeSame(t, "registries", registries, types)

	said := readmeTable(t, prose, "exit code |")
	for line := range strings.SplitSeq(exitCodes, "\n") {
		if code, meaning, ok := strings.Cut(strings.TrimSpace(line), "  "); ok {
			codes = append(codes, code)
			if len(said[code]) != 1 || said[code][0] != meaning {
				t.Errorf("README.md: exit code %s means %q; want %q", code, said[code], meaning)
			}
		}
	}
	readmeSame(t, "exit codes", said, codes)

	for _, pattern := range []string{"cmd/*", "internal/*", "internal/forge/*", "policies", "deploy", "testdata"} {
		found, err := filepath.Glob(filepath.Join(readmeRoot, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, dir := range found {
			code, err := filepath.Glob(filepath.Join(dir, "*.go"))
			if err != nil {
				t.Fatal(err)
			}
			if len(code) > 0 || !strings.Contains(pattern, "*") {
				rel, err := filepath.Rel(readmeRoot, dir)
				if err != nil {
					t.Fatal(err)
				}
				folders = append(folders, filepath.ToSlash(rel))
			}
		}
	}
	readmeSame(t, "folders", readmeTable(t, prose, "folder |"), folders)
}

// TestReadmeEvents asks the adapter about every event that the App is said to subscribe to.
func TestReadmeEvents(t *testing.T) {
	prose, _ := readme(t)
	_, after, _ := strings.Cut(prose, "Events to subscribe to:")
	list, _, _ := strings.Cut(after, "GitHub sends")
	events := regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(list, -1)
	if len(events) < 6 {
		t.Fatalf("README.md names %d events", len(events))
	}
	hub := readmeHub(t)
	decode := func(name string) string {
		event, err := hub.Decode(http.Header{"X-Github-Event": {name}}, []byte(`{"repository": {"id": 1}}`))
		if err != nil {
			return "" // it reads the body, so it knows the event
		}
		return event.Ignored
	}
	unknown := decode("star")
	for _, e := range events {
		if decode(e[1]) == unknown {
			t.Errorf("README.md: the event %s tells the bot nothing", e[1])
		}
	}
}

// TestReadmeLinks follows links within the repository, and the files and commands that stand in the text.
func TestReadmeLinks(t *testing.T) {
	prose, _ := readme(t)
	anchors := map[string]bool{}
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(prose, -1) {
		anchor := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(heading[1]), "")
		anchors["#"+strings.ReplaceAll(anchor, " ", "-")] = true
	}
	exists := func(path string) {
		if _, err := os.Stat(filepath.Join(readmeRoot, filepath.FromSlash(path))); err != nil {
			t.Errorf("README.md names %s: %v", path, err)
		}
	}
	for _, link := range regexp.MustCompile(`\]\(([^)\s]+)\)`).FindAllStringSubmatch(prose, -1) {
		switch to := link[1]; {
		case strings.HasPrefix(to, "#"):
			if !anchors[to] {
				t.Errorf("README.md links to %s, which no heading has", to)
			}
		case !strings.Contains(to, "://"):
			exists(to)
		}
	}
	makefile := readmeFile(t, "Makefile")
	root := newRoot(new(bytes.Buffer), io.Discard, io.Discard)
	commands := map[string]bool{}
	for _, span := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(prose, -1) {
		words := strings.Fields(span[1])
		switch first := words[0]; {
		case regexp.MustCompile(`^(deploy|internal|cmd|policies|\.ci)(/[A-Za-z0-9._/-]+)?$`).MatchString(first):
			exists(strings.TrimSuffix(first, "/NAME"))
		case first == "make" && len(words) > 1:
			if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(words[1]) + `:.*## `).MatchString(makefile) {
				t.Errorf("README.md: there is no target of `%s`", span[1])
			}
			commands["make "+words[1]] = true
		case first == "boatlift" && len(words) > 1:
			cmd, _, err := root.Find(words[1:])
			if err != nil || cmd == root {
				t.Errorf("README.md: there is no command `%s`", span[1])
				continue
			}
			commands[cmd.CommandPath()] = true
			for _, word := range words {
				if flag, ok := strings.CutPrefix(word, "--"); ok && cmd.Flags().Lookup(flag) == nil {
					t.Errorf("README.md: %s has no flag --%s", cmd.CommandPath(), flag)
				}
			}
		}
	}
	for _, target := range regexp.MustCompile(`(?m)^([a-z]+):.*## `).FindAllStringSubmatch(makefile, -1) {
		if target[1] != "help" && !commands["make "+target[1]] {
			t.Errorf("README.md does not name make %s", target[1])
		}
	}
	table := readmeTable(t, prose, "command |")
	var want []string
	for _, cmd := range root.Commands() {
		for _, leaf := range append(cmd.Commands(), cmd) {
			if !leaf.HasSubCommands() && !leaf.Hidden && leaf.Name() != "help" && cmd.Name() != "completion" {
				want = append(want, leaf.CommandPath())
			}
		}
	}
	readmeSame(t, "commands", table, want)
}

// readmeHub is the adapter, as far as it needs no GitHub.
func readmeHub(t *testing.T) *github.Forge {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	hub, err := github.New(github.Options{AppID: 1, PrivateKey: github.Fixed(block), WebhookSecrets: func() [][]byte { return [][]byte{[]byte("secret")} }})
	if err != nil {
		t.Fatal(err)
	}
	return hub
}
