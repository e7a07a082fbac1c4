package render

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestBuildEqualsKustomize(t *testing.T) {
	r := New(Options{})
	for _, env := range []string{"acceptance", "production"} {
		t.Run(env, func(t *testing.T) {
			got, err := r.Build(t.Context(), shop(), "overlays/"+env, nil)
			if err != nil {
				t.Fatal(err)
			}
			if want := read(t, "testdata/shop/"+env+".yaml"); string(got) != want {
				t.Errorf("Build(%s) =\n%s\nwant\n%s", env, got, want)
			}
		})
	}
}

func TestBuildWithOverlay(t *testing.T) {
	overlay := retag(t, shop(), "overlays/production/kustomization.yaml", "1.4.1", "1.4.2")
	got, err := New(Options{}).Build(t.Context(), shop(), "overlays/production", overlay)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.ReplaceAll(read(t, "testdata/shop/production.yaml"), ":1.4.1", ":1.4.2")
	if string(got) != want {
		t.Errorf("Build with the edit =\n%s\nwant\n%s", got, want)
	}
}

func TestCompareShowsOneLineForEachImage(t *testing.T) {
	const file = "overlays/production/kustomization.yaml"
	overlay := retag(t, shop(), file, "1.4.1", "1.4.2")
	d := compareOne(t, New(Options{}), shop(), "overlays/production", overlay)
	if d.Err != nil {
		t.Fatal(d.Err)
	}
	removed, added := changedLines(d.Diff)
	wantRemoved := []string{"image: registry.acme.io/shop/web:1.4.1", "- image: registry.acme.io/shop/worker:1.4.1"}
	wantAdded := []string{"image: registry.acme.io/shop/web:1.4.2", "- image: registry.acme.io/shop/worker:1.4.2"}
	if !slices.Equal(removed, wantRemoved) || !slices.Equal(added, wantAdded) {
		t.Errorf("diff removes %q and adds %q; want %q and %q", removed, added, wantRemoved, wantAdded)
	}
	if want := read(t, "testdata/shop/production.diff"); d.Diff != want {
		t.Errorf("diff =\n%s\nwant\n%s", d.Diff, want)
	}
	if d.Cut {
		t.Error("Cut = true; want false")
	}
	if len(d.Before) == 0 || len(d.After) == 0 || string(d.Before) == string(d.After) {
		t.Error("Before and After are missing or equal")
	}
}

func TestCompareOfNoEditIsEmpty(t *testing.T) {
	d := compareOne(t, New(Options{}), shop(), "overlays/acceptance", nil)
	if d.Err != nil || d.Diff != "" || string(d.Before) != string(d.After) {
		t.Errorf("Compare without an edit: err %v, diff %q; want neither", d.Err, d.Diff)
	}
}

func TestCompareKeepsTheOrderAndTheGoodOnes(t *testing.T) {
	src := files(map[string]string{
		"good/kustomization.yaml": "resources: [cm.yaml]\n",
		"good/cm.yaml":            configMap("good", "a: b"),
		"bad/kustomization.yaml":  "resources: [https://example.com/x.yaml]\n",
		"also/kustomization.yaml": "resources: [../good]\nnamePrefix: also-\n",
	})
	overlay := map[string][]byte{"good/cm.yaml": []byte(configMap("good", "a: c"))}
	dirs := []string{"also", "bad", "good", "none", "../out", "/abs", "good"}
	got, err := New(Options{}).Compare(t.Context(), src, dirs, overlay)
	if err != nil {
		t.Fatal(err)
	}
	for i, dir := range dirs {
		d := got.Dirs[i]
		if d.Dir != dir {
			t.Errorf("directory %d is %s; want %s", i, d.Dir, dir)
		}
		switch dir {
		case "also", "good":
			if removed, added := changedLines(d.Diff); d.Err != nil || len(removed) != 1 || len(added) != 1 {
				t.Errorf("%s: err %v, diff %q; want one changed line", dir, d.Err, d.Diff)
			}
		default:
			refusedOf(t, d.Err)
			if d.Diff != "" {
				t.Errorf("%s: refused with a diff", dir)
			}
		}
	}
}

