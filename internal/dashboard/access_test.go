package dashboard

import (
	"bytes"
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/image"
)

func fixed(secret string) func() []byte { return func() []byte { return []byte(secret) } }

func guarded(now func() time.Time) *Guard {
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(actor(r, "somebody else") + " as " + role(r)))
	})
	return NewGuard(GuardOptions{Now: now, Jobs: believe, Tokens: []Token{
		{Caller{Name: "grafana", Role: Read}, fixed("read-secret")},
		{Caller{Name: "release manager", Role: Operate}, fixed("operate-secret")},
		{Caller{Name: "jenkins", Role: Push, Push: patterns("registry.acme.io/shop/*")}, fixed("push-secret")},
		{Caller{Name: "emptied", Role: Override}, fixed("")},
	}}, echo)
}

func patterns(texts ...string) (list []image.Pattern) {
	for _, text := range texts {
		p, err := image.ParsePattern(text)
		if err != nil {
			panic(err)
		}
		list = append(list, p)
	}
	return list
}

// jobError is why a job is not let in.
type jobError struct{ forbidden bool }

func (e *jobError) Error() string   { return "inner reason" }
func (e *jobError) Forbidden() bool { return e.forbidden }
func (e *jobError) Public() string  { return "outer reason" }

// laterError says that it cannot be told now.
type laterError struct{}

func (*laterError) Error() string             { return "the issuer is down" }
func (*laterError) RetryAfter() time.Duration { return 10 * time.Second }

// believe takes tokens that say what becomes of them.
func believe(_ context.Context, token string) (Caller, error) {
	switch token {
	case "a.job.token":
		return Caller{Name: "acme/shop (builds)", Role: Pipeline, Push: patterns("registry.acme.io/shop/*")}, nil
	case "a.forbidden.job":
		return Caller{}, &jobError{true}
	case "a.later.job":
		return Caller{}, &laterError{}
	}
	return Caller{}, &jobError{}
}

func ask(g *Guard, method, token, peer string) *httptest.ResponseRecorder {
	return askAt(g, method, "/api/v1/status", token, peer)
}

func askAt(g *Guard, method, path, token, peer string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	r.RemoteAddr = peer + ":1234"
	if token != "" {
		r.Header.Set("Authorization", token)
	}
	w := httptest.NewRecorder()
	g.ServeHTTP(w, r)
	return w
}

func TestATokensRoleDecidesWhatItMayDo(t *testing.T) {
	for _, tc := range []struct {
		method, token string
		want          int
	}{
		{"GET", "Bearer read-secret", 200},
		{"POST", "Bearer read-secret", 403},
		{"GET", "Bearer operate-secret", 200},
		{"POST", "Bearer operate-secret", 200},
		{"GET", "", 401},
		{"GET", "Bearer ", 401},
		{"GET", "read-secret", 401},
		{"GET", "Basic cmVhZC1zZWNyZXQ=", 401},
		{"GET", "Bearer read-secret ", 401},
		{"GET", "Bearer read", 401},
	} {
		if got := ask(guarded(time.Now), tc.method, tc.token, "192.0.2.1").Code; got != tc.want {
			t.Errorf("%s with %q is answered %d, want %d", tc.method, tc.token, got, tc.want)
		}
	}
}

func TestTheAuditNamesTheTokenNotWhatTheRequestSays(t *testing.T) {
	if got := ask(guarded(time.Now), "POST", "Bearer operate-secret", "192.0.2.1").Body.String(); got != "release manager as operate" {
		t.Errorf("acts as %q, want the token's own name and role", got)
	}
}

