package registry

import (
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/boatlift/boatlift/internal/image"
)

// ghcr is the GitHub Container Registry, heard through a webhook of a GitHub App, an organisation or a repository. GitHub
// sends each push as package, registry_package or both, one per manifest; only the one that carries a tag is of interest.
// A delivery is signed over its raw bytes, and its id stays the same when it is redelivered.
//
// Source: GitHub Docs "Webhook events and payloads" (package, registry_package), "Validating webhook deliveries".
func ghcr() Type {
	kind := Type{
		Name:  "ghcr",
		Title: "GitHub Container Registry",
		Host:  "ghcr.io",
		Proof: "HMAC-SHA256 over the body in X-Hub-Signature-256",
		Lacks: []string{"the time of the push", "all but one tag where several are put on one image", "redelivery by itself"},
		Looks: looksLikeHub,
	}
	kind.Setup = setup(
		&kind,
		"At github.com, in the settings of the organisation, of the repository that the package is linked to, or of a GitHub App:",
		"Webhooks, Add webhook.",
		"",
		"  Payload URL:   {url}",
		"  Content type:  application/json",
		"  Secret:        {secret}",
		"  Events:        Let me select individual events: only Packages (Registry packages tells the same once more)",
		"",
		"A forge that is configured with a GitHub App hears of packages through the App's own webhook: then set webhook: to the",
		"forge's name for this registry instead.",
	)
	kind.Verify = func(endpoint Endpoint, request Request) error { // the older SHA-1 header is not looked at
		return verifyMAC(kind, endpoint, request, "X-Hub-Signature-256", "sha256=", sha256.New, request.Body)
	}
	kind.Decode = func(endpoint Endpoint, request Request) (Decoded, error) { return decodeGHCR(kind, endpoint, request) }
	return kind
}

// looksLikeHub tells the webhooks of GitHub from those of Gitea and Forgejo, which send GitHub's headers too.
func looksLikeHub(keys map[string]json.RawMessage, header http.Header) bool {
	switch {
	case header.Get("X-Gitea-Event") != "" || header.Get("X-Forgejo-Event") != "":
		return false
	case has(keys, "package", "action") && !has(keys, "registry_package") && !has(inside(keys, "package"), "package_type"):
		return false
	}
	return has(keys, "registry_package") || has(keys, "package", "action") || has(keys, "zen", "hook_id") || header.Get("X-GitHub-Event") != ""
}

// hubPackage is the part of a package event that is used.
type hubPackage struct {
	Name        string `json:"name"`
	Namespace   string `json:"namespace"`
	PackageType string `json:"package_type"`
	Owner       struct {
		Login string `json:"login"`
	} `json:"owner"`
	Version *struct {
		Version   string `json:"version"` // the digest
		URL       string `json:"package_url"`
		Container struct {
			Tag struct {
				Name   string `json:"name"`
				Digest string `json:"digest"`
			} `json:"tag"`
			Manifest struct {
				Digest    string `json:"digest"`
				MediaType string `json:"media_type"`
			} `json:"manifest"`
		} `json:"container_metadata"`
	} `json:"package_version"`
}

func decodeGHCR(kind Type, endpoint Endpoint, request Request) (Decoded, error) {
	body, ok := payload(request)
	if !ok {
		return Decoded{}, undecoded(kind, request, nil, "the form has no payload field")
	}
	c := newCollector(endpoint)
	id := request.Header.Get("X-GitHub-Delivery")
	// The header says what it is; a copy that lost it is told by its fields.
	name := request.Header.Get("X-GitHub-Event")
	switch name {
	case "", "package", "registry_package":
	case "ping":
		if !json.Valid(body) {
			return Decoded{}, undecoded(kind, request, body, "the body is not JSON, or cut off")
		}
		c.ignore("ping: GitHub has found this endpoint, and its signature is right")
		return c.result(id), nil
	default:
		c.ignore("GitHub event " + subject(name, "") + " says nothing about packages; only registry_package is needed")
		return c.result(id), nil
	}
	var all struct {
		Action  string      `json:"action"`
		Package *hubPackage `json:"package"`
		Older   *hubPackage `json:"registry_package"`
		Zen     *string     `json:"zen"`
		HookID  *int64      `json:"hook_id"`
	}
	if err := json.Unmarshal(body, &all); err != nil {
		return Decoded{}, undecoded(kind, request, body, explainJSON(err))
	}
	found := all.Package
	if found == nil || (name == "registry_package" && all.Older != nil) {
		found = all.Older
	}
	switch {
	case found == nil && name == "" && all.Zen != nil && all.HookID != nil:
		c.ignore("ping: GitHub has found this endpoint, and its signature is right")
		return c.result(id), nil
	case found == nil:
		return Decoded{}, undecoded(kind, request, body, "the body has neither package nor registry_package")
	case found.PackageType == "":
		return Decoded{}, undecoded(kind, request, body, "the package has no package_type")
	}
	switch strings.ToLower(found.PackageType) {
	case "container", "docker":
	default:
		c.ignore(subject(found.PackageType, "") + " package " + subject(found.Name, "") + " is no container image")
		return c.result(id), nil
	}
	switch all.Action {
	case "published", "updated", "create", "created":
	default:
		c.ignore(subject(all.Action, "") + " of " + subject(found.Name, "") + " is no push")
		return c.result(id), nil
	}
	if found.Version == nil {
		return Decoded{}, undecoded(kind, request, body, "the package has no package_version")
	}
	container := found.Version.Container
	c.push(event{
		repository: hubRepository(found), tag: container.Tag.Name, mediaType: container.Manifest.MediaType, id: id,
		digest: firstDigest(container.Tag.Digest, container.Manifest.Digest, found.Version.Version),
	})
	return c.result(id), nil
}

// hubRepository is the path of the image below the host: as in the address that GitHub gives to pull from, else of the owner
// and the package's name. The owner comes in its original case, which image names never have.
func hubRepository(found *hubPackage) string {
	if ref, err := image.Parse(strings.TrimSuffix(found.Version.URL, ":")); err == nil && strings.Contains(found.Version.URL, "/") {
		if host, _, _ := strings.Cut(found.Version.URL, "/"); strings.Contains(host, ".") {
			return ref.Name.Repository()
		}
	}
	owner := found.Namespace
	if owner == "" {
		owner = found.Owner.Login
	}
	return strings.ToLower(owner + "/" + found.Name)
}

// firstDigest is the first valid of the places where a digest may be.
func firstDigest(candidates ...string) string {
	for _, s := range candidates {
		if _, err := image.ParseDigest(s); err == nil {
			return s
		}
	}
	return ""
}
