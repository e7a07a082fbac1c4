package registry

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
)

const secret = "correct horse battery staple"

func TestForgedIsRefused(t *testing.T) {
	for _, folder := range folders(t) {
		for _, one := range bodies(t, folder) {
			s, right := prove(t, one)
			for what, change := range forgeries(t, one, right) {
				request := right
				request.Header = request.Header.Clone()
				change(&request)
				decoded, err := s.Receive(request)
				var unproved *ProofError
				if !errors.As(err, &unproved) || len(decoded.Pushes) != 0 || !unproved.Permanent() {
					t.Errorf("%s/%s, %s: %+v, %v; want a ProofError", folder, one.file, what, decoded, err)
					continue
				}
				if strings.Contains(unproved.Error()+unproved.Hint(), one.secret) {
					t.Errorf("%s/%s, %s: the error has the secret", folder, one.file, what)
				}
				checkLine(t, unproved.Reason)
			}
		}
	}
}

func TestReplayIsTheSameDelivery(t *testing.T) {
	for _, folder := range folders(t) {
		seen := map[string]string{}
		for _, one := range bodies(t, folder) {
			s, request := prove(t, one)
			body := bytes.Clone(request.Body)
			first, err := s.Receive(request)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(request.Body, body) {
				t.Errorf("%s/%s: the body was changed", folder, one.file)
			}
			again, err := s.Receive(request)
			if err != nil || !reflect.DeepEqual(again, first) {
				t.Errorf("%s/%s: again %+v, %v; want %+v", folder, one.file, again, err, first)
			}
			if first.DeliveryID == "" {
				continue
			}
			if other, ok := seen[first.DeliveryID]; ok && !sameEvent(folder, other, one.file) {
				t.Errorf("%s: %s and %s have one delivery id", folder, other, one.file)
			}
			seen[first.DeliveryID] = one.file
		}
	}
}

// sameEvent tells of bodies that show one event in different modes.
func sameEvent(folder, a, b string) bool {
	switch folder {
	case "google-artifact-registry":
		return strings.TrimSuffix(a, "-unwrapped.json") == strings.TrimSuffix(b, ".json")
	case "cloudevents":
		return a == "binary-push-tag.json" && b == "structured-push-tag.json"
	}
	return false
}

func TestTruncatedIsNoPush(t *testing.T) {
	for _, folder := range folders(t) {
		for _, one := range bodies(t, folder) {
			s := sender(t, folder, one.secret)
			text := bytes.TrimSpace(one.request.Body)
			for _, length := range []int{0, 1, len(text) / 4, len(text) / 2, len(text) - 1} {
				request := one.request
				request.Body = text[:length]
				decoded, err := s.Decode(request)
				var undecoded *DecodeError
				if !errors.As(err, &undecoded) || len(decoded.Pushes) != 0 || !undecoded.Permanent() || undecoded.Hint() == "" {
					t.Errorf("%s/%s cut after %d: %+v, %v; want a DecodeError", folder, one.file, length, decoded, err)
				}
				if answer, err := s.Answer(t.Context(), request); answer != nil || err != nil {
					t.Errorf("%s/%s cut after %d: answer %+v, %v; want none", folder, one.file, length, answer, err)
				}
			}
		}
	}
}

func TestBodyOfAnotherSenderIsNamed(t *testing.T) {
	envelope := `{"events":[]}`
	hub := `{"action":"published","registry_package":{"name":"x"}}`
	for _, test := range []struct{ kind, body, likely string }{
		{"ghcr", envelope, "distribution"},
		{"distribution", hub, "ghcr"},
		{"gitlab", hub, "ghcr"},
		{"distribution", `{"zen":"x","hook_id":1}`, "ghcr"},
		{"distribution", `{"push_data":{"tag":"latest"},"repository":{"repo_name":"a/b"}}`, "dockerhub"},
		{"gitlab", `{"events":7}`, ""},
		{"distribution", `[]`, ""},
		{"distribution", `{"some":"thing"}`, ""},
		{"ghcr", `{"action":"created","package":{"type":"container","version":"1.0.0"}}`, "gitea"},
	} {
		decoded, err := sender(t, test.kind, secret).Decode(Request{Body: []byte(test.body), Header: http.Header{}})
		var undecoded *DecodeError
		if !errors.As(err, &undecoded) || undecoded.Likely != test.likely || len(decoded.Pushes) != 0 {
			t.Errorf("%s given %s: %+v, %v; want a DecodeError that names %q", test.kind, test.body, decoded, err, test.likely)
			continue
		}
		if test.likely != "" && !strings.Contains(undecoded.Hint(), "type: "+test.likely) {
			t.Errorf("%s given %s: hint %q", test.kind, test.body, undecoded.Hint())
		}
	}
	var unproved *ProofError
	if err := sender(t, "distribution", secret).Verify(sign("ping", "{}")); !errors.As(err, &unproved) || !strings.Contains(unproved.Hint(), "type: ghcr") {
		t.Errorf("a GitHub delivery at a distribution endpoint: %v; want a hint at ghcr", err)
	}
}

