package registry

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
)

// generic is any sender of CloudEvents: structured, binary, or a batch. There is no standard event for a pushed image; the
// convention understood without settings is that of Argo CD Image Updater,
//
//	{"type": "container.image.push", "source": "https://registry.acme.io",
//	 "data": {"registry": "registry.acme.io", "repository": "shop/web", "tag": "1.4.2", "digest": "sha256:…"}}
//
// and everything in it can be set: which types are pushes, and where in the data what stands. Where the data has no registry,
// the host of a source that is an address counts.
//
// Source: cloudevents/spec bindings/http-protocol-binding.md, http-webhook.md.
func generic() Type {
	const fields = "where it stands in the data, with dots between the levels"
	kind := Type{
		Name:    "cloudevents",
		Title:   "CloudEvents, from any sender",
		Proof:   "a secret in the Authorization header, or as access_token in the address's query",
		Methods: []string{http.MethodOptions},
		Settings: []Setting{
			{Name: "types", Says: "the events that are pushes, with * for any part; several with commas", Example: "com.amazon.ecr.*", Default: "container.image.push,container.image.pushed,com.amazon.ecr.image.push", Check: checkPatterns},
			{Name: "registry", Says: "the host: " + fields, Example: "image.host"},
			{Name: "repository", Says: "the repository: " + fields, Example: "image.name"},
			{Name: "tag", Says: "the tag: " + fields, Example: "image.tag"},
			{Name: "digest", Says: "the digest: " + fields, Example: "image.digest"},
			{Name: "mediaType", Says: "the media type: " + fields, Example: "image.type"},
			{Name: "origins", Says: "who may ask with OPTIONS whether it may post here without giving the secret; several with commas", Example: "eventgrid.azure.net"},
		},
		Looks: func(keys map[string]json.RawMessage, header http.Header) bool {
			return has(keys, "specversion") || header.Get("Ce-Specversion") != "" || strings.HasPrefix(header.Get("Content-Type"), "application/cloudevents")
		},
	}
	kind.Setup = setup(
		&kind,
		"Let the sender post CloudEvents 1.0, structured (application/cloudevents+json), binary or as a batch:",
		"",
		"  POST {url}",
		"  Authorization: Bearer {secret}",
		"  Content-Type: application/cloudevents+json",
		"",
		`  {"specversion": "1.0", "id": "a-new-one-for-each-push", "source": "https://registry.acme.io", "type": "container.image.push",`,
		`   "time": "2026-03-02T09:15:04Z", "datacontenttype": "application/json",`,
		`   "data": {"registry": "registry.acme.io", "repository": "shop/web", "tag": "1.4.2", "digest": "sha256:…"}}`,
		"",
		"A sender that cannot set a header puts ?access_token={secret} behind the address. For events of another form set types:,",
		"repository:, tag: … under settings:.",
	)
	kind.Verify = func(endpoint Endpoint, request Request) error {
		if verifyOrigin(endpoint, request) {
			return nil
		}
		const hint = "let the sender give this registry's secret as Authorization: Bearer …, or as access_token in the address's query"
		if request.Query.Has("access_token") {
			if len(request.Header.Values("Authorization")) > 0 {
				return unproved(kind, request, "it has both an Authorization header and an access_token", hint)
			}
			return verifyQuery(kind, endpoint, request)
		}
		return verifyAuthorization(kind, endpoint, request, false, hint)
	}
	kind.Answer = func(_ context.Context, _ Endpoint, request Request) (*Answer, error) {
		return answerOrigin(kind, request)
	}
	kind.Decode = func(endpoint Endpoint, request Request) (Decoded, error) {
		return decodeCloudEvents(kind, endpoint, request)
	}
	return kind
}

func checkPatterns(value string) error {
	for pattern := range strings.SplitSeq(value, ",") {
		if _, err := path.Match(strings.TrimSpace(pattern), ""); err != nil {
			return err
		}
	}
	return nil
}

func decodeCloudEvents(kind Type, endpoint Endpoint, request Request) (Decoded, error) {
	c := newCollector(endpoint)
	if contentType := strings.ToLower(request.Header.Get("Content-Type")); strings.HasPrefix(contentType, "application/cloudevents") {
		if format, _, _ := strings.Cut(contentType, ";"); strings.Contains(format, "+") && !strings.HasSuffix(strings.TrimSpace(format), "+json") {
			return Decoded{}, undecoded(kind, request, nil, "its format is "+subject(format, "")+"; only JSON is understood")
		}
	}
	if binary(request.Header) {
		e := readBinary(request)
		if err := c.cloudEvent(kind, request, &e, true); err != nil {
			return Decoded{}, err
		}
		return c.result(e.key()), nil
	}
	list, err := elements(request.Body)
	if err != nil {
		return Decoded{}, undecoded(kind, request, request.Body, explainJSON(err))
	}
	var keys []string
	for _, element := range list {
		var e cloudEvent
		err := json.Unmarshal(element, &e)
		if err != nil {
			err = undecoded(kind, request, request.Body, explainJSON(err))
		} else {
			err = c.cloudEvent(kind, request, &e, len(list) == 1)
		}
		if err != nil && len(list) == 1 {
			return Decoded{}, err
		} else if err != nil {
			c.ignore("an event of the batch is not understood: " + err.Error())
		}
		keys = append(keys, e.key())
	}
	if len(list) == 0 {
		c.ignore("the batch is empty")
	}
	return c.result(joinIDs(keys)), nil
}

