package reconcile

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/store"
)

func release(environment string) promotion.Release {
	return promotion.NewRelease(environment, "web", []promotion.Change{{
		Image: web, FromTag: "1.0.0", FromDigest: digestOf(web, "1.0.0", 0), Tag: "1.1.0", Digest: digestOf(web, "1.1.0", 0),
	}})
}

func TestAMarkerIsOnlyBelievedAsItWasSigned(t *testing.T) {
	t.Parallel()
	key, repo := []byte("key"), promotion.RepoKey("github/1")
	m := marker{ID: "abc-1", Release: release("acceptance")}
	signed := m.sign(key, repo)
	forged := marker{ID: "abc-2", Release: release("acceptance")}
	inconsistent := m
	inconsistent.Release.Changes = []promotion.Change{{Image: web, Digest: digestOf(web, "6.6.6", 0)}}
	other := forged.sign([]byte("another key"), repo)
	for _, test := range []struct {
		name, body string
		want       bool
	}{
		{"as written", "Hello\n" + signed + "\n", true},
		{"after a broken one", markerStart + "x" + markerEnd + signed, true},
		{"before a forged one", signed + other, false}, // the last one counts
		{"with another key", other, false},
		{"of another repository", m.sign(key, "github/2"), false},
		{"with parts that do not belong together", inconsistent.sign(key, repo), false},
		{"without a signature", strings.Split(signed, ".")[0] + markerEnd, false},
		{"with an empty signature", strings.Split(signed, ".")[0] + "." + markerEnd, false},
		{"cut off", signed[:len(signed)-len(markerEnd)], false},
		{"with another payload", markerStart + "e30." + strings.Split(signed, ".")[1], false},
		{"none", "Hello", false},
		{"empty", "", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, ok := readMarker(key, repo, test.body)
			if ok != test.want {
				t.Fatalf("readMarker = %v; want %v", ok, test.want)
			}
			if ok && (got.ID != m.ID || got.Release.ID != m.Release.ID || len(got.Release.Changes) != 1) {
				t.Errorf("readMarker gives %+v, want %+v", got, m)
			}
		})
	}
}

func FuzzMarker(f *testing.F) {
	key, repo := []byte("key"), promotion.RepoKey("github/1")
	signed := marker{ID: "abc-1", Release: release("acceptance")}.sign(key, repo)
	for _, seed := range []string{signed, signed + signed, markerStart + markerEnd, markerStart + "." + markerEnd, "text"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		if m, ok := readMarker(key, repo, body); ok && !strings.Contains(body, m.sign(key, repo)) {
			t.Errorf("a marker is believed that nobody signed: %q", body)
		}
	})
}

// loseDatabase is a bot that starts with an empty one.
func (w *world) loseDatabase() {
	w.t.Helper()
	w.close()
	w.url = strings.Replace(w.url, "boatlift.db", fmt.Sprintf("empty%d.db", w.clock.now().UnixNano()), 1)
	w.open()
	w.start()
	w.clock.move(time.Second)
	w.discover()
}

func TestAfterTheDatabaseWasLostPullRequestsAreAdoptedNotDoubled(t *testing.T) {
	w := newWorld(t)
	r := w.both()
	w.push(web, "1.1.0")
	w.work()
	before := r.promotions()
	w.loseDatabase()
	wantPulls(t, r, "open acceptance: web 1.0.0 → 1.1.0", "open production: web 1.0.0 → 1.1.0")
	for _, old := range before {
		got := r.promotion(old.PullRequest)
		if got.ID != old.ID || got.Release.ID != old.Release.ID || got.Head != old.Head || got.Base != old.Base || !got.State.Active() {
			t.Errorf("adopted\n%+v\nwant\n%+v", got, old)
		}
	}
	if holds := r.holds(); len(holds) != 2 || holds[0].Reason != promotion.LostReason {
		t.Errorf("holds %+v, want both environments held until a person has looked", holds)
	}
	r.gate(r.open()[0], forge.Failure)
	w.push(web, "1.1.0") // the registry sends it again
	w.push(web, "1.2.0")
	w.work()
	wantPulls(t, r, "open acceptance: web 1.0.0 → 1.1.0", "open production: web 1.0.0 → 1.1.0")

	w.lift(r, "acceptance")
	w.lift(r, "production")
	wantPulls(t, r, "closed acceptance: web 1.0.0 → 1.1.0", "closed production: web 1.0.0 → 1.1.0",
		"open acceptance: web 1.0.0 → 1.2.0", "open production: web 1.0.0 → 1.2.0")
}

func TestOnlyItsOwnPullRequestsAreAdopted(t *testing.T) {
	for _, test := range []struct {
		name string
		edit func(w *world, r *infra, pr forge.PullRequest)
	}{
		{"the marker of another pull request", func(w *world, r *infra, pr forge.PullRequest) {
			other := r.open()[1].Body
			w.edit(r, pr, func(p *forge.PullRequest) { p.Body = other })
		}},
		{"a marker with another key", func(w *world, r *infra, pr forge.PullRequest) {
			w.edit(r, pr, func(p *forge.PullRequest) {
				p.Body = marker{ID: "x-1", Release: release("acceptance")}.sign([]byte("mallory's"), r.key())
			})
		}},
		{"no marker", func(w *world, r *infra, pr forge.PullRequest) {
			w.edit(r, pr, func(p *forge.PullRequest) { p.Body = "" })
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			r := w.both()
			w.push(web, "1.1.0")
			w.work()
			test.edit(w, r, r.pull(1))
			w.loseDatabase()
			w.lift(r, "acceptance")
			for _, p := range r.promotions() {
				if p.PullRequest == 1 {
					t.Errorf("it was adopted as %+v", p)
				}
			}
			// When the release comes again, its branch is found, and so is the pull request: it is never doubled.
			w.push(web, "1.1.0")
			w.work()
			wantPulls(t, r, "open acceptance: web 1.0.0 → 1.1.0", "open production: web 1.0.0 → 1.1.0")
			r.promotion(1)
		})
	}
}

func (w *world) edit(r *infra, pr forge.PullRequest, change func(*forge.PullRequest)) {
	w.t.Helper()
	if err := r.alice().Edit(r.ID, pr.Number, change); err != nil {
		w.t.Fatal(err)
	}
}

func TestACopiedMarkerInSomebodysPullRequestIsNotBelieved(t *testing.T) {
	w := newWorld(t)
	r := w.both()
	w.push(web, "1.1.0")
	w.work()
	pr := r.proposal("mine", map[string]string{"acc/web/kustomization.yaml": kustomization(string(web) + ":6.6.6")})
	body := r.pull(1).Body
	w.edit(r, pr, func(p *forge.PullRequest) { p.Body = body })
	w.hear()
	w.loseDatabase()
	list, err := w.store.Promotions(w.ctx, store.PromotionFilter{PullRequest: pr.Number})
	if err != nil || len(list) != 0 {
		t.Errorf("somebody's pull request was taken for %+v (%v)", list, err)
	}
}
