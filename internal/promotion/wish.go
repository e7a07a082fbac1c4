package promotion

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/boatlift/boatlift/internal/image"
)

// wish is what an app should run, as far as tags and rules go.
type wish struct {
	app     App
	release Release // no changes: nothing is wanted now
}

// wishes finds, for each app of an environment, the release that it should have. What has news and does not move gets a note.
func (p *planner) wishes(env Environment, promotions []*Promotion) []wish {
	var wishes []wish
	for _, app := range Apps(env, p.listings[env.Name]) {
		if release, ok := p.wishFor(env, app, promotions); ok {
			wishes = append(wishes, wish{app: app, release: release})
		}
	}
	return wishes
}

// target is what one image of an app should move to.
type target struct {
	name    image.Name
	current image.Seen
	want    image.Seen
	rule    image.Rule
	moves   bool
	held    bool // it would move, were it not on hold
}

func (p *planner) wishFor(env Environment, app App, promotions []*Promotion) (Release, bool) {
	var targets []target
	var changes []Change
	ready := true
	for _, name := range app.Images {
		t, ok := p.target(env, app, name)
		if !ok {
			ready = false // what is missing of the others is asked for all the same, so that one round of answers is enough
			continue
		}
		targets = append(targets, t)
		if t.moves {
			changes = append(changes, Change{
				Image: name, FromTag: t.current.Tag, FromDigest: t.current.Digest, Tag: t.want.Tag, Digest: t.want.Digest,
			})
		}
	}
	held := p.heldUp(env, app, targets)
	if !ready || held || len(changes) == 0 {
		return Release{}, false // the whole app waits for the registry's answer, and for the end of a hold
	}
	release := NewRelease(env.Name, app.Name, changes)
	if slices.ContainsFunc(promotions, func(pr *Promotion) bool { return pr.State.Active() && pr.Release.ID == release.ID }) {
		return release, true
	}
	return release, p.settled(env, app, targets, promotions)
}

// heldUp tells whether an image of the app that would move is on hold, and notes at the others that they wait for it.
func (p *planner) heldUp(env Environment, app App, targets []target) bool {
	i := slices.IndexFunc(targets, func(t target) bool { return t.held })
	if i < 0 {
		return false
	}
	for _, t := range targets {
		if t.moves {
			p.note(Note{
				Environment: env.Name, App: app.Name, Image: t.name, Tag: t.want.Tag, Since: t.want.First,
				Say: "waits for " + targets[i].name.Base() + ", which moves with it and is on hold", Hint: holdHint(env),
			})
		}
	}
	return true
}

func holdHint(env Environment) string {
	return "lift the hold with boatlift lift when " + env.Name + " may move again"
}

// target finds what an image should move to. ok is false while the registry cannot be asked.
func (p *planner) target(env Environment, app App, name image.Name) (t target, ok bool) {
	t.name = name
	note := Note{Environment: env.Name, App: app.Name, Image: name}
	since := p.w.FirstSeen[Listed{env.Name, name}]
	var known []Known
	for _, k := range p.w.Tags[name] {
		if k.ToldAfter(since) {
			known = append(known, k)
		}
	}
	if len(known) == 0 {
		return t, true // no news, so no note
	}
	newest := slices.MaxFunc(known, func(a, b Known) int { return a.First.Compare(b.First) })
	note.Tag, note.Since = newest.Tag, newest.First

	rule, _, err := p.rule(env, name)
	if err != nil {
		note.Say = fmt.Sprintf("%s was pushed, but no tag rule says whether %s wants it: %v", newest.Tag, env.Name, err)
		note.Hint = hintOf(err)
		p.note(note)
		return t, true
	}
	t.rule, t.current = rule, p.current(env, name)
	if refusal := p.refusal(env, name); refusal != "" {
		note.Say = "cannot be edited: " + refusal
		p.note(note)
		return t, true
	}

	best, found := p.best(rule, known)
	if !found {
		note.Say = fmt.Sprintf("%s was pushed, but the rule %s does not take it", newest.Tag, rule)
		note.Hint = "change tags: for this image in .boatlift.yaml if it should"
		p.note(note)
		return t, true
	}
	note.Tag, note.Since = best.Tag, best.First
	if best.Problem != "" && p.w.Now.Before(best.RetryAt) {
		note.Say = fmt.Sprintf("the digest of %s is not known: %s", best.Tag, best.Problem)
		note.Hint = "the registry is asked again by itself; check its credentials if this lasts"
		note.Until = best.RetryAt
		p.note(note)
		return t, false
	}
	if best.Digest == "" {
		p.d.Asks = append(p.d.Asks, Ask{Image: Listed{env.Name, name}, Tag: best.Tag})
		return t, false
	}
	t.want = best.Seen
	if !p.mayMove(env, t, note) {
		return t, true
	}
	if reason := p.heldBecause(env.Name, name); reason != "" {
		note.Say = "on hold: " + reason
		note.Hint = holdHint(env)
		p.note(note)
		t.held = true
		return t, true
	}
	t.moves = true
	return t, p.built(env, t, note)
}

