package promotion

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// rollout follows a merged promotion. It counts as deployed only when the kustomizations at the rolled-out commit carry its digests.
func (p *planner) rollout(env Environment, pr *Promotion) {
	run := p.w.Running[env.Name]
	// The newest rollout began after the merge. The forge's clocks are rounded, so the very commit of the merge counts anyway.
	since := !run.At.Before(pr.MergedAt) || pr.MergeCommit != "" && run.Newest == pr.MergeCommit
	switch {
	case env.Rollout.None():
		p.noteAll(pr.Release, Note{
			Say:   "merged, but nothing tells whether it was rolled out",
			Hint:  "add rollout: {deployment: NAME}, {workflow: FILE} or {merge: true} to " + env.Name + " in .boatlift.yaml",
			Since: pr.MergedAt,
		})
	case run.SHA != "" && carries(env.Pin, run, pr.Release):
		p.becomes(pr, Deployed, "rolled out at "+short(run.SHA))
	case run.State == "failed" && since && pr.State != Failed:
		p.becomes(pr, Failed, "its rollout failed")
	case run.State == "running" && since && pr.State == Merged:
		p.becomes(pr, RollingOut, "its rollout is running")
	case pr.State.InRollout() && p.overtaken(pr):
		p.becomes(pr, Stale, "a later release was rolled out before this one was seen to run")
	case run.State == "unknown" && since && pr.State.InRollout() && run.Says != "":
		p.becomes(pr, Merged, "it is not known whether it was rolled out: "+run.Says)
	case pr.State == Merged && env.Rollout.Timeout > 0:
		p.silent(env, pr, run)
	}
}

// silent says of a merged promotion that nothing was heard of its rollout for too long.
func (p *planner) silent(env Environment, pr *Promotion, run Running) {
	if late := pr.MergedAt.Add(env.Rollout.Timeout); p.w.Now.Before(late) {
		p.wake(late)
		return
	}
	reason := "it is not known whether it was rolled out: nothing was heard of that within " + inWords(env.Rollout.Timeout) + " (rollout.timeout)"
	if run.State == "succeeded" && !run.At.Before(pr.MergedAt) {
		reason = "it is not known to have run: what was rolled out since, " + short(run.SHA) + ", does not carry its digests"
	}
	p.becomes(pr, Merged, reason)
}

// becomes gives a promotion a state and a reason, and records them if either is new.
func (p *planner) becomes(pr *Promotion, state State, reason string) {
	if pr.State == state && pr.Reason == reason {
		return
	}
	pr.State, pr.Reason = state, reason
	p.record(pr, "", reason)
}

// verified follows what runs: it is verified once everything that the environment asks for is green, and not any more when something
// fails. What does not run any more stays what it was.
func (p *planner) verified(env Environment, pr *Promotion) {
	run := p.w.Running[env.Name]
	if len(env.Verify) == 0 || len(run.Proofs) == 0 || !carries(env.Pin, run, pr.Release) {
		return
	}
	open, urls := run.Unproved(imagesOf(pr.Release)...)
	if len(open) == 0 {
		names := make([]string, len(run.Proofs))
		for i, proof := range run.Proofs {
			names[i] = proof.Check
		}
		if pr.State != Verified {
			pr.Disproved = false
			p.becomes(pr, Verified, "verified: "+strings.Join(names, ", "))
		}
		return
	}
	var failed []string
	for _, name := range slices.Sorted(maps.Keys(open)) {
		if open[name] == Red {
			failed = append(failed, strings.TrimSpace(name+" failed "+urls[name]))
		}
	}
	if len(failed) > 0 {
		pr.Disproved = true
		p.becomes(pr, Deployed, "it runs, but is not verified: "+strings.Join(failed, ", "))
	}
}

func inWords(d time.Duration) string {
	if d%time.Hour == 0 {
		return fmt.Sprintf("%d h", d/time.Hour)
	}
	return d.String()
}

// overtaken tells whether a promotion that was merged later is known to run.
func (p *planner) overtaken(pr *Promotion) bool {
	return slices.ContainsFunc(p.w.Promotions, func(o Promotion) bool {
		return o.ID != pr.ID && o.Release.Overlaps(pr.Release) && (o.State == Deployed || o.State == Verified) && o.MergedAt.After(pr.MergedAt)
	})
}

func carries(pin Pin, run Running, r Release) bool {
	for _, c := range r.Changes {
		got, ok := run.Images[c.Image]
		if !ok || (pin == PinTag && got.Tag != c.Tag) || (pin != PinTag && got.Digest != c.Digest) {
			return false
		}
	}
	return true
}

func short(sha string) string {
	if len(sha) > 7 {
		return sha[:7]
	}
	return sha
}
