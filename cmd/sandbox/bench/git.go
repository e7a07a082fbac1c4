package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// rounds is of how many runs a figure is the median.
const rounds = 5

// cell is one engine's median in one situation.
type cell struct {
	Engine     string
	Op         string
	Files      int
	LatencyMS  int
	Median     done
	ToClient   float64 // bytes
	ToServer   float64
	Requests   float64
	Ratio      float64 // how many times faster than the clone with git and kustomize, in the same runs
	comparable string  // the kind of order of the clone that it is compared with
}

// the engines by their names in the table.
const (
	shallowClone = "git clone --depth 1"
	fullClone    = "git clone"
	sparseClone  = "git clone, sparse, blobless"
	goGitClone   = "go-git clone"
	ours         = "Boatlift"
)

// gitPlan says what is measured of git.
type gitPlan struct {
	sizes   []int
	latency map[int][]time.Duration // by size
	goGitTo int                     // the largest repository in which go-git is tried
}

// measureGit measures all engines beside each other: one order of each, and then the next round.
func measureGit(ctx context.Context, dir, kustomize string, plan gitPlan, say func(string, ...any)) (cells []cell, err error) {
	root := filepath.Join(dir, "git")
	if err := os.MkdirAll(root, 0o755); err != nil {
		return nil, err
	}
	server, err := startGitServer(root)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, server.close()) }()
	for _, size := range plan.sizes {
		begun := time.Now()
		repo, err := generate(ctx, server, size)
		if err != nil {
			return nil, err
		}
		say("made a repository of %d files in %s", size, time.Since(begun).Round(time.Millisecond))
		for _, latency := range plan.latency[size] {
			server.latency.Store(int64(latency))
			found, err := measureRepo(ctx, dir, kustomize, server, repo, latency, size <= plan.goGitTo, say)
			if err != nil {
				return nil, fmt.Errorf("%d files: %w", size, err)
			}
			cells = append(cells, found...)
			server.latency.Store(0)
		}
		if err := os.RemoveAll(repo.dir); err != nil {
			return nil, err
		}
	}
	return cells, nil
}

// contender is an engine in the table.
type contender struct {
	name string
	engine
}

func contenders(dir, kustomize string, withGoGit bool) (list []contender, err error) {
	line := func(name string, sparse bool, clone, fetch []string) error {
		work := filepath.Join(dir, fmt.Sprint("engine-", len(list)))
		list = append(list, contender{name, &commandLine{dir: work, kustomize: kustomize, clone: clone, fetch: fetch, sparse: sparse}})
		return os.MkdirAll(work, 0o755)
	}
	depth := []string{"--depth", "1"}
	err = errors.Join(
		line(shallowClone, false, depth, depth), line(fullClone, false, nil, nil),
		line(sparseClone, true, []string{"--depth", "1", "--filter=blob:none", "--sparse"}, depth))
	if withGoGit {
		p, started := startProcess("go-git", opCold, opMoved, opWarm)
		list, err = append(list, contender{goGitClone, p}), errors.Join(err, started)
	}
	p, started := startProcess("boatlift", opCold, opMoved, opWarm, opProven)
	return append(list, contender{ours, p}), errors.Join(err, started)
}

type key struct{ engine, op string }

func measureRepo(ctx context.Context, dir, kustomize string, server *gitServer, repo infra, latency time.Duration, withGoGit bool, say func(string, ...any)) (cells []cell, err error) {
	list, err := contenders(dir, kustomize, withGoGit)
	defer func() {
		for _, c := range list {
			err = errors.Join(err, c.close())
		}
	}()
	if err != nil {
		return nil, err
	}
	runs := map[key][]done{}
	crossed := map[key][]traffic{}
	var order []key
	n := int(latency.Milliseconds()) * 1_000_000 // so that no branch is there already
	for round := range rounds {
		for _, op := range []string{opCold, opMoved, opWarm, opProven} {
			if op == opMoved {
				if err := repo.move(ctx, n); err != nil {
					return nil, err
				}
			}
			for _, c := range list {
				n++
				o, err := repo.order(ctx, op, n)
				if err != nil {
					return nil, err
				}
				server.taken()
				d, ok, err := c.do(ctx, o)
				if err != nil {
					return nil, fmt.Errorf("%s, %s: %w", c.name, op, err)
				}
				if !ok {
					continue
				}
				if err := repo.promoted(ctx, o); err != nil {
					return nil, fmt.Errorf("%s, %s: %w", c.name, op, err)
				}
				k := key{c.name, op}
				if round == 0 {
					order = append(order, k)
				}
				runs[k], crossed[k] = append(runs[k], d), append(crossed[k], server.taken())
			}
		}
		say("%d files, %s per request: round %d of %d", repo.files, latency, round+1, rounds)
	}
	for _, k := range order {
		versus := k.op
		if k.op == opProven {
			versus = opWarm
		}
		cells = append(cells, cell{
			Engine: k.engine, Op: k.op, Files: repo.files, LatencyMS: int(latency.Milliseconds()), comparable: versus,
			Median: done{
				MS: median(runs[k], func(d done) float64 { return d.MS }), RSSMB: median(runs[k], func(d done) float64 { return d.RSSMB }),
				AddMB: median(runs[k], func(d done) float64 { return d.AddMB }),
			},
			ToClient: median(crossed[k], func(t traffic) float64 { return float64(t.toClient) }),
			ToServer: median(crossed[k], func(t traffic) float64 { return float64(t.toServer) }),
			Requests: median(crossed[k], func(t traffic) float64 { return float64(t.requests) }),
			Ratio: median(runs[key{shallowClone, versus}], func(d done) float64 { return d.MS }) /
				median(runs[k], func(d done) float64 { return d.MS }),
		})
	}
	return cells, nil
}

// order is the n-th promotion, always of the same app: an engine that is warm has promoted it before.
func (r infra) order(ctx context.Context, op string, n int) (order, error) {
	i := r.apps() / 2
	o := order{Op: op, URL: r.url, Folder: r.overlay(i), Image: image(i), Tag: fmt.Sprintf("9.%d.0", n), Branch: fmt.Sprint("bench/", n)}
	if op == opProven {
		head, err := r.rev(ctx, "refs/heads/main")
		o.Base = head
		return o, err
	}
	return o, nil
}

// promoted makes sure that an engine did what it says: one commit upon main that changes one line of one file.
func (r infra) promoted(ctx context.Context, o order) error {
	cmd := exec.CommandContext(ctx, "git", "-C", r.dir, "diff", "--numstat", "main", o.Branch)
	out, err := cmd.Output()
	if err != nil {
		return err
	}
	changed := strings.Fields(string(out))
	if len(changed) != 3 || changed[2] != o.Folder+"/kustomization.yaml" {
		return fmt.Errorf("branch %s changes %q", o.Branch, out)
	}
	return nil
}

func (r infra) rev(ctx context.Context, name string) (string, error) {
	out, err := exec.CommandContext(ctx, "git", "-C", r.dir, "rev-parse", name).Output()
	return strings.TrimSpace(string(out)), err
}

func median[T any](of []T, value func(T) float64) float64 {
	if len(of) == 0 {
		return 0
	}
	values := make([]float64, len(of))
	for i, v := range of {
		values[i] = value(v)
	}
	slices.Sort(values)
	return values[len(values)/2]
}
