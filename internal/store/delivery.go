package store

import (
	"time"

	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
)

// Outcome is what became of a webhook.
type Outcome string

// The outcomes. A refused delivery was not proved to be from its sender: it never stands in the way of a later one with the same id.
// Neither does an ignored one in the way of the same one that is stored, once the configuration wants it.
const (
	Stored    Outcome = "stored"
	Ignored   Outcome = "ignored"
	Duplicate Outcome = "duplicate"
	Refused   Outcome = "refused"
)

// Delivery is one webhook and what became of it.
type Delivery struct {
	ID         int64
	Sender     string // the endpoint's name
	DeliveryID string // the sender's own id for it; empty where it has none, and then it is never a duplicate
	Event      string
	Outcome    Outcome
	Reason     string
	About      string // what it was about, in a few words for people: an image and tag, a pull request
	Body       []byte // nil where it is not, or no longer, interesting
	ReceivedAt time.Time
	Images     []string
	Repos      []promotion.RepoKey
}

// Push is one tag of one image, seen in one event.
type Push struct {
	ID         int64
	Image      image.Name
	Tag        string
	Digest     image.Digest // as the event said; may be empty
	MediaType  string
	PushedAt   time.Time // the sender's word; may be zero
	ReceivedAt time.Time
	Delivery   int64 // the delivery that brought it
	Found      bool  // nobody told of it: it was found by asking its registry
}

// Accepted is the answer to an accepted delivery.
type Accepted struct {
	ID    int64               // of the delivery; of the first one where it was known
	Known bool                // it was there already, and nothing has changed
	Woken []promotion.RepoKey // the repos that have work because of it, sorted
}

// DeliveryFilter selects deliveries. Zero fields do not filter.
type DeliveryFilter struct {
	Sender  string
	Event   string
	Outcome Outcome
	Image   image.Name
	Repo    promotion.RepoKey
	Since   time.Time
	Before  int64 // only ids below this one, for the next page
	Limit   int   // 100 where it is 0
	Bodies  bool  // read the bodies too
}

// Retention says how long what is only interesting for a while is kept.
type Retention struct {
	Bodies        time.Duration // bodies of deliveries
	Deliveries    time.Duration
	Pushes        time.Duration
	Promotions    time.Duration // ended ones
	Checks        time.Duration // what was shown on a commit
	Facts         time.Duration // what images say about themselves; they are read again when they are needed again
	Verifications time.Duration // what test systems said of images
}

// DefaultRetention keeps deliveries for 30 days and their bodies for 7, pushes and ended promotions for a year.
func DefaultRetention() Retention {
	const day = 24 * time.Hour
	return Retention{Bodies: 7 * day, Deliveries: 30 * day, Pushes: 365 * day, Promotions: 365 * day, Checks: 90 * day, Facts: 90 * day, Verifications: rememberFor}
}
