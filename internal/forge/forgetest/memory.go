package forgetest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
)

// Memory is a forge in memory. Its zero value is not usable; see [NewMemory].
type Memory struct {
	options Options

	mu          sync.Mutex
	ticks       int // readings of the default clock
	repos       map[forge.RepoID]*repository
	suspended   map[int64]bool // installations that are suspended or uninstalled
	teams       map[string][]string
	deployments int64
	faults      []*fault
	calls       []Call
	lag         bool
}

var (
	_ forge.Forge   = (*Memory)(nil)
	_ forge.Capable = (*Memory)(nil)
)

// Options are what a Memory is made with. All of it may be left out.
type Options struct {
	// Clock tells the time. Left out: one second later at every reading, from a fixed start.
	Clock func() time.Time
	// Self is the bot. Left out: boatlift[bot].
	Self forge.Identity
	// Lacks are capabilities that this forge does not have. DraftGate is one that it only has if it is named in Has.
	Lacks, Has []forge.Capability
	// BranchHead tells where a branch is, in place of Memory's own branches. It must not call Memory.
	BranchHead func(repo forge.RepoID, branch string) (sha string, ok bool)
	// Compare tells what merging head into base, both hashes, would mean, in place of Memory's own history. It must not call Memory.
	Compare func(repo forge.RepoID, base, head string) Comparison
	// OnMerge merges, in place of Memory's own history, and returns the commit that base got. It may call Memory.
	OnMerge func(repo forge.RepoID, pr forge.PullRequest) (mergeSHA string, err error)
	// OnQueue makes the commit that base would get from a pull request in a merge queue, and leaves base where it is. It may call Memory. Needed
	// for queues where BranchHead is given, as is OnAdvance, which gives base that commit.
	OnQueue   func(repo forge.RepoID, pr forge.PullRequest, base string) (sha string, err error)
	OnAdvance func(repo forge.RepoID, branch, sha string)
	// OnDeleteBranch deletes a branch where BranchHead is given. It may call Memory.
	OnDeleteBranch func(repo forge.RepoID, branch string) error
}

type repository struct {
	forge.Repository
	removed     bool // the bot was taken out of it
	history     *history
	people      map[string]forge.Permission
	pulls       []*pull
	listed      []*pull // what lists show while they lag: the pulls before the latest change
	checks      []forge.Check
	deployments []*forge.Deployment
	listedRuns  []*forge.Deployment
	runs        []*run                    // of the repository's workflows
	statuses    map[string][]forge.Status // by commit: what others than the bot report
	required    map[string][]string       // base branch to names of required checks
	queues      []*queue
	pushers     map[string][]string // by branch: the people who pushed to it
}

type pull struct {
	forge.PullRequest
	comments     []Comment
	reviews      []forge.Review
	mergeability *forge.Mergeability // pinned by a test
	files        []string            // pinned by a test
	merging      bool
	requested    []string        // who was asked to review it
	held         bool            // it is a draft until its gate is green
	left         forge.Departure // how it last left a merge queue
}

// Comparison is what merging a head into a base would mean.
type Comparison struct {
	Files    []string // the paths that head changed since it left base, sorted
	Conflict bool
	Empty    bool // head has no commit that base lacks
}

// Comment is what was said on a pull request.
type Comment struct {
	Author forge.Actor
	Key    string // only of the bot's own
	Body   string
}

// LikeGitLab makes a Memory that can do what a GitLab can, where nothing but a draft holds a merge.
func LikeGitLab() Options {
	return Options{
		Lacks: []forge.Capability{forge.CheckText, forge.PinnedCheck, forge.Redelivery, forge.TeamReviewers}, Has: []forge.Capability{forge.DraftGate},
	}
}

// NewMemory returns a forge without repositories.
func NewMemory(options Options) *Memory {
	if options.Self == (forge.Identity{}) {
		options.Self = forge.Identity{
			Login: "boatlift[bot]", Name: "boatlift[bot]",
			Email: "41898282+boatlift[bot]@users.noreply.forge.example",
		}
	}
	return &Memory{options: options, repos: map[forge.RepoID]*repository{}, suspended: map[int64]bool{}, teams: map[string][]string{}}
}

