package hub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/boatlift/boatlift/internal/render"
)

// rolloutTimeout ends a rollout that its pipeline does not end.
const rolloutTimeout = 2 * time.Minute

// Pipeline is what an infra repo's own workflow does with one environment after a push to the default branch. What it returns is
// shown behind the deployment's log URL; an error fails the rollout.
type Pipeline func(ctx context.Context, rollout Rollout) (log string, err error)

// Rollout is one run of a pipeline.
type Rollout struct {
	Repo, Environment string
	Path              string // the environment's directory; empty: the whole repository
	SHA               string
	Tree              Tree
}

// Tree reads the commit that is rolled out.
type Tree struct {
	bare bare
	sha  string
}

// ReadFile returns a file's content; fs.ErrNotExist where there is none.
func (t Tree) ReadFile(ctx context.Context, name string) ([]byte, error) {
	content, ok := t.bare.file(ctx, t.sha, name)
	if !ok {
		return nil, fmt.Errorf("read %s at %s: %w", name, short(t.sha), fs.ErrNotExist)
	}
	return content, nil
}

// IsDir tells whether there is a directory of this name.
func (t Tree) IsDir(ctx context.Context, name string) (bool, error) {
	if name == "." {
		name = ""
	}
	kind, err := t.bare.git(ctx, "cat-file", "-t", t.sha+":"+name)
	return err == nil && kind == "tree", nil
}

// Files lists every path below a directory; empty: the whole tree.
func (t Tree) Files(ctx context.Context, under string) ([]string, error) {
	args := []string{"ls-tree", "-r", "-z", "--name-only", t.sha}
	if under != "" {
		args = append(args, "--", under)
	}
	out, err := t.bare.feed(ctx, nil, nil, args...)
	if err != nil {
		return nil, err
	}
	return strings.FieldsFunc(out, func(r rune) bool { return r == 0 }), nil
}

// Render is the default pipeline: kustomize build of the environment's kustomizations, as kubectl apply -k would do first. It runs
// kustomize in a child process of this program, so the program must offer render.ChildCommand.
func Render(ctx context.Context, rollout Rollout) (string, error) {
	files, err := rollout.Tree.Files(ctx, rollout.Path)
	if err != nil {
		return "", err
	}
	dirs := topKustomizations(files)
	if len(dirs) == 0 {
		return "there is no kustomization under " + rollout.Path + ": nothing to apply\n", nil
	}
	renderer := render.New(render.Options{MaxConcurrent: 1})
	var log strings.Builder
	for _, dir := range dirs {
		fmt.Fprintf(&log, "$ kubectl apply --server-side -k %s\n", dir)
		built, err := renderer.Build(ctx, rollout.Tree, dir, nil)
		if err != nil {
			fmt.Fprintf(&log, "error: %v\n", err)
			return log.String(), err
		}
		log.Write(built)
	}
	return log.String(), nil
}

// topKustomizations lists the directories with a kustomization that lie below no other such directory.
func topKustomizations(files []string) []string {
	found := map[string]bool{}
	for _, file := range files {
		switch path.Base(file) {
		case "kustomization.yaml", "kustomization.yml", "Kustomization":
			found[path.Dir(file)] = true
		}
	}
	var top []string
	for _, dir := range slices.Sorted(maps.Keys(found)) {
		below := false
		for parent := dir; parent != "." && !below; {
			parent = path.Dir(parent)
			below = found[parent]
		}
		if !below {
			top = append(top, dir)
		}
	}
	return top
}

// rolloutState is what a repository's pipeline is doing; guarded by Hub.mu.
type rolloutState struct {
	running map[string]bool
	pending map[string]string // environment → commit that waits for the running rollout; a newer one takes its place
	fail    map[string]int    // environment → how many next rollouts fail
	hang    map[string]chan struct{}
	logs    map[int64]string
}

func newRolloutState() rolloutState {
	return rolloutState{
		running: map[string]bool{}, pending: map[string]string{}, fail: map[string]int{}, hang: map[string]chan struct{}{}, logs: map[int64]string{},
	}
}

// FailNextRollout makes the next rollout of an environment fail.
func (h *Hub) FailNextRollout(fullName, environment string) error {
	return h.change(fullName, func(r *repo) error {
		r.rollouts.fail[environment]++
		return nil
	})
}

// HangRollouts makes rollouts of an environment hang in progress until ReleaseRollouts.
func (h *Hub) HangRollouts(fullName, environment string) error {
	return h.change(fullName, func(r *repo) error {
		if r.rollouts.hang[environment] == nil {
			r.rollouts.hang[environment] = make(chan struct{})
		}
		return nil
	})
}

// ReleaseRollouts lets hanging rollouts of an environment go on.
func (h *Hub) ReleaseRollouts(fullName, environment string) error {
	return h.change(fullName, func(r *repo) error {
		if gate := r.rollouts.hang[environment]; gate != nil {
			close(gate)
			delete(r.rollouts.hang, environment)
		}
		return nil
	})
}

