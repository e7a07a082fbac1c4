package gitlab

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"sync"
	"time"

	gl "github.com/xanzy/go-gitlab"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/wire"
)

// Secret gives a secret as it is now. It is asked whenever the secret is used, so that one that is changed is followed without a restart.
type Secret func() []byte

// Fixed is a secret that never changes.
func Fixed(value []byte) Secret { return func() []byte { return value } }

// Options are what a Forge is made with.
type Options struct {
	// Token is an access token with the scopes api and write_repository: a project's, a group's, a service account's or a person's.
	Token Secret
	// Only narrows what the token reaches: projects like acme/shop/infra, or all below a group like acme/*. Left out: all projects of which the
	// token's account is a member and may write to.
	Only []string
	// WebhookSecrets prove webhooks by X-Gitlab-Token, each by itself: two while one is rotated.
	WebhookSecrets func() [][]byte
	// SigningTokens prove webhooks by their signature: whsec_ and 32 bytes in base64. If there is one, nothing else proves a webhook.
	SigningTokens func() [][]byte
	// BaseURL is the GitLab's address: https://gitlab.com (the default), https://HOST or https://HOST/PATH, with or without /api/v4.
	BaseURL string
	// Transport sends the requests; left out: one of its own, with time-outs.
	Transport http.RoundTripper
	Clock     func() time.Time // left out: time.Now
	Logger    *slog.Logger     // left out: silent
	Name      string           // the connection's name in the configuration, for logs; left out: gitlab
	// Observe is told of every request that is sent, for metrics; may be nil. It is called concurrently.
	Observe func(wire.Request)
}

// Forge is one account at one GitLab, by its token. See the package's documentation.
type Forge struct {
	name    string
	token   Secret
	only    []string
	secrets func() [][]byte
	signing func() [][]byte
	at      addresses
	clock   func() time.Time
	log     *slog.Logger
	base    http.RoundTripper
	tell    func(wire.Request)
	limits  *wire.Limits
	//lint:ignore SA1019 the move to its successor, whose ids are of another type, is of this package alone
	api *gl.Client

	mu       sync.Mutex
	self     identity
	trains   map[forge.RepoID]bool     // projects that merge by merge trains
	gates    map[forge.RepoID]gateKind // what holds a merge there
	accounts map[int64]account         // who is a machine
}

var (
	_ forge.Forge   = (*Forge)(nil)
	_ forge.Webhook = (*Forge)(nil)
	_ forge.Capable = (*Forge)(nil)

	_ forge.OwnerFiles = (*Forge)(nil)
	_ forge.Inspector  = (*Forge)(nil)
)

// gateKind is what holds a merge in a project: an external status check, or nothing but a draft.
type gateKind struct {
	external bool
	until    time.Time // until when that is believed
}

type identity struct {
	forge.Identity
	id int64
	at time.Time
}

const (
	requestTimeout = 30 * time.Second // one request with its answer
	pageSize       = 100
	maxPages       = 1000
	believed       = 10 * time.Minute // how long something that seldom changes is not asked for again
)

// New returns a Forge. It sends nothing; a wrong token shows in the first call.
func New(options Options) (*Forge, error) {
	if options.Token == nil || len(options.Token()) == 0 {
		return nil, errors.New("gitlab: the token is missing")
	}
	if err := options.checkWebhook(); err != nil {
		return nil, err
	}
	if options.BaseURL == "" {
		options.BaseURL = "https://gitlab.com"
	}
	at, err := addressesOf(options.BaseURL)
	if err != nil {
		return nil, err
	}
	f := &Forge{
		name: options.Name, token: options.Token, only: options.Only, secrets: options.WebhookSecrets, signing: options.SigningTokens,
		at: at, clock: options.Clock, log: options.Logger, base: options.Transport, tell: options.Observe,
		trains: map[forge.RepoID]bool{}, gates: map[forge.RepoID]gateKind{}, accounts: map[int64]account{},
	}
	if f.name == "" {
		f.name = "gitlab"
	}
	if f.clock == nil {
		f.clock = time.Now
	}
	if f.log == nil {
		f.log = slog.New(slog.DiscardHandler)
	}
	f.log = f.log.With("forge", f.name)
	if f.base == nil {
		f.base = wire.NewTransport()
	}
	f.limits = &wire.Limits{Clock: f.clock}
	if f.api, err = f.newClient(); err != nil {
		return nil, fmt.Errorf("gitlab: %w", err)
	}
	return f, nil
}

