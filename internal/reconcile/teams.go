package reconcile

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/gate"
)

// How long what a forge says of people is believed. Who leaves a team may approve for so long.
const (
	teamFor    = 2 * time.Minute
	unreadFor  = 30 * time.Second
	mostCached = 1000
)

// teams remembers for a short time who belongs to a team, and who worked on a head commit, which never changes. It may be used concurrently.
type teams struct {
	mu      sync.Mutex
	known   map[string]team
	workers map[string][]string
}

type team struct {
	members []string // handles
	unread  string   // why they cannot be read
	until   time.Time
}

// members are the handles of those who belong to a team; unread says for people why they cannot be read.
func (c *teams) members(ctx context.Context, f forge.Forge, forgeName, name string, now time.Time) (members []string, unread string, err error) {
	key := forgeName + " " + name
	c.mu.Lock()
	known, ok := c.known[key]
	c.mu.Unlock()
	if ok && now.Before(known.until) {
		return known.members, known.unread, nil
	}
	found, err := f.TeamMembers(ctx, name)
	known = team{until: now.Add(teamFor)}
	switch {
	case errors.Is(err, forge.ErrForbidden):
		known = team{until: now.Add(unreadFor), unread: "the members of " + name + " cannot be read, as the bot lacks the permission for that" + membersPermission}
	case errors.Is(err, forge.ErrNotFound):
		known = team{until: now.Add(unreadFor), unread: "the members of " + name + " cannot be read: there is no such team, or the bot lacks the permission to see it" + membersPermission}
	case err != nil:
		return nil, "", fmt.Errorf("read who belongs to %s: %w", name, err)
	}
	for _, login := range found {
		known.members = append(known.members, gate.Handle(login))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil || len(c.known) >= mostCached {
		c.known = map[string]team{}
	}
	c.known[key] = known
	return known.members, known.unread, nil
}

const membersPermission = " (GitHub: organisation permission Members: read)"

// contributors are the handles of those who worked on a pull request up to its head commit.
func (c *teams) contributors(ctx context.Context, f forge.Forge, forgeName string, repo forge.Repository, of review) ([]string, error) {
	key := fmt.Sprintf("%s %d#%d@%s", forgeName, repo.ID, of.number, of.head)
	c.mu.Lock()
	known, ok := c.workers[key]
	c.mu.Unlock()
	if ok {
		return known, nil
	}
	found, err := f.Contributors(ctx, repo, of.number)
	if err != nil {
		return nil, err
	}
	handles := make([]string, len(found))
	for i, login := range found {
		handles[i] = gate.Handle(login)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.workers == nil || len(c.workers) >= mostCached {
		c.workers = map[string][]string{}
	}
	c.workers[key] = handles
	return handles, nil
}
