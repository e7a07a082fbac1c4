package wire

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
		"glpat-0123456789abcdefghij and gloas-0123456789.abcdef":                     "[redacted] and [redacted]",
		"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw":                                     "[redacted]",
		"Authorization: Bearer 0123456789abcdef0123":                                 "Authorization: [redacted]",
		strings.Repeat("é", 400):                                                     strings.Repeat("é", 300) + "…",
	} {
		if got := Clean(in, 300); got != want {
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
		got := Cut(text, 300)
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
		if got := Title(in, 256); got != want {
			t.Errorf("title(%.40q) = %q; want %q", in, got, want)
		}
		if got := Title(Title(in, 256), 256); got != want {
			t.Errorf("title(title(%.40q)) = %q; want %q", in, got, want)
		}
	}
}

func TestKeysCannotLeaveTheirHidingPlace(t *testing.T) {
	seen := map[string]string{}
	for _, key := range []string{"superseded-7", "a.b:c/d_e", "", "-->", "a--b", "a -->\n# hi", "-a", "a-", strings.Repeat("k", 101), "ключ", "x<y"} {
		mark := Mark(key)
		inner := strings.TrimSuffix(strings.TrimPrefix(mark, "<!-- boatlift:"), " -->")
		if strings.Contains(inner, "--") || strings.ContainsAny(inner, "<> \n") || strings.HasSuffix(inner, "-") || inner == "" {
			t.Errorf("Mark(%q) = %q", key, mark)
		}
		if other, ok := seen[mark]; ok {
			t.Errorf("Mark(%q) = Mark(%q)", key, other)
		}
		seen[mark] = key
	}
	if got, want := Mark("superseded-7"), "<!-- boatlift:superseded-7 -->"; got != want {
		t.Errorf("Mark of a plain key = %q; want %q", got, want)
	}
}
