package store

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/promotion"
)

func TestARestartedProcessTakesOverAtOnce(t *testing.T) {
	url := "sqlite:" + filepath.Join(t.TempDir(), "boatlift.db")
	ctx := context.Background()
	before, err := Open(ctx, url, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := before.Wake(ctx, promotion.RepoKey("github/1")); err != nil {
		t.Fatal(err)
	}
	old, err := before.Claim(ctx, "killed", time.Hour)
	if err != nil || old == nil {
		t.Fatalf("Claim = %v, %v; want the work", old, err)
	}
	if err := before.Close(); err != nil { // without finishing: as after kill -9
		t.Fatal(err)
	}
	after, err := Open(ctx, url, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer after.Close()
	taken, err := after.Claim(ctx, "restarted", time.Hour)
	if err != nil || taken == nil {
		t.Fatalf("Claim after the restart = %v, %v; want the work at once", taken, err)
	}
	if taken.Token <= old.Token || taken.Attempts == 0 {
		t.Errorf("token %d after %d with %d attempts, want a higher token and the lost turn counted", taken.Token, old.Token, taken.Attempts)
	}
	if err := after.Renew(ctx, old, time.Hour); err == nil {
		t.Error("the claim of the process that ended can still be renewed")
	}
}
