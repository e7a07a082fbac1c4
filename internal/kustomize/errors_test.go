package kustomize

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func ptr[T any](v T) *T { return &v }

func TestRefusals(t *testing.T) {
	deep := "images:\n- name: web\n  newTag: v1\nx: " + strings.Repeat("[", 600) + strings.Repeat("]", 600) + "\n"
	tests := []struct {
		name, src string
		change    Change
		want      string
	}{
		{"too large", "# " + strings.Repeat("x", maxSize), Change{}, "k.yaml:1: the file has 1048578 bytes, the limit is 1048576"},
		{"deep", deep, Change{}, "k.yaml:4: the file nests deeper than 500 levels"},
		{"deeper than the parser goes", strings.Repeat("[", 20000), Change{}, "k.yaml:1: the file is not YAML: exceeded max depth of 10000"},
		{"carriage return at the end", "images:\n- name: web\n  newTag: v1\r", Change{}, "k.yaml:3: a carriage return stands without a line feed"},
		{"paragraph separator", "# \u2029\nimages:\n- name: web\n  newTag: v1\n", Change{}, "k.yaml:1: the character U+2029 is a line break to some parsers and not to others"},
		{"control character", "images:\n- name: web\n  newTag: v1 # \x01\n", Change{}, "k.yaml:1: the file is not YAML: control characters are not allowed"},
		{"unknown anchor", "images:\n- name: web\n  newTag: *t\n", Change{}, "k.yaml:1: the file is not YAML: unknown anchor 't' referenced"},
		{"scalar", "images\n", Change{}, "k.yaml:1: the file is not a map of fields"},
		{"explicit null", "~\n", Change{}, "k.yaml:1: the file is not a map of fields"},
		{"images is text", "images: web\n", Change{}, "k.yaml:1: images is not a list"},
		{"null item", "images:\n- name: web\n  newTag: v1\n-\n", Change{}, "k.yaml:4: this item of images is not a map"},
		{"digest not decided", "images:\n- name: web\n  digest: " + otherDigest + "\n", Change{}, "k.yaml:3: the entry also has a digest, which would stay in force"},
		{
			"tag not decided", "images:\n- name: web\n\n  newTag: v1\n",
			Change{Digest: ptr(someDigest)},
			"k.yaml:4: the entry also has a newTag, which would stay in force",
		},
		{
			"key of the other half is an alias", "x: &k newTag\nimages:\n- name: web\n  *k : v1\n",
			Change{Digest: ptr(someDigest), Other: OtherDrop},
			"k.yaml:4: the key newTag is an alias",
		},
		{"value is a map in braces", "images:\n- name: web\n  newTag: {a: b}\n", Change{}, "k.yaml:3: the newTag of web is not a single value"},
		{"new key in a pair without braces", "images: [name: web]\n", Change{}, "k.yaml:1: this entry is a pair without braces"},
		{"new key among explicit keys", "images:\n- ? name\n  : web\n", Change{}, "k.yaml:2: the keys of this entry are written in an unusual way"},
		{
			"new entry in an anchored empty list", "images: &x []\n",
			Change{Name: "new", Add: true},
			"k.yaml:1: the empty images list is anchored or tagged",
		},
		{
			"new entry in an empty list with a comment", "images: [\n# none\n]\n",
			Change{Name: "new", Add: true},
			"k.yaml:1: the empty images list holds a comment",
		},
		{"removed value in a flow map with a comment", "images: [{name: web, # c\n  newTag: v1}]\n", Change{Tag: ptr("")}, "k.yaml:1: a comment stands between the keys of this entry"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := tt.change
			if c.Name == "" {
				c.Name = "web"
			}
			if c.Tag == nil && c.Digest == nil {
				c.Tag = ptr("v2")
			}
			out, report, err := Edit("k.yaml", []byte(tt.src), []Change{c})
			var refused *RefusedError
			if !errors.As(err, &refused) || err.Error() != tt.want {
				t.Fatalf("error %v, want %s", err, tt.want)
			}
			if refused.Hint() == "" || !refused.Permanent() || refused.File != "k.yaml" || refused.Line == 0 {
				t.Errorf("%+v does not say where and what to do", refused)
			}
			if out != nil || report.Changed {
				t.Error("a refusal gives bytes")
			}
		})
	}
}

