package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestBaseMovesOddly is everything a base branch does besides moving ahead by a commit: what was known must never harm.
func TestBaseMovesOddly(t *testing.T) {
	ctx := context.Background()
	for _, s := range servers {
		for _, cacheBytes := range []int64{0, 1} {
			if cacheBytes == 1 && s.v0 {
				continue // the walk over a useless cache is the same in both versions
			}
			t.Run(fmt.Sprintf("%s, cache %d", s.name, cacheBytes), func(t *testing.T) {
				b := newBackend(t)
				rp := b.repo("r", s.config, apps(5))
				remote := newTestClient(t, Options{DisableV2: s.v0, CacheBytes: cacheBytes}).Remote(rp.url, nil)
				first := rp.head("main")
				second := rp.commit("main", map[string]file{overlay(1, "prod"): {data: kustomization(1, "2")}})
				check := func(what string, main Hash, version string) {
					t.Helper()
					tree, err := remote.Tree(ctx, main)
					if err != nil {
						t.Fatal(what, err)
					}
					if got, err := tree.ReadFile(ctx, overlay(1, "prod")); err != nil || string(got) != kustomization(1, version) {
						t.Fatalf("%s: %q, %v", what, got, err)
					}
					prod := func(p string) bool { return strings.HasSuffix(p, "prod/kustomization.yaml") }
					if found, err := tree.Find(ctx, "apps", prod); err != nil || len(found) != 5 {
						t.Fatalf("%s: Find = %d files, %v", what, len(found), err)
					}
					branch := "boatlift/" + strings.ReplaceAll(what, " ", "-")
					rp.mustPush(remote, update(branch, "", main, map[string]string{overlay(2, "prod"): kustomization(2, "9")}))
				}
				check("start", second, "2")
				rp.git("", "update-ref", "refs/heads/main", string(first))
				check("reset to an ancestor", first, "1.0.0")

				rp.git("", "update-ref", "-d", "refs/heads/main")
				files := apps(5)
				files[overlay(1, "prod")] = file{data: kustomization(1, "3")}
				check("unrelated history", rp.commit("main", files), "3")

				many := make(map[string]file)
				for i := range 2500 {
					many[fmt.Sprintf("generated/%02d/%04d.yaml", i%50, i)] = file{data: fmt.Sprint(i)}
				}
				many[overlay(1, "prod")] = file{data: kustomization(1, "4")}
				check("far ahead", rp.commit("main", many), "4")

				_, err := remote.Commit(ctx, "00000000000000000000000000000000000000aa")
				if !errors.Is(err, ErrNoSuchObject) {
					t.Errorf("a commit that never was: %v", err)
				}
			})
		}
	}
}

// TestRenamedRepository is a host that redirects only the GET and knows nothing of a POST to the old address.
func TestRenamedRepository(t *testing.T) {
	b := newBackend(t)
	rp := b.repo("new", allFilters, apps(1))
	b.set(func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
		if !strings.HasPrefix(r.URL.Path, "/old/") {
			return false
		}
		if r.Method == http.MethodGet {
			http.Redirect(w, r, "/new.git/"+strings.TrimPrefix(r.URL.RequestURI(), "/old/"), http.StatusMovedPermanently)
		} else {
			http.NotFound(w, r)
		}
		return true
	}, nil)
	remote := newTestClient(t, Options{}).Remote(b.srv.URL+"/old/", nil)
	refs, err := remote.Refs(context.Background())
	if err != nil || refs.Branch("main") != rp.head("main") {
		t.Fatalf("Refs = %+v, %v", refs, err)
	}
	rp.mustPush(remote, update("x", "", refs.Branch("main"), map[string]string{"n": "1"}))
}
