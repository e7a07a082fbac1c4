package kustomize

import "regexp"

// setterMarker is the comment by which Flux's image automation (`# {"$imagepolicy": "flux-system:web:tag"}`) and kyaml's
// setters (`# {"$openapi": …}`) own a line.
var setterMarker = regexp.MustCompile(`#.*\{\s*"\$[A-Za-z-]+"\s*:`)

// marked reports whether line i carries a setter marker. It remembers the answer: a whole file may be one line.
func (d *document) marked(i int) bool {
	if i < 0 || i >= len(d.starts) {
		return false
	}
	found, known := d.markers[i]
	if !known {
		found = setterMarker.Match(d.src[d.starts[i]:d.lineEnd(i)])
		if d.markers == nil {
			d.markers = map[int]bool{}
		}
		d.markers[i] = found
	}
	return found
}
