package registry

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/trust/trusttest"
)

func bodyNamed(t testing.TB, folder, file string) body {
	t.Helper()
	for _, one := range bodies(t, folder) {
		if one.file == file {
			return one
		}
	}
	t.Fatalf("%s has no %s", folder, file)
	return body{}
}

// Only a handshake has an answer of its own; everything else is to be decoded.
func TestAnswersAreForHandshakes(t *testing.T) {
	for _, one := range everything(t) {
		s, request := prove(t, one)
		if err := s.Verify(request); err != nil {
			t.Fatal(err)
		}
		handshake := one.file == "subscription-validation.json" || one.file == "sns-subscription-confirmation.json"
		if handshake && one.sender == "ecr" {
			s.endpoint.Transport.(*trusttest.Web).Set(confirmURL, trusttest.Page{Status: http.StatusOK})
		}
		answer, err := s.Answer(t.Context(), request)
		if err != nil || (answer != nil) != handshake {
			t.Errorf("%s/%s: answer %+v, %v; want one %v", one.sender, one.file, answer, err, handshake)
		}
	}
}

func TestEventGridValidation(t *testing.T) {
	s, request := prove(t, bodyNamed(t, "acr-eventgrid", "subscription-validation.json"))
	answer, err := s.Answer(t.Context(), request)
	const want = `{"validationResponse":"512d38b6-c7b8-40c8-89fe-f46f9e9622b6"}`
	if err != nil || answer.Status != http.StatusOK || string(answer.Body) != want || answer.Header.Get("Content-Type") != "application/json" || answer.Reason == "" {
		t.Errorf("answer %+v, %v; want %s", answer, err, want)
	}
	request.Header.Del("Aeg-Event-Type") // which a gateway may drop
	if answer, err := s.Answer(t.Context(), request); err != nil || answer == nil {
		t.Errorf("answer without the header %+v, %v; want one", answer, err)
	}
	request.Header.Set("Aeg-Event-Type", "Notification")
	if answer, err := s.Answer(t.Context(), request); err != nil || answer != nil {
		t.Errorf("answer to a notification %+v, %v; want none", answer, err)
	}
	request.Header.Set("Aeg-Event-Type", "SubscriptionValidation")
	for _, code := range []string{`""`, `7`, `null`, `"` + strings.Repeat("a", 600) + `"`} {
		request.Body = []byte(`[{"eventType":"Microsoft.EventGrid.SubscriptionValidationEvent","data":{"validationCode":` + code + `}}]`)
		var undecoded *DecodeError
		if answer, err := s.Answer(t.Context(), request); answer != nil || !errors.As(err, &undecoded) {
			t.Errorf("answer to the code %.20s: %+v, %v; want a DecodeError", code, answer, err)
		}
	}
}

