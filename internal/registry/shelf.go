package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// shelf keeps the few documents that proofs need and that have to be fetched: a provider's keys, a certificate. It asks only
// where the type's Reach allows, over https, without following redirects, and seldom, whoever provokes it: one fetch of a
// document at a time, a pause after each, and a limit on all of a minute.
type shelf struct {
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

const (
	fetchTimeout      = 5 * time.Second
	keepDocument      = 6 * time.Hour    // then it is fetched anew
	staleDocument     = 24 * time.Hour   // so long it is used while that fails
	pauseAfterFailure = 10 * time.Second // before the next attempt
	pauseAfterSuccess = time.Minute      // before it is fetched anew because something is not in it
	maxDocuments      = 16
	maxDocument       = 256 << 10
	fetchesPerMinute  = 20
)

func newShelf(kind Type, endpoint Endpoint) *shelf {
	return &shelf{
		transport: endpoint.Transport, now: endpoint.Now, kept: map[string]*document{},
		reach: func(u *url.URL) bool { return kind.Reach(endpoint, u) },
	}
}

// unreachedError reports an answer that is not the document.
type unreachedError struct {
	host, reason string
	status       int // 0 where there was no answer
}

func (e *unreachedError) Error() string { return e.host + ": " + e.reason }

// get is the document at an address, as parse reads it. Where has says that what is kept lacks something, it is fetched anew,
// if it is time for that; the result may lack it still. A parse that fails is a fetch that failed.
func (s *shelf) get(ctx context.Context, address string, parse func([]byte) (any, error), has func(any) bool) (any, error) {
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
				pause = pauseAfterFailure
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
			return nil, &unreachedError{host: at.Host, reason: "too much was asked of it in this minute"}
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
				err = &unreachedError{host: at.Host, reason: err.Error(), status: http.StatusOK}
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

// call sends a GET of which only the success counts, and whose answer is not kept.
func (s *shelf) call(ctx context.Context, address string) error {
	at, err := s.allowed(address)
	if err != nil {
		return err
	}
	s.mu.Lock()
	affordable := s.affordLocked(s.now())
	s.mu.Unlock()
	if !affordable {
		return &unreachedError{host: at.Host, reason: "too much was asked of it in this minute"}
	}
	_, err = s.fetch(ctx, at)
	return err
}

func (s *shelf) allowed(address string) (*url.URL, error) {
	at, err := url.Parse(address)
	if err != nil || at.Scheme != "https" || at.Host == "" || at.User != nil || at.Fragment != "" || !s.reach(at) {
		return nil, errNotAllowed
	}
	return at, nil
}

var errNotAllowed = errors.New("it names an address that is not asked")

func (s *shelf) fetch(ctx context.Context, at *url.URL) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, &unreachedError{host: at.Host, reason: "it cannot be asked"}
	}
	response, err := s.transport.RoundTrip(request) // which follows no redirect
	if err != nil {
		reason := "it cannot be reached"
		if errors.Is(err, context.DeadlineExceeded) {
			reason = fmt.Sprintf("it did not answer within %s", fetchTimeout)
		}
		return nil, &unreachedError{host: at.Host, reason: reason}
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxDocument+1))
	switch {
	case response.StatusCode != http.StatusOK:
		return nil, &unreachedError{host: at.Host, reason: fmt.Sprintf("it answered HTTP %d", response.StatusCode), status: response.StatusCode}
	case err != nil:
		return nil, &unreachedError{host: at.Host, reason: "its answer broke off"}
	case len(body) > maxDocument:
		return nil, &unreachedError{host: at.Host, reason: "its answer is too large", status: http.StatusOK}
	}
	return body, nil
}

// affordLocked counts a fetch, if this minute has room for one.
func (s *shelf) affordLocked(now time.Time) bool {
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
func (s *shelf) makeRoomLocked() {
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
