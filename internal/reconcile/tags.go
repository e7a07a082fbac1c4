package reconcile

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/registry"
	"github.com/boatlift/boatlift/internal/store"
)

const (
	registryTimeout = 15 * time.Second
	registryRetry   = 30 * time.Second // after a registry could not be asked, if it does not say itself
	// missingFor is how long after its push a tag that the registry does not have is asked for again: a replica may lag behind.
	missingFor = 10 * time.Minute
	// clockMargin is how far the clocks of bot and database may differ before a tag that was read is taken for older than a push.
	clockMargin = time.Second
)

// observeTags collects the tags that were pushed of the images that the environments list, with the digests that registries gave since.
func (t *turn) observeTags(ctx context.Context) error {
	t.world.Tags = map[image.Name][]promotion.Known{}
	var names []image.Name
	var since time.Time
	seen := map[image.Name]bool{}
	for key, first := range t.world.FirstSeen {
		if !seen[key.Image] {
			seen[key.Image] = true
			names = append(names, key.Image)
		}
		if since.IsZero() || first.Before(since) {
			since = first
		}
	}
	if len(names) == 0 {
		return nil
	}
	pushes, err := t.r.Store.Pushes(ctx, names, since)
	if err != nil {
		return fmt.Errorf("read the pushes: %w", err)
	}
	read, err := t.r.Store.Tags(ctx, names)
	if err != nil {
		return fmt.Errorf("read the known tags: %w", err)
	}
	for name, byTag := range groupPushes(pushes) {
		for tag, of := range byTag {
			t.world.Tags[name] = append(t.world.Tags[name], known(tag, of, read[name][tag]))
		}
	}
	return nil
}

func groupPushes(pushes []store.Push) map[image.Name]map[string][]store.Push {
	groups := map[image.Name]map[string][]store.Push{}
	for _, p := range pushes {
		if groups[p.Image] == nil {
			groups[p.Image] = map[string][]store.Push{}
		}
		groups[p.Image][p.Tag] = append(groups[p.Image][p.Tag], p)
	}
	return groups
}

// known joins the pushes of one tag, oldest first, with what the registry last said of it. What it said before the newest push may not be
// true any more.
func known(tag string, pushes []store.Push, read store.Tag) promotion.Known {
	k := promotion.Known{Seen: image.Seen{Tag: tag}}
	last := pushes[len(pushes)-1]
	k.First = last.ReceivedAt
	if read.ReadAt.IsZero() || read.ReadAt.Add(-clockMargin).Before(last.ReceivedAt) {
		return k
	}
	switch {
	case read.Err != "":
		k.Problem, k.RetryAt = read.Err, read.ReadAt.Add(registryRetry)
	case read.Digest == "":
		k.Gone = true
	default:
		k.Digest = read.Digest
		k.First = firstAt(pushes, read.Digest)
	}
	return k
}

// firstAt is when a tag was first seen at a digest, counting from the last time that it was seen at another.
func firstAt(pushes []store.Push, digest image.Digest) time.Time {
	first := pushes[len(pushes)-1].ReceivedAt
	for i := len(pushes) - 1; i >= 0; i-- {
		if pushes[i].Digest != "" && pushes[i].Digest != digest {
			break
		}
		first = pushes[i].ReceivedAt
	}
	return first
}

// resolve asks the registry for the digest of a tag, as a plan needs it, and puts the answer into the world.
func (t *turn) resolve(ctx context.Context, ask promotion.Ask) {
	all := t.world.Tags[ask.Image.Image]
	for i := range all {
		k := &all[i]
		if k.Tag != ask.Tag || k.Digest != "" || k.Gone || (k.Problem != "" && t.now.Before(k.RetryAt)) {
			continue
		}
		asked, cancel := context.WithTimeout(ctx, registryTimeout)
		digest, err := t.r.Registry.Resolve(asked, ask.Image.Image, ask.Tag)
		cancel()
		var missing *registry.NotFoundError
		row := store.Tag{Image: ask.Image.Image, Tag: ask.Tag, Digest: digest, ReadAt: t.r.Now()}
		switch {
		case err == nil:
			k.Digest = digest
		case errors.As(err, &missing) && t.now.Sub(k.First) > missingFor:
			k.Gone = true
			row.Digest = ""
		default:
			row.Err = err.Error()
			k.Problem, k.RetryAt = row.Err, t.now.Add(max(registryRetry, retryAfter(err)))
			t.log.Warn("resolve a tag", "image", string(ask.Image.Image), "tag", ask.Tag, "error", err)
		}
		t.tags = append(t.tags, row)
	}
}
