package gitrepo

import (
	"compress/zlib"
	"context"
	"encoding/base64"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Options are a Client's limits. Zero fields take the default in brackets.
type Options struct {
	// Transport does the requests. By default the Client makes its own: never http.DefaultTransport, which the rest of the program
	// replaces by one that fails.
	Transport http.RoundTripper
	// UserAgent is sent with every request and as git's agent ("boatlift"). It is cut to what both allow.
	UserAgent string
	// Timeout bounds one request from dialling to the last byte of the answer (2 min).
	Timeout time.Duration
	// MaxBytes bounds one answer as it comes over the wire; inflated it may be four times as large (32 MiB).
	MaxBytes int64
	// MaxObjects bounds the objects of one answer (250,000), and the tree entries that one Find visits (four times as many).
	MaxObjects int
	// CacheBytes bounds the objects kept in memory for all repositories together (64 MiB).
	CacheBytes int64
	// CacheDir is where objects are kept across restarts; empty keeps none there. It is made when it is needed, for this user only.
	CacheDir string
	// DiskBytes bounds all files in CacheDir together (256 MiB); one repository gets a sixteenth, at most 4 MiB.
	DiskBytes int64
	// DiskTrouble is told when the disk refuses. The work goes on without it.
	DiskTrouble func(error)
	// Now is the clock that reads Retry-After dates and ages the files on disk (time.Now).
	Now func() time.Time
	// DisableV2 speaks protocol version 0 only.
	DisableV2 bool
}

// Client is what all repositories of a process share: connections, limits, the object cache, and what was learned about hosts.
type Client struct {
	opts  Options
	http  *http.Client
	cache *objectCache
	disk  *disk // nil: none

	deflaters sync.Pool // of *zlib.Writer: a new one costs 0.8 MB
	inflaters sync.Pool // of io.ReadCloser with zlib.Resetter

	mu    sync.Mutex
	hosts map[string]*hostMemo
	repos map[string]*repoMemo
	next  uint64
}

// Auth is HTTP basic authentication: a user name and a password or token. The zero Auth sends none.
type Auth struct {
	Username string
	Password string
}

const redacted = "[redacted]"

// String hides the password.
func (a Auth) String() string { return a.Username + ":" + redacted }

// GoString hides the password from %#v.
func (a Auth) GoString() string { return "gitrepo.Auth(" + a.String() + ")" }

// LogValue hides the password from slog.
func (a Auth) LogValue() slog.Value { return slog.StringValue(a.String()) }

// MarshalText hides the password from encoders.
func (a Auth) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// secrets are the forms in which a server could echo the credentials.
func (a Auth) secrets() []string {
	if a.Password == "" {
		return nil
	}
	return []string{
		base64.StdEncoding.EncodeToString([]byte(a.Username + ":" + a.Password)),
		a.Password,
		url.QueryEscape(a.Password),
	}
}

// NewClient makes the Client of a process. Close it at the end.
func NewClient(opts Options) *Client {
	if opts.UserAgent == "" {
		opts.UserAgent = "boatlift"
	}
	opts.UserAgent = strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return '-'
		}
		return r
	}, opts.UserAgent)
	if opts.Timeout <= 0 {
		opts.Timeout = 2 * time.Minute
	}
	if opts.MaxBytes <= 0 {
		opts.MaxBytes = 32 << 20
	}
	if opts.MaxObjects <= 0 {
		opts.MaxObjects = 250_000
	}
	if opts.CacheBytes <= 0 {
		opts.CacheBytes = 64 << 20
	}
	if opts.DiskBytes <= 0 {
		opts.DiskBytes = 256 << 20
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Transport == nil {
		opts.Transport = newTransport(opts.Timeout)
	}
	c := &Client{
		opts:  opts,
		cache: newObjectCache(opts.CacheBytes),
		disk:  newDisk(opts),
		hosts: make(map[string]*hostMemo),
		repos: make(map[string]*repoMemo),
	}
	c.http = &http.Client{Transport: opts.Transport, CheckRedirect: checkRedirect}
	c.deflaters.New = func() any { return zlib.NewWriter(io.Discard) }
	return c
}

func newTransport(timeout time.Duration) *http.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           dialer.DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConns:          128,
		MaxIdleConnsPerHost:   32,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: timeout,
		ExpectContinueTimeout: time.Second,
	}
}

// Close ends the idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// CacheUsage is the number of objects in the cache and the bytes they are counted as, for metrics.
func (c *Client) CacheUsage() (objects int, bytes int64) { return c.cache.usage() }

