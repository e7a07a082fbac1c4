package promotion

import (
	"fmt"
	"slices"
	"time"

	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/image"
)

// choose opens what is wanted and not open yet, and decides which of an app's open releases stay: the one furthest along `after`, and
// the newest. It returns the promotions whose pull requests go on.
func (p *planner) choose(env Environment, active []*Promotion, wishes []wish) []*Promotion {
	wanted := map[string]bool{}
	for _, w := range wishes {
		wanted[w.release.ID] = true
	}
	// What was decided on but never became a pull request, and is not wanted any more, ends quietly.
	active = slices.DeleteFunc(active, func(pr *Promotion) bool {
		if pr.State == Opening && pr.PullRequest == 0 && !wanted[pr.Release.ID] {
			pr.State, pr.Reason, pr.EndedAt, pr.ToDelete = Superseded, "a newer release came before its pull request was open", p.w.Now, true
			p.do(Close{Promotion: *pr})
			return true
		}
		return false
	})

	for _, w := range wishes {
		newest := findRelease(active, w.release.ID)
		if newest == nil && p.ending[w.release.Branch()] {
			p.wake(p.w.Now) // its branch is only free once the promotion that ends has been closed
			continue
		}
		if newest == nil {
			pr := p.begin(env, w.release)
			leaving := p.leaving(env, active, pr)
			if env.MaxOpen > 0 && len(active)-len(leaving)+1 > env.MaxOpen {
				p.noteAll(pr.Release, Note{
					Say:  fmt.Sprintf("waits: %d pull requests are open in %s, and maxOpen is %d", len(active), env.Name, env.MaxOpen),
					Hint: "merge or close one of them, or raise maxOpen in .boatlift.yaml",
				})
				continue
			}
			newest = pr
			active = append(active, pr)
		}
		for _, pr := range p.leaving(env, active, newest) {
			p.end(pr, Superseded, "superseded by "+newest.Release.Label(), newest)
			active = slices.DeleteFunc(active, func(o *Promotion) bool { return o == pr })
		}
	}
	for _, pr := range active {
		if pr.State == Opening && pr.PullRequest == 0 {
			if again := later(pr.RetryAt, pr.WaitsUntil); p.w.Now.Before(again) {
				p.wake(again)
				continue
			}
			v := p.verdict(env, pr)
			p.shown(pr, v)
			pr.Next = p.next(env, pr, Pull{}, v)
			p.do(OpenPull{Promotion: *pr, Verdict: v})
		}
	}
	return active
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func findRelease(active []*Promotion, id string) *Promotion {
	for _, pr := range active {
		if pr.Release.ID == id {
			return pr
		}
	}
	return nil
}

// begin makes the next promotion of a release; the same release may come again after it ended.
func (p *planner) begin(env Environment, release Release) *Promotion {
	n := 1
	for _, pr := range p.w.Promotions {
		if pr.Release.ID == release.ID {
			n++
		}
	}
	return &Promotion{
		ID: fmt.Sprintf("%s-%d", release.ID[:12], n), Repo: p.w.Repo, Release: release, State: Opening, Branch: release.Branch(), CreatedAt: p.w.Now,
	}
}

// leaving are the promotions that make room for the newest release of their app. A newer release takes over at once where nothing
// stands in its way; else the one that is furthest along `after` stays beside the newest, so that a stream of pushes never
// keeps an environment from moving. What a person changed or reopened stays.
func (p *planner) leaving(env Environment, active []*Promotion, newest *Promotion) []*Promotion {
	var older []*Promotion
	for _, pr := range active {
		if pr != newest && pr.Release.ID != newest.Release.ID && pr.Release.Overlaps(newest.Release) && !pr.Modified && !pr.Kept {
			older = append(older, pr)
		}
	}
	if len(older) == 0 || p.green(env, newest) {
		return older
	}
	slices.SortStableFunc(older, func(a, b *Promotion) int { return a.CreatedAt.Compare(b.CreatedAt) })
	var furthest *Promotion
	most := 0
	for _, pr := range older {
		if n := p.progress(env, pr); n > 0 && n >= most {
			most, furthest = n, pr
		}
	}
	return slices.DeleteFunc(older, func(pr *Promotion) bool { return pr == furthest })
}

// The progress of a release that runs in an environment just before, and of one that was merged there and is about to. Where it has only come
// so far before that one, it is half as far.
const (
	runsThere   = 1 << 20
	mergedThere = runsThere / 4 * 3
)

// progress tells how far along `after` a release is. Environments just before count most, and those before them through the promotions of
// the same digests that are on their way there: so the last environment of a long chain keeps the release that is about to reach it.
func (p *planner) progress(env Environment, pr *Promotion) int {
	n := 0
	changes := gateChanges(pr.Release)
	for i, up := range p.after(env, changes) {
		if !up.RunsSince.IsZero() {
			n += runsThere
			continue
		}
		best := 0
		for _, o := range p.w.Upstream[env.After[i]].Promotions {
			switch {
			case !slices.ContainsFunc(changes, func(c gate.Change) bool { return moves(o.Release, c.Image, c.ToDigest) }):
			case o.State.InRollout():
				best = max(best, mergedThere)
			default:
				best = max(best, o.Progress/2)
			}
		}
		n += best
	}
	return n
}

// green tells whether everything but approvals allows the promotion.
func (p *planner) green(env Environment, pr *Promotion) bool {
	return allButApprovals(p.verdict(env, pr))
}

func allButApprovals(v gate.Verdict) bool {
	return !slices.ContainsFunc(v.Rulings, func(r gate.Ruling) bool { return r.State != gate.Allow && r.Kind != gate.KindApproval })
}

func gateChanges(r Release) []gate.Change {
	changes := make([]gate.Change, len(r.Changes))
	for i, c := range r.Changes {
		changes[i] = gate.Change{Image: c.Image, FromTag: c.FromTag, FromDigest: c.FromDigest, ToTag: c.Tag, ToDigest: c.Digest}
	}
	return changes
}

// facts are what the policies see of a promotion.
func (p *planner) facts(env Environment, pr *Promotion) gate.Facts {
	changes := gateChanges(pr.Release)
	f := gate.Facts{
		Now: p.w.Now, Environment: env.Name, App: pr.Release.App, Changes: changes, After: p.after(env, changes),
		OpenedAt: pr.OpenedAt, GreenAt: pr.GreenAt, OpenCount: p.countActive(env.Name), Head: pr.Head,
	}
	for i, c := range pr.Release.Changes {
		changes[i].Downgrade = p.downgrades(env, c)
		changes[i].PushedAt = p.seen(c.Image, c.Tag, c.Digest).First
		if reason := p.heldBecause(env.Name, c.Image); reason != "" {
			f.Held = reason
		}
	}
	if pull, ok := p.w.Pulls[pr.PullRequest]; ok && pr.PullRequest != 0 {
		f.Checks, f.Head = pull.Checks, pull.Head
		pull.into(&f)
	}
	return f
}

// after compares every environment that this one comes after with the changes. Matched by image, never by path.
func (p *planner) after(env Environment, changes []gate.Change) []gate.Upstream {
	var all []gate.Upstream
	for _, ref := range env.After {
		up := gate.Upstream{Environment: ref.String()}
		u, ok := p.w.Upstream[ref]
		switch {
		case !ok:
			up.Problem = "not looked at yet"
		case u.Problem != "":
			up.Problem = u.Problem
		default:
			compareUpstream(&up, u, changes)
		}
		all = append(all, up)
	}
	return all
}

func compareUpstream(up *gate.Upstream, u Upstream, changes []gate.Change) {
	up.Rollout, up.RolloutURL, up.RolloutSays = u.Running.State, u.Running.URL, u.Running.Says
	var since time.Time
	var running []image.Name
	for _, c := range changes {
		if !slices.Contains(u.Listed, c.Image) {
			up.Unused = append(up.Unused, c.Image)
			continue
		}
		run, runs := u.Running.Images[c.Image]
		if !runs || c.ToDigest == "" || run.Digest != c.ToDigest {
			up.Missing = append(up.Missing, c.Image)
			continue
		}
		if run.Since.After(since) {
			since = run.Since
		}
		running = append(running, c.Image)
	}
	up.Pending, up.PendingURL = u.Running.Unproved(running...)
	up.Verified = len(up.Pending) == 0
	if len(up.Unused)+len(up.Missing) == 0 {
		up.RunsSince = since
	}
	for _, pr := range u.Promotions {
		if pr.URL != "" && slices.ContainsFunc(changes, func(c gate.Change) bool { return moves(pr.Release, c.Image, c.ToDigest) }) {
			up.PullRequest = pr.URL
		}
	}
}

func moves(r Release, name image.Name, digest image.Digest) bool {
	return slices.ContainsFunc(r.Changes, func(c Change) bool { return c.Image == name && c.Digest == digest })
}
