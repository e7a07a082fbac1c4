//go:build !race

package reconcile

// What `go test` takes; make model, which CI runs, takes a hundred thousand.
const defaultSteps = 10_000
