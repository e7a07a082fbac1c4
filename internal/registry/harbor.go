package registry

import (
	"encoding/json"
	"net/http"
	"strings"
)

// harbor is Harbor's webhook, in its default format, that of 1.x, or as CloudEvents. One request tells of one artifact; of one
// that was pushed by digest it gives the digest for the tag. It proves itself by the "auth header" of the policy, which it
// sends as it is written. It tries three times and gives up after 3 seconds.
//
// Source: goharbor/harbor src/pkg/notifier/{formats,model,handler} and src/controller/event/handler/webhook/artifact.
func harbor() Type {
	kind := Type{
		Name:    "harbor",
		Title:   "Harbor",
		Proof:   "the policy's auth header, as Authorization",
		Lacks:   []string{"the media type", "all but one tag of an artifact with several", "an id of the delivery, but in the CloudEvents format"},
		Repeats: Briefly,
		Looks: func(keys map[string]json.RawMessage, header http.Header) bool {
			return has(keys, "event_data") || strings.HasPrefix(word(keys, "type"), "harbor.") || strings.HasPrefix(header.Get("Ce-Type"), "harbor.")
		},
	}
	kind.Setup = setup(
		&kind,
		"In each project: Webhooks, New webhook.",
		"",
		"  Notify type:     http",
		"  Payload format:  CloudEvents (it has an id for each event; Default is understood too)",
		"  Event type:      only Artifact pushed",
		"  Endpoint URL:    {url}",
		"  Auth header:     Bearer {secret}",
		"",
		"The auth header is sent as it is written; the secret alone will do as well.",
	)
	kind.Verify = func(endpoint Endpoint, request Request) error {
		return verifyAuthorization(kind, endpoint, request, true, "set the auth header of the project's webhook policy to the secret of this registry")
	}
	kind.Decode = func(endpoint Endpoint, request Request) (Decoded, error) {
		return decodeHarbor(kind, endpoint, request)
	}
	return kind
}

type harborData struct {
	Resources []struct {
		Digest text   `json:"digest"`
		Tag    string `json:"tag"`
		URL    string `json:"resource_url"` // registry/repository:tag or registry/repository@digest
	} `json:"resources"`
	Repository struct {
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
		FullName  string `json:"repo_full_name"`
	} `json:"repository"`
}

func decodeHarbor(kind Type, endpoint Endpoint, request Request) (Decoded, error) {
	var body struct {
		cloudEvent
		At  moment          `json:"occur_at"`
		Old json.RawMessage `json:"event_data"`
	}
	if binary(request.Header) {
		body.cloudEvent = readBinary(request)
	} else if err := json.Unmarshal(request.Body, &body); err != nil {
		return Decoded{}, undecoded(kind, request, request.Body, explainJSON(err))
	}
	name, data, at := string(body.Type), body.Old, body.At.Time
	if strings.HasPrefix(name, "harbor.") {
		found, why := body.data()
		if why != "" {
			return Decoded{}, undecoded(kind, request, request.Body, why)
		}
		data, at = found, body.Time.Time
	} else if name == "" || len(data) == 0 {
		return Decoded{}, undecoded(kind, request, request.Body, "the body has no type and event_data")
	}
	c := newCollector(endpoint)
	id := string(body.ID)
	switch name {
	case "PUSH_ARTIFACT", "pushImage", "harbor.artifact.pushed":
	default:
		if !json.Valid(data) {
			return Decoded{}, undecoded(kind, request, nil, "the body is not JSON, or cut off")
		}
		c.ignore("the event " + subject(name, "") + " is no push")
		return c.result(id), nil
	}
	var pushed harborData
	if err := json.Unmarshal(data, &pushed); err != nil {
		return Decoded{}, undecoded(kind, request, request.Body, explainJSON(err))
	}
	if len(pushed.Resources) == 0 {
		c.ignore("push to " + subject(pushed.Repository.FullName, "") + " names no artifact")
	}
	for _, r := range pushed.Resources {
		host, rest, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(r.URL, "https://"), "http://"), "/")
		repository := pushed.Repository.FullName
		if repository == "" && pushed.Repository.Namespace != "" {
			repository = pushed.Repository.Namespace + "/" + pushed.Repository.Name
		}
		if repository == "" {
			repository, _, _ = strings.Cut(rest, "@")
			if colon := strings.IndexByte(repository, ':'); colon >= 0 {
				repository = repository[:colon]
			}
		}
		c.push(event{host: host, repository: repository, tag: r.Tag, digest: string(r.Digest), time: at, id: id})
	}
	return c.result(id), nil
}
