package reconcile

import (
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/promotion"
)

func TestProductionIsGreenOnceAcceptanceIsMerged(t *testing.T) {
	w := newWorld(t)
	acceptance, production := w.shop()
	w.push(web, "1.1.0")
	w.work()
	production.gate(production.only(), forge.Pending)
	if _, err := acceptance.alice().Merge(acceptance.ID, 1); err != nil {
		t.Fatal(err)
	}
	w.hear()
	production.gate(production.only(), forge.Success)
	if got := acceptance.promotion(1); got.State != promotion.Deployed || got.MergedBy != "alice" || got.AgainstGate {
		t.Errorf("acceptance's promotion is %s, merged by %s, against the gate %v", got.State, got.MergedBy, got.AgainstGate)
	}
	if _, ok := w.host.head("acme/infra-acceptance", acceptance.promotion(1).Branch); ok {
		t.Error("the branch of a merged promotion is still there")
	}
}

// deployedShop has acceptance's rollouts reported as deployments, and a merged pull request there.
func deployedShop(t *testing.T) (w *world, acceptance, production *infra, merged string) {
	w = newWorld(t)
	acceptance, production = w.shop(func(a, _ *promotion.Environment) { deployed("acceptance")(a) })
	w.push(web, "1.1.0")
	w.work()
	merged, err := acceptance.alice().Merge(acceptance.ID, 1)
	if err != nil {
		t.Fatal(err)
	}
	w.hear()
	production.gate(production.only(), forge.Pending)
	return w, acceptance, production, merged
}

func TestProductionFollowsAcceptancesDeployment(t *testing.T) {
	w, acceptance, production, merged := deployedShop(t)
	id := w.mem.Deploy(acceptance.ID, "acceptance", merged)
	w.hear()
	production.gate(production.only(), forge.Pending)
	if got := acceptance.promotion(1).State; got != promotion.RollingOut {
		t.Errorf("while the rollout runs the promotion is %s, want rolling out", got)
	}
	w.clock.move(time.Minute)
	w.mem.SetDeployment(acceptance.ID, id, forge.RolloutSucceeded)
	w.hear()
	production.gate(production.only(), forge.Success)
	if got := acceptance.promotion(1).State; got != promotion.Deployed {
		t.Errorf("after the rollout the promotion is %s, want deployed", got)
	}
}

func TestAFailedDeploymentDenies(t *testing.T) {
	w, acceptance, production, merged := deployedShop(t)
	id := w.mem.Deploy(acceptance.ID, "acceptance", merged)
	w.mem.SetDeployment(acceptance.ID, id, forge.RolloutFailed)
	w.hear()
	production.gate(production.only(), forge.Failure, "failed", "/deployments/")
	if got := acceptance.promotion(1).State; got != promotion.Failed {
		t.Errorf("after a failed rollout the promotion is %s, want failed", got)
	}
	w.clock.move(time.Minute)
	id = w.mem.Deploy(acceptance.ID, "acceptance", merged)
	w.mem.SetDeployment(acceptance.ID, id, forge.RolloutSucceeded)
	w.hear()
	production.gate(production.only(), forge.Success)
}

func TestADeploymentOfACommitWithoutTheDigestsDoesNotCount(t *testing.T) {
	w, acceptance, production, merged := deployedShop(t)
	before := w.host.git("", "acme/infra-acceptance", "rev-parse", merged+"^1")
	id := w.mem.Deploy(acceptance.ID, "acceptance", before)
	w.mem.SetDeployment(acceptance.ID, id, forge.RolloutSucceeded)
	w.hear()
	production.gate(production.only(), forge.Pending)
}

func TestADeploymentOfACommitThatIsGoneDoesNotCount(t *testing.T) {
	w, acceptance, production, _ := deployedShop(t)
	id := w.mem.Deploy(acceptance.ID, "acceptance", "1234567890123456789012345678901234567890")
	w.mem.SetDeployment(acceptance.ID, id, forge.RolloutSucceeded)
	w.hear()
	production.gate(production.only(), forge.Pending)
	if row := acceptance.row(); row.Attempts != 0 {
		t.Errorf("the turn failed: %s", row.LastError)
	}
}

func TestRollingBackAcceptanceByDeployingAnOlderCommitTurnsProductionsGateOff(t *testing.T) {
	w, acceptance, production, merged := deployedShop(t)
	id := w.mem.Deploy(acceptance.ID, "acceptance", merged)
	w.mem.SetDeployment(acceptance.ID, id, forge.RolloutSucceeded)
	w.hear()
	production.gate(production.only(), forge.Success)
	w.clock.move(time.Hour)
	before := w.host.git("", "acme/infra-acceptance", "rev-parse", merged+"^1")
	id = w.mem.Deploy(acceptance.ID, "acceptance", before)
	w.mem.SetDeployment(acceptance.ID, id, forge.RolloutSucceeded)
	w.hear()
	production.gate(production.only(), forge.Pending)
}

func TestWithoutPermissionToReadDeploymentsNothingCountsAndAllElseGoesOn(t *testing.T) {
	w := newWorld(t)
	acceptance, production := w.shop(func(a, _ *promotion.Environment) { deployed("acceptance")(a) })
	w.mem.Inject(forbiddenTo("Deployments"))
	w.push(web, "1.1.0")
	w.work()
	acceptance.only()
	production.gate(production.only(), forge.Pending)
}

func TestSoakCountsFromTheRollout(t *testing.T) {
	w := newWorld(t)
	acceptance, production := w.shop(func(_, p *promotion.Environment) {
		p.Policies = []gate.Use{{Policy: "soak", Parameters: map[string]any{"for": "30m"}}}
	})
	w.push(web, "1.1.0")
	w.work()
	if _, err := acceptance.alice().Merge(acceptance.ID, 1); err != nil {
		t.Fatal(err)
	}
	w.hear()
	production.gate(production.only(), forge.Pending, "30 min", "2026-03-02 09:30:02")
	w.later(29 * time.Minute)
	production.gate(production.only(), forge.Pending)
	w.later(time.Minute)
	production.gate(production.only(), forge.Success)
}
