package github

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/boatlift/boatlift/internal/forge/wire"
)

// addresses are where the parts of one GitHub are. On github.com and in ghe.com's clouds the parts have hosts of their own; on an
// Enterprise Server they are paths of one.
// https://docs.github.com/en/enterprise-server/rest/using-the-rest-api/getting-started-with-the-rest-api
type addresses struct {
	api     *url.URL // of REST; ends with a slash
	graphql *url.URL
	uploads *url.URL // ends with a slash
	web     string   // of pages and git; ends without one
	mail    string   // host of the accounts' mail addresses
}

// addressesOf checks the root of the REST API and derives the others from it. They are never read from an answer, as tokens go there.
func addressesOf(base string) (addresses, error) {
	const like = "https://HOST/api/v3"
	api, err := wire.Base(base, like)
	if err != nil {
		return addresses{}, fmt.Errorf("github: %w", err)
	}
	at := func(host, path string) *url.URL { return &url.URL{Scheme: api.Scheme, Host: host, Path: path} }
	path := strings.TrimRight(api.Path, "/")
	if host, isCloud := strings.CutPrefix(api.Host, "api."); isCloud && path == "" { // api.github.com, api.SUB.ghe.com
		return addresses{
			api: at(api.Host, "/"), graphql: at(api.Host, "/graphql"), uploads: at("uploads."+host, "/"),
			web: at(host, "").String(), mail: "users.noreply." + at(host, "").Hostname(),
		}, nil
	}
	root, isServer := strings.CutSuffix(path, "/api/v3")
	if !isServer {
		return addresses{}, fmt.Errorf("github: the address %q is not like %s", api.Redacted(), like)
	}
	return addresses{
		api: at(api.Host, path+"/"), graphql: at(api.Host, root+"/api/graphql"), uploads: at(api.Host, root+"/api/uploads/"),
		web: at(api.Host, root).String(), mail: "users.noreply." + api.Hostname(),
	}, nil
}
