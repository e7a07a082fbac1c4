package github

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/wire"
)

func TestNewRefusesWhatCannotWork(t *testing.T) {
	good := Options{AppID: 1, PrivateKey: Fixed(testKey()), WebhookSecrets: only("s")}
	for name, change := range map[string]func(*Options){
		"no App":         func(o *Options) { o.AppID = 0 },
		"a negative App": func(o *Options) { o.AppID = -4 },
		"no key":         func(o *Options) { o.PrivateKey = nil },
		"a key that is none": func(o *Options) {
			o.PrivateKey = Fixed([]byte("-----BEGIN RSA PRIVATE KEY-----\nc2VjcmV0\n-----END RSA PRIVATE KEY-----\n"))
		},
		"an empty secret":        func(o *Options) { o.WebhookSecrets = only("") },
		"no address":             func(o *Options) { o.BaseURL = "api.github.com" },
		"an unparsable address":  func(o *Options) { o.BaseURL = "https://u:hunter2@h:x/%zz" },
		"credentials in the URL": func(o *Options) { o.BaseURL = "https://user:hunter2@ghe.acme.io/api/v3" },
		"clear text":             func(o *Options) { o.BaseURL = "http://ghe.acme.io/api/v3" },
		"a query":                func(o *Options) { o.BaseURL = "https://ghe.acme.io/api/v3?x=1" },
		"another scheme":         func(o *Options) { o.BaseURL = "file:///etc" },
		"a server's pages":       func(o *Options) { o.BaseURL = "https://ghe.acme.io" },
		"a token beside the App": func(o *Options) { o.Token = Fixed([]byte("ghp_x")) },
		"an empty token":         func(o *Options) { o.AppID, o.PrivateKey, o.Token = 0, nil, Fixed(nil) },
		"no secret at all":       func(o *Options) { o.WebhookSecrets = nil },
		"one empty secret of two": func(o *Options) {
			o.WebhookSecrets = func() [][]byte { return [][]byte{[]byte("s"), nil} }
		},
	} {
		options := good
		change(&options)
		_, err := New(options)
		if err == nil {
			t.Errorf("New with %s: no error", name)
		} else if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "c2VjcmV0") {
			t.Errorf("New with %s: %v quotes a secret", name, err)
		}
	}
	if _, err := New(good); err != nil {
		t.Errorf("New: %v", err)
	}
}

func TestAddressesAreDerivedFromTheAPIs(t *testing.T) {
	for base, want := range map[string][]string{
		"": {"https://api.github.com/", "https://api.github.com/graphql", "https://uploads.github.com/", "https://github.com", "users.noreply.github.com"},
		"https://api.acme.ghe.com/": {
			"https://api.acme.ghe.com/", "https://api.acme.ghe.com/graphql", "https://uploads.acme.ghe.com/", "https://acme.ghe.com", "users.noreply.acme.ghe.com",
		},
		"https://ghe.acme.io/api/v3": {
			"https://ghe.acme.io/api/v3/", "https://ghe.acme.io/api/graphql", "https://ghe.acme.io/api/uploads/", "https://ghe.acme.io", "users.noreply.ghe.acme.io",
		},
		"https://ghe.acme.io:8443/api/v3/": {
			"https://ghe.acme.io:8443/api/v3/", "https://ghe.acme.io:8443/api/graphql", "https://ghe.acme.io:8443/api/uploads/", "https://ghe.acme.io:8443",
			"users.noreply.ghe.acme.io",
		},
		"http://127.0.0.1:4567/some/prefix/api/v3": {
			"http://127.0.0.1:4567/some/prefix/api/v3/", "http://127.0.0.1:4567/some/prefix/api/graphql", "http://127.0.0.1:4567/some/prefix/api/uploads/",
			"http://127.0.0.1:4567/some/prefix", "users.noreply.127.0.0.1",
		},
	} {
		f, err := New(Options{AppID: 1, PrivateKey: Fixed(testKey()), WebhookSecrets: only("s"), BaseURL: base})
		if err != nil {
			t.Errorf("New(%q): %v", base, err)
			continue
		}
		checkEqual(t, "addresses of "+base, []string{f.at.api.String(), f.at.graphql.String(), f.at.uploads.String(), f.at.web, f.at.mail}, want)
	}
}

