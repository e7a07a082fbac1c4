package hook_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/hook"
	"github.com/boatlift/boatlift/internal/registry"
	"github.com/boatlift/boatlift/internal/store"
)

func TestAPushIsStoredAndWakesWhoListsTheImage(t *testing.T) {
	s := newScene(t)
	one, two := s.list(1, web), s.list(2, "registry.acme.io/shop/worker", web)
	s.list(3, "registry.acme.io/shop/worker")
	s.wantPending()

	a := s.want(http.StatusAccepted, envelope(pushed("e1", "shop/web", "1.4.2")))
	if a.Outcome != store.Stored || a.ID != 1 {
		t.Errorf("answer = %+v; want delivery 1 stored", a)
	}
	s.wantPending(one, two)
	d := s.only()
	if d.Sender != "distribution" || d.DeliveryID != "e1" || d.Event != "distribution" || d.About != "registry.acme.io/shop/web:1.4.2" ||
		!d.ReceivedAt.Equal(s.now) || !slices.Equal(d.Images, []string{string(web)}) || len(d.Body) == 0 {
		t.Errorf("delivery = %+v", d)
	}
	got := s.pushes(web)
	if len(got) != 1 || got[0].Tag != "1.4.2" || got[0].Digest != digest || got[0].Delivery != 1 || !got[0].ReceivedAt.Equal(s.now) ||
		!got[0].PushedAt.Equal(time.Date(2026, 3, 2, 8, 59, 59, 0, time.UTC)) {
		t.Errorf("pushes = %+v", got)
	}
	if n := s.outcomes.of("distribution stored"); n != 1 {
		t.Errorf("stored deliveries observed = %d; want 1", n)
	}
}

func TestWhatWasAcceptedOutlivesTheProcess(t *testing.T) {
	s := newScene(t)
	key := s.list(1, web)
	s.want(http.StatusAccepted, envelope(pushed("e1", "shop/web", "1.4.2")))
	must(t, s.store.Close())
	s.open()
	if d := s.only(); d.Outcome != store.Stored {
		t.Errorf("delivery = %+v; want it stored", d)
	}
	if got := s.pushes(web); len(got) != 1 {
		t.Errorf("pushes = %+v; want 1", got)
	}
	s.wantPending(key)
}

func TestAForgedDeliveryChangesNothing(t *testing.T) {
	push := envelope(pushed("e1", "shop/web", "1.4.2"))
	for name, r := range map[string]request{
		"no secret":                push.with("Authorization", ""),
		"another secret":           push.with("Authorization", "Bearer other"),
		"a beginning of it":        push.with("Authorization", bearer[:len(bearer)-1]),
		"no signature":             hubPush("ghcr", "1.4.2").with("X-Hub-Signature-256", ""),
		"a signature of another":   hubPush("ghcr", "1.4.2").with("X-Hub-Signature-256", sign("{}")),
		"a forge's event":          hubPush("app", "1.4.2").with("X-Hub-Signature-256", sign("{}")),
		"not JSON, and not signed": {path: "/hooks/app", body: "{"},
		"another sender's":         push.at("/hooks/ghcr"),
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.list(1, web, "ghcr.io/acme/web")
			a := s.want(http.StatusUnauthorized, r)
			if a.text != "not proved to come from who may post here\n" {
				t.Errorf("answer = %q; it must not help", a.text)
			}
			s.wantPending()
			if got := s.pushes(web, "ghcr.io/acme/web"); len(got) != 0 {
				t.Errorf("pushes = %+v; want none", got)
			}
			d := s.only()
			if d.Outcome != store.Refused || d.Reason == "" || d.Body != nil || len(d.Images) > 0 {
				t.Errorf("delivery = %+v; want a refused one with its reason", d)
			}
			if n := s.outcomes.of(d.Sender + " refused"); n != 1 {
				t.Errorf("refusals observed = %d; want 1", n)
			}
		})
	}
}

