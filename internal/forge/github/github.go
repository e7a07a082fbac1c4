package github

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	gh "github.com/google/go-github/v60/github"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/wire"
)

// Secret gives a secret as it is now. It is asked whenever the secret is used, so that one that is changed is followed without a restart.
type Secret func() []byte

// Fixed is a secret that never changes.
func Fixed(value []byte) Secret { return func() []byte { return value } }

// Options are what a Forge is made with: an App's id and private key, or a personal access token.
type Options struct {
	AppID      int64  // the App's numeric id
	PrivateKey Secret // the App's private key, PEM
	// Token is a personal access token, classic or fine-grained. It is the other way in, beside AppID and PrivateKey.
	Token Secret
	// Only narrows what a token reaches: names like acme/infra or acme/*. Left out: all repositories that it may write to.
	Only []string
	// WebhookSecrets prove webhooks, each by itself: two while one is rotated. None, or an empty one, is refused.
	WebhookSecrets func() [][]byte
	// BaseURL is the root of the REST API: https://api.github.com (the default), https://HOST/api/v3 on an Enterprise Server.
	BaseURL string
	// Transport sends the requests; left out: one of its own, with time-outs.
	Transport http.RoundTripper
	Clock     func() time.Time // left out: time.Now
	Logger    *slog.Logger     // left out: silent
	Name      string           // the connection's name in the configuration, for logs; left out: github
	// Observe is told of every request that is sent, for metrics; may be nil. It is called concurrently.
	Observe func(wire.Request)
}

// Forge is one GitHub App, or one account by its token, at one GitHub. See the package's documentation.
type Forge struct {
	name    string
	appID   int64 // 0: by a token
	secrets func() [][]byte
	at      addresses
	clock   func() time.Time
	log     *slog.Logger
	base    http.RoundTripper
	tell    func(wire.Request)
	entry   entry

	mu            sync.Mutex
	installations map[int64]*installation
	places        map[forge.RepoID]place
	noQueue       map[branchOf]time.Time // branches without a merge queue, and until when that is believed
	self          identity
}

var (
	_ forge.Forge       = (*Forge)(nil)
	_ forge.Webhook     = (*Forge)(nil)
	_ forge.Redeliverer = (*Forge)(nil)
	_ forge.Capable     = (*Forge)(nil)
	_ forge.Inspector   = (*Forge)(nil)
)

// entry is a way into GitHub: as an App, or by a personal access token. What differs between the two is behind it, and nowhere else.
type entry interface {
	// can tells what this way in offers.
	can(forge.Capability) bool
	// bearer is who needs a permission, for hints: "the App" or "the token".
	bearer() string
	// whoami asks who the bot is. Its mail address may be left out.
	whoami(ctx context.Context, doing string) (identity, error)
	// mail finds the bot's mail address.
	mail(ctx context.Context, doing string, self identity) (string, error)
	// transport adds what proves the bot to the requests of one installation.
	transport(installation int64) http.RoundTripper
	// repositories lists all that the bot reaches.
	repositories(ctx context.Context) ([]forge.Repository, error)
	// locate finds the installation that reaches a name. It is no proof: the name may be another repository's.
	locate(ctx context.Context, fullName, doing string) (int64, error)
	// organisation finds the installation that sees an organisation's teams.
	organisation(ctx context.Context, org, doing string) (int64, error)
	// reaches makes sure that the bot may work in a repository which it can read, and tells through which installation.
	reaches(ctx context.Context, repo *gh.Repository, installation int64, doing string) (int64, error)
	// suspended tells whether an installation is suspended. An answer in doubt is no.
	suspended(ctx context.Context, installation int64) bool
	// renew forgets what was minted for an installation, as it was refused; forget, what was for a repository.
	renew(installation int64)
	forget(keep func(forge.RepoID) bool)
	// gitAuth is what git is given for one repository.
	gitAuth(ctx context.Context, at target) (forge.GitAuth, error)
	// setCheck shows the bot's check on a commit.
	setCheck(ctx context.Context, at target, check forge.Check) error
	// inspect implements forge.Inspector for what differs.
	inspect(ctx context.Context, hook string, tell func(forge.Finding))
	// redeliver implements forge.Redeliverer.
	redeliver(ctx context.Context, since time.Time) (int, error)
}

// place is where a repository was last seen.
type place struct {
	id           forge.RepoID
	fullName     string
	installation int64 // 0: not known
}

