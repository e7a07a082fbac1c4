package hub

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// refChange is one ref that moved; noObject stands for "was not there" and "is gone".
type refChange struct{ Name, Before, After string }

func (c refChange) branch() (string, bool) { return strings.CutPrefix(c.Name, "refs/heads/") }

// diffRefs tells how to get from one set of refs to another, in the order of their names.
func diffRefs(before, after map[string]string) []refChange {
	var changes []refChange
	for name, sha := range after {
		if old := before[name]; old != sha {
			changes = append(changes, refChange{Name: name, Before: orNoObject(old), After: sha})
		}
	}
	for name, sha := range before {
		if _, still := after[name]; !still {
			changes = append(changes, refChange{Name: name, Before: sha, After: noObject})
		}
	}
	slices.SortFunc(changes, func(a, b refChange) int { return strings.Compare(a.Name, b.Name) })
	return changes
}

func orNoObject(sha string) string {
	if sha == "" {
		return noObject
	}
	return sha
}

// moveRefs changes refs in git and in the state, with everything that follows from it. The caller holds r.turn.
func (h *Hub) moveRefs(ctx context.Context, r *repo, by *account, changes ...refChange) error {
	if err := r.bare.updateRefs(ctx, changes); err != nil {
		return err
	}
	return h.refsMoved(ctx, r, by, changes)
}

// refsMoved brings the state in line with refs that git has moved already: push events, pull requests whose head or base moved, and
// the pipeline. The caller holds r.turn.
func (h *Hub) refsMoved(ctx context.Context, r *repo, by *account, changes []refChange) error {
	if len(changes) == 0 {
		return nil
	}
	seen := h.lookAtPush(ctx, r, changes)

	h.mu.Lock()
	var heads []refChange
	for _, c := range changes {
		if c.After == noObject {
			delete(r.refs, c.Name)
		} else {
			r.refs[c.Name] = c.After
		}
	}
	r.pushedAt = h.stamp()
	for _, c := range changes {
		r.activity = append(r.activity, activity{id: h.idLocked(), ref: c.Name, before: c.Before, after: c.After, at: h.stamp(), actor: by})
		h.emitLocked(event{kind: pushEvent, repo: r, actor: by, ref: c, commits: reach(seen.fresh, c.After), forced: seen.forced[c.Name]})
		branch, ok := c.branch()
		if !ok {
			continue
		}
		heads = append(heads, h.followHeadLocked(r, by, branch, c)...)
		h.followBaseLocked(r, by, branch, c, seen.arrived[c.Name])
	}
	deploy := ""
	for _, c := range changes {
		if branch, ok := c.branch(); ok && branch == r.defaultBranch && c.After != noObject {
			deploy = c.After
		}
	}
	if deploy != "" && len(r.queue) > 0 {
		h.kickQueueLocked(ctx, r) // its groups are made anew
	}
	h.mu.Unlock()

	if len(heads) > 0 {
		if err := r.bare.updateRefs(ctx, heads); err != nil {
			return fmt.Errorf("keep pull request heads: %w", err)
		}
	}
	if deploy != "" {
		h.startRollouts(ctx, r, by, changes, deploy)
	}
	return nil
}

// pushed is what git tells of a push.
type pushed struct {
	fresh   map[string]*commitInfo     // commits that the repository did not have
	forced  map[string]bool            // ref → its old commit is not part of its new one
	arrived map[string]map[string]bool // ref → commits that came onto it, where open pull requests want to go there
}

// lookAtPush asks git about refs that have moved. What git cannot tell is logged and left out: the state must follow the refs anyway.
func (h *Hub) lookAtPush(ctx context.Context, r *repo, changes []refChange) pushed {
	seen := pushed{fresh: map[string]*commitInfo{}, forced: map[string]bool{}, arrived: map[string]map[string]bool{}}
	h.mu.Lock()
	known := slices.Collect(maps.Values(r.refs))
	bases := map[string]bool{}
	for _, p := range r.pulls {
		if p.state == pullOpen {
			bases["refs/heads/"+p.base] = true
		}
	}
	h.mu.Unlock()
	var tips []string
	for _, c := range changes {
		if c.After != noObject {
			tips = append(tips, c.After)
		}
	}
	if len(tips) > 0 {
		infos, err := r.bare.newCommits(ctx, tips, known)
		if err != nil {
			h.log.Error("sandbox forge cannot see what was pushed", "error", err)
		}
		for i := range infos {
			seen.fresh[infos[i].SHA] = &infos[i]
		}
	}
	for _, c := range changes {
		if c.Before == noObject || c.After == noObject {
			continue
		}
		out, err := r.bare.git(ctx, "rev-list", "--left-right", c.Before+"..."+c.After)
		if err != nil {
			h.log.Error("sandbox forge cannot see how a ref moved", "ref", c.Name, "error", err)
			continue
		}
		arrived := map[string]bool{}
		for line := range strings.Lines(out) {
			side, sha := line[0], strings.TrimSpace(line[1:])
			seen.forced[c.Name] = seen.forced[c.Name] || side == '<'
			arrived[sha] = side == '>'
		}
		if bases[c.Name] {
			seen.arrived[c.Name] = arrived
		}
	}
	return seen
}

