package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/gitrepo"
	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/store"
)

// turn is the work on one repo for one claim.
type turn struct {
	r         *Reconciler
	claim     *store.Claim
	forge     forge.Forge
	forgeName string
	now       time.Time
	log       *slog.Logger

	mem    store.Memory
	repo   forge.Repository
	self   forge.Identity
	remote remote
	refs   gitrepo.Refs
	base   gitrepo.Hash
	tree   tree // of base

	rec         store.Repo // as it will be recorded
	world       promotion.World
	moving      map[int]bool                   // pull requests of other people that set images themselves, be it to what base has
	openPulls   map[int]forge.PullRequest      // open pull requests by number, as listed
	tags        []store.Tag                    // newly read from registries
	assumed     []promotion.Environment        // of which it was not asked what they run, as nothing seems to have changed
	lostHolds   []promotion.Hold               // made by this turn because the database was lost
	begun       []promotion.Promotion          // whose branches this turn pushed
	saved       map[string]promotion.Promotion // as this turn has written them down
	places      map[string][]place             // where the digests of an environment's releases may run, by environment
	lookups     int                            // releases whose commits this turn looked up
	permissions map[string]forge.Permission
	owners      *ownerFile                   // nil: not read yet
	said        map[image.Digest]image.Facts // what images say about themselves, as far as it was asked and is known
	wakes       []time.Time
}

func (t *turn) run(ctx context.Context) (store.Finish, error) {
	var err error
	if t.mem, err = t.r.Store.Memory(ctx, t.claim.Repo); err != nil {
		return store.Finish{}, fmt.Errorf("read what is known: %w", err)
	}
	if !t.mem.Found {
		return t.r.stranger(t.forgeName, t.claim.Repo), nil
	}
	if t.mem.Repo.State != store.RepoActive {
		return store.Finish{}, nil
	}
	t.rec, t.repo = t.mem.Repo, repositoryOf(t.mem.Repo)
	t.rec.State, t.rec.StateReason = "", "" // whoever parks the repo meanwhile is not contradicted
	finish, err := t.lookAndAct(ctx)
	if pace := paceOf(err); pace != nil {
		return store.Finish{WakeAt: t.now.Add(pace.After)}, nil
	}
	if gone := t.goneBecause(ctx, err); gone != "" {
		t.log.Info("repository parked", "reason", gone)
		return store.Finish{}, t.r.Store.SetRepoState(ctx, t.claim.Repo, store.RepoParked, gone)
	}
	return finish, err
}

func (t *turn) lookAndAct(ctx context.Context) (store.Finish, error) {
	var err error
	if t.self, err = t.forge.Self(ctx); err != nil {
		return store.Finish{}, fmt.Errorf("ask who the bot is: %w", err)
	}
	decision, err := t.observeAndPlan(ctx)
	if err != nil {
		return store.Finish{}, err
	}
	downstream, err := t.record(ctx, decision)
	if err != nil {
		return store.Finish{}, err
	}
	again, err := t.act(ctx, decision)
	return store.Finish{WakeAt: t.wakeAt(decision, again), Wake: downstream}, err
}

// goneBecause tells that nothing will work until a person acts; empty if it might. That something was not found says little: a pull
// request may be gone, or the repository, so it is the repository that is asked for.
func (t *turn) goneBecause(ctx context.Context, err error) string {
	suspicious := errors.Is(err, forge.ErrNotFound) || errors.Is(err, gitrepo.ErrNotFound) || errors.Is(err, gitrepo.ErrForbidden) ||
		errors.Is(err, gitrepo.ErrUnauthorized)
	if suspicious {
		_, err = t.forge.Repository(ctx, t.repo.ID)
	}
	switch {
	case errors.Is(err, forge.ErrGone):
		return "the bot has no access any more: " + firstLine(err.Error())
	case suspicious && errors.Is(err, forge.ErrNotFound):
		return "the repository is gone, or the bot was taken out of it"
	default:
		return ""
	}
}

// observeAndPlan looks at the world and plans. Unless pull requests wait to be opened, what was assumed of the
// environments is made sure of; and always before something is let through because of it.
func (t *turn) observeAndPlan(ctx context.Context) (promotion.Decision, error) {
	for _, step := range []func(context.Context) error{t.observeBase, t.observePulls, t.observeRunning, t.observeUpstream, t.observeFollowers, t.observeTags, t.observeOthers} {
		if err := step(ctx); err != nil {
			return promotion.Decision{}, err
		}
	}
	t.holdIfLost()
	d, err := t.plan(ctx)
	if err != nil {
		return d, err
	}
	if len(openings(d)) > 0 && !t.restsOnAssumed(d) {
		t.leaveAssumed()
		return d, nil
	}
	changed, err := t.confirmRunning(ctx)
	if err == nil && changed {
		err = t.observeUpstream(ctx)
	}
	if err != nil {
		return d, err
	}
	queued, err := t.observeQueue(ctx)
	if err != nil || !changed && !queued {
		return d, err
	}
	return t.plan(ctx)
}

