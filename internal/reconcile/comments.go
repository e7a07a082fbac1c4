package reconcile

import (
	"fmt"

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
