package reconcile

import (
	"slices"
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
