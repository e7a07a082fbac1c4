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
// What went wrong after a merge (a rollout that failed or is unknown, a test that failed) is told on the merged pull request by a comment,
// as it happens once and people should hear of it; what waits for it says so in its gate.
//
// Where the bot may not read the statuses of a commit nothing counts as verified, also not what test systems certified: something red
// might be hidden. What is verified is asked for in each turn of an environment that asks for it, as a test that is run again may fail.
//
// That rollouts have ended as they were last seen is assumed in a turn that opens pull requests, unless base moved or a merge waits to be
// rolled out, and asked within 15 s: the first thing a push causes is a pull request, in four requests at the forge (the list, the pull
// request, its labels, its check) and two at git. It is asked at once where a gate would allow, or a merge go, because of it.
//
// A pull request of the bot's whose head a person made is judged by what that head changes, as everybody's pull requests are: it may change
// anything by now, and must not show a verdict on something else.
//
// Whose a head is, is known by the commit that the bot wrote down and else by content: a commit upon base whose tree is what the bot would
// make of it. Author, message and marker say nothing, as whoever may write can forge the first two. A person's commit of just that content
// is taken for the bot's, as nothing but the promotion comes of it.
//
// A pull request is only asked for conflicts where base has other content in the files that it edits. What is closed by a machine is reopened
// on the very commit it had, because forges refuse it on another; where they refuse it all the same, its images are held.
//
// A comparison of somebody's pull request with base is made on the heads of both, as a forge is not asked for their common ancestor: one that
// touches a kustomization and is behind base in its images is judged as if it set them back, until it is brought up to date.
//
// What a pull request says is no action of the plan, which knows no sentences: at the end of a turn each body is compared, by a sum that the
// promotion keeps, with what it should say, and edited once where that differs. What a person writes into a body stays until then. The sum is
// not taken from the forge, as one that stores a text a little otherwise would be edited for ever. What a head changes is remembered in
// memory, or made again from the base that it was made on.
//
// The commits of a release are looked up after its pull request is open, as nobody should wait for that; they come with one edit. A comparison
// that a forge refuses is left out for good, one that it does not answer is asked for later. Inside code blocks only what would close an issue
// is broken up by a sign without width, because a description may become the message of a commit; mentions and references there do nothing.
//
// Environments of other repos that run in parallel are told of in a body as they were when it was last looked at, ten minutes ago at most:
// they are nothing to wait for, so that a turn of one wakes none of the others.
//
// The marker in a pull request's body is left out where it would not fit beside what people read; its branch still names the release.
//
// The branch of a rejected promotion is kept until a newer release was merged, so that a person can reopen the pull request, which is how
// a rejection is taken back.
//
// Who belongs to a team is believed for two minutes. Who worked on a head commit never changes, and is asked once: by commits and by pushes,
// as anybody can write any author into a commit. Code owners are found by the CODEOWNERS of the base branch, the first of .github/, the root
// and docs/; an owner that is an address of mail is nobody, as forges do not tell whose it is.
//
// The merge queue is looked at, not heard of: its webhooks only cause a turn. It is not asked for in a turn that opens pull requests.
//
// A turn reads and pushes git through a small interface, so that the model-based test can take a hundred thousand steps without a git server.
// A gate that is not green any more is written down before it is shown: a merge in between is against the gate, though the bot may die.
package reconcile
