package images

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/boatlift/boatlift/cmd/sandbox/serving"
)

// relay passes on what the library has to tell. Version 3 has no way to stop its queue: run as a library it goes on telling after its
// end, which no registry does whose process died. What comes after the end is taken, so that the queue runs empty, and told to nobody.
type relay struct {
	*serving.Server
	url   string
	ended atomic.Bool
}

func newRelay(to string) (*relay, error) {
	target, err := url.Parse(to)
	if err != nil {
		return nil, fmt.Errorf("the sandbox registry's listener: %w", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for what the sandbox registry tells: %w", err)
	}
	r := &relay{url: "http://" + listener.Addr().String()}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) { p.Out.URL, p.Out.Host = target, target.Host },
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			w.WriteHeader(http.StatusBadGateway) // nobody listens; the registry tries again
		},
	}
	r.Server = serving.Start(listener, &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if !r.ended.Load() {
			proxy.ServeHTTP(w, req)
		}
	})})
	return r, nil
}

// end lets nothing through any more. The queue still finds somebody who takes what it tells.
func (r *relay) end() { r.ended.Store(true) }

// close stops it; a queue that is not empty is never emptied.
func (r *relay) close() error {
	r.end()
	return r.Close()
}
