package registry

import (
	"context"
	"crypto"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
)

// google is Google's Artifact Registry and gcr.io, heard through the Pub/Sub topic gcr of the registry's project and a push
// subscription, wrapped or not. A push makes one message without a tag and one for each tag.
//
// A token (OpenID Connect) proves it. That Google signed it for our address proves nothing yet, since any service account can
// have such a token made: it has to be the one configured, and verified. The keys come from one configured address only.
//
// Source: Google Cloud "Configure Pub/Sub notifications" (Artifact Registry), "Push subscriptions", "Authentication for push
// subscriptions" (Pub/Sub).
func google() Type {
	kind := Type{
		Name:  "google-artifact-registry",
		Title: "Google Artifact Registry and gcr.io",
		Proof: "a token of Google's for one service account and one audience (OIDC)",
		Lacks: []string{"the media type"},
		Settings: []Setting{
			{Name: "audience", Says: "the audience set in the push subscription", Example: "https://boatlift.acme.io/hooks/google", Required: true},
			{Name: "email", Says: "the service account set in the push subscription", Example: "boatlift-push@acme-prod.iam.gserviceaccount.com", Required: true, Check: checkEmail},
			{Name: "issuer", Says: "who issues the tokens", Default: "https://accounts.google.com", Check: checkHTTPS},
			{Name: "jwks", Says: "where the issuer's keys are", Default: "https://www.googleapis.com/oauth2/v3/certs", Check: checkHTTPS},
		},
		Secrecy: func(Endpoint) Secrecy { return None },
		Reach:   func(endpoint Endpoint, at *url.URL) bool { return at.String() == endpoint.Settings["jwks"] },
		Looks:   looksLikeGoogle,
	}
	kind.Setup = func(endpoint Endpoint, g Guide) string {
		audience, email := endpoint.Settings["audience"], endpoint.Settings["email"]
		if audience == "" {
			audience = g.URL
		}
		if email == "" {
			email = "boatlift-push@PROJECT.iam.gserviceaccount.com"
		}
		account, _, _ := strings.Cut(email, "@")
		return setup(
			&kind,
			"With the gcloud CLI, in the project of the registry:",
			"",
			"  gcloud pubsub topics create gcr",
			"  gcloud iam service-accounts create "+account,
			"  gcloud pubsub subscriptions create boatlift --topic gcr \\",
			"    --push-endpoint '{url}' \\",
			"    --push-auth-service-account '"+email+"' \\",
			"    --push-auth-token-audience '"+audience+"' \\",
			"    --ack-deadline 30",
			"",
			"There is no secret. In boatlift.yaml, under settings: of this registry:",
			"",
			"  audience: "+audience,
			"  email: "+email,
			"",
			"The bot fetches Google's keys from "+endpoint.Settings["jwks"]+" and has to be able to.",
		)(endpoint, g)
	}
	kind.Prove = func(ctx context.Context, endpoint Endpoint, request Request) error {
		return proveGoogle(ctx, kind, endpoint, request)
	}
	kind.Decode = func(endpoint Endpoint, request Request) (Decoded, error) {
		return decodeGoogle(kind, endpoint, request)
	}
	return kind
}

func checkEmail(value string) error {
	if name, host, ok := strings.Cut(value, "@"); !ok || name == "" || host == "" || strings.ContainsAny(value, " <>,\"'\\") {
		return errors.New("it is no address of a service account")
	}
	return nil
}

func checkHTTPS(value string) error {
	if at, err := url.Parse(value); err != nil || at.Scheme != "https" || at.Host == "" || at.User != nil || at.Fragment != "" || at.String() != value {
		return errors.New("it is no https address")
	}
	return nil
}

func looksLikeGoogle(keys map[string]json.RawMessage, header http.Header) bool {
	switch {
	case header.Get("X-Goog-Pubsub-Message-Id") != "", has(keys, "message", "subscription"):
		return true
	case has(keys, "action") && (has(keys, "digest") || has(keys, "tag")):
		action := word(keys, "action")
		return action == "INSERT" || action == "DELETE"
	}
	return false
}

// maxToken is far above a token of Google's, which has about a kilobyte.
const maxToken = 16 << 10

