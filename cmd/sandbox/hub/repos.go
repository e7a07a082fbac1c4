package hub

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// repo is one repository with everything that hangs on it.
type repo struct {
	turn sync.Mutex // held by whoever changes refs; taken before Hub.mu
	bare bare

	// Everything below is guarded by Hub.mu.
	gitLab        bool // as the hub is
	id            int64
	owner         *account
	name          string
	defaultBranch string
	private       bool
	archived      bool
	createdAt     time.Time
	pushedAt      time.Time
	methods       []string // merge, squash, rebase: what the repository allows
	deleteOnMerge bool
	protection    *Protection
	environments  []Environment
	people        map[int64]Permission
	refs          map[string]string // refs/heads/… and refs/tags/… → object
	pulls         []*pull           // by number, holes never
	labels        map[string]bool
	checks        map[string][]*checkRun // by commit, oldest first
	checkByID     map[int64]*checkRun
	suites        map[string]int64           // app id and commit → check suite
	statuses      map[string][]*commitStatus // by commit, oldest first
	deployments   []*deployment
	workflows     map[string]*workflow // by file, once they have run
	runs          []*workflowRun       // oldest first
	rollouts      rolloutState
	queue         []*queueEntry
	pushes        int                    // git pushes that changed something, over HTTP
	deadGroups    []refChange            // branches of merge groups that have yet to be deleted
	activity      []activity             // pushes, oldest first
	mergeable     map[string]mergeAnswer // base and head commits → what git said
	outside       []*outsidePipeline     // of a GitLab: where statuses are that no pipeline of its own reported
	statusChecks  []*statusCheck         // of a GitLab
}

func (r *repo) fullName() string { return r.owner.login + "/" + r.name }

func (r *repo) head(branch string) string { return r.refs["refs/heads/"+branch] }

func (r *repo) allows(method string) bool {
	return slices.Contains(r.methods, method)
}

// RepoOptions says how a repository is set up. The zero value is a private repository with main, in which the app is installed.
type RepoOptions struct {
	Files         map[string][]byte // the first commit; a README where empty
	DefaultBranch string            // main by default
	Public        bool
	Author        string   // who makes the first commit and may administer the repository; alice by default
	MergeMethods  []string // all three by default
	DeleteOnMerge bool     // delete head branches when their pull request is merged
	Protection    *Protection
	Environments  []Environment // what its pipeline deploys
	NotInstalled  bool          // leave the repository out of the app's installation
}

// Protection is what the default branch demands before a merge.
type Protection struct {
	Checks       []RequiredCheck
	Reviews      int  // approvals by people who may write
	DismissStale bool // a push takes approvals away
	MergeQueue   bool // what is merged goes through a queue
	Bypassed     bool // the app may bypass it, says the API; it does not try
	// MergeBy is who may merge, in a GitLab: Write by default, or Admin: its maintainers only.
	MergeBy Permission
	// MergeOnly is the one account that may merge, in a GitLab with a licence; it takes the place of MergeBy.
	MergeOnly string
	// PushNobody lets nobody push to it, says a GitLab; the sandbox's git does not look at that.
	PushNobody bool
}

// RequiredCheck is a check or status that must be green.
type RequiredCheck struct {
	Context string
	AppID   int64 // only a check run by this app counts; 0: anybody's
}

// Environment is a deployment environment of a repository's pipeline.
type Environment struct {
	Name string
	Path string // the directory that is rendered; empty: the whole repository. Other changes do not deploy it
	// Workflow is the file of the workflow that deploys it, of which each rollout is a run; apply.yml where it is empty.
	Workflow string
}

// RepoInfo is a repository as it is now.
type RepoInfo struct {
	ID            int64
	FullName      string
	DefaultBranch string
	URL, CloneURL string
	Archived      bool
}

