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

// modelSeed makes the histories the same in every run, so that what was good stays good; 0 looks for new ones.
var modelSeed = flag.Int("model.seed", 1, "the seed of the model-based test's histories; 0: another one each time")

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
	for round := 0; taken < wanted && !t.Failed(); round++ {
		if *modelSeed != 0 {
			if err := flag.Set("rapid.seed", strconv.Itoa(*modelSeed+round)); err != nil {
				t.Fatal(err)
			}
		}
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
	heldBy      string
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
	m.heldBy = rapid.SampledFrom([]string{"nothing", "a check", "a draft"}).Draw(t, "merges are held by")
	like := forgetest.Options{}
	if m.heldBy == "a draft" {
		like = forgetest.LikeGitLab()
	}
	w.mem = forgetest.NewMemory(forgetest.Options{
		Lacks: like.Lacks, Has: like.Has, Clock: w.clock.now,
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
	w.watched = &watched{
		Forge: w.mem, step: w.announce,
		fork:    func(repo forge.RepoID, a, b string) string { return m.git.fork(m.urls[repo], a, b) },
		between: func(repo forge.RepoID, from, to string) []string { return m.git.between(m.urls[repo], from, to) },
	}
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
		if m.heldBy == "a check" {
			m.mem.RequireCheck(id, "main", CheckName)
		}
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
	add(1, "lag", m.lags)
	add(2, "clock", m.clocks)
	add(3, "merge", m.merges)
	add(3, "pull request", m.actsOnPull)
	add(2, "ready", m.readies)
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

// lags lets the forge's lists show what was there before the latest change, or what is there.
func (m *model) lags(t *rapid.T) bool {
	on := rapid.Bool().Draw(t, "lags")
	m.logf("lists of the forge lag behind: %v", on)
	m.mem.Lag(on)
	return true
}

func (m *model) clocks(t *rapid.T) bool {
	d := time.Duration(rapid.SampledFrom([]int{1, 5, 30, 61, 300, 1200, 3600, -1, -90}).Draw(t, "seconds")) * time.Second
	m.logf("the clock jumps by %s", d)
	m.clock.move(d)
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