func proveGoogle(ctx context.Context, kind Type, endpoint Endpoint, request Request) error {
	const hint = "set authentication of the push subscription to the service account and the audience of this registry"
	values := request.Header.Values("Authorization")
	if endpoint.shelf == nil || endpoint.Settings["audience"] == "" || endpoint.Settings["email"] == "" {
		return unproved(kind, request, "the endpoint is not configured", "")
	}
	if len(values) != 1 {
		return unproved(kind, request, "it has no Authorization header, or not exactly one", hint)
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") || len(token) > maxToken || strings.Count(token, ".") != 2 || strings.HasPrefix(token, "{") {
		return unproved(kind, request, "its Authorization header is not Bearer and a token", hint)
	}
	keys := &keySet{shelf: endpoint.shelf, address: endpoint.Settings["jwks"]}
	verifier := oidc.NewVerifier(endpoint.Settings["issuer"], keys, &oidc.Config{
		ClientID: endpoint.Settings["audience"], SupportedSigningAlgs: []string{oidc.RS256}, Now: endpoint.Now,
	})
	proved, err := verifier.Verify(ctx, token)
	var unreached *unreachedError
	var expired *oidc.TokenExpiredError
	switch {
	case errors.As(keys.err, &unreached):
		return &UndecidedError{Sender: kind.Name, Host: unreached.host, Reason: unreached.reason}
	case keys.err != nil:
		return &UndecidedError{Sender: kind.Name, Host: hostOf(keys.address), Reason: "it was not waited for"}
	case errors.As(err, &expired):
		return unproved(kind, request, "its token has expired", "if that happens again and again, check the clock of this machine")
	case err != nil:
		return unproved(kind, request, explainToken(endpoint, token, keys.verified), hint)
	}
	var claims struct {
		Email    string `json:"email"`
		Verified any    `json:"email_verified"`
	}
	if err := proved.Claims(&claims); err != nil {
		return unproved(kind, request, "its token's claims are not understood", hint)
	}
	if !strings.EqualFold(claims.Email, endpoint.Settings["email"]) {
		return unproved(kind, request, "its token is for another account, "+clip(fmt.Sprintf("%+q", claims.Email)), hint)
	}
	if verified, ok := claims.Verified.(bool); !ok || !verified {
		return unproved(kind, request, "its token's account is not verified", hint)
	}
	return nil
}

// explainToken says why a token is not accepted, from its claims, which only then are believed enough to be repeated when the
// issuer has signed them.
func explainToken(endpoint Endpoint, token string, signed bool) string {
	if !signed {
		return "its token is not signed by " + endpoint.Settings["issuer"]
	}
	var claims struct {
		Issuer   string `json:"iss"`
		Audience any    `json:"aud"`
	}
	_, rest, _ := strings.Cut(token, ".")
	rest, _, _ = strings.Cut(rest, ".")
	text, err := base64.RawURLEncoding.DecodeString(rest)
	if err != nil || json.Unmarshal(text, &claims) != nil {
		return "its token's claims are not understood"
	}
	audience := []any{claims.Audience}
	if list, ok := claims.Audience.([]any); ok {
		audience = list
	}
	if !slices.Contains(audience, any(endpoint.Settings["audience"])) {
		return "its token is for another audience, " + clip(fmt.Sprintf("%+q", fmt.Sprint(audience...)))
	}
	return "its token is not valid now, or of another issuer, " + clip(fmt.Sprintf("%+q", claims.Issuer))
}

// keySet is the issuer's keys, for one token. It implements oidc.KeySet; the library's own would fetch them again for every
// token with a key that does not exist.
type keySet struct {
	shelf    *shelf
	address  string
	err      error // why there are no keys
	verified bool
}

// VerifySignature checks the signature with the key that the token names. The algorithm has been checked before.
func (k *keySet) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	var head struct {
		Key string `json:"kid"`
	}
	first, _, _ := strings.Cut(token, ".")
	text, err := base64.RawURLEncoding.DecodeString(first)
	if err != nil || json.Unmarshal(text, &head) != nil {
		return nil, errors.New("the token's head is not understood")
	}
	found, err := k.shelf.get(ctx, k.address, parseKeys, func(keys any) bool {
		return keys.(map[string]crypto.PublicKey)[head.Key] != nil
	})
	if err != nil {
		k.err = err
		return nil, err
	}
	key := found.(map[string]crypto.PublicKey)[head.Key]
	if key == nil {
		return nil, errors.New("the issuer has no such key")
	}
	payload, err := (&oidc.StaticKeySet{PublicKeys: []crypto.PublicKey{key}}).VerifySignature(ctx, token)
	k.verified = err == nil
	return payload, err
}