// CreateRepo makes a repository (owner/name) with a first commit. The owner becomes an organization in which the app is installed.
func (h *Hub) CreateRepo(ctx context.Context, fullName string, opts RepoOptions) (RepoInfo, error) {
	owner, name, ok := strings.Cut(fullName, "/")
	if !ok || owner == "" || name == "" || strings.ContainsAny(name, "/ \\") || strings.HasPrefix(name, ".") {
		return RepoInfo{}, fmt.Errorf("create repository %q: the name must be owner/name", fullName)
	}
	if opts.DefaultBranch == "" {
		opts.DefaultBranch = "main"
	}
	if opts.Author == "" {
		opts.Author = "alice"
	}
	if len(opts.MergeMethods) == 0 {
		opts.MergeMethods = []string{"merge", "squash", "rebase"}
	}
	if len(opts.Files) == 0 {
		opts.Files = map[string][]byte{"README.md": []byte("# " + name + "\n")}
	}
	h.mu.Lock()
	// A name that a repository had before a rename is free: what takes it ends the redirect.
	former, taken := h.names[strings.ToLower(fullName)]
	if known := h.repos[former]; taken && (known == nil || strings.EqualFold(known.fullName(), fullName)) {
		h.mu.Unlock()
		return RepoInfo{}, fmt.Errorf("create repository %s: there is one of this name", fullName)
	}
	now := h.stamp()
	r := &repo{
		gitLab: h.opts.GitLab != "", id: h.idLocked(), name: name, defaultBranch: opts.DefaultBranch, private: !opts.Public,
		createdAt: now, pushedAt: now, methods: opts.MergeMethods, deleteOnMerge: opts.DeleteOnMerge,
		protection: opts.Protection, environments: opts.Environments,
		people: map[int64]Permission{}, refs: map[string]string{}, labels: map[string]bool{},
		checks: map[string][]*checkRun{}, checkByID: map[int64]*checkRun{}, statuses: map[string][]*commitStatus{},
		suites: map[string]int64{}, mergeable: map[string]mergeAnswer{}, rollouts: newRolloutState(), workflows: map[string]*workflow{},
	}
	r.owner = h.accountLocked(owner, kindOrg)
	r.bare = bare{dir: filepath.Join(h.opts.Dir, strconv.FormatInt(r.id, 10)+".git")}
	author := h.accountLocked(opts.Author, kindUser)
	r.people[author.id] = Admin
	h.names[strings.ToLower(fullName)] = r.id
	h.mu.Unlock()

	sha, err := h.firstCommit(ctx, r, author, now, opts.Files)
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		delete(h.names, strings.ToLower(fullName))
		if taken {
			h.names[strings.ToLower(fullName)] = former
		}
		return RepoInfo{}, fmt.Errorf("create repository %s: %w", fullName, err)
	}
	r.refs["refs/heads/"+r.defaultBranch] = sha
	h.repos[r.id] = r
	if !opts.NotInstalled {
		h.installLocked(r.owner, r)
	}
	return h.repoInfoLocked(r), nil
}

func (h *Hub) firstCommit(ctx context.Context, r *repo, author *account, now time.Time, files map[string][]byte) (string, error) {
	if err := r.bare.create(ctx, r.defaultBranch); err != nil {
		return "", err
	}
	tree, err := r.bare.writeFiles(ctx, "", files)
	if err != nil {
		return "", err
	}
	who := signature{Name: author.login, Email: author.email(), When: now}
	sha, err := r.bare.commit(ctx, tree, nil, who, who, "Start\n")
	if err != nil {
		return "", err
	}
	return sha, r.bare.point(ctx, "refs/heads/"+r.defaultBranch, sha)
}

func (h *Hub) repoInfoLocked(r *repo) RepoInfo {
	return RepoInfo{
		ID: r.id, FullName: r.fullName(), DefaultBranch: r.defaultBranch, Archived: r.archived,
		URL: h.base + "/" + r.fullName(), CloneURL: h.base + "/" + r.fullName() + ".git",
	}
}

// repoLocked finds a repository by its name now. A name it had before a rename is not found here.
func (h *Hub) repoLocked(fullName string) (*repo, error) {
	r := h.repos[h.names[strings.ToLower(fullName)]]
	if r == nil || !strings.EqualFold(r.fullName(), fullName) {
		return nil, refuse(notFound, fmt.Sprintf("there is no repository %q", fullName))
	}
	return r, nil
}

