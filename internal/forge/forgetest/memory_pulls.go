package forgetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
)

// headLocked tells where a branch is.
func (m *Memory) headLocked(r *repository, branch string) (string, bool) {
	if m.options.BranchHead != nil {
		return m.options.BranchHead(r.ID, branch)
	}
	sha, ok := r.history.branches[branch]
	return sha, ok
}

// syncLocked lets open pull requests follow their branches: a moved head is seen, one whose branch is gone is closed.
func (m *Memory) syncLocked(r *repository) {
	for _, p := range r.pulls {
		if p.State != forge.Open {
			continue
		}
		head, ok := m.headLocked(r, p.HeadBranch)
		if !ok {
			m.closeLocked(p, forge.Actor{})
			continue
		}
		if head != p.HeadSHA {
			p.HeadSHA, p.UpdatedAt = head, m.nowLocked()
		}
		p.BaseSHA, _ = m.headLocked(r, p.BaseBranch)
	}
}

func (m *Memory) closeLocked(p *pull, by forge.Actor) {
	now := m.nowLocked()
	p.State, p.ClosedAt, p.UpdatedAt, p.ClosedBy = forge.Closed, now, now, by
}

func (m *Memory) reopenLocked(r *repository, p *pull) error {
	if p.State == forge.Merged {
		return fmt.Errorf("reopen pull request %d: it is merged: %w", p.Number, forge.ErrRefused)
	}
	if _, ok := m.headLocked(r, p.HeadBranch); !ok {
		return fmt.Errorf("reopen pull request %d: branch %s is gone: %w", p.Number, p.HeadBranch, forge.ErrRefused)
	}
	if other := r.openFor(p.HeadBranch, p.BaseBranch); other != nil && other != p {
		return fmt.Errorf("reopen pull request %d: %d is open: %w", p.Number, other.Number, forge.ErrExists)
	}
	p.State, p.ClosedAt, p.ClosedBy, p.UpdatedAt = forge.Open, time.Time{}, forge.Actor{}, m.nowLocked()
	m.syncLocked(r)
	return nil
}

func (r *repository) openFor(head, base string) *pull {
	for _, p := range r.pulls {
		if p.State == forge.Open && p.HeadBranch == head && p.BaseBranch == base {
			return p
		}
	}
	return nil
}

func (m *Memory) selfActor() forge.Actor {
	return forge.Actor{Login: m.options.Self.Login, Bot: true, Self: true}
}

// createLocked opens a pull request for anyone.
func (m *Memory) createLocked(r *repository, author forge.Actor, pr forge.NewPullRequest) (*pull, error) {
	head, ok := m.headLocked(r, pr.Head)
	if !ok {
		return nil, fmt.Errorf("no branch %s: %w", pr.Head, forge.ErrRefused)
	}
	base, ok := m.headLocked(r, pr.Base)
	if !ok {
		return nil, fmt.Errorf("no branch %s: %w", pr.Base, forge.ErrRefused)
	}
	if r.openFor(pr.Head, pr.Base) != nil {
		return nil, fmt.Errorf("a pull request for %s is open: %w", pr.Head, forge.ErrExists)
	}
	if head == base || m.compareLocked(r, base, head).Empty {
		return nil, fmt.Errorf("no commits between %s and %s: %w", pr.Base, pr.Head, forge.ErrEmpty)
	}
	m.changingLocked(r)
	now := m.nowLocked()
	p := &pull{PullRequest: forge.PullRequest{
		Number: len(r.pulls) + 1, URL: fmt.Sprintf("%s/pull/%d", r.WebURL, len(r.pulls)+1),
		Title: pr.Title, Body: pr.Body, State: forge.Open, Draft: pr.Draft, Author: author,
		HeadBranch: pr.Head, HeadSHA: head, BaseBranch: pr.Base, BaseSHA: base,
		CreatedAt: now, UpdatedAt: now,
	}}
	p.held = pr.GateShut && m.draftsLocked(r, p)
	p.addLabels(pr.Labels)
	r.pulls = append(r.pulls, p)
	return p, nil
}

func (p *pull) addLabels(labels []string) {
	for _, label := range labels {
		if !slices.Contains(p.Labels, label) {
			p.Labels = append(p.Labels, label)
		}
	}
}

func (p *pull) clone() *pull {
	c := *p
	c.Labels, c.reviews, c.comments = slices.Clone(p.Labels), slices.Clone(p.reviews), slices.Clone(p.comments)
	return &c
}

