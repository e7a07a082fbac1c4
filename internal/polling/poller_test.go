package polling

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/registry"
	"github.com/boatlift/boatlift/internal/store"
)

func TestWhatWasThereIsNotFound(t *testing.T) {
	s := newScene(t, plain)
	s.shelf.has(web, map[string]image.Digest{"1.5.0": digest(150)})
	s.want(s.poll())
	s.want(s.poll())
}

func TestALostPushIsFoundOnce(t *testing.T) {
	s := newScene(t, plain)
	s.poll()
	s.shelf.has(web, map[string]image.Digest{"1.4.2": digest(142), "2.0.0-rc.1": digest(200)})
	s.want(s.poll(), "poll web:1.4.2@142", "poll web:2.0.0-rc.1@?") // the second is wanted by no rule, so nobody asks where it points
	s.want(s.poll())
	work, err := s.store.Work(t.Context())
	s.check(err)
	if i := slices.IndexFunc(work, func(w store.WorkRow) bool { return w.Repo == infra }); i < 0 || !work[i].Pending {
		t.Errorf("the repo was not woken: %+v", work)
	}
}

func TestAPushThatWasHeardIsNotFound(t *testing.T) {
	s := newScene(t, plain)
	s.poll()
	s.shelf.has(web, map[string]image.Digest{"1.4.2": digest(142), "1.4.3": digest(143)})
	s.hear(web, "1.4.2", digest(142))
	s.hear(web, "1.4.3", "") // its sender does not say digests
	s.want(s.poll())
	s.want(s.poll())
}

func TestATagThatMovedIsFound(t *testing.T) {
	s := newScene(t, plain+"    images: [{image: '**', tags: {follow: stable}}]\n")
	s.shelf.has(web, map[string]image.Digest{"stable": digest(1)})
	s.poll()
	for _, c := range []struct {
		heard, has int
		want       []string
	}{
		{0, 2, []string{"poll web:stable@2"}},
		{3, 3, nil},
		{0, 2, []string{"poll web:stable@2"}}, // back, and nobody told
		{3, 2, []string{"poll web:stable@2"}}, // away and back, of which only the first was told
		{2, 2, nil},
	} {
		s.shelf.has(web, map[string]image.Digest{"stable": digest(c.has)})
		if c.heard > 0 {
			s.hear(web, "stable", digest(c.heard))
		}
		s.want(s.poll(), c.want...)
		s.want(s.poll())
	}
}

func TestATagThatWasReadByATurnIsKnown(t *testing.T) {
	s := newScene(t, plain)
	s.poll()
	s.shelf.has(web, map[string]image.Digest{"1.4.1": digest(1)})
	s.turn(func(tx *store.Tx) {
		tx.SaveTag(store.Tag{Image: web, Tag: "1.4.1", Digest: digest(1), ReadAt: s.Now().Add(time.Second)})
	})
	s.want(s.poll())
}

func TestATagThatComesBackIsNew(t *testing.T) {
	s := newScene(t, plain)
	s.hear(web, "1.4.2", digest(142))
	s.shelf.has(web, map[string]image.Digest{"1.4.2": digest(142)})
	s.poll()
	s.shelf.lacks(web, "1.4.2")
	s.want(s.poll())
	s.shelf.has(web, map[string]image.Digest{"1.4.2": digest(242)})
	s.want(s.poll(), "poll web:1.4.2@242")
}

func TestAnUnchangedListStillHasTagsThatMove(t *testing.T) {
	s := newScene(t, plain)
	s.shelf.mark = `"a"`
	s.poll()
	s.shelf.has(web, map[string]image.Digest{"1.4.1": digest(241), "1.4.2": digest(142)})
	s.want(s.poll(), "poll web:1.4.1@241") // the mark says that there is no other tag
	s.shelf.mark = `"b"`
	s.want(s.poll(), "poll web:1.4.2@142")
}

