package forge

import "context"

// Finding is one thing that a look at the forge from outside found. What is right has no Fix.
type Finding struct {
	About string // what was looked at: "installation acme", "acme/infra-production"
	Say   string // what was found, in a sentence
	Fix   string // what a person should do; empty if nothing
	Text  string // something to copy with it, such as the JSON of a ruleset; may be empty
}

// Inspector looks at how the bot is set up at the forge, and changes nothing. What cannot be looked at is a finding too; an error means that
// the context ended.
type Inspector interface {
	// Inspect reports on the way to the forge and its clock, on the bot's account, its permissions, and what it was let into as a whole,
	// progressively through tell. hook is the address under which the forge should reach the bot; empty: not known.
	Inspect(ctx context.Context, hook string, tell func(Finding)) error
	// InspectRepository reports on a repository in which the bot is to work: whether a check is demanded on its default branch, and from
	// whom, and what else the bot lacks there.
	InspectRepository(ctx context.Context, repo Repository, wanted Wanted, tell func(Finding)) error
}

// Wanted is what is expected of a repository.
type Wanted struct {
	Check  string // the name of the check that is to hold merges
	Merges bool   // the bot is to merge there itself
	Hook   string // where the forge should send webhooks; empty: not known
}
