package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/boatlift/boatlift/internal/image"
)

// asking asks for a password, as Basic or by a token of realm.
func asking(r *rig, password *atomic.Value, realm string) http.HandlerFunc {
	return func(w http.ResponseWriter, request *http.Request) {
		user, pass, basic := request.BasicAuth()
		right := basic && user == "bot" && pass == password.Load()
		switch {
		case realm == "" && right, request.Header.Get("Authorization") == "Bearer granted":
			r.inner.ServeHTTP(w, request)
			return
		case request.URL.Path == "/token" && right:
			fmt.Fprint(w, `{"token":"granted"}`)
			return
		}
		if realm == "" {
			w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
		} else {
			w.Header().Set("WWW-Authenticate", `Bearer realm="`+realm+`",service="registry"`)
		}
		w.WriteHeader(http.StatusUnauthorized)
	}
}

func TestCredentials(t *testing.T) {
	for _, realm := range []string{"", "/token"} {
		r := newRig(t)
		want := r.push(t, "shop/web", "1", anImage(t))
		var password atomic.Value
		password.Store("hunter2-hunter2")
		if realm != "" {
			realm = "http://" + r.host + realm
		}
		r.serve(asking(r, &password, realm))
		for _, test := range []struct {
			credentials map[string]Credential
			right       bool
		}{
			{map[string]Credential{r.host: {Username: "bot", Password: "hunter2-hunter2"}}, true},
			{map[string]Credential{strings.ToUpper(r.host): {Username: "bot", Password: "hunter2-hunter2"}}, true},
			{map[string]Credential{r.host: {Username: "bot", Password: "wrong-wrong"}}, false},
			{map[string]Credential{"other.acme.io": {Username: "bot", Password: "hunter2-hunter2"}}, false},
			{nil, false},
		} {
			got, err := newTestClient(t, Options{Credentials: test.credentials}).Resolve(t.Context(), r.name("shop/web"), "1")
			if test.right {
				if err != nil || got != want {
					t.Errorf("realm %q: Resolve = %s, %v; want %s", realm, got, err, want)
				}
				continue
			}
			var refused *UnauthorizedError
			if !errors.As(err, &refused) || !strings.Contains(refused.Hint(), r.host) {
				t.Errorf("realm %q: Resolve = %s, %v; want an UnauthorizedError", realm, got, err)
				continue
			}
			if text := err.Error() + refused.Hint(); strings.Contains(text, "hunter2") || strings.Contains(text, "wrong-wrong") {
				t.Errorf("realm %q: error %q has a password", realm, text)
			}
		}
	}
}

func TestToken(t *testing.T) {
	r := newRig(t)
	want := r.push(t, "shop/web", "1", anImage(t))
	var none atomic.Value
	r.serve(asking(r, &none, "http://"+r.host+"/token"))
	got, err := newTestClient(t, Options{Credentials: map[string]Credential{r.host: {Token: "granted"}}}).Resolve(t.Context(), r.name("shop/web"), "1")
	if err != nil || got != want {
		t.Errorf("Resolve = %s, %v; want %s", got, err, want)
	}
}

func TestRotatedPassword(t *testing.T) {
	r := newRig(t)
	want := r.push(t, "shop/web", "1", anImage(t))
	var password, now atomic.Value
	password.Store("old")
	now.Store(time.Unix(0, 0))
	r.serve(asking(r, &password, ""))
	client := newTestClient(t, Options{
		Credentials: map[string]Credential{r.host: {Username: "bot", Renewed: func() []byte { return []byte(password.Load().(string)) }}},
		Now:         func() time.Time { return now.Load().(time.Time) },
	})
	if _, err := client.Resolve(t.Context(), r.name("shop/web"), "1"); err != nil {
		t.Fatal(err)
	}
	password.Store("new")
	var refused *UnauthorizedError
	if _, err := client.Resolve(t.Context(), r.name("shop/web"), "1"); !errors.As(err, &refused) {
		t.Fatalf("Resolve at once = %v; want an UnauthorizedError", err)
	}
	now.Store(time.Unix(61, 0))
	if got, err := client.Resolve(t.Context(), r.name("shop/web"), "1"); err != nil || got != want {
		t.Errorf("Resolve a minute later = %s, %v; want %s", got, err, want)
	}
}