// Remote is one repository. It makes no request. The address is checked at the first use; auth, which may be nil, is asked
// before every request because tokens expire.
func (c *Client) Remote(address string, auth func(context.Context) (Auth, error)) *Remote {
	r := &Remote{client: c, auth: auth}
	u, err := url.Parse(address)
	switch {
	case err != nil:
		// url.Parse repeats its input, which may hold a password that somebody put there.
		r.err = &UnsupportedError{"git", "the repository's address is not a URL"}
	case u.Scheme != "https" && u.Scheme != "http":
		r.err = &UnsupportedError{"git", "the repository's address is not an https or http URL"}
	case u.Host == "" || u.Hostname() == "":
		r.err = &UnsupportedError{"git", "the repository's address names no host"}
	case u.User != nil:
		r.err = &UnsupportedError{u.Host, "the repository's address has credentials in it"}
	case u.RawQuery != "" || u.Fragment != "":
		r.err = &UnsupportedError{u.Host, "the repository's address has a query or a fragment"}
	default:
		u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), strings.TrimRight(u.RawPath, "/")
		u.Host = strings.ToLower(u.Host)
		r.host, r.repo = c.memos(u)
	}
	return r
}

// Remote is one repository as one holder of credentials sees it.
type Remote struct {
	client *Client
	auth   func(context.Context) (Auth, error)
	host   *hostMemo
	repo   *repoMemo
	err    error // why the address cannot be used
}

// hostMemo is what was learned about a host. It lives as long as the Client: hosts seldom change their minds.
type hostMemo struct {
	mu      sync.Mutex
	version int                 // 2 or 0 once known, -1 before
	refused map[filterKind]bool // filters
	noThin  bool                // packs with deltas against objects that are not in the pack
}

// repoMemo is what was learned about a repository.
type repoMemo struct {
	id     uint64    // its part of the object cache
	disk   *diskFile // nil: none
	origin url.URL   // as configured: the credentials are for this one

	mu     sync.Mutex
	base   url.URL             // where it answers; changed by redirects
	filter advertised          // whether filters are offered: advertised in version 0, tried in version 2
	huge   map[hugeAnswer]bool // answers that were too large to be worth it
	recent []oid               // commits whose trees were read, newest first: what a fetch can say it has
	found  []string            // directories below which everything was known once
}

type advertised int8

const (
	notAsked advertised = iota
	offered
	notOffered
)

// maxMemos bounds what is remembered; beyond it, something is forgotten and learned again.
const maxMemos = 8192

func (c *Client) memos(u *url.URL) (*hostMemo, *repoMemo) {
	c.mu.Lock()
	defer c.mu.Unlock()
	origin := u.Scheme + "://" + u.Host
	h := c.hosts[origin]
	if h == nil {
		evictOne(c.hosts)
		h = &hostMemo{version: -1, refused: make(map[filterKind]bool)}
		if c.opts.DisableV2 {
			h.version = 0
		}
		c.hosts[origin] = h
	}
	key := u.String()
	r := c.repos[key]
	if r == nil {
		evictOne(c.repos)
		c.next++
		r = &repoMemo{id: c.next, disk: c.disk.file(key), origin: *u, base: *u, huge: make(map[hugeAnswer]bool)}
		c.repos[key] = r
	}
	return h, r
}

func evictOne[V any](m map[string]V) {
	if len(m) < maxMemos {
		return
	}
	for k := range m {
		delete(m, k)
		return
	}
}

func (h *hostMemo) protocol() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.version
}

func (h *hostMemo) setProtocol(v int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.version = v
}

func (r *repoMemo) address() url.URL {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.base
}

// maxRecent is how many known commits a fetch offers to the server.
const maxRecent = 3

// remember notes a commit whose trees are (or were) in the cache.
func (r *repoMemo) remember(id oid) {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept := []oid{id}
	for _, old := range r.recent {
		if old != id && len(kept) < maxRecent {
			kept = append(kept, old)
		}
	}
	r.recent = kept
}

// recall takes commits that were known before a restart, oldest first, for known where there are none yet.
func (r *repoMemo) recall(commits []oid) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := len(commits) - 1; i >= 0 && len(r.recent) < maxRecent; i-- {
		if !slices.Contains(r.recent, commits[i]) {
			r.recent = append(r.recent, commits[i])
		}
	}
}

func (r *repoMemo) known() []oid {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]oid(nil), r.recent...)
}
