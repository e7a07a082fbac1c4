package forge

import (
	"context"
	"time"
)

// Commit is one commit of a source repository. All of it is text from outside.
type Commit struct {
	SHA    string
	Title  string // first line of the message
	Author string // login, else name
	URL    string
	At     time.Time
}

// Comparison is what lies between two revisions of a source repository.
type Comparison struct {
	URL     string   // the page that shows it
	Commits []Commit // newest first, at most as many as were asked for
	Total   int      // of all commits between
}

// Sources reads the repositories that images are built from.
type Sources interface {
	// Compare lists the commits that lead from one revision to another, both commit ids in hex, in the repository whose web address is
	// given, at most `most`. It sees what an installation that reaches repo sees: the repositories of that account that the bot was let
	// into, and public ones, so that what is shown in one account's pull requests never comes from another's secrets. ErrNotFound: the
	// address is not on this forge, or the bot may not read it, or it does not have the revisions. Nothing is fetched from the address
	// itself: it only names a repository of this forge.
	Compare(ctx context.Context, repo Repository, address, from, to string, most int) (Comparison, error)
	// MergeBase is the newest commit that two commits of the repository have in common, all in hex: what a merge of one into the other
	// begins from. Either may be the head of a pull request from a fork. ErrNotFound: one is not there, or they have none in common.
	MergeBase(ctx context.Context, repo Repository, a, b string) (string, error)
}