// followHeadLocked moves or closes the open pull requests whose head is the branch, and returns how refs/pull/… must move.
func (h *Hub) followHeadLocked(r *repo, by *account, branch string, c refChange) []refChange {
	var heads []refChange
	for _, p := range r.pulls {
		if p.head != branch || p.state != pullOpen {
			continue
		}
		if c.After == noObject {
			h.closeLocked(p, by, "closed this because its branch was deleted")
			continue
		}
		if p.headSHA == c.After {
			continue
		}
		h.leaveQueueLocked(p, nil, "BRANCH_PROTECTIONS")
		before := p.headSHA
		p.headSHA, p.baseSHA = c.After, r.head(p.base)
		p.forked, p.stats = "", nil
		h.versionLocked(p)
		if r.protection != nil && r.protection.DismissStale {
			h.dismissStaleLocked(p, by)
		}
		heads = append(heads, refChange{Name: p.headRef(), Before: before, After: c.After})
		h.noteLocked(p, by, "pushed "+short(c.After))
		h.touchLocked(p)
		h.emitLocked(event{kind: pullEvent, action: "synchronize", repo: r, actor: by, pull: p, before: before})
	}
	return heads
}

// followBaseLocked closes the pull requests onto a branch that is gone, and marks those merged whose head came onto it by a push.
func (h *Hub) followBaseLocked(r *repo, by *account, branch string, c refChange, arrived map[string]bool) {
	for _, p := range r.pulls {
		switch {
		case p.base != branch || p.state != pullOpen:
		case c.After == noObject:
			h.closeLocked(p, by, "closed this because its base branch was deleted")
		case !p.merging && arrived[p.headSHA]:
			h.mergedLocked(p, by, c.After)
		}
	}
}

func short(sha string) string { return sha[:min(7, len(sha))] }

// Head returns the commit a branch is at; empty where there is no such branch.
func (h *Hub) Head(fullName, branch string) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := h.repoLocked(fullName)
	if err != nil {
		return "", err
	}
	return r.head(branch), nil
}

// GitPushes counts the pushes with git that changed anything in a repository, however many branches they moved.
func (h *Hub) GitPushes(fullName string) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := h.repoLocked(fullName)
	if err != nil {
		return 0, err
	}
	return r.pushes, nil
}

// Branches returns every branch with its commit.
func (h *Hub) Branches(fullName string) (map[string]string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := h.repoLocked(fullName)
	if err != nil {
		return nil, err
	}
	branches := map[string]string{}
	for name, sha := range r.refs {
		if branch, ok := strings.CutPrefix(name, "refs/heads/"); ok {
			branches[branch] = sha
		}
	}
	return branches, nil
}

// File reads a file at a branch, tag or commit; ok is false where there is none.
func (h *Hub) File(ctx context.Context, fullName, at, path string) (content []byte, ok bool, err error) {
	h.mu.Lock()
	r, err := h.repoLocked(fullName)
	h.mu.Unlock()
	if err != nil {
		return nil, false, err
	}
	sha, found := r.bare.commitID(ctx, at)
	if !found {
		return nil, false, nil
	}
	content, ok = r.bare.file(ctx, sha, path)
	return content, ok, nil
}

// Commit is a change that a person pushes.
type Commit struct {
	Person  string // who; needs write permission
	Branch  string // made from the default branch where it does not exist; the default branch when empty
	Message string
	Files   map[string][]byte // nil content deletes the file; without any, the branch is only made
}

