package hub

import (
	"bytes"
	"io"
	"net/http"
	"strings"
)

// Exchange is one call of the forge's API with its answer, as both went over the wire.
type Exchange struct {
	Method       string
	Path         string      // escaped, below the forge's address: /api/v3/repos/acme/infra
	Query        string      // undecoded, without the question mark
	Header       http.Header // of the request, without what proves the caller
	Body         []byte      // of the request
	Status       int
	AnswerHeader http.Header
	Answer       []byte
}

// Webhook is one event that the app hears of, as its body is queued. It may be lost, late or doubled afterwards.
type Webhook struct {
	Event string // as X-GitHub-Event names it
	Body  []byte
}

// observed tells of every call of the API that is answered. One whose connection is closed by a fault has no answer and is not told.
func (h *Hub) observed(next http.Handler) http.Handler {
	if h.opts.OnExchange == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/api/") {
			next.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(io.LimitReader(r.Body, maxRequest+1)) // the API refuses what is longer
		if err != nil {
			http.Error(w, "the request broke off", http.StatusBadRequest)
			return
		}
		header := r.Header.Clone()
		header.Del("Authorization")
		e := Exchange{Method: r.Method, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery, Header: header, Body: body}
		r.Body = io.NopCloser(bytes.NewReader(body))
		answer := newRecorder()
		next.ServeHTTP(answer, r)
		e.Status, e.AnswerHeader, e.Answer = answer.code, answer.header.Clone(), bytes.Clone(answer.body.Bytes())
		h.opts.OnExchange(e)
		answer.send(w)
	})
}
