//go:build unix

package render

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	maxJob     = 2 * maxOverlay // JSON writes bytes in base 64
	maxStderr  = 16 << 10
	waitStderr = 2 * time.Second // for what holds stderr open after the child has gone
	cpuDirs    = 16              // directories whose full time a child may spend; it matters for a child whose parent is stuck
)

// session is one child at work. It belongs to one goroutine.
type session struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	stderr  capped
	options Options
	limits  limits
	greeted bool
}

// start runs a child, in namespaces of its own where the system lets it.
func (r *Renderer) start(ctx context.Context) (*session, error) {
	argv, err := r.command()
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("render: %w", err)
	}
	if attr, ok := isolated(); ok && !r.plain.Load() {
		s, err := r.launch(argv, attr)
		if err == nil {
			return s, nil
		}
		if s, plainErr := r.launch(argv, &syscall.SysProcAttr{Setpgid: true}); plainErr == nil {
			r.plain.Store(true)
			return s, nil
		}
		return nil, err
	}
	return r.launch(argv, &syscall.SysProcAttr{Setpgid: true})
}

func (r *Renderer) launch(argv []string, attr *syscall.SysProcAttr) (*session, error) {
	s := &session{cmd: exec.Command(argv[0], argv[1:]...), options: r.options, limits: r.limits()}
	s.cmd.Env = []string{} // nil would be the parent's
	s.cmd.Dir = "/"
	s.cmd.SysProcAttr = attr
	s.cmd.Stderr = &s.stderr
	s.cmd.WaitDelay = waitStderr
	in, err := s.cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start the render process: %w", err)
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start the render process: %w", err)
	}
	s.in, s.out = in, bufio.NewReader(out)
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the render process: %w", err)
	}
	return s, nil
}

// kill ends the child and all that it may have started, and so unblocks whoever talks to it. It must not be called once
// close has run: the process id may be another's then.
func (s *session) kill() {
	// The only error is that the group has gone.
	_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
}

// close ends the child, if it has not ended, and waits for it. It may be called again.
func (s *session) close() {
	if s.cmd.ProcessState != nil {
		return
	}
	_ = s.in.Close()
	s.kill()
	_ = s.cmd.Wait() // ProcessState says more than this error
}

// finished is an outcome with its parts.
type finished struct {
	outcome
	before, after []byte
	diff          string
	cause         error // the Source's
}

var errTooSlow = errors.New("too slow")

// run has one job done. After an error the session can only be closed.
func (s *session) run(ctx context.Context, src Source, j job) (*finished, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.options.Timeout, errTooSlow)
	defer cancel()
	killed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(killed)
		s.kill()
	})
	done, err := s.converse(ctx, src, j)
	if !stop() {
		<-killed
		if err == nil {
			err = context.Cause(ctx)
		}
	}
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	return done, err
}

func (s *session) converse(ctx context.Context, src Source, j job) (*finished, error) {
	if !s.greeted {
		_, body, err := readFrame(s.out, only(frameHello, int64(len(hello))))
		if err != nil {
			return nil, fmt.Errorf("hear the first word: %w", err)
		}
		if string(body) != hello {
			return nil, fmt.Errorf("%w: it speaks another version", errGarbage)
		}
		if err := writeJSON(s.in, frameLimits, s.limits); err != nil {
			return nil, fmt.Errorf("send limits: %w", err)
		}
		s.greeted = true
	}
	if err := writeJSON(s.in, frameJob, j); err != nil {
		return nil, fmt.Errorf("send job: %w", err)
	}
	answers := answers{src: src, options: s.options, limits: s.limits}
	for {
		kind, body, err := readFrame(s.out, func(kind byte) int64 {
			switch kind {
			case frameAsk:
				return maxPath
			case frameOutcome:
				return maxHeader
			}
			return 0
		})
		if err != nil {
			return nil, fmt.Errorf("hear from the render process: %w", err)
		}
		if kind == frameOutcome {
			done, err := s.collect(body)
			if err == nil {
				done.cause = answers.cause
			}
			return done, err
		}
		verdict, content, err := answers.to(ctx, string(body))
		if err != nil {
			return nil, err
		}
		if err := writeFrame(s.in, frameAnswer, []byte{verdict}, content); err != nil {
			return nil, fmt.Errorf("answer the render process: %w", err)
		}
	}
}

// collect reads what follows an outcome.
func (s *session) collect(header []byte) (*finished, error) {
	done := &finished{}
	if err := json.Unmarshal(header, &done.outcome); err != nil {
		return nil, fmt.Errorf("%w: %w", errGarbage, err)
	}
	var diff []byte
	for _, part := range []struct {
		to    *[]byte
		limit int64
	}{{&done.before, s.limits.Output}, {&done.after, s.limits.Output}, {&diff, s.limits.Diff}} {
		_, body, err := readFrame(s.out, only(framePart, part.limit))
		if err != nil {
			return nil, fmt.Errorf("hear the result: %w", err)
		}
		*part.to = body
	}
	done.diff = printable(string(diff))
	done.Before.Reason, done.After.Reason = reasonText(done.Before.Reason), reasonText(done.After.Reason)
	return done, nil
}

