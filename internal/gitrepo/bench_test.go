package gitrepo

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/storage/memory"
)

// TestBudget counts requests and bytes, which no machine's load can change, for one promotion in a repository of 16,000 files.
func TestBudget(t *testing.T) {
	ctx := context.Background()
	b := newBackend(t)
	rp := b.repo("big", allFilters, apps(2000))
	for _, s := range []struct {
		name                                  string
		config                                []string
		v0                                    bool
		cold, coldReceived, warmSent, movedTo int
	}{
		{"all filters, v2", nil, false, 3, 80_000, 1500, 3},
		{"all filters, v0", nil, true, 3, 80_000, 1500, 3},
		{"tree depth 0 only, v2", []string{"uploadpackfilter.tree.maxDepth", "0"}, false, 8, 300_000, 1500, 3},
	} {
		t.Run(s.name, func(t *testing.T) {
			if s.config != nil {
				rp.git("", append([]string{"config"}, s.config...)...)
			}
			c := newTestClient(t, Options{DisableV2: s.v0, Transport: b.counted()})
			promote := func(branch, tag string) (requests []string, sent, received int64) {
				rp.taken()
				remote := c.Remote(rp.url, nil)
				refs, err := remote.Refs(ctx, "refs/heads/boatlift/")
				if err != nil {
					t.Fatal(err)
				}
				main := refs.Branch("main")
				tree, err := remote.Tree(ctx, main)
				if err != nil {
					t.Fatal(err)
				}
				old, err := tree.ReadFile(ctx, overlay(1234, "prod"))
				if err != nil {
					t.Fatal(err)
				}
				next := bytes.Replace(old, []byte("newTag: 1.0.0"), []byte("newTag: "+tag), 1)
				u := update(branch, "", main, map[string]string{overlay(1234, "prod"): string(next)})
				results, err := remote.Push(ctx, []BranchUpdate{u})
				if err != nil || results[0].Err != nil {
					t.Fatal(results, err)
				}
				sent, received = rp.bytes()
				return rp.taken(), sent, received
			}
			id := func(n int) string { return fmt.Sprintf("boatlift/%t-%d-%d", s.v0, len(s.config), n) }
			reqs, sent, received := promote(id(1), "1.1.0")
			t.Logf("cold: %d sent, %d received, %q", sent, received, reqs)
			if len(reqs) > s.cold+1 || received > int64(s.coldReceived) {
				t.Errorf("cold: %d requests, %d bytes received", len(reqs), received)
			}
			reqs, sent, received = promote(id(2), "1.2.0")
			t.Logf("warm: %d sent, %d received, %q", sent, received, reqs)
			if len(reqs) != 2 || sent > int64(s.warmSent) {
				t.Errorf("warm: %d requests, %d bytes sent", len(reqs), sent)
			}
			rp.commit("main", map[string]file{overlay(99, "dev"): {data: kustomization(99, id(3))}})
			reqs, sent, received = promote(id(3), "1.3.0")
			t.Logf("moved: %d sent, %d received, %q", sent, received, reqs)
			if len(reqs) > s.movedTo || received > 10_000 {
				t.Errorf("moved: %d requests, %d bytes received", len(reqs), received)
			}
		})
	}
	rp.fsck()
	if n := b.dialled.Load(); n > 5 { // one a client, and one for every answer that was given up
		t.Errorf("%d connections were made", n)
	}
}

func benchObjects() []newObject {
	var objs []newObject
	raw := benchTree(100)
	for i := range 7 {
		out, edits, _ := spliceTree(raw, []change{{fmt.Sprintf("app-%03d", i), modeTree, oid{9, byte(i)}}})
		objs = append(objs, newObject{objectID(kindTree, out), object{kindTree, out}, objectID(kindTree, raw), editDelta(raw, edits, len(out))})
	}
	from, to := []byte(kustomization(1, "1.0.0")), []byte(kustomization(1, "1.1.0"))
	return append(objs, newObject{objectID(kindBlob, to), object{kindBlob, to}, objectID(kindBlob, from), blobDelta(from, to)})
}

