package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	gh "github.com/google/go-github/v60/github"

	"github.com/boatlift/boatlift/internal/forge"
)

// mostSkew is how far this machine's clock may be off before an App is in danger: GitHub refuses its tokens when it is a minute ahead.
const mostSkew = 30 * time.Second

// Inspect implements forge.Inspector.
func (f *Forge) Inspect(ctx context.Context, hook string, tell func(forge.Finding)) error {
	if f.inspectWay(ctx, tell) {
		f.entry.inspect(ctx, hook, tell)
	}
	return ctx.Err()
}

// inspectWay tells how long the API takes to answer, and whether both clocks agree. It is false where no answer came.
func (f *Forge) inspectWay(ctx context.Context, tell func(forge.Finding)) bool {
	about := f.at.api.Hostname()
	asking, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(asking, http.MethodGet, f.at.api.String()+"meta", http.NoBody)
	if err != nil {
		tell(forge.Finding{About: about, Say: "its address cannot be asked", Fix: "mend url of the forge in boatlift.yaml"})
		return false
	}
	request.Header.Set("User-Agent", "boatlift")
	begun := f.clock()
	response, err := f.base.RoundTrip(request)
	if err != nil {
		why := f.errorOf("ask "+about, err)
		tell(forge.Finding{About: about, Say: "no answer: " + why.Message, Fix: "see whether this machine reaches " + about + ": its name, a proxy (HTTPS_PROXY), a firewall, its certificate"})
		return false
	}
	_ = response.Body.Close()
	took := f.clock().Sub(begun)
	tell(forge.Finding{About: about, Say: fmt.Sprintf("it answers after %s", took.Round(time.Millisecond))})
	theirs, err := http.ParseTime(response.Header.Get("Date"))
	if err != nil {
		return true
	}
	skew := begun.Add(took / 2).Sub(theirs.Add(500 * time.Millisecond)) // the header has whole seconds
	if skew.Abs() <= mostSkew {
		return true
	}
	direction := "ahead of"
	if skew < 0 {
		direction = "behind"
	}
	tell(forge.Finding{
		About: "this machine's clock", Say: fmt.Sprintf("it is %s %s that of %s", skew.Abs().Round(time.Second), direction, about),
		Fix: "set it by NTP: GitHub refuses what an App signs with a wrong time, and soak and freeze go by it",
	})
	return true
}

// trouble is a finding that something could not be looked at.
func trouble(about string, err error) forge.Finding {
	found := forge.Finding{About: about, Say: err.Error(), Fix: "run this again; if it stays so, look at GitHub's status page"}
	var hinted interface{ Hint() string }
	if errors.As(err, &hinted) && hinted.Hint() != "" {
		found.Fix = hinted.Hint()
	}
	return found
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
