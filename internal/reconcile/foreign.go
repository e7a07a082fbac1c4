package reconcile

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/gitrepo"
	"github.com/boatlift/boatlift/internal/promotion"
)

// foreign tells whether the head commit is somebody else's. The bot's own is the one that it wrote down. One that it made in a turn which
// did not live to write it down is known by its content, never by its author or message, as everybody who may write can forge these; if it
// took the place of another one, what that turn had yet to say is said now.
func (t *turn) foreign(ctx context.Context, pr *promotion.Promotion, head string) (bool, error) {
	if head == pr.Head || head == "" {
		return false, nil
	}
	if pr.Modified {
		return true, nil
	}
	on, ours, err := t.wouldMake(ctx, *pr, head)
	if err != nil || !ours {
		return err == nil, err
	}
	if pr.State == promotion.Open && pr.Head != "" {
		if err := t.forge.Comment(ctx, t.repo, pr.PullRequest, rebuiltKey(head), rebuildComment("base moved")); err != nil {
			return false, fmt.Errorf("say that it was made anew: %w", err)
		}
	}
	pr.Head, pr.Base = head, string(on)
	if pr.MergeableAt = ""; pr.Base != string(t.base) {
		t.wakeLater(time.Second) // what was found out of conflicts is of the head before
	}
	return false, nil
}

// wouldMake tells whether a commit is what the bot would make for a promotion: one commit upon base as it is or was, whose tree differs from
// that one's by exactly the promotion's edits. Whoever made such a commit, nothing but the promotion comes of it.
func (t *turn) wouldMake(ctx context.Context, pr promotion.Promotion, head string) (on gitrepo.Hash, ours bool, err error) {
	env, known := t.world.Config.Environment(pr.Release.Environment)
	if !known {
		return "", false, nil
	}
	commit, err := t.remote.Commit(ctx, gitrepo.Hash(head))
	if errors.Is(err, gitrepo.ErrNoSuchObject) || err == nil && len(commit.Parents) != 1 {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("look at commit %s: %w", short(head), err)
	}
	on = commit.Parents[0]
	if was, err := t.wasBase(ctx, on, &pr, head); err != nil || !was {
		return "", false, err
	}
	tree, err := t.remote.Tree(ctx, on)
	if err != nil {
		return "", false, err
	}
	lists, err := t.list(ctx, tree)
	if err != nil {
		return "", false, unlessPermanent(fmt.Errorf("read the base of commit %s: %w", short(head), err))
	}
	edited, err := t.edit(ctx, tree, lists, env, pr.Release)
	var unchanged *unchangedError
	if errors.As(err, &unchanged) {
		return "", false, nil
	}
	if err != nil {
		return "", false, unlessPermanent(err)
	}
	want, err := tree.Edited(ctx, edited.files)
	if err != nil {
		return "", false, unlessPermanent(fmt.Errorf("make commit %s anew: %w", short(head), err))
	}
	return on, want == commit.Tree, nil
}

// unlessPermanent leaves out an error which says that the bot could not have made the commit.
func unlessPermanent(err error) error {
	if permanent(err) {
		return nil
	}
	return err
}

// wasBase tells whether a commit is base, or was. Where the bot does not remember it, as after its database was lost, the forge tells whether
// nothing but the head lies between it and base: both are named by their hashes, so that the answer cannot be about something else.
func (t *turn) wasBase(ctx context.Context, commit gitrepo.Hash, pr *promotion.Promotion, head string) (bool, error) {
	switch string(commit) {
	case string(t.base), pr.Base, t.mem.Repo.BaseHead:
		return true, nil
	}
	between, err := t.forge.Compare(ctx, t.repo, t.repo.WebURL, string(t.base), head, 2)
	if errors.Is(err, forge.ErrNotFound) || permanent(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("find what lies between base and commit %s: %w", short(head), err)
	}
	return between.Total == 1 && len(between.Commits) == 1 && between.Commits[0].SHA == head, nil
}
