package registry

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSettings(t *testing.T) {
	google := map[string]string{"audience": audience, "email": account}
	with := func(base map[string]string, name, value string) map[string]string {
		all := map[string]string{name: value}
		for n, v := range base {
			if n != name {
				all[n] = v
			}
		}
		return all
	}
	for _, test := range []struct {
		kind, secret string
		settings     map[string]string
		wrong        string // the setting; empty where all is right
	}{
		{"google-artifact-registry", "", google, ""},
		{"google-artifact-registry", "", map[string]string{"audience": audience}, "email"},
		{"google-artifact-registry", "", map[string]string{"email": account}, "audience"},
		{"google-artifact-registry", "", with(google, "audience", " "), "audience"},
		{"google-artifact-registry", "", with(google, "email", "somebody"), "email"},
		{"google-artifact-registry", "", with(google, "email", "a@b, c@d"), "email"},
		{"google-artifact-registry", "", with(google, "jwks", "https://keys.acme.io/certs"), ""},
		{"google-artifact-registry", "", with(google, "jwks", "http://keys.acme.io/certs"), "jwks"},
		{"google-artifact-registry", "", with(google, "jwks", "https://user@keys.acme.io/certs"), "jwks"},
		{"google-artifact-registry", "", with(google, "issuer", "accounts.google.com"), "issuer"},
		{"google-artifact-registry", "", with(google, "issue", "x"), "issue"},
		{"distribution", "s3cret", map[string]string{"mode": "hmac"}, "mode"},
		{"distribution", "s3cret", map[string]string{}, ""},
		{"artifactory", "s3cret", map[string]string{"mode": "hmac"}, ""},
		{"artifactory", "s3cret", map[string]string{"mode": "secret"}, ""},
		{"artifactory", "s3cret", map[string]string{"mode": "either"}, "mode"},
		{"artifactory", "s3cret", map[string]string{"alias": "a=b, c=d.acme.io:5000/e, f=."}, ""},
		{"artifactory", "s3cret", map[string]string{"alias": "docker"}, "alias"},
		{"artifactory", "s3cret", map[string]string{"alias": "a="}, "alias"},
		{"artifactory", "s3cret", map[string]string{"alias": "a=b,"}, "alias"},
		{"artifactory", "s3cret", map[string]string{"alias": "a=../b"}, "alias"},
		{"artifactory", "s3cret", map[string]string{"alias": "a=https://b.io"}, "alias"},
		{"ecr", "s3cret", nil, ""},
		{"ecr", "", map[string]string{"topics": topic}, ""},
		{"ecr", "s3cret", map[string]string{"topics": topic + ", arn:aws-cn:sns:cn-north-1:123456789012:x.fifo"}, ""},
		{"ecr", "", map[string]string{"topics": "arn:aws:sqs:eu-west-1:123456789012:x"}, "topics"},
		{"ecr", "", map[string]string{"topics": "arn:aws:sns:eu-west-1.elsewhere.io:123456789012:x"}, "topics"},
		{"ecr", "", map[string]string{"topics": "*"}, "topics"},
		{"ecr", "s3cret", map[string]string{"header": "X Key"}, "header"},
		{"acr", "s3cret", nil, ""},
		{"acr", "s3cret", map[string]string{"header": "X-Boatlift"}, ""},
		{"acr", "s3cret", map[string]string{"header": "X-Boatlift: x"}, "header"},
		{"acr", "s3cret", map[string]string{"proof": "path"}, "secret"},
		{"acr", strongSecret, map[string]string{"proof": "path"}, ""},
		{"acr", strongSecret, map[string]string{"proof": "none"}, "proof"},
		{"acr-eventgrid", "s3cret", nil, "secret"},
		{"acr-eventgrid", "s3cret", map[string]string{"proof": "query"}, "secret"},
		{"acr-eventgrid", "s3cret", map[string]string{"proof": "header"}, ""},
		{"acr-eventgrid", strongSecret, map[string]string{"proof": "query"}, ""},
		{"cloudevents", "s3cret", map[string]string{"types": "com.acme.*,x"}, ""},
		{"cloudevents", "s3cret", map[string]string{"types": "[a"}, "types"},
		{"nexus", "s3cret", nil, "host"},
		{"zot", "s3cret", nil, "host"},
		{"dockerhub", "s3cret", nil, "secret"},
		{"quay", "s3cret", nil, "secret"},
		{"alibaba-acr", "s3cret", nil, "secret"},
		{"quay", strongSecret, nil, ""},
	} {
		kind, err := Lookup(test.kind)
		if err != nil {
			t.Fatal(err)
		}
		_, err = NewSender(kind, Endpoint{Secret: []byte(test.secret), Settings: test.settings})
		var setting *SettingError
		switch {
		case test.wrong == "" && err != nil:
			t.Errorf("NewSender(%s, %v) = %v; want none", test.kind, test.settings, err)
		case test.wrong != "" && (!errors.As(err, &setting) || setting.Setting != test.wrong || setting.Hint() == "" || !setting.Permanent()):
			t.Errorf("NewSender(%s, %v) = %v; want an error about %s, with a hint", test.kind, test.settings, err, test.wrong)
		case err != nil && test.secret != "" && strings.Contains(err.Error(), test.secret):
			t.Errorf("NewSender(%s): %v has the secret", test.kind, err)
		}
	}
	_, err := NewSender(ecr(), Endpoint{Host: "a b", Settings: map[string]string{"x\n": "1", "y": "2"}})
	if err == nil || strings.Count(err.Error(), "\n") < 3 {
		t.Errorf("NewSender of much that is wrong = %v; want all of it", err)
	}
}

