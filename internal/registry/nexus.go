package registry

import (
	"crypto/sha1"
	"encoding/json"
	"net/http"
	"strings"
)

// nexus is Sonatype Nexus Repository 3, whose webhook is a capability of one repository. A push makes events of components
// and of assets, in no reliable order; either is understood. It signs with HMAC-SHA1 over the body as it is sent, which is
// what it offers; HMAC does not suffer from SHA-1's collisions.
//
// Source: Sonatype help "Enabling A Repository Webhook Capability", "Example Headers And Payloads", "Working With HMAC
// Payloads".
func nexus() Type {
	kind := Type{
		Name:      "nexus",
		Title:     "Sonatype Nexus Repository 3",
		NeedsHost: true,
		Proof:     "HMAC-SHA1 over the body in X-Nexus-Webhook-Signature",
		Lacks:     []string{"the host", "the digest", "the media type"},
		Settings:  []Setting{aliasSetting("docker-hosted=nexus.acme.io:8082")},
		Looks: func(keys map[string]json.RawMessage, header http.Header) bool {
			return header.Get("X-Nexus-Webhook-Id") != "" || header.Get("X-Nexus-Webhook-Signature") != "" || has(keys, "repositoryName", "action")
		},
	}
	kind.Setup = setup(
		&kind,
		"In Administration, System, Capabilities: Create capability, Webhook: Repository; one for each Docker repository.",
		"",
		"  Repository:   the hosted Docker repository",
		"  Event types:  component",
		"  URL:          {url}",
		"  Secret key:   {secret}",
		"",
		"It does not say where it is: set host: for this registry to the name that images have, with the port of the repository's",
		"connector if it has one. If several repositories post here, set alias: under settings:, like",
		"docker-hosted=nexus.acme.io:8082,docker-dev=nexus.acme.io:8083; where paths tell repositories apart, docker-hosted=docker-hosted.",
	)
	kind.Verify = func(endpoint Endpoint, request Request) error {
		return verifyMAC(kind, endpoint, request, "X-Nexus-Webhook-Signature", "", sha1.New, request.Body)
	}
	kind.Decode = func(endpoint Endpoint, request Request) (Decoded, error) { return decodeNexus(kind, endpoint, request) }
	return kind
}

func decodeNexus(kind Type, endpoint Endpoint, request Request) (Decoded, error) {
	var body struct {
		Time       moment  `json:"timestamp"`
		Repository *string `json:"repositoryName"`
		Action     string  `json:"action"`
		Component  *struct {
			Format  string `json:"format"`
			Name    string `json:"name"`
			Version string `json:"version"`
		} `json:"component"`
		Asset *struct {
			Format string `json:"format"`
			Name   string `json:"name"` // v2/IMAGE/manifests/TAG
		} `json:"asset"`
	}
	if err := json.Unmarshal(request.Body, &body); err != nil {
		return Decoded{}, undecoded(kind, request, request.Body, explainJSON(err))
	}
	if body.Repository == nil || body.Component == nil && body.Asset == nil {
		return Decoded{}, undecoded(kind, request, request.Body, "the body has no repositoryName and component or asset")
	}
	c := newCollector(endpoint)
	id := request.Header.Get("X-Nexus-Webhook-Delivery")
	var format, name, tag string
	if body.Component != nil {
		format, name, tag = body.Component.Format, body.Component.Name, body.Component.Version
	} else {
		format = body.Asset.Format
		name = strings.TrimPrefix(strings.TrimPrefix(body.Asset.Name, "/"), "v2/")
		if cut := strings.LastIndex(name, "/manifests/"); cut >= 0 {
			name, tag = name[:cut], name[cut+len("/manifests/"):]
		} else if format == "docker" {
			c.ignore("the asset " + subject(body.Asset.Name, "") + " is no manifest")
			return c.result(id), nil
		}
	}
	switch {
	case format != "docker":
		c.ignore(subject(format, "") + " " + subject(name, tag) + " is no container image")
		return c.result(id), nil
	case body.Action != "CREATED" && body.Action != "UPDATED":
		c.ignore(subject(body.Action, "") + " of " + subject(name, tag) + " is no push")
		return c.result(id), nil
	}
	e := event{repository: name, tag: tag, time: body.Time.Time, id: id}
	if host, path, ok := alias(endpoint, *body.Repository); ok {
		e.repository = below(path, name)
		if host != "" {
			e.host, e.ownHost = host, true
		}
	}
	c.push(e)
	return c.result(id), nil
}
