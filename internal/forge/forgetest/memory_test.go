package forgetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
)

// opened is a Memory with one repository and the bot's pull request 1 in it.
func opened(t *testing.T, options Options) (*Memory, forge.Repository) {
	t.Helper()
	m := NewMemory(options)
	repo := m.AddRepository(forge.Repository{FullName: "acme/infra"})
	m.Commit(repo.ID, bot, map[string]string{"a.yaml": "1\n"})
	if _, err := m.CreatePullRequest(t.Context(), repo, forge.NewPullRequest{Head: bot, Base: "main", Title: "t"}); err != nil {
		t.Fatal(err)
	}
	m.ForgetCalls()
	return m, repo
}

var errBroken = errors.New("broken")

func TestFaultsStrikeTheCallsTheyAreMeantFor(t *testing.T) {
	m, repo := opened(t, Options{})
	other := m.AddRepository(forge.Repository{FullName: "acme/other"})
	list := func(r forge.Repository) bool {
		_, err := m.OpenPullRequests(t.Context(), r, "main")
		if err != nil && !errors.Is(err, errBroken) {
			t.Fatal(err)
		}
		return err == nil
	}
	label := func() bool { return m.AddLabels(t.Context(), repo, 1, []string{"x"}) == nil }
	for _, tc := range []struct {
		name  string
		fault Fault
		call  func() bool
		want  string // of eight calls
	}{
		{"each", Fault{}, func() bool { return list(repo) }, "xxxxxxxx"},
		{"the next three", Fault{Times: 3}, func() bool { return list(repo) }, "xxx....."},
		{"every third", Fault{Every: 3}, func() bool { return list(repo) }, "..x..x.."},
		{"every third, twice, after two", Fault{Every: 3, Times: 1, Skip: 2}, func() bool { return list(repo) }, "....x..."},
		{"another method", Fault{Method: "Merge"}, func() bool { return list(repo) }, "........"},
		{"this method", Fault{Method: "AddLabels", Times: 2}, label, "xx......"},
		{"another repository", Fault{Repo: repo.ID}, func() bool { return list(other) }, "........"},
		{"writes, and this is one", Fault{WritesOnly: true, Times: 1}, label, "x......."},
		{"writes, and this is none", Fault{WritesOnly: true}, func() bool { return list(repo) }, "........"},
	} {
		m.ClearFaults()
		tc.fault.Err = errBroken
		m.Inject(tc.fault)
		var got strings.Builder
		for range 8 {
			got.WriteString(map[bool]string{true: ".", false: "x"}[tc.call()])
		}
		check(t, tc.name, got.String(), tc.want)
	}
}

func TestACallCanTakeEffectAndFail(t *testing.T) {
	m, repo := opened(t, Options{})
	m.Inject(Fault{Method: "Merge", Err: errBroken, Times: 1, After: true})
	sha := m.All(repo.ID)[0].HeadSHA
	if got, err := m.Merge(t.Context(), repo, 1, sha, "merge"); !errors.Is(err, errBroken) || got != "" {
		t.Errorf("Merge = %q, %v; want nothing and the fault", got, err)
	}
	check(t, "state", m.All(repo.ID)[0].State, forge.Merged)
}

func TestListsCanLagByOneChange(t *testing.T) {
	m, repo := opened(t, Options{})
	states := func() string {
		t.Helper()
		list, err := m.PullRequestsOf(t.Context(), repo, bot)
		if err != nil {
			t.Fatal(err)
		}
		reviews, err := m.Reviews(t.Context(), repo, 1)
		if err != nil {
			t.Fatal(err)
		}
		runs, err := m.Deployments(t.Context(), repo, "production", 10)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%s, %d reviews, %d runs", list[0].State, len(reviews), len(runs))
	}
	m.Lag(true)
	alice := m.Person("alice")
	must(t, alice.Review(repo.ID, 1, forge.Approved))
	check(t, "after the review", states(), "open, 0 reviews, 0 runs")
	must(t, alice.Close(repo.ID, 1))
	check(t, "after the closing", states(), "open, 1 reviews, 0 runs")
	m.Deploy(repo.ID, "production", "abc")
	check(t, "after the deployment", states(), "closed, 1 reviews, 0 runs")
	if pr, err := m.PullRequest(t.Context(), repo, 1); err != nil || pr.State != forge.Closed {
		t.Errorf("PullRequest = %v, %v; want it closed, as single reads do not lag", pr.State, err)
	}
	m.Lag(false)
	check(t, "caught up", states(), "closed, 1 reviews, 1 runs")
}

