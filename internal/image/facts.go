package image

import (
	"slices"
	"time"
)

// Facts is what an image says about itself, in its annotations and labels (org.opencontainers.image.…), and for which platforms it is.
// Its author wrote it, so nobody may rely on it, and it has to be escaped wherever it is shown. Whoever reads it from a registry lets only
// valid values in: addresses are http or https, every value is one line of at most 255 ASCII characters.
type Facts struct {
	Source   string    `json:"source,omitempty"` // address of the source code
	Revision string    `json:"revision,omitempty"`
	Version  string    `json:"version,omitempty"`
	URL      string    `json:"url,omitempty"`
	Created  time.Time `json:"created,omitzero"`
	// Platforms are those that the image, or one of an index's images, is for: os/architecture or os/architecture/variant, sorted. Empty
	// where it does not say.
	Platforms []string `json:"platforms,omitempty"`
}

// SaysNothing tells that there is nothing to show of an image's origin.
func (f Facts) SaysNothing() bool {
	return f.Source == "" && f.Revision == "" && f.Version == "" && f.URL == "" && f.Created.IsZero()
}

// Lacks are those of the platforms that the image is not for, in their order. One that is asked for without a variant is there with any.
func (f Facts) Lacks(platforms []string) []string {
	var missing []string
	for _, want := range platforms {
		if !slices.ContainsFunc(f.Platforms, func(has string) bool { return has == want || hasVariantOf(has, want) }) {
			missing = append(missing, want)
		}
	}
	return missing
}

// hasVariantOf tells that a platform is another one with a variant: linux/arm64/v8 is one of linux/arm64.
func hasVariantOf(has, want string) bool {
	return len(has) > len(want) && has[:len(want)] == want && has[len(want)] == '/' && slices.Contains([]byte(want), '/')
}
