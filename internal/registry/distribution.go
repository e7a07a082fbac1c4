package registry

import (
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
		Name:    "distribution",
		Title:   "CNCF Distribution",
		Proof:   "a secret in the Authorization header",
		Lacks:   []string{"the public host, where the registry stands behind a proxy that changes Host"},
		Repeats: Lasting,
		Looks:   looksLikeEnvelope,
	}
	kind.Setup = setup(
		&kind,
		"In the registry's configuration file (config.yml):",
		"",
		"  notifications:",
		"    endpoints:",
		"      - name: boatlift",
		"        url: {url}",
		"        headers:",
		"          Authorization: [Bearer {secret}]",
		"        timeout: 5s",
		"        threshold: 5",
		"        backoff: 5s",
		"        ignore:",
		"          mediatypes: [application/octet-stream]",
		"          actions: [pull, mount]",
	)
	kind.Verify = func(endpoint Endpoint, request Request) error {
		return verifyAuthorization(kind, endpoint, request, false, envelopeHint)
	}
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
		Name:    "gitlab",
		Title:   "GitLab container registry",
		Proof:   "a secret in the Authorization header",
		Lacks:   []string{"the public host, where the registry stands behind a proxy that changes Host", "notifications on GitLab.com"},
		Repeats: Lasting,
		Looks:   looksLikeEnvelope, // cannot be told from distribution, which is found first
	}
	kind.Setup = setup(
		&kind,
		"In /etc/gitlab/gitlab.rb of a self-managed GitLab, then gitlab-ctl reconfigure:",
		"",
		"  registry['notifications'] = [",
		"    {",
		"      'name' => 'boatlift',",
		"      'url' => '{url}',",
		"      'timeout' => '5s',",
		"      'threshold' => 5,",
		"      'backoff' => '5s',",
		"      'headers' => {",
		"        'Authorization' => ['Bearer {secret}']",
		"      }",
		"    }",
		"  ]",
		"",
		"With the Helm chart the same goes under registry.notifications.endpoints. GitLab.com sends none of these.",
	)
	kind.Verify = func(endpoint Endpoint, request Request) error {
		return verifyAuthorization(kind, endpoint, request, false, envelopeHint)
	}
	kind.Decode = func(endpoint Endpoint, request Request) (Decoded, error) {
		return decodeEnvelope(kind, endpoint, request)
	}
	return kind
}

const envelopeHint = "set headers: {Authorization: [Bearer …]} with this registry's secret in the sender's configuration"

func looksLikeEnvelope(keys map[string]json.RawMessage, header http.Header) bool {
	return has(keys, "events") || strings.HasPrefix(header.Get("Content-Type"), "application/vnd.docker.distribution.events.")
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

func envelopeID(events []distributionEvent) string {
	ids := make([]string, len(events))
	for i := range events {
		ids[i] = events[i].ID
	}
	return joinIDs(ids)
}
