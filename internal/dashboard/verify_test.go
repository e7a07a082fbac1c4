package dashboard_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/boatlift/boatlift/internal/dashboard"
	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/store"
)

// asks makes acceptance, which runs web 1.4.2 and worker 1.4.1, ask for checks.
func (s *scene) asks(checks ...promotion.Check) {
	s.t.Helper()
	s.two()
	s.turn(acceptance, func(tx *store.Tx) {
		m, err := s.store.Memory(s.t.Context(), acceptance)
		must(s.t, err)
		promotion.Prove(checks, &m.Running[0], nil, nil)
		tx.SaveRunning(m.Running)
	})
}

// certifies posts as a caller with a list; nil: on the socket.
func (s *scene) certifies(caller *dashboard.Caller, body string) (int, string) {
	s.t.Helper()
	handler := http.Handler(s.api.Routes())
	r := httptest.NewRequest(http.MethodPost, "/verifications", strings.NewReader(body))
	if caller != nil {
		handler = dashboard.NewGuard(dashboard.GuardOptions{Tokens: []dashboard.Token{{Caller: *caller, Secret: func() []byte { return []byte("secret") }}}}, handler)
		r.Header.Set("Authorization", "Bearer secret")
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func nightly() *dashboard.Caller {
	return &dashboard.Caller{Name: "nightly", Role: dashboard.Certify, Certify: []promotion.Certify{{Names: []string{"smoke"}, Environments: []string{"acme/*:acceptance"}}}}
}

func TestAVerificationIsRecordedForItsDigests(t *testing.T) {
	s := newScene(t)
	s.asks(promotion.Check{Name: "smoke"})
	status, text := s.certifies(nightly(), fmt.Sprintf(
		`{"environment":"acme/infra-acceptance:acceptance","images":["web:1.4.2","registry.acme.io/shop/worker@%s"],"name":"smoke","result":"passed","url":"https://ci/7","actor":"somebody else"}`, digest(141)))
	if status != http.StatusOK || !strings.Contains(text, `"counts":true`) {
		t.Fatalf("answered %d %s", status, text)
	}
	m, err := s.store.Memory(t.Context(), acceptance)
	must(t, err)
	want := []promotion.Verification{{
		Environment: "acceptance", Name: "smoke", Passed: true, URL: "https://ci/7", Actor: "nightly", At: start,
		Images: map[image.Name]image.Digest{web: digest(42), worker: digest(141)},
	}}
	if !reflect.DeepEqual(m.Verifications, want) {
		t.Errorf("recorded is %+v\nwant %+v", m.Verifications, want)
	}
	audit, err := s.store.AuditTail(t.Context(), store.AuditFilter{Action: "certified passed"})
	must(t, err)
	if len(audit) != 1 || audit[0].Actor != "nightly" || audit[0].Role != "certify" || audit[0].Subject != "acme/infra-acceptance:acceptance" || !strings.Contains(string(audit[0].Detail), string(digest(42))) {
		t.Errorf("the audit has %+v", audit)
	}
	if c, err := s.store.Claim(t.Context(), "tester", 1e9); err != nil || c == nil || c.Repo != acceptance {
		t.Errorf("the repository is not woken: %+v, %v", c, err)
	}
}

func TestAVerificationSaysWhyItDoesNotCount(t *testing.T) {
	for name, c := range map[string]struct {
		checks []promotion.Check
		body   string
		why    string
	}{
		"another digest":  {[]promotion.Check{{Name: "smoke"}}, fmt.Sprintf(`"images":["web@%s"],"name":"smoke"`, digest(7)), "does not run at this digest"},
		"nothing asked":   {nil, `"images":["web:1.4.2"],"name":"smoke"`, "asks for no verification: write verify: [smoke]"},
		"another name":    {[]promotion.Check{{Name: "e2e"}}, `"images":["web:1.4.2"],"name":"smoke"`, "it asks for e2e"},
		"only of the App": {[]promotion.Check{{Name: "smoke", App: "github-actions"}}, `"images":["web:1.4.2"],"name":"smoke"`, "it asks for smoke by github-actions"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.asks(c.checks...)
			status, text := s.certifies(nil, `{"environment":"acceptance","result":"passed","actor":"ada",`+c.body+`}`)
			var got dashboard.VerificationAnswer
			must(t, json.Unmarshal([]byte(text), &got))
			if status != http.StatusOK || got.Counts || !strings.Contains(got.Hint, c.why) {
				t.Errorf("answered %d %s; want why %q", status, text, c.why)
			}
		})
	}
}

func TestAVerificationThatIsNotRightOrNotAllowedChangesNothing(t *testing.T) {
	const fine = `{"environment":"acme/infra-acceptance:acceptance","images":["web:1.4.2"],"name":"smoke","result":"passed"}`
	change := func(from, to string) string { return strings.Replace(fine, from, to, 1) }
	operator := &dashboard.Caller{Name: "ops", Role: dashboard.Override}
	for name, c := range map[string]struct {
		caller *dashboard.Caller
		body   string
		status int
		says   string
	}{
		"who may override":          {operator, fine, 403, "this needs certify"},
		"who may push":              {&dashboard.Caller{Name: "builds", Role: dashboard.Push, Push: []image.Pattern{{}}}, fine, 403, "this needs certify"},
		"another name":              {nightly(), change("smoke", "load"), 403, "nightly may not certify load"},
		"another environment":       {nightly(), change("infra-acceptance:acceptance", "infra-production:production"), 403, "may not certify"},
		"one that is not there":     {nightly(), change("infra-acceptance", "infra-nowhere"), 403, "may not certify"},
		"a short name":              {nightly(), change("acme/infra-acceptance:acceptance", "acceptance"), 200, "recorded"},
		"nobody":                    {nil, fine, 400, "who makes it"},
		"no name":                   {nightly(), change("smoke", ""), 400, "the name of the test"},
		"a name with a line":        {nightly(), change("smoke", `smo\nke`), 400, "the name of the test"},
		"no result":                 {nightly(), change("passed", "green"), 400, "the result is green"},
		"no image":                  {nightly(), change(`"web:1.4.2"`, ""), 400, "no image"},
		"an image that is not used": {nightly(), change("web:1.4.2", "mail:1"), 404, "does not list mail"},
		"an image without anything": {nightly(), change("web:1.4.2", "web"), 400, "neither digest nor tag"},
		"a tag that does not run":   {nightly(), change("web:1.4.2", "web:1.4.1"), 409, "runs at 1.4.2"},
		"no digest":                 {nightly(), change("web:1.4.2", "web@sha256:abc"), 400, "digest"},
		"two digests":               {nightly(), change(`"web:1.4.2"`, `"web:1.4.2","web@`+string(digest(7))+`"`), 400, "two digests"},
		"an odd URL":                {nightly(), change(`"name"`, `"url":"javascript:x","name"`), 400, "the URL"},
		"a URL with a password":     {nightly(), change(`"name"`, `"url":"https://a:b@ci/7","name"`), 400, "the URL"},
		"an unknown member":         {nightly(), change(`"name"`, `"nme":"x","name"`), 400, "not understood"},
		"a dry run":                 {nightly(), change(`"name"`, `"dryRun":true,"name"`), 200, "would be recorded"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.asks(promotion.Check{Name: "smoke"})
			status, text := s.certifies(c.caller, c.body)
			if status != c.status || !strings.Contains(text, c.says) {
				t.Errorf("answered %d %s; want %d, %q", status, text, c.status, c.says)
			}
			m, err := s.store.Memory(t.Context(), acceptance)
			must(t, err)
			if recorded := len(m.Verifications) > 0; recorded != (c.says == "recorded") {
				t.Errorf("recorded are %+v", m.Verifications)
			}
		})
	}
}