func TestRealmOfAnotherHostGetsNoPassword(t *testing.T) {
	r := newRig(t)
	var leaked atomic.Bool
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, request *http.Request) {
		leaked.Store(true)
	}))
	t.Cleanup(other.Close)
	for _, realm := range []string{other.URL + "/token", "http://registry.evil.example/token", "http://169.254.169.254/latest", "file:///etc/passwd"} {
		var password atomic.Value
		password.Store("hunter2-hunter2")
		r.serve(asking(r, &password, realm))
		client := newTestClient(t, Options{Credentials: map[string]Credential{r.host: {Username: "bot", Password: "hunter2-hunter2"}}})
		_, err := client.Resolve(t.Context(), r.name("shop/web"), "1")
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("realm %s: %v; want an error without the password", realm, err)
		}
	}
	if leaked.Load() {
		t.Error("another host than the registry was asked for a token in clear text")
	}
}

func TestRedirectToAnotherHostCarriesNoPassword(t *testing.T) {
	r := newRig(t)
	want := r.push(t, "shop/web", "1", anImage(t))
	var leaked atomic.Bool
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		leaked.Store(leaked.Load() || request.Header.Get("Authorization") != "")
		r.inner.ServeHTTP(w, request)
	}))
	t.Cleanup(other.Close)
	r.serve(func(w http.ResponseWriter, request *http.Request) {
		if user, _, _ := request.BasicAuth(); user != "bot" {
			w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if request.URL.Path == "/v2/" {
			return
		}
		http.Redirect(w, request, strings.Replace(other.URL, "127.0.0.1", "localhost", 1)+request.URL.Path, http.StatusTemporaryRedirect)
	})
	client := newTestClient(t, Options{Credentials: map[string]Credential{r.host: {Username: "bot", Password: "hunter2"}}})
	got, err := client.Resolve(t.Context(), r.name("shop/web"), "1")
	if err != nil || got != want || leaked.Load() {
		t.Errorf("Resolve = %s, %v, password sent on: %v; want %s without", got, err, leaked.Load(), want)
	}
}

// roundTrip is a network in a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }

func TestPlainHTTP(t *testing.T) {
	digest := "sha256:" + strings.Repeat("a", 64)
	for _, test := range []struct {
		host    string
		allowed []string
		want    bool
	}{
		{"localhost:5000", nil, true},
		{"localhost", nil, true},
		{"127.0.0.1:5000", nil, true},
		{"127.0.0.2:5000", nil, true},
		{"[::1]:5000", nil, true},
		{"10.0.0.5:5000", nil, false}, // go-containerregistry would
		{"192.168.1.2", nil, false},
		{"registry.localhost:5000", nil, false},
		{"registry.acme.io", nil, false},
		{"localhost.evil.example", nil, false},
		{"10.0.0.5:5000", []string{"10.0.0.5:5000"}, true},
		{"registry.acme.io", []string{"Registry.Acme.io"}, true},
		{"registry.acme.io:5000", []string{"registry.acme.io"}, false},
	} {
		client := newTestClient(t, Options{
			PlainHTTP:   test.allowed,
			Credentials: map[string]Credential{test.host: {Username: "bot", Password: "hunter2"}},
			Transport: roundTrip(func(request *http.Request) (*http.Response, error) {
				if request.URL.Scheme == "https" {
					return nil, errors.New("http: server gave HTTP response to HTTPS client")
				}
				if !test.want {
					t.Errorf("%s was asked over plain http: %s", test.host, request.URL)
				}
				header := http.Header{"Content-Type": {string(types.OCIManifestSchema1)}, "Docker-Content-Digest": {digest}}
				return &http.Response{StatusCode: http.StatusOK, Header: header, Body: http.NoBody, ContentLength: 2, Request: request}, nil
			}),
		})
		got, err := client.Resolve(t.Context(), image.Name(test.host+"/shop/web"), "1")
		if test.want {
			if err != nil || string(got) != digest {
				t.Errorf("%s: Resolve = %s, %v; want %s", test.host, got, err, digest)
			}
			continue
		}
		var unavailable *UnavailableError
		if !errors.As(err, &unavailable) || !strings.Contains(unavailable.Hint(), "insecure: true") {
			t.Errorf("%s: %v; want an UnavailableError with a hint", test.host, err)
		}
	}
}

