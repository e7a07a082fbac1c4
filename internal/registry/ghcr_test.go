package registry

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// sign builds a delivery of GitHub.
func sign(event, body string) Request {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return Request{Method: http.MethodPost, Body: []byte(body), Header: http.Header{
		"Content-Type":        {"application/json"},
		"X-Github-Event":      {event},
		"X-Github-Delivery":   {"72d3162e-cc78-11e3-81ab-4c9367dc0958"},
		"X-Hub-Signature-256": {"sha256=" + hex.EncodeToString(mac.Sum(nil))},
	}}
}

func TestGHCRDeliveries(t *testing.T) {
	image := func(body string) string {
		return `{"action":"published","registry_package":{"package_type":"container","name":"web","namespace":"shop","package_version":` + body + `}}`
	}
	tagged := image(`{"container_metadata":{"tag":{"name":"1.0.0"}}}`)
	for _, test := range []struct {
		name, event, body string
		pushes            int
		reason            string // of what is ignored, or of the error
	}{
		{"tagged", "registry_package", tagged, 1, ""},
		{"without event header", "", tagged, 1, ""},
		{"ping", "ping", `{"zen":"x","hook_id":1}`, 0, "ping"},
		{"ping without event header", "", `{"zen":"x","hook_id":1}`, 0, "ping"},
		{"ping cut off", "ping", `{"zen":`, 0, "not JSON"},
		{"other event", "push", `{"ref":"refs/heads/main"}`, 0, "says nothing about packages"},
		{"deleted", "package", strings.Replace(tagged, "published", "deleted", 1), 0, "is no push"},
		{"npm", "package", strings.Replace(tagged, "container", "npm", 1), 0, "no container image"},
		{"no version", "package", image(`null`), 0, "no package_version"},
		{"no type", "package", `{"action":"published","package":{"name":"x"}}`, 0, "no package_type"},
		{"no package", "package", `{"action":"published"}`, 0, "neither package nor registry_package"},
		{"no metadata", "package", image(`{"container_metadata":null}`), 0, "has no tag"},
		{"not an object", "package", `[]`, 0, "where an object is expected"},
		{"tag is a number", "package", image(`{"container_metadata":{"tag":{"name":1}}}`), 0, "is a number"},
	} {
		s := sender(t, "ghcr", secret)
		request := sign(test.event, test.body)
		decoded, err := s.Receive(request)
		reason := ""
		if err != nil {
			reason = err.Error()
		} else if len(decoded.Ignored) > 0 {
			reason = decoded.Ignored[0].Reason
		}
		if len(decoded.Pushes) != test.pushes || !strings.Contains(reason, test.reason) || (test.reason == "") != (reason == "") {
			t.Errorf("%s: %+v, %v; want %d pushes and %q", test.name, decoded, err, test.pushes, test.reason)
		}
		if err == nil && decoded.DeliveryID != "72d3162e-cc78-11e3-81ab-4c9367dc0958" {
			t.Errorf("%s: DeliveryID = %q; want the header's", test.name, decoded.DeliveryID)
		}
	}
}

func TestGHCRForm(t *testing.T) {
	for _, one := range bodies(t, "ghcr") {
		want, err := sender(t, "ghcr", one.secret).Receive(one.request)
		if err != nil {
			t.Fatal(err)
		}
		form := sign(one.request.Header.Get("X-GitHub-Event"), url.Values{"payload": {string(one.request.Body)}}.Encode())
		form.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
		form.Header.Set("X-GitHub-Delivery", one.request.Header.Get("X-GitHub-Delivery"))
		got, err := sender(t, "ghcr", secret).Receive(form)
		if err != nil {
			t.Errorf("%s as a form: %v", one.file, err)
			continue
		}
		a, _ := json.Marshal(got)
		b, _ := json.Marshal(want)
		if !bytes.Equal(a, b) || got.DeliveryID != want.DeliveryID {
			t.Errorf("%s as a form = %s; want %s", one.file, a, b)
		}
	}
	for _, body := range []string{"", "a=b", "payload=%zz", "payload="} {
		form := sign("package", body)
		form.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		var undecoded *DecodeError
		if _, err := sender(t, "ghcr", secret).Receive(form); !errors.As(err, &undecoded) {
			t.Errorf("form %q: %v; want a DecodeError", body, err)
		}
	}
}
