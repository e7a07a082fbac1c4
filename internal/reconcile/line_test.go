package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/governor"
	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/store"
)

// tokens are those of whatever database the world has open.
type tokens struct{ w *world }

func (t tokens) TakeWrites(ctx context.Context, r store.WriteRequest) (store.WriteGrant, error) {
	return t.w.store.TakeWrites(ctx, r)
}

func (t tokens) SettleWrites(ctx context.Context, forge string, installation, id int64, writes int) error {
	return t.w.store.SettleWrites(ctx, forge, installation, id, writes)
}
func (t tokens) Now() time.Time { return t.w.clock.now() }

// counted is a forge that refuses what is beyond its limit of writes in any minute, as GitHub does.
type counted struct {
	forge.Forge
	w       *world
	most    int
	writes  []time.Time
	refused int
}

func (c *counted) count(ctx context.Context, n int) error {
	for range n {
		now := c.w.clock.now()
		c.writes = slices.DeleteFunc(c.writes, func(at time.Time) bool { return now.Sub(at) >= time.Minute })
		if len(c.writes) >= c.most {
			c.refused++
			return &forge.LimitError{After: time.Minute, Cause: errors.New("a secondary limit")}
		}
		c.writes = append(c.writes, now)
		forge.Sending(ctx, "POST")
	}
	return nil
}

func (c *counted) CreatePullRequest(ctx context.Context, repo forge.Repository, pr forge.NewPullRequest) (forge.PullRequest, error) {
	if err := c.count(ctx, 2); err != nil {
		return forge.PullRequest{}, err
	}
	return c.Forge.CreatePullRequest(ctx, repo, pr)
}

func (c *counted) EditPullRequest(ctx context.Context, repo forge.Repository, number int, edit forge.Edit) (forge.PullRequest, error) {
	if err := c.count(ctx, 1); err != nil {
		return forge.PullRequest{}, err
	}
	return c.Forge.EditPullRequest(ctx, repo, number, edit)
}

func (c *counted) Comment(ctx context.Context, repo forge.Repository, number int, key, body string) error {
	if err := c.count(ctx, 1); err != nil {
		return err
	}
	return c.Forge.Comment(ctx, repo, number, key, body)
}

func (c *counted) SetCheck(ctx context.Context, repo forge.Repository, check forge.Check) error {
	if err := c.count(ctx, 1); err != nil {
		return err
	}
	return c.Forge.SetCheck(ctx, repo, check)
}

func (c *counted) Merge(ctx context.Context, repo forge.Repository, number int, sha, method string) (string, error) {
	if err := c.count(ctx, 1); err != nil {
		return "", err
	}
	return c.Forge.Merge(ctx, repo, number, sha, method)
}

// CreateCommit makes a commit as a forge does that signs them: on a branch of its own.
func (c *counted) CreateCommit(ctx context.Context, repo forge.Repository, commit forge.NewCommit) (sha string, signed bool, err error) {
	if err := c.count(ctx, 2); err != nil {
		return "", false, err
	}
	self, err := c.Self(ctx)
	if err != nil {
		return "", false, err
	}
	files := map[string]string{}
	for path, text := range commit.Files {
		files[path] = string(text)
	}
	return c.w.host.commit(c.w.name(repo.ID), commit.Branch, self.Email, files), true, nil
}

// govern makes the world's forge one that limits writes, and its bot one that keeps to the limit.
func (w *world) govern(perMinute int) *counted {
	w.t.Helper()
	c := &counted{Forge: w.watched, w: w, most: perMinute}
	w.options.Forges = map[string]forge.Forge{
		"github": governor.New(governor.Options{Forge: c, Name: "github", Tokens: tokens{w}, Limits: store.Limits{PerMinute: perMinute}}),
	}
	w.start()
	return c
}

// next moves the clock to when something is due, and does it.
func (w *world) next() {
	w.t.Helper()
	at, ok, err := w.store.NextDue(w.ctx)
	if err != nil || !ok {
		w.t.Fatalf("nothing is due: %v", err)
	}
	w.later(max(at.Sub(w.clock.now()), 0))
}

