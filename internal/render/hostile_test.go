package render

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

const uncheckedCommand = "unchecked-kustomize"

// bait is a server and a git program that nothing may ever reach.
type bait struct {
	url  string
	hits atomic.Int32
	ran  string // written by the program
}

func setBait(t *testing.T) *bait {
	t.Helper()
	b := &bait{ran: filepath.Join(t.TempDir(), "ran")}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		b.hits.Add(1)
		_, _ = w.Write([]byte(configMap("fetched", "a: b")))
	}))
	t.Cleanup(server.Close)
	b.url = server.URL
	bin := t.TempDir()
	for _, name := range []string{"git", "helm", "plugin", "docker"} {
		script := fmt.Sprintf("#!/bin/sh\necho %s \"$@\" >> %s\n", name, b.ran)
		if err := os.WriteFile(filepath.Join(bin, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	return b
}

func (b *bait) assertUntouched(t *testing.T) {
	t.Helper()
	if n := b.hits.Load(); n != 0 {
		t.Errorf("%d requests left the process; want none", n)
	}
	if ran, err := os.ReadFile(b.ran); err == nil {
		t.Errorf("programs were run:\n%s", ran)
	}
}

func TestHostileRepositories(t *testing.T) {
	b := setBait(t)
	resources := func(entries ...string) string { return "resources: [" + strings.Join(entries, ", ") + "]\n" }
	for _, test := range []struct {
		name  string
		files map[string]string // of directory a
		want  string            // part of the reason
	}{
		{"url in resources", map[string]string{"kustomization.yaml": resources(b.url + "/x.yaml")}, "is remote"},
		{"url in components", map[string]string{"kustomization.yaml": "components: [" + b.url + "/x]\n"}, "is remote"},
		{"url in bases", map[string]string{"kustomization.yaml": "bases: [" + b.url + "/org/repo]\n"}, "is remote"},
		{"url in crds", map[string]string{"kustomization.yaml": "crds: [" + b.url + "/x.json]\n"}, "is remote"},
		{"url in configurations", map[string]string{"kustomization.yaml": "configurations: [" + b.url + "/x.yaml]\n"}, "is remote"},
		{"url in config map files", map[string]string{"kustomization.yaml": "configMapGenerator:\n- name: x\n  files: [" + b.url + "/x]\n"}, "is remote"},
		{"url in keyed config map files", map[string]string{"kustomization.yaml": "configMapGenerator:\n- name: x\n  files: [k=" + b.url + "/x]\n"}, "is remote"},
		{"url in config map envs", map[string]string{"kustomization.yaml": "configMapGenerator:\n- name: x\n  envs: [" + b.url + "/x]\n"}, "is remote"},
		{"url in config map env", map[string]string{"kustomization.yaml": "configMapGenerator:\n- name: x\n  env: " + b.url + "/x\n"}, "is remote"},
		{"url in secret files", map[string]string{"kustomization.yaml": "secretGenerator:\n- name: x\n  files: [" + b.url + "/x]\n"}, "is remote"},
		{"url in keyed secret files", map[string]string{"kustomization.yaml": "secretGenerator:\n- name: x\n  files: [k=" + b.url + "/x]\n"}, "is remote"},
		{"url in secret envs", map[string]string{"kustomization.yaml": "secretGenerator:\n- name: x\n  envs: [" + b.url + "/x]\n"}, "is remote"},
		{"url in secret env", map[string]string{"kustomization.yaml": "secretGenerator:\n- name: x\n  env: " + b.url + "/x\n"}, "is remote"},
		{"url in a chart's values", map[string]string{"kustomization.yaml": "helmCharts: [{name: x, valuesFile: '" + b.url + "/x', additionalValuesFiles: ['" + b.url + "/y']}]\n"}, "need helm"},
		{"url in openapi", map[string]string{"kustomization.yaml": "openapi:\n  path: " + b.url + "/x.json\n"}, "is remote"},
		{"url in patches", map[string]string{"kustomization.yaml": "patches: [{path: '" + b.url + "/x'}]\n"}, "is remote"},
		{"url in strategic merge patches", map[string]string{"kustomization.yaml": "patchesStrategicMerge: [" + b.url + "/x]\n"}, "is remote"},
		{"url in json patches", map[string]string{"kustomization.yaml": "patchesJson6902: [{path: '" + b.url + "/x', target: {kind: X, name: x, version: v1}}]\n"}, "is remote"},
		{"url in replacements", map[string]string{"kustomization.yaml": "replacements: [{path: '" + b.url + "/x'}]\n"}, "is remote"},
		{"url in generators", map[string]string{"kustomization.yaml": "generators: [" + b.url + "/x]\n"}, "is remote"},
		{"url in transformers", map[string]string{"kustomization.yaml": "transformers: [" + b.url + "/x]\n"}, "is remote"},
		{"url in validators", map[string]string{"kustomization.yaml": "validators: [" + b.url + "/x]\n"}, "is remote"},
		{"url without slashes", map[string]string{"kustomization.yaml": resources("'http:" + strings.TrimPrefix(b.url, "http:") + "'")}, "is remote"},
		{"url in capitals", map[string]string{"kustomization.yaml": resources(strings.Replace(b.url, "http", "HTTP", 1) + "/x")}, "is remote"},
		{"url behind a base", map[string]string{
			"kustomization.yaml":      resources("base"),
			"base/kustomization.yaml": resources(b.url + "/x"),
		}, "a/base/kustomization.yaml: resources: "},
		{"url in a generator's file", map[string]string{
			"kustomization.yaml": "generators: [g.yaml]\n",
			"g.yaml":             "apiVersion: builtin\nkind: ConfigMapGenerator\nmetadata:\n  name: x\nfiles: [k=" + b.url + "/x]\n",
		}, "is remote"},
		{"url in an inline generator", map[string]string{
			"kustomization.yaml": "generators:\n- |-\n  apiVersion: builtin\n  kind: ConfigMapGenerator\n  metadata:\n    name: x\n  envs: [" + b.url + "/x]\n",
		}, "is remote"},
		{"url in an inline patch transformer", map[string]string{
			"kustomization.yaml": "resources: [cm.yaml]\ntransformers:\n- |-\n  apiVersion: builtin\n  kind: PatchTransformer\n  metadata:\n    name: x\n  path: " + b.url + "/x\n",
			"cm.yaml":            configMap("c", "a: b"),
		}, "is remote"},
		{"file that is a url", map[string]string{
			"kustomization.yaml": "resources: [r.yaml]\n",
			"r.yaml":             b.url + "/x\n",
		}, "r.yaml"},

		{"git over ssh", map[string]string{"kustomization.yaml": resources("git@example.com:org/repo.git")}, "is remote"},
		{"git over ssh, scheme", map[string]string{"kustomization.yaml": resources("ssh://git@example.com/org/repo")}, "is remote"},
		{"git over file", map[string]string{"kustomization.yaml": resources("file:///etc")}, "is remote"},
		{"git in capitals", map[string]string{"kustomization.yaml": resources("FILE:///tmp//x")}, "is remote"},
		{"forced git", map[string]string{"kustomization.yaml": resources("git::https://example.com/org/repo")}, "is remote"},
		{"git host", map[string]string{"kustomization.yaml": resources("'github.com/org/repo?ref=main'")}, "is remote"},
		{"git host, scp form", map[string]string{"kustomization.yaml": resources("github.com:org/repo")}, "is remote"},
		{"git user without host colon", map[string]string{"kustomization.yaml": resources("org-1@example.com/org/repo")}, "is remote"},
		{"git in a component", map[string]string{"kustomization.yaml": "components: ['git@example.com:org/repo']\n"}, "is remote"},
		{"git in a generator", map[string]string{"kustomization.yaml": "generators: ['git@example.com:org/repo']\n"}, "is remote"},

		{"exec function", map[string]string{
			"kustomization.yaml": "generators: [g.yaml]\n",
			"g.yaml":             "apiVersion: x/v1\nkind: X\nmetadata:\n  name: x\n  annotations:\n    config.kubernetes.io/function: |\n      exec: {path: ./plugin}\n",
			"plugin":             "#!/bin/sh\n",
		}, "none is run here"},
		{"container function", map[string]string{
			"kustomization.yaml": "resources: [cm.yaml]\ntransformers: [g.yaml]\n",
			"cm.yaml":            configMap("c", "a: b"),
			"g.yaml":             "apiVersion: x/v1\nkind: X\nmetadata:\n  name: x\n  annotations:\n    config.kubernetes.io/function: |\n      container: {image: x, network: true}\n",
		}, "none is run here"},
		{"legacy plugin", map[string]string{
			"kustomization.yaml": "generators: [g.yaml]\n",
			"g.yaml":             "apiVersion: someteam.example.com/v1\nkind: Plugin\nmetadata:\n  name: x\nargsOneLiner: plugin\n",
		}, "none is run here"},
		{"helm charts", map[string]string{"kustomization.yaml": "helmCharts: [{name: x, repo: '" + b.url + "'}]\n"}, "need helm"},
		{"old helm charts", map[string]string{"kustomization.yaml": "helmChartInflationGenerator: [{chartName: x, chartRepoUrl: '" + b.url + "'}]\n"}, "need helm"},
		{"helm in a generator", map[string]string{
			"kustomization.yaml": "generators: [g.yaml]\n",
			"g.yaml":             "apiVersion: builtin\nkind: HelmChartInflationGenerator\nmetadata:\n  name: x\nname: x\nrepo: " + b.url + "\n",
		}, "--enable-helm"},

		{"out of the repository", map[string]string{"kustomization.yaml": resources("../../x.yaml")}, "leads out of the repository"},
		{"far out of the repository", map[string]string{"kustomization.yaml": resources("../../../../../../etc/passwd")}, "leads out of the repository"},
		{"to the root of all", map[string]string{"kustomization.yaml": resources("../..")}, "leads out of the repository"},
		{"out by a generator's file", map[string]string{
			"kustomization.yaml": "generators: [g.yaml]\n",
			"g.yaml":             "apiVersion: builtin\nkind: ConfigMapGenerator\nmetadata:\n  name: x\nfiles: [../../etc/passwd]\n",
		}, "leads out of the repository"},
		{"absolute path", map[string]string{"kustomization.yaml": "configMapGenerator:\n- name: x\n  files: [/etc/passwd]\n"}, "absolute path"},
		{"absolute path in a generator's file", map[string]string{
			"kustomization.yaml": "generators: [g.yaml]\n",
			"g.yaml":             "apiVersion: builtin\nkind: ConfigMapGenerator\nmetadata:\n  name: x\nfiles: [/etc/passwd]\n",
		}, "leads out of the repository"},
		{"file of another directory", map[string]string{
			"kustomization.yaml": "configMapGenerator:\n- name: x\n  files: [../b/secret.txt]\n",
			"../b/secret.txt":    "s",
		}, "is not in or below"},
		{"symlink as its target's name", map[string]string{
			"kustomization.yaml": resources("link.yaml"),
			"link.yaml":          "../../../etc/passwd",
		}, "link.yaml"},
		{"symlink to a directory", map[string]string{
			"kustomization.yaml": resources("link"),
			"link":               "..",
		}, "link"},

		{"base that is itself", map[string]string{"kustomization.yaml": resources(".")}, "cycle"},
		{"base above", map[string]string{"kustomization.yaml": resources("sub"), "sub/kustomization.yaml": resources("..")}, "cycle"},
		{"bases in a circle", map[string]string{
			"kustomization.yaml": resources("../b"), "../b/kustomization.yaml": resources("../c"), "../c/kustomization.yaml": resources("../a"),
		}, "cycle"},
		{"missing file", map[string]string{"kustomization.yaml": resources("none.yaml")}, "a/kustomization.yaml: resources: none.yaml does not exist"},
		{"no kustomization", map[string]string{"x.yaml": configMap("x", "a: b")}, "unable to find one of"},
		{"two kustomizations", map[string]string{"kustomization.yaml": "resources: []\n", "kustomization.yml": "resources: []\n"}, "multiple kustomization files"},
		{"not yaml", map[string]string{"kustomization.yaml": "resources: [\n\t{{ x }}\n"}, "Kustomization"},
		{"git lfs", map[string]string{
			"kustomization.yaml": resources("x.yaml"),
			"x.yaml":             "version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 12\n",
		}, "git LFS"},
		{"control characters in a name", map[string]string{"kustomization.yaml": "resources: [\"x\\u202e\\e[31m\\0.yaml\"]\n"}, `\u202e`},
		{"crds without content", map[string]string{"kustomization.yaml": "crds: [x.json]\n", "x.json": ""}, "kustomize stopped"},
	} {
		t.Run(test.name, func(t *testing.T) {
			content := map[string]string{}
			for name, c := range test.files {
				content[filepath.ToSlash(filepath.Join("a", name))] = c
			}
			src := files(content)
			r := New(Options{})
			_, err := r.Build(t.Context(), src, "a", nil)
			refused := refusedOf(t, err)
			if !strings.Contains(refused.Reason, test.want) {
				t.Errorf("reason = %q; want it to say %q", refused.Reason, test.want)
			}
			if !refused.Permanent() || refused.Dir != "a" || refused.Hint() == "" {
				t.Errorf("refusal = %+v; want a lasting one of a, with a hint", refused)
			}
			if strings.Contains(refused.Reason, treeRoot) || printable(refused.Reason) != refused.Reason {
				t.Errorf("reason = %q; want plain text without %s", refused.Reason, treeRoot)
			}
			if d := compareOne(t, r, src, "a", nil); d.Err == nil || d.Diff != "" {
				t.Errorf("Compare = %q, %v; want a refusal too", d.Diff, d.Err)
			}
			b.assertUntouched(t)
		})
	}
}

// unchecked is a process that runs kustomize without this package's file system and checks, behind one wall only.
func unchecked(wall string, stdin io.Reader, stdout io.Writer) int {
	var entries []string
	if err := json.NewDecoder(stdin).Decode(&entries); err != nil {
		return 1
	}
	switch wall {
	case "transport and environment":
		leaveOutside()
	case "system calls":
		if err := confine(New(Options{}).limits()); err != nil {
			return 1
		}
	case "none":
	default:
		return 1
	}
	var errs []string
	for _, entry := range entries {
		memory := filesys.MakeFsInMemory()
		if err := memory.WriteFile("/a/kustomization.yaml", []byte("resources: ['"+entry+"']\n")); err != nil {
			return 1
		}
		if _, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(memory, "/a"); err != nil {
			errs = append(errs, err.Error())
		}
	}
	if err := json.NewEncoder(stdout).Encode(errs); err != nil {
		return 1
	}
	return 0
}

// The static checks give good reasons; this shows that nothing depends on them, and that without walls the bait is taken.
func TestWallsHoldWithoutChecks(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, wall := range []string{"none", "transport and environment", "system calls"} {
		t.Run(wall, func(t *testing.T) {
			if wall == "system calls" && !hasFilter() {
				t.Skip("the filter of system calls is for Linux on amd64 and arm64")
			}
			b := setBait(t)
			entries := []string{b.url + "/x.yaml", "git@example.com:org/repo.git", "file://" + t.TempDir(), "ssh://git@example.com/org/repo"}
			in, err := json.Marshal(entries)
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), self, uncheckedCommand, wall)
			cmd.Stdin = bytes.NewReader(in)
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			if wall == "none" {
				if _, err := os.Stat(b.ran); err != nil || b.hits.Load() == 0 {
					t.Errorf("%d requests, git run: %v; want both, or this test proves nothing", b.hits.Load(), err)
				}
				return
			}
			b.assertUntouched(t)
			var errs []string
			if err := json.Unmarshal(out, &errs); err != nil || len(errs) != len(entries) {
				t.Errorf("errors = %q; want one for each of %q", errs, entries)
			}
		})
	}
}

