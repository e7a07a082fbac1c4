package reconcile

import (
	"context"
	"path"

	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/gitrepo"
	"github.com/boatlift/boatlift/internal/kustomize"
	"github.com/boatlift/boatlift/internal/promotion"
)

// changesOf compares the images that a pull request's head sets with those of base, in the kustomizations that it touches.
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
	texts := map[string][]byte{}
	for _, f := range touched {
		text, err := tree.ReadFile(ctx, f)
		switch {
		case isNotExist(err):
		case permanent(err):
			o.Problem = f + " cannot be read at the head of the pull request: " + err.Error()
		case err != nil:
			return err
		default:
			texts[f] = text
		}
	}
	type entry struct{ file, name string }
	before := map[entry]promotion.Listing{}
	for _, l := range t.world.Listings {
		before[entry{l.File, l.Entry}] = l
	}
	o.Changes = map[string][]gate.Change{}
	now, _ := listings(t.world.Config, texts, nil)
	for _, l := range now {
		was := before[entry{l.File, l.Entry}]
		if was.Image == l.Image && was.Tag == l.Tag && was.Digest == l.Digest {
			continue
		}
		o.Changes[l.Environment] = append(o.Changes[l.Environment], gate.Change{
			Image: l.Image, FromTag: was.Tag, FromDigest: was.Digest, ToTag: l.Tag, ToDigest: l.Digest,
		})
	}
	return nil
}
