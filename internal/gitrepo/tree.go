package gitrepo

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
)

// Commit reads one commit.
func (r *Remote) Commit(ctx context.Context, h Hash) (CommitInfo, error) {
	id, err := r.checkHash(h)
	if err != nil {
		return CommitInfo{}, err
	}
	w := r.newWalk()
	for {
		data, lacking, err := w.load(lack{id: id, kind: kindCommit})
		if err != nil {
			return CommitInfo{}, err
		}
		if lacking == nil {
			return parseCommit(id, data)
		}
		objs, err := r.climb(ctx, request{wants: []oid{id}, shallow: true}, commitLadder(nil))
		if err != nil {
			return CommitInfo{}, err
		}
		w.keep(objs)
		if _, ok := objs[id]; !ok {
			return CommitInfo{}, &MissingObjectError{r.repo.address().Host, h}
		}
	}
}

func (r *Remote) checkHash(h Hash) (oid, error) {
	if r.err != nil {
		return oid{}, r.err
	}
	if !h.Valid() {
		return oid{}, &MalformedError{h, "a commit's name has 40 lower-case hexadecimal digits"}
	}
	return parseOID(string(h))
}

// Tree is a commit's files. It holds what it has read, so it should not live longer than the work on that commit.
type Tree struct {
	walk   *walk
	commit oid
}

// Tree is a view of a commit's files. Nothing is fetched before something is read, so a commit that does not exist shows then,
// as ErrNoSuchObject.
func (r *Remote) Tree(_ context.Context, commit Hash) (*Tree, error) {
	id, err := r.checkHash(commit)
	if err != nil {
		return nil, err
	}
	return &Tree{r.newWalk(), id}, nil
}

// Commit is the commit whose files these are.
func (t *Tree) Commit() Hash { return t.commit.hash() }

// ReadFile returns a file's content; the caller must not change it. A file that is not there gives fs.ErrNotExist; a directory, a
// symbolic link, a submodule and an LFS pointer give ErrUnsupported.
func (t *Tree) ReadFile(ctx context.Context, path string) ([]byte, error) {
	files, err := t.ReadFiles(ctx, []string{path})
	if err != nil {
		return nil, err
	}
	data, ok := files[path]
	if !ok {
		return nil, notExist(path)
	}
	return data, nil
}

// ReadFiles returns the content of many files; the caller must not change it. Everything that is lacking on one level is one
// request. Paths that do not exist are left out. Paths that are refused (see ReadFile) are left out too and joined into the error,
// each as a *FileError: the other files are there all the same. Any other error comes alone.
func (t *Tree) ReadFiles(ctx context.Context, paths []string) (map[string][]byte, error) {
	var refused []error
	wanted := make([]string, 0, len(paths))
	for _, p := range paths {
		if why := checkPath(p); why != "" {
			refused = append(refused, refusePath(p, why))
			continue
		}
		wanted = append(wanted, p)
	}
	if err := t.walk.ensure(ctx, []target{{t.commit, wanted, true}}); err != nil {
		return nil, err
	}
	files := make(map[string][]byte, len(wanted))
	for _, p := range wanted {
		_, data, err := t.walk.file(t.commit, p)
		var refusal *FileError
		switch {
		case err == nil:
			files[p] = data
		case errors.Is(err, fs.ErrNotExist):
		case errors.As(err, &refusal):
			refused = append(refused, err)
		default:
			return nil, err
		}
	}
	return files, errors.Join(refused...)
}

// file returns a file that ensure has made known.
func (w *walk) file(commit oid, path string) (Mode, []byte, error) {
	at, err := w.lookup(commit, path)
	if err != nil {
		return 0, nil, err
	}
	if !at.exists {
		return 0, nil, notExist(path)
	}
	if why := at.mode.refusal(); why != "" {
		return 0, nil, refusePath(path, why)
	}
	data, lacking, err := w.load(lack{id: at.id, kind: kindBlob})
	if err != nil {
		return 0, nil, err
	}
	if lacking != nil {
		return 0, nil, &MissingObjectError{w.r.repo.address().Host, at.id.hash()}
	}
	if isLFSPointer(data) {
		return 0, nil, refusePath(path, "it is a Git LFS pointer, whose content is not in the repository")
	}
	return at.mode, data, nil
}

