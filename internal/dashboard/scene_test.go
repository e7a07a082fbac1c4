package dashboard_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/dashboard"
	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/store"
)

var update = flag.Bool("update", false, "write the golden files anew")

const (
	acceptance = promotion.RepoKey("github/1")
	production = promotion.RepoKey("github/2")
	web        = image.Name("registry.acme.io/shop/web")
	worker     = image.Name("registry.acme.io/shop/worker")
	blog       = image.Name("registry.acme.io/blog/web")
)

// start is the moment at which every scene begins.
var start = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC) //nolint:gochecknoglobals // a constant, if Go had constants of times

func at(minutes int) time.Time { return start.Add(time.Duration(minutes) * time.Minute) }

func digest(n int) image.Digest { return image.Digest(fmt.Sprintf("sha256:%012x%052x", n, 0)) }

// scene is an API over a real database, whose clock moves by hand.
type scene struct {
	t     testing.TB
	store *store.Store
	api   *dashboard.API
	log   bytes.Buffer
	now   time.Time
}

func newScene(t testing.TB) *scene {
	t.Helper()
	s := &scene{t: t, now: start}
	clock := func() time.Time { return s.now }
	var err error
	s.store, err = store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "boatlift.db"), store.Options{Clock: clock, Random: func() float64 { return 0 }})
	must(t, err)
	t.Cleanup(func() { must(t, s.store.Close()) })
	s.api = &dashboard.API{
		Store: s.store, Version: "1.2.3", Started: start.Add(-time.Hour), Senders: []string{"/hooks/registry", "/hooks/github"}, Now: clock,
		Log: slog.New(slog.NewTextHandler(&s.log, nil)),
	}
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// infra is a repo as a discovery reports it.
func infra(key promotion.RepoKey, name string) store.Repo {
	var id int64
	_, _ = fmt.Sscanf(string(key), "github/%d", &id)
	return store.Repo{
		Key: key, Forge: "github", ForgeID: id, FullName: name, DefaultBranch: "main", CloneURL: "https://git.example/" + name + ".git",
		WebURL: "https://git.example/" + name, MergeMethod: "squash",
	}
}

// two are the repos of most scenes.
func (s *scene) two() {
	s.t.Helper()
	s.discover(infra(acceptance, "acme/infra-acceptance"), infra(production, "acme/infra-production"))
	s.repo(acceptance, func(tx *store.Tx, r store.Repo) {
		r.Environments = []store.EnvRow{{Name: "acceptance", Mode: promotion.Propose}}
		tx.SaveRepo(r)
		tx.SaveListings(acceptance, []promotion.Listing{lists("acceptance", web, "1.4.2", 42), lists("acceptance", worker, "1.4.2", 142)})
		tx.SaveRunning([]promotion.Running{{
			Environment: "acceptance", SHA: "a1", State: "succeeded", URL: "https://git.example/runs/1", At: at(-30),
			Images: map[image.Name]promotion.RunningImage{web: {Tag: "1.4.2", Digest: digest(42), Since: at(-30)}, worker: {Tag: "1.4.1", Digest: digest(141), Since: at(-90)}},
		}})
	})
	s.repo(production, func(tx *store.Tx, r store.Repo) {
		r.Environments = []store.EnvRow{{Name: "production", Mode: promotion.Propose, After: []promotion.EnvRef{{Repo: "acme/infra-acceptance", Environment: "acceptance"}}}}
		tx.SaveRepo(r)
		tx.SaveListings(production, []promotion.Listing{lists("production", web, "1.4.1", 41), lists("production", worker, "1.4.1", 141)})
	})
}

func lists(environment string, name image.Name, tag string, n int) promotion.Listing {
	return promotion.Listing{Environment: environment, File: "apps/" + name.Base() + "/kustomization.yaml", Entry: name.Base(), Image: name, Tag: tag, Digest: digest(n)}
}

func (s *scene) discover(repos ...store.Repo) {
	s.t.Helper()
	_, err := s.store.UpsertRepos(s.t.Context(), "github", repos)
	must(s.t, err)
	s.rest()
}

// rest ends all work that is due.
func (s *scene) rest() {
	s.t.Helper()
	for {
		c, err := s.store.Claim(s.t.Context(), "tester", time.Minute)
		must(s.t, err)
		if c == nil {
			return
		}
		must(s.t, s.store.Finish(s.t.Context(), c, store.Finish{}))
	}
}