func TestAStrangerFillsNeitherDatabaseNorLog(t *testing.T) {
	s := newScene(t)
	forged := envelope().with("Authorization", "Bearer guess")
	for range 50 {
		s.want(http.StatusUnauthorized, forged)
	}
	if n := len(s.deliveries()); n != 1 {
		t.Errorf("%d refusals are written down; want 1", n)
	}
	if n := strings.Count(s.log.String(), "delivery refused"); n != 1 {
		t.Errorf("%d refusals are logged; want 1", n)
	}
	s.want(http.StatusUnauthorized, hubPush("ghcr", "1").with("X-Hub-Signature-256", "")) // another endpoint has its own word
	s.now = s.now.Add(10 * time.Second)
	s.want(http.StatusUnauthorized, forged)
	if n := len(s.deliveries()); n != 3 {
		t.Errorf("%d refusals are written down; want 3", n)
	}
	if !strings.Contains(s.log.String(), "more=49") {
		t.Errorf("the log does not tell how many were left out:\n%s", s.log)
	}
	if n := s.outcomes.of("distribution refused"); n != 51 {
		t.Errorf("refusals observed = %d; want 51", n)
	}
}

func TestARefusalKeepsNoTrueDeliveryOut(t *testing.T) {
	s := newScene(t)
	s.want(http.StatusUnauthorized, hubPush("ghcr", "1.4.2").with("X-Hub-Signature-256", ""))
	d, found, err := s.store.Delivery(t.Context(), guid)
	if err != nil || !found || d.Outcome != store.Refused {
		t.Fatalf("Delivery(guid) = %+v, %v, %v; want the refusal", d, found, err)
	}
	s.want(http.StatusAccepted, hubPush("ghcr", "1.4.2"))
	s.want(http.StatusUnauthorized, hubPush("ghcr", "1.4.2").with("X-Hub-Signature-256", ""))
	if d, _, err = s.store.Delivery(t.Context(), guid); err != nil || d.Outcome != store.Stored {
		t.Errorf("Delivery(guid) = %+v, %v; want the true one", d, err)
	}
}

func TestAReplayIsKnown(t *testing.T) {
	for name, r := range map[string]request{
		"an event's id":              envelope(pushed("e1", "shop/web", "1.4.2")),
		"the ids of an envelope":     envelope(pushed("e1", "shop/web", "1.4.2"), pushed("e2", "shop/web", "1.4")),
		"no id, but times":           envelope(pushed("", "shop/web", "1.4.2")),
		"GitHub's id":                hubPush("ghcr", "1.4.2"),
		"GitHub's id through an App": hubPush("appwithpackages", "1.4.2"),
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			key := s.list(1, web, "ghcr.io/acme/web")
			first := s.want(http.StatusAccepted, r)
			c, err := s.store.Claim(t.Context(), "tester", time.Minute)
			must(t, err)
			must(t, s.store.Finish(t.Context(), c, store.Finish{}))
			if c.Repo != key {
				t.Fatalf("work was made for %s; want %s", c.Repo, key)
			}
			for range 3 {
				again := s.want(http.StatusOK, r)
				if again.Outcome != store.Duplicate || again.ID != first.ID || again.Reason != "this delivery is known already" {
					t.Errorf("answer = %+v; want that %d is known", again, first.ID)
				}
			}
			s.wantPending()
			s.only()
		})
	}
}

// Quay's bodies are the same for every push of a tag.
func TestASecondPushIsNoReplay(t *testing.T) {
	kind := registry.Type{
		Name: "quay", Verify: func(registry.Endpoint, registry.Request) error { return nil },
		Decode: func(registry.Endpoint, registry.Request) (registry.Decoded, error) {
			return registry.Decoded{Pushes: []registry.Push{{Registry: "registry.acme.io", Repository: "shop/web", Tag: "latest"}}}, nil
		},
	}
	s := newScene(t, func(o *hook.Options) { o.Endpoints = []hook.Endpoint{{Name: "quay", Registry: senderOf(t, kind)}} })
	r := request{path: "/hooks/quay", body: "{}"}
	s.want(http.StatusAccepted, r)
	s.want(http.StatusAccepted, r)
	if n := len(s.pushes(web)); n != 2 {
		t.Errorf("%d pushes are recorded; want 2", n)
	}
}

