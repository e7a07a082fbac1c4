package render

import "fmt"

// RefusedError says why a directory was not rendered. It never stands in the way of a promotion: show the reason and go on.
type RefusedError struct {
	Dir    string // as the caller named it
	Reason string // one or a few lines for people, without control characters and without values of Secrets

	transient bool
	cause     error // what the Source said, where that was the reason
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("render %s: %s", printable(e.Dir), e.Reason)
}

// Unwrap gives the Source's own error where reading the tree failed, else nil.
func (e *RefusedError) Unwrap() error { return e.cause }

// Permanent reports whether the same commit would be refused again. It is false where the Source could not answer, and where
// the child was too slow or was killed, which a loaded machine can bring about.
func (e *RefusedError) Permanent() bool { return !e.transient }

// Hint says what a person can do.
func (e *RefusedError) Hint() string {
	if e.transient {
		return "this may pass: the next look at the commit renders it again"
	}
	return "run kustomize build " + printable(e.Dir) + " in a checkout to see more"
}
