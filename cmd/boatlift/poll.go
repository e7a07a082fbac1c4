package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/boatlift/boatlift/internal/config"
	"github.com/boatlift/boatlift/internal/dashboard"
	"github.com/boatlift/boatlift/internal/polling"
	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/registry"
	"github.com/boatlift/boatlift/internal/store"
)

// makePoller makes the poller of the registries whose host is known.
func makePoller(bot config.Bot, db *store.Store, asker polling.Asker, parse func([]byte) (promotion.Config, error), count *metrics, log *slog.Logger) (*polling.Poller, []dashboard.Polling, error) {
	var registries []polling.Registry
	var polls []dashboard.Polling
	for _, r := range bot.Registries {
		kind, err := registry.Lookup(r.Type)
		if err != nil {
			return nil, nil, fmt.Errorf("registry %s: %w", r.Name, err)
		}
		one := polling.Registry{Name: r.Name, Host: r.Host, Every: r.Poll}
		if one.Host == "" {
			one.Host = kind.Host
		}
		switch {
		case one.Host == "":
			log.Info("registry is not polled, as its host is not known", "registry", r.Name)
			continue
		case r.PollOff:
			one.Every = 0
		case one.Every == 0:
			one.Every, one.Told = kind.Poll(), registry.Public(one.Host)
		}
		if r.PollOff {
			one.Told = registry.Public(one.Host)
		}
		registries = append(registries, one)
		polls = append(polls, dashboard.Polling{Name: one.Name, Host: one.Host, Every: one.Every})
	}
	poller, err := polling.New(polling.Options{Store: db, Asker: asker, Registries: registries, Parse: parse, Now: db.Now, Log: log, Observe: count.polled})
	return poller, polls, err
}

// errStopping ends what a person asked for when the bot ends.
var errStopping = errors.New("the bot is stopping; ask again when it is back")

// syncUntil lets the API sync until the bot stops.
func syncUntil(stopping context.Context, poller *polling.Poller) func(context.Context, dashboard.SyncOrder, func(any)) (any, error) {
	return func(ctx context.Context, o dashboard.SyncOrder, tell func(any)) (any, error) {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		defer context.AfterFunc(stopping, func() { cancel(errStopping) })()
		return poller.Sync(ctx, polling.Sync{Images: o.Images, DryRun: o.DryRun, Actor: o.Actor, Role: o.Role}, func(s polling.Step) { tell(s) })
	}
}

func pollCounters() (asked, found *prometheus.CounterVec) {
	asked = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "boatlift_registry_listings_total", Help: "Questions for all tags of an image, by registry and result (done, failed).",
	}, []string{"registry", "result"})
	found = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "boatlift_registry_found_total", Help: "Pushes that were found by asking a registry, as no webhook had told of them.",
	}, []string{"registry"})
	return asked, found
}

func (m *metrics) polled(registry, result string, found int) {
	m.asked.WithLabelValues(registry, result).Inc()
	m.found.WithLabelValues(registry).Add(float64(found))
}

// polled collects what the database knows of polling.
type polled struct{ db *store.Store }

var (
	pollResting = prometheus.NewDesc("boatlift_registry_left_alone_seconds", "For how long a registry is still left alone, because it cannot be asked or wants to be.", []string{"registry"}, nil)
	pollFailing = prometheus.NewDesc("boatlift_registry_failing_images", "Images that environments run whose tags could not be listed the last time, by host.", []string{"host"}, nil)
	pollOldest  = prometheus.NewDesc("boatlift_registry_oldest_listing_seconds", "How long ago the tags of the image that waits longest were listed, of those that ever were, by host.", []string{"host"}, nil)
)

// Describe implements prometheus.Collector.
func (p *polled) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{pollResting, pollFailing, pollOldest} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (p *polled) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	now := p.db.Now()
	rows, err := p.db.Polls(ctx)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(pollResting, err)
		return
	}
	for name, row := range rows {
		ch <- prometheus.MustNewConstMetric(pollResting, prometheus.GaugeValue, max(row.Until.Sub(now).Seconds(), 0), name)
	}
	due, err := p.db.PollsDue(ctx)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(pollFailing, err)
		return
	}
	failing, oldest := map[string]int{}, map[string]time.Duration{}
	for _, d := range due {
		if d.PolledAt.IsZero() && d.Err == "" {
			continue // nobody asks for it
		}
		host := d.Image.Host()
		if failing[host] += 0; d.Err != "" {
			failing[host]++
		}
		if !d.PolledAt.IsZero() {
			oldest[host] = max(oldest[host], now.Sub(d.PolledAt))
		}
	}
	for host, n := range failing {
		ch <- prometheus.MustNewConstMetric(pollFailing, prometheus.GaugeValue, float64(n), host)
	}
	for host, age := range oldest {
		ch <- prometheus.MustNewConstMetric(pollOldest, prometheus.GaugeValue, age.Seconds(), host)
	}
}
