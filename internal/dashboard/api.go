package dashboard

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/boatlift/boatlift/internal/store"
)

// API answers the commands.
type API struct {
	Store   *store.Store
	Version string
	Started time.Time
	Senders []string  // paths of the endpoints: /hooks/NAME
	Polls   []Polling // the registries that can be asked for tags
	// Sync asks them now, tells each step, and returns what came of it; nil where nothing can.
	Sync   func(ctx context.Context, o SyncOrder, tell func(step any)) (result any, err error)
	Limits store.Limits     // of writes at forges, that the bot keeps to
	Now    func() time.Time // default time.Now
	Log    *slog.Logger     // default discards
	// Observe is told of every push that was told of, as of a webhook; may be nil.
	Observe func(sender string, outcome store.Outcome)
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
	mux.Post("/sync", a.sync)
	mux.Post(pushesPath, answer(a, a.pushed))
	mux.Post(verificationsPath, answer(a, a.verify))
	unknown := answer(a, func(r *http.Request) (any, error) {
		return nil, &Problem{
			Message: "the bot knows no " + r.Method + " " + r.URL.Path,
			Fix:     "it is version " + a.Version + "; use the commands of the same version", Status: http.StatusNotFound,
		}
	})
	mux.NotFound(unknown)
	mux.MethodNotAllowed(unknown)
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
		status, result := http.StatusOK, any(nil)
		found, err := do(r)
		var text []byte
		if err == nil {
			result = found
			if s, ok := found.(interface{ status() int }); ok {
				status = s.status()
			}
			text, err = encode(result)
		}
		if err != nil {
			p := problemOf(r, err)
			if p.Status >= http.StatusInternalServerError && r.Context().Err() == nil && a.Log != nil {
				a.Log.Error("answer a command", "path", r.URL.Path, "error", err)
			}
			if p.Status == http.StatusServiceUnavailable {
				w.Header().Set("Retry-After", "5")
			}
			status = p.Status
			if text, err = encode(p); err != nil {
				text = []byte(`{"error":"the answer cannot be written"}`)
			}
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write(text) // the asker may be gone
	}
}

// problemOf makes of any error what the asker is told. On the socket that is the whole error; over the network, where some may only read,
// the inner parts stay in the log.
func problemOf(r *http.Request, err error) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		if p.Status < http.StatusBadRequest {
			return &Problem{Message: p.Message, Fix: p.Fix, Status: http.StatusInternalServerError}
		}
		return p
	}
	p = &Problem{Message: err.Error(), Status: http.StatusInternalServerError}
	var unavailable *store.UnavailableError
	if errors.As(err, &unavailable) {
		p.Status = http.StatusServiceUnavailable
	}
	if overNetwork(r) {
		p.Message, p.Fix = "the bot cannot answer just now", "its log says why"
		return p
	}
	var hint interface{ Hint() string }
	if errors.As(err, &hint) {
		p.Fix = hint.Hint()
	}
	return p
}

func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return tame(b.Bytes()), nil
}

// tame takes out of JSON what could steer the terminal on which a string of it is shown. encoding/json writes control characters as
// \u00XX, and leaves all others as they are.
func tame(text []byte) []byte {
	var out bytes.Buffer
	out.Grow(len(text))
	for i := 0; i < len(text); {
		if text[i] != '\\' {
			n := bytes.IndexByte(text[i:], '\\')
			if n < 0 {
				n = len(text) - i
			}
			out.Write(bytes.Map(visible, text[i:i+n]))
			i += n
			continue
		}
		n := 2
		if text[i+1] == 'u' {
			n = 6
		}
		escape := text[i : i+n]
		i += n
		switch escape[1] {
		case 'b', 'f', 'r':
			out.WriteRune(hidden)
		case 'u':
			r, err := strconv.ParseUint(string(escape[2:]), 16, 16)
			if err != nil || visible(rune(r)) == hidden {
				out.WriteRune(hidden)
			} else {
				out.Write(escape)
			}
		default:
			out.Write(escape)
		}
	}
	return out.Bytes()
}
