package forgetest

import (
	"testing"

	"github.com/boatlift/boatlift/internal/forge"
)

const gateCheck = "boatlift/gate"

// queueScene is a scene whose main branch has a merge queue that demands the gate.
func queueScene(t *testing.T, h Harness) (scene, Queuer) {
	t.Helper()
	q := can[Queuer](t, h, "has no merge queues")
	s := newScene(t, h)
	q.RequireQueue(t, s.id, "main", gateCheck)
	return s, q
}

func (s *scene) queue(t *testing.T) []forge.QueueEntry {
	t.Helper()
	entries, err := s.forge.Queue(t.Context(), s.repo, "main")
	if err != nil {
		t.Fatalf("Queue: %v", err)
	}
	return entries
}

func (s *scene) turns(t *testing.T, sha string, conclusion forge.Conclusion) {
	t.Helper()
	s.set(t, forge.Check{HeadSHA: sha, Name: gateCheck, Conclusion: conclusion, Title: "t"})
}

// enter opens the bot's pull request for a branch with a green gate and puts it into the queue by merging it.
func (s *scene) enter(t *testing.T, branch string) forge.PullRequest {
	t.Helper()
	pr := s.propose(t, branch)
	s.turns(t, pr.HeadSHA, forge.Success)
	s.Settle(t)
	_, err := s.forge.Merge(t.Context(), s.repo, pr.Number, pr.HeadSHA, s.repo.MergeMethod)
	checkError(t, "Merge onto a branch with a queue", err, forge.ErrQueued)
	return pr
}

func queuePromises() []promise {
	return []promise{
		{"a branch without a merge queue has no entries", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			check(t, "Queue", len(s.queue(t)), 0)
		}},
		{"a merge onto a branch with a queue enters the queue, and waits for the checks of what it would make", func(t *testing.T, h Harness) {
			s, q := queueScene(t, h)
			before, _ := h.BranchHead(t, s.id, "main")
			pr := s.enter(t, bot)
			_, err := s.forge.Merge(t.Context(), s.repo, pr.Number, pr.HeadSHA, s.repo.MergeMethod)
			checkError(t, "Merge of what is in the queue", err, forge.ErrQueued)
			s.Settle(t)
			entries := s.queue(t)
			if len(entries) != 1 || entries[0].Number != pr.Number || entries[0].HeadSHA == "" || entries[0].BaseSHA != before || entries[0].At.IsZero() {
				t.Fatalf("Queue = %+v; want #%d on %s", entries, pr.Number, before)
			}
			check(t, "State", s.read(t, pr.Number).State, forge.Open)
			s.turns(t, entries[0].HeadSHA, forge.Pending)
			q.Process(t, s.id, "main")
			check(t, "State while the check waits", s.read(t, pr.Number).State, forge.Open)
			s.turns(t, entries[0].HeadSHA, forge.Success)
			q.Process(t, s.id, "main")
			got := s.read(t, pr.Number)
			after, _ := h.BranchHead(t, s.id, "main")
			check(t, "State", got.State, forge.Merged)
			check(t, "main", after, entries[0].HeadSHA)
			check(t, "MergedBy a machine that is not this bot", got.MergedBy.Bot && !got.MergedBy.Self, true)
			check(t, "Queue", len(s.queue(t)), 0)
		}},
		{"what is behind in the queue is made on what is before it", func(t *testing.T, h Harness) {
			s, _ := queueScene(t, h)
			first, second := s.enter(t, bot), s.enter(t, bot+"-b")
			s.Settle(t)
			entries := s.queue(t)
			if len(entries) != 2 || entries[0].Number != first.Number || entries[1].Number != second.Number || entries[1].BaseSHA != entries[0].HeadSHA {
				t.Errorf("Queue = %+v; want #%d, and #%d on it", entries, first.Number, second.Number)
			}
		}},
		{"what a check denies leaves the queue, with the reason", func(t *testing.T, h Harness) {
			s, q := queueScene(t, h)
			first, second := s.enter(t, bot), s.enter(t, bot+"-b")
			s.Settle(t)
			base, _ := h.BranchHead(t, s.id, "main")
			s.turns(t, s.queue(t)[0].HeadSHA, forge.Failure)
			q.Process(t, s.id, "main")
			s.Settle(t)
			check(t, "State", s.read(t, first.Number).State, forge.Open)
			entries := s.queue(t)
			if len(entries) != 1 || entries[0].Number != second.Number || entries[0].BaseSHA != base {
				t.Errorf("Queue = %+v; want only #%d, made anew on main", entries, second.Number)
			}
			left, err := s.forge.LeftQueue(t.Context(), s.repo, first.Number)
			if err != nil || left.Reason == "" || left.At.IsZero() {
				t.Errorf("LeftQueue = %+v, %v; want a reason and a moment", left, err)
			}
			never, err := s.forge.LeftQueue(t.Context(), s.repo, second.Number)
			if err != nil || never != (forge.Departure{}) {
				t.Errorf("LeftQueue of what never left = %+v, %v", never, err)
			}
		}},
		{"a person puts into the queue and takes out of it", func(t *testing.T, h Harness) {
			s, q := queueScene(t, h)
			pr := s.propose(t, bot)
			s.turns(t, pr.HeadSHA, forge.Success)
			s.Settle(t)
			q.Enqueue(t, s.id, "alice", pr.Number)
			s.Settle(t)
			check(t, "Queue", len(s.queue(t)), 1)
			q.Dequeue(t, s.id, "alice", pr.Number)
			s.Settle(t)
			check(t, "Queue", len(s.queue(t)), 0)
			left, err := s.forge.LeftQueue(t.Context(), s.repo, pr.Number)
			if err != nil || left.By.Login != "alice" || left.By.Bot {
				t.Errorf("LeftQueue = %+v, %v; want that alice took it out", left, err)
			}
		}},
		{"what may not be merged does not enter the queue", func(t *testing.T, h Harness) {
			s, _ := queueScene(t, h)
			pr := s.propose(t, bot)
			s.Settle(t)
			_, err := s.forge.Merge(t.Context(), s.repo, pr.Number, pr.HeadSHA, s.repo.MergeMethod)
			checkError(t, "Merge without the check", err, forge.ErrNotMergeable)
			s.turns(t, pr.HeadSHA, forge.Success)
			s.push(t, bot, "6.6.6")
			s.Settle(t)
			_, err = s.forge.Merge(t.Context(), s.repo, pr.Number, pr.HeadSHA, s.repo.MergeMethod)
			checkError(t, "Merge of a head that moved", err, forge.ErrStale, forge.ErrNotMergeable)
			check(t, "Queue", len(s.queue(t)), 0)
		}},
	}
}
