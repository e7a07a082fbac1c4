// Package internal_test holds what is true of the whole repository: who may import whom, what each package says of itself,
// what lies where, and that what users copy from deploy/ works.
package internal_test

import (
	"bytes"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/boatlift/boatlift/internal/render"
)

// TestMain lets this program be the child process in which render builds.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == render.ChildCommand {
		os.Exit(render.ChildMain(os.Stdin, os.Stdout))
	}
	os.Exit(m.Run())
}

// root is the repository.
const root = ".."

const module = "github.com/boatlift/boatlift/"

// row is what one package may import of ours. What its tests need beyond that is named apart.
type row struct{ imports, tests []string }

// rows is the table of packages. The commands may import everything and have no row; what lies below a command is that command's own.
var rows = map[string]row{
	"internal/config": {
		imports: []string{"internal/didyoumean", "internal/image", "internal/promotion", "internal/gate", "internal/trust"},
	},
	"internal/didyoumean": {},
	"internal/image":      {},
	"internal/login":      {},
	"internal/registry":   {imports: []string{"internal/image", "internal/login", "internal/trust"}, tests: []string{"internal/trust/trusttest"}},
	"internal/hook": {
		imports: []string{"internal/image", "internal/registry", "internal/forge", "internal/store"},
		tests:   []string{"internal/forge/forgetest", "internal/forge/github", "internal/forge/gitlab", "internal/promotion"},
	},
	"internal/store": {
		imports: []string{"internal/image", "internal/promotion", "internal/gate"}, tests: []string{"internal/store/postgrestest"},
	},
	"internal/store/postgrestest": {},
	"internal/promotion":          {imports: []string{"internal/image", "internal/gate"}},
	"internal/gate":               {imports: []string{"internal/didyoumean", "internal/image", "policies"}},
	"internal/reconcile": {
		imports: []string{
			"internal/forge", "internal/gate", "internal/gitrepo", "internal/image", "internal/kustomize", "internal/promotion", "internal/registry",
			"internal/render", "internal/store", "policies",
		},
		tests: []string{"internal/config", "internal/forge/forgetest", "internal/forge/governor", "cmd/sandbox/hub", "cmd/sandbox/images"},
	},
	"internal/polling": {
		imports: []string{"internal/image", "internal/promotion", "internal/registry", "internal/store"},
		tests:   []string{"cmd/sandbox/images", "internal/config", "internal/gate"},
	},
	"internal/gitrepo":         {},
	"internal/kustomize":       {imports: []string{"internal/image"}},
	"internal/render":          {},
	"internal/forge":           {},
	"internal/forge/github":    {imports: []string{"internal/forge", "internal/forge/wire"}, tests: []string{"internal/forge/forgetest"}},
	"internal/forge/gitlab":    {imports: []string{"internal/forge", "internal/forge/wire"}, tests: []string{"internal/forge/forgetest"}},
	"internal/forge/wire":      {imports: []string{"internal/forge"}},
	"internal/forge/forgetest": {imports: []string{"internal/forge"}, tests: []string{"internal/forge/governor", "internal/store"}},
	"internal/forge/governor":  {imports: []string{"internal/forge", "internal/store"}, tests: []string{"internal/forge/forgetest"}},
	"internal/dashboard":       {imports: []string{"internal/image", "internal/promotion", "internal/gate", "internal/store"}},
	"internal/trust":           {tests: []string{"internal/trust/trusttest"}},
	"internal/trust/trusttest": {},
	"policies":                 {tests: []string{"internal/gate", "internal/image"}},

	// What the sandbox is made of: a forge that runs real git and real kustomize, a real registry, and both set up with the bot's process.
	"cmd/sandbox/serving": {},
	"cmd/sandbox/hub": {
		imports: []string{"cmd/sandbox/serving", "internal/render"},
		tests:   []string{"cmd/sandbox/conform", "internal/forge", "internal/forge/forgetest", "internal/forge/github", "internal/forge/gitlab"},
	},
	"cmd/sandbox/conform": {imports: []string{"cmd/sandbox/hub"}}, // used by tests only
	"cmd/sandbox/bench": {
		imports: []string{"cmd/sandbox/hub", "cmd/sandbox/images", "cmd/sandbox/stage", "internal/gitrepo", "internal/kustomize", "internal/store/postgrestest"},
	},
	"cmd/sandbox/images": {imports: []string{"cmd/sandbox/serving"}, tests: []string{"internal/image", "internal/registry"}},
	"cmd/sandbox/stage":  {imports: []string{"cmd/sandbox/hub", "cmd/sandbox/images", "cmd/sandbox/serving", "internal/dashboard"}, tests: []string{"internal/render"}},

	"internal": {tests: []string{"internal/config", "internal/registry", "internal/render"}}, // this test
}

