package internal_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/boatlift/boatlift/internal/config"
	"github.com/boatlift/boatlift/internal/registry"
	"github.com/boatlift/boatlift/internal/render"
)

// checkout is a folder, read as render reads a commit.
type checkout string

func (c checkout) ReadFile(_ context.Context, name string) ([]byte, error) {
	return os.ReadFile(filepath.Join(string(c), filepath.FromSlash(name)))
}

func (c checkout) IsDir(_ context.Context, name string) (bool, error) {
	info, err := os.Stat(filepath.Join(string(c), filepath.FromSlash(name)))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil && info.IsDir(), err
}

// object is a YAML document.
type object map[string]any

// at is the value behind keys and list indexes that are written apart by spaces; nil where there is none.
func (o object) at(keys string) any {
	var value any = map[string]any(o)
	for _, key := range strings.Fields(keys) {
		switch v := value.(type) {
		case map[string]any:
			value = v[key]
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i >= len(v) {
				return nil
			}
			value = v[i]
		default:
			return nil
		}
	}
	return value
}

// text is at as it is printed.
func (o object) text(keys string) string { return fmt.Sprint(o.at(keys)) }

// strings is at as a list of strings.
func (o object) strings(keys string) []string {
	list, _ := o.at(keys).([]any)
	var all []string
	for _, item := range list {
		all = append(all, fmt.Sprint(item))
	}
	return all
}

// objects is at as a list of objects.
func (o object) objects(keys string) []object {
	list, _ := o.at(keys).([]any)
	var all []object
	for _, item := range list {
		m, _ := item.(map[string]any)
		all = append(all, m)
	}
	return all
}

func decodeAll(t *testing.T, text []byte) []object {
	t.Helper()
	var all []object
	for dec := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var o map[string]any
		if err := dec.Decode(&o); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		if o != nil {
			all = append(all, o)
		}
	}
}

const (
	baseDir    = "deploy/kubernetes/base"
	exampleDir = "deploy/kubernetes/example"
)

// cluster is what a kustomization of deploy/ builds, by kind. Two objects of one kind are an error.
func cluster(t *testing.T, dir string) map[string]object {
	t.Helper()
	text, err := render.New(render.Options{}).Build(t.Context(), checkout(root), dir, nil)
	if err != nil {
		t.Fatalf("build %s: %v", dir, err)
	}
	byKind := map[string]object{}
	for _, o := range decodeAll(t, text) {
		if kind := o.text("kind"); byKind[kind] != nil {
			t.Errorf("%s has two objects of kind %s", dir, kind)
		} else {
			byKind[kind] = o
		}
	}
	return byKind
}

