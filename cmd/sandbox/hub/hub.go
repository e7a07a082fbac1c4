package hub

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/boatlift/boatlift/cmd/sandbox/serving"
)

// gitTimeout is the longest that one git command may take.
const gitTimeout = 60 * time.Second

// Options says how the forge runs. Only Dir has no default.
type Options struct {
	Dir           string           // the bare repositories live here; made when missing
	Addr          string           // where to listen; 127.0.0.1:0 by default
	PathPrefix    string           // serve everything under this path, as a GitHub Enterprise Server behind a proxy may
	WebhookURL    string           // where the app's webhooks go; empty: nowhere, until SetWebhook
	WebhookSecret string           // signs them; required where there is a URL, as the bot refuses unsigned ones
	AppID         int64            // 1001 by default
	AppSlug       string           // boatlift by default; the bot's login is slug[bot]
	Key           *rsa.PrivateKey  // the app's key; a fresh one by default
	LongTokens    bool             // installation tokens in the form of about 520 characters with dots, without being asked
	Now           func() time.Time // time.Now by default; timestamps, token expiry and rate windows follow it
	Logger        *slog.Logger     // discards by default
	SignsNothing  bool             // commits made through the API are not signed, as on an Enterprise Server whose site does not
	Without       []string         // permissions that the app was not given, as members
	Excess        []string         // permissions to write that it was given, and does not need
	Organization  bool             // webhooks are the organisation's own, of every repository; what comes in does so by personal tokens
	GitLab        Tier             // it is a GitLab of this tier, with the webhooks of a group; empty: a GitHub
	HookPause     time.Duration    // how long a GitLab's webhook that failed four times in a row is switched off at first; a minute by default
	Pipeline      Pipeline         // what a merge to the default branch sets off; Render by default

	// OnExchange is told of every call of the API with its answer, OnWebhook of every event that the app hears of; both may be nil.
	// They are called concurrently, OnWebhook while the state is locked: neither may call the Hub.
	OnExchange func(Exchange)
	OnWebhook  func(Webhook)
}

// Hub is a running forge. Close stops it.
type Hub struct {
	opts     Options
	log      *slog.Logger
	now      func() time.Time
	base     string // http://127.0.0.1:1234, with the path prefix, without a slash at the end
	prefix   string
	csrf     string
	server   *serving.Server
	hooks    *http.Client
	face     face
	ctx      context.Context // ends when the hub closes; requests and rollouts have contexts of their own
	cancel   context.CancelFunc
	owned    sync.WaitGroup // every goroutine the hub started
	busy     tracker        // deliveries and rollouts that are not finished
	queue    chan struct{}  // wakes the sender
	releases sync.Once

	mu            sync.Mutex
	lastID        int64
	accounts      map[string]*account // by lower-case login
	bot           *account
	teams         map[string][]*account // by lower-case owner/name
	repos         map[int64]*repo
	names         map[string]int64 // lower-case owner/name now and before renames → id
	installations map[int64]*installation
	tokens        map[string]*token
	personal      map[string]*personalToken
	revoked       map[string]bool // personal tokens that were ended
	webhook       webhookTarget
	health        hookHealth
	outbox        []*delivery // waiting to be sent, in order
	deliveries    []*delivery // everything ever sent, oldest first
	faults        faultState
	limits        map[string]*quota
}

// Start runs a forge. It answers when Start returns.
func Start(opts Options) (*Hub, error) {
	if err := opts.complete(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(opts.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the repositories' directory: %w", err)
	}
	csrf := make([]byte, 16)
	if _, err := rand.Read(csrf); err != nil {
		return nil, fmt.Errorf("make the pages' form token: %w", err)
	}
	listener, err := net.Listen("tcp", opts.Addr)
	if err != nil {
		return nil, fmt.Errorf("listen for the sandbox forge: %w", err)
	}
	h := &Hub{
		opts: opts, log: opts.Logger, now: opts.Now, csrf: hex.EncodeToString(csrf), prefix: opts.PathPrefix,
		base:          "http://" + listener.Addr().String() + opts.PathPrefix,
		hooks:         &http.Client{Timeout: webhookTimeout, CheckRedirect: refuseRedirect},
		queue:         make(chan struct{}, 1),
		accounts:      map[string]*account{},
		teams:         map[string][]*account{},
		repos:         map[int64]*repo{},
		names:         map[string]int64{},
		installations: map[int64]*installation{},
		tokens:        map[string]*token{},
		personal:      map[string]*personalToken{},
		revoked:       map[string]bool{},
		limits:        map[string]*quota{},
		health:        hookHealth{pause: cmp.Or(opts.HookPause, time.Minute)},
		webhook:       webhookTarget{URL: opts.WebhookURL, Secret: opts.WebhookSecret},
		lastID:        1000,
	}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	h.mu.Lock()
	h.bot = h.accountLocked(opts.AppSlug+"[bot]", kindBot)
	h.mu.Unlock()
	h.face = newGitHubFace(h)
	if opts.GitLab != "" {
		h.face = newGitLabFace(h)
	}
	h.owned.Add(1)
	go h.sendAll()
	h.server = serving.Start(listener, &http.Server{
		Handler:           h.handler(),
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return h.ctx },
		ErrorLog:          slog.NewLogLogger(h.log.Handler(), slog.LevelDebug),
	})
	return h, nil
}

