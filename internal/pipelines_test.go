package internal_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// workflow reads one of the workflows that an infra repository copies.
func workflow(t *testing.T, name string) object {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "deploy", "github-actions", name))
	if err != nil {
		t.Fatal(err)
	}
	docs := decodeAll(t, text)
	if len(docs) != 1 {
		t.Fatalf("%s has %d documents", name, len(docs))
	}
	return docs[0]
}

// script is what the step of a workflow runs.
func script(t *testing.T, name, job, step string) string {
	t.Helper()
	for _, s := range workflow(t, name).objects("jobs " + job + " steps") {
		if s.text("name") == step {
			return s.text("run")
		}
	}
	t.Fatalf("%s has no step %q", name, step)
	return ""
}

func TestWorkflowsAskForLittle(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, "deploy", "github-actions", "*.yml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no workflows: %v", err)
	}
	pinned := regexp.MustCompile(`^[\w.-]+/[\w./-]+@[0-9a-f]{40}$`)
	for _, file := range files {
		name := filepath.Base(file)
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(string(text), "\n") {
			if strings.Contains(line, "uses:") && !regexp.MustCompile(`@[0-9a-f]{40} # v\d+\.\d+\.\d+$`).MatchString(line) {
				t.Errorf("%s: %q is not a full commit with its version behind it", name, strings.TrimSpace(line))
			}
		}
		w := workflow(t, name)
		if permissions, ok := w.at("permissions").(map[string]any); !ok || len(permissions) > 0 {
			t.Errorf("%s: permissions = %v; want none at the top", name, w.at("permissions"))
		}
		on, _ := w.at("on").(map[string]any)
		for event := range on {
			if event != "push" && event != "pull_request" {
				t.Errorf("%s runs on %s", name, event)
			}
		}
		if len(on) != 1 {
			t.Errorf("%s runs on %v; want one event, so that its rights fit it", name, on)
		}
		jobs, _ := w.at("jobs").(map[string]any)
		for job := range jobs {
			at := "jobs " + job + " "
			want := "map[contents:read]"
			if name == "notify.yml" {
				want = "map[id-token:write]" // it reads nothing of the repository
			}
			if got := w.text(at + "permissions"); got != want {
				t.Errorf("%s, %s: permissions = %s; want %s", name, job, got, want)
			}
			if w.at(at+"timeout-minutes") == nil {
				t.Errorf("%s, %s: no timeout-minutes", name, job)
			}
			if got := w.text(at + "defaults run shell"); got != "bash" {
				t.Errorf("%s, %s: shell = %s; want bash, which fails when a part of a pipe does", name, job, got)
			}
			for _, step := range w.objects(at + "steps") {
				if uses := step.at("uses"); uses != nil {
					if !pinned.MatchString(fmt.Sprint(uses)) {
						t.Errorf("%s, %s: uses %v, which is not pinned to a commit", name, job, uses)
					}
					if got := step.text("with persist-credentials"); strings.HasPrefix(fmt.Sprint(uses), "actions/checkout@") && got != "false" {
						t.Errorf("%s, %s: persist-credentials = %s; want false", name, job, got)
					}
				}
				if run := step.at("run"); run != nil && strings.Contains(fmt.Sprint(run), "${{") {
					t.Errorf("%s, %s: the step %q puts an expression into a script: who controls its value runs commands", name, job, step.text("name"))
				}
			}
		}
	}
}

func TestApplyWorkflow(t *testing.T) {
	w := workflow(t, "apply.yml")
	for _, tt := range []struct{ keys, want string }{
		{"on push branches", "[main]"},
		{"on push paths", "<nil>"}, // every commit gets its evidence
		{"jobs apply environment", "production"},
		{"jobs apply concurrency cancel-in-progress", "false"},
		{"jobs apply concurrency group", "apply-production"},
	} {
		if got := w.text(tt.keys); got != tt.want {
			t.Errorf("%s = %s; want %s", tt.keys, got, tt.want)
		}
	}
	var names []string
	applied := 0
	for _, step := range w.objects("jobs apply steps") {
		names = append(names, step.text("name"))
		applied += strings.Count(step.text("run"), "kubectl apply")
		if run := step.text("run"); strings.Contains(run, "--force-conflicts") || strings.Contains(run, "--prune") {
			t.Errorf("%s forces or prunes", step.text("name"))
		}
		if keys := step.text("env"); strings.Contains(keys, "secrets.") && step.text("name") != "Log in to the cluster" {
			t.Errorf("%s has secrets: %s", step.text("name"), keys)
		}
	}
	order := []string{"Render", "Log in to the cluster", "Show what will change", "Apply", "Wait for the rollout", "Forget the cluster"}
	if got := slices.DeleteFunc(names, func(s string) bool { return s == "<nil>" }); !slices.Equal(got, order) {
		t.Errorf("steps = %v; want %v: what builds has no credentials, and what is shown is what is applied", got, order)
	}
	if applied != 1 {
		t.Errorf("the job applies %d times; want once", applied)
	}
	want := "kubectl apply --server-side --field-manager=boatlift --filename=\"$RUNNER_TEMP/rendered.yaml\"\n"
	if got := script(t, "apply.yml", "apply", "Apply"); got != want {
		t.Errorf("Apply runs %q; want %q", got, want)
	}
	if a, r := script(t, "apply.yml", "apply", "Render"), script(t, "render.yml", "render", "Render"); a != r {
		t.Errorf("apply.yml and render.yml render differently:\n%s\n%s", a, r)
	}
}