func TestManifestsBuild(t *testing.T) {
	want := []string{"ConfigMap", "Deployment", "NetworkPolicy", "PersistentVolumeClaim", "Service", "ServiceAccount"}
	for dir, want := range map[string][]string{baseDir: want, exampleDir: append([]string{"Ingress", "Namespace"}, want...)} {
		var got []string
		for kind, o := range cluster(t, dir) {
			got = append(got, kind)
			if kind == "Namespace" {
				continue
			}
			labels, _ := o.at("metadata labels").(map[string]any)
			for key, want := range map[string]string{"name": "boatlift", "instance": "boatlift"} {
				if got := labels["app.kubernetes.io/"+key]; got != want && kind != "Ingress" {
					t.Errorf("%s: label app.kubernetes.io/%s of the %s = %v; want %s", dir, key, kind, got, want)
				}
			}
			if got := o.text("metadata namespace"); dir == exampleDir && got != "boatlift" {
				t.Errorf("%s: namespace of the %s = %s; want boatlift", dir, kind, got)
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) { // among others: no Secret
			t.Errorf("%s builds\n     %v\nwant %v", dir, got, want)
		}
	}
}

// TestPodIsRestricted demands what the Pod Security Standard "restricted" does, and more.
func TestPodIsRestricted(t *testing.T) {
	all := cluster(t, exampleDir)
	deployment := all["Deployment"]
	if n := len(deployment.objects("spec template spec containers")); n != 1 {
		t.Fatalf("the Pod has %d containers; want 1, the one that is looked at", n)
	}
	const podSpec, container = "spec template spec ", "spec template spec containers 0 "
	for _, tt := range []struct{ keys, want string }{
		{"spec replicas", "1"},
		{"spec strategy type", "Recreate"}, // SQLite has one writer
		{podSpec + "automountServiceAccountToken", "false"},
		{podSpec + "serviceAccountName", "boatlift"},
		{podSpec + "securityContext runAsNonRoot", "true"},
		{podSpec + "securityContext runAsUser", "65532"},
		{podSpec + "securityContext fsGroup", "65532"},
		{podSpec + "securityContext seccompProfile type", "RuntimeDefault"},
		{container + "securityContext runAsNonRoot", "true"},
		{container + "securityContext allowPrivilegeEscalation", "false"},
		{container + "securityContext privileged", "false"},
		{container + "securityContext readOnlyRootFilesystem", "true"},
		{container + "securityContext capabilities", "map[drop:[ALL]]"},
		{container + "securityContext seccompProfile type", "RuntimeDefault"},
		{container + "livenessProbe httpGet path", "/healthz"},
		{container + "livenessProbe httpGet port", "http"},
		{container + "startupProbe httpGet path", "/healthz"},
		{container + "readinessProbe httpGet path", "/readyz"},
		{container + "readinessProbe httpGet port", "http"},
		{container + "ports 0 name", "http"},
		{container + "ports 0 containerPort", "8080"},
		{container + "ports 0 hostPort", "<nil>"},
		{podSpec + "initContainers", "<nil>"},
		{podSpec + "hostNetwork", "<nil>"},
		{podSpec + "hostPID", "<nil>"},
		{podSpec + "hostIPC", "<nil>"},
	} {
		if got := deployment.text(tt.keys); got != tt.want {
			t.Errorf("Deployment: %s = %s; want %s", tt.keys, got, tt.want)
		}
	}
	for _, resource := range []string{"requests cpu", "requests memory", "limits cpu", "limits memory"} {
		if deployment.at(container+"resources "+resource) == nil {
			t.Errorf("Deployment: no resources %s", resource)
		}
	}
	for _, volume := range deployment.objects(podSpec + "volumes") {
		for kind := range volume {
			if !slices.Contains([]string{"name", "persistentVolumeClaim", "configMap", "secret"}, kind) {
				t.Errorf("Deployment: a volume of kind %s", kind)
			}
		}
	}
	if got := all["ServiceAccount"].text("automountServiceAccountToken"); got != "false" {
		t.Errorf("ServiceAccount: automountServiceAccountToken = %s; want false", got)
	}
	labels, _ := all["Namespace"].at("metadata labels").(map[string]any)
	if got := labels["pod-security.kubernetes.io/enforce"]; got != "restricted" {
		t.Errorf("Namespace: enforced standard = %v; want restricted", got)
	}
}

// TestManifestsFitTogether follows every name from the object that uses it to the one that has it.
func TestManifestsFitTogether(t *testing.T) {
	all := cluster(t, exampleDir)
	deployment := all["Deployment"]
	labels, _ := deployment.at("spec template metadata labels").(map[string]any)
	for kind, keys := range map[string]string{"Deployment": "spec selector matchLabels", "Service": "spec selector", "NetworkPolicy": "spec podSelector matchLabels"} {
		selector, _ := all[kind].at(keys).(map[string]any)
		if len(selector) == 0 {
			t.Errorf("%s selects everything", kind)
		}
		for key, value := range selector {
			if labels[key] != value {
				t.Errorf("%s selects %s=%v; the Pod has %v", kind, key, value, labels[key])
			}
		}
	}
	for _, tt := range []struct{ what, got, want string }{
		{"the Service's target", all["Service"].text("spec ports 0 targetPort"), deployment.text("spec template spec containers 0 ports 0 name")},
		{"the Ingress's Service", all["Ingress"].text("spec rules 0 http paths 0 backend service name"), all["Service"].text("metadata name")},
		{"the Ingress's port", all["Ingress"].text("spec rules 0 http paths 0 backend service port name"), all["Service"].text("spec ports 0 name")},
		{"what the Ingress lets in", fmt.Sprint(len(all["Ingress"].objects("spec rules 0 http paths"))) + " " + all["Ingress"].text("spec rules 0 http paths 0 path"), "1 /hooks"},
		{"the account", deployment.text("spec template spec serviceAccountName"), all["ServiceAccount"].text("metadata name")},
		{"the claim", volumeOf(t, deployment, "/data").text("persistentVolumeClaim claimName"), all["PersistentVolumeClaim"].text("metadata name")},
		{"the ConfigMap", volumeOf(t, deployment, "/etc/boatlift").text("configMap name"), all["ConfigMap"].text("metadata name")},
		{"the claim's access", all["PersistentVolumeClaim"].text("spec accessModes"), "[ReadWriteOnce]"},
		{"the command", deployment.text("spec template spec containers 0 args"), "[serve --config=/etc/boatlift/boatlift.yaml]"},
		{"the folder of commands", deployment.text("spec template spec containers 0 env"), "[map[name:BOATLIFT_DATA value:/data]]"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s = %s; want %s", tt.what, tt.got, tt.want)
		}
	}
	if !regexp.MustCompile(`^boatlift-[a-z0-9]{10}$`).MatchString(all["ConfigMap"].text("metadata name")) {
		t.Errorf("the ConfigMap is %s; without a hash of its content a change restarts nothing", all["ConfigMap"].text("metadata name"))
	}
}

// volumeOf is the volume that is mounted at a path.
func volumeOf(t *testing.T, deployment object, at string) object {
	t.Helper()
	for _, mount := range deployment.objects("spec template spec containers 0 volumeMounts") {
		if mount.text("mountPath") != at {
			continue
		}
		for _, volume := range deployment.objects("spec template spec volumes") {
			if volume.text("name") == mount.text("name") {
				return volume
			}
		}
	}
	t.Errorf("nothing is mounted at %s", at)
	return nil
}

func TestNetworkPolicyLetsThroughWhatIsNeeded(t *testing.T) {
	policy := cluster(t, baseDir)["NetworkPolicy"]
	if got := policy.text("spec policyTypes"); got != "[Ingress Egress]" {
		t.Fatalf("policyTypes = %s; want both, or one direction is open", got)
	}
	if rules := policy.objects("spec ingress"); len(rules) != 1 || rules[0].text("ports") != "[map[port:8080 protocol:TCP]]" || len(rules[0].objects("from")) == 0 {
		t.Errorf("ingress = %v; want port 8080 from the namespaces that need it", rules)
	}
	for _, rule := range policy.objects("spec ingress") {
		for _, from := range rule.objects("from") {
			if labels, _ := from.at("namespaceSelector matchLabels").(map[string]any); len(labels) == 0 {
				t.Errorf("ingress from %v; want a namespace", from)
			}
		}
	}
	var ports []string
	for _, rule := range policy.objects("spec egress") {
		for _, port := range rule.objects("ports") {
			ports = append(ports, port.text("protocol")+"/"+port.text("port"))
		}
		for _, to := range rule.objects("to") {
			if cidr := to.text("ipBlock cidr"); strings.HasSuffix(cidr, "/0") && len(to.strings("ipBlock except")) == 0 {
				t.Errorf("egress to all of %s, the cloud's metadata service included", cidr)
			}
		}
		if len(rule.objects("to")) == 0 {
			t.Errorf("egress %v to anywhere", rule)
		}
	}
	slices.Sort(ports)
	if want := []string{"TCP/443", "TCP/53", "UDP/53"}; !slices.Equal(ports, want) {
		t.Errorf("egress ports = %v; want %v", ports, want)
	}
}

// TestShippedConfigurationIsRight reads boatlift.yaml as the bot in the Pod would: with the files of the Secret that the comment in
// kustomization.yaml tells to make.
func TestShippedConfigurationIsRight(t *testing.T) {
	all := cluster(t, baseDir)
	text := all["ConfigMap"].text("data boatlift.yaml")
	deployment := all["Deployment"]

	const secrets = "/run/secrets/boatlift"
	if got := volumeOf(t, deployment, secrets).text("secret secretName"); got != "boatlift" {
		t.Errorf("the Secret at %s is %s; want boatlift", secrets, got)
	}
	comment, err := os.ReadFile(filepath.Join(root, baseDir, "kustomization.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for _, m := range regexp.MustCompile(`--from-file=([a-z-]+)=`).FindAllSubmatch(comment, -1) {
		documented[string(m[1])] = true
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	appKey := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	read := map[string]bool{}
	env := config.Environ{
		Getenv: func(name string) (string, bool) {
			for _, variable := range deployment.objects("spec template spec containers 0 env") {
				if variable.text("name") == name {
					return variable.text("value"), true
				}
			}
			return "", false
		},
		ReadFile: func(name string) ([]byte, error) {
			dir, base := path.Split(name)
			if path.Clean(dir) != secrets || !documented[base] {
				t.Errorf("boatlift.yaml refers to %s; the Secret has %v in %s", name, documented, secrets)
			}
			read[base] = true
			if base == "github-app-key" {
				return appKey, nil
			}
			return []byte("0123456789abcdef0123456789abcdef\n"), nil
		},
	}
	for _, kind := range registry.Types() {
		env.RegistryTypes = append(env.RegistryTypes, kind.Name)
	}
	bot, err := config.ParseBot("boatlift.yaml", []byte(text), env)
	if err != nil {
		t.Fatalf("the shipped boatlift.yaml is wrong: %v", err)
	}
	for name := range documented {
		if !read[name] {
			t.Errorf("the comment tells to make the key %s, which boatlift.yaml does not use", name)
		}
	}
	if want := ":" + deployment.text("spec template spec containers 0 ports 0 containerPort"); bot.Listen != want {
		t.Errorf("listen = %s; the container's port is %s", bot.Listen, want)
	}
	if bot.DataDir != "/data" || bot.Database != "sqlite:/data/boatlift.db" {
		t.Errorf("data in %s, database %s; the volume is at /data", bot.DataDir, bot.Database)
	}
	if len(bot.Registries) != 1 || len(bot.Forges) != 1 {
		t.Errorf("the example has %d registries and %d forges; want one of each", len(bot.Registries), len(bot.Forges))
	}
}

// TestImageHoldsTheBinaryAlone reads the Dockerfile; to build it takes a Docker engine, which tests do without.
func TestImageHoldsTheBinaryAlone(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	stages := regexp.MustCompile(`(?m)^FROM `).Split(string(text), -1)
	if len(stages) != 3 {
		t.Fatalf("the Dockerfile has %d stages; want one that builds and one that is shipped", len(stages)-1)
	}
	build, final := stages[1], stages[2]
	for _, tt := range []struct{ stage, name, want string }{
		{build, "build", `CGO_ENABLED=0`},
		{build, "build", `-trimpath`},
		{build, "build", `-X main\.version=\$VERSION`},
		{final, "final", `^scratch\n`},
		{final, "final", `(?m)^USER 65532:65532$`}, // a number, or runAsNonRoot cannot be checked
		{final, "final", `(?m)^ENTRYPOINT \["/boatlift"\]$`},
		{final, "final", `(?m)^CMD \["serve", "--config=/etc/boatlift/boatlift\.yaml"\]$`},
		{final, "final", `(?m)^VOLUME /data$`},
		{final, "final", `(?m)^ENV BOATLIFT_DATA=/data$`},
	} {
		if !regexp.MustCompile(tt.want).MatchString(tt.stage) {
			t.Errorf("the %s stage has no %s", tt.name, tt.want)
		}
	}
	if strings.Contains(final, "RUN ") {
		t.Error("the final stage runs a program; it has none")
	}

	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	language := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(mod)
	if language == nil {
		t.Fatal("go.mod names no version of Go")
	}
	if from := "golang:" + string(language[1]); !strings.Contains(build, from+" ") {
		t.Errorf("the image is not built with %s, as go.mod demands", from)
	}
}
