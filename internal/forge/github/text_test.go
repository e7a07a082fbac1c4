package github

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCleanLeavesALineWithoutSecrets(t *testing.T) {
	for in, want := range map[string]string{
		"a  b\n\tc\r\n":             "a b c",
		"":                          "",
		"\x00\u202eevil\u200b":      "evil",
		"\xff\xfe broken":           "broken",
		"git@github.com:acme/infra": "git@github.com:acme/infra",
		"clone https://x-access-token:ghs_abc@github.com/a":                          "clone https[redacted]github.com/a",
		"ghs_16C7e42F292c6912E7710c838347Ae178B4a":                                   "[redacted]",
		"ghp_0123456789abcdef and github_pat_0123456789abcdef":                       "[redacted] and [redacted]",
		"ghs_4242_eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiI0MjQyIn0.c2ln-_ is the new format": "[redacted] is the new format",
		"Authorization: Bearer 0123456789abcdef0123":                                 "Authorization: [redacted]",
		strings.Repeat("é", 400):                                                     strings.Repeat("é", 300) + "…",
	} {
		if got := clean(in, 300); got != want {
			t.Errorf("clean(%.60q) = %q; want %q", in, got, want)
		}
	}
}

func TestCutKeepsTheBoundsAndTheMark(t *testing.T) {
	mark := "<!-- boatlift {\"release\":\"1\"} hmac -->"
	for _, text := range []string{
		"short", strings.Repeat("a", 1000), strings.Repeat("ö", 1000), strings.Repeat("🚢", 500),
		strings.Repeat("a", 1000) + "\n" + mark + "\n", strings.Repeat("a", 1000) + mark + strings.Repeat("b", 50),
		"<!--" + strings.Repeat("a", 1000) + "-->",
	} {
		got := cut(text, 300)
		if len(text) <= 300 && got != text {
			t.Errorf("cut(%.20q) = %q; want it as it is", text, got)
		}
		if len(got) > 300 || !utf8.ValidString(got) {
			t.Errorf("cut(%.20q) has %d bytes; want at most 300, and whole characters", text, len(got))
		}
		if strings.HasSuffix(strings.TrimSpace(text), mark) && !strings.HasSuffix(strings.TrimSpace(got), mark) {
			t.Errorf("cut(%.20q) = %q; want the mark kept", text, got)
		}
	}
}

func TestTitlesComeBackAsTheyWere(t *testing.T) {
	for in, want := range map[string]string{
		"deploy web 1.4.2 to production":  "deploy web 1.4.2 to production",
		"two  spaces, ghs_0123456789abcd": "two  spaces, ghs_0123456789abcd",
		" a\nb ":                          "a b",
		strings.Repeat("é", 256):          strings.Repeat("é", 256),
		strings.Repeat("é", 257):          strings.Repeat("é", 255) + "…",
	} {
		if got := title(in); got != want {
			t.Errorf("title(%.40q) = %q; want %q", in, got, want)
		}
		if got := title(title(in)); got != want {
			t.Errorf("title(title(%.40q)) = %q; want %q", in, got, want)
		}
	}
}
