package gate

import (
	"reflect"
	"strings"
	"time"

	"github.com/boatlift/boatlift/internal/image"
)

// Use is a policy named in a configuration file with its parameters, as parsed from YAML: `soak: {for: 30m}`.
type Use struct {
	Policy     string         `json:"policy"`
	Parameters map[string]any `json:"parameters,omitempty"`
}

// Change is one image that the pull request moves.
type Change struct {
	Image      image.Name   `json:"image"`
	FromTag    string       `json:"fromTag,omitempty"`
	FromDigest image.Digest `json:"fromDigest,omitempty"`
	ToTag      string       `json:"toTag,omitempty"`
	ToDigest   image.Digest `json:"toDigest,omitempty"`
	PushedAt   time.Time    `json:"pushedAt,omitzero"`   // when the image was first seen in the registry; zero if never
	Downgrade  bool         `json:"downgrade,omitempty"` // the rule of the environment ranks the new one below the running one
}

// Upstream is an environment that this one comes `after`, compared with the changes.
type Upstream struct {
	Environment string            `json:"environment"`        // as written: acme/infra-acceptance:acceptance
	Problem     string            `json:"problem,omitempty"`  // why it cannot be judged: unknown, ambiguous, not read yet
	Unused      []image.Name      `json:"unused,omitempty"`   // images of the changes that it does not use at all
	Missing     []image.Name      `json:"missing,omitempty"`  // images of the changes that run there, but at another or an unknown digest
	RunsSince   time.Time         `json:"runsSince,omitzero"` // since when it runs exactly the changes' digests; zero if it does not
	Rollout     string            `json:"rollout,omitempty"`  // what its last rollout did: running, succeeded, failed, unknown
	RolloutURL  string            `json:"rolloutURL,omitempty"`
	RolloutSays string            `json:"rolloutSays,omitempty"` // why the rollout is unknown
	PullRequest string            `json:"pullRequest,omitempty"` // where the same release waits there, if it does
	Verified    bool              `json:"verified"`              // nothing asks for verification, or all that was asked for is green
	Pending     map[string]string `json:"pending,omitempty"`     // verifications not green yet: name to state
	PendingURL  map[string]string `json:"pendingURL,omitempty"`  // where their states can be read, as far as known
}

// Approval is the standing decision of one person on the pull request.
type Approval struct {
	User      string    `json:"user"`
	Approved  bool      `json:"approved"` // false: changes requested
	At        time.Time `json:"at"`
	OnHead    bool      `json:"onHead"`              // given on exactly the present head commit
	CanWrite  bool      `json:"canWrite"`            // the person may write to the repository
	Teams     []string  `json:"teams,omitempty"`     // those of the teams that policies or CODEOWNERS name to which the person belongs
	CodeOwner bool      `json:"codeOwner,omitempty"` // owns a file that the pull request changes
	Owns      []string  `json:"owns,omitempty"`      // the files of Facts.CodeOwners that the person owns
	Author    bool      `json:"author,omitempty"`    // made or pushed a commit of the pull request, or opened it
}

// Owned is a file that the pull request changes, and who owns it by the CODEOWNERS of the base branch.
type Owned struct {
	File   string   `json:"file"`
	Owners []string `json:"owners"` // as CODEOWNERS writes them: @alice, @acme/ops, alice@acme.io; empty: the file has no owner
}

// Facts are all that policies may look at. They are computed before any policy runs; a policy does no I/O. Those that no policy of an
// environment looks at may be left out.
type Facts struct {
	Now          time.Time         `json:"now" about:"the moment of judging"`
	Environment  string            `json:"environment" about:"the environment's name"`
	App          string            `json:"app" about:"the app's name; empty where a pull request changes several"`
	Changes      []Change          `json:"changes" about:"the images that move: image, fromTag, fromDigest, toTag, toDigest, pushedAt, downgrade"`
	After        []Upstream        `json:"after,omitempty" about:"the environments before: environment, problem, unused, missing, runsSince, rollout, rolloutURL, pullRequest, verified, pending"`
	Approvals    []Approval        `json:"approvals,omitempty" about:"each person's standing decision: user, approved, at, onHead, canWrite, teams, codeOwner, owns, author"`
	CodeOwners   []Owned           `json:"codeOwners,omitempty" about:"the changed files and their owners by the CODEOWNERS of the base branch: file, owners"`
	OwnersUnread string            `json:"ownersUnread,omitempty" about:"why CODEOWNERS cannot be read; empty if it can"`
	TeamsUnread  map[string]string `json:"teamsUnread,omitempty" about:"teams whose members cannot be read, as acme/ops, and why"`
	Checks       map[string]string `json:"checks,omitempty" about:"other checks and statuses on the head commit: name to success, failure, pending, neutral, skipped"`
	Held         string            `json:"held,omitempty" about:"why the app is on hold here; empty if it is not"`
	OpenedAt     time.Time         `json:"openedAt,omitzero" about:"when the pull request was opened"`
	GreenAt      time.Time         `json:"greenAt,omitzero" about:"since when everything but approvals allows"`
	OpenCount    int               `json:"openCount" about:"how many pull requests of the bot are open in the environment"`
	Rollback     bool              `json:"rollback,omitempty" about:"whether it brings back what ran here before"`
	Head         string            `json:"head,omitempty" about:"the head commit"`
}

// factAbout says for people what a fact is.
func factAbout(name string) string {
	for field := range reflect.TypeFor[Facts]().Fields() {
		if tag, _, _ := strings.Cut(field.Tag.Get("json"), ","); tag == name {
			return field.Tag.Get("about")
		}
	}
	return ""
}
