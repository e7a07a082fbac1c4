package hub

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
)

// The sandbox knows a few mutations of GitHub's GraphQL API, each by its name and with one input variable. It answers with all that it
// knows of the payload, whatever fields the query selects.

// mutation carries one out and returns its payload.
type mutation func(ctx context.Context, c *call, input json.RawMessage) (payload obj, err error)

var mutationName = regexp.MustCompile(`^\s*mutation[^{]*\{\s*([A-Za-z]+)\s*\(\s*input:\s*\$input\s*\)`)

func (h *Hub) mutations() map[string]mutation {
	return map[string]mutation{"createCommitOnBranch": h.createCommitOnBranch}
}

// serveGraphQL is the GraphQL face. GraphQL answers 200 also where it refuses, with the reason in errors.
func (f *githubFace) serveGraphQL(w http.ResponseWriter, r *http.Request) {
	status, body, err := f.serve(w, r, "any", func(c *call) (int, any, error) {
		var request struct {
			Query     string `json:"query"`
			Variables struct {
				Input json.RawMessage `json:"input"`
			} `json:"variables"`
		}
		if err := c.read(&request); err != nil {
			return 0, nil, err
		}
		found := mutationName.FindStringSubmatch(request.Query)
		if found == nil {
			return http.StatusOK, graphQLFailure("", "the sandbox does not know this query"), nil
		}
		known := f.h.mutations()[found[1]]
		if known == nil {
			return http.StatusOK, graphQLFailure("", fmt.Sprintf("Field '%s' doesn't exist on type 'Mutation'", found[1])), nil
		}
		payload, err := known(r.Context(), c, request.Variables.Input)
		var p *problem
		switch {
		case errors.As(err, &p):
			kind := map[problemKind]string{notFound: "NOT_FOUND", forbidden: "FORBIDDEN", stale: "STALE_DATA"}[p.kind]
			if kind == "" {
				kind = "UNPROCESSABLE"
			}
			answer := graphQLFailure(kind, p.message)
			answer["data"] = obj{found[1]: nil}
			return http.StatusOK, answer, nil
		case err != nil:
			return 0, nil, err
		}
		return http.StatusOK, obj{"data": obj{found[1]: payload}}, nil
	})
	if err != nil {
		f.fail(w, err)
		return
	}
	writeJSON(w, status, body)
}

func graphQLFailure(kind, message string) obj {
	e := obj{"message": message}
	if kind != "" {
		e["type"] = kind
	}
	return obj{"data": nil, "errors": []any{e}}
}

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
