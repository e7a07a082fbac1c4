package dashboard_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/boatlift/boatlift/internal/dashboard"
	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/store"
)

// done posts what must succeed.
func (s *scene) done(path string, body any) string {
	s.t.Helper()
	code, text := s.post(path, body)
	var a dashboard.HoldAnswer
	must(s.t, json.Unmarshal([]byte(text), &a))
	if code != http.StatusOK {
		s.t.Fatalf("%s answers %d %s; want 200", path, code, text)
	}
	return a.Done
}

// refused posts what must fail.
func (s *scene) refused(path string, body any) (int, dashboard.Problem) {
	s.t.Helper()
	code, text := s.post(path, body)
	var p dashboard.Problem
	must(s.t, json.Unmarshal([]byte(text), &p))
	if code == http.StatusOK || p.Message == "" {
		s.t.Fatalf("%s answers %d %s; want a problem", path, code, text)
	}
	return code, p
}

func (s *scene) holds() []promotion.Hold {
	s.t.Helper()
	list, err := s.store.Holds(s.t.Context(), store.HoldFilter{})
	must(s.t, err)
	var holds []promotion.Hold
	for _, h := range list {
		holds = append(holds, h.Hold)
	}
	return holds
}

func (s *scene) audit() []store.AuditEntry {
	s.t.Helper()
	list, err := s.store.AuditTail(s.t.Context(), store.AuditFilter{})
	must(s.t, err)
	slices.Reverse(list)
	return list
}

func TestHoldAndLift(t *testing.T) {
	s := newScene(t)
	s.two()
	s.now = at(5)
	if got, want := s.done("/holds", dashboard.HoldRequest{Environment: "production", Images: []string{"web"}, Reason: "load test", Actor: "alice"}),
		"registry.acme.io/shop/web in acme/infra-production:production is on hold until somebody runs boatlift lift"; got != want {
		t.Errorf("done = %q; want %q", got, want)
	}
	want := promotion.Hold{Environment: "production", Images: []image.Name{web}, Reason: "load test", Actor: "alice", At: at(5)}
	if got := s.holds(); len(got) != 1 || got[0].Environment != want.Environment || !slices.Equal(got[0].Images, want.Images) || got[0].Reason != want.Reason || got[0].Actor != want.Actor || !got[0].At.Equal(want.At) {
		t.Errorf("holds = %+v; want %+v", got, want)
	}
	rows, err := s.store.Work(t.Context())
	must(t, err)
	if i := slices.IndexFunc(rows, func(w store.WorkRow) bool { return w.Repo == production && w.Pending }); i < 0 {
		t.Errorf("work = %+v; want a turn that sees the hold", rows)
	}
	if got, want := s.done("/lifts", dashboard.HoldRequest{Environment: "acme/infra-production:production", Images: []string{"shop/web"}, Actor: "bob"}),
		"registry.acme.io/shop/web in acme/infra-production:production may move again"; got != want {
		t.Errorf("done = %q; want %q", got, want)
	}
	if got := s.holds(); len(got) != 0 {
		t.Errorf("holds = %+v; want none", got)
	}
	entries := s.audit()
	if len(entries) != 2 {
		t.Fatalf("audit = %+v; want 2 entries", entries)
	}
	for i, want := range []store.AuditEntry{
		{Actor: "alice", Action: "held", Detail: json.RawMessage(`{"environment":"production","images":["web"],"reason":"load test","actor":"alice"}`)},
		{Actor: "bob", Action: "lifted hold", Detail: json.RawMessage(`{"environment":"acme/infra-production:production","images":["shop/web"],"actor":"bob"}`)},
	} {
		got := entries[i]
		if got.Actor != want.Actor || got.Role != "override" || got.Action != want.Action || got.Subject != "acme/infra-production:production" || string(got.Detail) != string(want.Detail) {
			t.Errorf("audit entry = %+v %s; want %+v %s", got, got.Detail, want, want.Detail)
		}
	}
}

