package images_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"

	"github.com/boatlift/boatlift/cmd/sandbox/images"
)

// event is what the tests read of a notification.
type event struct {
	Action string `json:"action"`
	Target struct {
		MediaType  string `json:"mediaType"`
		Digest     string `json:"digest"`
		Repository string `json:"repository"`
		Tag        string `json:"tag"`
	} `json:"target"`
	auth, contentType string
}

// listen returns a URL to notify and the events that arrive there.
func listen(t *testing.T) (string, <-chan event) {
	t.Helper()
	events := make(chan event, 1000)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("read notification: %v", err)
		}
		var envelope struct{ Events []event }
		if err := json.Unmarshal(body, &envelope); err != nil {
			t.Errorf("notification is not JSON: %v", err)
		}
		for _, e := range envelope.Events {
			e.auth, e.contentType = r.Header.Get("Authorization"), r.Header.Get("Content-Type")
			events <- e
		}
	}))
	t.Cleanup(server.Close)
	return server.URL, events
}

func start(t *testing.T, opts images.Options) *images.Registry {
	t.Helper()
	reg, err := images.Start(opts)
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	t.Cleanup(func() {
		if err := reg.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return reg
}

// tagged waits for the first push event that carries a tag.
func tagged(ctx context.Context, t *testing.T, events <-chan event) event {
	t.Helper()
	for {
		select {
		case e := <-events:
			if e.Action == "push" && e.Target.Tag != "" {
				return e
			}
		case <-ctx.Done():
			t.Fatal("no push with a tag was notified")
		}
	}
}

func TestPushIsNotified(t *testing.T) {
	url, events := listen(t)
	reg := start(t, images.Options{NotifyURL: url, NotifyToken: "s3cret"})
	digest, err := reg.Push(t.Context(), "shop/web", "1.4.2", images.Image{})
	if err != nil {
		t.Fatalf("Push: %v", err)
	}
	e := tagged(t.Context(), t, events)
	if e.Target.Digest != digest || e.Target.Repository != "shop/web" || e.Target.Tag != "1.4.2" {
		t.Errorf("notified %+v; want shop/web:1.4.2 at %s", e.Target, digest)
	}
	if e.auth != "Bearer s3cret" || !strings.HasPrefix(e.contentType, "application/vnd.docker.distribution.events.v2+json") {
		t.Errorf("notified with Authorization %q, Content-Type %q", e.auth, e.contentType)
	}
}

func TestDigestDependsOnInputsOnly(t *testing.T) {
	one, two := start(t, images.Options{}), start(t, images.Options{})
	push := func(reg *images.Registry, img images.Image) string {
		t.Helper()
		digest, err := reg.Push(t.Context(), "shop/web", "1.0.0", img)
		if err != nil {
			t.Fatalf("Push: %v", err)
		}
		return digest
	}
	same := push(one, images.Image{})
	if got := push(two, images.Image{}); got != same {
		t.Errorf("the same image has digest %s in one registry and %s in another", same, got)
	}
	if got := push(one, images.Image{Content: "other"}); got == same {
		t.Error("another content has the same digest")
	}
	if got := push(one, images.Image{Labels: map[string]string{"org.opencontainers.image.source": "https://example.com"}}); got == same {
		t.Error("another label has the same digest")
	}
}

func TestIndexCarriesTheTag(t *testing.T) {
	url, events := listen(t)
	reg := start(t, images.Options{NotifyURL: url})
	digest, err := reg.Push(t.Context(), "shop/web", "2.0.0", images.Image{Platforms: []string{"linux/amd64", "linux/arm64"}})
	if err != nil {
		t.Fatalf("Push: %v", err)
	}
	e := tagged(t.Context(), t, events)
	if e.Target.Digest != digest || !strings.Contains(e.Target.MediaType, "index") {
		t.Errorf("the tag is on %+v; want the index %s", e.Target, digest)
	}
}

func TestTagsMoveAndGo(t *testing.T) {
	reg := start(t, images.Options{})
	first, err := reg.Push(t.Context(), "shop/web", "1", images.Image{})
	if err != nil {
		t.Fatal(err)
	}
	second, err := reg.Push(t.Context(), "shop/web", "2", images.Image{})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{first, second} {
		if err := reg.Tag(t.Context(), "shop/web", want, "stable"); err != nil {
			t.Fatalf("Tag: %v", err)
		}
		if got, ok, err := reg.Digest(t.Context(), "shop/web", "stable"); got != want || !ok || err != nil {
			t.Errorf("Digest = %s, %v, %v; want %s", got, ok, err, want)
		}
	}
	if err := reg.Delete(t.Context(), "shop/web", "stable"); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	if got, ok, err := reg.Digest(t.Context(), "shop/web", "stable"); ok || err != nil {
		t.Errorf("Digest of a deleted tag = %s, %v, %v", got, ok, err)
	}
}

func TestPasswordIsDemanded(t *testing.T) {
	reg := start(t, images.Options{Username: "bot", Password: "secret"})
	if _, err := reg.Push(t.Context(), "shop/web", "1", images.Image{}); err != nil {
		t.Fatalf("Push with the password: %v", err)
	}
	answer, err := http.Get("http://" + reg.Host() + "/v2/")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a password: %d; want 401", answer.StatusCode)
	}
}

func TestSwitchedOff(t *testing.T) {
	reg := start(t, images.Options{})
	if _, err := reg.Push(t.Context(), "shop/web", "1", images.Image{}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		down bool
		want int
	}{{true, http.StatusServiceUnavailable}, {false, http.StatusOK}} {
		reg.SetDown(c.down)
		answer, err := http.Get("http://" + reg.Host() + "/v2/shop/web/tags/list")
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != c.want {
			t.Errorf("down=%v: %d; want %d", c.down, answer.StatusCode, c.want)
		}
	}
}

// TestRestartKeepsTheAddress, and its images: they are in a folder.
func TestRestartKeepsTheAddress(t *testing.T) {
	for version, program := range map[string]string{"version-3": "", "version-2": "docker-registry"} {
		t.Run(version, func(t *testing.T) {
			if _, err := exec.LookPath(program); program != "" && err != nil {
				t.Skip("SKIPPED: there is no docker-registry on this machine; apt-get install docker-registry brings it")
			}
			reg := start(t, images.Options{Dir: t.TempDir(), Program: program})
			want, err := reg.Push(t.Context(), "shop/web", "1", images.Image{})
			if err != nil {
				t.Fatal(err)
			}
			if err := reg.Restart(); err != nil {
				t.Fatal(err)
			}
			digest, found, err := reg.Digest(t.Context(), "shop/web", "1")
			if err != nil || !found || digest != want {
				t.Errorf("after the restart 1 is %q, %v, %v; want %s", digest, found, err, want)
			}
			if thief, err := net.Listen("tcp", reg.Host()); err == nil {
				_ = thief.Close()
				t.Error("somebody else may listen at the registry's address")
			}
			if err := errors.Join(reg.Close(), reg.Close()); err != nil {
				t.Errorf("close it twice: %v", err)
			}
		})
	}
}