// Repo returns a repository as it is now.
func (h *Hub) Repo(fullName string) (RepoInfo, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := h.repoLocked(fullName)
	if err != nil {
		return RepoInfo{}, err
	}
	return h.repoInfoLocked(r), nil
}

// Repos returns every repository, by name.
func (h *Hub) Repos() []RepoInfo {
	h.mu.Lock()
	defer h.mu.Unlock()
	var infos []RepoInfo
	for _, r := range h.repos {
		infos = append(infos, h.repoInfoLocked(r))
	}
	slices.SortFunc(infos, func(a, b RepoInfo) int { return strings.Compare(a.FullName, b.FullName) })
	return infos
}

// change looks a repository up and runs do with the state locked.
func (h *Hub) change(fullName string, do func(*repo) error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := h.repoLocked(fullName)
	if err != nil {
		return err
	}
	return do(r)
}

// SetProtection changes what the default branch demands before a merge; nil: nothing.
func (h *Hub) SetProtection(fullName string, protection *Protection) error {
	return h.change(fullName, func(r *repo) error {
		r.protection = protection
		return nil
	})
}

// SetMergeMethods changes which ways to merge the repository allows: merge, squash, rebase.
func (h *Hub) SetMergeMethods(fullName string, methods ...string) error {
	return h.change(fullName, func(r *repo) error {
		r.methods = methods
		return nil
	})
}

// SetEnvironments changes what the repository's pipeline deploys.
func (h *Hub) SetEnvironments(fullName string, environments ...Environment) error {
	return h.change(fullName, func(r *repo) error {
		r.environments = environments
		return nil
	})
}

// SetArchived makes a repository read-only, or writable again.
func (h *Hub) SetArchived(fullName string, archived bool) error {
	return h.change(fullName, func(r *repo) error {
		r.archived = archived
		action := "archived"
		if !archived {
			action = "unarchived"
		}
		h.emitLocked(event{kind: repositoryEvent, action: action, repo: r, actor: r.owner})
		return nil
	})
}

// SetDefaultBranch makes another existing branch the default one.
func (h *Hub) SetDefaultBranch(fullName, branch string) error {
	return h.change(fullName, func(r *repo) error {
		if r.head(branch) == "" {
			return refuse(invalid, fmt.Sprintf("there is no branch %q", branch))
		}
		before := r.defaultBranch
		r.defaultBranch = branch
		h.emitLocked(event{kind: repositoryEvent, action: "edited", repo: r, actor: r.owner, before: before})
		return nil
	})
}

// Rename gives a repository another name under the same owner. The old name keeps redirecting, as on GitHub.
func (h *Hub) Rename(fullName, name string) error {
	return h.change(fullName, func(r *repo) error {
		renamed := r.owner.login + "/" + name
		if id, taken := h.names[strings.ToLower(renamed)]; taken && id != r.id && h.repos[id] != nil && strings.EqualFold(h.repos[id].fullName(), renamed) {
			return validation(fieldProblem{Resource: "Repository", Code: "custom", Field: "name", Message: "name already exists on this account"})
		}
		before := r.name
		r.name = name
		h.names[strings.ToLower(renamed)] = r.id
		h.emitLocked(event{kind: repositoryEvent, action: "renamed", repo: r, actor: r.owner, before: before})
		return nil
	})
}

// DeleteRepo removes a repository for everybody; its directory stays for whoever is reading it.
func (h *Hub) DeleteRepo(fullName string) error {
	return h.change(fullName, func(r *repo) error {
		h.emitLocked(event{kind: repositoryEvent, action: "deleted", repo: r, actor: r.owner})
		delete(h.repos, r.id)
		for name, id := range h.names {
			if id == r.id {
				delete(h.names, name)
			}
		}
		for _, inst := range h.installations {
			delete(inst.repos, r.id)
		}
		return nil
	})
}
