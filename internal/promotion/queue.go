package promotion

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/boatlift/boatlift/internal/gate"
)

// Queued is a pull request in the merge queue of the default branch.
type Queued struct {
	Number  int
	Head    string    // the commit that base would get; empty while the forge has not made it
	At      time.Time // since when it waits
	Current bool      // Head is made on base as it is now, by way of the entries before
	Shown   string    // what the bot's check on Head last showed; empty if nothing yet
	Changes map[string][]gate.Change
	Problem string // why its changes could not be read
}

// Departure is how a pull request left the merge queue without being merged.
type Departure struct {
	At     time.Time
	Reason string // in the forge's words
	By     Person // who took it out; nobody where the forge did
}

// ShowGroup shows the gate on the commit that a merge queue would give to base.
type ShowGroup struct {
	Number  int // the pull request whose turn in the queue it is
	Head    string
	Verdict gate.Verdict
	Shown   string // what to remember
}

func (a ShowGroup) about() string { return a.Head }

// queueRetry is how soon the bot puts a pull request back into the queue after the forge had removed it, and looks again at what it could
// not judge.
const (
	queueRetry = 10 * time.Minute
	groupRetry = 5 * time.Second
)

// queued notes that a promotion's pull request entered the merge queue, or left it. What a person took out stays out until a person puts it
// back or its head changes; what the forge removed is tried again.
func (p *planner) queued(pr *Promotion, pull Pull) {
	if !p.w.QueueSeen {
		return
	}
	i := slices.IndexFunc(p.w.Queue, func(q Queued) bool { return q.Number == pr.PullRequest })
	switch {
	case i >= 0 && pr.QueuedAt.IsZero():
		pr.QueuedAt, pr.LeftQueue, pr.OutOfQueue, pr.RequeueAt = p.w.Queue[i].At, "", "", time.Time{}
	case i < 0 && !pr.QueuedAt.IsZero():
		left := p.w.Departures[pr.PullRequest]
		why := left.Reason
		if why == "" {
			why = "the forge does not say why"
		}
		pr.QueuedAt = time.Time{}
		if left.By.Login != "" && !left.By.Bot {
			pr.OutOfQueue = pull.Head
			pr.LeftQueue = left.By.Login + " took it out of the merge queue"
		} else {
			pr.LeftQueue = "it left the merge queue: " + why
			pr.RequeueAt = p.w.Now.Add(queueRetry)
		}
		p.record(pr, left.By.Login, pr.LeftQueue)
	}
}

// groups shows the gate on what a merge queue is about to merge. Each commit is judged by all pull requests that it holds, and by what it
// changes against base: nothing else comes through the queue.
func (p *planner) groups() {
	if p.w.ReadOnly != "" {
		return
	}
	for i, q := range p.w.Queue {
		if q.Head == "" {
			continue
		}
		v, ok := p.judgeGroup(p.w.Queue[:i+1])
		if !ok {
			p.wake(p.w.Now.Add(groupRetry))
			continue
		}
		if shown := fingerprint(v); shown != q.Shown {
			p.do(ShowGroup{Number: q.Number, Head: q.Head, Verdict: v, Shown: shown})
		}
	}
}

