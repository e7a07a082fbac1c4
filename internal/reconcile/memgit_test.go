package reconcile

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/forgetest"
	"github.com/boatlift/boatlift/internal/gitrepo"
)

// memGit holds git repositories in memory, as cheaply as a hundred thousand steps need them. What real git does with requests, packs and
// trees is proved where gitrepo is. Merging goes by whole files: two sides that change one file differently conflict.
type memGit struct {
	step func(what string)

	mu    sync.Mutex
	repos map[string]*memRepo // by address
}

type memRepo struct {
	commits  map[gitrepo.Hash]*memCommit
	branches map[string]gitrepo.Hash
}

type memCommit struct {
	info  gitrepo.CommitInfo
	files map[string]string
}

func newMemGit(step func(string)) *memGit { return &memGit{step: step, repos: map[string]*memRepo{}} }

func (g *memGit) open(url string, _ auth) remote { return &memRemote{g, url} }

// commitLocked makes a commit; the same content is the same commit.
func (r *memRepo) commitLocked(parents []gitrepo.Hash, files map[string]string, email, message string, when int64) gitrepo.Hash {
	tree := treeOf(files)
	sum := sha1.Sum(fmt.Appendln(nil, tree, parents, email, when, message))
	h := gitrepo.Hash(hex.EncodeToString(sum[:]))
	author := gitrepo.Signature{Identity: gitrepo.Identity{Email: email}}
	r.commits[h] = &memCommit{info: gitrepo.CommitInfo{Hash: h, Tree: tree, Parents: parents, Message: message, Author: author}, files: files}
	return h
}

func treeOf(files map[string]string) gitrepo.Hash {
	sum := sha1.New()
	for _, path := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(sum, "%q %q\n", path, files[path])
	}
	return gitrepo.Hash(hex.EncodeToString(sum.Sum(nil)))
}

// edited is a commit's files with some changed; an empty content deletes.
func (r *memRepo) edited(at gitrepo.Hash, changes map[string]string) map[string]string {
	files := map[string]string{}
	if c := r.commits[at]; c != nil {
		maps.Copy(files, c.files)
	}
	for path, text := range changes {
		if text == "" {
			delete(files, path)
		} else {
			files[path] = text
		}
	}
	return files
}

// commit is a commit of a person on a branch, which is made from main where it is not there.
func (g *memGit) commit(url, branch, email string, changes map[string]string) string {
	return g.commitSaying(url, branch, email, "work", changes)
}

func (g *memGit) commitSaying(url, branch, email, message string, changes map[string]string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.repos[url]
	if r == nil {
		r = &memRepo{commits: map[gitrepo.Hash]*memCommit{}, branches: map[string]gitrepo.Hash{}}
		g.repos[url] = r
	}
	at, ok := r.branches[branch]
	if !ok {
		at = r.branches["main"]
	}
	var parents []gitrepo.Hash
	if at != "" {
		parents = []gitrepo.Hash{at}
	}
	h := r.commitLocked(parents, r.edited(at, changes), email, message, int64(len(r.commits)))
	r.branches[branch] = h
	return string(h)
}

func (g *memGit) head(url, branch string) (string, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.repos[url]
	if r == nil {
		return "", false
	}
	h, ok := r.branches[branch]
	return string(h), ok
}

func (g *memGit) file(url, at, path string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.repos[url]
	h, ok := r.branches[at]
	if !ok {
		h = gitrepo.Hash(at)
	}
	if c := r.commits[h]; c != nil {
		return c.files[path]
	}
	return ""
}

func (g *memGit) deleteBranch(url, branch string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.repos[url].branches, branch)
}

func (r *memRepo) ancestors(h gitrepo.Hash) []gitrepo.Hash {
	seen, list := map[gitrepo.Hash]bool{h: true}, []gitrepo.Hash{h}
	for i := 0; i < len(list); i++ {
		if c := r.commits[list[i]]; c != nil {
			for _, p := range c.info.Parents {
				if !seen[p] {
					seen[p] = true
					list = append(list, p)
				}
			}
		}
	}
	return list
}

