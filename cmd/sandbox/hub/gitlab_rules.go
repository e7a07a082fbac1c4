package hub

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// gitLabBlock is what keeps a merge request from being merged, apart from conflicts.
type gitLabBlock struct {
	status string // of detailed_merge_status
	why    string // for people; empty: nothing
}

// gitLabBlockedLocked says what the project's rules still demand. Required checks are external status checks in Ultimate; elsewhere they are
// "Pipelines must succeed", to which any status of a commit belongs and which no bot can pin to itself.
func (h *Hub) gitLabBlockedLocked(p *pull) gitLabBlock {
	protection := p.repo.protection
	if protection == nil || p.base != p.repo.defaultBranch {
		return gitLabBlock{}
	}
	if len(protection.Checks) > 0 && h.opts.GitLab == Ultimate {
		for _, check := range p.repo.statusChecks {
			if state := h.statusCheckLocked(p, check); state != "passed" {
				return gitLabBlock{"status_checks_must_pass", fmt.Sprintf("Status checks must pass: %s is %s.", check.name, state)}
			}
		}
	} else if len(protection.Checks) > 0 {
		switch line := h.headPipelineLocked(p); {
		case line == nil:
			return gitLabBlock{"ci_must_pass", "Pipeline must succeed, and there is none."}
		case line.state == "pending" || line.state == "running":
			return gitLabBlock{"ci_still_running", "Pipeline must succeed, and is still running."}
		case line.state != "success":
			return gitLabBlock{"ci_must_pass", "Pipeline must succeed, and it " + line.state + "."}
		}
	}
	if h.opts.GitLab == Free {
		return gitLabBlock{} // approvals are shown there, and require nothing
	}
	approvals := 0
	for _, rv := range latestReviews(p) {
		switch {
		case h.permissionLocked(p.repo, rv.author).rank() < Write.rank():
		case rv.state == reviewApproved:
			approvals++
		case rv.state == reviewChanges:
			return gitLabBlock{"requested_changes", "The change requests must be completed or resolved."}
		}
	}
	if approvals < protection.Reviews {
		return gitLabBlock{"not_approved", fmt.Sprintf("Requires %d approval from eligible users.", protection.Reviews)}
	}
	return gitLabBlock{}
}

// mayMergeLocked tells whether somebody may merge into a pull request's base. Only a GitLab lets fewer merge than push.
func (h *Hub) mayMergeLocked(p *pull, by *account) bool {
	least := Write
	if protection := p.repo.protection; p.repo.gitLab && protection != nil && protection.MergeOnly != "" && p.base == p.repo.defaultBranch {
		return strings.EqualFold(by.login, protection.MergeOnly) && h.permissionLocked(p.repo, by).rank() >= Write.rank()
	}
	if protection := p.repo.protection; p.repo.gitLab && protection != nil && protection.MergeBy != "" && p.base == p.repo.defaultBranch {
		least = protection.MergeBy
	}
	return h.permissionLocked(p.repo, by).rank() >= least.rank()
}

// gitLabMerge is whether a merge request can be merged, in GitLab's words: plain looks at conflicts only.
type gitLabMerge struct {
	plain, detailed string
	conflict        bool
}

// mergeStatusLocked tells what is known without asking git.
func (h *Hub) mergeStatusLocked(p *pull) gitLabMerge {
	base := p.repo.head(p.base)
	known, ok := p.repo.mergeable[base+p.headSHA]
	status := gitLabMerge{plain: "can_be_merged", conflict: ok && known.conflict}
	switch {
	case p.state != pullOpen:
		if !p.merged {
			status.plain = "unchecked"
		}
		status.detailed = "not_open"
		return status
	case !ok || h.faults.stillUnknownLocked(p.repo.id, p.number, base+p.headSHA):
		return gitLabMerge{plain: "checking", detailed: "checking"}
	case status.conflict:
		status.plain = "cannot_be_merged"
	}
	block := h.gitLabBlockedLocked(p)
	switch {
	case p.draft:
		status.detailed = "draft_status"
	case block.why != "":
		status.detailed = block.status
	case status.conflict:
		status.detailed = "conflict"
	default:
		status.detailed = "mergeable"
	}
	return status
}

// stillUnknownLocked is mergeUnknownLocked for whoever looks without asking.
func (f *faultState) stillUnknownLocked(repoID int64, number int, commits string) bool {
	return f.set.MergeUnknown > 0 && f.unknown[fmt.Sprintf("%d/%d/%s", repoID, number, commits)] <= f.set.MergeUnknown
}

// gitLabMergeMessage is what GitLab writes on a merge where nobody says something else.
func gitLabMergeMessage(p *pull, method string) (title, message string) {
	if method == "squash" {
		return p.title, ""
	}
	return fmt.Sprintf("Merge branch '%s' into '%s'", p.head, p.base), fmt.Sprintf("%s\n\nSee merge request %s!%d", p.title, p.repo.fullName(), p.number)
}

// asked are the people who were asked for a review, whether they gave one or not: they stay on the list here.
func (p *pull) asked() []*account {
	people := slices.Clone(p.reviewers)
	for _, rv := range p.reviews {
		if rv.state != reviewCommented && !slices.Contains(people, rv.author) {
			people = append(people, rv.author)
		}
	}
	return people
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