// Whatever is posted to an endpoint of another type is refused, and says whose it likely is.
func TestBodiesOfAllOthersAreNamed(t *testing.T) {
	same := func(a, b string) bool {
		return a == b || a == "gitlab" && b == "distribution" || a == "distribution" && b == "gitlab"
	}
	for _, kind := range folders(t) {
		for _, other := range folders(t) {
			if same(kind, other) {
				continue
			}
			one := typicalBody(t, other)
			s := sender(t, kind, strongSecret)
			request := one.request
			for _, header := range []http.Header{one.request.Header, {}} {
				request.Header = header
				if len(header) == 0 && other == "zot" && kind == "cloudevents" {
					continue // nothing is left of an event whose attributes are headers
				}
				decoded, err := s.Decode(request)
				var undecoded *DecodeError
				if !errors.As(err, &undecoded) || len(decoded.Pushes) != 0 {
					t.Errorf("%s given one of %s: %+v, %v; want a DecodeError", kind, other, decoded, err)
					continue
				}
				want := other
				if other == "gitlab" {
					want = "distribution" // which cannot be told from it
				}
				if undecoded.Likely != want && len(header) > 0 || undecoded.Likely != "" && undecoded.Likely != want {
					t.Errorf("%s given one of %s: %v, likely %q", kind, other, err, undecoded.Likely)
				}
			}
		}
	}
}

func TestNewSender(t *testing.T) {
	for _, kind := range Types() {
		right := endpointFor(t, kind.Name, newWorld(t))
		for _, empty := range []string{"", " \n"} {
			e := right
			e.Secret = []byte(empty)
			e.Settings = maps.Clone(e.Settings)
			delete(e.Settings, "topics")
			_, err := NewSender(kind, e)
			if want := kind.secrecy(e) != None; errors.Is(err, ErrNoSecret) != want {
				t.Errorf("NewSender(%s, secret %q) = %v; want ErrNoSecret %v", kind.Name, empty, err, want)
			}
		}
		for _, host := range []string{"registry", "https://registry.acme.io", "registry.acme.io/shop", "a b"} {
			e := right
			e.Host, e.Secret = host, []byte(strongSecret)
			var setting *SettingError
			if _, err := NewSender(kind, e); !errors.As(err, &setting) || setting.Setting != "host" || setting.Hint() == "" {
				t.Errorf("NewSender(%s, host %q) = %v; want an error", kind.Name, host, err)
			}
		}
		if kind.Title == "" || kind.Proof == "" || kind.Verify == nil && kind.Prove == nil || kind.Decode == nil || kind.Looks == nil || kind.Setup == nil {
			t.Errorf("type %s is not complete", kind.Name)
		}
		for _, request := range []Request{{}, {Header: http.Header{"Authorization": {"Bearer "}}}, {Header: http.Header{"X-Amz-Sns-Message-Type": {"Notification"}}}} {
			if (Sender{kind: kind}).Verify(request) == nil {
				t.Errorf("%s proves a request to an endpoint without a secret", kind.Name)
			}
		}
	}
	if _, err := (Sender{}).Receive(Request{}); err == nil {
		t.Error("the zero Sender proves a request")
	}
	if _, err := (Sender{}).Decode(Request{}); err == nil {
		t.Error("the zero Sender decodes a request")
	}
	key := []byte("abc")
	s, err := NewSender(gitlab(), Endpoint{Secret: key})
	key[0] = 'x'
	if err != nil || s.Type() != "gitlab" || s.Verify(Request{Header: http.Header{"Authorization": {"Bearer abc"}}}) != nil {
		t.Error("the sender shares its secret with the caller")
	}
}

