package reconcile

import (
	"slices"
	"strings"

	"github.com/boatlift/boatlift/internal/promotion"
)

// holdIfLost holds every environment of a repo that is seen for the first time and has branches of the bot already: the database was lost,
// and with it what people rejected and held. Until a person has looked, the bot only observes.
func (t *turn) holdIfLost() {
	if !t.mem.Repo.BaselineAt.IsZero() {
		return
	}
	branches := 0
	for name := range t.refs.ByName {
		if strings.HasPrefix(name, "refs/heads/boatlift/") {
			branches++
		}
	}
	if branches == 0 {
		return
	}
	for _, env := range t.world.Config.Environments {
		h := promotion.Hold{Environment: env.Name, Reason: promotion.LostReason, Actor: "boatlift", At: t.now}
		held := slices.ContainsFunc(t.world.Holds, func(o promotion.Hold) bool { return o.Environment == h.Environment && o.Reason == h.Reason })
		if !held {
			t.world.Holds = append(t.world.Holds, h)
			t.lostHolds = append(t.lostHolds, h)
		}
	}
	if len(t.lostHolds) > 0 {
		t.log.Warn("this repository has branches of the bot that it does not remember; it only observes until boatlift resume", "branches", branches)
	}
}
