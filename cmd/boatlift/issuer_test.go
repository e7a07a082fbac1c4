package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/boatlift/boatlift/internal/trust/trusttest"
)

// runnerSecret is what the runner of a job gives it to ask for tokens with.
const runnerSecret = "runner-secret-of-the-job"

// issuer starts what stands for GitHub's issuer of tokens and for the runner of a job: at /token the job asks for a token of a repository,
// at a ref, for an audience; everywhere else are the keys.
func (p *play) issuer(_ context.Context, ts *testscript.TestScript, _ []string) error {
	t := p.env.T().(testing.TB)
	signer := trusttest.New(t, "")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		switch {
		case r.URL.Path != "/token":
			signer.ServeHTTP(w, r)
		case r.Header.Get("Authorization") != "Bearer "+runnerSecret:
			w.WriteHeader(http.StatusForbidden)
		default:
			claims := signer.GitHub(q.Get("audience"), q.Get("repository"), q.Get("ref"), time.Now())
			_ = json.NewEncoder(w).Encode(map[string]any{"count": 1, "value": signer.Sign(t, claims)})
		}
	}))
	p.env.Defer(server.Close)
	signer.URL = server.URL
	ts.Setenv("ISSUER", server.URL)
	ts.Setenv("GITHUB_ACTIONS", "true")
	ts.Setenv(requestURLVariable, server.URL+"/token?repository=acme/shop&ref=refs/heads/main")
	ts.Setenv(requestTokenVariable, runnerSecret)
	return nil
}
