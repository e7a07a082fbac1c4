package forgetest

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

// Column is one forge of a table of promises.
type Column struct {
	Name string
	New  func(t testing.TB) Harness
}

// Promises proves every promise of every forge, and writes a line for each: what became of it at every forge, side by side, and below why
// something was left out where it was. A promise that no forge keeps is wrong.
func Promises(t *testing.T, out io.Writer, columns ...Column) {
	t.Helper()
	cells := make([]string, len(columns))
	line := func(promise string) {
		for i := range cells {
			cells[i] = fmt.Sprintf("%-8s", cells[i])
		}
		fmt.Fprintf(out, "| %s | %s |\n", strings.Join(cells, " | "), promise)
	}
	for i, column := range columns {
		cells[i] = column.Name
	}
	line("promise")
	for i := range cells {
		cells[i] = "--------"
	}
	line("---")
	var reasons []string
	for _, p := range allPromises() {
		clear(cells)
		for i, column := range columns {
			why := ""
			t.Run(p.name+"/"+column.Name, func(t *testing.T) {
				h := column.New(t)
				defer func() { cells[i], why = became(t, h) }()
				p.prove(t, h)
			})
			if why == "" {
				continue
			}
			why = fmt.Sprintf("%s %s", column.Name, why)
			n := slices.Index(reasons, why)
			if n < 0 {
				n = len(reasons)
				reasons = append(reasons, why)
			}
			cells[i] = fmt.Sprintf("- (%d)", n+1)
		}
		asked := slices.ContainsFunc(cells, func(cell string) bool { return cell != "" }) // -run may leave a promise out
		if asked && !slices.Contains(cells, "kept") && !slices.Contains(cells, "BROKEN") {
			t.Errorf("no forge was asked to keep %q", p.name)
		}
		if asked {
			line(p.name)
		}
	}
	for n, why := range reasons {
		fmt.Fprintf(out, "| (%d) %s\n", n+1, why)
	}
}

// became tells how a promise ended, and why it was left out if it was.
func became(t *testing.T, h Harness) (cell, why string) {
	switch {
	case t.Failed():
		return "BROKEN", ""
	case !t.Skipped():
		return "kept", ""
	}
	l, ok := h.(interface{ reason() string })
	if !ok || l.reason() == "" {
		t.Error("left out without a reason")
		return "BROKEN", ""
	}
	return "-", l.reason()
}

func (l *LeftOut) reason() string { return l.why }
