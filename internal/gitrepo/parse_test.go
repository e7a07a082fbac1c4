package gitrepo

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"sort"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"pgregory.net/rapid"
)

// pseudoRandom does not compress.
var pseudoRandom = func() string {
	r := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, 1024)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return string(b)
}()

func FuzzTree(f *testing.F) {
	f.Add([]byte(rawEntry("100644", "a", oid{1})+rawEntry("40000", "b", oid{2})+rawEntry("100755", "b.c", oid{3})), "b", "new")
	f.Add([]byte(rawEntry("40000", "a", oid{})), "a", "a.b")
	f.Fuzz(func(t *testing.T, raw []byte, name, other string) {
		if checkPath(name) != "" || checkPath(other) != "" || strings.Contains(name+other, "/") || name == other {
			return
		}
		before, ok := treeModel(raw)
		out, edits, malformed := spliceTree(raw, []change{{name, ModeFile, oid{9}}, {other, modeTree, oid{8}}})
		if malformed != "" {
			return
		}
		if !ok {
			t.Fatalf("spliced into a malformed tree")
		}
		after, ok := treeModel(out)
		if !ok {
			t.Fatalf("the result is malformed")
		}
		for n, e := range before {
			if n != name && n != other && after[n] != e {
				t.Fatalf("neighbour %q is %v; was %v", n, after[n], e)
			}
		}
		if after[name].id != (oid{9}) || after[other].id != (oid{8}) || len(after) > len(before)+2 {
			t.Fatalf("after: %v", after)
		}
		again, err := applyDelta(raw, editDelta(raw, edits, len(out)))
		if err != nil || !bytes.Equal(again, out) {
			t.Fatalf("the delta makes something else: %v", err)
		}
	})
}

type modelEntry struct {
	mode Mode
	id   oid
}

func treeModel(raw []byte) (map[string]modelEntry, bool) {
	m := make(map[string]modelEntry)
	s := treeScanner{raw: raw}
	for e, more := s.next(); more; e, more = s.next() {
		m[string(e.name)] = modelEntry{e.mode, e.id}
	}
	return m, s.err == ""
}

