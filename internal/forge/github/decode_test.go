package github

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/boatlift/boatlift/internal/forge"
)

var update = flag.Bool("update", false, "write testdata/events.golden anew")

func line(file string, e forge.Event) string {
	what := fmt.Sprintf("look at %d", e.Repo)
	switch {
	case e.Ignored != "":
		what = "ignored: " + e.Ignored
	case e.Push:
		what = "push of an image, " + e.PushType
	case e.Discover && e.Repo == 0:
		what = "discover"
	case e.Discover:
		what += " and discover"
	}
	return fmt.Sprintf("%-45s %s | %s | %s\n", file, e.Kind, what, e.About)
}

// TestEventsSayWhereToLook compares each body in testdata/events, whose name begins with its event's, with a line of events.golden.
func TestEventsSayWhereToLook(t *testing.T) {
	f := webhook(t)
	f.self.Login = "boatlift[bot]"
	files, err := filepath.Glob("testdata/events/*.json")
	if err != nil || len(files) < 50 {
		t.Fatalf("%d events, %v; want those of testdata", len(files), err)
	}
	var got strings.Builder
	for _, path := range files {
		body, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		file := strings.TrimSuffix(filepath.Base(path), ".json")
		name, _, _ := strings.Cut(file, ".")
		event, err := f.Decode(http.Header{"X-Github-Event": {name}, "X-Github-Delivery": {"d-1"}, "Content-Type": {"application/json"}}, body)
		if err != nil {
			t.Errorf("Decode(%s): %v", file, err)
		}
		checkEqual(t, "delivery of "+file, event.DeliveryID, "d-1")
		got.WriteString(line(file, event))
	}
	const golden = "testdata/events.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	gotLines, wantLines := strings.Split(got.String(), "\n"), strings.Split(string(want), "\n")
	for i := range max(len(gotLines), len(wantLines)) {
		g, w := "", ""
		if i < len(gotLines) {
			g = gotLines[i]
		}
		if i < len(wantLines) {
			w = wantLines[i]
		}
		if g != w {
			t.Errorf("line %d\n got %s\nwant %s", i+1, g, w)
		}
	}
}

func TestUntilTheBotKnowsItselfNothingIsItsOwn(t *testing.T) {
	body, err := os.ReadFile("testdata/events/pull_request.opened-by-the-bot.json")
	if err != nil {
		t.Fatal(err)
	}
	event, err := webhook(t).Decode(http.Header{"X-Github-Event": {"pull_request"}}, body)
	if err != nil || event.Ignored != "" || event.Repo != 1001 {
		t.Errorf("Decode = %+v, %v; want a look", event, err)
	}
}

func TestBodiesThatAreNotWhatTheirHeaderSays(t *testing.T) {
	f := webhook(t)
	for name, tc := range map[string]struct{ event, media, body string }{
		"no event":                     {"", "application/json", `{}`},
		"not JSON":                     {"push", "application/json", `payload=%7B%7D`},
		"nothing":                      {"push", "application/json", ``},
		"a list":                       {"push", "application/json", `[]`},
		"two documents":                {"push", "application/json", `{"repository": {"id": 1}} {}`},
		"a form":                       {"push", "application/x-www-form-urlencoded", `payload=%7B%7D`},
		"no repository":                {"push", "application/json", `{"ref": "refs/heads/main"}`},
		"a repository without id":      {"pull_request", "application/json", `{"repository": {}, "pull_request": {"number": 1}}`},
		"a repository of another type": {"push", "application/json", `{"repository": "acme/infra"}`},
		"an id below zero":             {"push", "application/json", `{"repository": {"id": -4}}`},
		"no pull request":              {"pull_request", "application/json", `{"repository": {"id": 1}}`},
		"a review of nothing":          {"pull_request_review", "application/json", `{"repository": {"id": 1}}`},
		"no installation":              {"installation", "application/json", `{"action": "created"}`},
	} {
		event, err := f.Decode(http.Header{"X-Github-Event": {tc.event}, "Content-Type": {tc.media}}, []byte(tc.body))
		if err == nil {
			t.Errorf("Decode of %s = %+v; want an error", name, event)
		}
	}
}

func TestUnknownEventsAreIgnoredWhateverTheyHold(t *testing.T) {
	for _, name := range []string{"deployment_review", "secret_scanning_alert", "next_years_event", "Push", "push\r\nX: y", strings.Repeat("a", 100)} {
		event, err := webhook(t).Decode(http.Header{"X-Github-Event": {name}}, []byte("\x00 not even JSON"))
		if err != nil || event.Ignored == "" || event.Repo != 0 || strings.ContainsAny(event.Kind, "\r\n") {
			t.Errorf("Decode of %q = %+v, %v; want it ignored", name, event, err)
		}
	}
}

func TestHostileTextIsCutAndCleanedInSentences(t *testing.T) {
	body := `{"action": "closed", "repository": {"id": 1}, "pull_request": {"number": 2}, "sender": {"login": "eve\u0000\u202e\n# ` + strings.Repeat("x", 5000) + `"}}`
	event, err := webhook(t).Decode(http.Header{"X-Github-Event": {"pull_request"}, "X-Github-Delivery": {strings.Repeat("d", 5000)}}, []byte(body))
	if err != nil || len(event.About) > 300 || strings.ContainsAny(event.About, "\x00\n\u202e") || len(event.DeliveryID) > 110 {
		t.Errorf("Decode = %+v, %v", event, err)
	}
}

// FuzzDecode looks for a body that panics, that means nothing and is not ignored, or whose sentence is not fit for a page.
func FuzzDecode(f *testing.F) {
	files, err := filepath.Glob("testdata/events/*.json")
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, path := range files {
		body, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		name, _, _ := strings.Cut(filepath.Base(path), ".")
		f.Add(name, body)
	}
	hook := webhook(f)
	hook.self.Login = "boatlift[bot]"
	f.Fuzz(func(t *testing.T, name string, body []byte) {
		event, err := hook.Decode(http.Header{"X-Github-Event": {name}}, body)
		if err != nil {
			return
		}
		if event.Kind == "" && name != "" && event.Ignored == "" {
			t.Errorf("Decode(%q): no kind", name)
		}
		if (event.Ignored == "") != (event.Repo != 0 || event.Discover || event.Push) {
			t.Errorf("Decode(%q) = %+v; want either a place to look at or a reason", name, event)
		}
		if event.Repo < 0 || !utf8.ValidString(event.About) || len(event.About) > 4096 || strings.ContainsAny(event.About+event.Kind, "\n\r\x00") {
			t.Errorf("Decode(%q) = %+v", name, event)
		}
	})
}
