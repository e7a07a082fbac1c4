package github

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/wire"
)

// breaking lets so many requests to a path fail with an error, before they are sent, and passes all others.
func breaking(path string, times int32, err error) func(*Options) {
	return func(o *Options) {
		next := o.Transport
		var left atomic.Int32
		left.Store(times)
		o.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, path) && left.Add(-1) >= 0 {
				return nil, err
			}
			return next.RoundTrip(r)
		})
	}
}

func TestAReadIsMadeOnceMoreWhenItsConnectionBreaks(t *testing.T) {
	for _, broken := range []error{syscall.ECONNRESET, io.EOF, io.ErrUnexpectedEOF} {
		f := newFake(t, breaking("/pulls/1", 1, broken))
		f.json("GET /repos/acme/infra/pulls/1", 200, pullJSON(1, ""))
		if _, err := f.forge.PullRequest(t.Context(), infra(), 1); err != nil {
			t.Errorf("PullRequest after one %v: %v", broken, err)
		}
		f = newFake(t, breaking("/pulls/1", 2, broken))
		f.json("GET /repos/acme/infra/pulls/1", 200, pullJSON(1, ""))
		if _, err := f.forge.PullRequest(t.Context(), infra(), 1); !errors.Is(err, broken) {
			t.Errorf("PullRequest after two %v: error %v; want it", broken, err)
		}
	}
}

func TestAReadWhoseAnswerBreaksOffIsMadeOnceMore(t *testing.T) {
	f := newFake(t)
	f.each("GET /repos/acme/infra/pulls/1", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, `{"number": 1, `)
	}, says(200, pullJSON(1, "")))
	if pr, err := f.forge.PullRequest(t.Context(), infra(), 1); err != nil || pr.Number != 1 {
		t.Errorf("PullRequest = %+v, %v; want number 1", pr, err)
	}
}

func TestAWriteIsNeverMadeTwice(t *testing.T) {
	f := newFake(t)
	for _, path := range []string{"POST /repos/acme/infra/pulls", "PUT /repos/acme/infra/pulls/1/merge", "PATCH /repos/acme/infra/pulls/1", "POST /repos/acme/infra/issues/1/labels", "POST /repos/acme/infra/check-runs", "DELETE /repos/acme/infra/git/refs/heads/b"} {
		f.handle(path, func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack() // taken in, and never answered
			if err == nil {
				_ = conn.Close()
			}
		})
	}
	f.json("GET /repos/acme/infra/commits/{sha}/check-runs", 200, `{"check_runs": []}`)
	state := forge.Closed
	for line, call := range map[string]func() error{
		"POST /repos/acme/infra/pulls": func() error {
			_, err := f.forge.CreatePullRequest(t.Context(), infra(), forge.NewPullRequest{Head: "h", Base: "main"})
			return err
		},
		"PUT /repos/acme/infra/pulls/1/merge": func() error {
			_, err := f.forge.Merge(t.Context(), infra(), 1, headSHA, "merge")
			return err
		},
		"PATCH /repos/acme/infra/pulls/1": func() error {
			_, err := f.forge.EditPullRequest(t.Context(), infra(), 1, forge.Edit{State: &state})
			return err
		},
		"POST /repos/acme/infra/issues/1/labels":    func() error { return f.forge.AddLabels(t.Context(), infra(), 1, []string{"x"}) },
		"DELETE /repos/acme/infra/git/refs/heads/b": func() error { return f.forge.DeleteBranch(t.Context(), infra(), "b") },
		"POST /repos/acme/infra/check-runs": func() error {
			return f.forge.SetCheck(t.Context(), infra(), forge.Check{HeadSHA: headSHA, Name: "n", Conclusion: forge.Success})
		},
	} {
		err := call()
		if err == nil {
			t.Errorf("%s without an answer: no error", line)
		}
		if n := f.count(line); n != 1 {
			t.Errorf("%s was sent %d times; want once", line, n)
		}
	}
}

func TestServerErrorsAreNotRepeatedHereAndMayBeLater(t *testing.T) {
	f := newFake(t)
	f.json("GET /repos/acme/infra/pulls/1", 502, `<html>Unicorn! ghs_0123456789abcdefghij</html>`)
	_, err := f.forge.PullRequest(t.Context(), infra(), 1)
	var permanent interface{ Permanent() bool }
	if err == nil || !errors.As(err, &permanent) || permanent.Permanent() {
		t.Errorf("PullRequest: error %v; want one that is not permanent", err)
	}
	if strings.Contains(err.Error(), "html") || strings.Contains(err.Error(), "ghs_") {
		t.Errorf("error %v quotes a proxy's page", err)
	}
	checkEqual(t, "requests", f.count("GET /repos/acme/infra/pulls/1"), 1)
}

