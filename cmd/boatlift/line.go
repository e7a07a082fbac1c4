package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/boatlift/boatlift/internal/dashboard"
	"github.com/boatlift/boatlift/internal/promotion"
)

// printLine shows how long a line of pull requests is, and when its end will be reached.
func printLine(w io.Writer, l dashboard.Line, now time.Time) {
	pulls := "1 pull request"
	if l.Waiting != 1 {
		pulls = fmt.Sprintf("%d pull requests", l.Waiting)
	}
	var used []string
	if l.PerMinute > 0 {
		used = append(used, fmt.Sprintf("%d of %d writes in the last minute", l.LastMinute, l.PerMinute))
	}
	if l.PerHour > 0 {
		used = append(used, fmt.Sprintf("%d of %d in the last hour", l.LastHour, l.PerHour))
	}
	fmt.Fprintf(w, "waiting for the limits of writes at %s: %s (%s); the last opens %s\n", l.Forge, pulls, strings.Join(used, ", "), when(l.Ends, now))
}

// opensAt is when a promotion that stands in a line will be open.
func opensAt(lines []dashboard.Line, p promotion.Promotion) (time.Time, bool) {
	for _, l := range lines {
		for _, row := range l.Order {
			if row.Key == p.Repo && row.Promotion == p.ID {
				return row.At, true
			}
		}
	}
	return time.Time{}, false
}

// collectLines tells the same in metrics.
func (s *stored) collectLines(ctx context.Context, ch chan<- prometheus.Metric) {
	lines, err := s.db.Lines(ctx, s.limits)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(lineLength, err)
		return
	}
	now := s.db.Now()
	for _, l := range lines {
		installation := strconv.FormatInt(l.Installation, 10)
		ch <- prometheus.MustNewConstMetric(lineLength, prometheus.GaugeValue, float64(len(l.Waiting)), l.Forge, installation)
		ch <- prometheus.MustNewConstMetric(lineEnd, prometheus.GaugeValue, max(0, l.Ends().Sub(now).Seconds()), l.Forge, installation)
	}
}
