// Package trusttest is an issuer of tokens for tests: it signs as GitHub and GitLab do, and serves its keys, over HTTP or as the
// transport of whoever asks for them. Everything may be called concurrently.
package trusttest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// Issuer signs tokens with a key of its own. Its handler serves the key at every path.
type Issuer struct {
	URL string // the claim iss

	key *rsa.PrivateKey

	mu    sync.Mutex
	asked []string
	down  bool
}

// New makes an issuer.
func New(t testing.TB, url string) *Issuer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return &Issuer{URL: url, key: key}
}

// GitHub are the claims of a job of GitHub Actions.
func (i *Issuer) GitHub(audience, repository, ref string, at time.Time) map[string]any {
	return map[string]any{
		"iss": i.URL, "aud": audience, "sub": "repo:" + repository + ":ref:" + ref, "repository": repository, "ref": ref,
		"sha": "9c5b1e2f0a7d4c3b8e6f1a2d3c4b5a6978877665", "run_id": "4711", "run_attempt": "1", "jti": "8f3c",
		"iat": at.Unix(), "nbf": at.Add(-5 * time.Minute).Unix(), "exp": at.Add(5 * time.Minute).Unix(),
	}
}

// GitLab are the claims of a job of GitLab CI on a branch.
func (i *Issuer) GitLab(audience, project, branch string, at time.Time) map[string]any {
	return map[string]any{
		"iss": i.URL, "aud": audience, "sub": "project_path:" + project + ":ref_type:branch:ref:" + branch, "project_path": project, "ref": branch,
		"ref_type": "branch", "ref_protected": "true", "sha": "9c5b1e2f0a7d4c3b8e6f1a2d3c4b5a6978877665", "pipeline_id": "815", "job_id": "4711",
		"iat": at.Unix(), "nbf": at.Add(-5 * time.Second).Unix(), "exp": at.Add(time.Hour).Unix(),
	}
}

// Sign makes a token of claims, with others put over them (nil takes one out).
func (i *Issuer) Sign(t testing.TB, claims map[string]any, other ...map[string]any) string {
	t.Helper()
	return i.SignAs(t, map[string]any{"alg": "RS256", "kid": "k1", "typ": "JWT"}, claims, other...)
}

// SignAs is Sign with another head.
func (i *Issuer) SignAs(t testing.TB, head, claims map[string]any, other ...map[string]any) string {
	t.Helper()
	all := maps.Clone(claims)
	for _, o := range other {
		for name, value := range o {
			if all[name] = value; value == nil {
				delete(all, name)
			}
		}
	}
	unsigned := encode(t, head) + "." + encode(t, all)
	sum := sha256.Sum256([]byte(unsigned))
	signature, err := rsa.SignPKCS1v15(nil, i.key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return unsigned + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func encode(t testing.TB, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// SetDown lets the issuer fail, or answer again.
func (i *Issuer) SetDown(down bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.down = down
}

// Asked are the addresses at which its keys were asked for.
func (i *Issuer) Asked() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]string(nil), i.asked...)
}

// ServeHTTP implements http.Handler.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	i.asked = append(i.asked, r.URL.String())
	down := i.down
	i.mu.Unlock()
	if down {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"keys": []any{map[string]string{
		"kty": "RSA", "kid": "k1", "alg": "RS256", "use": "sig", "n": base64.RawURLEncoding.EncodeToString(i.key.N.Bytes()), "e": "AQAB",
	}}}) // who asks may be gone
}

// RoundTrip implements http.RoundTripper.
func (i *Issuer) RoundTrip(r *http.Request) (*http.Response, error) {
	answer := httptest.NewRecorder()
	i.ServeHTTP(answer, r)
	return answer.Result(), nil
}
