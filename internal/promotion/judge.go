package promotion

import (
	"maps"
	"slices"
	"time"

	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/image"
)

// verdict judges a promotion. What the environment demands of images, and no downgrade, are not for anybody to leave out.
func (p *planner) verdict(env Environment, pr *Promotion) gate.Verdict {
	facts := p.facts(env, pr)
	v := p.w.Judge(facts, p.policies(env))
	rulings := v.Rulings
	for _, c := range facts.Changes {
		if c.Downgrade {
			rulings = append([]gate.Ruling{{
				Policy: "downgrade", State: gate.Deny, Say: c.ToTag + " is older than what " + env.Name + " has of " + c.Image.Base(),
			}}, rulings...)
			break
		}
	}
	return gate.Judge(append(p.lacking(env, pr), rulings...)...).After(pr.Gate, p.w.Now)
}

// lacking is a ruling for each image that is not built for all platforms that the environment demands, or of which that is not known: a
// release may have been open before it demanded them.
func (p *planner) lacking(env Environment, pr *Promotion) (rulings []gate.Ruling) {
	if len(env.Platforms) == 0 {
		return nil
	}
	for _, c := range pr.Release.Changes {
		if c.Digest == "" {
			continue
		}
		t := target{name: c.Image, want: image.Seen{Tag: c.Tag, Digest: c.Digest}}
		if ok, why := p.builtFor(env, t); !ok && why.Say != "" {
			rulings = append(rulings, gate.Ruling{Policy: "platforms", State: gate.Wait, Say: c.Image.Base() + ": " + why.Say, Detail: why.Hint, Until: why.Until})
		}
	}
	return rulings
}

// shown notes the verdict on the promotion, and since when all but approvals allows.
func (p *planner) shown(pr *Promotion, v gate.Verdict) {
	pr.Gate = &v
	switch {
	case !allButApprovals(v):
		pr.GreenAt = time.Time{}
	case pr.GreenAt.IsZero():
		pr.GreenAt = p.w.Now.Truncate(time.Second) // forges tell whole seconds of reviews
	}
}

// judge shows the gate on every open pull request where it changed, rebuilds what conflicts, and merges where the configuration
// leaves that to the bot.
func (p *planner) judge(env Environment, active []*Promotion) {
	for _, pr := range active {
		pull, seen := p.w.Pulls[pr.PullRequest]
		if pr.PullRequest == 0 || !seen || pull.State != PullOpen || pr.State != Open {
			continue
		}
		if pull.Foreign {
			continue // it may change anything by now, and is judged by what it does change, as everybody's pull requests are
		}
		p.queued(pr, pull)
		v := p.verdict(env, pr)
		p.wake(v.Until)
		if progress := p.progress(env, pr); progress != pr.Progress {
			pr.Progress = progress
			p.do(Advance{Promotion: *pr})
		}
		changed := pr.Gate == nil || fingerprint(*pr.Gate) != fingerprint(v)
		p.shown(pr, v)
		if next := p.next(env, pr, pull, v); next != pr.Next {
			pr.Next, changed = next, true
		}
		waits := p.w.Now.Before(pr.RetryAt)
		if waits {
			p.wake(pr.RetryAt)
		}
		if waits && !changed { // what failed is not tried again yet; but a gate that turns is shown at once
			continue
		}
		if pull.Conflicting && !pr.Modified && pr.Base != p.w.Base && p.w.Paused == "" && !waits {
			p.do(Rebuild{Promotion: *pr, Why: "base moved and the pull request conflicts with it", Verdict: v})
			continue
		}
		if changed || pr.GateHead != pull.Head || pull.Ungated && v.State != gate.Allow {
			pr.GateHead = pull.Head
			p.do(ShowGate{Promotion: *pr, Verdict: v})
		}
		if waits {
			continue
		}
		p.askReviewers(env, pr, pull, v)
		if p.mayMerge(env, pr, pull, v) {
			p.do(Merge{Promotion: *pr, Head: pull.Head, Method: env.MergeMethod})
		}
	}
}

// mayMerge tells whether the bot itself merges now.
func (p *planner) mayMerge(env Environment, pr *Promotion, pull Pull, v gate.Verdict) bool {
	if p.w.Paused != "" || v.State != gate.Allow || pull.Draft || pull.Conflicting || pull.Foreign || pr.Modified {
		return false
	}
	if !pr.QueuedAt.IsZero() || pr.OutOfQueue == pull.Head && pr.OutOfQueue != "" {
		return false // it waits in the merge queue, or a person took it out
	}
	if p.w.Now.Before(pr.RequeueAt) {
		p.wake(pr.RequeueAt)
		return false
	}
	switch env.Merge {
	case MergeAuto:
		if until, _ := p.soaking(env, pr); !until.IsZero() {
			p.wake(earliest(until, p.w.Now.Add(soakLook)))
			return false
		}
		return true
	case MergeApproved:
		return p.w.Judge(p.facts(env, pr), p.approving(env)).State == gate.Allow
	default:
		return false
	}
}

// approvalsPolicy is the policy that waits for people. It ships with the bot.
const approvalsPolicy = "approvals"

// approving are the policies by which a review merges: those of the environment, of which the ones that wait for people only count what was
// given since nothing else was missing. Where none waits for people, one person has to approve.
func (p *planner) approving(env Environment) []gate.Use {
	uses := p.policies(env)
	if !slices.ContainsFunc(uses, func(u gate.Use) bool { return u.Policy == approvalsPolicy }) {
		uses = append(uses, gate.Use{Policy: approvalsPolicy})
	}
	if env.EarlierApprovals {
		return uses
	}
	for i, u := range uses {
		if u.Policy != approvalsPolicy {
			continue
		}
		parameters := maps.Clone(u.Parameters)
		if parameters == nil {
			parameters = map[string]any{}
		}
		parameters["afterGreen"] = true
		uses[i].Parameters = parameters
	}
	return uses
}

// askReviewers asks for reviews of a head once nothing but approvals is missing, and not where the bot merges without any.
func (p *planner) askReviewers(env Environment, pr *Promotion, pull Pull, v gate.Verdict) {
	waits := v.State != gate.Allow
	if p.w.Paused != "" || pr.AskedFor == pull.Head || pr.Modified || pull.Draft || !allButApprovals(v) || !waits && env.Merge == MergeAuto {
		return
	}
	reviewers := env.Reviewers
	if reviewers.None() && (waits || env.Merge == MergeApproved) {
		reviewers.Users, reviewers.Teams = gate.Approvers(p.policies(env))
	}
	if reviewers.None() {
		return
	}
	pr.Asked, pr.AskedAt, pr.AskedFor = slices.Concat(reviewers.Users, reviewers.Teams), p.w.Now, pull.Head
	p.do(AskReviewers{Promotion: *pr, Reviewers: reviewers})
}
