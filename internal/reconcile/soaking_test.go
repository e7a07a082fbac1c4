package reconcile

import (
	"strings"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/promotion"
)

// A soak in production that acceptance would interrupt keeps the bot from merging in acceptance, also across repositories.
func TestASoakKeepsTheBotFromMovingAcceptanceOn(t *testing.T) {
	w := newWorld(t)
	acceptance, production := w.shop(func(a, p *promotion.Environment) {
		a.Merge, p.Merge = promotion.MergeAuto, promotion.MergeAuto
		p.Policies = []gate.Use{{Policy: "soak", Parameters: map[string]any{"for": "30m"}}}
	})
	w.push(web, "1.1.0")
	w.work()
	for range 3 {
		w.later(time.Second)
	}
	if !merged(acceptance, 1) {
		t.Fatalf("#1 of acceptance is not merged\n%s", acceptance.explain())
	}
	w.push(web, "1.2.0")
	w.work()
	w.later(2 * time.Second)
	w.later(10 * time.Minute)
	if merged(acceptance, 2) {
		t.Fatal("acceptance moved on while 1.1.0 soaked for production")
	}
	if next := acceptance.promotion(2).Next; !strings.Contains(next, "acme/infra-production:production lets 1.1.0 run here undisturbed until") {
		t.Errorf("it says %q", next)
	}
	w.later(20 * time.Minute)
	w.later(time.Second)
	w.later(time.Minute)
	if !merged(production, 1) {
		t.Fatalf("1.1.0 has soaked, and #1 of production is not merged\n%s", production.explain())
	}
	for range 5 {
		w.later(time.Minute)
	}
	if !merged(acceptance, 2) {
		t.Errorf("#2 of acceptance is not merged after production took 1.1.0\n%s", acceptance.explain())
	}
}
