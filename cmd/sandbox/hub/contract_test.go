package hub_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/boatlift/boatlift/cmd/sandbox/hub"
	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/forgetest"
	"github.com/boatlift/boatlift/internal/forge/github"
)

// TestContractThroughTheAdapter proves two things at once: that the bot's GitHub adapter keeps the promises of package forge against
// something that speaks HTTP and git, and that this sandbox is enough of a GitHub for it.
func TestContractThroughTheAdapter(t *testing.T) {
	for name, opts := range map[string]hub.Options{"enterprise under a prefix, long tokens": {PathPrefix: "/ghes", LongTokens: true}} {
		t.Run(name, func(t *testing.T) {
			forgetest.Contract(t, func(t testing.TB) forgetest.Harness { return queuing{newHarness(t, opts)} })
		})
	}
}

// TestPromises is the whole contract side by side: a forge in memory, GitHub's cloud through its adapter, and GitLab's free edition through
// its own. With -v it prints what became of each promise.
func TestPromises(t *testing.T) {
	out := io.Discard
	if testing.Verbose() {
		out = os.Stdout
	}
	forgetest.Promises(t, out,
		forgetest.Column{Name: "memory", New: func(testing.TB) forgetest.Harness { return forgetest.NewMemoryHarness() }},
		forgetest.Column{Name: "GitHub", New: func(t testing.TB) forgetest.Harness { return queuing{newHarness(t, hub.Options{})} }},
		forgetest.Column{Name: "GitLab", New: func(t testing.TB) forgetest.Harness { return newGitLabHarness(t, hub.Options{GitLab: hub.Free}) }},
	)
}

// harness drives a sandbox for the contract; the forge under test is the bot's adapter.
type harness struct {
	*forgetest.LeftOut
	hub    *hub.Hub
	forge  forge.Forge
	github *github.Forge // the same, where it is this one
}

// queuing is a harness whose forge has merge queues.
type queuing struct{ *harness }

// Nothing of the contract is left out over HTTP.
var (
	_ forgetest.Protector   = (*harness)(nil)
	_ forgetest.Lagger      = (*harness)(nil)
	_ forgetest.AnswerLoser = (*harness)(nil)
	_ forgetest.HTTPLimiter = (*harness)(nil)
	_ forgetest.TokenKeeper = (*harness)(nil)
	_ forgetest.GitServer   = (*harness)(nil)
	_ forgetest.Queuer      = queuing{}
)

func newHarness(t testing.TB, opts hub.Options) *harness {
	t.Helper()
	opts.Dir = t.TempDir()
	listen(t, &opts, true)
	var err error
	opts.Key, err = appKey()
	must(t, err)
	running, err := hub.Start(opts)
	must(t, err)
	return withAdapter(t, running, github.Options{AppID: running.AppID(), PrivateKey: github.Fixed(running.AppKeyPEM())})
}

