package kustomize

import (
	"slices"
	"strings"
)

// edit replaces src[start:end] by text.
type edit struct {
	start, end int
	text       string
	owner      int    // index of the change that wants it
	newLine    string // set for whole lines inserted at the end of a file: the ending that the line before must have
}

// wholeLines reports whether the edit only inserts lines, and so touches none that is there.
func (e edit) wholeLines(s *source) bool {
	return e.start == e.end && (e.newLine != "" || (e.start == s.starts[s.line(e.start)] && strings.HasSuffix(e.text, "\n")))
}

// touched are the lines [first, after) of the old file that an edit changes, removes or, where it is empty, stands before.
func (e edit) touched(s *source) (first, after int) {
	first = s.line(e.start)
	if e.wholeLines(s) {
		if e.start > s.starts[first] {
			first++ // after the last line, which has no ending
		}
		return first, first
	}
	return first, s.line(max(e.start, e.end-1)) + 1
}

// sortEdits brings edits into the order of the file; at one place insertions come in the order in which they were asked for.
// It reports the first that overlaps its predecessor.
func sortEdits(edits []edit) (overlap *edit) {
	slices.SortStableFunc(edits, func(a, b edit) int {
		if a.start != b.start {
			return a.start - b.start
		}
		return min(a.end-a.start, 1) - min(b.end-b.start, 1)
	})
	for i := 1; i < len(edits); i++ {
		if edits[i].start < edits[i-1].end || (edits[i].start == edits[i-1].start && edits[i].end > edits[i].start && edits[i-1].end > edits[i-1].start) {
			return &edits[i]
		}
	}
	return nil
}

// apply writes sorted edits into a copy of src[from:to].
func apply(src []byte, from, to int, edits []edit) []byte {
	size := to - from
	for _, e := range edits {
		size += len(e.text) + len(e.newLine)
	}
	out := make([]byte, 0, size)
	for _, e := range edits {
		out = append(out, src[from:e.start]...)
		if e.newLine != "" && len(out) > 0 && out[len(out)-1] != '\n' {
			out = append(out, e.newLine...)
		}
		out = append(out, e.text...)
		from = e.end
	}
	return append(out, src[from:to]...)
}

// lineChanges says which lines sorted edits change, for each owner and for all together.
func (s *source) lineChanges(edits []edit, owners int) (all []LineChange, byOwner [][]LineChange) {
	byOwner = make([][]LineChange, owners)
	shift := 0
	for i := 0; i < len(edits); {
		first, after := edits[i].touched(s)
		j := i + 1
		for ; j < len(edits); j++ { // edits that share a line are one change of lines
			f, a := edits[j].touched(s)
			if f >= after || edits[j].wholeLines(s) != edits[i].wholeLines(s) {
				break
			}
			after = max(after, a)
		}
		group := edits[i:j]
		var changes []LineChange
		if first == after {
			changes = pairLines(nil, splitLines(group[0].text), first, first+shift)
		} else {
			from, to := s.starts[first], s.lineEnd(after-1)
			old := splitLines(string(s.src[from:to]))
			now := splitLines(string(apply(s.src, from, to, group)))
			changes = pairLines(old, now, first, first+shift)
		}
		for _, c := range changes {
			switch {
			case c.Before == 0:
				shift++
			case c.After == 0:
				shift--
			}
		}
		all = append(all, changes...)
		seen := -1
		for _, owner := range ownersOf(group) {
			if owner != seen {
				byOwner[owner] = append(byOwner[owner], changes...)
			}
			seen = owner
		}
		i = j
	}
	return all, byOwner
}

func ownersOf(edits []edit) []int {
	owners := make([]int, len(edits))
	for i, e := range edits {
		owners[i] = e.owner
	}
	slices.Sort(owners)
	return owners
}

// pairLines matches the lines of a small replaced piece: equal lines at both ends are unchanged, the rest pair up in order.
// before and after are the 0-based lines at which the piece begins in the old and in the new file.
func pairLines(old, now []string, before, after int) []LineChange {
	for len(old) > 0 && len(now) > 0 && old[0] == now[0] {
		old, now, before, after = old[1:], now[1:], before+1, after+1
	}
	for len(old) > 0 && len(now) > 0 && old[len(old)-1] == now[len(now)-1] {
		old, now = old[:len(old)-1], now[:len(now)-1]
	}
	var changes []LineChange
	for i := range max(len(old), len(now)) {
		c := LineChange{}
		if i < len(old) {
			c.Before, c.Old = before+i+1, trimEnding(old[i])
		}
		if i < len(now) {
			c.After, c.New = after+i+1, trimEnding(now[i])
		}
		changes = append(changes, c)
	}
	return changes
}

// splitLines cuts text after each line feed.
func splitLines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.SplitAfter(strings.TrimSuffix(text, "\n"), "\n")
}
