package reconcile

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/boatlift/boatlift/internal/forge/forgetest"
)

// tester is what the fixtures need of testing.T and rapid.T alike.
type tester interface {
	Helper()
	Logf(format string, args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Cleanup(f func())
}

// gitHost serves real bare repositories with git http-backend, and does to them what a forge's own git does: commits of people, merges,
// comparisons.
type gitHost struct {
	t    tester
	root string
	srv  *httptest.Server

	mu       sync.Mutex
	compared map[[3]string]forgetest.Comparison
	requests int
	pushes   map[string]int // by repository
}

func newGitHost(t tester) *gitHost {
	t.Helper()
	program, err := exec.LookPath("git")
	if err != nil {
		t.Fatal("these tests need the git program: ", err)
	}
	root, err := os.MkdirTemp("", "reconcile-git-")
	if err != nil {
		t.Fatal(err)
	}
	h := &gitHost{t: t, root: root, compared: map[[3]string]forgetest.Comparison{}, pushes: map[string]int{}}
	backend := &cgi.Handler{
		Path: program, Args: []string{"http-backend"}, Dir: root, Stderr: io.Discard,
		Env: []string{
			"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=tester", "REMOTE_ADDR=127.0.0.1", "GIT_CONFIG_NOSYSTEM=1",
			"HOME=" + root, "PATH=" + os.Getenv("PATH"),
		},
	}
	h.srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r.Body, r.ContentLength, r.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
		h.mu.Lock()
		h.requests++
		if repo, ok := strings.CutSuffix(r.URL.Path, ".git/git-receive-pack"); ok {
			h.pushes[strings.TrimPrefix(repo, "/")]++
		}
		h.mu.Unlock()
		backend.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		h.srv.Close()
		_ = os.RemoveAll(root)
	})
	return h
}

func (h *gitHost) try(stdin, repo string, args ...string) (string, error) {
	cmd := exec.Command("git", append([]string{"-C", filepath.Join(h.root, repo+".git")}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "HOME="+h.root, "GIT_AUTHOR_NAME=Forge", "GIT_AUTHOR_EMAIL=forge@forge.example",
		"GIT_COMMITTER_NAME=Forge", "GIT_COMMITTER_EMAIL=forge@forge.example")
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func (h *gitHost) git(stdin, repo string, args ...string) string {
	h.t.Helper()
	out, err := h.try(stdin, repo, args...)
	if err != nil {
		h.t.Fatalf("git %s in %s: %v\n%s", strings.Join(args, " "), repo, err, out)
	}
	return out
}

// create makes an empty bare repository. It is written by hand, as starting git for it takes longer.
func (h *gitHost) create(repo string) {
	dir := filepath.Join(h.root, repo+".git")
	for _, d := range []string{"objects/info", "objects/pack", "refs/heads", "refs/tags"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			h.t.Fatal(err)
		}
	}
	config := "[core]\n\trepositoryformatversion = 0\n\tbare = true\n\tfsync = none\n[http]\n\treceivepack = true\n[gc]\n\tauto = 0\n[receive]\n\tautogc = false\n" +
		"[uploadpack]\n\tallowFilter = true\n\tallowAnySHA1InWant = true\n"
	for name, text := range map[string]string{"HEAD": "ref: refs/heads/main\n", "config": config} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			h.t.Fatal(err)
		}
	}
}

func (h *gitHost) url(repo string) string { return h.srv.URL + "/" + repo + ".git" }

// head tells where a reference below refs/heads/ is. It reads the file, as the fake forge asks often; nothing here packs references.
func (h *gitHost) head(repo, branch string) (string, bool) {
	text, err := os.ReadFile(filepath.Join(h.root, repo+".git", "refs/heads", filepath.FromSlash(branch)))
	return strings.TrimSpace(string(text)), err == nil
}

