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
// through. It lasts for the soak, and once more as long where people then have to merge. It does not for a release that cannot go
// there for other reasons, nor where the rollout of what runs did not succeed. The zero time: nothing soaks.
func (p *planner) soaking(env Environment, pr *Promotion) (until time.Time, say string) {
	run := p.w.Running[env.Name]
	if run.State != "succeeded" {
		return until, ""
	}
	for _, f := range p.w.Followers[env.Name] {
		if f.Soak <= 0 || !f.Promotion.State.Active() || blockedElsewise(f.Promotion.Gate) {
			continue
		}
		var since time.Time
		runs, concerns := true, false
		for _, c := range f.Promotion.Release.Changes {
			now, ok := run.Images[c.Image]
			runs = runs && ok && c.Digest != "" && now.Digest == c.Digest
			concerns = concerns || pr.Release.Moves(c.Image)
			if now.Since.After(since) {
				since = now.Since
			}
		}
		if !runs || !concerns {
			continue
		}
		grace := min(f.Soak, botsGrace)
		if f.ByPeople {
			grace = min(f.Soak, longestGrace)
		}
		end := since.Add(f.Soak)
		if limit := end.Add(grace); limit.After(p.w.Now) && limit.After(until) {
			until = limit
			say = fmt.Sprintf("%s lets %s run here undisturbed until %s", f.Environment, f.Promotion.Release.Label(), moment(end))
			if f.ByPeople {
				say += ", and people merge it there until " + moment(limit)
			}
			say += "; Boatlift merges this one then, and a person may do so before"
		}
	}
	return until, say
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
