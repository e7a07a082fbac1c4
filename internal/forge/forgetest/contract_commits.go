package forgetest

import (
	"testing"

	"github.com/boatlift/boatlift/internal/forge"
)

// commitPromises are those of forge.Committer, which a forge need not be.
func commitPromises() []promise {
	committer := func(t *testing.T, h Harness) forge.Committer {
		t.Helper()
		c, ok := forge.As[forge.Committer](h.Forge())
		if !ok {
			leaveOut(t, h, "makes no commits itself: they are pushed")
		}
		return c
	}
	const path = "apps/web/kustomization.yaml"
	commit := func(branch, parent, tag string) forge.NewCommit {
		return forge.NewCommit{Branch: branch, Parent: parent, Message: "web: " + tag + "\n\nwith a body\n", Files: map[string][]byte{path: []byte("newTag: " + tag + "\n")}}
	}
	return []promise{
		{"a commit makes its branch where that does not exist, and is signed", func(t *testing.T, h Harness) {
			c, s := committer(t, h), newScene(t, h)
			main, _ := h.BranchHead(t, s.id, "main")
			sha, signed, err := c.CreateCommit(t.Context(), s.repo, commit(bot, main, "1.0.0"))
			if err != nil || !signed {
				t.Fatalf("CreateCommit: signed %t, %v", signed, err)
			}
			head, _ := h.BranchHead(t, s.id, bot)
			check(t, "the branch", head, sha)
			after, _ := h.BranchHead(t, s.id, "main")
			check(t, "main", after, main)
			pr := s.open(t, bot)
			s.Settle(t)
			files, _, err := s.forge.ChangedFiles(t.Context(), s.repo, pr.Number, 10)
			if err != nil || len(files) != 1 || files[0] != path {
				t.Errorf("ChangedFiles = %v, %v; want %s", files, err, path)
			}
		}},
		{"a commit continues a branch that is where it is expected", func(t *testing.T, h Harness) {
			c, s := committer(t, h), newScene(t, h)
			main, _ := h.BranchHead(t, s.id, "main")
			first, _, err := c.CreateCommit(t.Context(), s.repo, commit(bot, main, "1.0.0"))
			if err != nil {
				t.Fatal(err)
			}
			second, _, err := c.CreateCommit(t.Context(), s.repo, commit(bot, first, "2.0.0"))
			if err != nil {
				t.Fatal(err)
			}
			head, _ := h.BranchHead(t, s.id, bot)
			check(t, "the branch", head, second)
		}},
		{"a commit is refused where the branch is somewhere else", func(t *testing.T, h Harness) {
			c, s := committer(t, h), newScene(t, h)
			main, _ := h.BranchHead(t, s.id, "main")
			moved := s.push(t, bot, "person")
			_, _, err := c.CreateCommit(t.Context(), s.repo, commit(bot, main, "1.0.0"))
			checkError(t, "CreateCommit", err, forge.ErrStale)
			head, _ := h.BranchHead(t, s.id, bot)
			check(t, "the branch", head, moved)
		}},
		{"a commit in a repository that is gone is not found", func(t *testing.T, h Harness) {
			c, s := committer(t, h), newScene(t, h)
			main, _ := h.BranchHead(t, s.id, "main")
			h.RemoveBot(t, s.id)
			_, _, err := c.CreateCommit(t.Context(), s.repo, commit(bot, main, "1.0.0"))
			checkError(t, "CreateCommit", err, forge.ErrNotFound)
		}},
	}
}
