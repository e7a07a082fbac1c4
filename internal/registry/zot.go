package registry

import (
	"encoding/json"
	"net/http"
	"strings"
)

// zot is the zot registry, which posts CloudEvents in binary mode: the attributes are headers. Each carries the whole
// manifest. The prefix of the type can be configured there, so its end is what counts. It posts once.
//
// Source: project-zot/zot pkg/extensions/events/; zotregistry.dev "Event Support for zot".
func zot() Type {
	kind := Type{
		Name:      "zot",
		Title:     "zot",
		NeedsHost: true,
		Proof:     "a secret in the Authorization header (Bearer, or the password of Basic)",
		Lacks:     []string{"the host", "redelivery", "an event where an unchanged tag is pushed again"},
		Looks: func(keys map[string]json.RawMessage, header http.Header) bool {
			return has(keys, "name", "reference", "digest", "manifest") || strings.HasPrefix(header.Get("Ce-Type"), "zotregistry.")
		},
	}
	kind.Setup = setup(
		&kind,
		"In zot's configuration file:",
		"",
		`  "extensions": {`,
		`    "events": {`,
		`      "enable": true,`,
		`      "sinks": [{`,
		`        "type": "http",`,
		`        "address": "{url}",`,
		`        "timeout": "10s",`,
		`        "credentials": {"token": "{secret}"}`,
		`      }]`,
		`    }`,
		`  }`,
		"",
		"It does not say where it is: set host: for this registry to the name that images have.",
	)
	kind.Verify = func(endpoint Endpoint, request Request) error {
		return verifyAuthorization(kind, endpoint, request, true, "set the credentials of the sink in zot's configuration to the secret of this registry")
	}
	kind.Decode = func(endpoint Endpoint, request Request) (Decoded, error) { return decodeZot(kind, endpoint, request) }
	return kind
}

func decodeZot(kind Type, endpoint Endpoint, request Request) (Decoded, error) {
	var e cloudEvent
	data := request.Body
	if binary(request.Header) {
		e = readBinary(request)
	} else { // through a bridge, which may make one of the other mode
		if err := json.Unmarshal(request.Body, &e); err != nil {
			return Decoded{}, undecoded(kind, request, request.Body, explainJSON(err))
		}
		found, why := e.data()
		if why != "" || e.Type == "" {
			return Decoded{}, undecoded(kind, request, request.Body, "neither the headers nor the body say the event's type (ce-type)")
		}
		data = found
	}
	var body struct {
		Name      *string `json:"name"`
		Reference string  `json:"reference"`
		Digest    text    `json:"digest"`
		MediaType text    `json:"mediaType"`
	}
	if err := json.Unmarshal(data, &body); err != nil {
		return Decoded{}, undecoded(kind, request, request.Body, explainJSON(err))
	}
	c := newCollector(endpoint)
	id := string(e.ID)
	name := string(e.Type)
	switch {
	case strings.HasSuffix(name, ".image.updated"):
	case strings.HasSuffix(name, ".image.deleted"), strings.HasSuffix(name, ".image.lint_failed"), strings.HasSuffix(name, ".image.scanned"), strings.HasSuffix(name, ".repository.created"):
		c.ignore("the event " + subject(name, "") + " is no push")
		return c.result(id), nil
	default:
		return Decoded{}, undecoded(kind, request, request.Body, "its type "+subject(name, "")+" is not one of zot's")
	}
	if body.Name == nil {
		return Decoded{}, undecoded(kind, request, request.Body, "the body has no name")
	}
	c.push(event{
		repository: *body.Name, tag: body.Reference, digest: string(body.Digest), mediaType: string(body.MediaType), time: e.Time.Time, id: id,
	})
	return c.result(id), nil
}