func TestADuplicateIsRefusedEvenWhereListsLag(t *testing.T) {
	m := NewMemory(Options{})
	repo := m.AddRepository(forge.Repository{FullName: "acme/infra"})
	m.Commit(repo.ID, bot, map[string]string{"a.yaml": "1\n"})
	m.Lag(true)
	pr := forge.NewPullRequest{Head: bot, Base: "main", Title: "t"}
	if _, err := m.CreatePullRequest(t.Context(), repo, pr); err != nil {
		t.Fatal(err)
	}
	if list, err := m.PullRequestsOf(t.Context(), repo, bot); err != nil || len(list) != 0 {
		t.Errorf("PullRequestsOf = %v, %v; want nothing yet", list, err)
	}
	_, err := m.CreatePullRequest(t.Context(), repo, pr)
	checkError(t, "CreatePullRequest", err, forge.ErrExists)
}

func TestCallsAreRecordedWithWhatTheyReturned(t *testing.T) {
	m, repo := opened(t, Options{})
	_, _ = m.Merge(t.Context(), repo, 1, "old", "merge")
	_, _ = m.Repository(t.Context(), repo.ID)
	_ = m.Person("alice").Close(repo.ID, 1) // not the bot's
	calls := m.Calls()
	if len(calls) != 2 || !calls[0].Write || calls[1].Write || !errors.Is(calls[0].Err, forge.ErrStale) || calls[1].Err != nil {
		t.Errorf("Calls = %v; want a refused merge and a read", calls)
	}
	check(t, "a line", calls[0].String(), "Merge repo=1001 number=1 old -> "+calls[0].Err.Error())
}

func TestPeopleAndMachinesAreToldApart(t *testing.T) {
	m, repo := opened(t, Options{})
	must(t, m.Machine("stale[bot]").Close(repo.ID, 1))
	check(t, "closed by", m.All(repo.ID)[0].ClosedBy, forge.Actor{Login: "stale[bot]", Bot: true})
	must(t, m.Person("alice").Reopen(repo.ID, 1))
	must(t, m.Person("alice").Edit(repo.ID, 1, func(pr *forge.PullRequest) { pr.Title, pr.Draft = "mine", true }))
	pr := m.All(repo.ID)[0]
	check(t, "edited", fmt.Sprint(pr.Title, pr.Draft, pr.State), fmt.Sprint("mine", true, forge.Open))
	if _, err := m.Merge(t.Context(), repo, 1, pr.HeadSHA, "merge"); !errors.Is(err, forge.ErrNotMergeable) {
		t.Errorf("Merge of a draft: error %v; want ErrNotMergeable", err)
	}
	if err := m.Person("bob").Review(repo.ID, 1, forge.Dismissed); !errors.Is(err, forge.ErrNotFound) {
		t.Errorf("dismissing what is not there: error %v; want ErrNotFound", err)
	}
}

func TestADeletedBranchClosesItsPullRequestAndKeepsItClosed(t *testing.T) {
	m, repo := opened(t, Options{})
	must(t, m.Person("alice").DeleteBranch(repo.ID, bot))
	pr := m.All(repo.ID)[0]
	check(t, "closed by", fmt.Sprint(pr.State, pr.ClosedBy.Login), fmt.Sprint(forge.Closed, "alice"))
	open := forge.Open
	_, err := m.EditPullRequest(t.Context(), repo, 1, forge.Edit{State: &open})
	checkError(t, "reopening without a branch", err, forge.ErrRefused)
	m.SetBranch(repo.ID, bot, strings.Repeat("d", 40))
	if pr, err := m.EditPullRequest(t.Context(), repo, 1, forge.Edit{State: &open}); err != nil || pr.HeadSHA != strings.Repeat("d", 40) {
		t.Errorf("reopening with the branch again = %+v, %v", pr, err)
	}
}