func TestAnAnswerWithoutEndIsRefused(t *testing.T) {
	f := newFake(t)
	f.handle("GET /repos/acme/infra/pulls/1", func(w http.ResponseWriter, _ *http.Request) {
		chunk := bytes.Repeat([]byte(" "), 1<<20)
		for range 40 {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
	if _, err := f.forge.PullRequest(t.Context(), infra(), 1); err == nil || !strings.Contains(err.Error(), "longer") {
		t.Errorf("PullRequest: error %v; want that the answer is too long", err)
	}
}

func TestACancelledCallSaysSo(t *testing.T) {
	f := newFake(t)
	ctx, cancel := context.WithCancel(t.Context())
	f.handle("GET /repos/acme/infra/pulls/1", func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	if _, err := f.forge.PullRequest(ctx, infra(), 1); !errors.Is(err, context.Canceled) {
		t.Errorf("PullRequest: error %v; want cancelled", err)
	}
}

func TestTheEndOfTheAPIsVersionIsLoggedOnce(t *testing.T) {
	var log bytes.Buffer
	f := newFake(t, func(o *Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	f.handle("GET /repos/acme/infra/pulls/1", limiting(200, pullJSON(1, ""), "Deprecation", "Tue, 10 Mar 2026 00:00:00 GMT", "Sunset", "Fri, 10 Mar 2028 00:00:00 GMT"))
	for range 3 {
		if _, err := f.forge.PullRequest(t.Context(), infra(), 1); err != nil {
			t.Fatal(err)
		}
	}
	checkEqual(t, "warnings", strings.Count(log.String(), "sunset="), 1)
}

func TestAVersionThatIsGoneIsPermanentAndNotAMissingRepository(t *testing.T) {
	f := newFake(t)
	f.json("GET /repos/acme/infra/pulls/1", 410, `{"message": "This API version is no longer supported"}`)
	_, err := f.forge.PullRequest(t.Context(), infra(), 1)
	var e *wire.Error
	if !errors.As(err, &e) || !e.Permanent() || e.Hint() == "" || errors.Is(err, forge.ErrNotFound) {
		t.Errorf("PullRequest: error %v; want a permanent one with a hint", err)
	}
}

func TestAnErrorNeverHoldsAToken(t *testing.T) {
	old, stateless := "ghs_16C7e42F292c6912E7710c838347Ae178B4a", "ghs_4242_eyJhbGciOiJSUzI1NiJ9."+strings.Repeat("Ab-_", 100)+".sig"
	f := newFake(t)
	f.json("GET /repos/acme/infra/pulls/1", 400, `{"message": "bad credentials `+old+` and `+stateless+` at https://x-access-token:hunter22@github.com/a\u0007\u202e", "errors": "Authorization: Bearer abcdefghijklmnopqrstuvwxyz"}`)
	_, err := f.forge.PullRequest(t.Context(), infra(), 1)
	for _, secret := range []string{old[:12], "AbAb", "Ab-_Ab", "hunter22", "abcdefghijkl", "\a", "\u202e"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("error %q holds %q", err, secret)
		}
	}
	if !strings.Contains(err.Error(), "read pull request 1 in acme/infra") || !strings.Contains(err.Error(), "bad credentials") {
		t.Errorf("error %q does not say what was being done and what was answered", err)
	}
}

func TestAnErrorNeverHoldsAProxysPassword(t *testing.T) {
	f := newFake(t, breaking("/access_tokens", 9, errors.New("proxyconnect http://user:hunter22@proxy:1/: refused")))
	if _, err := f.forge.PullRequest(t.Context(), infra(), 1); err == nil || strings.Contains(err.Error(), "hunter22") {
		t.Errorf("error %v holds the proxy's password", err)
	}
}

func TestA202IsASuccess(t *testing.T) {
	f := newFake(t)
	f.json("POST /repos/acme/infra/issues/1/labels", 202, `{}`)
	if err := f.forge.AddLabels(t.Context(), infra(), 1, []string{"x"}); err != nil {
		t.Errorf("AddLabels answered with 202: %v", err)
	}
	f.json("DELETE /repos/acme/infra/git/refs/heads/b", 202, `{}`)
	if err := f.forge.DeleteBranch(t.Context(), infra(), "b"); err != nil {
		t.Errorf("DeleteBranch answered with 202: %v", err)
	}
}

func TestRefusalsWhoseErrorsHaveAnotherShapeKeepTheirWords(t *testing.T) {
	for _, errs := range []string{`"A pull request already exists for acme:x."`, `["A pull request already exists for acme:x."]`, `{"message": "A pull request already exists for acme:x."}`, `[{"message": "A pull request already exists for acme:x."}]`} {
		f := newFake(t)
		f.json("POST /repos/acme/infra/pulls", 422, `{"message": "Validation Failed", "errors": `+errs+`}`)
		_, err := f.forge.CreatePullRequest(t.Context(), infra(), forge.NewPullRequest{Head: "x", Base: "main"})
		if !errors.Is(err, forge.ErrExists) {
			t.Errorf("errors %s: error %v; want ErrExists", errs, err)
		}
	}
}
