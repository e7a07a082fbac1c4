package promotion

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/image"
)

// RepoKey is how the bot knows an infra repo whatever it is called today: the name of the forge in boatlift.yaml, a slash, and the
// forge's own id of the repository: github/4711.
type RepoKey string

// Change is one image that a release moves.
type Change struct {
	Image      image.Name   `json:"image"`
	FromTag    string       `json:"fromTag,omitempty"`
	FromDigest image.Digest `json:"fromDigest,omitempty"`
	Tag        string       `json:"tag,omitempty"`
	Digest     image.Digest `json:"digest"`
}

// Release is the exact set image → digest that is meant for one app of one environment. Its content never changes; tags are its label.
type Release struct {
	ID          string   `json:"id"` // hash of environment and set; the same set is the same release whenever it comes
	Environment string   `json:"environment"`
	App         string   `json:"app"`
	Changes     []Change `json:"changes"` // sorted by image
}

// NewRelease sorts the changes and computes the id.
func NewRelease(environment, app string, changes []Change) Release {
	changes = slices.Clone(changes)
	slices.SortFunc(changes, func(a, b Change) int { return strings.Compare(string(a.Image), string(b.Image)) })
	sum := sha256.New()
	sum.Write([]byte(environment + "\n"))
	for _, c := range changes {
		sum.Write([]byte(string(c.Image) + "@" + string(c.Digest) + "\n"))
	}
	return Release{ID: hex.EncodeToString(sum.Sum(nil)), Environment: environment, App: app, Changes: changes}
}

// Moves tells whether the release moves the image.
func (r Release) Moves(name image.Name) bool {
	return slices.ContainsFunc(r.Changes, func(c Change) bool { return c.Image == name })
}

// Overlaps tells whether two releases are of the same environment and move an image in common.
func (r Release) Overlaps(other Release) bool {
	return r.Environment == other.Environment && slices.ContainsFunc(r.Changes, func(c Change) bool { return other.Moves(c.Image) })
}

// Label is what people call the release: its tag where all images have the same, else every image with its tag.
func (r Release) Label() string {
	tags := map[string]bool{}
	var parts []string
	for _, c := range r.Changes {
		tag := c.Tag
		if tag == "" {
			tag = c.Digest.Short()
		}
		tags[tag] = true
		parts = append(parts, c.Image.Base()+" "+tag)
	}
	if len(tags) == 1 && len(r.Changes) > 0 {
		for tag := range tags {
			return tag
		}
	}
	return strings.Join(parts, ", ")
}

// Branch is the head branch of the release's pull request: a valid ref whatever the names are.
func (r Release) Branch() string {
	return "boatlift/" + slug(r.Environment, 40) + "-" + slug(r.App, 60) + "-" + r.ID[:12]
}

// slug keeps the letters and digits of a name, in lower case, with single dashes between.
func slug(s string, most int) string {
	var b strings.Builder
	dash := false
	for _, r := range strings.ToLower(s) {
		if (r >= 'a' && r <= 'z') || (r >= '0' && r <= '9') {
			if dash && b.Len() > 0 {
				b.WriteByte('-')
			}
			dash = false
			b.WriteRune(r)
		} else {
			dash = true
		}
		if b.Len() >= most {
			break
		}
	}
	if b.Len() == 0 {
		return "x"
	}
	return b.String()
}

// State is where a promotion stands.
type State string

// The life of a promotion. Settling is no state of a promotion: before it opens there is only a note that says for what it waits.
const (
	Opening    State = "opening"     // decided; branch and pull request may or may not exist yet
	Open       State = "open"        // the pull request is open
	Merged     State = "merged"      // merged; nothing is known of the rollout
	RollingOut State = "rolling out" // the pipeline is at it
	Deployed   State = "deployed"    // the environment runs it
	Verified   State = "verified"    // and what was asked to verify it is green
	Failed     State = "failed"      // its rollout failed
	Superseded State = "superseded"  // a newer release took its place
	Rejected   State = "rejected"    // a person closed the pull request
	Stale      State = "stale"       // base moved past it
)