func TestAWholeEnvironmentIsHeldAndLifted(t *testing.T) {
	s := newScene(t)
	s.two()
	if got := s.done("/holds", dashboard.HoldRequest{Environment: "production", Reason: "audit", Actor: "alice"}); got != "acme/infra-production:production is on hold until somebody runs boatlift lift" {
		t.Errorf("done = %q", got)
	}
	s.now = at(1)
	s.done("/holds", dashboard.HoldRequest{Environment: "production", Images: []string{"web", "shop/worker", "WEB"}, Reason: "load test", Actor: "bob"})
	if got := s.done("/lifts", dashboard.HoldRequest{Environment: "production", Images: []string{"web"}, Actor: "bob"}); got !=
		"the hold on registry.acme.io/shop/web in acme/infra-production:production is lifted, but the environment is on hold as a whole: boatlift lift acme/infra-production:production" {
		t.Errorf("done = %q", got)
	}
	if got := s.holds(); len(got) != 2 || !slices.Equal(got[1].Images, []image.Name{worker}) {
		t.Errorf("holds = %+v; want the environment and worker", got)
	}
	if code, p := s.refused("/lifts", dashboard.HoldRequest{Environment: "production", Images: []string{"web"}, Actor: "bob"}); code != http.StatusConflict || p.Fix != "lift that with boatlift lift acme/infra-production:production" {
		t.Errorf("lifting an image of an environment that is held answers %d %+v", code, p)
	}
	s.done("/lifts", dashboard.HoldRequest{Environment: "production", Actor: "bob"})
	if got := s.holds(); len(got) != 0 {
		t.Errorf("holds = %+v; want none", got)
	}
}

func TestAHoldThatIsThereStaysAsItIs(t *testing.T) {
	s := newScene(t)
	s.two()
	s.done("/holds", dashboard.HoldRequest{Environment: "production", Images: []string{"web", "worker"}, Reason: "load test", Actor: "alice"})
	s.now = at(5)
	got := s.done("/holds", dashboard.HoldRequest{Environment: "production", Images: []string{"worker", "web"}, Reason: "another", Actor: "bob"})
	if want := "registry.acme.io/shop/web, registry.acme.io/shop/worker in acme/infra-production:production are on hold already, since 2026-03-02 09:00:00 UTC by alice: load test"; got != want {
		t.Errorf("done = %q; want %q", got, want)
	}
	if got := s.holds(); len(got) != 1 || got[0].Reason != "load test" || len(s.audit()) != 1 {
		t.Errorf("holds = %+v, %d audit entries; want what was there", got, len(s.audit()))
	}
}

func TestAHoldMayOutliveTheListingOfItsImage(t *testing.T) {
	s := newScene(t)
	s.two()
	s.done("/holds", dashboard.HoldRequest{Environment: "production", Images: []string{"web"}, Reason: "load test", Actor: "alice"})
	s.turn(production, func(tx *store.Tx) { tx.SaveListings(production, nil) })
	s.done("/lifts", dashboard.HoldRequest{Environment: "production", Images: []string{"web"}, Actor: "alice"})
	if got := s.holds(); len(got) != 0 {
		t.Errorf("holds = %+v; want none", got)
	}
}

