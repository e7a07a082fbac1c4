// Package forge says, in plain structs, what every forge must offer.
//
// A forge is where infra repos live: GitHub, GitLab and their like; "pull request" is also the word for a merge request. This
// package does no I/O. The adapters below it do, and package forgetest holds the contract that each of them passes. Nothing here
// believes an event: events only say where to look, so that a lost, doubled, late or forged one changes nothing.
package forge

import (
	"context"
	"net/http"
	"time"
)

// RepoID is the forge's own id of a repository. It survives renames and transfers.
type RepoID int64

// Repository is an infra repo as the forge knows it now.
type Repository struct {
	ID            RepoID
	FullName      string // acme/infra-production; changes with a rename
	DefaultBranch string
	CloneURL      string // https, without credentials
	WebURL        string
	Installation  int64  // through which installation it is reached; 0 where the forge has no such thing
	Archived      bool   // archived or disabled: readable, never writable
	MergeMethod   string // merge, squash or rebase: the first that the repository allows, in this order
}

// PullState is whether a pull request is open, closed without a merge, or merged.
type PullState string

// The states of a pull request.
const (
	Open   PullState = "open"
	Closed PullState = "closed"
	Merged PullState = "merged"
)

// Mergeability is what the forge knows of conflicts. Unknown is common just after a push: ask again later.
type Mergeability string

// Whether a pull request can be merged without a conflict.
const (
	MergeUnknown Mergeability = ""
	Mergeable    Mergeability = "mergeable"
	Conflicting  Mergeability = "conflicting"
)

// Actor is a person or a machine that did something.
type Actor struct {
	Login string
	Bot   bool // an app or a bot account
	Self  bool // this very bot
}

// PullRequest is one pull request as it is now. Fields marked "single" are only filled where one pull request was asked for
// by its number, as lists do not carry them.
type PullRequest struct {
	Number       int
	URL          string
	Title, Body  string
	State        PullState
	Draft        bool
	Author       Actor
	HeadBranch   string
	HeadSHA      string
	HeadFork     bool // the head lies in another repository
	BaseBranch   string
	BaseSHA      string // single, where lists do not tell
	Labels       []string
	Ungated      bool // the bot's own, open, and held by nothing: only a draft would hold it at this forge, and it is none
	CreatedAt    time.Time
	UpdatedAt    time.Time
	ClosedAt     time.Time
	ClosedBy     Actor // single; empty while open or where the forge does not tell
	MergedAt     time.Time
	MergedBy     Actor        // single
	MergeCommit  string       // single; the commit on base that the merge made
	Mergeability Mergeability // single
}

// NewPullRequest is what is needed to open one.
type NewPullRequest struct {
	Head, Base  string // branch names in the same repository
	Title, Body string
	Labels      []string
	Draft       bool
	GateShut    bool   // its gate does not allow a merge yet: where only a draft keeps people from merging, it is opened as one; not told as Draft
	Promotion   string // whose it is, for whoever paces writes; forges do not see it
}

// Edit changes parts of a pull request; nil leaves a part alone.
type Edit struct {
	Title, Body *string
	State       *PullState // Open reopens, Closed closes
}

// Review is the standing decision of one person, or a comment.
type Review struct {
	User      Actor
	State     ReviewState
	CommitSHA string // what was looked at
	At        time.Time
}

// ReviewState is what a review says.
type ReviewState string

// The states of a review.
const (
	Approved         ReviewState = "approved"
	ChangesRequested ReviewState = "changes_requested"
	Commented        ReviewState = "commented"
	Dismissed        ReviewState = "dismissed"
)

// Conclusion is what the gate's check shows.
type Conclusion string

// The conclusions of a check. Pending never passes a required check; neither does Failure. Neutral and skipped would pass, and are not offered.
const (
	Pending Conclusion = "pending"
	Success Conclusion = "success"
	Failure Conclusion = "failure"
)

// Check is the bot's own check on a commit. Name and commit identify it: setting it again changes it in place.
type Check struct {
	HeadSHA    string
	Number     int    // of the pull request whose head it is and whose gate it shows; 0: none
	Name       string // boatlift/gate
	ExternalID string // ours, for finding it again
	Conclusion Conclusion
	Title      string // one line
	Summary    string // markdown, already escaped, at most 65,535 bytes
	DetailsURL string // may be empty
	// New means that the bot has never set this check on this commit, which it made itself: an adapter need not look for it. Where it is
	// wrong, as the bot died meanwhile, the commit has two, of which the later one counts.
	New bool
}

// RolloutState is what is known of a deployment of one commit to one environment.
type RolloutState string

// The states of a rollout. Unknown is never success.
const (
	RolloutRunning   RolloutState = "running"
	RolloutSucceeded RolloutState = "succeeded"
	RolloutFailed    RolloutState = "failed"
	RolloutUnknown   RolloutState = "unknown"
)