// TestSpliceMatchesModel compares with sorting all entries anew.
func TestSpliceMatchesModel(t *testing.T) {
	name := rapid.StringMatching(`[a-c][a-c.0-]{0,3}`)
	entryGen := rapid.Custom(func(t *rapid.T) modelEntry {
		return modelEntry{
			rapid.SampledFrom([]Mode{ModeFile, ModeExecutable, modeTree}).Draw(t, "mode"),
			oid{rapid.Byte().Draw(t, "id"), 1},
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		model := rapid.MapOf(name, entryGen).Draw(t, "tree")
		raw := encodeModel(model)
		changes := rapid.MapOf(name, entryGen).Draw(t, "changes")
		var list []change
		for n, e := range changes {
			if old, ok := model[n]; ok {
				e.mode = old.mode // an existing entry keeps its mode
			}
			model[n] = e
			list = append(list, change{n, e.mode, e.id})
		}
		out, edits, malformed := spliceTree(raw, list)
		if malformed != "" {
			t.Fatalf("malformed: %s", malformed)
		}
		if want := encodeModel(model); !bytes.Equal(out, want) {
			t.Fatalf("got %q; want %q", out, want)
		}
		if got, err := applyDelta(raw, editDelta(raw, edits, len(out))); err != nil || !bytes.Equal(got, out) {
			t.Fatalf("delta: %q, %v", got, err)
		}
	})
}

func encodeModel(model map[string]modelEntry) []byte {
	names := make([]string, 0, len(model))
	for n := range model {
		names = append(names, n)
	}
	key := func(n string) string {
		if model[n].mode == modeTree {
			return n + "/"
		}
		return n
	}
	sort.Slice(names, func(i, j int) bool { return key(names[i]) < key(names[j]) })
	var raw []byte
	for _, n := range names {
		raw = append(raw, encodeEntry(change{n, model[n].mode, model[n].id})...)
	}
	return raw
}

func FuzzPkt(f *testing.F) {
	f.Add([]byte("0006a\n0000"))
	f.Add([]byte("0032ERR upload-pack: not our ref 12345678901234567890"))
	f.Add([]byte("000dpackfile\n0009\x01PACK0008\x02hm\n0000"))
	f.Fuzz(func(t *testing.T, data []byte) {
		pkts := newPktReader(bytes.NewReader(data))
		used := 0
		for {
			mark, b, err := pkts.next()
			if err != nil {
				if !errors.Is(err, errPkt) && err != io.EOF {
					t.Fatalf("error %v", err)
				}
				break
			}
			if mark != pktData && len(b) > 0 {
				t.Fatal("a mark with a payload")
			}
			if used += 4 + len(b); used > len(data) {
				t.Fatal("more came out than went in")
			}
		}
		a := &answer{host: "h", op: "o", secrets: []string{"secret"}}
		for _, skip := range []func(*pktReader) error{skipToPackV0, skipToPackV2} {
			pkts := newPktReader(bytes.NewReader(data))
			if err := skip(pkts); err != nil {
				_ = refusesFilter(err)
				if text := a.explain(err).Error(); strings.Contains(text, "secret") || strings.ContainsAny(text, "\n\x1b") {
					t.Fatalf("explained as %q", text)
				}
				continue
			}
			band := &bandReader{pkts: pkts}
			if n, _ := io.Copy(io.Discard, band); n > int64(len(data)) {
				t.Fatal("more came out than went in")
			}
			_ = band.messages()
		}
		_, _, _, _ = parseRefLine(string(data))
	})
}

func FuzzCommit(f *testing.F) {
	f.Add(encodeCommit(oid{1}, oid{2}, Identity{"A", "a@b"}, Identity{"C <>", "c@d"}, testTime, "hello\n\nthere"))
	f.Add([]byte("tree 0123456789012345678901234567890123456789\nauthor x <y> 99999999999999999999 +9999\ngpgsig a\n b\n\nm"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parseCommit(oid{}, data)
		if err == nil && (len(c.Tree) != 40 || len(c.Parents) > maxParents) {
			t.Fatalf("%+v", c)
		}
	})
}

func FuzzDelta(f *testing.F) {
	f.Add([]byte("hello, world"), []byte("hello, there, world"))
	f.Add([]byte(strings.Repeat("line\n", 40)), []byte("x"+strings.Repeat("line\n", 39)))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		for _, d := range [][]byte{blobDelta(a, b), editDelta(a, []edit{{0, len(a), b}}, len(b))} {
			got, err := applyDelta(a, d)
			if err != nil || !bytes.Equal(got, b) {
				t.Fatalf("delta of %q and %q gives %q, %v", a, b, got, err)
			}
			if len(a) == 0 || len(b) == 0 {
				continue // go-git takes no empty sides
			}
			if theirs, err := packfile.PatchDelta(a, d); err != nil || !bytes.Equal(theirs, b) {
				t.Fatalf("go-git reads the delta as %q, %v", theirs, err)
			}
		}
		// b as a delta: never more than it promises, never a panic.
		if size, err := deltaTargetSize(b); err == nil && size < 1<<20 {
			if got, err := applyDelta(a, b); err == nil && uint64(len(got)) != size {
				t.Fatalf("%d bytes; %d were promised", len(got), size)
			}
		}
	})
}

