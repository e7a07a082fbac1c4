package conform

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// Report is what came of it.
type Report struct {
	Exchanges, Webhooks int
	Wrong               []string // what does not conform, a line each
	Needless            []string // names of exceptions that covered nothing
	Summary             string   // operations, webhooks and exceptions with their numbers, for people
}

// Report judges what is still queued and tells what came of it all. Nothing may be told to the Judge any more.
func (j *Judge) Report() Report {
	j.mu.Lock()
	j.closed = true
	j.more.Broadcast()
	j.mu.Unlock()
	j.workers.Wait()
	j.mu.Lock()
	defer j.mu.Unlock()
	r := Report{Exchanges: total(j.tallies), Webhooks: total(j.sent), Wrong: j.wrongLocked()}
	var text strings.Builder
	fmt.Fprintf(&text, "%d exchanges, %d of the document's %d operations:\n", r.Exchanges, len(j.tallies), j.rest.size())
	list(&text, j.tallies)
	fmt.Fprintf(&text, "%d webhooks, %d kinds:\n", r.Webhooks, len(j.sent))
	list(&text, j.sent)
	fmt.Fprintf(&text, "%d named exceptions, used:\n", len(j.exceptions))
	for i, e := range j.exceptions {
		fmt.Fprintf(&text, "%8d  %s: %s\n", j.used[i], e.Name, e.Reason)
		if j.used[i] == 0 {
			r.Needless = append(r.Needless, e.Name)
		}
	}
	r.Summary = text.String()
	return r
}

// wrongLocked lists the findings. Members of one object with the same fault share a line.
func (j *Judge) wrongLocked() []string {
	type line struct {
		parent  Finding
		members []string
		seen    sighted
	}
	lines := map[Finding]*line{}
	for _, f := range slices.SortedFunc(maps.Keys(j.found), func(a, b Finding) int { return cmp.Compare(a.String(), b.String()) }) {
		parent, member := f, ""
		if f.At != "" {
			parent.At, member = strings.TrimSuffix(path.Dir(f.At), "/"), path.Base(f.At)
		}
		l := lines[parent]
		if l == nil {
			l = &line{parent: parent, seen: *j.found[f]}
			lines[parent] = l
		}
		if member != "" {
			l.members = append(l.members, member)
		}
		l.seen.times = max(l.seen.times, j.found[f].times)
	}
	var wrong []string
	for _, l := range lines {
		f := l.parent
		if len(l.members) > 0 {
			f.At += "/" + strings.Join(l.members, " ")
		}
		wrong = append(wrong, fmt.Sprintf("%s (%d times, first in %s)", f, l.seen.times, l.seen.where))
	}
	slices.Sort(wrong)
	return wrong
}

func total(tallies map[string]int) (n int) {
	for _, k := range tallies {
		n += k
	}
	return n
}

func list(text *strings.Builder, tallies map[string]int) {
	byPath := func(a, b string) int {
		methodA, pathA, _ := strings.Cut(a, " ")
		methodB, pathB, _ := strings.Cut(b, " ")
		return cmp.Or(cmp.Compare(pathA, pathB), cmp.Compare(methodA, methodB))
	}
	for _, name := range slices.SortedFunc(maps.Keys(tallies), byPath) {
		fmt.Fprintf(text, "%8d  %s\n", tallies[name], name)
	}
}

func (d *restDocument) size() (n int) {
	for _, list := range d.operations {
		n += len(list)
	}
	return n
}