func hasFilter() bool {
	return runtime.GOOS == "linux" && (runtime.GOARCH == "amd64" || runtime.GOARCH == "arm64")
}

func TestBombs(t *testing.T) {
	var laughs strings.Builder
	laughs.WriteString("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\ndata:\n  a0: &a0 lol\n")
	for i := range 30 {
		fmt.Fprintf(&laughs, "  a%d: &a%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i), 9), ", "))
	}
	diamond := map[string]string{"n20/kustomization.yaml": "resources: [cm.yaml]\n", "n20/cm.yaml": configMap("x", "a: b")}
	for i := range 20 {
		for _, side := range []string{"l", "r"} {
			diamond[fmt.Sprintf("n%d%s/kustomization.yaml", i, side)] = fmt.Sprintf("namePrefix: %s\nresources: [../n%d]\n", side, i+1)
		}
		diamond[fmt.Sprintf("n%d/kustomization.yaml", i)] = fmt.Sprintf("resources: [../n%dl, ../n%dr]\n", i, i)
	}
	for _, test := range []struct {
		name    string
		files   map[string]string
		dir     string
		options Options
		want    []string // any of these
	}{
		{
			"aliases",
			map[string]string{"a/kustomization.yaml": "resources: [x.yaml]\n", "a/x.yaml": laughs.String()},
			"a",
			Options{},
			[]string{"aliases unfold"},
		},
		{
			"aliases in the kustomization",
			map[string]string{"a/kustomization.yaml": laughs.String()},
			"a",
			Options{},
			[]string{"aliases unfold"},
		},
		{
			"alias of itself",
			map[string]string{
				"a/kustomization.yaml": "resources: [x.yaml]\n",
				"a/x.yaml":             "apiVersion: v1\nkind: ConfigMap\nmetadata: &m\n  name: x\n  annotations: *m\n",
			},
			"a",
			Options{},
			[]string{"aliases unfold"},
		},
		{"bases that double", diamond, "n0", Options{Timeout: time.Minute}, []string{"kustomizations are loaded"}},
		{
			"deep nesting",
			map[string]string{
				"a/kustomization.yaml": "resources: [x.yaml]\n",
				"a/x.yaml":             "apiVersion: v1\nkind: X\nmetadata: {name: x}\nspec: " + strings.Repeat("[", 1_000_000),
			},
			"a",
			Options{},
			[]string{"depth", "nested too deeply", "x.yaml"},
		},
		{
			"giant file",
			map[string]string{"a/kustomization.yaml": "resources: [x.yaml]\n", "a/x.yaml": strings.Repeat("#\n", 3<<20)},
			"a",
			Options{},
			[]string{"a/x.yaml: 6291456 bytes, at most 4194304 are read"},
		},
		{
			"file of 100 MB",
			map[string]string{"a/kustomization.yaml": "resources: [x.yaml]\n", "a/x.yaml": strings.Repeat("#\n", 50<<20)},
			"a",
			Options{},
			[]string{"a/x.yaml: 104857600 bytes, at most 4194304 are read"},
		},
		{
			"giant kustomization",
			map[string]string{"a/kustomization.yaml": strings.Repeat("#\n", 3<<20)},
			"a",
			Options{},
			[]string{"at most 4194304 are read"},
		},
		{
			"giant output",
			map[string]string{
				"a/kustomization.yaml":   "resources: [l, r]\n",
				"a/l/kustomization.yaml": "namePrefix: l\nresources: [../../c]\n", "a/r/kustomization.yaml": "namePrefix: r\nresources: [../../c]\n",
				"c/kustomization.yaml": "resources: [cm.yaml]\n", "c/cm.yaml": configMap("x", "a: "+strings.Repeat("x", 1<<20)),
			},
			"a",
			Options{MaxOutput: 1 << 20},
			[]string{"at most 1048576 are taken"},
		},
		{
			"much input",
			map[string]string{
				"a/kustomization.yaml": "resources: [x.yaml, y.yaml]\n",
				"a/x.yaml":             strings.Repeat("#\n", 1<<10), "a/y.yaml": strings.Repeat("#\n", 1<<10),
			},
			"a",
			Options{MaxInput: 3 << 10},
			[]string{"more than 3072 bytes of files"},
		},
		{
			"many values",
			map[string]string{
				"a/kustomization.yaml": "resources: [x.yaml]\n",
				"a/x.yaml":             "apiVersion: v1\nkind: X\nmetadata: {name: x}\nspec: [" + strings.Repeat("{a: b},", 500_000) + "]\n",
			},
			"a",
			Options{MemoryBytes: 64 << 20},
			[]string{"more than 64 MiB of memory"},
		},
		{
			"regular expression in replacements",
			map[string]string{
				"a/kustomization.yaml": "resources: [x.yaml]\nreplacements:\n- source: {kind: ConfigMap, name: x, fieldPath: data.a}\n" +
					"  targets: [{select: {name: '" + strings.Repeat("(a*)*", 200) + "b'}, fieldPaths: [data.b]}]\n",
				"a/x.yaml": configMap("x", "a: "+strings.Repeat("a", 1000)),
			},
			"a",
			Options{},
			[]string{""},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := New(test.options).Build(t.Context(), files(test.files), test.dir, nil)
			if test.want[0] == "" && err == nil {
				return // harmless is as good as refused
			}
			refused := refusedOf(t, err)
			if !slices.ContainsFunc(test.want, func(w string) bool { return strings.Contains(refused.Reason, w) }) {
				t.Errorf("reason = %q; want one of %q", refused.Reason, test.want)
			}
		})
	}
}