func TestGuessable(t *testing.T) {
	for secret, want := range map[string]bool{
		"9f2b7c64d8e15a03f7c2b96e41d8530a":             false, // openssl rand -hex 16
		"9f2b7c64d8e15a03f7c2b96e41d8530":              true,  // 124 bits
		"9F2B7C64D8E15A03F7C2B96E41D8530A":             false,
		"kq3X-9_zPw7LmT2vRb8YcA":                       false, // 16 bytes, base64url
		"kq3X-9_zPw7LmT2vRb8Yc":                        true,
		"482916305728194630572819463057":               true, // 30 digits are 100 bits
		"482916305728194630572819463057281946305":      false,
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa": true,
		"abababababababababababababababababababababab": true,
		"registry webhook fixture secret with spaces":  true,
		"registry/webhook/fixture/secret/with/slashes": true,
		"registry-webhook-fixture-secret\n":            true,
		"":                                             true,
		"geheim-ü-geheim-ü-geheim-ü-geheim-ü":          true,
	} {
		if got := guessable([]byte(secret)) != ""; got != want {
			t.Errorf("guessable(%q) = %v; want %v", secret, got, want)
		}
	}
}

// A decoder needs nothing that proves, and proves nothing.
func TestNewDecoder(t *testing.T) {
	for _, name := range folders(t) {
		kind, err := Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		s, err := NewDecoder(kind, Endpoint{})
		if err != nil {
			t.Errorf("NewDecoder(%s) = %v; want one without any setting", name, err)
			continue
		}
		one := typicalBody(t, name)
		var unproved *ProofError
		if err := s.Verify(one.request); !errors.As(err, &unproved) {
			t.Errorf("decoder of %s proves a request: %v", name, err)
		}
		if answer, err := s.Answer(t.Context(), one.request); answer != nil || err != nil {
			t.Errorf("decoder of %s answers %v, %v", name, answer, err)
		}
		decoded, err := s.Decode(one.request)
		if err != nil || len(decoded.Pushes)+len(decoded.Ignored) != 1 {
			t.Errorf("decoder of %s: %+v, %v", name, decoded, err)
		}
		if _, err := NewDecoder(kind, Endpoint{Host: "a b"}); err == nil {
			t.Errorf("NewDecoder(%s) takes a host that is none", name)
		}
	}
}

