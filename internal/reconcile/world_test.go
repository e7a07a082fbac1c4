package reconcile

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/forgetest"
	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/gitrepo"
	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/render"
	"github.com/boatlift/boatlift/internal/store"
)

// The test binary is also the process in which kustomize builds.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == render.ChildCommand {
		os.Exit(render.ChildMain(os.Stdin, os.Stdout))
	}
	// Histories over real git take their time. -rapid.checks on the command line counts all the same.
	// Each of the model's histories is long, as setting one up costs more than many steps.
	for name, value := range map[string]string{"rapid.checks": "15", "rapid.steps": "250"} {
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

const (
	web    = image.Name("registry.acme.io/shop/web")
	worker = image.Name("registry.acme.io/shop/worker")
)

// engine is the real gate; compiling it takes a while, so that all tests share one.
var engine = sync.OnceValues(func() (*gate.Engine, error) { return gate.New() })

// world is everything around the bot: a forge over real git, a registry, a database and a clock. The bot's turns are driven by hand.
type world struct {
	t        tester
	ctx      context.Context
	clock    *clock
	host     *gitHost
	mem      *forgetest.Memory
	watched  *watched
	registry *fakeRegistry
	url      string // of the database
	store    *store.Store
	bot      *Reconciler
	options  Options

	mu       sync.Mutex
	step     func(what string) // called around everything that the bot asks of others
	breakGit func(what string) error

	breakGroup func(bare, branch string) // changes what a merge queue has made
	configs    []promotion.Config
	pushes     int
	names      map[forge.RepoID]string // of the bare repositories
}

func newWorld(t tester) *world {
	t.Helper()
	if p, ok := t.(interface{ Parallel() }); ok {
		p.Parallel()
	}
	w := &world{
		t: t, ctx: context.Background(), clock: &clock{at: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)}, host: newGitHost(t),
		registry: &fakeRegistry{tags: map[image.Name]map[string]image.Digest{}, fail: map[image.Name]error{}, hang: map[string]bool{}},
		names:    map[forge.RepoID]string{},
	}
	w.mem = forgetest.NewMemory(forgetest.Options{
		Clock:      w.clock.now,
		BranchHead: func(repo forge.RepoID, branch string) (string, bool) { return w.host.head(w.name(repo), branch) },
		Compare: func(repo forge.RepoID, base, head string) forgetest.Comparison {
			return w.host.compare(w.name(repo), base, head)
		},
		OnMerge: w.merge,
		OnQueue: w.group,
		OnAdvance: func(repo forge.RepoID, branch, sha string) {
			w.host.git("", w.name(repo), "update-ref", "refs/heads/"+branch, sha)
		},
		OnDeleteBranch: func(repo forge.RepoID, branch string) error { return w.host.deleteBranch(w.name(repo), branch) },
	})
	w.watched = &watched{
		Forge: w.mem, step: w.announce, forkish: func(branch string) bool { return strings.HasPrefix(branch, "fork/") },
		fork: func(repo forge.RepoID, a, b string) string {
			base, err := w.host.try("", w.name(repo), "merge-base", a, b)
			if err != nil {
				return ""
			}
			return strings.TrimSpace(base)
		},
		between: func(repo forge.RepoID, from, to string) []string {
			return strings.Fields(w.host.git("", w.name(repo), "rev-list", from+".."+to))
		},
	}
	w.clock.tick = func() { w.announce("store") }
	dir, err := os.MkdirTemp("", "reconcile-db-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	w.url = "sqlite:" + filepath.Join(dir, "boatlift.db")
	w.open()
	t.Cleanup(func() { _ = w.store.Close() })
	judge, err := engine()
	if err != nil {
		t.Fatal(err)
	}
	w.options = Options{
		Forges: map[string]forge.Forge{"github": w.watched}, Registry: w.registry, Judge: judge, Parse: w.parse,
		MarkerKey: func(string) []byte { return []byte("the key of these tests") }, Now: w.clock.now,
	}
	w.start()
	return w
}

func (w *world) name(repo forge.RepoID) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.names[repo]
}

func (w *world) announce(what string) {
	w.mu.Lock()
	step := w.step
	w.mu.Unlock()
	if step != nil {
		step(what)
	}
}

func (w *world) gitBreaks(what string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.breakGit == nil {
		return nil
	}
	return w.breakGit(what)
}

func (w *world) watch(step func(what string)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.step = step
}

func (w *world) merge(repo forge.RepoID, pr forge.PullRequest) (string, error) {
	r, err := w.mem.Repository(context.Background(), repo)
	if err != nil {
		return "", err
	}
	return w.host.merge(w.name(repo), pr.BaseBranch, pr.HeadSHA, r.MergeMethod)
}

