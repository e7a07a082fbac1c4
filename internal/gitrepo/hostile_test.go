package gitrepo

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// literal writes an object that git itself would refuse to make.
func (r *repo) literal(kind, raw string) oid {
	r.t.Helper()
	id, err := parseOID(r.git(raw, "hash-object", "-t", kind, "-w", "--stdin", "--literally"))
	if err != nil {
		r.t.Fatal(err)
	}
	return id
}

func rawEntry(mode, name string, id oid) string { return mode + " " + name + "\x00" + string(id[:]) }

// branchOf puts a tree on a branch.
func (r *repo) branchOf(branch string, tree oid) Hash {
	r.t.Helper()
	id := r.literal("commit", "tree "+tree.String()+"\nauthor o <o@example.com> 1 +0000\ncommitter o <o@example.com> 1 +0000\n\nx\n")
	r.git("", "update-ref", "refs/heads/"+branch, id.String())
	return id.hash()
}

func TestHostileTrees(t *testing.T) {
	ctx := context.Background()
	b := newBackend(t)
	rp := b.repo("r", allFilters, plain(map[string]string{"f": "x"}))
	blob := rp.literal("blob", "x")
	sub := rp.literal("tree", rawEntry("100644", "f", blob))

	bomb := sub
	for range 20 {
		var raw strings.Builder
		for c := 'a'; c <= 'z'; c++ {
			raw.WriteString(rawEntry("40000", string(c), bomb))
		}
		bomb = rp.literal("tree", raw.String())
	}
	deep := sub
	for range 200 {
		deep = rp.literal("tree", rawEntry("40000", "d", deep))
	}
	for _, tt := range []struct {
		name string
		tree oid
		is   func(error) bool
	}{
		{"bomb", bomb, func(err error) bool { return errors.Is(err, ErrTooLarge) }},
		{"deep", deep, func(err error) bool { return errors.Is(err, ErrTooLarge) }},
		{"order", rp.literal("tree", rawEntry("100644", "z", blob)+rawEntry("100644", "f", blob)), isMalformed},
		{"twice", rp.literal("tree", rawEntry("100644", "f", blob)+rawEntry("100644", "f", blob)), isMalformed},
		{"slash", rp.literal("tree", rawEntry("100644", "a/b", blob)+rawEntry("100644", "f", blob)), isMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			main := rp.branchOf(strings.ReplaceAll(tt.name, " ", "-"), tt.tree)
			for _, v0 := range []bool{false, true} {
				remote := newTestClient(t, Options{DisableV2: v0, MaxObjects: 20000}).Remote(rp.url, nil)
				tree, err := remote.Tree(ctx, main)
				if err != nil {
					t.Fatal(err)
				}
				if files, err := tree.Find(ctx, "", func(string) bool { return true }); !tt.is(err) {
					t.Errorf("Find = %d files, %v", len(files), err)
				}
				if tt.name == "bomb" || tt.name == "deep" {
					continue // single paths in them can be read
				}
				if _, err := tree.ReadFile(ctx, "f"); !tt.is(err) {
					t.Errorf("ReadFile: %v", err)
				}
				results, err := remote.Push(ctx, []BranchUpdate{
					update("x", "", main, map[string]string{"f": "y"}), update("y", "", main, map[string]string{"n/m": "y"}),
				})
				if err != nil || !tt.is(results[0].Err) || !tt.is(results[1].Err) {
					t.Errorf("Push = %v, %v", results, err)
				}
			}
		})
	}
}

// TestMalformedTrees are trees that git would not serve, but a hostile server may.
func TestMalformedTrees(t *testing.T) {
	good := rawEntry("100644", "f", oid{1})
	for name, raw := range map[string]string{
		"no name": rawEntry("100644", "", oid{1}), "no mode": rawEntry("", "a", oid{1}), "only a mode": "100644", "not octal": rawEntry("100648", "a", oid{1}),
		"long mode": rawEntry("10000000", "a", oid{1}), "no end of name": "100644 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "cut": rawEntry("100644", "a", oid{1})[:20],
		"slash": rawEntry("100644", "a/b", oid{1}), "order": good + rawEntry("100644", "a", oid{1}), "twice": good + good,
		"file and directory": rawEntry("100644", "a", oid{1}) + rawEntry("100644", "a.b", oid{1}) + rawEntry("40000", "a", oid{1}),
	} {
		if _, _, malformed := spliceTree([]byte(raw), []change{{"a", ModeFile, oid{2}}}); malformed == "" {
			t.Errorf("%s: accepted", name)
		}
		if _, _, malformed := findEntry([]byte(raw), "a"); malformed == "" {
			t.Errorf("%s: read", name)
		}
	}
}