func TestCompareOfNewAndRemovedDirectories(t *testing.T) {
	src := files(map[string]string{
		"old/kustomization.yaml": "resources: [cm.yaml]\n",
		"old/cm.yaml":            configMap("old", "a: b"),
	})
	r := New(Options{})
	d := compareOne(t, r, src, "new/deep", map[string][]byte{
		"new/deep/kustomization.yaml": []byte("resources: [cm.yaml]\n"),
		"new/deep/cm.yaml":            []byte(configMap("new", "a: b")),
	})
	if removed, added := changedLines(d.Diff); d.Err != nil || len(removed) != 0 || len(added) == 0 || d.Before != nil {
		t.Errorf("new directory: err %v, diff\n%s\nwant added lines only", d.Err, d.Diff)
	}
	d = compareOne(t, r, src, "old", map[string][]byte{"old/cm.yaml": nil})
	if got := refusedOf(t, d.Err).Reason; !strings.Contains(got, "after the edit: ") || !strings.Contains(got, "cm.yaml does not exist") {
		t.Errorf("reason = %q; want what is missing after the edit", got)
	}
	if d.Before == nil || d.After != nil {
		t.Error("want the build before, and none after")
	}
}

func TestCompareStateDoesNotLeakBetweenDirectories(t *testing.T) {
	// kustomize keeps the schema of openapi.path in the process. This one makes the list of a Thing merge by name.
	schema := `{"definitions": {"v1.Thing": {"type": "object",
		"x-kubernetes-group-version-kind": [{"group": "acme.io", "version": "v1", "kind": "Thing"}],
		"properties": {"spec": {"type": "object", "properties": {"items": {"type": "array",
			"x-kubernetes-patch-merge-key": "name", "x-kubernetes-patch-strategy": "merge",
			"items": {"type": "object", "properties": {"name": {"type": "string"}}}}}}}}}}`
	thing := func(name string) string {
		return "apiVersion: acme.io/v1\nkind: Thing\nmetadata: {name: x}\nspec: {items: [{name: " + name + "}]}\n"
	}
	const plain = "resources: [x.yaml]\npatches: [{path: p.yaml}]\n"
	src := files(map[string]string{
		"merges/kustomization.yaml":   plain + "openapi: {path: schema.json}\n",
		"merges/schema.json":          schema,
		"merges/x.yaml":               thing("one"),
		"merges/p.yaml":               thing("two"),
		"replaces/kustomization.yaml": plain,
		"replaces/x.yaml":             thing("one"),
		"replaces/p.yaml":             thing("two"),
	})
	got, err := New(Options{}).Compare(t.Context(), src, []string{"merges", "replaces", "merges"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{true, false, true} {
		d := got.Dirs[i]
		if d.Err != nil {
			t.Fatal(d.Err)
		}
		if merged := strings.Contains(string(d.After), "one"); merged != want || !strings.Contains(string(d.After), "two") {
			t.Errorf("%s (%d): the first item is there: %v; want %v", d.Dir, i, merged, want)
		}
	}
}

func TestEditsOfTheCaller(t *testing.T) {
	r := New(Options{})
	for _, p := range []string{"", ".", "/etc/passwd", "../x", "a/../b", "a//b"} {
		var refused *RefusedError
		if _, err := r.Compare(t.Context(), shop(), nil, map[string][]byte{p: nil}); err == nil || errors.As(err, &refused) {
			t.Errorf("Compare with an edit of %q = %v; want an error of the call", p, err)
		}
	}
	if _, err := r.Build(t.Context(), shop(), "base", map[string][]byte{"x": make([]byte, maxOverlay)}); err == nil {
		t.Error("Build with a huge edit succeeded")
	}
}

func TestRootDirectory(t *testing.T) {
	src := files(map[string]string{"kustomization.yaml": "resources: [cm.yaml]\n", "cm.yaml": configMap("root", "a: b")})
	for _, dir := range []string{"", ".", "./"} {
		got, err := New(Options{}).Build(t.Context(), src, dir, nil)
		if err != nil || !strings.Contains(string(got), "name: root") {
			t.Errorf("Build(%q) = %q, %v; want the resource", dir, got, err)
		}
	}
}

func TestCancelledCaller(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	src := sourceFunc(func(string) ([]byte, error) {
		cancel()
		return nil, context.Canceled
	})
	r := New(Options{})
	if _, err := r.Build(ctx, src, "a", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Build after cancel = %v; want context.Canceled", err)
	}
	if _, err := r.Compare(ctx, src, []string{"a"}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Compare after cancel = %v; want context.Canceled", err)
	}
}

func TestSourceErrors(t *testing.T) {
	down := errors.New("dial tcp 10.0.0.1:443: token=abc")
	src := sourceFunc(func(string) ([]byte, error) { return nil, down })
	_, err := New(Options{}).Build(t.Context(), src, "a", nil)
	refused := refusedOf(t, err)
	if !errors.Is(err, down) || refused.Permanent() || strings.Contains(refused.Reason, "token") {
		t.Errorf("Build = %+v; want a passing refusal that wraps the source's error and does not show it", refused)
	}

	src = sourceFunc(func(string) ([]byte, error) { return nil, symlinkError{} })
	_, err = New(Options{}).Build(t.Context(), src, "a", nil)
	refused = refusedOf(t, err)
	if !refused.Permanent() || !strings.Contains(refused.Reason, "a: a symbolic link") {
		t.Errorf("Build = %+v; want a lasting refusal with the source's words", refused)
	}
}

type symlinkError struct{}

func (symlinkError) Error() string   { return "a symbolic link" }
func (symlinkError) Permanent() bool { return true }

// sourceFunc answers every question from one function; there are no directories.
type sourceFunc func(path string) ([]byte, error)

func (f sourceFunc) ReadFile(_ context.Context, p string) ([]byte, error) { return f(p) }
func (f sourceFunc) IsDir(context.Context, string) (bool, error)          { return false, nil }

func TestConcurrentBuilds(t *testing.T) {
	r := New(Options{MaxConcurrent: 2})
	want := read(t, "testdata/shop/production.yaml")
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			got, err := r.Build(t.Context(), shop(), "overlays/production", nil)
			if err != nil || string(got) != want {
				t.Errorf("Build beside others = %v; want the same as alone", err)
			}
		})
	}
	wg.Wait()
	if len(r.slots) != 0 {
		t.Errorf("%d places are still taken", len(r.slots))
	}
}