func TestFewTagsOfThousandsAreAskedFor(t *testing.T) {
	s := newScene(t, plain)
	many := map[string]image.Digest{}
	for n := range 3000 {
		many[fmt.Sprintf("1.3.%d", n)] = digest(n + 1)
	}
	s.shelf.has(web, many)
	s.poll()
	s.want(s.shelf.questions(), "head web:1.4.1", "list web")
	many = map[string]image.Digest{}
	for n := range 1000 {
		many[fmt.Sprintf("1.5.%d", n)] = digest(n + 1)
	}
	s.shelf.has(web, many)
	found := s.poll()
	if len(found) != 1000 || found[999] != "poll web:1.5.999@1000" || found[9] != "poll web:1.5.9@?" || found[10] != "poll web:1.5.10@?" {
		t.Errorf("found %d: …%q", len(found), found[max(0, len(found)-3):])
	}
	s.want(s.shelf.questions(), "head web:1.4.1", "head web:1.5.999", "list web")
}

func TestOnlyWhatIsWantedOfPolledRegistriesIsAskedFor(t *testing.T) {
	s := newScene(t, plain+"    images: [{image: '**/web'}]\n")
	s.list(
		promotion.Listing{Environment: "test", File: "k.yaml", Entry: "api", Image: api, Tag: "1"},
		promotion.Listing{Environment: "test", File: "k.yaml", Entry: "caddy", Image: caddy, Tag: "2.7.0"},
	)
	s.poll()
	s.want(s.shelf.questions(), "head web:1.4.1", "list web")
}

func TestImagesOfOthersAreLeftAlone(t *testing.T) {
	s := newScene(t, plain)
	hub := Registry{Name: "hub", Host: "docker.io", Every: time.Minute, Told: true}
	const ours = image.Name("docker.io/acme/web")
	s.list(
		promotion.Listing{Environment: "test", File: "a/k.yaml", Entry: "caddy", Image: caddy, Tag: "2.7.0"},
		promotion.Listing{Environment: "test", File: "b/k.yaml", Entry: "web", Image: ours, Tag: "1.0.0"},
	)
	p := s.poller()
	p.byHost[hub.Host] = hub
	p.round(t.Context(), hub, "test")
	s.want(s.shelf.questions())
	s.shelf.has(caddy, map[string]image.Digest{"2.8.0": digest(28)})
	s.sync(Sync{Images: []image.Name{caddy}}) // who asks for one once does not ask for all of its owner for ever
	s.want(s.news(), "sync caddy:2.8.0@28")
	s.shelf.questions()
	s.later(2 * time.Minute)
	p.round(t.Context(), hub, "test")
	s.want(s.shelf.questions())
	s.hear("docker.io/acme/api", "1.0.0", digest(1)) // somebody tells of acme's images
	p.round(t.Context(), hub, "test")
	s.want(s.shelf.questions(), "list web")
	result, err := p.Sync(t.Context(), Sync{DryRun: true}, func(Step) {})
	if s.check(err); result.Images != 2 {
		t.Errorf("%d images are synced; want those of acme in both registries", result.Images)
	}
}

func TestWhatComesAtOnceIsInOrder(t *testing.T) {
	s := newScene(t, plain+"    images: [{image: '**', tags: {regex: 'main-.*', order: newest}}]\n")
	s.poll()
	s.shelf.has(web, map[string]image.Digest{"main-9": digest(9), "main-10": digest(10), "main-a": digest(11), "main-b": digest(12)})
	s.shelf.created["main-b"], s.shelf.created["main-9"], s.shelf.created["main-a"] = time.Unix(1000, 0), time.Unix(2000, 0), time.Unix(3000, 0)
	found := s.poll()
	var tags []string
	for _, f := range found {
		tags = append(tags, strings.TrimPrefix(strings.Split(f, "@")[0], "poll web:"))
	}
	s.want(tags, "main-10", "main-b", "main-9", "main-a")
	pushes, err := s.store.PushesAfter(t.Context(), web, 0)
	s.check(err)
	for i := 1; i < len(pushes); i++ {
		if !pushes[i].ReceivedAt.After(pushes[i-1].ReceivedAt) {
			t.Errorf("%s was received no later than %s", pushes[i].Tag, pushes[i-1].Tag)
		}
	}
}

