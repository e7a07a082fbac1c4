package trust

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"
)

// Shelf keeps the few documents that proofs rest on and that have to be fetched: an issuer's keys, a certificate. It asks only
// where it is allowed to, over https, without following redirects, and seldom, whoever provokes it: one fetch of a document at a
// time, a pause after each, and a limit on all of a minute. It is safe for concurrent use.
type Shelf struct {
	transport http.RoundTripper
	now       func() time.Time
	reach     func(*url.URL) bool

	mu     sync.Mutex
	kept   map[string]*document
	minute time.Time // when the current one began
	spent  int       // fetches in it
}

// document is one on the shelf. Its fields are guarded by the shelf's mu.
type document struct {
	busy  chan struct{} // closed when the fetch under way has ended; nil where there is none
	asked time.Time
	err   error // of the last fetch
	value any   // of the last that succeeded; nil before
	read  time.Time
}

// PauseAfterFailure is how long a document that could not be had is not asked for again.
const PauseAfterFailure = 10 * time.Second

const (
	fetchTimeout      = 5 * time.Second
	keepDocument      = 6 * time.Hour  // then it is fetched anew
	staleDocument     = 24 * time.Hour // so long it is used while that fails
	pauseAfterSuccess = time.Minute    // before it is fetched anew because something is not in it
	maxDocuments      = 16
	maxDocument       = 256 << 10
	fetchesPerMinute  = 20
)

// NewShelf makes one that asks only the addresses that reach allows. Without a transport it takes http.DefaultTransport, without a clock
// time.Now.
func NewShelf(transport http.RoundTripper, now func() time.Time, reach func(*url.URL) bool) *Shelf {
	if transport == nil {
		transport = http.DefaultTransport
	}
	if now == nil {
		now = time.Now
	}
	return &Shelf{transport: transport, now: now, reach: reach, kept: map[string]*document{}}
}

// UnreachedError reports an answer that is not the document: there may be one later.
type UnreachedError struct {
	Host, Reason string
	Status       int // 0 where there was no answer
}

func (e *UnreachedError) Error() string { return e.Host + ": " + e.Reason }

// Hint says what an operator can look at.
func (e *UnreachedError) Hint() string { return "the bot must be able to reach " + e.Host }

// RetryAfter is how long nothing new is asked.
func (e *UnreachedError) RetryAfter() time.Duration { return PauseAfterFailure }

// Get is the document at an address, as parse reads it. Where has says that what is kept lacks something, it is fetched anew,
// if it is time for that; the result may lack it still. A parse that fails is a fetch that failed.
func (s *Shelf) Get(ctx context.Context, address string, parse func([]byte) (any, error), has func(any) bool) (any, error) {
	at, err := s.allowed(address)
	if err != nil {
		return nil, err
	}
	for {
		s.mu.Lock()
		d := s.kept[address]
		if d != nil && d.busy != nil {
			busy := d.busy
			s.mu.Unlock()
			select {
			case <-busy:
				continue
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		now := s.now()
		if d != nil {
			age, since := elapsed(now, d.read), elapsed(now, d.asked)
			pause := pauseAfterSuccess
			if d.err != nil {
				pause = PauseAfterFailure
			}
			usable := d.value != nil && age < staleDocument
			if fresh := usable && age < keepDocument && has(d.value); fresh || since < pause {
				value, err := d.value, d.err
				s.mu.Unlock()
				if usable {
					return value, nil
				}
				return nil, err
			}
		}
		if !s.affordLocked(now) {
			defer s.mu.Unlock()
			if d != nil && d.value != nil && elapsed(now, d.read) < staleDocument {
				return d.value, nil
			}
			return nil, &UnreachedError{Host: at.Host, Reason: "too much was asked of it in this minute"}
		}
		if d == nil {
			s.makeRoomLocked()
			d = &document{}
			s.kept[address] = d
		}
		d.busy, d.asked = make(chan struct{}), now
		s.mu.Unlock()

		// Not cancelled with who happened to come first: others wait for it too.
		body, err := s.fetch(context.WithoutCancel(ctx), at)
		var value any
		if err == nil {
			if value, err = parse(body); err != nil {
				err = &UnreachedError{Host: at.Host, Reason: err.Error(), Status: http.StatusOK}
			}
		}
		s.mu.Lock()
		if d.err = err; err == nil {
			d.value, d.read = value, now
		}
		close(d.busy)
		d.busy = nil
		s.mu.Unlock()
	}
}

// Call sends a GET of which only the success counts, and whose answer is not kept.
func (s *Shelf) Call(ctx context.Context, address string) error {
	at, err := s.allowed(address)
	if err != nil {
		return err
	}
	s.mu.Lock()
	affordable := s.affordLocked(s.now())
	s.mu.Unlock()
	if !affordable {
		return &UnreachedError{Host: at.Host, Reason: "too much was asked of it in this minute"}
	}
	_, err = s.fetch(ctx, at)
	return err
}

func (s *Shelf) allowed(address string) (*url.URL, error) {
	at, err := url.Parse(address)
	if err != nil || at.Scheme != "https" && !ours(at) || at.Host == "" || at.User != nil || at.Fragment != "" || !s.reach(at) {
		return nil, ErrNotAllowed
	}
	return at, nil
}

// ours tells an address of this machine, which may be asked without TLS: nobody stands in between.
func ours(at *url.URL) bool {
	ip, err := netip.ParseAddr(at.Hostname())
	return at.Scheme == "http" && err == nil && ip.IsLoopback()
}

// ErrNotAllowed reports an address that the shelf does not ask.
var ErrNotAllowed = errors.New("it names an address that is not asked")

func (s *Shelf) fetch(ctx context.Context, at *url.URL) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, &UnreachedError{Host: at.Host, Reason: "it cannot be asked"}
	}
	response, err := s.transport.RoundTrip(request) // which follows no redirect
	if err != nil {
		reason := "it cannot be reached"
		if errors.Is(err, context.DeadlineExceeded) {
			reason = fmt.Sprintf("it did not answer within %s", fetchTimeout)
		}
		return nil, &UnreachedError{Host: at.Host, Reason: reason}
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxDocument+1))
	switch {
	case response.StatusCode != http.StatusOK:
		return nil, &UnreachedError{Host: at.Host, Reason: fmt.Sprintf("it answered HTTP %d", response.StatusCode), Status: response.StatusCode}
	case err != nil:
		return nil, &UnreachedError{Host: at.Host, Reason: "its answer broke off"}
	case len(body) > maxDocument:
		return nil, &UnreachedError{Host: at.Host, Reason: "its answer is too large", Status: http.StatusOK}
	}
	return body, nil
}

// affordLocked counts a fetch, if this minute has room for one.
func (s *Shelf) affordLocked(now time.Time) bool {
	if elapsed(now, s.minute) >= time.Minute {
		s.minute, s.spent = now, 0
	}
	if s.spent >= fetchesPerMinute {
		return false
	}
	s.spent++
	return true
}

// makeRoomLocked drops a document where there are too many: one that was never read, else the oldest.
func (s *Shelf) makeRoomLocked() {
	if len(s.kept) < maxDocuments {
		return
	}
	worst, found := "", false
	for address, d := range s.kept {
		if d.busy != nil {
			continue
		}
		if !found || d.read.Before(s.kept[worst].read) {
			worst, found = address, true
		}
	}
	delete(s.kept, worst)
}

// elapsed is the time since then; for ever where the clock was set back.
func elapsed(now, then time.Time) time.Duration {
	if since := now.Sub(then); since >= 0 {
		return since
	}
	return 1<<63 - 1
}
