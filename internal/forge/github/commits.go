package github

import (
	"context"
	"encoding/base64"
	"errors"
	"maps"
	"slices"

	gh "github.com/google/go-github/v60/github"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/wire"
)

const createCommit = `mutation($input: CreateCommitOnBranchInput!) {
  createCommitOnBranch(input: $input) { commit { oid signature { isValid } } }
}`

// CreateCommit implements forge.Committer by createCommitOnBranch, whose commits GitHub signs as long as nobody names an author. An
// Enterprise Server does so only where its site signs what is done on the web.
// https://docs.github.com/en/graphql/reference/mutations#createcommitonbranch
func (f *Forge) CreateCommit(ctx context.Context, repo forge.Repository, commit forge.NewCommit) (sha string, signed bool, err error) {
	doing := "commit to branch " + wire.Clean(commit.Branch, 100)
	additions := make([]map[string]string, 0, len(commit.Files))
	for _, path := range slices.Sorted(maps.Keys(commit.Files)) {
		additions = append(additions, map[string]string{"path": path, "contents": base64.StdEncoding.EncodeToString(commit.Files[path])})
	}
	err = f.in(ctx, repo, doing, func(t target) error {
		if err := f.branchAt(ctx, t, commit.Branch, commit.Parent); err != nil {
			return err
		}
		var answer struct {
			Made struct {
				Commit struct {
					OID       string `json:"oid"`
					Signature *struct {
						IsValid bool `json:"isValid"`
					} `json:"signature"`
				} `json:"commit"`
			} `json:"createCommitOnBranch"`
		}
		err := f.graphql(ctx, t, createCommit, map[string]any{"input": map[string]any{
			"branch":          map[string]any{"repositoryNameWithOwner": t.owner + "/" + t.name, "branchName": commit.Branch},
			"expectedHeadOid": commit.Parent, "message": headline(commit.Message), "fileChanges": map[string]any{"additions": additions},
		}}, &answer)
		if err != nil {
			return err
		}
		made := answer.Made.Commit
		if made.OID == "" {
			return &wire.Error{Doing: t.doing, Message: "the answer holds no commit"}
		}
		sha, signed = made.OID, made.Signature != nil && made.Signature.IsValid
		return nil
	})
	return sha, signed, err
}

// branchAt makes a branch where it does not exist. One that does is left where it is: the commit itself is refused if that is elsewhere.
func (f *Forge) branchAt(ctx context.Context, t target, branch, sha string) error {
	ref := &gh.Reference{Ref: gh.String("refs/heads/" + branch), Object: &gh.GitObject{SHA: gh.String(sha)}}
	_, _, err := t.Git.CreateRef(ctx, t.owner, t.name, ref)
	err = f.translate(t.doing, err)
	var known *wire.Error
	if errors.As(err, &known) && known.Message == "Reference already exists" {
		return nil
	}
	return err
}
