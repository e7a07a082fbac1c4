package promotion

import (
	"path"
	"strings"
	"time"

	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/image"
)

// EnvRef names an environment of another infra repo: acme/infra-acceptance:acceptance. Repo is empty where the environment
// stands in the same file.
type EnvRef struct {
	Repo        string `json:"repo,omitempty"`
	Environment string `json:"environment"`
}

// String writes the reference as .boatlift.yaml does.
func (r EnvRef) String() string {
	if r.Repo == "" {
		return r.Environment
	}
	return r.Repo + ":" + r.Environment
}

// In fills in the repo of a reference that leaves it out.
func (r EnvRef) In(repo string) EnvRef {
	if r.Repo == "" {
		r.Repo = repo
	}
	return r
}

// Mode is how far the bot may go in an environment.
type Mode string

// The modes. Observe reports what would be proposed, and proposes nothing.
const (
	Propose Mode = "propose"
	Observe Mode = "observe"
	Off     Mode = "off"
)

// MergeMode is who merges a pull request.
type MergeMode string

// Who merges: a person; the bot once the gate is green and the review given since then approves; the bot once the gate is green.
const (
	MergeManual   MergeMode = "manual"
	MergeApproved MergeMode = "approved"
	MergeAuto     MergeMode = "auto"
)

// Pin is what a pull request writes.
type Pin string

// What is written into the kustomization.
const (
	PinTagAndDigest Pin = "tag+digest"
	PinDigest       Pin = "digest"
	PinTag          Pin = "tag"
)

// Rollout says what counts as evidence that a commit runs. All empty: nothing does, and the environment never counts as running anything.
type Rollout struct {
	Deployment string `json:"deployment,omitempty"` // deployment_status of the environment of this name at the forge
	Workflow   string `json:"workflow,omitempty"`   // the workflow file whose run must succeed
	Merge      bool   `json:"merge,omitempty"`      // the merge itself counts
	// Timeout is how long a rollout may be silent, or fail to appear after a merge, before it counts as unknown; 0: for ever.
	Timeout time.Duration `json:"timeout,omitempty"`
}

// None tells that nothing counts as evidence.
func (r Rollout) None() bool { return r.Deployment == "" && r.Workflow == "" && !r.Merge }

// ImageRule selects images and says which of their tags an environment wants. A zero Tags is inferred from the tag that runs.
type ImageRule struct {
	Image image.Pattern
	Tags  image.Rule
}

// Environment is a checked environment of a .boatlift.yaml, with every default filled in.
type Environment struct {
	Name     string
	Path     string // subtree, slash-separated, without leading or trailing slash; empty for the whole repository
	After    []EnvRef
	Rollout  Rollout
	Images   []ImageRule // empty: every image that a kustomization under Path lists
	Verify   []Check     // what must be green on what was rolled out before it counts as verified
	Policies []gate.Use
	Pin      Pin
	Merge    MergeMode
	Groups   [][]string // image names, or their last elements, that move together whatever their directories
	GroupAll bool       // the whole environment is one app
	Together bool
	Settle   time.Duration
	Mode     Mode
	MaxOpen  int // 0: no limit
	// Platforms are those that an image must be built for before it is proposed: linux/amd64. Empty: any.
	Platforms []string

	// EarlierApprovals lets MergeApproved count approvals that were given before the gate turned green.
	EarlierApprovals bool
	MergeMethod      string    // merge, squash or rebase; empty: what the repository allows
	Reviewers        Reviewers // who is asked when nothing but approvals is missing; empty: who the approvals policies name
}

// Reviewers are people, and teams as acme/ops.
type Reviewers struct{ Users, Teams []string }

// None tells that nobody is named.
func (r Reviewers) None() bool { return len(r.Users)+len(r.Teams) == 0 }

// Contains tells whether a file lies in the environment's subtree.
func (e Environment) Contains(file string) bool {
	return e.Path == "" || file == e.Path || strings.HasPrefix(file, e.Path+"/")
}

// Rule finds the tag rule for an image. The first rule that matches counts. wanted is false where the environment has image rules and
// none of them matches: the image is left alone. A rule that is zero has to be inferred.
func (e Environment) Rule(name image.Name) (rule image.Rule, wanted bool) {
	if len(e.Images) == 0 {
		return image.Rule{}, true
	}
	for _, r := range e.Images {
		if r.Image.Match(name) {
			return r.Tags, true
		}
	}
	return image.Rule{}, false
}

// Config is a checked .boatlift.yaml.
type Config struct {
	Environments []Environment
}

// Environment finds an environment by name.
func (c Config) Environment(name string) (Environment, bool) {
	for _, e := range c.Environments {
		if e.Name == name {
			return e, true
		}
	}
	return Environment{}, false
}

// Of finds the environment in whose subtree a file lies; subtrees never overlap.
func (c Config) Of(file string) (Environment, bool) {
	for _, e := range c.Environments {
		if e.Contains(path.Clean(file)) {
			return e, true
		}
	}
	return Environment{}, false
}