func (o *Options) complete() error {
	if o.Dir == "" {
		return errors.New("the sandbox forge needs a directory for its repositories")
	}
	if o.WebhookURL != "" && o.WebhookSecret == "" {
		return errors.New("the sandbox forge needs a secret to sign webhooks with")
	}
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	o.PathPrefix = strings.TrimRight(o.PathPrefix, "/")
	if o.GitLab != "" {
		o.Organization = true
	}
	if o.PathPrefix != "" && !strings.HasPrefix(o.PathPrefix, "/") {
		o.PathPrefix = "/" + o.PathPrefix
	}
	if o.AppID == 0 {
		o.AppID = 1001
	}
	if o.AppSlug == "" {
		o.AppSlug = "boatlift"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Pipeline == nil {
		o.Pipeline = Render
	}
	if o.Key == nil {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return fmt.Errorf("make the app's key: %w", err)
		}
		o.Key = key
	}
	return nil
}

// URL is the forge's address for people and git, without a slash at the end.
func (h *Hub) URL() string { return h.base }

// APIURL is the root of the REST API: …/api/v3 of a GitHub Enterprise Server, …/api/v4 of a GitLab.
func (h *Hub) APIURL() string {
	if h.opts.GitLab != "" {
		return h.base + gitLabAPI
	}
	return h.base + gitHubAPI
}

// AppID is the id of the bot's app.
func (h *Hub) AppID() int64 { return h.opts.AppID }

// AppSlug is the app's name in URLs; the bot's login is the slug and [bot].
func (h *Hub) AppSlug() string { return h.opts.AppSlug }

// AppKeyPEM is the app's private key, as GitHub hands it out when an app is made.
func (h *Hub) AppKeyPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(h.opts.Key)})
}

// Idle waits until every webhook has been sent or lost and every rollout that can end has ended. Rollouts that hang by a switch and
// webhooks that are late by a switch are waited for too, so give ctx a deadline.
func (h *Hub) Idle(ctx context.Context) error {
	if err := h.busy.wait(ctx); err != nil {
		return fmt.Errorf("wait for the sandbox forge's deliveries and rollouts: %w", err)
	}
	return nil
}

// Close stops the forge: no request is taken any more, deliveries and rollouts under way are given up. The repositories stay.
func (h *Hub) Close() error {
	var err error
	h.releases.Do(func() {
		h.cancel()
		err = h.server.Close()
		h.owned.Wait()
		h.hooks.CloseIdleConnections()
	})
	return err
}

// handler joins git, the forge's API, the scripts' API and the pages.
func (h *Hub) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/api/", h.face)
	mux.Handle("/sandbox/", h.adminHandler())
	mux.Handle("/", h.pagesHandler())
	inner := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isGitRequest(r) {
			h.serveGit(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
	if h.prefix == "" {
		return h.observed(inner)
	}
	return http.StripPrefix(h.prefix, h.observed(inner))
}

// idLocked hands out ids; one sequence serves everything, as ids need only differ.
func (h *Hub) idLocked() int64 {
	h.lastID++
	return h.lastID
}

// stamp is the time now with the precision that forges show, UTC: whole seconds of GitHub's, milliseconds of GitLab's.
func (h *Hub) stamp() time.Time {
	if h.opts.GitLab != "" {
		return h.now().UTC().Truncate(time.Millisecond)
	}
	return h.now().UTC().Truncate(time.Second)
}

func refuseRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func discard(body io.ReadCloser) {
	_, _ = io.Copy(io.Discard, io.LimitReader(body, 1<<20))
	_ = body.Close()
}

// tracker counts work under way and lets callers wait until there is none.
type tracker struct {
	mu   sync.Mutex
	n    int
	none chan struct{} // closed when n falls to 0; nil while nobody waits
}

func (t *tracker) add() {
	t.mu.Lock()
	t.n++
	t.mu.Unlock()
}

func (t *tracker) done() {
	t.mu.Lock()
	t.n--
	if t.n == 0 && t.none != nil {
		close(t.none)
		t.none = nil
	}
	t.mu.Unlock()
}

func (t *tracker) wait(ctx context.Context) error {
	t.mu.Lock()
	if t.n == 0 {
		t.mu.Unlock()
		return nil
	}
	if t.none == nil {
		t.none = make(chan struct{})
	}
	none := t.none
	t.mu.Unlock()
	select {
	case <-none:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
