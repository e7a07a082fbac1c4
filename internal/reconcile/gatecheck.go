package reconcile

import (
	"fmt"
	"strings"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/gate"
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
	check.Summary = verdictTable(v)
	return check
}

func verdictTable(v gate.Verdict) string {
	if len(v.Rulings) == 0 {
		return "No policy objects."
	}
	const most = 60000 // forges take 65,535 bytes
	var b strings.Builder
	b.WriteString("| | policy | what it says |\n| --- | --- | --- |\n")
	for i, r := range v.Rulings {
		if b.Len() > most {
			fmt.Fprintf(&b, "\n…and %d more policies.\n", len(v.Rulings)-i)
			break
		}
		say := plain(cut(r.Say, 2000))
		if r.Detail != "" && r.State != gate.Allow {
			say += "<br>" + plain(cut(r.Detail, 2000))
		}
		if r.State != gate.Allow && !r.Until.IsZero() {
			say += "<br>until " + r.Until.UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", map[gate.State]string{gate.Allow: "✅ allows", gate.Wait: "⏳ waits", gate.Deny: "⛔ denies"}[r.State], code(r.Policy), say)
	}
	return b.String()
}
