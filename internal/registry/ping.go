package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/boatlift/boatlift/internal/image"
)

// Pong is what a registry says to somebody who only knocks.
type Pong struct {
	Took  time.Duration
	Clock time.Time // the registry's; zero where it does not tell
	// Login tells that it knows us. It is false where nobody asked for a login, and nothing says that one would be needed to read.
	Login bool
}

// Ping asks a registry, by its host as images name it, whether it is there and takes the credentials. The errors are those of Resolve.
func (c *Client) Ping(ctx context.Context, host string) (Pong, error) {
	canonical, err := image.NewName(host, "x/x")
	if err != nil {
		return Pong{}, err
	}
	repository, err := c.repository(canonical)
	if err != nil {
		return Pong{}, err
	}
	within, cancel := context.WithTimeoutCause(ctx, c.timeout, errSlow)
	defer cancel()
	begun := c.now()
	pong, err := c.knock(within, repository.Registry)
	if err != nil {
		return Pong{}, c.fault(within, canonical, "", err)
	}
	pong.Took = c.now().Sub(begun)
	return pong, nil
}

func (c *Client) knock(ctx context.Context, at name.Registry) (Pong, error) {
	who, err := c.keychain.Resolve(at)
	if err != nil {
		return Pong{}, fmt.Errorf("find the credentials of %s: %w", at.RegistryStr(), err)
	}
	config, err := who.Authorization()
	if err != nil {
		return Pong{}, fmt.Errorf("read the credentials of %s: %w", at.RegistryStr(), err)
	}
	known := config.Username != "" || config.RegistryToken != "" || config.IdentityToken != "" || config.Auth != ""
	way, err := transport.NewWithContext(ctx, at, who, transport.NewUserAgent(c.transport, c.agent), nil)
	var refused *transport.Error
	switch {
	case !known && errors.As(err, &refused) && refused.StatusCode == http.StatusUnauthorized:
		return Pong{}, nil // it wants a login of whoever knocks; what it lets anybody read is another matter
	case err != nil:
		return Pong{}, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at.Scheme()+"://"+at.RegistryStr()+"/v2/", http.NoBody)
	if err != nil {
		return Pong{}, err
	}
	answer, err := way.RoundTrip(request)
	if err != nil {
		return Pong{}, err
	}
	defer func() {
		_, _ = io.CopyN(io.Discard, answer.Body, 64<<10) // so that the connection can be used again
		_ = answer.Body.Close()
	}()
	clock, _ := http.ParseTime(answer.Header.Get("Date")) // zero where it does not tell
	if !known && answer.StatusCode == http.StatusUnauthorized {
		return Pong{Clock: clock}, nil
	}
	if err := transport.CheckError(answer, http.StatusOK); err != nil {
		return Pong{}, err
	}
	return Pong{Clock: clock, Login: known}, nil
}