// Nothing that prints or logs a sender, an endpoint or a request shows a secret.
func TestSecretsDoNotPrint(t *testing.T) {
	kind, err := Lookup("quay")
	if err != nil {
		t.Fatal(err)
	}
	endpoint := Endpoint{Secret: []byte(strongSecret)}
	s, err := NewSender(kind, endpoint)
	if err != nil {
		t.Fatal(err)
	}
	request := Request{
		Method: http.MethodPost, Path: strongSecret, Query: map[string][]string{"access_token": {strongSecret}},
		Header: http.Header{"Authorization": {strongSecret}}, Body: []byte(strongSecret),
	}
	asBytes := strings.Trim(fmt.Sprint([]byte(strongSecret)), "[]")
	var text strings.Builder
	log := slog.New(slog.NewTextHandler(&text, nil))
	for _, v := range []any{s, &s, endpoint, &endpoint, request, &request} {
		fmt.Fprintf(&text, "%v %+v %#v %s\n", v, v, v, v)
		log.Info("x", "v", v)
	}
	if got := text.String(); strings.Contains(got, strongSecret) || strings.Contains(got, asBytes) {
		t.Errorf("printed:\n%s", got)
	}
	for _, path := range []string{"", strongSecret[:31], strongSecret + "/"} {
		request.Path = path
		if err := s.Verify(request); err == nil || strings.Contains(fmt.Sprintf("%+v", err), strongSecret[:31]) {
			t.Errorf("path %q: %v", path, err)
		}
	}
}

// What people are told to configure, as golden files.
func TestSetup(t *testing.T) {
	configured := map[string][]map[string]string{
		"acr":                      {{}, {"proof": "path"}, {"header": "X-Boatlift-Secret"}},
		"acr-eventgrid":            {{}, {"proof": "query"}, {"proof": "header"}},
		"artifactory":              {{}, {"mode": "secret"}},
		"ecr":                      {{}, {"topics": topic}},
		"google-artifact-registry": {{"audience": audience, "email": account}, {}},
	}
	for _, name := range folders(t) {
		kind, err := Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		all := configured[name]
		if all == nil {
			all = []map[string]string{{}}
		}
		var got strings.Builder
		fmt.Fprintf(&got, "%s (%s)\nproof: %s\n", kind.Title, kind.Name, kind.Proof)
		for _, lack := range kind.Lacks {
			fmt.Fprintf(&got, "lacks: %s\n", lack)
		}
		for _, s := range kind.Settings {
			fmt.Fprintf(&got, "setting: %s: %s\n", s.Name, s.Says)
		}
		for _, settings := range all {
			s, err := NewDecoder(kind, Endpoint{Settings: settings})
			if err != nil {
				t.Fatal(err)
			}
			text := s.Setup(Guide{Name: "images", URL: "https://boatlift.acme.io/hooks/images", Secret: "THE-SECRET"})
			fmt.Fprintf(&got, "\n--- %v\n%s", settings, text)
			if !strings.Contains(text, "https://boatlift.acme.io/hooks/images") || strings.ContainsAny(text, "{}") && strings.Contains(text, "{url}") {
				t.Errorf("setup of %s %v does not name the address:\n%s", name, settings, text)
			}
			if used := s.Secrecy() != None; strings.Contains(text, "THE-SECRET") != (used && settings["topics"] == "") {
				t.Errorf("setup of %s %v: secret named %v", name, settings, !used)
			}
			if where := map[Secrecy]string{InPath: "/hooks/images/THE-SECRET", InQuery: "/hooks/images?access_token=THE-SECRET"}[s.Secrecy()]; !strings.Contains(text, where) {
				t.Errorf("setup of %s %v has no address with %s", name, settings, where)
			}
		}
		path := filepath.Join("testdata", "setup", name+".txt")
		if *update {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(got.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got.String() != string(want) {
			t.Errorf("setup of %s:\n%s\nwant:\n%s", name, got.String(), want)
		}
	}
}
