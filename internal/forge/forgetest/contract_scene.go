package forgetest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/boatlift/boatlift/internal/forge"
)

// bot is the branch that most promises are about; its shape is the one that Boatlift pushes.
const bot = "boatlift/production-web-0123456789ab"

// scene is a harness with one repository, acme/infra, in which alice may write.
type scene struct {
	Harness
	forge forge.Forge
	id    forge.RepoID
	repo  forge.Repository
}

func newScene(t *testing.T, h Harness) scene {
	t.Helper()
	s := scene{Harness: h, forge: h.Forge()}
	s.id = h.CreateRepository(t, "infra")
	h.Permit(t, s.id, "alice", forge.WritePermission)
	s.reread(t)
	return s
}

func (s *scene) reread(t *testing.T) {
	t.Helper()
	repo, err := s.forge.Repository(t.Context(), s.id)
	if err != nil {
		t.Fatalf("Repository(%d): %v", s.id, err)
	}
	s.repo = repo
}

// propose pushes a branch that sets a tag and opens the bot's pull request for it.
func (s *scene) propose(t *testing.T, branch string) forge.PullRequest {
	t.Helper()
	s.push(t, branch, "1.0.0")
	return s.open(t, branch)
}

func (s *scene) push(t *testing.T, branch, tag string) string {
	t.Helper()
	return s.Commit(t, s.id, branch, map[string]string{"apps/" + branch + "/kustomization.yaml": "newTag: " + tag + "\n"})
}

func (s *scene) open(t *testing.T, branch string) forge.PullRequest {
	t.Helper()
	pr, err := s.forge.CreatePullRequest(t.Context(), s.repo, forge.NewPullRequest{
		Head: branch, Base: "main", Title: "deploy " + branch, Body: "The body of " + branch,
	})
	if err != nil {
		t.Fatalf("CreatePullRequest(%s): %v", branch, err)
	}
	return pr
}

func (s *scene) read(t *testing.T, number int) forge.PullRequest {
	t.Helper()
	s.Settle(t)
	pr, err := s.forge.PullRequest(t.Context(), s.repo, number)
	if err != nil {
		t.Fatalf("PullRequest(%d): %v", number, err)
	}
	return pr
}

func (s *scene) edit(t *testing.T, number int, edit forge.Edit) forge.PullRequest {
	t.Helper()
	pr, err := s.forge.EditPullRequest(t.Context(), s.repo, number, edit)
	if err != nil {
		t.Fatalf("EditPullRequest(%d): %v", number, err)
	}
	return pr
}

func (s *scene) openNumbers(t *testing.T, base string) []int {
	t.Helper()
	list, err := s.forge.OpenPullRequests(t.Context(), s.repo, base)
	if err != nil {
		t.Fatalf("OpenPullRequests(%s): %v", base, err)
	}
	return numbers(list)
}

func (s *scene) numbersOf(t *testing.T, branch string) []int {
	t.Helper()
	list, err := s.forge.PullRequestsOf(t.Context(), s.repo, branch)
	if err != nil {
		t.Fatalf("PullRequestsOf(%s): %v", branch, err)
	}
	return numbers(list)
}

func numbers(list []forge.PullRequest) []int {
	out := make([]int, 0, len(list))
	for _, pr := range list {
		out = append(out, pr.Number)
	}
	return out
}

func check(t *testing.T, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); g != w {
		t.Errorf("%s = %s; want %s", what, g, w)
	}
}

func checkError(t *testing.T, what string, err error, anyOf ...error) {
	t.Helper()
	for _, want := range anyOf {
		if errors.Is(err, want) {
			return
		}
	}
	t.Errorf("%s: error %v; want one of %v", what, err, anyOf)
}

func pointer[T any](v T) *T { return &v }
