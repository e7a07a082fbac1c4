package github

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/bradleyfalzon/ghinstallation/v2"
	gh "github.com/google/go-github/v60/github"

	"github.com/boatlift/boatlift/internal/forge"
)

// Options are what a Forge is made with.
type Options struct {
	AppID         int64  // the App's numeric id
	PrivateKey    []byte // the App's private key, PEM
	WebhookSecret []byte // proves webhooks; an empty one is refused
	// BaseURL is the root of the REST API: https://api.github.com (the default), https://HOST/api/v3 on an Enterprise Server.
	BaseURL string
	// Transport sends the requests; left out: one of its own, with time-outs.
	Transport http.RoundTripper
	Clock     func() time.Time // left out: time.Now
	Logger    *slog.Logger     // left out: silent
	Name      string           // the connection's name in the configuration, for logs; left out: github
	// Observe is told of every request that is sent, for metrics; may be nil. It is called concurrently.
	Observe func(Request)
}

// Forge is one GitHub App at one GitHub. See the package's documentation.
type Forge struct {
	name   string
	appID  int64
	key    []byte
	secret []byte
	api    *url.URL // ends with a slash
	web    string   // does not
	mail   string   // host of the bots' mail addresses
	clock  func() time.Time
	log    *slog.Logger
	base   http.RoundTripper
	app    *gh.Client // as the App itself, with a JWT
	tell   func(Request)

	mu            sync.Mutex
	installations map[int64]*installation
	places        map[forge.RepoID]place
	gitTokens     map[forge.RepoID]*gitToken
	self          identity
}

var (
	_ forge.Forge       = (*Forge)(nil)
	_ forge.Webhook     = (*Forge)(nil)
	_ forge.Redeliverer = (*Forge)(nil)
)

// place is where a repository was last seen.
type place struct {
	id           forge.RepoID
	fullName     string
	installation int64 // 0: not known
}

type identity struct {
	forge.Identity
	slug string
	at   time.Time
}

const (
	requestTimeout = 30 * time.Second // one request with its answer, the minting of a token included
	pageSize       = 100
	maxPages       = 1000
)

// New returns a Forge. It sends nothing; a wrong id or key shows in the first call.
func New(options Options) (*Forge, error) {
	switch {
	case options.AppID <= 0:
		return nil, errors.New("github: the App's id is missing")
	case len(options.WebhookSecret) == 0:
		return nil, errors.New("github: the webhook secret is empty; without one anybody could send events")
	case len(options.PrivateKey) == 0:
		return nil, errors.New("github: the App's private key is missing")
	}
	if options.BaseURL == "" {
		options.BaseURL = "https://api.github.com"
	}
	if options.Clock == nil {
		options.Clock = time.Now
	}
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	if options.Name == "" {
		options.Name = "github"
	}
	if options.Transport == nil {
		options.Transport = newTransport()
	}
	api, web, err := addresses(options.BaseURL)
	if err != nil {
		return nil, err
	}
	f := &Forge{
		name: options.Name, appID: options.AppID,
		key: options.PrivateKey, secret: options.WebhookSecret,
		api: api, web: web.String(), mail: "users.noreply." + web.Hostname(),
		clock: options.Clock, log: options.Logger.With("forge", options.Name),
		tell:          options.Observe,
		installations: map[int64]*installation{},
		places:        map[forge.RepoID]place{},
		gitTokens:     map[forge.RepoID]*gitToken{},
	}
	f.base = &answers{next: options.Transport, clock: f.clock, log: f.log}
	// One AppsTransport for the App's own requests only: ghinstallation writes into the one that an installation's transport
	// holds, so that sharing it would be a data race.
	appTransport, err := ghinstallation.NewAppsTransport(f.base, f.appID, f.key)
	if err != nil {
		return nil, errors.New("github: the App's private key is not an RSA key in PEM form")
	}
	f.app = f.newClient(&limitedBy{limits: &limits{clock: f.clock}, next: limiter(f.observe(appTransport, 0))})
	return f, nil
}

// Name is the connection's name in the configuration.
func (f *Forge) Name() string { return f.name }

// Close gives idle connections back. The Forge works on afterwards.
func (f *Forge) Close() {
	if t, ok := f.base.(*answers).next.(*http.Transport); ok {
		t.CloseIdleConnections()
	}
}