func TestGuessingIsSlowedDownAndLocksNobodyOut(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	g := guarded(func() time.Time { return now })
	for i := range mostWrong {
		if got := ask(g, "GET", "Bearer wrong", "192.0.2.1").Code; got != http.StatusUnauthorized {
			t.Fatalf("guess %d is answered %d, want 401", i, got)
		}
	}
	for how, blocked := range map[string]*httptest.ResponseRecorder{
		"a guess": ask(g, "GET", "Bearer wrong", "192.0.2.1"), "no token": ask(g, "GET", "", "192.0.2.1"), "an empty one": ask(g, "GET", "Bearer ", "192.0.2.1"),
	} {
		if blocked.Code != http.StatusTooManyRequests || blocked.Header().Get("Retry-After") != "61" {
			t.Errorf("after %d guesses %s is answered %d with Retry-After %q, want 429 and a minute", mostWrong, how, blocked.Code, blocked.Header().Get("Retry-After"))
		}
	}
	if got := ask(g, "GET", "Bearer read-secret", "192.0.2.1").Code; got != 200 {
		t.Errorf("who has a token and shares the guesser's address, behind a proxy say, is answered %d, want 200", got)
	}
	if got := ask(g, "GET", "Bearer wrong", "192.0.2.2").Code; got != http.StatusUnauthorized {
		t.Errorf("somebody else is answered %d, want 401", got)
	}
	now = now.Add(wrongWindow)
	if got := ask(g, "GET", "Bearer wrong", "192.0.2.1").Code; got != http.StatusUnauthorized {
		t.Errorf("when the time is over the answer is %d, want 401", got)
	}
}

func TestAGuesserDoesNotGetAwayByClaimingOtherAddresses(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	g := guarded(func() time.Time { return now })
	code := 0
	for i := range mostWrong + 1 {
		r := httptest.NewRequest("GET", "/api/v1/status", nil)
		r.RemoteAddr = fmt.Sprintf("192.0.2.1:%d", 1000+i)
		r.Header.Set("Authorization", fmt.Sprintf("Bearer guess-%d", i))
		for _, name := range []string{"X-Forwarded-For", "X-Real-Ip", "Forwarded", "True-Client-Ip"} {
			r.Header.Set(name, fmt.Sprintf("198.51.100.%d", i))
		}
		w := httptest.NewRecorder()
		g.ServeHTTP(w, r)
		code = w.Code
	}
	if code != http.StatusTooManyRequests {
		t.Errorf("the last guess is answered %d, want 429", code)
	}
}

func TestATokenThatIsReplacedCountsAtOnce(t *testing.T) {
	secret := "old-secret"
	g := NewGuard(GuardOptions{Tokens: []Token{{Caller{Name: "x", Role: Read}, func() []byte { return []byte(secret) }}}}, http.NotFoundHandler())
	for _, now := range []string{"old-secret", "new-secret"} {
		secret = now
		for _, given := range []string{"old-secret", "new-secret"} {
			if let := ask(g, "GET", "Bearer "+given, "192.0.2.1").Code != http.StatusUnauthorized; let != (given == now) {
				t.Errorf("while the token is %s, %s is let in: %t", now, given, let)
			}
		}
	}
}

func TestManyGuessersDoNotFillTheMemory(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	g := guarded(func() time.Time { return now })
	for i := range 3 * mostPeers {
		g.guessed(string(rune(i)))
	}
	if len(g.wrong) > mostPeers {
		t.Errorf("%d addresses are remembered, want at most %d", len(g.wrong), mostPeers)
	}
}

func TestWhoTellsOfPushesMayDoNothingElse(t *testing.T) {
	for _, tc := range []struct {
		method, path, token string
		want                int
	}{
		{"POST", "/api/v1/pushes", "push-secret", 200},
		{"POST", "/api/v1/pushes", "a.job.token", 200},
		{"POST", "/api/v1/pushes", "operate-secret", 200},
		{"POST", "/api/v1/pushes", "read-secret", 403},
		{"GET", "/api/v1/pushes", "push-secret", 403},
		{"GET", "/api/v1/status", "push-secret", 403},
		{"GET", "/api/v1/status", "a.job.token", 403},
		{"POST", "/api/v1/holds", "push-secret", 403},
		{"POST", "/api/v1/holds", "a.job.token", 403},
		{"POST", "/api/v1/pushes/x", "a.job.token", 403},
		{"POST", "/api/v1/pushes", "a.forbidden.job", 403},
		{"POST", "/api/v1/pushes", "a.forged.job", 401},
		{"POST", "/api/v1/pushes", "a.later.job", 503},
	} {
		answer := askAt(guarded(time.Now), tc.method, tc.path, "Bearer "+tc.token, "192.0.2.1")
		if answer.Code != tc.want || strings.Contains(answer.Body.String(), "inner") {
			t.Errorf("%s %s with %q is answered %d %s, want %d", tc.method, tc.path, tc.token, answer.Code, answer.Body, tc.want)
		}
		if tc.want == http.StatusServiceUnavailable && answer.Header().Get("Retry-After") == "" {
			t.Error("it is not said when to try again")
		}
	}
}