func isMalformed(err error) bool { return errors.As(err, new(*MalformedError)) }

func TestNamesOfGitsOwnAreNotFound(t *testing.T) {
	b := newBackend(t)
	rp := b.repo("r", allFilters, plain(map[string]string{"f": "x"}))
	blob := rp.literal("blob", "x")
	sub := rp.literal("tree", rawEntry("100644", "config", blob))
	root := rp.literal("tree", rawEntry("40000", "..", sub)+rawEntry("40000", ".GIT", sub)+rawEntry("40000", ".git", sub)+
		rawEntry("100644", "f", blob)+rawEntry("40000", "git~1", sub))
	remote := newTestClient(t, Options{}).Remote(rp.url, nil)
	tree, err := remote.Tree(context.Background(), rp.branchOf("odd", root))
	if err != nil {
		t.Fatal(err)
	}
	files, err := tree.Find(context.Background(), "", func(string) bool { return true })
	if err != nil || len(files) != 1 || files[0].Path != "f" {
		t.Errorf("Find = %+v, %v", files, err)
	}
}

// TestWrongTypes: a tree whose entries are of another type than their mode says.
func TestWrongTypes(t *testing.T) {
	ctx := context.Background()
	b := newBackend(t)
	rp := b.repo("r", serverConfig{"uploadpack.allowFilter=true", "uploadpack.allowAnySHA1InWant=true"}, plain(map[string]string{"f": "x"}))
	blob := rp.literal("blob", "x")
	sub := rp.literal("tree", rawEntry("100644", "g", blob))
	main := rp.branchOf("odd", rp.literal("tree", rawEntry("40000", "dir", blob)+rawEntry("100644", "file", sub)))
	tree, err := newTestClient(t, Options{}).Remote(rp.url, nil).Tree(ctx, main)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"dir/x", "file"} {
		if got, err := tree.ReadFile(ctx, path); err == nil {
			t.Errorf("ReadFile(%s) = %q", path, got)
		}
	}
}

func TestLimits(t *testing.T) {
	ctx := context.Background()
	for _, config := range []serverConfig{allFilters, noFilters} {
		b := newBackend(t)
		files := apps(30)
		files["big.bin"] = file{data: strings.Repeat(pseudoRandom, 600)}
		rp := b.repo("r", config, files)
		main := rp.head("main")
		for _, opts := range []Options{{MaxBytes: 10 << 10}, {MaxObjects: 50}} {
			remote := newTestClient(t, opts).Remote(rp.url, nil)
			tree, _ := remote.Tree(ctx, main)
			_, findErr := tree.Find(ctx, "", func(string) bool { return true })
			if !errors.Is(findErr, ErrTooLarge) {
				t.Errorf("%+v: Find: %v", opts, findErr)
			}
			tree, _ = remote.Tree(ctx, main)
			got, err := tree.ReadFile(ctx, overlay(7, "prod"))
			if len(config) == len(noFilters) {
				if !errors.Is(err, ErrTooLarge) {
					t.Errorf("%+v: ReadFile without filters: %v", opts, err)
				}
			} else if err != nil || string(got) != kustomization(7, "1.0.0") {
				t.Errorf("%+v: ReadFile = %q, %v", opts, got, err)
			}
		}
	}
}

// TestCacheIsDividedByRepository: a repository that names another one's secret blob does not get it.
func TestCacheIsDividedByRepository(t *testing.T) {
	ctx := context.Background()
	b := newBackend(t)
	ours := b.repo("ours", allFilters, plain(map[string]string{"secret": "the secret"}))
	theirs := b.repo("theirs", allFilters, plain(map[string]string{"f": "x"}))
	c := newTestClient(t, Options{})
	tree, _ := c.Remote(ours.url, nil).Tree(ctx, ours.head("main"))
	if _, err := tree.ReadFile(ctx, "secret"); err != nil {
		t.Fatal(err)
	}
	id, _ := parseOID(ours.git("", "rev-parse", "main:secret"))
	main := theirs.branchOf("spy", theirs.literal("tree", rawEntry("100644", "f", id)))
	tree, _ = c.Remote(theirs.url, nil).Tree(ctx, main)
	if got, err := tree.ReadFile(ctx, "f"); err == nil {
		t.Errorf("ReadFile = %q", got)
	}
}
