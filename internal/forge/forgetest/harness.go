package forgetest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
)

// Harness puts one fresh, empty forge into a state, as people, pipelines and administrators would. Every method either does what it
// says before it returns or ends the test; none of it goes through the forge.Forge under test, except that a harness over a real
// adapter may read with it. Repositories are meant by their id, pull requests by their number.
type Harness interface {
	// Forge is what is under test. The same one for the harness's whole life.
	Forge() forge.Forge
	// Settle waits until the forge has done what it does in the background, such as finding out whether pull requests conflict.
	Settle(t testing.TB)

	// CreateRepository makes a repository acme/NAME that the bot is let into, with one commit on branch main.
	CreateRepository(t testing.TB, name string) forge.RepoID
	// Rename gives a repository another name, acme/NAME.
	Rename(t testing.TB, repo forge.RepoID, name string)
	// SetDefaultBranch makes an existing branch the default.
	SetDefaultBranch(t testing.TB, repo forge.RepoID, branch string)
	// Archive makes a repository read-only.
	Archive(t testing.TB, repo forge.RepoID)
	// RemoveBot takes the bot out of this one repository.
	RemoveBot(t testing.TB, repo forge.RepoID)
	// Uninstall takes the bot out of all repositories.
	Uninstall(t testing.TB)
	// Limit makes the forge refuse every request from now on, asking to wait for so long; 0: without saying for how long.
	Limit(t testing.TB, after time.Duration)
	// Permit gives a person a permission in a repository; a person unknown so far is made.
	Permit(t testing.TB, repo forge.RepoID, login string, permission forge.Permission)

	// Commit puts a commit with changed files on a branch and returns the branch's head. A missing branch is made from the default
	// branch; without files there is no commit. An empty content deletes the file.
	Commit(t testing.TB, repo forge.RepoID, branch string, files map[string]string) string
	// CommitAs does the same as a person, who may write.
	CommitAs(t testing.TB, repo forge.RepoID, login, branch string, files map[string]string) string
	// BranchHead tells where a branch is.
	BranchHead(t testing.TB, repo forge.RepoID, branch string) (sha string, ok bool)

	// OpenPullRequest, and what follows, is done by a person: someone permitted before, who is not the bot.
	OpenPullRequest(t testing.TB, repo forge.RepoID, login, head, base string) (number int)
	ClosePullRequest(t testing.TB, repo forge.RepoID, login string, number int)
	ReopenPullRequest(t testing.TB, repo forge.RepoID, login string, number int)
	MergePullRequest(t testing.TB, repo forge.RepoID, login string, number int)
	// Review submits a review of the present head; Dismissed dismisses the person's latest decision.
	Review(t testing.TB, repo forge.RepoID, login string, number int, state forge.ReviewState)
	// Comment writes a comment.
	Comment(t testing.TB, repo forge.RepoID, login string, number int, body string)

	// Team gives a team, acme/NAME, its members, and lets it into the repository.
	Team(t testing.TB, repo forge.RepoID, team string, members ...string)
	// Requested tells who is asked to review a pull request and has not: users, and teams as acme/NAME, sorted.
	Requested(t testing.TB, repo forge.RepoID, number int) []string

	// Comments returns the comments of a pull request as they are stored, oldest first; Author.Self marks the bot's.
	Comments(t testing.TB, repo forge.RepoID, number int) []Comment
	// Checks returns the checks that a commit shows.
	Checks(t testing.TB, repo forge.RepoID, sha string) []forge.Check

	// Deploy begins a deployment of a commit to an environment; it runs. It returns the deployment's id.
	Deploy(t testing.TB, repo forge.RepoID, environment, sha string) int64
	// FinishDeployment ends it as RolloutSucceeded or RolloutFailed.
	FinishDeployment(t testing.TB, repo forge.RepoID, id int64, state forge.RolloutState)

	// StartRun begins a run of a workflow for a commit, as a push to the branch does; it runs. It returns the run's id.
	StartRun(t testing.TB, repo forge.RepoID, workflow, branch, sha string) int64
	// FinishRun ends it as RolloutSucceeded or RolloutFailed. A run that has ended is run again, and then ends so.
	FinishRun(t testing.TB, repo forge.RepoID, id int64, state forge.RolloutState)
	// Report sets a status of a commit as a person does, StatusPending, StatusSuccess or StatusFailure; ReportCheck reports a run of a check
	// as another App does, in any state.
	Report(t testing.TB, repo forge.RepoID, sha, login, name string, state forge.StatusState)
	ReportCheck(t testing.TB, repo forge.RepoID, sha, app, name string, state forge.StatusState)
}

// Contract proves every promise of package forge, each in a subtest named after it, and each with a harness of its own.
func Contract(t *testing.T, newHarness func(t testing.TB) Harness) {
	t.Helper()
	ContractAbout(t, newHarness, "")
}

// ContractAbout proves the promises in whose names a word is.
func ContractAbout(t *testing.T, newHarness func(t testing.TB) Harness, word string) {
	t.Helper()
	for _, p := range allPromises() {
		if !strings.Contains(p.name, word) {
			continue
		}
		t.Run(p.name, func(t *testing.T) { p.prove(t, newHarness(t)) })
	}
}

func allPromises() []promise {
	return slices.Concat(
		repositoryPromises(), pullRequestPromises(), lagPromises(), mergePromises(), checkPromises(), sourcePromises(), evidencePromises(),
		commitPromises(), peoplePromises(), queuePromises(), limitPromises(), httpPromises(), tokenPromises(),
	)
}

type promise struct {
	name  string
	prove func(t *testing.T, h Harness)
}
