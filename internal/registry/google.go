package registry

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/boatlift/boatlift/internal/trust"
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
		Name:    "google-artifact-registry",
		Title:   "Google Artifact Registry and gcr.io",
		Proof:   "a token of Google's for one service account and one audience (OIDC)",
		Lacks:   []string{"the media type"},
		Repeats: Lasting,
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
	if !strings.EqualFold(scheme, "Bearer") || !trust.LooksLikeToken(token) {
		return unproved(kind, request, "its Authorization header is not Bearer and a token", hint)
	}
	proved, err := endpoint.shelf.Verify(ctx, trust.Issuer{
		URL: endpoint.Settings["issuer"], Audience: endpoint.Settings["audience"], Keys: endpoint.Settings["jwks"],
	}, token)
	var unreached *trust.UnreachedError
	var wrong *trust.TokenError
	switch {
	case errors.As(err, &unreached):
		return &UndecidedError{Sender: kind.Name, Host: unreached.Host, Reason: unreached.Reason}
	case errors.As(err, &wrong) && wrong.Expired:
		return unproved(kind, request, wrong.Reason, "if that happens again and again, check the clock of this machine")
	case err != nil:
		return unproved(kind, request, err.Error(), hint)
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
