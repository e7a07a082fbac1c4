package reconcile

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/boatlift/boatlift/internal/forge"
)

// elsewhere is a forge that reads CODEOWNERS in a place of its own.
type elsewhere struct{ forge.Forge }

func (elsewhere) OwnerFiles() []string { return []string{".gitlab/CODEOWNERS"} }

func TestTheForgeSaysWhereItsCodeOwnersStand(t *testing.T) {
	for _, c := range []struct {
		forge forge.Forge
		want  []string
	}{
		{nil, []string{".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS"}},
		{elsewhere{}, []string{".gitlab/CODEOWNERS"}},
	} {
		turn := &turn{forge: c.forge}
		if got := turn.codeOwnersFiles(); !slices.Equal(got, c.want) {
			t.Errorf("codeOwnersFiles of %T = %q; want %q", c.forge, got, c.want)
		}
	}
}

// TestSectionsOfCodeOwnersAreNotGuessedAt: at a GitLab each section asks owners of its own, which rules of which the last one counts cannot say.
func TestSectionsOfCodeOwnersAreNotGuessedAt(t *testing.T) {
	for _, section := range []string{"[Docs]", "^[Docs]", "[Docs][2]", "[Docs] @acme/docs", "[Docs][2] @acme/docs @bob"} {
		turn := &turn{forge: elsewhere{}, tree: oneFile{text: section + "\n*.yaml @acme/platform\n"}}
		_, unread, err := turn.codeOwners(t.Context(), review{files: []string{"apps/shop/kustomization.yaml"}})
		if err != nil || !strings.HasPrefix(unread, ".gitlab/CODEOWNERS cannot be read: ") {
			t.Errorf("%q: %q, %v; want that it cannot be read", section, unread, err)
		}
	}
}

// oneFile is a tree in which every file has the same text.
type oneFile struct {
	tree
	text string
}

func (f oneFile) ReadFile(context.Context, string) ([]byte, error) { return []byte(f.text), nil }
