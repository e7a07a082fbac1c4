package promotion

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/image"
)

// Plan decides what is to be done for one infra repo. While the decision has Asks, it is not complete: resolve them, put the answers
// into the world, and plan again.
func Plan(w World) Decision {
	p := newPlanner(w)
	p.finishEnded()
	for _, env := range w.Config.Environments {
		p.environment(env)
	}
	p.orphans()
	p.others()
	p.groups()
	return p.d
}

type planner struct {
	w          World
	d          Decision
	listings   map[string][]Listing // by environment
	byImage    map[string][]int     // the order of an environment's listings by their images
	rejections []Rejection          // as they will be after the actions so far
	holds      []Hold
	ending     map[string]bool // branches of the promotions that this plan ends
}

func newPlanner(w World) *planner {
	p := &planner{w: w, listings: map[string][]Listing{}, byImage: map[string][]int{}, rejections: slices.Clone(w.Rejections), holds: slices.Clone(w.Holds), ending: map[string]bool{}}
	for _, l := range w.Listings {
		p.listings[l.Environment] = append(p.listings[l.Environment], l)
	}
	return p
}

func (p *planner) do(a Action) { p.d.Actions = append(p.d.Actions, a) }

func (p *planner) note(n Note) {
	p.d.Notes = append(p.d.Notes, n)
	p.wake(n.Until)
}

// noteAll notes the same of every image that a release would move: people ask by image. It is so since the image was pushed, unless it is
// said since when.
func (p *planner) noteAll(r Release, n Note) {
	since := n.Since
	for _, c := range r.Changes {
		n.Environment, n.App, n.Image, n.Tag = r.Environment, r.App, c.Image, c.Tag
		if n.Since = since; since.IsZero() {
			n.Since = p.seen(c.Image, c.Tag, c.Digest).First
		}
		p.note(n)
	}
}

// wake remembers the earliest moment at which the clock alone may change the decision.
func (p *planner) wake(at time.Time) {
	if !at.IsZero() && (p.d.Wake.IsZero() || at.Before(p.d.Wake)) {
		p.d.Wake = at
	}
}

// environment decides for one environment: first what became of its promotions, then what is wanted now, then which pull requests
// stay, and last what the gate says of them.
func (p *planner) environment(env Environment) {
	if env.Mode == Off {
		return
	}
	promotions := p.promotions(env.Name)
	for _, pr := range promotions {
		p.follow(env, pr)
	}
	p.findReverts(env, promotions)
	wishes := p.wishes(env, promotions)
	if p.w.ReadOnly != "" || env.Mode == Observe {
		p.onlyObserve(env, wishes)
		return
	}
	if p.w.Paused != "" {
		p.onlyObserve(env, wishes)
		p.judge(env, slices.DeleteFunc(promotions, func(pr *Promotion) bool { return !pr.State.Active() }))
		return
	}
	active := p.dropStale(env, promotions)
	active = p.choose(env, active, wishes)
	p.judge(env, active)
}

// promotions are working copies of an environment's promotions, oldest first.
func (p *planner) promotions(environment string) []*Promotion {
	var all []*Promotion
	for _, pr := range p.w.Promotions {
		if pr.Release.Environment == environment {
			all = append(all, &pr)
		}
	}
	slices.SortStableFunc(all, func(a, b *Promotion) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), strings.Compare(a.ID, b.ID))
	})
	return all
}

// finishEnded closes what has ended but whose pull request or branch is still there because an earlier turn did not get so far.
func (p *planner) finishEnded() {
	if p.w.ReadOnly != "" {
		return
	}
	for _, pr := range p.w.Promotions {
		if pr.State.Active() || !(pr.ToClose || pr.ToDelete) || p.w.Now.Before(pr.RetryAt) {
			continue
		}
		if pr.State == Rejected && !p.mayForget(pr) {
			continue
		}
		if pull, seen := p.w.Pulls[pr.PullRequest]; seen && pull.State == PullMerged && pr.MergedAt.IsZero() {
			continue // follow sees to it
		}
		p.do(Close{Promotion: pr, By: p.byID(pr.SupersededBy)})
	}
}

