package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"testing"
	"time"
)

// servers is every kind of server that the engine has to cope with.
var servers = []struct {
	name   string
	config serverConfig
	v0     bool
}{
	{"all filters, v2", allFilters, false},
	{"all filters, v0", allFilters, true},
	{"filters without any-sha1, v2", filterOnly, false},
	{"filters without any-sha1, v0", filterOnly, true},
	{"tree depth 0 only, v2", treeZeroOnly, false},
	{"tree depth 0 only, v0", treeZeroOnly, true},
	{"blob:none only, v2", blobNoneOnly, false},
	{"blob:none only, v0", blobNoneOnly, true},
	{"no filters, v2", noFilters, false},
	{"no filters, v0", noFilters, true},
}

// TestPromotion is the whole way on every server: list, find, read, push, again after somebody else has pushed.
func TestPromotion(t *testing.T) {
	ctx := context.Background()
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			b := newBackend(t)
			rp := b.repo("infra", s.config, apps(30))
			c := newTestClient(t, Options{DisableV2: s.v0})
			remote := c.Remote(rp.url, nil)

			refs, err := remote.Refs(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if refs.Head != "main" || refs.Branch("main") != rp.head("main") || len(refs.ByName) != 1 {
				t.Fatalf("Refs() = %+v", refs)
			}
			main := refs.Branch("main")
			tree, err := remote.Tree(ctx, main)
			if err != nil {
				t.Fatal(err)
			}
			prod := func(p string) bool { return strings.HasSuffix(p, "overlays/prod/kustomization.yaml") }
			found, err := tree.Find(ctx, "apps/team-01", prod)
			if err != nil {
				t.Fatal(err)
			}
			if len(found) != 10 || found[0].Path != overlay(10, "prod") || found[0].Mode != ModeFile {
				t.Fatalf("Find = %+v", found)
			}
			paths := []string{".boatlift.yaml", "no/such/file", "README.md/below"}
			for _, f := range found {
				paths = append(paths, f.Path)
			}
			files, err := tree.ReadFiles(ctx, paths)
			if err != nil {
				t.Fatal(err)
			}
			if len(files) != 11 {
				t.Fatalf("ReadFiles gave %d files", len(files))
			}
			for _, f := range found {
				if got := string(files[f.Path]); got != rp.show("main", f.Path)+"\n" {
					t.Fatalf("%s = %q", f.Path, got)
				}
			}
			t.Log("cold: ", rp.taken())
			res := rp.mustPush(remote, update("boatlift/a", "", main, map[string]string{overlay(12, "prod"): kustomization(12, "1.1.0")}))
			if got := rp.taken(); len(got) != 1 {
				t.Errorf("a push on what is known took %d requests: %q", len(got), got)
			}
			if got := rp.git("", "diff", "--stat", string(main), string(res[0].New)); !strings.Contains(got, "1 insertion(+), 1 deletion(-)") {
				t.Errorf("diff: %s", got)
			}

			main = rp.commit("main", map[string]file{overlay(13, "dev"): {data: kustomization(13, "7")}, "new/dir/x.yaml": {data: "x\n"}})
			tree, err = remote.Tree(ctx, main)
			if err != nil {
				t.Fatal(err)
			}
			got, err := tree.ReadFiles(ctx, []string{overlay(13, "dev"), overlay(12, "prod"), "new/dir/x.yaml"})
			if err != nil || string(got[overlay(13, "dev")]) != kustomization(13, "7") || len(got) != 3 {
				t.Fatalf("ReadFiles after a move: %d files, %v", len(got), err)
			}
			if all, err := tree.Find(ctx, "", prod); err != nil || len(all) != 30 {
				t.Fatalf("Find over everything: %d files, %v", len(all), err)
			}
			t.Log("moved: ", rp.taken())
			rp.mustPush(remote, update("main", main, main, map[string]string{overlay(13, "prod"): kustomization(13, "8")}))
		})
	}
}

