package reconcile

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/forgetest"
	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/gitrepo"
	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
)

// modelSteps is how many random steps the model takes; -model.steps=1000000, or BOATLIFT_MODEL_STEPS, asks for more.
var modelSteps = flag.Int("model.steps", stepsWanted(), "random steps of the model-based test")

func stepsWanted() int {
	if n, err := strconv.Atoi(os.Getenv("BOATLIFT_MODEL_STEPS")); err == nil {
		return n
	}
	return defaultSteps
}

// TestModel drives two replicas of the bot, the real plan and the real database through random histories of pushes, people, pipelines,
// operators, faults, clocks and crashes, and holds what they do against the rules of DESIGN.md section 6 (in model_rules_test.go). A
// history that breaks a rule is shortened, and told step by step.
func TestModel(t *testing.T) {
	wanted := *modelSteps
	if testing.Short() {
		wanted /= 20
	}
	taken := 0
	for taken < wanted && !t.Failed() {
		rapid.Check(t, func(t *rapid.T) {
			m := newModel(t)
			t.Repeat(m.actions())
			m.steps++
			m.calm()
			taken += m.steps
		})
	}
	t.Logf("%d steps", taken)
}

// model is a world whose git is in memory, with two replicas of the bot, and what people mean apart from what the bot makes of it.
type model struct {
	*world
	rt          *rapid.T
	git         *memGit
	bots        []*Reconciler
	repos       []*infra // acceptance, production
	urls        map[forge.RepoID]string
	steps       int
	builds      int
	crashed     bool
	deployments []deployment
	person      bool // whether it is a person who merges just now
	goesOn      bool // whether it is seen to what becomes of everything in the end

	rejected   map[string]int  // environment image@digest: the pull request by closing which it was refused
	ran        map[string]bool // image@digest that acceptance was ever told to run
	unseen     map[string]bool // pull requests that a person merged although the gate was never green on their heads
	violations []string
}

type deployment struct {
	repo *infra
	id   int64
	sha  string
	done bool
}

func newModel(t *rapid.T) *model {
	w := &world{
		t: t, ctx: context.Background(), clock: &clock{at: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)}, names: map[forge.RepoID]string{},
		registry: &fakeRegistry{tags: map[image.Name]map[string]image.Digest{}, fail: map[image.Name]error{}, hang: map[string]bool{}},
	}
	m := &model{
		world: w, rt: t, urls: map[forge.RepoID]string{}, rejected: map[string]int{}, ran: map[string]bool{}, unseen: map[string]bool{},
	}
	m.git = newMemGit(w.announce)
	w.mem = forgetest.NewMemory(forgetest.Options{
		Clock:      w.clock.now,
		BranchHead: func(repo forge.RepoID, branch string) (string, bool) { return m.git.head(m.urls[repo], branch) },
		Compare: func(repo forge.RepoID, base, head string) forgetest.Comparison {
			return m.git.compare(m.urls[repo], base, head)
		},
		OnMerge: m.merging,
		OnDeleteBranch: func(repo forge.RepoID, branch string) error {
			m.git.deleteBranch(m.urls[repo], branch)
			return nil
		},
	})
	w.watched = &watched{Forge: w.mem, step: w.announce}
	w.clock.tick = func() { w.announce("store") }
	w.url = "sqlite::memory:"
	w.open()
	t.Cleanup(func() { _ = w.store.Close() })
	judge, err := engine()
	if err != nil {
		t.Fatal(err)
	}
	client := gitrepo.NewClient(gitrepo.Options{})
	t.Cleanup(client.Close)
	for range 2 {
		bot, err := New(Options{
			Store: w.store, Forges: map[string]forge.Forge{"github": w.watched}, Git: client, Registry: w.registry, Judge: judge, Parse: w.parse,
			MarkerKey: func(string) []byte { return []byte("the key of these tests") }, Now: w.clock.now,
		})
		if err != nil {
			t.Fatal(err)
		}
		bot.open = m.git.open
		m.bots = append(m.bots, bot)
	}
	m.settle(t)
	return m
}

