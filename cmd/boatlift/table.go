package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/boatlift/boatlift/internal/dashboard"
	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/promotion"
)

// terminalWidth is how many columns there are; COLUMNS says so where it is set. What is no terminal has as many as are needed.
func terminalWidth(w io.Writer) int {
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		return n
	}
	const unlimited = 1 << 20
	file, ok := w.(*os.File)
	if !ok {
		return unlimited
	}
	size, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Col == 0 {
		return unlimited
	}
	return int(size.Col)
}

// printTables shows apps by environments: what runs, what waits, and for what. Where that is wider than the terminal, every app is a
// block with a line for each environment.
func printTables(w io.Writer, tables []dashboard.Table, width int) {
	for _, t := range tables {
		if len(t.Apps) == 0 {
			continue
		}
		rows := cells(t)
		if tableWidth(rows) <= width {
			printWide(w, rows)
		} else {
			printNarrow(w, rows)
		}
		fmt.Fprintln(w)
	}
}

// cells are the texts of a table: the environments in the first row, the apps in the first column.
func cells(t dashboard.Table) [][]string {
	head := []string{""}
	for _, e := range t.Environments {
		head = append(head, columnName(t, e))
	}
	rows := [][]string{head}
	for _, app := range t.Apps {
		var names []string
		for _, n := range app.Images {
			names = append(names, n.Base())
		}
		if len(names) > 4 {
			names = append(names[:3], fmt.Sprintf("%d more", len(names)-3))
		}
		row := []string{shown(strings.Join(names, "+"))}
		for _, c := range app.Cells {
			row = append(row, cellText(c))
		}
		rows = append(rows, row)
	}
	return rows
}

// columnName is an environment's name, with its repository where two have the same.
func columnName(t dashboard.Table, of dashboard.Column) string {
	for _, other := range t.Environments {
		if other.Name == of.Name && other.Repo != of.Repo {
			return shown(of.Repo + ":" + of.Name)
		}
	}
	return shown(of.Name)
}

// cellText says how an app stands in an environment in few words.
func cellText(c dashboard.Cell) string {
	if !c.Listed {
		return "-"
	}
	text := c.Runs
	switch {
	case c.Runs == "" && c.Sets == "":
		text = "?"
	case c.Runs == "":
		text = c.Sets + "?" // nobody knows whether it runs
	case c.Runs != c.Sets && len(c.Next) == 0:
		text += ", base has " + c.Sets
	}
	for _, n := range c.Next {
		text += ", " + n.Label + " " + nextText(n)
	}
	if c.OnHold != "" {
		text += ", on hold"
	}
	return shown(text)
}

func nextText(n dashboard.Next) string {
	if !n.State.Active() {
		return string(n.State)
	}
	switch n.Gate {
	case gate.Allow:
		return "may be merged"
	case gate.Wait:
		return "waits for " + strings.Join(n.For, ", ")
	case gate.Deny:
		return "denied by " + strings.Join(n.For, ", ")
	default:
		return string(promotion.Opening)
	}
}

func columns(rows [][]string) []int {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, text := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(text))
		}
	}
	return widths
}

const between = "  "

func tableWidth(rows [][]string) int {
	total := 0
	for _, w := range columns(rows) {
		total += w + len(between)
	}
	return total - len(between)
}

func printWide(w io.Writer, rows [][]string) {
	widths := columns(rows)
	for _, row := range rows {
		var line strings.Builder
		for i, text := range row {
			line.WriteString(text + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(text)) + between)
		}
		fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
	}
}

func printNarrow(w io.Writer, rows [][]string) {
	widest := 0
	for _, name := range rows[0] {
		widest = max(widest, utf8.RuneCountInString(name))
	}
	for _, row := range rows[1:] {
		fmt.Fprintln(w, row[0])
		for i, text := range row[1:] {
			name := rows[0][i+1]
			fmt.Fprintln(w, "  "+name+strings.Repeat(" ", widest-utf8.RuneCountInString(name))+between+text)
		}
	}
}