// fork is the newest commit that two histories have in common.
func (g *memGit) fork(url, a, b string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.repos[url]
	of := r.ancestors(gitrepo.Hash(a))
	for _, h := range r.ancestors(gitrepo.Hash(b)) {
		if slices.Contains(of, h) {
			return string(h)
		}
	}
	return ""
}

// between are the commits that are in one history and not in another.
func (g *memGit) between(url, from, to string) (list []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.repos[url]
	before := r.ancestors(gitrepo.Hash(from))
	for _, h := range r.ancestors(gitrepo.Hash(to)) {
		if !slices.Contains(before, h) {
			list = append(list, string(h))
		}
	}
	return list
}

func (r *memRepo) difference(from, to gitrepo.Hash) map[string]string {
	before, after, changed := r.commits[from].files, r.commits[to].files, map[string]string{}
	for path, text := range after {
		if before[path] != text {
			changed[path] = text
		}
	}
	for path := range before {
		if _, has := after[path]; !has {
			changed[path] = ""
		}
	}
	return changed
}

// mergedLocked is what merging head into base changes, and whether that conflicts.
func (r *memRepo) mergedLocked(base, head gitrepo.Hash) (changes map[string]string, c forgetest.Comparison) {
	inBase := map[gitrepo.Hash]bool{}
	for _, h := range r.ancestors(base) {
		inBase[h] = true
	}
	if inBase[head] {
		return nil, forgetest.Comparison{Empty: true}
	}
	for _, fork := range r.ancestors(head) {
		if !inBase[fork] {
			continue
		}
		ours, theirs := r.difference(fork, head), r.difference(fork, base)
		for path, text := range ours {
			if other, both := theirs[path]; both && other != text {
				c.Conflict = true
			}
		}
		c.Files = slices.Sorted(maps.Keys(ours))
		return ours, c
	}
	return nil, c
}

func (g *memGit) compare(url, base, head string) forgetest.Comparison {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.repos[url]
	if r.commits[gitrepo.Hash(base)] == nil || r.commits[gitrepo.Hash(head)] == nil {
		return forgetest.Comparison{}
	}
	_, c := r.mergedLocked(gitrepo.Hash(base), gitrepo.Hash(head))
	return c
}

func (g *memGit) merge(url string, pr forge.PullRequest, method string) (string, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.repos[url]
	base, head := r.branches[pr.BaseBranch], gitrepo.Hash(pr.HeadSHA)
	changes, c := r.mergedLocked(base, head)
	if c.Conflict {
		return "", errors.New("conflict")
	}
	parents := []gitrepo.Hash{base}
	if method == "merge" {
		parents = append(parents, head)
	}
	h := r.commitLocked(parents, r.edited(base, changes), "forge@forge.example", "Merge "+pr.HeadBranch, int64(len(r.commits)))
	r.branches[pr.BaseBranch] = h
	return string(h), nil
}

// memRemote is one of the repositories as the bot sees it. Every call may be where the bot dies.
type memRemote struct {
	git *memGit
	url string
}

func at[T any](ctx context.Context, r *memRemote, what string, do func(repo *memRepo) (T, error)) (answer T, err error) {
	r.git.step("before git " + what)
	if err := ctx.Err(); err != nil {
		return answer, err
	}
	r.git.mu.Lock()
	answer, err = do(r.git.repos[r.url])
	r.git.mu.Unlock()
	r.git.step("after git " + what)
	if ctx.Err() != nil {
		return answer, ctx.Err()
	}
	return answer, err
}

func (r *memRemote) Refs(ctx context.Context, prefixes ...string) (gitrepo.Refs, error) {
	return at(ctx, r, "refs", func(repo *memRepo) (gitrepo.Refs, error) {
		refs := gitrepo.Refs{Head: "main", ByName: map[string]gitrepo.Hash{}}
		for name, h := range repo.branches {
			full := "refs/heads/" + name
			if slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(full, p) }) {
				refs.ByName[full] = h
			}
		}
		return refs, nil
	})
}

func (r *memRemote) Commit(ctx context.Context, h gitrepo.Hash) (gitrepo.CommitInfo, error) {
	return at(ctx, r, "commit", func(repo *memRepo) (gitrepo.CommitInfo, error) {
		if c := repo.commits[h]; c != nil {
			return c.info, nil
		}
		return gitrepo.CommitInfo{}, fmt.Errorf("%s: %w", h, gitrepo.ErrNoSuchObject)
	})
}

