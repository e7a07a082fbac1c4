package gitrepo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestPushIsDeterministicAndRepeatable(t *testing.T) {
	b := newBackend(t)
	rp := b.repo("r", allFilters, apps(2))
	main := rp.head("main")
	u := update("boatlift/x", "", main, map[string]string{overlay(1, "prod"): kustomization(1, "2")})
	u.When = u.When.In(time.FixedZone("elsewhere", 3*3600)) // the same instant
	first := rp.mustPush(newTestClient(t, Options{}).Remote(rp.url, nil), u)[0]
	u.When = testTime
	// Another process, after a crash before it could note the first push.
	again := rp.mustPush(newTestClient(t, Options{}).Remote(rp.url, nil), u)[0]
	if first != again {
		t.Errorf("first %+v, again %+v", first, again)
	}
	want := "Boatlift <bot@example.com> 1795176000 +0000|Boatlift <bot@example.com> 1795176000 +0000|promote boatlift/x"
	if got := rp.git("", "log", "-1", "--date=raw", "--format=%an <%ae> %ad|%cn <%ce> %cd|%B", "boatlift/x"); got != want {
		t.Errorf("commit is %q; want %q", got, want)
	}
	// An update of a branch that is there already is repeatable as well.
	v := update("main", main, main, map[string]string{"README.md": "new\n"})
	remote := newTestClient(t, Options{}).Remote(rp.url, nil)
	if a, b := rp.mustPush(remote, v), rp.mustPush(remote, v); a[0] != b[0] {
		t.Errorf("%+v, then %+v", a, b)
	}
}

func TestEditedNamesTheTreeThatAPushMakes(t *testing.T) {
	b := newBackend(t)
	rp := b.repo("r", allFilters, apps(3))
	main := rp.head("main")
	remote := newTestClient(t, Options{}).Remote(rp.url, nil)
	u := update("boatlift/x", "", main, map[string]string{overlay(1, "prod"): kustomization(1, "2"), "new/file.yaml": "new\n"})
	tree, err := remote.Tree(t.Context(), main)
	if err != nil {
		t.Fatal(err)
	}
	got, err := tree.Edited(t.Context(), u.Files)
	if err != nil {
		t.Fatal(err)
	}
	if rp.exists("boatlift/x") {
		t.Error("naming a tree pushed it")
	}
	made := rp.mustPush(remote, u)[0]
	if want := rp.git("", "rev-parse", string(made.New)+"^{tree}"); string(got) != want {
		t.Errorf("Edited() = %s; want %s, the tree of the commit that was pushed", got, want)
	}
	if info, err := remote.Commit(t.Context(), made.New); err != nil || info.Tree != got {
		t.Errorf("the commit has the tree %s (%v); want %s", info.Tree, err, got)
	}
	if _, err := tree.Edited(t.Context(), map[string][]byte{"../x": nil}); err == nil {
		t.Error("Edited of a path outside is not refused")
	}
}

func TestPushLease(t *testing.T) {
	b := newBackend(t)
	rp := b.repo("r", allFilters, apps(3))
	remote := newTestClient(t, Options{}).Remote(rp.url, nil)
	main := rp.head("main")
	rp.commit("taken", map[string]file{"x": {data: "x"}})
	taken := rp.head("taken")
	moved := rp.commit("main", map[string]file{"y": {data: "y"}})
	edit := func(i int) map[string]string { return map[string]string{overlay(i, "prod"): kustomization(i, "9")} }
	rp.taken()
	results := rp.push(remote,
		update("boatlift/first", "", main, edit(0)),
		update("main", main, main, edit(1)),
		update("taken", "", main, edit(1)),
		update("gone", taken, main, edit(1)),
		update("boatlift/last", "", moved, edit(2)),
		BranchUpdate{Branch: "taken2", Delete: true, Old: main},
	)
	for i, tt := range []struct {
		now Hash
		is  error
	}{{}, {moved, ErrStale}, {taken, ErrStale}, {"", ErrStale}, {}, {}} {
		r := results[i]
		if !errors.Is(r.Err, tt.is) {
			t.Errorf("%s: %v; want %v", r.Branch, r.Err, tt.is)
		}
		var stale *StaleError
		if tt.is != nil && (!errors.As(r.Err, &stale) || stale.Now != tt.now || r.New != "") {
			t.Errorf("%s: %+v; want it at %q", r.Branch, r, tt.now)
		}
	}
	if !rp.exists("boatlift/first") || !rp.exists("boatlift/last") || rp.exists("gone") || rp.head("main") != moved {
		t.Error("the branches are not as the results say")
	}
	if n := len(strings.Split(strings.Join(rp.taken(), "|")+"|", "git-receive-pack")) - 1; n != 1 {
		t.Errorf("%d pushes; want 1", n)
	}
	rp.mustPush(remote,
		BranchUpdate{Branch: "boatlift/first", Delete: true, Old: results[0].New},
		update("boatlift/last", results[4].New, moved, edit(1)), // moved, not continued
	)
	if rp.exists("boatlift/first") {
		t.Error("the deleted branch is still there")
	}
	if res := rp.push(remote, BranchUpdate{Branch: "taken", Delete: true, Old: main}); !errors.Is(res[0].Err, ErrStale) || !rp.exists("taken") {
		t.Errorf("delete with a stale lease: %+v", res)
	}
	rp.mustPush(remote, BranchUpdate{Branch: "taken", Delete: true, Old: taken})
}

