package forge

import "context"

// Finding is one thing that a look at the forge from outside found. What is right has no Fix.
type Finding struct {
	About string // what was looked at: "installation acme", "acme/infra-production"
	Say   string // what was found, in a sentence
	Fix   string // what a person should do; empty if nothing
	Text  string // something to copy with it, such as the JSON of a ruleset; may be empty
}

// Inspector looks at how the bot is set up at the forge, and changes nothing.
type Inspector interface {
	// Inspect reports on the App, its installations, their permissions and their repositories, progressively through tell. hook is the
	// address under which the forge should reach the bot; check is the name of the gate's check.
	Inspect(ctx context.Context, hook, check string, tell func(Finding)) error
}
