package registry

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// acr is Azure Container Registry's own webhook: one event of Distribution's form without an envelope, one per manifest. It
// proves itself by a header that is set with the webhook, or by the address. It posts once and gives up after 5 seconds; Event
// Grid (acr-eventgrid) tries again.
//
// Source: MicrosoftDocs/azure-management-docs container-registry-webhook.md, container-registry-webhook-reference.md.
func acr() Type {
	kind := Type{
		Name:  "acr",
		Title: "Azure Container Registry (webhook)",
		Proof: "a secret in a header, or in the address",
		Lacks: []string{"redelivery: it posts once", "a second event where an unchanged tag is pushed again"},
		Settings: []Setting{
			{
				Name: "proof", Says: "where the secret is: header, or path for a webhook without headers", Example: "path", Default: "header",
				Check: oneOf("header", "path"),
			},
			{Name: "header", Says: "the header that has the secret", Example: "X-Boatlift-Secret", Default: "Authorization", Check: checkHeaderName},
		},
		Secrecy: proofSetting,
		Looks: func(keys map[string]json.RawMessage, _ http.Header) bool {
			return has(keys, "id", "timestamp", "action", "target") && !has(keys, "actor") // an event on its own
		},
	}
	kind.Setup = func(endpoint Endpoint, g Guide) string {
		header := []string{"    --headers '" + endpoint.Settings["header"] + "={secret}' \\"}
		if endpoint.Settings["header"] == "Authorization" {
			header = []string{"    --headers 'Authorization=Bearer {secret}' \\"}
		}
		if proofSetting(endpoint) == InPath {
			header = nil
		}
		lines := []string{"With the Azure CLI, for each registry (and each region of a geo-replicated one):", "", "  az acr webhook create --registry REGISTRY --name boatlift \\"}
		lines = append(append(lines, header...), "    --uri '{url}' \\", "    --actions push", "", "Its ping (az acr webhook ping --registry REGISTRY --name boatlift) shows here as ignored, with the reason.")
		return setup(&kind, lines...)(endpoint, g)
	}
	kind.Verify = func(endpoint Endpoint, request Request) error {
		if proofSetting(endpoint) == InPath {
			return verifyPath(kind, endpoint, request)
		}
		return verifyNamed(kind, endpoint, request, endpoint.Settings["header"], "set the header with: az acr webhook update --headers")
	}
	kind.Decode = func(endpoint Endpoint, request Request) (Decoded, error) { return decodeACR(kind, endpoint, request) }
	return kind
}

// proofSetting reads the setting of that name.
func proofSetting(endpoint Endpoint) Secrecy {
	switch endpoint.Settings["proof"] {
	case "path":
		return InPath
	case "query":
		return InQuery
	}
	return Shared
}

// acrEvent is the part of the event that is used. Event Grid sends the same as data.
type acrEvent struct {
	ID     text    `json:"id"`
	Time   moment  `json:"timestamp"`
	Action *string `json:"action"`
	Target *struct {
		MediaType  text   `json:"mediaType"`
		Digest     text   `json:"digest"`
		Repository string `json:"repository"`
		Tag        string `json:"tag"`
	} `json:"target"`
	Request struct {
		Host text `json:"host"`
	} `json:"request"`
}

func decodeACR(kind Type, endpoint Endpoint, request Request) (Decoded, error) {
	var body acrEvent
	if err := json.Unmarshal(request.Body, &body); err != nil {
		return Decoded{}, undecoded(kind, request, request.Body, explainJSON(err))
	}
	if body.Action == nil {
		return Decoded{}, undecoded(kind, request, request.Body, "the body has no action")
	}
	c := newCollector(endpoint)
	if *body.Action == "ping" {
		c.ignore("ping: the registry has found this endpoint")
		return c.result(string(body.ID)), nil
	}
	if body.Target == nil {
		return Decoded{}, undecoded(kind, request, request.Body, "the body has no target")
	}
	c.acr(&body, string(body.ID), body.Time.Time)
	return c.result(string(body.ID)), nil
}

func (c *collector) acr(e *acrEvent, id string, at time.Time) {
	if action := *e.Action; action != "push" {
		c.ignore(subject(action, "") + " of " + subject(e.Target.Repository, e.Target.Tag) + " is no push of an image")
		return
	}
	c.push(event{
		host: string(e.Request.Host), repository: e.Target.Repository, tag: e.Target.Tag, digest: string(e.Target.Digest),
		mediaType: string(e.Target.MediaType), time: at, id: id,
	})
}

// checkHeaderName refuses what is no name of a header.
func checkHeaderName(name string) error {
	if name == "" || len(name) > 100 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
		return errNoHeader
	}
	return nil
}
