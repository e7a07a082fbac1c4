package hub

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// mergeAnswer is what git said of merging two commits.
type mergeAnswer struct {
	tree     string
	conflict bool
}

// Mergeable states, in GitHub's words.
const (
	mergeClean   = "clean"
	mergeDirty   = "dirty"   // a conflict
	mergeBlocked = "blocked" // a required check or review is missing
	mergeDraft   = "draft"
	mergeUnknown = "unknown"
)

// tryMerge asks git whether base and head merge; the answer of a pair of commits never changes and is kept.
func (h *Hub) tryMerge(ctx context.Context, r *repo, base, head string) (mergeAnswer, error) {
	key := base + head
	h.mu.Lock()
	answer, known := r.mergeable[key]
	h.mu.Unlock()
	if known {
		return answer, nil
	}
	tree, err := r.bare.mergeTree(ctx, base, head)
	if errors.Is(err, errConflict) {
		answer, err = mergeAnswer{conflict: true}, nil
	} else {
		answer = mergeAnswer{tree: tree}
	}
	if err != nil {
		return answer, err
	}
	h.mu.Lock()
	r.mergeable[key] = answer
	h.mu.Unlock()
	return answer, nil
}

// mergeState tells whether an open pull request can be merged, in GitHub's words; mergeable is nil while it is not known.
func (h *Hub) mergeState(ctx context.Context, p *pull) (mergeable *bool, state string, err error) {
	h.mu.Lock()
	open, head, base := p.state == pullOpen, p.headSHA, p.repo.head(p.base)
	unknown := h.faults.mergeUnknownLocked(p.repo.id, p.number, base+head)
	h.mu.Unlock()
	if !open || base == "" || unknown {
		return nil, mergeUnknown, nil
	}
	answer, err := h.tryMerge(ctx, p.repo, base, head)
	if err != nil {
		return nil, mergeUnknown, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	yes := !answer.conflict
	switch {
	case answer.conflict:
		return &yes, mergeDirty, nil
	case p.draft:
		return &yes, mergeDraft, nil
	case h.blockedLocked(p) != "":
		return &yes, mergeBlocked, nil
	}
	return &yes, mergeClean, nil
}

// blockedLocked says what branch protection still demands; empty: nothing.
func (h *Hub) blockedLocked(p *pull) string {
	if p.repo.gitLab {
		return h.gitLabBlockedLocked(p).why
	}
	protection := p.repo.protection
	if protection == nil || p.base != p.repo.defaultBranch {
		return ""
	}
	for _, check := range protection.Checks {
		if state := p.repo.contextLocked(p.headSHA, check); state != "success" {
			return fmt.Sprintf("Required status check %q is %s.", check.Context, state)
		}
	}
	approvals := 0
	for _, rv := range latestReviews(p) {
		if h.permissionLocked(p.repo, rv.author).rank() < Write.rank() {
			continue
		}
		switch rv.state {
		case reviewApproved:
			approvals++
		case reviewChanges:
			return "Changes have been requested on this pull request."
		}
	}
	if approvals < protection.Reviews {
		return fmt.Sprintf("At least %d approving review is required by reviewers with write access.", protection.Reviews)
	}
	return ""
}

// MergePull merges a pull request as a person; method is merge, squash or rebase, sha may be empty. It returns base's new commit.
func (h *Hub) MergePull(ctx context.Context, fullName string, number int, person, method, sha string) (string, error) {
	r, by, err := h.writer(fullName, person)
	if err != nil {
		return "", err
	}
	return h.merge(ctx, r, by, number, mergeRequest{method: method, sha: sha})
}

type mergeRequest struct{ method, sha, title, message string }

// merge puts a pull request onto its base in git and closes it.
func (h *Hub) merge(ctx context.Context, r *repo, by *account, number int, in mergeRequest) (string, error) {
	ctx = context.WithoutCancel(ctx)
	if in.method == "" {
		in.method = "merge"
	}
	r.turn.Lock()
	defer r.turn.Unlock()
	h.mu.Lock()
	p, err := r.pull(number)
	if err == nil {
		err = h.mergeRefusedLocked(p, in)
	}
	if err == nil && !h.mayMergeLocked(p, by) {
		err = refuse(forbidden, loginOf(by)+" may not merge into "+p.base)
	}
	if err == nil && r.queues(p.base) {
		err = refuse(notAllowed, "Repository rule violations found\n\nChanges must be made through the merge queue")
	}
	if err != nil {
		h.mu.Unlock()
		return "", err
	}
	base, head, branch := r.head(p.base), p.headSHA, p.base
	headBranch, headTip := p.head, r.head(p.head)
	ownTitle := in.title == ""
	if ownTitle {
		in.title = fmt.Sprintf("Merge pull request #%d from %s/%s", p.number, r.owner.login, p.head)
		if in.method == "squash" {
			in.title = fmt.Sprintf("%s (#%d)", p.title, p.number)
		}
	}
	if in.message == "" && in.method == "merge" {
		in.message = p.title
	}
	if r.gitLab && ownTitle {
		in.title, in.message = gitLabMergeMessage(p, in.method)
	}
	author := signature{Name: by.login, Email: by.email(), When: h.stamp()}
	if in.method == "squash" {
		author.Name, author.Email = p.author.login, p.author.email()
	}
	h.mu.Unlock()

	sha, err := h.writeMerge(ctx, r, base, head, author, in)
	if errors.Is(err, errConflict) {
		return "", refuse(notAllowed, "Pull Request is not mergeable")
	}
	if err != nil {
		return "", fmt.Errorf("merge pull request %d of %s: %w", number, r.fullName(), err)
	}
	squashed := ""
	if r.gitLab && in.method == "squash" {
		if squashed, err = r.bare.git(ctx, "rev-parse", "--verify", "--quiet", sha+"^2"); err != nil {
			squashed = sha
		}
	}
	h.mu.Lock()
	p.merging, p.squashed = true, strings.TrimSpace(squashed)
	h.mu.Unlock()
	err = h.moveRefs(ctx, r, by, refChange{Name: "refs/heads/" + branch, Before: base, After: sha})
	h.mu.Lock()
	p.merging = false
	if err == nil {
		h.mergedLocked(p, by, sha)
	}
	deleteBranch := r.deleteOnMerge && headBranch != r.defaultBranch && headTip != ""
	h.mu.Unlock()
	if err == nil && deleteBranch {
		err = h.moveRefs(ctx, r, by, refChange{Name: "refs/heads/" + headBranch, Before: headTip, After: noObject})
	}
	return sha, err
}

// mergeRefusedLocked says why a merge cannot be, apart from conflicts, which only git knows.
func (h *Hub) mergeRefusedLocked(p *pull, in mergeRequest) error {
	names := map[string]string{"merge": "Merge commits", "squash": "Squash merges", "rebase": "Rebase merges"}
	switch {
	case names[in.method] == "":
		return refuse(invalid, "Invalid request.\n\nNo subschema in \"anyOf\" matched.")
	case p.merged:
		return refuse(notAllowed, "Pull Request is not mergeable")
	case p.state != pullOpen:
		return refuse(notAllowed, "Pull Request is not mergeable")
	case in.sha != "" && !strings.EqualFold(in.sha, p.headSHA):
		return refuse(stale, "Head branch was modified. Review and try the merge again.")
	case p.draft && p.repo.gitLab:
		return refuse(notAllowed, "Merge blocked: Merge request must not be draft.")
	case p.draft:
		return refuse(notAllowed, "Pull Request is still a draft")
	case !p.repo.allows(in.method):
		return refuse(notAllowed, names[in.method]+" are not allowed on this repository.")
	}
	if why := h.blockedLocked(p); why != "" && p.repo.gitLab {
		return refuse(notAllowed, "Merge blocked: "+why)
	} else if why != "" {
		return refuse(notAllowed, "Repository rule violations found\n\n"+why)
	}
	return nil
}

// writeMerge makes the commit that base is to have.
func (h *Hub) writeMerge(ctx context.Context, r *repo, base, head string, author signature, in mergeRequest) (string, error) {
	committer := signature{Name: "GitHub", Email: "noreply@localhost", When: author.When}
	if r.gitLab {
		committer = author
	}
	message := in.title + "\n"
	if in.message != "" {
		message += "\n" + strings.TrimRight(in.message, "\n") + "\n"
	}
	if in.method == "rebase" && r.gitLab { // a fast-forward: whatever is not rebased yet is refused
		if r.bare.mergeBase(ctx, base, head) != base {
			return "", errConflict
		}
		return head, nil
	}
	if in.method == "rebase" {
		return r.bare.rebase(ctx, base, head, committer)
	}
	answer, err := h.tryMerge(ctx, r, base, head)
	if err != nil {
		return "", err
	}
	if answer.conflict {
		return "", errConflict
	}
	if in.method == "squash" && r.gitLab && r.allows("merge") { // the squashed commit is merged then
		squashed, err := r.bare.commit(ctx, head+"^{tree}", []string{r.bare.mergeBase(ctx, base, head)}, author, committer, message)
		if err != nil {
			return "", err
		}
		return r.bare.commit(ctx, answer.tree, []string{base, squashed}, author, committer, message)
	}
	parents := []string{base, head}
	if in.method == "squash" {
		parents = []string{base}
	}
	return r.bare.commit(ctx, answer.tree, parents, author, committer, message)
}

func (h *Hub) mergedLocked(p *pull, by *account, sha string) {
	now := h.stamp()
	p.state, p.merged, p.closedAt, p.mergedAt, p.closedBy, p.mergedBy, p.mergeCommit = pullClosed, true, now, now, by, by, sha
	h.noteLocked(p, by, "merged this as "+short(sha))
	h.touchLocked(p)
	h.emitLocked(event{kind: pullEvent, action: "closed", repo: p.repo, actor: by, pull: p})
}

// contextLocked is how a required check stands on a commit: success, or GitHub's words for what it is instead.
func (r *repo) contextLocked(sha string, required RequiredCheck) string {
	for _, check := range slices.Backward(r.checks[sha]) {
		if check.name != required.Context || required.AppID != 0 && check.app.id != required.AppID {
			continue
		}
		switch check.conclusion {
		case "success", "neutral", "skipped":
			return "success"
		case "":
			return "expected"
		}
		return "failing"
	}
	if required.AppID == 0 {
		for _, status := range slices.Backward(r.statuses[sha]) {
			if status.context == required.Context {
				if status.state == "pending" {
					return "expected"
				}
				if status.state != "success" {
					return "failing"
				}
				return "success"
			}
		}
	}
	return "expected"
}

// ends returns the commits between which a pull request's changes lie: where head left base, and head.
func (h *Hub) ends(ctx context.Context, p *pull) (from, to string, err error) {
	h.mu.Lock()
	base, head, forked := p.baseSHA, p.headSHA, p.forked
	h.mu.Unlock()
	if forked != "" {
		return forked, head, nil
	}
	if from = p.repo.bare.mergeBase(ctx, base, head); from == "" {
		from = emptyTree
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if p.headSHA == head && p.baseSHA == base {
		p.forked = from
	}
	return from, head, nil
}

// count fills in how many commits, files and lines a pull request changes, unless that is known.
func (h *Hub) count(ctx context.Context, p *pull) error {
	h.mu.Lock()
	known := p.stats != nil
	h.mu.Unlock()
	if known {
		return nil
	}
	from, to, err := h.ends(ctx, p)
	if err != nil {
		return err
	}
	files, err := p.repo.bare.changedFiles(ctx, from, to)
	if err != nil {
		return err
	}
	stats := pullStats{files: len(files)}
	for _, file := range files {
		stats.additions += file.Additions
		stats.deletions += file.Deletions
	}
	if from != emptyTree {
		if stats.commits, _, err = p.repo.bare.count(ctx, from, to); err != nil {
			return err
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if p.headSHA == to {
		p.stats = &stats
	}
	return nil
}
