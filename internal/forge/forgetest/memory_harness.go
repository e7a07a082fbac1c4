package forgetest

import (
	"errors"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
)

// NewMemoryHarness puts a Memory through the contract.
func NewMemoryHarness() Harness {
	return memoryHarness{Memory: NewMemory(Options{}), LeftOut: &LeftOut{}}
}

// memoryHarness drives a Memory. It has no HTTP, no tokens and no git.
type memoryHarness struct {
	*Memory
	*LeftOut
}

var (
	_ Protector   = memoryHarness{}
	_ Lagger      = memoryHarness{}
	_ AnswerLoser = memoryHarness{}
)

func (h memoryHarness) Forge() forge.Forge { return h.Memory }
func (memoryHarness) Settle(testing.TB)    {}

func (h memoryHarness) CreateRepository(_ testing.TB, name string) forge.RepoID {
	return h.AddRepository(forge.Repository{FullName: "acme/" + name}).ID
}

func (h memoryHarness) change(t testing.TB, id forge.RepoID, f func(*forge.Repository)) {
	t.Helper()
	repo, err := h.Repository(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	f(&repo)
	h.SetRepository(repo)
}

func (h memoryHarness) Rename(t testing.TB, repo forge.RepoID, name string) {
	h.change(t, repo, func(r *forge.Repository) { r.FullName = "acme/" + name })
}

func (h memoryHarness) SetDefaultBranch(t testing.TB, repo forge.RepoID, branch string) {
	h.change(t, repo, func(r *forge.Repository) { r.DefaultBranch = branch })
}

func (h memoryHarness) Archive(t testing.TB, repo forge.RepoID) {
	h.change(t, repo, func(r *forge.Repository) { r.Archived = true })
}
func (h memoryHarness) RemoveBot(_ testing.TB, repo forge.RepoID) { h.Remove(repo, true) }
func (h memoryHarness) Uninstall(testing.TB)                      { h.Suspend(1, true) }

func (h memoryHarness) Limit(_ testing.TB, after time.Duration) {
	if after == 0 {
		after = time.Minute
	}
	h.Inject(Fault{Err: &forge.LimitError{After: after, Cause: errors.New("too many requests")}})
}

func (h memoryHarness) Lag(_ testing.TB, on bool) { h.Memory.Lag(on) }

func (h memoryHarness) LoseAnswer(_ testing.TB, repo forge.RepoID) {
	h.Inject(Fault{Method: "CreatePullRequest", Repo: repo, Err: errors.New("the connection broke"), Times: 1, After: true})
}

func (h memoryHarness) Permit(_ testing.TB, repo forge.RepoID, login string, permission forge.Permission) {
	h.Memory.Permit(repo, login, permission)
}

func (h memoryHarness) Commit(_ testing.TB, repo forge.RepoID, branch string, files map[string]string) string {
	return h.Memory.Commit(repo, branch, files)
}

func (h memoryHarness) BranchHead(_ testing.TB, repo forge.RepoID, branch string) (string, bool) {
	return h.Branch(repo, branch)
}

func (h memoryHarness) OpenPullRequest(t testing.TB, repo forge.RepoID, login, head, base string) int {
	number, err := h.Person(login).Open(repo, forge.NewPullRequest{Head: head, Base: base, Title: "by " + login})
	must(t, err)
	return number
}

func (h memoryHarness) ClosePullRequest(t testing.TB, repo forge.RepoID, login string, number int) {
	must(t, h.Person(login).Close(repo, number))
}

func (h memoryHarness) ReopenPullRequest(t testing.TB, repo forge.RepoID, login string, number int) {
	must(t, h.Person(login).Reopen(repo, number))
}

func (h memoryHarness) MergePullRequest(t testing.TB, repo forge.RepoID, login string, number int) {
	_, err := h.Person(login).Merge(repo, number)
	must(t, err)
}

func (h memoryHarness) Review(t testing.TB, repo forge.RepoID, login string, number int, state forge.ReviewState) {
	must(t, h.Person(login).Review(repo, number, state))
}

func (h memoryHarness) Comment(t testing.TB, repo forge.RepoID, login string, number int, body string) {
	must(t, h.Person(login).Comment(repo, number, body))
}

func (h memoryHarness) Comments(_ testing.TB, repo forge.RepoID, number int) []Comment {
	return h.Memory.Comments(repo, number)
}

func (h memoryHarness) Checks(_ testing.TB, repo forge.RepoID, sha string) []forge.Check {
	return h.Memory.Checks(repo, sha)
}

func (h memoryHarness) Deploy(_ testing.TB, repo forge.RepoID, environment, sha string) int64 {
	return h.Memory.Deploy(repo, environment, sha)
}

func (h memoryHarness) FinishDeployment(_ testing.TB, repo forge.RepoID, id int64, state forge.RolloutState) {
	h.SetDeployment(repo, id, state)
}

func (h memoryHarness) StartRun(_ testing.TB, repo forge.RepoID, workflow, branch, sha string) int64 {
	return h.Memory.StartRun(repo, workflow, branch, sha)
}

func (h memoryHarness) FinishRun(_ testing.TB, repo forge.RepoID, id int64, state forge.RolloutState) {
	h.SetRun(repo, id, state)
}

func (h memoryHarness) Report(_ testing.TB, repo forge.RepoID, sha, login, name string, state forge.StatusState) {
	h.Memory.Report(repo, sha, forge.Status{Name: name, State: state, By: forge.Actor{Login: login}})
}

func (h memoryHarness) ReportCheck(_ testing.TB, repo forge.RepoID, sha, app, name string, state forge.StatusState) {
	h.Memory.Report(repo, sha, forge.Status{Name: name, State: state, By: forge.Actor{Login: app, Bot: true}})
}

func (h memoryHarness) RequireCheck(_ testing.TB, repo forge.RepoID, branch, name string) {
	h.Memory.RequireCheck(repo, branch, name)
}

func (h memoryHarness) CommitAs(_ testing.TB, repo forge.RepoID, login, branch string, files map[string]string) string {
	return h.Person(login).Push(repo, branch, files)
}

func (h memoryHarness) Team(_ testing.TB, _ forge.RepoID, team string, members ...string) {
	h.SetTeam(team, members...)
}

func (h memoryHarness) Requested(_ testing.TB, repo forge.RepoID, number int) []string {
	return h.Memory.Requested(repo, number)
}

func (h memoryHarness) RequireQueue(t testing.TB, repo forge.RepoID, branch, name string) {
	h.RequireCheck(t, repo, branch, name)
	h.SetQueue(repo, branch)
}

func (h memoryHarness) Enqueue(t testing.TB, repo forge.RepoID, login string, number int) {
	if _, err := h.Person(login).Merge(repo, number); !errors.Is(err, forge.ErrQueued) {
		t.Fatalf("%s merges #%d: %v; want it queued", login, number, err)
	}
}

func (h memoryHarness) Dequeue(t testing.TB, repo forge.RepoID, login string, number int) {
	must(t, h.Person(login).Dequeue(repo, number))
}

func (h memoryHarness) Process(_ testing.TB, repo forge.RepoID, branch string) {
	h.ProcessQueue(repo, branch)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
