package gitrepo

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// TestCommitsChained pushes several commits onto one branch, besides one of another, in one request.
func TestCommitsChained(t *testing.T) {
	for _, thin := range []bool{true, false} {
		b := newBackend(t)
		rp := b.repo("infra", allFilters, apps(30))
		remote := newTestClient(t, Options{}).Remote(rp.url, nil)
		remote.host.noThin = !thin
		main := rp.head("main")
		next := func(branch string, old Hash, files map[string]string) BranchUpdate {
			u := update(branch, old, "", files)
			u.Message = "next"
			return u
		}
		updates := []BranchUpdate{
			update("main", main, main, map[string]string{overlay(1, "prod"): kustomization(1, "2")}),
			update("other", "", main, map[string]string{overlay(2, "prod"): kustomization(2, "2")}),
			next("main", main, map[string]string{overlay(1, "prod"): kustomization(1, "3"), "new/file": "x"}), // what the first has changed
			next("main", main, map[string]string{"new/file": "x"}),                                            // nothing
			next("main", main, map[string]string{"new/file": "y"}),
		}
		results, err := remote.Push(context.Background(), updates)
		if err != nil {
			t.Fatal(err)
		}
		rp.fsck()
		for i, want := range []error{nil, nil, nil, ErrNothingToCommit, nil} {
			if !errors.Is(results[i].Err, want) || want == nil && results[i].Err != nil {
				t.Fatalf("update %d: %v; want %v", i, results[i].Err, want)
			}
		}
		chain := strings.Join([]string{string(results[4].New), string(results[2].New), string(results[0].New), string(main)}, "\n")
		if got := rp.git("", "rev-list", "main"); got != chain {
			t.Errorf("main is\n%s\nwant\n%s", got, chain)
		}
		if got := rp.show("main", overlay(1, "prod")) + "\n"; got != kustomization(1, "3") || rp.show("main", "new/file") != "y" {
			t.Errorf("main has %s", got)
		}
		pushes := 0
		for _, r := range b.taken() {
			if strings.HasSuffix(r, "git-receive-pack") {
				pushes++
			}
		}
		if pushes != 1 {
			t.Errorf("%d pushes; want one", pushes)
		}
		// The same push again is known to be done, from the lease that no longer holds.
		if again, err := remote.Push(context.Background(), updates); err != nil || again[4] != results[4] || again[0] != results[0] {
			t.Errorf("again: %v, %v; want %v", again, err, results)
		}
	}
}

func TestChainsThatCannotBe(t *testing.T) {
	b := newBackend(t)
	rp := b.repo("infra", allFilters, map[string]file{"a": {data: "1"}, "link": {"120000", "a"}})
	remote := newTestClient(t, Options{}).Remote(rp.url, nil)
	main := rp.head("main")
	files := map[string]string{"a": "2"}
	for name, updates := range map[string][]BranchUpdate{
		"nothing before":      {update("main", main, "", files)},
		"two beginnings":      {update("main", main, main, map[string]string{"a": "3"}), update("main", main, main, files)},
		"another lease":       {update("main", main, main, map[string]string{"a": "3"}), update("main", "", "", files)},
		"after a delete":      {{Branch: "main", Old: main, Delete: true}, update("main", main, "", files)},
		"a delete after":      {update("main", main, main, files), {Branch: "main", Old: main, Delete: true}},
		"after a refused one": {update("main", main, main, map[string]string{"link": "x"}), update("main", main, "", files)},
	} {
		results, err := remote.Push(context.Background(), updates)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if last := results[len(results)-1]; last.Err == nil || last.New != "" {
			t.Errorf("%s: %+v; want an error", name, last)
		}
		rp.git("", "update-ref", "refs/heads/main", string(main))
	}
	// A stale lease refuses all of a chain.
	results, err := remote.Push(context.Background(), []BranchUpdate{
		update("main", rp.commit("main", map[string]file{"b": {data: "b"}}), main, files), update("main", rp.head("main"), "", map[string]string{"a": "4"}),
	})
	if err != nil || results[0].Err != nil || results[1].Err != nil {
		t.Fatalf("a moved branch: %v, %v", results, err)
	}
	rp.commit("main", map[string]file{"c": {data: "c"}})
	results, err = remote.Push(context.Background(), []BranchUpdate{
		update("main", main, main, files), update("main", main, "", map[string]string{"a": "5"}),
	})
	if err != nil || !errors.Is(results[0].Err, ErrStale) || !errors.Is(results[1].Err, ErrStale) {
		t.Errorf("a stale chain: %v, %v", results, err)
	}
}

func TestBranchesMovedToCommitsThatAreThere(t *testing.T) {
	b := newBackend(t)
	rp := b.repo("infra", allFilters, map[string]file{"a": {data: "1"}})
	remote := newTestClient(t, Options{}).Remote(rp.url, nil)
	first := rp.head("main")
	second := rp.commit("main", map[string]file{"a": {data: "2"}})
	rp.git("", "branch", "old", string(first))
	rp.git("", "branch", "away", string(first))
	b.taken()
	results, err := remote.Push(context.Background(), []BranchUpdate{
		{Branch: "old", Old: first, To: second},
		{Branch: "new", To: first},
		{Branch: "away", Old: first, Delete: true},
		{Branch: "stale", Old: second, To: first},
		{Branch: "nowhere", To: Hash(strings.Repeat("ab", 20))},
	})
	if err != nil {
		t.Fatal(err)
	}
	if requests := b.taken(); len(requests) != 2 { // the push, and where the two are that were refused
		t.Errorf("requests %q", requests)
	}
	if results[0].New != second || results[1].New != first || results[2].New != "" || rp.head("old") != second || rp.head("new") != first || rp.exists("away") {
		t.Errorf("results %+v", results)
	}
	if !errors.Is(results[3].Err, ErrStale) || results[4].Err == nil || rp.exists("nowhere") {
		t.Errorf("what cannot be: %v, %v", results[3].Err, results[4].Err)
	}
	rp.fsck()
	both, err := remote.Push(context.Background(), []BranchUpdate{{Branch: "old", Old: second, To: first, Delete: true}})
	if err != nil || both[0].Err == nil {
		t.Errorf("moved and deleted at once: %+v, %v", both, err)
	}
}