// commit puts a commit of a person on a branch; a branch that is missing is made from main. An empty content deletes the file.
func (h *gitHost) commit(repo, branch, email string, files map[string]string) string {
	h.t.Helper()
	var s strings.Builder
	fmt.Fprintf(&s, "commit refs/heads/%s\nauthor Someone <%s> 1772442000 +0000\ncommitter Someone <%s> 1772442000 +0000\ndata 4\nwork\n", branch, email, email)
	if from, ok := h.head(repo, branch); ok {
		fmt.Fprintf(&s, "from %s\n", from)
	} else if from, ok := h.head(repo, "main"); ok {
		fmt.Fprintf(&s, "from %s\n", from)
	}
	for _, p := range slices.Sorted(maps.Keys(files)) {
		switch data, link := strings.CutPrefix(files[p], "link to "); {
		case files[p] == "":
			fmt.Fprintf(&s, "D %s\n", p)
		case link:
			fmt.Fprintf(&s, "M 120000 inline %s\ndata %d\n%s\n", p, len(data), data)
		default:
			fmt.Fprintf(&s, "M 100644 inline %s\ndata %d\n%s\n", p, len(files[p]), files[p])
		}
	}
	h.git(s.String(), repo, "fast-import", "--quiet", "--force")
	head, _ := h.head(repo, branch)
	return head
}

// compare tells what merging head into base would do, as a forge does.
func (h *gitHost) compare(repo, base, head string) forgetest.Comparison {
	key := [3]string{repo, base, head}
	h.mu.Lock()
	known, ok := h.compared[key]
	h.mu.Unlock()
	if ok {
		return known
	}
	var c forgetest.Comparison
	if _, err := h.try("", repo, "merge-base", "--is-ancestor", head, base); err == nil {
		c.Empty = true
	} else if files, err := h.try("", repo, "diff", "--name-only", "-z", base+"..."+head); err == nil {
		c.Files = slices.DeleteFunc(strings.Split(files, "\x00"), func(f string) bool { return f == "" })
		_, conflict := h.try("", repo, "merge-tree", "--write-tree", base, head)
		c.Conflict = conflict != nil
	}
	h.mu.Lock()
	h.compared[key] = c
	h.mu.Unlock()
	return c
}

// merge merges as a forge does, and returns the commit that the branch got.
func (h *gitHost) merge(repo, branch, head, method string) (string, error) {
	base, _ := h.head(repo, branch)
	tree, err := h.try("", repo, "merge-tree", "--write-tree", base, head)
	if err != nil {
		return "", fmt.Errorf("merge: %s", tree)
	}
	args := []string{"commit-tree", tree, "-p", base, "-m", "Merge " + head}
	if method == "merge" {
		args = append(args, "-p", head)
	}
	sha, err := h.try("", repo, args...)
	if err != nil {
		return "", fmt.Errorf("commit the merge: %s", sha)
	}
	if out, err := h.try("", repo, "update-ref", "refs/heads/"+branch, sha, base); err != nil {
		return "", fmt.Errorf("move %s: %s", branch, out)
	}
	return sha, nil
}

func (h *gitHost) deleteBranch(repo, branch string) error {
	out, err := h.try("", repo, "update-ref", "-d", "refs/heads/"+branch)
	if err != nil {
		return fmt.Errorf("delete %s: %s", branch, out)
	}
	return nil
}

// move gives a repository another address.
func (h *gitHost) move(from, to string) {
	h.t.Helper()
	if err := os.Rename(filepath.Join(h.root, from+".git"), filepath.Join(h.root, to+".git")); err != nil {
		h.t.Fatal(err)
	}
}

// renameDefault renames main and makes it the default under its new name.
func (h *gitHost) renameDefault(repo, to string) {
	h.t.Helper()
	head, _ := h.head(repo, "main")
	h.git("", repo, "update-ref", "refs/heads/"+to, head)
	h.git("", repo, "symbolic-ref", "HEAD", "refs/heads/"+to)
	h.git("", repo, "update-ref", "-d", "refs/heads/main")
}