// until goes from one moment at which something is due to the next, until something is so.
func (w *world) until(what string, so func() bool) {
	w.t.Helper()
	for range 300 {
		if so() {
			return
		}
		w.next()
	}
	w.t.Fatalf("it never comes to this: %s", what)
}

// apps makes a repository with many apps, at 1.0.0 in each environment.
func (w *world) apps(name string, n int, environments ...promotion.Environment) *infra {
	w.t.Helper()
	files := map[string]string{ConfigFile: w.config(environments...)}
	for _, e := range environments {
		for i := range n {
			files[strings.TrimPrefix(fmt.Sprintf("%s/apps/%03d/kustomization.yaml", e.Path, i), "/")] = kustomization(string(names(i)) + ":1.0.0")
		}
	}
	return w.repo(name, files)
}

// pushesOf counts the pushes to a repository.
func (w *world) pushesOf(repo string) int {
	w.host.mu.Lock()
	defer w.host.mu.Unlock()
	return w.host.pushes[repo]
}

func unbounded(e *promotion.Environment) { e.MaxOpen = 0 }

// burst pushes all apps at once.
func (w *world) burst(n int, tag string) {
	w.t.Helper()
	w.clock.move(time.Second)
	for i := range n {
		w.registry.set(names(i), tag, digestOf(names(i), tag, 0))
		w.accept(names(i), tag)
	}
}

// waiting are the promotions in the line, in its order.
func (w *world) waiting(perMinute int) []store.Waiting {
	w.t.Helper()
	lines, err := w.store.Lines(w.ctx, store.Limits{PerMinute: perMinute})
	if err != nil {
		w.t.Fatal(err)
	}
	var all []store.Waiting
	for _, l := range lines {
		all = append(all, l.Waiting...)
	}
	return all
}

