package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/boatlift/boatlift/cmd/sandbox/hub"
	"github.com/boatlift/boatlift/cmd/sandbox/images"
	"github.com/boatlift/boatlift/cmd/sandbox/stage"
	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/store"
	"github.com/boatlift/boatlift/internal/store/postgrestest"
)

// infraConfig is the .boatlift.yaml of the repositories that replicas share.
const infraConfig = `environments:
  - name: production
    rollout: {deployment: production}
    maxOpen: 0
`

// shared are replicas on one PostgreSQL, with so many more repositories, each with so many apps.
func shared(t *testing.T, replicas, repos, apps int, o stage.Options) (s *stage.Stage, db *store.Store, names []string) {
	t.Helper()
	cluster := postgrestest.NewCluster(t)
	o.Replicas, o.Database = replicas, cluster.URL("postgres")
	s = set(t, o)
	digests, err := s.PushApps(t.Context(), apps, stage.FirstTag)
	if err != nil {
		t.Fatal(err)
	}
	for i := range repos {
		name := fmt.Sprintf("acme/infra-%d", i)
		if err := s.AddRepo(t.Context(), name, infraConfig, digests); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	if err := s.Quiet(t.Context()); err != nil {
		t.Fatal(err)
	}
	if db, err = store.Open(t.Context(), o.Database, store.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, db, names
}

// holding are the repositories in a process's hands, with the moment at which it took them.
func holding(t *testing.T, db *store.Store, pid int) map[promotion.RepoKey]time.Time {
	t.Helper()
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	rows, err := db.Work(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	held := map[promotion.RepoKey]time.Time{}
	for _, row := range rows {
		if strings.HasPrefix(row.Owner, fmt.Sprintf("%s-%d/", host, pid)) {
			held[row.Repo] = row.StartedAt
		}
	}
	return held
}

// awaitHolder waits until one of the replicas has at least one of the repositories in its hands, and picks one that has.
func awaitHolder(t *testing.T, s *stage.Stage, db *store.Store, random *rand.Rand) *stage.Bot {
	t.Helper()
	var holder *stage.Bot
	err := stage.Await(t.Context(), patience, "a replica to be at work", func() (bool, error) {
		for _, i := range random.Perm(len(s.Bots)) {
			if len(holding(t, db, s.Bots[i].PID())) > 0 {
				holder = s.Bots[i]
				return true, nil
			}
		}
		return false, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return holder
}

// takeOver tells how long it took until others had what a process held.
type takeOver struct {
	repo promotion.RepoKey
	took time.Duration
	err  error
}

// watchTakeOver waits, from now on, until every repository that a dead process held was taken by another one.
func watchTakeOver(t *testing.T, db *store.Store, held map[promotion.RepoKey]time.Time, done chan<- takeOver) {
	died := time.Now()
	for repo, since := range held {
		go func() {
			err := stage.Await(t.Context(), patience, "another replica to take over "+string(repo), func() (bool, error) {
				rows, err := db.Work(t.Context())
				i := slices.IndexFunc(rows, func(w store.WorkRow) bool { return w.Repo == repo })
				return i >= 0 && rows[i].StartedAt.After(since), err
			})
			done <- takeOver{repo, time.Since(died), err}
		}()
	}
}

// TestReplicasAreKilledInTheMiddleOfPushes lets three replicas share ten repositories, and kills one of them, again and again, while it has
// some in its hands. Every image that was pushed gets its pull request in every repository, once.
func TestReplicasAreKilledInTheMiddleOfPushes(t *testing.T) {
	t.Parallel()
	kills, repos := 20, 10
	if testing.Short() {
		kills = 4
	}
	random := dice(t)
	s, db, names := shared(t, 3, repos, kills+1, stage.Options{})
	s.Hub.SetFaults(hub.Faults{Latency: 30 * time.Millisecond}) // so that turns take their time
	ctx := t.Context()
	taken, expected := make(chan takeOver), 0
	var pushed []string
	for range kills {
		app := stage.App(len(pushed))
		pushed = append(pushed, app)
		if _, err := s.Registry.Push(ctx, app, "1.5.0", images.Image{}); err != nil {
			t.Fatal(err)
		}
		victim := awaitHolder(t, s, db, random)
		pause(t, time.Duration(random.Int64N(int64(200*time.Millisecond))))
		pid := victim.PID()
		if err := victim.Kill(); err != nil {
			t.Fatal(err)
		}
		held := holding(t, db, pid)
		expected += len(held)
		watchTakeOver(t, db, held, taken)
		if err := victim.Start(ctx); err != nil {
			t.Fatal(err)
		}
	}
	var times []time.Duration
	for range expected {
		over := <-taken
		if over.err != nil {
			t.Error(over.err)
		}
		times = append(times, over.took)
	}
	for _, name := range names {
		awaitOpenPulls(t, s, name, len(pushed))
	}
	s.Hub.SetFaults(hub.Faults{})
	if err := s.Quiet(ctx); err != nil {
		t.Error(err)
	}
	for _, name := range names {
		oncePerApp(t, s, name, pushed)
		fsck(t, s, name)
	}
	noFailedWork(t, s)
	if _, err := db.AuditVerify(ctx); err != nil {
		t.Errorf("the audit trail: %v", err)
	}
	if len(times) == 0 {
		t.Fatal("no replica died with a repository in its hands")
	}
	slices.Sort(times)
	t.Logf("%d kills, %d repositories in dead hands; taken over after %s at least, %s in the middle, %s at most",
		kills, len(times), times[0].Round(time.Millisecond), times[len(times)/2].Round(time.Millisecond), times[len(times)-1].Round(time.Millisecond))
}

// oncePerApp holds a repository to one pull request for each app, and none besides.
func oncePerApp(t *testing.T, s *stage.Stage, name string, apps []string) {
	t.Helper()
	pulls, err := s.Hub.Pulls(name)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, p := range pulls {
		seen[p.Head]++
		if p.State != "open" {
			t.Errorf("%s#%d is %s", name, p.Number, p.State)
		}
		said, err := s.Hub.Comments(name, p.Number)
		if err != nil {
			t.Fatal(err)
		}
		if len(said) > 0 {
			t.Errorf("%s#%d has %d comments, and nothing has happened to it", name, p.Number, len(said))
		}
	}
	for _, app := range apps {
		of := 0
		for branch, n := range seen {
			if strings.Contains(branch, "-"+app[strings.LastIndexByte(app, '/')+1:]+"-") {
				of += n
			}
		}
		if of != 1 {
			t.Errorf("%s has %d pull requests for %s, want 1", name, of, app)
		}
	}
	if len(pulls) != len(apps) {
		t.Errorf("%s has %d pull requests for %d apps: %s", name, len(pulls), len(apps), titles(pulls))
	}
}

// TestAHolderThatWakesUpWritesNothing freezes a replica in the middle of its turn until another one has done the work, and lets it go on.
func TestAHolderThatWakesUpWritesNothing(t *testing.T) {
	t.Parallel()
	const apps = 6
	random := dice(t)
	log := &logWatch{}
	s, db, names := shared(t, 2, 1, apps, stage.Options{Log: log})
	s.Hub.SetFaults(hub.Faults{Latency: 150 * time.Millisecond})
	ctx := t.Context()
	var frozen *stage.Bot
	var held map[promotion.RepoKey]time.Time
	var pushed []string
	for len(held) == 0 && len(pushed) < apps { // a turn may end in the moment in which its process is frozen
		app := stage.App(len(pushed))
		pushed = append(pushed, app)
		if _, err := s.Registry.Push(ctx, app, "1.5.0", images.Image{}); err != nil {
			t.Fatal(err)
		}
		if frozen != nil {
			if err := frozen.Thaw(); err != nil {
				t.Fatal(err)
			}
		}
		frozen = awaitHolder(t, s, db, random)
		pause(t, time.Duration(random.Int64N(int64(300*time.Millisecond))))
		if err := frozen.Freeze(); err != nil {
			t.Fatal(err)
		}
		held = holding(t, db, frozen.PID())
	}
	defer func() { _ = frozen.Thaw() }() // so that it can be stopped, whatever happens here
	if len(held) == 0 {
		t.Fatal("the replica was never frozen in the middle of a turn")
	}
	lost := log.until(1, func(l logLine) bool { return strings.HasPrefix(l.Msg, "another worker took the repository over") })
	taken := make(chan takeOver)
	watchTakeOver(t, db, held, taken)
	for range held {
		over := <-taken
		t.Logf("taken over after %s", over.took.Round(time.Millisecond))
		if over.err != nil {
			t.Error(over.err)
		}
	}
	awaitOpenPulls(t, s, names[0], len(pushed))
	before := atRest(t, db)
	if err := frozen.Thaw(); err != nil {
		t.Fatal(err)
	}
	await(t, lost, "the holder that woke up to notice that it lost the repository")
	if after := atRest(t, db); after != before {
		t.Errorf("after the stale holder woke up there is\n%s\nwant\n%s", after, before)
	}
	s.Hub.SetFaults(hub.Faults{})
	if err := s.Quiet(ctx); err != nil {
		t.Error(err)
	}
	oncePerApp(t, s, names[0], pushed)
	noFailedWork(t, s)
}

// atRest waits until no work is left and tells all that turns write for good: the audit trail and the promotions.
func atRest(t *testing.T, db *store.Store) string {
	t.Helper()
	err := stage.Await(t.Context(), patience, "the work to be done", func() (bool, error) {
		rows, err := db.Work(t.Context())
		return !slices.ContainsFunc(rows, func(w store.WorkRow) bool { return w.Pending || w.Owner != "" }), err
	})
	if err != nil {
		t.Fatal(err)
	}
	report, err := db.AuditVerify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	promotions, err := db.Promotions(t.Context(), store.PromotionFilter{})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d audit entries up to %s\n", report.Entries, report.Head)
	for _, p := range promotions {
		fmt.Fprintf(&b, "%s of %s is %s as #%d at %s\n", p.ID, p.Repo, p.State, p.PullRequest, p.Head)
	}
	return b.String()
}

// pause lets some time pass, so that what comes next meets turns at any moment.
func pause(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
}