func TestReadsNoMoreThanNeeded(t *testing.T) {
	counted := &countingSource{Source: shop(), reads: map[string]int{}}
	if _, err := New(Options{}).Compare(t.Context(), counted, []string{"overlays/production"},
		retag(t, shop(), "overlays/production/kustomization.yaml", "1.4.1", "1.4.2")); err != nil {
		t.Fatal(err)
	}
	for p, n := range counted.reads {
		if n > 1 {
			t.Errorf("%s was read %d times; want once", p, n)
		}
		if strings.HasPrefix(p, "overlays/acceptance") {
			t.Errorf("%s was read; nothing refers to it", p)
		}
	}
}

type countingSource struct {
	Source
	reads map[string]int
}

func (s *countingSource) ReadFile(ctx context.Context, p string) ([]byte, error) {
	b, err := s.Source.ReadFile(ctx, p)
	if !errors.Is(err, fs.ErrNotExist) {
		s.reads[p]++
	}
	return b, err
}

func configMap(name, data string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: " + name + "\ndata:\n  " + data + "\n"
}

func BenchmarkBuild(b *testing.B) {
	r := New(Options{})
	for b.Loop() {
		if _, err := r.Build(b.Context(), shop(), "overlays/production", nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCompare(b *testing.B) {
	r := New(Options{})
	overlay := retag(b, shop(), "overlays/production/kustomization.yaml", "1.4.1", "1.4.2")
	for b.Loop() {
		if d := compareOne(b, r, shop(), "overlays/production", overlay); d.Err != nil {
			b.Fatal(d.Err)
		}
	}
}