// settle draws the configuration and lets the bot find the repositories.
func (m *model) settle(t *rapid.T) {
	modes := []promotion.MergeMode{promotion.MergeManual, promotion.MergeApproved, promotion.MergeAuto, promotion.MergeAuto}
	a, p := environment("acceptance"), environment("production", after("acme/infra-acceptance:acceptance"))
	a.Merge = rapid.SampledFrom(modes).Draw(t, "acceptance merges")
	p.Merge = rapid.SampledFrom(modes).Draw(t, "production merges")
	a.MaxOpen = rapid.IntRange(0, 2).Draw(t, "maxOpen")
	a.Together = rapid.Bool().Draw(t, "together")
	if rapid.Bool().Draw(t, "by deployment") {
		deployed("acceptance")(&a)
	}
	if rapid.Bool().Draw(t, "by deployment in production") {
		deployed("production")(&p)
	}
	if rapid.Bool().Draw(t, "apart") {
		a.Groups, p.Groups = [][]string{{"web"}, {"worker"}}, [][]string{{"web"}, {"worker"}}
	}
	m.goesOn = rapid.IntRange(0, 2).Draw(t, "goes on") == 0
	if rapid.Bool().Draw(t, "soak") {
		p.Policies = []gate.Use{{Policy: "soak", Parameters: map[string]any{"for": "30m"}}}
	}
	for i, env := range []promotion.Environment{a, p} {
		name := "infra-" + env.Name
		id := forge.RepoID(1001 + i)
		m.urls[id] = "mem://" + name
		m.git.commit(m.urls[id], "main", "alice@acme.io", map[string]string{
			ConfigFile: m.config(env), "apps/shop/kustomization.yaml": kustomization(string(web)+":1.0.0", string(worker)+":1.0.0"),
		})
		r := &infra{m.world, m.mem.AddRepository(forge.Repository{ID: id, FullName: "acme/" + name, CloneURL: m.urls[id]})}
		m.mem.Permit(id, "alice", forge.WritePermission)
		m.mem.Permit(id, "bob", forge.ReadPermission)
		m.repos = append(m.repos, r)
	}
	m.bot = m.bots[0]
	m.discover()
}

func (m *model) env(r *infra) promotion.Environment {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.configs[r.ID-1001].Environments[0]
}

// actions are all that may happen. What cannot happen just now does nothing, and counts for nothing.
func (m *model) actions() map[string]func(*rapid.T) {
	all := map[string]func(*rapid.T){"": m.always}
	add := func(times int, name string, do func(t *rapid.T) bool) {
		for i := range times {
			all[fmt.Sprintf("%s %d", name, i)] = func(t *rapid.T) {
				if do(t) {
					m.steps++
				}
			}
		}
	}
	add(4, "push", m.pushes)
	add(1, "late event", m.lateEvent)
	add(1, "tag deleted", m.tagDeleted)
	add(6, "turn", m.turns)
	add(3, "webhook", m.hears)
	add(2, "crash", m.crashes)
	add(1, "overtaken", m.overtakes)
	add(1, "fault", m.faults)
	add(2, "clock", m.clocks)
	add(3, "merge", m.merges)
	add(3, "pull request", m.actsOnPull)
	add(3, "review", m.reviews)
	add(2, "commit", m.commits)
	add(1, "foreign pull request", m.foreignPull)
	add(3, "deploy", m.deploys)
	add(1, "hold", m.holds)
	add(1, "lift", m.lifts)
	return all
}

func (m *model) logf(format string, args ...any) {
	m.rt.Logf("%s  "+format, append([]any{m.clock.now().Format("15:04:05")}, args...)...)
}

func (m *model) someRepo(t *rapid.T) *infra { return m.repos[rapid.IntRange(0, 1).Draw(t, "repo")] }

func drawTag(t *rapid.T) string {
	return fmt.Sprintf("1.%d.%d", rapid.IntRange(0, 6).Draw(t, "minor"), rapid.IntRange(0, 1).Draw(t, "patch"))
}

func (m *model) pushes(t *rapid.T) bool {
	names := rapid.SampledFrom([][]image.Name{{web}, {worker}, {web, worker}, {web, worker}}).Draw(t, "images")
	tag := drawTag(t)
	heard := rapid.SampledFrom([]string{"", "", "", "lost", "doubled"}).Draw(t, "event")
	build := 0
	if rapid.IntRange(0, 4).Draw(t, "moves the tag") == 0 {
		m.builds++
		build = m.builds
	}
	m.clock.move(time.Second)
	for _, n := range names {
		if build == 0 && m.registry.tags[n][tag] != "" {
			continue // it is there already, at its first build or another one
		}
		m.registry.set(n, tag, digestOf(n, tag, build))
		m.logf("%s:%s (build %d) is pushed %s", n.Base(), tag, build, heard)
		switch heard {
		case "lost":
			continue
		case "doubled":
			m.accept(n, tag)
		}
		m.accept(n, tag)
	}
	return true
}

