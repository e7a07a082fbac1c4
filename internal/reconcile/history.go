package reconcile

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
)

// span is what lies between two builds of images from one source repository.
type span struct {
	source   string // address
	from, to string // revisions
	images   []image.Name
	url      string
	total    int
	commits  []forge.Commit
}

// history is where the images of a release come from: what they say of it, and the commits between.
type history struct {
	origin string // markdown
	spans  []span
}

// unfinished ends the mark of a history of which something could not be told yet.
const unfinished = "?"

// mark is what a promotion remembers of the history that its page tells.
func (h history) mark(finished bool) string {
	sum := sha256.Sum256([]byte(h.origin + historySection(h.spans)))
	mark := hex.EncodeToString(sum[:6])
	if !finished {
		mark += unfinished
	}
	return mark
}

func finished(pr promotion.Promotion) bool {
	return pr.History != "" && !strings.HasSuffix(pr.History, unfinished)
}

const (
	maxCommits = 50               // that one page lists
	maxSpans   = 10               // sources that are compared for one release
	maxLookups = 20               // releases whose sources are looked up in one turn
	maxKnown   = 500              // histories that are kept in memory
	askAgain   = 10 * time.Minute // after the registry or the forge did not answer
)

// histories remembers what was found out. What lies between two builds never changes, so a page that is written again needs no new look.
type histories struct {
	mu    sync.Mutex
	byKey map[string]knownSpans
	order []string
}

type knownSpans struct {
	spans []span
	err   error
	until time.Time // of an error
}

func (h *histories) get(key string, now time.Time) (knownSpans, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	k, ok := h.byKey[key]
	if !ok || k.err != nil && !now.Before(k.until) {
		return knownSpans{}, false
	}
	return k, true
}

func (h *histories) put(key string, k knownSpans) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.byKey == nil {
		h.byKey = map[string]knownSpans{}
	}
	if _, there := h.byKey[key]; !there {
		h.order = append(h.order, key)
	}
	h.byKey[key] = k
	if len(h.order) > maxKnown {
		delete(h.byKey, h.order[0])
		h.order = slices.Delete(h.order, 0, 1)
	}
}

// historyKey tells histories apart by what moves, and by whose eyes see the sources.
func (t *turn) historyKey(r promotion.Release) string {
	sum := sha256.New()
	fmt.Fprintln(sum, t.forgeName, t.repo.Installation)
	for _, c := range r.Changes {
		fmt.Fprintln(sum, c.Image, c.FromDigest, c.Digest)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// knownHistory gives what is known of a promotion's history without asking anybody.
func (t *turn) knownHistory(pr *promotion.Promotion) history {
	k, ok := t.r.histories.get(t.historyKey(pr.Release), t.now)
	h := history{origin: t.originSection(pr.Release)}
	if ok && k.err == nil {
		h.spans = k.spans
	}
	pr.History = h.mark(ok && k.err == nil && t.saidAll(pr.Release))
	return h
}

// history looks up where a promotion's images come from: what they say of their sources, and what lies between at the forge. ok is false
// where that cannot be told now; it is asked again later.
func (t *turn) history(ctx context.Context, pr *promotion.Promotion) (h history, ok bool, err error) {
	key := t.historyKey(pr.Release)
	k, found := t.r.histories.get(key, t.now)
	if !found && t.lookups >= maxLookups {
		t.wakeLater(time.Second)
		return h, false, nil
	}
	if k.err == nil {
		t.learnFacts(ctx, pr.Release) // mostly from the store
	}
	if !found {
		t.lookups++
		k.spans, k.err = t.lookUp(ctx, pr.Release)
		if ctx.Err() != nil || isLimit(k.err) {
			return h, false, k.err
		}
		k.until = t.now.Add(askAgain)
		t.r.histories.put(key, k)
	}
	if k.err != nil {
		if !found {
			t.log.Warn("the commits of a release cannot be told yet", "promotion", pr.ID, "error", k.err)
		}
		t.wakes = append(t.wakes, k.until)
		return h, false, nil
	}
	h = history{origin: t.originSection(pr.Release), spans: k.spans}
	pr.History = h.mark(true)
	return h, true, nil
}

// saidAll tells whether it is known what all images of a release say about themselves, be it nothing.
func (t *turn) saidAll(r promotion.Release) bool {
	for _, c := range r.Changes[:min(maxRows, len(r.Changes))] {
		for _, digest := range []image.Digest{c.Digest, t.ranAt(r.Environment, c)} {
			if _, known := t.said[digest]; digest != "" && !known {
				return false
			}
		}
	}
	return true
}

func isLimit(err error) bool {
	var limit *forge.LimitError
	return errors.As(err, &limit)
}

func (t *turn) lookUp(ctx context.Context, r promotion.Release) ([]span, error) {
	if !t.saidAll(r) {
		return nil, errors.New("a registry does not tell what the images say about themselves")
	}
	spans := t.sourcesOf(r)
	var seen []span
	for _, s := range spans[:min(len(spans), maxSpans)] {
		c, err := t.forge.Compare(ctx, t.repo, s.source, s.from, s.to, maxCommits)
		switch {
		case errors.Is(err, forge.ErrNotFound), errors.Is(err, forge.ErrForbidden), permanent(err):
			continue // elsewhere, or not for the bot to see
		case err != nil:
			return nil, fmt.Errorf("compare the sources of %s: %w", r.Label(), err)
		}
		s.url, s.total, s.commits = c.URL, c.Total, c.Commits
		seen = append(seen, s)
	}
	return seen, nil
}

// sourcesOf is what lies between the images of a release and those that they take the place of, as they say themselves. Images that are
// built from the same revisions share one answer.
func (t *turn) sourcesOf(r promotion.Release) []span {
	var spans []span
	for _, c := range r.Changes[:min(maxRows, len(r.Changes))] {
		before, now := t.facts(t.ranAt(r.Environment, c)), t.facts(c.Digest)
		s := span{source: strings.TrimSuffix(now.Source, "/"), from: before.Revision, to: now.Revision, images: []image.Name{c.Image}}
		if s.source == "" || s.from == "" || s.to == "" || s.from == s.to {
			continue
		}
		same := slices.IndexFunc(spans, func(o span) bool { return o.source == s.source && o.from == s.from && o.to == s.to })
		if same >= 0 {
			spans[same].images = append(spans[same].images, c.Image)
			continue
		}
		spans = append(spans, s)
	}
	return spans
}