func TestOptions(t *testing.T) {
	for _, test := range []struct {
		kind     string
		settings map[string]string
		change   func(*Request)
		proved   bool
		origin   string // that is allowed
	}{
		{"acr-eventgrid", nil, func(r *Request) { r.Path = strongSecret }, true, "eventgrid.azure.net"},
		{"acr-eventgrid", nil, func(r *Request) { r.Path = "x" }, false, ""},
		{"acr-eventgrid", nil, func(*Request) {}, false, ""},
		{"acr-eventgrid", map[string]string{"proof": "query"}, func(r *Request) { r.Query = map[string][]string{"access_token": {strongSecret}} }, true, "eventgrid.azure.net"},
		{"acr-eventgrid", map[string]string{"proof": "query"}, func(r *Request) { r.Query = map[string][]string{"access_token": {strongSecret, ""}} }, false, ""},
		{"acr-eventgrid", map[string]string{"proof": "header"}, func(r *Request) { r.Header.Set("Authorization", "Bearer "+strongSecret) }, true, "eventgrid.azure.net"},
		{"cloudevents", nil, func(r *Request) { r.Header.Set("Authorization", "Bearer "+strongSecret) }, true, "eventgrid.azure.net"},
		{"cloudevents", nil, func(r *Request) { r.Query = map[string][]string{"access_token": {strongSecret}} }, true, "eventgrid.azure.net"},
		{"cloudevents", nil, func(*Request) {}, false, ""},
		{"cloudevents", map[string]string{"origins": "a.io, EventGrid.azure.net"}, func(*Request) {}, true, "eventgrid.azure.net"},
		{"cloudevents", map[string]string{"origins": "azure.net"}, func(*Request) {}, false, ""},
		{"cloudevents", map[string]string{"origins": "eventgrid.azure.net"}, func(r *Request) { r.Method = http.MethodPost }, false, ""},
		{"acr-eventgrid", nil, func(r *Request) { r.Path = strongSecret; r.Header.Del("WebHook-Request-Origin") }, true, ""},
		{"acr-eventgrid", nil, func(r *Request) { r.Path = strongSecret; r.Header.Set("WebHook-Request-Origin", "a\r\nX: y") }, true, ""},
		{"acr-eventgrid", nil, func(r *Request) { r.Path = strongSecret; r.Header.Set("WebHook-Request-Origin", "*") }, true, ""},
	} {
		w := newWorld(t)
		s := senderWith(t, test.kind, strongSecret, Endpoint{Settings: test.settings, Transport: w})
		request := Request{Method: http.MethodOptions, Header: http.Header{}}
		request.Header.Set("WebHook-Request-Origin", "eventgrid.azure.net")
		request.Header.Set("WebHook-Request-Callback", "https://elsewhere.io/call")
		request.Header.Set("WebHook-Request-Rate", "120")
		test.change(&request)
		if err := s.Verify(request); (err == nil) != test.proved {
			t.Errorf("%s %v: %v; want proved %v", test.kind, test.settings, err, test.proved)
			continue
		} else if err != nil {
			continue
		}
		answer, err := s.Answer(t.Context(), request)
		if test.origin == "" {
			if answer != nil || err == nil {
				t.Errorf("%s: answer %+v, %v; want an error", test.kind, answer, err)
			}
		} else if err != nil || answer.Status != http.StatusOK || answer.Header.Get("WebHook-Allowed-Origin") != test.origin || answer.Header.Get("WebHook-Allowed-Rate") != "*" {
			t.Errorf("%s: answer %+v, %v; want %s allowed", test.kind, answer, err, test.origin)
		}
		if w.Count() != 0 {
			t.Errorf("%s called %v", test.kind, w.Asked())
		}
	}
	for _, kind := range Types() {
		s := sender(t, kind.Name, strongSecret)
		want := "POST"
		if kind.Name == "acr-eventgrid" || kind.Name == "cloudevents" {
			want = "POST OPTIONS"
		}
		if got := strings.Join(s.Methods(), " "); got != want {
			t.Errorf("methods of %s: %s; want %s", kind.Name, got, want)
		}
	}
}

const confirmURL = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Version=2010-03-31&TopicArn=arn%3Aaws%3Asns%3Aeu-west-1%3A123456789012%3Aecr-events" +
	"&Token=2336412f37fb687f5d51e6e2425dacbbab71dc10a8aa6ab4bff07ff8b6fb2a5e1b8a7cfd0e7a0a7e"

