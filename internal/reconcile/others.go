package reconcile

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/gitrepo"
	"github.com/boatlift/boatlift/internal/kustomize"
	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/store"
)

// lookAgain is how soon a pull request of other people is looked at again that could not be read, or not be answered.
const lookAgain = time.Minute

// observeOthers finds out which images the pull requests of other people change. A head that was looked at and changes none is not looked
// at again, unless it could change one were base another. One that cannot be read just now is left out, and does not keep the bot from its own.
func (t *turn) observeOthers(ctx context.Context) error {
	if !slices.ContainsFunc(t.world.Config.Environments, func(e promotion.Environment) bool { return e.Mode == promotion.Propose }) {
		t.world.Others = nil
		return nil
	}
	others := t.world.Others
	t.world.Others = nil
	for _, o := range others {
		err := t.observeOther(ctx, &o)
		switch {
		case err == nil:
			t.world.Others = append(t.world.Others, o)
		case endsTurn(err):
			return fmt.Errorf("look at pull request %s of %s: %w", t.named(o.Number), t.repo.FullName, err)
		default:
			t.log.Warn("look at somebody's pull request", "pull request", o.Number, "error", err)
			t.wakeLater(lookAgain)
		}
	}
	return nil
}

func (t *turn) observeOther(ctx context.Context, o *promotion.Other) error {
	o.Shown, o.Ungated = t.stillShown(o.Number, o.Head), t.openPulls[o.Number].Ungated
	if o.Shown == promotion.NoImageChanges {
		return nil
	}
	const limit = 3000
	files, more, err := t.forge.ChangedFiles(ctx, t.repo, o.Number, limit)
	if err != nil {
		return fmt.Errorf("list its files: %w", err)
	}
	if more {
		o.Problem = fmt.Sprintf("it changes more than %d files, so not all of them were looked at", limit)
	}
	if err := t.changesOf(ctx, o, files); err != nil {
		return fmt.Errorf("read its kustomizations: %w", err)
	}
	environments := sortedKeys(o.Changes)
	if slices.ContainsFunc(environments, t.asksForApprovals) {
		o.Reviewing, err = t.reviewing(ctx, review{
			number: o.Number, head: o.Head, author: t.openPulls[o.Number].Author, environments: environments, files: files, tooMany: more,
		})
		if err != nil {
			return err
		}
	}
	if slices.ContainsFunc(environments, t.asksForChecks) {
		o.Checks, err = t.checksOf(ctx, o.Head)
		return err
	}
	return nil
}

// changesOf compares the images that a pull request's head sets with those of base, in the kustomizations that it touches. What the head has
// as its merge base had it, a merge leaves as base has it by now.
func (t *turn) changesOf(ctx context.Context, o *promotion.Other, files []string) error {
	var touched []string
	for _, f := range files {
		if _, ok := t.world.Config.Of(f); ok && kustomize.IsKustomization(path.Base(f)) {
			touched = append(touched, f)
		}
	}
	if len(touched) == 0 {
		return nil
	}
	tree, err := t.remote.Tree(ctx, gitrepo.Hash(o.Head))
	if err != nil {
		return err
	}
	sets := func(file string) bool { // whether base sets images in a file
		return slices.ContainsFunc(t.world.Listings, func(l promotion.Listing) bool { return l.File == file })
	}
	texts := map[string][]byte{}
	for _, f := range touched {
		text, err := tree.ReadFile(ctx, f)
		switch {
		case isNotExist(err), errors.Is(err, gitrepo.ErrUnsupported) && !sets(f):
		case permanent(err):
			o.Problem = f + " cannot be read at the head of the pull request: " + err.Error()
		case err != nil:
			return err
		default:
			texts[f] = text
		}
	}
	o.Changes = map[string][]gate.Change{}
	now, unlisted := listings(t.world.Config, texts, nil)
	for _, u := range unlisted {
		if u.Entry == "" && sets(u.File) {
			o.Problem = u.Why // any image may be in it
		}
	}
	fork, err := t.mergeBase(ctx, o)
	if err != nil {
		return fmt.Errorf("find what it began from: %w", err)
	}
	made, err := t.listsAt(ctx, fork, touched)
	if err != nil {
		return fmt.Errorf("read what it began from: %w", err)
	}
	t.moving[o.Number] = t.compare(now, made, o.Changes)
	return nil
}

// mergeBase is the commit from which a pull request began; empty where the forge does not tell, so that all that its head has is its doing.
func (t *turn) mergeBase(ctx context.Context, o *promotion.Other) (gitrepo.Hash, error) {
	fork, err := t.forge.MergeBase(ctx, t.repo, string(t.base), o.Head)
	if errors.Is(err, forge.ErrNotFound) || permanent(err) {
		return "", nil
	}
	return gitrepo.Hash(fork), err
}