func TestLookup(t *testing.T) {
	_, err := Lookup("docker")
	var unknown *UnknownTypeError
	if !errors.As(err, &unknown) || unknown.Hint() == "" || !unknown.Permanent() {
		t.Fatalf("Lookup = %v; want an UnknownTypeError", err)
	}
	for _, kind := range Types() {
		if !strings.Contains(err.Error(), kind.Name) {
			t.Errorf("error %q does not list %s", err, kind.Name)
		}
	}
}

func TestAuthorizationSchemes(t *testing.T) {
	for _, test := range []struct {
		secret, header string
		want           bool
	}{
		{"s3cret", "Bearer s3cret", true},
		{"s3cret", "bearer s3cret", true},
		{"s3cret", "s3cret", false},
		{"s3cret", "Basic s3cret", false},
		{"s3cret", "Bearer  s3cret", false},
		{"Basic dXNlcjpwYXNz", "Basic dXNlcjpwYXNz", true},
		{"Basic dXNlcjpwYXNz", "Bearer Basic dXNlcjpwYXNz", false},
		{"Bearer s3cret", "Bearer s3cret", true},
	} {
		err := sender(t, "distribution", test.secret).Verify(Request{Header: http.Header{"Authorization": {test.header}}})
		if (err == nil) != test.want {
			t.Errorf("secret %q, header %q: %v; want proved = %v", test.secret, test.header, err, test.want)
		}
	}
}

func TestEndpointHost(t *testing.T) {
	for _, test := range []struct{ kind, host, body, want string }{
		{"distribution", "", `{"events":[{"action":"push","target":{"repository":"Shop/Web","tag":"V1"},"request":{"host":"Registry.Acme.io"}}]}`, "registry.acme.io/shop/web"},
		{"distribution", "registry.acme.io", `{"events":[{"action":"push","target":{"repository":"shop/web","tag":"V1"},"request":{"host":"registry"}}]}`, "registry.acme.io/shop/web"},
		{"distribution", "registry.acme.io", `{"events":[{"action":"push","target":{"repository":"shop/web","tag":"V1"}}]}`, "registry.acme.io/shop/web"},
		{"distribution", "", `{"events":[{"action":"push","target":{"repository":"nginx","tag":"V1"},"request":{"host":"registry-1.docker.io"}}]}`, "docker.io/library/nginx"},
		{"distribution", "", `{"events":[{"action":"push","target":{"repository":"shop/web","tag":"V1"}}]}`, ""},
		{"distribution", "", `{"events":[{"action":"push","target":{"repository":"shop/web","tag":"V1"},"request":{"host":"registry"}}]}`, ""},
		{"distribution", "", `{"events":[{"action":"push","target":{"repository":"../web","tag":"V1"},"request":{"host":"a.io"}}]}`, ""},
		{"distribution", "", `{"events":[{"action":"push","target":{"tag":"V1"},"request":{"host":"a.io"}}]}`, ""},
		{"ghcr", "containers.acme.io", `{"action":"published","package":{"package_type":"container","name":"Web","namespace":"Shop","package_version":{"container_metadata":{"tag":{"name":"V1"}}}}}`, "containers.acme.io/shop/web"},
		{"ghcr", "", `{"action":"updated","package":{"package_type":"CONTAINER","name":"web","owner":{"login":"Shop"},"package_version":{"container_metadata":{"tag":{"name":"V1"}}}}}`, "ghcr.io/shop/web"},
		{"ghcr", "", `{"action":"create","registry_package":{"package_type":"docker","name":"web","package_version":{"package_url":"ghcr.io/shop/team/web:V1","container_metadata":{"tag":{"name":"V1"}}}}}`, "ghcr.io/shop/team/web"},
	} {
		kind, err := Lookup(test.kind)
		if err != nil {
			t.Fatal(err)
		}
		s, err := NewSender(kind, Endpoint{Host: test.host, Secret: []byte(secret)})
		if err != nil {
			t.Fatal(err)
		}
		decoded, err := s.Decode(Request{Body: []byte(test.body), Header: http.Header{}})
		if err != nil {
			t.Errorf("%s: %v", test.body, err)
			continue
		}
		if test.want == "" {
			if len(decoded.Pushes) != 0 || len(decoded.Ignored) != 1 || !strings.Contains(decoded.Ignored[0].Reason, "host") {
				t.Errorf("%s = %+v; want it ignored with a word about host", test.body, decoded)
			}
			continue
		}
		if len(decoded.Pushes) != 1 || string(decoded.Pushes[0].Name()) != test.want || decoded.Pushes[0].Tag != "V1" {
			t.Errorf("%s = %+v; want a push of %s:V1", test.body, decoded, test.want)
		}
	}
}

