package images

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// program is a registry as a process of its own.
type program struct {
	cmd       *exec.Cmd
	at        string // the folder of its configuration and of the socket that it listens on
	transport *http.Transport
	exited    chan struct{}
	out       *bytes.Buffer // what it said; to be read when it has exited
}

// runProgram starts Debian's docker-registry, which is Distribution's version 2, and waits until it answers. It listens on a socket,
// behind the address that people know.
func runProgram(opts Options, host string) (*life, error) {
	if opts.Dir == "" {
		return nil, errors.New("a registry as a process needs a folder")
	}
	at, err := os.MkdirTemp("", "registry") // a short name: the path of a socket has at most 107 bytes, which folders of tests use up
	if err != nil {
		return nil, err
	}
	p := &program{at: at, exited: make(chan struct{}), out: &bytes.Buffer{}}
	if err := p.start(opts); err != nil {
		return nil, errors.Join(err, os.RemoveAll(at))
	}
	go func() {
		defer close(p.exited)
		_ = p.cmd.Wait() // how it ended is told by what it said
	}()
	if err := p.await(host); err != nil {
		return nil, errors.Join(err, p.end())
	}
	// Requests keep the host that they were sent to: the registry names itself by it.
	passOn := func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", host }
	return &life{Handler: &httputil.ReverseProxy{Rewrite: passOn, Transport: p.transport}, end: p.end}, nil
}

// start runs the process.
func (p *program) start(opts Options) error {
	socket := filepath.Join(p.at, "socket")
	config := map[string]any{ // JSON is YAML too
		"version": 0.1,
		"log":     map[string]any{"level": "error", "accesslog": map[string]any{"disabled": true}},
		"storage": map[string]any{
			"filesystem": map[string]any{"rootdirectory": opts.Dir}, "delete": map[string]any{"enabled": true},
			"maintenance": map[string]any{"uploadpurging": map[string]any{"enabled": false}},
		},
		"http": map[string]any{"net": "unix", "addr": socket},
	}
	if opts.NotifyURL != "" {
		config["notifications"] = map[string]any{"endpoints": []any{map[string]any{
			"name": "boatlift", "url": opts.NotifyURL, "headers": map[string]any{"Authorization": []string{"Bearer " + opts.NotifyToken}},
			"timeout": "2s", "threshold": 5, "backoff": "1s",
		}}}
	}
	text, err := json.Marshal(config)
	if err != nil {
		return err
	}
	file := filepath.Join(p.at, "config.yml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return err
	}
	dialer := &net.Dialer{}
	p.transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, "unix", socket)
	}}
	p.cmd = exec.Command(opts.Program, "serve", file)
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", opts.Program, err)
	}
	return nil
}

// await asks until the registry answers.
func (p *program) await(host string) error {
	client := &http.Client{Timeout: time.Second, Transport: p.transport}
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
	p.transport.CloseIdleConnections()
	return os.RemoveAll(p.at)
}
