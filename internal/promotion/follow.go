package promotion

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/image"
)

// follow applies what the forge shows of a promotion's pull request, and what the pipeline did after the merge.
func (p *planner) follow(env Environment, pr *Promotion) {
	active := pr.State.Active()
	pull, seen := p.w.Pulls[pr.PullRequest]
	seen = seen && pr.PullRequest != 0
	switch {
	case seen && pull.State == PullMerged && pr.MergedAt.IsZero():
		p.merged(pr, pull)
	case pr.State.Active() && seen && pull.State == PullClosed:
		p.closed(env, pr, pull)
	case pr.State.Active() && seen:
		p.stillOpen(pr, pull)
	case pr.State == Rejected && seen && pull.State == PullOpen:
		pr.State, pr.Kept, pr.Reason = Open, true, "reopened by a person, which takes the rejection back"
		pr.ToClose, pr.ToDelete = false, false
		p.rejections = slices.DeleteFunc(p.rejections, func(r Rejection) bool { return r.Promotion == pr.ID })
		p.do(Lift{Promotion: *pr})
	case (pr.State == Superseded || pr.State == Stale) && seen && pull.State == PullOpen && !pr.ToClose && !pr.Modified && !pr.Kept:
		pr.State, pr.Kept, pr.Reason = Open, true, "reopened by a person"
		p.record(pr, "", pr.Reason)
	}
	if pr.State.InRollout() || pr.State == Failed {
		p.rollout(env, pr)
	}
	if pr.State == Deployed || pr.State == Verified {
		p.verified(env, pr)
	}
	if active && !pr.State.Active() {
		p.ending[pr.Branch] = true // a release that is wanted again needs its branch, and has it once this is written down
	}
}

func (p *planner) record(pr *Promotion, actor, what string) {
	p.do(Record{Promotion: *pr, Actor: actor, What: what})
}

// stillOpen notices that a person pushed to the branch.
func (p *planner) stillOpen(pr *Promotion, pull Pull) {
	if pr.State == Opening {
		pr.State, pr.URL = Open, pull.URL
		if pr.OpenedAt.IsZero() {
			pr.OpenedAt = p.w.Now
		}
	}
	if pull.Foreign && !pr.Modified {
		pr.Modified = true
		pr.Reason = "a person pushed to the branch, so the bot does not touch it any more"
		p.record(pr, "", pr.Reason)
	}
}

// merged notes who merged, and whether the gate had allowed it. A person who merges has decided: holds of just these images are lifted.
func (p *planner) merged(pr *Promotion, pull Pull) {
	pr.State = Merged
	pr.MergeCommit, pr.MergedAt, pr.MergedBy = pull.MergeCommit, pull.MergedAt, pull.MergedBy.Login
	if pr.MergedAt.IsZero() {
		pr.MergedAt = p.w.Now
	}
	green := pr.Gate != nil && pr.Gate.State == gate.Allow && pr.GateHead == pull.Head || allowed(pull.Shown)
	pr.AgainstGate = !green && !pull.MergedBy.Bot
	pr.ToClose, pr.ToDelete = false, !pr.Modified
	pr.EndedAt = p.w.Now
	pr.Reason = "merged by " + orSomebody(pr.MergedBy)
	if pr.AgainstGate {
		pr.Reason += " against the gate"
		if pr.Gate != nil {
			pr.Reason += ", which said: " + pr.Gate.Reason()
		}
	}
	p.record(pr, pr.MergedBy, pr.Reason)
	if !pull.MergedBy.Bot && p.letGo(pr.Release) {
		p.do(LiftHold{Promotion: *pr, Actor: pr.MergedBy})
	}
}

// letGo lifts the holds of a release's images, as the store does: a hold of other images too keeps those, and one of the whole environment
// stays until a person lifts it. It tells whether there was anything to lift.
func (p *planner) letGo(r Release) (lifted bool) {
	var left []Hold
	for _, h := range p.holds {
		if h.Environment == r.Environment && len(h.Images) > 0 {
			rest := slices.DeleteFunc(slices.Clone(h.Images), r.Moves)
			lifted = lifted || len(rest) < len(h.Images)
			if h.Images = rest; len(rest) == 0 {
				continue
			}
		}
		left = append(left, h)
	}
	p.holds = left
	return lifted
}

