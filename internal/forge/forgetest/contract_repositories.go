package forgetest

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/boatlift/boatlift/internal/forge"
)

func repositoryPromises() []promise {
	return []promise{
		{"a repository the bot was let into is listed with its facts", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			other := h.CreateRepository(t, "other")
			list, err := s.forge.Repositories(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			byID := map[forge.RepoID]forge.Repository{}
			for _, repo := range list {
				byID[repo.ID] = repo
			}
			check(t, "number of repositories", len(list), 2)
			check(t, "name of the other", byID[other].FullName, "acme/other")
			repo := byID[s.id]
			check(t, "the listed one and the one read by id", repo, s.repo)
			check(t, "FullName", repo.FullName, "acme/infra")
			check(t, "DefaultBranch", repo.DefaultBranch, "main")
			check(t, "Archived", repo.Archived, false)
			if !slices.Contains([]string{"merge", "squash", "rebase"}, repo.MergeMethod) {
				t.Errorf("MergeMethod = %q; want one that the repository allows", repo.MergeMethod)
			}
			if u, err := url.Parse(repo.CloneURL); err != nil || u.Host == "" || u.User != nil {
				t.Errorf("CloneURL = %q; want an address without credentials", repo.CloneURL)
			}
			if u, err := url.Parse(repo.WebURL); err != nil || u.Host == "" {
				t.Errorf("WebURL = %q; want an address", repo.WebURL)
			}
		}},
		{"more than a hundred repositories are all listed", func(t *testing.T, h Harness) {
			for i := range 103 {
				h.CreateRepository(t, fmt.Sprintf("infra-%03d", i))
			}
			list, err := h.Forge().Repositories(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			names := map[string]bool{}
			for _, repo := range list {
				names[repo.FullName] = true
			}
			check(t, "number of different repositories", len(names), 103)
		}},
		{"a repository is followed by its id through a rename", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			pr := s.propose(t, bot)
			h.Rename(t, s.id, "infra-renamed")
			s.reread(t)
			check(t, "FullName", s.repo.FullName, "acme/infra-renamed")
			check(t, "open pull requests", s.openNumbers(t, "main"), []int{pr.Number})
		}},
		{"whoever still knows a repository by its former name reaches it, to read and to write", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			pr := s.propose(t, bot)
			h.Rename(t, s.id, "infra-renamed")
			check(t, "open pull requests", s.openNumbers(t, "main"), []int{pr.Number})
			h.Rename(t, s.id, "infra-renamed-again")
			s.edit(t, pr.Number, forge.Edit{Title: pointer("written under a former name")})
			check(t, "Title", s.read(t, pr.Number).Title, "written under a former name")
		}},
		{"a former name that another repository took is not mistaken for the first", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			pr := s.propose(t, bot)
			h.Rename(t, s.id, "infra-renamed")
			other := h.CreateRepository(t, "infra")
			h.Commit(t, other, bot, map[string]string{"apps/other.yaml": "1\n"})
			s.edit(t, pr.Number, forge.Edit{Title: pointer("of the first")})
			check(t, "Title", s.read(t, pr.Number).Title, "of the first")
			s.reread(t) // an empty list does not tell whose it is, so whoever lists has read the repository by its id before, as every turn does
			check(t, "open pull requests of the first", s.openNumbers(t, "main"), []int{pr.Number})
			repo, err := s.forge.Repository(t.Context(), other)
			if err != nil {
				t.Fatal(err)
			}
			check(t, "FullName of the other", repo.FullName, "acme/infra")
			list, err := s.forge.OpenPullRequests(t.Context(), repo, "main")
			if err != nil || len(list) != 0 {
				t.Errorf("OpenPullRequests of the other = %v, %v; want none", numbers(list), err)
			}
		}},
		{"a changed default branch is seen, by id and in the list", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			h.Commit(t, s.id, "trunk", nil)
			h.SetDefaultBranch(t, s.id, "trunk")
			s.reread(t)
			check(t, "DefaultBranch", s.repo.DefaultBranch, "trunk")
			list, err := s.forge.Repositories(t.Context())
			if err != nil || len(list) != 1 || list[0].DefaultBranch != "trunk" {
				t.Errorf("Repositories = %+v, %v; want one with the new default branch", list, err)
			}
		}},
		{"an archived repository says so", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			h.Archive(t, s.id)
			s.reread(t)
			check(t, "Archived", s.repo.Archived, true)
		}},
		{"a write to an archived repository is forbidden, which is no limit and no repository that is gone", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			pr := s.propose(t, bot)
			h.Archive(t, s.id)
			_, err := s.forge.EditPullRequest(t.Context(), s.repo, pr.Number, forge.Edit{Title: pointer("x")})
			checkError(t, "EditPullRequest", err, forge.ErrForbidden)
			check(t, "State", s.read(t, pr.Number).State, forge.Open)
		}},
		{"a repository that never was is not found", func(t *testing.T, h Harness) {
			newScene(t, h)
			_, err := h.Forge().Repository(t.Context(), 987654321)
			checkError(t, "Repository", err, forge.ErrNotFound)
		}},
		{"a repository that the bot was taken out of is not found, and others go on", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			other := h.CreateRepository(t, "other")
			if _, err := s.forge.Repositories(t.Context()); err != nil {
				t.Fatal(err)
			}
			h.RemoveBot(t, s.id)
			_, err := s.forge.Repository(t.Context(), s.id)
			checkError(t, "Repository", err, forge.ErrNotFound)
			_, err = s.forge.OpenPullRequests(t.Context(), s.repo, "main")
			checkError(t, "OpenPullRequests", err, forge.ErrNotFound, forge.ErrGone)
			list, err := s.forge.Repositories(t.Context())
			if err != nil || len(list) != 1 || list[0].ID != other {
				t.Errorf("Repositories = %v, %v; want only acme/other", list, err)
			}
		}},
		{"after an uninstall nothing is listed and everything is refused", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			pr := s.propose(t, bot)
			h.Uninstall(t)
			list, err := s.forge.Repositories(t.Context())
			if err != nil || len(list) != 0 {
				t.Errorf("Repositories = %v, %v; want none", list, err)
			}
			_, err = s.forge.Repository(t.Context(), s.id)
			checkError(t, "Repository", err, forge.ErrNotFound)
			_, err = s.forge.PullRequest(t.Context(), s.repo, pr.Number)
			checkError(t, "PullRequest", err, forge.ErrNotFound, forge.ErrGone)
			_, err = s.forge.EditPullRequest(t.Context(), s.repo, pr.Number, forge.Edit{Title: pointer("x")})
			checkError(t, "EditPullRequest", err, forge.ErrNotFound, forge.ErrGone)
			err = s.forge.SetCheck(t.Context(), s.repo, forge.Check{HeadSHA: pr.HeadSHA, Name: "boatlift/gate", Conclusion: forge.Success})
			checkError(t, "SetCheck", err, forge.ErrNotFound, forge.ErrGone)
		}},
		{"credentials for git are handed out and do not print", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			auth, err := s.forge.GitAuth(t.Context(), s.repo)
			if err != nil {
				t.Fatal(err)
			}
			if auth.Username == "" || auth.Password == "" {
				t.Error("GitAuth has an empty user name or password")
			}
			if printed := fmt.Sprintf("%v %+v %#v", auth, auth, auth); strings.Contains(printed, auth.Password) {
				t.Error("GitAuth prints its password")
			}
		}},
		{"permissions of people are told", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			h.Permit(t, s.id, "reader", forge.ReadPermission)
			h.Permit(t, s.id, "owner", forge.AdminPermission)
			for login, want := range map[string]forge.Permission{
				"alice": forge.WritePermission, "reader": forge.ReadPermission, "owner": forge.AdminPermission,
				"nobody-knows-her": forge.NoPermission,
			} {
				got, err := s.forge.Permission(t.Context(), s.repo, login)
				if err != nil || got != want {
					t.Errorf("Permission(%s) = %q, %v; want %q", login, got, err, want)
				}
			}
		}},
		{"the bot knows its own account and is the author of what it opens", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			self, err := s.forge.Self(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if self.Login == "" || self.Name == "" || !strings.Contains(self.Email, "@") {
				t.Errorf("Self = %+v; want login, name and address", self)
			}
			pr := s.propose(t, bot)
			check(t, "Author", s.read(t, pr.Number).Author, forge.Actor{Login: self.Login, Bot: true, Self: true})
		}},
		{"a call that was cancelled says so", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			_, err := s.forge.OpenPullRequests(ctx, s.repo, "main")
			checkError(t, "OpenPullRequests", err, context.Canceled)
		}},
	}
}