func TestPushFiles(t *testing.T) {
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			b := newBackend(t)
			rp := b.repo("r", s.config, map[string]file{
				"a/run.sh": {"100755", "#!/bin/sh\necho 1\n"}, "a/link": {"120000", "run.sh"}, "a.b": {data: "dot"}, "a0": {data: "zero"},
				"lfs": {data: "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n"}, "empty": {data: ""},
				"mod": {"160000", "1234567890123456789012345678901234567890"}, "z/deep/er/f": {data: strings.Repeat("line\n", 3000)},
			})
			remote := newTestClient(t, Options{DisableV2: s.v0}).Remote(rp.url, nil)
			main := rp.head("main")
			long := strings.Repeat("line\n", 1500) + "changed\n" + strings.Repeat("line\n", 1499)
			res := rp.mustPush(remote, update("one", "", main, map[string]string{
				"a/run.sh": "#!/bin/sh\necho 2\n", "new/dir/ectory/f.yaml": "x: 1\n", "a/sub/g": "g", "a-": "before a/", "empty": "not\n",
				"z/deep/er/f": long, "ünïcode": "ok",
			}))
			want := "100644 a-\n100644 a.b\n120000 a/link\n100755 a/run.sh\n100644 a/sub/g\n100644 a0\n100644 empty\n100644 lfs\n" +
				"160000 mod\n100644 new/dir/ectory/f.yaml\n100644 z/deep/er/f\n100644 ünïcode"
			if got := rp.git("", "-c", "core.quotePath=false", "ls-tree", "-r", "--format=%(objectmode) %(path)", "one"); got != want {
				t.Errorf("tree:\n%s\nwant:\n%s", got, want)
			}
			if got := rp.show("one", "z/deep/er/f"); got != strings.TrimSpace(long) {
				t.Errorf("the long file has %d bytes", len(got))
			}
			results := rp.push(remote,
				update("same", "", main, map[string]string{"a0": "zero", "a/run.sh": "#!/bin/sh\necho 1\n"}),
				update("none", "", main, nil),
				update("link", "", main, map[string]string{"a/link": "x"}),
				update("below", "", main, map[string]string{"a/link/x": "x"}),
				update("file", "", main, map[string]string{"a0/x": "x"}),
				update("dir", "", main, map[string]string{"a": "x"}),
				update("mod", "", main, map[string]string{"mod": "x"}),
				update("lfs", "", main, map[string]string{"lfs": "x"}),
				update("dots", "", main, map[string]string{"../x": "x"}),
				update("git", "", main, map[string]string{"b/.git/hooks/x": "x"}),
				update("both", "", main, map[string]string{"q": "x", "q/r": "x"}),
				update("lost", "", "1234567890123456789012345678901234567890", map[string]string{"q": "x"}),
				update("blob", "", Hash(rp.git("", "rev-parse", "main:a0")), map[string]string{"q": "x"}),
				update("bad..name", "", main, map[string]string{"q": "x"}),
				update("fine", "", main, map[string]string{"a0": "one"}),
				update("fine", "", main, map[string]string{"a0": "two"}),
				update("next", "", res[0].New, map[string]string{"a0": "two"}),
			)
			wants := []error{
				ErrNothingToCommit, ErrNothingToCommit, ErrUnsupported, ErrUnsupported, ErrUnsupported, ErrUnsupported, ErrUnsupported,
				ErrUnsupported, ErrUnsupported, ErrUnsupported, ErrUnsupported, ErrNoSuchObject, nil, nil, nil, nil, nil,
			}
			for i, r := range results {
				switch r.Branch {
				case "blob":
					// A blob as a parent: depending on the server it is refused, or comes and is recognised.
					if r.Err == nil {
						t.Errorf("a blob was taken for a commit")
					}
				case "bad..name":
					if !errors.As(r.Err, new(*UpdateError)) {
						t.Errorf("%s: %v", r.Branch, r.Err)
					}
				default:
					if i == 15 {
						if !errors.As(r.Err, new(*UpdateError)) {
							t.Errorf("the same branch twice: %v", r.Err)
						}
						continue
					}
					if !errors.Is(r.Err, wants[i]) || wants[i] == nil && r.Err != nil {
						t.Errorf("%s: %v; want %v", r.Branch, r.Err, wants[i])
					}
				}
			}
		})
	}
}

