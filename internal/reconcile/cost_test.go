package reconcile

import (
	"fmt"
	"slices"
	"testing"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/promotion"
)

// paid are the calls that cost a request at a forge: who the bot is, and what it logs in with, is known.
func paid(w *world) []string {
	var names []string
	for _, c := range w.mem.Calls() {
		if c.Method == "Self" || c.Method == "GitAuth" {
			continue
		}
		names = append(names, c.Method)
		if c.Method == "CreatePullRequest" {
			names = append(names, "labels") // which a forge like GitHub wants in a request of its own
		}
	}
	return names
}

func (h *gitHost) taken() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := h.requests
	h.requests = 0
	return n
}

func TestOpeningAPullRequestCostsFourRequestsAtTheForgeAndTwoAtGit(t *testing.T) {
	deploys := func(a, _ *promotion.Environment) { deployed("acceptance")(a) }
	for name, scene := range map[string]struct {
		change func(a, p *promotion.Environment)
		before func(w *world, acceptance *infra)
	}{
		"rollout by merge":      {change: func(*promotion.Environment, *promotion.Environment) {}},
		"rollout by deployment": {change: deploys},
		"base was not rolled out": {change: deploys, before: func(_ *world, acceptance *infra) {
			acceptance.commit("main", map[string]string{"README.md": "what no pipeline applies\n"})
		}},
		"its rollout failed": {change: deploys, before: func(w *world, acceptance *infra) {
			acceptance.commit("main", map[string]string{"README.md": "what a pipeline does not like\n"})
			head, _ := w.host.head("acme/infra-acceptance", "main")
			w.mem.SetDeployment(acceptance.ID, w.mem.Deploy(acceptance.ID, "acceptance", head), forge.RolloutFailed)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			acceptance, production := w.shop(scene.change)
			head, _ := w.host.head("acme/infra-acceptance", "main")
			w.mem.SetDeployment(acceptance.ID, w.mem.Deploy(acceptance.ID, "acceptance", head), forge.RolloutSucceeded)
			w.hear()
			if scene.before != nil {
				scene.before(w, acceptance)
			}
			w.hear()
			if err := production.park(); err != nil {
				t.Fatal(err)
			}
			w.push(web, "1.1.0")
			w.mem.ForgetCalls()
			w.host.taken()
			w.work()
			acceptance.only()
			if got, want := paid(w), []string{"OpenPullRequests", "CreatePullRequest", "labels", "SetCheck"}; !slices.Equal(got, want) {
				t.Errorf("requests at the forge: %v; want %v", got, want)
			}
			if n := w.host.taken(); n != 2 {
				t.Errorf("%d requests at git; want 2: where the branches are, and the push", n)
			}
		})
	}
}

func TestManyPullRequestsShareTheListAndThePush(t *testing.T) {
	w := newWorld(t)
	const apps = 20
	files := map[string]string{ConfigFile: w.config(environment("acceptance", func(e *promotion.Environment) { e.MaxOpen = 0 }))}
	for i := range apps {
		files[fmt.Sprintf("apps/%d/kustomization.yaml", i)] = kustomization(string(names(i)) + ":1.0.0")
	}
	r := w.repo("infra", files)
	w.discover()
	for i := range apps {
		w.push(names(i), "1.1.0")
	}
	w.mem.ForgetCalls()
	w.host.taken()
	w.work()
	if n := len(r.open()); n != apps {
		t.Fatalf("%d pull requests are open, want %d", n, apps)
	}
	if got := paid(w); len(got) != 1+3*apps {
		t.Errorf("%d requests at the forge for %d pull requests, want one list and three each", len(got), apps)
	}
	if n := w.host.taken(); n != 2 {
		t.Errorf("%d requests at git, want 2", n)
	}

	// One merge moves base; the other pull requests edit other files, so nobody is asked whether they conflict.
	if _, err := r.alice().Merge(r.ID, 1); err != nil {
		t.Fatal(err)
	}
	w.mem.ForgetCalls()
	w.hear()
	if n := len(callsOf(w, "PullRequest")); n != 1 {
		t.Errorf("after one of %d was merged %d were read singly, want that one", apps, n)
	}
}

func TestATurnWithoutNewsCostsOneListAndOneLookAtTheBranches(t *testing.T) {
	w := newWorld(t)
	r := w.both()
	w.push(web, "1.1.0")
	w.work()
	w.hear()
	w.mem.ForgetCalls()
	w.host.taken()
	w.hear()
	// Adapters remember for a while that a branch has no merge queue, so that mostly this second question is not sent.
	if got := paid(w); !slices.Equal(got, []string{"OpenPullRequests", "Queue"}) {
		t.Errorf("requests at the forge: %v; want the list of open pull requests, and the merge queue", got)
	}
	if n := w.host.taken(); n != 1 {
		t.Errorf("%d requests at git, want 1", n)
	}
	r.gate(r.open()[0], forge.Success)
}
