package registry

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/boatlift/boatlift/internal/image"
)

// Push is one tag that was pushed, as a sender says it.
type Push struct {
	Registry   string    `json:"registry"`   // host, canonical: docker.io for all its aliases
	Repository string    `json:"repository"` // path below the host, lower case
	Tag        string    `json:"tag"`
	Digest     string    `json:"digest"`    // empty where the sender does not say it, or says it wrongly
	MediaType  string    `json:"mediaType"` // of the manifest; empty where the sender does not say it
	Time       time.Time `json:"time,omitzero"`
	DeliveryID string    `json:"deliveryID"` // the sender's own id of this event; empty where it has none
}

// Name is the image that was pushed.
func (p Push) Name() image.Name { return image.Name(p.Registry + "/" + p.Repository) }

// Ignored is a part of a request that is no push of an image, and why.
type Ignored struct {
	Reason string `json:"reason"`
}

// Decoded is what a request says. Both lists are empty rather than null in JSON.
type Decoded struct {
	Pushes  []Push    `json:"pushes"`
	Ignored []Ignored `json:"ignored"`

	// DeliveryID is the sender's id of the whole request, the same when it is delivered again. It is empty where the sender
	// has none; then only the body tells one delivery from another.
	DeliveryID string `json:"-"`
}

// event is a push as a decoder found it in a body, before anything was checked.
type event struct {
	host, repository, tag, digest, mediaType string
	ownHost                                  bool // host is set by the endpoint for this very repository, so its general one does not count
	time                                     time.Time
	id                                       string
}

// collector applies the rules that hold for every sender.
type collector struct {
	endpoint Endpoint
	decoded  Decoded
	unsaid   int
}

func newCollector(endpoint Endpoint) *collector {
	return &collector{endpoint: endpoint, decoded: Decoded{Pushes: []Push{}, Ignored: []Ignored{}}}
}

// maxIgnored bounds the reasons kept of one request; a body of a megabyte can hold a hundred thousand events.
const maxIgnored = 100

// maxPushes is far above what one request tells of; of an older Quay's it may be dozens.
const maxPushes = 1000

func (c *collector) ignore(reason string) {
	if len(c.decoded.Ignored) < maxIgnored {
		c.decoded.Ignored = append(c.decoded.Ignored, Ignored{reason})
		return
	}
	c.unsaid++
}

// result ends the collection.
func (c *collector) result(deliveryID string) Decoded {
	if c.unsaid > 0 {
		c.decoded.Ignored = append(c.decoded.Ignored, Ignored{strconv.Itoa(c.unsaid) + " more events are no pushes of images"})
	}
	c.decoded.DeliveryID = checkID(deliveryID)
	return c.decoded
}

// Tags under which signatures, attestations and referrers of the image with that digest are kept (cosign's sha256-….sig and
// .att and .sbom; the OCI distribution specification's fall-back sha256-…).
var attachedTag = regexp.MustCompile(`^sha(256|384|512)-[0-9a-f]{32,128}(\.[A-Za-z0-9._-]+)?$`)

// attached tells a tag that names something about an image, not an image.
func attached(tag string) bool {
	return strings.HasPrefix(tag, "sha") && attachedTag.MatchString(tag)
}

// push records an event, as a push of an image or as ignored with the reason.
func (c *collector) push(e event) {
	switch {
	case e.tag == "":
		c.ignore("push to " + subject(e.repository, "") + " has no tag: a layer, or one platform's part of an image")
		return
	case strings.HasPrefix(e.tag, "sha256:") || strings.HasPrefix(e.tag, "sha512:"):
		c.ignore("push to " + subject(e.repository, "") + " by digest has no tag: one platform's part of an image")
		return
	case e.mediaType == "application/octet-stream":
		c.ignore("push to " + subject(e.repository, e.tag) + " is a layer, not an image")
		return
	case attached(e.tag):
		c.ignore(subject(e.repository, e.tag) + " is a signature, an attestation or the like, not an image")
		return
	case image.CheckTag(e.tag) != nil:
		c.ignore("push to " + subject(e.repository, "") + " has the tag " + clip(strconv.QuoteToASCII(e.tag)) + ", which no registry could hold")
		return
	}
	host := c.endpoint.Host
	if host == "" || e.ownHost {
		host = e.host
	}
	if host == "" {
		c.ignore("push of " + subject(e.repository, e.tag) + " does not say at which registry; set host: for this registry")
		return
	}
	name, err := image.NewName(host, e.repository)
	if err != nil {
		c.ignore("push of " + subject(e.repository, e.tag) + " at " + clip(strconv.QuoteToASCII(host)) + " is no image name; set host: if the registry is known under another one")
		return
	}
	if len(c.decoded.Pushes) == maxPushes {
		c.ignore("push of " + subject(e.repository, e.tag) + " is one too many for one request")
		return
	}
	digest, err := image.ParseDigest(e.digest)
	if err != nil {
		digest = ""
	}
	c.decoded.Pushes = append(c.decoded.Pushes, Push{
		Registry:   name.Host(),
		Repository: name.Repository(),
		Tag:        e.tag,
		Digest:     string(digest),
		MediaType:  checkMediaType(e.mediaType),
		Time:       checkTime(e.time),
		DeliveryID: checkID(e.id),
	})
}

// subject names an image in a reason. What is no name is quoted, so that a reason stays one line of plain text.
func subject(repository, tag string) string {
	s := repository
	if s == "" {
		s = "an unnamed repository"
	}
	if tag != "" {
		s += ":" + tag
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		s = strconv.QuoteToASCII(s)
	}
	return clip(s)
}

// clip bounds ASCII text that a sender chose.
func clip(s string) string {
	const most = 160
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}

// checkID keeps an id that can stand in a log and in a column.
func checkID(id string) string {
	if len(id) > 128 || strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return ""
	}
	return id
}

// joinIDs is the id of a request with several events: that of its event, or a hash over those of several. It is empty where an
// event has none.
func joinIDs(ids []string) string {
	switch len(ids) {
	case 0:
		return ""
	case 1:
		return ids[0]
	}
	hash := sha256.New()
	for _, id := range ids {
		if checkID(id) == "" {
			return ""
		}
		hash.Write([]byte(id))
		hash.Write([]byte{0})
	}
	return "sha256-" + hex.EncodeToString(hash.Sum(nil))
}

func checkMediaType(s string) string {
	if len(s) > 128 || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		return ""
	}
	return s
}

// checkTime makes UTC of a time, and zero of one that is not set or that RFC 3339 cannot write.
func checkTime(t time.Time) time.Time {
	t = t.UTC()
	if t.Year() < 1970 || t.Year() > 9999 {
		return time.Time{}
	}
	return t
}
