package hook_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/boatlift/boatlift/internal/forge/gitlab"
	"github.com/boatlift/boatlift/internal/hook"
	"github.com/boatlift/boatlift/internal/store"
)

func realLab(t testing.TB) hook.Endpoint {
	t.Helper()
	lab, err := gitlab.New(gitlab.Options{Token: gitlab.Fixed([]byte("glpat-of-a-test")), WebhookSecrets: func() [][]byte { return [][]byte{[]byte(secret)} }})
	must(t, err)
	return hook.Endpoint{Name: "gitlab", Forge: lab}
}

func labEvent(kind, id, body string) request {
	return request{path: "/hooks/gitlab", body: body, header: map[string]string{
		"X-Gitlab-Event": kind, "Idempotency-Key": id, "X-Gitlab-Token": secret, "Content-Type": "application/json",
	}}
}

func TestGitLabsWebhook(t *testing.T) {
	s := newScene(t, func(o *hook.Options) { o.Endpoints = []hook.Endpoint{realLab(t)} })
	const approved = `{"object_kind":"merge_request","user":{"id":3,"username":"alice"},"project":{"id":4711},"object_attributes":{"iid":7,"action":"approval"}}`

	s.want(http.StatusAccepted, labEvent("Merge Request Hook", guid, approved))
	s.wantPending("gitlab/4711")
	if d := s.only(); d.DeliveryID != guid || d.Event != "merge_request.approval" || d.About != "merge request 7 approved by alice" {
		t.Errorf("delivery = %+v", d)
	}
	if a := s.want(http.StatusOK, labEvent("Merge Request Hook", guid, approved)); a.Outcome != store.Duplicate {
		t.Errorf("the same again is %s; want a duplicate", a.Outcome)
	}
	s.want(http.StatusUnauthorized, labEvent("Merge Request Hook", guid, approved).with("X-Gitlab-Token", "guessed"))
	for i, body := range []string{`<html>`, `[]`, ``, `{"object_kind":"emoji"}`} {
		if a := s.want(http.StatusOK, labEvent("Some Hook", fmt.Sprintf("%s-%d", guid, i), body)); a.Outcome != store.Ignored || a.Reason == "" {
			t.Errorf("%q is %+v; want it ignored with a reason", body, a)
		}
	}
}

// GitLab switches off a hook that fails. So nothing that it sends is answered otherwise than 2xx.
func TestNoEventOfGitLabsFails(t *testing.T) {
	files, err := filepath.Glob("../forge/gitlab/testdata/*hooks/*.json")
	must(t, err)
	if len(files) == 0 {
		t.Fatal("no events were found")
	}
	s := newScene(t, func(o *hook.Options) { o.Endpoints = []hook.Endpoint{realLab(t)} })
	for i, file := range files {
		text, err := os.ReadFile(file)
		must(t, err)
		if w := s.send(labEvent("Some Hook", fmt.Sprintf("a1b2c3d4-%d", i), string(text))); w.Code/100 != 2 {
			t.Errorf("%s is answered %d: %s", file, w.Code, w.Body)
		}
	}
}
