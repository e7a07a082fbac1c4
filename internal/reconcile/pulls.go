package reconcile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/gitrepo"
	"github.com/boatlift/boatlift/internal/promotion"
)

// observePulls looks at the pull requests of the promotions, and notices those of other people. One list serves all that are open; what is
// not in it is read singly.
func (t *turn) observePulls(ctx context.Context) error {
	t.world.Pulls, t.openPulls = map[int]promotion.Pull{}, map[int]forge.PullRequest{}
	t.permissions = map[string]forge.Permission{}
	if len(t.world.Config.Environments) == 0 && !slices.ContainsFunc(t.world.Promotions, func(p promotion.Promotion) bool { return p.State.Active() }) {
		return nil
	}
	open, err := t.forge.OpenPullRequests(ctx, t.repo, t.repo.DefaultBranch)
	if err != nil {
		return fmt.Errorf("list the open pull requests of %s: %w", t.repo.FullName, err)
	}
	t.adopt(open)
	for _, pr := range open {
		t.openPulls[pr.Number] = pr
	}
	ours := map[int]bool{}
	for i := range t.world.Promotions {
		pr := &t.world.Promotions[i]
		if pr.State == promotion.Opening && pr.PullRequest == 0 && pr.Head != "" && pr.WaitsUntil.IsZero() {
			if err := t.findPull(ctx, pr, open); err != nil {
				return err
			}
		}
		if pr.PullRequest == 0 {
			continue
		}
		listed, isOpen := t.openPulls[pr.PullRequest]
		if !pr.State.Active() {
			if !isOpen && !pr.ToClose {
				continue // ended, and still closed
			}
			if pr.Modified && !pr.ToClose {
				continue // left to the person whose commits are on it: as other people's
			}
			isOpen = false // a list may lag behind, and that somebody reopened it is not believed of one
		}
		ours[pr.PullRequest] = true
		pull, err := t.observePull(ctx, pr, listed, isOpen)
		if errors.Is(err, forge.ErrNotFound) {
			return fmt.Errorf("read pull request %s of %s, which the forge does not know: %w", t.named(pr.PullRequest), t.repo.FullName, err)
		}
		if err != nil {
			return fmt.Errorf("read pull request %s of %s: %w", t.named(pr.PullRequest), t.repo.FullName, err)
		}
		t.world.Pulls[pr.PullRequest] = pull
		if pull.Foreign { // it may change anything by now
			t.world.Others = append(t.world.Others, promotion.Other{Number: pull.Number, Head: pull.Head})
		}
	}
	for _, pr := range open {
		if !ours[pr.Number] {
			t.world.Others = append(t.world.Others, promotion.Other{Number: pr.Number, Head: pr.HeadSHA})
		}
	}
	return nil
}

// adopt takes up pull requests that carry the bot's own signed marker but are not in the store, as after the database was lost.
func (t *turn) adopt(open []forge.PullRequest) {
	for _, pr := range open {
		known := slices.ContainsFunc(t.world.Promotions, func(p promotion.Promotion) bool {
			return p.PullRequest == pr.Number || (p.PullRequest == 0 && p.State == promotion.Opening && p.Branch == pr.HeadBranch)
		})
		if known || pr.HeadFork || !pr.Author.Self {
			continue
		}
		m, ok := readMarker(t.r.MarkerKey(t.forgeName), t.claim.Repo, pr.Body)
		if !ok || m.Release.Branch() != pr.HeadBranch {
			continue
		}
		t.log.Info("found a pull request of ours that was not recorded", "pull request", pr.Number)
		t.world.Promotions = append(t.world.Promotions, promotion.Promotion{
			ID: m.ID, Repo: t.claim.Repo, Release: m.Release, State: promotion.Open, Branch: pr.HeadBranch, PullRequest: pr.Number, URL: pr.URL,
			CreatedAt: pr.CreatedAt, OpenedAt: pr.CreatedAt,
		})
	}
}

// findPull finds the pull request of a promotion that was decided on in a turn which did not live to write its number down. Whatever state
// it is in by now, it is that promotion's unless it belongs to another one.
func (t *turn) findPull(ctx context.Context, pr *promotion.Promotion, open []forge.PullRequest) error {
	if t.link(pr, open) {
		return nil
	}
	found, err := t.forge.PullRequestsOf(ctx, t.repo, pr.Branch)
	if err != nil {
		return fmt.Errorf("look for the pull request of branch %s in %s: %w", pr.Branch, t.repo.FullName, err)
	}
	t.link(pr, found)
	return nil
}

// clockDifference is how far the clocks of bot and forge may differ.
const clockDifference = 5 * time.Minute

