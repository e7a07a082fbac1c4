package login

import (
	"context"
	"net/http"
	"sync"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/google"
	"golang.org/x/oauth2"
)

func isGAR(host string) bool {
	host = bare(host)
	return host == "gcr.io" || endsWith(host, ".gcr.io", "-docker.pkg.dev")
}

// newGAR asks as whom Google's application default credentials name: a file, a federated identity, or the machine's service account. The
// authenticator renews its token by itself.
func newGAR(o Options) source {
	// The library keeps the context for later, so that it is one of its own; its requests end by the client's time.
	keep := context.WithValue(context.Background(), oauth2.HTTPClient, &http.Client{Transport: o.Transport, Timeout: getTimeout})
	var mu sync.Mutex
	var known authn.Authenticator
	return source{
		fits: isGAR,
		hint: "the bot must run as a service account that has roles/artifactregistry.reader, or GOOGLE_APPLICATION_CREDENTIALS must name its file",
		get: func(context.Context, string) (Credential, error) {
			mu.Lock()
			defer mu.Unlock()
			if known == nil {
				found, err := google.NewEnvAuthenticator(keep)
				if err != nil {
					return Credential{}, err
				}
				known = found
			}
			auth, err := known.Authorization()
			if err != nil {
				return Credential{}, err
			}
			// It does not say when it ends: it is asked again each minute, and answers from memory.
			return Credential{Username: auth.Username, Password: auth.Password, Expires: o.Now().Add(renewBefore + garFor)}, nil
		},
	}
}
