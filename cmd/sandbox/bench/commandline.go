package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// order is one promotion that an engine is to make: set the tag of app's image in one kustomization, and push that as a branch.
type order struct {
	Op     string `json:"op"` // one of the kinds below
	URL    string `json:"url"`
	Folder string `json:"folder"` // of the kustomization
	Image  string `json:"image"`  // where newName leads; the entry is called app
	Tag    string `json:"tag"`
	Branch string `json:"branch"`
	Base   string `json:"base,omitempty"` // what a webhook told of main; empty: it has to be asked for
}

// The kinds of orders. A warm engine has promoted in this repository before; main has moved by a commit since, or has not.
const (
	opCold   = "cold"
	opMoved  = "moved"
	opWarm   = "warm"
	opProven = "proven" // warm, and a webhook told where main is
)

// done is what an order took.
type done struct {
	MS    float64 `json:"ms"`
	RSSMB float64 `json:"rssMB"` // the largest resident set of one process
	AddMB float64 `json:"addMB"` // of a process that stays: how much above what it had before
	Err   string  `json:"err,omitempty"`
}

// engine is one way to make a promotion.
type engine interface {
	// do carries an order out. ok is false where the engine knows no such kind.
	do(ctx context.Context, o order) (d done, ok bool, err error)
	close() error
}

// commandLine is what a user would script: git and kustomize.
type commandLine struct {
	dir       string // everything lies here
	kustomize string
	clone     []string // options of git clone
	fetch     []string // options of git fetch
	sparse    bool
	work      string // the present clone
	n         int
}

func (c *commandLine) close() error { return os.RemoveAll(c.dir) }

func (c *commandLine) do(ctx context.Context, o order) (done, bool, error) {
	var steps [][]string
	switch o.Op {
	case opCold:
		if err := os.RemoveAll(c.work); c.work != "" && err != nil {
			return done{}, true, err
		}
		c.n++
		c.work = filepath.Join(c.dir, fmt.Sprint(c.n))
		steps = append(steps, append(append([]string{"", "git", "clone", "-q"}, c.clone...), o.URL, c.work))
		if c.sparse {
			steps = append(steps, []string{c.work, "git", "sparse-checkout", "set", filepath.Dir(filepath.Dir(o.Folder))})
		}
		steps = append(steps, []string{c.work, "git", "checkout", "-q", "-b", o.Branch})
	case opMoved, opWarm:
		steps = append(steps, append(append([]string{c.work, "git", "fetch", "-q"}, c.fetch...), "origin", "main"))
		if c.sparse {
			steps = append(steps, []string{c.work, "git", "sparse-checkout", "set", filepath.Dir(filepath.Dir(o.Folder))})
		}
		steps = append(steps, []string{c.work, "git", "checkout", "-q", "-B", o.Branch, "origin/main"})
	default:
		return done{}, false, nil
	}
	steps = append(steps,
		[]string{filepath.Join(c.work, o.Folder), c.kustomize, "edit", "set", "image", "app=" + o.Image + ":" + o.Tag},
		[]string{c.work, "git", "commit", "-q", "-a", "-m", "promote " + o.Tag},
		[]string{c.work, "git", "push", "-q", "origin", o.Branch})
	var d done
	begun := time.Now()
	for _, step := range steps {
		cmd := exec.CommandContext(ctx, step[1], step[2:]...)
		cmd.Dir = step[0]
		cmd.Env = append(os.Environ(), "HOME="+c.dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
			"GIT_AUTHOR_NAME=Bench", "GIT_AUTHOR_EMAIL=bench@acme.io", "GIT_COMMITTER_NAME=Bench", "GIT_COMMITTER_EMAIL=bench@acme.io")
		if out, err := cmd.CombinedOutput(); err != nil {
			return d, true, fmt.Errorf("%s: %w\n%s", strings.Join(step[1:], " "), err, out)
		}
		if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
			d.RSSMB = max(d.RSSMB, float64(usage.Maxrss)/1024)
		}
	}
	d.MS = float64(time.Since(begun).Microseconds()) / 1000
	return d, true, nil
}
