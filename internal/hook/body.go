package hook

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

// Limits of what is read. Only GitHub documents a cap for what it sends; its package events are far smaller.
const (
	registryBody = 1 << 20
	forgeBody    = 25 << 20
)

func limitOf(e Endpoint) int64 {
	if e.Forge != nil {
		return forgeBody
	}
	return registryBody
}

// memory is what bodies may hold together.
type memory struct {
	mu   sync.Mutex
	left int64
}

func (m *memory) take(n int64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n > m.left {
		return false
	}
	m.left -= n
	return true
}

func (m *memory) give(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.left += n
}

var errNoMemory = errors.New("the bodies under way are too large together")

// tooLargeError reports a body above the limit.
type tooLargeError struct{ limit int64 }

func (e *tooLargeError) Error() string {
	return fmt.Sprintf("the body is larger than %d bytes", e.limit)
}

// read reads a body within its limit, its time and the memory that is left. What it takes of that is in proportion to what has come, not
// to what was announced. release gives it back, and is never nil.
func (r *Receiver) read(w http.ResponseWriter, req *http.Request, limit int64) (body []byte, release func(), err error) {
	held := int64(0)
	release = func() { r.memory.give(held) }
	if req.ContentLength > limit {
		return nil, release, &tooLargeError{limit}
	}
	// A writer that has no deadlines is none of a network connection, and cannot be slow.
	// The next request's deadlines are the server's again.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(r.patience))
	in := http.MaxBytesReader(w, req.Body, limit)
	const first = 8 << 10
	for {
		if len(body) == cap(body) {
			next := min(max(2*int64(cap(body)), first), limit+1)
			if body == nil && req.ContentLength >= 0 {
				next = min(next, req.ContentLength+1)
			}
			if !r.memory.take(next) {
				return nil, release, errNoMemory
			}
			grown := make([]byte, len(body), next)
			copy(grown, body)
			body = grown
			r.memory.give(held)
			held = next
		}
		n, err := in.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		var tooLarge *http.MaxBytesError
		switch {
		case err == io.EOF:
			return body, release, nil
		case errors.As(err, &tooLarge):
			return nil, release, &tooLargeError{limit}
		case err != nil:
			return nil, release, err
		}
	}
}

// refuseBody answers a request whose body did not come, or not whole.
func (r *Receiver) refuseBody(w http.ResponseWriter, req *http.Request, e Endpoint, err error) {
	var tooLarge *tooLargeError
	switch {
	case errors.Is(err, errNoMemory):
		w.Header().Set("Connection", "close") // or the server would wait for the rest
		r.overloaded(w, e, err.Error())
	case errors.As(err, &tooLarge):
		r.refuse(req, e, err.Error())
		unread(w, http.StatusRequestEntityTooLarge, "body too large")
	case errors.Is(err, os.ErrDeadlineExceeded):
		r.refuse(req, e, fmt.Sprintf("the body did not come within %s", r.patience))
		unread(w, http.StatusRequestTimeout, "the body did not come in time")
	default:
		r.refuse(req, e, "the connection broke before the body was whole")
		unread(w, http.StatusBadRequest, "the body could not be read")
	}
}