func TestWhatCannotBeHeld(t *testing.T) {
	s := newScene(t)
	s.discover(infra(acceptance, "acme/infra-acceptance"), infra(production, "acme/infra-production"), infra("github/3", "acme/empty"))
	for _, key := range []promotion.RepoKey{acceptance, production, "github/3"} {
		s.repo(key, func(tx *store.Tx, r store.Repo) {
			r.Environments = []store.EnvRow{{Name: "drill", Mode: promotion.Propose}}
			if key == production {
				r.Environments = append(r.Environments, store.EnvRow{Name: "production", Mode: promotion.Propose})
			}
			tx.SaveRepo(r)
			if key != "github/3" {
				tx.SaveListings(key, []promotion.Listing{lists("production", web, "1", 1), lists("production", blog, "1", 1), lists("drill", worker, "1", 1)})
			}
		})
	}
	ok := dashboard.HoldRequest{Environment: "production", Reason: "r", Actor: "alice"}
	with := func(change func(*dashboard.HoldRequest)) dashboard.HoldRequest {
		r := ok
		change(&r)
		return r
	}
	for name, tc := range map[string]struct {
		body         any
		code         int
		message, fix string
	}{
		"an unknown environment": {
			with(func(r *dashboard.HoldRequest) { r.Environment = "staging" }), http.StatusNotFound, "no environment is called staging",
			"known are acme/empty:drill, acme/infra-acceptance:drill, acme/infra-production:drill, acme/infra-production:production",
		},
		"an environment of another repository": {
			with(func(r *dashboard.HoldRequest) { r.Environment = "acme/infra-acceptance:production" }), http.StatusNotFound, "no environment is called acme/infra-acceptance:production", "known are acme/empty:drill, ",
		},
		"an ambiguous environment": {
			with(func(r *dashboard.HoldRequest) { r.Environment = "drill" }), http.StatusConflict, "3 environments are called drill",
			"write one of acme/empty:drill, acme/infra-acceptance:drill, acme/infra-production:drill",
		},
		"no environment": {with(func(r *dashboard.HoldRequest) { r.Environment = "" }), http.StatusNotFound, `no environment is called ""`, "known are"},
		"an unknown image": {
			with(func(r *dashboard.HoldRequest) { r.Images = []string{"api"} }), http.StatusNotFound, "acme/infra-production:production does not list api",
			"it lists registry.acme.io/blog/web, registry.acme.io/shop/web; name an image without its tag",
		},
		"an image of another environment": {with(func(r *dashboard.HoldRequest) { r.Images = []string{"worker"} }), http.StatusNotFound, "acme/infra-production:production does not list worker", "it lists"},
		"an image with its tag":           {with(func(r *dashboard.HoldRequest) { r.Images = []string{"shop/web:1"} }), http.StatusNotFound, "acme/infra-production:production does not list shop/web:1", "without its tag"},
		"an empty image":                  {with(func(r *dashboard.HoldRequest) { r.Images = []string{""} }), http.StatusNotFound, `acme/infra-production:production does not list ""`, "it lists"},
		"an image where none is listed": {
			with(func(r *dashboard.HoldRequest) { r.Environment, r.Images = "acme/empty:drill", []string{"web"} }), http.StatusNotFound, "acme/empty:drill does not list web", "it lists no image at all",
		},
		"an ambiguous image": {
			with(func(r *dashboard.HoldRequest) { r.Images = []string{"web"} }), http.StatusConflict, "2 images of acme/infra-production:production end in web",
			"write one of registry.acme.io/blog/web, registry.acme.io/shop/web",
		},
		"no reason":       {with(func(r *dashboard.HoldRequest) { r.Reason = "" }), http.StatusBadRequest, "a hold needs a reason", "people read it"},
		"nobody":          {with(func(r *dashboard.HoldRequest) { r.Actor = "" }), http.StatusBadRequest, "the request does not say who makes it", ""},
		"an unknown key":  {map[string]string{"enviroment": "production"}, http.StatusBadRequest, `the request is not understood: json: unknown field "enviroment"`, ""},
		"no object":       {[]int{1}, http.StatusBadRequest, "the request is not understood: ", ""},
		"a huge request":  {with(func(r *dashboard.HoldRequest) { r.Reason = strings.Repeat("x", 100_000) }), http.StatusBadRequest, "the request is not understood: ", ""},
		"a kind of image": {with(func(r *dashboard.HoldRequest) { r.Images = []string{"b"} }), http.StatusNotFound, "acme/infra-production:production does not list b", "it lists"},
	} {
		t.Run(name, func(t *testing.T) {
			code, p := s.refused("/holds", tc.body)
			if code != tc.code || !strings.HasPrefix(p.Message, tc.message) || !strings.Contains(p.Fix, tc.fix) {
				t.Errorf("answer = %d %q, %q; want %d %q, %q", code, p.Message, p.Fix, tc.code, tc.message, tc.fix)
			}
		})
	}
	if len(s.holds()) > 0 || len(s.audit()) > 0 {
		t.Errorf("holds = %+v, audit = %+v; want none", s.holds(), s.audit())
	}
	for name, tc := range map[string]struct {
		body    dashboard.HoldRequest
		code    int
		message string
	}{
		"nothing is held": {ok, http.StatusNotFound, "nothing is on hold in acme/infra-production:production"},
		"nobody":          {with(func(r *dashboard.HoldRequest) { r.Actor = "" }), http.StatusBadRequest, "the request does not say who makes it"},
	} {
		if code, p := s.refused("/lifts", tc.body); code != tc.code || p.Message != tc.message {
			t.Errorf("lift where %s answers %d %q; want %d %q", name, code, p.Message, tc.code, tc.message)
		}
	}
	s.done("/holds", with(func(r *dashboard.HoldRequest) { r.Images = []string{"shop/web"} }))
	if code, p := s.refused("/lifts", with(func(r *dashboard.HoldRequest) { r.Images = []string{"blog/web"} })); code != http.StatusNotFound ||
		p.Message != "registry.acme.io/blog/web in acme/infra-production:production is not on hold" {
		t.Errorf("lifting what is not held answers %d %+v", code, p)
	}
}

