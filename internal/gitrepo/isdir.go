package gitrepo

import (
	"context"
	"errors"
	"io/fs"
)

// IsDir reports whether a path is a directory; "" is the root. A path that does not exist, or that leads through a link, is none.
func (t *Tree) IsDir(ctx context.Context, path string) (bool, error) {
	if path != "" {
		if why := checkPath(path); why != "" {
			return false, refusePath(path, why)
		}
	}
	if err := t.walk.ensure(ctx, []target{{t.commit, []string{path}, false}}); err != nil {
		return false, err
	}
	at, err := t.walk.lookup(t.commit, path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrUnsupported) {
		return false, nil
	}
	return at.exists && at.mode&modeFormat == modeTree, err
}