// closed is a rejection if a person who may write did it. What a machine or an outsider closed is opened again once, then held.
func (p *planner) closed(env Environment, pr *Promotion, pull Pull) {
	by := pull.ClosedBy
	if pr.Modified || by.Login == "" || (by.CanWrite && !by.Bot) {
		p.reject(pr, by)
		return
	}
	if reason := p.passed(env, pr.Release); reason != "" {
		pr.State, pr.Reason, pr.EndedAt, pr.ToDelete = Stale, reason, p.w.Now, true
		p.record(pr, by.Login, reason)
		return
	}
	if p.w.ReadOnly != "" || env.Mode == Observe {
		return
	}
	if p.w.Now.Before(pr.RetryAt) {
		p.wake(pr.RetryAt)
		return
	}
	if pr.Reopened == 0 {
		pr.Reopened++
		pr.State = Open
		v := p.verdict(env, pr)
		p.shown(pr, v)
		p.do(Reopen{Promotion: *pr, Verdict: v})
		return
	}
	images := imagesOf(pr.Release)
	reason := fmt.Sprintf("%s closed %s twice without being a person who may reject it", by.Login, p.pullName(pr))
	pr.State, pr.Reason, pr.EndedAt, pr.ToDelete = Stale, reason, p.w.Now, true
	p.record(pr, by.Login, reason)
	p.hold(Hold{Environment: pr.Release.Environment, Images: images, Reason: reason, Actor: "boatlift", At: p.w.Now})
}

func (p *planner) reject(pr *Promotion, by Person) {
	pr.State, pr.EndedAt = Rejected, p.w.Now
	pr.Reason = fmt.Sprintf("%s closed %s without merging it", orSomebody(by.Login), p.pullName(pr))
	pr.ToDelete = !pr.Modified
	var rejections []Rejection
	for _, c := range pr.Release.Changes {
		rejections = append(rejections, Rejection{
			Environment: pr.Release.Environment, Image: c.Image, Digest: c.Digest, Promotion: pr.ID, Actor: by.Login, At: p.w.Now,
		})
	}
	p.rejections = append(p.rejections, rejections...)
	p.do(Reject{Promotion: *pr, Rejections: rejections})
}

func (p *planner) hold(h Hold) {
	p.holds = append(p.holds, h)
	p.do(AddHold{Hold: h})
}

func (p *planner) pullName(pr *Promotion) string {
	if pr.PullRequest == 0 {
		return "its pull request"
	}
	return fmt.Sprintf("%s%d", cmp.Or(p.w.PullSign, "#"), pr.PullRequest)
}

func imagesOf(r Release) []image.Name {
	names := make([]image.Name, len(r.Changes))
	for i, c := range r.Changes {
		names[i] = c.Image
	}
	return names
}

// findReverts turns a commit of a person that sets an earlier release into a hold on its images.
func (p *planner) findReverts(env Environment, promotions []*Promotion) {
	if p.w.Previous == nil {
		return
	}
	type entry struct{ file, name string }
	before := map[entry]Listing{}
	for _, l := range p.w.Previous {
		if l.Environment == env.Name {
			before[entry{l.File, l.Entry}] = l
		}
	}
	for _, now := range p.listings[env.Name] {
		was, had := before[entry{now.File, now.Entry}]
		if !had || was.Image != now.Image || (was.Tag == now.Tag && was.Digest == now.Digest) {
			continue
		}
		if explained(now, promotions) || !p.goesBack(env, was, now, promotions) || p.heldBecause(env.Name, now.Image) != "" {
			continue
		}
		app := App{Images: []image.Name{now.Image}}
		for _, a := range Apps(env, p.listings[env.Name]) {
			if slices.Contains(a.Images, now.Image) {
				app = a
			}
		}
		p.hold(Hold{
			Environment: env.Name, Images: app.Images, Actor: "boatlift", At: p.w.Now,
			Reason: fmt.Sprintf("a commit up to %s set %s back from %s to %s", short(p.w.Base), now.Image.Base(), label(was), label(now)),
		})
	}
}

func label(l Listing) string {
	if l.Tag != "" {
		return l.Tag
	}
	return l.Digest.Short()
}

// explained tells whether a promotion of the bot has just put the entry where it is.
func explained(now Listing, promotions []*Promotion) bool {
	return slices.ContainsFunc(promotions, func(pr *Promotion) bool {
		return (pr.State.Active() || pr.State.InRollout() || pr.State == Failed) && slices.ContainsFunc(pr.Release.Changes, func(c Change) bool {
			return c.Image == now.Image && c.Tag == now.Tag && (now.Digest == "" || c.Digest == now.Digest)
		})
	})
}

// goesBack tells whether an entry was set to something older, or to just what a promotion had moved it away from.
func (p *planner) goesBack(env Environment, was, now Listing, promotions []*Promotion) bool {
	if rule, _, err := p.rule(env, now.Image); err == nil {
		if rule.Older(p.seen(now.Image, now.Tag, now.Digest), p.seen(now.Image, was.Tag, was.Digest)) {
			return true
		}
	}
	return slices.ContainsFunc(promotions, func(pr *Promotion) bool {
		return !pr.MergedAt.IsZero() && slices.ContainsFunc(pr.Release.Changes, func(c Change) bool {
			return c.Image == now.Image && c.Digest == was.Digest && c.Tag == was.Tag && c.FromTag == now.Tag && c.FromDigest == now.Digest
		})
	})
}
