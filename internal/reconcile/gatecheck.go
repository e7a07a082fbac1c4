package reconcile

import (
	"fmt"
	"strings"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/promotion"
)

// CheckName is the check that the gate is shown as. Rulesets require it by this name.
const CheckName = "boatlift/gate"

// gateCheck is a verdict as a check on a commit.
func gateCheck(head string, v gate.Verdict, id string) forge.Check {
	check := forge.Check{HeadSHA: head, Name: CheckName, ExternalID: id}
	switch v.State {
	case gate.Allow:
		check.Conclusion, check.Title = forge.Success, "may be merged"
	case gate.Deny:
		check.Conclusion, check.Title = forge.Failure, "must not be merged: "+oneLine(v.Reason())
	default:
		check.Conclusion, check.Title = forge.Pending, "waits: "+oneLine(v.Reason())
	}
	if runes := []rune(check.Title); len(runes) > 200 {
		check.Title = string(runes[:199]) + "…"
	}
	check.Summary = verdictTable(v, 60000, 2000) // forges take 65,535 bytes
	return check
}

// promotionCheck is the gate of a promotion, with what it waits for besides.
func promotionCheck(head string, v gate.Verdict, pr promotion.Promotion) forge.Check {
	check := gateCheck(head, v, pr.ID)
	check.Number = pr.PullRequest
	if pr.Next != "" {
		check.Summary += "\n" + plain(cut(pr.Next, 2000)) + "\n"
	}
	return check
}

// groupCheck is the gate on what a merge queue would give to base. A queue does not wait: what may not be merged now leaves it, so that
// others go on.
func groupCheck(head string, v gate.Verdict) forge.Check {
	check := gateCheck(head, v, "")
	if check.Conclusion == forge.Pending {
		check.Conclusion, check.Title = forge.Failure, "must not be merged now, and waits outside of the queue: "+oneLine(v.Reason())
	}
	if runes := []rune(check.Title); len(runes) > 200 {
		check.Title = string(runes[:199]) + "…"
	}
	return check
}

// verdictTable is every ruling of a verdict, in at most so many bytes; each sentence in at most `each`.
func verdictTable(v gate.Verdict, most, each int) string {
	if len(v.Rulings) == 0 {
		return "No policy objects.\n"
	}
	var b strings.Builder
	b.WriteString("| | policy | what it says |\n| --- | --- | --- |\n")
	for i, r := range v.Rulings {
		say := plain(cut(r.Say, each))
		if r.Detail != "" && r.State != gate.Allow {
			say += "<br>" + plain(cut(r.Detail, each))
		}
		if r.State != gate.Allow && !r.Since.IsZero() {
			say += "<br>since " + instant(r.Since)
		}
		if r.State != gate.Allow && !r.Until.IsZero() {
			say += "<br>until " + instant(r.Until)
		}
		row := fmt.Sprintf("| %s | %s | %s |\n", stateWord(r.State), code(cut(r.Policy, 200)), say)
		if b.Len()+len(row) > most {
			fmt.Fprintf(&b, "\n…and %d more policies.\n", len(v.Rulings)-i)
			break
		}
		b.WriteString(row)
	}
	return b.String()
}

func stateWord(s gate.State) string {
	switch s {
	case gate.Allow:
		return "✅ allows"
	case gate.Wait:
		return "⏳ waits"
	default:
		return "⛔ denies"
	}
}

// instant is a moment as people read it, whatever their own time zone.
func instant(at time.Time) string { return at.UTC().Format("2006-01-02 15:04 UTC") }