func FuzzPack(f *testing.F) {
	c := NewClient(Options{})
	blob, next := []byte(strings.Repeat("line\n", 30)), []byte(strings.Repeat("line\n", 29)+"end\n")
	thin := newObject{id: objectID(kindBlob, next), obj: object{kindBlob, next}, base: objectID(kindBlob, blob), delta: blobDelta(blob, next)}
	base := newObject{id: objectID(kindBlob, blob), obj: object{kindBlob, blob}}
	for _, objs := range [][]newObject{{base, thin}, {thin, base}, {thin}, nil} {
		pack, err := c.writePack(objs, true)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(pack)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		limits := packLimits{objects: 100, bytes: 1 << 20}
		objs, err := c.readPack(bytes.NewReader(data), limits, func(id oid) (object, bool) { return base.obj, id == base.id })
		if err != nil {
			var own interface{ Permanent() bool }
			if !errors.As(err, &own) {
				t.Fatalf("%T %v is not typed", err, err)
			}
			return
		}
		total := 0
		for id, o := range objs {
			if objectID(o.kind, o.data) != id {
				t.Fatal("an object under a wrong name")
			}
			total += len(o.data)
		}
		if total > 1<<20 {
			t.Fatal("over the limit")
		}
	})
}

func TestPackRoundTrip(t *testing.T) {
	c := NewClient(Options{})
	rapid.Check(t, func(t *rapid.T) {
		var objs []newObject
		outside := make(map[oid]object)
		for range rapid.IntRange(0, 20).Draw(t, "n") {
			from := rapid.SliceOfN(rapid.Byte(), 0, 400).Draw(t, "from")
			to := append(append([]byte{}, from...), rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "to")...)
			o := newObject{id: objectID(kindBlob, to), obj: object{kindBlob, to}, base: objectID(kindBlob, from), delta: blobDelta(from, to)}
			if rapid.Bool().Draw(t, "inside") {
				objs = append(objs, newObject{id: o.base, obj: object{kindBlob, from}})
			} else {
				outside[o.base] = object{kindBlob, from}
			}
			objs = append(objs, o)
		}
		objs = rapid.Permutation(objs).Draw(t, "order")
		pack, err := c.writePack(objs, true)
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.readPack(iotestOneByte{bytes.NewReader(pack)}, packLimits{1000, 1 << 20}, func(id oid) (object, bool) {
			o, ok := outside[id]
			return o, ok
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range objs {
			if !bytes.Equal(got[o.id].data, o.obj.data) {
				t.Fatalf("object %s differs", o.id)
			}
		}
	})
}

type iotestOneByte struct{ r io.Reader }

func (o iotestOneByte) Read(p []byte) (int, error) { return o.r.Read(p[:min(1, len(p))]) }

// TestBadPacks are packs with a right checksum and something wrong within.
func TestBadPacks(t *testing.T) {
	c := NewClient(Options{})
	blob := []byte("content of the base, long enough to be worth a delta")
	whole := newObject{id: objectID(kindBlob, blob), obj: object{kindBlob, blob}}
	delta := func(d []byte) newObject {
		return newObject{obj: object{kindBlob, make([]byte, 10000)}, base: whole.id, delta: d}
	}
	huge := editDelta(blob, nil, 1<<40)
	for name, tt := range map[string]struct {
		objs []newObject
		want string
	}{
		"missing base":     {[]newObject{delta(editDelta(blob, nil, len(blob)))}, "base is missing"},
		"waits for itself": {[]newObject{{obj: object{kindBlob, make([]byte, 1000)}, base: objectID(kindBlob, make([]byte, 1000)), delta: []byte{52, 52, 0x90, 52}}}, "base is missing"},
		"huge target":      {[]newObject{whole, delta(huge)}, "more than"},
		"wrong base size":  {[]newObject{whole, delta([]byte{7, 7, 0x90, 7})}, "does not fit"},
		"reserved":         {[]newObject{whole, delta([]byte{52, 1, 0})}, "does not fit"},
		"beyond base":      {[]newObject{whole, delta([]byte{52, 52, 0x91, 50, 52})}, "does not fit"},
		"empty delta":      {[]newObject{whole, delta([]byte{})}, "does not fit"},
		"no such type":     {[]newObject{{obj: object{5, blob}}}, "unknown type"},
	} {
		pack, err := c.writePack(tt.objs, true)
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.readPack(bytes.NewReader(pack), packLimits{10, 1 << 20}, func(oid) (object, bool) { return object{}, false })
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v; want %q", name, err, tt.want)
		}
	}
	pack, _ := c.writePack([]newObject{whole}, true)
	for cut := range len(pack) {
		if _, err := c.readPack(bytes.NewReader(pack[:cut]), packLimits{10, 1 << 20}, nil); err == nil {
			t.Fatalf("a pack cut at %d was read", cut)
		}
	}
	if _, err := c.readPack(bytes.NewReader(append(pack, 0)), packLimits{10, 1 << 20}, nil); err == nil {
		t.Error("a pack with something behind it was read")
	}
	if _, err := c.readPack(bytes.NewReader(pack), packLimits{0, 1 << 20}, nil); !errors.Is(err, ErrTooLarge) {
		t.Errorf("the brake: %v", err)
	}
	if _, err := c.readPack(bytes.NewReader(pack), packLimits{10, 10}, nil); !errors.Is(err, ErrTooLarge) {
		t.Errorf("the inflated limit: %v", err)
	}
}

