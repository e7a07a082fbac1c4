package gitrepo

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
)

// walk finds paths in commits over whatever objects are at hand, and fetches what it lacks: a few rounds, each one request for
// everything that is lacking. It keeps what it has seen, so that a small cache cannot make it fetch an object twice.
type walk struct {
	r *Remote

	mu     sync.Mutex
	seen   map[oid]object
	absent map[oid]error // what the server does not give
	read   bool          // the disk was asked
}

func (r *Remote) newWalk() *walk {
	return &walk{r: r, seen: make(map[oid]object), absent: make(map[oid]error)}
}

// get returns an object at hand.
func (w *walk) get(id oid) (object, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	o, ok := w.seen[id]
	if !ok {
		if o, ok = w.r.client.cache.get(cacheKey{w.r.repo.id, id}); ok {
			w.seen[id] = o
		} else if !w.read {
			w.readDiskLocked()
			o, ok = w.seen[id]
		}
	}
	return o, ok
}

// readDiskLocked takes what is kept on disk, once, unless all of that is in memory anyway.
func (w *walk) readDiskLocked() {
	w.read = true
	objs, order := w.r.repo.disk.load(w.r.client.cache.pushedOut())
	var commits []oid
	for _, id := range order {
		o := objs[id]
		if w.seen[id] = o; o.kind == kindCommit {
			commits = append(commits, id)
		}
		w.r.client.cache.put(cacheKey{w.r.repo.id, id}, o)
	}
	w.r.repo.recall(commits)
}

// keep takes the objects of an answer into the walk and the cache; trees last, so that they stay longest.
func (w *walk) keep(objs map[oid]object) {
	w.mu.Lock()
	defer w.mu.Unlock()
	maps.Copy(w.seen, objs)
	for _, trees := range []bool{false, true} {
		for id, o := range objs {
			if (o.kind != kindBlob) == trees {
				w.r.client.cache.put(cacheKey{w.r.repo.id, id}, o)
			}
		}
	}
	w.r.repo.disk.add(objs, func() map[oid]object { return w.seen })
}

// made takes objects that no server has yet into the walk, for a commit that continues theirs, and not into the cache.
func (w *walk) made(objects []newObject) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, o := range objects {
		w.seen[o.id] = o.obj
	}
}

func (w *walk) missing(id oid) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.absent[id]
}

// lack is an object that a walk cannot go on without.
type lack struct {
	id    oid
	kind  kind
	depth int // of a tree: how many directories lie above it
	below int // of a commit: how many directories the path has
}

// place is what a path leads to in a commit.
type place struct {
	mode   Mode
	id     oid
	exists bool
	lack   *lack // set when the way is not known yet
}

// load returns an object of the kind it must have, what is lacking, or why it cannot be had.
func (w *walk) load(l lack) ([]byte, *lack, error) {
	if err := w.missing(l.id); err != nil {
		return nil, nil, err
	}
	o, ok := w.get(l.id)
	if !ok {
		return nil, &l, nil
	}
	if o.kind != l.kind {
		return nil, nil, &MalformedError{l.id.hash(), "it is a " + o.kind.String() + " where a " + l.kind.String() + " should be"}
	}
	return o.data, nil, nil
}

// rootTree is the tree of a commit.
func (w *walk) rootTree(commit oid, below int) (oid, *lack, error) {
	data, lacking, err := w.load(lack{id: commit, kind: kindCommit, below: below})
	if lacking != nil || err != nil {
		return oid{}, lacking, err
	}
	info, err := parseCommit(commit, data)
	if err != nil {
		return oid{}, nil, err
	}
	root, err := parseOID(string(info.Tree))
	return root, nil, err
}

// lookup follows a path from a commit. "" is the root directory.
func (w *walk) lookup(commit oid, path string) (place, error) {
	var parts []string
	if path != "" {
		parts = strings.Split(path, "/")
	}
	id, lacking, err := w.rootTree(commit, max(len(parts)-1, 0))
	if lacking != nil || err != nil {
		return place{lack: lacking}, err
	}
	at := place{mode: modeTree, id: id, exists: true}
	for depth, name := range parts {
		raw, lacking, err := w.load(lack{id: at.id, kind: kindTree, depth: depth})
		if lacking != nil || err != nil {
			return place{lack: lacking}, err
		}
		e, found, malformed := findEntry(raw, name)
		switch {
		case malformed != "":
			return place{}, &MalformedError{at.id.hash(), malformed}
		case !found:
			return place{}, nil
		}
		at = place{mode: e.mode, id: e.id, exists: true}
		if depth < len(parts)-1 && !e.isTree() {
			if why := e.mode.refusal(); why != "" {
				return place{}, refusePath(path, strings.Join(parts[:depth+1], "/")+": "+why)
			}
			return place{}, nil // below a file there is nothing
		}
	}
	return at, nil
}

// target is a set of paths to find in a commit; with blobs, their content as well.
type target struct {
	commit oid
	paths  []string
	blobs  bool
}

// lacks is what the targets need next. Paths that cannot be had are left to the final look-up, which says why.
func (w *walk) lacks(targets []target) map[oid]lack {
	need := make(map[oid]lack)
	for _, t := range targets {
		for _, path := range t.paths {
			at, err := w.lookup(t.commit, path)
			if err != nil {
				continue
			}
			if at.lack == nil && t.blobs && at.exists && at.mode.Regular() {
				_, at.lack, _ = w.load(lack{id: at.id, kind: kindBlob})
			}
			if l := at.lack; l != nil {
				l.below = max(l.below, need[l.id].below)
				need[l.id] = *l
			}
		}
	}
	return need
}