// addresses checks the API's root and derives the root of repositories and pages from it.
func addresses(base string) (api, web *url.URL, err error) {
	api, err = url.Parse(base)
	switch {
	case err != nil:
		// The parser's error would quote the address, and the address may hold a password.
		return nil, nil, errors.New("github: the API's address is not a URL")
	case api.User != nil:
		return nil, nil, errors.New("github: the API's address must not hold credentials")
	case api.Host == "" || api.RawQuery != "" || api.Fragment != "":
		return nil, nil, fmt.Errorf("github: the API's address %q is not like https://HOST/api/v3", api.Redacted())
	case api.Scheme != "https" && (api.Scheme != "http" || !loopback(api.Hostname())):
		return nil, nil, fmt.Errorf("github: the API's address %q must be https, as tokens go there", api.Redacted())
	}
	path := strings.TrimRight(api.Path, "/")
	web = &url.URL{Scheme: api.Scheme, Host: api.Host}
	if host, isCloud := strings.CutPrefix(api.Host, "api."); isCloud && path == "" {
		web.Host = host // api.github.com, api.SUB.ghe.com
	} else {
		web.Path = strings.TrimSuffix(path, "/api/v3")
	}
	api.Path, api.RawPath = path+"/", ""
	return api, web, nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: 25 * time.Second,
		ExpectContinueTimeout: time.Second,
		IdleConnTimeout:       90 * time.Second,
		MaxIdleConnsPerHost:   16,
		MaxConnsPerHost:       64, // GitHub allows a hundred at once
		ForceAttemptHTTP2:     true,
	}
}

func (f *Forge) newClient(transport http.RoundTripper) *gh.Client {
	client := gh.NewClient(&http.Client{
		Transport:     transport,
		Timeout:       requestTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	})
	client.BaseURL = f.api
	client.UploadURL = f.api
	client.UserAgent = "boatlift"
	return client
}

// Self implements forge.Repositories. The answer is kept for an hour.
func (f *Forge) Self(ctx context.Context) (forge.Identity, error) {
	const doing = "read the bot's own account"
	self, err := f.whoami(ctx, doing)
	if err != nil || self.Email != "" {
		return self.Identity, err
	}
	// The number in the mail address is the bot account's, which is not the App's. JWTs may not read accounts, installations may.
	installations, err := f.listInstallations(ctx)
	if err != nil {
		return forge.Identity{}, err
	}
	err = &Error{Doing: doing, Message: "the App is installed nowhere", kind: forge.ErrGone}
	for _, i := range installations {
		user, _, getErr := f.installation(i.GetID()).client().Users.Get(ctx, self.Login)
		if err = f.translate(doing, getErr); err == nil {
			self.Email = fmt.Sprintf("%d+%s@%s", user.GetID(), self.Login, f.mail)
			f.mu.Lock()
			defer f.mu.Unlock()
			f.self = self
			return self.Identity, nil
		}
		if !errors.Is(err, forge.ErrGone) {
			break
		}
	}
	return forge.Identity{}, err
}

// whoami knows who the bot is, but for its mail address where nobody asked for it before.
func (f *Forge) whoami(ctx context.Context, doing string) (identity, error) {
	f.mu.Lock()
	self := f.self
	f.mu.Unlock()
	if self.slug != "" && f.clock().Sub(self.at) < time.Hour {
		return self, nil
	}
	app, _, err := f.app.Apps.Get(ctx, "")
	if err = f.translate(doing, err); err != nil {
		if self.slug != "" {
			return self, nil // Apps are renamed once in a lifetime; the old answer will do
		}
		return identity{}, err
	}
	if app.GetSlug() == "" {
		return identity{}, &Error{Doing: doing, Message: "the App has no slug"}
	}
	login := app.GetSlug() + "[bot]"
	if login == self.Login {
		self.at = f.clock()
	} else {
		self = identity{Identity: forge.Identity{Login: login, Name: login}, slug: app.GetSlug(), at: f.clock()}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.self = self
	return self, nil
}

// knownLogin is the bot's login if it is known already; empty else. Nothing is sent.
func (f *Forge) knownLogin() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.self.Login
}
