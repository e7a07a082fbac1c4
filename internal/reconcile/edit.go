package reconcile

import (
	"context"
	"fmt"
	"path"
	"runtime/debug"
	"slices"
	"sync"

	"github.com/boatlift/boatlift/internal/kustomize"
	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/render"
)

// edit is what a promotion changes in the repository.
type edit struct {
	files  map[string][]byte // new content by path
	moves  []movement        // in the order of the files
	diff   string            // of the kustomizations
	shown  []render.Directory
	notice string // why nothing is rendered
}

// movement is one image that moves in some directories from one version to another.
type movement struct {
	promotion.Change
	dirs []string
}

// moved adds what a listing moves.
func (e *edit) moved(l promotion.Listing, c promotion.Change) {
	c.FromTag, c.FromDigest = l.Tag, l.Digest
	dir := path.Dir(l.File)
	for i := range e.moves {
		if e.moves[i].Change == c {
			if !slices.Contains(e.moves[i].dirs, dir) {
				e.moves[i].dirs = append(e.moves[i].dirs, dir)
			}
			return
		}
	}
	e.moves = append(e.moves, movement{Change: c, dirs: []string{dir}})
}

// edit changes every kustomization of the environment that lists an image of the release. Nothing is rendered yet.
func (t *turn) edit(ctx context.Context, tree tree, lists []promotion.Listing, env promotion.Environment, release promotion.Release) (edit, error) {
	changes := map[string][]kustomize.Change{}
	e := edit{files: map[string][]byte{}}
	for _, l := range lists {
		if l.Environment != env.Name || !release.Moves(l.Image) {
			continue
		}
		if l.Refusal != "" {
			return edit{}, &refusedError{l.Refusal}
		}
		for _, c := range release.Changes {
			if c.Image == l.Image {
				changes[l.File] = append(changes[l.File], change(env.Pin, l.Entry, c))
				e.moved(l, c)
			}
		}
	}
	files := sortedKeys(changes)
	texts, err := tree.ReadFiles(ctx, files)
	if err != nil {
		return edit{}, fmt.Errorf("read the kustomizations: %w", err)
	}
	for _, f := range files {
		after, report, err := kustomize.Edit(f, texts[f], changes[f])
		if err != nil {
			return edit{}, err
		}
		if report.Changed {
			e.files[f] = after
			e.diff += kustomize.Diff(f, texts[f], after)
		}
	}
	if len(e.files) == 0 {
		return edit{}, &unchangedError{env.Name, release.Label()}
	}
	return e, nil
}

// unchangedError is an edit that would change nothing.
type unchangedError struct{ environment, label string }

func (e *unchangedError) Error() string { return e.environment + " has " + e.label + " already" }

// refusedError is an edit that is never made.
type refusedError struct{ reason string }

func (e *refusedError) Error() string   { return e.reason }
func (e *refusedError) Permanent() bool { return true }

func change(pin promotion.Pin, entry string, c promotion.Change) kustomize.Change {
	tag, digest := c.Tag, string(c.Digest)
	ch := kustomize.Change{Name: entry}
	switch pin {
	case promotion.PinDigest:
		ch.Digest, ch.Other = &digest, kustomize.OtherReplace
	case promotion.PinTag:
		ch.Tag, ch.Other = &tag, kustomize.OtherReplace
	default:
		ch.Tag, ch.Digest = &tag, &digest
	}
	return ch
}

// maxRendered bounds how many directories are rendered for one pull request.
const maxRendered = 4

// render shows what the edit changes in the manifests. It never stands in the way of the pull request.
func (t *turn) render(ctx context.Context, tree tree, e *edit) {
	if t.r.Renderer == nil {
		return
	}
	var dirs []string
	for _, f := range sortedKeys(e.files) {
		dirs = append(dirs, path.Dir(f))
	}
	dirs = slices.Compact(dirs)
	if len(dirs) > maxRendered {
		e.notice = fmt.Sprintf("%d more directories are not shown.", len(dirs)-maxRendered)
		dirs = dirs[:maxRendered]
	}
	for i, d := range dirs {
		if d == "." {
			dirs[i] = ""
		}
	}
	result, err := t.r.Renderer.Compare(ctx, treeSource{tree}, dirs, e.files)
	if err != nil {
		e.notice = "The manifests could not be rendered: " + firstLine(err.Error())
		return
	}
	e.shown = result.Dirs
}

// renderAhead renders the first of some changes while the forge is waited for. What it returns waits for it.
func (t *turn) renderAhead(ctx context.Context, works []*work) (wait func()) {
	i := slices.IndexFunc(works, func(w *work) bool { return w.on != nil && !w.shown })
	if i < 0 {
		return func() {}
	}
	var rendering sync.WaitGroup
	rendering.Go(func() {
		w := works[i]
		defer func() {
			if p := recover(); p != nil {
				t.log.Error("a fault in the program", "fault", p, "stack", string(debug.Stack()))
				w.changes.notice = "The manifests could not be rendered."
			}
		}()
		w.shown = true
		t.render(ctx, w.on, &w.changes)
	})
	return rendering.Wait
}

// treeSource lets the renderer read a commit.
type treeSource struct{ tree tree }

func (s treeSource) ReadFile(ctx context.Context, p string) ([]byte, error) {
	return s.tree.ReadFile(ctx, p)
}

func (s treeSource) IsDir(ctx context.Context, p string) (bool, error) {
	if p == "" || p == "." {
		return true, nil
	}
	return s.tree.IsDir(ctx, p)
}
