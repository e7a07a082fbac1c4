package store

import (
	"encoding/json"
	"time"

	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
)

// RepoState tells whether the bot works on a repo.
type RepoState string

// The states of a repo. A parked one is left alone: it was removed, suspended or archived at its forge.
const (
	RepoActive RepoState = "active"
	RepoParked RepoState = "parked"
)

// Repo is what is recorded of an infra repo.
type Repo struct {
	Key           promotion.RepoKey
	Forge         string // the forge's name in boatlift.yaml
	ForgeID       int64
	Installation  int64
	FullName      string
	DefaultBranch string
	CloneURL      string
	WebURL        string
	MergeMethod   string
	BaseHead      string // the commit of the default branch as last seen
	ConfigText    string // the .boatlift.yaml that is in force
	ConfigError   string // why the newest one is not
	ConfigSHA     string // the commit the newest one was read at
	State         RepoState
	StateReason   string
	BaselineAt    time.Time // when it was first seen, and what it ran became the baseline; zero: never seen
	UpdatedAt     time.Time
	Environments  []EnvRow
}

// EnvRow is an environment as far as other repos and lists need it; the rest is in the repo's ConfigText.
type EnvRow struct {
	Name  string
	Path  string
	Mode  promotion.Mode
	After []promotion.EnvRef
}

// Tag is what a tag of an image is now, as last read from its registry.
type Tag struct {
	Image  image.Name
	Tag    string
	Digest image.Digest // empty: the registry has no such tag
	First  time.Time    // when it was first seen at this digest; filled in by the store
	ReadAt time.Time
	Err    string // why the last try to read it failed; the digest is then that of the last one that did not
}

// EnvImage is an image in an environment.
type EnvImage struct {
	Environment string
	Image       image.Name
}

// Memory is all that is remembered of one repo, as of one moment: what Plan needs besides what it is shown of the world.
type Memory struct {
	Repo      Repo
	Found     bool // the repo is recorded
	Listings  []promotion.Listing
	FirstSeen map[EnvImage]time.Time // when an image was first listed in an environment; kept when it leaves and comes back
	// Promotions are those that are open, in rollout or have something left to close or delete, and of the others the newest 50 of
	// each environment that ended within 90 days. Oldest first.
	Promotions []promotion.Promotion
	Rejections []promotion.Rejection
	Holds      []promotion.Hold
	Running    []promotion.Running
	// Verifications are the newest of each name and set of images, at most 90 days old and 1,000 in all.
	Verifications []promotion.Verification
	Notes         []promotion.Note
	Checks        map[int]map[string]string // pull request, head commit: digest of what was shown
}

// Upstream is the environment that another one comes after.
type Upstream struct {
	Found      int // how many environments of active repos have the name; the rest is empty unless it is 1
	Repo       Repo
	Env        EnvRow
	Running    promotion.Running
	Listings   []promotion.Listing
	Promotions []promotion.Promotion // open or in rollout there, oldest first
}

// Follower is an active promotion of an environment that comes after another one.
type Follower struct {
	Promotion  promotion.Promotion
	FullName   string // of its repo
	ConfigText string // of its repo
}

// PromotionFilter selects promotions. Zero fields do not filter.
type PromotionFilter struct {
	ID          string
	Repo        promotion.RepoKey
	Environment string
	Image       image.Name
	PullRequest int
	Branch      string
	Active      bool // only those whose pull request is, or is about to be, open
	States      []promotion.State
	Since       time.Time // created since
	Limit       int       // 100 where it is 0
}

// NoteFilter selects notes. Zero fields do not filter.
type NoteFilter struct {
	Repo        promotion.RepoKey
	Environment string
	Image       image.Name
}

// RepoNote is a note and whose it is.
type RepoNote struct {
	Repo promotion.RepoKey
	promotion.Note
}

// HoldFilter selects holds. Zero fields do not filter.
type HoldFilter struct {
	Repo        promotion.RepoKey
	Environment string
}

// RepoHold is a hold and whose it is.
type RepoHold struct {
	Repo promotion.RepoKey
	promotion.Hold
}

// AuditEntry is one thing that was done, and by whom.
type AuditEntry struct {
	Seq     int64
	At      time.Time // the database's clock; filled in by the store
	Actor   string    // a person, or boatlift
	Role    string    // read, operate, override; empty for the bot itself
	Action  string    // opened, merged, held, …
	Subject string    // what it was done to: a repo, an environment, a promotion
	Detail  json.RawMessage
	// Previous and Hash chain the entries: each hash covers the entry and the hash before it. Filled in by the store.
	Previous string
	Hash     string
}

// AuditFilter selects entries of the audit trail. Zero fields do not filter.
type AuditFilter struct {
	Actor   string
	Action  string
	Subject string
	Since   time.Time
	Before  int64 // only entries below this number, for the next page
	Limit   int   // 100 where it is 0
}

// AuditReport is what a verification of the audit trail found when nothing was wrong.
type AuditReport struct {
	Entries int64
	Head    string // the hash of the newest entry; write it down elsewhere to notice a trail that was rewritten as a whole
}
