package promotion

import (
	"time"

	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/image"
)

// World is everything Plan looks at: one infra repo as it was just observed, and what is remembered of it.
type World struct {
	Now      time.Time
	Repo     RepoKey
	FullName string
	Base     string // head commit of the default branch
	PullSign string // what people at the forge write before the number of a pull request; empty: #
	Config   Config
	ReadOnly string // why nothing may be written to the repository just now; empty if it may
	Paused   string // why nothing new is opened or merged just now, although the gate is still shown; empty if it is

	Listings  []Listing              // what base sets now
	Previous  []Listing              // what it set when it was last looked at; nil at first sight
	FirstSeen map[Listed]time.Time   // since when an environment lists an image: older pushes are not proposed
	Running   map[string]Running     // what this repository's environments demonstrably run, by environment name
	Upstream  map[EnvRef]Upstream    // what the environments named in `after` are and run, by reference as written
	Tags      map[image.Name][]Known // tags that were pushed since the bot listens
	Built     map[image.Digest]Built // for which platforms images are, as far as it was asked

	Promotions []Promotion           // all that have not ended, and the recently ended
	Pulls      map[int]Pull          // their pull requests, and reopened ones
	Others     []Other               // open pull requests of other people
	Followers  map[string][]Follower // of the environments in which the bot merges by itself, by their names
	Queue      []Queued              // the merge queue of base, first first
	QueueSeen  bool                  // it was looked at; otherwise nothing follows from what is not in it
	Departures map[int]Departure     // how pull requests that were in it and are not any more left it
	Rejections []Rejection
	Holds      []Hold

	// Judge evaluates policies. It must be pure.
	Judge func(gate.Facts, []gate.Use) gate.Verdict
	// Require are the policies of the organisation, judged besides those of the environment.
	Require []gate.Use
}

// Listed is an image in an environment.
type Listed struct {
	Environment string
	Image       image.Name
}

// Known is a tag that was pushed, and what the registry says of it now.
type Known struct {
	image.Seen           // Digest as resolved at the registry; empty while it has not been asked
	Last       time.Time // when it was last told of, at whichever digest; zero: when it was first seen
	Problem    string    // why the registry could not be asked
	Gone       bool      // the registry does not have the tag any more
	RetryAt    time.Time // when it is asked again after a problem
}

// ToldAfter tells whether anybody told of the tag after a moment. What was told of only before an environment listed the image lies
// before its baseline; told of again, by another push or because a person asked for it, it does not any more.
func (k Known) ToldAfter(moment time.Time) bool { return k.First.After(moment) || k.Last.After(moment) }

// Built is for which platforms an image is.
type Built struct {
	Facts   image.Facts
	Problem string    // why the registry could not be asked
	RetryAt time.Time // when it is asked again after a problem
}

// Upstream is an environment that others come after.
type Upstream struct {
	Problem    string       // why it cannot be judged, for people; empty if it can
	Running    Running      //
	Listed     []image.Name // the images its kustomizations list
	Promotions []Promotion  // those that are open or in rollout there
}

// PullState is whether a pull request is open, closed without a merge, or merged.
type PullState string

// The states of a pull request.
const (
	PullOpen   PullState = "open"
	PullClosed PullState = "closed"
	PullMerged PullState = "merged"
)

// Person is somebody, or some machine, that acted on a pull request.
type Person struct {
	Login    string
	Bot      bool // an app or bot account, this bot included
	CanWrite bool // may write to the repository
}

// Pull is a pull request of a promotion as the forge shows it.
type Pull struct {
	Number      int
	URL         string
	State       PullState
	Draft       bool
	Ungated     bool   // nothing keeps people from merging it, whatever its gate says
	Head        string // the head commit
	Foreign     bool   // the head commit, or one below it, was not made by the bot
	NoBranch    bool   // the head branch is gone
	Conflicting bool   // the forge knows that it cannot be merged without conflict
	Elsewhere   string // the branch it is onto, where that is not the default branch
	Shown       string // what the gate last showed on this head where it was judged by what it changes, as Other.Shown
	ClosedBy    Person
	MergedBy    Person
	MergedAt    time.Time
	MergeCommit string
	Reviewing
	Checks map[string]string
}

// Reviewing is what people said of a pull request, and what is needed to tell whose word counts. It is empty where no policy asks.
type Reviewing struct {
	Approvals    []gate.Approval
	CodeOwners   []gate.Owned
	OwnersUnread string            // why CODEOWNERS cannot be read
	TeamsUnread  map[string]string // teams whose members cannot be read, and why
}

// into puts it into the facts.
func (r Reviewing) into(f *gate.Facts) {
	f.Approvals, f.CodeOwners, f.OwnersUnread, f.TeamsUnread = r.Approvals, r.CodeOwners, r.OwnersUnread, r.TeamsUnread
}

// Other is an open pull request that is judged by what it changes: somebody else's, or one of the bot's whose head is not the bot's any
// more and may change anything.
type Other struct {
	Number    int
	Head      string
	Ungated   bool                     // nothing keeps people from merging it, whatever its gate says
	Shown     string                   // what the bot's check on this head last showed; empty if nothing yet
	Changes   map[string][]gate.Change // image changes by environment; empty if it touches none
	Checks    map[string]string        // checks and statuses of others on the head, where a policy asks for them
	Reviewing                          // where a policy asks for it
	Problem   string                   // why its changes could not be read
}
