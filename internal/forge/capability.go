package forge

// Capability is what one forge, or one way into it, can do and another cannot. What lacks degrades openly: nothing is decided by it, it is
// told to people.
type Capability string

// The capabilities, each named by what people get.
const (
	// CheckText: a check has room for markdown of its own; without it there is one line, and the rest stands in the pull request only.
	CheckText Capability = "check text"
	// PinnedCheck: the repository can demand the check from this very bot; without it whoever may write could set it.
	PinnedCheck Capability = "pinned check"
	// Redelivery: the forge sends webhooks again that were lost; without it a turn finds out with the next poll.
	Redelivery Capability = "redelivery"
	// TeamReviewers: a team is asked for a review as such; without it its members are, each by themselves.
	TeamReviewers Capability = "team reviewers"
	// DraftGate: where nothing else holds a merge, the bot's own pull request is a draft while its gate is not green.
	DraftGate Capability = "draft gate"
)

// PullSigner is a forge whose people do not write a pull request as #7.
type PullSigner interface{ PullSign() string }

// PullSign is what people at a forge write before the number of a pull request.
func PullSign(f Forge) string {
	if s, ok := As[PullSigner](f); ok {
		return s.PullSign()
	}
	return "#"
}

// Capable tells what it can do.
type Capable interface{ Can(c Capability) bool }
