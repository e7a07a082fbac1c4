//go:build race

package reconcile

// The race detector makes every step ten times as dear, and the model's replicas take their turns one after the other.
const defaultSteps = 2_000