// lateEvent is an old event that comes once more, or only now.
func (m *model) lateEvent(t *rapid.T) bool {
	n, tag := rapid.SampledFrom([]image.Name{web, worker}).Draw(t, "image"), drawTag(t)
	if m.registry.tags[n][tag] == "" {
		return false
	}
	m.logf("the event of %s:%s comes late", n.Base(), tag)
	m.accept(n, tag)
	return true
}

func (m *model) tagDeleted(t *rapid.T) bool {
	n, tag := rapid.SampledFrom([]image.Name{web, worker}).Draw(t, "image"), drawTag(t)
	if m.registry.tags[n][tag] == "" || rapid.IntRange(0, 3).Draw(t, "really") > 0 {
		return false
	}
	m.logf("%s:%s is deleted from the registry", n.Base(), tag)
	m.registry.set(n, tag, "")
	return true
}

// turnOf lets one replica do one turn of what has been due longest.
func (m *model) turnOf(ctx context.Context, i int) (did bool) {
	claim, err := m.store.Claim(m.ctx, fmt.Sprint("replica ", i), time.Minute)
	if err != nil {
		m.rt.Fatal(err)
	}
	if claim == nil {
		return false
	}
	finish, err := m.bots[i].do(ctx, claim)
	if ctx.Err() != nil {
		return true // it died; its claim runs out
	}
	if err != nil {
		finish.Err, finish.RetryAfter = err.Error(), retryAfter(err)
		if strings.Contains(err.Error(), "a fault in the program") {
			m.violate("%v", err)
		}
	}
	if err := m.store.Finish(m.ctx, claim, finish); err != nil && !isLost(err) {
		m.rt.Fatal(err)
	}
	return true
}

func (m *model) turns(t *rapid.T) bool {
	i := rapid.IntRange(0, 1).Draw(t, "replica")
	if !m.turnOf(m.ctx, i) {
		return false
	}
	m.logf("replica %d has had a turn", i)
	return true
}

func (m *model) hears(t *rapid.T) bool {
	r := m.someRepo(t)
	m.logf("a webhook tells of %s", r.FullName)
	if err := m.store.Wake(m.ctx, r.key()); err != nil {
		t.Fatal(err)
	}
	return true
}

// crashes lets a turn die at any moment at which the world may have changed.
func (m *model) crashes(t *rapid.T) bool {
	n := rapid.IntRange(1, 25).Draw(t, "dies at")
	ctx, die := context.WithCancel(m.ctx)
	defer die()
	where, touches := "", 0
	m.watch(func(what string) {
		if lasting(what) {
			touches++
		}
		if touches == n && where == "" {
			where = what
			die()
		}
	})
	did := m.turnOf(ctx, 0)
	m.watch(nil)
	if !did {
		return false
	}
	m.logf("replica 0 has had a turn and dies %s", where)
	if where != "" {
		m.crashed = true
		m.clock.move(2 * time.Minute) // until its lease runs out
	}
	return true
}

// overtakes lets one replica stand still in the middle of a turn for so long that the other one takes the repository over, and then go on.
func (m *model) overtakes(t *rapid.T) bool {
	n := rapid.IntRange(1, 12).Draw(t, "stands still at")
	where, touches := "", 0
	m.watch(func(what string) {
		if what == "store" || where != "" { // within a transaction nobody stands still: the database ends it
			return
		}
		if touches++; touches == n {
			where = what
			m.clock.move(2 * time.Minute)
			m.turnOf(m.ctx, 1)
		}
	})
	did := m.turnOf(m.ctx, 0)
	m.watch(nil)
	if did {
		m.crashed = m.crashed || where != ""
		m.logf("replica 0 has had a turn and stood still %s, while replica 1 went on", where)
	}
	return did
}

func (m *model) faults(t *rapid.T) bool {
	f := drawFault(t, "fault")
	if errors.Is(f.Err, forge.ErrNotFound) {
		return false // what the forge does not know is gone for good
	}
	m.logf("%s will fail: %v (after it took effect: %v)", f.Method, f.Err, f.After)
	m.mem.Inject(f)
	return true
}

func (m *model) clocks(t *rapid.T) bool {
	d := time.Duration(rapid.SampledFrom([]int{1, 5, 30, 61, 300, 1200, 3600, -1, -90}).Draw(t, "seconds")) * time.Second
	m.logf("the clock jumps by %s", d)
	m.clock.move(d)
	return true
}

