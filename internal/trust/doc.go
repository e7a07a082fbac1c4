// Package trust is what proofs rest on when no secret is shared: documents that have to be fetched (an issuer's keys, a certificate), the
// tokens (OpenID Connect) that are signed with such keys, and which jobs of continuous integration are believed by their tokens.
//
// A Shelf asks only addresses that it is allowed to, seldom, and keeps what it got, whoever provokes it. Verify checks a token's
// signature, issuer, audience and times. Pipelines knows the jobs of GitHub Actions and GitLab CI that may call the bot: by issuer,
// audience, repository and ref, each on a list. Everything here is safe for concurrent use.
//
// No error has any part of a token in it, but for claims that its issuer has signed. What a proved job may do is its callers' matter.
//
// # Decisions
//
// Tokens are checked by go-oidc, but its key set is not used: it fetches the keys anew for each token that names an unknown one, so that
// any stranger could have an issuer asked as often as he likes.
//
// An issuer's discovery document is not read: GitHub and GitLab keep their keys at addresses that follow from the issuer's, so that one
// address per issuer is all that is ever asked.
//
// Only RS256 is taken, which is what both sign with. A token that is a minute over its time is taken, since clocks differ; one that is
// seen twice is too: what a token allows here may be repeated.
package trust
