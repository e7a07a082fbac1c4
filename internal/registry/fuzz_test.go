package registry

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/boatlift/boatlift/internal/image"
)

func fuzzSender(f *testing.F, name string, contentTypes ...string) {
	for _, one := range bodies(f, name) {
		for _, contentType := range contentTypes {
			f.Add(one.request.Header.Get("X-GitHub-Event"), contentType, one.request.Body)
		}
	}
	s := sender(f, name, secret)
	f.Fuzz(func(t *testing.T, event, contentType string, body []byte) {
		request := Request{Method: http.MethodPost, Body: body, Header: http.Header{"X-Github-Event": {event}, "Content-Type": {contentType}}}
		if s.Verify(request) == nil {
			t.Fatal("a request without proof is proved")
		}
		decoded, err := s.Decode(request)
		if err != nil {
			var undecoded *DecodeError
			if !errors.As(err, &undecoded) || len(decoded.Pushes) != 0 {
				t.Fatalf("%+v, %v; want a DecodeError alone", decoded, err)
			}
			checkLine(t, undecoded.Reason)
			return
		}
		if len(decoded.Pushes)+len(decoded.Ignored) == 0 {
			t.Fatal("neither a push nor a reason")
		}
		for _, push := range decoded.Pushes {
			name, err := image.NewName(push.Registry, push.Repository)
			if err != nil || name != push.Name() || image.CheckTag(push.Tag) != nil || attached(push.Tag) {
				t.Fatalf("%+v is not normalised: %v", push, err)
			}
			if _, err := image.ParseDigest(push.Digest); push.Digest != "" && err != nil {
				t.Fatal(err)
			}
			checkLine(t, push.MediaType)
			checkLine(t, push.DeliveryID)
		}
		for _, ignored := range decoded.Ignored {
			checkLine(t, ignored.Reason)
		}
		text, err := json.Marshal(decoded)
		if err != nil || strings.Contains(string(text), "null") && !strings.Contains(string(body)+event, "null") {
			t.Fatalf("JSON %s, %v", text, err)
		}
	})
}

// checkLine wants text that can stand in a log, a check and a page's text as it is.
func checkLine(t *testing.T, s string) {
	t.Helper()
	if len(s) > 600 || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		t.Fatalf("%q is not one short line of ASCII", s)
	}
}

func FuzzDistribution(f *testing.F) {
	for _, one := range captures(f) {
		f.Add("", one.request.Header.Get("Content-Type"), one.request.Body)
	}
	f.Add("", "", []byte(`{"events":[{"id":"1","action":"push","target":{"tag":7}},null,{"action":"push","request":{"host":"a.io"},"target":{"repository":"w","tag":"1"}}]}`))
	fuzzSender(f, "distribution", "application/vnd.docker.distribution.events.v2+json")
}

func FuzzGitLab(f *testing.F) {
	fuzzSender(f, "gitlab", "application/vnd.docker.distribution.events.v2+json")
}

func FuzzGHCR(f *testing.F) {
	f.Add("package", "application/x-www-form-urlencoded", []byte(`payload=%7B%22action%22%3A%22published%22%7D`))
	f.Add("", "application/json", []byte(`{"action":"create","registry_package":{"package_type":"docker","name":"web","package_version":{"package_url":"ghcr.io/shop/team/web:V1","container_metadata":{"tag":{"name":"V1"}}}}}`))
	fuzzSender(f, "ghcr", "application/json")
}

func BenchmarkReceive(b *testing.B) {
	for folder, file := range map[string]string{"distribution": "push-tag.json", "gitlab": "push-index-tag.json", "ghcr": "registry_package-published-index-tag.json"} {
		for _, one := range bodies(b, folder) {
			if one.file != file {
				continue
			}
			s := sender(b, folder, one.secret)
			b.Run(folder, func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(one.request.Body)))
				for b.Loop() {
					if decoded, err := s.Receive(one.request); err != nil || len(decoded.Pushes) != 1 {
						b.Fatal(decoded, err)
					}
				}
			})
		}
	}
}
