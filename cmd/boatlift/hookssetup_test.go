package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/boatlift/boatlift/internal/registry"
)

// setupSecret could stand in an address.
const setupSecret = "0f1e2d3c4b5a69788796a5b4c3d2e1f00112233445566778"

// TestHooksSetupAndList tells of every type what to configure at the sender, and what proves it.
func TestHooksSetupAndList(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var file strings.Builder
	fmt.Fprint(&file, "publicURL: https://boatlift.acme.io\nforges:\n"+
		"  - {name: github, type: github, appID: 1, privateKey: file:key.pem, webhookSecret: file:secret}\nregistries:\n")
	for _, kind := range registry.Types() {
		fmt.Fprintf(&file, "  - name: my-%s\n    type: %s\n    secret: file:secret\n", kind.Name, kind.Name)
		if kind.NeedsHost {
			fmt.Fprintf(&file, "    host: %s.acme.io\n", kind.Name)
		}
		settings := ""
		for _, s := range kind.Settings {
			if s.Required {
				settings += fmt.Sprintf("      %s: %q\n", s.Name, s.Example)
			}
		}
		if settings != "" {
			file.WriteString("    settings:\n" + settings)
		}
	}
	for name, text := range map[string]string{
		"boatlift.yaml": file.String(), "secret": setupSecret, "key.pem": "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	said := func(args ...string) string {
		t.Helper()
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), append([]string{"hooks"}, args...), strings.NewReader(""), &stdout, &stderr); code != exitDone {
			t.Errorf("boatlift hooks %s ended with %d: %s", strings.Join(args, " "), code, &stderr)
		}
		return stdout.String()
	}
	list := said("list")
	for _, kind := range registry.Types() {
		if want := kind.Name + ": " + kind.Title + "\n  proof: " + kind.Proof + "\n"; !strings.Contains(list, want) {
			t.Errorf("boatlift hooks list lacks %q", want)
		}
		config := filepath.Join(dir, "boatlift.yaml")
		hidden := said("setup", "--config", config, "my-"+kind.Name)
		if want := "https://boatlift.acme.io/hooks/my-" + kind.Name; !strings.Contains(hidden, want) || strings.Contains(hidden, "{url}") || strings.Contains(hidden, "{secret}") {
			t.Errorf("boatlift hooks setup of %s does not say %s:\n%s", kind.Name, want, hidden)
		}
		if strings.Contains(hidden, setupSecret) {
			t.Errorf("boatlift hooks setup of %s tells the secret", kind.Name)
		}
		shown := said("setup", "--config", config, "my-"+kind.Name, "--show-secret")
		if !strings.Contains(shown, setupSecret) && !kind.MayLackSecret() {
			t.Errorf("with --show-secret boatlift hooks setup of %s does not tell it:\n%s", kind.Name, shown)
		}
	}
}
