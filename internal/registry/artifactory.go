package registry

import (
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
)

// artifactory is JFrog Artifactory. Its header X-JFrog-Event-Auth holds the HMAC of the body if the webhook has "use secret for
// payload signing" on, and otherwise the secret itself; which of them is a setting, never tried out, so that nobody can choose
// the weaker. Images are often pulled through a virtual repository whose name differs from the one that was pushed to, which
// is what the alias setting is for.
//
// Source: JFrog "Webhooks", "Event Types", "Domain: docker"; the Terraform provider's use_secret_for_signing.
func artifactory() Type {
	kind := Type{
		Name:  "artifactory",
		Title: "JFrog Artifactory",
		Proof: "HMAC-SHA256 over the body in X-JFrog-Event-Auth, or the secret in it",
		Lacks: []string{"the time of the push", "the media type", "an id of the delivery", "the virtual repository", "the host, where no base URL is set"},
		Settings: []Setting{
			{
				Name: "mode", Says: "what X-JFrog-Event-Auth has: hmac (use secret for payload signing), or secret (the secret itself)", Example: "secret", Default: "hmac",
				Check: oneOf("hmac", "secret"),
			},
			aliasSetting("docker-local=docker"),
		},
		Looks: func(keys map[string]json.RawMessage, header http.Header) bool {
			return header.Get("X-Jfrog-Event-Auth") != "" || has(keys, "domain", "event_type") || has(keys, "repo_key", "event_type")
		},
	}
	kind.Setup = func(endpoint Endpoint, g Guide) string {
		sign := "on"
		if endpoint.Settings["mode"] == "secret" {
			sign = "off (better: on, and mode: hmac here)"
		}
		return setup(
			&kind,
			"In Administration, General, Webhooks: Create a WebHook.",
			"",
			"  Name:         boatlift",
			"  URL:          {url}",
			"  Secret token: {secret}",
			"  Use secret for payload signing: "+sign,
			"  Events:       Docker: Tag was pushed (for the local repositories that you push to)",
			"",
			"If images are pulled under another name than HOST/REPOSITORY/IMAGE, set alias: under settings:, like docker-local=docker for a",
			"virtual repository, or docker-local=. where the host stands for the repository.",
		)(endpoint, g)
	}
	kind.Verify = func(endpoint Endpoint, request Request) error {
		const header = "X-JFrog-Event-Auth"
		if endpoint.Settings["mode"] == "secret" {
			return verifyHeader(kind, endpoint, request, header, "set the webhook's secret, without payload signing; or set mode: hmac for this registry")
		}
		return verifyMAC(kind, endpoint, request, header, "", sha256.New, request.Body)
	}
	kind.Decode = func(endpoint Endpoint, request Request) (Decoded, error) {
		return decodeArtifactory(kind, endpoint, request)
	}
	return kind
}

type artifactoryData struct {
	Repository string `json:"repo_key"`
	Image      string `json:"image_name"`
	Tag        string `json:"tag"`
	SHA256     text   `json:"sha256"`
	Kind       text   `json:"image_type"`
	Event      string `json:"event_type"`
}

func decodeArtifactory(kind Type, endpoint Endpoint, request Request) (Decoded, error) {
	var body struct {
		Domain string          `json:"domain"`
		Data   json.RawMessage `json:"data"`
		Origin text            `json:"jpd_origin"`
		artifactoryData
	}
	if err := json.Unmarshal(request.Body, &body); err != nil {
		return Decoded{}, undecoded(kind, request, request.Body, explainJSON(err))
	}
	c := newCollector(endpoint)
	found := body.artifactoryData
	switch {
	case body.Event == "":
		return Decoded{}, undecoded(kind, request, request.Body, "the body has no event_type")
	case body.Domain == "" && (found.Repository == "" || found.Image == ""): // older releases send the data alone
		return Decoded{}, undecoded(kind, request, request.Body, "the body has neither a domain nor repo_key and image_name")
	case body.Domain != "" && body.Domain != "docker":
		c.ignore("the event " + subject(body.Event, "") + " of the domain " + subject(body.Domain, "") + " is no push of an image")
		return c.result(""), nil
	case body.Domain != "":
		found = artifactoryData{}
		if len(body.Data) == 0 {
			return Decoded{}, undecoded(kind, request, request.Body, "the body has no data")
		}
		if err := json.Unmarshal(body.Data, &found); err != nil {
			return Decoded{}, undecoded(kind, request, request.Body, "in its data, "+explainJSON(err))
		}
	}
	if body.Event != "pushed" {
		c.ignore("the event " + subject(body.Event, "") + " of " + subject(below(found.Repository, found.Image), found.Tag) + " is no push")
		return c.result(""), nil
	}
	switch strings.ToLower(string(found.Kind)) {
	case "", "docker", "oci":
	default:
		c.ignore("push of " + subject(found.Image, found.Tag) + " of the type " + subject(string(found.Kind), "") + " is no push of an image")
		return c.result(""), nil
	}
	if found.Repository == "" || found.Image == "" {
		return Decoded{}, undecoded(kind, request, request.Body, "the data has no repo_key and image_name")
	}
	e := event{tag: found.Tag}
	if at, err := url.Parse(string(body.Origin)); err == nil {
		e.host = at.Host
	}
	path := found.Repository
	if host, other, ok := alias(endpoint, found.Repository); ok {
		path = other
		if host != "" {
			e.host, e.ownHost = host, true
		}
	}
	e.repository = below(path, found.Image)
	if found.SHA256 != "" { // of the manifest's file
		e.digest = "sha256:" + strings.TrimPrefix(string(found.SHA256), "sha256:")
	}
	c.push(e)
	return c.result(""), nil
}
