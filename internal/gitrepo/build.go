package gitrepo

import (
	"maps"
	"slices"
	"strings"
)

// builder makes the new objects of a push. Objects that several branches share are made once.
type builder struct {
	walk    *walk
	objects []newObject
	have    map[oid]bool
}

func (b *builder) add(o newObject) oid {
	if !b.have[o.id] {
		b.have[o.id] = true
		b.objects = append(b.objects, o)
	}
	return o.id
}

// node is a directory of the files to be written.
type node struct {
	dirs  map[string]*node
	files map[string][]byte
}

func newNode() *node { return &node{make(map[string]*node), make(map[string][]byte)} }

// plant sorts files into directories. Paths have been checked.
func plant(files map[string][]byte) (*node, error) {
	root := newNode()
	for path, data := range files {
		at := root
		parts := strings.Split(path, "/")
		for _, dir := range parts[:len(parts)-1] {
			next := at.dirs[dir]
			if next == nil {
				next = newNode()
				at.dirs[dir] = next
			}
			at = next
		}
		at.files[parts[len(parts)-1]] = data
	}
	for path := range files {
		at := root
		for part := range strings.SplitSeq(path, "/") {
			if _, isFile := at.files[part]; isFile && at.dirs[part] != nil {
				return nil, refusePath(path, "it is both a file and a directory in this update")
			}
			if at = at.dirs[part]; at == nil {
				break
			}
		}
	}
	return root, nil
}

// commit makes the commit of an update whose paths the walk has made known.
func (b *builder) commit(u BranchUpdate) (oid, error) {
	parent, err := parseOID(string(u.Parent))
	if err != nil {
		return oid{}, &UpdateError{u.Branch, "its parent: " + err.Error()}
	}
	// Objects are kept only when the whole commit is made, so that a refused update leaves nothing in the pack.
	draft := &builder{walk: b.walk, have: maps.Clone(b.have)}
	tree, base, err := draft.tree(parent, u.Files)
	if err != nil {
		return oid{}, err
	}
	if tree == base {
		return oid{}, ErrNothingToCommit
	}
	committer := u.Committer
	if committer == (Identity{}) {
		committer = u.Author
	}
	data := encodeCommit(tree, parent, u.Author, committer, u.When, u.Message)
	if u.Signer != nil {
		if data, err = u.Signer.signCommit(data, u.When); err != nil {
			return oid{}, err
		}
	}
	id := draft.add(newObject{id: objectID(kindCommit, data), obj: object{kindCommit, data}})
	for _, o := range draft.objects {
		b.add(o)
	}
	b.walk.made(draft.objects)
	return id, nil
}

// tree makes the tree of a commit anew with some files changed. The walk has made their paths known.
func (b *builder) tree(commit oid, files map[string][]byte) (made, base oid, err error) {
	root, err := plant(files)
	if err != nil {
		return made, base, err
	}
	base, lacking, err := b.walk.rootTree(commit, 0)
	if err == nil && lacking != nil {
		err = &MissingObjectError{b.walk.r.repo.address().Host, commit.hash()}
	}
	if err != nil {
		return made, base, err
	}
	made, err = b.directory(commit.hash(), "", base, true, root)
	return made, base, err
}

// directory writes the files of a node into a directory, which may be new, and returns its tree.
func (b *builder) directory(commit Hash, path string, base oid, exists bool, n *node) (oid, error) {
	var raw []byte
	if exists {
		var lacking *lack
		var err error
		raw, lacking, err = b.walk.load(lack{id: base, kind: kindTree})
		if err == nil && lacking != nil {
			err = &MissingObjectError{b.walk.r.repo.address().Host, base.hash()}
		}
		if err != nil {
			return oid{}, err
		}
	}
	changes := make([]change, 0, len(n.dirs)+len(n.files))
	for _, name := range slices.Sorted(maps.Keys(n.dirs)) {
		full := join(path, name)
		e, found, malformed := findEntry(raw, name)
		if malformed != "" {
			return oid{}, &MalformedError{base.hash(), malformed}
		}
		if found && !e.isTree() {
			why := e.mode.refusal()
			if why == "" {
				why = "it is a file, not a directory"
			}
			return oid{}, refusePath(full, why)
		}
		sub, err := b.directory(commit, full, e.id, found, n.dirs[name])
		if err != nil {
			return oid{}, err
		}
		if !found || sub != e.id {
			changes = append(changes, change{name, modeTree, sub})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(n.files)) {
		c, changed, err := b.file(commit, raw, base, join(path, name), name, n.files[name])
		if err != nil {
			return oid{}, err
		}
		if changed {
			changes = append(changes, c)
		}
	}
	if len(changes) == 0 {
		return base, nil
	}
	out, edits, malformed := spliceTree(raw, changes)
	if malformed != "" {
		return oid{}, &MalformedError{base.hash(), malformed}
	}
	o := newObject{id: objectID(kindTree, out), obj: object{kindTree, out}}
	if exists {
		o.base, o.delta = base, editDelta(raw, edits, len(out))
	}
	return b.add(o), nil
}

// file makes the blob of one file. An existing file keeps its mode.
func (b *builder) file(commit Hash, raw []byte, dir oid, path, name string, data []byte) (change, bool, error) {
	e, found, malformed := findEntry(raw, name)
	if malformed != "" {
		return change{}, false, &MalformedError{dir.hash(), malformed}
	}
	o := newObject{id: objectID(kindBlob, data), obj: object{kindBlob, data}}
	if !found {
		return change{name, ModeFile, b.add(o)}, true, nil
	}
	if e.id == o.id && e.mode.Regular() {
		return change{}, false, nil
	}
	id, err := parseOID(string(commit))
	if err != nil {
		return change{}, false, err
	}
	_, old, err := b.walk.file(id, path)
	if err != nil {
		return change{}, false, err
	}
	o.base, o.delta = e.id, blobDelta(old, data)
	return change{name, e.mode, b.add(o)}, true, nil
}

func join(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}
