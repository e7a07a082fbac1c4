package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/gitrepo"
	"github.com/boatlift/boatlift/internal/promotion"
)

// pageOf is what a promotion's pull request should say now, without what its head changes and the commits.
func (t *turn) pageOf(ctx context.Context, pr promotion.Promotion) (page, error) {
	env, _ := t.world.Config.Environment(pr.Release.Environment)
	p := page{pr: pr, env: env, log: t.world.Running[env.Name].URL}
	if !pr.State.Active() {
		return p, nil
	}
	places, err := t.placesOf(ctx, env)
	p.places = linked(places, pr.Release)
	return p, err
}

func (t *turn) mark(pr promotion.Promotion) string {
	return marker{ID: pr.ID, Release: pr.Release}.sign(t.r.MarkerKey(t.forgeName), t.claim.Repo)
}

// latest is a promotion as this turn has written it down last.
func (t *turn) latest(pr promotion.Promotion) promotion.Promotion {
	if saved, ok := t.saved[pr.ID]; ok {
		return saved
	}
	return pr
}

// keepPages edits the bodies of pull requests that do not say any more what is so. It comes last in a turn: the checks, on which merging
// depends, never wait for it. A body that cannot be edited stands in nobody's way, and is tried again.
func (t *turn) keepPages(ctx context.Context) error {
	if t.world.ReadOnly != "" {
		return nil
	}
	all := slices.Clone(t.world.Promotions)
	for _, pr := range t.begun {
		if !slices.ContainsFunc(all, func(o promotion.Promotion) bool { return o.ID == pr.ID }) {
			all = append(all, pr)
		}
	}
	for _, pr := range all {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		pr = t.latest(pr)
		if !t.keepsPage(pr) {
			continue
		}
		err := t.keepPage(ctx, pr)
		pace := paceOf(err)
		switch {
		case err == nil:
		case pace != nil: // so it is with all others
			t.postpone(pace)
			return nil
		case endsTurn(err):
			return err
		default:
			t.log.Warn("a pull request does not say yet what is so", "pull request", pr.PullRequest, "error", err)
			t.wakeLater(lookAgain)
		}
	}
	return nil
}

// keepsPage tells whether the body of a promotion's pull request is kept up to date: while it is open, and, where the bot has written it,
// until its rollout has ended. What people took over or closed is left alone.
func (t *turn) keepsPage(pr promotion.Promotion) bool {
	env, known := t.world.Config.Environment(pr.Release.Environment)
	if !known || env.Mode != promotion.Propose || pr.PullRequest == 0 || pr.Modified {
		return false
	}
	switch pr.State {
	case promotion.Open:
		pull, seen := t.world.Pulls[pr.PullRequest]
		return !seen || pull.State == promotion.PullOpen && !pull.Foreign // what was just reopened has its turn later
	case promotion.Merged, promotion.RollingOut, promotion.Deployed, promotion.Verified, promotion.Failed:
		return pr.Page != ""
	default:
		return false
	}
}

func (t *turn) keepPage(ctx context.Context, pr promotion.Promotion) error {
	before := pr
	p, err := t.pageOf(ctx, pr)
	if err != nil {
		return err
	}
	told := false
	if pr.State.Active() && !finished(pr) {
		if p.history, told, err = t.history(ctx, &p.pr); err != nil {
			return err
		}
	}
	if p.sum() == before.Page {
		if p.pr.History != before.History {
			return t.save(ctx, p.pr, "", "", nil)
		}
		return nil
	}
	switch {
	case told:
	case finished(pr): // the page tells it; it is not taken away because nobody answers just now
		if p.history, told, err = t.history(ctx, &p.pr); err != nil || !told {
			return err
		}
	default:
		t.learnFacts(ctx, pr.Release)
		p.history = t.knownHistory(&p.pr)
	}
	if p.changes, err = t.changesAt(ctx, pr); err != nil {
		return err
	}
	title, body := pullTitle(pr.Release), p.body(t.mark(pr))
	_, err = t.forge.EditPullRequest(ctx, t.repo, pr.PullRequest, forge.Edit{Title: &title, Body: &body})
	switch {
	case err != nil && !permanent(err) && !errors.Is(err, forge.ErrNotFound):
		return fmt.Errorf("edit the body of %s: %w", t.named(pr.PullRequest), err)
	case err != nil: // trying again does not help; the next change may
		t.log.Warn("the forge does not let the body of a pull request be edited", "pull request", pr.PullRequest, "error", err)
	}
	p.pr.Page = p.sum()
	return t.save(ctx, p.pr, "", "", nil)
}

// changesAt is what the head of a promotion changes: remembered, or made again from the base that it was made on.
func (t *turn) changesAt(ctx context.Context, pr promotion.Promotion) (edit, error) {
	if e, ok := t.r.edits.get(pr.Head); ok {
		return e, nil
	}
	env, _ := t.world.Config.Environment(pr.Release.Environment)
	on, lists := t.tree, t.world.Listings
	if pr.Base != "" && pr.Base != string(t.base) {
		var err error
		if on, err = t.remote.Tree(ctx, gitrepo.Hash(pr.Base)); err == nil {
			lists, err = t.list(ctx, on)
		}
		if err != nil && !permanent(err) {
			return edit{}, fmt.Errorf("read the base of %s: %w", t.named(pr.PullRequest), err)
		}
		if err != nil {
			return edit{notice: "What changes cannot be shown any more: " + firstLine(err.Error())}, nil
		}
	}
	e, err := t.edit(ctx, on, lists, env, pr.Release)
	var unchanged *unchangedError
	switch {
	case permanent(err), errors.As(err, &unchanged): // under another configuration the same commit may be no edit of this environment
		e = edit{notice: "What changes cannot be shown any more: " + firstLine(err.Error())}
	case err != nil:
		return edit{}, err
	default:
		t.render(ctx, on, &e)
	}
	t.r.edits.put(pr.Head, e)
	return e, nil
}

// edits remembers what heads change, as far as pages show it, so that a page which is written again needs no rendering.
type edits struct {
	mu     sync.Mutex
	byHead map[string]edit
	order  []string
	bytes  int
}

const maxEdits = 4 << 20 // bytes that are remembered

func (e edit) size() int {
	n := len(e.diff) + len(e.notice) + 200
	for _, d := range e.shown {
		n += len(d.Dir) + len(d.Diff)
	}
	return n + 300*len(e.moves)
}

func (s *edits) get(head string) (edit, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.byHead[head]
	return e, ok
}

func (s *edits) put(head string, e edit) {
	e.files = nil
	e.shown = slices.Clone(e.shown)
	for i := range e.shown {
		e.shown[i].Before, e.shown[i].After = nil, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.byHead[head]; there || head == "" {
		return
	}
	if s.byHead == nil {
		s.byHead = map[string]edit{}
	}
	s.byHead[head], s.order, s.bytes = e, append(s.order, head), s.bytes+e.size()
	for s.bytes > maxEdits && len(s.order) > 1 {
		oldest := s.order[0]
		s.bytes -= s.byHead[oldest].size()
		delete(s.byHead, oldest)
		s.order = slices.Delete(s.order, 0, 1)
	}
}