// summary is what a list tells: without the fields that only a single read has.
func (m *Memory) summaryLocked(r *repository, p *pull) forge.PullRequest {
	pr := m.plainLocked(r, p)
	pr.ClosedBy, pr.MergedBy, pr.MergeCommit, pr.Mergeability = forge.Actor{}, forge.Actor{}, "", forge.MergeUnknown
	return pr
}

func (m *Memory) plainLocked(r *repository, p *pull) forge.PullRequest {
	pr := p.PullRequest
	pr.Labels = slices.Clone(p.Labels)
	pr.Ungated = p.State == forge.Open && !p.held && m.draftsLocked(r, p)
	return pr
}

func (m *Memory) singleLocked(r *repository, p *pull) forge.PullRequest {
	pr := m.plainLocked(r, p)
	if p.State == forge.Open {
		pr.Mergeability = m.mergeabilityLocked(r, p)
	}
	return pr
}

func (m *Memory) mergeabilityLocked(r *repository, p *pull) forge.Mergeability {
	if p.mergeability != nil {
		return *p.mergeability
	}
	if m.compareLocked(r, p.BaseSHA, p.HeadSHA).Conflict {
		return forge.Conflicting
	}
	return forge.Mergeable
}

func (m *Memory) compareLocked(r *repository, base, head string) Comparison {
	if m.options.Compare != nil {
		return m.options.Compare(r.ID, base, head)
	}
	c := r.history.compare(base, head)
	return Comparison{Files: slices.Sorted(maps.Keys(c.changed)), Conflict: c.conflict, Empty: c.empty}
}

// OpenPullRequests implements forge.PullRequests.
func (m *Memory) OpenPullRequests(ctx context.Context, repo forge.Repository, base string) ([]forge.PullRequest, error) {
	return call(ctx, m, Call{Method: "OpenPullRequests", Repo: repo.ID, Detail: base}, func() ([]forge.PullRequest, error) {
		list, err := m.listLocked(repo.ID, func(p *pull) bool { return p.State == forge.Open && p.BaseBranch == base })
		return list, err
	})
}

// PullRequestsOf implements forge.PullRequests.
func (m *Memory) PullRequestsOf(ctx context.Context, repo forge.Repository, branch string) ([]forge.PullRequest, error) {
	return call(ctx, m, Call{Method: "PullRequestsOf", Repo: repo.ID, Detail: branch}, func() ([]forge.PullRequest, error) {
		list, err := m.listLocked(repo.ID, func(p *pull) bool { return p.HeadBranch == branch })
		slices.Reverse(list)
		return list, err
	})
}

func (m *Memory) listLocked(id forge.RepoID, wanted func(*pull) bool) ([]forge.PullRequest, error) {
	r, err := m.reachLocked(id)
	if err != nil {
		return nil, err
	}
	m.syncLocked(r)
	source := r.pulls
	if m.lag {
		source = r.listed
	}
	var list []forge.PullRequest
	for _, p := range source {
		if wanted(p) {
			list = append(list, m.summaryLocked(r, p))
		}
	}
	return list, nil
}

// PullRequest implements forge.PullRequests.
func (m *Memory) PullRequest(ctx context.Context, repo forge.Repository, number int) (forge.PullRequest, error) {
	return call(ctx, m, Call{Method: "PullRequest", Repo: repo.ID, Number: number}, func() (forge.PullRequest, error) {
		r, p, err := m.findLocked(repo.ID, number, m.reachLocked)
		if err != nil {
			return forge.PullRequest{}, err
		}
		return m.singleLocked(r, p), nil
	})
}

func (m *Memory) findLocked(id forge.RepoID, number int, reach func(forge.RepoID) (*repository, error)) (*repository, *pull, error) {
	r, err := reach(id)
	if err != nil {
		return nil, nil, err
	}
	m.syncLocked(r)
	p := r.pull(number)
	if p == nil {
		return nil, nil, fmt.Errorf("pull request %d of %s: %w", number, r.FullName, forge.ErrNotFound)
	}
	return r, p, nil
}

