package reconcile

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/registry"
	"github.com/boatlift/boatlift/internal/store"
)

// missingFor is how long after its push a tag that the registry does not have is asked for again: a replica may lag behind.
const missingFor = 10 * time.Minute

// observeTags collects the tags that were pushed of the images that the environments list, with the digests that registries gave since.
func (t *turn) observeTags(ctx context.Context) error {
	t.world.Tags, t.world.Built = map[image.Name][]promotion.Known{}, map[image.Digest]promotion.Built{}
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
	known, err := t.r.Store.Known(ctx, names, since)
	if err != nil {
		return err
	}
	t.world.Tags = known
	return nil
}

// asking bounds the questions to registries that are under way at a time.
const asking = 8

// resolve asks the registries for the digests of tags, as a plan needs them, and puts the answers into the world. It returns how many there
// were.
func (t *turn) resolve(ctx context.Context, asks []promotion.Ask) (answers int) {
	type question struct {
		name image.Name
		tag  string
	}
	var tags []string
	var names []image.Name
	asked := map[question]bool{}
	for _, ask := range asks {
		q := question{ask.Image.Image, ask.Tag}
		if ask.Digest == "" && !asked[q] && t.unresolved(q.name, q.tag) != nil {
			asked[q] = true
			names, tags = append(names, q.name), append(tags, q.tag)
		}
	}
	digests := make([]image.Digest, len(names))
	failures := t.askAll(ctx, names, func(ctx context.Context, i int) (err error) {
		digests[i], err = t.r.Registry.Resolve(ctx, names[i], tags[i])
		return err
	})
	for i, name := range names {
		t.resolved(t.unresolved(name, tags[i]), name, digests[i], failures[i])
	}
	return len(names)
}

// askAll asks a question about each of the names, several at a time, and returns what went wrong with each. A host that let two questions
// time out is not asked again in this round, so that one silent registry does not use up the time of all others.
func (t *turn) askAll(ctx context.Context, names []image.Name, ask func(ctx context.Context, i int) error) []error {
	failures := make([]error, len(names))
	var mu sync.Mutex
	silent := map[string]int{}
	var group sync.WaitGroup
	slots := make(chan struct{}, asking)
	for i, name := range names {
		slots <- struct{}{}
		group.Go(func() {
			defer func() {
				if p := recover(); p != nil {
					failures[i] = fmt.Errorf("a fault in the program: %v", p)
				}
				<-slots
			}()
			host := name.Host()
			mu.Lock()
			given := silent[host] >= 2
			mu.Unlock()
			if given {
				failures[i] = fmt.Errorf("the registry %s does not answer", host)
				return
			}
			asked, cancel := context.WithTimeout(ctx, t.r.registryTimeout)
			defer cancel()
			failures[i] = ask(asked, i)
			if failures[i] != nil && asked.Err() != nil {
				mu.Lock()
				silent[host]++
				mu.Unlock()
			}
		})
	}
	group.Wait()
	return failures
}

// unresolved finds a tag whose digest is not known and may be asked for; nil if there is none.
func (t *turn) unresolved(name image.Name, tag string) *promotion.Known {
	for i := range t.world.Tags[name] {
		k := &t.world.Tags[name][i]
		if k.Tag == tag && k.Digest == "" && !k.Gone && (k.Problem == "" || !t.now.Before(k.RetryAt)) {
			return k
		}
	}
	return nil
}

// resolved puts a registry's answer into the world.
func (t *turn) resolved(k *promotion.Known, name image.Name, digest image.Digest, err error) {
	row := store.Tag{Image: name, Tag: k.Tag, Digest: digest, ReadAt: t.r.Now()}
	var missing *registry.NotFoundError
	switch {
	case err == nil && digest != "":
		k.Digest, k.Problem = digest, ""
	case errors.As(err, &missing) && t.now.Sub(k.First) > missingFor:
		k.Gone = true
		row.Digest = ""
	default:
		if err == nil {
			err = errors.New("the registry gives no digest")
		}
		row.Err = firstLine(err.Error())
		k.Problem, k.RetryAt = row.Err, t.now.Add(max(store.TagRetry, retryAfter(err)))
		t.log.Warn("resolve a tag", "image", string(name), "tag", k.Tag, "error", err)
	}
	t.tags = append(t.tags, row)
}
