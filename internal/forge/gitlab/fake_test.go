package gitlab

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
)

const (
	testToken = "glpat-a-token-of-a-test-0123456789"
	head      = "1111111111111111111111111111111111111111"
	newer     = "2222222222222222222222222222222222222222"
)

// infra is the project that the tests are about.
var infra = forge.Repository{ID: 7, FullName: "acme/platform/infra", DefaultBranch: "main"}

// request is one request that the fake got.
type request struct {
	Method, Path string // as it was sent: escaped
	Query        string
	Token        string
	Body         map[string]any
}

func (r request) String() string { return r.Method + " " + r.Path }

// fake is a GitLab whose answers each test writes down.
type fake struct {
	t     *testing.T
	forge *Forge
	logs  *strings.Builder

	mu      sync.Mutex
	now     time.Time
	answers map[string][]http.HandlerFunc // by method and path below /gitlab/api/v4
	got     []request
}

// newFake starts one under a path, whose bot is the account boatlift with the id 42.
func newFake(t *testing.T, change ...func(*Options)) *fake {
	t.Helper()
	f := &fake{t: t, answers: map[string][]http.HandlerFunc{}, now: time.Unix(1_800_000_000, 0), logs: &strings.Builder{}}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	options := Options{
		BaseURL: server.URL + "/gitlab", Token: Fixed([]byte(testToken)), WebhookSecrets: func() [][]byte { return [][]byte{[]byte("hook-secret")} },
		Clock: f.clock, Logger: slog.New(slog.NewTextHandler(f.logs, nil)),
	}
	for _, c := range change {
		c(&options)
	}
	adapter, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(adapter.Close)
	f.forge = adapter
	f.answer("GET /user", 200, `{"id": 42, "username": "boatlift", "name": "Boatlift", "email": "project_7_bot@noreply.acme.io", "bot": true}`)
	return f
}

func (f *fake) clock() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

func (f *fake) pass(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = f.now.Add(d)
}

// handle adds an answer to a route; the last one stays.
func (f *fake) handle(route string, h http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[route] = append(f.answers[route], h)
}

func (f *fake) answer(route string, status int, body string, header ...string) {
	f.handle(route, func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
}

// ServeHTTP implements http.Handler.
func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.EscapedPath(), "/gitlab/api/v4")
	body := map[string]any{}
	_ = json.NewDecoder(r.Body).Decode(&body)
	f.mu.Lock()
	route := r.Method + " " + path
	f.got = append(f.got, request{Method: r.Method, Path: path, Query: r.URL.RawQuery, Token: r.Header.Get("PRIVATE-TOKEN"), Body: body})
	list := f.answers[route]
	if len(list) > 1 {
		f.answers[route] = list[1:]
	}
	f.mu.Unlock()
	if len(list) == 0 {
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"message":"404 Not Found"}`)
		return
	}
	list[0](w, r)
}

// sent are the requests of a method, and those with a path that ends so.
func (f *fake) sent(method, end string) []request {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []request
	for _, r := range f.got {
		if (method == "" || r.Method == method) && strings.HasSuffix(r.Path, end) {
			list = append(list, r)
		}
	}
	return list
}

// writes are what was sent to change something, as method and path.
func (f *fake) writes() []string {
	var list []string
	for _, r := range f.sent("", "") {
		if r.Method != http.MethodGet {
			list = append(list, r.String())
		}
	}
	return list
}

func sample(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// mergeRequest is one of the bot's as GitLab shows it, with fields changed.
func mergeRequest(fields ...any) string {
	m := map[string]any{
		"id": 100, "iid": 5, "project_id": 7, "source_project_id": 7, "target_project_id": 7, "state": "opened", "title": "web 1.4.2",
		"source_branch": "boatlift/web", "target_branch": "main", "sha": head, "author": map[string]any{"id": 42, "username": "boatlift"},
		"created_at": "2026-11-20T10:00:00Z", "updated_at": "2026-11-20T10:00:00Z", "web_url": "https://gitlab.acme.io/acme/platform/infra/-/merge_requests/5",
		"detailed_merge_status": "mergeable", "merge_status": "can_be_merged", "labels": []string{"boatlift"},
	}
	for i := 0; i+1 < len(fields); i += 2 {
		m[fields[i].(string)] = fields[i+1]
	}
	text, err := json.Marshal(m)
	if err != nil {
		panic(fmt.Sprint("a merge request of a test: ", err))
	}
	return string(text)
}

const mr5 = "/projects/7/merge_requests/5"

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); g != w {
		t.Errorf("%s = %s; want %s", what, g, w)
	}
}
