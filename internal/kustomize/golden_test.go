package kustomize

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what the editor does into the golden folders, to be read before it is committed")

// TestGolden edits before.yaml of every folder as its file change says and compares the bytes with after.yaml, and the changed
// lines, warnings or the error with the file report.
func TestGolden(t *testing.T) {
	folders, err := filepath.Glob("testdata/golden/*")
	if err != nil || len(folders) == 0 {
		t.Fatalf("no golden folders: %v", err)
	}
	for _, folder := range folders {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			before := readFile(t, filepath.Join(folder, "before.yaml"))
			changes := readChanges(t, filepath.Join(folder, "change"))
			after, report, err := Edit("kustomization.yaml", before, changes)
			if err == nil {
				checkReport(t, before, after, report)
				checkIdempotent(t, after, changes)
			}
			story := describe(report, err)
			if *update {
				writeGolden(t, folder, after, story, err)
				return
			}
			if want := string(readFile(t, filepath.Join(folder, "report"))); story != want {
				t.Errorf("report:\n%swant:\n%s", story, want)
			}
			if err != nil {
				return
			}
			if want := readFile(t, filepath.Join(folder, "after.yaml")); !bytes.Equal(after, want) {
				t.Errorf("after:\n%q\nwant:\n%q", after, want)
			}
		})
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func writeGolden(t *testing.T, folder string, after []byte, story string, failed error) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(folder, "report"), []byte(story), 0o644); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(folder, "after.yaml")
	if failed != nil {
		os.Remove(name)
		return
	}
	if err := os.WriteFile(name, after, 0o644); err != nil {
		t.Fatal(err)
	}
}

// describe writes a report or an error as people would read it.
func describe(r Report, err error) string {
	var b strings.Builder
	if err != nil {
		fmt.Fprintln(&b, "error:", err)
		if h, ok := err.(interface{ Hint() string }); ok {
			fmt.Fprintln(&b, "hint:", h.Hint())
		}
		return b.String()
	}
	if !r.Changed {
		fmt.Fprintln(&b, "unchanged")
	}
	for _, c := range r.Changes {
		fmt.Fprintf(&b, "entry %d, %s:", c.Index, c.Name)
		if c.Added {
			fmt.Fprint(&b, " added")
		}
		for _, f := range c.Fields {
			fmt.Fprintf(&b, " %s %q -> %q", f.Field, f.Old, f.New)
		}
		fmt.Fprintln(&b)
	}
	for _, l := range r.Lines {
		if l.Before > 0 {
			fmt.Fprintf(&b, "%3d - %s\n", l.Before, l.Old)
		}
		if l.After > 0 {
			fmt.Fprintf(&b, "%3d + %s\n", l.After, l.New)
		}
	}
	for _, w := range r.Warnings {
		fmt.Fprintf(&b, "warning, line %d: %s\n", w.Line, w.Text)
	}
	return b.String()
}

// readChanges reads one change per line: an argument of set image, or a name, and then options.
func readChanges(t *testing.T, path string) []Change {
	t.Helper()
	var changes []Change
	for line := range strings.Lines(string(readFile(t, path))) {
		words := strings.Fields(line)
		c, err := ParseAssignment(words[0])
		if err != nil {
			if len(words) == 1 {
				t.Fatal(err)
			}
			c = Change{Name: words[0]}
		}
		for _, word := range words[1:] {
			option, value, _ := strings.Cut(word, "=")
			switch option {
			case "newName":
				c.NewName = &value
			case "newTag":
				c.Tag = &value
			case "digest":
				c.Digest = &value
			case "undecided":
				c.Other = OtherUndecided
			case "keep":
				c.Other = OtherKeep
			case "no-add":
				c.Add = false
			case "allow-marked":
				c.AllowMarked = true
			case "move-refs":
				c.MoveRefs = true
			case "refs-under":
				c.RefsUnder = value
			case "index":
				n, err := strconv.Atoi(value)
				if err != nil {
					t.Fatal(err)
				}
				c.Index = &n
			default:
				t.Fatalf("%s: no option %q", path, word)
			}
		}
		changes = append(changes, c)
	}
	return changes
}

// checkReport holds a report against the bytes: every line that it does not name is the same as before, ending included, and
// every line that it names reads as it says.
func checkReport(t *testing.T, before, after []byte, r Report) {
	t.Helper()
	checkLines(t, before, after, r)
}

func checkLines(t interface{ Errorf(string, ...any) }, before, after []byte, r Report) {
	if r.Changed == bytes.Equal(before, after) {
		t.Errorf("report says changed: %v, the bytes say %v", r.Changed, !r.Changed)
	}
	bom := []byte(byteOrderMark)
	if bytes.HasPrefix(before, bom) != bytes.HasPrefix(after, bom) {
		t.Errorf("the byte order mark came or went")
	}
	before, after = bytes.TrimPrefix(before, bom), bytes.TrimPrefix(after, bom)
	old, now := bytes.SplitAfter(before, []byte("\n")), bytes.SplitAfter(after, []byte("\n"))
	oldReported, nowReported := map[int]string{}, map[int]string{}
	for _, l := range r.Lines {
		if l.Before > 0 {
			oldReported[l.Before-1] = l.Old
		}
		if l.After > 0 {
			nowReported[l.After-1] = l.New
		}
	}
	i := 0
	for j, line := range now {
		if text, reported := nowReported[j]; reported {
			if trimEnding(string(line)) != text {
				t.Errorf("line %d is %q, reported as %q", j+1, line, text)
			}
			continue
		}
		for ; i < len(old); i++ {
			text, reported := oldReported[i]
			if !reported {
				break
			}
			if trimEnding(string(old[i])) != text {
				t.Errorf("old line %d is %q, reported as %q", i+1, old[i], text)
			}
		}
		if i == len(old) {
			if len(line) > 0 {
				t.Errorf("line %d %q is new and not reported", j+1, line)
			}
			continue
		}
		// An unterminated last line may get an ending when lines follow it now.
		if !bytes.Equal(line, old[i]) && !(i == len(old)-1 && trimEnding(string(line)) == string(old[i])) {
			t.Errorf("line %d changed from %q to %q and is not reported", j+1, old[i], line)
		}
		i++
	}
	for ; i < len(old); i++ {
		if _, reported := oldReported[i]; !reported && len(old[i]) > 0 {
			t.Errorf("old line %d %q went and is not reported", i+1, old[i])
		}
	}
}

// checkIdempotent makes the same changes again and expects the same bytes.
func checkIdempotent(t *testing.T, after []byte, changes []Change) {
	t.Helper()
	again, report, err := Edit("kustomization.yaml", after, changes)
	if err != nil {
		t.Errorf("again: %v", err)
		return
	}
	if report.Changed || !bytes.Equal(again, after) {
		t.Errorf("again, it changes to\n%s", again)
	}
}