// commands are the places where parts are joined.
var commands = []string{"cmd/boatlift", "cmd/sandbox"}

// dependency is a library, or a package of the standard library whose use is confined, and where it may be seen. Where its types
// would otherwise spread, that is one package.
type dependency struct {
	path  string // an import path; all that lies below it is meant too
	in    []string
	tests []string // where else tests may import it; "*" is everywhere
}

var dependencies = []dependency{
	{path: "net/http/pprof"}, // shows memory, and with it secrets, to whoever asks

	{path: "database/sql", in: []string{"internal/store", "internal/store/postgrestest"}},
	{path: "github.com/jackc/pgx/v5", in: []string{"internal/store", "internal/store/postgrestest"}},
	{path: "github.com/pressly/goose/v3", in: []string{"internal/store"}},
	{path: "modernc.org/sqlite", in: []string{"internal/store"}},

	{path: "gonum.org/v1/plot", in: []string{"cmd/sandbox/bench"}},

	{path: "github.com/go-git/go-git/v5", in: []string{"internal/gitrepo", "cmd/sandbox/bench"}, tests: []string{"cmd/sandbox", "cmd/sandbox/hub"}},
	{path: "github.com/ProtonMail/go-crypto", in: []string{"internal/gitrepo"}},
	{path: "golang.org/x/crypto/ssh", in: []string{"internal/gitrepo"}},
	{path: "github.com/go-git/go-billy/v5", in: []string{"internal/gitrepo"}, tests: []string{"cmd/sandbox", "cmd/sandbox/hub"}},

	{path: "github.com/google/go-github/v60", in: []string{"internal/forge/github"}},
	{path: "github.com/bradleyfalzon/ghinstallation/v2", in: []string{"internal/forge/github"}},
	{path: "github.com/gofri/go-github-ratelimit/v2", in: []string{"internal/forge/github"}},
	{path: "github.com/golang-jwt/jwt/v4", in: []string{"internal/forge/github"}},

	{path: "github.com/xanzy/go-gitlab", in: []string{"internal/forge/gitlab"}, tests: []string{"cmd/sandbox/hub"}},

	{path: "sigs.k8s.io/kustomize/api", in: []string{"internal/render"}},
	{path: "sigs.k8s.io/kustomize/kyaml", in: []string{"internal/render", "internal/kustomize"}},
	{path: "go.yaml.in/yaml/v3", in: []string{"internal/kustomize"}, tests: []string{"internal"}},
	{path: "github.com/goccy/go-yaml", in: []string{"internal/config", "internal/gate"}},
	{path: "github.com/invopop/jsonschema", in: []string{"internal/config"}},

	{path: "github.com/hmarr/codeowners", in: []string{"internal/reconcile"}},
	{path: "github.com/google/cel-go", in: []string{"internal/gate"}},
	{path: "github.com/Masterminds/semver/v3", in: []string{"internal/image"}},
	{path: "github.com/aymanbagabas/go-udiff", in: []string{"internal/kustomize", "internal/render"}},

	{path: "github.com/google/go-containerregistry", in: []string{"internal/registry", "internal/login", "cmd/sandbox/images"}},
	{path: "github.com/distribution/distribution/v3", in: []string{"cmd/sandbox/images"}},
	{path: "github.com/sirupsen/logrus", in: []string{"cmd/sandbox/images"}}, // distribution's logger, to silence it

	{path: "github.com/awslabs/amazon-ecr-credential-helper/ecr-login", in: []string{"internal/login"}},
	{path: "github.com/aws/aws-sdk-go-v2", in: []string{"internal/login"}},
	{path: "github.com/aws/smithy-go", in: []string{"internal/login"}},
	{path: "golang.org/x/oauth2", in: []string{"internal/login"}},
	{path: "github.com/coreos/go-oidc/v3", in: []string{"internal/trust"}},

	{path: "github.com/go-chi/chi/v5", in: []string{"internal/hook", "internal/dashboard", "cmd/boatlift", "cmd/sandbox"}},
	{path: "github.com/spf13/cobra", in: []string{"cmd/boatlift"}},
	{path: "golang.org/x/crypto/x509roots/fallback", in: []string{"cmd/boatlift"}},
	{path: "github.com/prometheus/client_golang", in: []string{"cmd/boatlift"}},
	{path: "golang.org/x/sys", in: []string{"internal/render", "internal/store", "cmd/boatlift"}},

	{path: "pgregory.net/rapid", tests: []string{"*"}},
	{path: "github.com/rogpeppe/go-internal", tests: []string{"cmd/boatlift", "cmd/sandbox"}},
	{path: "github.com/getkin/kin-openapi", in: []string{"cmd/sandbox/conform"}},
	{path: "github.com/santhosh-tekuri/jsonschema/v6", in: []string{"cmd/sandbox/conform"}},
}