func TestChangeErrors(t *testing.T) {
	src := []byte("images:\n- name: web\n  newTag: v1\n- name: web\n  newTag: v1\n- name: api\n")
	tests := []struct {
		name    string
		changes []Change
		want    string
	}{
		{"no name", []Change{{Tag: ptr("v2")}}, `change of image "": the name is empty`},
		{"twice", []Change{{Name: "api", Tag: ptr("v2")}, {Name: "api", Tag: ptr("v3")}}, `change of image "api": is asked for twice`},
		{"twice by index", []Change{{Name: "api", Tag: ptr("v2")}, {Name: "api", Index: ptr(2), Tag: ptr("v3")}}, `change of image "api": is asked for twice`},
		{"wrong index", []Change{{Name: "api", Index: ptr(0), Tag: ptr("v2")}}, `change of image "api": entry 0 of k.yaml does not have this name`},
		{"unknown policy", []Change{{Name: "api", Tag: ptr("v2"), Other: 9}}, `change of image "api": says nothing known about the other half`},
		{"line break", []Change{{Name: "api", Tag: ptr("v2\nx: y")}}, `change of image "api": the new newTag holds a character that cannot be printed`},
		{"not UTF-8", []Change{{Name: "api", Tag: ptr("\xff")}}, `change of image "api": the new newTag is not UTF-8`},
		{"long", []Change{{Name: "api", NewName: ptr(strings.Repeat("x", 5000))}}, `change of image "api": the new newName is longer than 4096 bytes`},
		{"nothing to add", []Change{{Name: "new", Add: true}}, `change of image "new": a new entry needs a newName, a tag or a digest`},
		{"unwritable in a new entry", []Change{{Name: "a\tb", Tag: ptr("v1"), Add: true}}, "change of image \"a\\tb\": the new name holds a character that cannot be printed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := Edit("k.yaml", src, tt.changes)
			var wrong *ChangeError
			if !errors.As(err, &wrong) || err.Error() != tt.want {
				t.Fatalf("error %v, want %s", err, tt.want)
			}
		})
	}
}

func TestEditAllOrNothing(t *testing.T) {
	src := []byte("images:\n- name: web\n  newTag: v1\n- name: api\n  newTag: |-\n    v1\n")
	out, _, err := Edit("k.yaml", src, []Change{
		{Name: "web", Tag: ptr("v2")},
		{Name: "api", Tag: ptr("v2")},
		{Name: "db", Tag: ptr("v2")},
	})
	var refused *RefusedError
	var missing *ImageNotListedError
	if !errors.As(err, &refused) || !errors.As(err, &missing) {
		t.Fatalf("error %v, want both the refusal and the missing image", err)
	}
	if missing.Image != "db" || missing.File != "k.yaml" || !missing.Permanent() || missing.Hint() == "" {
		t.Errorf("missing image: %+v", missing)
	}
	if out != nil {
		t.Errorf("an edit that fails in part gives %q", out)
	}
}

// A file without problems is not touched, even as memory: callers compare nothing.
func TestNoOpGivesTheSameSlice(t *testing.T) {
	src := []byte("images:\n- name: web\n  newTag: v1\n")
	for _, changes := range [][]Change{nil, {{Name: "web", Tag: ptr("v1")}}, {{Name: "web"}}, {{Name: "web", Digest: ptr("")}}} {
		out, report, err := Edit("k.yaml", src, changes)
		if err != nil || report.Changed || len(report.Lines) > 0 || &out[0] != &src[0] {
			t.Errorf("%+v: %q, %+v, %v", changes, out, report, err)
		}
	}
}

func TestEditLeavesSourceAlone(t *testing.T) {
	src := []byte("images:\n- name: web\n  newTag: v1\n")
	kept := bytes.Clone(src)
	if _, _, err := Edit("k.yaml", src, []Change{{Name: "web", Tag: ptr("v2"), Digest: ptr(someDigest)}}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(src, kept) {
		t.Errorf("the source became %q", src)
	}
}