func TestDockerHubIsAskedByItsOwnName(t *testing.T) {
	var asked, user string
	client := newTestClient(t, Options{
		Credentials: map[string]Credential{"docker.io": {Username: "bot", Password: "hunter2"}},
		Transport: roundTrip(func(request *http.Request) (*http.Response, error) {
			header := http.Header{"Content-Type": {string(types.OCIManifestSchema1)}, "Docker-Content-Digest": {"sha256:" + strings.Repeat("a", 64)}}
			status := http.StatusOK
			if request.URL.Path == "/v2/" {
				header.Set("WWW-Authenticate", `Basic realm="registry"`)
				status = http.StatusUnauthorized
			} else {
				asked = request.URL.String()
				user, _, _ = request.BasicAuth()
			}
			return &http.Response{StatusCode: status, Header: header, Body: http.NoBody, ContentLength: 2, Request: request}, nil
		}),
	})
	if _, err := client.Resolve(t.Context(), "docker.io/library/nginx", "1.27"); err != nil {
		t.Fatal(err)
	}
	if asked != "https://index.docker.io/v2/library/nginx/manifests/1.27" || user != "bot" {
		t.Errorf("asked %s as %q", asked, user)
	}
}

func TestNothingPrintsACredential(t *testing.T) {
	credential := Credential{Username: "bot", Password: "hunter2", Token: "hunter3"}
	text, err := json.Marshal(map[string]any{"a": credential, "b": &credential})
	if err != nil {
		t.Fatal(err)
	}
	options := Options{Credentials: map[string]Credential{"a.io": credential}}
	all := fmt.Sprintf("%v %+v %#v %s %v %+v %#v", credential, credential, credential, credential, options, &options, options) + string(text) + credential.LogValue().String()
	if strings.Contains(all, "hunter") {
		t.Errorf("printed: %s", all)
	}
	client := newTestClient(t, options)
	for _, err := range []error{
		&url.Error{Op: "Get", URL: "https://a.io/x?sig=hunter2", Err: errors.New("dial https://bot:hunter2@a.io/?X-Amz-Signature=abc: no\nhunter3")},
		errors.New("password hunter2 or token hunter3 is wrong"),
		errors.New("bad \x1b[31m text é"),
	} {
		if got := client.scrub(err); strings.Contains(got, "hunter") || strings.Contains(got, "Amz") || strings.ContainsAny(got, "\n\x1b") {
			t.Errorf("scrubbed: %q", got)
		}
	}
}

// Nobody is asked anonymously where a login fails: the answer would only hide why.
func TestALoginThatFailsIsTheReason(t *testing.T) {
	r := newRig(t)
	r.push(t, "shop/web", "1", anImage(t))
	r.requests()
	client := newTestClient(t, Options{Helpers: map[string]string{r.host: "ecr"}})
	_, err := client.Resolve(t.Context(), r.name("shop/web"), "1")
	var unavailable *UnavailableError
	if !errors.As(err, &unavailable) || !strings.Contains(err.Error(), "log in to "+r.host+" by ecr: it is no registry of that cloud") || unavailable.Hint() == "" {
		t.Errorf("Resolve = %v; want why nobody could log in, and what to do", err)
	}
	for _, request := range r.requests() {
		if strings.Contains(request, "shop/web") {
			t.Errorf("the registry was asked %s", request)
		}
	}
	if _, err := NewClient(Options{Helpers: map[string]string{"a.io": "aws"}}); err == nil {
		t.Error("a helper that does not exist is taken")
	}
	if _, err := NewClient(Options{Helpers: map[string]string{"not a host": "ecr"}}); err == nil {
		t.Error("a host that is none is taken")
	}
}
