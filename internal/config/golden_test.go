package config

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/boatlift/boatlift/internal/gate"
	"github.com/boatlift/boatlift/internal/promotion"
)

var update = flag.Bool("update", false, "write what the parsers say into testdata, to be read before it is committed")

// golden runs a function on every file of a folder and compares with the .golden file beside it.
func golden(t *testing.T, dir string, run func(t *testing.T, file string, text []byte) string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", dir, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files in %s: %v", dir, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := run(t, filepath.Base(file), text)
			path := strings.TrimSuffix(file, ".yaml") + ".golden"
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s =\n%s\nwant\n%s", file, got, want)
			}
		})
	}
}

func newEngine(t testing.TB) *gate.Engine {
	t.Helper()
	engine, err := gate.New()
	if err != nil {
		t.Fatal(err)
	}
	return engine
}

func TestGoodRepoFiles(t *testing.T) {
	engine := newEngine(t)
	golden(t, "repo/good", func(t *testing.T, file string, text []byte) string {
		cfg, err := ParseRepo(file, text, engine, Require{})
		if err != nil {
			t.Fatal(err)
		}
		return repoText(cfg)
	})
}

func TestBadRepoFiles(t *testing.T) {
	engine := newEngine(t)
	golden(t, "repo/bad", func(t *testing.T, file string, text []byte) string {
		cfg, err := ParseRepo(file, text, engine, Require{})
		if err == nil {
			t.Fatalf("it is taken: %+v", cfg)
		}
		if len(cfg.Environments) > 0 {
			t.Errorf("a wrong file gives %+v", cfg)
		}
		return err.Error() + "\n"
	})
}

// repoText has every field of a configuration, one in a line.
func repoText(cfg promotion.Config) string {
	var b strings.Builder
	for _, e := range cfg.Environments {
		fmt.Fprintf(&b, "name %s\n", e.Name)
		fmt.Fprintf(&b, "  path %q\n", e.Path)
		for _, ref := range e.After {
			fmt.Fprintf(&b, "  after %q %q\n", ref.Repo, ref.Environment)
		}
		fmt.Fprintf(&b, "  rollout %+v\n", e.Rollout)
		for _, i := range e.Images {
			fmt.Fprintf(&b, "  image %s: %s\n", i.Image, i.Tags)
		}
		fmt.Fprintf(&b, "  verify %+v\n", e.Verify)
		for _, u := range e.Policies {
			fmt.Fprintf(&b, "  policy %s %#v\n", u.Policy, u.Parameters)
		}
		fmt.Fprintf(&b, "  pin %s\n  merge %s\n", e.Pin, e.Merge)
		if e.EarlierApprovals || e.MergeMethod != "" || !e.Reviewers.None() {
			fmt.Fprintf(&b, "  earlier approvals %t, method %s, reviewers %q\n", e.EarlierApprovals, e.MergeMethod, e.Reviewers)
		}
		fmt.Fprintf(&b, "  groups %q, all %t\n", e.Groups, e.GroupAll)
		fmt.Fprintf(&b, "  together %t, settle %s\n", e.Together, e.Settle)
		if len(e.Platforms) > 0 {
			fmt.Fprintf(&b, "  platforms %q\n", e.Platforms)
		}
		fmt.Fprintf(&b, "  mode %s, at most %d open\n", e.Mode, e.MaxOpen)
	}
	return b.String()
}
