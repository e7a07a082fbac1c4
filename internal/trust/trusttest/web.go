package trusttest

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Web is what is out there: answers by address. It is a transport, and knows what was asked.
type Web struct {
	Pages map[string]Page // read and changed by Set once it is in use

	mu    sync.Mutex
	asked []string
}

// Page is an answer, or why there is none.
type Page struct {
	Status int
	Body   string
	Err    error
}

// RoundTrip implements http.RoundTripper.
func (w *Web) RoundTrip(request *http.Request) (*http.Response, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	address := request.URL.String()
	w.asked = append(w.asked, address)
	found, ok := w.Pages[address]
	if !ok {
		found = Page{Status: http.StatusNotFound}
	}
	if found.Err != nil {
		return nil, found.Err
	}
	return &http.Response{StatusCode: found.Status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(found.Body)), Request: request}, nil
}

// Set changes what is at an address.
func (w *Web) Set(address string, p Page) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.Pages[address] = p
}

// Asked are the addresses that were asked, in their order.
func (w *Web) Asked() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.asked...)
}

// Count is how many there were.
func (w *Web) Count() int { return len(w.Asked()) }

// Clock is a time that a test moves.
type Clock struct {
	mu sync.Mutex
	at time.Time
}

// NewClock is a clock that stands.
func NewClock(at time.Time) *Clock { return &Clock{at: at} }

// Now is the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

// Pass moves the clock.
func (c *Clock) Pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}