func TestABodyThatIsTooLargeIsRefused(t *testing.T) {
	const limit, forgeLimit = 1 << 20, 25 << 20
	for name, tc := range map[string]struct {
		path     string
		size     int
		streamed bool
		status   int
	}{
		"a registry's body at the limit":      {"/hooks/distribution", limit, false, http.StatusOK},
		"a registry's streamed to the limit":  {"/hooks/distribution", limit, true, http.StatusOK},
		"a registry's above it":               {"/hooks/distribution", limit + 1, false, http.StatusRequestEntityTooLarge},
		"a registry's streamed above it":      {"/hooks/distribution", limit + 1, true, http.StatusRequestEntityTooLarge},
		"a forge's above a registry's limit":  {"/hooks/app", limit + 1, false, http.StatusOK},
		"a forge's above its own":             {"/hooks/app", forgeLimit + 1, false, http.StatusRequestEntityTooLarge},
		"a forge's streamed above its own":    {"/hooks/app", forgeLimit + 1, true, http.StatusRequestEntityTooLarge},
		"a forge's with packages, between":    {"/hooks/appwithpackages", limit + 1, false, http.StatusOK},
		"an endpoint that is not there, huge": {"/hooks/nobody", forgeLimit + 1, false, http.StatusNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			r := request{path: tc.path, body: strings.Repeat(" ", tc.size)}
			req := r.build()
			req.Header.Set("Authorization", bearer)
			req.Header.Set("X-Hub-Signature-256", sign(r.body))
			if tc.streamed {
				req.ContentLength = -1
			}
			w := httptest.NewRecorder()
			s.hooks.ServeHTTP(w, req)
			if w.Code != tc.status {
				t.Fatalf("status = %d %s; want %d", w.Code, w.Body, tc.status)
			}
			s.wantPending()
			if tc.status == http.StatusRequestEntityTooLarge && s.only().Outcome != store.Refused {
				t.Errorf("delivery = %+v; want it refused", s.only())
			}
		})
	}
}

func TestAnAuthenticDeliveryIsNeverAnsweredWithAnError(t *testing.T) {
	push := pushed("e1", "shop/web", "1.4.2")
	for name, tc := range map[string]struct {
		request request
		reason  string
	}{
		"no JSON":             {envelope("{"), "no distribution notification: "},
		"another sender's":    {request{path: "/hooks/distribution", header: envelope().header, body: hubPush("ghcr", "1").body}, "no distribution notification: "},
		"no body":             {request{path: "/hooks/distribution", header: envelope().header}, "no distribution notification: "},
		"an empty envelope":   {envelope(), "the envelope is empty"},
		"a pull":              {envelope(strings.Replace(push, `"push"`, `"pull"`, 1)), "pull of shop/web:1.4.2 is no push"},
		"a signature's tag":   {envelope(pushed("e1", "shop/web", "sha256-"+strings.Repeat("a", 64)+".sig")), "signature"},
		"a part of an image":  {envelope(pushed("e1", "shop/web", "")), "has no tag"},
		"a tag of no grammar": {envelope(pushed("e1", "shop/web", "a b")), "which no registry could hold"},
		"a ping":              {hubPush("ghcr", "1").with("X-GitHub-Event", "ping"), "ping"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.list(1, web)
			a := s.want(http.StatusOK, tc.request)
			d := s.only()
			if a.Outcome != store.Ignored || d.Outcome != store.Ignored || d.Reason != a.Reason || !strings.Contains(a.Reason, tc.reason) {
				t.Errorf("answer = %+v, delivery = %+v; want both ignored because %q", a, d, tc.reason)
			}
			if d.Body != nil {
				t.Errorf("a body is kept that nobody needs")
			}
			s.wantPending()
			if n := s.outcomes.of(d.Sender + " ignored"); n != 1 {
				t.Errorf("ignored deliveries observed = %d; want 1", n)
			}
		})
	}
}

