package forgetest

import (
	"slices"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
)

// Some promises are about what not every forge, or not every way to one, has: HTTP, tokens, git. Each is a capability of the harness. A
// promise whose capability is missing is skipped by name, with the reason, and never left out silently.

// Protector is a harness whose forge can require the bot's check before a merge.
type Protector interface {
	// RequireCheck makes the check of this name required on the branch.
	RequireCheck(t testing.TB, repo forge.RepoID, branch, name string)
}

// Lagger is a harness whose forge can show lists that are behind what has happened, as a forge's replicas do.
type Lagger interface {
	// Lag makes lists of pull requests go on showing what they show now; false: they catch up.
	Lag(t testing.TB, on bool)
}

// AnswerLoser is a harness whose forge can do what it is asked without the bot hearing of it.
type AnswerLoser interface {
	// LoseAnswer makes the next call that opens a pull request in the repository take effect and then fail.
	LoseAnswer(t testing.TB, repo forge.RepoID)
}

// HTTPLimiter is a harness whose forge is asked over HTTP and can refuse when a limit is used up.
type HTTPLimiter interface {
	// LimitHTTP refuses every request from now on with the status, 403 or 429. A secondary limit names the seconds to wait in
	// Retry-After, or nothing if after is 0; a primary one names the moment of its reset, after from now, and no Retry-After.
	LimitHTTP(t testing.TB, status int, primary bool, after time.Duration)
}

// TokenKeeper is a harness whose forge hands out tokens that end.
type TokenKeeper interface {
	// RevokeTokens ends every token that was handed out so far.
	RevokeTokens(t testing.TB)
	// LongTokens makes the tokens from now on those of about 520 characters with dots in them.
	LongTokens(t testing.TB)
}

// GitServer is a harness whose repositories git can talk to.
type GitServer interface {
	// ListRefs asks git for the repository's branches, with nothing but these credentials.
	ListRefs(t testing.TB, repo forge.Repository, auth forge.GitAuth) error
}

// can returns the harness as a capability, or skips the promise and says why.
func can[Capability any](t *testing.T, h Harness, what string) Capability {
	t.Helper()
	c, ok := h.(Capability)
	if !ok {
		leaveOut(t, h, what)
	}
	return c
}

// Trait is what some forges have by their nature and others have not. A promise that is about one names it, and so does a promise for the forges
// that lack it: each of both kinds proves something else, and neither is left out in silence.
type Trait string

// The traits, each in words that end "the forge".
const (
	// ReportersApart: statuses of one name stand side by side, one for each who reports.
	ReportersApart Trait = "keeps statuses of one name apart by who reported them"
	// ManyReviewers: more than one person can be asked for a review.
	ManyReviewers Trait = "asks several people for a review"
)

// Different is a harness whose forge lacks traits. One that is not has all of them.
type Different interface{ Lacks() []Trait }

func lacks(h Harness, trait Trait) bool {
	d, ok := h.(Different)
	return ok && slices.Contains(d.Lacks(), trait)
}

// needs leaves a promise out where the forge lacks what it is about.
func needs(t *testing.T, h Harness, trait Trait) {
	t.Helper()
	if lacks(h, trait) {
		leaveOut(t, h, "lacks a trait: it never "+string(trait))
	}
}

// without leaves a promise out where the forge has what it is about the lack of.
func without(t *testing.T, h Harness, trait Trait) {
	t.Helper()
	if !lacks(h, trait) {
		leaveOut(t, h, string(trait))
	}
}

// LeftOut remembers why a promise was left out. A harness that embeds a pointer to one shows it in the table of promises.
type LeftOut struct{ why string }

func (l *LeftOut) leave(why string) { l.why = why }

// leaveOut skips the promise and says why, in words that follow "the forge".
func leaveOut(t *testing.T, h Harness, why string) {
	t.Helper()
	if l, ok := h.(interface{ leave(why string) }); ok {
		l.leave(why)
	}
	t.Skipf("left out: the forge of this harness %s", why)
}

// Queuer is a harness whose forge has merge queues.
type Queuer interface {
	// RequireQueue gives the branch a merge queue, and demands the bot's check of this name of what is merged.
	RequireQueue(t testing.TB, repo forge.RepoID, branch, check string)
	// Enqueue puts a pull request into the queue, and Dequeue takes it out.
	Enqueue(t testing.TB, repo forge.RepoID, login string, number int)
	Dequeue(t testing.TB, repo forge.RepoID, login string, number int)
	// Process lets the queue do what it can do by now.
	Process(t testing.TB, repo forge.RepoID, branch string)
}
