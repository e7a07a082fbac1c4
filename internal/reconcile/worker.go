package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/gitrepo"
	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/render"
	"github.com/boatlift/boatlift/internal/store"
)

// Registry resolves tags, and tells what images say about themselves. Package registry's client is one.
type Registry interface {
	Resolve(ctx context.Context, name image.Name, tag string) (image.Digest, error)
	Facts(ctx context.Context, name image.Name, digest image.Digest) (image.Facts, error)
}

// Judge evaluates policies. Package gate's engine is one.
type Judge interface {
	Judge(ctx context.Context, facts gate.Facts, uses []gate.Use) gate.Verdict
	// Reads tells whether any of the uses looks at a fact, or a field of one, of this name. What nobody looks at is not asked for.
	Reads(uses []gate.Use, field string) bool
}

// Options are what a Reconciler is made of. All are needed unless a default is named.
type Options struct {
	Store     *store.Store
	Forges    map[string]forge.Forge // by name in boatlift.yaml
	Git       *gitrepo.Client
	Registry  Registry
	Renderer  *render.Renderer // nil: pull requests show no rendered difference
	Judge     Judge
	Require   []gate.Use                                  // policies of the organisation
	Parse     func(text []byte) (promotion.Config, error) // reads a .boatlift.yaml
	MarkerKey func(forgeName string) []byte               // signs the marker in pull requests
	Signers   map[string]*gitrepo.Signer                  // sign pushed commits, by the forge's name; none: they are not signed
	Verified  map[string]bool                             // the forges that are to make the commits, and sign them
	Now       func() time.Time                            // default time.Now
	Log       *slog.Logger                                // default discards
	Workers   int                                         // default 4
	Lease     time.Duration                               // default 15 s
	Poll      time.Duration                               // a repo is looked at this often although nothing happened; default 10 min
	TurnLimit time.Duration                               // default 2 min
	// Observe is told how every turn ended (done, failed, lost) and how long it took, for metrics; may be nil.
	Observe func(result string, took time.Duration)
	// Opened is told of every pull request that was opened, by the repo's name and the environment, for metrics; may be nil.
	Opened func(repo, environment string)
}

// Reconciler carries out turns.
type Reconciler struct {
	Options
	registryTimeout time.Duration // for one question

	open      openRemote
	histories histories
	edits     edits

	owner       string
	start       time.Time // when Run began
	teams       teams
	assumptions assumptions

	swept  sync.Map // names of the forges that were swept once
	sought sync.Map // repositories of which events told and that were not known → when they were looked for
}

// ConfigFile is the name of the file in an infra repo that turns the bot on.
const ConfigFile = ".boatlift.yaml"

