package forgetest

import (
	"fmt"

	"github.com/boatlift/boatlift/internal/forge"
)

// Person acts in a Memory as someone who is not the bot. What a person does is not recorded as a call and meets no fault.
// Permissions are not asked: a test that cares gives them with [Memory.Permit].
type Person struct {
	m     *Memory
	actor forge.Actor
}

// Person returns someone with this login.
func (m *Memory) Person(login string) Person {
	return Person{m: m, actor: forge.Actor{Login: login}}
}

// Machine returns another bot: an app or a bot account.
func (m *Memory) Machine(login string) Person {
	return Person{m: m, actor: forge.Actor{Login: login, Bot: true}}
}

// Open opens a pull request and returns its number.
func (p Person) Open(repo forge.RepoID, pr forge.NewPullRequest) (int, error) {
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	r := p.m.mustLocked(repo)
	p.m.syncLocked(r)
	created, err := p.m.createLocked(r, p.actor, pr)
	if err != nil {
		return 0, err
	}
	return created.Number, nil
}

// Close closes a pull request without merging it.
func (p Person) Close(repo forge.RepoID, number int) error {
	return p.act(repo, number, func(_ *repository, pr *pull) error {
		if pr.State == forge.Open {
			p.m.closeLocked(pr, p.actor)
		}
		return nil
	})
}

// Reopen opens a closed pull request again.
func (p Person) Reopen(repo forge.RepoID, number int) error {
	return p.act(repo, number, func(r *repository, pr *pull) error { return p.m.reopenLocked(r, pr) })
}

// Merge merges a pull request at its present head with the repository's method, and returns the commit that base got.
func (p Person) Merge(repo forge.RepoID, number int) (string, error) {
	var sha string
	err := p.act(repo, number, func(r *repository, pr *pull) (err error) {
		sha, err = p.m.mergeLocked(r, pr, p.actor, pr.HeadSHA, r.MergeMethod)
		return err
	})
	return sha, err
}

// Review submits a review of the present head. Dismissed takes the person's latest decision back, whoever pressed the button.
func (p Person) Review(repo forge.RepoID, number int, state forge.ReviewState) error {
	return p.act(repo, number, func(_ *repository, pr *pull) error {
		if state != forge.Dismissed {
			pr.reviews = append(pr.reviews, forge.Review{User: p.actor, State: state, CommitSHA: pr.HeadSHA, At: p.m.nowLocked()})
			return nil
		}
		for i := len(pr.reviews) - 1; i >= 0; i-- {
			if review := &pr.reviews[i]; review.User == p.actor && review.State != forge.Commented {
				review.State = forge.Dismissed
				return nil
			}
		}
		return fmt.Errorf("dismiss a review of %s: %w", p.actor.Login, forge.ErrNotFound)
	})
}

// Comment says something on a pull request.
func (p Person) Comment(repo forge.RepoID, number int, body string) error {
	return p.act(repo, number, func(_ *repository, pr *pull) error {
		pr.comments = append(pr.comments, Comment{Author: p.actor, Body: body})
		return nil
	})
}

// Edit changes the title, the body or the draft flag of a pull request.
func (p Person) Edit(repo forge.RepoID, number int, change func(*forge.PullRequest)) error {
	return p.act(repo, number, func(_ *repository, pr *pull) error {
		edited := pr.PullRequest
		change(&edited)
		pr.Title, pr.Body, pr.Draft, pr.Labels, pr.UpdatedAt = edited.Title, edited.Body, edited.Draft, edited.Labels, p.m.nowLocked()
		return nil
	})
}

// Ready takes away the mark by which a pull request of the bot's is a draft until its gate is green.
func (p Person) Ready(repo forge.RepoID, number int) error {
	return p.act(repo, number, func(_ *repository, pr *pull) error {
		pr.held = false
		return nil
	})
}

// Push puts a commit on a branch; see [Memory.Commit].
func (p Person) Push(repo forge.RepoID, branch string, files map[string]string) string {
	p.m.mu.Lock()
	r := p.m.mustLocked(repo)
	r.pushers[branch] = append(r.pushers[branch], p.actor.Login)
	p.m.mu.Unlock()
	return p.m.Commit(repo, branch, files)
}

// DeleteBranch deletes a branch, which closes its open pull requests.
func (p Person) DeleteBranch(repo forge.RepoID, branch string) error {
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	return p.m.deleteLocked(p.m.mustLocked(repo), branch, p.actor)
}

func (p Person) act(repo forge.RepoID, number int, f func(*repository, *pull) error) error {
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	r := p.m.mustLocked(repo)
	p.m.syncLocked(r)
	pr := p.m.mustPullLocked(repo, number)
	p.m.changingLocked(r)
	if err := f(r, pr); err != nil {
		return err
	}
	pr.UpdatedAt = p.m.nowLocked()
	return nil
}
