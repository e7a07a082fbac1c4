package github

import (
	"context"
	"net/http"

	gh "github.com/google/go-github/v60/github"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/wire"
)

// Inspect implements forge.Inspector.
func (f *Forge) Inspect(ctx context.Context, hook string, tell func(forge.Finding)) error {
	if f.inspectWay(ctx, tell) {
		f.entry.inspect(ctx, hook, tell)
	}
	return ctx.Err()
}

// inspectWay tells how long the API takes to answer, and whether both clocks agree. It is false where no answer came.
func (f *Forge) inspectWay(ctx context.Context, tell func(forge.Finding)) bool {
	return wire.Look(ctx, wire.Way{
		Transport: f.base, Address: f.at.api.String() + "meta", Timeout: requestTimeout, Clock: f.clock,
		Why:   func(err error) string { return f.errorOf("ask", err).Message },
		Wrong: "GitHub refuses what an App signs with a wrong time, and soak and freeze go by it",
	}, tell)
}

// trouble is a finding that something could not be looked at.
func trouble(about string, err error) forge.Finding {
	return wire.Trouble(about, err, "run this again; if it stays so, look at GitHub's status page")
}

// ask reads into a struct of our own, as go-github's drop what they do not know, or fail on it.
func (f *Forge) ask(ctx context.Context, client *gh.Client, doing, path string, into any) (*gh.Response, error) {
	request, err := client.NewRequest(http.MethodGet, path, nil)
	if err != nil {
		return nil, f.translate(doing, err)
	}
	response, err := client.Do(ctx, request, into)
	return response, f.translate(doing, err)
}