// goPackage is what go list tells of a package.
type goPackage struct {
	ImportPath, Name, Doc              string
	GoFiles                            []string
	Imports, TestImports, XTestImports []string
	Standard                           bool
}

// short is the package's path below the module.
func (p goPackage) short() string { return strings.TrimPrefix(p.ImportPath, module) }

// tests are what the package's tests import, sorted, itself left out.
func (p goPackage) tests() []string {
	all := slices.Concat(p.TestImports, p.XTestImports)
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(s string) bool { return s == p.ImportPath })
}

// goList lists packages. The operating system is fixed, so that what is found does not depend on where the test runs.
func goList(t *testing.T, args ...string) []goPackage {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-json=ImportPath,Name,Doc,GoFiles,Imports,TestImports,XTestImports,Standard"}, args...)...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOOS=linux", "CGO_ENABLED=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %s: %v\n%s", strings.Join(args, " "), err, &stderr)
	}
	var packages []goPackage
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatalf("go list %s: %v", strings.Join(args, " "), err)
		}
		packages = append(packages, p)
	}
}

func TestPackagesImportOnlyWhatTheirRowAllows(t *testing.T) {
	packages := goList(t, "./...")
	seen := map[string]bool{}
	for _, p := range packages {
		short := p.short()
		seen[short] = true
		if slices.Contains(commands, short) {
			continue
		}
		r, ok := rows[short]
		if !ok {
			t.Errorf("%s has no row in the table of packages: say what it may import", short)
			continue
		}
		for _, path := range p.Imports {
			if ours, ok := strings.CutPrefix(path, module); ok && !slices.Contains(r.imports, ours) {
				t.Errorf("%s imports %s, which its row does not allow", short, ours)
			}
		}
		for _, path := range p.tests() {
			if ours, ok := strings.CutPrefix(path, module); ok && !slices.Contains(r.imports, ours) && !slices.Contains(r.tests, ours) {
				t.Errorf("the tests of %s import %s, which its row does not allow", short, ours)
			}
		}
	}
	for short, r := range rows {
		for _, other := range slices.Concat([]string{short}, r.imports, r.tests) {
			if !seen[other] {
				t.Errorf("the row of %s names %s, which does not exist", short, other)
			}
		}
	}
}

// TestPartsOfACommandStayWithIt holds hub and images to the sandbox: the bot must not be built of what imitates the world.
func TestPartsOfACommandStayWithIt(t *testing.T) {
	for _, p := range goList(t, "./...") {
		for _, path := range p.Imports {
			ours, ok := strings.CutPrefix(path, module)
			if !ok || !strings.HasPrefix(ours, "cmd/") {
				continue
			}
			if owner := strings.Join(strings.SplitN(ours, "/", 3)[:2], "/"); p.short() != owner && !strings.HasPrefix(p.short(), owner+"/") {
				t.Errorf("%s imports %s, which is a part of %s", p.short(), ours, owner)
			}
		}
	}
}