// fill writes a comparison's result.
func (f *finished) fill(d *Directory) {
	switch {
	case f.Before.Absent && f.After.Absent:
		d.Err = f.refused(d.Dir, "there is no such directory in this commit")
	case f.Before.Reason != "" && f.Before.Reason == f.After.Reason:
		d.Err = f.refused(d.Dir, f.Before.Reason)
	case f.Before.Reason != "" && f.After.Reason != "":
		d.Err = f.refused(d.Dir, "before the edit: "+f.Before.Reason+"\nafter the edit: "+f.After.Reason)
	case f.Before.Reason != "":
		d.Err = f.refused(d.Dir, "before the edit: "+f.Before.Reason)
	case f.After.Reason != "":
		d.Err = f.refused(d.Dir, "after the edit: "+f.After.Reason)
	default:
		d.Diff, d.Cut = f.diff, f.Cut
	}
	if !f.Before.Absent && f.Before.Reason == "" {
		d.Before = f.before
	}
	if !f.After.Absent && f.After.Reason == "" {
		d.After = f.after
	}
}

func (f *finished) refused(dir, reason string) *RefusedError {
	return &RefusedError{Dir: dir, Reason: cutString(reason, maxReason), cause: f.cause, transient: f.cause != nil && !permanent(f.cause)}
}

// answers serves the child's questions about the tree during one job.
type answers struct {
	src     Source
	options Options
	limits  limits
	paths   int
	bytes   int64
	cause   error // the first error of src that was not "no such path"
}

// to answers what is at a path. Its own error means that the child does not keep to the protocol.
func (a *answers) to(ctx context.Context, p string) (byte, []byte, error) {
	if !fs.ValidPath(p) || p == "." {
		return 0, nil, fmt.Errorf("%w: it asks for %q", errGarbage, p)
	}
	if a.paths++; a.paths > a.options.MaxPaths {
		return answerRefused, fmt.Appendf(nil, "more than %d paths are needed; at %s", a.options.MaxPaths, cutString(p, 200)), nil
	}
	dir, err := a.src.IsDir(ctx, p)
	switch {
	case dir && err == nil:
		return answerDir, nil, nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return a.failed(p, err)
	}
	content, err := a.src.ReadFile(ctx, p)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return answerNone, nil, nil
	case err != nil:
		return a.failed(p, err)
	case int64(len(content)) > a.options.MaxFile:
		return answerRefused, fmt.Appendf(nil, "%s: %d bytes, at most %d are read", cutString(p, 200), len(content), a.options.MaxFile), nil
	}
	if a.bytes += int64(len(content)); a.bytes > a.options.MaxInput {
		return answerRefused, fmt.Appendf(nil, "more than %d bytes of files are needed; at %s", a.options.MaxInput, cutString(p, 200)), nil
	}
	return answerFile, content, nil
}

func (a *answers) failed(p string, err error) (byte, []byte, error) {
	if a.cause == nil {
		a.cause = err
	}
	text := "could not be read from the repository"
	if permanent(err) {
		text = cutString(err.Error(), maxReason/2)
	}
	if !strings.Contains(text, strconv.Quote(p)) {
		text = cutString(p, 200) + ": " + text
	}
	return answerRefused, []byte(text), nil
}

func permanent(err error) bool {
	var p interface{ Permanent() bool }
	return errors.As(err, &p) && p.Permanent()
}

// lost closes a session that broke off and says why: an error of the caller's context or of the set-up, else a *RefusedError.
func (r *Renderer) lost(ctx context.Context, s *session, dir string, err error) error {
	s.close()
	if ctx.Err() != nil {
		return fmt.Errorf("render %s: %w", printable(dir), ctx.Err())
	}
	state := s.cmd.ProcessState
	if state.ExitCode() == exitConfine {
		return fmt.Errorf("start the render process: %s", reasonText(string(s.stderr.kept)))
	}
	refused := &RefusedError{Dir: dir}
	tooMuch := fmt.Sprintf("building it needs more than %d MiB of memory", r.options.MemoryBytes>>20)
	status, _ := state.Sys().(syscall.WaitStatus)
	switch {
	case errors.Is(err, errTooSlow):
		refused.Reason = fmt.Sprintf("building it takes longer than %s", r.options.Timeout)
		refused.transient = true
	case errors.Is(err, errGarbage):
		refused.Reason = "the render process gave an answer that makes no sense"
		refused.transient = true
	case state.ExitCode() == exitMemory, s.stderr.says("out of memory"), s.stderr.says("cannot allocate memory"):
		refused.Reason = tooMuch
	case s.stderr.says("stack overflow"), s.stderr.says("goroutine stack exceeds"):
		refused.Reason = "its files are nested too deeply"
	case status.Signaled():
		refused.Reason = fmt.Sprintf("the render process was stopped from outside (%s)", status.Signal())
		refused.transient = true
	default:
		refused.Reason = fmt.Sprintf("the render process broke down (exit code %d)", state.ExitCode())
		refused.transient = true
	}
	return refused
}

// capped keeps the beginning of what is written, and takes the rest.
type capped struct{ kept []byte }

func (c *capped) Write(p []byte) (int, error) {
	c.kept = append(c.kept, p[:min(len(p), maxStderr-len(c.kept))]...)
	return len(p), nil
}

func (c *capped) says(text string) bool { return bytes.Contains(c.kept, []byte(text)) }
