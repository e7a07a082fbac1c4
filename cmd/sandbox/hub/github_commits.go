package hub

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
)

// inRepo looks whether the caller may write to the contents of a repository that a mutation names.
func (c *call) inRepo(fullName, need string) (*repo, error) {
	h := c.h
	h.mu.Lock()
	defer h.mu.Unlock()
	found, err := h.repoLocked(fullName)
	if err != nil {
		return nil, err
	}
	c.repo = found
	if !c.seesLocked() {
		return nil, missing()
	}
	return found, c.mayLocked(need)
}

// createCommitOnBranch makes a commit of the caller's upon the branch, if that is where it is expected. The forge signs it: it names itself
// as the committer, as GitHub does.
func (h *Hub) createCommitOnBranch(ctx context.Context, c *call, raw json.RawMessage) (obj, error) {
	var input struct {
		Branch struct {
			Repository string `json:"repositoryNameWithOwner"`
			Name       string `json:"branchName"`
		} `json:"branch"`
		Expected string `json:"expectedHeadOid"`
		Message  struct {
			Headline string `json:"headline"`
			Body     string `json:"body"`
		} `json:"message"`
		Changes struct {
			Additions []struct{ Path, Contents string } `json:"additions"`
		} `json:"fileChanges"`
	}
	if err := json.Unmarshal(raw, &input); err != nil {
		return nil, refuse(invalid, "Variable $input was provided invalid value")
	}
	r, err := c.inRepo(input.Branch.Repository, "contents:write")
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, a := range input.Changes.Additions {
		content, err := base64.StdEncoding.DecodeString(a.Contents)
		if err != nil {
			return nil, refuse(invalid, "The contents of "+a.Path+" are not valid base64")
		}
		files[a.Path] = content
	}
	ctx = context.WithoutCancel(ctx)
	r.turn.Lock()
	defer r.turn.Unlock()
	h.mu.Lock()
	head := r.head(input.Branch.Name)
	by := c.by
	author := signature{Name: by.login, Email: by.email(), When: h.stamp()}
	h.mu.Unlock()
	switch {
	case head == "":
		return nil, refuse(notFound, fmt.Sprintf("No ref found for %q", input.Branch.Name))
	case head != input.Expected:
		return nil, refuse(stale, fmt.Sprintf("Expected branch to point to %q but it did not. Pull and try again.", input.Expected))
	case input.Message.Headline == "":
		return nil, refuse(invalid, "A commit message is required")
	}
	tree, err := r.bare.writeFiles(ctx, head, files)
	if err != nil {
		return nil, err
	}
	message := strings.TrimRight(input.Message.Headline+"\n\n"+input.Message.Body, "\n") + "\n"
	committer := signature{Name: "GitHub", Email: "noreply@github.com", When: author.When}
	sha, err := r.bare.commit(ctx, tree, []string{head}, author, committer, message)
	if err != nil {
		return nil, err
	}
	if err := h.moveRefs(ctx, r, by, refChange{Name: "refs/heads/" + input.Branch.Name, Before: head, After: sha}); err != nil {
		return nil, err
	}
	var signed any
	if !h.opts.SignsNothing {
		signed = obj{"isValid": true, "wasSignedByGitHub": true}
	}
	return obj{"commit": obj{"oid": sha, "signature": signed}}, nil
}
