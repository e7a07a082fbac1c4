package gate

import (
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
	OnHead    bool      `json:"onHead"`   // given on exactly the present head commit
	CanWrite  bool      `json:"canWrite"` // the person may write to the repository
	Teams     []string  `json:"teams,omitempty"`
	CodeOwner bool      `json:"codeOwner,omitempty"`
	Author    bool      `json:"author,omitempty"` // pushed to the branch or opened the pull request
}

// Facts are all that policies may look at. They are computed before any policy runs; a policy does no I/O.
type Facts struct {
	Now         time.Time         `json:"now"`
	Environment string            `json:"environment"`
	App         string            `json:"app"`
	Changes     []Change          `json:"changes"`
	After       []Upstream        `json:"after,omitempty"`
	Approvals   []Approval        `json:"approvals,omitempty"`
	Checks      map[string]string `json:"checks,omitempty"` // state of other checks and statuses on the head commit: success, failure, pending, …
	Held        string            `json:"held,omitempty"`   // why the app is on hold in this environment; empty if it is not
	OpenedAt    time.Time         `json:"openedAt,omitzero"`
	GreenAt     time.Time         `json:"greenAt,omitzero"` // since when everything but approvals allows
	OpenCount   int               `json:"openCount"`        // open pull requests of the bot in this environment
	Rollback    bool              `json:"rollback,omitempty"`
	Head        string            `json:"head,omitempty"`
}
