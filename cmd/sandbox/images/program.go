package images

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// program is a registry as a process of its own.
type program struct {
	cmd    *exec.Cmd
	exited chan struct{}
	out    *bytes.Buffer // what it said; to be read when it has exited
}

// runProgram starts Debian's docker-registry, which is Distribution's version 2, and waits until it answers.
func runProgram(opts Options, host string) (*program, error) {
	if opts.Dir == "" || opts.Username != "" {
		return nil, errors.New("a registry as a process needs a folder, and knows no password")
	}
	images := filepath.Join(opts.Dir, "images")
	if err := os.MkdirAll(images, 0o700); err != nil {
		return nil, err
	}
	config := map[string]any{ // JSON is YAML too
		"version": 0.1,
		"log":     map[string]any{"level": "error", "accesslog": map[string]any{"disabled": true}},
		"storage": map[string]any{
			"filesystem": map[string]any{"rootdirectory": images}, "delete": map[string]any{"enabled": true},
			"maintenance": map[string]any{"uploadpurging": map[string]any{"enabled": false}},
		},
		"http": map[string]any{"addr": host},
	}
	if opts.NotifyURL != "" {
		config["notifications"] = map[string]any{"endpoints": []any{map[string]any{
			"name": "boatlift", "url": opts.NotifyURL, "headers": map[string]any{"Authorization": []string{"Bearer " + opts.NotifyToken}},
			"timeout": "2s", "threshold": 5, "backoff": "1s",
		}}}
	}
	text, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(opts.Dir, "config.yml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return nil, err
	}
	p := &program{cmd: exec.Command(opts.Program, "serve", file), exited: make(chan struct{}), out: &bytes.Buffer{}}
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", opts.Program, err)
	}
	go func() {
		defer close(p.exited)
		_ = p.cmd.Wait() // how it ended is told by what it said
	}()
	if err := p.await(host); err != nil {
		return nil, errors.Join(err, p.end())
	}
	return p, nil
}

// await asks until the registry answers.
func (p *program) await(host string) error {
	client := &http.Client{Timeout: time.Second}
	defer client.CloseIdleConnections()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	patience := time.NewTimer(callTimeout)
	defer patience.Stop()
	for {
		if answer, err := client.Get("http://" + host + "/v2/"); err == nil {
			return answer.Body.Close()
		}
		select {
		case <-p.exited:
			return fmt.Errorf("the registry ended at once: %s", bytes.TrimSpace(p.out.Bytes()))
		case <-patience.C:
			return fmt.Errorf("the registry does not answer after %s", callTimeout)
		case <-tick.C:
		}
	}
}

// end kills it: it has nothing to finish that a test would miss.
func (p *program) end() error {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-p.exited
	return nil
}
