package reconcile

import (
	"fmt"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/promotion"
)

// TestNothingIsLetThroughOnWhatWasOnlyAssumed rolls acceptance back by hand without anybody telling the bot, and then lets production's soak
// end in a turn that has a pull request to open.
func TestNothingIsLetThroughOnWhatWasOnlyAssumed(t *testing.T) {
	for name, change := range map[string]func(*promotion.Environment){"merge": merging(promotion.MergeAuto), "gate": merging(promotion.MergeManual)} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			infra := w.repo("infra", map[string]string{
				ConfigFile: w.config(environment("acceptance", below("acceptance"), deployed("acceptance")),
					environment("production", below("production"), after("acceptance"), soaking("30m"), change)),
				"acceptance/web/kustomization.yaml":    kustomization(string(web) + ":1.0.0"),
				"acceptance/worker/kustomization.yaml": kustomization(string(names(1)) + ":1.0.0"),
				"production/web/kustomization.yaml":    kustomization(string(web) + ":1.0.0"),
			})
			w.discover()
			before, _ := w.host.head("acme/infra", "main")
			w.mem.SetDeployment(infra.ID, w.mem.Deploy(infra.ID, "acceptance", before), forge.RolloutSucceeded)
			w.hear()
			w.push(web, "1.1.0")
			w.work()
			if _, err := infra.alice().Merge(infra.ID, 1); err != nil {
				t.Fatal(err)
			}
			w.hear()
			merged, _ := w.host.head("acme/infra", "main")
			w.mem.SetDeployment(infra.ID, w.mem.Deploy(infra.ID, "acceptance", merged), forge.RolloutSucceeded)
			w.hear()
			if got := infra.promotion(2); got.State != promotion.Open || got.Gate.State != gate.Wait {
				t.Fatalf("while it soaks, production's promotion is %s, and its gate %s", got.State, got.Gate.State)
			}

			w.clock.move(29 * time.Minute)
			w.mem.SetDeployment(infra.ID, w.mem.Deploy(infra.ID, "acceptance", before), forge.RolloutSucceeded)
			w.clock.move(2 * time.Minute)
			w.push(names(1), "1.1.0")
			w.work()
			if n := len(infra.open()); n != 2 {
				t.Errorf("%d pull requests are open, want production's and the worker's", n)
			}
			if got := infra.promotion(2); got.State != promotion.Open || got.Gate.State != gate.Wait {
				t.Errorf("acceptance was rolled back, and production's promotion is %s, its gate %s: %v", got.State, got.Gate.State, got.Gate.Rulings)
			}
		})
	}
}

// TestWhatIsAssumedIsAskedForBeforeLong opens a pull request every second.
func TestWhatIsAssumedIsAskedForBeforeLong(t *testing.T) {
	w := newWorld(t)
	const apps = 20
	files := map[string]string{ConfigFile: w.config(environment("acceptance", deployed("acceptance"), func(e *promotion.Environment) { e.MaxOpen = 0 }))}
	for i := range apps {
		files[fmt.Sprintf("apps/%d/kustomization.yaml", i)] = kustomization(string(names(i)) + ":1.0.0")
	}
	infra := w.repo("infra", files)
	w.discover()
	head, _ := w.host.head("acme/infra", "main")
	w.mem.SetDeployment(infra.ID, w.mem.Deploy(infra.ID, "acceptance", head), forge.RolloutSucceeded)
	w.hear()
	w.mem.ForgetCalls()
	asked := 0
	for i := range apps {
		w.push(names(i), "1.1.0")
		w.work()
		if n := len(callsOf(w, "Deployments")); n != 0 && asked == 0 {
			asked = i
		}
	}
	if asked < int(assumedFor/time.Second)-1 || asked == apps {
		t.Errorf("what runs was asked for in second %d of %d, want after %s", asked, apps, assumedFor)
	}
	if n := len(infra.open()); n != apps {
		t.Errorf("%d pull requests are open, want %d", n, apps)
	}
}