func (m *Memory) nowLocked() time.Time {
	if m.options.Clock != nil {
		return m.options.Clock()
	}
	m.ticks++
	return time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC).Add(time.Duration(m.ticks) * time.Second)
}

// AddRepository adds a repository that the bot was let into, with one commit on its default branch, and returns it as the forge tells it.
// Only FullName is needed; what is left out is made up: an id, branch main, URLs, installation 1, method merge.
func (m *Memory) AddRepository(repo forge.Repository) forge.Repository {
	m.mu.Lock()
	defer m.mu.Unlock()
	if repo.ID == 0 {
		repo.ID = forge.RepoID(1001 + len(m.repos))
	}
	if repo.DefaultBranch == "" {
		repo.DefaultBranch = "main"
	}
	if repo.Installation == 0 {
		repo.Installation = 1
	}
	if repo.MergeMethod == "" {
		repo.MergeMethod = "merge"
	}
	if repo.CloneURL == "" {
		repo.CloneURL = "https://forge.example/" + repo.FullName + ".git"
	}
	if repo.WebURL == "" {
		repo.WebURL = "https://forge.example/" + repo.FullName
	}
	r := &repository{
		Repository: repo, history: newHistory(),
		people: map[string]forge.Permission{}, required: map[string][]string{}, pushers: map[string][]string{}, statuses: map[string][]forge.Status{},
	}
	r.history.edit(repo.DefaultBranch, map[string]string{"README.md": repo.FullName + "\n"})
	m.repos[repo.ID] = r
	return repo
}

// SetRepository changes what the forge tells of a repository: its name, default branch, archived flag, merge method or URLs.
func (m *Memory) SetRepository(repo forge.Repository) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mustLocked(repo.ID).Repository = repo
}

// Permit gives a person a permission in a repository.
func (m *Memory) Permit(repo forge.RepoID, login string, permission forge.Permission) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mustLocked(repo).people[strings.ToLower(login)] = permission
}

// RequireCheck makes the forge refuse merges into the branch until the bot's check of this name is green on the head.
func (m *Memory) RequireCheck(repo forge.RepoID, branch, name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.mustLocked(repo)
	r.required[branch] = append(r.required[branch], name)
}

// Remove takes the bot out of a repository, or lets it in again.
func (m *Memory) Remove(repo forge.RepoID, removed bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mustLocked(repo).removed = removed
}

// Suspend suspends (or uninstalls: the bot sees the same) an installation, or brings it back.
func (m *Memory) Suspend(installation int64, suspended bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.suspended[installation] = suspended
}

// SetBranch points a branch at a commit, as a push of the bot's own does. An unknown commit is one whose files are not known.
func (m *Memory) SetBranch(repo forge.RepoID, branch, sha string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.mustLocked(repo)
	m.changingLocked(r)
	r.history.branches[branch] = sha
	m.syncLocked(r)
}

// Commit puts a commit with changed files on a branch and returns its hash. The branch is made from the default branch where it
// is missing; no files at all then make no commit. An empty content deletes a file.
func (m *Memory) Commit(repo forge.RepoID, branch string, files map[string]string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.mustLocked(repo)
	m.changingLocked(r)
	if _, ok := r.history.branches[branch]; !ok {
		r.history.branches[branch] = r.history.branches[r.DefaultBranch]
	}
	if len(files) > 0 {
		r.history.edit(branch, files)
	}
	m.syncLocked(r)
	return r.history.branches[branch]
}

// Branch tells where a branch is.
func (m *Memory) Branch(repo forge.RepoID, branch string) (sha string, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.headLocked(m.mustLocked(repo), branch)
}

// SetMergeability pins what a pull request says about conflicts, whatever its branches hold.
func (m *Memory) SetMergeability(repo forge.RepoID, number int, mergeability forge.Mergeability) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mustPullLocked(repo, number).mergeability = &mergeability
}

// SetChangedFiles pins which paths a pull request touches, whatever its branches hold.
func (m *Memory) SetChangedFiles(repo forge.RepoID, number int, paths ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mustPullLocked(repo, number).files = paths
}

// Comments returns what was said on a pull request, oldest first.
func (m *Memory) Comments(repo forge.RepoID, number int) []Comment {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.mustPullLocked(repo, number).comments)
}

