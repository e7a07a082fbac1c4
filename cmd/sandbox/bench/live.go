package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/boatlift/boatlift/cmd/sandbox/hub"
	"github.com/boatlift/boatlift/cmd/sandbox/images"
	"github.com/boatlift/boatlift/cmd/sandbox/stage"
	"github.com/boatlift/boatlift/internal/store/postgrestest"
)

// live measures the bot's process between a real registry and a forge that speaks GitHub's API over real git.
type live struct {
	dir string
	o   Options
	say func(string, ...any)
	r   results
	n   int
}

// set starts a bot with a stage of its own, and ends both afterwards.
func (l *live) set(ctx context.Context, so stage.Options, measure func(*stage.Stage, *journal) error) (err error) {
	l.n++
	j := &journal{}
	so.Dir, so.BotPath, so.Log = filepath.Join(l.dir, fmt.Sprint("stage-", l.n)), l.o.BotPath, j
	s, err := stage.Start(ctx, so)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return measure(s, j)
}

// journal reads the bot's own log: what happened when, by the bot's clock.
type journal struct {
	mu    sync.Mutex
	rest  []byte
	lines []entry
}

type entry struct {
	Time     time.Time
	Msg      string
	Outcome  string
	Endpoint string
	Release  string
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.rest = append(j.rest, p...)
	for {
		line, after, whole := bytes.Cut(j.rest, []byte{'\n'})
		if !whole {
			return len(p), nil
		}
		j.rest = after
		var e entry
		if json.Unmarshal(line, &e) == nil {
			j.lines = append(j.lines, e)
		}
	}
}

// find returns the lines that are so, in their order.
func (j *journal) find(so func(entry) bool) (found []entry) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, e := range j.lines {
		if so(e) {
			found = append(found, e)
		}
	}
	return found
}

// idleFor is how long a bot has had nothing to do when it counts as idle.
const idleFor = 5 * time.Second

// startAndIdle measures how long a start takes, and what an idle bot holds in memory.
func (l *live) startAndIdle(ctx context.Context) error {
	return l.set(ctx, stage.Options{}, func(s *stage.Stage, _ *journal) error {
		var starts []float64
		for range rounds {
			if err := s.Bot.Stop(); err != nil {
				return err
			}
			begun := time.Now()
			if err := s.Bot.Start(ctx); err != nil {
				return err
			}
			starts = append(starts, float64(time.Since(begun).Microseconds())/1000)
		}
		if err := s.Quiet(ctx); err != nil {
			return err
		}
		select {
		case <-time.After(idleFor): // as it has work to do at its start, it is not idle yet
		case <-ctx.Done():
			return ctx.Err()
		}
		rss, err := residentOf(s.Bot.PID())
		if err != nil {
			return err
		}
		l.r.figures["start_ms"], l.r.figures["idle_rss_mb"] = median(starts, func(v float64) float64 { return v }), rss
		return nil
	})
}

// ingestFor is how long senders post.
const ingestFor = 3 * time.Second

// ingest measures how many events are stored and answered, by so many senders at once, on one database.
func (l *live) ingest(ctx context.Context, database, config string, senders []int) error {
	return l.set(ctx, stage.Options{BotConfig: config}, func(s *stage.Stage, _ *journal) error {
		for _, n := range senders {
			if err := l.post(ctx, s, n, ingestFor/3, nil); err != nil { // warm
				return err
			}
			var took []time.Duration
			begun := time.Now()
			if err := l.post(ctx, s, n, ingestFor, &took); err != nil {
				return err
			}
			seconds := time.Since(begun).Seconds()
			slices.Sort(took)
			name := fmt.Sprintf("ingest_%s_%d", database, n)
			l.r.figures[name] = float64(len(took)) / seconds
			l.r.figures[fmt.Sprintf("ingest_%s_p99_ms", database)] = float64(took[len(took)*99/100].Microseconds()) / 1000 // of the most senders, at the end
			l.say("%s: %.0f events/s by %d senders, p99 %s", database, l.r.figures[name], n, took[len(took)*99/100].Round(100*time.Microsecond))
		}
		return nil
	})
}

// postgres measures the same with PostgreSQL: the one that is named, or a new one.
func (l *live) postgres(ctx context.Context, senders []int) error {
	url := l.o.Postgres
	if url == "" {
		cluster, stop, err := postgrestest.Start()
		if err != nil {
			l.say("%v; set BOATLIFT_BENCH_POSTGRES to the URL of an empty database to measure with that", err)
			return nil
		}
		defer stop()
		url = cluster.URL("postgres")
	}
	file := filepath.Join(l.dir, "postgres-url")
	if err := os.WriteFile(file, []byte(url), 0o600); err != nil {
		return err
	}
	return l.ingest(ctx, "postgres", "database: file:"+file+"\n", senders)
}