// somePull is one of the bot's pull requests.
func (m *model) somePull(t *rapid.T, states ...forge.PullState) (*infra, forge.PullRequest, bool) {
	r := m.someRepo(t)
	pulls := r.pulls(states...)
	if len(pulls) == 0 {
		return r, forge.PullRequest{}, false
	}
	return r, pulls[len(pulls)-1-rapid.IntRange(0, min(3, len(pulls)-1)).Draw(t, "pull request")], true
}

func (m *model) merges(t *rapid.T) bool {
	r, pr, ok := m.somePull(t, forge.Open)
	if !ok {
		return false
	}
	m.person = true
	_, err := r.alice().Merge(r.ID, pr.Number)
	m.person = false
	m.logf("alice merges %s#%d %q: %v", r.Repository.FullName, pr.Number, pr.Title, err)
	return true
}

func (m *model) actsOnPull(t *rapid.T) bool {
	what := rapid.SampledFrom([]string{"closes", "bob closes", "stale[bot] closes", "reopens", "reopens", "pushes to the branch of", "deletes the branch of", "edits"}).Draw(t, "what")
	states := []forge.PullState{forge.Open}
	if what == "reopens" {
		states = []forge.PullState{forge.Closed}
	}
	r, pr, ok := m.somePull(t, states...)
	if !ok {
		return false
	}
	var err error
	switch what {
	case "closes":
		m.refused(r, pr)
		err = r.alice().Close(r.ID, pr.Number)
	case "bob closes":
		err = m.mem.Person("bob").Close(r.ID, pr.Number)
	case "stale[bot] closes":
		err = m.mem.Machine("stale[bot]").Close(r.ID, pr.Number)
	case "reopens":
		if err = r.alice().Reopen(r.ID, pr.Number); err == nil {
			m.unrefused(r, pr.Number)
		}
	case "pushes to the branch of":
		m.git.commit(m.urls[r.ID], pr.HeadBranch, "alice@acme.io", map[string]string{"README.md": fmt.Sprint("alice was here ", m.steps)})
	case "deletes the branch of":
		m.refused(r, pr)
		err = r.alice().DeleteBranch(r.ID, pr.HeadBranch)
	case "edits":
		err = r.alice().Edit(r.ID, pr.Number, func(pr *forge.PullRequest) { pr.Body += "\nalice was here" })
	}
	m.logf("alice %s %s#%d %q: %v", what, r.FullName, pr.Number, pr.Title, err)
	return true
}

func (m *model) reviews(t *rapid.T) bool {
	r, pr, ok := m.somePull(t, forge.Open)
	if !ok {
		return false
	}
	who := rapid.SampledFrom([]string{"alice", "alice", "bob"}).Draw(t, "who")
	state := rapid.SampledFrom([]forge.ReviewState{forge.Approved, forge.Approved, forge.ChangesRequested, forge.Commented, forge.Dismissed}).Draw(t, "review")
	m.clock.move(time.Second)
	m.logf("%s reviews %s#%d: %s: %v", who, r.FullName, pr.Number, state, m.mem.Person(who).Review(r.ID, pr.Number, state))
	return true
}

// commits are people's commits on the default branch: another version set by hand, or something else.
func (m *model) commits(t *rapid.T) bool {
	r, n, tag := m.someRepo(t), rapid.SampledFrom([]image.Name{web, worker}).Draw(t, "image"), drawTag(t)
	if rapid.IntRange(0, 3).Draw(t, "of something else") == 0 {
		m.git.commit(m.urls[r.ID], "main", "alice@acme.io", map[string]string{"README.md": fmt.Sprint(m.steps)})
		m.logf("alice commits something else to %s", r.FullName)
		return true
	}
	digest := m.registry.tags[n][tag]
	if tag == "1.0.0" {
		digest = digestOf(n, tag, 0)
	}
	if digest == "" {
		return false
	}
	has := m.sets(r, "main")
	has[n] = setting{tag, digest}
	m.logf("alice sets %s to %s in %s by a commit", n.Base(), tag, r.FullName)
	sha := m.git.commit(m.urls[r.ID], "main", "alice@acme.io", map[string]string{"apps/shop/kustomization.yaml": kustomizationOf(has)})
	if r == m.repos[0] && m.env(r).Rollout.Merge {
		m.note(sha)
	}
	return true
}

