package gate

import (
	"slices"
	"time"
)

// State is what one policy, or all of them together, say of a merge.
type State string

// The states, from the one that outranks the others: one denial denies, one wait waits.
const (
	Deny  State = "deny"
	Wait  State = "wait"
	Allow State = "allow"
)

// rank orders states by how much they outrank others; -1 for what is no state.
func (s State) rank() int { return slices.Index([]State{Allow, Wait, Deny}, s) }

// Ruling is what one policy says, in a sentence that a person can act on.
type Ruling struct {
	Policy string    `json:"policy"`          // its name, as .boatlift.yaml writes it
	State  State     `json:"state"`           //
	Say    string    `json:"say"`             // one sentence, no full stop needed, plain text (not yet escaped for markdown or HTML)
	Until  time.Time `json:"until,omitzero"`  // when the clock alone may change it: a wait ends, a freeze begins; zero if no clock does
	Since  time.Time `json:"since,omitzero"`  // since when it has been in this state; left to whoever remembers, zero if nobody does
	Detail string    `json:"detail,omitzero"` // what a person can do about it
	Kind   string    `json:"kind,omitempty"`  // KindApproval if people have to approve; empty for all else, and where judging failed
}

// Verdict is the answer to "may this be merged now?" with the ruling of every policy.
type Verdict struct {
	State   State     `json:"state"`
	Rulings []Ruling  `json:"rulings"`
	Until   time.Time `json:"until,omitzero"` // the earliest moment at which a clock may change the verdict; zero if none does
}

// Judge combines rulings: deny outranks wait outranks allow; no ruling at all allows. The verdict's Until is the earliest Until
// of all rulings: a policy that allows now may wait later, and then the check on the pull request must not stay green.
// A ruling whose state is none of the three denies.
func Judge(rulings ...Ruling) Verdict {
	if slices.ContainsFunc(rulings, func(r Ruling) bool { return r.State.rank() < 0 }) {
		rulings = slices.Clone(rulings)
		for i := range rulings {
			if rulings[i].State.rank() < 0 {
				rulings[i].State = Deny
			}
		}
	}
	v := Verdict{State: Allow, Rulings: rulings}
	for _, r := range rulings {
		if r.State.rank() > v.State.rank() {
			v.State = r.State
		}
		if !r.Until.IsZero() && (v.Until.IsZero() || r.Until.Before(v.Until)) {
			v.Until = r.Until
		}
	}
	return v
}

// After carries over from an earlier verdict since when rulings have been in their states; what was in another state is so since now. Of
// uses of the same policy each is compared with the one in its place.
func (v Verdict) After(earlier *Verdict, now time.Time) Verdict {
	v.Rulings = slices.Clone(v.Rulings)
	before := map[string][]Ruling{}
	if earlier != nil {
		for _, r := range earlier.Rulings {
			before[r.Policy] = append(before[r.Policy], r)
		}
	}
	for i := range v.Rulings {
		r := &v.Rulings[i]
		r.Since = now
		if same := before[r.Policy]; len(same) > 0 {
			before[r.Policy] = same[1:]
			if same[0].State == r.State && !same[0].Since.IsZero() {
				r.Since = same[0].Since
			}
		}
	}
	return v
}

// ApartFrom is the verdict without the rulings of a kind. Reviewers are asked when ApartFrom(KindApproval) allows: then nothing but
// their approval is missing. The empty kind leaves nothing out.
func (v Verdict) ApartFrom(kind string) Verdict {
	if kind == "" {
		return v
	}
	return Judge(slices.DeleteFunc(slices.Clone(v.Rulings), func(r Ruling) bool { return r.Kind == kind })...)
}

// Reason is the sentence that best explains the verdict: that of the first ruling which has the verdict's own state.
func (v Verdict) Reason() string { return v.First().Say }

// First is the ruling that Reason is of.
func (v Verdict) First() Ruling {
	for _, r := range v.Rulings {
		if r.State == v.State {
			return r
		}
	}
	return Ruling{State: v.State, Say: "no policy objects"}
}

// Since is since when the verdict has been what it is: where all allow, since the last of them does. Zero if nobody remembers.
func (v Verdict) Since() time.Time {
	if v.State != Allow {
		return v.First().Since
	}
	var since time.Time
	for _, r := range v.Rulings {
		if r.Since.After(since) {
			since = r.Since
		}
	}
	return since
}