// group makes the commit that a merge queue would give to base.
func (w *world) group(repo forge.RepoID, pr forge.PullRequest, base string) (string, error) {
	branch := fmt.Sprintf("gh-readonly-queue/%s/pr-%d-%s", pr.BaseBranch, pr.Number, base)
	w.host.git("", w.name(repo), "update-ref", "refs/heads/"+branch, base)
	sha, err := w.host.merge(w.name(repo), branch, pr.HeadSHA, "merge")
	if err == nil && w.breakGroup != nil {
		w.breakGroup(w.name(repo), branch)
		sha, _ = w.host.head(w.name(repo), branch)
	}
	return sha, err
}

// open opens the database anew, as a process that starts does.
func (w *world) open() {
	w.t.Helper()
	var err error
	if w.store, err = store.Open(w.ctx, w.url, store.Options{Clock: w.clock.storeNow, Random: func() float64 { return 0 }}); err != nil {
		w.t.Fatal(err)
	}
}

// close closes the database. A child that is just being started holds a copy of all open files, the database's lock too.
func (w *world) close() {
	w.t.Helper()
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := w.store.Close(); err != nil {
		w.t.Fatal(err)
	}
}

// start makes a bot that has nothing in memory.
func (w *world) start() {
	w.t.Helper()
	transport := &http.Transport{}
	client := gitrepo.NewClient(gitrepo.Options{Transport: watchedTransport{breaking{transport, w.gitBreaks}, w.announce}})
	w.t.Cleanup(func() {
		client.Close()
		transport.CloseIdleConnections()
	})
	o := w.options
	o.Git, o.Store = client, w.store
	var err error
	if w.bot, err = New(o); err != nil {
		w.t.Fatal(err)
	}
}

// parse reads the configurations that these tests write: a number each.
func (w *world) parse(text []byte) (promotion.Config, error) {
	var n int
	if _, err := fmt.Sscanf(string(text), "config %d", &n); err != nil {
		return promotion.Config{}, fmt.Errorf("%s:1:1: %q is not a key", ConfigFile, strings.TrimSpace(string(text)))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.configs[n], nil
}

// config is the text of a .boatlift.yaml with these environments.
func (w *world) config(environments ...promotion.Environment) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.configs = append(w.configs, promotion.Config{Environments: environments})
	return fmt.Sprintf("config %d\n", len(w.configs)-1)
}

// environment is one with the defaults of a .boatlift.yaml, whose rollout is the merge.
func environment(name string, change ...func(*promotion.Environment)) promotion.Environment {
	e := promotion.Environment{
		Name: name, Rollout: promotion.Rollout{Merge: true}, Pin: promotion.PinTagAndDigest, Merge: promotion.MergeManual, Mode: promotion.Propose, MaxOpen: 10,
	}
	for _, c := range change {
		c(&e)
	}
	return e
}

func after(refs ...string) func(*promotion.Environment) {
	return func(e *promotion.Environment) {
		for _, ref := range refs {
			repo, name, ok := strings.Cut(ref, ":")
			if !ok {
				repo, name = "", ref
			}
			e.After = append(e.After, promotion.EnvRef{Repo: repo, Environment: name})
		}
	}
}

func below(path string) func(*promotion.Environment) {
	return func(e *promotion.Environment) { e.Path = path }
}

func deployed(name string) func(*promotion.Environment) {
	return func(e *promotion.Environment) { e.Rollout = promotion.Rollout{Deployment: name} }
}

func merging(mode promotion.MergeMode) func(*promotion.Environment) {
	return func(e *promotion.Environment) { e.Merge = mode }
}

// kustomization sets images, each written as name:tag, at the digest of the first push of that tag.
func kustomization(refs ...string) string {
	var b strings.Builder
	b.WriteString("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nimages:\n")
	for _, ref := range refs {
		i := strings.LastIndex(ref, ":")
		name, tag := image.Name(ref[:i]), ref[i+1:]
		fmt.Fprintf(&b, "  - name: %s\n    newTag: %s\n    digest: %s\n", name, tag, digestOf(name, tag, 0))
	}
	return b.String()
}

// repo makes a repository acme/NAME that the bot is let into, with alice who may write and bob who may not.
func (w *world) repo(name string, files map[string]string) *infra {
	w.t.Helper()
	bare := "acme/" + name
	w.host.create(bare)
	id := forge.RepoID(1001 + len(w.names))
	w.mu.Lock()
	w.names[id] = bare
	w.mu.Unlock()
	w.host.commit(bare, "main", "alice@acme.io", files)
	r := &infra{w, w.mem.AddRepository(forge.Repository{ID: id, FullName: bare, CloneURL: w.host.url(bare)})}
	w.mem.Permit(id, "alice", forge.WritePermission)
	w.mem.Permit(id, "bob", forge.ReadPermission)
	return r
}