// Deployment is one rollout that the forge knows of.
type Deployment struct {
	ID          int64
	Environment string // the deployment environment's name at the forge
	SHA         string
	State       RolloutState
	URL         string // the log
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// Permission is what a user may do in a repository.
type Permission string

// Permissions, of which Write and above may approve and reject.
const (
	NoPermission    Permission = "none"
	ReadPermission  Permission = "read"
	WritePermission Permission = "write"
	AdminPermission Permission = "admin"
)

// CanWrite tells whether the permission suffices to approve or reject a deployment.
func (p Permission) CanWrite() bool { return p == WritePermission || p == AdminPermission }

// GitAuth is what git over HTTPS sends as basic auth. It is short-lived and must be asked for before each use.
type GitAuth struct{ Username, Password string }

// String hides the password from logs.
func (GitAuth) String() string { return "[redacted]" }

// GoString hides the password from %#v.
func (GitAuth) GoString() string { return "[redacted]" }

// Repositories finds the repositories the bot was let into.
type Repositories interface {
	// Repositories lists every repository of every installation. An installation that is suspended or gone is left out.
	Repositories(ctx context.Context) ([]Repository, error)
	// Repository reads one anew by its id. ErrNotFound: it is gone, or the bot was taken out of it.
	Repository(ctx context.Context, id RepoID) (Repository, error)
	// GitAuth returns credentials for fetching from and pushing to the repository.
	GitAuth(ctx context.Context, repo Repository) (GitAuth, error)
	// Permission tells what a user may do in the repository.
	Permission(ctx context.Context, repo Repository, login string) (Permission, error)
	// Self is the bot's own account.
	Self(ctx context.Context) (Identity, error)
}

// Identity is the bot's own account at the forge, also the author of its commits.
type Identity struct {
	Login string // boatlift[bot]
	Name  string
	Email string
}

// PullRequests opens, finds and changes pull requests.
type PullRequests interface {
	// OpenPullRequests lists all open pull requests onto the base branch, oldest first.
	OpenPullRequests(ctx context.Context, repo Repository, base string) ([]PullRequest, error)
	// PullRequest reads one with its "single" fields.
	PullRequest(ctx context.Context, repo Repository, number int) (PullRequest, error)
	// PullRequestsOf lists the pull requests in any state whose head is the branch of this repository, newest first.
	PullRequestsOf(ctx context.Context, repo Repository, branch string) ([]PullRequest, error)
	// CreatePullRequest opens one. ErrExists: one is open for this head and base; look for it. ErrEmpty: head adds nothing to base.
	CreatePullRequest(ctx context.Context, repo Repository, pr NewPullRequest) (PullRequest, error)
	// EditPullRequest changes title, body or state.
	EditPullRequest(ctx context.Context, repo Repository, number int, edit Edit) (PullRequest, error)
	// AddLabels adds labels, creating those that the repository does not have.
	AddLabels(ctx context.Context, repo Repository, number int, labels []string) error
	// Comment says something on a pull request. The key makes it idempotent: a comment with the same key is left as it is.
	Comment(ctx context.Context, repo Repository, number int, key, body string) error
	// Merge merges exactly the head commit sha and returns the commit that base got. ErrQueued: base has a merge queue, and the pull request is
	// in it now. ErrStale: the head moved. ErrNotMergeable: a conflict, a required check or review is missing, or the repository forbids it.
	Merge(ctx context.Context, repo Repository, number int, sha, method string) (string, error)
	// DeleteBranch deletes a branch; one that is gone already is no error.
	DeleteBranch(ctx context.Context, repo Repository, branch string) error
	// Reviews lists all reviews of a pull request, oldest first.
	Reviews(ctx context.Context, repo Repository, number int) ([]Review, error)
	// ChangedFiles lists the paths a pull request touches, old and new names alike. More than limit files: the first limit, and true.
	ChangedFiles(ctx context.Context, repo Repository, number, limit int) (paths []string, more bool, err error)
}

// Checks shows the gate.
type Checks interface {
	// SetCheck creates or changes the bot's check on a commit.
	SetCheck(ctx context.Context, repo Repository, check Check) error
}

// Rollouts tells what the repository's own pipeline did.
type Rollouts interface {
	// Deployments lists the newest deployments to an environment with their present state, newest first, at most limit.
	Deployments(ctx context.Context, repo Repository, environment string, limit int) ([]Deployment, error)
}

// Forge is all of it.
type Forge interface {
	Repositories
	PullRequests
	Checks
	Rollouts
	Sources
	Evidence
	People
	Queues
}

// Event is what a webhook of a forge boils down to: where to look again.
type Event struct {
	DeliveryID string
	Kind       string // the forge's own event name with its action: pull_request.closed
	Repo       RepoID // 0 when the event is about no single repository
	Discover   bool   // the set of installations or repositories may have changed: look for them anew
	Push       bool   // an image was pushed: the body is for a registry decoder, whose type is PushType
	PushType   string
	Ignored    string // why nothing needs to be looked at; empty when something does
	About      string // for people: "pull request 7 closed by alice"
}

// Webhook proves and decodes what a forge posts.
type Webhook interface {
	// Verify proves in constant time over the raw bytes that the forge sent the body. Its error never quotes a secret.
	Verify(header http.Header, body []byte) error
	// Decode tells what a proved body means. Unknown events are ignored with a reason, never an error; an error means that the
	// body is not what its header says.
	Decode(header http.Header, body []byte) (Event, error)
}

// Redeliverer is a forge that remembers the webhooks it could not deliver and sends them again when asked. Nothing depends on it: it
// only makes good sooner what a turn would notice anyway, and brings pushes that the forge's own registry told of.
type Redeliverer interface {
	// Redeliver asks for every webhook since a moment of which no attempt arrived, and tells how many there were. errors.ErrUnsupported:
	// the way into this forge has no such list.
	Redeliver(ctx context.Context, since time.Time) (int, error)
}