// mayForget tells whether the branch of a rejected promotion may be deleted. It stays for a while, so that reopening the pull request is
// one click: until a newer release of its images was merged, or for a month.
func (p *planner) mayForget(rejected Promotion) bool {
	return p.w.Now.After(rejected.EndedAt.AddDate(0, 1, 0)) || slices.ContainsFunc(p.w.Promotions, func(pr Promotion) bool {
		return pr.MergedAt.After(rejected.EndedAt) && pr.Release.Overlaps(rejected.Release)
	})
}

func (p *planner) byID(id string) *Promotion {
	for _, pr := range p.w.Promotions {
		if id != "" && pr.ID == id {
			return &pr
		}
	}
	return nil
}

// orphans ends the promotions of environments that the configuration does not name any more.
// While the newest configuration is wrong nobody knows what it was meant to name.
func (p *planner) orphans() {
	if p.w.ReadOnly != "" || p.w.Paused != "" {
		return
	}
	for _, pr := range p.w.Promotions {
		if _, known := p.w.Config.Environment(pr.Release.Environment); !known && pr.State.Active() {
			p.end(&pr, Stale, "the environment "+pr.Release.Environment+" is not in .boatlift.yaml any more", nil)
		}
	}
}

// end gives a promotion its last state and closes its pull request, unless a person's commits are on it.
func (p *planner) end(pr *Promotion, state State, reason string, by *Promotion) {
	pr.State, pr.Reason, pr.EndedAt = state, reason, p.w.Now
	p.ending[pr.Branch] = true
	if by != nil {
		pr.SupersededBy = by.ID
	}
	if pr.Modified {
		pr.Reason += "; its branch carries commits of a person, so the pull request is left open"
		p.do(Record{Promotion: *pr, What: pr.Reason})
		return
	}
	pr.ToClose, pr.ToDelete = true, true
	p.do(Close{Promotion: *pr, By: by})
}

// dropStale ends the active promotions that base has moved past, and returns those that go on.
func (p *planner) dropStale(env Environment, promotions []*Promotion) []*Promotion {
	var active []*Promotion
	for _, pr := range promotions {
		if !pr.State.Active() {
			continue
		}
		reason := p.passed(env, pr.Release)
		if reason == "" && !pr.Modified && !pr.Kept {
			reason = p.refused(env, pr.Release)
		}
		if pull, seen := p.w.Pulls[pr.PullRequest]; seen && pull.State == PullOpen && pull.Elsewhere != "" {
			reason = "it is onto " + pull.Elsewhere + ", which is not the default branch any more"
		}
		if reason != "" {
			p.end(pr, Stale, reason, nil)
			continue
		}
		active = append(active, pr)
	}
	return active
}

// refused says which image of a release a person has rejected by closing another pull request that moves it too; empty if none.
func (p *planner) refused(env Environment, r Release) string {
	for _, c := range r.Changes {
		for _, j := range p.rejections {
			if j.Environment == env.Name && j.Image == c.Image && j.Digest == c.Digest {
				return fmt.Sprintf("%s %s was rejected by %s", c.Image.Base(), c.Tag, orSomebody(j.Actor))
			}
		}
	}
	return ""
}

// passed says how base has moved past a release; empty if it has not.
func (p *planner) passed(env Environment, r Release) string {
	for _, c := range r.Changes {
		lists := p.listsOf(env, c.Image)
		if len(lists) == 0 {
			return fmt.Sprintf("no kustomization of %s lists %s any more", env.Name, c.Image)
		}
		switch p.standing(env, c.Image, p.seen(c.Image, c.Tag, c.Digest)) {
		case reached:
			return fmt.Sprintf("%s already has %s %s", env.Name, c.Image.Base(), c.Tag)
		case older:
			return fmt.Sprintf("%s has %s %s by now, which is newer than %s", env.Name, c.Image.Base(), p.current(env, c.Image).Tag, c.Tag)
		}
	}
	return ""
}