func TestOneReplicaAsks(t *testing.T) {
	s := newScene(t, plain)
	s.poll()
	s.shelf.has(web, map[string]image.Digest{"1.4.2": digest(142)})
	s.later(2 * time.Minute)
	s.shelf.questions()
	var replicas sync.WaitGroup
	for n := range 5 {
		p := s.poller()
		replicas.Go(func() { p.round(t.Context(), s.acme, fmt.Sprint(n)) })
	}
	replicas.Wait()
	s.want(s.news(), "poll web:1.4.2@142")
}

func TestWhatCannotBeReadKeepsNoOtherWaiting(t *testing.T) {
	s := newScene(t, plain)
	s.list(promotion.Listing{Environment: "test", File: "k.yaml", Entry: "worker", Image: worker, Tag: "1.4.1"})
	s.poll()
	s.shelf.fails(worker, &registry.UnauthorizedError{Name: worker, Status: 403})
	s.shelf.has(web, map[string]image.Digest{"1.4.2": digest(142)})
	s.want(s.poll(), "poll web:1.4.2@142")
	due, err := s.store.PollsDue(t.Context())
	s.check(err)
	i := slices.IndexFunc(due, func(d store.PollDue) bool { return d.Image == worker })
	if due[i].Attempts != 1 || !strings.Contains(due[i].Err, "HTTP 403") || due[i].PolledAt.IsZero() {
		t.Errorf("of the worker is known: %+v", due[i])
	}
	if row := s.row(); row.Attempts != 0 || row.Reason != "" {
		t.Errorf("the registry is left alone: %+v", row)
	}
	s.shelf.fails(worker, nil)
	s.shelf.has(worker, map[string]image.Digest{"1.4.2": digest(142)})
	s.want(s.poll(), "poll worker:1.4.2@142") // the longer pause after a failure is over by then
}

func TestARegistryThatCannotBeAskedIsLeftAlone(t *testing.T) {
	s := newScene(t, plain)
	s.poll()
	s.shelf.fails(web, unavailable("HTTP 502"))
	s.shelf.has(web, map[string]image.Digest{"1.4.2": digest(142)})
	s.want(s.poll())
	row := s.row()
	if row.Attempts != 1 || !strings.Contains(row.Reason, "HTTP 502") || row.Until.IsZero() {
		t.Errorf("the registry is %+v; want it to be left alone", row)
	}
	s.shelf.questions()
	s.want(s.poll())
	s.want(s.shelf.questions())
}

func TestTheLastQuestionsAreForOthers(t *testing.T) {
	s := newScene(t, plain)
	s.shelf.quota = registry.Quota{Limit: 100, Remaining: 7, Window: 6 * time.Hour, At: s.Now().Add(time.Minute)}
	s.want(s.poll())
	s.want(s.shelf.questions())
	if row := s.row(); row.Attempts != 0 || row.Reason != "7 of 100 questions in 6h0m0s are left" || row.Until.Before(s.store.Now().Add(30*time.Minute)) {
		t.Errorf("the registry is %+v; want it to rest", row)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	s := newScene(t, plain)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.Run(ctx, "test")
	}()
	<-s.shelf.listed
	cancel()
	<-ended
}

func TestByNumbers(t *testing.T) {
	in := []string{"main-10", "main-9", "main-9-b", "main-09", "1.10.0", "1.9.0", "", "main", "a10b2", "a10b10", "99999999999999999999", "100000000000000000000"}
	slices.SortFunc(in, byNumbers)
	want := []string{"", "1.9.0", "1.10.0", "99999999999999999999", "100000000000000000000", "a10b2", "a10b10", "main", "main-09", "main-9", "main-9-b", "main-10"}
	if !slices.Equal(in, want) {
		t.Errorf("sorted: %q, want %q", in, want)
	}
}

func TestNewRefuses(t *testing.T) {
	if _, err := New(Options{}); err == nil {
		t.Error("a poller of nothing is made")
	}
	s := newScene(t, plain)
	o := s.Options
	o.Registries = []Registry{{Name: "nowhere", Every: time.Minute}}
	if _, err := New(o); err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("a registry without a host: %v", err)
	}
}