// listsAt reads the images that some files set in a commit that may be an old one. What cannot be read there sets none.
func (t *turn) listsAt(ctx context.Context, commit gitrepo.Hash, files []string) ([]promotion.Listing, error) {
	if commit == "" {
		return nil, nil
	}
	tree, err := t.remote.Tree(ctx, commit)
	if err != nil {
		return nil, unlessPermanent(err)
	}
	texts := map[string][]byte{}
	for _, f := range files {
		text, err := tree.ReadFile(ctx, f)
		switch {
		case isNotExist(err), permanent(err):
		case err != nil:
			return nil, err
		default:
			texts[f] = text
		}
	}
	lists, _ := listings(t.world.Config, texts, nil)
	return lists, nil
}

// compare adds the images that listings set otherwise than base does, by environment, but those that were made so: what was there when the
// change began. It tells whether any was not, whatever base has.
func (t *turn) compare(now, made []promotion.Listing, changes map[string][]gate.Change) (moving bool) {
	before, began := byEntry(t.world.Listings), byEntry(made)
	for l, e := range numbered(now) {
		if sameImage(began[e], l) {
			continue
		}
		moving = true
		was := before[e]
		if sameImage(was, l) {
			continue
		}
		changes[l.Environment] = append(changes[l.Environment], gate.Change{
			Image: l.Image, FromTag: was.Tag, FromDigest: was.Digest, ToTag: l.Tag, ToDigest: l.Digest,
		})
	}
	return moving
}

func byEntry(lists []promotion.Listing) map[entry]promotion.Listing {
	by := map[entry]promotion.Listing{}
	for l, e := range numbered(lists) {
		by[e] = l
	}
	return by
}

func sameImage(a, b promotion.Listing) bool {
	return a.Image == b.Image && a.Tag == b.Tag && a.Digest == b.Digest
}

// entry is where a listing stands. A name may stand more than once in a file.
type entry struct {
	file, name string
	n          int
}

// numbered gives listings with their places, in their order.
func numbered(lists []promotion.Listing) iter.Seq2[promotion.Listing, entry] {
	return func(yield func(promotion.Listing, entry) bool) {
		seen := map[entry]int{}
		for _, l := range lists {
			e := entry{file: l.File, name: l.Entry}
			n := seen[e]
			seen[e]++
			e.n = n
			if !yield(l, e) {
				return
			}
		}
	}
}

// shownOn is what the gate last showed on a head commit. It is remembered with the configuration that it was shown by: under another one
// the same commit may change images of other environments.
func (t *turn) shownOn(number int, head string) string {
	shown, _ := t.shownWith(number, head)
	return shown
}

// stillShown is what the gate last showed on a head commit, if that still holds. That a commit which sets images changes none, as base has
// them so already, only holds for what base had: when they are set back, base can get them from that commit.
func (t *turn) stillShown(number int, head string) string {
	shown, of := t.shownWith(number, head)
	if of != "" && of != t.imagesSum() {
		return ""
	}
	return shown
}

func (t *turn) shownWith(number int, head string) (shown, images string) {
	shown, by, _ := strings.Cut(t.mem.Checks[number][head], shownBy)
	by, images, _ = strings.Cut(by, ofImages)
	if by != t.configurationSum() {
		return "", ""
	}
	return shown, images
}

// shownNow is what to remember of what the gate shows on a pull request of other people.
func (t *turn) shownNow(number int, shown string) string {
	shown += shownBy + t.configurationSum()
	if t.moving[number] {
		shown += ofImages + t.imagesSum()
	}
	return shown
}

const (
	shownBy  = "\nby configuration "
	ofImages = " and images "
)

func (t *turn) configurationSum() string { return shortSum(t.rec.ConfigText) }

// imagesSum tells apart what base sets its images to.
func (t *turn) imagesSum() string { return shortSum(fmt.Sprintf("%q", t.world.Listings)) }

func shortSum(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}

// showOther shows the gate on somebody's pull request, and remembers what was shown.
func (t *turn) showOther(ctx context.Context, a promotion.ShowOther) error {
	check := gateCheck(a.Head, a.Verdict, "")
	check.Number = a.Number
	err := t.forge.SetCheck(ctx, t.repo, check)
	if err != nil && !endsTurn(err) && paceOf(err) == nil {
		t.log.Warn("show the gate on somebody's pull request", "pull request", a.Number, "error", err)
		t.wakeLater(lookAgain)
		return nil
	}
	if err != nil {
		return fmt.Errorf("show the gate on %s: %w", t.named(a.Number), err)
	}
	return t.r.Store.Update(ctx, t.claim, func(tx *store.Tx) error {
		tx.SaveCheck(t.claim.Repo, a.Number, a.Head, t.shownNow(a.Number, a.Shown))
		return nil
	})
}
