package hook_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/boatlift/boatlift/internal/forge/github"
	"github.com/boatlift/boatlift/internal/hook"
	"github.com/boatlift/boatlift/internal/store"
)

// realHub is the webhook of a GitHub App, with ghcr.io heard through it.
func realHub(t testing.TB) hook.Endpoint {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	pemKey := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	app, err := github.New(github.Options{AppID: 1, PrivateKey: github.Fixed(pemKey), WebhookSecrets: func() [][]byte { return [][]byte{[]byte(secret)} }})
	must(t, err)
	return hook.Endpoint{Name: "github", Forge: app, Registry: sender(t, "ghcr")}
}

func hubEvent(kind, id, body string) request {
	return request{path: "/hooks/github", body: body, header: map[string]string{
		"X-GitHub-Event": kind, "X-GitHub-Delivery": id, "X-Hub-Signature-256": sign(body), "Content-Type": "application/json",
	}}
}

func TestGitHubsWebhook(t *testing.T) {
	s := newScene(t, func(o *hook.Options) { o.Endpoints = []hook.Endpoint{realHub(t)} })
	const reviewed = `{"action":"submitted","repository":{"id":4711,"full_name":"acme/infra"},"sender":{"login":"alice","type":"User"},"pull_request":{"number":7},"review":{"state":"approved"}}`

	s.want(http.StatusUnauthorized, hubEvent("pull_request_review", guid, reviewed).with("X-Hub-Signature-256", sign(reviewed+" ")))
	s.wantPending()
	s.want(http.StatusAccepted, hubEvent("pull_request_review", guid, reviewed))
	s.wantPending("github/4711")
	if d := s.only(); d.DeliveryID != guid || d.Event != "pull_request_review.submitted" || d.About != "pull request 7 reviewed by alice: approved" ||
		!slices.Equal(d.Repos, []store.RepoKey{"github/4711"}) {
		t.Errorf("delivery = %+v", d)
	}
	if a := s.want(http.StatusOK, hubEvent("pull_request_review", guid, reviewed)); a.Outcome != store.Duplicate {
		t.Errorf("the same again is %s; want a duplicate", a.Outcome)
	}
	if a := s.want(http.StatusOK, hubEvent("ping", "a1b2c3d4-0000-4000-8000-000000000001", `{"zen":"Design for failure.","hook_id":1}`)); a.Outcome != store.Ignored {
		t.Errorf("a ping is %s; want it ignored", a.Outcome)
	}
	if a := s.want(http.StatusOK, hubEvent("push", "a1b2c3d4-0000-4000-8000-000000000002", `[]`)); a.Outcome != store.Ignored || a.Reason == "" {
		t.Errorf("a malformed push is %+v; want it ignored with a reason", a)
	}
	s.want(http.StatusAccepted, hubEvent("installation", "a1b2c3d4-0000-4000-8000-000000000003",
		`{"action":"created","installation":{"id":5,"account":{"login":"acme"}},"sender":{"login":"alice"}}`))
	s.wantPending(store.DiscoverKey("github"), "github/4711")
}

// Packages come through the App's webhook with GitHub's own bodies.
func TestPackagesThroughGitHubsWebhook(t *testing.T) {
	for _, b := range samples(t) {
		if b.sender != "ghcr" {
			continue
		}
		t.Run(b.name, func(t *testing.T) {
			s := newScene(t, func(o *hook.Options) { o.Endpoints = []hook.Endpoint{realHub(t)} })
			key := s.list(1, "ghcr.io/acme-corp/checkout")
			w := s.send(request{path: "/hooks/github", header: b.header, body: b.body})
			want := http.StatusOK
			if strings.HasSuffix(b.name, "-tag") {
				want = http.StatusAccepted
			}
			d := s.only()
			if w.Code != want || d.DeliveryID != b.header["X-GitHub-Delivery"] || (d.Outcome == store.Ignored) == (d.Reason == "") {
				t.Errorf("answer = %d, delivery = %+v; want %d", w.Code, d, want)
			}
			if want == http.StatusAccepted {
				s.wantPending(key)
			} else {
				s.wantPending()
			}
		})
	}
}

// Every event that the adapter has a body for, through the whole receiver.
func TestGitHubsEvents(t *testing.T) {
	app := realHub(t)
	files, err := filepath.Glob("../forge/github/testdata/events/*.json")
	must(t, err)
	if len(files) == 0 {
		t.Fatal("no events were found")
	}
	s := newScene(t, func(o *hook.Options) { o.Endpoints = []hook.Endpoint{app} })
	for i, file := range files {
		text, err := os.ReadFile(file)
		must(t, err)
		kind, _, _ := strings.Cut(filepath.Base(file), ".")
		id := fmt.Sprintf("a1b2c3d4-0000-4000-8000-%012d", i)
		r := hubEvent(kind, id, string(text))
		header := http.Header{}
		for name, value := range r.header {
			header.Set(name, value)
		}
		event, err := app.Forge.Decode(header, text)
		must(t, err)
		want := http.StatusAccepted
		if event.Ignored != "" {
			want = http.StatusOK
		}
		if event.Push {
			continue // above
		}
		s.want(want, r)
		d, found, err := s.store.Delivery(t.Context(), id)
		must(t, err)
		if !found || d.Event != event.Kind || d.About != event.About || d.Reason != event.Ignored || slices.Contains(d.Repos, store.DiscoverKey("github")) != event.Discover ||
			slices.Contains(d.Repos, store.KeyOf("github", int64(event.Repo))) != (event.Repo != 0) {
			t.Errorf("%s: delivery = %+v; want what the adapter says: %+v", file, d, event)
		}
	}
	if !slices.Contains(s.pending(), store.DiscoverKey("github")) {
		t.Errorf("work is pending for %v; want a discovery among it", s.pending())
	}
}