// Edited names the tree that a commit on this one would have if Push changed some of its files. Nothing is written. What Push refuses in
// files is refused here.
func (t *Tree) Edited(ctx context.Context, files map[string][]byte) (Hash, error) {
	paths := []string{""}
	for path := range files {
		if why := checkPath(path); why != "" {
			return "", refusePath(path, why)
		}
		paths = append(paths, path)
	}
	if err := t.walk.ensure(ctx, []target{{t.commit, paths, true}}); err != nil {
		return "", err
	}
	b := &builder{walk: t.walk, have: make(map[oid]bool)}
	tree, _, err := b.tree(t.commit, files)
	if err != nil {
		return "", err
	}
	return tree.hash(), nil
}

// File is an entry of a tree that is not a directory.
type File struct {
	Path string
	Blob Hash // of a submodule: its commit
	Mode Mode
}

// Find lists the files below a directory ("" is the whole tree) whose path from the root satisfies match, in git's order. Symbolic
// links and submodules are listed with their mode and not entered; names that git itself forbids are passed over. A directory that
// does not exist has no files. Find costs one request when nothing is known (two below a prefix), and a few small ones after a
// change.
func (t *Tree) Find(ctx context.Context, prefix string, match func(path string) bool) ([]File, error) {
	prefix = strings.TrimSuffix(prefix, "/")
	if prefix != "" {
		if why := checkPath(prefix); why != "" {
			return nil, refusePath(prefix, why)
		}
		if err := t.walk.ensure(ctx, []target{{t.commit, []string{prefix}, false}}); err != nil {
			return nil, err
		}
	}
	ladder := wholeLadder
	if t.walk.r.repo.foundBefore(prefix) {
		ladder = levelLadder
	}
	for {
		f := finder{walk: t.walk, match: match, need: make(map[oid]lack), left: 4 * t.walk.r.client.opts.MaxObjects}
		at, err := t.walk.lookup(t.commit, prefix)
		switch {
		case err != nil:
			return nil, err
		case at.lack != nil:
			f.need[at.lack.id] = *at.lack
		case !at.exists:
			return nil, nil
		case at.mode&modeFormat != modeTree:
			return nil, refusePath(prefix, "it is not a directory")
		default:
			if err := f.directory(prefix, at.id, 0); err != nil {
				return nil, err
			}
		}
		if len(f.need) == 0 {
			t.walk.r.repo.remember(t.commit)
			t.walk.r.repo.noteFound(prefix)
			return f.files, nil
		}
		if err := t.walk.fill(ctx, f.need, ladder); err != nil {
			return nil, err
		}
	}
}

// finder is one pass over the directories at hand. It notes what is lacking and bounds what it visits: a few small trees that
// contain each other can describe more files than there are atoms.
type finder struct {
	walk  *walk
	match func(string) bool
	need  map[oid]lack
	files []File
	left  int
}

func (f *finder) directory(path string, id oid, depth int) error {
	raw, lacking, err := f.walk.load(lack{id: id, kind: kindTree, depth: depth})
	if err != nil {
		return err
	}
	if lacking != nil {
		f.need[id] = *lacking
		return nil
	}
	s := treeScanner{raw: raw}
	for e, more := s.next(); more; e, more = s.next() {
		if f.left--; f.left < 0 {
			return &TooLargeError{"tree walk", 4 * int64(f.walk.r.client.opts.MaxObjects), "entries"}
		}
		name := string(e.name)
		if name == "." || name == ".." || isDotGit(name) {
			continue
		}
		if path != "" {
			name = path + "/" + name
		}
		if e.isTree() {
			if depth == maxDepth {
				return &TooLargeError{"tree walk", maxDepth, "levels of directories"}
			}
			if err := f.directory(name, e.id, depth+1); err != nil {
				return err
			}
			continue
		}
		if f.match(name) {
			f.files = append(f.files, File{name, e.id.hash(), e.mode})
		}
	}
	if s.err != "" {
		return &MalformedError{id.hash(), s.err}
	}
	return nil
}

// maxFound bounds the directories remembered for a repository.
const maxFound = 64

// foundBefore reports whether everything below a directory was known once: then little is lacking now.
func (r *repoMemo) foundBefore(prefix string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Contains(r.found, prefix)
}

func (r *repoMemo) noteFound(prefix string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Contains(r.found, prefix) {
		r.found = append(r.found, prefix)
		r.found = r.found[max(0, len(r.found)-maxFound):]
	}
}