// stirred are the environments in which a decision opens a pull request, or finds one further along the chain.
func stirred(d promotion.Decision) []string {
	names := openings(d)
	for _, a := range d.Actions {
		if o, ok := a.(promotion.Advance); ok {
			names = append(names, o.Promotion.Release.Environment)
		}
	}
	return names
}

// openings are the environments in which a decision opens a pull request.
func openings(d promotion.Decision) []string {
	var names []string
	for _, a := range d.Actions {
		if o, ok := a.(promotion.OpenPull); ok {
			names = append(names, o.Promotion.Release.Environment)
		}
	}
	return names
}

// plan plans; tags that the plan needs to know are resolved, and the plan is made again.
func (t *turn) plan(ctx context.Context) (promotion.Decision, error) {
	for {
		d := promotion.Plan(t.world)
		if len(d.Asks) == 0 {
			return d, nil
		}
		answers := t.resolve(ctx, d.Asks) + t.lookAtPlatforms(ctx, d.Asks)
		if err := ctx.Err(); err != nil {
			return d, context.Cause(ctx)
		}
		if answers == 0 {
			return d, fmt.Errorf("a fault in the program: the plan asks again for %s:%s", d.Asks[0].Image.Image, d.Asks[0].Tag)
		}
	}
}

// observeBase reads the base branch: where it is, the configuration, and which images the kustomizations set. What has not changed since
// the last turn is not read again.
func (t *turn) observeBase(ctx context.Context) error {
	if t.claim.Attempts > 0 { // it may have failed because the repository was renamed; otherwise discovery tells
		if err := t.refreshRepository(ctx); err != nil {
			return err
		}
	}
	t.remote = t.r.open(t.repo.CloneURL, func(ctx context.Context) (gitrepo.Auth, error) {
		auth, err := t.forge.GitAuth(ctx, t.repo)
		return gitrepo.Auth{Username: auth.Username, Password: auth.Password}, err
	})
	var err error
	t.refs, err = t.remote.Refs(ctx, "refs/heads/"+t.repo.DefaultBranch, "refs/heads/boatlift/")
	switch {
	case errors.Is(err, gitrepo.ErrEmptyRepository):
		t.base = ""
	case err != nil:
		return fmt.Errorf("read the branches of %s: %w", t.repo.FullName, err)
	default:
		if t.refs.Head != "" && t.refs.Head != t.repo.DefaultBranch { // its default branch was renamed or is another one now
			if err := t.refreshRepository(ctx); err != nil {
				return err
			}
		}
		if t.base = t.refs.Branch(t.repo.DefaultBranch); t.base == "" {
			return fmt.Errorf("read the branches of %s: there is no branch %s, which is said to be the default", t.repo.FullName, t.repo.DefaultBranch)
		}
	}
	t.world = promotion.World{
		ReadOnly: t.rec.StateReason, Now: t.now, Repo: t.claim.Repo, FullName: t.repo.FullName, Base: string(t.base), Previous: t.mem.Listings, FirstSeen: map[promotion.Listed]time.Time{},
		PullSign: forge.PullSign(t.forge), Promotions: slices.Clone(t.mem.Promotions), Rejections: t.mem.Rejections, Holds: t.mem.Holds, Require: t.r.Require,
		Judge: func(f gate.Facts, uses []gate.Use) gate.Verdict { return t.r.Judge.Judge(ctx, f, uses) },
	}
	if t.mem.Repo.BaselineAt.IsZero() {
		t.world.Previous = nil
	}
	if t.base == "" {
		t.rec.BaseHead, t.rec.Environments = "", nil
		return nil
	}
	if t.tree, err = t.remote.Tree(ctx, t.base); err != nil {
		return fmt.Errorf("read %s: %w", t.repo.FullName, err)
	}
	understood, err := t.observeConfig(ctx)
	if err != nil {
		return err
	}
	switch {
	case !understood: // what was known stays known
		t.world.Listings = t.mem.Listings
	case string(t.base) == t.mem.Repo.BaseHead && t.rec.ConfigText == t.mem.Repo.ConfigText:
		t.world.Listings = t.mem.Listings
	default:
		if t.world.Listings, err = t.list(ctx, t.tree); err != nil {
			return fmt.Errorf("read the kustomizations of %s: %w", t.repo.FullName, err)
		}
		t.rec.BaseHead = string(t.base)
	}
	if t.rec.BaselineAt.IsZero() && len(t.world.Config.Environments) > 0 {
		t.rec.BaselineAt = t.now
	}
	for _, l := range t.world.Listings {
		key := promotion.Listed{Environment: l.Environment, Image: l.Image}
		first, known := t.mem.FirstSeen[store.EnvImage{Environment: l.Environment, Image: l.Image}]
		if !known {
			first = t.now
		}
		t.world.FirstSeen[key] = first
	}
	return nil
}

