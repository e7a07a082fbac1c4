package kustomize

import (
	"fmt"
	"strings"
)

// RefusedError reports a file that is not edited, because the wanted bytes cannot be told without guessing. Nothing was changed.
type RefusedError struct {
	File   string // as the caller named it; may be empty
	Line   int    // 1-based, the line to look at
	Reason string // a clause without full stop

	hint string
}

func (e *RefusedError) Error() string {
	if e.File == "" {
		return fmt.Sprintf("line %d: %s", e.Line, e.Reason)
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Reason)
}

// Hint says what a person can do about it.
func (e *RefusedError) Hint() string {
	if e.hint == "" {
		return "edit this line by hand"
	}
	return e.hint
}

// Permanent is true: the same bytes are refused again.
func (e *RefusedError) Permanent() bool { return true }

// ImageNotListedError reports a name that no entry of a kustomization's images has.
type ImageNotListedError struct{ File, Image string }

func (e *ImageNotListedError) Error() string {
	return e.File + ": no images entry for " + e.Image
}

// Hint says what a person can do about it.
func (e *ImageNotListedError) Hint() string { return "add the image under images: in " + e.File }

// Permanent is true: a retry cannot help.
func (e *ImageNotListedError) Permanent() bool { return true }

// ChangeError reports a [Change] that no file could satisfy: the request is wrong, not the file.
type ChangeError struct {
	Name   string // of the change
	Reason string
}

func (e *ChangeError) Error() string { return fmt.Sprintf("change of image %q: %s", e.Name, e.Reason) }

// Permanent is true: a retry cannot help.
func (e *ChangeError) Permanent() bool { return true }

// AssignmentError reports a command-line argument that [ParseAssignment] cannot read.
type AssignmentError struct{ Arg, Reason string }

func (e *AssignmentError) Error() string {
	return fmt.Sprintf("image argument %q: %s", e.Arg, e.Reason)
}

// Hint lists the forms there are.
func (e *AssignmentError) Hint() string {
	return "write NAME=:TAG, NAME=@sha256:…, NAME=:TAG@sha256:…, NAME=NEWNAME[:TAG][@DIGEST], NAME:TAG or NAME@DIGEST; * keeps what is there"
}

// Permanent is true: a retry cannot help.
func (e *AssignmentError) Permanent() bool { return true }

// SeveralFilesError reports a directory with more than one kustomization file, which kustomize refuses to build.
type SeveralFilesError struct{ Names []string }

func (e *SeveralFilesError) Error() string {
	return "more than one kustomization file in one directory: " + strings.Join(e.Names, ", ")
}

// Hint says what a person can do about it.
func (e *SeveralFilesError) Hint() string { return "keep one of " + strings.Join(e.Names, ", ") }

// Permanent is true: the same directory is refused again.
func (e *SeveralFilesError) Permanent() bool { return true }
