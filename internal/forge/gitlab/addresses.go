package gitlab

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/boatlift/boatlift/internal/forge/wire"
)

// addresses are where the parts of one GitLab are. A GitLab may live under a path of its host.
type addresses struct {
	api  *url.URL // of REST: ends with /api/v4/
	web  string   // of pages and git; ends without a slash
	mail string   // host of the accounts' mail addresses
}

// addressesOf checks the address of a GitLab, with or without /api/v4, and derives the others from it. They are never read from an answer,
// as tokens go there.
func addressesOf(base string) (addresses, error) {
	at, err := url.Parse(base)
	switch {
	case err != nil:
		// The parser's error would quote the address, and the address may hold a password.
		return addresses{}, errors.New("gitlab: the address is not a URL")
	case at.User != nil:
		return addresses{}, errors.New("gitlab: the address must not hold credentials")
	case at.Host == "" || at.RawQuery != "" || at.Fragment != "" || at.RawPath != "":
		return addresses{}, fmt.Errorf("gitlab: the address %q is not like https://HOST or https://HOST/api/v4", at.Redacted())
	case at.Scheme != "https" && (at.Scheme != "http" || !wire.Loopback(at.Hostname())):
		return addresses{}, fmt.Errorf("gitlab: the address %q must be https, as tokens go there", at.Redacted())
	}
	root := strings.TrimSuffix(strings.TrimRight(at.Path, "/"), "/api/v4")
	api := &url.URL{Scheme: at.Scheme, Host: at.Host, Path: root + "/api/v4/"}
	web := &url.URL{Scheme: at.Scheme, Host: at.Host, Path: root}
	return addresses{api: api, web: web.String(), mail: "users.noreply." + at.Hostname()}, nil
}
