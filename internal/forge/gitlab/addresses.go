package gitlab

import (
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
	at, err := wire.Base(base, "https://HOST or https://HOST/api/v4")
	if err != nil {
		return addresses{}, fmt.Errorf("gitlab: %w", err)
	}
	root := strings.TrimSuffix(strings.TrimRight(at.Path, "/"), "/api/v4")
	api := &url.URL{Scheme: at.Scheme, Host: at.Host, Path: root + "/api/v4/"}
	web := &url.URL{Scheme: at.Scheme, Host: at.Host, Path: root}
	return addresses{api: api, web: web.String(), mail: "users.noreply." + at.Hostname()}, nil
}