// Active tells whether a pull request of the promotion is, or is about to be, open.
func (s State) Active() bool { return s == Opening || s == Open }

// InRollout tells whether the promotion is merged and its end is not known yet.
func (s State) InRollout() bool { return s == Merged || s == RollingOut }

// Promotion is a release on its way into its environment.
type Promotion struct {
	ID           string        `json:"id"` // the release's id and a number that counts the promotions of that release
	Repo         RepoKey       `json:"repo"`
	Release      Release       `json:"release"`
	State        State         `json:"state"`
	Reason       string        `json:"reason,omitempty"` // why it is in this state, in a sentence
	Branch       string        `json:"branch"`
	Head         string        `json:"head,omitempty"` // the head commit the bot made
	Base         string        `json:"base,omitempty"` // the commit of the base branch it was made on
	Files        []string      `json:"files,omitempty"`
	Unsigned     string        `json:"unsigned,omitempty"`    // why the forge did not sign Head, where it was asked to
	MergeableAt  string        `json:"mergeableAt,omitempty"` // the base commit for which the forge said that head has no conflict
	PullRequest  int           `json:"pullRequest,omitempty"`
	URL          string        `json:"url,omitempty"`
	SupersededBy string        `json:"supersededBy,omitempty"` // id of the promotion that took its place
	Modified     bool          `json:"modified,omitempty"`     // a person pushed to the branch: the bot leaves it alone
	Kept         bool          `json:"kept,omitempty"`         // a person reopened it: it is not superseded
	Reopened     int           `json:"reopened,omitempty"`     // how often the bot reopened it
	ToClose      bool          `json:"toClose,omitempty"`      // it has ended, and its pull request has yet to be closed
	ToDelete     bool          `json:"toDelete,omitempty"`     // it has ended, and its branch has yet to be deleted
	Gate         *gate.Verdict `json:"gate,omitempty"`         // as last shown
	Asked        []string      `json:"asked,omitempty"`        // who was asked for a review when nothing but approvals was missing
	AskedAt      time.Time     `json:"askedAt,omitzero"`       // and when
	AskedFor     string        `json:"askedFor,omitempty"`     // and of which head commit
	QueuedAt     time.Time     `json:"queuedAt,omitzero"`      // since when it is in the merge queue of base
	LeftQueue    string        `json:"leftQueue,omitempty"`    // how it last left the queue without being merged, in a sentence
	RequeueAt    time.Time     `json:"requeueAt,omitzero"`     // when the bot may put it back, which the forge had removed
	OutOfQueue   string        `json:"outOfQueue,omitempty"`   // the head that a person took out of the queue: the bot does not put it back
	Next         string        `json:"next,omitempty"`         // what it waits for besides the gate, and who has to do what
	GateHead     string        `json:"gateHead,omitempty"`     // the head commit it was shown on
	GreenAt      time.Time     `json:"greenAt,omitzero"`       // since when all but approvals allow, without a break
	Page         string        `json:"page,omitempty"`         // tells what its pull request's body last said from what it should say
	History      string        `json:"history,omitempty"`      // what was found of the commits it brings: nothing looked for yet, none, or a sum
	Progress     int           `json:"progress,omitempty"`     // how far along the chain of environments the same digests run; more is further
	MergeCommit  string        `json:"mergeCommit,omitempty"`
	MergedBy     string        `json:"mergedBy,omitempty"`
	Disproved    bool          `json:"disproved,omitempty"`   // it runs, and something that should verify it failed
	AgainstGate  bool          `json:"againstGate,omitempty"` // a person merged it while the gate was not green
	LastError    string        `json:"lastError,omitempty"`   // what went wrong at the last try, for people
	Attempts     int           `json:"attempts,omitempty"`    // tries that failed in a row
	RetryAt      time.Time     `json:"retryAt,omitzero"`      // when it is tried again
	WaitsUntil   time.Time     `json:"waitsUntil,omitzero"`   // it stands in the line for its pull request, which was not asked for yet, and asks again then
	CreatedAt    time.Time     `json:"createdAt"`
	OpenedAt     time.Time     `json:"openedAt,omitzero"`
	EndedAt      time.Time     `json:"endedAt,omitzero"`
	MergedAt     time.Time     `json:"mergedAt,omitzero"`
}

