package registry

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// quay is Quay and Quay.io, heard through a repository's notification "Push to Repository". A body names no event and no
// time, so only its fields tell it from other notifications. It signs nothing, so the secret is part of the address. After
// three failures in a row Quay switches a notification off without a word.
//
// Source: Red Hat Quay "Repository Notifications"; quay/quay notifications/, workers/notificationworker/.
func quay() Type {
	kind := Type{
		Name:    "quay",
		Title:   "Quay",
		Proof:   "a secret in the address",
		Lacks:   []string{"the digest", "the time of the push", "the media type", "an id of the delivery", "which event it is"},
		Repeats: Briefly,
		Secrecy: func(Endpoint) Secrecy { return InPath },
		Looks: func(keys map[string]json.RawMessage, _ http.Header) bool {
			return has(keys, "docker_url", "repository") || has(keys, "updated_tags")
		},
	}
	kind.Setup = setup(
		&kind,
		"In each repository: Settings, Events and notifications, Create notification.",
		"",
		"  When this event occurs:    Push to Repository",
		"  Then issue a notification: Webhook POST",
		"  Webhook URL:               {url}",
		"  POST body template:        leave it empty",
		"",
		"The address is all that proves Quay: keep it as you keep a password. If Quay could not deliver three times in a row it stops;",
		"enable the notification again there. Its test button shows here as ignored, with the reason.",
	)
	kind.Verify = func(endpoint Endpoint, request Request) error { return verifyPath(kind, endpoint, request) }
	kind.Decode = func(endpoint Endpoint, request Request) (Decoded, error) { return decodeQuay(kind, endpoint, request) }
	return kind
}

func decodeQuay(kind Type, endpoint Endpoint, request Request) (Decoded, error) {
	var body struct {
		Repository *string         `json:"repository"`
		URL        string          `json:"docker_url"` // host/namespace/name
		Tags       json.RawMessage `json:"updated_tags"`
		Pruned     json.RawMessage `json:"pruned_image_count"`
	}
	if err := json.Unmarshal(request.Body, &body); err != nil {
		return Decoded{}, undecoded(kind, request, request.Body, explainJSON(err))
	}
	if body.Repository == nil || body.URL == "" {
		return Decoded{}, undecoded(kind, request, request.Body, "the body has no repository and docker_url")
	}
	c := newCollector(endpoint)
	if len(body.Tags) == 0 {
		c.ignore("a notification about " + subject(*body.Repository, "") + " without updated_tags is no push")
		return c.result(""), nil
	}
	var tags []string
	if err := json.Unmarshal(body.Tags, &tags); err != nil {
		var byTag map[string]json.RawMessage // as in early versions, with the id of the image
		if json.Unmarshal(body.Tags, &byTag) != nil {
			return Decoded{}, undecoded(kind, request, request.Body, "updated_tags is no list of tags")
		}
		tags = slices.Sorted(maps.Keys(byTag))
	}
	if len(tags) == 0 {
		c.ignore("push to " + subject(*body.Repository, "") + " updated no tag")
	}
	if len(body.Pruned) > 0 && len(tags) == 2 && slices.Contains(tags, "latest") && slices.Contains(tags, "foo") {
		c.ignore("a test of the notification of " + subject(*body.Repository, "") + ": the address is right")
		return c.result(""), nil
	}
	// The address to pull from is right where name and repository disagree.
	host, repository, ok := strings.Cut(body.URL, "/")
	if !ok || repository == "" {
		repository = *body.Repository
	}
	for _, tag := range tags {
		c.push(event{host: host, repository: repository, tag: tag})
	}
	return c.result(""), nil
}
