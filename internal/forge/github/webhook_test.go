package github

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // to prove that it is refused
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"os"
	"strings"
	"testing"
)

func sign(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

func webhook(t testing.TB) *Forge {
	t.Helper()
	f, err := New(Options{AppID: testApp, PrivateKey: Fixed(testKey()), WebhookSecrets: only(testSecret)})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestOnlyTheSHA256SignatureProvesAnEvent(t *testing.T) {
	f := webhook(t)
	body := []byte(`{"zen": "Design for failure."}`)
	good := sign(testSecret, body)
	mac := hmac.New(sha1.New, []byte(testSecret))
	mac.Write(body)
	weak := "sha1=" + hex.EncodeToString(mac.Sum(nil))
	for name, tc := range map[string]struct {
		header http.Header
		ok     bool
	}{
		"signed":                       {http.Header{"X-Hub-Signature-256": {good}}, true},
		"signed in both ways":          {http.Header{"X-Hub-Signature-256": {good}, "X-Hub-Signature": {weak}}, true},
		"upper case digits":            {http.Header{"X-Hub-Signature-256": {"sha256=" + strings.ToUpper(good[7:])}}, true},
		"signed for this App":          {http.Header{"X-Hub-Signature-256": {good}, "X-Github-Hook-Installation-Target-Type": {"integration"}, "X-Github-Hook-Installation-Target-Id": {"4242"}}, true},
		"a repository's own webhook":   {http.Header{"X-Hub-Signature-256": {good}, "X-Github-Hook-Installation-Target-Type": {"repository"}, "X-Github-Hook-Installation-Target-Id": {"1001"}}, true},
		"signed for another App":       {http.Header{"X-Hub-Signature-256": {good}, "X-Github-Hook-Installation-Target-Type": {"integration"}, "X-Github-Hook-Installation-Target-Id": {"42"}}, false},
		"not signed":                   {http.Header{}, false},
		"signed with SHA-1 only":       {http.Header{"X-Hub-Signature": {weak}}, false},
		"SHA-1 in the other header":    {http.Header{"X-Hub-Signature-256": {weak}}, false},
		"an empty signature":           {http.Header{"X-Hub-Signature-256": {""}}, false},
		"no algorithm":                 {http.Header{"X-Hub-Signature-256": {good[7:]}}, false},
		"a beginning of it":            {http.Header{"X-Hub-Signature-256": {good[:len(good)-2]}}, false},
		"something after it":           {http.Header{"X-Hub-Signature-256": {good + "00"}}, false},
		"not hexadecimal":              {http.Header{"X-Hub-Signature-256": {"sha256=" + strings.Repeat("zz", 32)}}, false},
		"all zero":                     {http.Header{"X-Hub-Signature-256": {"sha256=" + strings.Repeat("00", 32)}}, false},
		"another secret":               {http.Header{"X-Hub-Signature-256": {sign("other", body)}}, false},
		"an empty secret":              {http.Header{"X-Hub-Signature-256": {sign("", body)}}, false},
		"another body":                 {http.Header{"X-Hub-Signature-256": {sign(testSecret, append(body, ' '))}}, false},
		"two signatures, one of which": {http.Header{"X-Hub-Signature-256": {sign("other", body), good}}, false},
		"two signatures, the first of": {http.Header{"X-Hub-Signature-256": {good, sign("other", body)}}, false},
	} {
		err := f.Verify(tc.header, body)
		if (err == nil) != tc.ok {
			t.Errorf("Verify, %s: error %v; want %t", name, err, tc.ok)
		}
		if err != nil && (strings.Contains(err.Error(), testSecret) || strings.Contains(err.Error(), good[7:20])) {
			t.Errorf("Verify, %s: %v quotes what nobody should see", name, err)
		}
	}
}

func TestAnEventBeyondGitHubsSizeIsRefused(t *testing.T) {
	body := make([]byte, maxWebhook+1)
	if err := webhook(t).Verify(http.Header{"X-Hub-Signature-256": {sign(testSecret, body)}}, body); err == nil {
		t.Error("Verify of 25 MiB and a byte: no error")
	}
}

func TestARecordedEventIsProved(t *testing.T) {
	body, err := os.ReadFile("testdata/events/registry_package.published-tag.json")
	if err != nil {
		t.Fatal(err)
	}
	header := http.Header{}
	header.Set("X-Hub-Signature-256", "sha256=62182e84d86990e332bd57abee500f80ebe2491efc8840d241d0a7e0844f601c")
	header.Set("X-GitHub-Hook-Installation-Target-Type", "repository")
	header.Set("X-GitHub-Hook-Installation-Target-ID", "186853261")
	if err := webhook(t).Verify(header, body); err != nil {
		t.Errorf("Verify: %v", err)
	}
}