// startRollouts sets off the pipeline for every environment that a push to the default branch touched. As with a concurrency group
// of GitHub Actions, one rollout of an environment runs at a time and only the newest waits: commits in between get none.
func (h *Hub) startRollouts(ctx context.Context, r *repo, by *account, changes []refChange, sha string) {
	h.mu.Lock()
	environments := slices.Clone(r.environments)
	before := noObject
	for _, c := range changes {
		if c.Name == "refs/heads/"+r.defaultBranch {
			before = c.Before
		}
	}
	h.mu.Unlock()
	if len(environments) == 0 {
		return
	}
	var touched []string
	if before != noObject {
		files, err := r.bare.changedFiles(ctx, before, sha)
		if err != nil {
			h.log.Error("sandbox pipeline cannot see what changed", "error", err)
			return
		}
		for _, file := range files {
			touched = append(touched, file.Path, file.OldPath)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, env := range environments {
		under := strings.Trim(env.Path, "/") + "/"
		inside := func(file string) bool { return strings.HasPrefix(file, under) }
		if before != noObject && env.Path != "" && !slices.ContainsFunc(touched, inside) {
			continue
		}
		if r.rollouts.running[env.Name] {
			r.rollouts.pending[env.Name] = sha
			continue
		}
		r.rollouts.running[env.Name] = true
		h.busy.add()
		h.owned.Add(1)
		go h.rollOut(r, by, env, sha)
	}
}

// rollOut runs one environment's rollouts until none waits.
func (h *Hub) rollOut(r *repo, by *account, env Environment, sha string) {
	defer h.owned.Done()
	defer h.busy.done()
	for sha != "" {
		h.rollOutOne(r, by, env, sha)
		h.mu.Lock()
		sha = r.rollouts.pending[env.Name]
		delete(r.rollouts.pending, env.Name)
		if sha == "" {
			r.rollouts.running[env.Name] = false
		}
		h.mu.Unlock()
	}
}

func (h *Hub) rollOutOne(r *repo, by *account, env Environment, sha string) {
	ctx, cancel := context.WithTimeout(h.ctx, rolloutTimeout)
	defer cancel()
	head, err := r.bare.commits(ctx, []string{sha})
	if err != nil {
		h.log.Error("sandbox pipeline cannot read the commit", "error", err)
		return
	}
	h.mu.Lock()
	d := h.deployLocked(r, by, deployment{sha: sha, ref: r.defaultBranch, environment: env.Name})
	run := h.startRunLocked(r, by, cmp.Or(env.Workflow, "apply.yml"), r.defaultBranch, &head[0])
	run.deployment = d.id
	logURL := fmt.Sprintf("%s/%s/rollouts/%d", h.base, r.fullName(), d.id)
	fullName := r.fullName()
	h.setDeployedLocked(r, d, deploymentStatus{state: "in_progress", creator: by, logURL: logURL})
	gate := r.rollouts.hang[env.Name]
	fail := r.rollouts.fail[env.Name] > 0
	if fail {
		r.rollouts.fail[env.Name]--
	}
	h.mu.Unlock()

	if gate != nil {
		select {
		case <-gate:
		case <-h.ctx.Done():
			return
		}
	}
	rollout := Rollout{Repo: fullName, Environment: env.Name, Path: strings.Trim(env.Path, "/"), SHA: sha, Tree: Tree{bare: r.bare, sha: sha}}
	log, err := h.opts.Pipeline(ctx, rollout)
	if err == nil && fail {
		err = errors.New("error: deployment exceeded its progress deadline")
		log += err.Error() + "\n"
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	status := deploymentStatus{state: "success", creator: by, logURL: logURL}
	if err != nil {
		status.state, status.description = "failure", cut(err.Error(), 140)
	}
	r.rollouts.logs[d.id] = log
	h.setDeployedLocked(r, d, status)
	h.finishRunLocked(r, run, by, status.state)
}

// setDeployedLocked adds a status whose state is known to be one.
func (h *Hub) setDeployedLocked(r *repo, d *deployment, status deploymentStatus) {
	if _, err := h.deployStatusLocked(r, d, status); err != nil {
		h.log.Error("sandbox pipeline cannot record a rollout", "error", err)
	}
}

// RolloutLog returns what the pipeline printed for a deployment.
func (h *Hub) RolloutLog(fullName string, deploymentID int64) (string, error) {
	var log string
	err := h.change(fullName, func(r *repo) error {
		log = r.rollouts.logs[deploymentID]
		return nil
	})
	return log, err
}

func cut(text string, limit int) string {
	runes := []rune(text)
	if len(runes) <= limit {
		return text
	}
	return string(runes[:limit-1]) + "…"
}
