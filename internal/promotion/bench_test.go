package promotion

import (
	"fmt"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/image"
)

// manyApps is a world of one environment with so many apps of one image each, of which some have a new tag.
func manyApps(apps, pushed int) World {
	day := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	e := Environment{Name: "acceptance", Rollout: Rollout{Merge: true}, Pin: PinTagAndDigest, Merge: MergeManual, Mode: Propose}
	run := Running{Environment: e.Name, SHA: "base", State: "succeeded", At: day, Images: map[image.Name]RunningImage{}}
	w := World{
		Now: day, Repo: "github/1", FullName: "acme/infra", Base: "base", Config: Config{Environments: []Environment{e}}, FirstSeen: map[Listed]time.Time{},
		Tags: map[image.Name][]Known{}, Running: map[string]Running{e.Name: run}, Pulls: map[int]Pull{}, Judge: judge,
	}
	for i := range apps {
		name := image.Name(fmt.Sprintf("registry.acme.io/shop/app-%05d", i))
		old, next := digestOf(name, "old"), digestOf(name, "new")
		w.Listings = append(w.Listings, Listing{
			Environment: e.Name, File: fmt.Sprintf("apps/app-%05d/kustomization.yaml", i), Entry: "app", Image: name, Tag: "1.0.0", Digest: old,
		})
		w.FirstSeen[Listed{e.Name, name}] = day.Add(-48 * time.Hour)
		run.Images[name] = RunningImage{Tag: "1.0.0", Digest: old, Since: day.Add(-48 * time.Hour)}
		if i < pushed {
			w.Tags[name] = []Known{{Seen: image.Seen{Tag: "1.1.0", Digest: next, First: day.Add(-time.Hour)}}}
		}
	}
	w.Previous = w.Listings
	return w
}

// BenchmarkPlan measures a plan for 10,000 apps by how many of them have something new, beside one for as few apps as have.
func BenchmarkPlan(b *testing.B) {
	for _, n := range []struct{ apps, pushed int }{{1, 1}, {100, 100}, {10_000, 0}, {10_000, 1}, {10_000, 100}} {
		b.Run(fmt.Sprintf("apps=%d/pushed=%d", n.apps, n.pushed), func(b *testing.B) {
			w := manyApps(n.apps, n.pushed)
			b.ReportAllocs()
			for b.Loop() {
				opened := 0
				for _, a := range Plan(w).Actions {
					if _, opens := a.(OpenPull); opens {
						opened++
					}
				}
				if opened != n.pushed {
					b.Fatalf("%d pull requests are opened, want %d", opened, n.pushed)
				}
			}
		})
	}
}
