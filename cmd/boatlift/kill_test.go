package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/boatlift/boatlift/cmd/sandbox/stage"
)

var seed = flag.Uint64("seed", 0, "when the bot is killed; 0: another time at every run")

// TestKill9 kills the bot again and again between the answer to a webhook and the second pull request. What was answered must not be lost,
// and nothing may be there twice.
func TestKill9(t *testing.T) {
	t.Parallel()
	rounds := 50
	if testing.Short() {
		rounds = 10
	}
	random := dice(t)
	log := &logWatch{}
	s := set(t, stage.Options{Log: log})
	ctx := t.Context()

	span := untouched(t, s, log, "1.5.0", func() { awaitOpened(t, log, "1.5.0", 2) })
	tags := []string{"1.5.0"}
	for i := 1; i <= rounds; i++ {
		tag := fmt.Sprintf("1.5.%d", i)
		tags = append(tags, tag)
		pushAndHear(t, s, log, tag)
		opened := log.until(2, isOpened(tag))
		kill(t, s, random, span, opened)
		for _, repo := range []string{stage.Acceptance, stage.Production} {
			if _, err := s.AwaitPull(ctx, repo, tag); err != nil {
				t.Fatalf("round %d: %v", i, err)
			}
		}
	}
	for _, repo := range []string{stage.Acceptance, stage.Production} {
		awaitOpenPulls(t, s, repo, 1)
	}
	if err := s.Quiet(ctx); err != nil {
		t.Fatal(err)
	}
	for _, repo := range []string{stage.Acceptance, stage.Production} {
		onePullEach(t, s, repo, tags)
		fsck(t, s, repo)
	}
	noFailedWork(t, s)
}

// TestKill9WhileMerging does the same to a bot that merges by itself, anywhere between a push and its arrival in production.
func TestKill9WhileMerging(t *testing.T) {
	t.Parallel()
	rounds := 12
	if testing.Short() {
		rounds = 3
	}
	random := dice(t)
	log := &logWatch{}
	s := set(t, stage.Options{Log: log, Config: map[string]string{stage.Acceptance: autoAcceptance, stage.Production: autoProduction}})
	ctx := t.Context()

	arrived := func(tag string) {
		t.Helper()
		for _, repo := range []string{stage.Acceptance, stage.Production} {
			if err := s.AwaitRuns(ctx, repo, tag); err != nil {
				t.Fatal(err)
			}
		}
	}
	span := untouched(t, s, log, "1.5.0", func() { arrived("1.5.0") })
	tags := []string{"1.5.0"}
	for i := 1; i <= rounds; i++ {
		tag := fmt.Sprintf("1.5.%d", i)
		tags = append(tags, tag)
		pushAndHear(t, s, log, tag)
		kill(t, s, random, span, nil)
		arrived(tag)
	}
	if err := s.Quiet(ctx); err != nil {
		t.Fatal(err)
	}
	for _, repo := range []string{stage.Acceptance, stage.Production} {
		onePullEach(t, s, repo, tags)
		pulls, err := s.Hub.Pulls(repo)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range pulls {
			if !p.Merged {
				t.Errorf("%s#%d (%s) is %s and not merged", repo, p.Number, p.Title, p.State)
			}
		}
		if merges := strings.Fields(git(t, s, repo, "rev-list", "--merges", "--first-parent", "main")); len(merges) != len(tags) {
			t.Errorf("%s has %d merges for %d releases", repo, len(merges), len(tags))
		}
		fsck(t, s, repo)
	}
	noFailedWork(t, s)
}

const (
	autoAcceptance = `environments:
  - name: acceptance
    rollout: {deployment: acceptance}
    merge: auto
`
	autoProduction = `environments:
  - name: production
    after: ["acme/infra-acceptance:acceptance"]
    rollout: {deployment: production}
    merge: auto
`
)

// dice says when the bot dies. The seed is printed, so that a run that fails can be had again as far as the machine allows.
func dice(t *testing.T) *rand.Rand {
	t.Helper()
	n := *seed
	if n == 0 {
		n = rand.Uint64()
	}
	t.Logf("-seed %d", n)
	return rand.New(rand.NewPCG(n, n))
}

// untouched lets one release go its way, and returns how long that took from the last webhook's answer on.
func untouched(t *testing.T, s *stage.Stage, log *logWatch, tag string, arrived func()) time.Duration {
	t.Helper()
	pushAndHear(t, s, log, tag)
	begun := time.Now()
	arrived()
	return time.Since(begun)
}

// pushAndHear pushes both images and waits until the bot has stored, and so answered, the webhook of the second.
func pushAndHear(t *testing.T, s *stage.Stage, log *logWatch, tag string) {
	t.Helper()
	stored := log.until(1, func(l logLine) bool {
		return l.Msg == "delivery" && l.Outcome == "stored" && strings.HasSuffix(l.About, "/shop/worker:"+tag)
	})
	if err := s.Push(t.Context(), tag); err != nil {
		t.Fatal(err)
	}
	await(t, stored, "the push of "+tag+" to be heard")
}

