package kustomize

import (
	"strings"

	"github.com/aymanbagabas/go-udiff"
)

// Diff is the unified diff of a file before and after an edit, with the names that git gives both sides; "" where they are equal.
// It shows a missing final newline, and carriage returns as they are.
func Diff(path string, before, after []byte) string {
	path = strings.TrimPrefix(path, "/")
	return udiff.Unified("a/"+path, "b/"+path, string(before), string(after))
}