// foreignPull is a person's own pull request, which sets a version, and is merged a little later or never.
func (m *model) foreignPull(t *rapid.T) bool {
	r := m.someRepo(t)
	for _, pr := range m.mem.All(r.ID) {
		if pr.State == forge.Open && !pr.Author.Self {
			m.person = true
			_, err := r.alice().Merge(r.ID, pr.Number)
			m.person = false
			m.logf("alice merges her own %s#%d: %v", r.FullName, pr.Number, err)
			return true
		}
	}
	n, tag := rapid.SampledFrom([]image.Name{web, worker}).Draw(t, "image"), drawTag(t)
	digest := m.registry.tags[n][tag]
	if digest == "" {
		return false
	}
	has := m.sets(r, "main")
	has[n] = setting{tag, digest}
	branch := fmt.Sprint("alice/", m.steps)
	m.git.commit(m.urls[r.ID], branch, "alice@acme.io", map[string]string{"apps/shop/kustomization.yaml": kustomizationOf(has)})
	number, err := r.alice().Open(r.ID, forge.NewPullRequest{Head: branch, Base: "main", Title: "by hand"})
	m.logf("alice opens her own %s#%d, which sets %s to %s: %v", r.FullName, number, n.Base(), tag, err)
	return true
}

// deploys lets a pipeline begin or end a rollout: of base as it is, or of an older commit.
func (m *model) deploys(t *rapid.T) bool {
	r := m.someRepo(t)
	env := m.env(r)
	if env.Rollout.Deployment == "" {
		return false
	}
	for i := range m.deployments {
		if d := &m.deployments[i]; d.repo == r && !d.done && rapid.Bool().Draw(t, "ends") {
			m.finish(d, rapid.SampledFrom([]forge.RolloutState{forge.RolloutSucceeded, forge.RolloutSucceeded, forge.RolloutFailed}).Draw(t, "how"))
			return true
		}
	}
	sha, _ := m.git.head(m.urls[r.ID], "main")
	if old := m.deployments; len(old) > 0 && rapid.IntRange(0, 4).Draw(t, "an older one") == 0 {
		if last := old[rapid.IntRange(0, len(old)-1).Draw(t, "which")]; last.repo == r {
			sha = last.sha
		}
	}
	m.deploy(r, sha)
	return true
}

func (m *model) deploy(r *infra, sha string) *deployment {
	m.clock.move(time.Second)
	m.deployments = append(m.deployments, deployment{repo: r, sha: sha, id: m.mem.Deploy(r.ID, m.env(r).Rollout.Deployment, sha)})
	m.logf("the pipeline of %s begins to roll %.7s out", r.FullName, sha)
	return &m.deployments[len(m.deployments)-1]
}

func (m *model) finish(d *deployment, state forge.RolloutState) {
	d.done = true
	m.clock.move(time.Second)
	m.mem.SetDeployment(d.repo.ID, d.id, state)
	m.logf("the rollout of %.7s in %s has %s", d.sha, d.repo.FullName, state)
	if state == forge.RolloutSucceeded && d.repo == m.repos[0] {
		m.note(d.sha)
	}
}

func (m *model) holds(t *rapid.T) bool {
	r := m.someRepo(t)
	h := promotion.Hold{Environment: m.env(r).Name, Reason: "a person says so", Actor: "alice", At: m.clock.now()}
	if rapid.Bool().Draw(t, "one image") {
		h.Images = []image.Name{rapid.SampledFrom([]image.Name{web, worker}).Draw(t, "image")}
	}
	m.logf("alice holds %v of %s", h.Images, r.FullName)
	m.operateOn(r, func(tx txn) { tx.AddHold(h) })
	return true
}

func (m *model) lifts(t *rapid.T) bool {
	r := m.someRepo(t)
	m.logf("alice lifts all holds of %s", r.FullName)
	m.operateOn(r, func(tx txn) { tx.LiftHolds(m.env(r).Name, nil) })
	return true
}

func (m *model) violate(format string, args ...any) {
	m.violations = append(m.violations, fmt.Sprintf(format, args...))
}

// always checks what must hold at every moment.
func (m *model) always(t *rapid.T) {
	if len(m.violations) > 0 {
		t.Fatalf("%s\n%s%s", strings.Join(m.violations, "\n"), m.repos[0].explain(), m.repos[1].explain())
	}
	for _, r := range m.repos {
		branches := map[string]bool{}
		for _, pr := range r.open() {
			if branches[pr.HeadBranch] {
				t.Fatalf("rule 1: two open pull requests of one release %q in %s", pr.Title, r.FullName)
			}
			branches[pr.HeadBranch] = true
		}
	}
}

// images are both images of the shop.
func images() []image.Name { return slices.Clone([]image.Name{web, worker}) }
