package reconcile

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/promotion"
)

// assumedFor is how long what environments run may be assumed, before it is asked for although pull requests wait to be opened.
const assumedFor = 15 * time.Second

// assumptions are the repositories of which it was assumed what they run, by turns of this process, since when. What is asked for is not
// assumed any more.
type assumptions struct{ since sync.Map }

// settled tells whether what is known of an environment's rollouts may be assumed to be so still: the newest one has ended, and neither a
// merge of the bot nor a commit of anybody else is expected to begin another. Somebody may still roll out something by hand. The forge tells
// of that, the poll finds it, and nothing is let through on what was only assumed: see restsOnAssumed.
func (t *turn) settled(env promotion.Environment, before promotion.Running) bool {
	if env.Rollout.Merge || env.Rollout.None() || before.State == "" || before.State == string(forge.RolloutRunning) {
		return false
	}
	if since, ok := t.r.assumptions.since.Load(t.claim.Repo); ok && t.now.Sub(since.(time.Time)) >= assumedFor {
		return false // turns that open pull requests follow each other, as many wait in line
	}
	if before.State == string(forge.RolloutSucceeded) && before.SHA == string(t.base) {
		return true
	}
	return string(t.base) == t.mem.Repo.BaseHead && !slices.ContainsFunc(t.mem.Promotions, func(pr promotion.Promotion) bool {
		return pr.Release.Environment == env.Name && pr.State.InRollout()
	})
}

// restsOnAssumed tells whether a decision lets something through because of what was only assumed: a gate that allows after an environment of
// this repository, or a merge into or after one. Everything else that is decided then is put right by the next turn.
func (t *turn) restsOnAssumed(d promotion.Decision) bool {
	assumed := func(name string) bool {
		return slices.ContainsFunc(t.assumed, func(env promotion.Environment) bool { return env.Name == name })
	}
	after := func(name string) bool {
		env, _ := t.world.Config.Environment(name)
		return slices.ContainsFunc(env.After, func(ref promotion.EnvRef) bool {
			return strings.EqualFold(ref.In(t.repo.FullName).Repo, t.repo.FullName) && assumed(ref.Environment)
		})
	}
	return slices.ContainsFunc(d.Actions, func(a promotion.Action) bool {
		switch a := a.(type) {
		case promotion.OpenPull:
			return a.Verdict.State == gate.Allow && after(a.Promotion.Release.Environment)
		case promotion.Rebuild:
			return a.Verdict.State == gate.Allow && after(a.Promotion.Release.Environment)
		case promotion.Reopen:
			return a.Verdict.State == gate.Allow && after(a.Promotion.Release.Environment)
		case promotion.ShowGate:
			return a.Verdict.State == gate.Allow && after(a.Promotion.Release.Environment)
		case promotion.Merge:
			return assumed(a.Promotion.Release.Environment) || after(a.Promotion.Release.Environment)
		case promotion.ShowOther:
			return a.Verdict.State == gate.Allow && slices.ContainsFunc(t.world.Others, func(o promotion.Other) bool {
				return o.Number == a.Number && slices.ContainsFunc(sortedKeys(o.Changes), after)
			})
		default:
			return false
		}
	})
}

// leaveAssumed lets a turn end without asking: a later one does.
func (t *turn) leaveAssumed() {
	if len(t.assumed) == 0 {
		return
	}
	t.r.assumptions.since.LoadOrStore(t.claim.Repo, t.now)
	t.wakeLater(assumedFor)
}

// confirmRunning asks about the environments of which something was assumed, and tells whether any of it is not so.
func (t *turn) confirmRunning(ctx context.Context) (anyChanged bool, err error) {
	for _, env := range t.assumed {
		before := t.ranBefore(env.Name)
		now, err := t.runningOf(ctx, env, before)
		if err != nil {
			return false, fmt.Errorf("make sure of what %s of %s runs: %w", env.Name, t.repo.FullName, err)
		}
		anyChanged = anyChanged || changed(before, now)
		t.world.Running[env.Name] = now
	}
	t.assumed = nil
	t.r.assumptions.since.Delete(t.claim.Repo)
	return anyChanged, nil
}
