package forgetest

import (
	"context"
	"fmt"

	"github.com/boatlift/boatlift/internal/forge"
)

// CreateCommit implements forge.Committer. The forge signs everything.
func (m *Memory) CreateCommit(ctx context.Context, repo forge.Repository, commit forge.NewCommit) (sha string, signed bool, err error) {
	sha, err = call(ctx, m, Call{Method: "CreateCommit", Repo: repo.ID, Write: true, Detail: commit.Branch}, func() (string, error) {
		r, err := m.writeLocked(repo.ID)
		if err != nil {
			return "", err
		}
		switch head, exists := m.headLocked(r, commit.Branch); {
		case !exists:
			r.history.branches[commit.Branch] = commit.Parent
		case head != commit.Parent:
			return "", fmt.Errorf("branch %s: %w", commit.Branch, forge.ErrStale)
		}
		files := map[string]string{}
		for path, content := range commit.Files {
			files[path] = string(content)
		}
		sha := r.history.edit(commit.Branch, files)
		m.syncLocked(r)
		return sha, nil
	})
	return sha, err == nil, err
}
