package gitrepo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// promote reads one kustomization of base and pushes it with another tag.
func promote(t *testing.T, rp *repo, c *Client, branch string) []string {
	t.Helper()
	rp.taken()
	remote := c.Remote(rp.url, nil)
	refs, err := remote.Refs(context.Background(), "refs/heads/main")
	if err != nil {
		t.Fatal(err)
	}
	main := refs.Branch("main")
	tree, err := remote.Tree(context.Background(), main)
	if err != nil {
		t.Fatal(err)
	}
	data, err := tree.ReadFile(context.Background(), overlay(12, "prod"))
	if err != nil {
		t.Fatal(err)
	}
	if string(data) != rp.show("main", overlay(12, "prod"))+"\n" {
		t.Fatalf("%s = %q", overlay(12, "prod"), data)
	}
	results, err := remote.Push(context.Background(), []BranchUpdate{update(branch, "", main, map[string]string{overlay(12, "prod"): branch})})
	if err != nil || results[0].Err != nil {
		t.Fatalf("Push: %v, %v", results, err)
	}
	taken := rp.taken()
	rp.fsck()
	return taken
}

func diskFiles(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"+diskSuffix))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestARestartIsWarm(t *testing.T) {
	rp := newBackend(t).repo("infra", allFilters, apps(30))
	opts := Options{CacheDir: filepath.Join(t.TempDir(), "not", "there", "yet")}
	cold := promote(t, rp, newTestClient(t, opts), "cold")
	if warm := promote(t, rp, newTestClient(t, opts), "warm"); len(warm) != 2 || len(warm) >= len(cold) {
		t.Errorf("after a restart: %q; want one listing and one push", warm)
	}
	rp.commit("main", map[string]file{overlay(13, "dev"): {data: "moved"}})
	if moved := promote(t, rp, newTestClient(t, opts), "moved"); len(moved) != 3 || !strings.Contains(moved[1], "have") {
		t.Errorf("after a restart, and main has moved: %q; want a listing, a fetch of what is new, and a push", moved)
	}
	if warm := promote(t, rp, newTestClient(t, opts), "again"); len(warm) != 2 {
		t.Errorf("what came after the first restart: %q; want it kept too", warm)
	}
	if runtime.GOOS == "windows" {
		return
	}
	for _, path := range append(diskFiles(t, opts.CacheDir), opts.CacheDir) {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v; want it for its user only", path, info.Mode(), err)
		}
	}
}

