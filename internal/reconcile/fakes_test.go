package reconcile

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing/fstest"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/forgetest"
	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/registry"
)

// clock is moved by hand. Whoever reads it may be counted: the store reads it once in every transaction.
type clock struct {
	mu   sync.Mutex
	at   time.Time
	tick func() // called at every reading of the store's, if set
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) storeNow() time.Time {
	c.mu.Lock()
	tick := c.tick
	c.mu.Unlock()
	if tick != nil {
		tick()
	}
	return c.now()
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// digestOf is the digest of what is pushed under a tag; build tells pushes of one tag apart.
func digestOf(name image.Name, tag string, build int) image.Digest {
	sum := sha256.Sum256([]byte(fmt.Sprint(name, ":", tag, " ", build)))
	return image.Digest("sha256:" + hex.EncodeToString(sum[:]))
}

// fakeRegistry answers from a map, or fails.
type fakeRegistry struct {
	mu    sync.Mutex
	tags  map[image.Name]map[string]image.Digest
	fail  map[image.Name]error // what asking for an image gives; the empty name stands for all
	asked []string
	hang  map[string]bool // hosts that never answer
	said  map[image.Digest]image.Facts
	mute  error          // what asking for facts gives
	facts []image.Digest // whose facts were asked
}

func (r *fakeRegistry) Resolve(ctx context.Context, name image.Name, tag string) (image.Digest, error) {
	r.mu.Lock()
	r.asked = append(r.asked, string(name)+":"+tag)
	digest, err, hang := r.tags[name][tag], r.fail[name], r.hang[name.Host()]
	if err == nil {
		err = r.fail[""]
	}
	r.mu.Unlock()
	switch {
	case hang:
		<-ctx.Done()
		return "", ctx.Err()
	case err != nil:
		return "", err
	case digest == "":
		return "", &registry.NotFoundError{Name: name, Reference: tag}
	}
	return digest, nil
}

func (r *fakeRegistry) Facts(ctx context.Context, name image.Name, digest image.Digest) (image.Facts, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.facts = append(r.facts, digest)
	if r.hang[name.Host()] {
		return image.Facts{}, context.DeadlineExceeded
	}
	return r.said[digest], r.mute
}

// built labels what is pushed under a tag with the source and the revision it was built from.
func (r *fakeRegistry) built(name image.Name, tag, source, revision string) {
	r.says(digestOf(name, tag, 0), image.Facts{Source: source, Revision: revision})
}

func (r *fakeRegistry) silent(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mute = err
}

// says lets an image say something about itself.
func (r *fakeRegistry) says(digest image.Digest, facts image.Facts) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.said == nil {
		r.said = map[image.Digest]image.Facts{}
	}
	r.said[digest] = facts
}

func (r *fakeRegistry) set(name image.Name, tag string, digest image.Digest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tags[name] == nil {
		r.tags[name] = map[string]image.Digest{}
	}
	r.tags[name][tag] = digest
}

func (r *fakeRegistry) failing(name image.Name, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail[name] = err
}

// watched is a forge of which every call is announced before it is made and after it took effect. It can also show what a Memory does not
// know: that a head lies in a fork.
type watched struct {
	forge.Forge
	step    func(what string)
	forkish func(branch string) bool
	fork    func(repo forge.RepoID, a, b string) string       // the newest commit that two have in common; empty: none
	between func(repo forge.RepoID, from, to string) []string // the commits that lead from one to another, newest first
}

func watch[T any](w *watched, name string, call func() (T, error)) (T, error) {
	w.step("before " + name)
	answer, err := call()
	w.step("after " + name)
	return answer, err
}

func watchOnly(w *watched, name string, call func() error) error {
	_, err := watch(w, name, func() (struct{}, error) { return struct{}{}, call() })
	return err
}

func (w *watched) mark(pr forge.PullRequest) forge.PullRequest {
	pr.HeadFork = w.forkish != nil && w.forkish(pr.HeadBranch)
	return pr
}

func (w *watched) Repositories(ctx context.Context) ([]forge.Repository, error) {
	return watch(w, "Repositories", func() ([]forge.Repository, error) { return w.Forge.Repositories(ctx) })
}

func (w *watched) Repository(ctx context.Context, id forge.RepoID) (forge.Repository, error) {
	return watch(w, "Repository", func() (forge.Repository, error) { return w.Forge.Repository(ctx, id) })
}

func (w *watched) Permission(ctx context.Context, repo forge.Repository, login string) (forge.Permission, error) {
	return watch(w, "Permission", func() (forge.Permission, error) { return w.Forge.Permission(ctx, repo, login) })
}

func (w *watched) OpenPullRequests(ctx context.Context, repo forge.Repository, base string) ([]forge.PullRequest, error) {
	list, err := watch(w, "OpenPullRequests", func() ([]forge.PullRequest, error) { return w.Forge.OpenPullRequests(ctx, repo, base) })
	for i := range list {
		list[i] = w.mark(list[i])
	}
	return list, err
}

func (w *watched) PullRequest(ctx context.Context, repo forge.Repository, number int) (forge.PullRequest, error) {
	pr, err := watch(w, "PullRequest", func() (forge.PullRequest, error) { return w.Forge.PullRequest(ctx, repo, number) })
	return w.mark(pr), err
}

func (w *watched) PullRequestsOf(ctx context.Context, repo forge.Repository, branch string) ([]forge.PullRequest, error) {
	return watch(w, "PullRequestsOf", func() ([]forge.PullRequest, error) { return w.Forge.PullRequestsOf(ctx, repo, branch) })
}