// standing is how an image that is wanted compares with what the kustomizations of an environment say.
type standing int

const (
	unranked standing = iota // the rule cannot rank them
	newer                    // at least one entry would move up, and none down
	older                    // at least one entry would move down
	reached                  // every entry has it
)

func (p *planner) standing(env Environment, name image.Name, want image.Seen) standing {
	rule, _, err := p.rule(env, name)
	if err != nil {
		return unranked
	}
	result := reached
	for _, l := range p.listsOf(env, name) {
		has := p.seen(name, l.Tag, l.Digest)
		switch {
		case rule.Older(want, has):
			return older
		case !differs(env.Pin, l, want.Tag, want.Digest) || result == newer:
		case rule.Newer(want, has):
			result = newer
		case !rule.Comparable(want, has):
			result = unranked
		}
	}
	return result
}

// downgrades tells whether a change would put an older image than base has.
func (p *planner) downgrades(env Environment, c Change) bool {
	return p.standing(env, c.Image, p.seen(c.Image, c.Tag, c.Digest)) == older
}

// listsOf are the places of an environment that list an image. Among thousands of apps it is asked for each that has something new, so that
// they are put into the order of their images first.
func (p *planner) listsOf(env Environment, name image.Name) []Listing {
	all := p.listings[env.Name]
	order, sorted := p.byImage[env.Name]
	if !sorted {
		order = make([]int, len(all))
		for i := range order {
			order[i] = i
		}
		slices.SortFunc(order, func(a, b int) int { return cmp.Or(cmp.Compare(all[a].Image, all[b].Image), cmp.Compare(a, b)) })
		p.byImage[env.Name] = order
	}
	at, _ := slices.BinarySearchFunc(order, name, func(i int, name image.Name) int { return cmp.Compare(all[i].Image, name) })
	var lists []Listing
	for ; at < len(order) && all[order[at]].Image == name; at++ {
		lists = append(lists, all[order[at]])
	}
	return lists
}

// seen finds when a tag was first seen at a digest. Where only a digest is written, the tag under which it came is looked up.
func (p *planner) seen(name image.Name, tag string, digest image.Digest) image.Seen {
	if tag == "" {
		tag = p.tagOf(name, digest)
	}
	for _, k := range p.w.Tags[name] {
		if k.Tag == tag && (digest == "" || k.Digest == digest) {
			return image.Seen{Tag: tag, Digest: digest, First: k.First}
		}
	}
	return image.Seen{Tag: tag, Digest: digest}
}

func (p *planner) tagOf(name image.Name, digest image.Digest) string {
	if digest == "" {
		return ""
	}
	for _, k := range p.w.Tags[name] {
		if k.Digest == digest {
			return k.Tag
		}
	}
	for _, pr := range p.w.Promotions {
		for _, c := range pr.Release.Changes {
			switch {
			case c.Image != name:
			case c.Digest == digest:
				return c.Tag
			case c.FromDigest == digest:
				return c.FromTag
			}
		}
	}
	return ""
}

// rule is the tag rule of an image: as written, or inferred from the tag that base has.
func (p *planner) rule(env Environment, name image.Name) (rule image.Rule, wanted bool, err error) {
	rule, wanted = env.Rule(name)
	if !wanted || !rule.IsZero() {
		return rule, wanted, nil
	}
	var tag string
	for _, l := range p.listsOf(env, name) {
		if tag = p.seen(name, l.Tag, l.Digest).Tag; tag != "" {
			break
		}
	}
	rule, err = image.Infer(tag)
	return rule, true, err
}

// current is the newest of what the kustomizations of an environment say of an image.
func (p *planner) current(env Environment, name image.Name) image.Seen {
	rule, _, err := p.rule(env, name)
	var newest image.Seen
	for i, l := range p.listsOf(env, name) {
		s := p.seen(name, l.Tag, l.Digest)
		if i == 0 || (err == nil && rule.Older(newest, s)) {
			newest = s
		}
	}
	return newest
}