func TestARepositoryMadeAnewCanBeHeld(t *testing.T) {
	s := newScene(t)
	for _, key := range []promotion.RepoKey{"github/1", "github/2"} {
		s.discover(infra(key, "acme/infra"))
		s.repo(key, func(tx *store.Tx, r store.Repo) {
			r.Environments = []store.EnvRow{{Name: "production", Mode: promotion.Propose}}
			tx.SaveRepo(r)
		})
	}
	for _, ref := range []string{"production", "acme/infra:production", "ACME/Infra:production", "github/acme/infra:production"} {
		s.done("/holds", dashboard.HoldRequest{Environment: ref, Reason: "r", Actor: "alice"})
		list, err := s.store.Holds(t.Context(), store.HoldFilter{})
		must(t, err)
		if len(list) != 1 || list[0].Repo != "github/2" {
			t.Errorf("holding %s holds %+v; want the one that is there", ref, list)
		}
		s.done("/lifts", dashboard.HoldRequest{Environment: ref, Actor: "alice"})
	}
	other := infra("other/7", "acme/infra")
	other.Forge = "other"
	_, err := s.store.UpsertRepos(t.Context(), "other", []store.Repo{other})
	must(t, err)
	s.repo("other/7", func(tx *store.Tx, r store.Repo) {
		r.Environments = []store.EnvRow{{Name: "production", Mode: promotion.Propose}}
		tx.SaveRepo(r)
	})
	if _, p := s.refused("/holds", dashboard.HoldRequest{Environment: "acme/infra:production", Reason: "r", Actor: "alice"}); p.Fix != "write one of github/acme/infra:production, other/acme/infra:production" {
		t.Errorf("the same name at two forges: %+v", p)
	}
}

func TestResume(t *testing.T) {
	s := newScene(t)
	s.two()
	if got := s.done("/resumes", dashboard.ResumeRequest{Actor: "alice"}); got != "nothing to resume: the bot remembers all its branches" {
		t.Errorf("done = %q", got)
	}
	lost := func(key promotion.RepoKey, environment string) {
		s.turn(key, func(tx *store.Tx) {
			tx.AddHold(promotion.Hold{Environment: environment, Reason: promotion.LostReason, Actor: "boatlift", At: at(1)})
			tx.AddHold(promotion.Hold{Environment: environment, Images: []image.Name{web}, Reason: "load test", Actor: "bob", At: at(0)})
		})
	}
	lost(acceptance, "acceptance")
	if got := s.done("/resumes", dashboard.ResumeRequest{Actor: "alice"}); got != "resumed: 1 environment moves again" {
		t.Errorf("done = %q", got)
	}
	lost(acceptance, "acceptance")
	lost(production, "production")
	if got := s.done("/resumes", dashboard.ResumeRequest{Actor: "alice"}); got != "resumed: 2 environments move again" {
		t.Errorf("done = %q", got)
	}
	for _, h := range s.holds() {
		if h.Reason != "load test" || h.Actor != "bob" || !h.At.Equal(at(0)) {
			t.Errorf("hold = %+v; want only what bob held, as he held it", h)
		}
	}
	if n := len(s.holds()); n != 2 {
		t.Errorf("%d holds are left; want bob's two", n)
	}
	for _, e := range s.audit() {
		if e.Actor != "alice" || e.Action != "resumed" || !strings.HasPrefix(e.Subject, "acme/infra-") {
			t.Errorf("audit entry = %+v", e)
		}
	}
	if _, p := s.refused("/resumes", dashboard.ResumeRequest{}); p.Message != "the request does not say who makes it" {
		t.Errorf("problem = %+v", p)
	}
}