// CreatePullRequest implements forge.PullRequests.
func (m *Memory) CreatePullRequest(ctx context.Context, repo forge.Repository, pr forge.NewPullRequest) (forge.PullRequest, error) {
	return call(ctx, m, Call{Method: "CreatePullRequest", Repo: repo.ID, Write: true, Detail: pr.Head}, func() (forge.PullRequest, error) {
		r, err := m.writeLocked(repo.ID)
		if err != nil {
			return forge.PullRequest{}, err
		}
		m.syncLocked(r)
		p, err := m.createLocked(r, m.selfActor(), pr)
		if err != nil {
			return forge.PullRequest{}, fmt.Errorf("open pull request in %s: %w", r.FullName, err)
		}
		return m.singleLocked(r, p), nil
	})
}

// EditPullRequest implements forge.PullRequests.
func (m *Memory) EditPullRequest(ctx context.Context, repo forge.Repository, number int, edit forge.Edit) (forge.PullRequest, error) {
	detail := ""
	if edit.State != nil {
		detail = string(*edit.State)
	}
	return call(ctx, m, Call{Method: "EditPullRequest", Repo: repo.ID, Number: number, Write: true, Detail: detail}, func() (forge.PullRequest, error) {
		r, p, err := m.findLocked(repo.ID, number, m.writeLocked)
		if err != nil {
			return forge.PullRequest{}, err
		}
		m.changingLocked(r)
		if edit.State != nil {
			switch {
			case *edit.State == forge.Closed && p.State == forge.Open:
				m.closeLocked(p, m.selfActor())
			case *edit.State == forge.Open && p.State != forge.Open:
				if err := m.reopenLocked(r, p); err != nil {
					return forge.PullRequest{}, err
				}
			case *edit.State == forge.Merged:
				return forge.PullRequest{}, fmt.Errorf("edit pull request %d: merging is not an edit: %w", number, forge.ErrRefused)
			}
		}
		if edit.Title != nil {
			p.Title = *edit.Title
		}
		if edit.Body != nil {
			p.Body = *edit.Body
		}
		p.UpdatedAt = m.nowLocked()
		return m.singleLocked(r, p), nil
	})
}

// AddLabels implements forge.PullRequests.
func (m *Memory) AddLabels(ctx context.Context, repo forge.Repository, number int, labels []string) error {
	_, err := call(ctx, m, Call{Method: "AddLabels", Repo: repo.ID, Number: number, Write: true}, func() (struct{}, error) {
		r, p, err := m.findLocked(repo.ID, number, m.writeLocked)
		if err != nil {
			return struct{}{}, err
		}
		m.changingLocked(r)
		p.addLabels(labels)
		return struct{}{}, nil
	})
	return err
}

// Comment implements forge.PullRequests.
func (m *Memory) Comment(ctx context.Context, repo forge.Repository, number int, key, body string) error {
	_, err := call(ctx, m, Call{Method: "Comment", Repo: repo.ID, Number: number, Write: true, Detail: key}, func() (struct{}, error) {
		_, p, err := m.findLocked(repo.ID, number, m.writeLocked)
		if err != nil {
			return struct{}{}, err
		}
		for _, c := range p.comments {
			if c.Author.Self && c.Key == key {
				return struct{}{}, nil
			}
		}
		p.comments = append(p.comments, Comment{Author: m.selfActor(), Key: key, Body: body})
		return struct{}{}, nil
	})
	return err
}

// Merge implements forge.PullRequests.
func (m *Memory) Merge(ctx context.Context, repo forge.Repository, number int, sha, method string) (string, error) {
	return call(ctx, m, Call{Method: "Merge", Repo: repo.ID, Number: number, Write: true, Detail: sha}, func() (string, error) {
		r, p, err := m.findLocked(repo.ID, number, m.writeLocked)
		if err != nil {
			return "", err
		}
		return m.mergeLocked(r, p, m.selfActor(), sha, method)
	})
}

