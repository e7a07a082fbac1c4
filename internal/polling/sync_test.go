package polling

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/registry"
	"github.com/boatlift/boatlift/internal/store"
)

// sync is a sync and its steps.
func (s *scene) sync(o Sync) (Result, []Step) {
	s.t.Helper()
	o.Actor, o.Role = "ada", "operate"
	var steps []Step
	result, err := s.Sync(s.t.Context(), o, func(step Step) { steps = append(steps, step) })
	s.check(err)
	return result, steps
}

// proposed are the proposals of a result, a line each.
func proposed(r Result) []string {
	var list []string
	for _, p := range r.Proposals {
		line := p.Environment + " " + p.Label
		for _, c := range p.Changes {
			line += " " + c.Image.Base() + ":" + c.From + ">" + c.Tag + "@" + strings.TrimLeft(string(c.Digest)[7:], "0")
		}
		if p.Open {
			line += " open"
		}
		if p.Not != "" {
			line += " not: " + p.Not
		}
		list = append(list, line)
	}
	return list
}

func (s *scene) trail() []string {
	s.t.Helper()
	entries, err := s.store.AuditTail(s.t.Context(), store.AuditFilter{})
	s.check(err)
	var list []string
	for _, e := range entries {
		list = append(list, e.Actor+" "+e.Action+" "+e.Subject)
	}
	return list
}

func TestSyncBringsWhatWasThere(t *testing.T) {
	s := newScene(t, plain)
	s.shelf.has(web, map[string]image.Digest{"1.4.2": digest(142), "1.5.0": digest(150), "2.0.0-rc.1": digest(200)})
	s.poll()

	dry, steps := s.sync(Sync{DryRun: true})
	s.want(proposed(dry), "acme/infra:test 1.5.0 web:1.4.1>1.5.0@150")
	if !dry.DryRun || dry.Images != 1 || dry.Found != 1 || len(steps) != 1 || steps[0].Done != 1 || steps[0].All != 1 || steps[0].Tags != 5 {
		t.Errorf("the dry run comes to %+v with %+v", dry, steps)
	}
	s.want(s.news())
	s.want(s.trail())

	real, _ := s.sync(Sync{})
	s.want(proposed(real), "acme/infra:test 1.5.0 web:1.4.1>1.5.0@150")
	s.want(s.news(), "sync web:1.5.0@150")
	s.want(s.trail(), "ada synced registry.acme.io/shop/web", "ada asked for a sync all images")

	again, steps := s.sync(Sync{})
	s.want(proposed(again), "acme/infra:test 1.5.0 web:1.4.1>1.5.0@150") // it is not open yet
	s.want(s.news())
	if steps[0].Found == nil || len(steps[0].Found) != 0 {
		t.Errorf("found once more: %+v", steps[0])
	}
}

func TestSyncBringsWhatWasToldOfBeforeAnEnvironmentListedIt(t *testing.T) {
	s := newScene(t, plain)
	s.hear(web, "1.5.0", digest(150))
	s.shelf.has(web, map[string]image.Digest{"1.5.0": digest(150)})
	s.later(time.Minute)
	s.sync(Sync{})
	s.want(s.news()) // web was listed when it was told of

	s = newScene(t, plain)
	s.later(-time.Hour)
	s.hear(api, "1.5.0", digest(150))
	s.later(time.Hour)
	s.shelf.has(api, map[string]image.Digest{"1.0.0": digest(100), "1.5.0": digest(150)})
	s.list(promotion.Listing{Environment: "test", File: "k.yaml", Entry: "api", Image: api, Tag: "1.0.0"})
	s.later(time.Minute)
	s.sync(Sync{Images: []image.Name{api}})
	s.want(s.news(), "sync api:1.5.0@150")
}

func TestSyncFindsWhatWasLostToo(t *testing.T) {
	s := newScene(t, plain)
	s.shelf.has(web, map[string]image.Digest{"1.5.0": digest(150)})
	s.poll()
	s.shelf.has(web, map[string]image.Digest{"1.4.2": digest(142), "1.4.1": digest(241)})
	_, steps := s.sync(Sync{})
	var why []string
	for _, f := range steps[0].Found {
		why = append(why, f.Tag+" "+f.Why)
	}
	s.want(why, "1.5.0 there before", "1.4.1 moved", "1.4.2 new")
	s.news()
	s.want(s.poll())
}

