package promotion

import (
	"time"

	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/image"
)

// Action is one step towards what should be. All of them may be repeated: whoever carries one out finds before it creates.
type Action interface{ about() string }

// OpenPull brings a promotion's branch and pull request into being and shows the gate. The promotion is recorded as Opening before
// anything else happens.
type OpenPull struct {
	Promotion Promotion
	Verdict   gate.Verdict
}

// Rebuild makes the promotion's commit anew on the present base, on the same branch, because the old one conflicts.
type Rebuild struct {
	Promotion Promotion
	Why       string
	Verdict   gate.Verdict
}

// Reopen opens a pull request again that a bot closed, or whose branch was deleted.
type Reopen struct {
	Promotion Promotion
	Verdict   gate.Verdict
}

// Close ends a promotion whose state is already the new one: say why on the pull request, close it, delete the branch.
type Close struct {
	Promotion Promotion
	By        *Promotion // the one that took its place, if one did
}

// Record writes down what became of a promotion. What says it in a sentence for the audit.
type Record struct {
	Promotion Promotion
	Actor     string // who did it; empty for the bot
	What      string
}

// Reject writes down that a person refused a promotion's changes.
type Reject struct {
	Promotion  Promotion
	Rejections []Rejection
}

// Lift takes back a promotion's rejections because a person reopened its pull request.
type Lift struct {
	Promotion Promotion
	Actor     string
}

// AddHold keeps an app where it is.
type AddHold struct{ Hold Hold }

// LiftHold lets go of the images again, because a person merged a release of them.
type LiftHold struct {
	Promotion Promotion
	Actor     string
}

// Advance writes down how far along the chain a promotion's digests run. What comes after hears of it.
type Advance struct{ Promotion Promotion }

// ShowGate shows a verdict on a pull request's head commit.
type ShowGate struct {
	Promotion Promotion // its Gate, GateHead and GreenAt are the new ones
	Verdict   gate.Verdict
}

// ShowOther shows the gate on a pull request of somebody else.
type ShowOther struct {
	Number  int
	Head    string
	Verdict gate.Verdict
	Shown   string // what to remember
}

// AskReviewers asks for reviews of the head commit. The promotion's Asked, AskedAt and AskedFor are the new ones.
type AskReviewers struct {
	Promotion Promotion
	Reviewers Reviewers
}

// Merge merges exactly the head commit that gate and approvals saw.
type Merge struct {
	Promotion Promotion
	Head      string
	Method    string // merge, squash or rebase; empty: what the repository allows
}

func (a OpenPull) about() string     { return a.Promotion.ID }
func (a Rebuild) about() string      { return a.Promotion.ID }
func (a Reopen) about() string       { return a.Promotion.ID }
func (a Close) about() string        { return a.Promotion.ID }
func (a Record) about() string       { return a.Promotion.ID }
func (a Reject) about() string       { return a.Promotion.ID }
func (a Lift) about() string         { return a.Promotion.ID }
func (a AddHold) about() string      { return a.Hold.Environment }
func (a LiftHold) about() string     { return a.Promotion.ID }
func (a Advance) about() string      { return a.Promotion.ID }
func (a ShowGate) about() string     { return a.Promotion.ID }
func (a ShowOther) about() string    { return a.Head }
func (a AskReviewers) about() string { return a.Promotion.ID }
func (a Merge) about() string        { return a.Promotion.ID }

// Decision is what Plan answers.
type Decision struct {
	Actions []Action
	Notes   []Note    // why what has news does not move
	Wake    time.Time // when the clock alone may change the decision; zero if it cannot
	Asks    []Ask     // tags that must be resolved before the plan is complete
}

// Ask is a tag whose digest the registry has to be asked for or, where the digest is given, for which platforms that is built.
type Ask struct {
	Image  Listed
	Tag    string
	Digest image.Digest
}
