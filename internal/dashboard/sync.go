package dashboard

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/boatlift/boatlift/internal/image"
)

// SyncRequest asks to look at registries now, and to propose also what was there before the bot was.
type SyncRequest struct {
	Images []string `json:"images,omitempty"` // by their names or the ends of those; none: all of the registries in boatlift.yaml
	DryRun bool     `json:"dryRun,omitempty"` // only tell
	Actor  string   `json:"actor"`            // as in HoldRequest
}

// SyncOrder is a request that was understood.
type SyncOrder struct {
	Images []image.Name
	DryRun bool
	Actor  string
	Role   string
}

// SyncLine is one line of the answer to a SyncRequest, which has a line for each image as soon as it is done, and then the result or what
// went wrong.
type SyncLine struct {
	Step   json.RawMessage `json:"step,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
	Error  string          `json:"error,omitempty"`
	Hint   string          `json:"hint,omitempty"`
}

// syncPatience is how long one line of an answer may take to be written.
const syncPatience = time.Minute

// sync answers with JSON, a line at a time. What goes wrong before the first line is answered as everywhere.
func (a *API) sync(w http.ResponseWriter, r *http.Request) {
	order, err := a.understandSync(r)
	if err != nil {
		answer(a, func(*http.Request) (any, error) { return nil, err })(w, r)
		return
	}
	control := http.NewResponseController(w)
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("X-Accel-Buffering", "no") // or a proxy keeps the lines until the end
	write := func(l SyncLine) {
		text, err := encode(l)
		if err != nil {
			text = []byte(`{"error":"the answer cannot be written"}` + "\n")
		}
		_ = control.SetWriteDeadline(time.Now().Add(syncPatience)) // the server's own is for short answers
		_, _ = w.Write(text)                                       // the asker may be gone; then the context ends
		_ = control.Flush()
	}
	result, err := a.Sync(r.Context(), order, func(step any) {
		if text, err := json.Marshal(step); err == nil {
			write(SyncLine{Step: text})
		}
	})
	if err != nil {
		p := problemOf(r, err)
		if r.Context().Err() == nil && a.Log != nil {
			a.Log.Error("sync", "error", err)
		}
		write(SyncLine{Error: p.Message, Hint: p.Fix})
		return
	}
	text, err := json.Marshal(result)
	if err != nil {
		write(SyncLine{Error: "the result cannot be written"})
		return
	}
	write(SyncLine{Result: text})
}

func (a *API) understandSync(r *http.Request) (order SyncOrder, err error) {
	var req SyncRequest
	if err := decode(r, &req); err != nil {
		return order, err
	}
	if a.Sync == nil {
		return order, &Problem{Message: "this bot cannot ask registries", Status: http.StatusNotFound}
	}
	order = SyncOrder{DryRun: req.DryRun, Actor: actor(r, req.Actor), Role: role(r)}
	if order.Actor == "" {
		return order, errNobody()
	}
	due, err := a.Store.PollsDue(r.Context())
	if err != nil {
		return order, err
	}
	var known []image.Name
	for _, d := range due {
		known = append(known, d.Image)
	}
	slices.Sort(known)
	for _, text := range req.Images {
		matched := matchImages(text, known)
		if len(matched) == 0 {
			p := &Problem{Message: "no environment lists " + quote(text), Fix: "name an image without its tag; listed are " + names(known[:min(len(known), 20)]), Status: http.StatusNotFound}
			if len(known) == 0 {
				p.Fix = "no environment lists any image yet"
			}
			return order, p
		}
		order.Images = append(order.Images, matched...)
	}
	slices.Sort(order.Images)
	order.Images = slices.Compact(order.Images)
	return order, nil
}
