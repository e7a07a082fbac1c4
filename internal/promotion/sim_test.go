package promotion

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/image"
)

// sim is a small world: an acceptance and a production repository, a registry, people, and a bot that may die between any two steps.
type sim struct {
	now      time.Time
	registry map[image.Name][]Known // what was pushed, digest as it is now
	repos    []*simRepo
}

type simRepo struct {
	key        RepoKey
	name       string
	cfg        Config
	base       map[image.Name]Listing
	head       int // number of the base commit
	pulls      map[int]*simPull
	remembered []Listing
	promotions []Promotion
	rejections []Rejection
	holds      []Hold
	running    map[string]Running
	firstSeen  map[Listed]time.Time
	notes      []Note
	rejectedBy map[string]string // image@digest → promotion, as people meant it
	merges     []merge
}

type simPull struct {
	Pull
	branch  string
	release Release
	base    int // the base commit its head was made on
	shown   gate.State
}

type merge struct {
	change Change
	was    Listing
	byBot  bool
}

var (
	web    = image.Name("registry.acme.io/shop/web")
	worker = image.Name("registry.acme.io/shop/worker")
)

func digestOf(parts ...any) image.Digest {
	sum := sha256.Sum256([]byte(fmt.Sprint(parts...)))
	return image.Digest("sha256:" + hex.EncodeToString(sum[:]))
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func newSim(acceptance, production Environment) *sim {
	s := &sim{now: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC), registry: map[image.Name][]Known{}}
	for i, env := range []Environment{acceptance, production} {
		r := &simRepo{
			key: RepoKey(fmt.Sprintf("github/%d", i+1)), name: "acme/infra-" + env.Name, cfg: Config{Environments: []Environment{env}},
			base: map[image.Name]Listing{}, pulls: map[int]*simPull{}, running: map[string]Running{}, firstSeen: map[Listed]time.Time{},
			rejectedBy: map[string]string{},
		}
		for _, n := range []image.Name{web, worker} {
			r.base[n] = Listing{Environment: env.Name, File: "kustomization.yaml", Entry: string(n), Image: n, Tag: "1.0.0", Digest: digestOf(n, "1.0.0")}
			r.firstSeen[Listed{env.Name, n}] = s.now
		}
		r.remembered = r.listings()
		s.repos = append(s.repos, r)
	}
	return s
}

func (r *simRepo) env() Environment { return r.cfg.Environments[0] }

func (r *simRepo) listings() []Listing {
	return []Listing{r.base[web], r.base[worker]}
}

func (s *sim) push(name image.Name, tag string, build int) {
	s.now = s.now.Add(time.Second)
	k := Known{Seen: image.Seen{Tag: tag, Digest: digestOf(name, tag, build), First: s.now}}
	for i, old := range s.registry[name] {
		if old.Tag == tag {
			if old.Digest != k.Digest {
				s.registry[name][i] = k
			}
			return
		}
	}
	s.registry[name] = append(s.registry[name], k)
}

// judge is a gate with the two rules that matter here: `after` and holds.
func judge(f gate.Facts, uses []gate.Use) gate.Verdict {
	var rulings []gate.Ruling
	if f.Held != "" {
		rulings = append(rulings, gate.Ruling{Policy: "held", State: gate.Deny, Say: f.Held})
	}
	for _, up := range f.After {
		r := gate.Ruling{Policy: "after", State: gate.Allow, Say: up.Environment + " runs it"}
		if up.RunsSince.IsZero() {
			r.State, r.Say = gate.Wait, "waits for "+up.Environment
		}
		rulings = append(rulings, r)
	}
	if soak := gate.Soak(uses); soak > 0 {
		for _, up := range f.After {
			r := gate.Ruling{Policy: "soak", State: gate.Allow, Say: "soaked"}
			if end := up.RunsSince.Add(soak); up.RunsSince.IsZero() || end.After(f.Now) {
				r.State, r.Say = gate.Wait, "soaks"
				if !up.RunsSince.IsZero() {
					r.Until = end
				}
			}
			rulings = append(rulings, r)
		}
	}
	return gate.Judge(rulings...)
}

