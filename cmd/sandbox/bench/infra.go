package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// filesPerApp is what one app of a generated infrastructure repository has: a base of four files and three overlays of two.
const filesPerApp = 10

// infra is a generated infrastructure repository on the server.
type infra struct {
	dir   string // the bare repository
	url   string
	files int
}

// historyOf is how many commits a generated repository has, as a full clone fetches them all.
const historyOf = 200

// generate makes a repository of so many files, with a history, packed as a forge would have it.
func generate(ctx context.Context, s *gitServer, files int) (infra, error) {
	name := fmt.Sprintf("infra-%d.git", files)
	r := infra{dir: filepath.Join(s.root, name), url: s.url + "/" + name, files: files}
	if err := git(ctx, s.root, nil, "init", "-q", "--bare", "--initial-branch=main", name); err != nil {
		return r, err
	}
	for _, kv := range [][2]string{
		{"http.receivepack", "true"}, {"uploadpack.allowFilter", "true"}, {"uploadpack.allowAnySHA1InWant", "true"}, {"gc.auto", "0"}, {"receive.autogc", "false"},
	} {
		if err := git(ctx, r.dir, nil, "config", kv[0], kv[1]); err != nil {
			return r, err
		}
	}
	reader, writer := io.Pipe()
	go func() { _ = writer.CloseWithError(r.write(writer)) }()
	if err := git(ctx, r.dir, reader, "fast-import", "--quiet", "--force"); err != nil {
		return r, err
	}
	return r, git(ctx, r.dir, nil, "-c", "pack.writeBitmaps=true", "repack", "-adq", "--write-bitmap-index")
}

func (r infra) apps() int { return max(r.files/filesPerApp, 1) }

// dir is where an app lies: a hundred teams at most, as one directory of thousands is nobody's.
func (r infra) appDir(i int) string {
	perTeam := max((r.apps()+99)/100, 10)
	return fmt.Sprintf("apps/team-%02d/app-%05d", i/perTeam, i)
}

// overlay is the folder of the kustomization that promotions change.
func (r infra) overlay(i int) string { return r.appDir(i%r.apps()) + "/overlays/prod" }

// image is what it runs.
func image(i int) string { return fmt.Sprintf("registry.acme.io/shop/app-%05d", i) }

func (r infra) write(to io.Writer) error {
	w := bufio.NewWriter(to)
	commit := func(n int, message string) {
		fmt.Fprintf(w, "commit refs/heads/main\ncommitter Bench <bench@acme.io> %d +0000\ndata %d\n%s\n", 1_700_000_000+n, len(message), message)
	}
	file := func(path, content string) {
		fmt.Fprintf(w, "M 100644 inline %s\ndata %d\n%s\n", path, len(content), content)
	}
	commit(0, "begin")
	for i := range r.apps() {
		dir := r.appDir(i)
		file(dir+"/base/kustomization.yaml", "resources: [deployment.yaml, service.yaml, configmap.yaml]\n")
		file(dir+"/base/deployment.yaml", manifest("apps/v1", "Deployment", i, "spec:\n  replicas: 2\n  template:\n    spec:\n      containers:\n        - name: app\n          image: app\n"))
		file(dir+"/base/service.yaml", manifest("v1", "Service", i, "spec:\n  ports: [{port: 80}]\n"))
		file(dir+"/base/configmap.yaml", manifest("v1", "ConfigMap", i, fmt.Sprintf("data:\n  number: %q\n", fmt.Sprint(i))))
		for _, env := range []string{"dev", "staging", "prod"} {
			file(dir+"/overlays/"+env+"/kustomization.yaml", kustomization(i, "1.0.0"))
			file(dir+"/overlays/"+env+"/patch.yaml", manifest("apps/v1", "Deployment", i, "spec:\n  template:\n    metadata:\n      labels: {env: "+env+"}\n"))
		}
	}
	for n := 1; n < historyOf; n++ {
		commit(n, fmt.Sprint("change ", n))
		i := n % r.apps()
		file(r.appDir(i)+"/overlays/dev/kustomization.yaml", kustomization(i, fmt.Sprint("1.0.", n)))
	}
	return w.Flush()
}

func manifest(version, kind string, i int, rest string) string {
	return fmt.Sprintf("apiVersion: %s\nkind: %s\nmetadata:\n  name: app-%05d\n%s", version, kind, i, rest)
}

func kustomization(i int, tag string) string {
	return fmt.Sprintf("resources:\n  - ../../base\npatches:\n  - path: patch.yaml\nimages:\n  - name: app\n    newName: %s\n    newTag: %s\n", image(i), tag)
}

// move puts another commit of somebody else's on main.
func (r infra) move(ctx context.Context, n int) error {
	i := (n*7 + 3) % r.apps()
	content := kustomization(i, fmt.Sprintf("2.%d.0", n))
	text := fmt.Sprintf("commit refs/heads/main\ncommitter Other <other@acme.io> %d +0000\ndata 5\nmove\n\nfrom refs/heads/main^0\nM 100644 inline %s/overlays/staging/kustomization.yaml\ndata %d\n%s\n",
		1_800_000_000+n, r.appDir(i), len(content), content)
	return git(ctx, r.dir, strings.NewReader(text), "fast-import", "--quiet", "--force")
}

func git(ctx context.Context, dir string, stdin io.Reader, args ...string) error {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir, cmd.Stdin = dir, stdin
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("git %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}