// shop is what most have: two repositories, one for acceptance, one for production that comes after it, both with web at 1.0.0.
func (w *world) shop(change ...func(acceptance, production *promotion.Environment)) (acceptance, production *infra) {
	w.t.Helper()
	a, p := environment("acceptance"), environment("production", after("acme/infra-acceptance:acceptance"))
	for _, c := range change {
		c(&a, &p)
	}
	acceptance = w.repo("infra-acceptance", map[string]string{ConfigFile: w.config(a), "apps/web/kustomization.yaml": kustomization(string(web) + ":1.0.0")})
	production = w.repo("infra-production", map[string]string{ConfigFile: w.config(p), "apps/web/kustomization.yaml": kustomization(string(web) + ":1.0.0")})
	w.discover()
	return acceptance, production
}

// discover lets the bot find the repositories, and do what there is to do.
func (w *world) discover() {
	w.t.Helper()
	if err := w.store.Wake(w.ctx, store.DiscoverKey("github")); err != nil {
		w.t.Fatal(err)
	}
	w.work()
}

// push is a push of an image, heard of a second later than anything before.
func (w *world) push(name image.Name, tag string) {
	w.t.Helper()
	w.pushBuild(name, tag, 0)
}

func (w *world) pushBuild(name image.Name, tag string, build int) {
	w.t.Helper()
	w.clock.move(time.Second)
	w.registry.set(name, tag, digestOf(name, tag, build))
	w.accept(name, tag)
}

// accept is only the event of a push.
func (w *world) accept(name image.Name, tag string) {
	w.t.Helper()
	w.pushes++
	_, err := w.store.Accept(w.ctx, store.Delivery{Sender: "acme", DeliveryID: fmt.Sprint("push ", w.pushes), Event: "push", Outcome: store.Stored},
		[]store.Push{{Image: name, Tag: tag}}, nil)
	if err != nil {
		w.t.Fatal(err)
	}
}

// turn does one turn of what has been due longest; false if nothing is due.
func (w *world) turn() bool {
	w.t.Helper()
	claim, err := w.store.Claim(w.ctx, "the bot", time.Minute)
	if err != nil {
		w.t.Fatal(err)
	}
	if claim == nil {
		return false
	}
	w.bot.turn(w.ctx, claim)
	return true
}

// work does turns until nothing is due at this moment.
func (w *world) work() {
	w.t.Helper()
	for range 60 {
		if !w.turn() {
			return
		}
	}
	w.t.Fatal("the bot never comes to rest")
}

// hear wakes all repositories, as the forge's webhooks do, a second later, and does what there is to do.
func (w *world) hear() {
	w.t.Helper()
	w.clock.move(time.Second)
	repos, err := w.store.Repos(w.ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, r := range repos {
		if r.State == store.RepoActive {
			if err := w.store.Wake(w.ctx, r.Key); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	w.work()
}

// later moves the clock and does what has become due.
func (w *world) later(d time.Duration) {
	w.t.Helper()
	w.clock.move(d)
	w.work()
}

// anyVersion takes every release of every image.
func anyVersion(t tester) promotion.ImageRule {
	t.Helper()
	pattern, err := image.ParsePattern("**")
	if err != nil {
		t.Fatal(err)
	}
	rule, err := image.Semver(">=0.0.0")
	if err != nil {
		t.Fatal(err)
	}
	return promotion.ImageRule{Image: pattern, Tags: rule}
}

// operate holds images of a repository, as boatlift hold does.
func (w *world) operate(r *infra, h promotion.Hold) {
	w.t.Helper()
	w.hold(r, h)
	w.work()
}

// hold is a hold that no turn has seen yet.
func (w *world) hold(r *infra, h promotion.Hold) {
	w.t.Helper()
	if err := w.store.Operate(w.ctx, r.key(), func(tx *store.Tx) error { tx.AddHold(h); return nil }); err != nil {
		w.t.Fatal(err)
	}
}

// lift lifts all holds of an environment, as boatlift lift does.
func (w *world) lift(r *infra, environment string) {
	w.t.Helper()
	if err := w.store.Operate(w.ctx, r.key(), func(tx *store.Tx) error { tx.LiftHolds(environment, nil); return nil }); err != nil {
		w.t.Fatal(err)
	}
	w.work()
}

// names gives many images.
func names(i int) image.Name { return image.Name(fmt.Sprintf("registry.acme.io/shop/app%d", i)) }

// commitConfig is alice's commit of another configuration.
func (w *world) commitConfig(r *infra, environments ...promotion.Environment) {
	w.t.Helper()
	r.commit("main", map[string]string{ConfigFile: w.config(environments...)})
}

func soaking(d string) func(*promotion.Environment) {
	return func(e *promotion.Environment) {
		e.Policies = append(e.Policies, gate.Use{Policy: "soak", Parameters: map[string]any{"for": d}})
	}
}
