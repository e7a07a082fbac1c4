package registry

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// distribution is the CNCF Distribution registry (docker-registry 2.x and 3.x), which posts envelopes of events with the
// headers that its configuration sets:
//
//	notifications:
//	  endpoints:
//	    - name: boatlift
//	      url: https://boatlift.acme.io/hooks/registry
//	      headers: {Authorization: [Bearer the-secret]}
//
// It repeats a request until it is answered with 2xx or 3xx, and sends nothing else meanwhile.
//
// Source: distribution/distribution docs/content/about/notifications.md and notifications/*.go.
func distribution() Type {
	kind := Type{
		Name:  "distribution",
		Title: "CNCF Distribution",
		Looks: func(keys map[string]json.RawMessage, header http.Header) bool {
			return has(keys, "events") || strings.HasPrefix(header.Get("Content-Type"), "application/vnd.docker.distribution.events.")
		},
	}
	kind.Verify = func(endpoint Endpoint, request Request) error { return verifyAuthorization(kind, endpoint, request) }
	kind.Decode = func(endpoint Endpoint, request Request) (Decoded, error) {
		return decodeEnvelope(kind, endpoint, request)
	}
	return kind
}

// gitlab is the container registry of a self-managed GitLab, a fork of Distribution that sends the same, set up by the
// administrator under registry['notifications'] in gitlab.rb. It is no webhook of a GitLab project.
//
// Source: docs.gitlab.com "Configure container registry notifications"; gitlab-org/container-registry !1203.
func gitlab() Type {
	kind := Type{
		Name:  "gitlab",
		Title: "GitLab container registry",
		Looks: func(map[string]json.RawMessage, http.Header) bool { return false }, // cannot be told from distribution
	}
	kind.Verify = func(endpoint Endpoint, request Request) error { return verifyAuthorization(kind, endpoint, request) }
	kind.Decode = func(endpoint Endpoint, request Request) (Decoded, error) {
		return decodeEnvelope(kind, endpoint, request)
	}
	return kind
}

// verifyAuthorization compares the Authorization header with "Bearer " and the secret, or with the secret alone where that
// has a scheme of its own ("Basic dXNlcjpwYXNz").
func verifyAuthorization(kind Type, endpoint Endpoint, request Request) error {
	values := request.Header.Values("Authorization")
	hint := "set headers: {Authorization: [Bearer …]} with this registry's secret in the sender's configuration"
	switch {
	case len(endpoint.Secret) == 0:
		return unproved(kind, request, "the endpoint has no secret", "")
	case len(values) == 0:
		return unproved(kind, request, "it has no Authorization header", hint)
	case len(values) > 1:
		return unproved(kind, request, "it has several Authorization headers", hint)
	}
	got, want := []byte(values[0]), endpoint.Secret
	if !bytes.ContainsRune(want, ' ') {
		const scheme = "Bearer "
		if len(got) < len(scheme) || !strings.EqualFold(string(got[:len(scheme)]), scheme) {
			return unproved(kind, request, "its Authorization header is not Bearer and a secret", hint)
		}
		got = got[len(scheme):]
	}
	if !equal(got, want) {
		return unproved(kind, request, "its Authorization header has another secret", hint)
	}
	return nil
}

// envelope is the part of the event format that is used. Unknown fields are expected: GitLab adds some, and so may others.
type envelope struct {
	Events []distributionEvent `json:"events"`
}

type distributionEvent struct {
	ID        string `json:"id"`
	Timestamp string `json:"timestamp"`
	Action    string `json:"action"`
	Target    struct {
		MediaType  string `json:"mediaType"`
		Digest     string `json:"digest"`
		Repository string `json:"repository"`
		Tag        string `json:"tag"`
	} `json:"target"`
	Request struct {
		Host string `json:"host"`
	} `json:"request"`
}

func decodeEnvelope(kind Type, endpoint Endpoint, request Request) (Decoded, error) {
	var all envelope
	if err := json.Unmarshal(request.Body, &all); err != nil {
		return decodeOneByOne(kind, endpoint, request, err)
	}
	if all.Events == nil {
		return Decoded{}, undecoded(kind, request, request.Body, "the body has no events")
	}
	c := newCollector(endpoint)
	if len(all.Events) == 0 {
		c.ignore("the envelope is empty")
	}
	for i := range all.Events {
		c.distribution(&all.Events[i])
	}
	return c.result(envelopeID(all.Events)), nil
}

// decodeOneByOne reads an envelope of which some event is not as expected, so that the others are not lost with it.
func decodeOneByOne(kind Type, endpoint Endpoint, request Request, cause error) (Decoded, error) {
	var raw struct {
		Events []json.RawMessage `json:"events"`
	}
	if json.Unmarshal(request.Body, &raw) != nil || raw.Events == nil {
		return Decoded{}, undecoded(kind, request, request.Body, explainJSON(cause))
	}
	c := newCollector(endpoint)
	events := make([]distributionEvent, len(raw.Events))
	for i, text := range raw.Events {
		if err := json.Unmarshal(text, &events[i]); err != nil {
			events[i] = distributionEvent{} // its id cannot be relied on either
			c.ignore("an event of the envelope is not understood: " + explainJSON(err))
			continue
		}
		c.distribution(&events[i])
	}
	return c.result(envelopeID(events)), nil
}

func (c *collector) distribution(e *distributionEvent) {
	if e.Action != "push" {
		action := e.Action
		if action == "" {
			action = "event without action"
		}
		c.ignore(subject(action, "") + " of " + subject(e.Target.Repository, e.Target.Tag) + " is no push")
		return
	}
	at, err := time.Parse(time.RFC3339Nano, e.Timestamp)
	if err != nil {
		at = time.Time{}
	}
	c.push(event{
		host: e.Request.Host, repository: e.Target.Repository, tag: e.Target.Tag, digest: e.Target.Digest,
		mediaType: e.Target.MediaType, time: at, id: e.ID,
	})
}

// envelopeID is the id of an envelope: that of its event, or a hash over those of several. It is empty where an event has
// none.
func envelopeID(events []distributionEvent) string {
	if len(events) == 1 {
		return events[0].ID
	}
	hash := sha256.New()
	for i := range events {
		if checkID(events[i].ID) == "" {
			return ""
		}
		hash.Write([]byte(events[i].ID))
		hash.Write([]byte{0})
	}
	if len(events) == 0 {
		return ""
	}
	return "sha256-" + hex.EncodeToString(hash.Sum(nil))
}

// has tells whether a body has all of the top-level fields.
func has(keys map[string]json.RawMessage, names ...string) bool {
	for _, name := range names {
		if _, ok := keys[name]; !ok {
			return false
		}
	}
	return true
}
