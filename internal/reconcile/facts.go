package reconcile

import (
	"context"
	"slices"
	"time"

	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/store"
)

// askFacts bounds how long a pull request waits for what its images say about themselves. Without it opens all the same.
const askFacts = 5 * time.Second

// facts is what the image with a digest says about itself: about a release's new digests and those that run, once learnFacts has read it.
// It says nothing where nobody knows.
func (t *turn) facts(digest image.Digest) image.Facts { return t.said[digest] }

// learnFacts reads what images of releases say about themselves: the new ones, and those that they take the place of. What the store does
// not know is asked of the registries, and kept. Nothing stands in the way of a release here: what cannot be read is left out.
func (t *turn) learnFacts(ctx context.Context, releases ...promotion.Release) {
	var names []image.Name
	var digests []image.Digest
	seen := map[image.Digest]bool{}
	for _, r := range releases {
		for _, c := range r.Changes[:min(maxRows, len(r.Changes))] {
			for _, digest := range []image.Digest{c.Digest, t.ranAt(r.Environment, c)} {
				if _, known := t.said[digest]; digest != "" && !known && !seen[digest] {
					seen[digest] = true
					names, digests = append(names, c.Image), append(digests, digest)
				}
			}
		}
	}
	if len(digests) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, askFacts)
	defer cancel()
	for i, err := range t.readFacts(ctx, names, digests) {
		if err != nil {
			t.log.Info("what an image says of itself is not known", "image", string(names[i]), "digest", string(digests[i]), "error", err)
		}
	}
}

// readFacts reads what images say about themselves, from the store or else from their registries, and returns what went wrong with each.
func (t *turn) readFacts(ctx context.Context, names []image.Name, digests []image.Digest) []error {
	if t.said == nil {
		t.said = map[image.Digest]image.Facts{}
	}
	stored, err := t.r.Store.Facts(ctx, digests)
	if err != nil {
		t.log.Warn("read what images say of themselves", "error", err)
	}
	var unknown []int
	var about []image.Name
	for i, digest := range digests {
		if facts, ok := stored[digest]; ok {
			t.said[digest] = facts
			continue
		}
		unknown, about = append(unknown, i), append(about, names[i])
	}
	answers := make([]image.Facts, len(unknown))
	failures := t.askAll(ctx, about, func(ctx context.Context, i int) (err error) {
		answers[i], err = t.r.Registry.Facts(ctx, about[i], digests[unknown[i]])
		return err
	})
	learned := map[image.Digest]image.Facts{}
	all := make([]error, len(digests))
	for i, place := range unknown {
		if all[place] = failures[i]; failures[i] == nil {
			learned[digests[place]] = answers[i]
			t.said[digests[place]] = answers[i]
		}
	}
	if err := t.r.Store.SaveFacts(ctx, learned); err != nil {
		t.log.Warn("keep what images say of themselves", "error", err)
	}
	return all
}

// lookAtPlatforms finds out for which platforms images are built, as a plan needs it, and puts that into the world. It returns of how many.
func (t *turn) lookAtPlatforms(ctx context.Context, asks []promotion.Ask) int {
	var names []image.Name
	var digests []image.Digest
	for _, ask := range asks {
		if ask.Digest != "" && !slices.Contains(digests, ask.Digest) {
			names, digests = append(names, ask.Image.Image), append(digests, ask.Digest)
		}
	}
	if len(digests) == 0 {
		return 0
	}
	for i, err := range t.readFacts(ctx, names, digests) {
		built := promotion.Built{Facts: t.said[digests[i]]}
		if err != nil {
			built.Problem, built.RetryAt = firstLine(err.Error()), t.now.Add(max(store.TagRetry, retryAfter(err)))
			t.log.Warn("look for which platforms an image is built", "image", string(names[i]), "digest", string(digests[i]), "error", err)
		}
		t.world.Built[digests[i]] = built
	}
	return len(digests)
}

// ranAt is the digest that a change takes the place of: the one that base sets or, where it sets none, the one that the environment runs.
func (t *turn) ranAt(environment string, c promotion.Change) image.Digest {
	if c.FromDigest != "" {
		return c.FromDigest
	}
	return t.world.Running[environment].Images[c.Image].Digest
}
