package forgetest

import (
	"testing"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/governor"
	"github.com/boatlift/boatlift/internal/store"
)

func TestMemoryKeepsTheContract(t *testing.T) {
	Contract(t, func(testing.TB) Harness { return NewMemoryHarness() })
}

// TestMemoryLikeAGitLabKeepsTheContract has what a GitLab has not, and what it has instead.
func TestMemoryLikeAGitLabKeepsTheContract(t *testing.T) {
	Contract(t, func(testing.TB) Harness { return memoryHarness{Memory: NewMemory(LikeGitLab()), LeftOut: &LeftOut{}} })
}

// governedHarness drives a Memory whose writes are held to limits that are never reached.
type governedHarness struct {
	memoryHarness
	governed *governor.Forge
}

func (h governedHarness) Forge() forge.Forge { return h.governed }

func TestAGovernedForgeKeepsTheContract(t *testing.T) {
	Contract(t, func(tb testing.TB) Harness {
		tokens, err := store.Open(tb.Context(), "sqlite::memory:", store.Options{})
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() {
			if err := tokens.Close(); err != nil {
				tb.Error(err)
			}
		})
		m := NewMemory(Options{})
		return governedHarness{
			memoryHarness{Memory: m, LeftOut: &LeftOut{}},
			governor.New(governor.Options{Forge: m, Name: "github", Tokens: tokens, Limits: store.Limits{PerMinute: 10_000, PerHour: 10_000}}),
		}
	})
}
