package github

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"syscall"
	"time"
)

// answers reads every answer whole and within bounds, before anything above sees it. So a connection that breaks in the middle is
// found here, and a read is made once more. Writes never are: what broke may have taken effect.
type answers struct {
	next  http.RoundTripper
	clock func() time.Time
	log   *slog.Logger

	mu     sync.Mutex
	warned map[string]bool
}

const maxAnswer = 32 << 20

// RoundTrip implements http.RoundTripper.
func (a *answers) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := a.exchange(request)
	if err != nil && request.Body == nil && (request.Method == http.MethodGet || request.Method == http.MethodHead) &&
		broken(err) && request.Context().Err() == nil {
		response, err = a.exchange(request)
	}
	return response, err
}

func (a *answers) exchange(request *http.Request) (*http.Response, error) {
	response, err := a.next.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	_ = response.Body.Close()
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	if len(body) > maxAnswer {
		return nil, fmt.Errorf("the answer is longer than %d bytes", maxAnswer)
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	settle(response, body, a.clock())
	a.warn(response.Header, request.URL.Path)
	return response, nil
}

// broken tells whether the connection, and not the other side's judgement, made a request fail.
func broken(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// warn logs, once per notice, that GitHub will stop answering this version of its API.
func (a *answers) warn(header http.Header, path string) {
	deprecation, sunset := header.Get("Deprecation"), header.Get("Sunset")
	if deprecation == "" && sunset == "" {
		return
	}
	notice := clean(deprecation, 64) + " " + clean(sunset, 64)
	a.mu.Lock()
	known := a.warned[notice] || len(a.warned) >= 16
	if a.warned == nil {
		a.warned = map[string]bool{}
	}
	if !known {
		a.warned[notice] = true
	}
	a.mu.Unlock()
	if !known {
		a.log.Warn("GitHub will stop answering what this version of Boatlift asks; update before then",
			"deprecation", clean(deprecation, 64), "sunset", clean(sunset, 64), "path", path)
	}
}