func withAdapter(t testing.TB, running *hub.Hub, opts github.Options) *harness {
	t.Helper()
	opts.BaseURL, opts.WebhookSecrets = running.APIURL(), func() [][]byte { return [][]byte{[]byte("hook-secret")} }
	adapter, err := github.New(opts)
	must(t, err)
	t.Cleanup(func() {
		adapter.Close()
		if err := running.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return &harness{LeftOut: &forgetest.LeftOut{}, hub: running, forge: adapter, github: adapter}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (h *harness) name(t testing.TB, id forge.RepoID) string {
	t.Helper()
	for _, info := range h.hub.Repos() {
		if info.ID == int64(id) {
			return info.FullName
		}
	}
	t.Fatalf("there is no repository %d", id)
	return ""
}

func (h *harness) Forge() forge.Forge { return h.forge }

func (h *harness) Settle(t testing.TB) { must(t, h.hub.Idle(t.Context())) }

func (h *harness) CreateRepository(t testing.TB, name string) forge.RepoID {
	info, err := h.hub.CreateRepo(t.Context(), "acme/"+name, hub.RepoOptions{Author: "founder"})
	must(t, err)
	return forge.RepoID(info.ID)
}

func (h *harness) Rename(t testing.TB, repo forge.RepoID, name string) {
	must(t, h.hub.Rename(h.name(t, repo), name))
}

func (h *harness) SetDefaultBranch(t testing.TB, repo forge.RepoID, branch string) {
	must(t, h.hub.SetDefaultBranch(h.name(t, repo), branch))
}

func (h *harness) Archive(t testing.TB, repo forge.RepoID) {
	must(t, h.hub.SetArchived(h.name(t, repo), true))
}

func (h *harness) RemoveBot(t testing.TB, repo forge.RepoID) {
	must(t, h.hub.RemoveFromInstallation(h.name(t, repo)))
}

func (h *harness) Uninstall(t testing.TB) { must(t, h.hub.Uninstall("acme")) }

func (h *harness) Limit(_ testing.TB, after time.Duration) {
	h.hub.SetFaults(hub.Faults{LimitEvery: 1, LimitStatus: http.StatusTooManyRequests, RetryAfter: after})
}

func (h *harness) LimitHTTP(_ testing.TB, status int, primary bool, after time.Duration) {
	kind := "secondary"
	if primary {
		kind = "primary"
	}
	h.hub.SetFaults(hub.Faults{LimitEvery: 1, LimitStatus: status, LimitKind: kind, RetryAfter: after})
}

func (h *harness) Lag(_ testing.TB, on bool) {
	faults := hub.Faults{}
	if on {
		faults.ListLag = time.Hour
	}
	h.hub.SetFaults(faults)
}

func (h *harness) LoseAnswer(t testing.TB, repo forge.RepoID) {
	h.hub.SetFaults(hub.Faults{Match: h.opening(t, repo), ErrorEvery: 1, ErrorAfter: true, Times: 1})
}

func (h *harness) RevokeTokens(testing.TB) { h.hub.RevokeTokens() }

func (h *harness) LongTokens(testing.TB) { h.hub.SetLongTokens(true) }

func (h *harness) ListRefs(t testing.TB, repo forge.Repository, auth forge.GitAuth) error {
	address, err := url.Parse(repo.CloneURL)
	must(t, err)
	address.User = url.UserPassword(auth.Username, auth.Password)
	cmd := exec.CommandContext(t.Context(), "git", "-c", "credential.helper=", "ls-remote", "--heads", address.String())
	cmd.Env = append(os.Environ(), "GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1")
	out, err := cmd.CombinedOutput()
	if err == nil && !strings.Contains(string(out), "refs/heads/main") {
		err = fmt.Errorf("git lists %q", out)
	}
	return err
}

func (h *harness) Permit(t testing.TB, repo forge.RepoID, login string, permission forge.Permission) {
	must(t, h.hub.SetPermission(h.name(t, repo), login, hub.Permission(permission)))
}

func (h *harness) Commit(t testing.TB, repo forge.RepoID, branch string, files map[string]string) string {
	changed := map[string][]byte{}
	for path, content := range files {
		changed[path] = nil
		if content != "" {
			changed[path] = []byte(content)
		}
	}
	sha, err := h.hub.Push(t.Context(), h.name(t, repo), hub.Commit{Person: "founder", Branch: branch, Message: "change", Files: changed})
	must(t, err)
	return sha
}

func (h *harness) CommitAs(t testing.TB, repo forge.RepoID, login, branch string, files map[string]string) string {
	changed := map[string][]byte{}
	for path, content := range files {
		changed[path] = []byte(content)
	}
	sha, err := h.hub.Push(t.Context(), h.name(t, repo), hub.Commit{Person: login, Branch: branch, Message: "change", Files: changed})
	must(t, err)
	return sha
}

func (h *harness) Team(_ testing.TB, _ forge.RepoID, team string, members ...string) {
	h.hub.SetTeam(team, members...)
}

func (h *harness) Requested(t testing.TB, repo forge.RepoID, number int) []string {
	asked, err := h.hub.Requested(h.name(t, repo), number)
	must(t, err)
	return asked
}

func (h *harness) BranchHead(t testing.TB, repo forge.RepoID, branch string) (string, bool) {
	sha, err := h.hub.Head(h.name(t, repo), branch)
	must(t, err)
	return sha, sha != ""
}

func (h *harness) OpenPullRequest(t testing.TB, repo forge.RepoID, login, head, base string) int {
	number, err := h.hub.OpenPull(t.Context(), h.name(t, repo), hub.NewPull{Person: login, Title: "by " + login, Head: head, Base: base})
	must(t, err)
	return number
}

func (h *harness) ClosePullRequest(t testing.TB, repo forge.RepoID, login string, number int) {
	must(t, h.hub.ClosePull(t.Context(), h.name(t, repo), number, login))
}

func (h *harness) ReopenPullRequest(t testing.TB, repo forge.RepoID, login string, number int) {
	must(t, h.hub.ReopenPull(t.Context(), h.name(t, repo), number, login))
}

func (h *harness) MergePullRequest(t testing.TB, repo forge.RepoID, login string, number int) {
	_, err := h.hub.MergePull(t.Context(), h.name(t, repo), number, login, "merge", "")
	must(t, err)
}

func (h *harness) Review(t testing.TB, repo forge.RepoID, login string, number int, state forge.ReviewState) {
	name := h.name(t, repo)
	switch state {
	case forge.Approved:
		must(t, h.hub.Review(name, number, login, hub.Approve, ""))
	case forge.ChangesRequested:
		must(t, h.hub.Review(name, number, login, hub.RequestChanges, "please"))
	case forge.Commented:
		must(t, h.hub.Review(name, number, login, hub.JustComment, "hm"))
	case forge.Dismissed:
		must(t, h.hub.Dismiss(name, number, login, "founder"))
	}
}

func (h *harness) Comment(t testing.TB, repo forge.RepoID, login string, number int, body string) {
	must(t, h.hub.Comment(h.name(t, repo), number, login, body))
}

func (h *harness) Comments(t testing.TB, repo forge.RepoID, number int) []forgetest.Comment {
	stored, err := h.hub.Comments(h.name(t, repo), number)
	must(t, err)
	var comments []forgetest.Comment
	for _, c := range stored {
		self := c.Author == h.hub.AppSlug()+"[bot]"
		comments = append(comments, forgetest.Comment{Author: forge.Actor{Login: c.Author, Bot: self, Self: self}, Body: c.Body})
	}
	return comments
}

func (h *harness) Checks(t testing.TB, repo forge.RepoID, sha string) []forge.Check {
	shown, err := h.hub.Checks(h.name(t, repo), sha)
	must(t, err)
	var checks []forge.Check
	for _, c := range shown {
		conclusion := forge.Conclusion(c.Conclusion)
		if c.Conclusion == "" {
			conclusion = forge.Pending
		}
		checks = append(checks, forge.Check{
			HeadSHA: sha, Name: c.Name, ExternalID: c.ExternalID, Conclusion: conclusion, Title: c.Title, Summary: c.Summary, DetailsURL: c.DetailsURL,
		})
	}
	slices.SortFunc(checks, func(a, b forge.Check) int { return strings.Compare(a.Name, b.Name) })
	return checks
}

func (h *harness) Deploy(t testing.TB, repo forge.RepoID, environment, sha string) int64 {
	name := h.name(t, repo)
	id, err := h.hub.Deploy(name, "founder", environment, sha)
	must(t, err)
	must(t, h.hub.SetDeploymentState(name, "founder", id, "in_progress"))
	return id
}

func (h *harness) FinishDeployment(t testing.TB, repo forge.RepoID, id int64, state forge.RolloutState) {
	states := map[forge.RolloutState]string{forge.RolloutSucceeded: "success", forge.RolloutFailed: "failure"}
	must(t, h.hub.SetDeploymentState(h.name(t, repo), "founder", id, states[state]))
}

func (h *harness) RequireCheck(t testing.TB, repo forge.RepoID, _, name string) {
	must(t, h.hub.SetProtection(h.name(t, repo), &hub.Protection{Checks: []hub.RequiredCheck{{Context: name, AppID: h.hub.AppID()}}}))
}

func (h *harness) StartRun(t testing.TB, repo forge.RepoID, workflow, branch, sha string) int64 {
	id, err := h.hub.StartRun(t.Context(), h.name(t, repo), "founder", workflow, branch, sha)
	must(t, err)
	return id
}

func (h *harness) FinishRun(t testing.TB, repo forge.RepoID, id int64, state forge.RolloutState) {
	conclusions := map[forge.RolloutState]string{forge.RolloutSucceeded: "success", forge.RolloutFailed: "failure"}
	must(t, h.hub.FinishRun(h.name(t, repo), "founder", id, conclusions[state]))
}

func (h *harness) Report(t testing.TB, repo forge.RepoID, sha, login, name string, state forge.StatusState) {
	must(t, h.hub.SetStatus(t.Context(), h.name(t, repo), login, hub.Status{SHA: sha, Context: name, State: string(state)}))
}

func (h *harness) ReportCheck(t testing.TB, repo forge.RepoID, sha, app, name string, state forge.StatusState) {
	report := hub.Check{Name: name, Conclusion: string(state)}
	if state == forge.StatusPending {
		report.Status, report.Conclusion = "in_progress", ""
	}
	must(t, h.hub.ReportCheck(h.name(t, repo), app, report, sha))
}

// opening is the call that opens a pull request in a repository.
func (h *harness) opening(t testing.TB, repo forge.RepoID) string {
	if strings.HasSuffix(h.hub.APIURL(), "/api/v4") {
		return fmt.Sprintf("POST /projects/%d/merge_requests", repo)
	}
	return "POST /repos/" + h.name(t, repo) + "/pulls"
}

func (h queuing) RequireQueue(t testing.TB, repo forge.RepoID, _, check string) {
	must(t, h.hub.SetProtection(h.name(t, repo), &hub.Protection{
		Checks: []hub.RequiredCheck{{Context: check, AppID: h.hub.AppID()}}, MergeQueue: true,
	}))
}

func (h queuing) Enqueue(t testing.TB, repo forge.RepoID, login string, number int) {
	must(t, h.hub.EnqueuePull(t.Context(), h.name(t, repo), number, login))
}

func (h queuing) Dequeue(t testing.TB, repo forge.RepoID, login string, number int) {
	must(t, h.hub.DequeuePull(h.name(t, repo), number, login))
}

func (h queuing) Process(t testing.TB, _ forge.RepoID, _ string) { h.Settle(t) }