func TestSelfIsTheBotsAccountWithItsOwnNumber(t *testing.T) {
	f := newFake(t)
	f.json("GET /app/installations", 200, `[{"id": 6, "suspended_at": "2026-01-01T00:00:00Z"}, {"id": 7}]`)
	f.json("GET /users/{login}", 200, `{"id": 99, "login": "boatlift[bot]", "type": "Bot"}`)
	for range 2 {
		self, err := f.forge.Self(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		checkEqual(t, "Self", self, forge.Identity{Login: "boatlift[bot]", Name: "boatlift[bot]", Email: "99+boatlift[bot]@users.noreply.127.0.0.1"})
	}
	checkEqual(t, "requests", f.count("GET /app "), 0)
	checkEqual(t, "requests for the account", f.count("GET /users/boatlift[bot]")+f.count("GET /users/boatlift%5Bbot%5D"), 1)
	checkEqual(t, "tokens", f.minted, 1)
}

func TestSelfOfAnAppThatIsInstalledNowhere(t *testing.T) {
	f := newFake(t)
	f.json("GET /app/installations", 200, `[]`)
	if _, err := f.forge.Self(t.Context()); !errors.Is(err, forge.ErrGone) {
		t.Errorf("Self: error %v; want ErrGone", err)
	}
}

func TestAWrongKeyIsGoneAndSaysWhatToDo(t *testing.T) {
	f := newFake(t)
	f.json("GET /app/installations", 401, `{"message": "A JSON web token could not be decoded"}`)
	_, err := f.forge.Repositories(t.Context())
	var hinted interface{ Hint() string }
	if !errors.Is(err, forge.ErrGone) || !errors.As(err, &hinted) || !strings.Contains(hinted.Hint(), "private key") {
		t.Errorf("Repositories: error %v; want ErrGone with a hint about the key", err)
	}
}

func TestTheAppSpeaksWithAJWTAndInstallationsWithTheirTokens(t *testing.T) {
	f := newFake(t)
	f.json("GET /repos/acme/infra/pulls/1", 200, pullJSON(1, ""))
	if _, err := f.forge.PullRequest(t.Context(), infra(), 1); err != nil {
		t.Fatal(err)
	}
	for _, r := range f.requests {
		switch {
		case strings.Contains(r.line, "/app") && !strings.HasPrefix(r.auth, "Bearer eyJ"):
			t.Errorf("%s is sent with %.10s…; want a JWT", r.line, r.auth)
		case strings.Contains(r.line, "/repos/") && r.auth != "token ghs_4242_secret.of.7.1":
			t.Errorf("%s is sent with %.10s…; want the installation's token", r.line, r.auth)
		}
		if r.agent != "boatlift" && !strings.Contains(r.line, "access_tokens") {
			t.Errorf("%s: user agent %q", r.line, r.agent)
		}
	}
}

func TestCloseGivesConnectionsBack(t *testing.T) {
	f, err := New(Options{AppID: 1, PrivateKey: Fixed(testKey()), WebhookSecrets: only("s")})
	if err != nil {
		t.Fatal(err)
	}
	transport, ok := f.base.(*wire.Answers).Next.(*http.Transport)
	if !ok || transport.ResponseHeaderTimeout == 0 || transport.TLSHandshakeTimeout == 0 || f.entry.(*app).client().Client().Timeout == 0 {
		t.Error("the default transport has no time-outs")
	}
	f.Close()
	checkEqual(t, "Name", f.Name(), "github")
}

func TestTheBotKnowsItselfThroughAnHourOfFailures(t *testing.T) {
	var mu sync.Mutex
	now := time.Now()
	f := newFakeWithout(t, "access_tokens")
	f.routes = http.NewServeMux()
	f.forge.clock = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	f.each("GET /app", says(200, `{"slug": "boatlift"}`), says(500, `{}`), says(200, `{"slug": "boatlift-acme"}`))
	for _, want := range []string{"boatlift[bot]", "boatlift[bot]", "boatlift-acme[bot]"} {
		self, err := f.forge.whoami(t.Context(), "test")
		if err != nil || self.Login != want {
			t.Errorf("whoami = %q, %v; want %q", self.Login, err, want)
		}
		mu.Lock()
		now = now.Add(61 * time.Minute)
		mu.Unlock()
	}
}
