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
)

var update = flag.Bool("update", false, "rewrite testdata/decoded, and the wanted output in testdata/script")

// TestHooksDecode runs boatlift hooks decode on every body of testdata/webhooks, with the proof that its sender would give.
func TestHooksDecode(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"distribution", "gitlab", "ghcr"} {
		folder := filepath.Join("..", "..", "testdata", "webhooks", kind)
		text, err := os.ReadFile(filepath.Join(folder, "headers.json"))
		if err != nil {
			t.Fatal(err)
		}
		var headers struct {
			Secret string `json:"_secret"`
			Files  map[string]json.RawMessage
		}
		if err := json.Unmarshal(text, &headers); err != nil {
			t.Fatal(err)
		}
		if len(headers.Files) == 0 {
			t.Errorf("%s names no bodies", folder)
		}
		for file, header := range headers.Files {
			t.Run(kind+"/"+file, func(t *testing.T) {
				t.Parallel()
				headerFile := filepath.Join(t.TempDir(), "headers.json")
				if err := os.WriteFile(headerFile, header, 0o600); err != nil {
					t.Fatal(err)
				}
				decode := func(secret string) (int, string, string) {
					var stdout, stderr bytes.Buffer
					code := run(t.Context(), []string{
						"hooks", "decode", "--type", kind, "--secret", secret, "--headers", headerFile, filepath.Join(folder, file),
					}, strings.NewReader(""), &stdout, &stderr)
					return code, stdout.String(), stderr.String()
				}
				code, stdout, stderr := decode(headers.Secret)
				if code != exitDone || stderr != "" {
					t.Fatalf("boatlift hooks decode ended with %d: %s", code, stderr)
				}
				checkShape(t, stdout)
				golden(t, filepath.Join("testdata", "decoded", kind, file), stdout)

				code, stdout, stderr = decode("not-the-s3cret")
				if code != exitFailed || stdout != "" || !strings.HasPrefix(stderr, "boatlift: not proved to come from "+kind+": ") {
					t.Errorf("with a wrong secret: %d\n%s\n%s", code, stdout, stderr)
				}
				if strings.Contains(stderr, headers.Secret) || strings.Contains(stderr, "not-the-s3cret") {
					t.Errorf("the reason repeats a secret: %s", stderr)
				}
			})
		}
	}
}

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
