package registry

import "time"

// Repeats is what a sender does about a notification that was not answered with success.
type Repeats int

const (
	// Once is a sender that does not repeat anything, or of which nobody says that it does.
	Once Repeats = iota
	// Briefly is a sender that tries a few times within a minute or so.
	Briefly
	// Lasting is a sender that goes on for hours, or until it is answered.
	Lasting
)

func (r Repeats) String() string {
	switch r {
	case Briefly:
		return "sends again a few times, within a minute or so"
	case Lasting:
		return "sends again for hours, or until it is answered"
	}
	return "sends once"
}

// Poll is how often a registry of the type is asked for its tags where boatlift.yaml does not say: often where what the bot did not
// hear does not come again, else now and then, for what the sender itself lost.
func (t Type) Poll() time.Duration {
	if t.Repeats == Lasting {
		return time.Hour
	}
	return 5 * time.Minute
}
