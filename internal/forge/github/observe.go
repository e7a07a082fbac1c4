package github

import (
	"net/http"
	"strconv"

	"github.com/boatlift/boatlift/internal/forge/wire"
)

// observed tells of every request that is sent for one installation.
type observed struct {
	next         http.RoundTripper
	installation int64
	tell         func(wire.Request)
}

// RoundTrip implements http.RoundTripper.
func (o *observed) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := o.next.RoundTrip(request)
	r := wire.Request{Installation: o.installation, Method: request.Method, Remaining: -1}
	if err == nil {
		r.Status, r.Resource = response.StatusCode, response.Header.Get("X-Ratelimit-Resource")
		if n, err := strconv.Atoi(response.Header.Get("X-Ratelimit-Remaining")); err == nil && n >= 0 {
			r.Remaining = n
		}
	}
	o.tell(r)
	return response, err
}

// observe wraps a transport where somebody wants to be told.
func (f *Forge) observe(next http.RoundTripper, installation int64) http.RoundTripper {
	if f.tell == nil {
		return next
	}
	return &observed{next: next, installation: installation, tell: f.tell}
}
