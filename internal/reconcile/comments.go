package reconcile

import (
	"fmt"
	"unicode"
	"unicode/utf8"

	"github.com/boatlift/boatlift/internal/promotion"
)

func endComment(pr promotion.Promotion, by *promotion.Promotion) string {
	if pr.State == promotion.Superseded && by != nil {
		return fmt.Sprintf("Superseded by %s (%s).", link(plain(pullName(*by)), by.URL), code(by.Release.Label()))
	}
	return "Closed by Boatlift: " + plain(pr.Reason) + "."
}

func pullName(pr promotion.Promotion) string {
	if pr.PullRequest == 0 {
		return "a newer release"
	}
	return fmt.Sprintf("pull request %d", pr.PullRequest)
}

func rejectComment(a promotion.Reject) string {
	env := plain(a.Promotion.Release.Environment)
	return "Rejected. Boatlift will not propose these digests for " + env + " again, under whatever tag they come back. Reopen this pull request to take the rejection back."
}

const reopenComment = "Reopened: it was closed by a machine, or by somebody who may not reject a release. A person with write access rejects a release by closing its pull request."

func rebuildComment(why string) string {
	return "Made anew on the present base, because " + plain(why) + ". **Approvals given before do not count any more.**"
}

// outcomeComment is what is said on a merged pull request when its rollout or its verification fails, or cannot be told, and when it goes
// well after that; empty where all goes as it should.
func outcomeComment(was, now promotion.Promotion, run promotion.Running) (key, comment string) {
	env := plain(now.Release.Environment)
	at := run.Newest[:min(12, len(run.Newest))]
	const waits = " Environments that come after this one wait until it is repaired: a rollout or test that is run again and succeeds counts, and so does a newer release."
	switch {
	case now.State == promotion.Failed:
		return "failed-" + now.ID + "-" + at, "**The rollout in " + env + " failed**: " + link("its log", run.URL) + "." + waits
	case now.State == promotion.Merged && was.State.InRollout() && was.Reason != now.Reason:
		return "unknown-" + now.ID + "-" + at, upperFirst(plain(now.Reason)) + "." + waits
	case now.Disproved:
		return "unverified-" + now.ID + "-" + at, "**What runs in " + env + " is not verified**: " + plain(now.Reason) + "." + waits
	case now.State == promotion.Deployed && was.State == promotion.Failed:
		return "deployed-" + now.ID, "Rolled out in " + env + " after all."
	case now.State == promotion.Verified && was.Disproved:
		return "verified-" + now.ID, "Verified in " + env + " after all."
	default:
		return "", ""
	}
}

func upperFirst(s string) string {
	first, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(first)) + s[size:]
}
