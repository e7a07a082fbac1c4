package github

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
)

const (
	testApp    = int64(4242)
	testSecret = "registry-webhook-fixture-secret"
	root       = "/some/prefix/api/v3"
)

var testKey = sync.OnceValue(func() []byte {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
})

// only is one webhook secret that never changes.
func only(secret string) func() [][]byte { return func() [][]byte { return [][]byte{[]byte(secret)} } }

// fake is just as much of a GitHub as a test writes down. What nobody wrote down answers 404 and is recorded all the same.
type fake struct {
	t      *testing.T
	server *httptest.Server
	forge  *Forge
	routes *http.ServeMux

	mu       sync.Mutex
	requests []request
	minted   int
}

type request struct {
	line  string // GET /repos/acme/infra/pulls?state=open
	auth  string
	body  string
	agent string
}

// newFake serves the App, its slug, its tokens, one installation (7) and one private repository (1001, acme/infra).
func newFake(t *testing.T, change ...func(*Options)) *fake {
	t.Helper()
	f := &fake{t: t, routes: http.NewServeMux()}
	f.server = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.server.Close)
	options := Options{
		AppID: testApp, PrivateKey: Fixed(testKey()), WebhookSecrets: only(testSecret), BaseURL: f.server.URL + root,
		Transport: &http.Transport{DisableKeepAlives: true},
	}
	for _, c := range change {
		c(&options)
	}
	made, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	f.forge = made
	f.json("GET /app", 200, `{"id": 4242, "slug": "boatlift", "name": "Boatlift"}`)
	f.handle("POST /app/installations/{id}/access_tokens", func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.minted++
		n := f.minted
		f.mu.Unlock()
		w.WriteHeader(201)
		fmt.Fprintf(w, `{"token": "ghs_4242_secret.of.%s.%d", "expires_at": %q}`, r.PathValue("id"), n, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	})
	return f
}

func (f *fake) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	uri := strings.TrimPrefix(r.URL.RequestURI(), root)
	f.mu.Lock()
	f.requests = append(f.requests, request{line: r.Method + " " + uri, auth: r.Header.Get("Authorization"), body: string(body), agent: r.UserAgent()})
	f.mu.Unlock()
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	if _, pattern := f.routes.Handler(r); pattern == "" {
		answer(w, 404, `{"message": "Not Found", "documentation_url": "https://docs.github.com/rest"}`)
		return
	}
	f.routes.ServeHTTP(w, r)
}

func answer(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

func (f *fake) handle(pattern string, h http.HandlerFunc) {
	method, path, _ := strings.Cut(pattern, " ")
	f.routes.HandleFunc(method+" "+root+path, h)
}

func (f *fake) json(pattern string, status int, body string) {
	f.handle(pattern, func(w http.ResponseWriter, _ *http.Request) { answer(w, status, body) })
}

// each answers the n-th request with the n-th function, and with the last one from then on.
func (f *fake) each(pattern string, answers ...http.HandlerFunc) {
	var mu sync.Mutex
	n := 0
	f.handle(pattern, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		h := answers[min(n, len(answers)-1)]
		n++
		mu.Unlock()
		h(w, r)
	})
}

func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { answer(w, status, body) }
}

// paged serves a list in pages, with the Link header that GitHub sends.
func (f *fake) paged(pattern string, items []string, wrap func(string) string) {
	f.handle(pattern, func(w http.ResponseWriter, r *http.Request) {
		page, size := 1, 30
		_, _ = fmt.Sscan(r.URL.Query().Get("page"), &page)
		_, _ = fmt.Sscan(r.URL.Query().Get("per_page"), &size)
		from, to := min((page-1)*size, len(items)), min(page*size, len(items))
		if to < len(items) {
			next := *r.URL
			q := next.Query()
			q.Set("page", fmt.Sprint(page+1))
			next.RawQuery = q.Encode()
			w.Header().Set("Link", fmt.Sprintf(`<%s%s>; rel="next"`, f.server.URL, next.String()))
		}
		list := "[" + strings.Join(items[from:to], ",") + "]"
		if wrap != nil {
			list = wrap(list)
		}
		answer(w, 200, list)
	})
}

// lines are the requests so far, without those that mint tokens or ask who the App is.
func (f *fake) lines() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []string
	for _, r := range f.requests {
		if !strings.Contains(r.line, "/access_tokens") && r.line != "GET /app" {
			list = append(list, r.line)
		}
	}
	return list
}

func (f *fake) count(line string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, r := range f.requests {
		if strings.HasPrefix(r.line, line) {
			n++
		}
	}
	return n
}

// body decodes what the last request of this kind sent.
func (f *fake) body(line string) map[string]any {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := len(f.requests) - 1; i >= 0; i-- {
		if strings.HasPrefix(f.requests[i].line, line) {
			var sent map[string]any
			if err := json.Unmarshal([]byte(f.requests[i].body), &sent); err != nil {
				f.t.Fatalf("body of %s: %v", line, err)
			}
			return sent
		}
	}
	f.t.Fatalf("no request %s", line)
	return nil
}

func infra() forge.Repository {
	return forge.Repository{ID: 1001, FullName: "acme/infra", DefaultBranch: "main", Installation: 7, MergeMethod: "merge"}
}

const repoJSON = `{"id": 1001, "full_name": "acme/infra", "default_branch": "main", "private": true,
	"clone_url": "https://evil.example/x.git", "html_url": "https://evil.example/x", "allow_merge_commit": true}`

func pullJSON(number int, more string) string {
	if more != "" {
		more = ", " + more
	}
	return fmt.Sprintf(`{"number": %d, "state": "open", "title": "deploy", "html_url": "https://github.example/acme/infra/pull/%d",
		"user": {"login": "boatlift[bot]", "type": "Bot"},
		"head": {"ref": "boatlift/x", "sha": "%s", "repo": {"id": 1001}},
		"base": {"ref": "main", "sha": "%s", "repo": {"id": 1001}},
		"created_at": "2026-01-05T09:00:00Z", "updated_at": "2026-01-05T09:00:01Z"%s}`, number, number, headSHA, baseSHA, more)
}

var (
	headSHA = strings.Repeat("a", 40)
	baseSHA = strings.Repeat("b", 40)
)

func checkEqual(t *testing.T, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); g != w {
		t.Errorf("%s = %s; want %s", what, g, w)
	}
}
