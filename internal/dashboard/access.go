package dashboard

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
)

// Role is what somebody may do through the API. Of read, operate and override each includes those before it; the others stand alone.
type Role string

// The roles. Override is for what goes against the gate.
const (
	Read     Role = "read"
	Operate  Role = "operate"
	Override Role = "override"

	Push     Role = "push"     // may tell of pushes of its images, and nothing else
	Certify  Role = "certify"  // may say what its list of tests found, and nothing else
	Pipeline Role = "pipeline" // a job of continuous integration: may do what its lists say, and nothing else
)

func (r Role) rank() int { return slices.Index([]Role{Read, Operate, Override}, r) }

// Caller is who asks over the network, and what it may do.
type Caller struct {
	Name string // for the audit and the log
	Role Role
	Push []image.Pattern // the images of which it may tell that they were pushed; who may operate may tell of all
	// Certify is which tests it may certify, and where. No role includes that: who may operate may not say that tests passed.
	Certify []promotion.Certify
}

// may tells whether the caller may do what needs a role.
func (c Caller) may(needed Role) bool {
	if needed == Push {
		return len(c.Push) > 0 || c.Role.rank() >= Operate.rank()
	}
	if needed == Certify {
		return len(c.Certify) > 0
	}
	return c.Role.rank() >= needed.rank()
}

// Token lets a program or a person in over the network.
type Token struct {
	Caller
	Secret func() []byte // as it is now; one that is empty lets nobody in
}

type callerKey struct{}

// callerOf is who asks, where the way in proves it. On the socket only those come in who may be anybody and may do everything.
func callerOf(r *http.Request) (Caller, bool) {
	c, ok := r.Context().Value(callerKey{}).(Caller)
	return c, ok
}

// actor is who an audit entry names: the token's name where there is one, else what the request says, as on the socket only those come in
// who may be anybody.
func actor(r *http.Request, said string) string {
	if c, ok := callerOf(r); ok {
		return c.Name
	}
	return said
}

func role(r *http.Request) string {
	if c, ok := callerOf(r); ok {
		return string(c.Role)
	}
	return string(Override)
}

// overNetwork tells whether the asker was let in by a token.
func overNetwork(r *http.Request) bool {
	_, ok := callerOf(r)
	return ok
}

// Limits of guessing: so many wrong tokens from one address in a window; further ones are answered 429 until it is over.
const (
	mostWrong   = 10
	wrongWindow = time.Minute
	mostPeers   = 4096 // addresses that are remembered
)

// Guard lets requests to the API in by bearer token: one of its own, or one that continuous integration gave to a job. Reading needs the
// role read, telling of a push the role push, certifying a list of what may be certified, every other change operate.
//
// # Decisions
//
// A right token is let in whatever others sent from its address: behind a proxy all have the same one, and whoever sends rubbish there must
// not lock out the rest. So guessing is limited in what it costs and in what it learns per minute, not made impossible by the limit; that
// no token can be guessed is due to its length, which the configuration demands. X-Forwarded-For is never read, since anybody can write it.
type Guard struct {
	tokens []Token
	jobs   Prove
	next   http.Handler
	now    func() time.Time
	log    *slog.Logger

	mu      sync.Mutex
	wrong   map[string]*guesses
	said    time.Time // when the log last told of a job that was refused
	refused int       // how many there were since
}

// Prove proves whose job a token was given to. What its errors do is found by their methods: Forbidden() says that the job is proved, and
// may not; RetryAfter() that it cannot be told now; Public() is what the job may be told.
type Prove func(ctx context.Context, token string) (Caller, error)

// GuardOptions are what a Guard is made of; the zero value lets nobody in.
type GuardOptions struct {
	Tokens []Token
	Jobs   Prove            // nil: no jobs
	Now    func() time.Time // nil: time.Now
	Log    *slog.Logger     // nil: discards
}

type guesses struct {
	n     int
	since time.Time
}

// NewGuard guards a handler.
func NewGuard(o GuardOptions, next http.Handler) *Guard {
	g := &Guard{tokens: o.Tokens, jobs: o.Jobs, next: next, now: o.Now, log: o.Log, wrong: map[string]*guesses{}}
	if g.now == nil {
		g.now = time.Now
	}
	if g.log == nil {
		g.log = slog.New(slog.DiscardHandler)
	}
	return g
}