func TestPushKeepsNeighboursBytes(t *testing.T) {
	b := newBackend(t)
	rp := b.repo("r", allFilters, plain(map[string]string{"f": "1", "g": "1"}))
	blob := rp.git("1", "hash-object", "-w", "--stdin")
	id, _ := parseOID(blob)
	// An old-fashioned tree, as git wrote it twenty years ago: a group-writable file.
	raw := string(append([]byte("100664 f\x00"), id[:]...)) + string(append([]byte("100644 g\x00"), id[:]...))
	tree := rp.git(raw, "hash-object", "-t", "tree", "-w", "--stdin", "--literally")
	old := Hash(rp.git("", "-c", "user.name=o", "-c", "user.email=o@example.com", "commit-tree", "-m", "old", tree))
	rp.git("", "update-ref", "refs/heads/old", string(old))
	remote := newTestClient(t, Options{}).Remote(rp.url, nil)
	results, err := remote.Push(context.Background(), []BranchUpdate{update("x", "", old, map[string]string{"g": "2"})})
	if err != nil || results[0].Err != nil {
		t.Fatal(err, results)
	}
	if got := rp.git("", "cat-file", "tree", string(results[0].New)+"^{tree}"); !strings.HasPrefix(got, "100664 f\x00") {
		t.Errorf("the neighbour's mode is gone: %s", got)
	}
}

func TestPushRefusedByHook(t *testing.T) {
	b := newBackend(t)
	rp := b.repo("r", allFilters, apps(1))
	rp.git("", "config", "core.hooksPath", rp.root+"/hooks")
	rp.backend.writeFile("hooks/update", "#!/bin/sh\ncase $1 in */protected) echo 'protected branch: ask s3cret-token'; exit 1;; esac\n", 0o755)
	remote := newTestClient(t, Options{}).Remote(rp.url, tokenAuth)
	main := rp.head("main")
	res := rp.push(remote, update("protected", "", main, map[string]string{"x": "1"}), update("free", "", main, map[string]string{"x": "2"}))
	var rejected *RejectedError
	if !errors.As(res[0].Err, &rejected) || !errors.Is(res[0].Err, ErrRejected) || !rejected.Permanent() {
		t.Fatalf("%+v", res[0])
	}
	if !strings.Contains(res[0].Err.Error(), "hook declined") || !strings.Contains(res[0].Err.Error(), "protected branch: ask [redacted]") {
		t.Errorf("%v", res[0].Err)
	}
	if res[1].Err != nil || !rp.exists("free") {
		t.Errorf("%+v", res[1])
	}
}