var eventNumber atomic.Int64

// post has n senders post one event after the other, each its own, of an image that no repository lists.
func (l *live) post(ctx context.Context, s *stage.Stage, n int, span time.Duration, took *[]time.Duration) error {
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: n}}
	defer client.CloseIdleConnections()
	var mu sync.Mutex
	var errs []error
	var all sync.WaitGroup
	end := time.Now().Add(span)
	for range n {
		all.Go(func() {
			var mine []time.Duration
			var err error
			for err == nil && time.Now().Before(end) {
				begun := time.Now()
				err = postEvent(ctx, client, s, eventNumber.Add(1))
				mine = append(mine, time.Since(begun))
			}
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
			if took != nil {
				*took = append(*took, mine...)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

func postEvent(ctx context.Context, client *http.Client, s *stage.Stage, number int64) error {
	body := fmt.Sprintf(`{"events":[{"id":"bench-%[1]d","timestamp":"2026-11-20T12:00:00Z","action":"push","target":{`+
		`"mediaType":"application/vnd.oci.image.manifest.v1+json","size":524,"digest":"sha256:%064[1]x","length":524,"repository":"bench/app",`+
		`"url":"http://%[2]s/v2/bench/app/manifests/x","tag":"1.0.%[1]d"},"request":{"id":"r","addr":"127.0.0.1","host":"%[2]s","method":"PUT","useragent":"bench"},`+
		`"actor":{},"source":{"addr":"%[2]s","instanceID":"i"}}]}`, number, s.Registry.Host())
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.Bot.URL()+"/hooks/registry", strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+stage.RegistryToken)
	r.Header.Set("Content-Type", "application/vnd.docker.distribution.events.v1+json")
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, answer.Body) // only then the connection is used again, as senders do
	if err := errors.Join(err, answer.Body.Close()); err != nil {
		return err
	}
	if answer.StatusCode != http.StatusAccepted {
		return fmt.Errorf("the bot answered %s to an event", answer.Status)
	}
	return nil
}

// eventToPull measures how long it takes from an event, as it is stored, to its pull request, as the forge says that it is open, in
// repositories that the bot has read and of which it knows what runs, with 30 ms per request at the forge; and how many requests of its API
// one pull request costs until it is open and shows its gate, and until all that it brings with it is done, as the pull requests of both
// repositories name each other.
func (l *live) eventToPull(ctx context.Context) error {
	const warm, runs = 2, 10
	var requests requestCount
	so := manyApps(warm+runs, "")
	so.Hub = func(o *hub.Options) { o.OnExchange = requests.add }
	return l.set(ctx, so, func(s *stage.Stage, j *journal) error {
		for _, repo := range []string{stage.Acceptance, stage.Production} { // rolled out, so that it is known what runs
			if _, err := s.Hub.Push(ctx, repo, hub.Commit{Person: "alice", Branch: "main", Message: "begin", Files: map[string][]byte{"apps/shop/README.md": []byte("shop\n")}}); err != nil {
				return err
			}
		}
		if err := s.Quiet(ctx); err != nil {
			return err
		}
		s.Hub.SetFaults(hub.Faults{Latency: 30 * time.Millisecond})
		var took, opened, all []float64
		for i := range warm + runs {
			if err := s.Quiet(ctx); err != nil {
				return err
			}
			requests.begin()
			heard, there := len(j.find(storedByRegistry)), len(j.find(openedPull))
			if _, err := s.Registry.Push(ctx, benchApp(i), "1.1.0", images.Image{}); err != nil {
				return err
			}
			err := stage.Await(ctx, time.Minute, "two pull requests", func() (bool, error) { return len(j.find(openedPull)) == there+2, nil })
			if err != nil {
				return err
			}
			heardAt := j.find(storedByRegistry)[heard].Time
			for _, at := range requests.openedAt() {
				took = append(took, float64(at.Sub(heardAt).Microseconds())/1000)
			}
			if err := s.Quiet(ctx); err != nil { // the gate is shown after the pull request is open
				return err
			}
			toGate, toRest := requests.end()
			opened, all = append(opened, float64(toGate)/2), append(all, float64(toRest)/2)
		}
		l.r.figures["event_to_pr_p50_ms"] = median(took[2*warm:], func(v float64) float64 { return v })
		l.r.figures["event_to_pr_forge_requests"] = median(opened[warm:], func(v float64) float64 { return v })
		l.r.figures["event_to_rest_forge_requests"] = median(all[warm:], func(v float64) float64 { return v })
		return nil
	})
}

// requestCount counts requests of the forge's API by repository.
type requestCount struct {
	mu     sync.Mutex
	toGate map[string]int  // up to the one that shows the gate
	shown  map[string]bool // the repositories of which it came
	opened []time.Time     // when the forge answered that a pull request is open
	all    int
}

func (c *requestCount) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.toGate, c.shown, c.opened, c.all = map[string]int{}, map[string]bool{}, nil, 0
}

func (c *requestCount) add(e hub.Exchange) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.toGate == nil {
		return
	}
	c.all++
	for _, repo := range []string{stage.Acceptance, stage.Production} {
		if path, of := strings.CutPrefix(e.Path, "/api/v3/repos/"+repo+"/"); of && !c.shown[repo] {
			c.toGate[repo]++
			c.shown[repo] = e.Method == http.MethodPost && path == "check-runs"
			if e.Method == http.MethodPost && path == "pulls" && e.Status == http.StatusCreated {
				c.opened = append(c.opened, time.Now())
			}
		}
	}
}

