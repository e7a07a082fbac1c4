package reconcile

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/store"
)

// How often lost webhooks are looked for, and how far back. GitHub keeps them for three days.
const (
	sweepEvery = 5 * time.Minute
	sweepBack  = time.Hour
	sweepStart = 72 * time.Hour // by the first sweep of a process, as nobody may have listened before
)

// sweep asks a forge for the webhooks that did not arrive, such as those sent while no bot ran.
func (r *Reconciler) sweep(ctx context.Context, name string) (store.Finish, error) {
	f, ok := forge.As[forge.Redeliverer](r.Forges[name])
	if !ok {
		return r.catchUp(ctx, name)
	}
	back := sweepBack
	if _, done := r.swept.Load(name); !done {
		back = sweepStart
	}
	n, err := f.Redeliver(ctx, r.Now().Add(-back))
	if errors.Is(err, errors.ErrUnsupported) {
		return r.catchUp(ctx, name)
	}
	if err != nil {
		return store.Finish{}, fmt.Errorf("ask %s for lost webhooks: %w", name, err)
	}
	r.swept.Store(name, true)
	if n > 0 {
		r.Log.Info("asked for webhooks that had not arrived", "forge", name, "webhooks", n)
	}
	return store.Finish{WakeAt: r.Now().Add(sweepEvery)}, nil
}

// catchUpFirst is how long after the start a forge that sends nothing again is looked at once more.
const catchUpFirst = 10 * time.Second

// catchUp looks at all repositories of a forge some more times after the start, where nobody sends lost webhooks again. A forge that reached
// nobody may have given up sending for a while, as GitLab does after four failures, for the longer the longer it lasts: so there are ten
// seconds before the first look, and each time twice as much, until the poll does the same.
func (r *Reconciler) catchUp(ctx context.Context, name string) (store.Finish, error) {
	up := r.Now().Sub(r.start)
	switch {
	case up >= r.Poll:
		return store.Finish{}, nil
	case up < catchUpFirst: // Run has just woken them
		return store.Finish{WakeAt: r.start.Add(catchUpFirst)}, nil
	}
	repos, err := r.Store.Repos(ctx)
	if err != nil {
		return store.Finish{}, fmt.Errorf("list the known repositories of %s: %w", name, err)
	}
	finish := store.Finish{WakeAt: r.Now().Add(up)}
	for _, repo := range repos {
		if repo.Forge == name && repo.State == store.RepoActive {
			finish.Wake = append(finish.Wake, repo.Key)
		}
	}
	return finish, nil
}
