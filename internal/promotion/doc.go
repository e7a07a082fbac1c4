// Package promotion is the heart: environments, releases, the life of a promotion, and Plan.
//
// Plan is a pure function from the world of one infra repo, as it was just observed, to the actions that bring it nearer to what it
// should be. It decides everything and does nothing: no clock, no I/O, no memory between calls. It is level-triggered: whatever
// happened, in whatever order and however often, the next call looks at what is there and goes on from it, and every action is
// safe to repeat. Package reconcile observes and carries out.
//
// # Decisions
//
// What `verify` names is proved of images at their digests, not of commits: an image that was green on the commit by which it came stays
// so while it runs on at its digest, also when other commits are rolled out on which nobody has reported yet, until somebody reports a
// failure. Otherwise no app of an environment with much traffic would ever be verified for long enough. A failure on the commit that is
// rolled out now counts against all that runs there, as nobody can tell whose fault it is.
//
// Where several report under one name, the worst counts. A test system's word is about exactly the digests that it names, all of which
// have to run; it never stands for an App or an account that `verify` asks for.
//
// A rollout that is silent for longer than rollout.timeout, or does not appear within it after a merge, makes a promotion merged again
// (merged, and nothing is known of the rollout) with a reason; should it succeed after all, that counts.
//
// A soak counts only while the environment before runs exactly the release, so where the bot itself merges there (merge: auto) it does not
// interrupt one: what comes next waits, with a green gate, until the soak of what runs is over and, where people merge the release that
// soaked, once more as long, at most a day. What was merged for that is rolled out first. Otherwise pushes faster than the soak, or than
// rollouts, would never let anything through. A person may merge at any time; closing the pull request that soaks, a hold, a freeze or a failed rollout ends the wait at once. Nothing waits for a release
// that could not go for other reasons.
//
// A merge queue does not wait: what must not be merged now fails there and leaves the queue, so that others go on. The bot puts it back
// after ten minutes if its gate allows it then; what a person took out stays out.
//
// What the queue is about to merge is judged against base by all the pull requests that it holds. A change that none of them makes denies.
//
// Of an app's open releases the furthest stays, also in the last environment of a long chain: how far a release has come is written on its
// promotion, and the environment after reads it there, halved with every step. One that was merged before and is being rolled out is
// nearly as far as one that runs.
//
// A release that is wanted anew in the very plan that ends its promotion begins with the next plan, as its branch belongs to one promotion.
package promotion