// refreshRepository asks the forge for the repository anew, by its id.
func (t *turn) refreshRepository(ctx context.Context) error {
	repo, err := t.forge.Repository(ctx, t.repo.ID)
	if err != nil {
		return fmt.Errorf("look up %s: %w", t.repo.FullName, err)
	}
	rec := recordOf(t.forgeName, repo)
	t.rec.FullName, t.rec.DefaultBranch, t.rec.CloneURL, t.rec.WebURL = rec.FullName, rec.DefaultBranch, rec.CloneURL, rec.WebURL
	t.rec.MergeMethod, t.rec.Installation = rec.MergeMethod, rec.Installation
	if repo.Archived {
		t.rec.State, t.rec.StateReason = rec.State, rec.StateReason
	}
	t.repo = repo
	return nil
}

// record writes down what was seen, and the holds that follow from it, in one transaction before anything is done. Repos that come after
// an environment of which something changed are woken with it, so that a crash cannot keep it from them. It returns all that are to be
// woken when the turn is done.
func (t *turn) record(ctx context.Context, d promotion.Decision) ([]promotion.RepoKey, error) {
	linked := t.linkedPromotions()
	running, changed := t.runningNow()
	var downstream []promotion.RepoKey
	if concerns := append(changed, stirred(d)...); len(concerns) > 0 { // what waits for a pull request can link to it
		var err error
		if downstream, err = t.r.Store.Downstream(ctx, t.forgeName, t.repo.FullName, concerns); err != nil {
			return nil, fmt.Errorf("find what comes after %s: %w", t.repo.FullName, err)
		}
		downstream = slices.DeleteFunc(downstream, func(k promotion.RepoKey) bool { return k == t.claim.Repo })
	}
	err := t.r.Store.Update(ctx, t.claim, func(tx *store.Tx) error {
		tx.SaveRepo(t.rec)
		tx.SaveListings(t.claim.Repo, t.world.Listings)
		tx.SaveRunning(running)
		if len(changed) > 0 {
			tx.Wake(downstream...)
		}
		tx.SaveNotes(t.claim.Repo, d.Notes)
		for _, tag := range t.tags {
			tx.SaveTag(tag)
		}
		for _, pr := range linked {
			tx.SavePromotion(pr)
		}
		for _, h := range t.lostHolds {
			tx.AddHold(h)
			tx.Audit(t.audit("boatlift", "held", t.repo.FullName+":"+h.Environment, h))
		}
		for _, a := range d.Actions {
			if h, ok := a.(promotion.AddHold); ok {
				tx.AddHold(h.Hold)
				tx.Audit(t.audit("boatlift", "held", t.repo.FullName+":"+h.Hold.Environment, h.Hold))
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("write down what was seen: %w", err)
	}
	return downstream, nil
}

// linkedPromotions are those for which this turn found a pull request or a head that the last one could not write down.
func (t *turn) linkedPromotions() []promotion.Promotion {
	var linked []promotion.Promotion
	known := map[string]promotion.Promotion{}
	for _, pr := range t.mem.Promotions {
		known[pr.ID] = pr
	}
	for _, pr := range t.world.Promotions {
		old, had := known[pr.ID]
		if !had || old.PullRequest != pr.PullRequest || old.Head != pr.Head || old.Base != pr.Base || old.MergeableAt != pr.MergeableAt {
			linked = append(linked, pr)
		}
	}
	return linked
}

// named is how people at the forge write a pull request.
func (t *turn) named(number int) string { return fmt.Sprintf("%s%d", forge.PullSign(t.forge), number) }

func (t *turn) wakeLater(after time.Duration) { t.wakes = append(t.wakes, t.now.Add(after)) }

// wakeAt is when the repo has its next turn although nothing may have happened.
func (t *turn) wakeAt(d promotion.Decision, again bool) time.Time {
	if again {
		return t.now
	}
	at := t.now.Add(t.r.Poll)
	if len(t.rec.Environments) == 0 && len(t.world.Promotions) == 0 {
		at = time.Time{} // a push to the repository wakes it
	}
	for _, w := range append(t.wakes, d.Wake) {
		if !w.IsZero() && (at.IsZero() || w.Before(at)) {
			at = w
		}
	}
	return at
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
