package hub

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// queueEntry is a pull request in the merge queue of the default branch; guarded by Hub.mu.
type queueEntry struct {
	id    int64
	pull  *pull
	by    *account
	at    time.Time
	group string // the commit that the branch would get; empty until it is made
	base  string // what that is made on
}

// departure is how a pull request left the queue without being merged.
type departure struct {
	at     time.Time
	reason string
	by     *account // nil: the queue itself
}

func (e *queueEntry) ref() string {
	return fmt.Sprintf("refs/heads/gh-readonly-queue/%s/pr-%d-%s", e.pull.base, e.pull.number, e.base)
}

// queues tells whether a branch has a merge queue.
func (r *repo) queues(branch string) bool {
	return r.protection != nil && r.protection.MergeQueue && branch == r.defaultBranch
}

func (r *repo) queued(p *pull) int {
	return slices.IndexFunc(r.queue, func(e *queueEntry) bool { return e.pull == p })
}

// EnqueuePull puts a pull request into the merge queue as a person.
func (h *Hub) EnqueuePull(ctx context.Context, fullName string, number int, person string) error {
	r, by, err := h.writer(fullName, person)
	if err != nil {
		return err
	}
	_, err = h.enqueuePull(ctx, r, by, number, "")
	return err
}

// DequeuePull takes a pull request out of the merge queue as a person.
func (h *Hub) DequeuePull(fullName string, number int, person string) error {
	return h.change(fullName, func(r *repo) error {
		p, err := r.pull(number)
		if err != nil {
			return err
		}
		by, err := h.writerLocked(r, person)
		if err != nil {
			return err
		}
		if r.queued(p) < 0 {
			return refuse(invalid, "Pull request is not in the merge queue")
		}
		h.leaveQueueLocked(p, by, "MANUAL")
		return nil
	})
}

func (h *Hub) hasQueue(fullName string) (has bool, err error) {
	err = h.change(fullName, func(r *repo) error {
		has = r.queues(r.defaultBranch)
		return nil
	})
	return has, err
}

// Queued lists the numbers of the pull requests in the merge queue, the first to be merged first.
func (h *Hub) Queued(fullName string) (numbers []int, err error) {
	err = h.change(fullName, func(r *repo) error {
		for _, e := range r.queue {
			numbers = append(numbers, e.pull.number)
		}
		return nil
	})
	return numbers, err
}

// enqueuePull puts a pull request into the queue of its base; an empty commit is the head. It returns the entry's id.
func (h *Hub) enqueuePull(ctx context.Context, r *repo, by *account, number int, head string) (int64, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p, err := r.pull(number)
	if err != nil {
		return 0, err
	}
	if !r.queues(p.base) {
		return 0, refuse(invalid, "The base branch does not require a merge queue")
	}
	if err := h.mergeRefusedLocked(p, mergeRequest{method: r.methods[0], sha: head}); err != nil {
		return 0, err
	}
	if i := r.queued(p); i >= 0 {
		return r.queue[i].id, nil
	}
	e := &queueEntry{id: h.idLocked(), pull: p, by: by, at: h.stamp()}
	r.queue = append(r.queue, e)
	h.noteLocked(p, by, "added this to the merge queue")
	h.touchLocked(p)
	h.emitLocked(event{kind: pullEvent, action: "enqueued", repo: r, actor: by, pull: p})
	h.kickQueueLocked(ctx, r)
	return e.id, nil
}

// leaveQueueLocked takes a pull request out of the queue; by is nil where the queue does it itself.
func (h *Hub) leaveQueueLocked(p *pull, by *account, reason string) {
	r := p.repo
	i := r.queued(p)
	if i < 0 {
		return
	}
	e := r.queue[i]
	r.queue = slices.Delete(r.queue, i, i+1)
	p.left = departure{at: h.stamp(), reason: reason, by: by}
	actor := by
	if actor == nil {
		actor = h.queueBotLocked()
	}
	h.noteLocked(p, actor, "removed this from the merge queue: "+reason)
	h.touchLocked(p)
	h.emitLocked(event{kind: pullEvent, action: "dequeued", repo: r, actor: actor, pull: p, reason: reason})
	if e.group != "" {
		h.emitLocked(event{kind: mergeGroupEvent, action: "destroyed", repo: r, actor: actor, group: *e, reason: "dequeued"})
		r.deadGroups = append(r.deadGroups, refChange{Name: e.ref(), Before: e.group, After: noObject})
	}
	h.kickQueueLocked(h.ctx, r)
}

func (h *Hub) queueBotLocked() *account { return h.accountLocked("github-merge-queue[bot]", kindBot) }

// kickQueueLocked lets the queue go on in the background.
func (h *Hub) kickQueueLocked(ctx context.Context, r *repo) {
	if h.ctx.Err() != nil {
		return
	}
	h.busy.add()
	h.owned.Go(func() {
		defer h.busy.done()
		r.turn.Lock()
		defer r.turn.Unlock()
		if err := h.processQueue(context.WithoutCancel(ctx), r); err != nil {
			h.log.Error("sandbox forge cannot go on with a merge queue", "repository", r.id, "error", err)
		}
	})
}

