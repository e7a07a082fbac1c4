package hook_test

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

const webhooks = "../../testdata/webhooks"

// sample is a body as its sender posts it.
type sample struct {
	name   string // sender/case
	sender string
	body   string
	header map[string]string
}

// samples are all bodies in testdata of which the sender has a decoder.
func samples(t testing.TB) []sample {
	t.Helper()
	var all []sample
	for _, sender := range []string{"distribution", "gitlab", "ghcr"} {
		text, err := os.ReadFile(filepath.Join(webhooks, sender, "headers.json"))
		must(t, err)
		var headers struct{ Files map[string]map[string]string }
		must(t, json.Unmarshal(text, &headers))
		files, err := filepath.Glob(filepath.Join(webhooks, sender, "*.json"))
		must(t, err)
		for _, file := range files {
			name := filepath.Base(file)
			if name == "headers.json" {
				continue
			}
			body, err := os.ReadFile(file)
			must(t, err)
			if headers.Files[name] == nil {
				t.Fatalf("headers.json of %s has no %s", sender, name)
			}
			all = append(all, sample{sender + "/" + strings.TrimSuffix(name, ".json"), sender, string(body), headers.Files[name]})
		}
	}
	captured, err := filepath.Glob(filepath.Join(webhooks, "distribution-captured", "*.http"))
	must(t, err)
	for _, file := range captured {
		text, err := os.ReadFile(file)
		must(t, err)
		head, body, ok := strings.Cut(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n\n")
		if !ok {
			t.Fatalf("%s has no body", file)
		}
		header := map[string]string{"Authorization": bearer}
		lines := bufio.NewScanner(strings.NewReader(head))
		for lines.Scan() {
			if name, value, ok := strings.Cut(lines.Text(), ": "); ok && !strings.EqualFold(name, "Authorization") {
				header[name] = value
			}
		}
		all = append(all, sample{"captured/" + strings.TrimSuffix(filepath.Base(file), ".http"), "distribution", body, header})
	}
	if len(all) < 20 {
		t.Fatalf("only %d bodies were found", len(all))
	}
	return all
}

// Every body that a registry is known to send, as it is answered, and again as it is answered when it comes twice.
func TestKnownBodies(t *testing.T) {
	var got strings.Builder
	for _, b := range samples(t) {
		s := newScene(t)
		r := request{path: "/hooks/" + b.sender, header: b.header, body: b.body}
		w := s.send(r)
		d := s.only()
		fmt.Fprintf(&got, "%s\n  %d %s, then %d\n", b.name, w.Code, d.Outcome, s.send(r).Code)
		for _, line := range []struct{ name, text string }{{"about", d.About}, {"reason", d.Reason}} {
			if line.text != "" {
				fmt.Fprintf(&got, "  %s: %s\n", line.name, line.text)
			}
		}
		if w.Code == http.StatusUnauthorized {
			t.Errorf("%s is refused: %s", b.name, d.Reason)
		}
		if changed := s.send(request{path: r.path, header: r.header, body: r.body + " "}); b.sender == "ghcr" && changed.Code != http.StatusUnauthorized {
			t.Errorf("%s with another body under the same signature is answered %d; want 401", b.name, changed.Code)
		}
	}
	golden(t, "testdata/known-bodies.golden", got.String())
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		must(t, os.MkdirAll(filepath.Dir(file), 0o755))
		must(t, os.WriteFile(file, []byte(got), 0o644))
		return
	}
	want, err := os.ReadFile(file)
	must(t, err)
	if got != string(want) {
		t.Errorf("%s is not what comes out now; look at the difference and run the test with -update if it is meant:\n%s", file, got)
	}
}
