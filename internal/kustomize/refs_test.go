package kustomize

import (
	"errors"
	"reflect"
	"testing"
)

const withReferences = `resources:
- ../base
- deploy.yaml # a file
- https://github.com/acme/web//deploy?ref=v1
- "git@github.com:acme/web.git?timeout=1s&version=v2"
- /absolute
bases: [./shared/]
components:
  - &c ../../components/tls
  - *c
  - github.com/acme/c
transformers:
- |-
  apiVersion: builtin
  kind: ImageTagTransformer
- labels
patches:
- path: ../patch.yaml
`

func TestLocalReferences(t *testing.T) {
	got, err := LocalReferences([]byte(withReferences))
	if err != nil {
		t.Fatal(err)
	}
	want := []Reference{
		{Field: "resources", Line: 2, Path: "../base"},
		{Field: "resources", Line: 3, Path: "deploy.yaml"},
		{Field: "bases", Line: 7, Path: "./shared/"},
		{Field: "components", Line: 9, Path: "../../components/tls"},
		{Field: "components", Line: 10, Path: "../../components/tls"},
		{Field: "transformers", Line: 16, Path: "labels"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("LocalReferences = %+v\nwant %+v", got, want)
	}
}

func TestRemoteReferences(t *testing.T) {
	got, err := RemoteReferences([]byte(withReferences))
	if err != nil {
		t.Fatal(err)
	}
	want := []Reference{
		{Field: "resources", Line: 4, Path: "https://github.com/acme/web//deploy?ref=v1", Remote: true, Ref: "v1"},
		{Field: "resources", Line: 5, Path: "git@github.com:acme/web.git?timeout=1s&version=v2", Remote: true, Ref: "v2"},
		{Field: "components", Line: 11, Path: "github.com/acme/c", Remote: true},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("RemoteReferences = %+v\nwant %+v", got, want)
	}
}

func TestReferencesOfNoYAML(t *testing.T) {
	_, err := LocalReferences([]byte("a: [\n"))
	var refused *RefusedError
	if !errors.As(err, &refused) || err.Error() != "line 1: the file is not YAML: did not find expected node content" {
		t.Errorf("error %v", err)
	}
}

func TestIsRemote(t *testing.T) {
	for resource, want := range map[string]bool{
		"https://example.com/x.yaml": true, "http://h/x": true, "HTTPS://h/x": true, "ssh://git@h/x": true, "file:///x": true,
		"git@github.com:acme/web": true, "org-1234@github.com:acme/web": true, "github.com/acme/web": true, "github.com:acme/web": true,
		"git::https://h/x": true, "git::git@h:x": true, "gh:acme/web": true, "git@h.example/acme/web": true,
		"../base": false, ".": false, "base": false, "deploy.yaml": false, "a/b?ref=v1": false, "my@dir": false, "./github.com/x": false, "/abs": false, "": false,
	} {
		if got := IsRemote(resource); got != want {
			t.Errorf("IsRemote(%q) = %v; want %v", resource, got, want)
		}
	}
}

func TestReferenceClean(t *testing.T) {
	for _, tt := range []struct {
		dir, path, want string
		ok              bool
	}{
		{"envs/prod", "../base", "envs/base", true},
		{"envs/prod", "./", "envs/prod", true},
		{".", "base", "base", true},
		{"", "base", "base", true},
		{"envs", "..", ".", true},
		{"envs", "../..", "", false},
		{"envs", "../../other", "", false},
		{"envs", "/etc", "", false},
		{"envs", "..base", "envs/..base", true},
	} {
		got, ok := Reference{Path: tt.path}.Clean(tt.dir)
		if ok != tt.ok || (ok && got != tt.want) {
			t.Errorf("Clean(%q) of %q = %q, %v; want %q, %v", tt.dir, tt.path, got, ok, tt.want, tt.ok)
		}
	}
	if _, ok := (Reference{Path: "https://h/x", Remote: true}).Clean("a"); ok {
		t.Error("a remote reference leads into the repository")
	}
}
