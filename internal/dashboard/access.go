package dashboard

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Role is what somebody may do through the API. Each role includes those before it.
type Role string

// The roles. Override is for what goes against the gate.
const (
	Read     Role = "read"
	Operate  Role = "operate"
	Override Role = "override"
)

func (r Role) rank() int { return slices.Index([]Role{Read, Operate, Override}, r) }

// Token lets a program or a person in over the network.
type Token struct {
	Name   string // who it is, for the audit
	Role   Role
	Secret []byte // never empty
}

// asker is who asks, where the way in proves it.
type asker struct {
	name string
	role Role
}

type askerKey struct{}

// actor is who an audit entry names: the token's name where there is one, else what the request says, as on the socket only those come in
// who may be anybody.
func actor(r *http.Request, said string) string {
	if a, ok := r.Context().Value(askerKey{}).(asker); ok {
		return a.name
	}
	return said
}

func role(r *http.Request) string {
	if a, ok := r.Context().Value(askerKey{}).(asker); ok {
		return string(a.role)
	}
	return string(Override)
}

// overNetwork tells whether the asker was let in by a token.
func overNetwork(r *http.Request) bool {
	_, ok := r.Context().Value(askerKey{}).(asker)
	return ok
}

// Limits of guessing: so many wrong tokens from one address in a window, then none is looked at until it is over.
const (
	mostWrong   = 10
	wrongWindow = time.Minute
	mostPeers   = 4096 // addresses that are remembered
)

// Guard lets requests to the API in by bearer token. Reading needs the role read, every change operate.
type Guard struct {
	tokens []Token
	sums   [][sha256.Size]byte
	next   http.Handler
	now    func() time.Time

	mu    sync.Mutex
	wrong map[string]*guesses
}

type guesses struct {
	n     int
	since time.Time
}

// NewGuard guards a handler. Without tokens it lets nobody in.
func NewGuard(tokens []Token, next http.Handler, now func() time.Time) *Guard {
	g := &Guard{tokens: tokens, next: next, now: now, wrong: map[string]*guesses{}}
	for _, t := range tokens {
		g.sums = append(g.sums, sha256.Sum256(t.Secret))
	}
	return g
}

// ServeHTTP implements http.Handler.
func (g *Guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	peer, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		peer = r.RemoteAddr
	}
	if wait := g.blocked(peer); wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
		refuse(w, http.StatusTooManyRequests, "too many wrong tokens from this address", "wait a minute")
		return
	}
	given, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	t, ok := g.find(given)
	if !bearer || !ok {
		g.guessed(peer)
		w.Header().Set("WWW-Authenticate", "Bearer")
		refuse(w, http.StatusUnauthorized, "the token is missing or wrong", "set BOATLIFT_TOKEN to a token of tokens: in boatlift.yaml")
		return
	}
	needed := Read
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		needed = Operate
	}
	if t.Role.rank() < needed.rank() {
		refuse(w, http.StatusForbidden, "the token "+t.Name+" has the role "+string(t.Role)+", and this needs "+string(needed), "use a token with that role")
		return
	}
	g.next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), askerKey{}, asker{t.Name, t.Role})))
}

// find compares with every token, all of them every time, so that the time taken tells nothing.
func (g *Guard) find(given string) (Token, bool) {
	sum := sha256.Sum256([]byte(given))
	found := -1
	for i := range g.sums {
		if subtle.ConstantTimeCompare(sum[:], g.sums[i][:]) == 1 {
			found = i
		}
	}
	if found < 0 || given == "" {
		return Token{}, false
	}
	return g.tokens[found], true
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
