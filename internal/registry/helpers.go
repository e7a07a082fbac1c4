package registry

import (
	"context"
	"fmt"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/boatlift/boatlift/internal/login"
)

// helpers log in to the registries of clouds, by host.
type helpers map[string]*login.Helper

// newHelpers makes one helper of a name for all its hosts.
func newHelpers(byHost map[string]string, now func() time.Time) (helpers, error) {
	made, all := map[string]*login.Helper{}, helpers{}
	for host, name := range byHost {
		canonical, err := canonicalHost(host)
		if err != nil {
			return nil, fmt.Errorf("credentials of a registry: %w", err)
		}
		if made[name] == nil {
			if made[name], err = login.New(name, login.Options{Now: now}); err != nil {
				return nil, fmt.Errorf("credentials of %s: %w", canonical, err)
			}
		}
		all[canonical] = made[name]
	}
	return all, nil
}

// Resolve implements authn.Keychain.
func (h helpers) Resolve(target authn.Resource) (authn.Authenticator, error) {
	return h.ResolveContext(context.Background(), target)
}

// ResolveContext implements authn.ContextKeychain. A failure is one: nobody is asked anonymously instead, who would only refuse.
func (h helpers) ResolveContext(ctx context.Context, target authn.Resource) (authn.Authenticator, error) {
	host, err := canonicalHost(target.RegistryStr())
	if err != nil {
		return authn.Anonymous, nil
	}
	helper := h[host]
	if helper == nil {
		return authn.Anonymous, nil
	}
	c, err := helper.Credential(ctx, host)
	if err != nil {
		return nil, err
	}
	return authn.FromConfig(authn.AuthConfig{Username: c.Username, Password: c.Password}), nil
}
