package config

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	yaml "github.com/goccy/go-yaml"
)

// TestSecretsAreNotSeen prints a secret in every way that there is.
func TestSecretsAreNotSeen(t *testing.T) {
	const value = "hunter2"
	s := NewSecret([]byte(value))
	type holder struct {
		Public  Secret
		Pointer *Secret
		private Secret
		Map     map[string]Secret
		List    []Secret
	}
	h := holder{s, &s, s, map[string]Secret{"a": s}, []Secret{s}}
	bot := Bot{Registries: []Registry{{Secrets: Secrets{s}, Password: s}}, Forges: []Forge{{PrivateKey: s, Token: s, WebhookSecrets: Secrets{s}}}}
	var said []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%c", "%U", "%t", "%o", "%b", "%10.3s"} {
		for _, v := range []any{s, &s, h, &h, bot, &bot, []any{s, h}} {
			said = append(said, fmt.Sprintf(verb, v))
		}
	}
	said = append(said, fmt.Sprint(s, h), fmt.Sprintln(bot), s.String(), s.GoString(), fmt.Errorf("with %v: %w", s, fmt.Errorf("%s", s)).Error())
	for _, v := range []any{s, h, bot} {
		asJSON, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		asYAML, err := yaml.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		said = append(said, string(asJSON), string(asYAML))
	}
	asXML, err := xml.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	said = append(said, string(asXML))
	var log bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(handler).With("with", s).Info(s.String(), "secret", s, "pointer", &s, "holder", h, "bot", bot, slog.Group("group", "s", s))
	}
	said = append(said, log.String())
	hexadecimal := fmt.Sprintf("%x", value)
	decimal := strings.Trim(fmt.Sprint([]byte(value)), "[]")
	for _, text := range said {
		for _, form := range []string{value, hexadecimal, strings.ToUpper(hexadecimal), decimal, strings.ReplaceAll(decimal, " ", ",")} {
			if strings.Contains(text, form) {
				t.Errorf("the secret is in %s", text)
			}
		}
	}
	if got := fmt.Sprintf("%s %v %+v %#v %x", s, s, s, s, s); got != strings.TrimSpace(strings.Repeat("[redacted] ", 5)) {
		t.Errorf("a secret is printed as %s", got)
	}
	asJSON, _ := json.Marshal(s)
	if got, want := string(asJSON), `"[redacted]"`; got != want {
		t.Errorf("a secret in JSON is %s, want %s", got, want)
	}
}

func TestSecretIsItsOwn(t *testing.T) {
	given := []byte("secret")
	s := NewSecret(given)
	given[0] = 'x'
	s.Reveal()[1] = 'x'
	if got, want := string(s.Reveal()), "secret"; got != want {
		t.Errorf("Reveal() = %s, want %s", got, want)
	}
	for name, s := range map[string]Secret{"zero": {}, "empty": NewSecret(nil)} {
		if !s.IsZero() || s.Reveal() != nil {
			t.Errorf("%s: IsZero() = %t, Reveal() = %q", name, s.IsZero(), s.Reveal())
		}
		if got, want := fmt.Sprint(s), "[redacted]"; got != want {
			t.Errorf("%s: printed as %s, want %s", name, got, want)
		}
	}
}
