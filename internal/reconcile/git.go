package reconcile

import (
	"context"

	"github.com/boatlift/boatlift/internal/gitrepo"
)

// remote is what a turn needs of a git repository that it does not have. Package gitrepo's is the real one.
type remote interface {
	Refs(ctx context.Context, prefixes ...string) (gitrepo.Refs, error)
	Commit(ctx context.Context, h gitrepo.Hash) (gitrepo.CommitInfo, error)
	Tree(ctx context.Context, commit gitrepo.Hash) (tree, error)
	Push(ctx context.Context, updates []gitrepo.BranchUpdate) ([]gitrepo.Result, error)
}

// tree is the files of one commit.
type tree interface {
	Commit() gitrepo.Hash
	ReadFile(ctx context.Context, path string) ([]byte, error)
	ReadFiles(ctx context.Context, paths []string) (map[string][]byte, error)
	Find(ctx context.Context, prefix string, match func(path string) bool) ([]gitrepo.File, error)
	IsDir(ctx context.Context, path string) (bool, error)
	IsPlain(ctx context.Context, path string) (bool, error)
	Edited(ctx context.Context, files map[string][]byte) (gitrepo.Hash, error)
}

type (
	auth       = func(ctx context.Context) (gitrepo.Auth, error)
	openRemote = func(url string, auth auth) remote
)

// fetched is a repository as package gitrepo reads and pushes it.
type fetched struct{ *gitrepo.Remote }

func (f fetched) Tree(ctx context.Context, commit gitrepo.Hash) (tree, error) {
	t, err := f.Remote.Tree(ctx, commit)
	if err != nil {
		return nil, err
	}
	return t, nil
}

func opener(client *gitrepo.Client) openRemote {
	return func(url string, auth auth) remote { return fetched{client.Remote(url, auth)} }
}