// mergeLocked merges for anyone. It gives the lock away while a hook merges.
func (m *Memory) mergeLocked(r *repository, p *pull, by forge.Actor, sha, method string) (string, error) {
	refuse := func(why string, err error) (string, error) {
		return "", fmt.Errorf("merge pull request %d of %s: %s: %w", p.Number, r.FullName, why, err)
	}
	switch {
	case p.State != forge.Open || p.merging:
		return refuse("it is not open", forge.ErrNotMergeable)
	case sha != p.HeadSHA:
		return refuse("head is "+p.HeadSHA, forge.ErrStale)
	case p.Draft || p.held:
		return refuse("it is a draft", forge.ErrNotMergeable)
	case m.mergeabilityLocked(r, p) == forge.Conflicting:
		return refuse("it conflicts", forge.ErrNotMergeable)
	}
	if r.requiredLocked(p.BaseBranch, sha) != forge.Success {
		return refuse("a required check is missing", forge.ErrNotMergeable)
	}
	if q := r.queueOf(p.BaseBranch); q != nil {
		return "", m.enqueueLocked(r, q, p)
	}
	m.changingLocked(r)
	var mergeSHA string
	if hook := m.options.OnMerge; hook != nil {
		pr := m.singleLocked(r, p)
		p.merging = true
		m.mu.Unlock()
		var err error
		mergeSHA, err = hook(r.ID, pr)
		m.mu.Lock()
		p.merging = false
		if err != nil {
			return refuse("the merge hook", err)
		}
	} else {
		mergeSHA = r.history.merge(p.BaseBranch, sha, method)
	}
	now := m.nowLocked()
	p.State, p.MergedAt, p.ClosedAt, p.UpdatedAt = forge.Merged, now, now, now
	p.MergedBy, p.ClosedBy, p.MergeCommit = by, by, mergeSHA
	m.syncLocked(r)
	return mergeSHA, nil
}

// DeleteBranch implements forge.PullRequests. A pull request open for the branch is closed by it.
func (m *Memory) DeleteBranch(ctx context.Context, repo forge.Repository, branch string) error {
	_, err := call(ctx, m, Call{Method: "DeleteBranch", Repo: repo.ID, Write: true, Detail: branch}, func() (struct{}, error) {
		r, err := m.writeLocked(repo.ID)
		if err != nil {
			return struct{}{}, err
		}
		return struct{}{}, m.deleteLocked(r, branch, m.selfActor())
	})
	return err
}

func (m *Memory) deleteLocked(r *repository, branch string, by forge.Actor) error {
	if _, ok := m.headLocked(r, branch); !ok {
		return nil
	}
	m.changingLocked(r)
	m.syncLocked(r)
	if hook := m.options.OnDeleteBranch; hook != nil {
		m.mu.Unlock()
		err := hook(r.ID, branch)
		m.mu.Lock()
		if err != nil {
			return fmt.Errorf("delete branch %s: %w", branch, err)
		}
	} else if m.options.BranchHead != nil {
		return errors.New("forgetest: BranchHead without OnDeleteBranch: branches cannot be deleted")
	}
	delete(r.history.branches, branch)
	for _, p := range r.pulls {
		if p.State == forge.Open && p.HeadBranch == branch {
			m.closeLocked(p, by)
		}
	}
	return nil
}

// Reviews implements forge.PullRequests.
func (m *Memory) Reviews(ctx context.Context, repo forge.Repository, number int) ([]forge.Review, error) {
	return call(ctx, m, Call{Method: "Reviews", Repo: repo.ID, Number: number}, func() ([]forge.Review, error) {
		r, p, err := m.findLocked(repo.ID, number, m.reachLocked)
		if err != nil {
			return nil, err
		}
		if m.lag {
			if number > len(r.listed) {
				return nil, nil
			}
			p = r.listed[number-1]
		}
		return slices.Clone(p.reviews), nil
	})
}

// ChangedFiles implements forge.PullRequests.
func (m *Memory) ChangedFiles(ctx context.Context, repo forge.Repository, number, limit int) ([]string, bool, error) {
	type answer struct {
		paths []string
		more  bool
	}
	a, err := call(ctx, m, Call{Method: "ChangedFiles", Repo: repo.ID, Number: number}, func() (answer, error) {
		r, p, err := m.findLocked(repo.ID, number, m.reachLocked)
		if err != nil {
			return answer{}, err
		}
		paths := slices.Clone(p.files)
		if p.files == nil {
			base := p.BaseSHA
			if p.State == forge.Merged {
				base = r.history.firstParent(p.MergeCommit)
			}
			paths = m.compareLocked(r, base, p.HeadSHA).Files
		}
		if len(paths) > limit {
			return answer{paths[:max(limit, 0)], true}, nil
		}
		return answer{paths, false}, nil
	})
	return a.paths, a.more, err
}

func (h *history) firstParent(sha string) string {
	if c := h.commits[sha]; c != nil && len(c.parents) > 0 {
		return c.parents[0]
	}
	return ""
}