// built tells whether an image is for all platforms that the environment demands, and notes what lacks. Pushed again under its tag, as
// when an index follows the images that it is made of, it is another image, and looked at again.
func (p *planner) built(env Environment, t target, note Note) bool {
	ok, why := p.builtFor(env, t)
	if !ok && why.Say != "" {
		note.Say, note.Hint, note.Until = "waits: "+why.Say, why.Hint, why.Until
		p.note(note)
	}
	return ok
}

// builtFor is built with the reason why not; without one the registry has to be asked first.
func (p *planner) builtFor(env Environment, t target) (ok bool, why Note) {
	if len(env.Platforms) == 0 {
		return true, why
	}
	b, asked := p.w.Built[t.want.Digest]
	if !asked || b.Problem != "" && !p.w.Now.Before(b.RetryAt) {
		p.d.Asks = append(p.d.Asks, Ask{Image: Listed{env.Name, t.name}, Tag: t.want.Tag, Digest: t.want.Digest})
		return false, why
	}
	missing := b.Facts.Lacks(env.Platforms)
	switch {
	case b.Problem != "":
		why.Say = fmt.Sprintf("for which platforms %s is built is not known: %s", t.want.Tag, b.Problem)
		why.Hint = "the registry is asked again by itself; check its credentials if this lasts"
		why.Until = b.RetryAt
	case len(missing) == 0:
		return true, why
	default:
		why.Say = fmt.Sprintf("%s is not built for %s", t.want.Tag, strings.Join(missing, " and "))
		if len(b.Facts.Platforms) > 0 {
			why.Say += ", only for " + strings.Join(b.Facts.Platforms, " and ")
		}
		why.Hint = "push the tag again with all platforms, or change platforms: in .boatlift.yaml"
	}
	return false, why
}

// best is the highest ranking tag that the rule takes and the registry still has.
func (p *planner) best(rule image.Rule, known []Known) (Known, bool) {
	byTag := map[string]Known{}
	var candidates []image.Seen
	for _, k := range known {
		if k.Gone {
			continue
		}
		byTag[k.Tag] = k
		candidates = append(candidates, k.Seen)
	}
	seen, ok := rule.Best(candidates)
	return byTag[seen.Tag], ok
}

// refusal says why an image may not be edited in this environment; empty if it may.
func (p *planner) refusal(env Environment, name image.Name) string {
	for _, l := range p.listsOf(env, name) {
		if l.Refusal != "" {
			return l.Refusal
		}
	}
	return ""
}

// mayMove tells whether a resolved target is a move that may be proposed, and notes why not.
func (p *planner) mayMove(env Environment, t target, note Note) bool {
	switch p.standing(env, t.name, t.want) {
	case reached:
		return false
	case older:
		note.Say = fmt.Sprintf("%s is older than %s, which %s has", t.want.Tag, t.current.Tag, env.Name)
		p.note(note)
		return false
	case unranked:
		note.Say = fmt.Sprintf("the rule %s cannot tell whether %s is newer than %s, which %s has", t.rule, t.want.Tag, orNothing(t.current.Tag), env.Name)
		note.Hint = "set the image to a tag of the rule by hand once, or change tags: in .boatlift.yaml"
		p.note(note)
		return false
	}
	for _, r := range p.rejections {
		if r.Environment == env.Name && r.Image == t.name && r.Digest == t.want.Digest {
			note.Say = fmt.Sprintf("%s was rejected by %s", t.want.Tag, orSomebody(r.Actor))
			note.Hint = "reopen its pull request to take the rejection back, or push a newer image"
			p.note(note)
			return false
		}
	}
	return true
}