// Push makes a commit on a branch as a person and returns its id, with everything a git push would set off.
func (h *Hub) Push(ctx context.Context, fullName string, c Commit) (string, error) {
	r, by, err := h.writer(fullName, c.Person)
	if err != nil {
		return "", err
	}
	ctx = context.WithoutCancel(ctx)
	r.turn.Lock()
	defer r.turn.Unlock()
	h.mu.Lock()
	if c.Branch == "" {
		c.Branch = r.defaultBranch
	}
	before := r.head(c.Branch)
	parent := before
	if parent == "" {
		parent = r.head(r.defaultBranch)
	}
	who := signature{Name: by.login, Email: by.email(), When: h.stamp()}
	h.mu.Unlock()
	if len(c.Files) == 0 {
		if before != "" {
			return before, nil
		}
		return parent, h.moveRefs(ctx, r, by, refChange{Name: "refs/heads/" + c.Branch, Before: noObject, After: parent})
	}
	tree, err := r.bare.writeFiles(ctx, parent, c.Files)
	if err != nil {
		return "", fmt.Errorf("commit to %s: %w", fullName, err)
	}
	if c.Message == "" {
		c.Message = "Change " + strings.Join(slices.Sorted(maps.Keys(c.Files)), ", ")
	}
	sha, err := r.bare.commit(ctx, tree, []string{parent}, who, who, strings.TrimRight(c.Message, "\n")+"\n")
	if err != nil {
		return "", fmt.Errorf("commit to %s: %w", fullName, err)
	}
	return sha, h.moveRefs(ctx, r, by, refChange{Name: "refs/heads/" + c.Branch, Before: orNoObject(before), After: sha})
}

// DeleteBranch deletes a branch as a person; its open pull requests are closed.
func (h *Hub) DeleteBranch(ctx context.Context, fullName, person, branch string) error {
	r, by, err := h.writer(fullName, person)
	if err != nil {
		return err
	}
	return h.deleteRef(ctx, r, by, "refs/heads/"+branch)
}

// createRef makes a branch or tag at a commit that the repository has.
func (h *Hub) createRef(ctx context.Context, r *repo, by *account, name, sha string) error {
	if !strings.HasPrefix(name, "refs/") || strings.Count(name, "/") < 2 {
		return refuse(invalid, "Reference name must start with 'refs/' and have at least two slashes.")
	}
	if _, err := r.bare.git(ctx, "check-ref-format", name); err != nil {
		return refuse(invalid, name+" is not a valid ref name.")
	}
	ctx = context.WithoutCancel(ctx)
	r.turn.Lock()
	defer r.turn.Unlock()
	h.mu.Lock()
	_, taken := r.refs[name]
	h.mu.Unlock()
	if taken {
		return refuse(invalid, "Reference already exists")
	}
	if found, ok := r.bare.commitID(ctx, sha); !ok || found != sha {
		return refuse(invalid, "Object does not exist")
	}
	return h.moveRefs(ctx, r, by, refChange{Name: name, Before: noObject, After: sha})
}

// deleteRef deletes a branch or tag.
func (h *Hub) deleteRef(ctx context.Context, r *repo, by *account, name string) error {
	ctx = context.WithoutCancel(ctx)
	r.turn.Lock()
	defer r.turn.Unlock()
	h.mu.Lock()
	sha := r.refs[name]
	isDefault := name == "refs/heads/"+r.defaultBranch
	h.mu.Unlock()
	if sha == "" {
		return refuse(invalid, "Reference does not exist")
	}
	if isDefault {
		return refuse(invalid, "Cannot delete the default branch")
	}
	return h.moveRefs(ctx, r, by, refChange{Name: name, Before: sha, After: noObject})
}

// writer finds a repository and a person who may write to it.
func (h *Hub) writer(fullName, login string) (*repo, *account, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := h.repoLocked(fullName)
	if err != nil {
		return nil, nil, err
	}
	by, err := h.writerLocked(r, login)
	return r, by, err
}

// writerLocked finds a person who may write to the repository.
func (h *Hub) writerLocked(r *repo, login string) (*account, error) {
	by, err := h.personLocked(login)
	if err != nil {
		return nil, err
	}
	if h.permissionLocked(r, by).rank() < Write.rank() {
		return nil, refuse(forbidden, fmt.Sprintf("%s may not write to %s", login, r.fullName()))
	}
	if r.archived {
		return nil, refuse(forbidden, "Repository was archived so is read-only.")
	}
	return by, nil
}
