// Package github speaks to GitHub, github.com or an Enterprise Server, as a GitHub App or with a personal access token.
//
// [Forge] implements forge.Forge and forge.Webhook. It keeps no state but what it can find again: which installation reaches which
// repository, who the bot is, until when GitHub asked to wait. It may be used concurrently, and it starts no goroutine of its own.
//
// What differs between the two ways in is behind one interface, entry, with an implementation of each: app and account. By a token the
// bot is the account whose token it is; the gate is a commit status of one line, as only Apps make check runs; nobody keeps webhooks that were lost, so the poll finds out. Can tells it.
//
// Secrets are asked for whenever they are used, so that one that is replaced is followed: a webhook secret and a token with the next
// request, a private key with the next request as the App and, for installations, when a token is minted anew after a refusal.
//
// Every installation has its own token, its own client and its own limits, so that one that is limited or gone never holds up
// another. The way of a request: go-github; wire.Limits, which remember until when GitHub asked to wait and refuse at once instead of
// sending; go-github-ratelimit, which keeps the primary limit; ghinstallation, which adds the token; wire.Answers, which bound what
// comes back and repeat a read once when its connection breaks; and an http.Transport with time-outs. A write is never repeated.
//
// Repositories are known by id. Where a name no longer leads to its id, or an installation no longer reaches it, both are looked up
// anew and the call is made once more; redirects are never followed, because a redirected list filters by the old owner and answers
// "nothing", and because a token would go wherever the redirect points.
//
// Errors are [*wire.Error] or *forge.LimitError, wrapped with what was being done. They carry GitHub's words cut and cleaned, never a token.
// It leaves to its callers when to try again, how many writes a minute may take, and what an event means for a promotion.
//
// # Decisions
//
// go-github-ratelimit v2.0.2 is used with a single-sleep limit of zero: its WithNoSleep makes that option and throws it away, so it
// would sleep in the caller. Its secondary limiter sends again at once, writes too, when the reset it reads has passed; therefore
// every such answer gets a Retry-After of its own before it gets there. Where a secondary limit says nothing, 60 s are waited, as
// GitHub's documentation asks, and not until the reset of the primary window. Per primary limit it keeps one timer until the reset.
//
// Clone and web addresses are derived from the API's address and never read from an answer, as git sends a token there.
// Credentials for git are narrowed to one repository and to its contents.
// A token in clear text is refused: plain http is for loopback addresses only.
//
// Of the runs of a workflow only those count that pushes to the branch began: a run by hand may be of any commit and apply anything. A
// cancelled run is unknown, as a concurrency group cancels what waits. Check runs are kept per name and App, the newest of each, over all
// check suites; statuses per context, the newest whoever set it, as GitHub itself does.
//
// A repository that anyone may read answers by its id even after the bot was taken out of it. So for public ones the App's own
// list of installations is asked too, which costs a second request.
//
// Merge queues are only known to GraphQL. A merge is tried by REST, and put into the queue where that is refused and base has one. That a
// branch has none is believed for five minutes, unless a webhook of a queue arrives.
package github