// world is what the bot observes of a repository.
func (s *sim) world(r *simRepo) World {
	w := World{
		Now: s.now, Repo: r.key, FullName: r.name, Base: fmt.Sprintf("commit%034d", r.head), Config: r.cfg, Listings: r.listings(),
		Previous: r.remembered, FirstSeen: r.firstSeen, Running: r.running, Upstream: map[EnvRef]Upstream{}, Tags: s.registry,
		Promotions: slices.Clone(r.promotions), Pulls: map[int]Pull{}, Rejections: slices.Clone(r.rejections), Holds: slices.Clone(r.holds), Judge: judge,
	}
	if r.env().Rollout.Merge {
		r.observeRunning(s.now)
	}
	for i, pr := range w.Promotions { // find before create: a pull request that was opened but not written down
		for n, pull := range r.pulls {
			known := slices.ContainsFunc(r.promotions, func(o Promotion) bool { return o.PullRequest == n })
			if pr.PullRequest == 0 && pr.State == Opening && pull.branch == pr.Branch && !known {
				w.Promotions[i].PullRequest = n
			}
		}
	}
	for n, pull := range r.pulls {
		w.Pulls[n] = pull.Pull
	}
	if r == s.repos[0] && r.env().Merge == MergeAuto {
		next := s.repos[1]
		w.Followers = map[string][]Follower{}
		for _, pr := range next.promotions {
			w.Followers[r.env().Name] = append(w.Followers[r.env().Name], Follower{
				Environment: next.name + ":" + next.env().Name, Promotion: pr, Soak: gate.Soak(next.env().Policies), ByPeople: next.env().Merge != MergeAuto,
			})
		}
	}
	for _, ref := range r.env().After {
		up := s.repos[0]
		going := slices.DeleteFunc(slices.Clone(up.promotions), func(pr Promotion) bool { return !pr.State.Active() && !pr.State.InRollout() })
		w.Upstream[ref] = Upstream{Running: up.running[up.env().Name], Listed: []image.Name{web, worker}, Promotions: going}
	}
	return w
}

func (r *simRepo) observeRunning(now time.Time) {
	name := r.env().Name
	run := Running{Environment: name, SHA: fmt.Sprint("sha", r.head), State: "succeeded", At: now, Images: map[image.Name]RunningImage{}}
	for n, l := range r.base {
		since := now
		if old, ok := r.running[name].Images[n]; ok && old.Digest == l.Digest {
			since = old.Since
		}
		run.Images[n] = RunningImage{Tag: l.Tag, Digest: l.Digest, Since: since}
	}
	r.running[name] = run
}

// turn observes, plans, and carries out at most steps steps before the bot dies; a negative number never dies.
func (s *sim) turn(r *simRepo, steps int) Decision {
	s.now = s.now.Add(time.Second)
	w := s.world(r)
	d := Plan(w)
	step := func() bool { steps--; return steps != -1 }
	if !step() {
		return d
	}
	// One transaction: what was seen, holds and notes.
	for i, pr := range w.Promotions {
		if r.promotions[i].PullRequest == 0 {
			r.promotions[i] = pr
		}
	}
	r.remembered, r.notes = r.listings(), d.Notes
	for _, a := range d.Actions {
		if h, ok := a.(AddHold); ok {
			r.holds = append(r.holds, h.Hold)
		}
	}
	for _, a := range d.Actions {
		if !step() || !s.carryOut(r, a, step) {
			return d
		}
	}
	return d
}

func (r *simRepo) save(pr Promotion) {
	for i := range r.promotions {
		if r.promotions[i].ID == pr.ID {
			r.promotions[i] = pr
			return
		}
	}
	r.promotions = append(r.promotions, pr)
}

