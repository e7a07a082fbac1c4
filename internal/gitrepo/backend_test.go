package gitrepo

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// backend is a real git server: git http-backend as a CGI program behind a test server that counts, records and can be told to
// misbehave.
type backend struct {
	t    testing.TB
	root string
	srv  *httptest.Server

	mu       sync.Mutex
	requests []string     // "GET info/refs", "POST git-upload-pack ls-refs", ...
	sent     int64        // by the client, without headers
	received atomic.Int64 // by counted clients, with headers
	dialled  atomic.Int64 // connections of counted clients
	// intercept sees a request before git does; true means that it has answered.
	intercept func(w http.ResponseWriter, r *http.Request, body []byte) bool
	// alter may change what git answered.
	alter func(r *http.Request, body []byte) []byte
}

var filterLine = regexp.MustCompile(`[0-9a-f]{4}filter (\S+)`)

func gitProgram(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("git")
	if err != nil {
		t.Skip("these tests need the git program: ", err)
	}
	return path
}

func newBackend(t testing.TB) *backend {
	t.Helper()
	b := &backend{t: t, root: t.TempDir()}
	handler := &cgi.Handler{
		Path: gitProgram(t), Args: []string{"http-backend"}, Dir: b.root, Stderr: io.Discard,
		Env: []string{
			"GIT_PROJECT_ROOT=" + b.root, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=tester", "REMOTE_ADDR=127.0.0.1",
			"GIT_CONFIG_NOSYSTEM=1", "HOME=" + b.root, "PATH=" + os.Getenv("PATH"),
		},
	}
	b.srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { b.serve(handler, w, r) }))
	t.Cleanup(b.srv.Close)
	return b
}

func (b *backend) serve(git http.Handler, w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	what := r.Method + " " + filepath.Base(r.URL.Path)
	for _, cmd := range []string{"ls-refs", "fetch"} {
		if bytes.Contains(body, []byte("command="+cmd+"\n")) {
			what += " " + cmd
		}
	}
	if m := filterLine.FindSubmatch(body); m != nil {
		what += " " + string(m[1])
	}
	if bytes.Contains(body, []byte("have ")) {
		what += " have"
	}
	b.mu.Lock()
	b.requests = append(b.requests, what)
	b.sent += int64(len(body))
	intercept, alter := b.intercept, b.alter
	b.mu.Unlock()
	if intercept != nil && intercept(w, r, body) {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.ContentLength = int64(len(body))
	r.TransferEncoding = nil
	rec := httptest.NewRecorder()
	git.ServeHTTP(rec, r)
	out := rec.Body.Bytes()
	if alter != nil {
		out = alter(r, out)
	}
	for k, v := range rec.Header() {
		w.Header()[k] = v
	}
	w.WriteHeader(rec.Code)
	_, _ = w.Write(out)
}

// taken returns the requests since the last call.
func (b *backend) taken() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	got := b.requests
	b.requests, b.sent = nil, 0
	b.received.Store(0)
	return got
}

func (b *backend) bytes() (sent, received int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sent, b.received.Load()
}

// counted is a transport for clients whose received bytes, from the socket on, are to be counted.
func (b *backend) counted() http.RoundTripper {
	tr := newTransport(time.Minute)
	tr.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		b.dialled.Add(1)
		return &countedConn{conn, &b.received}, nil
	}
	b.t.Cleanup(tr.CloseIdleConnections)
	return tr
}

type countedConn struct {
	net.Conn
	received *atomic.Int64
}

func (c *countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.received.Add(int64(n))
	return n, err
}

func (b *backend) set(intercept func(http.ResponseWriter, *http.Request, []byte) bool, alter func(*http.Request, []byte) []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.intercept, b.alter = intercept, alter
}

