package kustomize

import (
	"errors"
	"reflect"
	"testing"
)

func TestRead(t *testing.T) {
	tests := []struct {
		name, src string
		want      []Entry
	}{
		{"empty", "", nil},
		{"no images", "resources:\n- a.yaml\n", nil},
		{"null", "images:\n", nil},
		{"not a map", "- a\n", nil},
		{"not a list", "images: web\n", nil},
		{
			"all fields", "images:\n- digest: sha256:1\n  name: web\n  newName: x/web\n  newTag: v1\n  tagSuffix: -debug\n-\n  name: api\n",
			[]Entry{{Line: 2, Name: "web", NewName: "x/web", NewTag: "v1", Digest: "sha256:1", TagSuffix: "-debug"}, {Index: 1, Line: 8, Name: "api"}},
		},
		{"nulls are absent", "images:\n- name: web\n  newTag: ~\n  digest:\n  newName: null\n", []Entry{{Line: 2, Name: "web"}}},
		{"what is no map is passed over", "images:\n- web\n-\n- name: api\n", []Entry{{Line: 4, Name: "api"}}},
		{"numbers as written", "images:\n- name: web\n  newTag: 1.10\n", []Entry{{Line: 2, Name: "web", NewTag: "1.10"}}},
		{"block scalar", "images:\n- name: web\n  newTag: |-\n    v1\n", []Entry{{Line: 2, Name: "web", NewTag: "v1"}}},
		{"first of two documents", "images:\n- name: web\n---\nimages:\n- name: api\n", []Entry{{Line: 2, Name: "web"}}},
		{
			"aliases and merge keys", "x: &d\n  newTag: v1\n  newName: x/web\ny: &e\n  name: api\nimages:\n- <<: *d\n  name: web\n  newName: y/web\n- *e\n- <<: [*e, *d]\n",
			[]Entry{{Line: 7, Name: "web", NewName: "y/web", NewTag: "v1"}, {Index: 1, Line: 10, Name: "api"}, {Index: 2, Line: 11, Name: "api", NewName: "x/web", NewTag: "v1"}},
		},
		{"a key twice counts as in kustomize", "images:\n- name: a\nimages:\n- name: web\n  newTag: v1\n  newTag: v2\n", []Entry{{Line: 4, Name: "web", NewTag: "v2"}}},
		{"case is ignored as in kustomize", "IMAGES:\n- NAME: a\nImages:\n- newtag: v2\n  NEWTAG: v1\n  Name: web\n", []Entry{{Line: 4, Name: "web", NewTag: "v2"}}},
		{"imageTags", "imageTags:\n- name: web\nimages:\n- name: api\n", []Entry{{Line: 4, Name: "api"}, {Index: 1, Line: 2, Name: "web", Deprecated: true}}},
		{
			"markers", "images:\n- name: web\n  newTag: v1 # {\"$imagepolicy\": \"flux-system:web:tag\"}\n- name: api # {\"$openapi\":\"api\"}\n- name: db # a {\"x\": 1}\n",
			[]Entry{{Line: 2, Name: "web", NewTag: "v1", Marked: true}, {Index: 1, Line: 4, Name: "api", Marked: true}, {Index: 2, Line: 5, Name: "db"}},
		},
		{"template", "images:\n- name: web\n  newTag: {{ tag }}\n", []Entry{{Line: 2, Name: "web"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Read("k.yaml", []byte(tt.src))
			if err != nil {
				t.Fatal(err)
			}
			if len(got)+len(tt.want) > 0 && !reflect.DeepEqual(got, tt.want) {
				t.Errorf("Read = %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

func TestReadRefuses(t *testing.T) {
	for src, line := range map[string]int{
		"images:\n- name: [\n":    2,
		"a: &a [*a]\n":            1,
		"{{- if .x }}\nimages:\n": 1,
	} {
		_, err := Read("k.yaml", []byte(src))
		var refused *RefusedError
		if !errors.As(err, &refused) || refused.Line != line {
			t.Errorf("%q: %v, want a refusal of line %d", src, err, line)
		}
	}
}

func TestEntryImage(t *testing.T) {
	if got := (Entry{Name: "web"}).Image(); got != "web" {
		t.Errorf("Image = %s; want web", got)
	}
	if got := (Entry{Name: "web", NewName: "x/web"}).Image(); got != "x/web" {
		t.Errorf("Image = %s; want x/web", got)
	}
}

func TestIsKustomization(t *testing.T) {
	for name, want := range map[string]bool{
		"kustomization.yaml": true, "kustomization.yml": true, "Kustomization": true, "apps/web/kustomization.yaml": true,
		"kustomization": false, "Kustomization.yaml": false, "kustomization.json": false, "my-kustomization.yaml": false, "": false,
	} {
		if got := IsKustomization(name); got != want {
			t.Errorf("IsKustomization(%q) = %v; want %v", name, got, want)
		}
	}
}

func TestFileIn(t *testing.T) {
	if got, err := FileIn([]string{"a.yaml", "kustomization.yml"}); got != "kustomization.yml" || err != nil {
		t.Errorf("FileIn = %q, %v", got, err)
	}
	if got, err := FileIn([]string{"a.yaml"}); got != "" || err != nil {
		t.Errorf("FileIn = %q, %v; want none", got, err)
	}
	_, err := FileIn([]string{"Kustomization", "a.yaml", "kustomization.yaml"})
	var several *SeveralFilesError
	if !errors.As(err, &several) || err.Error() != "more than one kustomization file in one directory: Kustomization, kustomization.yaml" || several.Hint() == "" || !several.Permanent() {
		t.Errorf("error %v", err)
	}
}
