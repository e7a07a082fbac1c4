package registry

import (
	"context"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/boatlift/boatlift/internal/image"
)

// Facts is what an image says about itself, in its annotations and labels (org.opencontainers.image.…). Its author wrote it,
// so nobody may rely on it, and it has to be escaped wherever it is shown. Addresses are http or https, values are one line
// of at most 255 ASCII characters; what is neither is left out.
type Facts struct {
	Source   string    `json:"source,omitempty"` // address of the source code
	Revision string    `json:"revision,omitempty"`
	Version  string    `json:"version,omitempty"`
	URL      string    `json:"url,omitempty"`
	Created  time.Time `json:"created,omitzero"`
}

// maxConfig is far above any image's configuration.
const maxConfig = 4 << 20

// Facts reads what the image with that digest says about itself: the annotations of its index and manifest, and the labels
// of its configuration; the first of these that has a value counts. Of an image for several platforms the one for linux/amd64
// is read, else the first. An image that says nothing has zero Facts. The errors are those of Resolve.
//
// Answers are kept in memory, as what a digest names never changes.
func (c *Client) Facts(ctx context.Context, of image.Name, digest image.Digest) (Facts, error) {
	if _, err := image.ParseDigest(string(digest)); err != nil {
		return Facts{}, err
	}
	if facts, ok := c.facts.get(digest); ok {
		return facts, nil
	}
	var said []map[string]string
	err := c.ask(ctx, of, string(digest), func(ctx context.Context, pull *puller, repository name.Repository) error {
		said = nil
		found, err := pull.Get(ctx, repository.Digest(string(digest)))
		if err != nil {
			return err
		}
		if found.MediaType.IsIndex() {
			index, err := found.ImageIndex()
			if err != nil {
				return err
			}
			manifest, err := index.IndexManifest()
			if err != nil {
				return err
			}
			said = append(said, manifest.Annotations)
			child, ok := platform(manifest.Manifests)
			if !ok {
				return nil
			}
			if found, err = pull.Get(ctx, repository.Digest(child.String())); err != nil {
				return err
			}
		}
		if !found.MediaType.IsImage() {
			return nil
		}
		picture, err := found.Image()
		if err != nil {
			return err
		}
		manifest, err := picture.Manifest()
		if err != nil {
			return err
		}
		said = append(said, manifest.Annotations)
		if !manifest.Config.MediaType.IsConfig() || manifest.Config.Size > maxConfig {
			return nil
		}
		config, err := picture.ConfigFile()
		if err != nil {
			return err
		}
		said = append(said, config.Config.Labels)
		return nil
	})
	if err != nil {
		return Facts{}, err
	}
	facts := readFacts(said)
	c.facts.put(digest, facts)
	return facts, nil
}

// platform picks the manifest of an index that speaks for it, passing over attestations.
func platform(manifests []v1.Descriptor) (v1.Hash, bool) {
	var first *v1.Descriptor
	for i := range manifests {
		one := &manifests[i]
		if !one.MediaType.IsImage() || one.Annotations["vnd.docker.reference.type"] != "" ||
			one.Platform != nil && one.Platform.OS == "unknown" {
			continue
		}
		if one.Platform != nil && one.Platform.OS == "linux" && one.Platform.Architecture == "amd64" {
			return one.Digest, true
		}
		if first == nil {
			first = one
		}
	}
	if first == nil {
		return v1.Hash{}, false
	}
	return first.Digest, true
}

func readFacts(said []map[string]string) Facts {
	value := func(key string, valid func(string) bool) string {
		for _, labels := range said {
			if v := strings.TrimSpace(labels["org.opencontainers.image."+key]); v != "" && oneLine(v) && valid(v) {
				return v
			}
		}
		return ""
	}
	anything := func(string) bool { return true }
	facts := Facts{
		Source:   value("source", isAddress),
		Revision: value("revision", anything),
		Version:  value("version", anything),
		URL:      value("url", isAddress),
	}
	created := value("created", func(v string) bool { _, err := time.Parse(time.RFC3339, v); return err == nil })
	if at, err := time.Parse(time.RFC3339, created); err == nil {
		facts.Created = checkTime(at)
	}
	return facts
}

func oneLine(s string) bool {
	return len(s) <= 255 && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

func isAddress(s string) bool {
	at, err := url.Parse(s)
	return err == nil && (at.Scheme == "https" || at.Scheme == "http") && at.Host != "" && at.User == nil
}

// factsCache keeps the facts of the digests asked last. Its zero value is ready.
type factsCache struct {
	mu   sync.Mutex
	byID map[image.Digest]Facts
	ring []image.Digest // in the order of arrival, overwritten from next once full
	next int
}

// maxFacts bounds the cache: at most about a kilobyte each.
const maxFacts = 2048

func (c *factsCache) get(digest image.Digest) (Facts, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	facts, ok := c.byID[digest]
	return facts, ok
}

func (c *factsCache) put(digest image.Digest, facts Facts) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.byID[digest]; ok {
		return
	}
	if c.byID == nil {
		c.byID = map[image.Digest]Facts{}
	}
	if len(c.ring) < maxFacts {
		c.ring = append(c.ring, digest)
	} else {
		delete(c.byID, c.ring[c.next])
		c.ring[c.next] = digest
		c.next = (c.next + 1) % maxFacts
	}
	c.byID[digest] = facts
}