func TestDropRule(t *testing.T) {
	const hash = "e37f46c7187b484386061be26abfe5d3b98e9173932a9d1d15ed2edc3fa34d77"
	for _, test := range []struct{ action, tag, mediaType, why string }{
		{"push", "1.4.2", "", ""},
		{"push", "sha256-abc", "", ""}, // too short for a hash: somebody's own tag
		{"push", "sha-" + hash, "", ""},
		{"push", "", "", "no tag"},
		{"push", "sha256:" + hash, "", "by digest"},
		{"push", "sha256-" + hash, "application/vnd.oci.image.index.v1+json", "signature"},
		{"push", "sha256-" + hash + ".sig", "", "signature"},
		{"push", "sha256-" + hash + ".att", "", "signature"},
		{"push", "sha256-" + hash + ".sbom", "", "signature"},
		{"push", "sha512-" + hash, "", "signature"},
		{"push", "1.4.2", "application/octet-stream", "layer"},
		{"push", "-x", "", "no registry could hold"},
		{"push", "a b\nc", "", "no registry could hold"},
		{"push", strings.Repeat("a", 129), "", "no registry could hold"},
		{"pull", "1.4.2", "", "no push"},
		{"mount", "1.4.2", "", "no push"},
		{"delete", "1.4.2", "", "no push"},
		{"PUSH", "1.4.2", "", "no push"},
		{"", "1.4.2", "", "no push"},
		{"a\nb\x00" + strings.Repeat("c", 1000), "1.4.2", "", "no push"},
	} {
		var e distributionEvent
		e.Action, e.Target.Tag, e.Target.MediaType = test.action, test.tag, test.mediaType
		e.Target.Repository, e.Request.Host = "shop/web", "registry.acme.io"
		body, err := json.Marshal(envelope{[]distributionEvent{e}})
		if err != nil {
			t.Fatal(err)
		}
		decoded, err := sender(t, "distribution", secret).Decode(Request{Body: body, Header: http.Header{}})
		if err != nil {
			t.Fatal(err)
		}
		if test.why == "" {
			if len(decoded.Pushes) != 1 || decoded.Pushes[0].Tag != test.tag {
				t.Errorf("%s of %q = %+v; want a push", test.action, test.tag, decoded)
			}
			continue
		}
		if len(decoded.Pushes) != 0 || len(decoded.Ignored) != 1 || !strings.Contains(decoded.Ignored[0].Reason, test.why) {
			t.Errorf("%s of %q = %+v; want it ignored for %q", test.action, test.tag, decoded, test.why)
			continue
		}
		if reason := decoded.Ignored[0].Reason; len(reason) > 500 || strings.ContainsAny(reason, "\n\x00") {
			t.Errorf("reason %q is not one short line", reason)
		}
	}
}

