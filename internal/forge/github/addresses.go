package github

import (
	"errors"
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
	api, err := url.Parse(base)
	switch {
	case err != nil:
		// The parser's error would quote the address, and the address may hold a password.
		return addresses{}, errors.New("github: the API's address is not a URL")
	case api.User != nil:
		return addresses{}, errors.New("github: the API's address must not hold credentials")
	case api.Host == "" || api.RawQuery != "" || api.Fragment != "":
		return addresses{}, fmt.Errorf("github: the API's address %q is not like https://HOST/api/v3", api.Redacted())
	case api.Scheme != "https" && (api.Scheme != "http" || !wire.Loopback(api.Hostname())):
		return addresses{}, fmt.Errorf("github: the API's address %q must be https, as tokens go there", api.Redacted())
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
		return addresses{}, fmt.Errorf("github: the API's address %q is not like https://HOST/api/v3", api.Redacted())
	}
	return addresses{
		api: at(api.Host, path+"/"), graphql: at(api.Host, root+"/api/graphql"), uploads: at(api.Host, root+"/api/uploads/"),
		web: at(api.Host, root).String(), mail: "users.noreply." + api.Hostname(),
	}, nil
}