type identity struct {
	forge.Identity
	at time.Time
}

const (
	requestTimeout = 30 * time.Second // one request with its answer, the minting of a token included
	pageSize       = 100
	maxPages       = 1000
)

// New returns a Forge. It sends nothing; a wrong id, key or token shows in the first call.
func New(options Options) (*Forge, error) {
	if err := options.check(); err != nil {
		return nil, err
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
		options.Transport = wire.NewTransport()
	}
	at, err := addressesOf(options.BaseURL)
	if err != nil {
		return nil, err
	}
	f := &Forge{
		name: options.Name, appID: options.AppID, secrets: options.WebhookSecrets, at: at,
		clock: options.Clock, log: options.Logger.With("forge", options.Name),
		tell:          options.Observe,
		installations: map[int64]*installation{},
		places:        map[forge.RepoID]place{},
		noQueue:       map[branchOf]time.Time{},
	}
	f.base = &wire.Answers{Next: options.Transport, Seen: (&watcher{clock: f.clock, log: f.log}).see}
	if options.Token != nil {
		f.entry = &account{Forge: f, token: options.Token, only: options.Only}
		return f, nil
	}
	f.entry, err = newApp(f, options.AppID, options.PrivateKey)
	return f, err
}

func (o Options) check() error {
	if o.WebhookSecrets == nil || len(o.WebhookSecrets()) == 0 {
		return errors.New("github: the webhook secret is missing; without one anybody could send events")
	}
	for _, secret := range o.WebhookSecrets() {
		if len(secret) == 0 {
			return errors.New("github: the webhook secret is empty; without one anybody could send events")
		}
	}
	if o.Token != nil {
		switch {
		case o.AppID != 0 || o.PrivateKey != nil:
			return errors.New("github: an App and a token exclude each other")
		case len(o.Token()) == 0:
			return errors.New("github: the token is empty")
		}
		return nil
	}
	switch {
	case o.AppID <= 0:
		return errors.New("github: the App's id is missing")
	case o.PrivateKey == nil || len(o.PrivateKey()) == 0:
		return errors.New("github: the App's private key is missing")
	}
	return nil
}

// Name is the connection's name in the configuration.
func (f *Forge) Name() string { return f.name }

// Close gives idle connections back. The Forge works on afterwards.
func (f *Forge) Close() {
	if t, ok := f.base.(*wire.Answers).Next.(*http.Transport); ok {
		t.CloseIdleConnections()
	}
}

func (f *Forge) newClient(transport http.RoundTripper) *gh.Client {
	client := gh.NewClient(&http.Client{
		Transport:     transport,
		Timeout:       requestTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	})
	client.BaseURL = f.at.api
	client.UploadURL = f.at.uploads
	client.UserAgent = "boatlift"
	return client
}

// Can implements forge.Capable.
func (f *Forge) Can(c forge.Capability) bool { return f.entry.can(c) }

// Self implements forge.Repositories. The answer is kept for an hour.
func (f *Forge) Self(ctx context.Context) (forge.Identity, error) {
	const doing = "read the bot's own account"
	self, err := f.whoami(ctx, doing)
	if err != nil || self.Email != "" {
		return self.Identity, err
	}
	if self.Email, err = f.entry.mail(ctx, doing, self); err != nil {
		return forge.Identity{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.self = self
	return self.Identity, nil
}

// whoami knows who the bot is, but for its mail address where nobody asked for it before.
func (f *Forge) whoami(ctx context.Context, doing string) (identity, error) {
	f.mu.Lock()
	self := f.self
	f.mu.Unlock()
	if self.Login != "" && f.clock().Sub(self.at) < time.Hour {
		return self, nil
	}
	now, err := f.entry.whoami(ctx, doing)
	if err != nil {
		if self.Login != "" {
			return self, nil // accounts are renamed once in a lifetime; the old answer will do
		}
		return identity{}, err
	}
	if now.Email == "" && now.Login == self.Login {
		now.Email = self.Email
	}
	now.at = f.clock()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.self = now
	return now, nil
}

// knownLogin is the bot's login if it is known already; empty else. Nothing is sent.
func (f *Forge) knownLogin() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.self.Login
}

// isSelf tells whether an account is the bot's own. An App's login ends as no person's can.
func isSelf(login, kind, self string) bool {
	return self != "" && login == self && (kind == "Bot") == strings.HasSuffix(self, "[bot]")
}