// Tree reads nothing yet; commits never change, so that reading them costs no request here.
func (r *memRemote) Tree(_ context.Context, commit gitrepo.Hash) (tree, error) {
	r.git.mu.Lock()
	defer r.git.mu.Unlock()
	t := memTree{at: commit}
	if c := r.git.repos[r.url].commits[commit]; c != nil {
		t.files = c.files
	}
	return t, nil
}

func (r *memRemote) Push(ctx context.Context, updates []gitrepo.BranchUpdate) ([]gitrepo.Result, error) {
	return at(ctx, r, "push", func(repo *memRepo) ([]gitrepo.Result, error) {
		results := make([]gitrepo.Result, len(updates))
		for i, u := range updates {
			results[i] = repo.updateLocked(u)
		}
		return results, nil
	})
}

func (r *memRepo) updateLocked(u gitrepo.BranchUpdate) gitrepo.Result {
	result := gitrepo.Result{Branch: u.Branch}
	now := r.branches[u.Branch]
	if u.Delete {
		if now != "" && now != u.Old {
			result.Err = gitrepo.ErrStale
		} else {
			delete(r.branches, u.Branch)
		}
		return result
	}
	result.New = u.To
	if u.To == "" {
		changes := map[string]string{}
		for path, text := range u.Files {
			changes[path] = string(text)
		}
		files := r.edited(u.Parent, changes)
		if r.commits[u.Parent] == nil {
			return gitrepo.Result{Branch: u.Branch, Err: gitrepo.ErrNoSuchObject}
		}
		if maps.Equal(files, r.commits[u.Parent].files) {
			return gitrepo.Result{Branch: u.Branch, Err: gitrepo.ErrNothingToCommit}
		}
		result.New = r.commitLocked([]gitrepo.Hash{u.Parent}, files, u.Author.Email, u.Message, u.When.Unix())
	}
	switch now {
	case result.New:
	case u.Old:
		r.branches[u.Branch] = result.New
	default:
		return gitrepo.Result{Branch: u.Branch, Err: gitrepo.ErrStale}
	}
	return result
}

type memTree struct {
	at    gitrepo.Hash
	files map[string]string // nil: there is no such commit
}

func (t memTree) Commit() gitrepo.Hash { return t.at }

func (t memTree) Edited(_ context.Context, files map[string][]byte) (gitrepo.Hash, error) {
	all := maps.Clone(t.files)
	for path, text := range files {
		all[path] = string(text)
	}
	return treeOf(all), nil
}

func (t memTree) ReadFile(_ context.Context, path string) ([]byte, error) {
	if t.files == nil {
		return nil, fmt.Errorf("%s: %w", t.at, gitrepo.ErrNoSuchObject)
	}
	text, ok := t.files[path]
	if !ok {
		return nil, fmt.Errorf("%s: %w", path, fs.ErrNotExist)
	}
	return []byte(text), nil
}

func (t memTree) ReadFiles(ctx context.Context, paths []string) (map[string][]byte, error) {
	texts := map[string][]byte{}
	for _, p := range paths {
		text, err := t.ReadFile(ctx, p)
		if err != nil {
			return nil, err
		}
		texts[p] = text
	}
	return texts, nil
}

func (t memTree) Find(_ context.Context, prefix string, match func(path string) bool) ([]gitrepo.File, error) {
	if t.files == nil {
		return nil, fmt.Errorf("%s: %w", t.at, gitrepo.ErrNoSuchObject)
	}
	var found []gitrepo.File
	for _, path := range slices.Sorted(maps.Keys(t.files)) {
		if (prefix == "" || strings.HasPrefix(path, prefix+"/")) && match(path) {
			found = append(found, gitrepo.File{Path: path, Mode: gitrepo.ModeFile})
		}
	}
	return found, nil
}

func (t memTree) IsDir(_ context.Context, path string) (bool, error) {
	for p := range t.files {
		if strings.HasPrefix(p, path+"/") {
			return true, nil
		}
	}
	return path == "", nil
}

func (t memTree) IsPlain(_ context.Context, path string) (bool, error) {
	_, ok := t.files[path]
	return ok, nil
}
