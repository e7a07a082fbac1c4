package registry

import (
	"encoding/json"
	"net/http"
)

// dockerhub is Docker Hub, which posts one object for every manifest that is pushed under a tag: several with the same tag for
// one image of several platforms. It signs nothing, so the secret is part of the address. The callback_url in its bodies is
// never called.
//
// Source: docker/docs content/manuals/docker-hub/repos/manage/webhooks.md; docker/hub-feedback #2131, #2148.
func dockerhub() Type {
	kind := Type{
		Name:    "dockerhub",
		Title:   "Docker Hub",
		Host:    "docker.io",
		Proof:   "a secret in the address",
		Lacks:   []string{"the digest", "an id of the delivery", "which of several deliveries is the whole image's"},
		Secrecy: func(Endpoint) Secrecy { return InPath },
		Looks: func(keys map[string]json.RawMessage, _ http.Header) bool {
			return has(keys, "push_data") && !has(inside(keys, "repository"), "repo_full_name")
		},
	}
	kind.Setup = setup(
		&kind,
		"At hub.docker.com, in each repository: Webhooks, New webhook.",
		"",
		"  Name:         boatlift",
		"  Webhook URL:  {url}",
		"",
		"The address is all that proves Docker Hub: keep it as you keep a password. It only sends pushes; there is no event to choose.",
	)
	kind.Verify = func(endpoint Endpoint, request Request) error { return verifyPath(kind, endpoint, request) }
	kind.Decode = func(endpoint Endpoint, request Request) (Decoded, error) {
		return decodeDockerHub(kind, endpoint, request)
	}
	return kind
}

func decodeDockerHub(kind Type, endpoint Endpoint, request Request) (Decoded, error) {
	var body struct {
		Push *struct {
			Tag       string `json:"tag"`
			At        moment `json:"pushed_at"` // seconds, with a fraction in older bodies
			MediaType text   `json:"media_type"`
		} `json:"push_data"`
		Repository *struct {
			RepoName  string  `json:"repo_name"`
			Namespace string  `json:"namespace"`
			Name      string  `json:"name"`
			Alibaba   *string `json:"repo_full_name"`
		} `json:"repository"`
	}
	if err := json.Unmarshal(request.Body, &body); err != nil {
		return Decoded{}, undecoded(kind, request, request.Body, explainJSON(err))
	}
	if body.Push == nil || body.Repository == nil {
		return Decoded{}, undecoded(kind, request, request.Body, "the body has no push_data and repository")
	}
	repository := body.Repository.RepoName
	if repository == "" && body.Repository.Namespace != "" && body.Repository.Name != "" {
		repository = body.Repository.Namespace + "/" + body.Repository.Name
	}
	if repository == "" || body.Repository.Alibaba != nil {
		return Decoded{}, undecoded(kind, request, request.Body, "the repository has no repo_name")
	}
	c := newCollector(endpoint)
	c.push(event{
		host: kind.Host, repository: repository, tag: body.Push.Tag, mediaType: string(body.Push.MediaType), time: body.Push.At.Time,
	})
	return c.result(""), nil
}
