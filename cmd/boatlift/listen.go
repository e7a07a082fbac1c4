package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// listenError is an address that cannot be listened on.
type listenError struct {
	address string
	err     error
}

func (e *listenError) Error() string { return "listen on " + e.address + ": " + e.err.Error() }
func (e *listenError) Unwrap() error { return e.err }
func (e *listenError) Hint() string  { return "choose another address with listen: in boatlift.yaml" }

// server is one listener with its handler.
type server struct {
	name     string
	listener net.Listener
	http     *http.Server
	log      *slog.Logger
}

func newServer(name string, listener net.Listener, handler http.Handler, log *slog.Logger) *server {
	return &server{name: name, listener: listener, log: log, http: &http.Server{
		Handler: handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 60 * time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}}
}

func (s *server) serve() error {
	if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", s.name, err)
	}
	return nil
}

func (s *server) stop(ctx context.Context) {
	if err := s.http.Shutdown(ctx); err != nil {
		s.log.Warn("requests were cut off", "server", s.name, "error", err)
	}
}