// Checks returns the checks that a commit shows, in the order of their first appearance.
func (m *Memory) Checks(repo forge.RepoID, sha string) []forge.Check {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []forge.Check
	for _, check := range m.mustLocked(repo).checks {
		if check.HeadSHA == sha {
			list = append(list, check)
		}
	}
	return list
}

// Deploy records that the repository's pipeline began to roll a commit out, and returns the deployment's id.
func (m *Memory) Deploy(repo forge.RepoID, environment, sha string) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.mustLocked(repo)
	m.changingLocked(r)
	m.deployments++
	now := m.nowLocked()
	r.deployments = append(r.deployments, &forge.Deployment{
		ID: m.deployments, Environment: environment, SHA: sha, State: forge.RolloutRunning,
		URL: fmt.Sprintf("%s/deployments/%d", r.WebURL, m.deployments), CreatedAt: now, UpdatedAt: now,
	})
	return m.deployments
}

// SetDeployment records how a deployment went on.
func (m *Memory) SetDeployment(repo forge.RepoID, id int64, state forge.RolloutState) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.mustLocked(repo)
	m.changingLocked(r)
	for _, d := range r.deployments {
		if d.ID == id {
			d.State, d.UpdatedAt = state, m.nowLocked()
			return
		}
	}
	panic(fmt.Sprintf("forgetest: %s has no deployment %d", r.FullName, id))
}

// All returns every pull request of a repository as it is now, with the "single" fields, oldest first. It is not recorded as a call.
func (m *Memory) All(repo forge.RepoID) []forge.PullRequest {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.mustLocked(repo)
	m.syncLocked(r)
	list := make([]forge.PullRequest, 0, len(r.pulls))
	for _, p := range r.pulls {
		list = append(list, m.singleLocked(r, p))
	}
	return list
}

// mustLocked finds a repository for a test's own use; asking for one that was never added is a mistake in the test.
func (m *Memory) mustLocked(id forge.RepoID) *repository {
	r := m.repos[id]
	if r == nil {
		panic(fmt.Sprintf("forgetest: no repository %d", id))
	}
	return r
}

func (m *Memory) mustPullLocked(id forge.RepoID, number int) *pull {
	r := m.mustLocked(id)
	p := r.pull(number)
	if p == nil {
		panic(fmt.Sprintf("forgetest: %s has no pull request %d", r.FullName, number))
	}
	return p
}

func (r *repository) pull(number int) *pull {
	if number < 1 || number > len(r.pulls) {
		return nil
	}
	return r.pulls[number-1]
}

// reachLocked finds a repository for the bot.
func (m *Memory) reachLocked(id forge.RepoID) (*repository, error) {
	r := m.repos[id]
	switch {
	case r == nil || r.removed:
		return nil, fmt.Errorf("repository %d: %w", id, forge.ErrNotFound)
	case m.suspended[r.Installation]:
		return nil, fmt.Errorf("installation %d: %w", r.Installation, forge.ErrGone)
	}
	return r, nil
}

// writeLocked finds a repository that the bot may change.
func (m *Memory) writeLocked(id forge.RepoID) (*repository, error) {
	r, err := m.reachLocked(id)
	if err == nil && r.Archived {
		return nil, fmt.Errorf("%s is archived: %w", r.FullName, forge.ErrForbidden)
	}
	return r, err
}

// Repositories implements forge.Repositories.
func (m *Memory) Repositories(ctx context.Context) ([]forge.Repository, error) {
	return call(ctx, m, Call{Method: "Repositories"}, func() ([]forge.Repository, error) {
		var list []forge.Repository
		for _, id := range slices.Sorted(maps.Keys(m.repos)) {
			if r, err := m.reachLocked(id); err == nil {
				list = append(list, r.Repository)
			}
		}
		return list, nil
	})
}

// Repository implements forge.Repositories.
func (m *Memory) Repository(ctx context.Context, id forge.RepoID) (forge.Repository, error) {
	return call(ctx, m, Call{Method: "Repository", Repo: id}, func() (forge.Repository, error) {
		r, err := m.reachLocked(id)
		if err != nil {
			return forge.Repository{}, fmt.Errorf("read repository %d: %w", id, forge.ErrNotFound)
		}
		return r.Repository, nil
	})
}

