package github

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// changing is a secret that a test changes.
type changing struct {
	mu    sync.Mutex
	value []byte
}

func (c *changing) get() []byte { c.mu.Lock(); defer c.mu.Unlock(); return c.value }

func (c *changing) set(value []byte) { c.mu.Lock(); defer c.mu.Unlock(); c.value = value }

func TestAReplacedPrivateKeyIsUsedAndABrokenOneIsNot(t *testing.T) {
	key := &changing{value: testKey()}
	f := newFake(t, func(o *Options) { o.PrivateKey = key.get })
	f.json("GET /app/installations", 200, `[]`)
	f.json("GET /repos/acme/infra/pulls/1", 200, pullJSON(1, ""))
	asApp := func() string {
		t.Helper()
		if _, err := f.forge.Repositories(t.Context()); err != nil {
			t.Fatal(err)
		}
		return f.requests[len(f.requests)-1].auth
	}
	signedBy := func(auth string, private *rsa.PrivateKey) bool {
		return verifyRS256(strings.TrimPrefix(auth, "Bearer "), &private.PublicKey)
	}
	first, second := parseKey(t, testKey()), newKey(t)
	if !signedBy(asApp(), first) {
		t.Fatal("the first key does not sign")
	}
	key.set([]byte("half a ke"))
	if !signedBy(asApp(), first) {
		t.Error("after the key became none, the last one no longer signs")
	}
	key.set(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(second)}))
	if !signedBy(asApp(), second) {
		t.Error("the new key does not sign what the App asks")
	}
	if _, err := f.forge.PullRequest(t.Context(), infra(), 1); err != nil {
		t.Fatal(err)
	}
	for _, r := range f.requests {
		if strings.Contains(r.line, "access_tokens") && !signedBy(r.auth, second) {
			t.Error("the new key does not mint")
		}
	}
}

func TestAnInstallationWhoseMintingIsRefusedTriesTheNewKey(t *testing.T) {
	key := &changing{value: testKey()}
	f := newFake(t, func(o *Options) { o.PrivateKey = key.get })
	second := newKey(t)
	f.routes = http.NewServeMux()
	f.json("GET /app", 200, `{"slug": "boatlift"}`)
	f.json("GET /repos/acme/infra/pulls/1", 200, pullJSON(1, ""))
	f.handle("POST /app/installations/{id}/access_tokens", func(w http.ResponseWriter, r *http.Request) {
		if !verifyRS256(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), &second.PublicKey) {
			key.set(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(second)}))
			answer(w, 401, `{"message": "A JSON web token could not be decoded"}`)
			return
		}
		answer(w, 201, `{"token": "ghs_new", "expires_at": "2099-01-01T00:00:00Z"}`)
	})
	if _, err := f.forge.PullRequest(t.Context(), infra(), 1); err != nil {
		t.Errorf("PullRequest: %v; want the new key tried at once", err)
	}
}

func TestWhileASecretIsRotatedEitherProvesAnEvent(t *testing.T) {
	var mu sync.Mutex
	secrets := []string{"old-secret"}
	f, err := New(Options{AppID: testApp, PrivateKey: Fixed(testKey()), WebhookSecrets: func() [][]byte {
		mu.Lock()
		defer mu.Unlock()
		var list [][]byte
		for _, s := range secrets {
			list = append(list, []byte(s))
		}
		return list
	}})
	if err != nil {
		t.Fatal(err)
	}
	body := []byte(`{"zen": "x"}`)
	for _, tc := range []struct {
		now  []string
		want map[string]bool
	}{
		{[]string{"old-secret"}, map[string]bool{"old-secret": true, "new-secret": false}},
		{[]string{"new-secret", "old-secret"}, map[string]bool{"old-secret": true, "new-secret": true, "other": false, "": false}},
		{[]string{"new-secret"}, map[string]bool{"old-secret": false, "new-secret": true}},
		{[]string{"new-secret", ""}, map[string]bool{"": false, "new-secret": true}},
		{nil, map[string]bool{"": false, "new-secret": false}},
	} {
		mu.Lock()
		secrets = tc.now
		mu.Unlock()
		for secret, want := range tc.want {
			err := f.Verify(http.Header{"X-Hub-Signature-256": {sign(secret, body)}}, body)
			if (err == nil) != want {
				t.Errorf("with %q, signed by %q: %v; want proved: %t", tc.now, secret, err, want)
			}
		}
	}
}

func newKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func parseKey(t *testing.T, text []byte) *rsa.PrivateKey {
	t.Helper()
	block, _ := pem.Decode(text)
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// verifyRS256 proves a JWT's signature.
func verifyRS256(token string, key *rsa.PublicKey) bool {
	signed, signature, _ := cutLast(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(signature)
	sum := sha256.Sum256([]byte(signed))
	return err == nil && rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], raw) == nil
}

func cutLast(text, at string) (before, after string, found bool) {
	i := strings.LastIndex(text, at)
	if i < 0 {
		return text, "", false
	}
	return text[:i], text[i+len(at):], true
}
