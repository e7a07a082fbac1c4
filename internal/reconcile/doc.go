// Package reconcile is one repo's turn: claim, observe, plan, act.
//
// A worker claims an infra repo that has work, looks at the world (base branch, kustomizations, tags at the registry, pull requests,
// rollouts), asks promotion.Plan what is to be done, and does it. Nothing is remembered between turns but what the store holds, and no
// event is believed: an event only causes a turn. Every action finds before it creates, so a turn that died anywhere is answered by
// another turn. One repo is in one worker's hands at a time; every write to the store demands the claim's token.
//
// What is decided is promotion's work, how a forge or a git server is spoken to that of their packages.
//
// # Decisions
//
// A failure of one release is written on its promotion, with the time of the next try, and never fails the turn, so that one bad app does
// not stop the others. Only what concerns the whole repo (it cannot be read, the forge limits requests) fails the turn.
//
// The branch of a rejected promotion is kept until a newer release was merged, so that a person can reopen the pull request, which is how
// a rejection is taken back.
package reconcile