func (s *sim) carryOut(r *simRepo, a Action, step func() bool) bool {
	switch a := a.(type) {
	case OpenPull:
		pr := a.Promotion
		r.save(pr)
		if !step() {
			return false
		}
		number := 0
		for n, pull := range r.pulls {
			if pull.branch == pr.Branch && pull.State == PullOpen {
				number = n
			}
		}
		if number == 0 {
			number = len(r.pulls) + 1
			r.pulls[number] = &simPull{
				Pull: Pull{Number: number, State: PullOpen, Head: fmt.Sprint("head of ", pr.ID)}, branch: pr.Branch, release: pr.Release, base: r.head,
			}
		}
		if !step() {
			return false
		}
		pr.State, pr.PullRequest, pr.OpenedAt, pr.GateHead = Open, number, s.now, r.pulls[number].Head
		r.pulls[number].shown = a.Verdict.State
		r.save(pr)
	case Close:
		r.save(a.Promotion)
		if !step() {
			return false
		}
		if pull := r.pulls[a.Promotion.PullRequest]; pull != nil && pull.State == PullOpen {
			pull.State, pull.ClosedBy = PullClosed, Person{Login: "boatlift[bot]", Bot: true}
		} else if pull != nil && pull.State == PullMerged {
			return true
		}
		if !step() {
			return false
		}
		a.Promotion.ToClose, a.Promotion.ToDelete = false, false
		r.save(a.Promotion)
	case Record:
		a.Promotion.ToDelete = false
		r.save(a.Promotion)
	case Reject:
		a.Promotion.ToDelete = false
		r.save(a.Promotion)
		r.rejections = append(r.rejections, a.Rejections...)
	case Lift:
		r.save(a.Promotion)
		r.rejections = slices.DeleteFunc(r.rejections, func(x Rejection) bool { return x.Promotion == a.Promotion.ID })
	case LiftHold:
		r.holds = slices.DeleteFunc(r.holds, func(h Hold) bool {
			return slices.ContainsFunc(a.Promotion.Release.Changes, func(c Change) bool { return h.Covers(a.Promotion.Release.Environment, c.Image) })
		})
	case Reopen:
		r.save(a.Promotion)
		if !step() {
			return false
		}
		pull := r.pulls[a.Promotion.PullRequest]
		pull.State, pull.ClosedBy = PullOpen, Person{}
	case Advance:
		r.save(a.Promotion)
	case ShowGate:
		r.pulls[a.Promotion.PullRequest].shown = a.Verdict.State
		r.save(a.Promotion)
	case AskReviewers:
		r.save(a.Promotion)
	case Rebuild:
		pull := r.pulls[a.Promotion.PullRequest]
		pull.base, pull.Conflicting, pull.Head = r.head, false, pull.Head+"'"
		a.Promotion.Base = fmt.Sprintf("commit%034d", r.head)
		r.save(a.Promotion)
	case Merge:
		s.merge(r, a.Promotion.PullRequest, Person{Login: "boatlift[bot]", Bot: true})
	}
	return true
}

// merge does what the forge does when somebody merges: it refuses conflicts, and moves base.
func (s *sim) merge(r *simRepo, number int, by Person) {
	s.now = s.now.Add(time.Second)
	pull := r.pulls[number]
	if pull == nil || pull.State != PullOpen || pull.Conflicting {
		return
	}
	pull.State, pull.MergedBy, pull.MergedAt = PullMerged, by, s.now
	r.head++
	for _, c := range pull.release.Changes {
		was := r.base[c.Image]
		r.merges = append(r.merges, merge{change: c, was: was, byBot: by.Bot})
		now := was
		now.Tag, now.Digest = c.Tag, c.Digest
		r.base[c.Image] = now
	}
	for n, other := range r.pulls {
		if n != number && other.State == PullOpen && slices.ContainsFunc(other.release.Changes, func(c Change) bool { return pull.release.Moves(c.Image) }) {
			other.Conflicting = true
		}
	}
	pull.MergeCommit = fmt.Sprint("sha", r.head)
}

// commit is a person who sets an image on base without the bot.
func (s *sim) commit(r *simRepo, name image.Name, tag string, digest image.Digest) {
	l := r.base[name]
	l.Tag, l.Digest = tag, digest
	r.base[name] = l
	r.head++
	for _, pull := range r.pulls {
		if pull.State == PullOpen && pull.release.Moves(name) {
			pull.Conflicting = true
		}
	}
}

// rest runs turns of both repositories until nothing is left to do, and reports the number it took; a plan that never comes to rest
// gives -1.
func (s *sim) rest() int {
	for i := range 30 {
		busy := false
		for _, r := range s.repos {
			if d := s.turn(r, -1); len(d.Actions) > 0 {
				busy = true
			}
		}
		if !busy {
			return i
		}
		if i%10 == 9 {
			s.now = s.now.Add(2 * time.Minute)
		}
	}
	return -1
}

func (r *simRepo) open() []*simPull {
	var open []*simPull
	for n := 1; n <= len(r.pulls); n++ {
		if r.pulls[n].State == PullOpen {
			open = append(open, r.pulls[n])
		}
	}
	return open
}

func seen(tag string, digest image.Digest, first time.Time) image.Seen {
	return image.Seen{Tag: tag, Digest: digest, First: first}
}
