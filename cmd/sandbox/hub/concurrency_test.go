package hub_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/boatlift/boatlift/cmd/sandbox/hub"
)

// TestManyAtOnce lets pushes, pull requests, reviews, merges, reads and pages run side by side; the race detector watches.
func TestManyAtOnce(t *testing.T) {
	s := start(t, hub.Options{})
	s.must(s.SetEnvironments(infra, hub.Environment{Name: "acceptance"}))
	const workers = 6
	var all sync.WaitGroup
	for i := range workers {
		all.Go(func() {
			branch := fmt.Sprintf("boatlift/web-%d", i)
			_, err := s.Push(t.Context(), infra, hub.Commit{Person: "alice", Branch: branch, Files: map[string][]byte{branch + "/kustomization.yaml": []byte(kustomization("1.1.0"))}})
			if err != nil {
				t.Errorf("Push: %v", err)
				return
			}
			opened := s.bot("POST", pulls, map[string]any{"title": branch, "head": branch, "base": "main"})
			path := fmt.Sprintf("%s/%d", pulls, opened.int("number"))
			if got := s.as("bob", "POST", path+"/reviews", map[string]any{"event": "APPROVE"}).status; got != http.StatusOK {
				t.Errorf("review = %d", got)
			}
			for _, read := range []string{pulls, path, path + "/files", "/repos/" + infra + "/deployments", s.URL() + "/", fmt.Sprintf("%s/%s/pull/%d", s.URL(), infra, opened.int("number"))} {
				if got := s.bot("GET", read, nil); got.status != http.StatusOK {
					t.Errorf("GET %s = %d %s", read, got.status, got.raw)
				}
			}
			if got := s.bot("PUT", path+"/merge", nil); got.status != http.StatusOK {
				t.Errorf("merge = %d %s", got.status, got.raw)
			}
		})
	}
	all.Wait()
	if got := len(s.of("pull_request.closed")); got != workers {
		t.Errorf("%d pull requests were merged; want %d", got, workers)
	}
	dir := s.clone(infra, "alice", s.AddPerson("alice").Token)
	s.mustGit(dir, "fsck", "--strict")
	for i := range workers {
		s.mustGit(dir, "cat-file", "-e", fmt.Sprintf("HEAD:boatlift/web-%d/kustomization.yaml", i))
	}
}

// BenchmarkOpenPullRequests measures what the sandbox itself costs, so that it can be told from what the bot costs.
func BenchmarkOpenPullRequests(b *testing.B) {
	h, err := hub.Start(hub.Options{Dir: b.TempDir()})
	must(b, err)
	defer func() { must(b, h.Close()) }()
	_, err = h.CreateRepo(b.Context(), infra, hub.RepoOptions{})
	must(b, err)
	for i := range b.N {
		_, err := h.Push(b.Context(), infra, hub.Commit{Person: "alice", Branch: fmt.Sprint("b", i), Files: map[string][]byte{"x": fmt.Append(nil, i)}})
		must(b, err)
	}
	b.ResetTimer()
	for i := range b.N {
		_, err := h.OpenPull(b.Context(), infra, hub.NewPull{Person: "alice", Title: "t", Head: fmt.Sprint("b", i)})
		must(b, err)
	}
}