func (b *backend) git(stdin string, args ...string) string {
	b.t.Helper()
	out, err := b.tryGit(stdin, args...)
	if err != nil {
		b.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (b *backend) tryGit(stdin string, args ...string) (string, error) {
	cmd := exec.Command(gitProgram(b.t), args...)
	cmd.Dir = b.root
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "HOME="+b.root)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// serverConfig is how a repository's server is set up.
type serverConfig []string

var (
	allFilters   = serverConfig{"uploadpack.allowFilter=true", "uploadpack.allowAnySHA1InWant=true"}
	filterOnly   = serverConfig{"uploadpack.allowFilter=true"}
	treeZeroOnly = serverConfig{"uploadpack.allowFilter=true", "uploadpackfilter.tree.maxDepth=0"}
	blobNoneOnly = serverConfig{
		"uploadpack.allowFilter=true", "uploadpackfilter.allow=false", "uploadpackfilter.blob:none.allow=true",
	}
	noFilters = serverConfig{"uploadpack.allowFilter=false"}
)

// repo is one repository of a backend.
type repo struct {
	*backend
	name string
	url  string
}

// file is content for a repository; mode "" is a plain file.
type file struct{ mode, data string }

func plain(files map[string]string) map[string]file {
	m := make(map[string]file, len(files))
	for p, d := range files {
		m[p] = file{data: d}
	}
	return m
}

func (b *backend) repo(name string, config serverConfig, files map[string]file) *repo {
	b.t.Helper()
	b.git("", "init", "-q", "--bare", "--initial-branch=main", name+".git")
	r := &repo{b, name, b.srv.URL + "/" + name + ".git"}
	for _, kv := range append(serverConfig{"http.receivepack=true", "gc.auto=0", "receive.autogc=false"}, config...) {
		k, v, _ := strings.Cut(kv, "=")
		r.git("", "config", k, v)
	}
	if files != nil {
		r.commit("main", files)
	}
	return r
}

func (r *repo) git(stdin string, args ...string) string {
	r.t.Helper()
	return r.backend.git(stdin, append([]string{"-C", r.name + ".git"}, args...)...)
}

// commit adds a commit with the files to a branch, as somebody else would.
func (r *repo) commit(branch string, files map[string]file) Hash {
	r.t.Helper()
	var s strings.Builder
	fmt.Fprintf(&s, "commit refs/heads/%s\ncommitter Other <other@example.com> 1700000000 +0000\ndata 4\nwork\n", branch)
	if out, err := r.tryGit("", "-C", r.name+".git", "rev-parse", "-q", "--verify", "refs/heads/"+branch); err == nil {
		fmt.Fprintf(&s, "from %s\n", out)
	}
	paths := make([]string, 0, len(files))
	for p := range files {
		paths = append(paths, p)
	}
	sort.Strings(paths)
	for _, p := range paths {
		f := files[p]
		switch f.mode {
		case "160000":
			fmt.Fprintf(&s, "M 160000 %s %s\n", f.data, p)
		case "":
			f.mode = "100644"
			fallthrough
		default:
			fmt.Fprintf(&s, "M %s inline %s\ndata %d\n%s\n", f.mode, p, len(f.data), f.data)
		}
	}
	r.git(s.String(), "fast-import", "--quiet", "--force")
	return r.head(branch)
}

func (r *repo) head(branch string) Hash {
	r.t.Helper()
	return Hash(r.git("", "rev-parse", "refs/heads/"+branch))
}

func (r *repo) exists(branch string) bool {
	_, err := r.tryGit("", "-C", r.name+".git", "rev-parse", "-q", "--verify", "refs/heads/"+branch)
	return err == nil
}

// show is a file as git itself sees it.
func (r *repo) show(rev, path string) string {
	r.t.Helper()
	return r.git("", "show", rev+":"+path)
}

// fsck is the judge of every push.
func (r *repo) fsck() {
	r.t.Helper()
	out := r.git("", "fsck", "--full", "--strict", "--no-dangling", "--no-progress")
	if out != "" {
		r.t.Fatalf("git fsck says:\n%s", out)
	}
}

// push pushes, has git check the repository, and returns the results.
func (r *repo) push(remote *Remote, updates ...BranchUpdate) []Result {
	r.t.Helper()
	results, err := remote.Push(context.Background(), updates)
	if err != nil {
		r.t.Fatalf("Push: %v", err)
	}
	r.fsck()
	return results
}

// mustPush is push for updates that have to succeed.
func (r *repo) mustPush(remote *Remote, updates ...BranchUpdate) []Result {
	r.t.Helper()
	results := r.push(remote, updates...)
	for i, res := range results {
		if res.Err != nil {
			r.t.Fatalf("update %d, %s: %v", i, res.Branch, res.Err)
		}
		if !updates[i].Delete && res.New != r.head(res.Branch) {
			r.t.Fatalf("%s is at %s; the result says %s", res.Branch, r.head(res.Branch), res.New)
		}
	}
	return results
}

var bot = Identity{"Boatlift", "bot@example.com"}

var testTime = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// update is a BranchUpdate with everything a test does not care about.
func update(branch string, old, parent Hash, files map[string]string) BranchUpdate {
	u := BranchUpdate{
		Branch: branch, Old: old, Parent: parent, Files: make(map[string][]byte),
		Message: "promote " + branch, Author: bot, When: testTime,
	}
	for p, d := range files {
		u.Files[p] = []byte(d)
	}
	return u
}

func newTestClient(t testing.TB, opts Options) *Client {
	t.Helper()
	c := NewClient(opts)
	t.Cleanup(c.Close)
	return c
}

// apps is an infra repository of n apps in teams of ten, laid out as people do.
func apps(n int) map[string]file {
	files := map[string]file{".boatlift.yaml": {data: "environments:\n  - name: acceptance\n"}, "README.md": {data: "infra\n"}}
	for i := range n {
		dir := fmt.Sprintf("apps/team-%02d/app-%03d", i/10, i)
		for _, sub := range []string{"base", "overlays/dev", "overlays/staging", "overlays/prod"} {
			files[dir+"/"+sub+"/kustomization.yaml"] = file{data: kustomization(i, "1.0.0")}
			files[dir+"/"+sub+"/patch.yaml"] = file{data: fmt.Sprintf("app: %d\nin: %s\n", i, sub)}
		}
	}
	return files
}

func kustomization(i int, tag string) string {
	return fmt.Sprintf("resources:\n  - ../../base\nimages:\n  - name: app-%d\n    newName: registry.example.com/shop/app-%d\n    newTag: %s\n"+
		"commonLabels:\n  app.kubernetes.io/name: app-%d\n  app.kubernetes.io/part-of: shop\n", i, i, tag, i)
}

func overlay(i int, env string) string {
	return fmt.Sprintf("apps/team-%02d/app-%03d/overlays/%s/kustomization.yaml", i/10, i, env)
}

func (b *backend) writeFile(name, data string, mode os.FileMode) {
	b.t.Helper()
	path := filepath.Join(b.root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(data), mode); err != nil {
		b.t.Fatal(err)
	}
}

func tokenAuth(context.Context) (Auth, error) { return Auth{"x-access-token", "s3cret-token"}, nil }

func mustURL(t testing.TB, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