func TestOddValuesAreDroppedAlone(t *testing.T) {
	const head = `{"events":[{"action":"push","request":{"host":"a.io"},`
	for name, test := range map[string]struct {
		body string
		want Push
	}{
		"digest masked":        {head + `"target":{"repository":"w","tag":"1","digest":"sha256:xxxx"}}]}`, Push{}},
		"digest in upper case": {head + `"target":{"repository":"w","tag":"1","digest":"sha256:` + strings.Repeat("A", 64) + `"}}]}`, Push{}},
		"media type too long":  {head + `"target":{"repository":"w","tag":"1","mediaType":"` + strings.Repeat("a", 300) + `"}}]}`, Push{}},
		"no time":              {head + `"timestamp":"yesterday","target":{"repository":"w","tag":"1"}}]}`, Push{}},
		"year 1":               {head + `"timestamp":"0001-01-01T00:00:00Z","target":{"repository":"w","tag":"1"}}]}`, Push{}},
		"year 10000 in UTC":    {head + `"timestamp":"9999-12-31T23:59:59-10:00","target":{"repository":"w","tag":"1"}}]}`, Push{}},
		"id with a new line":   {head + `"id":"a\nb","target":{"repository":"w","tag":"1"}}]}`, Push{}},
		"zone":                 {head + `"id":"7","timestamp":"2026-03-02T23:30:00+01:00","target":{"repository":"w","tag":"1"}}]}`, Push{Time: time.Date(2026, 3, 2, 22, 30, 0, 0, time.UTC), DeliveryID: "7"}},
		"unknown fields":       {`{"x":[1],` + head[1:] + `"target":{"repository":"w","tag":"1","size":1.5,"references":[{}]},"actor":[]}]}`, Push{}},
	} {
		decoded, err := sender(t, "distribution", secret).Decode(Request{Body: []byte(test.body), Header: http.Header{}})
		test.want.Registry, test.want.Repository, test.want.Tag = "a.io", "w", "1"
		if err != nil || len(decoded.Pushes) != 1 || decoded.Pushes[0] != test.want {
			t.Errorf("%s: %+v, %v; want %+v", name, decoded, err, test.want)
		}
		if _, err := json.Marshal(decoded); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSeveralEvents(t *testing.T) {
	push := func(id, tag string) string {
		return `{"id":"` + id + `","action":"push","request":{"host":"a.io"},"target":{"repository":"w","tag":"` + tag + `"}}`
	}
	decode := func(events ...string) Decoded {
		t.Helper()
		decoded, err := sender(t, "distribution", secret).Decode(Request{Body: []byte(`{"events":[` + strings.Join(events, ",") + `]}`), Header: http.Header{}})
		if err != nil {
			t.Fatal(err)
		}
		return decoded
	}
	all := decode(push("1", "a"), push("2", "b"), `{"id":"3","action":"pull"}`)
	if len(all.Pushes) != 2 || all.Pushes[0].DeliveryID != "1" || all.Pushes[1].DeliveryID != "2" || len(all.Ignored) != 1 {
		t.Errorf("decoded %+v; want two pushes and one ignored", all)
	}
	if all.DeliveryID == "" || all.DeliveryID == decode(push("1", "a"), push("2", "b")).DeliveryID || len(all.DeliveryID) > 128 {
		t.Errorf("DeliveryID = %q; want one of these three events", all.DeliveryID)
	}
	if got := decode(push("1", "a"), push("", "b")).DeliveryID; got != "" {
		t.Errorf("DeliveryID = %q where an event has none; want none", got)
	}
	if got := decode(push("1", "a")).DeliveryID; got != "1" {
		t.Errorf("DeliveryID = %q; want that of the only event", got)
	}
	odd := decode(push("1", "a"), `{"id":"2","action":"push","target":{"repository":"w","tag":7}}`, `"x"`, `null`, push("4", "b"))
	if len(odd.Pushes) != 2 || len(odd.Ignored) != 3 || odd.DeliveryID != "" {
		t.Errorf("decoded %+v; want the two good ones of five", odd)
	}
	none := decode()
	if len(none.Pushes) != 0 || len(none.Ignored) != 1 {
		t.Errorf("decoded %+v; want one reason", none)
	}
	many := decode(strings.Split(strings.Repeat(`{"action":"pull"} `, 5000), " ")[:5000]...)
	if len(many.Ignored) != maxIgnored+1 || many.Ignored[maxIgnored].Reason != "4900 more events are no pushes of images" {
		t.Errorf("%d reasons, the last %v; want %d", len(many.Ignored), many.Ignored[len(many.Ignored)-1], maxIgnored+1)
	}
}

func TestOlderContentTypes(t *testing.T) {
	for _, contentType := range []string{"application/vnd.docker.distribution.events.v1+json", "application/vnd.docker.distribution.events.v2+json", "application/json", ""} {
		for _, one := range captures(t) {
			want, err := sender(t, "distribution", one.secret).Receive(one.request)
			if err != nil {
				t.Fatal(err)
			}
			one.request.Header.Set("Content-Type", contentType)
			got, err := sender(t, "distribution", one.secret).Receive(one.request)
			if err != nil || len(got.Pushes) != len(want.Pushes) {
				t.Errorf("%s as %q: %+v, %v; want %+v", one.file, contentType, got, err, want)
			}
		}
	}
}