// Who holds an environment of which the bot lost its memory, holds it beyond boatlift resume.
func TestAPersonsHoldOutlivesResume(t *testing.T) {
	s := newScene(t)
	s.two()
	s.turn(production, func(tx *store.Tx) {
		tx.AddHold(promotion.Hold{Environment: "production", Reason: promotion.LostReason, Actor: "boatlift", At: at(1)})
		tx.AddHold(promotion.Hold{Environment: "production", Images: []image.Name{web}, Reason: "load test", Actor: "bob", At: at(0)})
	})
	s.done("/holds", dashboard.HoldRequest{Environment: "production", Reason: "audit", Actor: "alice"})
	s.done("/resumes", dashboard.ResumeRequest{Actor: "alice"})
	if got := s.holds(); len(got) != 2 || !slices.ContainsFunc(got, func(h promotion.Hold) bool { return len(h.Images) == 0 && h.Reason == "audit" && h.Actor == "alice" }) {
		t.Errorf("holds = %+v; want alice's and bob's", got)
	}
}

// Over the network the token says who it is, whatever the request says.
func TestATokenNamesTheActor(t *testing.T) {
	s := newScene(t)
	s.two()
	guard := dashboard.NewGuard(dashboard.GuardOptions{Tokens: []dashboard.Token{
		{Caller: dashboard.Caller{Name: "pipeline", Role: dashboard.Operate}, Secret: func() []byte { return []byte("secret") }},
		{Caller: dashboard.Caller{Name: "screen", Role: dashboard.Read}, Secret: func() []byte { return []byte("other") }},
	}}, s.api.Routes())
	post := func(path, token string, body any) int {
		text, err := json.Marshal(body)
		must(t, err)
		r := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(text))
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		guard.ServeHTTP(w, r)
		return w.Code
	}
	hold := dashboard.HoldRequest{Environment: "production", Reason: "load test", Actor: "alice"}
	if code := post("/holds", "other", hold); code != http.StatusForbidden {
		t.Errorf("a token that may only read is answered %d; want 403", code)
	}
	for _, tc := range []struct {
		path string
		body any
	}{
		{"/holds", hold},
		{"/lifts", dashboard.HoldRequest{Environment: "production"}},
	} {
		if code := post(tc.path, "secret", tc.body); code != http.StatusOK {
			t.Errorf("%s is answered %d; want 200", tc.path, code)
		}
	}
	s.turn(production, func(tx *store.Tx) {
		tx.AddHold(promotion.Hold{Environment: "production", Reason: promotion.LostReason, Actor: "boatlift", At: at(1)})
	})
	if code := post("/resumes", "secret", dashboard.ResumeRequest{Actor: "alice"}); code != http.StatusOK {
		t.Errorf("/resumes is answered %d; want 200", code)
	}
	entries := s.audit()
	if len(entries) != 3 {
		t.Fatalf("audit = %+v; want 3 entries", entries)
	}
	for _, e := range entries {
		if e.Actor != "pipeline" || e.Role != "operate" {
			t.Errorf("audit entry = %+v; want one of pipeline, as operate", e)
		}
	}
	must(t, s.store.Close())
	r := httptest.NewRequest(http.MethodGet, "/status", http.NoBody)
	r.Header.Set("Authorization", "Bearer other")
	w := httptest.NewRecorder()
	guard.ServeHTTP(w, r)
	if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "its log says why") || !strings.Contains(s.log.String(), "the database is closed") {
		t.Errorf("answer = %d %s, log = %s; want the reason in the log alone", w.Code, w.Body, s.log.String())
	}
}
