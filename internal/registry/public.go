package registry

import "slices"

// Public tells a host at which anybody may have images, so that most of them are other people's: that an environment runs one says
// nothing about whose it is.
func Public(host string) bool {
	return slices.Contains([]string{
		"docker.io", "gcr.io", "ghcr.io", "mcr.microsoft.com", "public.ecr.aws", "quay.io", "registry.gitlab.com", "registry.k8s.io",
	}, host)
}