// parseKeys reads a JSON Web Key Set; of it the RSA keys, by their ids.
func parseKeys(body []byte) (any, error) {
	var set struct {
		Keys []struct {
			Kind string `json:"kty"`
			ID   string `json:"kid"`
			N    string `json:"n"`
			E    string `json:"e"`
		} `json:"keys"`
	}
	if json.Unmarshal(body, &set) != nil {
		return nil, errors.New("its answer is no set of keys")
	}
	keys := map[string]crypto.PublicKey{}
	for _, one := range set.Keys {
		n, errN := base64.RawURLEncoding.DecodeString(one.N)
		e, errE := base64.RawURLEncoding.DecodeString(one.E)
		const least, most = 2048, 8192
		if one.Kind != "RSA" || one.ID == "" || errN != nil || errE != nil || len(e) == 0 || len(e) > 4 || len(n)*8 < least || len(n)*8 > most {
			continue
		}
		key := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
		if key.N.BitLen() >= least && key.E >= 3 && key.E%2 == 1 {
			keys[one.ID] = key
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("its answer has no usable key")
	}
	return keys, nil
}

// googleMessage is what the registry publishes: complete references, of which the tag is missing where only a manifest was
// pushed, and the digest where only a tag was removed.
type googleMessage struct {
	Action string `json:"action"`
	Digest text   `json:"digest"`
	Tag    string `json:"tag"`
}

func decodeGoogle(kind Type, endpoint Endpoint, request Request) (Decoded, error) {
	var body struct {
		Message *struct {
			Data    *string `json:"data"`
			ID      text    `json:"messageId"`
			OldID   text    `json:"message_id"`
			Time    moment  `json:"publishTime"`
			OldTime moment  `json:"publish_time"`
		} `json:"message"`
		googleMessage
	}
	if err := json.Unmarshal(request.Body, &body); err != nil {
		return Decoded{}, undecoded(kind, request, request.Body, explainJSON(err))
	}
	c := newCollector(endpoint)
	found, id, at := body.googleMessage, request.Header.Get("X-Goog-Pubsub-Message-Id"), parseMoment(request.Header.Get("X-Goog-Pubsub-Publish-Time"))
	if message := body.Message; message != nil {
		id, at = string(message.ID), message.Time.Time
		if id == "" {
			id = string(message.OldID)
		}
		if at.IsZero() {
			at = message.OldTime.Time
		}
		found = googleMessage{}
		if message.Data == nil {
			return Decoded{}, undecoded(kind, request, request.Body, "the message has no data")
		}
		text, err := base64.StdEncoding.DecodeString(*message.Data)
		if err != nil {
			return Decoded{}, undecoded(kind, request, request.Body, "the message's data is not base64")
		}
		if err := json.Unmarshal(text, &found); err != nil {
			return Decoded{}, undecoded(kind, request, request.Body, "in the message's data, "+explainJSON(err))
		}
	}
	if found.Action == "" || found.Tag == "" && found.Digest == "" {
		return Decoded{}, undecoded(kind, request, request.Body, "the message has no action and tag or digest")
	}
	name, digest, _ := strings.Cut(string(found.Digest), "@")
	tag := ""
	if found.Tag != "" {
		tagged := found.Tag
		if colon := strings.LastIndexByte(tagged, ':'); colon > strings.LastIndexByte(tagged, '/') {
			tagged, tag = tagged[:colon], tagged[colon+1:]
		}
		if name != tagged {
			digest = "" // it is another image's
		}
		name = tagged
	}
	if found.Action != "INSERT" {
		c.ignore(subject(found.Action, "") + " of " + subject(name, tag) + " is no push")
		return c.result(id), nil
	}
	host, repository, _ := strings.Cut(name, "/")
	c.push(event{host: host, repository: repository, tag: tag, digest: digest, time: at, id: id})
	return c.result(id), nil
}