// TestPushWithoutThinPacks is a server that cannot complete thin packs: it is served whole ones, from then on at once.
func TestPushWithoutThinPacks(t *testing.T) {
	b := newBackend(t)
	rp := b.repo("r", allFilters, apps(1))
	thin := 0
	b.set(func(w http.ResponseWriter, r *http.Request, body []byte) bool {
		i := bytes.Index(body, []byte("PACK"))
		if i < 0 {
			return false
		}
		objs := []byte{body[i+12] >> 4 & 7}
		if objs[0] != entryRefDelta && !bytes.Contains(body[i:], []byte{0x70 | 0x80}) {
			return false
		}
		limits := packLimits{objects: 1000, bytes: 1 << 20}
		if _, err := NewClient(Options{}).readPack(bytes.NewReader(body[i:]), limits, func(oid) (object, bool) { return object{}, false }); err == nil {
			return false // whole
		}
		thin++
		w.Header().Set("Content-Type", "application/x-git-receive-pack-result")
		inner := appendFlush(appendPkt(appendPkt(nil, "unpack index-pack abnormal exit\n"), "ng refs/heads/x unpacker error\n"))
		_, _ = w.Write(appendFlush(appendPkt(nil, "\x01"+string(inner))))
		return true
	}, nil)
	remote := newTestClient(t, Options{}).Remote(rp.url, nil)
	res := rp.mustPush(remote, update("x", "", rp.head("main"), map[string]string{overlay(0, "prod"): kustomization(0, "2")}))
	rp.mustPush(remote, update("x", res[0].New, res[0].New, map[string]string{overlay(0, "prod"): kustomization(0, "3")}))
	if thin != 1 {
		t.Errorf("%d thin packs were sent; want 1", thin)
	}
}

// TestPushWithoutReport is a server that pushes and then breaks: what happened is looked up.
func TestPushWithoutReport(t *testing.T) {
	for name, alter := range map[string]func([]byte) []byte{
		"empty":     func([]byte) []byte { return nil },
		"cut":       func(b []byte) []byte { return b[:len(b)/2] },
		"not pkts":  func([]byte) []byte { return []byte("<html>") },
		"no status": func([]byte) []byte { return []byte("0016\x01000eunpack ok\n00000000") },
		"fatal":     func([]byte) []byte { return []byte("0009\x03boom0000") },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBackend(t)
			rp := b.repo("r", allFilters, apps(1))
			b.set(nil, func(r *http.Request, body []byte) []byte {
				if strings.HasSuffix(r.URL.Path, receivePack) {
					return alter(body)
				}
				return body
			})
			remote := newTestClient(t, Options{}).Remote(rp.url, nil)
			rp.mustPush(remote, update("x", "", rp.head("main"), map[string]string{"n": "1"}))
			// And when it did nothing, that is found out too, as something that may pass.
			b.set(func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
				if strings.HasSuffix(r.URL.Path, receivePack) {
					w.Header().Set("Content-Type", "application/x-git-receive-pack-result")
					_, _ = w.Write(alter([]byte("0030\x01000eunpack ok\n0014ok refs/heads/y\n00000000")))
					return true
				}
				return false
			}, nil)
			res := rp.push(remote, update("y", "", rp.head("main"), map[string]string{"n": "1"}))
			var rejected *RejectedError
			if !errors.As(res[0].Err, &rejected) || rejected.Permanent() {
				t.Errorf("%+v", res[0])
			}
		})
	}
}

func TestManyBranchesInOnePush(t *testing.T) {
	b := newBackend(t)
	rp := b.repo("r", allFilters, apps(100))
	remote := newTestClient(t, Options{}).Remote(rp.url, nil)
	main := rp.head("main")
	var updates []BranchUpdate
	for i := range 100 {
		updates = append(updates, update(fmt.Sprintf("boatlift/acc-%d", i), "", main, map[string]string{overlay(i, "prod"): kustomization(i, "5")}))
	}
	rp.mustPush(remote, updates...)
	if got := rp.taken(); len(got) > 4 {
		t.Errorf("%d requests: %q", len(got), got)
	}
}