// processQueue makes the groups that are missing, merges the first one as long as its checks are green, and removes what a check denies. The
// caller holds the repository's turn.
func (h *Hub) processQueue(ctx context.Context, r *repo) error {
	for {
		if err := h.dropGroups(ctx, r); err != nil {
			return err
		}
		if err := h.regroup(ctx, r); err != nil {
			return err
		}
		h.mu.Lock()
		if len(r.queue) == 0 {
			h.mu.Unlock()
			return nil
		}
		first := r.queue[0]
		state := "success"
		for _, check := range r.protection.Checks {
			if s := r.contextLocked(first.group, check); s != "success" && state != "failing" {
				state = s
			}
		}
		if state == "failing" {
			h.leaveQueueLocked(first.pull, nil, "CI_FAILURE")
		}
		h.mu.Unlock()
		switch state {
		case "success":
			if err := h.advance(ctx, r, first); err != nil {
				return err
			}
		case "failing":
		default:
			return nil
		}
	}
}

// dropGroups deletes the branches of groups that are not needed any more.
func (h *Hub) dropGroups(ctx context.Context, r *repo) error {
	h.mu.Lock()
	dead := r.deadGroups
	r.deadGroups = nil
	bot := h.queueBotLocked()
	h.mu.Unlock()
	for _, c := range dead {
		if err := h.moveRefs(ctx, r, bot, c); err != nil {
			return err
		}
	}
	return nil
}

// regroup makes each entry's commit on the one before it, the first's on the branch.
func (h *Hub) regroup(ctx context.Context, r *repo) error {
	for i := 0; ; {
		h.mu.Lock()
		if i >= len(r.queue) {
			h.mu.Unlock()
			return nil
		}
		e := r.queue[i]
		on := r.head(e.pull.base)
		if i > 0 {
			on = r.queue[i-1].group
		}
		if e.group != "" && e.base == on {
			h.mu.Unlock()
			i++
			continue
		}
		if e.group != "" {
			h.emitLocked(event{kind: mergeGroupEvent, action: "destroyed", repo: r, actor: h.queueBotLocked(), group: *e, reason: "invalidated"})
			r.deadGroups = append(r.deadGroups, refChange{Name: e.ref(), Before: e.group, After: noObject})
			e.group = ""
		}
		p, head, bot := e.pull, e.pull.headSHA, h.queueBotLocked()
		author := signature{Name: e.by.login, Email: e.by.email(), When: h.stamp()}
		in := mergeRequest{
			method: r.methods[0], title: fmt.Sprintf("Merge pull request #%d from %s/%s", p.number, r.owner.login, p.head), message: p.title,
		}
		h.mu.Unlock()
		sha, err := h.writeMerge(ctx, r, on, head, author, in)
		if errors.Is(err, errConflict) {
			h.mu.Lock()
			h.leaveQueueLocked(p, nil, "MERGE_CONFLICT")
			h.mu.Unlock()
			continue
		}
		if err != nil {
			return err
		}
		h.mu.Lock()
		e.base = on
		ref := e.ref()
		h.mu.Unlock()
		if err := h.moveRefs(ctx, r, bot, refChange{Name: ref, Before: noObject, After: sha}); err != nil {
			return err
		}
		h.mu.Lock()
		e.group = sha
		h.emitLocked(event{kind: mergeGroupEvent, action: "checks_requested", repo: r, actor: bot, group: *e})
		h.mu.Unlock()
		i++
	}
}

// advance gives the branch the commit of the first entry.
func (h *Hub) advance(ctx context.Context, r *repo, e *queueEntry) error {
	h.mu.Lock()
	p, bot := e.pull, h.queueBotLocked()
	branch, base := p.base, r.head(p.base)
	if r.queued(p) != 0 || e.base != base {
		h.mu.Unlock()
		return nil // it changed meanwhile: looked at again
	}
	r.queue = r.queue[1:]
	p.merging = true
	headBranch, headTip := p.head, r.head(p.head)
	h.mu.Unlock()
	err := h.moveRefs(ctx, r, bot, refChange{Name: "refs/heads/" + branch, Before: base, After: e.group})
	h.mu.Lock()
	p.merging = false
	if err == nil {
		h.emitLocked(event{kind: mergeGroupEvent, action: "destroyed", repo: r, actor: bot, group: *e, reason: "merged"})
		r.deadGroups = append(r.deadGroups, refChange{Name: e.ref(), Before: e.group, After: noObject})
		h.mergedLocked(p, bot, e.group)
	}
	deleteBranch := r.deleteOnMerge && headBranch != r.defaultBranch && headTip != ""
	h.mu.Unlock()
	if err == nil && deleteBranch {
		err = h.moveRefs(ctx, r, bot, refChange{Name: "refs/heads/" + headBranch, Before: headTip, After: noObject})
	}
	return err
}
