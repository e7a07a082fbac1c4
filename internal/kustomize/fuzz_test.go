package kustomize

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	someDigest  = "sha256:24a0c4b4a4c0eb97a1aabb8e29f18e917d05abfe1b7a7c07857230879ce7d3d3"
	otherDigest = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
)

// addGoldenSeeds starts a fuzz target from the files of the golden folders.
func addGoldenSeeds(f *testing.F, add func(src []byte)) {
	f.Helper()
	files, err := filepath.Glob("testdata/golden/*/before.yaml")
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		add(src)
	}
}

// unique lists the entries whose name stands once.
func unique(entries []Entry) []Entry {
	count := map[string]int{}
	for _, e := range entries {
		count[e.Name]++
	}
	var out []Entry
	for _, e := range entries {
		if e.Name != "" && count[e.Name] == 1 {
			out = append(out, e)
		}
	}
	return out
}

// sameEntries compares two listings, lines aside.
func sameEntries(a, b []Entry) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		x, y := a[i], b[i]
		x.Line, y.Line, x.Marked, y.Marked = 0, 0, false, false
		if x != y {
			return false
		}
	}
	return true
}

// FuzzEditSameValue sets what is there: the bytes must stay, or the file be refused.
func FuzzEditSameValue(f *testing.F) {
	addGoldenSeeds(f, func(src []byte) { f.Add(src) })
	f.Fuzz(func(t *testing.T, src []byte) {
		entries, err := Read("k", src)
		if err != nil {
			if _, _, err := Edit("k", src, nil); err == nil {
				t.Fatalf("Read refuses what Edit accepts: %v", err)
			}
			return
		}
		for _, e := range unique(entries) {
			c := Change{Name: e.Name}
			if e.NewName != "" {
				c.NewName = &e.NewName
			}
			if e.NewTag != "" {
				c.Tag = &e.NewTag
			}
			if e.Digest != "" {
				c.Digest = &e.Digest
			}
			out, report, err := Edit("k", src, []Change{c})
			if err == nil && (report.Changed || !bytes.Equal(out, src)) {
				t.Fatalf("setting what is there changes %q to %q", src, out)
			}
		}
		LocalReferences(src)
		RemoteReferences(src)
	})
}

// FuzzEdit changes every entry in every way, and holds the result against what another reading of it says.
func FuzzEdit(f *testing.F) {
	addGoldenSeeds(f, func(src []byte) {
		f.Add(src, "v2")
		f.Add(src, "1.10")
	})
	f.Fuzz(func(t *testing.T, src []byte, value string) {
		entries, err := Read("k", src)
		if err != nil || value == "" {
			return
		}
		digest := someDigest
		for _, e := range unique(entries) {
			for _, other := range []Other{OtherKeep, OtherReplace} {
				want := e
				want.NewTag = value
				if other == OtherReplace {
					want.Digest = ""
				}
				checkEdit(t, src, entries, want, Change{Name: e.Name, Tag: &value, Other: other, AllowMarked: true})
			}
			want := e
			want.Digest, want.NewTag = digest, ""
			checkEdit(t, src, entries, want, Change{Name: e.Name, Digest: &digest, Other: OtherDrop, AllowMarked: true})
			want = e
			want.Digest, want.NewTag, want.NewName = digest, value, value
			if value == e.Name && e.NewName == "" {
				want.NewName = ""
			}
			checkEdit(t, src, entries, want, Change{Name: e.Name, NewName: &value, Tag: &value, Digest: &digest, AllowMarked: true})
			want = e
			want.Digest, want.NewTag, want.NewName = "", "", ""
			empty := ""
			checkEdit(t, src, entries, want, Change{Name: e.Name, NewName: &empty, Tag: &empty, Digest: &empty, AllowMarked: true})
		}
		name := "added/" + value
		want := Entry{Index: len(entries), Name: name, NewTag: value, Digest: digest}
		for _, e := range entries {
			if e.Name == name || e.Deprecated {
				return
			}
		}
		checkEdit(t, src, append(entries[:len(entries):len(entries)], want), want, Change{Name: name, Tag: &value, Digest: &digest, Add: true, AllowMarked: true})
	})
}

// checkEdit makes one change; entries lists the file before it, with want in the place of the changed entry.
func checkEdit(t *testing.T, src []byte, entries []Entry, want Entry, c Change) {
	t.Helper()
	out, report, err := Edit("k", src, []Change{c})
	if err != nil {
		if strings.Contains(err.Error(), "cannot be proved right") && os.Getenv("KUSTOMIZE_STRICT") != "" {
			t.Fatalf("planned wrongly: %v\n%q", err, src)
		}
		return
	}
	checkReport(t, src, out, report)
	after, err := Read("k", out)
	if err != nil {
		t.Fatalf("the result is not readable: %v\n%q\n%q", err, src, out)
	}
	expected := append([]Entry(nil), entries...)
	expected[want.Index] = want
	if !sameEntries(expected, after) {
		t.Fatalf("want %+v\ngot %+v\nfrom %q\nto %q", expected, after, src, out)
	}
	checkIdempotent(t, out, []Change{c})
}

// FuzzParseAssignment holds what an argument is read as against what it said.
func FuzzParseAssignment(f *testing.F) {
	for _, arg := range []string{"a=:v1", "a=@" + someDigest, "a=b:v1@" + someDigest, "host:5000/a/b:v1", "a=*:v1@*", "a=b", "=", "a=:", "a@", "a=b=c"} {
		f.Add(arg)
	}
	f.Fuzz(func(t *testing.T, arg string) {
		c, err := ParseAssignment(arg)
		if err != nil {
			return
		}
		if c.Name == "" || (c.NewName == nil && c.Tag == nil && c.Digest == nil) || !strings.HasPrefix(arg, c.Name) {
			t.Fatalf("%q is read as %+v", arg, c)
		}
		for _, v := range []*string{c.NewName, c.Tag, c.Digest} {
			if v != nil && (*v == "" || !strings.Contains(arg, *v)) {
				t.Fatalf("%q is read as %+v", arg, c)
			}
		}
	})
}
