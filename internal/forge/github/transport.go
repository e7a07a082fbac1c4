package github

import (
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/boatlift/boatlift/internal/forge/wire"
)

// watcher looks at every answer before anything above does.
type watcher struct {
	clock func() time.Time
	log   *slog.Logger

	mu     sync.Mutex
	warned map[string]bool
}

func (w *watcher) see(response *http.Response, body []byte) {
	settle(response, body, w.clock())
	w.warn(response.Header, response.Request.URL.Path)
}

// warn logs, once per notice, that GitHub will stop answering this version of its API.
func (w *watcher) warn(header http.Header, path string) {
	deprecation, sunset := header.Get("Deprecation"), header.Get("Sunset")
	if deprecation == "" && sunset == "" {
		return
	}
	notice := wire.Clean(deprecation, 64) + " " + wire.Clean(sunset, 64)
	w.mu.Lock()
	known := w.warned[notice] || len(w.warned) >= 16
	if w.warned == nil {
		w.warned = map[string]bool{}
	}
	if !known {
		w.warned[notice] = true
	}
	w.mu.Unlock()
	if !known {
		w.log.Warn("GitHub will stop answering what this version of Boatlift asks; update before then",
			"deprecation", wire.Clean(deprecation, 64), "sunset", wire.Clean(sunset, 64), "path", path)
	}
}