func TestOneBadEventDoesNotHoldUpTheOthers(t *testing.T) {
	s := newScene(t)
	key := s.list(1, web)
	s.want(http.StatusAccepted, envelope(
		pushed("e1", "shop/web", "1.4.2"), `"not an event"`, pushed("e3", "shop/web", "sha256-"+strings.Repeat("a", 64)), `{"action":7}`,
		pushed("e5", "shop/worker", "2.0.0"), pushed("e6", "shop/web", ""),
	))
	s.wantPending(key)
	if got := s.pushes(web, "registry.acme.io/shop/worker"); len(got) != 2 {
		t.Errorf("pushes = %+v; want the two good ones", got)
	}
	d := s.only()
	if !strings.HasPrefix(d.Reason, "ignored in it: an event of the envelope is not understood: ") || !strings.HasSuffix(d.Reason, "; and 1 more") {
		t.Errorf("reason = %q; want why four events were ignored", d.Reason)
	}
	if d.About != "registry.acme.io/shop/web:1.4.2, registry.acme.io/shop/worker:2.0.0" {
		t.Errorf("about = %q", d.About)
	}
}

func TestManyEventsAreNamedInAFewWords(t *testing.T) {
	s := newScene(t)
	var events []string
	for range 400 {
		events = append(events, pushed("e", "shop/web", "1.4.2"))
	}
	s.want(http.StatusAccepted, envelope(events...))
	if d := s.only(); !strings.HasSuffix(d.About, ", and 397 more") {
		t.Errorf("about = %q", d.About)
	}
	if n := len(s.pushes(web)); n != 400 {
		t.Errorf("%d pushes are recorded; want 400", n)
	}
}

func TestOnlyPostsToEndpointsAreHeard(t *testing.T) {
	s := newScene(t)
	push := envelope(pushed("e1", "shop/web", "1.4.2"))
	for _, tc := range []struct {
		method, path string
		status       int
	}{
		{http.MethodPost, "/hooks/nobody", http.StatusNotFound},
		{http.MethodPost, "/hooks/", http.StatusNotFound},
		{http.MethodPost, "/hooks", http.StatusNotFound},
		{http.MethodPost, "/hooks/DISTRIBUTION", http.StatusNotFound},
		{http.MethodPost, "/hooks/..%2fdistribution", http.StatusNotFound},
		{http.MethodGet, "/hooks/distribution", http.StatusMethodNotAllowed},
		{http.MethodHead, "/hooks/distribution", http.StatusMethodNotAllowed},
		{http.MethodPut, "/hooks/distribution", http.StatusMethodNotAllowed},
		{http.MethodOptions, "/hooks/distribution", http.StatusMethodNotAllowed},
		{http.MethodDelete, "/hooks/distribution/more", http.StatusMethodNotAllowed},
		{http.MethodPost, "/hooks/distribution/", http.StatusAccepted},
		{http.MethodPost, "/hooks/distribution/a/secret?token=b", http.StatusOK},
	} {
		r := push.at(tc.path)
		r.method = tc.method
		w := s.send(r)
		if w.Code != tc.status {
			t.Errorf("%s %s answers %d; want %d", tc.method, tc.path, w.Code, tc.status)
		}
		if tc.status == http.StatusMethodNotAllowed && w.Header().Get("Allow") != http.MethodPost {
			t.Errorf("%s %s allows %q; want POST", tc.method, tc.path, w.Header().Get("Allow"))
		}
	}
}