// differs tells whether an entry would change if it were set to tag and digest.
func differs(pin Pin, l Listing, tag string, digest image.Digest) bool {
	switch pin {
	case PinDigest:
		return l.Digest != digest
	case PinTag:
		return l.Tag != tag
	default:
		return l.Tag != tag || l.Digest != digest
	}
}

// NoImageChanges is what is remembered of a head commit that changes no image of an environment: it need not be looked at again.
const NoImageChanges = "no image changes"

// others shows the gate on the pull requests of other people, so that a required check never blocks what has nothing to do with images.
func (p *planner) others() {
	proposes := slices.ContainsFunc(p.w.Config.Environments, func(e Environment) bool { return e.Mode == Propose })
	if p.w.ReadOnly != "" || !proposes {
		return
	}
	for _, o := range p.w.Others {
		verdict, shown := gate.Judge(gate.Ruling{Policy: "images", State: gate.Allow, Say: "no image of an environment changes"}), NoImageChanges
		switch {
		case o.Problem != "":
			verdict = gate.Judge(gate.Ruling{Policy: "images", State: gate.Deny, Say: o.Problem})
			shown = fingerprint(verdict)
		case len(o.Changes) > 0:
			if judged := p.judgeOther(o); judged.Rulings != nil {
				verdict, shown = judged, fingerprint(judged)
			}
		}
		p.wake(verdict.Until)
		if shown != o.Shown || o.Ungated && verdict.State != gate.Allow {
			p.do(ShowOther{Number: o.Number, Head: o.Head, Verdict: verdict, Shown: shown})
		}
	}
}

func (p *planner) judgeOther(o Other) gate.Verdict {
	var rulings []gate.Ruling
	names := make([]string, 0, len(o.Changes))
	for name := range o.Changes {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		env, ok := p.w.Config.Environment(name)
		if !ok || env.Mode == Off || env.Mode == Observe {
			continue
		}
		changes := slices.Clone(o.Changes[name])
		facts := gate.Facts{
			Now: p.w.Now, Environment: name, Changes: changes, After: p.after(env, changes), Head: o.Head,
			OpenCount: p.countActive(name), Checks: o.Checks,
		}
		o.into(&facts)
		for i, c := range changes {
			changes[i].Downgrade = p.downgrades(env, Change{Image: c.Image, Tag: c.ToTag, Digest: c.ToDigest})
			changes[i].PushedAt = p.seen(c.Image, c.ToTag, c.ToDigest).First
			if reason := p.heldBecause(name, c.Image); reason != "" {
				facts.Held = reason
			}
		}
		for _, r := range p.w.Judge(facts, p.policies(env)).Rulings {
			if len(names) > 1 {
				r.Policy = name + ": " + r.Policy
			}
			rulings = append(rulings, r)
		}
	}
	if rulings == nil {
		return gate.Verdict{}
	}
	return gate.Judge(rulings...)
}

func (p *planner) countActive(environment string) int {
	n := 0
	for _, pr := range p.w.Promotions {
		if pr.Release.Environment == environment && pr.State.Active() {
			n++
		}
	}
	return n
}

// policies are those of the organisation and those of the environment: the second can only make the first stricter.
func (p *planner) policies(env Environment) []gate.Use {
	return append(slices.Clone(p.w.Require), env.Policies...)
}

// allowed tells whether what was shown of somebody's pull request lets it be merged.
func allowed(shown string) bool {
	state, _, _ := strings.Cut(shown, "\n")
	return shown == NoImageChanges || state == string(gate.Allow)
}

// fingerprint tells two shown verdicts apart.
func fingerprint(v gate.Verdict) string {
	var b strings.Builder
	b.WriteString(string(v.State))
	for _, r := range v.Rulings {
		fmt.Fprintf(&b, "\n%s|%s|%s|%s|%s", r.Policy, r.State, r.Say, r.Detail, r.Until.UTC().Format(time.RFC3339))
	}
	return b.String()
}