// GitAuth implements forge.Repositories. The password names the repository, so that a test can tell whose it is.
func (m *Memory) GitAuth(ctx context.Context, repo forge.Repository) (forge.GitAuth, error) {
	return call(ctx, m, Call{Method: "GitAuth", Repo: repo.ID}, func() (forge.GitAuth, error) {
		r, err := m.reachLocked(repo.ID)
		if err != nil {
			return forge.GitAuth{}, err
		}
		return forge.GitAuth{Username: "x-access-token", Password: fmt.Sprintf("memory-token-for-%d", r.ID)}, nil
	})
}

// Permission implements forge.Repositories.
func (m *Memory) Permission(ctx context.Context, repo forge.Repository, login string) (forge.Permission, error) {
	return call(ctx, m, Call{Method: "Permission", Repo: repo.ID, Detail: login}, func() (forge.Permission, error) {
		r, err := m.reachLocked(repo.ID)
		if err != nil {
			return forge.NoPermission, err
		}
		if permission, ok := r.people[strings.ToLower(login)]; ok {
			return permission, nil
		}
		return forge.NoPermission, nil
	})
}

// Self implements forge.Repositories.
func (m *Memory) Self(ctx context.Context) (forge.Identity, error) {
	return call(ctx, m, Call{Method: "Self"}, func() (forge.Identity, error) { return m.options.Self, nil })
}

// SetCheck implements forge.Checks.
func (m *Memory) SetCheck(ctx context.Context, repo forge.Repository, check forge.Check) error {
	_, err := call(ctx, m, Call{Method: "SetCheck", Repo: repo.ID, Write: true, Detail: check.Name + " " + string(check.Conclusion) + " " + check.HeadSHA}, func() (struct{}, error) {
		r, err := m.writeLocked(repo.ID)
		if err != nil {
			return struct{}{}, err
		}
		check.New = false // says nothing of the check itself
		if !m.Can(forge.CheckText) {
			line := []rune(check.Title)
			check.Title, check.Summary = string(line[:min(len(line), maxLine)]), ""
		}
		if p := r.pull(check.Number); p != nil && p.State == forge.Open && p.HeadSHA == check.HeadSHA && m.draftsLocked(r, p) {
			m.changingLocked(r)
			p.held = check.Conclusion != forge.Success
		}
		if len(check.Summary) > maxSummary {
			check.Summary = strings.ToValidUTF8(check.Summary[:maxSummary], "")
		}
		for i, old := range r.checks {
			if old.HeadSHA == check.HeadSHA && old.Name == check.Name {
				r.checks[i] = check
				return struct{}{}, nil
			}
		}
		r.checks = append(r.checks, check)
		return struct{}{}, nil
	})
	return err
}

const (
	maxSummary = 65535
	maxLine    = 140 // of a check without text
)

// Can implements forge.Capable.
func (m *Memory) Can(c forge.Capability) bool {
	if c == forge.DraftGate {
		return slices.Contains(m.options.Has, c)
	}
	return !slices.Contains(m.options.Lacks, c)
}

// draftsLocked tells whether only a draft would hold a pull request: the bot's own, where no check is required.
func (m *Memory) draftsLocked(r *repository, p *pull) bool {
	return m.Can(forge.DraftGate) && p.Author.Self && len(r.required[p.BaseBranch]) == 0
}

// Deployments implements forge.Rollouts.
func (m *Memory) Deployments(ctx context.Context, repo forge.Repository, environment string, limit int) ([]forge.Deployment, error) {
	return call(ctx, m, Call{Method: "Deployments", Repo: repo.ID, Detail: environment}, func() ([]forge.Deployment, error) {
		r, err := m.reachLocked(repo.ID)
		if err != nil {
			return nil, err
		}
		source := r.deployments
		if m.lag {
			source = r.listedRuns
		}
		var list []forge.Deployment
		for _, d := range source {
			if d.Environment == environment {
				list = append(list, *d)
			}
		}
		sort.SliceStable(list, func(i, j int) bool { return list[i].ID > list[j].ID })
		return list[:min(len(list), max(limit, 0))], nil
	})
}
