package hook_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/hook"
	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/store"
)

func eventOfKind(kind string) forge.Event { return forge.Event{Kind: kind} }

func TestAForgesEventWakesExactlyWhatItIsAbout(t *testing.T) {
	for name, tc := range map[string]struct {
		event forge.Event
		wake  []store.RepoKey
	}{
		"a repository":        {forge.Event{Kind: "pull_request.closed", Repo: 4711, About: "pull request 7 closed by alice"}, []store.RepoKey{"app/4711"}},
		"installations":       {forge.Event{Kind: "installation.created", Discover: true}, []store.RepoKey{"discover/app"}},
		"both":                {forge.Event{Kind: "repository.renamed", Repo: 4711, Discover: true}, []store.RepoKey{"app/4711", "discover/app"}},
		"with an id, and not": {forge.Event{Kind: "push", Repo: 1, DeliveryID: guid}, []store.RepoKey{"app/1"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.list(1, web)
			a := s.want(http.StatusAccepted, happened(t, "app", tc.event))
			s.wantPending(tc.wake...)
			d := s.only()
			if a.Outcome != store.Stored || d.Event != tc.event.Kind || d.About != tc.event.About || d.DeliveryID != tc.event.DeliveryID ||
				!slices.Equal(d.Repos, tc.wake) || len(d.Body) == 0 {
				t.Errorf("answer = %+v, delivery = %+v", a, d)
			}
		})
	}
}

func TestAForgesEventThatMeansNothingIsIgnored(t *testing.T) {
	for name, tc := range map[string]struct {
		request request
		reason  string
	}{
		"it says so":            {happened(t, "app", forge.Event{Kind: "ping", Ignored: "a ping: the webhook works"}), "a ping: the webhook works"},
		"it is not understood":  {request{path: "/hooks/app", body: "{", header: map[string]string{"X-Hub-Signature-256": sign("{"), "X-GitHub-Delivery": guid}}, "the body is not what the hub sends"},
		"it names nothing":      {happened(t, "app", forge.Event{Kind: "odd"}), "it names nothing to look at"},
		"a push nobody decodes": {hubPush("app", "1.4.2"), "an image was pushed, but no registry of type ghcr hears of it through this forge's webhook"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			a := s.want(http.StatusOK, tc.request)
			if d := s.only(); a.Reason != tc.reason || d.Reason != tc.reason || d.Outcome != store.Ignored || d.Body != nil {
				t.Errorf("answer = %+v, delivery = %+v; want it ignored because %q", a, d, tc.reason)
			}
			s.wantPending()
		})
	}
}

func TestADeliveryThatIsNotUnderstoodIsFoundByItsID(t *testing.T) {
	s := newScene(t)
	s.want(http.StatusOK, request{path: "/hooks/app", body: "{", header: map[string]string{"X-Hub-Signature-256": sign("{"), "X-GitHub-Delivery": guid}})
	if d, found, err := s.store.Delivery(t.Context(), guid); err != nil || !found || d.Outcome != store.Ignored {
		t.Errorf("Delivery(guid) = %+v, %v, %v; want the ignored one", d, found, err)
	}
}

func TestAPushThroughTheAppsWebhook(t *testing.T) {
	s := newScene(t)
	key := s.list(1, "ghcr.io/acme/web")
	a := s.want(http.StatusAccepted, hubPush("appwithpackages", "1.4.2"))
	s.wantPending(key)
	d := s.only()
	if a.Outcome != store.Stored || d.DeliveryID != guid || d.Event != "registry_package.published" || d.About != "ghcr.io/acme/web:1.4.2" {
		t.Errorf("answer = %+v, delivery = %+v", a, d)
	}
	got := s.pushes(image.Name("ghcr.io/acme/web"))
	if len(got) != 1 || got[0].Tag != "1.4.2" || got[0].Digest != digest || !got[0].ReceivedAt.Equal(s.now) {
		t.Errorf("pushes = %+v", got)
	}
}

func TestAPushOfAnotherRegistryTypeIsNotDecodedAsThisOne(t *testing.T) {
	s := newScene(t, func(o *hook.Options) {
		o.Endpoints = []hook.Endpoint{{Name: "app", Forge: hub{}, Registry: sender(t, "distribution")}}
	})
	if a := s.want(http.StatusOK, hubPush("app", "1.4.2")); !strings.Contains(a.Reason, "no registry of type ghcr") {
		t.Errorf("reason = %q", a.Reason)
	}
}

func TestALargeEventIsStoredWithoutItsBody(t *testing.T) {
	s := newScene(t)
	r := happened(t, "app", forge.Event{Kind: "push", Repo: 1, About: strings.Repeat("long ", 1<<18)})
	s.want(http.StatusAccepted, r)
	if d := s.only(); d.Body != nil || d.Outcome != store.Stored {
		t.Errorf("body of %d bytes kept; want none", len(d.Body))
	}
	s.wantPending("app/1")
}
