package dashboard

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/store"
)

// API answers the commands.
type API struct {
	Store   *store.Store
	Version string
	Started time.Time
	Senders []string         // names of the endpoints under /hooks
	Now     func() time.Time // default time.Now
	Log     *slog.Logger     // default discards
}

// Problem is an answer that is not what was asked for.
type Problem struct {
	Message string `json:"error"`
	Fix     string `json:"hint,omitempty"`
	Status  int    `json:"-"`
}

func (p *Problem) Error() string { return p.Message }

// Hint says what to do.
func (p *Problem) Hint() string { return p.Fix }

// Routes are the paths below /api/v1.
func (a *API) Routes() chi.Router {
	mux := chi.NewRouter()
	mux.Get("/status", answer(a, func(r *http.Request) (any, error) { return a.Status(r.Context()) }))
	mux.Get("/why", answer(a, func(r *http.Request) (any, error) { return a.Why(r.Context(), r.URL.Query().Get("about")) }))
	mux.Post("/holds", answer(a, a.hold))
	mux.Post("/lifts", answer(a, a.lift))
	mux.Post("/resumes", answer(a, a.resume))
	return mux
}

func (a *API) now() time.Time {
	if a.Now == nil {
		return time.Now()
	}
	return a.Now()
}

func answer(a *API, do func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		result, err := do(r)
		if err != nil {
			var p *Problem
			if !errors.As(err, &p) {
				if a.Log != nil {
					a.Log.Error("answer a command", "path", r.URL.Path, "error", err)
				}
				p = &Problem{Message: err.Error(), Status: http.StatusInternalServerError}
			}
			w.WriteHeader(p.Status)
			result = p
		}
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		_ = enc.Encode(result) // the asker may be gone
	}
}

// HoldRequest asks to keep apps of an environment where they are, or to let them go again.
type HoldRequest struct {
	Environment string   `json:"environment"` // acme/infra-production:production
	Images      []string `json:"images,omitempty"`
	Reason      string   `json:"reason,omitempty"`
	Actor       string   `json:"actor"`
}

// HoldAnswer tells what was done.
type HoldAnswer struct {
	Done string `json:"done"`
}

func (a *API) hold(r *http.Request) (any, error) {
	return a.change(r, "held", func(tx *store.Tx, env string, images []image.Name, req HoldRequest) string {
		tx.AddHold(promotion.Hold{Environment: env, Images: images, Reason: req.Reason, Actor: req.Actor, At: a.now()})
		return "held " + req.Environment
	})
}

func (a *API) lift(r *http.Request) (any, error) {
	return a.change(r, "lifted hold", func(tx *store.Tx, env string, images []image.Name, req HoldRequest) string {
		tx.LiftHolds(env, images)
		return "lifted the holds of " + req.Environment
	})
}

func (a *API) change(r *http.Request, action string, do func(*store.Tx, string, []image.Name, HoldRequest) string) (any, error) {
	var req HoldRequest
	dec := json.NewDecoder(http.MaxBytesReader(nil, r.Body, 64<<10))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&req); err != nil {
		return nil, &Problem{Message: "the request is not understood: " + err.Error(), Status: http.StatusBadRequest}
	}
	if req.Actor == "" {
		return nil, &Problem{Message: "the request does not say who makes it", Status: http.StatusBadRequest}
	}
	repo, env, err := a.environment(r.Context(), req.Environment)
	if err != nil {
		return nil, err
	}
	listings, err := a.listings(r.Context(), repo.Key)
	if err != nil {
		return nil, err
	}
	var images []image.Name
	for _, text := range req.Images {
		matched := matchImages(text, namesOf(listings, env))
		if len(matched) == 0 {
			return nil, &Problem{Message: req.Environment + " does not list " + text, Fix: "boatlift status names its images", Status: http.StatusNotFound}
		}
		images = append(images, matched...)
	}
	var done string
	detail, err := json.Marshal(req)
	if err != nil {
		return nil, err
	}
	err = a.Store.Operate(r.Context(), repo.Key, func(tx *store.Tx) error {
		done = do(tx, env, images, req)
		tx.Audit(store.AuditEntry{Actor: req.Actor, Role: "operate", Action: action, Subject: repo.FullName + ":" + env, Detail: detail})
		return nil
	})
	return HoldAnswer{Done: done}, err
}
