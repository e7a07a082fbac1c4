package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/boatlift/boatlift/internal/registry"
)

var update = flag.Bool("update", false, "rewrite testdata/decoded, and the wanted output in testdata/script")

// TestHooksDecode runs boatlift hooks decode on every body of testdata/webhooks, with the proof that its sender would give.
func TestHooksDecode(t *testing.T) {
	t.Parallel()
	const path, host = "--path", "--host"
	// What a type needs besides the secret: it stands in the address, or the host has to be named.
	needs := map[string][]string{
		"distribution": nil, "gitlab": nil, "ghcr": nil, "harbor": nil, "gitea": nil, "acr": nil, "artifactory": nil, "cloudevents": nil, "ecr": nil,
		"dockerhub": {path}, "quay": {path}, "acr-eventgrid": {path}, "alibaba-acr": {path},
		"nexus": {host, "registry.acme.io"}, "zot": {host, "registry.acme.io"},
		"google-artifact-registry": {"--no-verify", "--set", "audience=boatlift", "--set", "email=push@acme.iam.gserviceaccount.com"}, // a token of Google's own
	}
	for _, kind := range registry.Types() {
		args, known := needs[kind.Name]
		if !known {
			t.Errorf("this test does not know how %s proves itself", kind.Name)
			continue
		}
		folder := filepath.Join("..", "..", "testdata", "webhooks", kind.Name)
		text, err := os.ReadFile(filepath.Join(folder, "headers.json"))
		if err != nil {
			t.Error(err)
			continue
		}
		var headers struct {
			Secret string `json:"_secret"`
			Files  map[string]map[string]string
		}
		if err := json.Unmarshal(text, &headers); err != nil {
			t.Fatal(err)
		}
		if len(headers.Files) == 0 {
			t.Errorf("%s names no bodies", folder)
		}
		for file, header := range headers.Files {
			if kind.Name == "ecr" && header["x-amz-sns-message-type"] != "" {
				continue // proved by a certificate of Amazon's, which package registry tests with one of its own
			}
			t.Run(kind.Name+"/"+file, func(t *testing.T) {
				t.Parallel()
				d := decodeRun{kind: kind.Name, args: args, body: filepath.Join(folder, file), header: header}
				d.test(t, headers.Secret)
			})
		}
	}
}

// decodeRun is one body to be decoded.
type decodeRun struct {
	kind   string
	args   []string
	body   string
	header map[string]string
}

func (d decodeRun) test(t *testing.T, secret string) {
	t.Helper()
	code, stdout, stderr := d.run(t, secret)
	if code != exitDone {
		t.Fatalf("boatlift hooks decode ended with %d: %s", code, stderr)
	}
	checkShape(t, stdout)
	golden(t, filepath.Join("testdata", "decoded", d.kind, filepath.Base(d.body)), stdout)
	if slices.Contains(d.args, "--no-verify") {
		return
	}
	const wrong = "0f1e2d3c4b5a69788796a5b4c3d2e1f00112233445566778"
	code, stdout, stderr = d.run(t, wrong)
	if code != exitFailed || stdout != "" || !strings.HasPrefix(stderr, "boatlift: not proved to come from "+d.kind+": ") {
		t.Errorf("with a wrong secret: %d\n%s\n%s", code, stdout, stderr)
	}
	if strings.Contains(stderr, secret) || strings.Contains(stderr, wrong) {
		t.Errorf("the reason repeats a secret: %s", stderr)
	}
}

// run decodes with a secret as the configured one; what the sender has stays the same.
func (d decodeRun) run(t *testing.T, secret string) (code int, stdout, stderr string) {
	t.Helper()
	text, err := json.Marshal(d.header)
	if err != nil {
		t.Fatal(err)
	}
	headers := filepath.Join(t.TempDir(), "headers.json")
	if err := os.WriteFile(headers, text, 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"hooks", "decode", "--type", d.kind, "--headers", headers}
	if !slices.Contains(d.args, "--no-verify") {
		args = append(args, "--secret", secret)
	}
	args = append(args, d.args...)
	if i := slices.Index(args, "--path"); i >= 0 {
		args = slices.Insert(args, i+1, fixtureSecret)
	}
	var out, complaint bytes.Buffer
	code = run(t.Context(), append(args, d.body), strings.NewReader(""), &out, &complaint)
	return code, out.String(), complaint.String()
}

// fixtureSecret is what senders of testdata/webhooks have for a secret.
const fixtureSecret = "registry-webhook-fixture-secret"

// checkShape holds output to what scripts rely on: two lists, never null, with these members and no others.
func checkShape(t *testing.T, text string) {
	t.Helper()
	var out map[string][]map[string]any
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if len(out) != 2 || out["pushes"] == nil || out["ignored"] == nil {
		t.Errorf("members other than pushes and ignored, or one that is null:\n%s", text)
	}
	for list, members := range map[string][]string{
		"pushes": {"registry", "repository", "tag", "digest", "mediaType", "time", "deliveryID"}, "ignored": {"reason"},
	} {
		for _, item := range out[list] {
			for name, value := range item {
				if _, text := value.(string); !text || !slices.Contains(members, name) {
					t.Errorf("%s has a member %s: %v", list, name, value)
				}
			}
		}
	}
}

// golden compares with a file, or writes it.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant %s\n%s", got, file, want)
	}
}