// ServeHTTP implements http.Handler.
func (g *Guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	given, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	caller, ok := Caller{}, false
	if bearer && g.jobs != nil && strings.Count(given, ".") == 2 { // nobody can guess one, so that guesses are not counted
		if caller, ok = g.find(given); !ok {
			var err error
			if caller, err = g.jobs(r.Context(), given); err != nil {
				g.refuseJob(w, r, err)
				return
			}
		}
	} else if caller, ok = g.byToken(w, r, given, bearer); !ok {
		return
	}
	if needed := neededFor(r); !caller.may(needed) {
		refuse(w, http.StatusForbidden, caller.Name+" has the role "+string(caller.Role)+", and this needs "+string(needed), "use a token with that role")
		return
	}
	g.next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, caller)))
}

// neededFor is the role that a request needs.
func neededFor(r *http.Request) Role {
	switch {
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		return Read
	case strings.HasSuffix(r.URL.Path, pushesPath):
		return Push
	case strings.HasSuffix(r.URL.Path, verificationsPath):
		return Certify
	}
	return Operate
}

// byToken finds whose token it is, and answers where it is nobody's.
func (g *Guard) byToken(w http.ResponseWriter, r *http.Request, given string, bearer bool) (Caller, bool) {
	peer, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		peer = r.RemoteAddr
	}
	caller, ok := g.find(given)
	if !bearer || !ok {
		if wait := g.blocked(peer); wait > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
			refuse(w, http.StatusTooManyRequests, "too many wrong tokens from this address", "wait a minute")
			return Caller{}, false
		}
		g.guessed(peer)
		w.Header().Set("WWW-Authenticate", "Bearer")
		refuse(w, http.StatusUnauthorized, "the token is missing or wrong", "set BOATLIFT_TOKEN to a token of tokens: in boatlift.yaml")
		return Caller{}, false
	}
	return caller, true
}

// refuseJob answers a job that is not let in, and logs why, once in ten seconds at most: anybody can bring that about.
func (g *Guard) refuseJob(w http.ResponseWriter, r *http.Request, err error) {
	if more, due := g.due(); due {
		g.log.Warn("a job's token is refused", "path", r.URL.Path, "reason", err.Error(), "more", more)
	}
	say := "the token is not one of a pipeline that may ask here"
	var public interface{ Public() string }
	if errors.As(err, &public) {
		say = public.Public()
	}
	var later interface{ RetryAfter() time.Duration }
	var forbidden interface{ Forbidden() bool }
	switch {
	case errors.As(err, &later):
		w.Header().Set("Retry-After", strconv.Itoa(int(later.RetryAfter()/time.Second)+1))
		refuse(w, http.StatusServiceUnavailable, "it cannot be told now whose token this is", "try again")
	case errors.As(err, &forbidden) && forbidden.Forbidden():
		refuse(w, http.StatusForbidden, say, "look at pipelines: in boatlift.yaml; the bot's log has the details")
	default:
		w.Header().Set("WWW-Authenticate", "Bearer")
		refuse(w, http.StatusUnauthorized, say, "look at pipelines: in boatlift.yaml; the bot's log has the details")
	}
}

// quiet is how long nothing more is said about what anybody can bring about.
const quiet = 10 * time.Second

func (g *Guard) due() (more int, due bool) {
	now := g.now()
	g.mu.Lock()
	defer g.mu.Unlock()
	if since := now.Sub(g.said); !g.said.IsZero() && since >= 0 && since < quiet {
		g.refused++
		return 0, false
	}
	more, g.said, g.refused = g.refused, now, 0
	return more, true
}

// find compares with every token, all of them every time, so that the time taken tells nothing.
func (g *Guard) find(given string) (Caller, bool) {
	sum := sha256.Sum256([]byte(given))
	found := -1
	for i, t := range g.tokens {
		secret := t.Secret()
		known := sha256.Sum256(secret)
		if subtle.ConstantTimeCompare(sum[:], known[:]) == 1 && len(secret) > 0 {
			found = i
		}
	}
	if found < 0 || given == "" {
		return Caller{}, false
	}
	return g.tokens[found].Caller, true
}

func (g *Guard) blocked(peer string) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.wrong[peer]
	if s == nil {
		return 0
	}
	left := wrongWindow - g.now().Sub(s.since)
	if left <= 0 {
		delete(g.wrong, peer)
		return 0
	}
	if s.n < mostWrong {
		return 0
	}
	return left
}

func (g *Guard) guessed(peer string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.wrong[peer]
	if s == nil {
		if len(g.wrong) >= mostPeers { // under attack from many addresses: forget those whose time is over, or all
			for p, old := range g.wrong {
				if g.now().Sub(old.since) > wrongWindow {
					delete(g.wrong, p)
				}
			}
			if len(g.wrong) >= mostPeers {
				clear(g.wrong)
			}
		}
		s = &guesses{since: g.now()}
		g.wrong[peer] = s
	}
	s.n++
}

func refuse(w http.ResponseWriter, status int, message, hint string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(&Problem{Message: message, Fix: hint}) // the asker may be gone
}