// TestAPromotionFarAwayAndAmongManyBranches counts requests and bytes where each request takes its time, and where a list of all references
// would be large: neither costs a request more.
func TestAPromotionFarAwayAndAmongManyBranches(t *testing.T) {
	ctx := context.Background()
	for _, v0 := range []bool{false, true} {
		b := newBackend(t)
		rp := b.repo("infra", allFilters, apps(30))
		var refs strings.Builder
		refs.WriteString("# pack-refs with: peeled fully-peeled sorted \n")
		for i := range 5000 {
			fmt.Fprintf(&refs, "%s refs/heads/topic/some-long-name-%04d\n", rp.head("main"), i)
		}
		rp.writeFile("infra.git/packed-refs", refs.String(), 0o644)
		b.set(func(_ http.ResponseWriter, r *http.Request, _ []byte) bool {
			select {
			case <-time.After(30 * time.Millisecond):
			case <-r.Context().Done():
			}
			return false
		}, nil)
		c := newTestClient(t, Options{DisableV2: v0, Transport: b.counted()})
		for i, most := range []int{4, 2, 2} { // cold, warm, warm
			rp.taken()
			remote := c.Remote(rp.url, nil)
			listed, err := remote.Refs(ctx, "refs/heads/main", "refs/heads/boatlift/")
			if err != nil {
				t.Fatal(err)
			}
			main := listed.Branch("main")
			tree, err := remote.Tree(ctx, main)
			if err != nil {
				t.Fatal(err)
			}
			file := overlay(1, "prod")
			if _, err := tree.ReadFile(ctx, file); err != nil {
				t.Fatal(err)
			}
			asked := len(rp.taken())
			rp.mustPush(remote, update(fmt.Sprint("boatlift/", i), "", main, map[string]string{file: kustomization(1, fmt.Sprintf("1.%d.0", i+1))}))
			if _, received := rp.bytes(); !v0 && received > 2000 {
				t.Errorf("promotion %d: %d bytes received for a push", i, received)
			}
			if n := asked + len(rp.taken()); n > most {
				t.Errorf("version 0 %v, promotion %d: %d requests; want at most %d", v0, i, n, most)
			}
		}
	}
}

func TestReadOddities(t *testing.T) {
	ctx := context.Background()
	b := newBackend(t)
	rp := b.repo("odd", allFilters, map[string]file{
		"a/run.sh":     {"100755", "#!/bin/sh\n"},
		"a/link":       {"120000", "../secret"},
		"a/dirlink":    {"120000", "../b"},
		"mod":          {"160000", "1234567890123456789012345678901234567890"},
		"b/big.bin":    {data: "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n"},
		"b/empty":      {data: ""},
		"b/with space": {data: "ok\n"},
	})
	remote := newTestClient(t, Options{}).Remote(rp.url, nil)
	main := rp.head("main")
	tree, err := remote.Tree(ctx, main)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		path, want string
		is         error
	}{
		{path: "a/run.sh", want: "#!/bin/sh\n"},
		{path: "b/empty", want: ""},
		{path: "b/with space", want: "ok\n"},
		{path: "a/link", is: ErrUnsupported},
		{path: "a/dirlink/x", is: ErrUnsupported},
		{path: "mod", is: ErrUnsupported},
		{path: "mod/x", is: ErrUnsupported},
		{path: "b", is: ErrUnsupported},
		{path: "b/big.bin", is: ErrUnsupported},
		{path: "b/nothing", is: fs.ErrNotExist},
		{path: "nothing", is: fs.ErrNotExist},
		{path: "../x", is: ErrUnsupported},
		{path: "a/.git/config", is: ErrUnsupported},
		{path: "a/.GIT /config", is: ErrUnsupported},
		{path: "/a", is: ErrUnsupported},
		{path: "", is: ErrUnsupported},
	} {
		got, err := tree.ReadFile(ctx, tt.path)
		if string(got) != tt.want || !errors.Is(err, tt.is) {
			t.Errorf("ReadFile(%q) = %q, %v; want %q, %v", tt.path, got, err, tt.want, tt.is)
		}
		var fe *FileError
		if tt.is != nil && (!errors.As(err, &fe) || !fe.Permanent() || fe.Reason == "") {
			t.Errorf("ReadFile(%q): %v does not say why", tt.path, err)
		}
	}
	// The good files come even when others are refused.
	files, err := tree.ReadFiles(ctx, []string{"a/link", "a/run.sh", "b/big.bin"})
	if len(files) != 1 || !errors.Is(err, ErrUnsupported) {
		t.Errorf("ReadFiles = %d files, %v", len(files), err)
	}
	all, err := tree.Find(ctx, "", func(string) bool { return true })
	if err != nil || len(all) != 7 {
		t.Errorf("Find = %+v, %v", all, err)
	}
	if _, err := tree.Find(ctx, "a/run.sh", func(string) bool { return true }); !errors.Is(err, ErrUnsupported) {
		t.Errorf("Find below a file: %v", err)
	}
	if none, err := tree.Find(ctx, "zzz", func(string) bool { return true }); err != nil || len(none) != 0 {
		t.Errorf("Find below nothing = %v, %v", none, err)
	}
}