func TestNames(t *testing.T) {
	for name, ok := range map[string]bool{
		"main": true, "boatlift/acc-web-1.2_x": true, "ü/x": true, "": false, "a..b": false, "/a": false, "a/": false, "a//b": false, ".a": false,
		"a/.b": false, "a.lock": false, "a.lock/b": false, "a b": false, "a~1": false, "a^": false, "a:b": false, "a?": false, "a*": false, "a[": false,
		"a\\b": false, "a\x7f": false, "a\n": false, "@": false, "a@{1": false, "-a": false, "a.": false, "HEAD": false, "a\xff": false,
		strings.Repeat("a", 2000): false,
	} {
		if got := checkBranch(name) == ""; got != ok {
			t.Errorf("checkBranch(%q) = %q", name, checkBranch(name))
		}
	}
	for path, ok := range map[string]bool{
		"a": true, "a/b.yaml": true, ".boatlift.yaml": true, ".github/x": true, ".gitignore": true, "...": true, "ü": true,
		"": false, "/a": false, "a/": false, "a//b": false, ".": false, "..": false, "a/../b": false, "./a": false, ".git": false, "a/.Git/x": false,
		".git.": false, ".git ": false, "git~1": false, ".g\u200cit": false, ".git:x": false, "a\\b": false, "a\x00": false, "a\n": false, "\xff": false,
		strings.Repeat("a/", 70) + "a": false, strings.Repeat("a", 5000): false,
	} {
		if got := checkPath(path) == ""; got != ok {
			t.Errorf("checkPath(%q) = %q", path, checkPath(path))
		}
	}
}

func TestCleanServerText(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                   "plain",
		" a\n\tb\x1b[31m \u202ec": "a b [31m c",
		"tok=hunter2!":            "tok=[redacted]!",
		"\xff":                    "?",
		strings.Repeat("é", 200):  strings.Repeat("é", 150) + "…",
	} {
		if got := cleanServerText(in, []string{"hunter2"}); got != want {
			t.Errorf("cleanServerText(%q) = %q; want %q", in, got, want)
		}
	}
}

func TestCommitIdentityIsCleaned(t *testing.T) {
	data := encodeCommit(oid{1}, oid{2}, Identity{" Eve <x>\nparent 00 ", "e@x>\n"}, Identity{"B", "b@x"}, testTime, "m\x00\n\n\n")
	c, err := parseCommit(oid{}, data)
	if err != nil || c.Author.Name != "Eve xparent 00" || c.Author.Email != "e@x" || len(c.Parents) != 1 || c.Message != "m\n" {
		t.Errorf("%+v, %v", c, err)
	}
}
