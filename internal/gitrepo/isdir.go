package gitrepo

import (
	"context"
	"errors"
	"io/fs"
)

// IsDir reports whether a path is a directory; "" is the root. A path that does not exist, or that leads through a link, is none.
func (t *Tree) IsDir(ctx context.Context, path string) (bool, error) {
	at, err := t.place(ctx, path)
	return at.exists && at.mode&modeFormat == modeTree, err
}

// IsPlain reports whether a path is a file of git's ordinary mode, 100644: not executable, and not one that is not there.
func (t *Tree) IsPlain(ctx context.Context, path string) (bool, error) {
	at, err := t.place(ctx, path)
	return at.exists && at.mode == ModeFile, err
}

// place finds a path; one that does not exist, or that leads through a link, is nowhere.
func (t *Tree) place(ctx context.Context, path string) (place, error) {
	if path != "" {
		if why := checkPath(path); why != "" {
			return place{}, refusePath(path, why)
		}
	}
	if err := t.walk.ensure(ctx, []target{{t.commit, []string{path}, false}}); err != nil {
		return place{}, err
	}
	at, err := t.walk.lookup(t.commit, path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrUnsupported) {
		return place{}, nil
	}
	return at, err
}
