package registry

import (
	"encoding/json"
	"net/http"
	"regexp"
)

// alibaba is Alibaba Cloud's container registry. Its triggers fire on tags that are new or moved. They sign nothing, so the
// secret is part of the address. Bodies name the region but not the registry: without a host it is taken for the personal
// edition's, and an instance of the enterprise edition has to be set.
//
// Source: Alibaba Cloud "Manage triggers" (doc-detail/60949).
func alibaba() Type {
	kind := Type{
		Name:    "alibaba-acr",
		Title:   "Alibaba Cloud Container Registry",
		Proof:   "a secret in the address",
		Lacks:   []string{"the host of an enterprise instance", "the time of the push, which is written without a zone", "the media type", "an id of the delivery"},
		Secrecy: func(Endpoint) Secrecy { return InPath },
		Looks: func(keys map[string]json.RawMessage, _ http.Header) bool {
			return has(keys, "push_data") && has(inside(keys, "repository"), "repo_full_name")
		},
	}
	kind.Setup = setup(
		&kind,
		"In the console of Container Registry, in each repository: Triggers, Create.",
		"",
		"  Name:         boatlift",
		"  Trigger URL:  {url}",
		"  Trigger:      All (or the tags that you promote)",
		"",
		"The address has to be https on port 443 with a public certificate. It is all that proves the registry: keep it as you keep",
		"a password. Set host: to the registry as your images name it; only the personal edition's registry.REGION.aliyuncs.com is",
		"known without that.",
	)
	kind.Verify = func(endpoint Endpoint, request Request) error { return verifyPath(kind, endpoint, request) }
	kind.Decode = func(endpoint Endpoint, request Request) (Decoded, error) {
		return decodeAlibaba(kind, endpoint, request)
	}
	return kind
}

var alibabaRegion = regexp.MustCompile(`^[a-z]{2}(-[a-z0-9]{1,20}){1,4}$`)

func decodeAlibaba(kind Type, endpoint Endpoint, request Request) (Decoded, error) {
	var body struct {
		Push *struct {
			Tag    string `json:"tag"`
			Digest text   `json:"digest"`
			At     moment `json:"pushed_at"`
		} `json:"push_data"`
		Repository *struct {
			FullName string `json:"repo_full_name"` // namespace and name have been seen to differ from it
			Region   text   `json:"region"`
		} `json:"repository"`
	}
	if err := json.Unmarshal(request.Body, &body); err != nil {
		return Decoded{}, undecoded(kind, request, request.Body, explainJSON(err))
	}
	if body.Push == nil || body.Repository == nil {
		return Decoded{}, undecoded(kind, request, request.Body, "the body has no push_data and repository")
	}
	if body.Repository.FullName == "" {
		return Decoded{}, undecoded(kind, request, request.Body, "the repository has no repo_full_name")
	}
	host := ""
	if region := string(body.Repository.Region); alibabaRegion.MatchString(region) {
		host = "registry." + region + ".aliyuncs.com"
	}
	c := newCollector(endpoint)
	c.push(event{
		host: host, repository: body.Repository.FullName, tag: body.Push.Tag, digest: string(body.Push.Digest), time: body.Push.At.Time,
	})
	return c.result(""), nil
}
