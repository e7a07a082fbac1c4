package dashboard_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/dashboard"
	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/store"
)

func (s *scene) status() dashboard.Status {
	s.t.Helper()
	code, text := s.get("/status")
	if code != http.StatusOK {
		s.t.Fatalf("status = %d %s", code, text)
	}
	var st dashboard.Status
	dec := json.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields()
	must(s.t, dec.Decode(&st))
	return st
}

// golden JSON: the shape is what scripts rely on.
func (s *scene) goldenStatus(t *testing.T, file string) {
	t.Helper()
	code, text := s.get("/status")
	if code != http.StatusOK {
		t.Fatalf("status = %d %s", code, text)
	}
	var b bytes.Buffer
	must(t, json.Indent(&b, []byte(text), "", "  "))
	golden(t, file, b.String())
	if _, again := s.get("/status"); again != text {
		t.Errorf("asked twice, the status is not the same:\n%s\n%s", text, again)
	}
}

func TestStatusOfNothing(t *testing.T) {
	s := newScene(t)
	s.goldenStatus(t, "status/empty.golden.json")
}

func TestStatus(t *testing.T) {
	s := newScene(t)
	s.two()
	s.discover(infra(acceptance, "acme/infra-acceptance"), infra(production, "acme/infra-production"), infra("github/3", "acme/another"), infra("github/4", "acme/broken"))
	must(t, ignored(s, "a ping: the webhook works"))
	s.repo("github/4", func(tx *store.Tx, r store.Repo) {
		r.ConfigText, r.ConfigError = "", ".boatlift.yaml:3:5: unknown key polices\n  did you mean policies?"
		tx.SaveRepo(r)
	})
	s.now = at(5)
	s.turn(production, func(tx *store.Tx) {
		open := opened(moves(production, "production", web, "1.4.1", 41, "1.4.2", 42), "acme/infra-production", 7)
		open.Gate = waits(gate.Ruling{Policy: "soak", State: gate.Wait, Say: "ran 10m of 30m", Until: at(20)})
		failed := opened(moves(production, "production", worker, "1.4.0", 140, "1.4.1", 141), "acme/infra-production", 6)
		failed.CreatedAt, failed.State, failed.MergedAt, failed.Reason = at(-20), promotion.Failed, at(-10), "its rollout failed"
		failed.Gate = &gate.Verdict{State: gate.Allow}
		mended := opened(moves(production, "production", blog, "1", 1, "3", 3), "acme/infra-production", 5)
		mended.CreatedAt, mended.State, mended.MergedAt = at(-60), promotion.Failed, at(-50)
		over := opened(moves(production, "production", blog, "1", 1, "4", 4), "acme/infra-production", 4)
		over.CreatedAt, over.State, over.MergedAt = at(-40), promotion.Deployed, at(-30)
		for _, p := range []promotion.Promotion{open, failed, mended, over} {
			tx.SavePromotion(p)
		}
		shared := lists("production", blog, "4", 4)
		shared.Refusal = "it is read by production and drill"
		again := lists("production", web, "1.4.1", 41)
		again.File = "jobs/kustomization.yaml" // the same image in another directory is one image
		tx.SaveListings(production, []promotion.Listing{lists("production", web, "1.4.1", 41), lists("production", worker, "1.4.1", 141), shared, again})
		tx.SaveRunning([]promotion.Running{{Environment: "production", SHA: "b2", State: "failed", URL: "https://git.example/runs/2"}})
		tx.SaveNotes(production, []promotion.Note{{Environment: "production", App: "worker", Image: worker, Tag: "1.4.2", Say: "on hold: load test", Hint: "lift it", Since: at(1)}})
		tx.AddHold(promotion.Hold{Environment: "production", Reason: "freeze for the audit", Actor: "alice", At: at(1)})
		tx.AddHold(promotion.Hold{Environment: "production", Images: []image.Name{worker}, Reason: "load test", Actor: "bob", At: at(2)})
	})
	must(t, s.store.SetRepoState(t.Context(), acceptance, store.RepoParked, "archived at the forge"))
	must(t, s.store.Wake(t.Context(), production, store.DiscoverKey("github"), "github/99"))
	c, err := s.store.Claim(t.Context(), "host-1/0", time.Minute)
	must(t, err)
	must(t, s.store.Finish(t.Context(), c, store.Finish{Err: "list the repositories of github: 502 Bad Gateway"}))
	_, err = s.store.Claim(t.Context(), "host-1/1", time.Minute)
	must(t, err)
	s.goldenStatus(t, "status/full.golden.json")
}

