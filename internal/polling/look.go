package polling

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/registry"
	"github.com/boatlift/boatlift/internal/store"
)

// Sender is in whose name it is recorded what a poll found; SyncSender is that of what a person asked for.
const (
	Sender     = "poll"
	SyncSender = "sync"
)

const (
	// matterMost bounds how many tags of an image are asked where they point.
	matterMost = 40
	// datedMost bounds how many images are read for the time they were built at.
	datedMost = 50
)

// Tag is a tag that was found.
type Tag struct {
	Tag    string       `json:"tag"`
	Digest image.Digest `json:"digest,omitempty"` // empty where nobody asked yet
	Why    string       `json:"why"`              // new, moved, or asked for

	order time.Time // when it came, as far as anything tells
}

// Why a tag was found.
const (
	isNew    = "new"
	hasMoved = "moved"
	wasThere = "there before"
)

// sight is what a look at an image shows.
type sight struct {
	polled store.Polled // as it is to be recorded
	found  []Tag        // in the order in which they came
	tags   []string     // all that the registry lists
	at     map[string]image.Digest
}

// pushes are what is found as pushes, received at a moment or as little before it as keeps their order.
func (s sight) pushes(name image.Name, at time.Time) []store.Push {
	list := make([]store.Push, len(s.found))
	for i, f := range s.found {
		list[i] = store.Push{Image: name, Tag: f.Tag, Digest: f.Digest, ReceivedAt: at.Add(-time.Duration(len(s.found)-1-i) * time.Microsecond)}
	}
	return list
}

// look asks for an image and compares the answer with what is known. The errors are the registry's.
func (p *Poller) look(ctx context.Context, name image.Name, before store.Polled, pushes int64, of viewsOf) (sight, error) {
	now := p.Now()
	listing, err := p.Asker.Tags(ctx, name, before.Mark)
	if err != nil {
		return sight{}, err
	}
	s := sight{polled: before, tags: listing.Tags, at: map[string]image.Digest{}}
	if listing.Unchanged {
		s.tags = before.Tags
	}
	listed := seenOf(s.tags)
	for _, v := range of {
		withTimes(listed, v.world.Tags[name])
	}
	matter := of.union(func(w promotion.World) []string { return promotion.Matter(w, name, listed) })
	for _, tag := range matter[:min(len(matter), matterMost)] {
		if err := p.resolve(ctx, name, tag, s.at); err != nil {
			return sight{}, err
		}
	}
	// What a webhook told of while the registry was asked is known too.
	told, err := p.Store.PushesAfter(ctx, name, before.Pushes)
	if err != nil {
		return sight{}, err
	}
	read, err := p.Store.Tags(ctx, []image.Name{name})
	if err != nil {
		return sight{}, err
	}
	if baseline := before.At.IsZero(); !baseline {
		s.found = compare(before, s, told, read[name])
		if err := p.putInOrder(ctx, name, of, s.found); err != nil {
			return sight{}, err
		}
	}
	s.polled.Image, s.polled.At, s.polled.TriedAt, s.polled.Pushes = name, now, now, pushes
	s.polled.Mark, s.polled.Tags, s.polled.Digests = listing.Mark, s.tags, remember(before.Digests, s)
	s.polled.Attempts, s.polled.Err = 0, ""
	return s, nil
}

// rememberMost bounds the digests that are kept of an image.
const rememberMost = 200

// remember adds to where tags point now where others pointed when that mattered last: it may matter again.
func remember(before map[string]image.Digest, s sight) map[string]image.Digest {
	digests := maps.Clone(s.at)
	for _, tag := range s.tags {
		if was := before[tag]; was != "" && digests[tag] == "" && len(digests) < rememberMost {
			digests[tag] = was
		}
	}
	return digests
}

// resolve asks where a tag points, and adds it to what is known; nothing is added where the registry does not have it any more.
func (p *Poller) resolve(ctx context.Context, name image.Name, tag string, at map[string]image.Digest) error {
	if at[tag] != "" {
		return nil
	}
	digest, err := p.Asker.Resolve(ctx, name, tag)
	var missing *registry.NotFoundError
	switch {
	case errors.As(err, &missing): // deleted since it was listed
		return nil
	case err != nil:
		return err
	}
	at[tag] = digest
	return nil
}