// A confirmation calls SNS for a configured topic, whatever address the message names.
func TestSubscriptionIsConfirmed(t *testing.T) {
	one := bodyNamed(t, "ecr", "sns-subscription-confirmation.json")
	for _, test := range []struct {
		name   string
		fields map[string]any
		page   trusttest.Page
		want   string // ok, undecided, undecoded
	}{
		{"right", nil, trusttest.Page{Status: http.StatusOK}, "ok"},
		{"an address elsewhere", map[string]any{"SubscribeURL": "https://elsewhere.io/?Action=ConfirmSubscription"}, trusttest.Page{Status: http.StatusOK}, "ok"},
		{"SNS is down", nil, trusttest.Page{Status: http.StatusServiceUnavailable}, "undecided"},
		{"SNS cannot be reached", nil, trusttest.Page{Err: errors.New("no route")}, "undecided"},
		{"SNS redirects", nil, trusttest.Page{Status: http.StatusFound}, "undecided"},
		{"the token is too old", nil, trusttest.Page{Status: http.StatusBadRequest}, "undecoded"},
		{"a token that is none", map[string]any{"Token": "x&Action=Publish"}, trusttest.Page{Status: http.StatusOK}, "undecoded"},
	} {
		w := newWorld(t)
		w.Set(confirmURL, test.page)
		s := senderWith(t, "ecr", "", endpointFor(t, "ecr", w))
		request := one.request
		request.Body = signSNS(t, rsaKeys()[0], one.request.Body, test.fields)
		if err := s.Verify(request); err != nil {
			t.Fatal(err)
		}
		answer, err := s.Answer(t.Context(), request)
		var undecided *UndecidedError
		var undecoded *DecodeError
		got := "ok"
		switch {
		case errors.As(err, &undecided):
			got = "undecided"
			if undecided.RetryAfter() <= 0 || undecided.Hint() == "" {
				t.Errorf("%s: %v has no hint", test.name, err)
			}
		case errors.As(err, &undecoded):
			got = "undecoded"
		case err != nil || answer == nil || answer.Status != http.StatusOK:
			got = "neither"
		}
		if got != test.want {
			t.Errorf("%s: %+v, %v; want %s", test.name, answer, err, test.want)
		}
		for _, asked := range w.Asked() {
			if asked != certURL && asked != confirmURL {
				t.Errorf("%s: called %s", test.name, asked)
			}
		}
	}
	// Nothing is called for a message that is not proved, even if somebody asks for the answer.
	w := newWorld(t)
	s := senderWith(t, "ecr", "", endpointFor(t, "ecr", w))
	request := one.request
	request.Body = signSNS(t, rsaKeys()[1], one.request.Body, map[string]any{"TopicArn": "arn:aws:sns:eu-west-1:999999999999:x"})
	if err := s.Verify(request); err == nil {
		t.Error("a stranger's topic is proved")
	}
	if answer, err := s.Answer(t.Context(), request); answer != nil || err == nil || w.Count() != 0 {
		t.Errorf("%+v, %v, called %v; want nothing called", answer, err, w.Asked())
	}
}

// What SNS cannot be asked for now is undecided, and a certificate that is out of date proves nothing.
func TestCertificates(t *testing.T) {
	one := bodyNamed(t, "ecr", "sns-notification.json")
	for _, test := range []struct {
		name string
		page trusttest.Page
		want string
	}{
		{"right", trusttest.Page{Status: http.StatusOK, Body: certificate(t, rsaKeys()[0], noon.Add(-time.Hour), noon.Add(time.Hour))}, "proved"},
		{"another's", trusttest.Page{Status: http.StatusOK, Body: certificate(t, rsaKeys()[1], noon.Add(-time.Hour), noon.Add(time.Hour))}, "unproved"},
		{"expired", trusttest.Page{Status: http.StatusOK, Body: certificate(t, rsaKeys()[0], noon.Add(-time.Hour), noon.Add(-time.Second))}, "unproved"},
		{"not yet valid", trusttest.Page{Status: http.StatusOK, Body: certificate(t, rsaKeys()[0], noon.Add(time.Second), noon.Add(time.Hour))}, "unproved"},
		{"no certificate", trusttest.Page{Status: http.StatusOK, Body: "hello"}, "unproved"},
		{"too large", trusttest.Page{Status: http.StatusOK, Body: strings.Repeat("a", 1<<20+1)}, "unproved"},
		{"not there", trusttest.Page{Status: http.StatusNotFound}, "unproved"},
		{"down", trusttest.Page{Status: http.StatusBadGateway}, "undecided"},
		{"redirected", trusttest.Page{Status: http.StatusMovedPermanently}, "undecided"},
		{"not reached", trusttest.Page{Err: errors.New("no route")}, "undecided"},
	} {
		w := newWorld(t)
		w.Set(certURL, test.page)
		s := senderWith(t, "ecr", "", endpointFor(t, "ecr", w))
		request := one.request
		request.Body = signSNS(t, rsaKeys()[0], one.request.Body, nil)
		err := s.Verify(request)
		var unproved *ProofError
		var undecided *UndecidedError
		got := "proved"
		switch {
		case errors.As(err, &unproved):
			got = "unproved"
		case errors.As(err, &undecided):
			got = "undecided"
		}
		if got != test.want {
			t.Errorf("%s: %v; want %s", test.name, err, test.want)
		}
		_ = s.Verify(request)
		if w.Count() != 1 {
			t.Errorf("%s: asked %d times; want once", test.name, w.Count())
		}
	}
}
