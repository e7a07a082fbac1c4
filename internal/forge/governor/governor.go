// Package governor keeps the writes of each installation at a forge within what the forge allows.
//
// [New] wraps a forge with itself. Reads go through. A write first asks for a token, which the store keeps so that all replicas share
// them, and by whose clock they come back. Where there is none, nothing is sent: the call gives *forge.PaceError, which says when to ask
// again, and whoever called turns to other work meanwhile. Nobody sleeps here but for the length of another write.
//
// Writes of one installation go one after the other, in this process and in all, as GitHub asks for. A call costs what was really sent for
// it, where the forge's adapter tells; one that turned out to write nothing costs nothing.
//
// What may be written when is decided in package store: it has the line in which new pull requests stand. What becomes of a promotion that
// waits is package reconcile's.
//
// # Decisions
//
// New pull requests leave an eighth of each limit alone. So gates, merges and closings go before them however long their line is: a gate
// that is shown late keeps people from merging, and a merge makes the line shorter, while a pull request that opens a minute later hurts
// nobody. It needs no second line, and a limit of time that gates have cannot starve them.
//
// Deleting a branch makes no content and is not counted, nor is anything that git transfers.
package governor

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/store"
)

// Tokens keeps the tokens. Package store's Store does.
type Tokens interface {
	TakeWrites(ctx context.Context, r store.WriteRequest) (store.WriteGrant, error)
	SettleWrites(ctx context.Context, forge string, installation, id int64, writes int) error
	Now() time.Time
}

// Options are what a governor is made of. All are needed but Log.
type Options struct {
	Forge  forge.Forge
	Name   string // in boatlift.yaml
	Tokens Tokens
	Limits store.Limits
	Log    *slog.Logger // default discards
}

// Forge is a forge whose writes are held to limits. It may be used concurrently.
type Forge struct {
	forge.Forge
	options Options

	mu    sync.Mutex
	lanes map[int64]lane
}

// lane is where the writes of one installation go, one after the other.
type lane chan struct{} // holds one value while nobody writes

// within is how long a write takes at most, with the repeats that adapters make. A replica that dies in a write keeps the others waiting for
// so long.
const within = 45 * time.Second

// New wraps a forge.
func New(o Options) *Forge {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Forge{Forge: o.Forge, options: o, lanes: map[int64]lane{}}
}

// Unwrap is the forge below.
func (f *Forge) Unwrap() forge.Forge { return f.Forge }

// Paced implements forge.Pacer.
func (f *Forge) Paced() bool { return f.options.Limits.On() }

// As offers, under the same limits, what the forge below offers beyond forge.Forge and writes.
func (f *Forge) As(target any) bool {
	switch t := target.(type) {
	case *forge.Committer:
		below, ok := forge.As[forge.Committer](f.Forge)
		if ok {
			*t = committer{f, below}
		}
		return ok
	}
	return false
}

func (f *Forge) lane(installation int64) lane {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.lanes[installation]
	if l == nil {
		l = make(lane, 1)
		l <- struct{}{}
		f.lanes[installation] = l
	}
	return l
}

// need is what a call needs leave for.
type need struct {
	writes    int    // at most
	promotion string // whose pull request it opens: it stands in the line
	polite    bool   // it leaves what is kept for others
}

// write makes a call that writes.
func (f *Forge) write(ctx context.Context, repo forge.Repository, n need, call func(ctx context.Context) error) error {
	l := f.lane(repo.Installation)
	select {
	case <-l:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { l <- struct{}{} }()
	request := store.WriteRequest{
		Forge: f.options.Name, Installation: repo.Installation, Writes: n.writes, Polite: n.polite, Limits: f.options.Limits, Within: within,
	}
	if n.promotion != "" {
		request.Repo, request.Promotion = store.KeyOf(f.options.Name, int64(repo.ID)), n.promotion
	}
	id, err := f.take(ctx, request)
	if err != nil {
		return err
	}
	counting, requests := forge.CountRequests(ctx)
	err = call(counting)
	writes := n.writes
	if sent, known := requests.Writes(); known {
		writes = sent
	}
	settling, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := f.options.Tokens.SettleWrites(settling, f.options.Name, repo.Installation, id, writes); err != nil {
		f.options.Log.Warn("a write at the forge could not be settled; others wait until it cannot be under way any more", "error", err)
	}
	return err
}

// take waits while another replica writes, and asks for a token.
func (f *Forge) take(ctx context.Context, request store.WriteRequest) (id int64, err error) {
	const most = 200 * time.Millisecond
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, most) {
		grant, err := f.options.Tokens.TakeWrites(ctx, request)
		switch {
		case err != nil:
			return 0, err
		case !grant.Until.IsZero():
			return 0, &forge.PaceError{After: max(grant.Until.Sub(f.options.Tokens.Now()), time.Millisecond), Ahead: grant.Ahead}
		case !grant.Busy:
			return grant.ID, nil
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return 0, context.Cause(ctx)
		}
	}
}