func TestConcurrentUse(t *testing.T) {
	ctx := context.Background()
	b := newBackend(t)
	rp := b.repo("r", allFilters, apps(10))
	c := newTestClient(t, Options{CacheBytes: 64 << 10})
	main := rp.head("main")
	shared, err := c.Remote(rp.url, nil).Tree(ctx, main)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			remote := c.Remote(rp.url, nil)
			if _, err := remote.Refs(ctx); err != nil {
				t.Error(err)
			}
			if got, err := shared.ReadFile(ctx, overlay(i, "dev")); err != nil || string(got) != kustomization(i, "1.0.0") {
				t.Errorf("%q, %v", got, err)
			}
			if got, err := shared.Find(ctx, "", func(string) bool { return true }); err != nil || len(got) != 82 {
				t.Errorf("%d, %v", len(got), err)
			}
			u := update(fmt.Sprintf("b%d", i), "", main, map[string]string{overlay(i, "prod"): kustomization(i, "3")})
			if res, err := remote.Push(ctx, []BranchUpdate{u}); err != nil || res[0].Err != nil {
				t.Errorf("%+v, %v", res, err)
			}
		})
	}
	wg.Wait()
	rp.fsck()
	if n, size := c.CacheUsage(); size > 64<<10 || n == 0 {
		t.Errorf("the cache holds %d objects, %d bytes", n, size)
	}
}

// TestConcurrentWriters is compare-and-swap on one branch: every writer lands exactly once.
func TestConcurrentWriters(t *testing.T) {
	ctx := context.Background()
	b := newBackend(t)
	rp := b.repo("r", allFilters, apps(5))
	var wg sync.WaitGroup
	for i := range 4 {
		remote := newTestClient(t, Options{}).Remote(rp.url, nil)
		wg.Go(func() {
			for {
				refs, err := remote.Refs(ctx)
				if err != nil {
					t.Error(err)
					return
				}
				main := refs.Branch("main")
				res, err := remote.Push(ctx, []BranchUpdate{update("main", main, main, map[string]string{overlay(i, "prod"): kustomization(i, "3")})})
				if err != nil {
					t.Error(err)
					return
				}
				var again interface{ Permanent() bool }
				switch {
				case res[0].Err == nil:
					return
				case errors.Is(res[0].Err, ErrStale):
				case errors.As(res[0].Err, &again) && !again.Permanent():
				default:
					t.Error(res[0].Err)
					return
				}
			}
		})
	}
	wg.Wait()
	rp.fsck()
	if n := rp.git("", "rev-list", "--count", "main"); n != "5" {
		t.Errorf("%s commits; want 5", n)
	}
}

// TestMergeOfOldBranch is the base moving by a merge of a branch that began before the base that is known: only what changed is
// fetched, not the history below.
func TestMergeOfOldBranch(t *testing.T) {
	ctx := context.Background()
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			b := newBackend(t)
			rp := b.repo("r", s.config, apps(20))
			for i := range 12 {
				rp.commit("main", map[string]file{overlay(i, "dev"): {data: kustomization(i, fmt.Sprint("1.", i))}})
			}
			rp.git("", "branch", "side", "main~5")
			rp.commit("side", map[string]file{overlay(3, "staging"): {data: kustomization(3, "2")}})
			remote := newTestClient(t, Options{DisableV2: s.v0, Transport: b.counted()}).Remote(rp.url, nil)
			all := func(string) bool { return true }
			before, err := remote.Tree(ctx, rp.head("main"))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := before.Find(ctx, "", all); err != nil {
				t.Fatal(err)
			}
			tree := rp.git("", "merge-tree", "--write-tree", "main", "side")
			merge := Hash(rp.git("", "-c", "user.name=o", "-c", "user.email=o@example.com", "commit-tree", "-p", "main", "-p", "side", "-m", "merge", tree))
			rp.git("", "update-ref", "refs/heads/main", string(merge))
			rp.taken()
			after, err := remote.Tree(ctx, merge)
			if err != nil {
				t.Fatal(err)
			}
			found, err := after.Find(ctx, "", all)
			if err != nil || len(found) != 162 {
				t.Fatalf("%d files, %v", len(found), err)
			}
			got, err := after.ReadFile(ctx, overlay(3, "staging"))
			if err != nil || string(got) != kustomization(3, "2") {
				t.Errorf("%q, %v", got, err)
			}
			if _, n := rp.bytes(); n > 4000 {
				t.Errorf("%d bytes for a merge of one line", n)
			}
			if got := rp.taken(); len(got) > 3 {
				t.Errorf("%d requests: %q", len(got), got)
			}
		})
	}
}