func orNothing(tag string) string {
	if tag == "" {
		return "no tag"
	}
	return tag
}

func orSomebody(actor string) string {
	if actor == "" {
		return "somebody"
	}
	return actor
}

func hintOf(err error) string {
	if h, ok := err.(interface{ Hint() string }); ok {
		return h.Hint()
	}
	return ""
}

func (p *planner) heldBecause(environment string, name image.Name) string {
	for _, h := range p.holds {
		if h.Covers(environment, name) {
			return h.Reason
		}
	}
	return ""
}

// settled tells whether the app's other images need not be waited for: they have the same tag already, there are none, or the
// time for waiting is over.
func (p *planner) settled(env Environment, app App, targets []target, promotions []*Promotion) bool {
	tags := map[string]bool{}
	var late []string
	for _, t := range targets {
		tag := t.current.Tag
		if t.moves {
			tag = t.want.Tag
		} else if t.want.Tag == "" || t.want.Tag == t.current.Tag {
			late = append(late, t.name.Base())
		}
		if tag == "" && len(p.listsOf(env, t.name)) > 0 {
			tag = p.listsOf(env, t.name)[0].Tag
		}
		tags[tag] = true
	}
	if len(targets) == 1 || len(tags) == 1 {
		return true
	}
	var since time.Time
	for _, t := range targets {
		if !t.moves || proposed(promotions, t) {
			continue // what is proposed already brings no news to wait with
		}
		if s := p.waitingSince(t, promotions); since.IsZero() || s.Before(since) {
			since = s
		}
	}
	note := Note{Environment: env.Name, App: app.Name, Since: since}
	if env.Together {
		note.Say = "waits until every image of the app has the same tag"
		note.Hint = "push the missing images, or remove together: from .boatlift.yaml"
		p.note(note)
		return false
	}
	until := since.Add(env.Settle)
	if since.IsZero() || !p.w.Now.Before(until) {
		return true
	}
	note.Say = fmt.Sprintf("settling: waits a little for the app's other images (%d of %d have news)", len(targets)-len(late), len(targets))
	note.Until = until
	p.note(note)
	return false
}

// proposed tells whether some promotion has moved, or would move, the image to just what is wanted.
func proposed(promotions []*Promotion, t target) bool {
	return slices.ContainsFunc(promotions, func(pr *Promotion) bool {
		return slices.ContainsFunc(pr.Release.Changes, func(c Change) bool { return c.Image == t.name && c.Digest == t.want.Digest })
	})
}

// waitingSince is when the first push came that has not been part of any promotion yet, so that a stream of pushes does not put the end
// of settling off for ever.
func (p *planner) waitingSince(t target, promotions []*Promotion) time.Time {
	var last time.Time
	for _, pr := range promotions {
		if pr.Release.Moves(t.name) && pr.CreatedAt.After(last) {
			last = pr.CreatedAt
		}
	}
	since := t.want.First
	for _, k := range p.w.Tags[t.name] {
		if k.First.After(last) && k.First.Before(since) && t.rule.Allows(k.Tag) && t.rule.Newer(k.Seen, t.current) {
			since = k.First
		}
	}
	return since
}

// onlyObserve says what would be proposed where nothing may be.
func (p *planner) onlyObserve(env Environment, wishes []wish) {
	why, hint := cmp.Or(p.w.ReadOnly, p.w.Paused), ""
	if why == "" {
		why, hint = "mode: observe", "set mode: propose in .boatlift.yaml when you want pull requests"
	}
	for _, w := range wishes {
		p.noteAll(w.release, Note{Say: fmt.Sprintf("would propose %s; not done: %s", w.release.Label(), why), Hint: hint})
	}
}