func TestStatusTellsWhatARepositoryWaitsFor(t *testing.T) {
	for name, tc := range map[string]struct {
		set           func(*scene)
		state, reason string
	}{
		"not looked at":  {func(*scene) {}, "idle", "it was not looked at yet"},
		"no config":      {func(s *scene) { s.config(func(r *store.Repo) { r.ConfigText = "" }) }, "idle", "it has no .boatlift.yaml on its default branch"},
		"a wrong config": {func(s *scene) { s.config(func(r *store.Repo) { r.ConfigText, r.ConfigError = "", "wrong" }) }, "active", ""},
		"active":         {func(s *scene) { s.config(func(*store.Repo) {}) }, "active", ""},
		"parked": {func(s *scene) {
			must(s.t, s.store.SetRepoState(s.t.Context(), acceptance, store.RepoParked, "the App was uninstalled"))
		}, "parked", "the App was uninstalled"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.discover(infra(acceptance, "acme/infra"))
			tc.set(s)
			if got := s.status().Repos[0]; got.State != tc.state || got.Reason != tc.reason {
				t.Errorf("state = %s, %q; want %s, %q", got.State, got.Reason, tc.state, tc.reason)
			}
		})
	}
}

func (s *scene) config(change func(*store.Repo)) {
	s.t.Helper()
	s.repo(acceptance, func(tx *store.Tx, r store.Repo) {
		change(&r)
		tx.SaveRepo(r)
	})
}

func TestStatusIsSortedByName(t *testing.T) {
	s := newScene(t)
	s.discover(infra("github/4", "zeta/a"), infra("github/3", "acme/b"), infra("github/2", "acme/a"), infra("github/1", "acme/b"))
	var got []string
	for _, r := range s.status().Repos {
		got = append(got, r.Name)
	}
	if want := "acme/a acme/b acme/b zeta/a"; strings.Join(got, " ") != want {
		t.Errorf("repositories = %v; want %s", got, want)
	}
}

func TestEndpointsShowTheLastDelivery(t *testing.T) {
	s := newScene(t)
	s.push(web, "1.4.2", 42)
	s.now = at(1)
	_, err := s.store.Accept(t.Context(), store.Delivery{Sender: "registry", Outcome: store.Refused, Reason: "its Authorization header has another secret", ReceivedAt: s.now}, nil, nil)
	must(t, err)
	got := s.status().Endpoints
	want := dashboard.Endpoint{Path: "/hooks/registry", LastAt: at(1), Last: store.Refused, Reason: "its Authorization header has another secret"}
	if len(got) != 2 || got[0] != want || got[1] != (dashboard.Endpoint{Path: "/hooks/github"}) {
		t.Errorf("endpoints = %+v; want %+v and one that heard nothing", got, want)
	}
}

func TestWhatTheBotDoesNotKnowItSaysAsJSON(t *testing.T) {
	s := newScene(t)
	for _, path := range []string{"/nothing", "/holds", "/status/more"} { // holds are posted
		code, text := s.get(path)
		var p dashboard.Problem
		if err := json.Unmarshal([]byte(text), &p); err != nil || code != http.StatusNotFound || !strings.Contains(p.Message, path) || !strings.Contains(p.Fix, "version 1.2.3") {
			t.Errorf("%s answers %d %s (%v)", path, code, text, err)
		}
	}
}

