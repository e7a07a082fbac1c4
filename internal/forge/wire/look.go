package wire

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
)

// Way is how a forge is reached.
type Way struct {
	Transport http.RoundTripper
	Address   string // what anybody may ask
	Timeout   time.Duration
	Clock     func() time.Time
	Why       func(error) string // the reason in an error of the transport's
	Wrong     string             // what comes of a clock that is wrong
}

// mostSkew is how far this machine's clock may be off before somebody is in danger: GitHub refuses what an App signs a minute ahead.
const mostSkew = 30 * time.Second

// Look tells how long a forge takes to answer, and whether both clocks agree. It is false where no answer came.
func Look(ctx context.Context, way Way, tell func(forge.Finding)) bool {
	asking, cancel := context.WithTimeout(ctx, way.Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(asking, http.MethodGet, way.Address, http.NoBody)
	if err != nil {
		tell(forge.Finding{About: "the forge", Say: "its address cannot be asked", Fix: "mend url of the forge in boatlift.yaml"})
		return false
	}
	about := request.URL.Hostname()
	request.Header.Set("User-Agent", "boatlift")
	begun := way.Clock()
	response, err := way.Transport.RoundTrip(request)
	if err != nil {
		tell(forge.Finding{About: about, Say: "no answer: " + way.Why(err), Fix: "see whether this machine reaches " + about + ": its name, a proxy (HTTPS_PROXY), a firewall, its certificate"})
		return false
	}
	_ = response.Body.Close()
	took := way.Clock().Sub(begun)
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
		About: "this machine's clock", Say: fmt.Sprintf("it is %s %s that of %s", skew.Abs().Round(time.Second), direction, about), Fix: "set it by NTP: " + way.Wrong,
	})
	return true
}

// Trouble is a finding that something could not be looked at, with what the error says to do.
func Trouble(about string, err error, otherwise string) forge.Finding {
	found := forge.Finding{About: about, Say: err.Error(), Fix: otherwise}
	var hinted interface{ Hint() string }
	if errors.As(err, &hinted) && hinted.Hint() != "" {
		found.Fix = hinted.Hint()
	}
	return found
}