// cloudEvent adds an event. Its error is a *DecodeError.
func (c *collector) cloudEvent(kind Type, request Request, e *cloudEvent, alone bool) error {
	name := string(e.Type)
	switch {
	case e.SpecVersion == "" || name == "" || e.ID == "":
		return undecoded(kind, request, request.Body, "it has no specversion, type and id, as every CloudEvent has")
	case !strings.HasPrefix(string(e.SpecVersion), "1."):
		return undecoded(kind, request, nil, "it is one of CloudEvents "+subject(string(e.SpecVersion), "")+"; only 1.0 is understood")
	}
	isPush := false
	for pattern := range strings.SplitSeq(c.endpoint.Settings["types"], ",") {
		if ok, err := path.Match(strings.TrimSpace(pattern), name); err == nil && ok {
			isPush = true
		}
	}
	data, why := e.data()
	if !isPush {
		if alone && (strings.HasPrefix(name, "harbor.") || strings.HasPrefix(name, "Microsoft.") || strings.HasPrefix(name, "zotregistry.")) {
			return undecodedAs(kind, request, "its type is "+subject(name, ""))
		}
		if why == "" && !json.Valid(data) {
			return undecoded(kind, request, nil, "its data is not JSON, or cut off")
		}
		c.ignore("the event " + subject(name, "") + " is not one of types:")
		return nil
	}
	var found map[string]any
	if why == "" {
		if err := json.Unmarshal(data, &found); err != nil {
			why = "in its data, " + explainJSON(err)
		} else if found == nil {
			why = "its data is null"
		}
	}
	if why != "" {
		return undecoded(kind, request, request.Body, why)
	}
	read := reader{found, c.endpoint.Settings, nil}
	pushed := event{
		host:       read.field("registry", "registryUrl"),
		repository: read.field("repository", "repositoryName"),
		tag:        read.field("tag", "imageTag"),
		digest:     read.field("digest", "imageDigest"),
		mediaType:  read.field("mediaType"),
		time:       e.Time.Time, id: string(e.ID),
	}
	if len(read.odd) > 0 {
		return undecoded(kind, request, nil, "in its data, "+strings.Join(read.odd, " and ")+" is no text")
	}
	if pushed.repository == "" && pushed.tag == "" {
		return undecoded(kind, request, nil, "its data has no repository and no tag; set repository: and tag: under settings: to where they stand in it")
	}
	if pushed.host == "" && strings.Contains(string(e.Source), "://") {
		pushed.host = string(e.Source)
	}
	pushed.host = hostOf(pushed.host)
	c.push(pushed)
	return nil
}

// undecodedAs is undecoded for an event that is well formed and another sender's.
func undecodedAs(kind Type, request Request, reason string) error {
	other := kind
	other.Looks = nil // or every CloudEvent would be this type's
	return undecoded(other, request, request.Body, reason)
}

// hostOf takes the host out of an address; other text it leaves.
func hostOf(s string) string {
	if strings.Contains(s, "://") {
		at, err := url.Parse(s)
		if err != nil {
			return ""
		}
		return at.Host
	}
	return strings.TrimSuffix(s, "/")
}

// reader finds the fields of an event's data.
type reader struct {
	data     map[string]any
	settings map[string]string
	odd      []string // what is there and no text
}

// field is the text at the path set for name, or else of the first of name and its other names that is there.
func (r *reader) field(name string, others ...string) string {
	places := append([]string{name}, others...)
	if set := r.settings[name]; set != "" {
		places = []string{set}
	}
	for _, place := range places {
		var at any = r.data
		for step := range strings.SplitSeq(place, ".") {
			object, ok := at.(map[string]any)
			if !ok {
				at = nil
				break
			}
			at = object[step]
		}
		switch value := at.(type) {
		case string:
			if value != "" {
				return value
			}
		case nil:
		default:
			if name != "digest" && name != "mediaType" && !slices.Contains(r.odd, name) {
				r.odd = append(r.odd, name)
			}
		}
	}
	return ""
}