func TestLibrariesStayInTheirPackage(t *testing.T) {
	used := map[string]bool{}
	for _, p := range goList(t, "./...") {
		check := func(path string, test bool) {
			if strings.HasPrefix(path, module) {
				return
			}
			d, ok := dependencyOf(path)
			if !ok {
				if first, _, _ := strings.Cut(path, "/"); strings.Contains(first, ".") {
					t.Errorf("%s imports %s, which the table of dependencies does not have: say where it may be used", p.short(), path)
				}
				return // the standard library
			}
			used[d.path] = true
			if slices.Contains(d.in, p.short()) || test && (slices.Contains(d.tests, "*") || slices.Contains(d.tests, p.short())) {
				return
			}
			t.Errorf("%s imports %s (in tests: %v); it belongs to [%s]", p.short(), path, test, strings.Join(d.in, ", "))
		}
		for _, path := range p.Imports {
			check(path, false)
		}
		for _, path := range p.tests() {
			check(path, true)
		}
	}
}

// dependencyOf is the longest entry of the table that an import path belongs to.
func dependencyOf(path string) (dependency, bool) {
	var found dependency
	for _, d := range dependencies {
		if (path == d.path || strings.HasPrefix(path, d.path+"/")) && len(d.path) > len(found.path) {
			found = d
		}
	}
	return found, found.path != ""
}

// TestBotHasNoMoreThanItNeeds looks at everything that is linked into the bot.
func TestBotHasNoMoreThanItNeeds(t *testing.T) {
	gogithub := regexp.MustCompile(`^github\.com/google/go-github/(v\d+)/`)
	majors := map[string]bool{}
	for _, p := range goList(t, "-deps", "./cmd/boatlift") {
		if m := gogithub.FindStringSubmatch(p.ImportPath); m != nil {
			majors[m[1]] = true
		}
		for _, never := range []string{
			"testing", "net/http/httptest", "pgregory.net/rapid", "github.com/getkin/kin-openapi", "github.com/santhosh-tekuri/jsonschema", "github.com/distribution/distribution", "k8s.io/client-go", "helm.sh/helm",
		} {
			if p.ImportPath == never || strings.HasPrefix(p.ImportPath, never+"/") {
				t.Errorf("the bot links %s", p.ImportPath)
			}
		}
	}
	if len(majors) != 1 {
		t.Errorf("the bot links %d majors of go-github (%v); want 1", len(majors), majors)
	}
}

func TestPackagesSayWhatTheyAre(t *testing.T) {
	for _, p := range goList(t, "./...") {
		if len(p.GoFiles) == 0 {
			continue // tests only
		}
		want := "Package " + p.Name + " "
		if p.Name == "main" {
			want = "Command " + filepath.Base(p.ImportPath) + " "
		}
		if !strings.HasPrefix(p.Doc, want) {
			t.Errorf("the doc of %s starts %q; want %q", p.short(), p.Doc, want)
		}
	}
}

func TestPackageNames(t *testing.T) {
	drawers := []string{"util", "utils", "common", "helper", "helpers", "type", "types", "model", "models", "server", "core", "base", "misc", "global", "shared", "lib"}
	standard := map[string]bool{}
	for _, p := range goList(t, "std") {
		standard[p.Name] = true
	}
	for _, p := range goList(t, "./...") {
		if slices.Contains(drawers, p.Name) {
			t.Errorf("%s: %q says nothing about what is in it", p.short(), p.Name)
		}
		if p.Name != "main" && p.Name != "image" && len(p.GoFiles) > 0 && standard[p.Name] { // image is the field's word, and nothing here draws
			t.Errorf("%s takes the name of a package of the standard library", p.short())
		}
		if last := filepath.Base(p.ImportPath); p.Name != "main" && len(p.GoFiles) > 0 && last != p.Name {
			t.Errorf("%s is package %s", p.short(), p.Name)
		}
	}
}

