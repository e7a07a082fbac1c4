package reconcile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/boatlift/boatlift/internal/gitrepo"
	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/kustomize"
	"github.com/boatlift/boatlift/internal/promotion"
)

func isNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// list reads which images the kustomizations of all environments set at a commit.
func (t *turn) list(ctx context.Context, tree tree) ([]promotion.Listing, error) {
	var files []gitrepo.File
	for _, env := range t.world.Config.Environments {
		if env.Mode == promotion.Off {
			continue
		}
		found, err := tree.Find(ctx, env.Path, kustomize.IsKustomization)
		if err != nil {
			return nil, fmt.Errorf("find the kustomizations of %s: %w", env.Name, err)
		}
		files = append(files, found...)
	}
	paths := make([]string, 0, len(files))
	refusals := map[string]string{}
	for _, f := range files {
		if !f.Mode.Regular() {
			refusals[f.Path] = f.Path + " is a link or a submodule"
			continue
		}
		paths = append(paths, f.Path)
	}
	texts, err := tree.ReadFiles(ctx, paths)
	if errors.Is(err, gitrepo.ErrUnsupported) {
		t.log.Warn("some kustomizations cannot be read", "error", err) // the others are there all the same
	} else if err != nil {
		return nil, err
	}
	lists, _ := Listings(t.world.Config, texts, refusals)
	return lists, nil
}

// Unlisted is a kustomization, or an entry of one, of which no image is known.
type Unlisted struct {
	Environment, File, Entry, Why string
}

// Listings says which images the kustomizations of a repository set in which environment, from their texts by path. Refusals say by path
// why a file is not to be edited; those that follow from the texts themselves are added.
func Listings(cfg promotion.Config, texts map[string][]byte, refusals map[string]string) ([]promotion.Listing, []Unlisted) {
	refused := maps.Clone(refusals)
	if refused == nil {
		refused = map[string]string{}
	}
	for dir, names := range byDirectory(sortedKeys(texts)) {
		if _, err := kustomize.FileIn(names); err != nil {
			for _, name := range names {
				refused[path.Join(dir, name)] = dir + ": " + err.Error()
			}
		}
	}
	for file, readers := range sharedFiles(cfg, texts) {
		owner, _ := cfg.Of(file)
		refused[file] = fmt.Sprintf("%s belongs to %s and is also read by %s, so an edit would change both", file, owner.Name, strings.Join(readers, " and "))
	}
	return listings(cfg, texts, refused)
}

func byDirectory(paths []string) map[string][]string {
	dirs := map[string][]string{}
	for _, p := range paths {
		dirs[path.Dir(p)] = append(dirs[path.Dir(p)], path.Base(p))
	}
	return dirs
}

// listings turns kustomization texts into listings, in the order of the files.
func listings(cfg promotion.Config, texts map[string][]byte, refusals map[string]string) (all []promotion.Listing, unlisted []Unlisted) {
	for _, p := range sortedKeys(texts) {
		env, ok := cfg.Of(p)
		if !ok {
			continue
		}
		entries, err := kustomize.Read(p, texts[p])
		if err != nil {
			unlisted = append(unlisted, Unlisted{env.Name, p, "", err.Error()})
			continue
		}
		for _, e := range entries {
			name, err := image.ParseName(e.Image())
			if err != nil {
				unlisted = append(unlisted, Unlisted{env.Name, p, e.Name, "it is a placeholder or a pattern: " + err.Error()})
				continue
			}
			l := promotion.Listing{Environment: env.Name, File: p, Entry: e.Name, Image: name, Tag: e.NewTag, Digest: image.Digest(e.Digest), Refusal: refusals[p]}
			if tag, digest, ok := strings.Cut(e.NewTag, "@"); ok {
				l.Tag, l.Digest = tag, image.Digest(digest)
			}
			switch {
			case l.Refusal != "":
			case e.Marked:
				l.Refusal = fmt.Sprintf("%s:%d: the line carries a marker of another controller", p, e.Line)
			case e.Deprecated:
				l.Refusal = fmt.Sprintf("%s:%d: imageTags is deprecated; use images", p, e.Line)
			}
			all = append(all, l)
		}
	}
	return all, unlisted
}

// sharedFiles finds kustomizations of one environment that another environment reads, with the names of all environments concerned.
func sharedFiles(cfg promotion.Config, texts map[string][]byte) map[string][]string {
	shared := map[string][]string{}
	for from, text := range texts {
		reader, ok := cfg.Of(from)
		if !ok {
			continue
		}
		for _, dir := range reachable(path.Dir(from), text, texts) {
			for _, name := range kustomizationNames() {
				file := path.Join(dir, name)
				owner, ok := cfg.Of(file)
				if _, exists := texts[file]; !ok || !exists || owner.Name == reader.Name {
					continue
				}
				if !slices.Contains(shared[file], reader.Name) {
					shared[file] = append(shared[file], reader.Name)
					slices.Sort(shared[file])
				}
			}
		}
	}
	return shared
}

func kustomizationNames() []string {
	return []string{"kustomization.yaml", "kustomization.yml", "Kustomization"}
}

// reachable are the directories that a kustomization reads, directly or through others that are among the texts.
func reachable(dir string, text []byte, texts map[string][]byte) []string {
	var reached []string
	todo := localDirs(dir, text)
	for len(todo) > 0 {
		next := todo[0]
		todo = todo[1:]
		if slices.Contains(reached, next) {
			continue
		}
		reached = append(reached, next)
		for _, name := range kustomizationNames() {
			if t, ok := texts[path.Join(next, name)]; ok {
				todo = append(todo, localDirs(next, t)...)
			}
		}
	}
	return reached
}

// localDirs are the directories a kustomization names, from the root of the repository.
func localDirs(dir string, text []byte) []string {
	refs, err := kustomize.LocalReferences(text)
	if err != nil {
		return nil
	}
	dirs := make([]string, 0, len(refs))
	for _, ref := range refs {
		if target, ok := ref.Clean(dir); ok {
			dirs = append(dirs, target)
		}
	}
	return dirs
}
