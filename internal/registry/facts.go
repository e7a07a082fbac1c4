package registry

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/boatlift/boatlift/internal/image"
)

// maxConfig is far above any image's configuration.
const maxConfig = 4 << 20

// Facts reads what the image with that digest says about itself: the annotations of its index and manifest, and the labels
// of its configuration; the first of these that has a value counts. Of an image for several platforms the one for linux/amd64
// is read, else the first; its platforms are those of the whole index, attestations left out. An image that says nothing has
// zero Facts. The errors are those of Resolve.
//
// Answers are kept in memory, as what a digest names never changes.
func (c *Client) Facts(ctx context.Context, of image.Name, digest image.Digest) (image.Facts, error) {
	if _, err := image.ParseDigest(string(digest)); err != nil {
		return image.Facts{}, err
	}
	if facts, ok := c.facts.get(digest); ok {
		return facts, nil
	}
	var said []map[string]string
	var platforms []string
	err := c.ask(ctx, of, string(digest), func(ctx context.Context, pull *puller, repository name.Repository) error {
		said, platforms = nil, nil
		index, picture, err := pictured(ctx, pull, repository, repository.Digest(string(digest)))
		if index != nil {
			said = append(said, index.Annotations)
			for _, one := range images(index.Manifests) {
				platforms = addPlatform(platforms, one.Platform)
			}
		}
		if err != nil || picture == nil {
			return err
		}
		manifest, err := picture.Manifest()
		if err != nil {
			return err
		}
		said = append(said, manifest.Annotations)
		config, err := configured(picture, manifest)
		if err != nil || config == nil {
			return err
		}
		said = append(said, config.Config.Labels)
		if len(platforms) == 0 { // no index, or one that does not say
			platforms = addPlatform(nil, config.Platform())
		}
		return nil
	})
	if err != nil {
		return image.Facts{}, err
	}
	facts := readFacts(said)
	slices.Sort(platforms)
	facts.Platforms = platforms
	c.facts.put(digest, facts)
	return facts, nil
}

// pictured follows a reference to an image: through its index, if it has one, to the manifest that speaks for it. The image is nil where
// nothing of the kind is there.
func pictured(ctx context.Context, pull *puller, repository name.Repository, ref name.Reference) (index *v1.IndexManifest, picture v1.Image, err error) {
	found, err := pull.Get(ctx, ref)
	if err != nil {
		return nil, nil, err
	}
	if found.MediaType.IsIndex() {
		list, err := found.ImageIndex()
		if err != nil {
			return nil, nil, err
		}
		if index, err = list.IndexManifest(); err != nil {
			return nil, nil, err
		}
		child, ok := speaker(index.Manifests)
		if !ok {
			return index, nil, nil
		}
		if found, err = pull.Get(ctx, repository.Digest(child.String())); err != nil {
			return index, nil, err
		}
	}
	if !found.MediaType.IsImage() {
		return index, nil, nil
	}
	picture, err = found.Image()
	return index, picture, err
}

// configured is an image's configuration; nil where it has none, or one that is too large to be read.
func configured(picture v1.Image, manifest *v1.Manifest) (*v1.ConfigFile, error) {
	if !manifest.Config.MediaType.IsConfig() || manifest.Config.Size > maxConfig {
		return nil, nil
	}
	return picture.ConfigFile()
}

// images are the manifests of an index that are images for a platform, and neither attestations nor indexes.
func images(manifests []v1.Descriptor) []v1.Descriptor {
	return slices.DeleteFunc(slices.Clone(manifests), func(one v1.Descriptor) bool {
		return !one.MediaType.IsImage() || one.Annotations["vnd.docker.reference.type"] != "" || one.Platform != nil && one.Platform.OS == "unknown"
	})
}

// speaker picks the manifest of an index that speaks for it.
func speaker(manifests []v1.Descriptor) (v1.Hash, bool) {
	all := images(manifests)
	for _, one := range all {
		if one.Platform != nil && one.Platform.OS == "linux" && one.Platform.Architecture == "amd64" {
			return one.Digest, true
		}
	}
	if len(all) == 0 {
		return v1.Hash{}, false
	}
	return all[0].Digest, true
}

// maxPlatforms is more than any image is built for.
const maxPlatforms = 100

// addPlatform adds a platform as people write it, once, if it is one.
func addPlatform(list []string, p *v1.Platform) []string {
	if p == nil || p.OS == "" || p.Architecture == "" || len(list) >= maxPlatforms {
		return list
	}
	text := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		text += "/" + p.Variant
	}
	if !oneLine(text) || slices.Contains(list, text) {
		return list
	}
	return append(list, text)
}

func readFacts(said []map[string]string) image.Facts {
	value := func(key string, valid func(string) bool) string {
		for _, labels := range said {
			if v := strings.TrimSpace(labels["org.opencontainers.image."+key]); v != "" && oneLine(v) && valid(v) {
				return v
			}
		}
		return ""
	}
	anything := func(string) bool { return true }
	facts := image.Facts{
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
	byID map[image.Digest]image.Facts
	ring []image.Digest // in the order of arrival, overwritten from next once full
	next int
}

// maxFacts bounds the cache: at most about a kilobyte each.
const maxFacts = 2048

func (c *factsCache) get(digest image.Digest) (image.Facts, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	facts, ok := c.byID[digest]
	return facts, ok
}

func (c *factsCache) put(digest image.Digest, facts image.Facts) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.byID[digest]; ok {
		return
	}
	if c.byID == nil {
		c.byID = map[image.Digest]image.Facts{}
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
