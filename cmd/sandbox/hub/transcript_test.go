package hub_test

import (
	"bytes"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/boatlift/boatlift/cmd/sandbox/hub"
)

func TestATranscriptIsReadBackAsItWasWritten(t *testing.T) {
	exchanges := []hub.Exchange{
		{
			Method: "PATCH", Path: "/api/v3/repos/acme/infra%2Fx", Query: "a=b&c=%3F", Header: http.Header{"Accept": {"application/json"}}, Body: []byte(`{"a":1}`),
			Status: 200, AnswerHeader: http.Header{"Etag": {"x"}}, Answer: []byte(`[{"b":"ö"}]`),
		},
		{Method: "DELETE", Path: "/api/v3/x", Header: http.Header{"Accept": {"y"}}, Status: 204},
		{Method: "GET", Path: "/api/v3/y", Status: 502, Answer: []byte("bad gateway\n")},
	}
	hook := hub.Webhook{Event: "push", Body: []byte(`{"ref":"refs/heads/main"}`)}
	var file bytes.Buffer
	transcript := hub.NewTranscript(&file)
	for _, e := range exchanges {
		transcript.Exchange(e)
	}
	transcript.Webhook(hook)
	if err := transcript.Err(); err != nil {
		t.Fatal(err)
	}
	exchanges[2].Answer = []byte(`"bad gateway\n"`) // no JSON comes back as a text
	var gotExchanges []hub.Exchange
	var gotHooks []hub.Webhook
	err := hub.ReadTranscript(&file, func(e hub.Exchange) { gotExchanges = append(gotExchanges, e) }, func(w hub.Webhook) { gotHooks = append(gotHooks, w) })
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(gotExchanges, exchanges) {
		t.Errorf("exchanges %+v; want %+v", gotExchanges, exchanges)
	}
	if !reflect.DeepEqual(gotHooks, []hub.Webhook{hook}) {
		t.Errorf("webhooks %+v; want %+v", gotHooks, hook)
	}
}

func TestABrokenTranscriptSaysWhere(t *testing.T) {
	err := hub.ReadTranscript(strings.NewReader("{\"webhook\": \"push\"}\n{\"call\": \n"), func(hub.Exchange) {}, func(hub.Webhook) {})
	if err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("ReadTranscript: %v; want the line", err)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("the disk is full") }

func TestATranscriptThatCannotBeWrittenSaysSo(t *testing.T) {
	transcript := hub.NewTranscript(full{})
	transcript.Webhook(hub.Webhook{Event: "push"})
	if err := transcript.Err(); err == nil || !strings.Contains(err.Error(), "the disk is full") {
		t.Errorf("Err = %v; want why", err)
	}
}

func TestTheForgeTellsWhatItHearsAndSays(t *testing.T) {
	var file bytes.Buffer
	transcript := hub.NewTranscript(&file)
	h, err := hub.Start(hub.Options{Dir: t.TempDir(), PathPrefix: "/ghes", OnExchange: transcript.Exchange, OnWebhook: transcript.Webhook})
	if err != nil {
		t.Fatal(err)
	}
	s := &sandbox{Hub: h, t: t}
	s.repo(infra, hub.RepoOptions{})
	token, err := s.InstallationToken("acme")
	s.must(err)
	s.call("GET", "/repos/"+infra+"/branches/x%2Fy?a=b", "Bearer "+token, nil).want(404)
	s.must(h.Close())
	if strings.Contains(file.String(), token) {
		t.Error("the transcript has what proves the caller")
	}
	var said []string
	err = hub.ReadTranscript(&file, func(e hub.Exchange) {
		said = append(said, e.Method+" "+e.Path+"?"+e.Query+" "+http.StatusText(e.Status))
		if !strings.Contains(string(e.Answer), `"message":"Branch not found"`) {
			t.Errorf("answer = %s", e.Answer)
		}
	}, func(w hub.Webhook) { said = append(said, w.Event) })
	if want := "installation GET /api/v3/repos/acme/infra/branches/x%2Fy?a=b Not Found"; err != nil || strings.Join(said, " ") != want {
		t.Errorf("said %q, %v; want %q", said, err, want)
	}
}
