package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/boatlift/boatlift/cmd/sandbox/hub"
	"github.com/boatlift/boatlift/cmd/sandbox/images"
	"github.com/boatlift/boatlift/cmd/sandbox/stage"
)

// bill notes what the bot asks of the forge for each repository, up to the gate of its first new pull request.
type bill struct {
	mu   sync.Mutex
	asks map[string][]string
	done map[string]bool
}

func (b *bill) begin() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asks, b.done = map[string][]string{}, map[string]bool{}
}

func (b *bill) add(e hub.Exchange) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, repo := range []string{stage.Acceptance, stage.Production} {
		if path, of := strings.CutPrefix(e.Path, "/api/v3/repos/"+repo+"/"); of && b.done != nil && !b.done[repo] {
			b.asks[repo] = append(b.asks[repo], e.Method+" "+path)
			b.done[repo] = e.Method == http.MethodPost && path == "check-runs"
		}
	}
}

func (b *bill) of(repo string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.asks[repo])
}

// TestAPullRequestCostsFourRequestsOfTheForge counts at the forge what one promotion costs a bot that knows the repositories: the list of open
// pull requests, the new one, its labels, and its gate. What it knows of rollouts it does not ask again, whether the last one succeeded, failed,
// or there was none of the newest commit.
func TestAPullRequestCostsFourRequestsOfTheForge(t *testing.T) {
	const apps = 3
	const env = "environments:\n  - {name: %[1]s, rollout: {deployment: %[1]s}, settle: 1s%[2]s}\n"
	b := &bill{}
	s := set(t, stage.Options{
		Hub: func(o *hub.Options) { o.OnExchange = b.add },
		Config: map[string]string{
			stage.Acceptance: fmt.Sprintf(env, "acceptance", ""),
			stage.Production: fmt.Sprintf(env, "production", `, after: ["`+stage.Acceptance+`:acceptance"]`),
		},
		More: func(host string) map[string][]byte {
			files := map[string][]byte{}
			for i := range apps {
				files[fmt.Sprintf("apps/app-%d/kustomization.yaml", i)] = fmt.Appendf(nil, "images: [{name: app, newName: %s/%s, newTag: 1.0.0}]\n", host, stage.App(i))
			}
			return files
		},
	})
	if err := s.Hub.FailNextRollout(stage.Acceptance, "acceptance"); err != nil {
		t.Fatal(err)
	}
	for _, repo := range []string{stage.Acceptance, stage.Production} {
		readme := hub.Commit{Person: "alice", Branch: "main", Message: "begin", Files: map[string][]byte{"apps/shop/README.md": []byte("shop\n")}}
		if _, err := s.Hub.Push(t.Context(), repo, readme); err != nil {
			t.Fatal(err)
		}
	}
	for i := range apps {
		if err := s.Quiet(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.begin()
		const tag = "1.1.0"
		if _, err := s.Registry.Push(t.Context(), stage.App(i), tag, images.Image{}); err != nil {
			t.Fatal(err)
		}
		for _, repo := range []string{stage.Acceptance, stage.Production} {
			shownOn(t, s, repo, i+1)
			asks := b.of(repo)
			if last := len(asks) - 1; last < 0 || asks[last] != "POST check-runs" || len(asks) > 4 {
				t.Errorf("%s:%s in %s costs %d requests until its gate is shown, want 4:\n%s", stage.App(i), tag, repo, len(asks), strings.Join(asks, "\n"))
			}
		}
	}
}
