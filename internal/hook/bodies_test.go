package hook_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/boatlift/boatlift/internal/hook"
	"github.com/boatlift/boatlift/internal/registry"
)

var update = flag.Bool("update", false, "write the golden files anew")

const webhooks = "../../testdata/webhooks"

// sample is a body as its sender posts it.
type sample struct {
	name   string // type/case
	sender string // the type
	body   string
	header map[string]string
}

// samples are all bodies in testdata, sorted.
func samples(t testing.TB) []sample {
	t.Helper()
	var all []sample
	for _, kind := range registry.Types() {
		folder := kind.Name
		text, err := os.ReadFile(filepath.Join(webhooks, folder, "headers.json"))
		must(t, err)
		var headers struct{ Files map[string]map[string]string }
		must(t, json.Unmarshal(text, &headers))
		for file, header := range headers.Files {
			body, err := os.ReadFile(filepath.Join(webhooks, folder, file))
			must(t, err)
			all = append(all, sample{folder + "/" + strings.TrimSuffix(file, ".json"), folder, string(body), header})
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
		all = append(all, sample{"distribution-captured/" + strings.TrimSuffix(filepath.Base(file), ".http"), "distribution", body, header})
	}
	slices.SortFunc(all, func(a, b sample) int { return strings.Compare(a.name, b.name) })
	if len(all) < 60 {
		t.Fatalf("only %d bodies were found", len(all))
	}
	return all
}

// trusting is an endpoint of every type whose proof has been taken out: how each sender proves itself is tested where it is decoded.
func trusting(t testing.TB) []hook.Endpoint {
	t.Helper()
	var all []hook.Endpoint
	for _, kind := range registry.Types() {
		kind.Verify, kind.Prove, kind.Secrecy, kind.Check = func(registry.Endpoint, registry.Request) error { return nil }, nil, nil, nil
		kind.Settings = slices.Clone(kind.Settings)
		for i := range kind.Settings {
			kind.Settings[i].Required = false
		}
		endpoint := registry.Endpoint{Secret: []byte(secret), Transport: nowhere{}}
		if kind.NeedsHost {
			endpoint.Host = "registry.example.com"
		}
		s, err := registry.NewSender(kind, endpoint)
		must(t, err)
		all = append(all, hook.Endpoint{Name: kind.Name, Registry: &s})
	}
	return all
}

// nowhere is a network without anybody in it.
type nowhere struct{}

func (nowhere) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("nobody is there")
}

// Every body that a registry is known to send, as it is answered, and as it is answered when it comes again.
func TestKnownBodies(t *testing.T) {
	if testing.Short() {
		t.Skip("not with -short: hundreds of databases, one after the other")
	}
	var got strings.Builder
	for _, b := range samples(t) {
		s := newScene(t, func(o *hook.Options) { o.Endpoints = trusting(t) })
		r := request{path: "/hooks/" + b.sender, header: b.header, body: b.body}
		w := s.send(r)
		d := s.only()
		fmt.Fprintf(&got, "%s\n  %d %s, then %d\n", b.name, w.Code, d.Outcome, s.send(r).Code)
		for _, line := range []struct{ name, text string }{{"about", d.About}, {"reason", d.Reason}} {
			if line.text != "" {
				fmt.Fprintf(&got, "  %s: %s\n", line.name, line.text)
			}
		}
	}
	golden(t, "testdata/known-bodies.golden", got.String())
}

// The proof itself, for the senders that sign or carry a secret as their samples do.
func TestKnownBodiesAreProved(t *testing.T) {
	for _, b := range samples(t) {
		if !slices.Contains([]string{"distribution", "gitlab", "ghcr"}, b.sender) {
			continue
		}
		s := newScene(t)
		r := request{path: "/hooks/" + b.sender, header: b.header, body: b.body}
		if w := s.send(r); w.Code != http.StatusOK && w.Code != http.StatusAccepted {
			t.Errorf("%s is answered %d", b.name, w.Code)
		}
		s.want(http.StatusUnauthorized, r.with("Authorization", "").with("X-Hub-Signature-256", ""))
		if r.body += " "; b.sender == "ghcr" {
			s.want(http.StatusUnauthorized, r)
		}
	}
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
