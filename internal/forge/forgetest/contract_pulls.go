package forgetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
)

func pullRequestPromises() []promise {
	return []promise{
		{"lists of nothing are empty and no error", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			check(t, "OpenPullRequests", s.openNumbers(t, "main"), []int{})
			check(t, "PullRequestsOf", s.numbersOf(t, bot), []int{})
		}},
		{"what was opened is found by base, by branch and by number", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			sha := s.push(t, bot, "1.0.0")
			base, _ := h.BranchHead(t, s.id, "main")
			created := s.open(t, bot)
			open, err := s.forge.OpenPullRequests(t.Context(), s.repo, "main")
			if err != nil || len(open) != 1 {
				t.Fatalf("OpenPullRequests = %v, %v; want one", open, err)
			}
			of, err := s.forge.PullRequestsOf(t.Context(), s.repo, bot)
			if err != nil || len(of) != 1 {
				t.Fatalf("PullRequestsOf = %v, %v; want one", of, err)
			}
			for name, pr := range map[string]forge.PullRequest{
				"CreatePullRequest": created, "OpenPullRequests": open[0], "PullRequestsOf": of[0], "PullRequest": s.read(t, created.Number),
			} {
				check(t, name+" number", pr.Number, created.Number)
				check(t, name+" title", pr.Title, "deploy "+bot)
				check(t, name+" body", pr.Body, "The body of "+bot)
				check(t, name+" state", pr.State, forge.Open)
				check(t, name+" head", pr.HeadBranch+" "+pr.HeadSHA, bot+" "+sha)
				check(t, name+" base", pr.BaseBranch, "main")
				if pr.BaseSHA != "" || name == "PullRequest" { // not every list tells it
					check(t, name+" base commit", pr.BaseSHA, base)
				}
				check(t, name+" fork", pr.HeadFork, false)
				check(t, name+" draft", pr.Draft, false)
				check(t, name+" author is the bot", pr.Author.Self, true)
				if pr.URL == "" || pr.CreatedAt.IsZero() || pr.UpdatedAt.IsZero() || !pr.ClosedAt.IsZero() || !pr.MergedAt.IsZero() {
					t.Errorf("%s: URL %q created %v updated %v closed %v merged %v", name, pr.URL, pr.CreatedAt, pr.UpdatedAt, pr.ClosedAt, pr.MergedAt)
				}
			}
		}},
		{"a second pull request for the same head and base is refused and the first is found", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			pr := s.propose(t, bot)
			_, err := s.forge.CreatePullRequest(t.Context(), s.repo, forge.NewPullRequest{Head: bot, Base: "main", Title: "again"})
			checkError(t, "CreatePullRequest", err, forge.ErrExists)
			check(t, "PullRequestsOf", s.numbersOf(t, bot), []int{pr.Number})
		}},
		{"a pull request that adds nothing to its base is refused", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			h.Commit(t, s.id, bot, nil)
			_, err := s.forge.CreatePullRequest(t.Context(), s.repo, forge.NewPullRequest{Head: bot, Base: "main", Title: "nothing"})
			checkError(t, "CreatePullRequest", err, forge.ErrEmpty)
			check(t, "PullRequestsOf", s.numbersOf(t, bot), []int{})
		}},
		{"a pull request for a branch that is not there is refused", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			_, err := s.forge.CreatePullRequest(t.Context(), s.repo, forge.NewPullRequest{Head: bot, Base: "main", Title: "no branch"})
			checkError(t, "CreatePullRequest", err, forge.ErrRefused)
		}},
		{"a closed one leaves room for another, and both are listed newest first", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			first := s.propose(t, bot)
			s.edit(t, first.Number, forge.Edit{State: pointer(forge.Closed)})
			second := s.open(t, bot)
			list, err := s.forge.PullRequestsOf(t.Context(), s.repo, bot)
			if err != nil || len(list) != 2 {
				t.Fatalf("PullRequestsOf = %v, %v; want two", list, err)
			}
			check(t, "numbers", numbers(list), []int{second.Number, first.Number})
			check(t, "states", []forge.PullState{list[0].State, list[1].State}, []forge.PullState{forge.Open, forge.Closed})
		}},
		{"only the asked base and only the asked branch are listed", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			h.Commit(t, s.id, "staging", map[string]string{"staging.txt": "x\n"})
			first := s.propose(t, bot)
			s.push(t, bot+"-b", "1.0.0")
			second, err := s.forge.CreatePullRequest(t.Context(), s.repo, forge.NewPullRequest{Head: bot + "-b", Base: "staging", Title: "b"})
			if err != nil {
				t.Fatal(err)
			}
			third := s.propose(t, bot+"-c")
			check(t, "onto main, oldest first", s.openNumbers(t, "main"), []int{first.Number, third.Number})
			check(t, "onto staging", s.openNumbers(t, "staging"), []int{second.Number})
			check(t, "of the branch", s.numbersOf(t, bot), []int{first.Number})
			check(t, "of the beginning of a branch's name", s.numbersOf(t, "boatlift"), []int{})
		}},
		{"more than a hundred open pull requests are all listed", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			want := make([]int, 0, 103)
			for i := range 103 {
				want = append(want, s.propose(t, fmt.Sprintf("boatlift/production-app-%03d", i)).Number)
			}
			check(t, "OpenPullRequests", s.openNumbers(t, "main"), want)
		}},
		{"a person's pull request is listed too and is not the bot's", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			s.push(t, "feature", "1.0.0")
			number := h.OpenPullRequest(t, s.id, "alice", "feature", "main")
			check(t, "OpenPullRequests", s.openNumbers(t, "main"), []int{number})
			check(t, "Author", s.read(t, number).Author, forge.Actor{Login: "alice"})
		}},
		{"a pull request that never was is not found", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			_, err := s.forge.PullRequest(t.Context(), s.repo, 4711)
			checkError(t, "PullRequest", err, forge.ErrNotFound)
			_, err = s.forge.EditPullRequest(t.Context(), s.repo, 4711, forge.Edit{Title: pointer("x")})
			checkError(t, "EditPullRequest", err, forge.ErrNotFound)
		}},
		{"title and body are changed each for itself", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			pr := s.propose(t, bot)
			s.edit(t, pr.Number, forge.Edit{Title: pointer("another title")})
			got := s.read(t, pr.Number)
			check(t, "after the title", got.Title+" | "+got.Body, "another title | The body of "+bot)
			s.edit(t, pr.Number, forge.Edit{Body: pointer("another body\n\n- [x] <!-- hidden -->")})
			got = s.read(t, pr.Number)
			check(t, "after the body", got.Title+" | "+got.Body, "another title | another body\n\n- [x] <!-- hidden -->")
			check(t, "State", got.State, forge.Open)
		}},
		{"a draft is a draft", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			s.push(t, bot, "1.0.0")
			pr, err := s.forge.CreatePullRequest(t.Context(), s.repo, forge.NewPullRequest{Head: bot, Base: "main", Title: "d", Draft: true})
			if err != nil {
				t.Fatal(err)
			}
			check(t, "Draft", s.read(t, pr.Number).Draft, true)
		}},
		{"labels are added once each, those of the first hour too", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			s.push(t, bot, "1.0.0")
			pr, err := s.forge.CreatePullRequest(t.Context(), s.repo, forge.NewPullRequest{
				Head: bot, Base: "main", Title: "l", Labels: []string{"boatlift", "environment/production"},
			})
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := s.forge.AddLabels(t.Context(), s.repo, pr.Number, []string{"held", "boatlift"}); err != nil {
					t.Fatal(err)
				}
			}
			labels := s.read(t, pr.Number).Labels
			slices.Sort(labels)
			check(t, "Labels", labels, []string{"boatlift", "environment/production", "held"})
		}},
		{"the head follows what is pushed", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			pr := s.propose(t, bot)
			sha := s.push(t, bot, "1.0.1")
			check(t, "HeadSHA", s.read(t, pr.Number).HeadSHA, sha)
		}},
		{"it is told who closed a pull request", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			byBot, byAlice := s.propose(t, bot), s.propose(t, bot+"-b")
			s.edit(t, byBot.Number, forge.Edit{State: pointer(forge.Closed)})
			h.ClosePullRequest(t, s.id, "alice", byAlice.Number)
			got := s.read(t, byBot.Number)
			check(t, "closed by the bot", got.ClosedBy, forge.Actor{Login: got.Author.Login, Bot: true, Self: true})
			got = s.read(t, byAlice.Number)
			check(t, "closed by alice", got.ClosedBy, forge.Actor{Login: "alice"})
			check(t, "State", got.State, forge.Closed)
			check(t, "ClosedAt is told", got.ClosedAt.IsZero(), false)
			check(t, "MergedAt is told", got.MergedAt.IsZero(), true)
			check(t, "open", s.openNumbers(t, "main"), []int{})
		}},
		{"closing twice is no error", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			pr := s.propose(t, bot)
			for range 2 {
				s.edit(t, pr.Number, forge.Edit{State: pointer(forge.Closed)})
			}
			check(t, "State", s.read(t, pr.Number).State, forge.Closed)
		}},
		{"a reopened pull request is open with nobody who closed it", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			byBot, byAlice := s.propose(t, bot), s.propose(t, bot+"-b")
			h.ClosePullRequest(t, s.id, "alice", byBot.Number)
			h.ClosePullRequest(t, s.id, "alice", byAlice.Number)
			s.edit(t, byBot.Number, forge.Edit{State: pointer(forge.Open)})
			h.ReopenPullRequest(t, s.id, "alice", byAlice.Number)
			for _, number := range []int{byBot.Number, byAlice.Number} {
				got := s.read(t, number)
				check(t, "State", got.State, forge.Open)
				check(t, "ClosedBy", got.ClosedBy, forge.Actor{})
				check(t, "ClosedAt is told", !got.ClosedAt.IsZero(), false)
			}
			check(t, "open", s.openNumbers(t, "main"), []int{byBot.Number, byAlice.Number})
		}},
		{"something is said once per key", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			pr := s.propose(t, bot)
			say := func(number int, key, body string) {
				t.Helper()
				if err := s.forge.Comment(t.Context(), s.repo, number, key, body); err != nil {
					t.Fatalf("Comment(%s): %v", key, err)
				}
			}
			say(pr.Number, "superseded", "A newer one took its place.")
			say(pr.Number, "superseded", "Said again, in other words.")
			say(pr.Number, "superseded-2", "Another key.")
			stored := h.Comments(t, s.id, pr.Number)
			if len(stored) != 2 {
				t.Fatalf("comments = %+v; want two", stored)
			}
			check(t, "first", strings.Contains(stored[0].Body, "A newer one took its place."), true)
			check(t, "second", strings.Contains(stored[1].Body, "Another key."), true)
			check(t, "both by the bot", stored[0].Author.Self && stored[1].Author.Self, true)
		}},
		{"something is said once even if a hundred others spoke since", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			pr := s.propose(t, bot)
			say := func() {
				t.Helper()
				if err := s.forge.Comment(t.Context(), s.repo, pr.Number, "held", "It is held."); err != nil {
					t.Fatalf("Comment: %v", err)
				}
			}
			say()
			for range 101 {
				h.Comment(t, s.id, "alice", pr.Number, "I see.")
			}
			say()
			check(t, "comments", len(h.Comments(t, s.id, pr.Number)), 102)
		}},
		{"a person who copies the bot's comment does not silence it", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			first, second := s.propose(t, bot), s.propose(t, bot+"-b")
			if err := s.forge.Comment(t.Context(), s.repo, first.Number, "held", "It is held."); err != nil {
				t.Fatal(err)
			}
			h.Comment(t, s.id, "alice", second.Number, h.Comments(t, s.id, first.Number)[0].Body)
			if err := s.forge.Comment(t.Context(), s.repo, second.Number, "held", "It is held."); err != nil {
				t.Fatal(err)
			}
			check(t, "comments", len(h.Comments(t, s.id, second.Number)), 2)
		}},
		{"a branch is deleted, and once more is no error", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			s.push(t, bot, "1.0.0")
			for range 2 {
				if err := s.forge.DeleteBranch(t.Context(), s.repo, bot); err != nil {
					t.Fatalf("DeleteBranch: %v", err)
				}
			}
			if _, ok := h.BranchHead(t, s.id, bot); ok {
				t.Error("the branch is still there")
			}
		}},
		{"reviews are listed oldest first with what was looked at", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			h.Permit(t, s.id, "bob", forge.WritePermission)
			pr := s.propose(t, bot)
			h.Review(t, s.id, "alice", pr.Number, forge.ChangesRequested)
			h.Review(t, s.id, "bob", pr.Number, forge.Commented)
			second := s.push(t, bot, "1.0.1")
			h.Review(t, s.id, "alice", pr.Number, forge.Approved)
			reviews, err := s.forge.Reviews(t.Context(), s.repo, pr.Number)
			if err != nil {
				t.Fatal(err)
			}
			got := make([]string, 0, len(reviews))
			for i, r := range reviews {
				got = append(got, fmt.Sprint(r.User.Login, " ", r.State, " ", r.CommitSHA))
				if r.User.Self || r.User.Bot || r.At.IsZero() || i > 0 && r.At.Before(reviews[i-1].At) {
					t.Errorf("review %d = %+v; want a person's, with its time, not before the one above", i, r)
				}
			}
			check(t, "Reviews", got, []string{"alice changes_requested " + pr.HeadSHA, "bob commented " + pr.HeadSHA, "alice approved " + second})
		}},
		{"a dismissed review says so", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			pr := s.propose(t, bot)
			h.Review(t, s.id, "alice", pr.Number, forge.Approved)
			h.Review(t, s.id, "alice", pr.Number, forge.Dismissed)
			reviews, err := s.forge.Reviews(t.Context(), s.repo, pr.Number)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range reviews {
				if r.State == forge.Approved {
					t.Errorf("Reviews = %+v; want no approval left", reviews)
				}
			}
		}},
		{"more than a hundred reviews are all listed", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			pr := s.propose(t, bot)
			for range 102 {
				h.Review(t, s.id, "alice", pr.Number, forge.Commented)
			}
			h.Review(t, s.id, "alice", pr.Number, forge.Approved)
			reviews, err := s.forge.Reviews(t.Context(), s.repo, pr.Number)
			if err != nil || len(reviews) != 103 {
				t.Fatalf("Reviews: %d, %v; want 103", len(reviews), err)
			}
			check(t, "the last", reviews[102].State, forge.Approved)
		}},
		{"the touched paths are listed, old and new names alike", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			text := strings.Repeat("a line that git knows again after a rename\n", 20)
			h.Commit(t, s.id, "main", map[string]string{"old.yaml": text, "changed.yaml": "1\n", "deleted.yaml": "1\n", "left.yaml": "1\n"})
			h.Commit(t, s.id, bot, map[string]string{"old.yaml": "", "new.yaml": text, "changed.yaml": "2\n", "deleted.yaml": "", "added/ö.yaml": "1\n"})
			h.Commit(t, s.id, "main", map[string]string{"elsewhere.yaml": "1\n"})
			pr := s.open(t, bot)
			paths, more, err := s.forge.ChangedFiles(t.Context(), s.repo, pr.Number, 3000)
			if err != nil {
				t.Fatal(err)
			}
			slices.Sort(paths)
			check(t, "ChangedFiles", paths, []string{"added/ö.yaml", "changed.yaml", "deleted.yaml", "new.yaml", "old.yaml"})
			check(t, "more", more, false)
		}},
		{"more than a hundred touched paths are all listed, up to the limit", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			files := map[string]string{}
			for i := range 103 {
				files[fmt.Sprintf("apps/%03d.yaml", i)] = fmt.Sprintf("%d\n", i)
			}
			h.Commit(t, s.id, bot, files)
			pr := s.open(t, bot)
			for _, tc := range []struct {
				limit, want int
				more        bool
			}{{3000, 103, false}, {103, 103, false}, {102, 102, true}, {7, 7, true}} {
				paths, more, err := s.forge.ChangedFiles(t.Context(), s.repo, pr.Number, tc.limit)
				if err != nil || len(paths) != tc.want || more != tc.more {
					t.Errorf("ChangedFiles(limit %d) = %d paths, %v, %v; want %d, %v", tc.limit, len(paths), more, err, tc.want, tc.more)
				}
			}
		}},
		{"a change is seen in the time of the last change", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			pr := s.propose(t, bot)
			s.edit(t, pr.Number, forge.Edit{Title: pointer("later")})
			if got := s.read(t, pr.Number).UpdatedAt; got.Before(pr.UpdatedAt.Truncate(time.Second)) {
				t.Errorf("UpdatedAt = %v; want not before %v", got, pr.UpdatedAt)
			}
		}},
	}
}