func TestSyncFollowsAndGoesByTime(t *testing.T) {
	s := newScene(t, plain+"    images: [{image: '**/web', tags: {follow: stable}}, {image: '**', tags: {regex: 'main-.*', order: newest}}]\n")
	s.list(promotion.Listing{Environment: "test", File: "k/k.yaml", Entry: "api", Image: api, Tag: "main-2"})
	s.shelf.has(web, map[string]image.Digest{"stable": digest(7)})
	s.shelf.has(api, map[string]image.Digest{"main-1": digest(1), "main-2": digest(2), "main-3": digest(3)})
	s.shelf.created = map[string]time.Time{"main-1": time.Unix(3000, 0), "main-2": time.Unix(2000, 0), "main-3": time.Unix(1000, 0)}
	result, _ := s.sync(Sync{})
	s.want(s.news(), "sync web:stable@7", "sync api:main-2@2", "sync api:main-1@1") // what it has comes first, so that the other is newer
	s.want(proposed(result), "acme/infra:test main-1 api:main-2>main-1@1")
	if len(result.Notes) != 1 || !strings.Contains(result.Notes[0].Say, "cannot tell whether stable is newer than 1.4.1") {
		t.Errorf("the notes are %+v", result.Notes)
	}
}

func TestSyncSaysWhatIsNotProposed(t *testing.T) {
	s := newScene(t, plain+"    mode: observe\n")
	s.shelf.has(web, map[string]image.Digest{"1.5.0": digest(150)})
	result, _ := s.sync(Sync{DryRun: true})
	s.want(proposed(result), "acme/infra:test 1.5.0 web:1.4.1>1.5.0@150 not: mode: observe")

	s = newScene(t, plain)
	s.shelf.has(web, map[string]image.Digest{"1.5.0": digest(150)})
	s.turn(func(tx *store.Tx) {
		tx.AddRejections(promotion.Rejection{Environment: "test", Image: web, Digest: digest(150), Promotion: "p", Actor: "bob", At: time.Now()})
	})
	result, _ = s.sync(Sync{DryRun: true})
	if len(result.Proposals) != 0 || len(result.Notes) != 1 || result.Notes[0].Say != "1.5.0 was rejected by bob" || result.Notes[0].Environment != "acme/infra:test" {
		t.Errorf("the result is %+v", result)
	}
}

func TestSyncAsksForWhatIsNamed(t *testing.T) {
	s := newScene(t, plain)
	s.list(promotion.Listing{Environment: "test", File: "c/k.yaml", Entry: "caddy", Image: caddy, Tag: "2.7.0"})
	s.shelf.has(caddy, map[string]image.Digest{"2.7.0": digest(270), "2.8.0": digest(280)})
	result, _ := s.sync(Sync{DryRun: true})
	if result.Images != 1 { // docker.io is none of our registries
		t.Errorf("%d images are asked for", result.Images)
	}
	result, _ = s.sync(Sync{DryRun: true, Images: []image.Name{caddy}})
	s.want(proposed(result), "acme/infra:test 2.8.0 caddy:2.7.0>2.8.0@280")
	s.hear(caddy, "2.7.1", digest(271)) // somebody told of it, so it is ours
	if result, _ = s.sync(Sync{DryRun: true}); result.Images != 2 {
		t.Errorf("%d images are asked for", result.Images)
	}
}

func TestSyncStoresWhatItCould(t *testing.T) {
	s := newScene(t, plain)
	s.list(promotion.Listing{Environment: "test", File: "w/k.yaml", Entry: "worker", Image: worker, Tag: "1.4.1"})
	s.shelf.has(web, map[string]image.Digest{"1.5.0": digest(150)})
	s.shelf.fails(worker, &registry.UnauthorizedError{Name: worker, Status: 401})
	result, steps := s.sync(Sync{})
	i := slices.IndexFunc(steps, func(st Step) bool { return st.Image == worker })
	if result.Failed != 1 || !strings.Contains(steps[i].Error, "HTTP 401") || !strings.Contains(steps[i].Hint, "credentials") {
		t.Errorf("the result is %+v with %+v", result, steps)
	}
	s.want(s.news(), "sync web:1.5.0@150")
}

func TestSyncThatIsGivenUpStoresNothing(t *testing.T) {
	s := newScene(t, plain)
	s.shelf.has(web, map[string]image.Digest{"1.5.0": digest(150)})
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("nobody waits any more")
	_, err := s.Sync(ctx, Sync{Actor: "ada"}, func(Step) { cancel(gone) })
	if !errors.Is(err, gone) {
		t.Errorf("Sync = %v", err)
	}
	s.want(s.news())
}

func TestSyncBesideAPoll(t *testing.T) {
	s := newScene(t, plain)
	s.poll()
	s.shelf.has(web, map[string]image.Digest{"1.4.2": digest(142)})
	_, err := s.Sync(t.Context(), Sync{Actor: "ada"}, func(Step) {
		s.want(s.poll(), "poll web:1.4.2@142") // another replica is quicker
	})
	s.check(err)
	s.want(s.news())
	s.want(s.poll())
}
