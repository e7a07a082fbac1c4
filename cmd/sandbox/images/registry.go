package images

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/inmemory" // the storage driver that Start names
	"github.com/sirupsen/logrus"
)

// closeWithin is how long Close waits for requests under way, and for connections on which none ever came.
const closeWithin = 2 * time.Second

// Options says how the registry runs. The zero value is a registry on a free port that tells nobody.
type Options struct {
	Addr        string // where to listen; 127.0.0.1:0 by default
	NotifyURL   string // where events are posted; empty: nowhere
	NotifyToken string // sent as Authorization: Bearer …; empty: no such header
	// Username and Password, when set, are demanded as basic auth from everybody.
	Username, Password string
}

// Registry is a running registry. Close stops it.
type Registry struct {
	opts   Options
	app    *handlers.App
	server *http.Server
	host   string
	served chan error
	down   atomic.Bool
}

// Start runs a registry. It answers when Start returns.
func Start(opts Options) (*Registry, error) {
	if opts.Addr == "" {
		opts.Addr = "127.0.0.1:0"
	}
	listener, err := net.Listen("tcp", opts.Addr)
	if err != nil {
		return nil, fmt.Errorf("listen for the sandbox registry: %w", err)
	}
	logrus.SetOutput(io.Discard)
	config, err := configure(opts, listener.Addr().String())
	if err != nil {
		_ = listener.Close()
		return nil, err
	}
	reg := &Registry{
		opts:   opts,
		app:    handlers.NewApp(context.Background(), config),
		host:   listener.Addr().String(),
		served: make(chan error, 1),
	}
	reg.server = &http.Server{Handler: reg.guard(reg.app), ReadHeaderTimeout: 10 * time.Second}
	go func() { reg.served <- reg.server.Serve(listener) }()
	return reg, nil
}

func configure(opts Options, addr string) (*configuration.Configuration, error) {
	secret := make([]byte, 16)
	if _, err := rand.Read(secret); err != nil {
		return nil, fmt.Errorf("make the registry's upload secret: %w", err)
	}
	config := &configuration.Configuration{
		Version: configuration.MajorMinorVersion(0, 1),
		Storage: configuration.Storage{
			"inmemory":    configuration.Parameters{},
			"delete":      configuration.Parameters{"enabled": true},
			"maintenance": configuration.Parameters{"uploadpurging": map[any]any{"enabled": false}},
		},
	}
	config.Log.AccessLog.Disabled = true
	config.Log.Level = "error"
	config.HTTP.Addr = addr
	config.HTTP.Secret = hex.EncodeToString(secret)
	config.Catalog.MaxEntries = 1000
	if opts.NotifyURL != "" {
		headers := http.Header{}
		if opts.NotifyToken != "" {
			headers.Set("Authorization", "Bearer "+opts.NotifyToken)
		}
		config.Notifications.Endpoints = []configuration.Endpoint{{
			Name: "boatlift", URL: opts.NotifyURL, Headers: headers,
			Timeout: 2 * time.Second, Threshold: 5, Backoff: time.Second,
		}}
	}
	return config, nil
}

// guard stands before the registry: it asks for the password, and answers 503 while the registry is switched off.
func (reg *Registry) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if reg.down.Load() {
			http.Error(w, "the sandbox registry is switched off", http.StatusServiceUnavailable)
			return
		}
		if reg.opts.Username != "" || reg.opts.Password != "" {
			user, password, _ := r.BasicAuth()
			same := subtle.ConstantTimeCompare([]byte(user+"\x00"+password), []byte(reg.opts.Username+"\x00"+reg.opts.Password))
			if same != 1 {
				w.Header().Set("WWW-Authenticate", `Basic realm="sandbox registry"`)
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusUnauthorized)
				_, _ = io.WriteString(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// Host is the name under which images are pushed and pulled: 127.0.0.1 and the port. It speaks plain HTTP.
func (reg *Registry) Host() string { return reg.host }

// SetDown switches the registry off (every request is answered 503) and on again. Its content stays.
func (reg *Registry) SetDown(down bool) { reg.down.Store(down) }

// Close stops the registry and forgets its images. Requests that take longer than two seconds more are cut off.
func (reg *Registry) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeWithin)
	defer cancel()
	err := reg.server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = reg.server.Close()
	}
	if served := <-reg.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return errors.Join(err, reg.app.Shutdown())
}
