package github

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/boatlift/boatlift/internal/forge/wire"
)

// maxWebhook is the size above which GitHub sends no event.
const maxWebhook = 25 << 20

// Verify implements forge.Webhook. It demands the SHA-256 signature and never looks at the SHA-1 one; an event that GitHub says it
// sent for another App is refused too.
func (f *Forge) Verify(header http.Header, body []byte) error {
	if len(body) > maxWebhook {
		return fmt.Errorf("the event is longer than the %d bytes that GitHub sends at most", maxWebhook)
	}
	signatures := header.Values("X-Hub-Signature-256")
	if len(signatures) != 1 {
		return errors.New("the event must have exactly one X-Hub-Signature-256")
	}
	encoded, ok := strings.CutPrefix(signatures[0], "sha256=")
	if !ok || len(encoded) != hex.EncodedLen(sha256.Size) {
		return errors.New("X-Hub-Signature-256 is not sha256= and 64 hexadecimal digits")
	}
	got, err := hex.DecodeString(encoded)
	if err != nil {
		return errors.New("X-Hub-Signature-256 is not sha256= and 64 hexadecimal digits")
	}
	if !f.signed(got, body) {
		return errors.New("the signature does not fit the body and the webhook secret")
	}
	target := header.Get("X-Github-Hook-Installation-Target-Id")
	if f.appID != 0 && header.Get("X-Github-Hook-Installation-Target-Type") == "integration" && target != "" && target != strconv.FormatInt(f.appID, 10) {
		return fmt.Errorf("the event is for App %s, not for App %d", wire.Clean(target, 20), f.appID)
	}
	return nil
}

// signed tells whether one of the secrets made a signature. All are tried every time, so that the time taken tells nothing.
func (f *Forge) signed(signature, body []byte) bool {
	fits := false
	for _, secret := range f.secrets() {
		if len(secret) == 0 {
			continue // an empty key signs for anybody
		}
		mac := hmac.New(sha256.New, secret)
		mac.Write(body)
		fits = hmac.Equal(signature, mac.Sum(nil)) || fits
	}
	return fits
}
