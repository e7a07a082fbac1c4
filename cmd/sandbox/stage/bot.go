package stage

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/boatlift/boatlift/internal/dashboard"
)

// Bot is the bot as a process.
type Bot struct {
	dir, path, apiURL string
	appID             int64
	byToken, gitLab   bool
	forge, more       string // added to the forge and to the end of the configuration
	registry          string // what its entry of the registry says besides name and type
	log               io.Writer

	mu     sync.Mutex
	listen string
	leave  func() error // gives the port back
	cmd    *exec.Cmd
	exited chan struct{} // closed when the process is gone
}

// URL is where the bot listens.
func (b *Bot) URL() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return "http://" + b.listen
}

// Dir is the folder of the bot's configuration.
func (b *Bot) Dir() string { return b.dir }

// DataDir is the bot's data directory.
func (b *Bot) DataDir() string { return filepath.Join(b.dir, "data") }

// PID is the process's id while it runs.
func (b *Bot) PID() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cmd.Process.Pid
}

// Freeze stops the process where it is, as a machine does that is suspended. Thaw lets it go on; so does nothing else.
func (b *Bot) Freeze() error { return b.signal(syscall.SIGSTOP) }

// Thaw lets a frozen process go on.
func (b *Bot) Thaw() error { return b.signal(syscall.SIGCONT) }

func (b *Bot) signal(sig syscall.Signal) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cmd.Process.Signal(sig)
}

// config is the bot's boatlift.yaml. The sandbox's forge has no limits of its own unless it is told to, so the bot keeps to none either.
func (b *Bot) config() string {
	limits := "limits: {writesPerMinute: 0, writesPerHour: 0}\n"
	if strings.Contains(b.more, "limits:") {
		limits = ""
	}
	kind, entry := "github", fmt.Sprintf("appID: %d\n    privateKey: file:app.pem", b.appID)
	if b.byToken {
		entry = "token: file:token"
	}
	if b.gitLab {
		kind = "gitlab"
	}
	return fmt.Sprintf(`listen: %s
dataDir: %s
registries:
  - name: registry
    type: distribution
%s
forges:
  - name: %s
    type: %s
    %s
    webhookSecret: file:webhook-secret
    url: %s
%slog: {format: json, level: debug}
%s%s`, b.listen, b.DataDir(), strings.TrimRight(b.registry, "\n"), kind, kind, entry, b.apiURL, b.forge, limits, b.more)
}

// UseDatabase has the bot use a PostgreSQL database from its next start on.
func (b *Bot) UseDatabase(url string) error {
	const file = "database-url"
	if err := os.WriteFile(filepath.Join(b.dir, file), []byte(url), 0o600); err != nil {
		return err
	}
	if entry := "database: file:" + file + "\n"; !strings.HasPrefix(b.more, entry) {
		b.more = entry + b.more
	}
	return nil
}

// Start runs the process and waits until it listens. Started again, it has its old address.
func (b *Bot) Start(ctx context.Context) error {
	file := filepath.Join(b.dir, "boatlift.yaml")
	if err := os.WriteFile(file, []byte(b.config()), 0o600); err != nil {
		return err
	}
	logFile, err := os.OpenFile(filepath.Join(b.dir, "bot.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), b.path, "serve", "--config", file)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return errors.Join(err, logFile.Close())
	}
	if err := cmd.Start(); err != nil {
		return errors.Join(fmt.Errorf("start the bot: %w", err), logFile.Close())
	}
	exited := make(chan struct{})
	listening := make(chan string, 1)
	var tail bytes.Buffer // what it said last, for the case that it ends
	go func() {
		defer close(exited)
		defer logFile.Close()
		b.follow(stderr, logFile, listening, &tail)
		_ = cmd.Wait() // how it ended is in the log
	}()
	b.mu.Lock()
	b.cmd, b.exited = cmd, exited
	b.mu.Unlock()
	select {
	case address := <-listening:
		b.mu.Lock()
		b.listen = address
		b.mu.Unlock()
		return nil
	case <-exited:
		return fmt.Errorf("the bot ended at once: %s", bytes.TrimSpace(tail.Bytes()))
	case <-time.After(30 * time.Second):
		return errors.Join(errors.New("the bot does not listen after 30 s"), b.Kill())
	case <-ctx.Done():
		return errors.Join(ctx.Err(), b.Kill())
	}
}

// follow copies the log until the process ends, and finds the line that tells the address.
func (b *Bot) follow(from io.Reader, logFile io.Writer, listening chan<- string, tail *bytes.Buffer) {
	out := logFile
	if b.log != nil {
		out = io.MultiWriter(logFile, b.log)
	}
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := append(lines.Bytes(), '\n')
		_, _ = out.Write(line) // a log that cannot be written stops nothing
		var said struct {
			Msg     string `json:"msg"`
			Address string `json:"address"`
		}
		if json.Unmarshal(line, &said) == nil && said.Msg == "boatlift is listening" {
			listening <- said.Address
		}
		if tail.Len() < 4096 {
			tail.Write(line)
		}
	}
}

// Stop asks the bot to end and waits; one that does not is killed.
func (b *Bot) Stop() error {
	return b.end(syscall.SIGTERM)
}

// Kill ends the bot as a power cut would, and waits until it is gone.
func (b *Bot) Kill() error {
	return b.end(syscall.SIGKILL)
}

func (b *Bot) end(sig syscall.Signal) error {
	b.mu.Lock()
	cmd, exited := b.cmd, b.exited
	b.mu.Unlock()
	if cmd == nil {
		return nil
	}
	if err := cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-exited:
		return nil
	case <-time.After(30 * time.Second):
		return errors.Join(errors.New("the bot did not end within 30 s"), cmd.Process.Kill())
	}
}

// Command runs a command of the bot's program and returns what it printed. The error holds what it complained of.
func (b *Bot) Command(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, b.path, args...)
	cmd.Env = append(os.Environ(), "BOATLIFT_DATA="+b.DataDir())
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("boatlift %v: %w: %s", args, err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.String(), nil
}

// Status asks the running bot for its status, over its socket, as boatlift status does.
func (b *Bot) Status(ctx context.Context) (status dashboard.Status, err error) {
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(b.DataDir(), "boatlift.sock"))
	}}}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://boatlift/api/v1/status", http.NoBody)
	if err != nil {
		return status, err
	}
	answer, err := client.Do(req)
	if err != nil {
		return status, err
	}
	defer func() { err = errors.Join(err, answer.Body.Close()) }()
	if answer.StatusCode != http.StatusOK {
		return status, fmt.Errorf("the bot answered %s", answer.Status)
	}
	return status, json.NewDecoder(answer.Body).Decode(&status)
}
