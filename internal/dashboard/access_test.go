package dashboard

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func guarded(now func() time.Time) *Guard {
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(actor(r, "somebody else") + " as " + role(r)))
	})
	return NewGuard([]Token{
		{Name: "grafana", Role: Read, Secret: []byte("read-secret")}, {Name: "release manager", Role: Operate, Secret: []byte("operate-secret")},
	}, echo, now)
}

func ask(g *Guard, method, token, peer string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "/api/v1/status", nil)
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

func TestGuessingIsSlowedDownForTheGuesserOnly(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	g := guarded(func() time.Time { return now })
	for range mostWrong {
		ask(g, "GET", "Bearer wrong", "192.0.2.1")
	}
	blocked := ask(g, "GET", "Bearer read-secret", "192.0.2.1")
	if blocked.Code != http.StatusTooManyRequests || blocked.Header().Get("Retry-After") == "" {
		t.Errorf("after %d guesses the answer is %d with Retry-After %q, want 429 and a time", mostWrong, blocked.Code, blocked.Header().Get("Retry-After"))
	}
	if got := ask(g, "GET", "Bearer read-secret", "192.0.2.2").Code; got != 200 {
		t.Errorf("somebody else is answered %d, want 200", got)
	}
	now = now.Add(wrongWindow)
	if got := ask(g, "GET", "Bearer read-secret", "192.0.2.1").Code; got != 200 {
		t.Errorf("when the time is over the answer is %d, want 200", got)
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
