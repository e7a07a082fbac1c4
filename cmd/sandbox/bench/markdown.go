package bench

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

// budget is what a figure should be: at least, or at most, so much.
type budget struct {
	figure, what, unit string
	bound              float64
	least              bool // the figure should not be below bound; otherwise not above it
}

func budgets() []budget {
	return []budget{
		{"cold_ratio_20k", "a promotion, cold, in 20,000 files", "times faster than a shallow clone", 12, true},
		{"cold_received_kb_20k", "what it receives", "kB", 80, false},
		{"warm_ratio_20k", "a promotion, warm, in 20,000 files", "times faster than a shallow clone that is kept", 9, true},
		{"warm_sent_kb_20k", "what it sends", "kB", 1.5, false},
		{"warm_requests", "its requests at git, where a webhook told the base", "", 1, false},
		{"promotion_rss_mb_100k", "memory of a promotion above idle, in 100,000 files", "MB", 8, false},
		{"ingest_sqlite_64", "events stored and answered, SQLite, 64 senders", "a second", 3000, true},
		{"ingest_sqlite_p99_ms", "99 of 100 answers within", "ms", 60, false},
		{"ingest_postgres_64", "events stored and answered, PostgreSQL, 64 senders", "a second", 3000, true},
		{"ingest_postgres_p99_ms", "99 of 100 answers within", "ms", 60, false},
		{"event_to_pr_p50_ms", "from an event to its open pull request, 30 ms per request, after settling", "ms", 300, false},
		{"event_to_pr_forge_requests", "requests at the forge for a pull request and its gate", "", 4, false},
		{"burst500_p95_s", "500 apps of two repositories pushed at once, no limits: 95 of 100 pull requests open within", "s", 30, false},
		{"burst500_limited_refused", "the same where the forge counts: writes that it refused", "", 0, false},
		{"idle_rss_mb", "idle memory", "MB", 40, false},
		{"start_ms", "start", "ms", 300, false},
	}
}

func (b budget) kept(value float64) bool {
	return b.least && value >= b.bound || !b.least && value <= b.bound
}

func (b budget) want() string {
	text := "at most "
	if b.least {
		text = "at least "
	}
	return text + strings.TrimSpace(figure(b.bound)+" "+b.unit)
}

// figure writes a number as people read it: three digits that count, thousands apart.
func figure(v float64) string {
	if v < 1000 {
		return fmt.Sprintf("%.3g", v)
	}
	return thousands(int(v + 0.5))
}

// budgetTable compares figures with their budgets.
func budgetTable(figures map[string]float64) string {
	var b strings.Builder
	b.WriteString("| what | budget | measured | kept |\n| --- | --- | --- | --- |\n")
	for _, u := range budgets() {
		value, measured := figures[u.figure]
		if !measured {
			continue
		}
		kept := "yes"
		if !u.kept(value) {
			kept = "no"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", u.what, u.want(), figure(value), kept)
	}
	return b.String()
}

// markdown is the result as a page.
func (r results) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured by `make bench` on %d cores (%s/%s), medians of %d runs side by side.\n\n", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, rounds)
	b.WriteString(budgetTable(r.figures))
	files, latency := -1, -1
	for _, c := range r.cells {
		if c.Files != files || c.LatencyMS != latency {
			files, latency = c.Files, c.LatencyMS
			fmt.Fprintf(&b, "\nOne promotion in %s files, %d ms per request:\n\n", figure(float64(files)), latency)
			b.WriteString("| how | | ms | times faster | kB received | kB sent | requests | MB |\n| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n")
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %s |\n", c.Engine, said(c.Op), figure(c.Median.MS), figure(c.Ratio),
			figure(c.ToClient/1000), figure(c.ToServer/1000), figure(c.Requests), figure(c.Median.RSSMB))
	}
	return b.String()
}

func (r results) writeMarkdown(path string) error {
	return os.WriteFile(path, []byte(r.markdown()), 0o644)
}
