package dashboard

import (
	"encoding/json"
	"net/http"
	"slices"

	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/store"
)

// ResumeRequest asks to go on after the database was lost.
type ResumeRequest struct {
	Actor string `json:"actor"` // as in HoldRequest
}

// resume lifts the holds that the bot made because it did not remember its own branches, and no others.
func (a *API) resume(r *http.Request) (any, error) {
	var req ResumeRequest
	if err := decode(r, &req); err != nil {
		return nil, err
	}
	if req.Actor = actor(r, req.Actor); req.Actor == "" {
		return nil, errNobody()
	}
	holds, err := a.Store.Holds(r.Context(), store.HoldFilter{})
	if err != nil {
		return nil, err
	}
	repos, err := a.Store.Repos(r.Context())
	if err != nil {
		return nil, err
	}
	resumed := 0
	for _, repo := range repos {
		var lost []string // environments
		var kept []promotion.Hold
		for _, h := range holds {
			switch {
			case h.Repo != repo.Key:
			case h.Reason == promotion.LostReason:
				lost = append(lost, h.Environment)
			default:
				kept = append(kept, h.Hold)
			}
		}
		if len(lost) == 0 {
			continue
		}
		if err := a.Store.Operate(r.Context(), repo.Key, func(tx *store.Tx) error {
			for _, environment := range lost {
				tx.LiftHolds(environment, nil)
			}
			for _, h := range kept { // what people hold stays held
				if slices.Contains(lost, h.Environment) {
					tx.AddHold(h)
				}
			}
			tx.Audit(store.AuditEntry{Actor: req.Actor, Role: role(r), Action: "resumed", Subject: repo.FullName, Detail: json.RawMessage(`{}`)})
			return nil
		}); err != nil {
			return nil, err
		}
		resumed += len(lost)
	}
	if resumed == 0 {
		return HoldAnswer{Done: "nothing to resume: the bot remembers all its branches"}, nil
	}
	return HoldAnswer{Done: "resumed: " + count(resumed, "environment moves", "environments move") + " again"}, nil
}