// link makes the first of the pull requests that can be a promotion's its own. One that ended before the promotion began is of an earlier
// promotion of the same release, which may be forgotten by now.
func (t *turn) link(pr *promotion.Promotion, pulls []forge.PullRequest) bool {
	for _, f := range pulls {
		taken := slices.ContainsFunc(t.world.Promotions, func(o promotion.Promotion) bool { return o.PullRequest == f.Number })
		earlier := f.State != forge.Open && f.CreatedAt.Before(pr.CreatedAt.Add(-clockDifference))
		if taken || earlier || f.HeadBranch != pr.Branch || f.HeadFork || !f.Author.Self {
			continue
		}
		pr.PullRequest, pr.URL = f.Number, f.URL
		if pr.OpenedAt.IsZero() {
			pr.OpenedAt = f.CreatedAt
		}
		return true
	}
	return false
}

// observePull reads one pull request of a promotion. The list does not tell of conflicts: that is asked when base has moved in what the
// promotion edits.
func (t *turn) observePull(ctx context.Context, pr *promotion.Promotion, listed forge.PullRequest, isOpen bool) (promotion.Pull, error) {
	full := listed
	moved := pr.Base != string(t.base) && pr.MergeableAt != string(t.base) && !pr.Modified
	if isOpen && moved && t.sameFiles(ctx, pr) {
		moved, pr.MergeableAt = false, string(t.base)
	}
	if !isOpen || moved {
		var err error
		if full, err = t.forge.PullRequest(ctx, t.repo, pr.PullRequest); err != nil {
			return promotion.Pull{}, err
		}
		if full.State == forge.Open {
			switch full.Mergeability {
			case forge.Mergeable:
				pr.MergeableAt = string(t.base)
			case forge.MergeUnknown:
				t.wakeLater(15 * time.Second)
			}
		}
	}
	pull := promotion.Pull{
		Number: full.Number, URL: full.URL, State: promotion.PullState(full.State), Draft: full.Draft, Ungated: full.Ungated, Head: full.HeadSHA,
		NoBranch: t.refs.Branch(pr.Branch) == "", Conflicting: full.Mergeability == forge.Conflicting, MergedAt: full.MergedAt, MergeCommit: full.MergeCommit,
		Shown: t.shownOn(full.Number, full.HeadSHA),
	}
	if full.BaseBranch != t.repo.DefaultBranch {
		pull.Elsewhere = full.BaseBranch
	}
	var err error
	switch full.State {
	case forge.Closed:
		pull.ClosedBy, err = t.person(ctx, full.ClosedBy)
	case forge.Merged:
		pull.MergedBy, err = t.person(ctx, full.MergedBy)
	default:
		pull.Foreign, err = t.foreign(ctx, pr, full.HeadSHA)
		if err == nil && !pull.Foreign && t.asksForApprovals(pr.Release.Environment) {
			pull.Reviewing, err = t.reviewing(ctx, review{
				number: full.Number, head: full.HeadSHA, author: full.Author, environments: []string{pr.Release.Environment}, files: pr.Files,
			})
		}
		if err == nil && !pull.Foreign && t.asksForChecks(pr.Release.Environment) {
			pull.Checks, err = t.checksOf(ctx, full.HeadSHA)
		}
	}
	return pull, err
}

// person finds out whether somebody may write to the repository.
func (t *turn) person(ctx context.Context, a forge.Actor) (promotion.Person, error) {
	p := promotion.Person{Login: a.Login, Bot: a.Bot || a.Self}
	if a.Login == "" || p.Bot {
		return p, nil
	}
	permission, known := t.permissions[a.Login]
	if !known {
		var err error
		if permission, err = t.forge.Permission(ctx, t.repo, a.Login); err != nil && !errors.Is(err, forge.ErrNotFound) {
			return p, fmt.Errorf("ask what %s may do: %w", a.Login, err)
		}
		t.permissions[a.Login] = permission
	}
	p.CanWrite = permission.CanWrite()
	return p, nil
}

// sameFiles tells whether base has, in the files that a promotion edits, what it had when the promotion's commit was made. Then the two do
// not conflict, and with many open pull requests the forge need not be asked about each whenever one of them is merged.
func (t *turn) sameFiles(ctx context.Context, pr *promotion.Promotion) bool {
	if pr.Base == "" || len(pr.Files) == 0 {
		return false
	}
	tree, err := t.remote.Tree(ctx, gitrepo.Hash(pr.Base))
	if err != nil {
		return false
	}
	before, err := tree.ReadFiles(ctx, pr.Files)
	if err != nil {
		return false
	}
	now, err := t.tree.ReadFiles(ctx, pr.Files)
	return err == nil && len(before) == len(pr.Files) && maps.EqualFunc(before, now, bytes.Equal)
}
