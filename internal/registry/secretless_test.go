package registry

import (
	"slices"
	"testing"
)

func TestTypesThatMayLackASecret(t *testing.T) {
	var names []string
	for _, kind := range Types() {
		if kind.MayLackSecret() {
			names = append(names, kind.Name)
		}
	}
	slices.Sort(names)
	if want := []string{"ecr", "google-artifact-registry"}; !slices.Equal(names, want) {
		t.Errorf("types that may lack a secret: %v, want %v", names, want)
	}
}
