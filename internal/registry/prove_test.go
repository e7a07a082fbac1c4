package registry

import (
	"bytes"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"maps"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/boatlift/boatlift/internal/trust/trusttest"
)

const (
	audience = "https://boatlift.acme.io/hooks/google"
	account  = "boatlift-push@acme-prod.iam.gserviceaccount.com"
	jwks     = "https://www.googleapis.com/oauth2/v3/certs"
	topic    = "arn:aws:sns:eu-west-1:123456789012:ecr-events"
	certURL  = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0000000000000000000000000000000.pem"
)

// noon is when tokens and certificates of the tests are valid.
var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// rsaKeys are the sender's and a stranger's; making them takes long.
var rsaKeys = sync.OnceValue(func() [2]*rsa.PrivateKey {
	var keys [2]*rsa.PrivateKey
	for i := range keys {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		keys[i] = key
	}
	return keys
})

// newWorld has Google's keys and the certificate of SNS.
func newWorld(t testing.TB) *trusttest.Web {
	t.Helper()
	key := &rsaKeys()[0].PublicKey
	set, err := json.Marshal(map[string]any{"keys": []any{
		map[string]string{"kty": "EC", "kid": "other"},
		map[string]string{"kty": "RSA", "kid": "k1", "alg": "RS256", "use": "sig", "n": base64.RawURLEncoding.EncodeToString(key.N.Bytes()), "e": "AQAB"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return &trusttest.Web{Pages: map[string]trusttest.Page{
		jwks:    {Status: http.StatusOK, Body: string(set)},
		certURL: {Status: http.StatusOK, Body: certificate(t, rsaKeys()[0], noon.Add(-time.Hour), noon.Add(time.Hour))},
	}}
}

func certificate(t testing.TB, key *rsa.PrivateKey, from, to time.Time) string {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sns.amazonaws.com"}, NotBefore: from, NotAfter: to}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// endpointFor is what is configured of a type in tests, besides the secret.
func endpointFor(t testing.TB, name string, w *trusttest.Web) Endpoint {
	t.Helper()
	e := Endpoint{Transport: w, Now: func() time.Time { return noon }}
	switch name {
	case "google-artifact-registry":
		e.Settings = map[string]string{"audience": audience, "email": account}
	case "ecr":
		e.Settings = map[string]string{"topics": topic}
	case "nexus", "zot":
		e.Host = "registry.example.com"
	case "artifactory":
		e.Settings = map[string]string{"alias": "docker-remote-cache=docker"}
	}
	return e
}

// sender is a configured endpoint of the type.
func sender(t testing.TB, name, secret string) Sender {
	t.Helper()
	return senderWith(t, name, secret, endpointFor(t, name, newWorld(t)))
}

func senderWith(t testing.TB, name, secret string, endpoint Endpoint) Sender {
	t.Helper()
	kind, err := Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	endpoint.Secret = []byte(secret)
	s, err := NewSender(kind, endpoint)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// prove is the sender of a body, and the body's request with a proof that it accepts.
func prove(t testing.TB, one body) (Sender, Request) {
	t.Helper()
	request := one.request
	request.Header = request.Header.Clone()
	s := sender(t, one.sender, one.secret)
	switch {
	case s.Secrecy() == InPath:
		request.Path = one.secret
	case one.sender == "google-artifact-registry":
		request.Header.Set("Authorization", "Bearer "+token(t, rsaKeys()[0], "k1", nil))
	case fromSNS(request):
		request.Body = signSNS(t, rsaKeys()[0], request.Body, nil)
	}
	return s, request
}

// token is one of Google's, with other claims put over the right ones.
func token(t testing.TB, key *rsa.PrivateKey, id string, other map[string]any) string {
	t.Helper()
	claims := map[string]any{
		"aud": audience, "azp": "113774264463038321964", "email": account, "sub": "113774264463038321964", "email_verified": true,
		"exp": noon.Add(time.Hour).Unix(), "iat": noon.Unix(), "iss": "https://accounts.google.com",
	}
	maps.Copy(claims, other)
	unsigned := encode(t, map[string]any{"alg": "RS256", "kid": id, "typ": "JWT"}) + "." + encode(t, claims)
	sum := sha256.Sum256([]byte(unsigned))
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return unsigned + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func encode(t testing.TB, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// signSNS signs a message, with other fields put over its own before that.
func signSNS(t testing.TB, key *rsa.PrivateKey, body []byte, other map[string]any) []byte {
	t.Helper()
	var fields map[string]any
	if err := json.Unmarshal(body, &fields); err != nil {
		t.Fatal(err)
	}
	maps.Copy(fields, other)
	text, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	var message snsMessage
	if err := json.Unmarshal(text, &message); err != nil {
		t.Fatal(err)
	}
	signed, _ := message.signed()
	algorithm, hash := crypto.SHA1, sha1.New()
	if message.SignatureVersion == "2" {
		algorithm, hash = crypto.SHA256, sha256.New()
	}
	hash.Write([]byte(signed))
	signature, err := rsa.SignPKCS1v15(nil, key, algorithm, hash.Sum(nil))
	if err != nil {
		t.Fatal(err)
	}
	fields["Signature"] = base64.StdEncoding.EncodeToString(signature)
	if text, err = json.Marshal(fields); err != nil {
		t.Fatal(err)
	}
	return text
}

// forgeries are what a stranger may try with a request of the type, none of which may be proved.
func forgeries(t testing.TB, one body, right Request) map[string]func(*Request) {
	t.Helper()
	kind, err := Lookup(one.sender)
	if err != nil {
		t.Fatal(err)
	}
	switch header := map[string]string{"ghcr": "X-Hub-Signature-256", "gitea": "X-Gitea-Signature", "nexus": "X-Nexus-Webhook-Signature", "artifactory": "X-JFrog-Event-Auth"}[one.sender]; {
	case kind.secrecy(Endpoint{Settings: map[string]string{"proof": "path"}}) == InPath && one.sender != "acr":
		return forgedPaths(one)
	case fromSNS(right):
		return forgedMessages(t, one)
	case one.sender == "google-artifact-registry":
		return forgedTokens(t)
	case header != "":
		right.Header.Del("X-Forgejo-Signature") // which does as well
		forge := forgedHeaders(one, right, header)
		empty := hmac.New(sha256.New, nil)
		if one.sender == "nexus" {
			empty = hmac.New(sha1.New, nil)
		}
		empty.Write(one.request.Body)
		prefix := ""
		if strings.HasPrefix(right.Header.Get(header), "sha256=") {
			prefix = "sha256="
			forge["no scheme"] = func(r *Request) { r.Header.Set(header, right.Header.Get(header)[7:]) }
		}
		forge["signed with nothing"] = func(r *Request) { r.Header.Set(header, prefix+hex.EncodeToString(empty.Sum(nil))) }
		forge["another body"] = func(r *Request) { r.Body = append(bytes.Clone(r.Body), ' ') }
		forge["only SHA-1"] = func(r *Request) {
			r.Header.Del(header)
			r.Header.Set("X-Hub-Signature", "sha1="+hex.EncodeToString(make([]byte, 20)))
		}
		return forge
	case one.sender == "ecr":
		return forgedHeaders(one, right, "X-Api-Key")
	}
	return forgedHeaders(one, right, "Authorization")
}

func forgedHeaders(one body, request Request, header string) map[string]func(*Request) {
	right := request.Header.Get(header)
	name := http.CanonicalHeaderKey(header)
	forge := map[string]func(*Request){
		"no proof":         func(r *Request) { r.Header.Del(header) },
		"empty":            func(r *Request) { r.Header.Set(header, "") },
		"only the scheme":  func(r *Request) { r.Header.Set(header, right[:7]) },
		"scheme and space": func(r *Request) { r.Header.Set(header, "Bearer ") },
		"basic of nothing": func(r *Request) { r.Header.Set(header, "Basic Og==") },
		"one byte more":    func(r *Request) { r.Header.Set(header, right+"0") },
		"one byte less":    func(r *Request) { r.Header.Set(header, right[:len(right)-1]) },
		"another byte":     func(r *Request) { r.Header.Set(header, right[:len(right)-1]+"~") },
		"twice":            func(r *Request) { r.Header[name] = []string{right, right} },
		"in the path":      func(r *Request) { r.Header.Del(header); r.Path = one.secret },
		"the secret alone": func(r *Request) { r.Header.Set(header, one.secret) },
	}
	switch one.sender { // which accept it so
	case "harbor", "zot", "acr", "ecr":
		delete(forge, "the secret alone")
	}
	return forge
}

func forgedPaths(one body) map[string]func(*Request) {
	path := func(path string) func(*Request) { return func(r *Request) { r.Path = path } }
	return map[string]func(*Request){
		"no proof":      path(""),
		"a slash":       path("/"),
		"one byte more": path(one.secret + "0"),
		"one byte less": path(one.secret[:len(one.secret)-1]),
		"another byte":  path(one.secret[:len(one.secret)-1] + "~"),
		"more below":    path(one.secret + "/x"),
		"in a header": func(r *Request) {
			r.Path = ""
			r.Header.Set("Authorization", "Bearer "+one.secret)
		},
		"in the query": func(r *Request) {
			r.Path = ""
			r.Query = map[string][]string{"access_token": {one.secret}}
		},
	}
}

func forgedTokens(t testing.TB) map[string]func(*Request) {
	t.Helper()
	ours, theirs := rsaKeys()[0], rsaKeys()[1]
	bearer := func(value string) func(*Request) {
		return func(r *Request) { r.Header.Set("Authorization", "Bearer "+value) }
	}
	claim := func(name string, value any) func(*Request) {
		return bearer(token(t, ours, "k1", map[string]any{name: value}))
	}
	right := token(t, ours, "k1", nil)
	unsigned := strings.Join([]string{encode(t, map[string]any{"alg": "none", "kid": "k1"}), strings.Split(right, ".")[1], ""}, ".")
	symmetric := encode(t, map[string]any{"alg": "HS256", "kid": "k1"}) + "." + strings.Split(right, ".")[1]
	mac := hmac.New(sha256.New, x509.MarshalPKCS1PublicKey(&ours.PublicKey))
	mac.Write([]byte(symmetric))
	parts := strings.Split(right, ".")
	return map[string]func(*Request){
		"no proof":             func(r *Request) { r.Header.Del("Authorization") },
		"not Bearer":           func(r *Request) { r.Header.Set("Authorization", "Basic "+right) },
		"twice":                func(r *Request) { r.Header["Authorization"] = []string{"Bearer " + right, "Bearer " + right} },
		"empty":                bearer(""),
		"no token":             bearer("abc"),
		"too long":             bearer(strings.Repeat("a", 1<<20) + ".b.c"),
		"unsigned":             bearer(unsigned),
		"symmetric":            bearer(symmetric + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))),
		"a stranger's key":     bearer(token(t, theirs, "k1", nil)),
		"an unknown key":       bearer(token(t, theirs, "k2", nil)),
		"no key":               bearer(token(t, ours, "", nil)),
		"the key of another":   bearer(token(t, ours, "other", nil)),
		"a cut signature":      bearer(right[:len(right)-4]),
		"other claims":         bearer(parts[0] + "." + encode(t, map[string]any{"aud": audience}) + "." + parts[2]),
		"as JSON":              bearer(`{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `.."}`),
		"another audience":     claim("aud", "https://elsewhere.io"),
		"no audience":          claim("aud", ""),
		"another account":      claim("email", "stranger@elsewhere.iam.gserviceaccount.com"),
		"no account":           claim("email", ""),
		"not verified":         claim("email_verified", false),
		"verified by a string": claim("email_verified", "true"),
		"verified by nothing":  claim("email_verified", nil),
		"expired":              claim("exp", noon.Add(-time.Second).Unix()),
		"never expires":        claim("exp", nil),
		"not yet":              claim("nbf", noon.Add(time.Hour).Unix()),
		"another issuer":       claim("iss", "https://accounts.elsewhere.io"),
	}
}

func forgedMessages(t testing.TB, one body) map[string]func(*Request) {
	t.Helper()
	ours, theirs := rsaKeys()[0], rsaKeys()[1]
	with := func(other map[string]any) func(*Request) {
		return func(r *Request) { r.Body = signSNS(t, ours, one.request.Body, other) }
	}
	after := func(name string, value any) func(*Request) { // the signature
		return func(r *Request) {
			var fields map[string]any
			if err := json.Unmarshal(signSNS(t, ours, one.request.Body, nil), &fields); err != nil {
				t.Fatal(err)
			}
			fields[name] = value
			r.Body, _ = json.Marshal(fields)
		}
	}
	cert := func(address string) func(*Request) { return with(map[string]any{"SigningCertURL": address}) }
	const path = "/SimpleNotificationService-0000000000000000000000000000000.pem"
	return map[string]func(*Request){
		"a stranger's key":      func(r *Request) { r.Body = signSNS(t, theirs, one.request.Body, nil) },
		"the placeholder":       func(r *Request) { r.Body = one.request.Body },
		"another message":       after("Message", "{}"),
		"another id":            after("MessageId", "x"),
		"another time":          after("Timestamp", "2026-03-02T09:15:06.123Z"),
		"another topic":         after("TopicArn", "arn:aws:sns:eu-west-1:123456789012:others"),
		"no signature":          after("Signature", ""),
		"signature version 3":   after("SignatureVersion", "3"),
		"signature version 1.0": after("SignatureVersion", "1.0"),
		"a type as a number":    after("Type", 7),
		"an unknown type":       with(map[string]any{"Type": "Message"}),
		"a stranger's topic":    with(map[string]any{"TopicArn": "arn:aws:sns:eu-west-1:999999999999:ecr-events"}),
		"two topics":            with(map[string]any{"TopicArn": topic + "," + topic}),
		"delivered raw":         func(r *Request) { r.Header.Set("X-Amz-Sns-Rawdelivery", "true") },
		"elsewhere":             cert("https://elsewhere.io" + path),
		"a host below":          cert("https://sns.eu-west-1.amazonaws.com.elsewhere.io" + path),
		"a host above":          cert("https://elsewhere.sns.eu-west-1.amazonaws.com" + path),
		"another service":       cert("https://s3.eu-west-1.amazonaws.com" + path),
		"no region":             cert("https://sns.amazonaws.com" + path),
		"plain http":            cert("http://sns.eu-west-1.amazonaws.com" + path),
		"with a user":           cert("https://sns.eu-west-1.amazonaws.com@elsewhere.io" + path),
		"another port":          cert("https://sns.eu-west-1.amazonaws.com:8443" + path),
		"another path":          cert("https://sns.eu-west-1.amazonaws.com/x.pem"),
		"a path with dots":      cert("https://sns.eu-west-1.amazonaws.com/../SimpleNotificationService-00000000.pem"),
		"with a query":          cert("https://sns.eu-west-1.amazonaws.com" + path + "?x=y"),
		"a call of SNS":         cert("https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=x"),
		"no certificate there":  cert("https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-1111111111111111.pem"),
		"no certificate":        cert(""),
		"no JSON":               func(r *Request) { r.Body = []byte("x") },
	}
}
