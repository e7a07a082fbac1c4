// Package promotion is the heart: environments, releases, the life of a promotion, and Plan.
//
// Plan is a pure function from the world of one infra repo, as it was just observed, to the actions that bring it nearer to what it
// should be. It decides everything and does nothing: no clock, no I/O, no memory between calls. It is level-triggered: whatever
// happened, in whatever order and however often, the next call looks at what is there and goes on from it, and every action is
// safe to repeat. Package reconcile observes and carries out.
package promotion