func TestIsDir(t *testing.T) {
	ctx := context.Background()
	b := newBackend(t)
	rp := b.repo("r", allFilters, map[string]file{
		"a/b/f": {data: "x"}, "run.sh": {"100755", "x"}, "link": {"120000", "a"}, "mod": {"160000", "1234567890123456789012345678901234567890"},
	})
	tree, err := newTestClient(t, Options{}).Remote(rp.url, nil).Tree(ctx, rp.head("main"))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{
		"": true, "a": true, "a/b": true, "a/b/f": false, "a/b/f/g": false, "a/none": false, "none": false, "link": false, "link/b": false, "mod": false,
	} {
		if got, err := tree.IsDir(ctx, path); got != want || err != nil {
			t.Errorf("IsDir(%q) = %v, %v; want %v", path, got, err, want)
		}
	}
	for path, want := range map[string]bool{"a/b/f": true, "run.sh": false, "link": false, "a": false, "none": false} {
		if got, err := tree.IsPlain(ctx, path); got != want || err != nil {
			t.Errorf("IsPlain(%q) = %v, %v; want %v", path, got, err, want)
		}
	}
	if _, err := tree.IsDir(ctx, "../x"); !errors.Is(err, ErrUnsupported) {
		t.Errorf("IsDir outside the repository: %v", err)
	}
}

func TestCommit(t *testing.T) {
	ctx := context.Background()
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			b := newBackend(t)
			rp := b.repo("r", s.config, apps(3))
			remote := newTestClient(t, Options{DisableV2: s.v0}).Remote(rp.url, nil)
			first := rp.head("main")
			second := rp.commit("main", map[string]file{"x": {data: "1"}})
			info, err := remote.Commit(ctx, second)
			if err != nil {
				t.Fatal(err)
			}
			if info.Hash != second || len(info.Parents) != 1 || info.Parents[0] != first || info.Message != "work" ||
				info.Tree != Hash(rp.git("", "rev-parse", "main^{tree}")) ||
				info.Author.Email != "other@example.com" || info.Committer.When.Unix() != 1700000000 {
				t.Errorf("Commit = %+v", info)
			}
			_, err = remote.Commit(ctx, "1234567890123456789012345678901234567890")
			if !errors.Is(err, ErrNoSuchObject) {
				t.Errorf("Commit of nothing: %v", err)
			}
		})
	}
}

func TestEmptyRepository(t *testing.T) {
	b := newBackend(t)
	rp := b.repo("empty", allFilters, nil)
	for _, v0 := range []bool{false, true} {
		_, err := newTestClient(t, Options{DisableV2: v0}).Remote(rp.url, nil).Refs(context.Background())
		if !errors.Is(err, ErrEmptyRepository) {
			t.Errorf("Refs (v0 %v): %v", v0, err)
		}
	}
}

func TestSHA256Repository(t *testing.T) {
	b := newBackend(t)
	if out, err := b.tryGit("", "init", "-q", "--bare", "--object-format=sha256", "new.git"); err != nil {
		t.Skip("this git cannot make SHA-256 repositories: ", out)
	}
	for _, v0 := range []bool{false, true} {
		_, err := newTestClient(t, Options{DisableV2: v0}).Remote(b.srv.URL+"/new.git", nil).Refs(context.Background())
		if !errors.Is(err, ErrUnsupported) && !errors.Is(err, ErrEmptyRepository) {
			t.Errorf("Refs of an empty one (v0 %v): %v", v0, err)
		}
	}
	rp := &repo{b, "new", b.srv.URL + "/new.git"}
	rp.git("commit refs/heads/main\ncommitter O <o@example.com> 1 +0000\ndata 1\nx\nM 644 inline f\ndata 1\nx\n", "fast-import", "--quiet")
	for _, v0 := range []bool{false, true} {
		_, err := newTestClient(t, Options{DisableV2: v0}).Remote(rp.url, nil).Refs(context.Background())
		if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "SHA-256") {
			t.Errorf("Refs (v0 %v): %v", v0, err)
		}
	}
}

func TestManyRefs(t *testing.T) {
	ctx := context.Background()
	b := newBackend(t)
	rp := b.repo("many", allFilters, apps(1))
	main := rp.head("main")
	var s strings.Builder
	s.WriteString("# pack-refs with: peeled fully-peeled sorted \n")
	for i := range 5000 {
		fmt.Fprintf(&s, "%s refs/heads/topic/some-long-name-%04d\n", main, i)
	}
	rp.writeFile("many.git/packed-refs", s.String(), 0o644)
	remote := newTestClient(t, Options{Transport: b.counted()}).Remote(rp.url, nil)
	refs, err := remote.Refs(ctx, "refs/heads/boatlift/")
	if err != nil || len(refs.ByName) != 1 || refs.Head != "main" {
		t.Fatalf("Refs = %d, %v", len(refs.ByName), err)
	}
	if _, n := rp.bytes(); n > 1000 {
		t.Errorf("%d bytes for one reference", n)
	}
	if all, err := remote.Refs(ctx); err != nil || len(all.ByName) != 5001 {
		t.Errorf("Refs of all branches: %d, %v", len(all.ByName), err)
	}
	old := newTestClient(t, Options{DisableV2: true}).Remote(rp.url, nil)
	if refs, err := old.Refs(ctx, "refs/heads/boatlift/"); err != nil || len(refs.ByName) != 1 {
		t.Errorf("Refs in version 0: %d, %v", len(refs.ByName), err)
	}
}
