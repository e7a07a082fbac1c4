package dashboard

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/store"
)

// ResumeRequest asks to go on after the database was lost.
type ResumeRequest struct {
	Actor string `json:"actor"`
}

// resume lifts the holds that the bot made because it did not remember its own branches, and no others.
func (a *API) resume(r *http.Request) (any, error) {
	var req ResumeRequest
	if err := json.NewDecoder(http.MaxBytesReader(nil, r.Body, 64<<10)).Decode(&req); err != nil || req.Actor == "" {
		return nil, &Problem{Message: "the request does not say who makes it", Status: http.StatusBadRequest}
	}
	holds, err := a.Store.Holds(r.Context(), store.HoldFilter{})
	if err != nil {
		return nil, err
	}
	byRepo := map[promotion.RepoKey][]promotion.Hold{}
	n := 0
	for _, h := range holds {
		byRepo[h.Repo] = append(byRepo[h.Repo], h.Hold)
		if h.Reason == promotion.LostReason {
			n++
		}
	}
	for key, all := range byRepo {
		lost := slices.ContainsFunc(all, func(h promotion.Hold) bool { return h.Reason == promotion.LostReason })
		if !lost {
			continue
		}
		err := a.Store.Operate(r.Context(), key, func(tx *store.Tx) error {
			for _, h := range all {
				if h.Reason != promotion.LostReason {
					continue
				}
				tx.LiftHolds(h.Environment, nil)
				for _, other := range all { // what people hold stays held
					if other.Environment == h.Environment && other.Reason != promotion.LostReason {
						tx.AddHold(other)
					}
				}
			}
			tx.Audit(store.AuditEntry{Actor: req.Actor, Role: "operate", Action: "resumed", Subject: string(key), Detail: json.RawMessage(`{}`)})
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	if n == 0 {
		return HoldAnswer{Done: "nothing to resume: the bot remembers all its branches"}, nil
	}
	return HoldAnswer{Done: fmt.Sprintf("resumed: %d environments move again", n)}, nil
}
