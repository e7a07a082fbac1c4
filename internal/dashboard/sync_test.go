package dashboard_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/dashboard"
	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/store"
)

// polls lets the bot of a scene ask a registry for its tags; another is not polled.
func (s *scene) polls() {
	s.api.Polls = []dashboard.Polling{{Name: "acme", Host: "registry.acme.io", Every: 5 * time.Minute}, {Name: "packages", Host: "ghcr.io"}}
}

func (s *scene) polled(p store.Polled) error {
	_, err := s.store.SavePolled(s.t.Context(), p, store.Found{})
	return err
}

// found is a push that was not heard.
func (s *scene) found(sender, reason, tag string, n int) {
	s.t.Helper()
	_, err := s.store.SavePolled(s.t.Context(), store.Polled{Image: web, At: s.now, TriedAt: s.now, DueAt: s.now.Add(5 * time.Minute), Tags: []string{tag}}, store.Found{
		Delivery: store.Delivery{Sender: sender, Event: "acme", Outcome: store.Stored, About: string(web) + ":" + tag, Reason: reason},
		Pushes:   []store.Push{{Image: web, Tag: tag, Digest: digest(n)}},
	})
	must(s.t, err)
}

// leaveAlone has the registry fail.
func (s *scene) leaveAlone() {
	s.t.Helper()
	claim, _, err := s.store.ClaimPoll(s.t.Context(), "acme", "host-1", time.Minute)
	must(s.t, err)
	must(s.t, s.store.FinishPoll(s.t.Context(), claim, store.PollEnd{Failed: true, Rest: time.Hour, Reason: "registry registry.acme.io is not available: HTTP 429"}))
}

func TestStatusTellsOfRegistries(t *testing.T) {
	s := newScene(t)
	s.two()
	if got := s.status().Registries; got == nil || len(got) != 0 {
		t.Errorf("a bot that asks no registry has %+v", got)
	}
	s.polls()
	must(t, s.polled(store.Polled{Image: worker, At: at(-3)}))
	want := []dashboard.Registry{{Name: "acme", Host: "registry.acme.io", Poll: "5m", Images: 2}, {Name: "packages", Host: "ghcr.io", Poll: "off"}}
	if got := s.status().Registries; !slices.Equal(got, want) {
		t.Errorf("registries: %+v, want %+v", got, want)
	}
	must(t, s.polled(store.Polled{Image: web, At: at(-2), Err: "registry has no repository registry.acme.io/shop/web"}))
	want[0].Failing, want[0].Example, want[0].Reason, want[0].Oldest = 1, string(web), "registry has no repository registry.acme.io/shop/web", at(-3)
	if got := s.status().Registries; !slices.Equal(got, want) {
		t.Errorf("registries: %+v, want %+v", got, want)
	}
	s.leaveAlone()
	want[0].Reason, want[0].Until = "registry registry.acme.io is not available: HTTP 429", at(60)
	if got := s.status().Registries; !slices.Equal(got, want) {
		t.Errorf("registries: %+v, want %+v", got, want)
	}
	s.now = at(61)
	if _, _, err := s.store.ClaimPoll(t.Context(), "acme", "host-2", time.Minute); err != nil {
		t.Fatal(err)
	}
	if got := s.status().Registries[0]; got.Asking != "host-2" || !got.Until.IsZero() || got.Reason == "" {
		t.Errorf("a registry that is asked just now: %+v", got)
	}
}

// lines are those of an answer.
func (s *scene) lines(body string) (int, []dashboard.SyncLine) {
	s.t.Helper()
	w := httptest.NewRecorder()
	s.api.Routes().ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/sync", strings.NewReader(body)))
	if got := w.Header().Get("Content-Type"); w.Code == http.StatusOK && got != "application/x-ndjson" {
		s.t.Errorf("sync answers %s", got)
	}
	var all []dashboard.SyncLine
	for line := range strings.Lines(w.Body.String()) {
		var one dashboard.SyncLine
		must(s.t, json.Unmarshal([]byte(line), &one))
		all = append(all, one)
	}
	return w.Code, all
}

func TestSyncAnswersInLines(t *testing.T) {
	s := newScene(t)
	s.two()
	var got dashboard.SyncOrder
	s.api.Sync = func(_ context.Context, o dashboard.SyncOrder, tell func(any)) (any, error) {
		got = o
		tell(map[string]int{"done": 1})
		tell(map[string]int{"done": 2})
		return map[string]bool{"dryRun": true}, nil
	}
	code, lines := s.lines(`{"images": ["web", "shop/worker", "` + string(web) + `"], "dryRun": true, "actor": "alice"}`)
	if code != http.StatusOK || len(lines) != 3 || string(lines[0].Step) != `{"done":1}` || string(lines[1].Step) != `{"done":2}` || string(lines[2].Result) != `{"dryRun":true}` {
		t.Errorf("the answer is %d with %+v", code, lines)
	}
	if !slices.Equal(got.Images, []image.Name{web, worker}) || !got.DryRun || got.Actor != "alice" || got.Role != "override" {
		t.Errorf("the order is %+v", got)
	}
	if s.lines(`{"actor": "alice"}`); got.Images != nil || got.DryRun {
		t.Errorf("the order for everything is %+v", got)
	}
}

func TestSyncThatFails(t *testing.T) {
	s := newScene(t)
	s.two()
	for body, want := range map[string]int{
		`{"images": ["shop/nothing"], "actor": "alice"}`: http.StatusNotFound,
		`{"images": ["web"]}`:                            http.StatusBadRequest,
		`{"image": "web", "actor": "alice"}`:             http.StatusBadRequest,
	} {
		s.api.Sync = func(context.Context, dashboard.SyncOrder, func(any)) (any, error) { panic("it is not called") }
		if code, lines := s.lines(body); code != want || len(lines) != 1 || lines[0].Error == "" {
			t.Errorf("%s is answered %d with %+v, want %d", body, code, lines, want)
		}
	}
	s.api.Sync = func(_ context.Context, _ dashboard.SyncOrder, tell func(any)) (any, error) {
		tell(1)
		return nil, errors.New("the database does not answer")
	}
	if code, lines := s.lines(`{"actor": "alice"}`); code != http.StatusOK || len(lines) != 2 || lines[1].Error != "the database does not answer" || lines[1].Result != nil {
		t.Errorf("a sync that breaks off is answered %d with %+v", code, lines)
	}
	s.api.Sync = nil
	if code, lines := s.lines(`{"actor": "alice"}`); code != http.StatusNotFound || lines[0].Error != "this bot cannot ask registries" {
		t.Errorf("without anybody to ask: %d, %+v", code, lines)
	}
}

// A sync takes longer than the server gives an answer: each line has its own time.
func TestSyncOutlastsTheServersTime(t *testing.T) {
	s := newScene(t)
	s.two()
	step := make(chan struct{})
	s.api.Sync = func(_ context.Context, _ dashboard.SyncOrder, tell func(any)) (any, error) {
		tell(1)
		<-step
		return true, nil
	}
	server := httptest.NewUnstartedServer(s.api.Routes())
	server.Config.WriteTimeout = time.Millisecond
	server.Start()
	defer server.Close()
	answer, err := http.Post(server.URL+"/sync", "application/json", strings.NewReader(`{"actor": "alice"}`))
	must(t, err)
	defer answer.Body.Close()
	dec := json.NewDecoder(answer.Body)
	var line dashboard.SyncLine
	must(t, dec.Decode(&line)) // it comes before the end
	close(step)
	must(t, dec.Decode(&line))
	if string(line.Result) != "true" {
		t.Errorf("the last line is %+v", line)
	}
}