// repo makes a turn of a repo whose configuration is good.
func (s *scene) repo(key promotion.RepoKey, fn func(*store.Tx, store.Repo)) {
	s.t.Helper()
	s.rest()
	r, found, err := s.store.Repo(s.t.Context(), key)
	must(s.t, err)
	if !found {
		s.t.Fatalf("no repo %s", key)
	}
	if r.BaselineAt.IsZero() {
		r.BaselineAt, r.ConfigText, r.BaseHead, r.State = s.now, "environments: []", "b"+strings.Repeat("0", 39), ""
	}
	must(s.t, s.store.Wake(s.t.Context(), key))
	c, err := s.store.Claim(s.t.Context(), "tester", time.Minute)
	must(s.t, err)
	if c == nil || c.Repo != key {
		s.t.Fatalf("Claim() = %+v; want one of %s", c, key)
	}
	must(s.t, s.store.Update(s.t.Context(), c, func(tx *store.Tx) error {
		fn(tx, r)
		return nil
	}))
	must(s.t, s.store.Finish(s.t.Context(), c, store.Finish{}))
	s.rest()
}

// turn makes a turn of a repo that has nothing to do with its configuration.
func (s *scene) turn(key promotion.RepoKey, fn func(*store.Tx)) {
	s.t.Helper()
	s.repo(key, func(tx *store.Tx, _ store.Repo) { fn(tx) })
}

// push brings a delivery that tells of a push, and leaves the work that it makes.
func (s *scene) push(name image.Name, tag string, n int) {
	s.t.Helper()
	_, err := s.store.Accept(s.t.Context(), store.Delivery{
		Sender: "registry", DeliveryID: fmt.Sprintf("event-%s-%d", tag, n), Event: "distribution", Outcome: store.Stored, About: string(name) + ":" + tag,
		Body: []byte("{}"), ReceivedAt: s.now,
	}, []store.Push{{Image: name, Tag: tag, Digest: digest(n), ReceivedAt: s.now}}, nil)
	must(s.t, err)
}

// moves is a promotion of one image.
func moves(repo promotion.RepoKey, environment string, name image.Name, from string, fromN int, to string, toN int) promotion.Promotion {
	release := promotion.NewRelease(environment, name.Base(), []promotion.Change{{Image: name, FromTag: from, FromDigest: digest(fromN), Tag: to, Digest: digest(toN)}})
	return promotion.Promotion{ID: release.ID[:12] + "-1", Repo: repo, Release: release, State: promotion.Open, Branch: release.Branch(), CreatedAt: start}
}

// opened gives a promotion its pull request.
func opened(p promotion.Promotion, repo string, number int) promotion.Promotion {
	p.PullRequest, p.URL, p.OpenedAt = number, fmt.Sprintf("https://git.example/%s/pull/%d", repo, number), p.CreatedAt
	return p
}

func waits(rulings ...gate.Ruling) *gate.Verdict {
	v := gate.Judge(rulings...)
	return &v
}

// get asks the API over HTTP, as commands do.
func (s *scene) get(path string) (int, string) {
	s.t.Helper()
	w := httptest.NewRecorder()
	s.api.Routes().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, http.NoBody))
	return w.Code, w.Body.String()
}

func (s *scene) post(path string, body any) (int, string) {
	s.t.Helper()
	text, err := json.Marshal(body)
	must(s.t, err)
	w := httptest.NewRecorder()
	s.api.Routes().ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, bytes.NewReader(text)))
	if got := w.Header().Get("Content-Type"); got != "application/json" {
		s.t.Errorf("%s answers %s; want JSON", path, got)
	}
	return w.Code, w.Body.String()
}

// why asks and writes the answer as a person reads it.
func (s *scene) why(about string) string {
	s.t.Helper()
	status, text := s.get("/why?about=" + url.QueryEscape(about))
	if status != http.StatusOK {
		var p dashboard.Problem
		must(s.t, json.Unmarshal([]byte(text), &p))
		return fmt.Sprintf("%d %s\n    %s\n", status, p.Message, p.Fix)
	}
	var e dashboard.Explanation
	must(s.t, json.Unmarshal([]byte(text), &e))
	var b strings.Builder
	under := ""
	for _, say := range e.Says {
		if say.Under != under {
			under = say.Under
			fmt.Fprintf(&b, "%s\n", under)
		}
		indent := ""
		if under != "" {
			indent = "  "
		}
		b.WriteString(indent)
		if !say.At.IsZero() {
			b.WriteString(say.At.Format("15:04 "))
		}
		b.WriteString(say.Say)
		if !say.Until.IsZero() {
			b.WriteString(say.Until.Format(" [until 15:04]"))
		}
		b.WriteString("\n")
		if say.Hint != "" {
			fmt.Fprintf(&b, "%s    %s\n", indent, say.Hint)
		}
	}
	return b.String()
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	file = filepath.Join("testdata", file)
	if *update {
		must(t, os.MkdirAll(filepath.Dir(file), 0o755))
		must(t, os.WriteFile(file, []byte(got), 0o644))
		return
	}
	want, err := os.ReadFile(file)
	must(t, err)
	if got != string(want) {
		t.Errorf("%s is not what comes out now; look at the difference and run the test with -update if it is meant:\n%s", file, got)
	}
}
