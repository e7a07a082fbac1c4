package config

import (
	"regexp"
	"slices"
	"strings"

	"github.com/boatlift/boatlift/internal/didyoumean"
)

// What a platform is made of: Go's words for what container images are built for, which OCI takes over.
const (
	systems       = "linux windows freebsd darwin"
	architectures = "amd64 arm64 arm 386 ppc64le s390x riscv64 loong64 mips64le mips64 mipsle mips ppc64 wasm"
)

var variantPattern = regexp.MustCompile(`^v[0-9]+(\.[0-9]+)?$`)

// platforms reads the platforms that an environment demands.
func (r *repoCheck) platforms(e environment) []string {
	const right = "write os/architecture, as linux/amd64, linux/arm64 or linux/arm/v7"
	if e.given["platforms"] && len(e.Platforms) == 0 && len(r.all) == 0 {
		r.add(e, "platforms is empty", "leave it out to take images for any platform")
	}
	var list []string
	for _, t := range e.Platforms {
		if !t.set {
			continue
		}
		parts := strings.Split(t.value, "/")
		known := strings.Fields(architectures)
		switch {
		case len(parts) < 2 || len(parts) > 3 || !slices.Contains(strings.Fields(systems), parts[0]) || len(parts) == 3 && !variantPattern.MatchString(parts[2]):
			r.add(t, shown(t.value)+" is no platform", right)
		case !slices.Contains(known, parts[1]):
			hint := right
			if word := didyoumean.Word(parts[1], known); word != "" {
				hint = "did you mean " + parts[0] + "/" + word + "?"
			}
			r.add(t, shown(t.value)+" is no platform", hint)
		case slices.Contains(list, t.value):
			r.add(t, shown(t.value)+" stands here twice", "write it once")
		default:
			list = append(list, t.value)
		}
	}
	return list
}
