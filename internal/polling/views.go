package polling

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/store"
)

// view is what is remembered of a repo that lists an image.
type view struct {
	repo  store.Repo
	world promotion.World
}

// viewsOf are those of the repos that list one image.
type viewsOf []*view

// views are those of all repos, each read once. They serve one round, or one sync, as of its beginning.
type views struct {
	p  *Poller
	mu sync.Mutex
	by map[promotion.RepoKey]*view // nil: there is nothing to see
}

func newViews(p *Poller) *views { return &views{p: p, by: map[promotion.RepoKey]*view{}} }

// of reads the repos that list an image.
func (v *views) of(ctx context.Context, name image.Name) (viewsOf, error) {
	keys, err := v.p.Store.ReposListing(ctx, name)
	if err != nil {
		return nil, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	var list viewsOf
	for _, key := range keys {
		one, read := v.by[key]
		if !read {
			if one, err = v.read(ctx, key); err != nil {
				return nil, err
			}
			v.by[key] = one
		}
		if one != nil {
			list = append(list, one)
		}
	}
	return list, nil
}

// read makes a world of what is remembered of a repo: all of it that has to do with tags.
func (v *views) read(ctx context.Context, key promotion.RepoKey) (*view, error) {
	m, err := v.p.Store.Memory(ctx, key)
	if err != nil || !m.Found || m.Repo.State != store.RepoActive || m.Repo.ConfigText == "" {
		return nil, err
	}
	cfg, err := v.p.Parse([]byte(m.Repo.ConfigText))
	if err != nil {
		v.p.Log.Debug("a configuration that is in force cannot be read", "repo", string(key), "error", err)
		return nil, nil
	}
	w := promotion.World{
		Now: v.p.Now(), Repo: key, FullName: m.Repo.FullName, Base: m.Repo.BaseHead, Config: cfg, ReadOnly: m.Repo.StateReason, Listings: m.Listings,
		Promotions: m.Promotions, Rejections: m.Rejections, Holds: m.Holds, FirstSeen: map[promotion.Listed]time.Time{}, Running: map[string]promotion.Running{},
	}
	var names []image.Name
	var since time.Time
	for _, l := range m.Listings {
		first := m.FirstSeen[store.EnvImage{Environment: l.Environment, Image: l.Image}]
		w.FirstSeen[promotion.Listed{Environment: l.Environment, Image: l.Image}] = first
		names = append(names, l.Image)
		if since.IsZero() || first.Before(since) {
			since = first
		}
	}
	for _, r := range m.Running {
		w.Running[r.Environment] = r
	}
	if w.Tags, err = v.p.Store.Known(ctx, names, since); err != nil {
		return nil, fmt.Errorf("read the tags of %s: %w", m.Repo.FullName, err)
	}
	return &view{repo: m.Repo, world: w}, nil
}

// wanted tells whether any environment has something to do with an image.
func (of viewsOf) wanted(name image.Name) bool {
	return slices.ContainsFunc(of, func(v *view) bool { return promotion.Wants(v.world, name) })
}

// byTime tells whether any environment ranks the tags of an image by when they came.
func (of viewsOf) byTime(name image.Name) bool {
	return slices.ContainsFunc(of, func(v *view) bool { return promotion.ByTime(v.world, name) })
}

// union joins what is so for any of the repos, sorted.
func (of viewsOf) union(tags func(promotion.World) []string) []string {
	var all []string
	for _, v := range of {
		all = append(all, tags(v.world)...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
