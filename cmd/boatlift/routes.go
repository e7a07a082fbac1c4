package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"github.com/boatlift/boatlift/internal/hook"
	"github.com/boatlift/boatlift/internal/store"
)

// publicRoutes are what the address for webhooks answers. api is nil where nobody may ask over the network.
func publicRoutes(receiver *hook.Receiver, api http.Handler, count *metrics, ready *readiness) http.Handler {
	mux := chi.NewRouter()
	ready.routes(mux)
	mux.Handle("/metrics", count.handler())
	if api != nil {
		mux.Mount("/api/v1", api)
	}
	mux.Mount("/hooks", receiver.Routes())
	return mux
}

// adminRoutes are what the socket answers: to whoever may open it everything, also what shows the memory of the process.
func adminRoutes(api http.Handler, count *metrics, ready *readiness) http.Handler {
	mux := chi.NewRouter()
	ready.routes(mux)
	mux.Handle("/metrics", count.handler())
	mux.Mount("/api/v1", api)
	mux.Mount("/debug", middleware.Profiler())
	return mux
}

// readiness tells whether the bot can do its work: whether it runs, and whether what it is sent is kept.
type readiness struct {
	db       *store.Store
	log      *slog.Logger
	stopping atomic.Bool // what is sent now may meet a closed door
	failing  atomic.Bool // the log has said so
}

func (r *readiness) routes(mux chi.Router) {
	mux.Get("/healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.Get("/readyz", func(w http.ResponseWriter, request *http.Request) {
		if r.stopping.Load() {
			http.Error(w, "the bot is stopping", http.StatusServiceUnavailable)
			return
		}
		ctx, cancel := context.WithTimeout(request.Context(), 5*time.Second)
		defer cancel()
		err := r.db.Ping(ctx)
		if request.Context().Err() != nil {
			return // nobody waits for it, and that may be why it failed
		}
		if err != nil {
			if !r.failing.Swap(true) {
				r.log.Warn("the bot is not ready: the database takes nothing", "error", err)
			}
			http.Error(w, "the database takes nothing", http.StatusServiceUnavailable) // why stands in the log: anybody may ask here
			return
		}
		if r.failing.Swap(false) {
			r.log.Info("the bot is ready again")
		}
		fmt.Fprintln(w, "ok")
	})
}