// judgeGroup judges the last of some entries with those before it. It does not where something is not known that the next look may tell.
func (p *planner) judgeGroup(entries []Queued) (v gate.Verdict, ok bool) {
	last := entries[len(entries)-1]
	if !last.Current {
		return v, false
	}
	if last.Problem != "" {
		return gate.Judge(gate.Ruling{Policy: "images", State: gate.Deny, Say: last.Problem}), true
	}
	meant := map[string][]gate.Change{} // what the pull requests change, by environment
	var rulings []gate.Ruling
	for _, q := range entries {
		of, changes, known := p.judgeQueued(q.Number)
		if !known {
			return v, false
		}
		for name, list := range changes {
			meant[name] = append(meant[name], list...)
		}
		for _, r := range of {
			if len(entries) > 1 {
				r.Policy = fmt.Sprintf("pull request %d: %s", q.Number, r.Policy)
			}
			if q.Number == last.Number || r.State != gate.Allow {
				rulings = append(rulings, r)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(last.Changes)) {
		for _, c := range last.Changes[name] {
			if !slices.ContainsFunc(meant[name], func(m gate.Change) bool {
				return m.Image == c.Image && m.ToTag == c.ToTag && m.ToDigest == c.ToDigest
			}) {
				rulings = append(rulings, gate.Ruling{
					Policy: "images", State: gate.Deny, Detail: "take the pull requests out of the queue, and put them back",
					Say: fmt.Sprintf("the merge queue would set %s to %s in %s, which none of its pull requests does", c.Image, orNothing(c.ToTag), name),
				})
			}
		}
	}
	if len(rulings) == 0 {
		rulings = []gate.Ruling{{Policy: "images", State: gate.Allow, Say: "no image of an environment changes"}}
	}
	return gate.Judge(rulings...), true
}

// judgeQueued judges one pull request of the queue as it is judged outside of it, and tells which images it changes.
func (p *planner) judgeQueued(number int) (rulings []gate.Ruling, changes map[string][]gate.Change, known bool) {
	if i := slices.IndexFunc(p.w.Others, func(o Other) bool { return o.Number == number }); i >= 0 {
		o := p.w.Others[i]
		if o.Problem != "" {
			return []gate.Ruling{{Policy: "images", State: gate.Deny, Say: o.Problem}}, nil, true
		}
		return p.judgeOther(o).Rulings, o.Changes, true
	}
	pull, seen := p.w.Pulls[number]
	for _, pr := range p.w.Promotions {
		env, ok := p.w.Config.Environment(pr.Release.Environment)
		if pr.PullRequest != number || !seen || pull.Foreign || !ok || pull.State != PullOpen {
			continue
		}
		v := p.verdict(env, &pr)
		list := gateChanges(pr.Release)
		for i := range list {
			if env.Pin == PinTag {
				list[i].ToDigest = ""
			}
			if env.Pin == PinDigest {
				list[i].ToTag = ""
			}
		}
		return v.Rulings, map[string][]gate.Change{env.Name: list}, true
	}
	return nil, nil, false
}

// next says what an open pull request whose gate allows it waits for, and who has to do what.
func (p *planner) next(env Environment, pr *Promotion, pull Pull, v gate.Verdict) string {
	switch {
	case !pr.QueuedAt.IsZero():
		return "it is in the merge queue since " + moment(pr.QueuedAt)
	case v.State != gate.Allow:
		if len(pr.Asked) > 0 && pr.AskedFor == pull.Head {
			return fmt.Sprintf("%s asked for a review at %s", people(pr.Asked), moment(pr.AskedAt))
		}
		return ""
	case pull.Draft:
		return "it is a draft: a person has to mark it as ready"
	case pr.OutOfQueue == pull.Head && pr.OutOfQueue != "":
		return pr.LeftQueue + ": put it back, or push a newer image"
	case pr.LeftQueue != "" && env.Merge != MergeManual:
		return pr.LeftQueue + "; it is put back at " + moment(pr.RequeueAt)
	case pr.LeftQueue != "":
		return pr.LeftQueue + ": a person has to put it back"
	case p.w.Paused != "":
		return "nothing is merged now: " + p.w.Paused
	case env.Merge == MergeManual:
		return "a person has to merge it; it may be merged since " + moment(cmp.Or(v.Since(), pr.CreatedAt))
	case env.Merge == MergeAuto:
		_, say := p.soaking(env, pr)
		return say
	case env.Merge == MergeApproved:
		return p.awaited(env, pr)
	}
	return ""
}

// awaited says which approvals a merge waits for.
func (p *planner) awaited(env Environment, pr *Promotion) string {
	for _, r := range p.w.Judge(p.facts(env, pr), p.approving(env)).Rulings {
		if r.State == gate.Allow || r.Kind != gate.KindApproval {
			continue
		}
		say := r.Say
		if !env.EarlierApprovals {
			say += ", given since " + moment(pr.GreenAt)
		}
		if r.Detail != "" {
			say += "; " + r.Detail
		}
		return say
	}
	return ""
}

func people(names []string) string {
	if len(names) == 1 {
		return names[0] + " was"
	}
	s := ""
	for i, name := range names {
		switch {
		case i == len(names)-1:
			s += " and "
		case i > 0:
			s += ", "
		}
		s += name
	}
	return s + " were"
}

func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