func benchTree(n int) []byte {
	model := make(map[string]modelEntry)
	for i := range n {
		model[fmt.Sprintf("app-%03d", i)] = modelEntry{modeTree, oid{byte(i), 1}}
	}
	return encodeModel(model)
}

func BenchmarkWritePack(b *testing.B) {
	objs := benchObjects()
	for _, thin := range []bool{true, false} {
		b.Run(fmt.Sprintf("thin=%t", thin), func(b *testing.B) {
			c := NewClient(Options{})
			b.ReportAllocs()
			size := 0
			for b.Loop() {
				pack, err := c.writePack(objs, thin)
				if err != nil {
					b.Fatal(err)
				}
				size = len(pack)
			}
			b.ReportMetric(float64(size), "bytes/pack")
		})
	}
}

// BenchmarkGoGitPack is go-git's own encoder on the same objects, which makes no thin packs and finds deltas itself.
func BenchmarkGoGitPack(b *testing.B) {
	storage := memory.NewStorage()
	var hashes []plumbing.Hash
	for _, o := range benchObjects() {
		made := storage.NewEncodedObject()
		made.SetType(map[kind]plumbing.ObjectType{kindTree: plumbing.TreeObject, kindBlob: plumbing.BlobObject}[o.obj.kind])
		w, err := made.Writer()
		if err != nil {
			b.Fatal(err)
		}
		if _, err := w.Write(o.obj.data); err != nil {
			b.Fatal(err)
		}
		hash, err := storage.SetEncodedObject(made)
		if err != nil {
			b.Fatal(err)
		}
		hashes = append(hashes, hash)
	}
	b.ReportAllocs()
	size := 0
	for b.Loop() {
		var pack bytes.Buffer
		if _, err := packfile.NewEncoder(&pack, storage, false).Encode(hashes, 10); err != nil {
			b.Fatal(err)
		}
		size = pack.Len()
	}
	b.ReportMetric(float64(size), "bytes/pack")
}

func BenchmarkReadPack(b *testing.B) {
	c := NewClient(Options{})
	var objs []newObject
	for i := range 100 {
		data := []byte(kustomization(i, "1"))
		objs = append(objs, newObject{obj: object{kindBlob, data}})
	}
	pack, err := c.writePack(objs, false)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(pack)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.readPack(bytes.NewReader(pack), packLimits{1000, 1 << 20}, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSpliceTree(b *testing.B) {
	for _, n := range []int{10, 100, 10000} {
		raw := benchTree(min(n, 1000))
		for len(raw) < n*30 && n > 1000 {
			model := make(map[string]modelEntry, n)
			for i := range n {
				model[fmt.Sprintf("app-%05d", i)] = modelEntry{modeTree, oid{byte(i), 1}}
			}
			raw = encodeModel(model)
		}
		name := "app-005"
		if n > 1000 {
			name = "app-00005"
		}
		b.Run(fmt.Sprintf("entries=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, malformed := spliceTree(raw, []change{{name, modeTree, oid{7}}}); malformed != "" {
					b.Fatal(malformed)
				}
			}
		})
	}
}

// BenchmarkPromotion is a whole promotion against a real server, most of which is the server's work.
func BenchmarkPromotion(b *testing.B) {
	ctx := context.Background()
	be := newBackend(b)
	rp := be.repo("r", allFilters, apps(100))
	main := rp.head("main")
	run := func(b *testing.B, client func() *Client) {
		b.ReportAllocs()
		n := 0
		for b.Loop() {
			n++
			remote := client().Remote(rp.url, nil)
			u := update(fmt.Sprintf("%s-%d", b.Name(), n), "", main, map[string]string{overlay(12, "prod"): kustomization(12, fmt.Sprint(n))})
			if res, err := remote.Push(ctx, []BranchUpdate{u}); err != nil || res[0].Err != nil {
				b.Fatal(res, err)
			}
		}
	}
	b.Run("cold", func(b *testing.B) {
		run(b, func() *Client { return newTestClient(b, Options{}) })
	})
	b.Run("warm", func(b *testing.B) {
		c := newTestClient(b, Options{})
		run(b, func() *Client { return c })
	})
}
