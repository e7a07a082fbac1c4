// Package hub is the sandbox's forge: it speaks GitHub's REST API and webhooks over real bare git repositories.
//
// Repositories are bare directories served by git http-backend; merges, diffs and mergeability come from git itself. Everything
// else (people, pull requests, reviews, checks, statuses, deployments, the app's installations, webhook deliveries) is state in
// memory that lives as long as the Hub. It answers with GitHub's status codes, error bodies, paging and limits, and misbehaves on
// demand (see Faults), so that the bot can be shown and tested without an account anywhere.
//
// The state knows nothing of GitHub. A face turns it into one forge's API and turns its events into that forge's webhooks: files
// named github_*.go are that face, every other file is shared with whatever face joins it. People act through the pages, through
// the JSON API under /sandbox/, through the forge's own API with a personal token, through git push, or through the Hub's methods.
//
// All methods may be called concurrently. Hub.mu guards the state and is never held while git runs; repo.turn is held by whoever
// changes refs of a repository, from before git runs until the state agrees with it, and is always taken before mu.
//
// # Decisions
//
// The sandbox listens on plain HTTP, on the loopback interface unless told otherwise, and its people have known passwords. It is
// for trying and testing; nothing in it should face a network.
//
// As on GitHub, base.sha of a pull request is the base branch's head when the pull request was opened or last pushed to, a webhook
// is sent once and never retried, and a pull request whose head commit arrives on the base branch by any way counts as merged.
package hub
