package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/boatlift/boatlift/cmd/sandbox/hub"
	"github.com/boatlift/boatlift/cmd/sandbox/stage"
	"github.com/boatlift/boatlift/internal/dashboard"
)

// burstApps is how many apps are pushed at once.
const burstApps = 500

// burst is a stage with one more repository for each configuration, in which all apps are.
func burst(t *testing.T, o stage.Options, apps int, configs map[string]string) *stage.Stage {
	t.Helper()
	o.Mute = true
	s := set(t, o)
	digests, err := s.PushApps(t.Context(), apps, stage.FirstTag)
	if err != nil {
		t.Fatal(err)
	}
	for name, config := range configs {
		if err := s.AddRepo(t.Context(), name, config, digests); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Quiet(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// shownOn waits until so many pull requests are open in a repository, and each shows its gate.
func shownOn(t *testing.T, s *stage.Stage, repo string, n int) {
	t.Helper()
	err := stage.Await(t.Context(), 10*time.Minute, fmt.Sprintf("%d pull requests in %s that show their gate", n, repo), func() (bool, error) {
		pulls, err := s.Hub.Pulls(repo)
		if err != nil || len(pulls) < n {
			return false, err
		}
		for _, p := range pulls {
			if check, err := s.Check(repo, p.HeadSHA, stage.GateCheck); err != nil || check.Name == "" {
				return false, err
			}
		}
		return true, nil
	})
	if err != nil {
		t.Error(err)
	}
	pulls, err := s.Hub.Pulls(repo)
	if err != nil {
		t.Fatal(err)
	}
	if len(pulls) != n {
		t.Errorf("%s has %d pull requests, want %d", repo, len(pulls), n)
	}
}

func onePush(t *testing.T, s *stage.Stage, repo string) {
	t.Helper()
	if n, err := s.Hub.GitPushes(repo); err != nil || n != 1 {
		t.Errorf("%s was pushed to %d times (%v), want once for the whole burst", repo, n, err)
	}
}

// TestABurstIsOnePushPerRepository pushes many apps at once where nothing limits the bot: every app gets its pull request, by one push, and
// where they are a group there is one for all.
func TestABurstIsOnePushPerRepository(t *testing.T) {
	t.Parallel()
	apps := burstApps
	if testing.Short() {
		apps = 50
	}
	const single, grouped = "acme/infra-single", "acme/infra-grouped"
	s := burst(t, stage.Options{}, apps, map[string]string{
		single:  "environments:\n  - {name: acceptance, maxOpen: 0}\n",
		grouped: "environments:\n  - {name: acceptance, group: environment}\n",
	})
	begun := time.Now()
	if err := s.PushAtOnce(t.Context(), apps, "1.5.0"); err != nil {
		t.Fatal(err)
	}
	heard := time.Now()
	shownOn(t, s, single, apps)
	t.Logf("%d pull requests were open %s after they were pushed, which took %s", apps, time.Since(heard).Round(time.Millisecond), heard.Sub(begun).Round(time.Millisecond))
	shownOn(t, s, grouped, 1)
	if err := s.Quiet(t.Context()); err != nil {
		t.Error(err)
	}
	for _, repo := range []string{single, grouped} {
		onePush(t, s, repo)
		fsck(t, s, repo)
	}
	noFailedWork(t, s)
}

// TestABurstStaysWithinTheLimitsOfTheForge pushes more apps at once than a forge, which counts in every minute, lets the bot write for: not
// one write is refused, and meanwhile the bot says how long the line is and until when each has to wait.
func TestABurstStaysWithinTheLimitsOfTheForge(t *testing.T) {
	t.Parallel()
	// Minutes cannot be made shorter here, so that this takes a bit more than one: the limit is such that about half of the pull requests
	// open in the first.
	apps, limit := burstApps, 900
	if testing.Short() {
		apps, limit = 50, 90
	}
	const repo = "acme/infra-many"
	var refused atomic.Int32
	s := burst(t, stage.Options{
		BotConfig: fmt.Sprintf("limits: {writesPerMinute: %d, writesPerHour: 0}\n", limit),
		Hub: func(o *hub.Options) {
			o.OnExchange = func(e hub.Exchange) {
				if e.Status == http.StatusForbidden || e.Status == http.StatusTooManyRequests {
					refused.Add(1)
				}
			}
		},
	}, apps, map[string]string{repo: "environments:\n  - {name: production, maxOpen: 0}\n"})
	s.Hub.SetFaults(hub.Faults{ContentPerMinute: limit})
	ctx := t.Context()
	if err := s.PushAtOnce(ctx, apps, "1.5.0"); err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`waiting for the limits of writes at github: [0-9]+ pull requests \([0-9]+ of [0-9]+ writes in the last minute\); the last opens in [1-9]`)
	err := stage.Await(ctx, patience, "the bot to tell of its line", func() (bool, error) {
		told, err := s.Bot.Command(ctx, "status")
		return line.MatchString(told) && strings.Contains(told, "waits for the limits of writes; it opens in "), err
	})
	if err != nil {
		t.Error(err)
	}
	status, err := s.Bot.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if len(status.Lines) != 1 || status.Lines[0].Waiting == 0 || len(status.Lines[0].Order) != status.Lines[0].Waiting || status.Lines[0].PerMinute != limit {
		t.Fatalf("status tells of the lines %+v, want one", status.Lines)
	}
	last := status.Lines[0].Order[status.Lines[0].Waiting-1]
	for _, e := range findRepo(t, status, repo).Environments {
		for _, p := range e.Promotions {
			if p.ID != last.Promotion {
				continue
			}
			why, err := s.Bot.Command(ctx, "why", string(p.Release.Changes[0].Image)+":1.5.0")
			if err != nil || !strings.Contains(why, "its pull request waits, so that the limits of writes at the forge are kept to") {
				t.Errorf("why tells of the last of the line (%v):\n%s", err, why)
			}
		}
	}
	if text := metricsOf(t, s); !regexp.MustCompile(`(?m)^boatlift_line_length\{forge="github",installation="[0-9]+"\} [1-9]`).MatchString(text) {
		t.Errorf("no metric tells how long the line is")
	}
	shownOn(t, s, repo, apps)
	if err := s.Quiet(ctx); err != nil {
		t.Error(err)
	}
	if n := refused.Load(); n != 0 {
		t.Errorf("the forge refused %d writes", n)
	}
	onePush(t, s, repo)
	noFailedWork(t, s)
}

func findRepo(t *testing.T, status dashboard.Status, name string) dashboard.Repo {
	t.Helper()
	i := slices.IndexFunc(status.Repos, func(r dashboard.Repo) bool { return r.Name == name })
	if i < 0 {
		t.Fatalf("status does not tell of %s", name)
	}
	return status.Repos[i]
}

// metricsOf are the bot's metrics as they are scraped.
func metricsOf(t *testing.T, s *stage.Stage) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Bot.URL()+"/metrics", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(answer.Body)
	if err := errors.Join(err, answer.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return string(text)
}
