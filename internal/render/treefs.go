package render

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// treeRoot is where the tree's root appears to kustomize. It is not "/" so that a path which leaves the repository is seen to
// leave it, instead of being cut off at the top.
const treeRoot = "/repository"

// tree answers what is at a path of the commit, before the edit. Answers are remembered, so each path is asked for once.
type tree struct {
	ask   func(path string) (kind byte, body []byte, err error)
	known map[string]node
}

type node struct {
	kind byte // answerNone, answerDir, answerFile, answerRefused
	body []byte
}

func (t *tree) look(p string) (node, error) {
	if n, ok := t.known[p]; ok {
		return n, nil
	}
	kind, body, err := t.ask(p)
	if err != nil {
		return node{}, err
	}
	n := node{kind: kind, body: body}
	if kind != answerRefused { // a Source that could not answer now may do so for the next job
		t.known[p] = n
	}
	return n, nil
}

// treeFS is kustomize's view of the tree in one build: lazy, read-only, with the overlay on top. kustomize often drops the
// error of a read and tries something else, so the first refusal is kept here and outweighs whatever kustomize says.
type treeFS struct {
	tree    *tree
	overlay map[string][]byte // nil value: removed
	made    map[string]bool   // directories that only the overlay has
	limits  limits
	loads   int
	refused string          // first refusal
	checked map[string]bool // files that passed their checks
	secrets *secretValues
	schema  bool // a kustomization brings an OpenAPI schema
	flows   bool // something read here can copy a Secret's value elsewhere
}

func newTreeFS(t *tree, overlay map[string][]byte, l limits) *treeFS {
	f := &treeFS{
		tree: t, overlay: overlay, limits: l,
		made: map[string]bool{}, checked: map[string]bool{}, secrets: newSecretValues(),
	}
	for p, b := range overlay {
		if b == nil {
			continue
		}
		for d := path.Dir(p); ; d = path.Dir(d) {
			f.made[d] = true
			if d == "." {
				break
			}
		}
	}
	return f
}

var errReadOnly = errors.New("the repository is read-only here")

// refuse keeps the first reason and returns it as an error.
func (f *treeFS) refuse(format string, args ...any) error {
	reason := fmt.Sprintf(format, args...)
	if f.refused == "" {
		f.refused = reason
	}
	return errors.New(reason)
}

// relative maps kustomize's path to the tree's; "." is the root.
func (f *treeFS) relative(name string) (string, error) {
	if !filepath.IsAbs(name) {
		return "", f.refuse("%s: not a path of this repository", name)
	}
	clean := filepath.Clean(name)
	if clean == treeRoot {
		return ".", nil
	}
	rel, inside := strings.CutPrefix(clean, treeRoot+"/")
	if !inside {
		return "", f.refuse("%s leads out of the repository", strings.TrimPrefix(name, treeRoot+"/"))
	}
	if len(rel) > maxPath {
		return "", f.refuse("a path of %d bytes: %s", len(rel), cutString(rel, 100))
	}
	if !fs.ValidPath(rel) || strings.ContainsRune(rel, 0) {
		return "", f.refuse("not a path: %q", cutString(rel, 200))
	}
	return rel, nil
}

// look says what is at a path of the tree, the overlay included.
func (f *treeFS) look(rel string) (node, error) {
	if b, ok := f.overlay[rel]; ok {
		if b == nil {
			return node{kind: answerNone}, nil
		}
		return node{kind: answerFile, body: b}, nil
	}
	if f.made[rel] || rel == "." {
		return node{kind: answerDir}, nil
	}
	n, err := f.tree.look(rel)
	if err != nil {
		return node{}, f.refuse("%s: %v", rel, err)
	}
	if n.kind == answerRefused {
		return node{}, f.refuse("%s", n.body)
	}
	return n, nil
}

func (f *treeFS) at(name string) (string, node, error) {
	rel, err := f.relative(name)
	if err != nil {
		return "", node{}, err
	}
	n, err := f.look(rel)
	return rel, n, err
}

func (f *treeFS) CleanedAbs(name string) (filesys.ConfirmedDir, string, error) {
	rel, n, err := f.at(name)
	if err != nil {
		return "", "", err
	}
	full := treeRoot
	if rel != "." {
		full += "/" + rel
	}
	switch n.kind {
	case answerDir:
		return filesys.ConfirmedDir(full), "", nil
	case answerFile:
		return filesys.ConfirmedDir(path.Dir(full)), path.Base(full), nil
	default:
		return "", "", missing(rel)
	}
}

func missing(rel string) error {
	return fmt.Errorf("%s: no such file or directory in this repository: %w", rel, fs.ErrNotExist)
}

func (f *treeFS) IsDir(name string) bool {
	_, n, err := f.at(name)
	return err == nil && n.kind == answerDir
}

func (f *treeFS) Exists(name string) bool {
	_, n, err := f.at(name)
	return err == nil && n.kind != answerNone
}

func (f *treeFS) ReadFile(name string) ([]byte, error) {
	rel, n, err := f.at(name)
	switch {
	case err != nil:
		return nil, err
	case n.kind == answerDir:
		return nil, fmt.Errorf("%s is a directory", rel)
	case n.kind != answerFile:
		return nil, missing(rel)
	}
	if isKustomization(rel) {
		if f.loads++; f.loads > f.limits.Loads {
			return nil, f.refuse("more than %d kustomizations are loaded by this one; at %s", f.limits.Loads, rel)
		}
	}
	if !f.checked[rel] {
		if err := f.check(rel, n.body); err != nil {
			return nil, err
		}
		f.checked[rel] = true
	}
	return n.body, nil
}

func (f *treeFS) Open(name string) (filesys.File, error) {
	return nil, f.refuse("open %s: not offered here", name)
}

func (f *treeFS) ReadDir(name string) ([]string, error) {
	return nil, f.refuse("list %s: not offered here", name)
}

func (f *treeFS) Glob(pattern string) ([]string, error) {
	return nil, f.refuse("%s: patterns are not offered here", pattern)
}

func (f *treeFS) Walk(name string, _ filepath.WalkFunc) error {
	return f.refuse("walk %s: not offered here", name)
}

func (f *treeFS) Create(string) (filesys.File, error) { return nil, errReadOnly }
func (f *treeFS) Mkdir(string) error                  { return errReadOnly }
func (f *treeFS) MkdirAll(string) error               { return errReadOnly }
func (f *treeFS) RemoveAll(string) error              { return errReadOnly }
func (f *treeFS) WriteFile(string, []byte) error      { return errReadOnly }