// TestDamagedDisk cuts the file at every length, as kill -9 and a full disk do, and turns every byte of it over.
func TestDamagedDisk(t *testing.T) {
	objs := map[oid]object{}
	for i := range 4 {
		for k, data := range map[kind]string{kindTree: "tree", kindBlob: strings.Repeat("x", 20*i), kindCommit: "commit"} {
			o := object{k, []byte(fmt.Sprint(data, i))}
			objs[objectID(o.kind, o.data)] = o
		}
	}
	dir := t.TempDir()
	newFile := func() *diskFile {
		return newDisk(Options{CacheDir: dir, DiskBytes: 1 << 20, Now: time.Now}).file("https://git.acme.io/infra")
	}
	write := func(data []byte) {
		t.Helper()
		if err := os.WriteFile(newFile().path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	check := func(what string, atLeast int) {
		t.Helper()
		got, order := newFile().load(0)
		for id, o := range got {
			if want, known := objs[id]; !known || o.kind != want.kind || !bytes.Equal(o.data, want.data) {
				t.Fatalf("%s: %s was believed", what, id)
			}
		}
		if len(got) < atLeast || len(order) != len(got) {
			t.Fatalf("%s: %d objects in an order of %d; want at least %d", what, len(got), len(order), atLeast)
		}
		// What was damaged is mended, and takes objects again.
		f := newFile()
		f.load(0)
		extra := object{kindBlob, []byte("extra")}
		f.add(map[oid]object{objectID(extra.kind, extra.data): extra}, func() map[oid]object { return nil })
		again, _ := newFile().load(0)
		if len(again) != len(got)+1 {
			t.Fatalf("%s: %d objects after one was added to %d", what, len(again), len(got))
		}
	}
	whole := append([]byte(diskFirstLine), encodeDisk(objs, sortedObjects(objs))...)
	write(whole)
	check("whole", len(objs))
	for n := range len(whole) {
		write(whole[:n])
		check(fmt.Sprintf("cut after %d bytes", n), 0)
	}
	for i := range whole {
		turned := bytes.Clone(whole)
		turned[i] ^= 0x40
		write(turned)
		check(fmt.Sprintf("byte %d turned over", i), 0)
	}
	content := bytes.Index(whole, []byte("commit1"))
	turned := bytes.Clone(whole)
	turned[content]++
	write(turned)
	check("one content turned over", len(objs)-1)
}

func TestAFullDiskStopsNothing(t *testing.T) {
	rp := newBackend(t).repo("infra", allFilters, apps(30))
	dir := t.TempDir()
	var trouble []error
	opts := Options{CacheDir: dir, DiskTrouble: func(err error) { trouble = append(trouble, err) }}
	c := newTestClient(t, opts)
	promote(t, rp, c, "first")
	if len(trouble) > 0 {
		t.Fatal(trouble)
	}
	const full = "/dev/full"
	if _, err := os.Stat(full); err != nil {
		t.Skip("this system has no device that is always full: ", err)
	}
	for _, path := range diskFiles(t, dir) {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(full, path); err != nil {
			t.Fatal(err)
		}
	}
	promote(t, rp, c, "second")
	if len(trouble) != 1 || !strings.Contains(trouble[0].Error(), "keep git objects on disk") {
		t.Errorf("trouble: %v; want it told once", trouble)
	}
	promote(t, rp, newTestClient(t, opts), "third") // which does not read from a device either
}

func TestDiskKeepsItsBound(t *testing.T) {
	dir := t.TempDir()
	now := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	const limit = 1 << 20
	d := newDisk(Options{CacheDir: dir, DiskBytes: limit, Now: func() time.Time { return now }, DiskTrouble: func(err error) { t.Error(err) }})
	if err := os.WriteFile(filepath.Join(dir, "torn.new"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(filepath.Join(dir, "torn.new"), now.Add(-2*time.Hour), now.Add(-2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	var first string
	for repo := range 40 {
		f := d.file(fmt.Sprint("https://git.acme.io/", repo))
		f.load(0)
		all := map[oid]object{}
		for i := range 30 {
			o := object{kindBlob, bytes.Repeat([]byte{byte(repo), byte(i)}, 3000)}
			all[objectID(o.kind, o.data)] = o
			f.add(map[oid]object{objectID(o.kind, o.data): o}, func() map[oid]object { return all })
			now = now.Add(time.Second)
			if err := os.Chtimes(f.path, now, now); err != nil { // the file system's clock is not the test's
				t.Fatal(err)
			}
			if f.size > d.perRepo {
				t.Fatalf("one file has %d bytes; want at most %d", f.size, d.perRepo)
			}
		}
		if got, _ := d.file(fmt.Sprint("https://git.acme.io/", repo)).load(0); len(got) == 0 {
			t.Fatal("nothing of what was just written is there")
		} else if last := slices.Collect(maps.Values(got)); len(last) > 30 {
			t.Fatalf("%d objects of 30", len(last))
		}
		if repo == 0 {
			first = f.path
		}
	}
	var size int64
	for _, path := range diskFiles(t, dir) {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	if size > limit {
		t.Errorf("all files have %d bytes; want at most %d", size, limit)
	}
	if _, err := os.Stat(first); err == nil {
		t.Error("the file that was not used for longest is still there")
	}
	if _, err := os.Stat(filepath.Join(dir, "torn.new")); err == nil {
		t.Error("what a killed process left is still there")
	}
}

func TestWhatMemoryLosesIsReadFromDisk(t *testing.T) {
	rp := newBackend(t).repo("infra", allFilters, apps(30))
	c := newTestClient(t, Options{CacheDir: t.TempDir(), CacheBytes: 20 << 10})
	promote(t, rp, c, "first")
	key := cacheKey{1 << 40, oid(sha256.New().Sum(nil)[:20])}
	for i := range 200 { // other repositories push this one's objects out
		key.id[0] = byte(i)
		c.cache.put(key, object{kindBlob, make([]byte, 1000)})
	}
	if got := promote(t, rp, c, "second"); len(got) != 2 {
		t.Errorf("after the memory had lost everything: %q; want one listing and one push", got)
	}
}
