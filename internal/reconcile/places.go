package reconcile

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
)

// place is an environment in which the digests of a release may run.
type place struct {
	name    string
	before  bool // it is named under `after`
	problem string
	running promotion.Running
	listed  []image.Name
	open    []promotion.Promotion
	url     string // of its pull request for the release, if one is open
}

// maxChain bounds how many environments before one are looked at.
const maxChain = 30

// placesOf are the environments before one, from the nearest on, however long the chain is, those of other repos that come after the same
// ones, and the others of this repo.
func (t *turn) placesOf(ctx context.Context, env promotion.Environment) ([]place, error) {
	if known, ok := t.places[env.Name]; ok {
		return known, nil
	}
	var list []place
	seen := map[promotion.EnvRef]bool{{Repo: t.repo.FullName, Environment: env.Name}: true}
	next := env.After
	for depth := 0; len(next) > 0 && len(list) < maxChain; depth++ {
		var further []promotion.EnvRef
		for _, ref := range next {
			full := ref.In(t.repo.FullName)
			if seen[full] {
				continue
			}
			seen[full] = true
			p, after, err := t.placeAt(ctx, full)
			if err != nil {
				return nil, fmt.Errorf("look up %s: %w", full, err)
			}
			p.before = depth == 0
			if p.before {
				p.name = ref.String()
			}
			list = append(list, p)
			for _, a := range after {
				further = append(further, a.In(full.Repo))
			}
		}
		next = further
	}
	beside, err := t.beside(ctx, env)
	if err != nil {
		return nil, err
	}
	for _, full := range beside {
		if seen[full] || len(list) >= maxChain {
			continue
		}
		seen[full] = true
		p, _, err := t.placeAt(ctx, full)
		if err != nil {
			return nil, fmt.Errorf("look up %s: %w", full, err)
		}
		list = append(list, p)
	}
	for _, other := range t.world.Config.Environments {
		if full := (promotion.EnvRef{Repo: t.repo.FullName, Environment: other.Name}); !seen[full] {
			p, _, err := t.placeAt(ctx, full)
			if err != nil {
				return nil, err
			}
			list = append(list, p)
		}
	}
	if t.places == nil {
		t.places = map[string][]place{}
	}
	t.places[env.Name] = list
	return list, nil
}

// beside are the environments of other repos that come after one that this one comes after too: they run in parallel.
func (t *turn) beside(ctx context.Context, env promotion.Environment) (list []promotion.EnvRef, err error) {
	for _, ref := range env.After {
		before := ref.In(t.repo.FullName)
		keys, err := t.r.Store.Downstream(ctx, t.forgeName, before.Repo, []string{before.Environment})
		if err != nil {
			return nil, fmt.Errorf("find what else comes after %s: %w", before, err)
		}
		for _, key := range keys {
			if key == t.claim.Repo || len(list) >= maxChain {
				continue // its own are listed anyway
			}
			repo, found, err := t.r.Store.Repo(ctx, key)
			if err != nil {
				return nil, fmt.Errorf("find what else comes after %s: %w", before, err)
			}
			for _, other := range repo.Environments {
				follows := slices.ContainsFunc(other.After, func(a promotion.EnvRef) bool {
					a = a.In(repo.FullName)
					return strings.EqualFold(a.Repo, before.Repo) && a.Environment == before.Environment
				})
				if found && follows {
					list = append(list, promotion.EnvRef{Repo: repo.FullName, Environment: other.Name})
				}
			}
		}
	}
	return list, nil
}

// placeAt looks one environment up, and what it comes after.
func (t *turn) placeAt(ctx context.Context, ref promotion.EnvRef) (place, []promotion.EnvRef, error) {
	up, err := t.upstream(ctx, ref)
	if err != nil {
		return place{}, nil, err
	}
	p := place{name: ref.String(), problem: up.Problem, running: up.Running, listed: up.Listed, open: up.Promotions}
	if strings.EqualFold(ref.Repo, t.repo.FullName) {
		p.name = ref.Environment
		env, _ := t.world.Config.Environment(ref.Environment)
		return p, env.After, nil
	}
	found, err := t.r.Store.Upstream(ctx, t.forgeName, ref)
	return p, found.Env.After, err
}

// linked are places with the addresses of the pull requests that move the same digests there.
func linked(places []place, r promotion.Release) []place {
	with := make([]place, len(places))
	for i, p := range places {
		with[i] = p
		for _, pr := range p.open {
			for _, c := range r.Changes {
				if pr.URL != "" && pr.State.Active() && pr.Release.Moves(c.Image) && sameDigest(pr.Release, c) {
					with[i].url = pr.URL
				}
			}
		}
	}
	return with
}

func sameDigest(r promotion.Release, c promotion.Change) bool {
	for _, o := range r.Changes {
		if o.Image == c.Image && o.Digest == c.Digest {
			return true
		}
	}
	return false
}
