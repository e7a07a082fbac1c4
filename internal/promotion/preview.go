package promotion

import (
	"slices"
	"time"

	"github.com/boatlift/boatlift/internal/image"
)

// Proposal is a release that would be proposed, or is.
type Proposal struct {
	Release Release
	Open    bool   // it has a pull request, or is about to get one
	Not     string // why it is not proposed all the same: what mode: observe says, for one; empty if it is
}

// Preview is what Plan would propose of a world, as far as its tags go. Where Asks are left it is not complete, as with Plan. It needs
// nothing of the world that only the forge can tell.
type Preview struct {
	Proposals []Proposal
	Notes     []Note // why images that have news are not in any
	Asks      []Ask
}

// Foresee previews a plan.
func Foresee(w World) Preview {
	p := newPlanner(w)
	var view Preview
	for _, env := range w.Config.Environments {
		if env.Mode == Off {
			continue
		}
		promotions := p.promotions(env.Name)
		for _, app := range Apps(env, p.listings[env.Name]) {
			release, _ := p.wishFor(env, app, promotions) // one that has to settle is still foreseen
			if len(release.Changes) == 0 {
				continue
			}
			proposal := Proposal{Release: release, Open: slices.ContainsFunc(promotions, func(pr *Promotion) bool {
				return pr.State.Active() && pr.Release.ID == release.ID
			})}
			switch {
			case w.ReadOnly != "":
				proposal.Not = w.ReadOnly
			case env.Mode == Observe:
				proposal.Not = "mode: observe"
			}
			view.Proposals = append(view.Proposals, proposal)
		}
	}
	for _, n := range p.d.Notes {
		if n.Image != "" { // those on whole apps are about settling
			view.Notes = append(view.Notes, n)
		}
	}
	view.Asks = p.d.Asks
	return view
}

// use is an environment that wants an image, and the rule by which it does.
type use struct {
	env  Environment
	rule image.Rule
}

// uses are the environments of a world that want an image by a rule.
func (p *planner) uses(name image.Name) []use {
	var list []use
	for _, env := range p.w.Config.Environments {
		if env.Mode == Off || len(p.listsOf(env, name)) == 0 {
			continue
		}
		if rule, wanted, err := p.rule(env, name); wanted && err == nil {
			list = append(list, use{env, rule})
		}
	}
	return list
}

// ByTime tells whether an environment ranks the image's tags by when they came.
func ByTime(w World, name image.Name) bool {
	return slices.ContainsFunc(newPlanner(w).uses(name), func(u use) bool { return u.rule.ByTime() })
}

// Allowed are those of an image's tags that a rule of an environment takes.
func Allowed(w World, name image.Name, tags []string) []string {
	uses := newPlanner(w).uses(name)
	return slices.DeleteFunc(slices.Clone(tags), func(tag string) bool {
		return !slices.ContainsFunc(uses, func(u use) bool { return u.rule.Allows(tag) })
	})
}

// Matter tells which of the tags that a registry lists matter to a repo, so that it is worth asking where they point: those that
// its kustomizations have or that run, those in open pull requests, those that are followed, and for each environment the one that ranks
// highest.
func Matter(w World, name image.Name, listed []image.Seen) []string {
	p := newPlanner(w)
	var tags []string
	for _, env := range w.Config.Environments {
		if env.Mode == Off {
			continue
		}
		for _, l := range p.listsOf(env, name) {
			tags = append(tags, p.seen(name, l.Tag, l.Digest).Tag)
		}
		tags = append(tags, w.Running[env.Name].Images[name].Tag)
	}
	for _, u := range p.uses(name) {
		best, _ := u.rule.Best(listed)
		tags = append(tags, best.Tag)
	}
	for _, pr := range w.Promotions {
		for _, c := range pr.Release.Changes {
			if pr.State.Active() && c.Image == name {
				tags = append(tags, c.Tag)
			}
		}
	}
	return there(tags, listed)
}

// Candidates are those of the listed tags that an environment may want instead of what it has: the highest by its rule. Where that is
// the one that was seen last, what the environment has comes along, as nobody could tell which of both is newer otherwise.
func Candidates(w World, name image.Name, listed []image.Seen) []string {
	p := newPlanner(w)
	var tags []string
	for _, u := range p.uses(name) {
		best, ok := u.rule.Best(listed)
		has := p.current(u.env, name)
		if !ok || u.rule.Older(best, has) {
			continue
		}
		tags = append(tags, best.Tag)
		if u.rule.ByTime() && has.First.IsZero() {
			tags = append(tags, has.Tag)
		}
	}
	return there(tags, listed)
}

// Missed tells whether an environment would move to a tag at a digest, or compare with it, if it knew of it, and does not.
func Missed(w World, name image.Name, seen image.Seen) bool {
	p := newPlanner(w)
	return slices.ContainsFunc(p.uses(name), func(u use) bool {
		if slices.ContainsFunc(w.Tags[name], func(k Known) bool {
			return k.Tag == seen.Tag && (k.Digest == "" || k.Digest == seen.Digest) && !k.Gone && k.ToldAfter(w.FirstSeen[Listed{u.env.Name, name}])
		}) {
			return false
		}
		if u.rule.ByTime() && p.current(u.env, name).Tag == seen.Tag {
			return true
		}
		if !u.rule.Allows(seen.Tag) {
			return false
		}
		if seen.First.IsZero() {
			seen.First = time.Unix(1, 0) // only that it was seen counts
		}
		standing := p.standing(u.env, name, seen)
		return standing == newer || standing == unranked
	})
}

// there are those of some tags that are listed, sorted, each once.
func there(tags []string, listed []image.Seen) []string {
	has := make(map[string]bool, len(listed))
	for _, s := range listed {
		has[s.Tag] = true
	}
	slices.Sort(tags)
	return slices.DeleteFunc(slices.Compact(tags), func(tag string) bool { return !has[tag] })
}

// Wants tells whether an environment lists an image and has not left it out.
func Wants(w World, name image.Name) bool {
	p := newPlanner(w)
	return slices.ContainsFunc(w.Config.Environments, func(env Environment) bool {
		_, wanted := env.Rule(name)
		return wanted && env.Mode != Off && len(p.listsOf(env, name)) > 0
	})
}
