package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Options say what is measured and where to.
type Options struct {
	Small     bool      // in two minutes, with repositories of 10 and 1,000 files
	Parts     []string  // what is measured, of Parts(); empty: everything
	BotPath   string    // the boatlift program
	Kustomize string    // the kustomize program
	Postgres  string    // the URL of an empty PostgreSQL database to measure with; empty: one of its own, where the machine has PostgreSQL
	OutDir    string    // where bench.json, bench.md and cost.svg go
	Publish   string    // the checkout of this repository whose README is to show the figures; empty: none
	Table     io.Writer // the result, for people
	Progress  io.Writer
}

// Run measures everything, writes the table, bench.json, bench.md and cost.svg.
func Run(ctx context.Context, o Options) (err error) {
	dir, err := os.MkdirTemp("", "boatlift-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	begun := time.Now()
	say := func(format string, args ...any) {
		fmt.Fprintf(o.Progress, "%6.1fs  %s\n", time.Since(begun).Seconds(), fmt.Sprintf(format, args...))
	}
	var cells []cell
	if o.has(promotions) {
		if cells, err = measureGit(ctx, dir, o.Kustomize, gitPlanOf(o.Small), say); err != nil {
			return fmt.Errorf("measure promotions: %w", err)
		}
	}
	r := results{figures: map[string]float64{}, cells: cells}
	r.addGit()
	r.addCosts()
	if err := measureLive(ctx, &live{dir: dir, o: o, say: say, r: r}); err != nil {
		return err
	}
	r.print(o.Table)
	if err := r.write(filepath.Join(o.OutDir, "bench.json")); err != nil {
		return err
	}
	if err := r.writeMarkdown(filepath.Join(o.OutDir, "bench.md")); err != nil {
		return err
	}
	if len(cells) > 0 {
		if err := drawCost(filepath.Join(o.OutDir, "cost.svg"), cells); err != nil {
			return err
		}
	}
	if o.Publish == "" {
		return nil
	}
	return r.publish(o.Publish, o.OutDir)
}

// The parts of the benchmark.
const (
	promotions = "promotions"
	start      = "start"
	ingest     = "ingest"
	event      = "event"
	bursts     = "burst"
)

// Parts are the names of what is measured, in the order in which it is.
func Parts() []string { return []string{promotions, start, ingest, event, bursts} }

func (o Options) has(part string) bool { return len(o.Parts) == 0 || slices.Contains(o.Parts, part) }

// measureLive measures the bot's process.
func measureLive(ctx context.Context, l *live) error {
	apps, senders := 500, []int{1, 8, 64}
	if l.o.Small {
		apps = 50
	}
	const limit = 2400 // writes a minute: GitHub's 80, thirty times faster, which is still below what the burst writes
	for _, step := range []struct {
		part, say string
		measure   func() error
	}{
		{start, "start and idle memory", func() error { return l.startAndIdle(ctx) }},
		{ingest, "events that SQLite takes in", func() error { return l.ingest(ctx, "sqlite", "", senders) }},
		{ingest, "events that PostgreSQL takes in", func() error { return l.postgres(ctx, senders) }},
		{event, "from an event to its pull request", func() error { return l.eventToPull(ctx) }},
		{bursts, fmt.Sprintf("a burst of %d apps", apps), func() error { return l.burst(ctx, apps, 0) }},
		{bursts, fmt.Sprintf("a burst of %d apps where the forge refuses more than %d writes a minute", apps, limit), func() error {
			if l.o.Small {
				return nil // it takes a minute by itself
			}
			return l.burst(ctx, apps, limit)
		}},
	} {
		if !l.o.has(step.part) {
			continue
		}
		l.say("%s", step.say)
		if err := step.measure(); err != nil {
			return fmt.Errorf("measure %s: %w", step.say, err)
		}
	}
	return nil
}

func gitPlanOf(small bool) gitPlan {
	const pause = 30 * time.Millisecond
	if small {
		return gitPlan{sizes: []int{10, 1000}, latency: map[int][]time.Duration{10: {0}, 1000: {0, pause}}, goGitTo: 1000}
	}
	return gitPlan{
		sizes:   []int{10, 1000, 20_000, 100_000},
		latency: map[int][]time.Duration{10: {0}, 1000: {0, pause}, 20_000: {0, pause}, 100_000: {0}},
		goGitTo: 1000,
	}
}

// results are all figures, and the table of promotions.
type results struct {
	figures map[string]float64
	cells   []cell
}

func (r results) cell(engine, op string, files, latency int) (cell, bool) {
	for _, c := range r.cells {
		if c.Engine == engine && c.Op == op && c.Files == files && c.LatencyMS == latency {
			return c, true
		}
	}
	return cell{}, false
}

// addGit takes the figures of the budget out of the table. A size that was not measured has none.
func (r results) addGit() {
	for suffix, files := range map[string]int{"1k": 1000, "20k": 20_000, "100k": 100_000} {
		cold, measured := r.cell(ours, opCold, files, 0)
		if !measured {
			continue
		}
		warm, _ := r.cell(ours, opProven, files, 0)
		r.figures["cold_ratio_"+suffix], r.figures["warm_ratio_"+suffix] = cold.Ratio, warm.Ratio
		r.figures["cold_received_kb_"+suffix], r.figures["warm_sent_kb_"+suffix] = cold.ToClient/1000, warm.ToServer/1000
		r.figures["promotion_rss_mb_"+suffix] = max(cold.Median.AddMB, warm.Median.AddMB)
		r.figures["warm_requests"] = warm.Requests
	}
}

// write writes one flat object of numbers.
func (r results) write(path string) error {
	rounded := map[string]json.Number{}
	for name, value := range r.figures {
		rounded[name] = json.Number(fmt.Sprintf("%.4g", value))
		if value >= 1000 {
			rounded[name] = json.Number(fmt.Sprintf("%.0f", value))
		}
	}
	text, err := json.MarshalIndent(rounded, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}