func TestHooksTakeTheBranchesOver(t *testing.T) {
	var m *Memory
	heads := map[string]string{"main": "base1", bot: "head1"}
	m = NewMemory(Options{
		Clock:      func() time.Time { return time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC) },
		BranchHead: func(_ forge.RepoID, branch string) (string, bool) { sha, ok := heads[branch]; return sha, ok },
		Compare: func(_ forge.RepoID, base, head string) Comparison {
			return Comparison{Files: []string{base + ".." + head}, Conflict: head == "clash", Empty: head == "merged"}
		},
		OnMerge: func(repo forge.RepoID, pr forge.PullRequest) (string, error) {
			if pr.HeadSHA == "head3" {
				return "", errBroken
			}
			heads["main"] = "base2"
			check(t, "Memory may be called from OnMerge", len(m.All(repo)), 1)
			return "base2", nil
		},
		OnDeleteBranch: func(_ forge.RepoID, branch string) error { delete(heads, branch); return nil },
	})
	repo := m.AddRepository(forge.Repository{FullName: "acme/infra"})
	heads[bot] = "merged"
	_, err := m.CreatePullRequest(t.Context(), repo, forge.NewPullRequest{Head: bot, Base: "main"})
	checkError(t, "CreatePullRequest", err, forge.ErrEmpty)
	heads[bot] = "head1"
	pr, err := m.CreatePullRequest(t.Context(), repo, forge.NewPullRequest{Head: bot, Base: "main"})
	if err != nil {
		t.Fatal(err)
	}
	heads[bot] = "clash"
	pr, _ = m.PullRequest(t.Context(), repo, pr.Number)
	check(t, "follows", pr.HeadSHA+" "+string(pr.Mergeability), "clash conflicting")
	heads[bot] = "head3"
	_, err = m.Merge(t.Context(), repo, 1, "head3", "merge")
	checkError(t, "Merge", err, errBroken)
	check(t, "state after a merge that failed", m.All(repo.ID)[0].State, forge.Open)
	heads[bot] = "head4"
	sha, err := m.Merge(t.Context(), repo, 1, "head4", "merge")
	check(t, "Merge", fmt.Sprint(sha, err), "base2<nil>")
	must(t, m.DeleteBranch(t.Context(), repo, bot))
	check(t, "branches", len(heads), 1)
	heads[bot] = "head5"
	if _, err := m.CreatePullRequest(t.Context(), repo, forge.NewPullRequest{Head: bot, Base: "main"}); err != nil {
		t.Fatal(err)
	}
	delete(heads, bot) // deleted by git, nobody knows by whom
	check(t, "closed by", m.All(repo.ID)[1].ClosedBy, forge.Actor{})
	check(t, "state", m.All(repo.ID)[1].State, forge.Closed)
}

func TestPinnedFactsWin(t *testing.T) {
	m, repo := opened(t, Options{})
	m.SetMergeability(repo.ID, 1, forge.MergeUnknown)
	m.SetChangedFiles(repo.ID, 1, "x", "y")
	pr, _ := m.PullRequest(t.Context(), repo, 1)
	paths, more, _ := m.ChangedFiles(t.Context(), repo, 1, 1)
	check(t, "pinned", fmt.Sprint(pr.Mergeability == forge.MergeUnknown, paths, more), "true [x] true")
}

func TestAnArchivedRepositoryIsReadable(t *testing.T) {
	m, repo := opened(t, Options{})
	repo.Archived = true
	m.SetRepository(repo)
	if _, err := m.PullRequest(t.Context(), repo, 1); err != nil {
		t.Errorf("PullRequest: %v", err)
	}
	checkError(t, "AddLabels", m.AddLabels(t.Context(), repo, 1, []string{"x"}), forge.ErrForbidden)
}

func TestMemoryMayBeUsedByManyAtOnce(t *testing.T) {
	m, repo := opened(t, Options{})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			branch := fmt.Sprintf("boatlift/b%d", i)
			m.Commit(repo.ID, branch, map[string]string{branch: "1\n"})
			for range 5 {
				_, err := m.CreatePullRequest(t.Context(), repo, forge.NewPullRequest{Head: branch, Base: "main"})
				if err != nil && !errors.Is(err, forge.ErrExists) {
					t.Error(err)
				}
				_, _ = m.OpenPullRequests(t.Context(), repo, "main")
			}
		})
	}
	wg.Wait()
	list, err := m.OpenPullRequests(t.Context(), repo, "main")
	if err != nil || len(list) != 9 || !slices.IsSortedFunc(list, func(a, b forge.PullRequest) int { return a.Number - b.Number }) {
		t.Errorf("OpenPullRequests = %d, %v; want nine, oldest first", len(list), err)
	}
}
