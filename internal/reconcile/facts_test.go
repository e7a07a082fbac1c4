package reconcile

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
)

func TestAPullRequestTellsWhereItsImagesComeFrom(t *testing.T) {
	w := newWorld(t)
	acceptance, production := w.shop()
	w.registry.says(digestOf(web, "1.0.0", 0), image.Facts{Source: "https://github.com/acme/web", Revision: "1111111"})
	w.registry.says(digestOf(web, "1.1.0", 0), image.Facts{
		Source: "https://github.com/acme/web?a=|@alice", Revision: "2222222", Created: time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC),
	})
	w.push(web, "1.1.0")
	w.work()
	for _, r := range []*infra{acceptance, production} {
		body := r.only().Body
		for _, want := range []string{"`https://github.com/acme/web?a=¦@alice`", "`1111111` → `2222222`", "2026-03-01 10:00:00 UTC"} {
			if !strings.Contains(body, want) {
				t.Errorf("the body lacks %q:\n%s", want, body)
			}
		}
	}
	slices.Sort(w.registry.facts)
	if got := slices.Compact(slices.Clone(w.registry.facts)); len(got) != 2 || len(w.registry.facts) != 2 {
		t.Errorf("the registry was asked about %v; want each digest once, as the store knows them then", w.registry.facts)
	}
}

func TestImagesThatSayNothingHaveNoOrigin(t *testing.T) {
	w := newWorld(t)
	acceptance, _ := w.shop()
	w.push(web, "1.1.0")
	w.work()
	if body := acceptance.only().Body; strings.Contains(body, "Where it comes from") {
		t.Errorf("the body is\n%s", body)
	}
}

func TestWhatAnImageSaysNeverStandsInTheWay(t *testing.T) {
	for name, fail := range map[string]func(w *world){
		"the registry fails":  func(w *world) { w.registry.mute = errors.New("503 Service Unavailable") },
		"the registry panics": func(w *world) { w.bot.Registry = panicking{w.bot.Registry} },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			acceptance, _ := w.shop()
			fail(w)
			w.push(web, "1.1.0")
			w.work()
			acceptance.only()
			w.registry.mute = nil
			known, err := w.store.Facts(w.ctx, []image.Digest{digestOf(web, "1.1.0", 0)})
			if err != nil || len(known) != 0 {
				t.Errorf("kept %+v, %v; want nothing, as nothing was read", known, err)
			}
		})
	}
}

// panicking is a registry whose answers make the program fail.
type panicking struct{ Registry }

func (p panicking) Facts(ctx context.Context, name image.Name, digest image.Digest) (image.Facts, error) {
	panic("facts of " + string(name))
}

func TestWhatRunsIsKnownAlsoWhereBaseSetsNoDigest(t *testing.T) {
	w := newWorld(t)
	r := w.repo("infra", map[string]string{
		ConfigFile:                    w.config(environment("acceptance", func(e *promotion.Environment) { e.Pin = promotion.PinTag })),
		"apps/web/kustomization.yaml": strings.ReplaceAll(kustomization(string(web)+":1.0.0"), "    digest: "+string(digestOf(web, "1.0.0", 0))+"\n", ""),
	})
	w.discover()
	w.registry.says(digestOf(web, "1.1.0", 0), image.Facts{Revision: "2222222"})
	w.push(web, "1.1.0")
	w.work()
	if body := r.only().Body; !strings.Contains(body, "| `2222222` |") {
		t.Errorf("the body is\n%s", body)
	}
}
