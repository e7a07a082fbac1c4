package hub

import "errors"

// problem is a refusal that every face can say in its own way.
type problem struct {
	kind    problemKind
	message string // what GitHub says, word for word where it is known
	// details become GitHub's errors[]: either fieldProblem values or plain strings.
	details []any
}

type problemKind int

const (
	notFound problemKind = iota + 1
	forbidden
	unauthorized
	invalid    // the request makes no sense in this state: 422
	taken      // there is one already
	stale      // the head is another commit: 409
	notAllowed // cannot be merged: 405
)

// fieldProblem is one entry of GitHub's errors[].
type fieldProblem struct {
	Resource string `json:"resource"`
	Code     string `json:"code"`
	Field    string `json:"field,omitempty"`
	Message  string `json:"message,omitempty"`
}

func (p *problem) Error() string {
	text := p.message
	for _, detail := range p.details {
		switch d := detail.(type) {
		case string:
			text += ": " + d
		case fieldProblem:
			text += ": " + d.Resource + " " + d.Field + " " + d.Code + " " + d.Message
		}
	}
	return text
}

func refuse(kind problemKind, message string, details ...any) error {
	return &problem{kind: kind, message: message, details: details}
}

// asTaken marks a refusal as one because there is such a thing already.
func asTaken(err error) error {
	var p *problem
	if errors.As(err, &p) {
		p.kind = taken
	}
	return err
}

func validation(details ...any) error { return refuse(invalid, "Validation Failed", details...) }

func missing() error { return refuse(notFound, "Not Found") }

// kindOf returns what kind of refusal an error is, or 0.
func kindOf(err error) problemKind {
	var p *problem
	if errors.As(err, &p) {
		return p.kind
	}
	return 0
}
