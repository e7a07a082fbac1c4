package reconcile

import (
	"slices"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/promotion"
)

// TestAForgeThatSendsNothingAgainIsLookedAtMoreOftenAfterTheStart follows what is woken after a start, and when.
func TestAForgeThatSendsNothingAgainIsLookedAtMoreOftenAfterTheStart(t *testing.T) {
	w := newWorld(t)
	known := w.repo("infra", map[string]string{ConfigFile: w.config(environment("acceptance"))})
	w.discover()
	w.bot.start = w.clock.now()
	var looks []time.Duration
	for {
		finish, err := w.bot.sweep(w.ctx, "github")
		if err != nil {
			t.Fatal(err)
		}
		if len(finish.Wake) > 0 {
			looks = append(looks, w.clock.now().Sub(w.bot.start))
			if !slices.Equal(finish.Wake, []promotion.RepoKey{known.key()}) {
				t.Errorf("%v are woken; want %s", finish.Wake, known.key())
			}
		}
		if finish.WakeAt.IsZero() {
			break
		}
		w.clock.move(finish.WakeAt.Sub(w.clock.now()))
	}
	if want := []time.Duration{10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second, 160 * time.Second, 320 * time.Second}; !slices.Equal(looks, want) {
		t.Errorf("it is looked at after %v; want %v", looks, want)
	}
	if finish, err := w.bot.sweep(w.ctx, "another"); err != nil || len(finish.Wake) > 0 {
		t.Errorf("sweep of another forge = %+v, %v; want nothing", finish, err)
	}
}
