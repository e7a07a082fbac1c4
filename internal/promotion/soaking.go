package promotion

import (
	"fmt"
	"slices"
	"time"

	"github.com/boatlift/boatlift/internal/gate"
)

// Follower is an open promotion of an environment that comes after one of this repository, and lets releases soak there.
type Follower struct {
	Environment string // acme/infra-production:production
	Promotion   Promotion
	Soak        time.Duration // how long the release has to run in the environment before
	ByPeople    bool          // a person has to merge or approve it there
}

const (
	longestGrace = 24 * time.Hour  // that people have to merge what has soaked
	botsGrace    = 2 * time.Minute // that a bot has
	soakLook     = time.Minute     // how often it is looked whether a soak still matters
)

// soaking tells until when the bot's own merging keeps an environment as it is, because what runs in it soaks for an environment that comes
// after: a soak that is interrupted begins anew with the next release, so that pushes faster than the soak would never let anything
// through. It lasts for the soak, and once more as long where people then have to merge. What was merged for that and has yet to be rolled
// out is waited for too. It does not for a release that cannot go there for other reasons, nor where the rollout of what runs failed or is
// unknown: while one of something else runs, what soaks goes on to soak. The zero time: nothing soaks.
func (p *planner) soaking(env Environment, pr *Promotion) (until time.Time, say string) {
	run := p.w.Running[env.Name]
	for _, f := range p.w.Followers[env.Name] {
		if f.Soak <= 0 || !f.Promotion.State.Active() || blockedElsewise(f.Promotion.Gate) {
			continue
		}
		if !slices.ContainsFunc(f.Promotion.Release.Changes, func(c Change) bool { return pr.Release.Moves(c.Image) }) {
			continue
		}
		limit, why := p.soaks(run, f)
		if limit.IsZero() {
			limit, why = p.rollsOut(env, f)
		}
		if limit.After(p.w.Now) && limit.After(until) {
			until, say = limit, why+"; Boatlift merges this one then, and a person may do so before"
		}
	}
	return until, say
}

// soaks tells until when what runs is left to soak for a follower, and to be merged there.
func (p *planner) soaks(run Running, f Follower) (limit time.Time, say string) {
	if run.State != "succeeded" && run.State != "running" {
		return limit, ""
	}
	var since time.Time
	for _, c := range f.Promotion.Release.Changes {
		now, ok := run.Images[c.Image]
		if !ok || c.Digest == "" || now.Digest != c.Digest {
			return limit, ""
		}
		if now.Since.After(since) {
			since = now.Since
		}
	}
	grace := min(f.Soak, botsGrace)
	if f.ByPeople {
		grace = min(f.Soak, longestGrace)
	}
	end := since.Add(f.Soak)
	limit = end.Add(grace)
	say = fmt.Sprintf("%s lets %s run here undisturbed until %s", f.Environment, f.Promotion.Release.Label(), moment(end))
	if f.ByPeople {
		say += ", and people merge it there until " + moment(limit)
	}
	return limit, say
}

// rollsOut tells until when the rollout of what was merged is waited for, because it is to soak for a follower.
func (p *planner) rollsOut(env Environment, f Follower) (limit time.Time, say string) {
	if env.Rollout.None() || !p.has(env, f.Promotion.Release) {
		return limit, ""
	}
	for _, o := range p.w.Promotions {
		moved := slices.ContainsFunc(f.Promotion.Release.Changes, func(c Change) bool { return moves(o.Release, c.Image, c.Digest) })
		if o.Release.Environment != env.Name || !o.State.InRollout() || !moved {
			continue
		}
		patience := env.Rollout.Timeout
		if patience <= 0 || patience > longestGrace {
			patience = longestGrace
		}
		if end := o.MergedAt.Add(patience); end.After(limit) {
			limit = end
			say = fmt.Sprintf("%s, which was merged before, is rolled out here until %s at most, and %s then lets it run undisturbed for a while",
				o.Release.Label(), moment(end), f.Environment)
		}
	}
	return limit, say
}

// has tells whether base sets exactly a release's digests: only then can a rollout bring them.
func (p *planner) has(env Environment, r Release) bool {
	return !slices.ContainsFunc(r.Changes, func(c Change) bool {
		lists := p.listsOf(env, c.Image)
		return len(lists) == 0 || slices.ContainsFunc(lists, func(l Listing) bool { return l.Digest != c.Digest })
	})
}

// blockedElsewise tells whether anything but time in the environments before, and people, keeps a release from going.
func blockedElsewise(v *gate.Verdict) bool {
	return v != nil && slices.ContainsFunc(v.Rulings, func(r gate.Ruling) bool {
		return r.State != gate.Allow && r.Kind != gate.KindApproval && r.Policy != "soak" && r.Policy != "after"
	})
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
