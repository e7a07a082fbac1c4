package bench

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const root = "../../.."

// published is what stands between the marks in a README.
func published(t *testing.T, root string) string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, began := strings.Cut(string(page), readmeBegin)
	said, _, ended := strings.Cut(rest, readmeEnd)
	if !began || !ended {
		t.Fatalf("README.md has not both of %q and %q", readmeBegin, readmeEnd)
	}
	return said
}

// TestTheReadmeShowsThePublishedFigures holds the tables of the README against the figures in the repository, and its picture to be there.
func TestTheReadmeShowsThePublishedFigures(t *testing.T) {
	said := published(t, root)
	text, err := os.ReadFile(filepath.Join(root, Published, "bench.json"))
	if errors.Is(err, fs.ErrNotExist) {
		if said != "" {
			t.Errorf("README.md has figures, and %s has none:\n%s", Published, said)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	figures, err := readFigures(text)
	if err != nil {
		t.Fatal(err)
	}
	if missing := (results{figures: figures}).missing(); len(missing) > 0 {
		t.Errorf("%s/bench.json has no %v: it is not of a whole run", Published, missing)
	}
	if want := "\n" + readmeText(figures) + "\n"; said != want {
		t.Errorf("README.md says\n%s\nand bench.json says\n%s", said, want)
	}
	if svg, err := os.ReadFile(filepath.Join(root, Published, "cost.svg")); err != nil || !strings.Contains(string(svg), "<svg") {
		t.Errorf("the picture of README.md: %v", err)
	}
}

func TestPublish(t *testing.T) {
	write := func(dir, name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	dir, out := t.TempDir(), t.TempDir()
	r := results{figures: map[string]float64{}}
	for i, b := range budgets() {
		r.figures[b.figure] = float64(i) + 0.23456
	}
	for _, size := range sizes() {
		for _, of := range costs() {
			r.cells = append(r.cells, cell{Engine: of.engine, Op: opCold, Files: size.files, Median: done{MS: 4321}, ToClient: 5600}, cell{Engine: of.engine, Op: opWarm, Files: size.files, Median: done{MS: 98.76}})
		}
	}
	r.addCosts()
	if err := r.write(filepath.Join(out, "bench.json")); err != nil {
		t.Fatal(err)
	}
	write(out, "cost.svg", "<svg/>")
	write(dir, "README.md", "# Before\n\n"+readmeBegin+"what was so last time\n"+readmeEnd+"\n# After\n")
	for range 2 { // the second time changes nothing
		if err := r.publish(dir, out); err != nil {
			t.Fatal(err)
		}
		said := published(t, dir)
		for _, want := range []string{"| 1,000 | 20,000 | 100,000 |", "| Boatlift | 4,321, 98.8; 5.6 kB |", Published + "/cost.svg", "| idle memory | at most 40 MB | 14.2 | yes |"} {
			if !strings.Contains(said, want) {
				t.Errorf("README.md does not say %q:\n%s", want, said)
			}
		}
		page, err := os.ReadFile(filepath.Join(dir, "README.md"))
		if err != nil || !strings.HasPrefix(string(page), "# Before\n\n") || !strings.HasSuffix(string(page), "\n# After\n") || strings.Contains(string(page), "last time") {
			t.Errorf("README.md is now %v\n%s", err, page)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, Published, "cost.svg")); err != nil {
		t.Error(err)
	}

	delete(r.figures, "burst500_p95_s")
	if err := r.publish(dir, out); err == nil || !strings.Contains(err.Error(), "burst500_p95_s") {
		t.Errorf("a run without a burst is published: %v", err)
	}
	r.figures["burst500_p95_s"] = 1
	write(dir, "README.md", "# Nothing to fill in\n")
	if err := r.publish(dir, out); err == nil || !strings.Contains(err.Error(), "has not both of the lines") {
		t.Errorf("a README without marks is filled in: %v", err)
	}
}
