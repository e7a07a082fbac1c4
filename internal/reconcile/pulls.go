package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/gitrepo"
	"github.com/boatlift/boatlift/internal/promotion"
)

// observePulls looks at the pull requests of the promotions, and notices those of other people. One list serves all that are open; what is
// not in it is read singly.
func (t *turn) observePulls(ctx context.Context) error {
	t.world.Pulls = map[int]promotion.Pull{}
	t.permissions = map[string]forge.Permission{}
	if len(t.world.Config.Environments) == 0 && !slices.ContainsFunc(t.world.Promotions, func(p promotion.Promotion) bool { return p.State.Active() }) {
		return nil
	}
	open, err := t.forge.OpenPullRequests(ctx, t.repo, t.repo.DefaultBranch)
	if err != nil {
		return fmt.Errorf("list the open pull requests of %s: %w", t.repo.FullName, err)
	}
	t.adopt(open)
	byNumber := map[int]forge.PullRequest{}
	for _, pr := range open {
		byNumber[pr.Number] = pr
	}
	ours := map[int]bool{}
	for i := range t.world.Promotions {
		pr := &t.world.Promotions[i]
		if pr.State == promotion.Opening && pr.PullRequest == 0 {
			if err := t.findPull(ctx, pr); err != nil {
				return err
			}
		}
		if pr.PullRequest == 0 {
			continue
		}
		ours[pr.PullRequest] = true
		listed, isOpen := byNumber[pr.PullRequest]
		if !isOpen && !pr.State.Active() && !pr.ToClose {
			continue // ended, and still closed
		}
		pull, err := t.observePull(ctx, pr, listed, isOpen)
		if errors.Is(err, forge.ErrNotFound) {
			return fmt.Errorf("read pull request #%d of %s, which the forge does not know: %w", pr.PullRequest, t.repo.FullName, errors.New("it cannot be found"))
		}
		if err != nil {
			return fmt.Errorf("read pull request #%d of %s: %w", pr.PullRequest, t.repo.FullName, err)
		}
		t.world.Pulls[pr.PullRequest] = pull
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
func (t *turn) findPull(ctx context.Context, pr *promotion.Promotion) error {
	found, err := t.forge.PullRequestsOf(ctx, t.repo, pr.Branch)
	if err != nil {
		return fmt.Errorf("look for the pull request of branch %s in %s: %w", pr.Branch, t.repo.FullName, err)
	}
	for _, f := range found {
		taken := slices.ContainsFunc(t.world.Promotions, func(o promotion.Promotion) bool { return o.PullRequest == f.Number })
		if !taken && f.Author.Self {
			pr.PullRequest, pr.URL = f.Number, f.URL
			if pr.OpenedAt.IsZero() {
				pr.OpenedAt = f.CreatedAt
			}
			return nil
		}
	}
	return nil
}

// observePull reads one pull request of a promotion. The list does not tell of conflicts: that is asked when base has moved.
func (t *turn) observePull(ctx context.Context, pr *promotion.Promotion, listed forge.PullRequest, isOpen bool) (promotion.Pull, error) {
	full := listed
	if !isOpen || (pr.Base != string(t.base) && pr.MergeableAt != string(t.base)) {
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
		Number: full.Number, URL: full.URL, State: promotion.PullState(full.State), Draft: full.Draft, Head: full.HeadSHA,
		NoBranch: t.refs.Branch(pr.Branch) == "", Conflicting: full.Mergeability == forge.Conflicting, MergedAt: full.MergedAt, MergeCommit: full.MergeCommit,
	}
	var err error
	switch full.State {
	case forge.Closed:
		pull.ClosedBy, err = t.person(ctx, full.ClosedBy)
	case forge.Merged:
		pull.MergedBy, err = t.person(ctx, full.MergedBy)
	default:
		if pull.Foreign, err = t.foreign(ctx, pr, full.HeadSHA); err == nil {
			pull.Approvals, err = t.approvals(ctx, pr, full)
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

// foreign tells whether the head commit is somebody else's. A head that the bot made in a turn which did not live to write it down is
// taken up.
func (t *turn) foreign(ctx context.Context, pr *promotion.Promotion, head string) (bool, error) {
	if head == pr.Head || head == "" {
		return false, nil
	}
	commit, err := t.remote.Commit(ctx, gitrepo.Hash(head))
	if errors.Is(err, gitrepo.ErrNoSuchObject) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	if commit.Author.Email != t.self.Email || trailer(commit.Message) != pr.Release.ID || len(commit.Parents) != 1 {
		return true, nil
	}
	pr.Head, pr.Base = head, string(commit.Parents[0])
	return false, nil
}

// approvals reads the reviews where something asks for them: the newest decision of each person.
func (t *turn) approvals(ctx context.Context, pr *promotion.Promotion, pull forge.PullRequest) ([]gate.Approval, error) {
	env, ok := t.world.Config.Environment(pr.Release.Environment)
	wanted := ok && (env.Merge == promotion.MergeApproved ||
		slices.ContainsFunc(append(slices.Clone(t.r.Require), env.Policies...), func(u gate.Use) bool { return u.Policy == "approvals" }))
	if !wanted {
		return nil, nil
	}
	reviews, err := t.forge.Reviews(ctx, t.repo, pull.Number)
	if err != nil {
		return nil, fmt.Errorf("read the reviews: %w", err)
	}
	latest := map[string]forge.Review{}
	var order []string
	for _, review := range reviews {
		if review.State == forge.Commented || review.User.Bot || review.User.Self {
			continue
		}
		if _, seen := latest[review.User.Login]; !seen {
			order = append(order, review.User.Login)
		}
		latest[review.User.Login] = review
	}
	var all []gate.Approval
	for _, login := range order {
		review := latest[login]
		if review.State == forge.Dismissed {
			continue
		}
		person, err := t.person(ctx, review.User)
		if err != nil {
			return nil, err
		}
		all = append(all, gate.Approval{
			User: login, Approved: review.State == forge.Approved, At: review.At, OnHead: review.CommitSHA == pull.HeadSHA, CanWrite: person.CanWrite,
			Author: pull.Author.Login == login,
		})
	}
	return all, nil
}

// observeOthers finds out which images the pull requests of other people change. A head that was looked at and changes none is not looked
// at again.
func (t *turn) observeOthers(ctx context.Context) error {
	if !slices.ContainsFunc(t.world.Config.Environments, func(e promotion.Environment) bool { return e.Mode == promotion.Propose }) {
		t.world.Others = nil
		return nil
	}
	for i := range t.world.Others {
		o := &t.world.Others[i]
		o.Shown = t.mem.Checks[o.Number][o.Head]
		if o.Shown == promotion.NoImageChanges {
			continue
		}
		const limit = 3000
		files, more, err := t.forge.ChangedFiles(ctx, t.repo, o.Number, limit)
		if err != nil {
			return fmt.Errorf("list the files of pull request #%d of %s: %w", o.Number, t.repo.FullName, err)
		}
		if more {
			o.Problem = fmt.Sprintf("it changes more than %d files, so not all of them were looked at", limit)
		}
		if err := t.changesOf(ctx, o, files); err != nil {
			return fmt.Errorf("read pull request #%d of %s: %w", o.Number, t.repo.FullName, err)
		}
	}
	return nil
}
