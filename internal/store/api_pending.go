package store

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
)

var errPending = errors.New("being built")

// Options are what a Store needs besides its URL. All may be left out.
type Options struct {
	Logger *slog.Logger
	Clock  func() time.Time // for tests: stands in for the database's clock
	Random func() float64   // for the jitter of back-off: [0, 1)
}

// Store is an open database.
type Store struct{}

func Open(ctx context.Context, url string, opts Options) (*Store, error) { return nil, errPending }
func (s *Store) Close() error                                            { return errPending }

// Ping tells whether the database answers and could write.
func (s *Store) Ping(ctx context.Context) error { return errPending }

func (s *Store) Accept(ctx context.Context, d Delivery, pushes []Push, wake []promotion.RepoKey) (Accepted, error) {
	return Accepted{}, errPending
}
func (s *Store) Deliveries(ctx context.Context, f DeliveryFilter) ([]Delivery, error) {
	return nil, errPending
}

// Delivery finds one by its number or, where ref is none, the newest one with that id at its sender.
func (s *Store) Delivery(ctx context.Context, ref string) (Delivery, bool, error) {
	return Delivery{}, false, errPending
}
func (s *Store) Pushes(ctx context.Context, images []image.Name, since time.Time) ([]Push, error) {
	return nil, errPending
}
func (s *Store) Purge(ctx context.Context, r Retention) (removed int64, err error) {
	return 0, errPending
}

func (s *Store) Claim(ctx context.Context, owner string, lease time.Duration) (*Claim, error) {
	return nil, errPending
}
func (s *Store) Renew(ctx context.Context, c *Claim, lease time.Duration) error { return errPending }
func (s *Store) Finish(ctx context.Context, c *Claim, f Finish) error           { return errPending }

// Release gives a claim back unfinished, as a server does that stops: the work is due at once and counts no failure.
func (s *Store) Release(ctx context.Context, c *Claim) error { return errPending }
func (s *Store) Wake(ctx context.Context, keys ...promotion.RepoKey) error {
	return errPending
}

// Retry wakes like Wake, and ends a back-off.
func (s *Store) Retry(ctx context.Context, keys ...promotion.RepoKey) error { return errPending }
func (s *Store) NextDue(ctx context.Context) (time.Time, bool, error) {
	return time.Time{}, false, errPending
}
func (s *Store) Notify() <-chan struct{}                     { return nil }
func (s *Store) Work(ctx context.Context) ([]WorkRow, error) { return nil, errPending }

// Tx collects what is to be written in one transaction. Nothing is written before the function that fills it has returned.
type Tx struct{}

// Update writes what fn collects, all or nothing, if the claim is still ours; else ErrLost.
func (s *Store) Update(ctx context.Context, c *Claim, fn func(tx *Tx) error) error { return errPending }

// Operate writes what fn collects without a claim, for what a person decided (holds, lifted holds, audit), and wakes the repo.
func (s *Store) Operate(ctx context.Context, repo promotion.RepoKey, fn func(tx *Tx) error) error {
	return errPending
}

func (tx *Tx) SaveRepo(r Repo)                                                       {}
func (tx *Tx) SaveListings(repo promotion.RepoKey, listings []promotion.Listing)     {}
func (tx *Tx) SavePromotion(p promotion.Promotion)                                   {}
func (tx *Tx) AddRejections(rejections ...promotion.Rejection)                       {}
func (tx *Tx) LiftRejections(promotionID string)                                     {}
func (tx *Tx) AddHold(h promotion.Hold)                                              {}
func (tx *Tx) LiftHolds(environment string, images []image.Name)                     {}
func (tx *Tx) SaveRunning(running []promotion.Running)                               {}
func (tx *Tx) SaveNotes(repo promotion.RepoKey, notes []promotion.Note)              {}
func (tx *Tx) SaveTag(t Tag)                                                         {}
func (tx *Tx) SaveCheck(repo promotion.RepoKey, pullRequest int, head, shown string) {}
func (tx *Tx) Audit(e AuditEntry)                                                    {}
func (tx *Tx) Wake(keys ...promotion.RepoKey)                                        {}

func (s *Store) Repo(ctx context.Context, key promotion.RepoKey) (Repo, bool, error) {
	return Repo{}, false, errPending
}
func (s *Store) Repos(ctx context.Context) ([]Repo, error) { return nil, errPending }
func (s *Store) RepoByName(ctx context.Context, forge, fullName string) (Repo, bool, error) {
	return Repo{}, false, errPending
}

// UpsertRepos records everything that a forge lists: new and changed repos are woken, those that are not in the list are parked.
func (s *Store) UpsertRepos(ctx context.Context, forge string, found []Repo) (woken []promotion.RepoKey, err error) {
	return nil, errPending
}

// SetRepoState parks a repo or takes it up again (and wakes it).
func (s *Store) SetRepoState(ctx context.Context, key promotion.RepoKey, state RepoState, reason string) error {
	return errPending
}

// RemoveRepos forgets repos and all that belongs to them, but not what the audit says of them.
func (s *Store) RemoveRepos(ctx context.Context, keys ...promotion.RepoKey) error { return errPending }

func (s *Store) Memory(ctx context.Context, key promotion.RepoKey) (Memory, error) {
	return Memory{}, errPending
}
func (s *Store) Tags(ctx context.Context, images []image.Name) (map[image.Name]map[string]Tag, error) {
	return nil, errPending
}
func (s *Store) Upstream(ctx context.Context, forge string, ref promotion.EnvRef) (Upstream, error) {
	return Upstream{}, errPending
}
func (s *Store) Downstream(ctx context.Context, forge, repoFullName string, environments []string) ([]promotion.RepoKey, error) {
	return nil, errPending
}
func (s *Store) Promotions(ctx context.Context, f PromotionFilter) ([]promotion.Promotion, error) {
	return nil, errPending
}
func (s *Store) Notes(ctx context.Context, f NoteFilter) ([]RepoNote, error) { return nil, errPending }
func (s *Store) Holds(ctx context.Context, f HoldFilter) ([]RepoHold, error) { return nil, errPending }

// Listing tells which repos list an image.
func (s *Store) ReposListing(ctx context.Context, name image.Name) ([]promotion.RepoKey, error) {
	return nil, errPending
}

// Audit appends an entry that belongs to no repo's turn.
func (s *Store) Audit(ctx context.Context, e AuditEntry) error { return errPending }

// AuditTail gives the newest entries, newest first.
func (s *Store) AuditTail(ctx context.Context, f AuditFilter) ([]AuditEntry, error) {
	return nil, errPending
}

// AuditExport writes every entry after the given number as a line of JSON and returns the number of the last one.
func (s *Store) AuditExport(ctx context.Context, w io.Writer, after int64) (last int64, err error) {
	return 0, errPending
}

// AuditVerify recomputes the chain; a trail that is not as it was written gives *TamperedError.
func (s *Store) AuditVerify(ctx context.Context) (AuditReport, error) {
	return AuditReport{}, errPending
}

var _ json.RawMessage
