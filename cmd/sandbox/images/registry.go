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
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem" // the storage drivers that Start names
	_ "github.com/distribution/distribution/v3/registry/storage/driver/inmemory"
	"github.com/sirupsen/logrus"

	"github.com/boatlift/boatlift/cmd/sandbox/serving"
)

// Options says how the registry runs. The zero value is a registry on a free port that tells nobody.
type Options struct {
	Addr        string // where to listen; 127.0.0.1:0 by default
	NotifyURL   string // where events are posted; empty: nowhere
	NotifyToken string // sent as Authorization: Bearer …; empty: no such header
	Dir         string // where images are kept; empty: in memory, until Close or Restart
	// Program is a registry to run instead, as a process: Debian's docker-registry. It needs Dir, and no Username.
	Program string
	// Username and Password, when set, are demanded as basic auth from everybody.
	Username, Password string
}

// Registry is a running registry. Close stops it.
type Registry struct {
	opts   Options
	host   string
	server *serving.Server // nil: another process's
	run    atomic.Pointer[life]
	down   atomic.Bool
	told   []*relay // of every life of the library
}

// life is a registry from its start to its end, of which Restart makes another.
type life struct {
	http.Handler
	// end stops it, and with it the sending of what it still had to tell.
	end func() error
}

// Start runs a registry. It answers when Start returns.
func Start(opts Options) (*Registry, error) {
	reg := &Registry{opts: opts}
	if opts.Addr == "" {
		opts.Addr = "127.0.0.1:0"
	}
	listener, err := net.Listen("tcp", opts.Addr)
	if err != nil {
		return nil, fmt.Errorf("listen for the sandbox registry: %w", err)
	}
	reg.host = listener.Addr().String()
	reg.server = serving.Start(listener, &http.Server{Handler: reg, ReadHeaderTimeout: 10 * time.Second})
	if err := reg.begin(); err != nil {
		return nil, errors.Join(err, reg.Close())
	}
	return reg, nil
}

// begin lets the registry answer.
func (reg *Registry) begin() (err error) {
	var l *life
	if reg.opts.Program != "" {
		l, err = runProgram(reg.opts, reg.host)
	} else {
		l, err = reg.runLibrary()
	}
	if err == nil {
		reg.run.Store(l)
	}
	return err
}

// runLibrary is Distribution's version 3 in this process.
func (reg *Registry) runLibrary() (*life, error) {
	logrus.SetOutput(io.Discard)
	opts, silence := reg.opts, func() {}
	if opts.NotifyURL != "" {
		told, err := newRelay(opts.NotifyURL)
		if err != nil {
			return nil, err
		}
		reg.told = append(reg.told, told)
		opts.NotifyURL, silence = told.url, told.end
	}
	config, err := configure(opts, reg.host)
	if err != nil {
		return nil, err
	}
	app := handlers.NewApp(context.Background(), config)
	return &life{Handler: app, end: func() error {
		silence()
		return app.Shutdown()
	}}, nil
}

// Restart stops the registry and starts it at the same address, which nobody else can take meanwhile: until it answers again, requests
// are answered 503. What it had to tell its listener, and could not, is lost; so are its images unless they are in a folder.
func (reg *Registry) Restart() error {
	if err := reg.end(); err != nil {
		return fmt.Errorf("stop the sandbox registry: %w", err)
	}
	return reg.begin()
}

// end ends the life that there is.
func (reg *Registry) end() error {
	if l := reg.run.Swap(nil); l != nil {
		return l.end()
	}
	return nil
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
	if opts.Dir != "" {
		delete(config.Storage, "inmemory")
		config.Storage["filesystem"] = configuration.Parameters{"rootdirectory": opts.Dir}
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

// ServeHTTP stands before the registry: it asks for the password, and answers 503 while the registry is switched off or started anew.
func (reg *Registry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	next := reg.run.Load()
	if next == nil || reg.down.Load() {
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
}

// Host is the name under which images are pushed and pulled: 127.0.0.1 and the port. It speaks plain HTTP.
func (reg *Registry) Host() string { return reg.host }

// SetDown switches the registry off (every request is answered 503) and on again. Its content stays.
func (reg *Registry) SetDown(down bool) { reg.down.Store(down) }

// Close stops the registry. Images that are in no folder are forgotten.
func (reg *Registry) Close() error {
	if reg.server == nil {
		return nil
	}
	err := errors.Join(reg.server.Close(), reg.end())
	for _, r := range reg.told {
		err = errors.Join(err, r.close())
	}
	reg.told = nil
	return err
}
