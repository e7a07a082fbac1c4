package hub_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/boatlift/boatlift/cmd/sandbox/hub"
)

// TestCloseGivesUpWhatHangs closes a hub while a rollout hangs and the receiver of its webhooks does not answer.
func TestCloseGivesUpWhatHangs(t *testing.T) {
	asked, release := make(chan struct{}, 100), make(chan struct{})
	deaf := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked <- struct{}{}
		<-release
	}))
	defer deaf.Close()
	defer close(release)
	h, err := hub.Start(hub.Options{Dir: t.TempDir(), WebhookURL: deaf.URL, WebhookSecret: "s"})
	must(t, err)
	_, err = h.CreateRepo(t.Context(), infra, hub.RepoOptions{Environments: []hub.Environment{{Name: "production"}}})
	must(t, err)
	must(t, h.HangRollouts(infra, "production"))
	_, err = h.Push(t.Context(), infra, hub.Commit{Person: "alice", Files: map[string][]byte{"a": []byte("b")}})
	must(t, err)
	<-asked
	for range 2 { // closing twice is no error
		if err := h.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	if _, err := http.Get(h.URL()); err == nil {
		t.Error("it still answers after Close")
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for name, opts := range map[string]hub.Options{
		"no directory":          {},
		"a webhook, no secret":  {Dir: t.TempDir(), WebhookURL: "http://127.0.0.1:1"},
		"an address that fails": {Dir: t.TempDir(), Addr: "256.0.0.1:0"},
	} {
		if h, err := hub.Start(opts); err == nil {
			_ = h.Close()
			t.Errorf("%s: started", name)
		}
	}
}
