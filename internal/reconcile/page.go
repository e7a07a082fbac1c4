package reconcile

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/promotion"
)

// page is what the body of a pull request says. What the head commit changes is the one part that never changes while the head stays.
type page struct {
	pr      promotion.Promotion
	env     promotion.Environment
	log     string // the address of its rollout's log
	places  []place
	history history
	changes edit
}

// GitHub takes 65,536 characters of body; these are bytes, of which there are never fewer. What the parts may have adds up to less, so
// that the differences, which come last, always have some room, and are cut where it ends.
const (
	maxBody     = 65000
	maxMarker   = 24000 // a marker that is longer is left out, and the branch alone tells whose the pull request is
	maxMoves    = 9000  // of the table of images
	maxGate     = 8000
	maxPlaces   = 3000
	maxOrigin   = 5000
	maxHistory  = 11000
	maxRows     = 100   // images of which anything is told
	maxDiff     = 12000 // of the difference of the kustomizations
	leastShown  = 400   // of a difference; where less fits, none of it is shown
	maxNamed    = 10    // directories or environments that are named in one place
	maxSentence = 500   // bytes of what a policy says
)

// sum tells two pages apart without what the head changes.
func (p page) sum() string {
	sum := sha256.Sum256([]byte(p.pr.Head + "\n" + strings.TrimSuffix(p.pr.History, unfinished) + "\n" + p.standing()))
	return hex.EncodeToString(sum[:12])
}

// standing is all that changes while the head stays, but for the commits, which are looked up once.
func (p page) standing() string {
	var b strings.Builder
	b.WriteString(p.state() + "\n\n")
	if !p.pr.State.Active() {
		return b.String()
	}
	b.WriteString(next(p.env) + "\n\n")
	if p.pr.Unsigned != "" {
		b.WriteString("The commit is not signed by the forge: " + plain(cut(p.pr.Unsigned, maxSentence)) + ".\n\n")
	}
	if p.pr.Gate != nil {
		b.WriteString("### What the gate says\n\n" + verdictTable(*p.pr.Gate, maxGate, maxSentence) + "\n")
	}
	b.WriteString(placesTable(p.places, p.pr.Release))
	return b.String()
}

// body is all that a reviewer needs: what moves, whether it may, what happens next, where it runs already, and what changes.
func (p page) body(mark string) string {
	if len(mark) > maxMarker {
		mark = ""
	}
	var b strings.Builder
	r := p.pr.Release
	fmt.Fprintf(&b, "Moves **%s** to %s in **%s**.\n\n", plain(cut(r.App, 300)), code(cut(r.Label(), 300)), plain(r.Environment))
	b.WriteString(movesTable(p.changes.moves, r) + "\n")
	b.WriteString(p.standing())
	b.WriteString(cutTable(p.history.origin, maxOrigin) + historySection(p.history.spans))
	room := func() int { return maxBody - b.Len() - len(mark) - 200 }
	if diff := p.changes.diff; diff != "" {
		b.WriteString("### What changes in the repository\n\n" + fence("diff", cut(diff, min(maxDiff, room()/2))) + "\n\n")
	}
	b.WriteString(renderedSection(p.changes, room()))
	return b.String() + mark + "\n"
}

// state says in a line how the release stands.
func (p page) state() string {
	log := link("its log", p.log)
	if log == "its log" {
		log = "the log of its pipeline"
	}
	switch p.pr.State {
	case promotion.Merged:
		return "**" + mergedBy(p.pr) + ".** It is not known yet whether it was rolled out."
	case promotion.RollingOut:
		return "**" + mergedBy(p.pr) + ".** ⏳ It is being rolled out."
	case promotion.Deployed, promotion.Verified:
		return "**" + mergedBy(p.pr) + ".** ✅ " + upper(plain(cut(p.pr.Reason, maxSentence))) + "."
	case promotion.Failed:
		return "**" + mergedBy(p.pr) + ".** ⛔ " + upper(plain(cut(p.pr.Reason, maxSentence))) + ": see " + log + "."
	}
	if p.pr.Gate == nil {
		return "⏳ **The gate has not been asked yet.**"
	}
	reason := plain(cut(p.pr.Gate.Reason(), maxSentence))
	switch p.pr.Gate.State {
	case gate.Allow:
		return "✅ **It may be merged.**"
	case gate.Wait:
		return "⏳ **It waits:** " + reason + "."
	default:
		return "⛔ **It must not be merged:** " + reason + "."
	}
}

func mergedBy(pr promotion.Promotion) string {
	s := "Merged"
	if pr.MergedBy != "" {
		s += " by " + plain(pr.MergedBy)
	}
	if pr.AgainstGate {
		s += " against the gate"
	}
	return s
}

func upper(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// next tells what happens when somebody acts on the pull request.
func next(env promotion.Environment) string {
	condition := ""
	if len(env.After) > 0 {
		var names []string
		for _, ref := range env.After {
			names = append(names, code(ref.String()))
		}
		verb := "run"
		if len(names) == 1 {
			verb = "runs"
		}
		condition = " The check " + code(CheckName) + " is only green while " + some(names) + " " + verb + " exactly these digests."
	}
	deploys := "**Merging it deploys it.**" + condition
	switch env.Merge {
	case promotion.MergeAuto:
		deploys = "**Boatlift merges it, and so deploys it**, as soon as the gate allows." + condition
	case promotion.MergeApproved:
		deploys = "**Approving it deploys it**: Boatlift merges once the gate is green and a review given since then approves." + condition
	}
	return "- " + deploys + "\n- **Closing it rejects it**: these digests are not proposed for " + plain(env.Name) +
		" again, under whatever tag. Reopening it takes that back."
}

// some names the first of many.
func some(names []string) string {
	if more := len(names) - maxNamed; more > 0 {
		return strings.Join(names[:maxNamed], ", ") + fmt.Sprintf(" and %d more", more)
	}
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}
