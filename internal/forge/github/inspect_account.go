package github

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/wire"
)

// soonOver is when a token that ends is worth a word.
const soonOver = 14 * 24 * time.Hour

func (a *account) inspect(ctx context.Context, _ string, tell func(forge.Finding)) {
	var self struct {
		Login string `json:"login"`
		ID    int64  `json:"id"`
	}
	response, err := a.ask(ctx, a.client(), "ask whose token it is", "user", &self)
	if err != nil {
		tell(trouble("the token", err))
		return
	}
	about := "the token of " + wire.Clean(self.Login, 100)
	tell(forge.Finding{About: about, Say: "it is right; what this account does counts as the bot's doing"})
	a.inspectScopes(about, response.Header, tell)
	a.inspectEnd(about, response.Header, tell)
	tell(forge.Finding{About: about, Say: "by a token the gate is a commit status of one line, which whoever may write could set, and lost webhooks are not sent again"})
	repos, err := a.repositories(ctx)
	switch {
	case err != nil:
		tell(trouble(about, err))
	case len(repos) == 0:
		tell(forge.Finding{About: about, Say: "it may write to no repository", Fix: "let the account write to the infra repositories, and look at repositories: of the forge in boatlift.yaml"})
	default:
		tell(forge.Finding{About: about, Say: fmt.Sprintf("it may write to %d repositories", len(repos))})
	}
}

// inspectScopes looks at what a classic token may do. A fine-grained one does not tell.
func (a *account) inspectScopes(about string, header http.Header, tell func(forge.Finding)) {
	if _, classic := header[http.CanonicalHeaderKey("X-OAuth-Scopes")]; !classic {
		tell(forge.Finding{About: about, Say: "it is a fine-grained one, and GitHub does not tell its permissions; it needs Contents, Pull requests and Commit statuses: write, Deployments: read"})
		return
	}
	var excess []string
	enough := false
	for scope := range strings.SplitSeq(header.Get("X-OAuth-Scopes"), ",") {
		switch scope = strings.TrimSpace(scope); {
		case scope == "":
		case scope == "repo":
			enough = true
		case !slices.Contains([]string{"public_repo", "repo:status", "repo_deployment", "read:org", "read:packages"}, scope):
			excess = append(excess, wire.Clean(scope, 50))
		}
	}
	if !enough {
		tell(forge.Finding{About: about, Say: "it lacks the scope repo", Fix: "make a token with that scope, and put it in the place of this one"})
	}
	if len(excess) > 0 {
		tell(forge.Finding{About: about, Say: "it has scopes that the bot has no use for: " + words(excess), Fix: "make a token with the scope repo alone, and put it in the place of this one"})
	}
}

// inspectEnd tells when the token ends.
func (a *account) inspectEnd(about string, header http.Header, tell func(forge.Finding)) {
	text := header.Get("GitHub-Authentication-Token-Expiration")
	if text == "" {
		return
	}
	for _, layout := range []string{"2006-01-02 15:04:05 MST", "2006-01-02 15:04:05 -0700"} {
		at, err := time.Parse(layout, text)
		if err != nil {
			continue
		}
		found := forge.Finding{About: about, Say: "it ends on " + at.UTC().Format("2 January 2006")}
		if at.Sub(a.clock()) < soonOver {
			found.Fix = "make a new one, and put it into the file of token: it is used without a restart"
		}
		tell(found)
		return
	}
}