func (c *requestCount) end() (toGate, all int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range c.toGate {
		toGate += n
	}
	return toGate, c.all
}

func (c *requestCount) openedAt() []time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.opened)
}

func benchApp(i int) string { return fmt.Sprintf("bench/app-%03d", i) }

func openedPull(e entry) bool { return e.Msg == "pull request opened" }

// manyApps is a stage whose two repositories have so many apps of one image each.
func manyApps(apps int, botConfig string) stage.Options {
	const env = `environments:
  - name: %s
    rollout: {deployment: %[1]s}
    maxOpen: 0
    settle: 1s
%s`
	return stage.Options{
		BotConfig: botConfig,
		Config: map[string]string{
			stage.Acceptance: fmt.Sprintf(env, "acceptance", ""),
			stage.Production: fmt.Sprintf(env, "production", `    after: ["`+stage.Acceptance+`:acceptance"]`+"\n"),
		},
		More: func(host string) map[string][]byte {
			files := map[string][]byte{}
			for i := range apps {
				files[fmt.Sprintf("apps/app-%03d/kustomization.yaml", i)] = fmt.Appendf(nil, "images:\n  - name: app\n    newName: %s/%s\n    newTag: 1.0.0\n", host, benchApp(i))
			}
			return files
		},
	}
}

func storedByRegistry(e entry) bool {
	return e.Msg == "delivery" && e.Endpoint == "registry" && e.Outcome == "stored"
}

// burst pushes a new tag for every one of so many apps at once, and measures until the pull requests are open in both repositories. With
// a limit, the forge refuses what is above so many writes a minute, and the bot is told of it; the refusals are counted.
func (l *live) burst(ctx context.Context, apps, limit int) error {
	so := manyApps(apps, fmt.Sprintf("limits: {writesPerMinute: %d, writesPerHour: 0}\n", limit))
	var refused atomic.Int64
	so.Hub = func(o *hub.Options) {
		o.OnExchange = func(e hub.Exchange) {
			if e.Status == http.StatusForbidden || e.Status == http.StatusTooManyRequests {
				refused.Add(1)
			}
		}
	}
	return l.set(ctx, so, func(s *stage.Stage, j *journal) error {
		s.Hub.SetFaults(hub.Faults{ContentPerMinute: limit})
		begun := time.Now()
		for i := range apps {
			if _, err := s.Registry.Push(ctx, benchApp(i), "1.1.0", images.Image{}); err != nil {
				return err
			}
		}
		l.say("%d images were pushed in %s", apps, time.Since(begun).Round(time.Millisecond))
		told := time.Now()
		err := stage.Await(ctx, 20*time.Minute, "all pull requests", func() (bool, error) {
			open := len(j.find(openedPull))
			if time.Since(told) > 10*time.Second {
				told = time.Now()
				l.say("%d of %d pull requests are open", open, 2*apps)
			}
			return open >= 2*apps, nil
		})
		if err != nil {
			return err
		}
		events := j.find(storedByRegistry)
		last := events[len(events)-1].Time
		var took []float64
		for _, e := range j.find(openedPull) {
			took = append(took, e.Time.Sub(last).Seconds())
		}
		slices.Sort(took)
		p95 := took[len(took)*95/100]
		if limit == 0 {
			l.r.figures[fmt.Sprintf("burst%d_p95_s", apps)] = p95
			return nil
		}
		l.r.figures[fmt.Sprintf("burst%d_limited_p95_s", apps)] = p95
		l.r.figures[fmt.Sprintf("burst%d_limited_refused", apps)] = float64(refused.Load())
		return nil
	})
}
