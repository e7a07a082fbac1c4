package registry

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestPing(t *testing.T) {
	for _, realm := range []string{"", "/token"} {
		r := newRig(t)
		var password atomic.Value
		password.Store("hunter2-hunter2")
		if realm != "" {
			realm = "http://" + r.host + realm
		}
		r.serve(asking(r, &password, realm))
		for name, test := range map[string]struct {
			credentials map[string]Credential
			login       bool
			refused     bool
		}{
			"right":     {map[string]Credential{r.host: {Username: "bot", Renewed: func() []byte { return []byte("hunter2-hunter2") }}}, true, false},
			"wrong":     {map[string]Credential{r.host: {Username: "bot", Password: "wrong-wrong"}}, false, true},
			"anonymous": {nil, false, false},
		} {
			pong, err := newTestClient(t, Options{Credentials: test.credentials}).Ping(t.Context(), r.host)
			var refused *UnauthorizedError
			if errors.As(err, &refused) != test.refused || !test.refused && err != nil || pong.Login != test.login {
				t.Errorf("realm %q, %s: Ping = %+v, %v", realm, name, pong, err)
			}
			if !test.refused && (pong.Took <= 0 || test.login && time.Since(pong.Clock).Abs() > time.Minute) {
				t.Errorf("realm %q, %s: Ping = %+v; want how long it took, and the registry's clock", realm, name, pong)
			}
		}
	}
}

func TestPingOfWhatIsNoRegistry(t *testing.T) {
	r := newRig(t)
	for name, handler := range map[string]http.HandlerFunc{
		"a web server": func(w http.ResponseWriter, _ *http.Request) { http.NotFound(w, nil) },
		"a down one":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
	} {
		r.serve(handler)
		var unavailable *UnavailableError
		if pong, err := newTestClient(t, Options{}).Ping(t.Context(), r.host); !errors.As(err, &unavailable) {
			t.Errorf("%s: Ping = %+v, %v; want it unavailable", name, pong, err)
		}
	}
	for _, host := range []string{"", "https://registry.acme.io", "registry.acme.io/x"} {
		if _, err := newTestClient(t, Options{}).Ping(t.Context(), host); err == nil {
			t.Errorf("Ping of %q: no error", host)
		}
	}
}

func TestAPasswordThatMayChangeIsScrubbedToo(t *testing.T) {
	c := newTestClient(t, Options{Credentials: map[string]Credential{"a.io": {Username: "bot", Renewed: func() []byte { return []byte("hunter2-hunter2") }}}})
	if text := c.scrub(errors.New("refused bot:hunter2-hunter2 at once")); strings.Contains(text, "hunter2") {
		t.Errorf("scrub leaves %q", text)
	}
}
