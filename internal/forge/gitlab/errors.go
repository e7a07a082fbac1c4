package gitlab

import (
	"errors"
	"net/http"
	"strings"

	gl "github.com/xanzy/go-gitlab"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/wire"
)

// translate turns whatever a call of go-gitlab's returned into what this package promises; nil stays nil.
func (f *Forge) translate(doing string, err error) error {
	if err == nil {
		return nil
	}
	var known *wire.Error
	if errors.As(err, &known) {
		return err
	}
	var limit *forge.LimitError
	if errors.As(err, &limit) {
		return &wire.Error{Doing: doing, Message: limit.Error(), Cause: limit}
	}
	var refused *refusal
	if errors.As(err, &refused) {
		return &wire.Error{
			Forge: "GitLab", Doing: doing, Status: refused.status, Message: refused.said, Kind: kindOf(refused.status), Advise: advise(refused.said),
		}
	}
	if errors.Is(err, gl.ErrNotFound) {
		return &wire.Error{Forge: "GitLab", Doing: doing, Status: http.StatusNotFound, Kind: forge.ErrNotFound, Advise: advise("")}
	}
	return wire.NoAnswer(doing, err)
}

// advise knows what to do about a refusal with such words.
func advise(said string) func(kind error) string {
	return func(kind error) string {
		switch {
		case errors.Is(kind, forge.ErrGone):
			return "check that the token has neither expired nor been revoked; a new one is used as soon as it is in its file"
		case errors.Is(kind, forge.ErrForbidden) && strings.Contains(said, "insufficient_scope"):
			return "give the token the scopes api and write_repository"
		case errors.Is(kind, forge.ErrForbidden):
			return "give the token's account the role Developer in the project, Maintainer where it merges into a protected branch; the token needs the scopes api and write_repository"
		}
		return ""
	}
}

// kindOf is what a status means where nothing better is known.
func kindOf(status int) error {
	switch status {
	case http.StatusUnauthorized:
		return forge.ErrGone
	case http.StatusForbidden:
		return forge.ErrForbidden
	case http.StatusNotFound:
		return forge.ErrNotFound
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return forge.ErrRefused
	}
	if status >= 300 && status < 400 {
		return forge.ErrNotFound // it moved; a redirect is never followed
	}
	return nil
}