// endless has a base below every base, without end.
type endless struct{ asked atomic.Int32 }

func (e *endless) IsDir(_ context.Context, p string) (bool, error) {
	return !strings.Contains(p, "."), nil
}

func (e *endless) ReadFile(_ context.Context, p string) ([]byte, error) {
	e.asked.Add(1)
	if strings.HasSuffix(p, "/kustomization.yaml") {
		return []byte("resources: [deeper]\n"), nil
	}
	return nil, os.ErrNotExist
}

func TestEndlessSource(t *testing.T) {
	src := &endless{}
	_, err := New(Options{MaxPaths: 500}).Build(t.Context(), src, "n", nil)
	if got := refusedOf(t, err).Reason; !strings.Contains(got, "more than 500 paths are needed") {
		t.Errorf("reason = %q; want the limit on paths", got)
	}
	if n := src.asked.Load(); n > 500 {
		t.Errorf("the source was asked %d times; want at most 500", n)
	}
}

func TestSlowSource(t *testing.T) {
	src := slowSource{}
	d := compareOne(t, New(Options{Timeout: 300 * time.Millisecond}), src, "a", nil)
	refused := refusedOf(t, d.Err)
	if refused.Permanent() || !strings.Contains(refused.Reason, "longer than 300ms") {
		t.Errorf("refusal = %+v; want the time-out", refused)
	}
}

type slowSource struct{}

func (slowSource) IsDir(ctx context.Context, _ string) (bool, error) {
	<-ctx.Done()
	return false, ctx.Err()
}

func (slowSource) ReadFile(ctx context.Context, _ string) ([]byte, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}
