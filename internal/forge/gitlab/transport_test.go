package gitlab

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/wire"
)

func TestAWriteIsNeverSentTwice(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"a server error":      func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) },
		"too many requests":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) },
		"a broken connection": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		f := newFake(t)
		f.answer("GET /projects/7/repository/compare", 200, `{"commits": [{"id": "`+head+`"}]}`)
		f.handle("POST /projects/7/merge_requests", h)
		if _, err := f.forge.CreatePullRequest(t.Context(), infra, forge.NewPullRequest{Head: "h", Base: "main", Title: "t"}); err == nil {
			t.Errorf("%s: no error", name)
		}
		equal(t, name+": writes", f.writes(), []string{"POST /projects/7/merge_requests"})
	}
}

func TestAReadWhoseConnectionBreaksIsMadeOnceMore(t *testing.T) {
	f := newFake(t)
	f.handle("GET "+mr5, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	f.answer("GET "+mr5, 200, mergeRequest())
	pr, err := f.forge.PullRequest(t.Context(), infra, 5)
	if err != nil || pr.Number != 5 {
		t.Errorf("PullRequest = %+v, %v", pr, err)
	}
	equal(t, "reads", len(f.sent("GET", mr5)), 2)
}

func TestWhileGitLabAskedToWaitNothingIsSent(t *testing.T) {
	for name, c := range map[string]struct {
		header []string
		body   string
		status int
		want   time.Duration
	}{
		"Retry-After":               {[]string{"Retry-After", "120"}, "Retry later\n", 429, 2 * time.Minute},
		"a reset":                   {[]string{"RateLimit-Remaining", "0", "RateLimit-Reset", "1800000090"}, "Retry later\n", 429, 90 * time.Second},
		"no word":                   {nil, "Retry later\n", 429, time.Minute},
		"403 of what stands before": {[]string{"Retry-After", "30"}, "", 403, 30 * time.Second},
		"a year":                    {[]string{"Retry-After", "31536000"}, "", 429, time.Hour},
	} {
		f := newFake(t)
		f.answer("GET "+mr5, c.status, c.body, c.header...)
		f.answer("GET "+mr5, 200, mergeRequest())
		_, err := f.forge.PullRequest(t.Context(), infra, 5)
		var limit *forge.LimitError
		if !errors.As(err, &limit) || limit.After != c.want {
			t.Errorf("%s: %v; want a limit of %s", name, err, c.want)
			continue
		}
		before := len(f.sent("", ""))
		if _, err := f.forge.PullRequest(t.Context(), infra, 5); !errors.As(err, &limit) {
			t.Errorf("%s: asked again: %v; want the limit", name, err)
		}
		equal(t, name+": sent meanwhile", len(f.sent("", ""))-before, 0)
		f.pass(c.want + time.Second)
		if _, err := f.forge.PullRequest(t.Context(), infra, 5); err != nil {
			t.Errorf("%s: afterwards: %v", name, err)
		}
	}
}

func TestErrorsSayWhatHappenedAndHoldNoToken(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
		kind   error
		says   string
	}{
		{401, `{"error":"invalid_token","error_description":"Token was revoked. You have to re-authorize from the user."}`, forge.ErrGone, "Token was revoked"},
		{403, `{"error":"insufficient_scope","error_description":"The request requires higher privileges than provided by the access token.","scope":"api"}`, forge.ErrForbidden, "insufficient_scope"},
		{404, `{"message":"404 Project Not Found"}`, forge.ErrNotFound, "404 Project Not Found"},
		{422, `{"message":{"base":["a","b"],"title":["is too long"]}}`, forge.ErrRefused, "base a, b; title is too long"},
		{301, ``, forge.ErrNotFound, "301"},
		{500, `<html>glpat-abcdefgh12345678</html>`, nil, "500"},
		{400, `{"message":"PRIVATE-TOKEN glpat-abcdefgh12345678 at https://u:secret@host"}`, forge.ErrRefused, "[redacted]"},
	} {
		f := newFake(t)
		f.answer("GET "+mr5, c.status, c.body, "Location", "https://elsewhere.example/")
		_, err := f.forge.PullRequest(t.Context(), infra, 5)
		if err == nil || c.kind != nil && !errors.Is(err, c.kind) {
			t.Errorf("%d: %v; want %v", c.status, err, c.kind)
			continue
		}
		text := err.Error()
		if !strings.Contains(text, c.says) || !strings.Contains(text, "read merge request 5 in acme/platform/infra") {
			t.Errorf("%d: %q; want it to say %q and what was being done", c.status, text, c.says)
		}
		for _, secret := range []string{testToken, "glpat-", "secret@"} {
			if strings.Contains(text+f.logs.String(), secret) {
				t.Errorf("%d: %q holds %s", c.status, text, secret)
			}
		}
	}
}

