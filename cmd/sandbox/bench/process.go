package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	gogit "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/boatlift/boatlift/internal/gitrepo"
	"github.com/boatlift/boatlift/internal/kustomize"
)

// EngineCommand is the hidden argument with which this program is started as an engine that stays, so that its memory is its own.
const EngineCommand = "bench-engine"

// process is an engine in a process of its own, which takes orders on its standard input.
type process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
	ops []string
}

func startProcess(kind string, ops ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.Command(self, EngineCommand, kind), ops: ops}
	p.cmd.Stderr = os.Stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	return p, p.cmd.Start()
}

func (p *process) do(_ context.Context, o order) (d done, ok bool, err error) {
	for _, op := range p.ops {
		ok = ok || op == o.Op
	}
	if !ok {
		return d, false, nil
	}
	if err := json.NewEncoder(p.in).Encode(o); err != nil {
		return d, true, err
	}
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		return d, true, fmt.Errorf("the engine died: %w", err)
	}
	if err := json.Unmarshal(line, &d); err != nil {
		return d, true, err
	}
	if d.Err != "" {
		return d, true, errors.New(d.Err)
	}
	return d, true, nil
}

func (p *process) close() error {
	return errors.Join(p.in.Close(), p.cmd.Wait())
}

// EngineMain is the process of an engine: it carries out one order per line until its standard input ends.
func EngineMain(kind string, in io.Reader, out io.Writer) int {
	var promote func(context.Context, order) error
	switch kind {
	case "boatlift":
		b := &boatlift{}
		promote = b.promote
	case "go-git":
		g := &goGit{}
		defer func() { _ = os.RemoveAll(g.dir) }()
		promote = g.promote
	default:
		return 2
	}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		var o order
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			return 2
		}
		debug.FreeOSMemory()
		before := resident("VmRSS")
		_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) // the peak begins anew, where the system knows that
		begun := time.Now()
		err := promote(context.Background(), o)
		d := done{MS: float64(time.Since(begun).Microseconds()) / 1000, RSSMB: resident("VmHWM")}
		d.AddMB = max(d.RSSMB-before, 0)
		if err != nil {
			d.Err = err.Error()
		}
		if err := json.NewEncoder(out).Encode(d); err != nil {
			return 1
		}
	}
	return 0
}

// resident is a line of this process's status in MB; 0 where the system has none.
func resident(what string) float64 { return statusOf("self", what) }

// residentOf is what another process holds in memory, in MB.
func residentOf(pid int) (float64, error) {
	mb := statusOf(strconv.Itoa(pid), "VmRSS")
	if mb == 0 {
		return 0, fmt.Errorf("what process %d holds in memory cannot be read here", pid)
	}
	return mb, nil
}

func statusOf(process, what string) float64 {
	text, err := os.ReadFile("/proc/" + process + "/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, what+":"); ok {
			kb, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kb / 1024
		}
	}
	return 0
}

// boatlift promotes as the bot does.
type boatlift struct{ client *gitrepo.Client }

func (b *boatlift) promote(ctx context.Context, o order) error {
	if o.Op == opCold || b.client == nil {
		b.client = gitrepo.NewClient(gitrepo.Options{})
	}
	remote := b.client.Remote(o.URL, nil)
	base := gitrepo.Hash(o.Base)
	if base == "" {
		refs, err := remote.Refs(ctx, "refs/heads/main")
		if err != nil {
			return err
		}
		base = refs.Branch("main")
	}
	tree, err := remote.Tree(ctx, base)
	if err != nil {
		return err
	}
	file := o.Folder + "/kustomization.yaml"
	before, err := tree.ReadFile(ctx, file)
	if err != nil {
		return err
	}
	after, _, err := kustomize.Edit(file, before, []kustomize.Change{{Name: "app", Tag: &o.Tag}})
	if err != nil {
		return err
	}
	who := gitrepo.Identity{Name: "Bench", Email: "bench@acme.io"}
	results, err := remote.Push(ctx, []gitrepo.BranchUpdate{{
		Branch: o.Branch, Parent: base, Files: map[string][]byte{file: after}, Message: "promote " + o.Tag, Author: who, When: time.Now(),
	}})
	if err != nil {
		return err
	}
	return results[0].Err
}

// goGit is what a Go program does first: a clone with a worktree.
type goGit struct {
	dir  string
	repo *gogit.Repository
}

func (g *goGit) promote(ctx context.Context, o order) (err error) {
	if o.Op == opCold {
		if err := os.RemoveAll(g.dir); g.dir != "" && err != nil {
			return err
		}
		if g.dir, err = os.MkdirTemp("", "bench-go-git-"); err != nil {
			return err
		}
		g.repo, err = gogit.PlainCloneContext(ctx, g.dir, false, &gogit.CloneOptions{URL: o.URL, Depth: 1, SingleBranch: true, ReferenceName: "refs/heads/main"})
	} else {
		err = g.repo.FetchContext(ctx, &gogit.FetchOptions{Depth: 1, RefSpecs: []config.RefSpec{"+refs/heads/main:refs/remotes/origin/main"}})
		if errors.Is(err, gogit.NoErrAlreadyUpToDate) {
			err = nil
		}
	}
	if err != nil {
		return err
	}
	main, err := g.repo.Reference("refs/remotes/origin/main", true)
	if err != nil {
		return err
	}
	tree, err := g.repo.Worktree()
	if err != nil {
		return err
	}
	branch := plumbing.NewBranchReferenceName(o.Branch)
	if err := tree.Checkout(&gogit.CheckoutOptions{Hash: main.Hash(), Branch: branch, Create: true, Force: true}); err != nil {
		return err
	}
	file := o.Folder + "/kustomization.yaml"
	before, err := os.ReadFile(filepath.Join(g.dir, file))
	if err != nil {
		return err
	}
	after, _, err := kustomize.Edit(file, before, []kustomize.Change{{Name: "app", Tag: &o.Tag}})
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(g.dir, file), after, 0o644); err != nil {
		return err
	}
	if err := tree.AddWithOptions(&gogit.AddOptions{Path: file, SkipStatus: true}); err != nil {
		return err
	}
	who := &object.Signature{Name: "Bench", Email: "bench@acme.io", When: time.Now()}
	if _, err := tree.Commit("promote "+o.Tag, &gogit.CommitOptions{Author: who}); err != nil {
		return err
	}
	return g.repo.PushContext(ctx, &gogit.PushOptions{RefSpecs: []config.RefSpec{config.RefSpec(branch + ":" + branch)}})
}
