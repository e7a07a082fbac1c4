package registry

import (
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
)

// gitea is the package registry of Gitea and Forgejo, heard through a webhook of an organisation, a user, a repository or the
// whole instance. They send GitHub's headers besides their own. Without a secret the signature's header is there and empty.
// They post once and give up after 5 seconds.
//
// Source: go-gitea/gitea services/webhook/deliver.go, notifier.go, modules/structs/{hook,package}.go,
// routers/api/packages/container/manifest.go.
func gitea() Type {
	kind := Type{
		Name:  "gitea",
		Title: "Gitea and Forgejo",
		Proof: "HMAC-SHA256 over the payload in X-Gitea-Signature",
		Lacks: []string{"the digest", "the media type", "upper case in tags: V1.2-RC1 comes as v1.2-rc1", "redelivery by itself"},
		Looks: func(keys map[string]json.RawMessage, header http.Header) bool {
			return header.Get("X-Gitea-Event") != "" || header.Get("X-Forgejo-Event") != "" ||
				has(keys, "package", "action") && has(inside(keys, "package"), "type", "version")
		},
	}
	kind.Setup = setup(
		&kind,
		"In the settings of the organisation (or user) that owns the packages: Webhooks, Add webhook, Gitea (or Forgejo).",
		"",
		"  Target URL:      {url}",
		"  HTTP method:     POST",
		"  Content type:    application/json",
		"  Secret:          {secret}",
		"  Trigger on:      Custom events: only Package",
		"",
		"If the bot has a private address, allow it in app.ini: [webhook] ALLOWED_HOST_LIST. The test delivery there is a git push; it",
		"shows here as ignored, with the reason.",
	)
	kind.Verify = func(endpoint Endpoint, request Request) error {
		// Of a form, the field is signed, not the form.
		body, ok := payload(request)
		if !ok {
			return unproved(kind, request, "the form has no payload field", "set the webhook's content type to application/json")
		}
		name := "X-Gitea-Signature"
		if len(request.Header.Values(name)) == 0 && len(request.Header.Values("X-Forgejo-Signature")) > 0 {
			name = "X-Forgejo-Signature"
		}
		return verifyMAC(kind, endpoint, request, name, "", sha256.New, body)
	}
	kind.Decode = func(endpoint Endpoint, request Request) (Decoded, error) { return decodeGitea(kind, endpoint, request) }
	return kind
}

func decodeGitea(kind Type, endpoint Endpoint, request Request) (Decoded, error) {
	body, ok := payload(request)
	if !ok {
		return Decoded{}, undecoded(kind, request, nil, "the form has no payload field")
	}
	c := newCollector(endpoint)
	id, name := request.Header.Get("X-Gitea-Delivery"), request.Header.Get("X-Gitea-Event")
	if id == "" {
		id = request.Header.Get("X-Forgejo-Delivery")
	}
	if name == "" {
		name = request.Header.Get("X-Forgejo-Event")
	}
	if name != "" && name != "package" {
		if !json.Valid(body) {
			return Decoded{}, undecoded(kind, request, nil, "the body is not JSON, or cut off")
		}
		c.ignore("the event " + subject(name, "") + " says nothing about packages; only package is needed")
		return c.result(id), nil
	}
	var all struct {
		Action  string `json:"action"`
		Package *struct {
			Type    string `json:"type"`
			Name    string `json:"name"`
			Version string `json:"version"`
			URL     text   `json:"html_url"`
			Created moment `json:"created_at"`
			Owner   struct {
				Login string `json:"login"`
			} `json:"owner"`
		} `json:"package"`
	}
	if err := json.Unmarshal(body, &all); err != nil {
		return Decoded{}, undecoded(kind, request, body, explainJSON(err))
	}
	found := all.Package
	if found == nil || found.Type == "" {
		return Decoded{}, undecoded(kind, request, body, "the body has no package with a type")
	}
	switch {
	case !strings.EqualFold(found.Type, "container"):
		c.ignore(subject(found.Type, "") + " package " + subject(found.Name, "") + " is no container image")
	case all.Action != "created":
		c.ignore(subject(all.Action, "") + " of " + subject(found.Name, found.Version) + " is no push")
	case found.Owner.Login == "":
		return Decoded{}, undecoded(kind, request, body, "the package has no owner")
	default:
		host := ""
		if at, err := url.Parse(string(found.URL)); err == nil {
			host = at.Host
		}
		c.push(event{host: host, repository: found.Owner.Login + "/" + found.Name, tag: found.Version, time: found.Created.Time, id: id})
	}
	return c.result(id), nil
}
