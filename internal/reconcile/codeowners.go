package reconcile

import (
	"bytes"
	"context"
	"fmt"

	"github.com/hmarr/codeowners"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/gate"
)

const (
	maxCodeOwners = 512 << 10 // bytes; every line becomes a pattern
	maxOwnedFiles = 500       // of a pull request
)

// codeOwnersFiles are where CODEOWNERS may stand; the first that is there counts, as at GitHub unless the forge says else.
func (t *turn) codeOwnersFiles() []string {
	if f, ok := forge.As[forge.OwnerFiles](t.forge); ok {
		return f.OwnerFiles()
	}
	return []string{".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS"}
}

// codeOwners finds the owners of the files that a pull request changes, by the CODEOWNERS of the base branch: what the pull request itself
// writes there does not count. unread says for people why they are not known.
func (t *turn) codeOwners(ctx context.Context, of review) (owned []gate.Owned, unread string, err error) {
	if of.tooMany || len(of.files) > maxOwnedFiles {
		return nil, fmt.Sprintf("it changes more than %d files, so their owners are not looked up", maxOwnedFiles), nil
	}
	rules, unread, err := t.ownerRules(ctx)
	if err != nil || unread != "" {
		return nil, unread, err
	}
	for _, file := range of.files {
		o := gate.Owned{File: file}
		rule, err := rules.Match(file)
		if err != nil {
			return nil, "CODEOWNERS cannot be matched with " + file + ": " + firstLine(err.Error()), nil
		}
		if rule != nil {
			for _, owner := range rule.Owners {
				o.Owners = append(o.Owners, owner.String())
			}
		}
		owned = append(owned, o)
	}
	return owned, "", nil
}

// ownerRules reads CODEOWNERS once in a turn. None at all is no rules.
func (t *turn) ownerRules(ctx context.Context) (codeowners.Ruleset, string, error) {
	if t.owners != nil {
		return t.owners.rules, t.owners.unread, nil
	}
	t.owners = &ownerFile{}
	for _, file := range t.codeOwnersFiles() {
		text, err := t.tree.ReadFile(ctx, file)
		switch {
		case isNotExist(err):
			continue
		case err != nil && !permanent(err):
			t.owners = nil
			return nil, "", fmt.Errorf("read %s: %w", file, err)
		case err != nil:
			t.owners.unread = file + " cannot be read: " + firstLine(err.Error())
		case len(text) > maxCodeOwners:
			t.owners.unread = fmt.Sprintf("%s cannot be read: it is larger than %d kB", file, maxCodeOwners>>10)
		default:
			if t.owners.rules, err = codeowners.ParseFile(bytes.NewReader(text)); err != nil {
				t.owners.unread = file + " cannot be read: " + firstLine(err.Error())
			}
		}
		break
	}
	return t.owners.rules, t.owners.unread, nil
}

// ownerFile is what CODEOWNERS of the base branch says.
type ownerFile struct {
	rules  codeowners.Ruleset
	unread string
}