func TestRefusedJobsAreLoggedNowAndThenWithoutTheirTokens(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	var log bytes.Buffer
	g := guarded(func() time.Time { return now })
	g.log = slog.New(slog.NewTextHandler(&log, nil))
	for range 50 {
		ask(g, "GET", "Bearer a.forged.job", "192.0.2.1")
	}
	now = now.Add(quiet)
	ask(g, "GET", "Bearer a.forged.job", "192.0.2.1")
	if text := log.String(); strings.Count(text, "inner reason") != 2 || !strings.Contains(text, "more=49") || strings.Contains(text, "forged") {
		t.Errorf("the log is\n%s", text)
	}
	if got := ask(g, "GET", "Bearer read-secret", "192.0.2.1").Code; got != 200 {
		t.Errorf("a token from the same address is answered %d: nobody can guess a job's, so that they do not count as guesses", got)
	}
}

func TestARoleMayWhatThoseBelowItMayAndNothingAbove(t *testing.T) {
	ladder := []Role{Read, Operate, Override}
	for i, has := range ladder {
		for j, needed := range ladder {
			if got := (Caller{Role: has}).may(needed); got != (j <= i) {
				t.Errorf("%s may what needs %s: %t", has, needed, got)
			}
		}
	}
	for _, alone := range []Role{Push, Certify, Pipeline, "", "admin", "READ"} {
		for _, needed := range append(ladder, Certify) {
			if (Caller{Role: alone, Push: patterns("**")}).may(needed) {
				t.Errorf("%q may what needs %s", alone, needed)
			}
		}
	}
	if (Caller{Role: Override}).may(Certify) {
		t.Error("who may override may say that tests passed")
	}
}

// TestTokensAreComparedInConstantTime reads the program: nothing that is asked whose token it is may compare texts, or end early.
func TestTokensAreComparedInConstantTime(t *testing.T) {
	parsed, err := parser.ParseFile(token.NewFileSet(), "access.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	hashed, compared, found := 0, 0, false
	ast.Inspect(parsed, func(n ast.Node) bool {
		f, ok := n.(*ast.FuncDecl)
		if !ok || f.Name.Name != "find" {
			return true
		}
		found = true
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				if is(n.Fun, "sha256", "Sum256") {
					hashed++
				}
				if is(n.Fun, "subtle", "ConstantTimeCompare") {
					compared++
				}
				if is(n.Fun, "bytes", "Equal") || is(n.Fun, "strings", "Compare") || is(n.Fun, "strings", "EqualFold") {
					t.Error("tokens are compared by what ends at the first difference")
				}
			case *ast.RangeStmt:
				ast.Inspect(n.Body, func(n ast.Node) bool {
					switch n.(type) {
					case *ast.ReturnStmt, *ast.BranchStmt:
						t.Error("the loop over tokens ends early, which tells where the right one stands")
					}
					return true
				})
			case *ast.BinaryExpr:
				for _, side := range []ast.Expr{n.X, n.Y} {
					if name, ok := side.(*ast.Ident); ok && (name.Name == "secret" || name.Name == "sum" || name.Name == "known") {
						t.Errorf("%s is compared by an operator", name.Name)
					}
				}
			}
			return true
		})
		return false
	})
	if !found || hashed != 2 || compared != 1 {
		t.Errorf("find hashes %d times and compares %d times; want both the given and the known token hashed, and one comparison in constant time", hashed, compared)
	}
}

func is(e ast.Expr, pkg, name string) bool {
	s, ok := e.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	x, ok := s.X.(*ast.Ident)
	return ok && x.Name == pkg && s.Sel.Name == name
}
