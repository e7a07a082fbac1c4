package store

import (
	"context"
	"fmt"
	"time"

	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
)

const (
	// TagRetry is how long a tag that could not be read is left alone, if its registry does not say itself.
	TagRetry = 30 * time.Second
	// clockMargin is how far the clocks of bot and database may differ before a tag that was read is taken for older than a push.
	clockMargin = time.Second
)

// Known gives the tags of images that were pushed since a moment, with what their registries said of them since they were pushed, by
// image and sorted by tag.
func (s *Store) Known(ctx context.Context, names []image.Name, since time.Time) (map[image.Name][]promotion.Known, error) {
	pushes, err := s.Pushes(ctx, names, since)
	if err != nil {
		return nil, fmt.Errorf("read the pushes: %w", err)
	}
	read, err := s.Tags(ctx, names)
	if err != nil {
		return nil, fmt.Errorf("read the known tags: %w", err)
	}
	all := map[image.Name][]promotion.Known{}
	groups := map[image.Name]map[string][]Push{}
	for _, p := range pushes {
		if groups[p.Image] == nil {
			groups[p.Image] = map[string][]Push{}
		}
		groups[p.Image][p.Tag] = append(groups[p.Image][p.Tag], p)
	}
	for name, byTag := range groups {
		for _, tag := range sortedKeys(byTag) { // in one order, so that a plan does not depend on it
			all[name] = append(all[name], known(tag, byTag[tag], read[name][tag]))
		}
	}
	return all, nil
}

// known joins the pushes of one tag, oldest first, with what the registry last said of it. What it said before the newest push may not be
// true any more.
func known(tag string, pushes []Push, read Tag) promotion.Known {
	k := promotion.Known{Seen: image.Seen{Tag: tag}}
	last := pushes[len(pushes)-1]
	k.First, k.Last = last.ReceivedAt, last.ReceivedAt
	if read.ReadAt.IsZero() || read.ReadAt.Add(-clockMargin).Before(last.ReceivedAt) {
		return k
	}
	switch {
	case read.Err != "":
		k.Problem, k.RetryAt = read.Err, read.ReadAt.Add(TagRetry)
	case read.Digest == "":
		k.Gone = true
	default:
		k.Digest = read.Digest
		k.First = firstAt(pushes, read.Digest)
	}
	return k
}

// firstAt is when a tag was first seen at a digest, counting from the last time that it was seen at another.
func firstAt(pushes []Push, digest image.Digest) time.Time {
	first := pushes[len(pushes)-1].ReceivedAt
	for i := len(pushes) - 1; i >= 0; i-- {
		if pushes[i].Digest != "" && pushes[i].Digest != digest {
			break
		}
		first = pushes[i].ReceivedAt
	}
	return first
}
