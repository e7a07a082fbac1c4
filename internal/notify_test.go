package internal_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestNotifyWorkflow(t *testing.T) {
	r := newRunner(t)
	r.program(t, "docker", "")
	code, out := r.run(t, script(t, "notify.yml", "notify", "Notify"), "BOATLIFT=registry.acme.io/platform/boatlift:0.1.0",
		"IMAGE=registry.acme.io/shop/web:1.4.2; touch evil", "SERVER=https://boatlift.acme.io",
		"ACTIONS_ID_TOKEN_REQUEST_TOKEN=runner-secret", "ACTIONS_ID_TOKEN_REQUEST_URL=https://runner.example/token")
	want := []string{"run --rm --env ACTIONS_ID_TOKEN_REQUEST_URL --env ACTIONS_ID_TOKEN_REQUEST_TOKEN --env GITHUB_ACTIONS " +
		"registry.acme.io/platform/boatlift:0.1.0 notify registry.acme.io/shop/web:1.4.2; touch evil --server https://boatlift.acme.io"}
	if got := r.calls(t); code != 0 || !slices.Equal(got, want) {
		t.Errorf("exit code %d, calls %q; want %q\n%s", code, got, want, out)
	}
	if _, err := os.Stat(filepath.Join(r.work, "evil")); err == nil || strings.Contains(strings.Join(r.calls(t), ""), "runner-secret") {
		t.Error("an image's name runs as a command, or the secret is in a list of processes")
	}
}

func TestNotifyJobOfGitLab(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skipf("the job calls the real program: %v", err)
	}
	text, err := os.ReadFile(filepath.Join(root, "deploy", "gitlab-ci", "notify.yml"))
	if err != nil {
		t.Fatal(err)
	}
	job := decodeAll(t, text)[0]
	if aud, server := job.text("notify id_tokens BOATLIFT_TOKEN aud"), job.text("notify variables SERVER"); aud != server || aud == "<nil>" {
		t.Errorf("the token is for %s, and the server is %s", aud, server)
	}
	lines, _ := job.at("notify script").([]any)
	if len(lines) != 1 {
		t.Fatalf("the job runs %v", lines)
	}
	var mu sync.Mutex
	var bodies []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		body, _ := io.ReadAll(r.Body) // a body that breaks off is no JSON
		bodies = append(bodies, string(body))
		switch {
		case r.Method != http.MethodPost || r.URL.Path != "/api/v1/pushes" || r.Header.Get("Authorization") != "Bearer job-token":
			w.WriteHeader(http.StatusUnauthorized)
		case len(bodies) == 1:
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			w.WriteHeader(http.StatusAccepted)
			_, _ = io.WriteString(w, `{"outcome":"stored"}`)
		}
	}))
	defer server.Close()
	r := newRunner(t)
	code, out := r.run(t, lines[0].(string), "BOATLIFT_TOKEN=job-token", "CI_JOB_ID=4711", "IMAGE=registry.acme.io/shop/web:1.4.2", "SERVER="+server.URL)
	if code != 0 || !strings.Contains(out, `"stored"`) || len(bodies) != 2 || bodies[0] != bodies[1] {
		t.Fatalf("exit code %d, sent %q\n%s", code, bodies, out)
	}
	var sent struct {
		Images []string
		ID     string
	}
	if err := json.Unmarshal([]byte(bodies[0]), &sent); err != nil || !slices.Equal(sent.Images, []string{"registry.acme.io/shop/web:1.4.2"}) || sent.ID != "4711" {
		t.Errorf("sent %s: %v", bodies[0], err)
	}
	if code, _ := r.run(t, lines[0].(string), "BOATLIFT_TOKEN=wrong", "IMAGE=a:1", "SERVER="+server.URL); code == 0 {
		t.Error("a job that is refused succeeds")
	}
}