func (w *world) noFailures() {
	w.t.Helper()
	work, err := w.store.Work(w.ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, row := range work {
		if row.LastError != "" || row.Attempts > 0 {
			w.t.Fatalf("%s failed: %s", row.Repo, row.LastError)
		}
	}
	all, err := w.store.Promotions(w.ctx, store.PromotionFilter{})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, pr := range all {
		if pr.LastError != "" || pr.Attempts > 0 {
			w.t.Fatalf("promotion %s failed: %s", pr.ID, pr.LastError)
		}
	}
}

func TestABurstOpensWithinTheLimitsOfTheForge(t *testing.T) {
	w := newWorld(t)
	const apps, limit = 60, 40
	forge := w.govern(limit)
	r := w.apps("infra", apps, environment("acceptance", unbounded))
	w.discover()
	w.clock.move(time.Minute)
	w.burst(apps, "1.1.0")
	w.mem.ForgetCalls()
	w.host.taken()
	begun := w.clock.now()
	w.work()
	if n := len(r.open()); n != 11 {
		t.Errorf("%d pull requests are open at first, want 11: three writes each, and an eighth of 40 is left to others", n)
	}
	if n := w.host.taken(); n != 2 {
		t.Errorf("%d requests at git, want 2: where the branches are, and one push of them all", n)
	}
	line := w.waiting(limit)
	if len(line) != apps-len(r.open()) {
		t.Errorf("%d wait, want all others of %d", len(line), apps)
	}
	end := line[len(line)-1].At
	w.until("all are open", func() bool { return len(r.open()) == apps })
	if forge.refused != 0 {
		t.Errorf("the forge refused %d writes", forge.refused)
	}
	if took, said := w.clock.now().Sub(begun), end.Sub(begun); took < said || took > said+time.Minute {
		t.Errorf("the line ended after %s, and was said to after %s", took, said)
	}
	if pushes := w.pushesOf("acme/infra"); pushes != 1 {
		t.Errorf("%d pushes, want 1", pushes)
	}
	if n := len(callsOf(w, "PullRequestsOf")); n != 0 {
		t.Errorf("%d times was looked for a pull request that nobody had asked for", n)
	}
	if len(w.waiting(limit)) != 0 {
		t.Error("somebody still waits")
	}
	w.noFailures()
	for _, pr := range r.open() {
		r.gate(pr, "success")
	}
}

func TestWithoutLimitsABurstIsOnePushAndAllPullRequests(t *testing.T) {
	w := newWorld(t)
	const apps = 60
	a := w.apps("infra-acceptance", apps, environment("acceptance", unbounded))
	p := w.apps("infra-production", apps, environment("production", unbounded, after("acme/infra-acceptance:acceptance")))
	w.discover()
	w.burst(apps, "1.1.0")
	w.work()
	for _, r := range []*infra{a, p} {
		if n, pushes := len(r.open()), w.pushesOf(r.FullName); n != apps || pushes != 1 {
			t.Errorf("%s: %d pull requests by %d pushes, want %d by one", r.FullName, n, pushes, apps)
		}
	}
}

func TestABurstOfAGroupIsOnePullRequest(t *testing.T) {
	w := newWorld(t)
	const apps = 60
	r := w.apps("infra", apps, environment("acceptance", unbounded, func(e *promotion.Environment) { e.GroupAll, e.Settle = true, time.Minute }))
	w.discover()
	w.burst(apps, "1.1.0")
	w.work()
	w.later(2 * time.Minute)
	changed := r.host.git("", "acme/infra", "diff", "--name-only", "main..."+r.only().HeadSHA)
	if n := len(strings.Fields(changed)); n != apps || w.pushesOf("acme/infra") != 1 {
		t.Errorf("the pull request changes %d files by %d pushes, want %d by one", n, w.pushesOf("acme/infra"), apps)
	}
}

func TestProductionGoesFirst(t *testing.T) {
	w := newWorld(t)
	const apps, limit = 8, 20
	w.govern(limit)
	a := w.apps("infra-acceptance", apps, environment("acceptance", unbounded))
	p := w.apps("infra-production", apps, environment("production", unbounded, after("acme/infra-acceptance:acceptance")))
	w.discover()
	w.clock.move(time.Minute)
	w.burst(apps, "1.1.0")
	w.work()
	if n, m := len(p.open()), len(a.open()); n+m == 0 || n+m == 2*apps {
		t.Fatalf("%d and %d pull requests are open at first, want some", n, m)
	}
	behind := false
	for _, waiting := range w.waiting(limit) {
		if behind = behind || waiting.Environment == "acceptance"; behind && waiting.Environment == "production" {
			t.Fatalf("acceptance stands before production: %+v", w.waiting(limit))
		}
	}
	first := len(a.open())
	w.until("all of production are open", func() bool {
		if n := len(a.open()); n != first && len(p.open()) < apps {
			t.Fatalf("%d of acceptance have come before all of production, of which there are %d", n-first, len(p.open()))
		}
		return len(p.open()) == apps
	})
	w.until("all of acceptance are open", func() bool { return len(a.open()) == apps })
	w.noFailures()
}

func TestGatesGoBeforeTheLine(t *testing.T) {
	w := newWorld(t)
	const apps, limit = 40, 40
	w.govern(limit)
	r := w.apps("infra", apps, environment("acceptance", unbounded, below("a")), environment("production", unbounded, below("p"), after("acceptance")))
	w.discover()
	w.clock.move(time.Minute)
	w.burst(apps, "1.1.0")
	w.work()
	production := slices.DeleteFunc(r.open(), func(pr forge.PullRequest) bool { return !strings.HasPrefix(pr.HeadBranch, "boatlift/production") })
	if len(production) != 11 {
		t.Fatalf("%d pull requests of production are open, want the first eleven", len(production))
	}
	if len(w.waiting(limit)) == 0 {
		t.Fatal("nobody waits")
	}
	// Alice sets acceptance by hand to what the first of them brings: its gate turns green though the line is long.
	image := ""
	for i := range apps {
		if strings.Contains(production[0].Title, names(i).Base()+" ") {
			image = string(names(i))
			r.commit("main", map[string]string{fmt.Sprintf("a/apps/%03d/kustomization.yaml", i): kustomization(image + ":1.1.0")})
		}
	}
	if image == "" {
		t.Fatalf("no app is in %q", production[0].Title)
	}
	w.hear()
	r.gate(production[0], forge.Success)
	w.noFailures()
}

func TestWhatIsHeldBackFailsNothingAndIsDoneLater(t *testing.T) {
	w := newWorld(t)
	const limit = 10
	w.govern(limit)
	r := w.apps("infra", 1, environment("acceptance", merging(promotion.MergeAuto)))
	w.discover()
	w.clock.move(time.Minute)
	spend := store.WriteRequest{Forge: "github", Installation: r.record().Installation, Writes: limit, Limits: store.Limits{PerMinute: limit}, Within: time.Minute}
	w.burst(1, "1.1.0")
	for _, step := range []string{"opening", "merging"} {
		grant, err := w.store.TakeWrites(w.ctx, spend)
		if err != nil || grant.ID == 0 {
			t.Fatalf("%s: %+v, %v", step, grant, err)
		}
		if err := w.store.SettleWrites(w.ctx, "github", spend.Installation, grant.ID, limit); err != nil {
			t.Fatal(err)
		}
		w.work()
		w.later(5 * time.Second)
		w.noFailures()
		switch step {
		case "opening":
			if n := len(r.open()); n != 0 {
				t.Fatalf("%d pull requests are open, want none yet", n)
			}
			w.until("it is open", func() bool { return len(r.open()) > 0 })
			w.clock.move(time.Minute)
		case "merging":
			if len(r.open()) != 1 {
				t.Fatal("it was merged, though nothing may be written")
			}
			w.until("it is merged", func() bool { return len(r.open()) == 0 })
		}
	}
	if pr := w.mem.All(r.ID)[0]; pr.State != forge.Merged {
		t.Errorf("the pull request is %s, want merged", pr.State)
	}
	w.noFailures()
}

func TestANewerReleaseTakesThePlaceOfOneThatWaits(t *testing.T) {
	w := newWorld(t)
	const apps, limit = 8, 10
	w.govern(limit)
	r := w.apps("infra", apps, environment("acceptance", unbounded))
	w.discover()
	w.clock.move(time.Minute)
	w.burst(apps, "1.1.0")
	w.work()
	w.clock.move(time.Second)
	w.burst(apps, "1.2.0")
	w.until("nobody waits", func() bool { return len(w.waiting(limit)) == 0 })
	w.later(time.Minute)
	open := r.open()
	for _, pr := range open {
		if !strings.HasSuffix(pr.Title, "1.2.0") {
			t.Errorf("%q is open", pr.Title)
		}
	}
	if len(open) != apps || len(w.mem.All(r.ID)) >= 2*apps {
		t.Errorf("%d are open and %d were ever opened, want %d, and of most only the newer", len(open), len(w.mem.All(r.ID)), apps)
	}
	w.noFailures()
}

func TestABotThatDiesWhileALineWaitsGoesOnWithIt(t *testing.T) {
	w := newWorld(t)
	const apps, limit = 12, 20
	w.govern(limit)
	r := w.apps("infra", apps, environment("acceptance", unbounded))
	w.discover()
	w.clock.move(time.Minute)
	w.burst(apps, "1.1.0")
	w.work()
	w.until("all are open", func() bool {
		w.close()
		w.open()
		w.start()
		return len(r.open()) == apps
	})
	if n, pushes := len(w.mem.All(r.ID)), w.pushesOf("acme/infra"); n != apps || pushes != 1 {
		t.Errorf("%d pull requests were opened by %d pushes, want %d by one", n, pushes, apps)
	}
	w.noFailures()
}

func TestSignedCommitsOfABurstDoNotKeepPullRequestsAndGatesWaiting(t *testing.T) {
	w := newWorld(t)
	const apps, limit = 20, 24
	w.options.Verified = map[string]bool{"github": true}
	forge := w.govern(limit)
	r := w.apps("infra", apps, environment("acceptance", unbounded))
	w.discover()
	w.clock.move(time.Minute)
	w.burst(apps, "1.1.0")
	w.work()
	if n := len(r.open()); n == 0 || n > 8 {
		t.Errorf("%d pull requests are open at first, want a few", n)
	}
	w.until("all are open", func() bool { return len(r.open()) == apps })
	if forge.refused != 0 {
		t.Errorf("the forge refused %d writes", forge.refused)
	}
	w.noFailures()
}