func (w *watched) CreatePullRequest(ctx context.Context, repo forge.Repository, pr forge.NewPullRequest) (forge.PullRequest, error) {
	return watch(w, "CreatePullRequest", func() (forge.PullRequest, error) { return w.Forge.CreatePullRequest(ctx, repo, pr) })
}

func (w *watched) EditPullRequest(ctx context.Context, repo forge.Repository, number int, edit forge.Edit) (forge.PullRequest, error) {
	return watch(w, "EditPullRequest", func() (forge.PullRequest, error) { return w.Forge.EditPullRequest(ctx, repo, number, edit) })
}

func (w *watched) Comment(ctx context.Context, repo forge.Repository, number int, key, body string) error {
	return watchOnly(w, "Comment", func() error { return w.Forge.Comment(ctx, repo, number, key, body) })
}

func (w *watched) Merge(ctx context.Context, repo forge.Repository, number int, sha, method string) (string, error) {
	return watch(w, "Merge", func() (string, error) { return w.Forge.Merge(ctx, repo, number, sha, method) })
}

func (w *watched) DeleteBranch(ctx context.Context, repo forge.Repository, branch string) error {
	return watchOnly(w, "DeleteBranch", func() error { return w.Forge.DeleteBranch(ctx, repo, branch) })
}

func (w *watched) Reviews(ctx context.Context, repo forge.Repository, number int) ([]forge.Review, error) {
	return watch(w, "Reviews", func() ([]forge.Review, error) { return w.Forge.Reviews(ctx, repo, number) })
}

func (w *watched) ChangedFiles(ctx context.Context, repo forge.Repository, number, limit int) (paths []string, more bool, err error) {
	err = watchOnly(w, "ChangedFiles", func() (err error) {
		paths, more, err = w.Forge.ChangedFiles(ctx, repo, number, limit)
		return err
	})
	return paths, more, err
}

func (w *watched) SetCheck(ctx context.Context, repo forge.Repository, check forge.Check) error {
	return watchOnly(w, "SetCheck", func() error { return w.Forge.SetCheck(ctx, repo, check) })
}

func (w *watched) Deployments(ctx context.Context, repo forge.Repository, environment string, limit int) ([]forge.Deployment, error) {
	return watch(w, "Deployments", func() ([]forge.Deployment, error) { return w.Forge.Deployments(ctx, repo, environment, limit) })
}

// MergeBase asks git.
func (w *watched) MergeBase(ctx context.Context, repo forge.Repository, a, b string) (string, error) {
	return watch(w, "MergeBase", func() (string, error) {
		if _, err := w.Forge.MergeBase(ctx, repo, a, b); err != nil && !errors.Is(err, forge.ErrNotFound) {
			return "", err
		}
		base := w.fork(repo.ID, a, b)
		if base == "" {
			return "", fmt.Errorf("merge base: %w", forge.ErrNotFound)
		}
		return base, nil
	})
}

// Compare asks git of a repository's own commits, and otherwise the forge in memory, which has those of sources.
func (w *watched) Compare(ctx context.Context, repo forge.Repository, address, from, to string, most int) (forge.Comparison, error) {
	return watch(w, "Compare", func() (forge.Comparison, error) {
		c, err := w.Forge.Compare(ctx, repo, address, from, to, most)
		if address != repo.WebURL || err != nil && !errors.Is(err, forge.ErrNotFound) {
			return c, err
		}
		list := w.between(repo.ID, from, to)
		c = forge.Comparison{Total: len(list)}
		for _, sha := range list[:min(most, len(list))] {
			c.Commits = append(c.Commits, forge.Commit{SHA: sha})
		}
		return c, nil
	})
}

// watchedTransport announces every request to git before it is sent and after its answer has come.
type watchedTransport struct {
	http.RoundTripper
	step func(what string)
}

func (w watchedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	w.step("before git " + r.Method)
	if err := r.Context().Err(); err != nil {
		if r.Body != nil {
			_, _ = io.Copy(io.Discard, r.Body)
			_ = r.Body.Close()
		}
		return nil, err
	}
	resp, err := w.RoundTripper.RoundTrip(r)
	w.step("after git " + r.Method)
	return resp, err
}

func forbiddenTo(method string) forgetest.Fault {
	return forgetest.Fault{Method: method, Err: fmt.Errorf("%s: %w", method, forge.ErrForbidden)}
}

// failing lets the next times calls of a method fail, after they took effect if after is set.
func failing(method string, times int, after bool) forgetest.Fault {
	return forgetest.Fault{Method: method, Times: times, After: after, Err: errors.New("502 Bad Gateway")}
}

func refusing(method string) forgetest.Fault {
	return forgetest.Fault{Method: method, Err: fmt.Errorf("%s: %w", method, forge.ErrRefused)}
}

func callsOf(w *world, method string) []forgetest.Call {
	return slices.DeleteFunc(w.mem.Calls(), func(c forgetest.Call) bool { return c.Method != method })
}

// ownPolicies is a folder of an organisation's policies.
func ownPolicies() fstest.MapFS {
	return fstest.MapFS{"signed-off.yaml": {Data: []byte(`name: signed-off
title: Signed off by an owner
description: |
  Waits for an owner.
let:
  who: facts.approvals.filter(a, a.approved && a.onHead && a.codeOwner).map(a, a.user)
allow: size(who) > 0
say:
  allow: |
    "signed off by " + who.text()
  wait: |
    "nobody signed it off"
`)}}
}
