package github

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/wire"
)

// noQueueFor is how long it is believed that a branch has no merge queue, unless the bot hears or meets one.
const noQueueFor = 5 * time.Minute

// branchOf is a branch of a repository.
type branchOf struct {
	repo forge.RepoID
	name string
}

const queueQuery = `query($owner: String!, $name: String!, $branch: String!) {
  repository(owner: $owner, name: $name) {
    mergeQueue(branch: $branch) {
      entries(first: 100) { nodes { enqueuedAt headCommit { oid } baseCommit { oid } pullRequest { number } } }
    }
  }
}`

type queueAnswer struct {
	Repository struct {
		MergeQueue *struct {
			Entries struct {
				Nodes []struct {
					EnqueuedAt             time.Time
					HeadCommit, BaseCommit struct{ OID string }
					PullRequest            struct{ Number int }
				}
			}
		}
	}
}

// Queue implements forge.Queues. REST does not tell of merge queues. That a branch has none is believed for a while, as most have none.
func (f *Forge) Queue(ctx context.Context, repo forge.Repository, branch string) ([]forge.QueueEntry, error) {
	key := branchOf{repo.ID, branch}
	f.mu.Lock()
	until, known := f.noQueue[key]
	f.mu.Unlock()
	if known && f.clock().Before(until) {
		return nil, nil
	}
	var answer queueAnswer
	err := f.in(ctx, repo, "look at the merge queue of "+wire.Clean(branch, 100), func(t target) error {
		answer = queueAnswer{}
		return f.graphql(ctx, t, queueQuery, map[string]any{"owner": t.owner, "name": t.name, "branch": branch}, &answer)
	})
	if err != nil && !errors.Is(err, errUnknownField) {
		return nil, err
	}
	queue := answer.Repository.MergeQueue
	f.mu.Lock()
	defer f.mu.Unlock()
	if queue == nil {
		f.noQueue[key] = f.clock().Add(noQueueFor)
		return nil, nil
	}
	delete(f.noQueue, key)
	var entries []forge.QueueEntry
	for _, n := range queue.Entries.Nodes {
		entries = append(entries, forge.QueueEntry{
			Number: n.PullRequest.Number, HeadSHA: commitID(n.HeadCommit.OID), BaseSHA: commitID(n.BaseCommit.OID), At: n.EnqueuedAt.UTC(),
		})
	}
	return entries, nil
}

// hearQueue forgets that the branches of a repository have no queue.
func (f *Forge) hearQueue(repo forge.RepoID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for key := range f.noQueue {
		if key.repo == repo {
			delete(f.noQueue, key)
		}
	}
}

func commitID(sha string) string {
	if !wire.IsCommit(sha) {
		return ""
	}
	return sha
}

const departureQuery = `query($owner: String!, $name: String!, $number: Int!) {
  repository(owner: $owner, name: $name) {
    pullRequest(number: $number) {
      timelineItems(last: 1, itemTypes: [REMOVED_FROM_MERGE_QUEUE_EVENT]) {
        nodes { ... on RemovedFromMergeQueueEvent { createdAt reason actor { __typename login } } }
      }
    }
  }
}`

// LeftQueue implements forge.Queues.
func (f *Forge) LeftQueue(ctx context.Context, repo forge.Repository, number int) (forge.Departure, error) {
	doing := fmt.Sprintf("read why pull request %d left the merge queue", number)
	self, err := f.whoami(ctx, doing)
	if err != nil {
		return forge.Departure{}, err
	}
	var answer struct {
		Repository struct {
			PullRequest struct {
				TimelineItems struct {
					Nodes []struct {
						CreatedAt time.Time
						Reason    string
						Actor     *struct {
							Typename string `json:"__typename"`
							Login    string
						}
					}
				}
			}
		}
	}
	err = f.in(ctx, repo, doing, func(t target) error {
		return f.graphql(ctx, t, departureQuery, map[string]any{"owner": t.owner, "name": t.name, "number": number}, &answer)
	})
	if err != nil && !errors.Is(err, errUnknownField) {
		return forge.Departure{}, err
	}
	nodes := answer.Repository.PullRequest.TimelineItems.Nodes
	if len(nodes) == 0 {
		return forge.Departure{}, nil
	}
	last := nodes[len(nodes)-1]
	left := forge.Departure{At: last.CreatedAt.UTC(), Reason: wire.Clean(last.Reason, 200)}
	if last.Actor != nil {
		bot := last.Actor.Typename == "Bot"
		left.By = forge.Actor{Login: last.Actor.Login, Bot: bot, Self: bot && last.Actor.Login+"[bot]" == self.Login}
	}
	return left, nil
}

const (
	beforeEnqueue = `query($owner: String!, $name: String!, $number: Int!) {
  repository(owner: $owner, name: $name) {
    pullRequest(number: $number) { id headRefOid isInMergeQueue mergeQueue { id } }
  }
}`
	enqueueMutation = `mutation($input: EnqueuePullRequestInput!) {
  enqueuePullRequest(input: $input) { mergeQueueEntry { id } }
}`
)

// enqueue puts a pull request into the merge queue of its base, at exactly the commit. It returns forge.ErrQueued where it is there then, and
// refused, which is what a merge was answered, where base has no queue.
func (f *Forge) enqueue(ctx context.Context, t target, number int, sha string, refused error) error {
	var answer struct {
		Repository struct {
			PullRequest struct {
				ID             string
				HeadRefOid     string
				IsInMergeQueue bool
				MergeQueue     *struct{ ID string }
			}
		}
	}
	err := f.graphql(ctx, t, beforeEnqueue, map[string]any{"owner": t.owner, "name": t.name, "number": number}, &answer)
	if err != nil {
		if f.limitIn(err) != nil {
			return err
		}
		return refused // what is known of queues is nothing, so the first answer counts
	}
	pr := answer.Repository.PullRequest
	switch {
	case pr.MergeQueue == nil || pr.ID == "":
		return refused
	case pr.HeadRefOid != sha:
		return &wire.Error{Doing: t.doing, Message: "the head is " + wire.Clean(pr.HeadRefOid, 40), Kind: forge.ErrStale}
	case !pr.IsInMergeQueue:
		input := map[string]any{"pullRequestId": pr.ID, "expectedHeadOid": sha}
		var done struct{}
		if err := f.graphql(ctx, t, enqueueMutation, map[string]any{"input": input}, &done); err != nil {
			if f.limitIn(err) != nil || errors.Is(err, forge.ErrForbidden) {
				return err
			}
			return wire.As(err, forge.ErrNotMergeable)
		}
	}
	f.hearQueue(t.id)
	return &wire.Error{Doing: t.doing, Kind: forge.ErrQueued}
}
