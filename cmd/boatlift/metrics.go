package main

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/boatlift/boatlift/internal/forge/wire"
	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/store"
)

// metrics are what the bot counts, under the names that Prometheus' rules ask for: units in the name, totals of counters.
type metrics struct {
	registry   *prometheus.Registry
	deliveries *prometheus.CounterVec
	turns      *prometheus.HistogramVec
	requests   *prometheus.CounterVec
	remaining  *prometheus.GaugeVec
	asked      *prometheus.CounterVec
	found      *prometheus.CounterVec
	pulls      *prometheus.CounterVec
}

// newMetrics makes them. What the database knows is read when it is asked for, so that every replica tells the same.
func newMetrics(db *store.Store, limits store.Limits) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "boatlift_deliveries_total", Help: "Webhooks received, by endpoint and outcome (stored, ignored, duplicate, refused, unavailable).",
		}, []string{"endpoint", "outcome"}),
		turns: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "boatlift_turn_duration_seconds", Help: "How long turns took, by result (done, failed, lost).",
			Buckets: []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120},
		}, []string{"result"}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "boatlift_forge_requests_total", Help: "Requests sent to a forge's API, by installation, method and status (0: no answer).",
		}, []string{"forge", "installation", "method", "status"}),
		remaining: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "boatlift_forge_requests_remaining", Help: "Requests that the forge says are left in the present window, by installation and kind of limit.",
		}, []string{"forge", "installation", "resource"}),
	}
	m.pulls = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "boatlift_pull_requests_opened_total", Help: "Pull requests that this process opened, by environment.",
	}, []string{"environment"})
	m.asked, m.found = pollCounters()
	m.registry.MustRegister(
		m.asked, m.found, &polled{db: db},
		m.deliveries, m.turns, m.requests, m.remaining, m.pulls, &stored{db: db, limits: limits},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

func (m *metrics) delivered(endpoint string, outcome store.Outcome) {
	m.deliveries.WithLabelValues(endpoint, string(outcome)).Inc()
}

func (m *metrics) turned(result string, took time.Duration) {
	m.turns.WithLabelValues(result).Observe(took.Seconds())
}

func (m *metrics) opened(repo, environment string) {
	m.pulls.WithLabelValues(repo + ":" + environment).Inc()
}

// requested tells of the requests to one forge.
func (m *metrics) requested(forgeName string) func(wire.Request) {
	return func(r wire.Request) {
		installation := strconv.FormatInt(r.Installation, 10)
		m.requests.WithLabelValues(forgeName, installation, r.Method, strconv.Itoa(r.Status)).Inc()
		if r.Remaining >= 0 && r.Resource != "" {
			m.remaining.WithLabelValues(forgeName, installation, r.Resource).Set(float64(r.Remaining))
		}
	}
}

// stored collects what the database knows.
type stored struct {
	db     *store.Store
	limits store.Limits
}

var (
	workPending = prometheus.NewDesc("boatlift_work_pending", "Repositories that have work, by state (waiting, running, failed, stuck).", []string{"state"}, nil)
	workAge     = prometheus.NewDesc("boatlift_work_oldest_overdue_seconds", "For how long the work that is due longest has been due; 0 if none is.", nil, nil)
	pullsOpen   = prometheus.NewDesc("boatlift_pull_requests_open", "Open pull requests of the bot, by environment and what their gate says.", []string{"environment", "gate"}, nil)
	lineLength  = prometheus.NewDesc("boatlift_line_length", "New pull requests that wait, so that the limits of writes are kept to, by installation.", []string{"forge", "installation"}, nil)
	lineEnd     = prometheus.NewDesc("boatlift_line_end_seconds", "How long it will take until the last of them is open.", []string{"forge", "installation"}, nil)
	repoStates  = prometheus.NewDesc("boatlift_repositories", "Infra repositories, by state.", []string{"state"}, nil)
)

// Describe implements prometheus.Collector.
func (s *stored) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{workPending, workAge, pullsOpen, lineLength, lineEnd, repoStates} {
		ch <- d
	}
}

// Collect implements prometheus.Collector. A database that does not answer makes the scrape fail, which is how it is noticed.
func (s *stored) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	s.collectWork(ctx, ch)
	s.collectPulls(ctx, ch)
	s.collectLines(ctx, ch)
}

func (s *stored) collectWork(ctx context.Context, ch chan<- prometheus.Metric) {
	rows, err := s.db.Work(ctx)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(workPending, err)
		return
	}
	now := s.db.Now()
	states, oldest := map[string]int{"waiting": 0, "running": 0, "failed": 0, "stuck": 0}, time.Duration(0)
	for _, w := range rows {
		switch {
		case w.Stuck:
			states["stuck"]++
		case w.Owner != "" && w.LeaseUntil.After(now):
			states["running"]++
		case w.LastError != "":
			states["failed"]++
		case w.Pending:
			states["waiting"]++
		}
		if w.Owner == "" && !w.DueAt.IsZero() {
			oldest = max(oldest, now.Sub(w.DueAt))
		}
	}
	for state, n := range states {
		ch <- prometheus.MustNewConstMetric(workPending, prometheus.GaugeValue, float64(n), state)
	}
	ch <- prometheus.MustNewConstMetric(workAge, prometheus.GaugeValue, oldest.Seconds())
}

func (s *stored) collectPulls(ctx context.Context, ch chan<- prometheus.Metric) {
	repos, err := s.db.Repos(ctx)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(repoStates, err)
		return
	}
	states, names := map[string]int{}, map[promotion.RepoKey]string{}
	for _, r := range repos {
		states[string(r.State)]++
		names[r.Key] = r.FullName
	}
	for state, n := range states {
		ch <- prometheus.MustNewConstMetric(repoStates, prometheus.GaugeValue, float64(n), state)
	}
	open, err := s.db.Promotions(ctx, store.PromotionFilter{Active: true, Limit: 100_000})
	if err != nil {
		ch <- prometheus.NewInvalidMetric(pullsOpen, err)
		return
	}
	type key struct{ environment, gate string }
	counts := map[key]int{}
	for _, p := range open {
		verdict := "unknown"
		if p.Gate != nil {
			verdict = string(p.Gate.State)
		}
		counts[key{names[p.Repo] + ":" + p.Release.Environment, verdict}]++
	}
	for k, n := range counts {
		ch <- prometheus.MustNewConstMetric(pullsOpen, prometheus.GaugeValue, float64(n), k.environment, k.gate)
	}
}
