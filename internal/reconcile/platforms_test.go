package reconcile

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
)

func needs(platforms ...string) func(a, p *promotion.Environment) {
	return func(a, _ *promotion.Environment) { a.Platforms = platforms }
}

// A first push under a tag is often one platform's image; the index follows under the same tag.
func TestAReleaseWaitsUntilItsImageIsThereForAllPlatforms(t *testing.T) {
	w := newWorld(t)
	acceptance, _ := w.shop(needs("linux/amd64", "linux/arm64"))
	w.registry.says(digestOf(web, "1.1.0", 0), image.Facts{Platforms: []string{"linux/amd64"}})
	w.push(web, "1.1.0")
	w.work()
	acceptance.none()
	acceptance.note(web, "1.1.0 is not built for linux/arm64", "push the tag again")
	w.hear()
	acceptance.none()
	if asked := slices.DeleteFunc(slices.Clone(w.registry.facts), func(d image.Digest) bool { return d != digestOf(web, "1.1.0", 0) }); len(asked) != 1 {
		t.Errorf("the registry was asked %d times for what never changes", len(asked))
	}
	w.registry.says(digestOf(web, "1.1.0", 1), image.Facts{Platforms: []string{"linux/amd64", "linux/arm64"}})
	w.clock.move(time.Second)
	w.pushBuild(web, "1.1.0", 1)
	w.work()
	pr := acceptance.only()
	if got := acceptance.promotion(pr.Number).Release.Changes[0].Digest; got != digestOf(web, "1.1.0", 1) {
		t.Errorf("promoted is %s; want the index", got)
	}
	if notes := acceptance.notes(); len(notes) != 0 {
		t.Errorf("notes %v after it went on", notes)
	}
}

func TestPlatformsThatCannotBeAskedForMakeTheReleaseWait(t *testing.T) {
	w := newWorld(t)
	acceptance, production := w.shop(needs("linux/amd64"))
	w.registry.mute = errors.New("503 Service Unavailable")
	w.push(web, "1.1.0")
	w.work()
	acceptance.none()
	acceptance.note(web, "for which platforms 1.1.0 is built is not known", "503 Service Unavailable")
	production.only() // it demands none
	w.registry.mute = nil
	w.registry.says(digestOf(web, "1.1.0", 0), image.Facts{Platforms: []string{"linux/amd64"}})
	w.later(time.Minute)
	acceptance.only()
}