// compare finds the tags that are new, and those that matter and have moved, of which nobody told.
func compare(before store.Polled, s sight, told []store.Push, read map[string]store.Tag) (found []Tag) {
	known := make(map[string]bool, len(before.Tags))
	for _, tag := range before.Tags {
		known[tag] = true
	}
	last := map[string]store.Push{} // what was told of each tag since
	for _, p := range told {
		last[p.Tag] = p
	}
	for _, tag := range s.tags {
		push, heard := last[tag]
		digest := s.at[tag]
		if !known[tag] && !heard {
			found = append(found, Tag{Tag: tag, Digest: digest, Why: isNew})
			continue
		}
		if digest == "" {
			continue
		}
		was, at := before.Digests[tag], before.At
		if r := read[tag]; r.Err == "" && r.Digest != "" && (was == "" || r.ReadAt.After(at)) {
			was, at = r.Digest, r.ReadAt
		}
		if heard && push.ReceivedAt.After(at) {
			was = push.Digest // empty where the sender does not say: then the turn asks anyway
		}
		if was != "" && was != digest {
			found = append(found, Tag{Tag: tag, Digest: digest, Why: hasMoved})
		}
	}
	return found
}

// putInOrder sorts what was found in the order in which it would have been told of.
func (p *Poller) putInOrder(ctx context.Context, name image.Name, of viewsOf, found []Tag) error {
	slices.SortFunc(found, func(a, b Tag) int { return byNumbers(a.Tag, b.Tag) })
	if len(found) < 2 || !of.byTime(name) {
		return nil
	}
	for i := max(0, len(found)-datedMost); i < len(found); i++ {
		created, err := p.created(ctx, name, found[i].Tag)
		if err != nil {
			return err
		}
		found[i].order = created
	}
	slices.SortStableFunc(found, func(a, b Tag) int { return a.order.Compare(b.order) })
	return nil
}

// created is when what a tag names was built; zero where nobody can tell.
func (p *Poller) created(ctx context.Context, name image.Name, tag string) (time.Time, error) {
	created, err := p.Asker.Created(ctx, name, tag)
	var missing *registry.NotFoundError
	if errors.As(err, &missing) {
		return time.Time{}, nil
	}
	return created, err
}

func seenOf(tags []string) []image.Seen {
	list := make([]image.Seen, len(tags))
	for i, tag := range tags {
		list[i].Tag = tag
	}
	return list
}

// withTimes adds when tags came, where that is known.
func withTimes(listed []image.Seen, known []promotion.Known) {
	first := make(map[string]time.Time, len(known))
	for _, k := range known {
		first[k.Tag] = k.First
	}
	for i := range listed {
		if at := first[listed[i].Tag]; at.After(listed[i].First) {
			listed[i].First = at
		}
	}
}

// named is how many tags are named to people.
const named = 3

func about(name image.Name, pushes []store.Push) string {
	var texts []string
	for _, p := range pushes[max(0, len(pushes)-named):] {
		texts = append(texts, string(name)+":"+p.Tag)
	}
	if more := len(pushes) - len(texts); more > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(texts, ", ")
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// byNumbers compares tags as people count: main-9 comes before main-10.
func byNumbers(a, b string) int {
	x, y := a, b
	for x != "" && y != "" {
		m, n := digits(x), digits(y)
		if m == 0 || n == 0 {
			if x[0] != y[0] {
				return int(x[0]) - int(y[0])
			}
			x, y = x[1:], y[1:]
			continue
		}
		one, two := strings.TrimLeft(x[:m], "0"), strings.TrimLeft(y[:n], "0")
		if len(one) != len(two) {
			return len(one) - len(two)
		}
		if one != two {
			return strings.Compare(one, two)
		}
		x, y = x[m:], y[n:]
	}
	if len(x) != len(y) {
		return len(x) - len(y)
	}
	return strings.Compare(a, b)
}

func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}
