package governor

import (
	"context"

	"github.com/boatlift/boatlift/internal/forge"
)

// CreatePullRequest stands in the line.
func (f *Forge) CreatePullRequest(ctx context.Context, repo forge.Repository, pr forge.NewPullRequest) (created forge.PullRequest, err error) {
	writes := 1
	if len(pr.Labels) > 0 {
		writes++
	}
	err = f.write(ctx, repo, need{writes: writes, promotion: pr.Promotion}, func(ctx context.Context) (err error) {
		created, err = f.Forge.CreatePullRequest(ctx, repo, pr)
		return err
	})
	return created, err
}

// EditPullRequest takes a token. What only changes what is said in a pull request leaves others what is theirs, as there may be many.
func (f *Forge) EditPullRequest(ctx context.Context, repo forge.Repository, number int, edit forge.Edit) (pr forge.PullRequest, err error) {
	err = f.write(ctx, repo, need{writes: 1, polite: edit.State == nil}, func(ctx context.Context) (err error) {
		pr, err = f.Forge.EditPullRequest(ctx, repo, number, edit)
		return err
	})
	return pr, err
}

// AddLabels takes a token.
func (f *Forge) AddLabels(ctx context.Context, repo forge.Repository, number int, labels []string) error {
	return f.write(ctx, repo, need{writes: 1}, func(ctx context.Context) error { return f.Forge.AddLabels(ctx, repo, number, labels) })
}

// Comment takes a token.
func (f *Forge) Comment(ctx context.Context, repo forge.Repository, number int, key, body string) error {
	return f.write(ctx, repo, need{writes: 1}, func(ctx context.Context) error { return f.Forge.Comment(ctx, repo, number, key, body) })
}

// Merge takes a token.
func (f *Forge) Merge(ctx context.Context, repo forge.Repository, number int, sha, method string) (commit string, err error) {
	err = f.write(ctx, repo, need{writes: 1}, func(ctx context.Context) (err error) {
		commit, err = f.Forge.Merge(ctx, repo, number, sha, method)
		return err
	})
	return commit, err
}

// SetCheck takes as many tokens as it takes to take a green check back.
func (f *Forge) SetCheck(ctx context.Context, repo forge.Repository, check forge.Check) error {
	writes := 1
	if check.Conclusion == forge.Pending {
		writes++ // GitHub may want a second check run for it
	}
	return f.write(ctx, repo, need{writes: writes}, func(ctx context.Context) error { return f.Forge.SetCheck(ctx, repo, check) })
}

// RequestReviewers takes a token.
func (f *Forge) RequestReviewers(ctx context.Context, repo forge.Repository, number int, users, teams []string) error {
	return f.write(ctx, repo, need{writes: 1}, func(ctx context.Context) error { return f.Forge.RequestReviewers(ctx, repo, number, users, teams) })
}

// committer is a forge.Committer under the limits.
type committer struct {
	f     *Forge
	below forge.Committer
}

func (c committer) CreateCommit(ctx context.Context, repo forge.Repository, commit forge.NewCommit) (sha string, signed bool, err error) {
	// The branch and the commit. It leaves others what is theirs, as there may be many of them.
	err = c.f.write(ctx, repo, need{writes: 2, polite: true}, func(ctx context.Context) (err error) {
		sha, signed, err = c.below.CreateCommit(ctx, repo, commit)
		return err
	})
	return sha, signed, err
}
