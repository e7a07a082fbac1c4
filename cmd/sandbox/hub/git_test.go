package hub_test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/boatlift/boatlift/cmd/sandbox/hub"
)

func TestCloneAndPush(t *testing.T) {
	s := start(t, hub.Options{})
	dir := s.clone(infra, "x-access-token", s.token)
	s.mustGit(dir, "switch", "--quiet", "-c", "boatlift/web")
	s.must(os.WriteFile(filepath.Join(dir, "shop", "kustomization.yaml"), []byte(kustomization("1.1.0")), 0o600))
	s.mustGit(dir, "commit", "--quiet", "-am", "Promote web")
	s.mustGit(dir, "push", "--quiet", "origin", "boatlift/web")
	// The state agrees as soon as git push has ended.
	s.bot("POST", pulls, map[string]any{"title": "t", "head": "boatlift/web", "base": "main"}).want(201)
	h := s.one("push")
	head := s.mustGit(dir, "rev-parse", "HEAD")
	if h.str("ref") != "refs/heads/boatlift/web" || h.str("after") != head || h.str("created") != "true" || h.str("sender.login") != "boatlift[bot]" {
		t.Errorf("push says %s %s created %s by %s", h.str("ref"), h.str("after"), h.str("created"), h.str("sender.login"))
	}
	if h.str("commits.0.id") != head || h.str("commits.0.message") != "Promote web" || h.str("commits.0.modified.0") != "shop/kustomization.yaml" || h.str("head_commit.id") != head {
		t.Errorf("its commits are %v", h.body["commits"])
	}
	s.mustGit(dir, "push", "--quiet", "origin", ":boatlift/web")
	if h := s.of("push"); len(h) != 2 || h[1].str("deleted") != "true" || h[1].str("after") != strings.Repeat("0", 40) {
		t.Errorf("deleting sent %v", h)
	}
	s.one("pull_request.closed")
}

func TestBigPushIsTaken(t *testing.T) {
	s := start(t, hub.Options{})
	dir := s.clone(infra, "x-access-token", s.token)
	// More than http.postBuffer: git sends it in chunks of unknown total size.
	noise := make([]byte, 3<<20)
	for i := range noise {
		noise[i] = byte(i * i >> 7)
	}
	s.must(os.WriteFile(filepath.Join(dir, "big"), noise, 0o600))
	s.mustGit(dir, "add", "big")
	s.mustGit(dir, "-c", "core.compression=0", "commit", "--quiet", "-m", "big")
	s.mustGit(dir, "-c", "http.postBuffer=65536", "-c", "core.compression=0", "push", "--quiet", "origin", "HEAD:refs/heads/big")
	if mustHead(s, "big") != s.mustGit(dir, "rev-parse", "HEAD") {
		t.Error("the branch is not where it was pushed")
	}
}

func TestPartialFetch(t *testing.T) {
	s := start(t, hub.Options{})
	dir := t.TempDir()
	s.mustGit(dir, "clone", "--quiet", "--depth=1", "--filter=blob:none", "--no-checkout", s.cloneURL(infra, "x-access-token", s.token), "repo")
	if out := s.mustGit(dir+"/repo", "rev-list", "--objects", "--missing=print", "HEAD"); !strings.Contains(out, "?") {
		t.Errorf("no object was left out: %s", out)
	}
}

func TestGitAccess(t *testing.T) {
	s := start(t, hub.Options{})
	s.repo("acme/private", hub.RepoOptions{NotInstalled: true})
	s.repo("acme/old", hub.RepoOptions{})
	s.must(s.SetArchived("acme/old", true))
	readOnly := s.app("POST", installationPath(s)+"/access_tokens", map[string]any{"permissions": map[string]string{"contents": "read"}}).want(201).str("token")
	for _, c := range []struct {
		repo, login, password, service string
		want                           int
	}{
		{infra, "", "", "git-upload-pack", 401},
		{infra, "x-access-token", "ghs_wrong", "git-upload-pack", 401},
		{infra, "alice", "wrong", "git-upload-pack", 401},
		{infra, "x-access-token", s.token, "git-upload-pack", 200},
		{infra, "x-access-token", s.token, "git-receive-pack", 200},
		{infra, "x-access-token", readOnly, "git-upload-pack", 200},
		{infra, "x-access-token", readOnly, "git-receive-pack", 403},
		{infra, "alice", s.AddPerson("alice").Token, "git-receive-pack", 200},
		{infra, "rita", s.AddPerson("rita").Token, "git-upload-pack", 200},
		{infra, "rita", s.AddPerson("rita").Token, "git-receive-pack", 403},
		{infra, "carol", s.AddPerson("carol").Token, "git-upload-pack", 404},
		{"acme/private", "x-access-token", s.token, "git-upload-pack", 404},
		{"acme/absent", "alice", s.AddPerson("alice").Token, "git-upload-pack", 404},
		{"acme/old", "alice", s.AddPerson("alice").Token, "git-upload-pack", 200},
		{"acme/old", "alice", s.AddPerson("alice").Token, "git-receive-pack", 403},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("%s/%s.git/info/refs?service=%s", s.URL(), c.repo, c.service), nil)
		s.must(err)
		if c.login != "" {
			req.SetBasicAuth(c.login, c.password)
		}
		res, err := http.DefaultClient.Do(req)
		s.must(err)
		_ = res.Body.Close()
		if res.StatusCode != c.want {
			t.Errorf("%s of %s by %q = %d; want %d", c.service, c.repo, c.login, res.StatusCode, c.want)
		}
	}
}

