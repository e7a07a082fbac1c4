package github

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/wire"
)

// graphQLError is one of the errors that an answer of status 200 may hold.
// https://docs.github.com/en/graphql/guides/forming-calls-with-graphql
type graphQLError struct {
	Type       string `json:"type"` // NOT_FOUND, STALE_DATA, FORBIDDEN, UNPROCESSABLE, …; empty where the query itself is wrong
	Message    string `json:"message"`
	Extensions struct {
		Code string `json:"code"`
	} `json:"extensions"`
}

// graphql sends one query with its variables and decodes what stands under data. Its errors are *wire.Error with the forge's kind.
func (f *Forge) graphql(ctx context.Context, t target, query string, variables map[string]any, into any) error {
	body := map[string]any{"query": query, "variables": variables}
	request, err := t.NewRequest(http.MethodPost, f.at.graphql.String(), body)
	if err != nil {
		return err
	}
	var answer struct {
		Data   json.RawMessage `json:"data"`
		Errors []graphQLError  `json:"errors"`
	}
	if _, err := t.Do(ctx, request, &answer); err != nil {
		return err
	}
	if len(answer.Errors) > 0 {
		return f.graphQLRefusal(t.doing, answer.Errors[0])
	}
	if err := json.Unmarshal(answer.Data, into); err != nil {
		return &wire.Error{Doing: t.doing, Message: "the answer is not what the query asks for"}
	}
	return nil
}

var (
	errLimited = errors.New("a limit of GraphQL")
	// errUnknownField reports a field that an older Enterprise Server does not know.
	errUnknownField = errors.New("this GitHub does not know it")
)

func (f *Forge) graphQLRefusal(doing string, first graphQLError) error {
	refused := &wire.Error{Doing: doing, Message: wire.Clean(first.Message, wire.MaxMessage), Kind: graphQLKind(first.Type), Advise: f.advise("")}
	switch {
	case first.Extensions.Code == "undefinedField":
		refused.Kind = errUnknownField
	case first.Type == "RATE_LIMITED":
		refused.Kind, refused.Cause = nil, &forge.LimitError{After: wire.DefaultWait, Cause: errLimited}
	}
	return refused
}

func graphQLKind(kind string) error {
	switch kind {
	case "STALE_DATA":
		return forge.ErrStale
	case "NOT_FOUND":
		return forge.ErrNotFound
	case "FORBIDDEN", "INSUFFICIENT_SCOPES":
		return forge.ErrForbidden
	default:
		return forge.ErrRefused
	}
}

// headline splits a commit's message as GraphQL wants it.
func headline(message string) map[string]any {
	subject, body, _ := strings.Cut(strings.TrimRight(message, "\n"), "\n")
	return map[string]any{"headline": subject, "body": strings.TrimLeft(body, "\n")}
}