// New checks the options and fills in the defaults.
func New(o Options) (*Reconciler, error) {
	if o.Store == nil || o.Git == nil || o.Registry == nil || o.Judge == nil || o.Parse == nil || o.MarkerKey == nil || len(o.Forges) == 0 {
		return nil, errors.New("reconcile needs a store, a forge, git, a registry, a judge, a parser and a marker key")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Workers <= 0 {
		o.Workers = 4
	}
	if o.Lease <= 0 {
		o.Lease = 15 * time.Second
	}
	if o.Poll <= 0 {
		o.Poll = 10 * time.Minute
	}
	if o.Observe == nil {
		o.Observe = func(string, time.Duration) {}
	}
	if o.Opened == nil {
		o.Opened = func(string, string) {}
	}
	if o.TurnLimit <= 0 {
		o.TurnLimit = 2 * time.Minute
	}
	return &Reconciler{Options: o, registryTimeout: 15 * time.Second, open: opener(o.Git)}, nil
}

// Run works until the context ends, and returns when the last turn has. The owner names this process in leases.
func (r *Reconciler) Run(ctx context.Context, owner string) error {
	r.owner, r.start = owner, r.Now()
	keys := make([]promotion.RepoKey, 0, len(r.Forges))
	for name := range r.Forges {
		keys = append(keys, store.DiscoverKey(name), store.SweepKey(name))
	}
	repos, err := r.Store.Repos(ctx)
	if err != nil {
		return fmt.Errorf("list known repositories: %w", err)
	}
	for _, repo := range repos { // whatever happened while no bot ran
		if repo.State == store.RepoActive {
			keys = append(keys, repo.Key)
		}
	}
	if err := r.Store.Wake(ctx, keys...); err != nil {
		return fmt.Errorf("wake known repositories: %w", err)
	}
	var workers sync.WaitGroup
	for i := range r.Workers {
		workers.Go(func() { r.work(ctx, fmt.Sprintf("%s/%d", owner, i)) })
	}
	workers.Wait()
	return nil
}

// work claims and does turns, one after the other. It sleeps until something is due or the store tells of news; the longest sleep is short,
// as other processes may bring news too.
func (r *Reconciler) work(ctx context.Context, owner string) {
	const longest = 5 * time.Second
	for ctx.Err() == nil {
		notify := r.Store.Notify()
		claim, err := r.Store.Claim(ctx, owner, r.Lease)
		if err == nil && claim != nil {
			r.turn(ctx, claim)
			continue
		}
		wait := longest
		if err != nil {
			if ctx.Err() == nil {
				r.Log.Error("claim work", "error", err)
			}
		} else if due, ok, err := r.Store.NextDue(ctx); err == nil && ok {
			wait = min(longest, max(due.Sub(r.Now()), 10*time.Millisecond))
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-notify:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// turn does one claimed turn under a lease that is renewed, and finishes it.
func (r *Reconciler) turn(ctx context.Context, claim *store.Claim) {
	started := r.Now()
	log := r.Log.With("repo", string(claim.Repo))
	turnCtx, cancel := context.WithTimeoutCause(ctx, r.TurnLimit, errors.New("the turn took too long"))
	defer cancel()
	lost := make(chan struct{})
	var renewing sync.WaitGroup
	renewing.Go(func() {
		tick := time.NewTicker(r.Lease / 3)
		defer tick.Stop()
		for failures := 0; ; {
			select {
			case <-turnCtx.Done():
				return
			case <-tick.C:
			}
			err := r.Store.Renew(turnCtx, claim, r.Lease)
			if err == nil {
				failures = 0
				continue
			}
			if failures++; errors.Is(err, store.ErrLost) || failures >= 3 { // by then the lease has run out
				close(lost)
				cancel()
				return
			}
		}
	})
	finish, err := r.do(turnCtx, claim)
	cancel()
	renewing.Wait()
	select {
	case <-lost:
		r.Observe("lost", r.Now().Sub(started))
		log.Warn("another worker took the repository over; what this one had not done yet was left to it")
		return
	default:
	}
	end, stop := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer stop()
	if ctx.Err() != nil { // stopping: hand the repository back as it is
		if err := r.Store.Release(end, claim); err != nil && !errors.Is(err, store.ErrLost) {
			log.Error("release claim", "error", err)
		}
		return
	}
	result := "done"
	if err != nil {
		result = "failed"
		finish.Err, finish.RetryAfter = err.Error(), retryAfter(err)
		log.Warn("turn failed", "error", err, "attempts", claim.Attempts+1)
	}
	if err := r.Store.Finish(end, claim, finish); err != nil && !errors.Is(err, store.ErrLost) {
		log.Error("finish turn", "error", err)
	}
	r.Observe(result, r.Now().Sub(started))
	log.Debug("turn", "took", r.Now().Sub(started))
}

// do is the work of one claim.
func (r *Reconciler) do(ctx context.Context, claim *store.Claim) (finish store.Finish, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("a fault in the program: %v", p)
			r.Log.Error("a fault in the program", "repo", string(claim.Repo), "fault", p, "stack", string(debug.Stack()))
		}
	}()
	name, id, ok := strings.Cut(string(claim.Repo), "/")
	if ok && name == "discover" {
		return r.discover(ctx, id)
	}
	if ok && name == "sweep" {
		return r.sweep(ctx, id)
	}
	f, known := r.Forges[name]
	if !known {
		err := r.Store.SetRepoState(ctx, claim.Repo, store.RepoParked, "boatlift.yaml names no forge "+name)
		if errors.Is(err, store.ErrNotFound) {
			err = nil
		}
		return store.Finish{}, err
	}
	t := &turn{r: r, claim: claim, forge: f, forgeName: name, moving: map[int]bool{}, now: r.Now(), log: r.Log.With("repo", string(claim.Repo))}
	return t.run(ctx)
}

// longestBlind is how long a repository may stay unknown where no event told of it, however seldom known ones are looked at.
const longestBlind = time.Hour

// discover records every repository that the forge lets the bot see.
func (r *Reconciler) discover(ctx context.Context, name string) (store.Finish, error) {
	f, known := r.Forges[name]
	if !known {
		return store.Finish{}, nil
	}
	found, err := f.Repositories(ctx)
	if err != nil {
		return store.Finish{}, fmt.Errorf("list the repositories of %s: %w", name, err)
	}
	repos := make([]store.Repo, 0, len(found))
	for _, repo := range found {
		repos = append(repos, recordOf(name, repo))
	}
	woken, err := r.Store.UpsertRepos(ctx, name, repos)
	if err != nil {
		return store.Finish{}, fmt.Errorf("record the repositories of %s: %w", name, err)
	}
	r.Log.Info("looked for repositories", "forge", name, "found", len(repos), "new or changed", len(woken))
	return store.Finish{WakeAt: r.Now().Add(min(longestBlind, max(r.Poll, time.Minute)))}, nil
}

// soughtFor is how long a repository that is not known is not looked for again: its events may go on although the bot is not let into it.
const soughtFor = 10 * time.Minute

// stranger answers an event about a repository that is not known: it may be one that the bot was let into just now, of which not every forge
// tells.
func (r *Reconciler) stranger(forgeName string, key promotion.RepoKey) store.Finish {
	now := r.Now()
	if at, ok := r.sought.Load(key); ok && now.Sub(at.(time.Time)) < soughtFor {
		return store.Finish{}
	}
	r.sought.Store(key, now)
	return store.Finish{Wake: []promotion.RepoKey{store.DiscoverKey(forgeName)}}
}

func recordOf(forgeName string, repo forge.Repository) store.Repo {
	rec := store.Repo{
		Key: store.KeyOf(forgeName, int64(repo.ID)), Forge: forgeName, ForgeID: int64(repo.ID), Installation: repo.Installation, FullName: repo.FullName,
		DefaultBranch: repo.DefaultBranch, CloneURL: repo.CloneURL, WebURL: repo.WebURL, MergeMethod: repo.MergeMethod, State: store.RepoActive,
	}
	if repo.Archived {
		rec.State, rec.StateReason = store.RepoParked, "archived at the forge"
	}
	return rec
}

func repositoryOf(rec store.Repo) forge.Repository {
	return forge.Repository{
		ID: forge.RepoID(rec.ForgeID), FullName: rec.FullName, DefaultBranch: rec.DefaultBranch, CloneURL: rec.CloneURL, WebURL: rec.WebURL,
		Installation: rec.Installation, MergeMethod: rec.MergeMethod,
	}
}

// retryAfter is how long an error asks to be left alone; 0 where it does not say.
func retryAfter(err error) time.Duration {
	var after interface{ RetryAfter() time.Duration }
	if errors.As(err, &after) {
		return after.RetryAfter()
	}
	return 0
}

func permanent(err error) bool {
	var p interface{ Permanent() bool }
	return errors.As(err, &p) && p.Permanent()
}