// kill ends the bot at a moment within a span, or when something happened before that, and starts it again.
func kill(t *testing.T, s *stage.Stage, random *rand.Rand, span time.Duration, before <-chan struct{}) {
	t.Helper()
	moment := time.NewTimer(time.Duration(random.Int64N(int64(span) + 1)))
	defer moment.Stop()
	select {
	case <-moment.C:
	case <-before:
	}
	if err := s.Bot.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := s.Bot.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func isOpened(tag string) func(logLine) bool {
	return func(l logLine) bool { return l.Msg == "pull request opened" && l.Release == tag }
}

func awaitOpened(t *testing.T, log *logWatch, tag string, n int) {
	t.Helper()
	await(t, log.until(n, isOpened(tag)), fmt.Sprintf("%d pull requests for %s", n, tag))
}

func await(t *testing.T, event <-chan struct{}, what string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	select {
	case <-event:
	case <-ctx.Done():
		t.Fatalf("waited in vain for %s", what)
	}
}

func awaitOpenPulls(t *testing.T, s *stage.Stage, repo string, n int) {
	t.Helper()
	err := stage.Await(t.Context(), patience, fmt.Sprintf("%s to have %d open pull requests", repo, n), func() (bool, error) {
		pulls, err := s.Hub.Pulls(repo)
		open := 0
		for _, p := range pulls {
			if p.State == "open" {
				open++
			}
		}
		return open == n, err
	})
	if err != nil {
		t.Error(err)
	}
}

// onePullEach holds a repository to one pull request for each release, and none besides.
func onePullEach(t *testing.T, s *stage.Stage, repo string, tags []string) {
	t.Helper()
	for _, tag := range tags {
		pulls, err := s.Pulls(repo, tag)
		if err != nil {
			t.Fatal(err)
		}
		if len(pulls) != 1 {
			t.Errorf("%s has %d pull requests for %s, want 1: %s", repo, len(pulls), tag, titles(pulls))
		}
	}
	all, err := s.Hub.Pulls(repo)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != len(tags) {
		t.Errorf("%s has %d pull requests for %d releases: %s", repo, len(all), len(tags), titles(all))
	}
	for _, p := range all {
		said, err := s.Hub.Comments(repo, p.Number)
		if err != nil {
			t.Fatal(err)
		}
		once := map[string]bool{}
		for _, c := range said {
			if once[c.Body] {
				t.Errorf("%s#%d has the same comment twice: %s", repo, p.Number, c.Body)
			}
			once[c.Body] = true
		}
	}
}

// noFailedWork waits until nothing is left that failed: what did is tried again.
func noFailedWork(t *testing.T, s *stage.Stage) {
	t.Helper()
	var failed []string
	err := stage.Await(t.Context(), patience, "what failed to be done", func() (bool, error) {
		status, err := s.Bot.Status(t.Context())
		failed = nil
		for _, w := range status.Work {
			if w.LastError != "" {
				failed = append(failed, w.Repo+": "+w.LastError)
			}
		}
		for _, r := range status.Repos {
			for _, e := range r.Environments {
				for _, p := range e.Promotions {
					if p.LastError != "" {
						failed = append(failed, r.Name+":"+e.Name+": "+p.LastError)
					}
				}
			}
		}
		return len(failed) == 0, err
	})
	if err != nil {
		t.Errorf("%v: %s", err, strings.Join(failed, "; "))
	}
}

// fsck holds a repository to git's own idea of a sound one.
func fsck(t *testing.T, s *stage.Stage, repo string) {
	t.Helper()
	if out := git(t, s, repo, "fsck", "--strict", "--full", "--no-dangling", "--no-progress"); out != "" {
		t.Errorf("git fsck of %s: %s", repo, out)
	}
}

func git(t *testing.T, s *stage.Stage, repo string, args ...string) string {
	t.Helper()
	dir, err := s.GitDir(repo)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir}, args...)...).CombinedOutput()
	if err != nil {
		t.Errorf("git %v in %s: %v\n%s", args, repo, err, out)
	}
	return string(out)
}

// logLine is what tests read of a line of the bot's log.
type logLine struct{ Msg, Outcome, About, Release, Level string }

// logWatch tells when the bot logs something. The bot's log is written to it, line by line.
type logWatch struct {
	mu      sync.Mutex
	waiting []*logWait
}

type logWait struct {
	left int
	so   func(logLine) bool
	done chan struct{}
}

// until returns a channel that is closed when so many lines that fit have come.
func (w *logWatch) until(n int, so func(logLine) bool) <-chan struct{} {
	wait := &logWait{left: n, so: so, done: make(chan struct{})}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting = append(w.waiting, wait)
	return wait.done
}

func (w *logWatch) Write(text []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for raw := range bytes.Lines(text) {
		var line logLine
		if json.Unmarshal(raw, &line) != nil {
			continue // a crash's trace, which the log file has
		}
		for _, wait := range w.waiting {
			if wait.left > 0 && wait.so(line) {
				if wait.left--; wait.left == 0 {
					close(wait.done)
				}
			}
		}
	}
	return len(text), nil
}