// ensure fetches until every path of the targets is known or known not to be had. Its error is about the server as a whole.
func (w *walk) ensure(ctx context.Context, targets []target) error {
	for {
		need := w.lacks(targets)
		if len(need) == 0 {
			break
		}
		if err := w.fill(ctx, need, pathLadder); err != nil {
			return err
		}
	}
	for _, t := range targets {
		if w.missing(t.commit) == nil {
			w.r.repo.remember(t.commit)
		}
	}
	return nil
}

// maxWants bounds the objects named in one request: about 250 kB.
const maxWants = 5000

// fill fetches commits if any are lacking, else everything else at once. What the server does not have becomes absent, and the
// rest is asked for again.
func (w *walk) fill(ctx context.Context, need map[oid]lack, ladder func([]lack) []rung) error {
	batch := make([]lack, 0, len(need))
	for _, l := range need {
		if l.kind == kindCommit {
			batch = append(batch, l)
		}
	}
	commits := len(batch) > 0
	if !commits {
		batch = slices.AppendSeq(batch, maps.Values(need))
	}
	slices.SortFunc(batch, func(a, b lack) int { return slices.Compare(a.id[:], b.id[:]) })
	batch = batch[:min(len(batch), maxWants)]

	q := request{shallow: commits}
	for _, l := range batch {
		q.wants = append(q.wants, l.id)
	}
	if commits {
		if err := w.update(ctx, q.wants); err != nil {
			return err
		}
		q.wants = slices.DeleteFunc(q.wants, func(id oid) bool { _, ok := w.get(id); return ok })
		if len(q.wants) == 0 {
			return nil
		}
	}
	objs, err := w.r.climb(ctx, q, ladder(batch))
	if gone := (*MissingObjectError)(nil); errors.As(err, &gone) {
		id, bad := parseOID(string(gone.Object))
		if bad == nil && slices.Contains(q.wants, id) {
			w.mu.Lock()
			w.absent[id] = gone
			w.mu.Unlock()
			return nil
		}
	}
	if err != nil {
		return err
	}
	w.keep(objs)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range q.wants {
		if _, ok := objs[id]; !ok {
			w.absent[id] = &MissingObjectError{w.r.repo.address().Host, id.hash()}
		}
	}
	return nil
}

// updateBrake is the number of objects above which what happened since a known commit is not worth having.
const updateBrake = 2000

// update asks for what is new since commits that are known: when a branch has moved by a few commits that is one small answer
// with all changed trees and small files. It may bring nothing; only trouble with the server is an error.
func (w *walk) update(ctx context.Context, wants []oid) error {
	known := slices.DeleteFunc(w.r.repo.known(), func(id oid) bool { return slices.Contains(wants, id) })
	if len(known) == 0 {
		return nil
	}
	objs, err := w.r.climb(ctx, request{wants: wants, haves: known}, []rung{
		{filter{kind: filterSmallBlobs}, updateBrake},
		{filter{kind: filterTrees}, updateBrake},
		{filter{kind: filterNone}, updateBrake},
	})
	switch {
	case errors.Is(err, ErrTooLarge), errors.Is(err, ErrNoSuchObject):
		return nil // without what is known, then
	case err != nil:
		return err
	}
	w.keep(objs)
	return nil
}

// How the ladders choose. All numbers are objects; an object on the way costs about 40 to 100 bytes in a pack.
const (
	firstLevels  = 3    // directory levels that come with a commit
	levelsBrake  = 2000 // above it, only the root directory comes with the commit
	treesBrake   = 3000 // above it, directories are walked one level per request
	subtreeDepth = 3    // directories this deep are small enough to be fetched whole, with their small files
	subtreeBrake = 256  // unless one holds more
)

// pathLadder brings what leads to single files.
func pathLadder(batch []lack) []rung {
	var below, trees, shallowest int
	shallowest = maxDepth
	for _, l := range batch {
		below = max(below, l.below)
		if l.kind == kindTree {
			trees++
			shallowest = min(shallowest, l.depth)
		}
	}
	switch {
	case batch[0].kind == kindCommit:
		return []rung{
			{filter{filterTreeLevels, min(below+1, firstLevels)}, levelsBrake},
			{filter{filterTreeLevels, 1}, 0},
			{filter{kind: filterTrees}, treesBrake},
			{filter{kind: filterOnlyWanted}, 0},
			{filter{kind: filterTrees}, 0},
			{filter{kind: filterNone}, 0},
		}
	case trees == 0:
		return []rung{{filter{kind: filterNone}, 0}}
	}
	var rungs []rung
	if shallowest >= subtreeDepth {
		rungs = append(rungs, rung{filter{kind: filterSmallBlobs}, subtreeBrake * trees})
	}
	return append(rungs,
		rung{filter{filterTreeLevels, 1}, levelsBrake},
		rung{filter{kind: filterOnlyWanted}, 0},
		rung{filter{kind: filterTrees}, 0},
		rung{filter{kind: filterNone}, 0},
	)
}

// wholeLadder brings everything below a directory but the files' content.
func wholeLadder([]lack) []rung {
	return []rung{
		{filter{kind: filterTrees}, 0},
		{filter{kind: filterOnlyWanted}, 0},
		{filter{kind: filterNone}, 0},
	}
}

// levelLadder brings just the directories that are named: after a change, they are few.
func levelLadder([]lack) []rung {
	return []rung{
		{filter{kind: filterOnlyWanted}, 0},
		{filter{kind: filterTrees}, 0},
		{filter{kind: filterNone}, 0},
	}
}

// commitLadder brings a commit for its own sake.
func commitLadder([]lack) []rung {
	return []rung{
		{filter{kind: filterOnlyWanted}, 0},
		{filter{filterTreeLevels, 1}, 0},
		{filter{kind: filterTrees}, 0},
		{filter{kind: filterNone}, 0},
	}
}
