package reconcile

import (
	"testing"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/store"
)

// Not every forge tells that a bot was let into a repository; the first event of that repository does.
func TestAnEventAboutAnUnknownRepositoryMakesItKnown(t *testing.T) {
	w := newWorld(t)
	w.discover()
	r := w.repo("infra", map[string]string{
		ConfigFile:                    w.config(environment("acceptance", merging(promotion.MergeManual))),
		"apps/web/kustomization.yaml": kustomization(string(web) + ":1.0.0"),
	})
	w.hearOf(r.ID)
	w.push(web, "1.1.0")
	w.work()
	if n := len(r.open()); n != 1 {
		t.Errorf("%d pull requests are open; want one, by the event alone", n)
	}
}

// What the bot is not let into is not looked for with every one of its events.
func TestARepositoryThatStaysUnknownIsSeldomLookedFor(t *testing.T) {
	w := newWorld(t)
	w.discover()
	lists := func() (n int) {
		for _, c := range w.mem.Calls() {
			if c.Method == "Repositories" {
				n++
			}
		}
		return n
	}
	before := lists()
	for range 3 {
		w.hearOf(4711)
	}
	if n := lists() - before; n != 1 {
		t.Errorf("three events made the bot look %d times; want once", n)
	}
	w.clock.move(soughtFor)
	w.hearOf(4711)
	if n := lists() - before; n < 2 {
		t.Errorf("an event %s later made the bot look %d times in all; want it to look again", soughtFor, n)
	}
}

// hearOf is an event about a repository.
func (w *world) hearOf(id forge.RepoID) {
	w.t.Helper()
	if err := w.store.Wake(w.ctx, store.KeyOf("github", int64(id))); err != nil {
		w.t.Fatal(err)
	}
	w.work()
}