func TestRefs(t *testing.T) {
	s := start(t, hub.Options{})
	refs := "/repos/" + infra + "/git"
	main := mustHead(s, "main")
	s.bot("GET", refs+"/ref/heads/main", nil).want(200, main)
	s.bot("GET", refs+"/ref/heads/absent", nil).want(404)
	create := func(ref, sha string) answer {
		return s.bot("POST", refs+"/refs", map[string]any{"ref": ref, "sha": sha})
	}
	create("refs/heads/boatlift/a", main).want(201)
	create("refs/heads/boatlift/a", main).want(422, "Reference already exists")
	create("refs/heads/b", strings.Repeat("1", 40)).want(422, "Object does not exist")
	create("heads/b", main).want(422, "must start with 'refs/'")
	create("refs/heads/a..b", main).want(422, "not a valid ref name")
	if got := s.bot("GET", refs+"/matching-refs/heads/boatlift", nil).want(200); got.count() != 1 {
		t.Errorf("matching refs = %s", got.raw)
	}
	s.bot("DELETE", refs+"/refs/heads/main", nil).want(422)
	s.bot("DELETE", refs+"/refs/heads/boatlift/a", nil).want(204)
}

func TestCompareAndCommits(t *testing.T) {
	s := start(t, hub.Options{})
	first := mustHead(s, "main")
	second := s.push("alice", "main", "1.0.1")
	side, err := s.Push(t.Context(), infra, hub.Commit{Person: "alice", Branch: "side/branch", Files: map[string][]byte{"new file": []byte("x\n"), "README.md": nil}})
	s.must(err)
	third := s.push("alice", "main", "1.0.2")
	for _, c := range []struct {
		base, head, status string
		ahead, behind      int
	}{
		{first, second, "ahead", 1, 0},
		{third, first, "behind", 0, 2},
		{"main", "main", "identical", 0, 0},
		{"main", "side/branch", "diverged", 1, 1},
	} {
		got := s.bot("GET", "/repos/"+infra+"/compare/"+c.base+"..."+c.head, nil).want(200)
		if got.str("status") != c.status || got.int("ahead_by") != c.ahead || got.int("behind_by") != c.behind {
			t.Errorf("%s...%s is %s, %s ahead, %s behind; want %s, %d, %d", c.base, c.head, got.str("status"), got.str("ahead_by"), got.str("behind_by"), c.status, c.ahead, c.behind)
		}
	}
	s.bot("GET", "/repos/"+infra+"/compare/main...absent", nil).want(404)
	one := s.bot("GET", "/repos/"+infra+"/commits/side%2Fbranch", nil).want(200)
	if one.str("sha") != side || one.len("files") != 2 {
		t.Errorf("the commit is %s", one.raw)
	}
	s.bot("GET", "/repos/"+infra+"/commits/"+strings.Repeat("2", 40), nil).want(422, "No commit found for SHA")
	content := s.bot("GET", "/repos/"+infra+"/contents/shop/kustomization.yaml?ref="+first, nil).want(200)
	if content.str("encoding") != "base64" || content.str("path") != "shop/kustomization.yaml" {
		t.Errorf("contents are %s", content.raw)
	}
	s.bot("GET", "/repos/"+infra+"/contents/absent", nil).want(404)
}

func TestForcedPush(t *testing.T) {
	s := start(t, hub.Options{})
	s.push("alice", "side", "1.1.0")
	dir := s.clone(infra, "bob", s.AddPerson("bob").Token)
	s.mustGit(dir, "switch", "--quiet", "-c", "side", "origin/main")
	s.mustGit(dir, "commit", "--quiet", "--allow-empty", "-m", "other")
	s.mustGit(dir, "push", "--quiet", "--force", "origin", "side")
	pushes := s.of("push")
	if len(pushes) != 2 || pushes[1].str("forced") != "true" || pushes[0].str("forced") != "false" {
		t.Errorf("forced = %v", pushes)
	}
}

func TestPushOntoBaseMergesWhatItBrings(t *testing.T) {
	s := start(t, hub.Options{})
	first := s.pull("a", "1.1.0")
	dir := s.clone(infra, "alice", s.AddPerson("alice").Token)
	// A second pull request stands on the first; pushing its head onto main brings both, commits that git knows already.
	s.mustGit(dir, "switch", "--quiet", "-c", "b", "origin/a")
	s.mustGit(dir, "commit", "--quiet", "--allow-empty", "-m", "on top")
	s.mustGit(dir, "push", "--quiet", "origin", "b")
	s.bot("POST", pulls, map[string]any{"title": "b", "head": "b", "base": "main"}).want(201)
	s.mustGit(dir, "push", "--quiet", "origin", "b:main")
	for _, number := range []int{first, first + 1} {
		if pull, err := s.Pull(infra, number); err != nil || !pull.Merged {
			t.Errorf("pull request %d: merged %v, %v", number, pull.Merged, err)
		}
	}
}

func TestOddRefNames(t *testing.T) {
	s := start(t, hub.Options{})
	for _, branch := range []string{"info/refs", "a@b", "ümlaut/x", "release-1.x", "100%"} {
		sha := s.push("alice", branch, "1.1.0")
		escaped := url.PathEscape(branch)
		s.bot("GET", "/repos/"+infra+"/git/ref/heads/"+escaped, nil).want(200, sha)
		s.bot("GET", "/repos/"+infra+"/commits/"+escaped+"/check-runs", nil).want(200)
		s.bot("DELETE", "/repos/"+infra+"/git/refs/heads/"+escaped, nil).want(204)
	}
	for _, expression := range []string{"main~1", "main@{0}", ":README.md", "--all", "main..main"} {
		if got := s.bot("GET", "/repos/"+infra+"/commits/"+url.PathEscape(expression), nil); got.status != 422 {
			t.Errorf("commits/%s = %d; want 422", expression, got.status)
		}
	}
}
