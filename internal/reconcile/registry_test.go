package reconcile

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
)

func TestARegistryThatCannotBeAskedIsNotedAndAskedAgain(t *testing.T) {
	w := newWorld(t)
	acceptance, _ := w.shop()
	w.registry.failing(web, errors.New("401 Unauthorized"))
	w.push(web, "1.1.0")
	w.work()
	acceptance.none()
	acceptance.note(web, "the digest of 1.1.0 is not known", "401 Unauthorized", "credentials")
	if row := acceptance.row(); row.Attempts != 0 || row.DueAt.Sub(w.clock.now()) > time.Minute {
		t.Errorf("attempts %d, due in %v", row.Attempts, row.DueAt.Sub(w.clock.now()))
	}
	w.registry.failing(web, nil)
	w.later(time.Minute)
	acceptance.only()
	if notes := acceptance.notes(); len(notes) != 0 {
		t.Errorf("notes %v after it went on", notes)
	}
}

func TestOneRegistryThatFailsDoesNotStopOtherApps(t *testing.T) {
	w := newWorld(t)
	r := w.repo("infra", map[string]string{
		ConfigFile:                       w.config(environment("acceptance")),
		"apps/web/kustomization.yaml":    kustomization(string(web) + ":1.0.0"),
		"apps/worker/kustomization.yaml": kustomization(string(worker) + ":1.0.0"),
	})
	w.discover()
	w.registry.failing(worker, errors.New("500"))
	w.push(worker, "1.1.0")
	w.push(web, "1.1.0")
	w.work()
	if pr := r.only(); pr.Title != "acceptance: web 1.0.0 → 1.1.0" {
		t.Errorf("%q is open", pr.Title)
	}
}

func TestASilentRegistryIsNotAskedForEveryImage(t *testing.T) {
	w := newWorld(t)
	files := map[string]string{ConfigFile: w.config(environment("acceptance")), "apps/web/kustomization.yaml": kustomization(string(web) + ":1.0.0")}
	var names []image.Name
	for i := range 40 {
		name := image.Name(fmt.Sprintf("silent.example/app%d", i))
		names = append(names, name)
		files[fmt.Sprintf("apps/%d/kustomization.yaml", i)] = kustomization(string(name) + ":1.0.0")
	}
	r := w.repo("infra", files)
	w.discover()
	w.registry.hang["silent.example"] = true
	w.bot.registryTimeout = 10 * time.Millisecond // of the real clock
	for _, name := range names {
		w.push(name, "1.1.0")
	}
	w.push(web, "1.1.0")
	w.work()
	if pr := r.only(); pr.Title != "acceptance: web 1.0.0 → 1.1.0" {
		t.Errorf("%q is open", pr.Title)
	}
	silent := slices.DeleteFunc(slices.Clone(w.registry.asked), func(ref string) bool { return ref[:6] != "silent" })
	if len(silent) > 2*asking {
		t.Errorf("a silent registry was asked %d times in one turn", len(silent))
	}
	r.note(names[39], "does not answer")
}

func TestAnAppOfManyImagesIsResolvedInOneRound(t *testing.T) {
	w := newWorld(t)
	var before []string
	for i := range 120 {
		before = append(before, fmt.Sprintf("registry.acme.io/many/app%d:1.0.0", i))
	}
	r := w.repo("infra", map[string]string{
		ConfigFile:           w.config(environment("acceptance", func(e *promotion.Environment) { e.GroupAll = true })),
		"kustomization.yaml": kustomization(before...),
	})
	w.discover()
	for i := range 120 {
		w.push(image.Name(fmt.Sprintf("registry.acme.io/many/app%d", i)), "1.1.0")
	}
	w.work()
	pr := r.only()
	if n := len(r.promotion(pr.Number).Release.Changes); n != 120 {
		t.Errorf("the pull request moves %d images, want 120", n)
	}
	if n := len(w.registry.asked); n != 120 {
		t.Errorf("the registry was asked %d times, want 120", n)
	}
}

func TestATagThatIsGoneIsPassedOver(t *testing.T) {
	w := newWorld(t)
	acceptance, _ := w.shop()
	w.push(web, "1.1.0")
	w.push(web, "1.2.0")
	w.registry.set(web, "1.2.0", "") // deleted before the bot asked
	w.work()
	acceptance.none() // a replica may lag behind
	acceptance.note(web, "the digest of 1.2.0 is not known")
	w.later(missingFor + time.Minute)
	w.later(time.Minute)
	if pr := acceptance.only(); pr.Title != "acceptance: web 1.0.0 → 1.1.0" {
		t.Errorf("%q is open, want 1.1.0, which is there", pr.Title)
	}
}

func TestAPushWithoutADigestNeverBecomesOne(t *testing.T) {
	w := newWorld(t)
	acceptance, _ := w.shop()
	w.push(web, "1.1.0")
	w.registry.failing("", errors.New("no route to host"))
	w.work()
	for _, p := range acceptance.promotions() {
		t.Errorf("promotion %+v without the registry's word", p)
	}
}

func TestATagThatMovesWhileItsPullRequestIsOpenIsFollowed(t *testing.T) {
	w := newWorld(t)
	acceptance, _ := w.shop()
	w.push(web, "1.1.0")
	w.work()
	old := acceptance.only()
	w.pushBuild(web, "1.1.0", 1)
	w.clock.move(2 * time.Second)
	w.work()
	pr := acceptance.only()
	if pr.Number == old.Number || !slices.Contains(acceptance.diff(pr), "+    digest: "+string(digestOf(web, "1.1.0", 1))) {
		t.Errorf("#%d is open with %q, want a new one with the new digest", pr.Number, acceptance.diff(pr))
	}
	acceptance.comment(old.Number, "Superseded")
}

func TestASettledTagIsNotAskedForAgain(t *testing.T) {
	w := newWorld(t)
	w.shop()
	w.push(web, "1.1.0")
	w.clock.move(2 * time.Second)
	w.work()
	w.registry.asked = nil
	w.hear()
	if len(w.registry.asked) != 0 {
		t.Errorf("asked again for %v", w.registry.asked)
	}
}
