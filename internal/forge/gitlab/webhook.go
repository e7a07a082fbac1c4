package gitlab

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/boatlift/boatlift/internal/forge/wire"
)

const (
	maxWebhook = 25 << 20        // bytes; GitLab's own bound, of a push with all its commits
	window     = 5 * time.Minute // how far the clocks of sender and receiver may be apart
)

// signingPrefix is how a signing token begins.
const signingPrefix = "whsec_"

// signingKey is the key in a signing token: whsec_ and base64 of 32 bytes.
func signingKey(token []byte) ([]byte, error) {
	encoded, ok := bytes.CutPrefix(bytes.TrimSpace(token), []byte(signingPrefix))
	key, err := base64.StdEncoding.DecodeString(string(encoded))
	if !ok || err != nil || len(key) < 16 {
		return nil, errors.New("a signing token is not whsec_ and the key in base64, as GitLab shows it")
	}
	return key, nil
}

// Verify implements forge.Webhook. Where there is a signing token, the signature is demanded, and the plain secret proves nothing.
func (f *Forge) Verify(header http.Header, body []byte) error {
	if len(body) > maxWebhook {
		return fmt.Errorf("the event is longer than %d bytes", maxWebhook)
	}
	if f.signing != nil {
		if tokens := f.signing(); len(tokens) > 0 {
			return f.verifySignature(header, body, tokens)
		}
	}
	said := header.Values("X-Gitlab-Token")
	if len(said) != 1 {
		return errors.New("the event must have exactly one X-Gitlab-Token")
	}
	got := sha256.Sum256([]byte(said[0]))
	fits := 0
	if f.secrets != nil {
		for _, secret := range f.secrets() { // all are tried every time, so that the time taken tells nothing
			want := sha256.Sum256(secret)
			if len(secret) > 0 {
				fits |= subtle.ConstantTimeCompare(got[:], want[:])
			}
		}
	}
	if fits != 1 {
		return errors.New("X-Gitlab-Token is not the webhook's secret")
	}
	return nil
}

// verifySignature proves an event as Standard Webhooks does, https://github.com/standard-webhooks/standard-webhooks: by HMAC-SHA256 over its
// id, its moment and its body. While a token is rotated there are several signatures, and several tokens here.
func (f *Forge) verifySignature(header http.Header, body []byte, tokens [][]byte) error {
	for _, name := range []string{"Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"} {
		if values := header.Values(name); len(values) != 1 || values[0] == "" {
			return fmt.Errorf("the event must have exactly one %s, as a signing token is configured", strings.ToLower(name))
		}
	}
	id, stamp := header.Get("Webhook-Id"), header.Get("Webhook-Timestamp")
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return errors.New("webhook-timestamp is not a number of seconds")
	}
	fits := false
	for _, token := range tokens {
		key, err := signingKey(token)
		if err != nil {
			continue // what was put in place of a good one signs nothing
		}
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s.%s.", id, stamp)
		mac.Write(body)
		want := mac.Sum(nil)
		for _, one := range strings.Fields(header.Get("Webhook-Signature")) {
			version, encoded, _ := strings.Cut(one, ",")
			got, err := base64.StdEncoding.DecodeString(encoded)
			fits = version == "v1" && err == nil && hmac.Equal(got, want) || fits
		}
	}
	if !fits {
		return errors.New("webhook-signature does not fit the body and the signing token")
	}
	if apart := f.clock().Sub(time.Unix(seconds, 0)); apart > window || apart < -window {
		return fmt.Errorf("the event was signed %s from now, and five minutes are allowed: it is replayed, or a clock is wrong", apart.Abs().Round(time.Second))
	}
	return nil
}

// deliveryID is what a delivery is known again by. Repeated attempts share webhook-id, which older versions call Idempotency-Key. The event's
// UUID is shared by all hooks that one event is sent to; so the hook's and the body go with it.
func deliveryID(header http.Header, body []byte) string {
	for _, name := range []string{"Webhook-Id", "Idempotency-Key"} {
		if id := wire.Clean(header.Get(name), 100); id != "" {
			return id
		}
	}
	event := header.Get("X-Gitlab-Event-UUID")
	if event == "" {
		return "" // nothing tells a repetition from another event with the same words
	}
	sum := sha256.New()
	fmt.Fprintf(sum, "%s\n%s\n", event, header.Get("X-Gitlab-Webhook-UUID"))
	sum.Write(body)
	return hex.EncodeToString(sum.Sum(nil))
}
