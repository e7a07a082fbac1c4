package gitrepo

import (
	"bytes"
	"slices"
	"sort"
)

// Mode is what kind of entry a tree holds, as git numbers it.
type Mode uint32

// The modes that git writes. Old repositories hold others, such as 0100664.
const (
	ModeFile       Mode = 0o100644
	ModeExecutable Mode = 0o100755
	ModeSymlink    Mode = 0o120000
	ModeSubmodule  Mode = 0o160000
	modeTree       Mode = 0o040000
	modeFormat     Mode = 0o170000
)

// Regular reports whether the entry is a file with content.
func (m Mode) Regular() bool { return m&modeFormat == 0o100000 }

// refusal is why an entry of this mode is not read or written as a file, "" when it may be.
func (m Mode) refusal() string {
	switch m & modeFormat {
	case 0o100000:
		return ""
	case modeTree:
		return "it is a directory"
	case ModeSymlink:
		return "it is a symbolic link, which the bot does not follow"
	case ModeSubmodule:
		return "it is a submodule, which the bot does not enter"
	}
	return "it is neither a file nor a directory"
}

// entry is one line of a tree. name and the positions point into the raw tree.
type entry struct {
	mode       Mode
	name       []byte
	id         oid
	start, end int // of the whole entry
}

func (e entry) isTree() bool { return e.mode&modeFormat == modeTree }

// treeScanner reads a raw tree: "<octal mode> <name>\x00<20 bytes>", again and again. It trusts nothing: names without a
// slash and not empty, and git's order, which also rules out most duplicates.
type treeScanner struct {
	raw  []byte
	at   int
	last entry
	err  string
}

// next reads one entry. At the end, or when err is set, it returns false.
func (s *treeScanner) next() (entry, bool) {
	if s.at == len(s.raw) || s.err != "" {
		return entry{}, false
	}
	fail := func(why string) (entry, bool) {
		s.err = why
		return entry{}, false
	}
	rest := s.raw[s.at:]
	e := entry{start: s.at}
	i := 0
	for ; i < len(rest) && rest[i] != ' '; i++ {
		if rest[i] < '0' || rest[i] > '7' || i == 7 {
			return fail("tree entry without a mode")
		}
		e.mode = e.mode<<3 | Mode(rest[i]-'0')
	}
	if i == 0 || i == len(rest) {
		return fail("tree entry without a mode")
	}
	i++
	n := bytes.IndexByte(rest[i:], 0)
	if n < 0 || len(rest) < i+n+1+len(e.id) {
		return fail("tree ends within an entry")
	}
	e.name = rest[i : i+n]
	if n == 0 || bytes.IndexByte(e.name, '/') >= 0 {
		return fail("tree entry without a proper name")
	}
	copy(e.id[:], rest[i+n+1:])
	e.end = s.at + i + n + 1 + len(e.id)
	if s.last.name != nil && compareEntries(s.last.name, s.last.isTree(), e.name, e.isTree()) >= 0 {
		return fail("tree is not in git's order")
	}
	s.at, s.last = e.end, e
	return e, true
}

// compareEntries is git's order: as bytes, a directory as if its name ended with a slash.
func compareEntries(a []byte, aTree bool, b []byte, bTree bool) int {
	n := min(len(a), len(b))
	if c := bytes.Compare(a[:n], b[:n]); c != 0 {
		return c
	}
	return int(byteAfter(a, n, aTree)) - int(byteAfter(b, n, bTree))
}

func byteAfter(name []byte, n int, tree bool) byte {
	switch {
	case n < len(name):
		return name[n]
	case tree:
		return '/'
	}
	return 0
}

// findEntry looks for a name. The whole tree is read, so that one that is malformed anywhere, or has a file and a directory of the
// same name, is refused instead of half believed.
func findEntry(raw []byte, name string) (entry, bool, string) {
	s := treeScanner{raw: raw}
	var found entry
	ok := false
	for e, more := s.next(); more; e, more = s.next() {
		if string(e.name) == name {
			if ok {
				return entry{}, false, "tree has an entry twice"
			}
			found, ok = e, true
		}
	}
	return found, ok, s.err
}

// change sets one entry of a tree. mode is used only where the entry is new.
type change struct {
	name string
	mode Mode
	id   oid
}

// spliceTree sets entries in a raw tree and returns the new tree and the edits that lead to it. Everything else, neighbours'
// odd modes included, keeps its bytes. An empty raw makes a new tree.
func spliceTree(raw []byte, changes []change) (out []byte, edits []edit, malformed string) {
	byName := make(map[string]int, len(changes))
	for i, c := range changes {
		byName[c.name] = i
	}
	done := make([]bool, len(changes))
	edits = make([]edit, 0, len(changes))
	s := treeScanner{raw: raw}
	for e, more := s.next(); more; e, more = s.next() {
		i, ok := byName[string(e.name)]
		if !ok {
			continue
		}
		c := &changes[i]
		if done[i] {
			return nil, nil, "tree has an entry twice"
		}
		done[i] = true
		if c.id != e.id {
			edits = append(edits, edit{e.end - len(c.id), e.end, c.id[:]})
		}
	}
	if s.err != "" {
		return nil, nil, s.err
	}
	edits = append(edits, insertions(raw, changes, done)...)
	slices.SortStableFunc(edits, func(a, b edit) int { return a.from - b.from })
	size := len(raw)
	for _, e := range edits {
		size += len(e.text) - (e.to - e.from)
	}
	out = make([]byte, 0, size)
	at := 0
	for _, e := range edits {
		out = append(append(out, raw[at:e.from]...), e.text...)
		at = e.to
	}
	return append(out, raw[at:]...), edits, ""
}

// insertions are the edits for entries that are not there yet, in git's order.
func insertions(raw []byte, changes []change, done []bool) []edit {
	var added []change
	for i, c := range changes {
		if !done[i] {
			added = append(added, c)
		}
	}
	if len(added) == 0 {
		return nil
	}
	sort.Slice(added, func(i, j int) bool {
		a, b := added[i], added[j]
		return compareEntries([]byte(a.name), a.mode == modeTree, []byte(b.name), b.mode == modeTree) < 0
	})
	edits := make([]edit, 0, len(added))
	s := treeScanner{raw: raw}
	e, more := s.next()
	for _, c := range added {
		for more && compareEntries(e.name, e.isTree(), []byte(c.name), c.mode == modeTree) < 0 {
			e, more = s.next()
		}
		at := len(raw)
		if more {
			at = e.start
		}
		edits = append(edits, edit{at, at, encodeEntry(c)})
	}
	return edits
}

func encodeEntry(c change) []byte {
	mode := []byte("100644 ")
	switch c.mode {
	case modeTree:
		mode = []byte("40000 ")
	case ModeExecutable:
		mode = []byte("100755 ")
	}
	b := make([]byte, 0, len(mode)+len(c.name)+1+len(c.id))
	b = append(append(b, mode...), c.name...)
	return append(append(b, 0), c.id[:]...)
}
