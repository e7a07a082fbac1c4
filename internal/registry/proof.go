package registry

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"mime"
	"net/url"
	"strings"
)

// The ways in which senders prove that they know an endpoint's secret.

// verifyAuthorization compares the Authorization header with the secret: after "Bearer ", as the password after "Basic ", or
// as the whole header where the secret has a scheme of its own ("Token abc"), and where literal is set.
func verifyAuthorization(kind Type, endpoint Endpoint, request Request, literal bool, hint string) error {
	values := request.Header.Values("Authorization")
	switch {
	case len(endpoint.Secret) == 0:
		return unproved(kind, request, "the endpoint has no secret", "")
	case len(values) == 0:
		return unproved(kind, request, "it has no Authorization header", hint)
	case len(values) > 1:
		return unproved(kind, request, "it has several Authorization headers", hint)
	}
	got, want := values[0], endpoint.Secret
	ownScheme := bytes.ContainsRune(want, ' ')
	if (literal || ownScheme) && equal([]byte(got), want) {
		return nil
	}
	scheme, credential, _ := strings.Cut(got, " ")
	switch {
	case strings.EqualFold(scheme, "Bearer") && !ownScheme:
		if equal([]byte(credential), want) {
			return nil
		}
	case strings.EqualFold(scheme, "Basic"):
		plain, err := base64.StdEncoding.DecodeString(credential)
		if _, password, ok := bytes.Cut(plain, []byte(":")); err == nil && ok && equal(password, want) {
			return nil
		}
	case !literal && !ownScheme:
		return unproved(kind, request, "its Authorization header is not Bearer and a secret", hint)
	}
	return unproved(kind, request, "its Authorization header has another secret", hint)
}

// verifyHeader compares a header with the secret.
func verifyHeader(kind Type, endpoint Endpoint, request Request, name, hint string) error {
	values := request.Header.Values(name)
	switch {
	case len(endpoint.Secret) == 0:
		return unproved(kind, request, "the endpoint has no secret", "")
	case len(values) != 1:
		return unproved(kind, request, "it has no "+name+" header, or not exactly one", hint)
	case !equal([]byte(values[0]), endpoint.Secret):
		return unproved(kind, request, "its "+name+" header has another secret", hint)
	}
	return nil
}

// verifyNamed is verifyHeader, or verifyAuthorization where the header is that.
func verifyNamed(kind Type, endpoint Endpoint, request Request, name, hint string) error {
	if strings.EqualFold(name, "Authorization") {
		return verifyAuthorization(kind, endpoint, request, true, hint)
	}
	return verifyHeader(kind, endpoint, request, name, hint)
}

// verifyPath compares what follows the endpoint in the address with the secret.
func verifyPath(kind Type, endpoint Endpoint, request Request) error {
	const hint = "give the sender the address that boatlift hooks setup shows"
	switch {
	case len(endpoint.Secret) == 0:
		return unproved(kind, request, "the endpoint has no secret", "")
	case request.Path == "":
		return unproved(kind, request, "its address ends with the endpoint's name, and has no secret after it", hint)
	case !equal([]byte(request.Path), endpoint.Secret):
		return unproved(kind, request, "its address has another secret", hint)
	}
	return nil
}

// verifyQuery compares the address's access_token with the secret.
func verifyQuery(kind Type, endpoint Endpoint, request Request) error {
	const hint = "give the sender the address that boatlift hooks setup shows"
	values := request.Query["access_token"]
	switch {
	case len(endpoint.Secret) == 0:
		return unproved(kind, request, "the endpoint has no secret", "")
	case len(values) != 1:
		return unproved(kind, request, "its address has no access_token, or not exactly one", hint)
	case !equal([]byte(values[0]), endpoint.Secret):
		return unproved(kind, request, "its address has another access_token", hint)
	}
	return nil
}

// verifyMAC compares a header with the hexadecimal HMAC of what was signed, after a prefix.
func verifyMAC(kind Type, endpoint Endpoint, request Request, name, prefix string, algorithm func() hash.Hash, signed []byte) error {
	hint := "set the webhook's secret to the secret of this registry"
	if len(endpoint.Secret) == 0 {
		return unproved(kind, request, "the endpoint has no secret", "")
	}
	values := request.Header.Values(name)
	if len(values) != 1 || values[0] == "" || !strings.HasPrefix(values[0], prefix) {
		return unproved(kind, request, "it has no "+name+" header, or not exactly one", hint)
	}
	mac := hmac.New(algorithm, endpoint.Secret)
	got, err := hex.DecodeString(values[0][len(prefix):])
	if err != nil || len(got) != mac.Size() {
		return unproved(kind, request, fmt.Sprintf("its %s header is not %s%d hexadecimal digits", name, andPrefix(prefix), 2*mac.Size()), hint)
	}
	mac.Write(signed)
	if !hmac.Equal(got, mac.Sum(nil)) {
		return unproved(kind, request, "its signature is not that of this body with the secret", hint)
	}
	return nil
}

func andPrefix(prefix string) string {
	if prefix == "" {
		return ""
	}
	return prefix + " and "
}

// equal compares in constant time. It compares hashes, so that not even the lengths show.
func equal(a, b []byte) bool {
	ha, hb := sha256.Sum256(a), sha256.Sum256(b)
	return subtle.ConstantTimeCompare(ha[:], hb[:]) == 1
}

// payload is the JSON of a webhook in GitHub's manner: the body, or of a form its field of that name. ok is false where a form
// has none.
func payload(request Request) (body []byte, ok bool) {
	contentType := request.Header.Get("Content-Type")
	if !strings.Contains(contentType, "form") { // saves parsing the usual one
		return request.Body, true
	}
	mediaType, _, err := mime.ParseMediaType(contentType)
	if err != nil || mediaType != "application/x-www-form-urlencoded" {
		return request.Body, true
	}
	form, err := url.ParseQuery(string(request.Body))
	if err != nil || !form.Has("payload") {
		return nil, false
	}
	return []byte(form.Get("payload")), true
}