// tracked lists what git has of this repository.
func tracked(t *testing.T) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", "ls-files", "-z")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("this is no clone, or there is no git (git ls-files: %v): what is tracked cannot be told", err)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
}

func TestTopLevel(t *testing.T) {
	want := []string{"CHANGELOG.md", "Dockerfile", "LICENSE", "Makefile", "README.md", "cmd", "deploy", "go.mod", "go.sum", "internal", "policies", "testdata"}
	var got []string
	for _, file := range tracked(t) {
		if top, _, _ := strings.Cut(file, "/"); !strings.HasPrefix(top, ".") && !slices.Contains(got, top) {
			got = append(got, top)
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("top level:\n got %v\nwant %v", got, want)
	}
}

// TestNoFileNamesAMachine keeps out paths of the machine that a file was written on, and of folders outside the repository.
func TestNoFileNamesAMachine(t *testing.T) {
	// Written so that it does not find itself.
	machine := regexp.MustCompile(`(^|[^A-Za-z0-9_.])/` + `(work|farm)/|\.\./` + `shared\b|/tmp/` + `bash_jobs`)
	for _, file := range tracked(t) {
		content, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(file)))
		if errors.Is(err, os.ErrNotExist) {
			continue // removed, not committed yet
		}
		if err != nil {
			t.Error(err)
			continue
		}
		if file == "go.sum" || bytes.IndexByte(content[:min(len(content), 8000)], 0) >= 0 {
			continue // checksums, and what is no text
		}
		for i, line := range strings.Split(string(content), "\n") {
			if found := machine.FindString(line); found != "" {
				t.Errorf("%s:%d names %q: %s", file, i+1, found, line[:min(len(line), 120)])
			}
		}
	}
}

// TestBotIsOneStaticFile builds the bot as the image does. An image without anything else in it can run only what asks for no
// other file.
func TestBotIsOneStaticFile(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and links the whole bot; left out with -short")
	}
	binary := filepath.Join(t.TempDir(), "boatlift")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -X main.version=1.2.3-test", "-o", binary, "./cmd/boatlift")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+runtime.GOARCH)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	file, err := elf.Open(binary)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("the binary has a segment %v: it is linked dynamically", p.Type)
		}
	}
	if libraries, err := file.ImportedLibraries(); err == nil && len(libraries) > 0 {
		t.Errorf("the binary needs %v", libraries)
	}
	content, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	here, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(content, []byte(here+string(filepath.Separator)+"internal")) {
		t.Errorf("the binary names the folder it was built in, %s", here)
	}
	if runtime.GOOS != "linux" {
		t.Logf("not run: it is a program for linux, this is %s", runtime.GOOS)
		return
	}
	out, err := exec.CommandContext(t.Context(), binary, "version").CombinedOutput()
	if want := "1.2.3-test"; err != nil || !strings.Contains(string(out), want) {
		t.Errorf("boatlift version = %q, %v; want the linker's %s", out, err, want)
	}
}

// TestDocumentedTargetsExist holds the Makefile to its own promise: each target says what it does.
func TestDocumentedTargetsExist(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	phony := regexp.MustCompile(`(?m)^\.PHONY: (.*)$`).FindSubmatch(text)
	if phony == nil {
		t.Fatal("the Makefile has no .PHONY")
	}
	for _, target := range strings.Fields(string(phony[1])) {
		if !regexp.MustCompile(fmt.Sprintf(`(?m)^%s:.*## \S`, target)).Match(text) {
			t.Errorf("make %s has no description", target)
		}
	}
}

// TestForgesAreAskedThroughTheirWrappers: whoever asserts the type of a forge.Forge sees the wrapper, and not what the forge can do.
func TestForgesAreAskedThroughTheirWrappers(t *testing.T) {
	assertion := regexp.MustCompile(`\.\(forge\.[A-Z][A-Za-z]*\)`)
	for _, p := range goList(t, "./...") {
		for _, file := range p.GoFiles {
			name := filepath.Join(root, filepath.FromSlash(p.short()), file)
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if found := assertion.Find(text); found != nil {
				t.Errorf("%s has %s: ask with forge.As, which looks behind wrappers", name, found)
			}
		}
	}
}