// Hold keeps an app of an environment where it is until a person lifts it.
type Hold struct {
	Environment string       `json:"environment"`
	Images      []image.Name `json:"images"` // empty: the whole environment
	Reason      string       `json:"reason"`
	Actor       string       `json:"actor"`
	At          time.Time    `json:"at"`
}

// LostReason is the reason of the holds that a bot makes when it finds its own branches in a repository which it does not remember.
const LostReason = "the bot found branches of its own that it does not remember, as after its database was lost, so it does not know what people " +
	"had rejected or held; look at the open pull requests, then run boatlift resume"

// Covers tells whether the hold keeps the image.
func (h Hold) Covers(environment string, name image.Name) bool {
	return h.Environment == environment && (len(h.Images) == 0 || slices.Contains(h.Images, name))
}

// Rejection is one image → digest change that a person refused for an environment by closing its pull request.
type Rejection struct {
	Environment string       `json:"environment"`
	Image       image.Name   `json:"image"`
	Digest      image.Digest `json:"digest"`
	Promotion   string       `json:"promotion"`
	Actor       string       `json:"actor"`
	At          time.Time    `json:"at"`
}

// Listing is one images entry of one kustomization of an environment.
type Listing struct {
	Environment string       `json:"environment"`
	File        string       `json:"file"`
	Entry       string       `json:"entry"` // the entry's name, by which an edit finds it
	Image       image.Name   `json:"image"` // newName, else name, in canonical form
	Tag         string       `json:"tag,omitempty"`
	Digest      image.Digest `json:"digest,omitempty"`
	Refusal     string       `json:"refusal,omitempty"` // why the entry is never edited; empty if it may be
}

// Running is what an environment demonstrably runs: what the kustomizations at its last rolled-out commit carry.
type Running struct {
	Environment string                      `json:"environment"`
	SHA         string                      `json:"sha,omitempty"`    // the commit that is rolled out; empty while nothing is known
	Newest      string                      `json:"newest,omitempty"` // the commit of the newest rollout, however it went
	State       string                      `json:"state"`            // of the newest rollout: running, succeeded, failed, unknown
	URL         string                      `json:"url,omitempty"`    // its log
	At          time.Time                   `json:"at,omitzero"`      // when the newest rollout began
	Says        string                      `json:"says,omitempty"`   // why the state is unknown, in a sentence
	Images      map[image.Name]RunningImage `json:"images,omitempty"`
	Proofs      []Proof                     `json:"proofs,omitempty"` // of the names under verify, in their order
}

// RunningImage is what is known of one image that runs. The digest is empty where kustomizations disagree or carry none.
type RunningImage struct {
	Tag    string       `json:"tag,omitempty"`
	Digest image.Digest `json:"digest,omitempty"`
	Since  time.Time    `json:"since"`
	Proved []string     `json:"proved,omitempty"` // names under verify that were green while it ran at this digest, and have not failed since
}

// Note says why an app, or an image, does not move just now. Every image of an environment that has news has one.
type Note struct {
	Environment string     `json:"environment"`
	App         string     `json:"app,omitempty"`
	Image       image.Name `json:"image,omitempty"`
	Tag         string     `json:"tag,omitempty"`
	Say         string     `json:"say"`            // one sentence
	Hint        string     `json:"hint,omitempty"` // what a person can do
	Since       time.Time  `json:"since,omitzero"`
	Until       time.Time  `json:"until,omitzero"`
}
