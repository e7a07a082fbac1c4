package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/boatlift/boatlift/internal/image"
)

// Credential is how to log in to a registry: a user name with a password (or an access token in its place), or a bearer token
// that is sent as it is. It never prints what it holds.
type Credential struct {
	Username, Password string
	Token              string
	// Renewed gives the password as it is now, in place of Password; nil: that never changes. A login that was negotiated with an old one
	// is negotiated anew when it is refused.
	Renewed func() []byte
}

const redacted = "[redacted]"

func (Credential) String() string       { return redacted }
func (Credential) GoString() string     { return redacted }
func (Credential) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText keeps a credential out of JSON and the like.
func (Credential) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Options configure a Client; the zero value asks with what Docker's configuration has.
type Options struct {
	Credentials    map[string]Credential // by host, as images name it; before Docker's configuration
	Helpers        map[string]string     // by host: a cloud's own way to log in, a name of package login; before Docker's configuration
	NoDockerConfig bool                  // do not look at Docker's (Podman's) configuration and its credential helpers
	PlainHTTP      []string              // hosts that may be asked without TLS; localhost and 127.0.0.1 always may
	Timeout        time.Duration         // of one question, all its requests together; of one page when listing. 0: 20 s
	UserAgent      string
	Transport      http.RoundTripper // nil: one of its own
	Now            func() time.Time  // nil: time.Now
}

// Client asks registries. It is safe for concurrent use, remembers how to log in to each repository, and asks once: when to
// ask again is the caller's matter, by RetryAfter and Permanent of its errors.
type Client struct {
	credentials map[string]Credential
	keychain    authn.Keychain
	plain       map[string]bool
	timeout     time.Duration
	agent       string
	transport   http.RoundTripper
	now         func() time.Time
	facts       factsCache
	quotas      quotas

	mu      sync.Mutex
	pullers map[string]*puller // by host
}

// puller holds what was negotiated with one registry.
type puller struct {
	*remote.Puller
	since  time.Time
	logins logins
}

// NewClient checks the options. It asks nothing yet.
func NewClient(options Options) (*Client, error) {
	c := &Client{
		credentials: map[string]Credential{},
		plain:       map[string]bool{},
		timeout:     options.Timeout,
		agent:       options.UserAgent,
		now:         options.Now,
		pullers:     map[string]*puller{},
	}
	if c.timeout <= 0 {
		c.timeout = 20 * time.Second
	}
	if c.now == nil {
		c.now = time.Now
	}
	for host, credential := range options.Credentials {
		canonical, err := canonicalHost(host)
		if err != nil {
			return nil, fmt.Errorf("credentials of a registry: %w", err)
		}
		c.credentials[canonical] = credential
	}
	for _, host := range options.PlainHTTP {
		canonical, err := canonicalHost(host)
		if err != nil {
			return nil, fmt.Errorf("registry without TLS: %w", err)
		}
		c.plain[canonical] = true
	}
	helpers, err := newHelpers(options.Helpers, options.Now)
	if err != nil {
		return nil, err
	}
	chain := []authn.Keychain{staticKeychain(c.credentials), helpers}
	if !options.NoDockerConfig {
		chain = append(chain, authn.DefaultKeychain)
	}
	c.keychain = authn.NewMultiKeychain(chain...)
	inner := options.Transport
	if inner == nil {
		inner = &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			ForceAttemptHTTP2:      true,
			MaxIdleConnsPerHost:    8,
			IdleConnTimeout:        90 * time.Second,
			TLSHandshakeTimeout:    10 * time.Second,
			ResponseHeaderTimeout:  c.timeout,
			MaxResponseHeaderBytes: 64 << 10,
		}
	}
	c.transport = &guard{inner: inner, plainAllowed: c.plainAllowed, now: c.now, note: c.quotas.note}
	return c, nil
}

// CloseIdle closes connections that wait for another question.
func (c *Client) CloseIdle() {
	(&http.Client{Transport: c.transport.(*guard).inner}).CloseIdleConnections()
}

// Resolve asks which digest a tag has now. The errors are *NotFoundError, *UnauthorizedError and
// *UnavailableError, or wrap that of the context.
func (c *Client) Resolve(ctx context.Context, of image.Name, tag string) (image.Digest, error) {
	if err := image.CheckTag(tag); err != nil {
		return "", fmt.Errorf("resolve a tag of %s: %w", of, err)
	}
	var digest image.Digest
	err := c.ask(ctx, of, tag, func(ctx context.Context, pull *puller, repository name.Repository) error {
		head, err := pull.Head(ctx, repository.Tag(tag))
		if err == nil {
			digest, err = image.ParseDigest(head.Digest.String())
		}
		if err == nil || !worthGet(err) {
			return err
		}
		// Some registries refuse HEAD, or leave headers out of its answer.
		whole, err := pull.Get(ctx, repository.Tag(tag))
		if err != nil {
			return err
		}
		digest, err = image.ParseDigest(whole.Digest.String())
		return err
	})
	if err != nil {
		return "", err
	}
	return digest, nil
}

