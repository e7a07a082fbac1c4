// Package serving runs the HTTP servers that the sandbox is made of: each on a listener that it owns, until it is closed.
package serving

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
)

// closeWithin is how long Close waits for requests under way, and for connections on which none ever came.
const closeWithin = 2 * time.Second

// Server is a server at work. Close stops it.
type Server struct {
	http   *http.Server
	served chan error // how it ended, once
	close  func() error
}

// Start serves what comes to a listener.
func Start(listener net.Listener, server *http.Server) *Server {
	s := &Server{http: server, served: make(chan error, 1)}
	s.close = sync.OnceValue(s.stop)
	go func() { s.served <- server.Serve(listener) }()
	return s
}

// Close stops it and waits. Requests that take longer than two seconds more are cut off. Closed again, it says once more how that went.
func (s *Server) Close() error { return s.close() }

func (s *Server) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeWithin)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.http.Close()
	}
	if served := <-s.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
