package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// Published is the folder of the repository with the figures and the picture that its README shows.
const Published = "testdata/bench"

// Where the README has the figures. What stands between is written by publish, and by nobody else.
const (
	readmeBegin = "<!-- figures of make bench PUBLISH=1 -->\n"
	readmeEnd   = "<!-- end of figures -->\n"
)

// publish puts the figures of a whole run into a checkout of this repository: bench.json and cost.svg, and the tables in README.md.
func (r results) publish(root, outDir string) error {
	if missing := r.missing(); len(missing) > 0 {
		return fmt.Errorf("publish the figures: this run has none of %s", strings.Join(missing, ", "))
	}
	readme := filepath.Join(root, "README.md")
	page, err := os.ReadFile(readme)
	if err != nil {
		return fmt.Errorf("publish the figures: %w", err)
	}
	text, err := os.ReadFile(filepath.Join(outDir, "bench.json"))
	if err != nil {
		return fmt.Errorf("publish the figures: %w", err)
	}
	figures, err := readFigures(text)
	if err != nil {
		return err
	}
	before, rest, began := strings.Cut(string(page), readmeBegin)
	_, after, ended := strings.Cut(rest, readmeEnd)
	if !began || !ended {
		return fmt.Errorf("publish the figures: %s has not both of the lines %q and %q", readme, strings.TrimSpace(readmeBegin), strings.TrimSpace(readmeEnd))
	}
	picture, err := os.ReadFile(filepath.Join(outDir, "cost.svg"))
	if err != nil {
		return fmt.Errorf("publish the figures: %w", err)
	}
	dir := filepath.Join(root, filepath.FromSlash(Published))
	err = errors.Join(os.MkdirAll(dir, 0o755),
		os.WriteFile(filepath.Join(dir, "bench.json"), text, 0o644), os.WriteFile(filepath.Join(dir, "cost.svg"), picture, 0o644),
		os.WriteFile(readme, []byte(before+readmeBegin+"\n"+readmeText(figures)+"\n"+readmeEnd+after), 0o644))
	if err != nil {
		return fmt.Errorf("publish the figures: %w", err)
	}
	return nil
}

// missing are the figures with a budget that a run has not got.
func (r results) missing() (names []string) {
	for _, b := range budgets() {
		if _, measured := r.figures[b.figure]; !measured {
			names = append(names, b.figure)
		}
	}
	return names
}

func readFigures(text []byte) (figures map[string]float64, err error) {
	if err := json.Unmarshal(text, &figures); err != nil {
		return nil, fmt.Errorf("read the figures: %w", err)
	}
	return figures, nil
}

// costs are the figures of a promotion that are compared with what a script pays.
func costs() []struct{ engine, name, said string } {
	return []struct{ engine, name, said string }{
		{shallowClone, "shallow_clone", "`git clone --depth 1`, `kustomize edit`, commit, push"},
		{fullClone, "full_clone", "the same with a full clone"},
		{sparseClone, "sparse_clone", "the same with a sparse clone without blobs"},
		{ours, "boatlift", "Boatlift"},
	}
}

// sizes are the sizes of repositories by their names in figures.
func sizes() []struct {
	suffix string
	files  int
} {
	return []struct {
		suffix string
		files  int
	}{{"1k", 1000}, {"20k", 20_000}, {"100k", 100_000}}
}

// addCosts adds the figures of all engines, so that the tables can be made of bench.json alone.
func (r results) addCosts() {
	r.figures["cores"] = float64(runtime.NumCPU())
	for _, size := range sizes() {
		for _, of := range costs() {
			cold, measured := r.cell(of.engine, opCold, size.files, 0)
			if !measured {
				continue
			}
			warm, kept := r.cell(of.engine, opProven, size.files, 0)
			if !kept {
				warm, _ = r.cell(of.engine, opWarm, size.files, 0)
			}
			r.figures[of.name+"_cold_ms_"+size.suffix], r.figures[of.name+"_warm_ms_"+size.suffix] = cold.Median.MS, warm.Median.MS
			r.figures[of.name+"_cold_received_kb_"+size.suffix] = cold.ToClient / 1000
		}
	}
}

// readmeText is what the README says of the figures.
func readmeText(figures map[string]float64) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Milliseconds of one promotion, from nothing and with what was kept of the one before, and what it receives from nothing:\n\n")
	b.WriteString("| how, and files in the repository |")
	for _, size := range sizes() {
		fmt.Fprintf(&b, " %s |", thousands(size.files))
	}
	b.WriteString("\n| --- |" + strings.Repeat(" ---: |", len(sizes())))
	for _, of := range costs() {
		fmt.Fprintf(&b, "\n| %s |", of.said)
		for _, size := range sizes() {
			fmt.Fprintf(&b, " %s, %s; %s kB |", figure(figures[of.name+"_cold_ms_"+size.suffix]), figure(figures[of.name+"_warm_ms_"+size.suffix]),
				figure(figures[of.name+"_cold_received_kb_"+size.suffix]))
		}
	}
	fmt.Fprintf(&b, "\n\n![Time of one promotion against the size of the repository](%s/cost.svg)\n\n", Published)
	fmt.Fprintf(&b, "All figures with a budget, on %s cores:\n\n", figure(figures["cores"]))
	b.WriteString(budgetTable(figures))
	return b.String()
}
