package forgetest

import (
	"context"
	"fmt"
	"slices"

	"github.com/boatlift/boatlift/internal/forge"
)

// SourceCommit puts a commit of a person on the default branch of a repository that images are built from, and returns its hash.
func (m *Memory) SourceCommit(repo forge.RepoID, author, title string, files map[string]string) string {
	sha := m.Commit(repo, m.defaultBranch(repo), files)
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.mustLocked(repo).history.commits[sha]
	c.title, c.author, c.at = title, author, m.nowLocked()
	return sha
}

func (m *Memory) defaultBranch(repo forge.RepoID) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mustLocked(repo).DefaultBranch
}

// MergeBase implements forge.Sources, over Memory's own history.
func (m *Memory) MergeBase(ctx context.Context, repo forge.Repository, a, b string) (string, error) {
	return call(ctx, m, Call{Method: "MergeBase", Repo: repo.ID, Detail: a + " " + b}, func() (string, error) {
		r, err := m.reachLocked(repo.ID)
		if err != nil {
			return "", err
		}
		if r.history.commits[a] != nil && r.history.commits[b] != nil {
			of := r.history.ancestors(b)
			for _, sha := range r.history.ancestors(a) {
				if slices.Contains(of, sha) {
					return sha, nil
				}
			}
		}
		return "", fmt.Errorf("find the merge base of %s and %s: %w", a, b, forge.ErrNotFound)
	})
}

// Compare implements forge.Sources, over Memory's own history.
func (m *Memory) Compare(ctx context.Context, repo forge.Repository, address, from, to string, most int) (forge.Comparison, error) {
	return call(ctx, m, Call{Method: "Compare", Repo: repo.ID, Detail: address}, func() (forge.Comparison, error) {
		asking, err := m.reachLocked(repo.ID)
		if err != nil {
			return forge.Comparison{}, err
		}
		for id, source := range m.repos {
			if source.WebURL != address {
				continue
			}
			if _, err := m.reachLocked(id); err != nil || source.Installation != asking.Installation {
				break
			}
			list, ok := source.history.log(source.WebURL, from, to)
			if !ok {
				break
			}
			return forge.Comparison{
				URL: source.WebURL + "/compare/" + from + "..." + to, Commits: list[:min(len(list), max(most, 0))], Total: len(list),
			}, nil
		}
		return forge.Comparison{}, fmt.Errorf("compare %s with %s in %s: %w", from, to, address, forge.ErrNotFound)
	})
}