// worthGet tells whether GET may say more than a HEAD that failed so: not where no answer came, and not where the answer was
// clear.
func worthGet(err error) bool {
	var transported *url.Error
	var answer *transport.Error
	switch {
	case errors.As(err, &answer):
		return answer.StatusCode != http.StatusNotFound && answer.StatusCode != http.StatusUnauthorized && answer.StatusCode != http.StatusForbidden
	case errors.As(err, &transported):
		return false
	}
	return true
}

// ask runs one question within its time. Where the registry refuses a login that was negotiated a while ago, it negotiates
// and asks once more: passwords are rotated, and helpers give ones that expire.
func (c *Client) ask(ctx context.Context, of image.Name, reference string, question func(context.Context, *puller, name.Repository) error) error {
	repository, err := c.repository(of)
	if err != nil {
		return err
	}
	within, cancel := context.WithTimeoutCause(ctx, c.timeout, errSlow)
	defer cancel()
	pull, err := c.puller(of.Host(), nil)
	if err != nil {
		return err
	}
	err = question(within, pull, repository)
	if err == nil {
		return nil
	}
	fault := c.fault(within, of, reference, err)
	var unauthorized *UnauthorizedError
	if !errors.As(fault, &unauthorized) || c.now().Sub(pull.since) < time.Minute {
		return fault
	}
	if pull, err = c.puller(of.Host(), pull); err != nil {
		return err
	}
	if err := question(within, pull, repository); err != nil {
		return c.fault(within, of, reference, err)
	}
	return nil
}

// puller is what was negotiated with the host, anew where that is the stale one.
func (c *Client) puller(host string, stale *puller) (*puller, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if pull := c.pullers[host]; pull != nil && pull != stale {
		return pull, nil
	}
	inner, err := remote.NewPuller(
		remote.WithTransport(c.transport),
		remote.WithAuthFromKeychain(c.keychain),
		remote.WithUserAgent(c.agent),
		// Retries are the caller's, who knows what else waits and what Retry-After said.
		remote.WithRetryPredicate(func(error) bool { return false }),
		remote.WithRetryStatusCodes(),
	)
	if err != nil {
		return nil, fmt.Errorf("prepare to ask registry %s: %w", host, err)
	}
	pull := &puller{Puller: inner, since: c.now()}
	c.pullers[host] = pull
	return pull, nil
}

func (c *Client) repository(of image.Name) (name.Repository, error) {
	canonical, err := image.NewName(of.Host(), of.Repository())
	if err != nil || canonical != of {
		return name.Repository{}, fmt.Errorf("ask registry about %q: it is no canonical image name", string(of))
	}
	options := []name.Option{name.StrictValidation}
	if c.plainAllowed(of.Host()) {
		options = append(options, name.Insecure)
	}
	host, err := name.NewRegistry(of.Host(), options...)
	if err != nil {
		return name.Repository{}, fmt.Errorf("ask registry about %s: %w", of, err)
	}
	return host.Repo(of.Repository()), nil
}

// plainAllowed tells hosts that may be asked without TLS: this machine, and those so configured.
func (c *Client) plainAllowed(host string) bool {
	if c.plain[strings.ToLower(host)] {
		return true
	}
	bare := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		bare = h
	}
	bare = strings.Trim(bare, "[]")
	if strings.EqualFold(bare, "localhost") {
		return true
	}
	ip := net.ParseIP(bare)
	return ip != nil && ip.IsLoopback()
}

// canonicalHost is the host as image names have it.
func canonicalHost(host string) (string, error) {
	of, err := image.NewName(host, "x/x")
	if err != nil {
		return "", err
	}
	return of.Host(), nil
}

// staticKeychain finds the configured credential of a host.
type staticKeychain map[string]Credential

func (k staticKeychain) Resolve(target authn.Resource) (authn.Authenticator, error) {
	host, err := canonicalHost(target.RegistryStr())
	if err != nil {
		return authn.Anonymous, nil
	}
	credential, ok := k[host]
	if !ok {
		return authn.Anonymous, nil
	}
	if credential.Token != "" {
		return authn.FromConfig(authn.AuthConfig{RegistryToken: credential.Token}), nil
	}
	if credential.Renewed != nil {
		credential.Password = string(credential.Renewed())
	}
	return authn.FromConfig(authn.AuthConfig{Username: credential.Username, Password: credential.Password}), nil
}