// runner is a machine that runs the scripts of a workflow as GitHub's runner does, with a kubectl of the test's.
type runner struct {
	work, temp, bin string
	env             []string
}

func newRunner(t *testing.T) *runner {
	t.Helper()
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skipf("the workflows are written for bash: %v", err)
	}
	r := &runner{work: t.TempDir(), temp: t.TempDir(), bin: t.TempDir()}
	r.env = []string{
		"PATH=" + r.bin + string(os.PathListSeparator) + os.Getenv("PATH"), "HOME=" + r.temp, "RUNNER_TEMP=" + r.temp,
		"GITHUB_ENV=" + filepath.Join(r.temp, "env"), "CALLS=" + filepath.Join(r.temp, "calls"),
	}
	return r
}

// program puts a script in a program's place. It finds its call's arguments in "$@"; they are kept, with what it was given to read.
func (r *runner) program(t *testing.T, name, body string) {
	t.Helper()
	write(t, filepath.Join(r.bin, name), "#!/usr/bin/env bash\nprintf '%s\\n' \"$*\" >> \"$CALLS\"\n"+body, 0o755)
}

// kubectl puts a script in kubectl's place. It finds its calls' arguments in "$*".
func (r *runner) kubectl(t *testing.T, body string) {
	t.Helper()
	write(t, filepath.Join(r.bin, "kubectl"), "#!/usr/bin/env bash\nprintf '%s\\n' \"$*\" >> \"$CALLS\"\n"+body, 0o755)
}