// What comes from outside neither breaks the JSON nor steers a terminal.
func TestTextsFromOutsideAreTame(t *testing.T) {
	const hostile = "a\x1b[2J\x07\x00b\u202ec\u200bd\u2028e\u009bf\xffg\"h\\u001b\\i<script>\r\nj\tk\ufeff"
	const tame = "a�[2J�b�c�d�e�f�g\"h\\u001b\\i<script>�\nj\tk�"
	s := newScene(t)
	s.two()
	s.turn(production, func(tx *store.Tx) {
		l := lists("production", web, "1.4.1", 41)
		l.File = "apps/" + hostile + "/kustomization.yaml"
		tx.SaveListings(production, []promotion.Listing{l})
		tx.AddHold(promotion.Hold{Environment: "production", Reason: hostile, Actor: hostile, At: at(1)})
		tx.SaveNotes(production, []promotion.Note{{Environment: "production", Image: web, Say: hostile, Hint: hostile}})
		p := opened(moves(production, "production", web, "1.4.1", 41, "1.4.3", 43), "acme/infra-production", 7)
		p.Reason, p.LastError = hostile, hostile
		p.Gate = waits(gate.Ruling{Policy: hostile, State: gate.Wait, Say: hostile, Detail: hostile})
		tx.SavePromotion(p)
	})
	st := s.status()
	env := st.Repos[1].Environments[0]
	if len(env.Holds) != 1 || env.Holds[0].Reason != tame || env.Notes[0].Say != strings.Replace(tame, "�b", "��b", 1) {
		t.Errorf("hold = %q, note = %q; want %q", env.Holds[0].Reason, env.Notes[0].Say, tame)
	}
	for _, path := range []string{"/status", "/why?about=shop/web", "/why?about=acme/infra-production%237", "/why?about=%1b%5B2J%e2%80%ae"} {
		_, text := s.get(path)
		if strings.ContainsFunc(strings.TrimSuffix(text, "\n"), func(r rune) bool {
			return r < ' ' || (r >= 0x7f && r < 0xa0) || r == '\u202e' || r == '\u200b' || r == '\u2028' || r == '\ufeff'
		}) ||
			strings.Contains(strings.ReplaceAll(text, `\\u001b`, ""), `\u00`) {
			t.Errorf("%s answers with characters that steer a terminal: %q", path, text)
		}
		var any map[string]any
		if err := json.Unmarshal([]byte(text), &any); err != nil {
			t.Errorf("%s answers %q, which is no JSON: %v", path, text, err)
		}
	}
	if text := s.why("shop/web"); strings.Contains(text, "\nj") {
		t.Errorf("a sentence has several lines:\n%s", text)
	}
}

// TestALineOfPullRequestsIsShown tells of pull requests that wait for the limits of writes: how many, which first, and until when.
func TestALineOfPullRequestsIsShown(t *testing.T) {
	s := newScene(t)
	s.two()
	s.api.Limits = store.Limits{PerMinute: 10, PerHour: 100}
	var waiting []promotion.Promotion
	for i, key := range []promotion.RepoKey{acceptance, production} {
		environment := []string{"acceptance", "production"}[i]
		s.repo(key, func(tx *store.Tx, _ store.Repo) {
			for n := range 3 {
				release := promotion.NewRelease(environment, "web", []promotion.Change{{Image: web, Tag: "1.5.0", Digest: digest(50 + n)}})
				p := promotion.Promotion{
					ID: release.ID[:12] + "-1", Repo: key, Release: release, State: promotion.Opening, Branch: release.Branch(),
					CreatedAt: at(n), WaitsUntil: at(1),
				}
				tx.SavePromotion(p)
				waiting = append(waiting, p)
			}
		})
	}
	status, err := s.api.Status(t.Context())
	must(t, err)
	if len(status.Lines) != 1 {
		t.Fatalf("Status().Lines = %+v; want one", status.Lines)
	}
	line := status.Lines[0]
	if line.Forge != "github" || line.Waiting != 6 || line.PerMinute != 10 || line.PerHour != 100 || !line.Ends.Equal(s.now.Add(time.Minute)) {
		t.Errorf("the line is %+v; want 6 that end in a minute", line)
	}
	for i, row := range line.Order {
		want := waiting[(i+3)%6] // production first
		if row.Promotion != want.ID || row.Key != want.Repo || row.Environment != want.Release.Environment || row.Repo != "acme/infra-"+row.Environment {
			t.Errorf("place %d: %+v; want %s", i, row, want.ID)
		}
	}
	e, err := s.api.Why(t.Context(), "shop/web:1.5.0")
	must(t, err)
	var said []string
	for _, sentence := range e.Says {
		if strings.Contains(sentence.Say, "limits of writes") {
			said = append(said, sentence.Under+" "+sentence.Say)
		}
	}
	text := strings.Join(said, "\n")
	for _, want := range []string{"acme/infra-production:production its pull request waits", "it is the next", "1 other goes first", "5 others go first, and it opens in about 1m0s"} {
		if !strings.Contains(text, want) {
			t.Errorf("Why() does not say %q:\n%s", want, text)
		}
	}
}