func (o Options) checkWebhook() error {
	found := 0
	for _, list := range []func() [][]byte{o.WebhookSecrets, o.SigningTokens} {
		if list == nil {
			continue
		}
		for _, secret := range list() {
			if len(secret) == 0 {
				return errors.New("gitlab: a webhook secret is empty; without one anybody could send events")
			}
			found++
		}
	}
	if found == 0 {
		return errors.New("gitlab: the webhook secret is missing; without one anybody could send events")
	}
	if o.SigningTokens == nil {
		return nil
	}
	for _, token := range o.SigningTokens() {
		if _, err := signingKey(token); err != nil {
			return fmt.Errorf("gitlab: %w", err)
		}
	}
	return nil
}

// newClient is go-gitlab without what it would do by itself: it neither repeats nor holds back requests. Both are done below it.
//
//lint:ignore SA1019 the move to its successor, whose ids are of another type, is of this package alone
func (f *Forge) newClient() (*gl.Client, error) {
	//lint:ignore SA1019 the move to its successor, whose ids are of another type, is of this package alone
	client, err := gl.NewClient("",
		gl.WithBaseURL(f.at.api.String()),
		gl.WithHTTPClient(&http.Client{
			Transport:     &exchange{forge: f, next: &wire.Answers{Next: f.base}},
			Timeout:       requestTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}),
		gl.WithoutRetries(),
		gl.WithCustomRetry(func(_ context.Context, _ *http.Response, err error) (bool, error) { return false, err }),
		gl.WithCustomLimiter(unlimited{}),
	)
	if err != nil {
		return nil, err
	}
	client.UserAgent = "boatlift"
	return client, nil
}

// unlimited keeps go-gitlab from sleeping in its callers.
type unlimited struct{}

// Wait implements go-gitlab's RateLimiter.
func (unlimited) Wait(context.Context) error { return nil }

// Name is the connection's name in the configuration.
func (f *Forge) Name() string { return f.name }

// Close gives idle connections back. The Forge works on afterwards.
func (f *Forge) Close() {
	if t, ok := f.base.(*http.Transport); ok {
		t.CloseIdleConnections()
	}
}

// Can implements forge.Capable. A commit status has room for one line, whoever may write can set it, groups do not review, and lost webhooks
// are not asked for.
func (f *Forge) Can(c forge.Capability) bool { return c == forge.DraftGate }

// PullSign implements forge.PullSigner: a merge request is !7, and #7 an issue.
func (f *Forge) PullSign() string { return "!" }

var loginPattern = regexp.MustCompile(`^[A-Za-z0-9_.][A-Za-z0-9_.-]{0,254}$`)

// Self implements forge.Repositories. The answer is kept for an hour.
func (f *Forge) Self(ctx context.Context) (forge.Identity, error) {
	self, err := f.whoami(ctx, "read the bot's own account")
	return self.Identity, err
}

// whoami knows who the bot is.
func (f *Forge) whoami(ctx context.Context, doing string) (identity, error) {
	f.mu.Lock()
	self := f.self
	f.mu.Unlock()
	if self.Login != "" && f.clock().Sub(self.at) < time.Hour {
		return self, nil
	}
	now, err := f.readSelf(ctx, doing)
	if err != nil {
		if self.Login != "" {
			return self, nil // accounts are renamed once in a lifetime; the old answer will do
		}
		return identity{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.self = now
	return now, nil
}

// readSelf asks whose token it is. Commits are made under the address that GitLab knows to be the account's, so that it shows them as its.
func (f *Forge) readSelf(ctx context.Context, doing string) (identity, error) {
	request, err := f.api.NewRequest(http.MethodGet, "user", nil, with(ctx))
	if err != nil {
		return identity{}, f.translate(doing, err)
	}
	var user struct {
		ID          int64  `json:"id"`
		Username    string `json:"username"`
		Name        string `json:"name"`
		Email       string `json:"email"`
		CommitEmail string `json:"commit_email"`
	}
	if _, err := f.api.Do(request, &user); err != nil {
		return identity{}, f.translate(doing, err)
	}
	if !loginPattern.MatchString(user.Username) || user.ID <= 0 {
		return identity{}, &wire.Error{Doing: doing, Message: "the account has no name or number"}
	}
	mail := fmt.Sprintf("%d-%s@%s", user.ID, user.Username, f.at.mail)
	for _, known := range []string{user.Email, user.CommitEmail} {
		if mailPattern.MatchString(known) {
			mail = known
		}
	}
	name := wire.Clean(user.Name, 100)
	if name == "" {
		name = user.Username
	}
	return identity{Identity: forge.Identity{Login: user.Username, Name: name, Email: mail}, id: user.ID, at: f.clock()}, nil
}

var mailPattern = regexp.MustCompile(`^[^\s<>@"]{1,100}@[A-Za-z0-9.-]{1,200}$`)

// knownSelf is the bot's account if it is known already; nothing is sent.
func (f *Forge) knownSelf() identity {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.self
}

// with makes a call end with its context.
func with(ctx context.Context) []gl.RequestOptionFunc {
	return []gl.RequestOptionFunc{gl.WithContext(ctx)}
}