// run runs a script and returns its exit code and what it wrote.
func (r *runner) run(t *testing.T, script string, env ...string) (int, string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script)
	cmd.Dir, cmd.Env = r.work, append(slices.Clone(r.env), env...)
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// calls are the arguments of each call of kubectl.
func (r *runner) calls(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(r.temp, "calls"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

func write(t *testing.T, name, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

const configMap = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: %s\n"

func TestRenderStep(t *testing.T) {
	if _, err := exec.LookPath("kubectl"); err != nil {
		t.Skipf("renders with the real program: %v", err)
	}
	render := script(t, "apply.yml", "apply", "Render")
	local := map[string]string{
		"apps/api/kustomization.yaml": "resources: [api.yaml]\n", "apps/api/api.yaml": fmt.Sprintf(configMap, "api"),
		"apps/web/kustomization.yaml": "resources: [web.yaml]\n", "apps/web/web.yaml": fmt.Sprintf(configMap, "web"),
		"apps/README.md": "not a directory\n",
	}
	for _, tt := range []struct {
		name, directories string
		files             map[string]string
		code              int
		output            string
		rendered          []string
	}{
		{name: "each directory once, in order", directories: "apps/*/", files: local, rendered: []string{"api", "web"}},
		{name: "named in another order", directories: "apps/web apps/api", files: local, rendered: []string{"web", "api"}},
		{name: "nothing matches", directories: "none/*/", files: local, code: 1, output: "no directory matches"},
		{name: "one does not exist", directories: "apps/api none", files: local, code: 1, output: "::error::none does not build"},
		{
			name: "remote file", directories: ".", code: 1, output: "127.0.0.1:1",
			files: map[string]string{"kustomization.yaml": "resources: ['https://boatlift.invalid/deployment.yaml']\n"},
		},
		{
			name: "remote repository", directories: ".", code: 1, output: "remote bases are refused",
			files: map[string]string{"kustomization.yaml": "resources: ['git@boatlift.invalid:acme/base.git?ref=main']\n"},
		},
		{
			name: "repository on the same machine", directories: ".", code: 1, output: "no 'git' program on path",
			files: map[string]string{"kustomization.yaml": "resources: ['file:///etc//?ref=main']\n"},
		},
		{
			name: "program as a generator", directories: ".", code: 1, output: "does not build",
			files: map[string]string{
				"kustomization.yaml": "generators: [generator.yaml]\n",
				"generator.yaml":     "apiVersion: x/v1\nkind: X\nmetadata:\n  name: x\n  annotations:\n    config.kubernetes.io/function: 'exec: {path: /bin/true}'\n",
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRunner(t)
			for name, text := range tt.files {
				write(t, filepath.Join(r.work, name), text, 0o644)
			}
			code, out := r.run(t, render, "DIRECTORIES="+tt.directories)
			if code != tt.code || !strings.Contains(out, tt.output) {
				t.Fatalf("exit code %d; want %d, with %q in\n%s", code, tt.code, tt.output, out)
			}
			if tt.code != 0 {
				return
			}
			text, err := os.ReadFile(filepath.Join(r.temp, "rendered.yaml"))
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, o := range decodeAll(t, text) {
				names = append(names, o.text("metadata name"))
			}
			if !slices.Equal(names, tt.rendered) {
				t.Errorf("rendered %v; want %v", names, tt.rendered)
			}
		})
	}
}

func TestDiffStep(t *testing.T) {
	diff := script(t, "apply.yml", "apply", "Show what will change")
	for kubectl, want := range map[int]int{0: 0, 1: 0, 2: 2, 127: 127} {
		r := newRunner(t)
		r.kubectl(t, fmt.Sprintf("exit %d\n", kubectl))
		if got, out := r.run(t, diff); got != want {
			t.Errorf("kubectl diff ends with %d: exit code %d; want %d\n%s", kubectl, got, want, out)
		}
		if got := r.calls(t); len(got) != 1 || !strings.HasPrefix(got[0], "diff --server-side --field-manager=boatlift ") {
			t.Errorf("calls = %q", got)
		}
	}
}

func TestLogInStep(t *testing.T) {
	login := script(t, "apply.yml", "apply", "Log in to the cluster")
	r := newRunner(t)
	if code, out := r.run(t, login, "CONTENT="); code != 1 || !strings.Contains(out, "no secret KUBECONFIG") {
		t.Errorf("without a secret: %d, %q; want 1 and what is missing", code, out)
	}
	if code, out := r.run(t, login, "CONTENT=kind: Config"); code != 0 || strings.Contains(out, "Config") {
		t.Errorf("with a secret: %d, %q; want 0 and silence", code, out)
	}
	info, err := os.Stat(filepath.Join(r.temp, "kubeconfig"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("kubeconfig: %v, %v; want 0600", info, err)
	}
	env, err := os.ReadFile(filepath.Join(r.temp, "env"))
	if want := "KUBECONFIG=" + filepath.Join(r.temp, "kubeconfig") + "\n"; err != nil || string(env) != want {
		t.Errorf("environment of later steps = %q, %v; want %q", env, err, want)
	}
	if code, out := r.run(t, script(t, "apply.yml", "apply", "Forget the cluster")); code != 0 {
		t.Errorf("forget: %d, %s", code, out)
	}
	if _, err := os.Stat(filepath.Join(r.temp, "kubeconfig")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("kubeconfig after the job: %v; want none", err)
	}
}

// applied is what kubectl get prints for a rendered file, as seen of a real one.
const applied = `v1        ConfigMap     default   x     <none>
apps/v1   Deployment    shop      web   <none>
apps/v1   StatefulSet   data      db    RollingUpdate
apps/v1   StatefulSet   data      old   OnDelete
apps/v1   DaemonSet     edge      log   RollingUpdate
acme/v1   Deployment    shop      own   <none>
`

func TestWaitStep(t *testing.T) {
	wait := script(t, "apply.yml", "apply", "Wait for the rollout")
	env := []string{"SECONDS_FOR_ALL=900", "FIELDS=API:.apiVersion"}
	const get = "if [ \"$1\" = get ]; then printf '%s' \"$APPLIED\"; exit; fi\n"
	for _, tt := range []struct {
		name, kubectl, table string
		code                 int
		output               string
		waited               []string
	}{
		{
			name: "all come up", kubectl: get, table: applied, output: "StatefulSet data/old is updated when",
			waited: []string{"shop deployment.apps/web", "data statefulset.apps/db", "edge daemonset.apps/log"},
		},
		{
			name: "one does not, and the others are waited for all the same", kubectl: get + "case \"$*\" in *deployment.apps/web*) exit 1 ;; esac\n", table: applied,
			code: 1, output: "::error::Deployment shop/web is not rolled out",
			waited: []string{"shop deployment.apps/web", "data statefulset.apps/db", "edge daemonset.apps/log"},
		},
		{name: "nothing that runs", kubectl: get, table: "v1 ConfigMap default x <none>\n"},
		{name: "the cluster does not answer", kubectl: "exit 3\n", code: 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRunner(t)
			r.kubectl(t, tt.kubectl)
			code, out := r.run(t, wait, append(env, "APPLIED="+tt.table)...)
			if code != tt.code || !strings.Contains(out, tt.output) {
				t.Errorf("exit code %d; want %d, with %q in\n%s", code, tt.code, tt.output, out)
			}
			var waited []string
			for _, call := range r.calls(t)[1:] {
				m := regexp.MustCompile(`^--namespace=(\S+) rollout status (\S+) --timeout=[1-9]\d*s$`).FindStringSubmatch(call)
				if m == nil {
					t.Fatalf("kubectl %s", call)
				}
				waited = append(waited, m[1]+" "+m[2])
			}
			if !slices.Equal(waited, tt.waited) {
				t.Errorf("waited for %v; want %v", waited, tt.waited)
			}
		})
	}
}

// TestScriptsParse lets bash read every script that is shipped or that builds this repository.
func TestScriptsParse(t *testing.T) {
	r := newRunner(t)
	ci, err := os.ReadFile(filepath.Join(root, ".ci", "run"))
	if err != nil {
		t.Fatal(err)
	}
	scripts := map[string]string{".ci/run": string(ci)}
	for name, job := range map[string]string{"apply.yml": "apply", "render.yml": "render"} {
		for _, step := range workflow(t, name).objects("jobs " + job + " steps") {
			if step.at("run") != nil {
				scripts[name+", "+step.text("name")] = step.text("run")
			}
		}
	}
	for name, text := range scripts {
		cmd := exec.CommandContext(t.Context(), "bash", "-n")
		cmd.Dir, cmd.Stdin = r.work, bytes.NewReader([]byte(text))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

// TestGitLabsPipelineDoesWhatGitHubsWorkflowDoes holds the one to the other, so that what is proved of the steps of GitHub's is true of both.
func TestGitLabsPipelineDoesWhatGitHubsWorkflowDoes(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "deploy", "gitlab-ci", "apply.yml"))
	if err != nil {
		t.Fatal(err)
	}
	job := decodeAll(t, text)[0]
	var steps []string
	list, _ := job.at("apply script").([]any)
	for _, step := range list {
		steps = append(steps, strings.TrimSpace(step.(string)))
	}
	words := strings.NewReplacer("::error::", "error: ", "::notice::", "notice: ", "$RUNNER_TEMP", "$WORK")
	for _, name := range []string{"Render", "Show what will change", "Apply", "Wait for the rollout"} {
		if want := strings.TrimSpace(words.Replace(script(t, "apply.yml", "apply", name))); !slices.Contains(steps, want) {
			t.Errorf("gitlab-ci/apply.yml does not do what GitHub's step %q does:\n%s", name, want)
		}
	}
	for key, want := range map[string]string{
		"environment name": "production", "resource_group": "production", "interruptible": "false",
		"variables FIELDS": waitFields(t), "variables SECONDS_FOR_ALL": "900",
	} {
		if got := job.text("apply " + key); got != want {
			t.Errorf("%s is %s; want %s", key, got, want)
		}
	}
	// As the runner does: all in one shell, which ends with the first command that fails.
	r := newRunner(t)
	config := filepath.Join(r.work, "kubeconfig")
	write(t, config, "apiVersion: v1\n", 0o600)
	if err := os.MkdirAll(filepath.Join(r.work, "apps", "web"), 0o755); err != nil {
		t.Fatal(err)
	}
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Fatal(err)
	}
	// kustomize is run without any environment, so it finds neither bash nor where its calls are kept by itself.
	write(t, filepath.Join(r.bin, "kubectl"), fmt.Sprintf(`#!%s
printf '%%s\n' "$*" >> %q
case "$*" in kustomize*) echo "kind: ConfigMap" ;; get*) echo "apps/v1 Deployment shop web <none>" ;; esac
`, bash, filepath.Join(r.temp, "calls")), 0o755)
	env := []string{"DIRECTORIES=apps/*/", "SECONDS_FOR_ALL=900", "FIELDS=" + waitFields(t), "TMPDIR=" + r.work}
	if code, out := r.run(t, strings.Join(steps, "\n"), append(env, "KUBECONFIG="+config)...); code != 0 {
		t.Errorf("the script ends with %d:\n%s", code, out)
	}
	if calls := strings.Join(r.calls(t), "\n"); !strings.Contains(calls, "rollout status deployment.apps/web") || !strings.Contains(calls, "apply --server-side") {
		t.Errorf("kubectl was called as\n%s", calls)
	}
	if code, out := r.run(t, strings.Join(steps, "\n"), append(env, "KUBECONFIG="+config+"-absent")...); code == 0 || !strings.Contains(out, "KUBECONFIG") {
		t.Errorf("without the variable the script ends with %d:\n%s", code, out)
	}
}

// waitFields is what the step that waits asks kubectl for.
func waitFields(t *testing.T) string {
	t.Helper()
	for _, s := range workflow(t, "apply.yml").objects("jobs apply steps") {
		if s.text("name") == "Wait for the rollout" {
			return s.text("env FIELDS")
		}
	}
	t.Fatal("no step waits")
	return ""
}
