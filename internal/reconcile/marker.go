package reconcile

import (
	"bytes"
	"compress/flate"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"strings"

	"github.com/boatlift/boatlift/internal/promotion"
)

// marker is what a pull request's body carries so that the bot finds its own again without its database. Anybody who may edit the body can
// copy it, so it is signed together with the repository, and only ever believed for the branch that its release has.
type marker struct {
	ID      string            `json:"id"`
	Release promotion.Release `json:"release"`
}

const (
	markerStart = "<!-- boatlift:"
	markerEnd   = " -->"
)

func (m marker) sign(key []byte, repo promotion.RepoKey) string {
	text, err := json.Marshal(m)
	if err != nil {
		panic(err) // strings only
	}
	var packed bytes.Buffer
	w, _ := flate.NewWriter(&packed, flate.BestCompression) // the level is a right one
	if _, err := w.Write(text); err != nil {
		panic(err) // nothing in memory fails
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	payload := base64.RawURLEncoding.EncodeToString(packed.Bytes())
	return markerStart + payload + "." + base64.RawURLEncoding.EncodeToString(markerSum(key, repo, payload)) + markerEnd
}

func markerSum(key []byte, repo promotion.RepoKey, payload string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("boatlift marker 1\n" + string(repo) + "\n" + payload))
	return mac.Sum(nil)
}

// readMarker finds the last marker of a body and proves it.
func readMarker(key []byte, repo promotion.RepoKey, body string) (m marker, ok bool) {
	start := strings.LastIndex(body, markerStart)
	if start < 0 {
		return m, false
	}
	rest := body[start+len(markerStart):]
	text, _, found := strings.Cut(rest, markerEnd)
	payload, signature, signed := strings.Cut(text, ".")
	if !found || !signed {
		return m, false
	}
	given, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil || !hmac.Equal(given, markerSum(key, repo, payload)) {
		return m, false
	}
	packed, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		return marker{}, false
	}
	decoded, err := io.ReadAll(flate.NewReader(bytes.NewReader(packed)))
	if err != nil || json.Unmarshal(decoded, &m) != nil || len(m.Release.ID) < 12 {
		return marker{}, false
	}
	// The id is a hash of the content, so a marker whose parts do not belong together is not believed either.
	if promotion.NewRelease(m.Release.Environment, m.Release.App, m.Release.Changes).ID != m.Release.ID {
		return marker{}, false
	}
	return m, true
}

// trailerKey ends the message of each commit the bot makes, and names its release.
const trailerKey = "Boatlift-Release: "