func TestAnAnswerThatIsTooLongIsRefused(t *testing.T) {
	f := newFake(t)
	f.handle("GET "+mr5, func(w http.ResponseWriter, _ *http.Request) {
		chunk := make([]byte, 1<<20)
		for range wire.MaxAnswer>>20 + 1 {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
	if _, err := f.forge.PullRequest(t.Context(), infra, 5); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("PullRequest: %v; want that the answer is too long", err)
	}
}

func TestTheTokenIsFollowedAndWritesAreCounted(t *testing.T) {
	now := testToken
	var told []wire.Request
	f := newFake(t, func(o *Options) {
		o.Token = func() []byte { return []byte(now) }
		o.Observe = func(r wire.Request) { told = append(told, r) }
	})
	f.answer("PUT "+mr5, 200, mergeRequest(), "RateLimit-Remaining", "1999")
	ctx, sent := forge.CountRequests(t.Context())
	for _, now = range []string{"glpat-one", "glpat-two"} {
		if err := f.forge.AddLabels(ctx, infra, 5, []string{"a", "b,c"}); err != nil {
			t.Fatal(err)
		}
	}
	list := f.sent("PUT", mr5)
	equal(t, "tokens", []string{list[0].Token, list[1].Token}, []string{"glpat-one", "glpat-two"})
	equal(t, "labels", list[0].Body["add_labels"], "a,b c")
	n, known := sent.Writes()
	equal(t, "writes", []any{n, known}, []any{2, true})
	equal(t, "told", told[0], wire.Request{Method: "PUT", Status: 200, Resource: "core", Remaining: 1999})
	auth, err := f.forge.GitAuth(t.Context(), infra)
	if err != nil || auth.Username != "oauth2" || auth.Password != "glpat-two" {
		t.Errorf("GitAuth = %s, %s, %v", auth.Username, auth.Password, err)
	}
}

func TestAddressesFollowFromTheConfiguredOne(t *testing.T) {
	for base, want := range map[string][2]string{
		"https://gitlab.com":                {"https://gitlab.com/api/v4/", "https://gitlab.com"},
		"https://gitlab.acme.io/api/v4/":    {"https://gitlab.acme.io/api/v4/", "https://gitlab.acme.io"},
		"https://acme.io/gitlab/":           {"https://acme.io/gitlab/api/v4/", "https://acme.io/gitlab"},
		"https://acme.io:8443/a/b/api/v4":   {"https://acme.io:8443/a/b/api/v4/", "https://acme.io:8443/a/b"},
		"http://127.0.0.1:1":                {"http://127.0.0.1:1/api/v4/", "http://127.0.0.1:1"},
		"http://gitlab.acme.io":             {},
		"https://user:secret@gitlab.com":    {},
		"https://gitlab.com?private_token=": {},
		"gitlab.com":                        {},
	} {
		at, err := addressesOf(base)
		if want[0] == "" {
			if err == nil || strings.Contains(err.Error(), "secret") {
				t.Errorf("addressesOf(%q): %v; want an error without secrets", base, err)
			}
			continue
		}
		if err != nil || at.api.String() != want[0] || at.web != want[1] {
			t.Errorf("addressesOf(%q) = %v, %v; want %v", base, at, err, want)
		}
	}
}
