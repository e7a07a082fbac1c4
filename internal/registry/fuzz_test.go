package registry

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/boatlift/boatlift/internal/image"
)

// fuzzSender fuzzes what a type makes of a request: of its headers, a line each, and its body.
func fuzzSender(f *testing.F, name string) {
	for _, one := range everything(f) {
		if one.sender == name {
			f.Add(headerLines(one.request.Header), one.request.Body)
		}
	}
	w := newWorld(f)
	s := senderWith(f, name, strongSecret, endpointFor(f, name, w))
	f.Fuzz(func(t *testing.T, headers string, body []byte) {
		request := Request{Method: http.MethodPost, Body: body, Header: parseHeaders(headers), Path: "x"}
		before := bytes.Clone(body)
		defer func() {
			if !bytes.Equal(before, body) {
				t.Fatal("the body was changed")
			}
		}()
		if err := s.Verify(request); err == nil {
			t.Fatal("a request without proof is proved")
		} else {
			checkLine(t, err.Error())
		}
		answer, err := s.Answer(t.Context(), request)
		if answer != nil && (err != nil || answer.Status != http.StatusOK) {
			t.Fatalf("%+v, %v; want one of them", answer, err)
		} else if answer != nil {
			checkLine(t, answer.Reason)
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
		if len(decoded.Pushes) > maxPushes || len(decoded.Ignored) > maxIgnored+1 {
			t.Fatalf("%d pushes and %d reasons", len(decoded.Pushes), len(decoded.Ignored))
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
		checkLine(t, decoded.DeliveryID)
		for _, ignored := range decoded.Ignored {
			checkLine(t, ignored.Reason)
		}
		text, err := json.Marshal(decoded)
		if err != nil || decoded.Pushes == nil || decoded.Ignored == nil {
			t.Fatalf("JSON %s, %v", text, err)
		}
	})
}

// strongSecret may stand in an address.
const strongSecret = "9f2b7c64d8e15a03f7c2b96e41d8530a"

func headerLines(header http.Header) string {
	var lines strings.Builder
	for _, name := range slices.Sorted(maps.Keys(header)) {
		lines.WriteString(name + ": " + header.Get(name) + "\n")
	}
	return lines.String()
}

func parseHeaders(lines string) http.Header {
	header := http.Header{}
	for line := range strings.SplitSeq(lines, "\n") {
		if name, value, ok := strings.Cut(line, ": "); ok {
			header.Add(name, value)
		}
	}
	return header
}

// checkLine wants text that can stand in a log, a check and a page's text as it is.
func checkLine(t *testing.T, s string) {
	t.Helper()
	if len(s) > 600 || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		t.Fatalf("%q is not one short line of ASCII", s)
	}
}

func FuzzDistribution(f *testing.F) {
	f.Add("", []byte(`{"events":[{"id":"1","action":"push","target":{"tag":7}},null,{"action":"push","request":{"host":"a.io"},"target":{"repository":"w","tag":"1"}}]}`))
	fuzzSender(f, "distribution")
}

func FuzzGitLab(f *testing.F) { fuzzSender(f, "gitlab") }

func FuzzGHCR(f *testing.F) {
	f.Add("X-GitHub-Event: package\nContent-Type: application/x-www-form-urlencoded", []byte(`payload=%7B%22action%22%3A%22published%22%7D`))
	f.Add("Content-Type: application/json", []byte(`{"action":"create","registry_package":{"package_type":"docker","name":"web","package_version":{"package_url":"ghcr.io/shop/team/web:V1","container_metadata":{"tag":{"name":"V1"}}}}}`))
	fuzzSender(f, "ghcr")
}

func FuzzDockerHub(f *testing.F) { fuzzSender(f, "dockerhub") }

func FuzzGitea(f *testing.F) { fuzzSender(f, "gitea") }

func FuzzHarbor(f *testing.F) { fuzzSender(f, "harbor") }

func FuzzQuay(f *testing.F) { fuzzSender(f, "quay") }

func FuzzACR(f *testing.F) { fuzzSender(f, "acr") }

func FuzzEventGrid(f *testing.F) { fuzzSender(f, "acr-eventgrid") }

func FuzzGoogle(f *testing.F) { fuzzSender(f, "google-artifact-registry") }

func FuzzECR(f *testing.F) { fuzzSender(f, "ecr") }

func FuzzArtifactory(f *testing.F) { fuzzSender(f, "artifactory") }

func FuzzNexus(f *testing.F) { fuzzSender(f, "nexus") }

func FuzzZot(f *testing.F) { fuzzSender(f, "zot") }

func FuzzAlibaba(f *testing.F) { fuzzSender(f, "alibaba-acr") }

func FuzzCloudEvents(f *testing.F) { fuzzSender(f, "cloudevents") }

// Every type has a fuzz target and bodies to start it with.
func TestEveryTypeIsFuzzed(t *testing.T) {
	text, err := os.ReadFile("fuzz_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range folders(t) {
		if !strings.Contains(string(text), `fuzzSender(f, "`+name+`")`) {
			t.Errorf("%s has no fuzz target", name)
		}
	}
}

// typical names the body of each type that tells of one push.
var typical = map[string]string{
	"distribution": "push-tag.json", "gitlab": "push-index-tag.json", "ghcr": "registry_package-published-index-tag.json", "dockerhub": "push-tag.json",
	"gitea": "package-created-container-tag.json", "harbor": "push-tag-cloudevents.json", "quay": "push-tag.json", "acr": "push-tag.json",
	"acr-eventgrid": "image-pushed-index-tag.json", "google-artifact-registry": "push-2-insert-tag.json", "ecr": "sns-notification.json",
	"artifactory": "pushed-tag.json", "nexus": "component-created-docker-tag.json", "zot": "image-updated-tag.json", "alibaba-acr": "push-tag.json",
	"cloudevents": "structured-push-tag.json",
}

func typicalBody(t testing.TB, name string) body {
	t.Helper()
	for _, one := range bodies(t, name) {
		if one.file == typical[name] {
			return one
		}
	}
	t.Fatalf("no typical body of %s", name)
	return body{}
}

// Decoding is part of every answer, so what it costs is bounded.
func TestDecodingAllocatesLittle(t *testing.T) {
	const most = 50
	for _, name := range folders(t) {
		s, request := prove(t, typicalBody(t, name))
		allocated := testing.AllocsPerRun(20, func() {
			if decoded, err := s.Decode(request); err != nil || len(decoded.Pushes) != 1 {
				t.Fatal(decoded, err)
			}
		})
		if allocated >= most {
			t.Errorf("decoding one of %s allocates %v times; want less than %d", name, allocated, most)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, name := range folders(b) {
		s, request := prove(b, typicalBody(b, name))
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(request.Body)))
			for b.Loop() {
				if decoded, err := s.Decode(request); err != nil || len(decoded.Pushes) != 1 {
					b.Fatal(decoded, err)
				}
			}
		})
	}
}

func BenchmarkReceive(b *testing.B) {
	for _, name := range folders(b) {
		s, request := prove(b, typicalBody(b, name))
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(request.Body)))
			for b.Loop() {
				if decoded, err := s.Receive(request); err != nil || len(decoded.Pushes) != 1 {
					b.Fatal(decoded, err)
				}
			}
		})
	}
}