func TestADecoderSeesPathAndQueryAsTheyWereMeant(t *testing.T) {
	var got registry.Request
	kind := registry.Type{
		Name: "path", Verify: func(registry.Endpoint, registry.Request) error { return nil },
		Decode: func(_ registry.Endpoint, r registry.Request) (registry.Decoded, error) {
			got = r
			return registry.Decoded{}, nil
		},
	}
	s := newScene(t, func(o *hook.Options) { o.Endpoints = []hook.Endpoint{{Name: "path", Registry: senderOf(t, kind)}} })
	for _, tc := range []struct{ path, want string }{
		{"/hooks/path", ""},
		{"/hooks/path/", ""},
		{"/hooks/path/Abc-123", "Abc-123"},
		{"/hooks/path/a%2Fb%21/c", "a/b!/c"},
		{"/hooks/path/a%20b?token=t", "a b"},
	} {
		s.want(http.StatusOK, request{path: tc.path, body: "x"})
		if got.Path != tc.want || got.Method != http.MethodPost || string(got.Body) != "x" {
			t.Errorf("request of %s = %+v; want the path %q", tc.path, got, tc.want)
		}
	}
	if got.Query.Get("token") != "t" {
		t.Errorf("query = %v; want its token", got.Query)
	}
}

func TestSecretsAreNowhere(t *testing.T) {
	const other = "hunter2-hunter2"
	s := newScene(t)
	for _, r := range []request{
		envelope(pushed("e1", "shop/web", "1.4.2")).at("/hooks/distribution/" + other + "?secret=" + other),
		envelope().with("Authorization", "Bearer "+other).at("/hooks/distribution/" + other + "?secret=" + other),
		envelope("{").with("Cookie", other),
		hubPush("ghcr", "1").with("X-Hub-Signature-256", other).with("X-GitHub-Delivery", other),
		happened(t, "app", eventOfKind("panic")).with("X-Token", other),
		{path: "/hooks/" + other, body: other},
		{path: "/hooks/app/" + other, body: strings.Repeat(other, 2<<20)},
	} {
		if w := s.send(r); strings.Contains(w.Body.String(), other) || strings.Contains(w.Body.String(), secret) {
			t.Errorf("the answer %q has a secret", w.Body)
		}
	}
	for _, d := range s.deliveries() {
		d.Body = nil // what was proved is kept as it came
		if text := strings.Join([]string{d.DeliveryID, d.Event, d.Reason, d.About, d.Sender}, " "); strings.Contains(text, other) || strings.Contains(text, secret) {
			t.Errorf("delivery %+v has a secret", d)
		}
	}
	if log := s.log.String(); log == "" || strings.Contains(log, other) || strings.Contains(log, secret) {
		t.Errorf("the log is empty or has a secret:\n%s", log)
	}
}

func TestEndpointsAreChecked(t *testing.T) {
	ok := sender(t, "distribution")
	nowhere := inbox(func(context.Context, store.Delivery, []store.Push, []store.RepoKey) (store.Accepted, error) {
		return store.Accepted{}, errors.New("nowhere")
	})
	for name, o := range map[string]hook.Options{
		"no inbox":       {Endpoints: []hook.Endpoint{{Name: "a", Registry: ok}}},
		"twice":          {Inbox: nowhere, Endpoints: []hook.Endpoint{{Name: "a", Registry: ok}, {Name: "a", Registry: ok}}},
		"proves nobody":  {Inbox: nowhere, Endpoints: []hook.Endpoint{{Name: "a"}}},
		"no name":        {Inbox: nowhere, Endpoints: []hook.Endpoint{{Registry: ok}}},
		"a slash":        {Inbox: nowhere, Endpoints: []hook.Endpoint{{Name: "a/b", Registry: ok}}},
		"a folder above": {Inbox: nowhere, Endpoints: []hook.Endpoint{{Name: "..", Registry: ok}}},
		"a space":        {Inbox: nowhere, Endpoints: []hook.Endpoint{{Name: "a b", Registry: ok}}},
	} {
		if _, err := hook.New(o); err == nil {
			t.Errorf("New() with %s gives no error", name)
		}
	}
	r, err := hook.New(hook.Options{Inbox: nowhere, Endpoints: []hook.Endpoint{{Name: "zero", Registry: &registry.Sender{}}}})
	must(t, err)
	w := httptest.NewRecorder()
	r.Routes().ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/zero", nil).WithContext(t.Context()))
	if w.Code != http.StatusUnauthorized {
		t.Errorf("a sender that is not configured is answered %d; want 401", w.Code)
	}
}
