package config

import (
	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/promotion"
)

// Require is what the organisation asks of every infra repo, in the bot's own file: policies that are judged besides those of the
// repo, and the loosest merge, rollout and pin that a repo may choose. A repo can be stricter, never looser. The zero Require asks
// nothing.
type Require struct {
	Policies []gate.Use
	Merge    promotion.MergeMode // manual is stricter than approved, and that than auto
	Rollout  string              // deployment is stricter than workflow, and that than merge. None at all is stricter still: it never counts as success
	Pin      promotion.Pin       // digest and tag+digest are stricter than tag, and equal
}

const requiredBy = " by the organisation, under require in the bot's boatlift.yaml"

// check notes where an environment is looser than what is required.
func (r Require) check(p *problems, env environment, merge promotion.MergeMode, pin promotion.Pin) {
	loose := func(m promotion.MergeMode) int {
		switch m {
		case promotion.MergeManual:
			return 0
		case promotion.MergeApproved:
			return 1
		default:
			return 2
		}
	}
	if r.Merge != "" && loose(merge) > loose(r.Merge) {
		right := "write merge: " + string(r.Merge)
		if r.Merge == promotion.MergeApproved {
			right += ", or manual"
		}
		p.add(env.Merge, "merge: "+string(merge)+" is not allowed"+requiredBy, right)
	}
	if r.Pin != "" && r.Pin != promotion.PinTag && pin == promotion.PinTag {
		p.add(env.Pin, "pin: tag is not allowed"+requiredBy, "write pin: tag+digest or pin: digest")
	}
	const deployment, workflow = "deployment", "workflow"
	right := "write rollout: {deployment: " + env.name("production") + "}, with the name of the deployment at the forge"
	switch o := env.Rollout; {
	case o == nil:
	case o.Merge.value && r.Rollout == workflow:
		p.add(o.Merge, "a merge does not count as a rollout"+requiredBy, right+", or {workflow: apply.yml}")
	case o.Merge.value && r.Rollout == deployment:
		p.add(o.Merge, "a merge does not count as a rollout"+requiredBy, right)
	case o.Workflow.set && r.Rollout == deployment:
		p.add(o.Workflow, "a run of a workflow does not count as a rollout"+requiredBy, right)
	}
}
