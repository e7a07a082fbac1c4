package stage

import (
	"fmt"
	"strings"
)

func repoConfig(name string) string {
	if name == Acceptance {
		return `environments:
  - name: acceptance
    rollout: {deployment: acceptance}
`
	}
	return `environments:
  - name: production
    after: ["` + Acceptance + `:acceptance"]
    rollout: {deployment: production}
`
}

// infraFiles is an infra repository as people write them: with comments that must outlive every edit.
func (s *Stage) infraFiles(env string, digests map[string]string) map[string][]byte {
	host := s.Registry.Host()
	var images strings.Builder
	for _, repo := range Images() {
		base := repo[strings.LastIndexByte(repo, '/')+1:]
		fmt.Fprintf(&images, "  - name: %s\n    newName: %s/%s\n    newTag: %s   # moved by pull request\n    digest: %s\n", base, host, repo, FirstTag, digests[repo])
	}
	return map[string][]byte{
		"README.md": []byte("# What runs in " + env + "\n"),
		"apps/shop/kustomization.yaml": []byte(`# The shop in ` + env + `.
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: shop

resources:
  - web.yaml
  - worker.yaml

images:
` + images.String()),
		"apps/shop/web.yaml":    []byte(deployment("web", env)),
		"apps/shop/worker.yaml": []byte(deployment("worker", env)),
	}
}

func deployment(name, env string) string {
	replicas := 1
	if env == "production" {
		replicas = 3
	}
	return fmt.Sprintf(`apiVersion: apps/v1
kind: Deployment
metadata:
  name: %[1]s
spec:
  replicas: %[2]d
  selector:
    matchLabels: {app: %[1]s}
  template:
    metadata:
      labels: {app: %[1]s}
    spec:
      containers:
        - name: %[1]s
          image: %[1]s
`, name, replicas)
}
