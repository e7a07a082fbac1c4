package login

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const (
	amazonHost    = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
	googleHost    = "europe-docker.pkg.dev"
	microsoftHost = "acme.azurecr.io"
)

// cloud answers every request by its host and path, and keeps what was asked.
type cloud struct {
	mu    sync.Mutex
	pages map[string]func(r *http.Request, body string) (int, string)
	asked []string
}

func (c *cloud) RoundTrip(r *http.Request) (*http.Response, error) {
	body := ""
	if r.Body != nil {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		body = string(text)
	}
	c.mu.Lock()
	at := r.URL.Host + r.URL.Path
	c.asked = append(c.asked, at)
	page := c.pages[at]
	c.mu.Unlock()
	status, text := http.StatusNotFound, "{}"
	if page != nil {
		status, text = page(r, body)
	}
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(text)), Request: r}, nil
}

func (c *cloud) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.asked)
}

func says(status int, text string) func(*http.Request, string) (int, string) {
	return func(*http.Request, string) (int, string) { return status, text }
}

func helper(t *testing.T, name string, c *cloud, env map[string]string) *Helper {
	t.Helper()
	h, err := New(name, Options{Transport: c, Getenv: func(name string) string { return env[name] }})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// asNobody takes the machine's own identities away from the libraries that read the environment themselves.
func asNobody(t *testing.T) {
	t.Helper()
	none := filepath.Join(t.TempDir(), "none")
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "", "AWS_CONFIG_FILE": none,
		"AWS_SHARED_CREDENTIALS_FILE": none, "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "",
		"AWS_CONTAINER_CREDENTIALS_FULL_URI": "", "AWS_WEB_IDENTITY_TOKEN_FILE": "", "AWS_ROLE_ARN": "", "AWS_ENDPOINT_URL": "", "AWS_CA_BUNDLE": "", "HOME": filepath.Dir(none),
	} {
		t.Setenv(name, value)
	}
}

func TestAmazon(t *testing.T) {
	asNobody(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret-of-amazon")
	end := time.Now().Add(12 * time.Hour).Truncate(time.Second)
	c := &cloud{pages: map[string]func(*http.Request, string) (int, string){
		"api.ecr.eu-west-1.amazonaws.com/": func(r *http.Request, _ string) (int, string) {
			if !strings.Contains(r.Header.Get("Authorization"), "AKIDEXAMPLE") || !strings.HasSuffix(r.Header.Get("X-Amz-Target"), "GetAuthorizationToken") {
				t.Errorf("asked with %v", r.Header)
			}
			return 200, fmt.Sprintf(`{"authorizationData":[{"authorizationToken":%q,"expiresAt":%d}]}`, base64.StdEncoding.EncodeToString([]byte("AWS:pass:word")), end.Unix())
		},
	}}
	h := helper(t, ECR, c, nil)
	for range 3 {
		got, err := h.Credential(t.Context(), amazonHost)
		if err != nil || got.Username != "AWS" || got.Password != "pass:word" || !got.Expires.Equal(end) {
			t.Fatalf("Credential() = %s %s %v, %v", got.Username, got.Password, got.Expires, err)
		}
	}
	if n := c.count(); n != 1 {
		t.Errorf("asked %d times; want once", n)
	}
	c.pages["api.ecr.eu-west-1.amazonaws.com/"] = says(400, `{"__type":"AccessDeniedException","message":"User: x is not authorized to perform: ecr:GetAuthorizationToken"}`)
	refused(t, helper(t, ECR, c, nil), amazonHost, "AccessDeniedException: User: x is not authorized", "ecr:BatchGetImage")
	c.pages["api.ecr.eu-west-1.amazonaws.com/"] = says(200, `{"authorizationData":[]}`)
	refused(t, helper(t, ECR, c, nil), amazonHost, "the answer has no token", "role")
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	refused(t, helper(t, ECR, c, nil), amazonHost, "", "role")
}

// A role by a web identity, as in EKS: the token of the service account is exchanged at STS.
func TestAmazonByWebIdentity(t *testing.T) {
	asNobody(t)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("service-account-token"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", file)
	t.Setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/boatlift")
	c := &cloud{pages: map[string]func(*http.Request, string) (int, string){
		"sts.eu-west-1.amazonaws.com/": func(_ *http.Request, body string) (int, string) {
			if !strings.Contains(body, "WebIdentityToken=service-account-token") {
				t.Errorf("asked STS with %s", body)
			}
			return 200, `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult><Credentials>` +
				`<AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>` +
				time.Now().Add(time.Hour).UTC().Format(time.RFC3339) + `</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`
		},
		"api.ecr.eu-west-1.amazonaws.com/": func(r *http.Request, _ string) (int, string) {
			if !strings.Contains(r.Header.Get("Authorization"), "ASIAROLE") {
				t.Errorf("asked as %s", r.Header.Get("Authorization"))
			}
			return 200, fmt.Sprintf(`{"authorizationData":[{"authorizationToken":%q}]}`, base64.StdEncoding.EncodeToString([]byte("AWS:p")))
		},
	}}
	if got, err := helper(t, ECR, c, nil).Credential(t.Context(), amazonHost); err != nil || got.Password != "p" {
		t.Errorf("Credential() = %v, %v", got.Password, err)
	}
	c.pages["sts.eu-west-1.amazonaws.com/"] = says(403, `<ErrorResponse><Error><Code>AccessDenied</Code><Message>Not authorized to perform sts:AssumeRoleWithWebIdentity</Message></Error></ErrorResponse>`)
	refused(t, helper(t, ECR, c, nil), amazonHost, "AccessDenied: Not authorized", "role")
}

func refused(t *testing.T, h *Helper, host, says, hint string) {
	t.Helper()
	got, err := h.Credential(t.Context(), host)
	var wrong *Error
	if !errors.As(err, &wrong) || !strings.Contains(wrong.Error(), says) || !strings.Contains(wrong.Hint(), hint) || strings.Contains(err.Error(), "secret") {
		t.Errorf("Credential() = %v, %v; want an *Error with %q and a hint with %q", got.Password, err, says, hint)
	}
}

func TestGoogle(t *testing.T) {
	asNobody(t)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	account, err := json.Marshal(map[string]string{
		"type": "service_account", "client_email": "boatlift@acme.iam.gserviceaccount.com", "private_key_id": "k", "token_uri": "https://oauth2.googleapis.com/token",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})),
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "account.json")
	if err := os.WriteFile(file, account, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", file)
	c := &cloud{pages: map[string]func(*http.Request, string) (int, string){
		"oauth2.googleapis.com/token": says(200, `{"access_token":"ya29.token","token_type":"Bearer","expires_in":3600}`),
	}}
	h := helper(t, GAR, c, nil)
	for _, host := range []string{googleHost, "gcr.io", googleHost} {
		if got, err := h.Credential(t.Context(), host); err != nil || got.Username != "_token" || got.Password != "ya29.token" {
			t.Fatalf("Credential(%s) = %s %s, %v", host, got.Username, got.Password, err)
		}
	}
	if n := c.count(); n != 1 {
		t.Errorf("asked %d times; want once", n)
	}
	c.pages["oauth2.googleapis.com/token"] = says(400, `{"error":"invalid_grant","error_description":"account not found"}`)
	refused(t, helper(t, GAR, c, nil), googleHost, "invalid_grant", "roles/artifactregistry.reader")
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", filepath.Join(t.TempDir(), "gone"))
	refused(t, helper(t, GAR, c, nil), googleHost, "no such file", "GOOGLE_APPLICATION_CREDENTIALS")
}

// jwt has claims, and no signature that anybody looks at.
func jwt(claims string) string {
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".x"
}

func TestMicrosoft(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("service-account-token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	end := time.Now().Add(3 * time.Hour).Truncate(time.Second)
	for name, tc := range map[string]struct {
		env  map[string]string
		want url.Values
		at   string
	}{
		"a secret": {
			map[string]string{"AZURE_TENANT_ID": "tenant", "AZURE_CLIENT_ID": "id", "AZURE_CLIENT_SECRET": "secret"},
			url.Values{"grant_type": {"client_credentials"}, "client_id": {"id"}, "client_secret": {"secret"}, "scope": {"https://containerregistry.azure.net/.default"}},
			"login.microsoftonline.com/tenant/oauth2/v2.0/token",
		},
		"a federated token": {
			map[string]string{"AZURE_TENANT_ID": "tenant", "AZURE_CLIENT_ID": "id", "AZURE_FEDERATED_TOKEN_FILE": file, "AZURE_AUTHORITY_HOST": "https://login.microsoftonline.us/"},
			url.Values{
				"grant_type": {"client_credentials"}, "client_id": {"id"}, "client_assertion": {"service-account-token"},
				"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "scope": {"https://containerregistry.azure.net/.default"},
			},
			"login.microsoftonline.us/tenant/oauth2/v2.0/token",
		},
		"the machine": {
			map[string]string{"AZURE_CLIENT_ID": "id"},
			url.Values{"api-version": {"2018-02-01"}, "resource": {"https://containerregistry.azure.net"}, "client_id": {"id"}},
			"169.254.169.254/metadata/identity/oauth2/token",
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := &cloud{pages: map[string]func(*http.Request, string) (int, string){
				tc.at: func(r *http.Request, body string) (int, string) {
					if r.Method == http.MethodGet {
						if body = r.URL.RawQuery; r.Header.Get("Metadata") != "true" {
							t.Error("the machine is asked without the header that it wants")
						}
					}
					if got, err := url.ParseQuery(body); err != nil || got.Encode() != tc.want.Encode() {
						t.Errorf("asked with %v, %v; want %v", got, err, tc.want)
					}
					return 200, `{"access_token":"entra"}`
				},
				microsoftHost + "/oauth2/exchange": func(_ *http.Request, body string) (int, string) {
					form, err := url.ParseQuery(body)
					if err != nil || form.Get("access_token") != "entra" || form.Get("service") != microsoftHost || form.Get("tenant") != tc.env["AZURE_TENANT_ID"] {
						t.Errorf("exchanged with %v, %v", form, err)
					}
					return 200, `{"refresh_token":"` + jwt(fmt.Sprintf(`{"exp":%d}`, end.Unix())) + `"}`
				},
			}}
			got, err := helper(t, ACR, c, tc.env).Credential(t.Context(), microsoftHost)
			if err != nil || got.Username != acrUser || !strings.HasPrefix(got.Password, "e30.") || !got.Expires.Equal(end) {
				t.Errorf("Credential() = %s %s %v, %v", got.Username, got.Password, got.Expires, err)
			}
		})
	}
	env := map[string]string{"AZURE_TENANT_ID": "tenant", "AZURE_CLIENT_ID": "id", "AZURE_CLIENT_SECRET": "the secret itself"}
	for page, want := range map[*cloud]string{
		{pages: map[string]func(*http.Request, string) (int, string){
			"login.microsoftonline.com/tenant/oauth2/v2.0/token": says(401, `{"error":"invalid_client","error_description":"the secret itself is wrong"}`),
		}}: "ask Entra for a token: HTTP 401 invalid_client",
		{pages: map[string]func(*http.Request, string) (int, string){
			"login.microsoftonline.com/tenant/oauth2/v2.0/token": says(200, `{"access_token":"entra"}`),
			microsoftHost + "/oauth2/exchange":                   says(403, `{"error":"the secret"}`),
		}}: "exchange the token at the registry: HTTP 403",
		{pages: map[string]func(*http.Request, string) (int, string){
			"login.microsoftonline.com/tenant/oauth2/v2.0/token": says(200, `{"access_token":"entra"}`),
			microsoftHost + "/oauth2/exchange":                   says(200, `<html>`),
		}}: "the answer is not understood",
		{pages: map[string]func(*http.Request, string) (int, string){
			"login.microsoftonline.com/tenant/oauth2/v2.0/token": says(200, `{"access_token":"entra"}`),
			microsoftHost + "/oauth2/exchange":                   says(200, `{}`),
		}}: "the answer has no credential",
	} {
		refused(t, helper(t, ACR, page, env), microsoftHost, want, "AcrPull")
	}
	env["AZURE_AUTHORITY_HOST"] = "http://evil.io"
	refused(t, helper(t, ACR, &cloud{}, env), microsoftHost, "no https address", "AcrPull")
}

func TestAHelperIsForItsOwnHostsOnly(t *testing.T) {
	hosts := map[string]string{
		amazonHost: ECR, "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com": ECR, "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn": ECR,
		googleHost: GAR, "gcr.io": GAR, "eu.gcr.io": GAR, microsoftHost: ACR, "Acme.azurecr.cn:443": ACR,
		"registry.acme.io": "", "evil-azurecr.io": "", ".azurecr.io": "", "azurecr.io": "", "acme.azurecr.io.evil.io": "", "evilgcr.io": "", "pkg.dev": "",
		"123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.io": "", "public.ecr.aws": "", "npm.pkg.dev": "",
	}
	for host, of := range hosts {
		for _, name := range Names() {
			if got := Fits(name, host); got != (name == of) {
				t.Errorf("Fits(%s, %s) = %v", name, host, got)
			}
		}
	}
	for _, name := range Names() {
		c := &cloud{}
		refused(t, helper(t, name, c, nil), "registry.acme.io", "no registry of that cloud", "helper:")
		if c.count() != 0 {
			t.Errorf("%s asked %v", name, c.asked)
		}
	}
	if Fits("other", amazonHost) {
		t.Error("a helper that does not exist fits")
	}
	if _, err := New("other", Options{}); err == nil {
		t.Error("it is made")
	}
}

// of is a helper whose cloud is a function.
func of(get func(ctx context.Context) (Credential, error)) *Helper {
	return &Helper{
		name: "test", now: time.Now, kept: map[string]Credential{}, under: map[string]*attempt{}, until: map[string]time.Time{}, asked: map[string]*failedOnce{},
		source: source{fits: func(string) bool { return true }, get: func(ctx context.Context, _ string) (Credential, error) { return get(ctx) }, hint: "look"},
	}
}

func TestACredentialIsKeptUntilItIsAboutToEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		h := of(func(context.Context) (Credential, error) {
			asked++
			return Credential{Username: "u", Password: fmt.Sprint(asked), Expires: time.Now().Add(20 * time.Minute)}, nil
		})
		var got []string
		for range 6 {
			c, err := h.Credential(t.Context(), "a.io")
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, c.Password)
			time.Sleep(5 * time.Minute) // of the bubble
		}
		if want := []string{"1", "1", "1", "2", "2", "2"}; !slices.Equal(got, want) {
			t.Errorf("credentials %v; want %v", got, want)
		}
	})
}

func TestManyWaitForOneCredential(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		h := of(func(ctx context.Context) (Credential, error) {
			asked++
			select {
			case <-time.After(time.Second):
				return Credential{Password: "p"}, nil
			case <-ctx.Done():
				return Credential{}, ctx.Err()
			}
		})
		first, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() { _, _ = h.Credential(first, "a.io") })
		synctest.Wait()
		cancel() // who came first hangs up; the others get it all the same
		for range 20 {
			group.Go(func() {
				if c, err := h.Credential(t.Context(), "a.io"); err != nil || c.Password != "p" {
					t.Errorf("Credential() = %s, %v", c.Password, err)
				}
			})
		}
		gone, hangUp := context.WithCancelCause(t.Context())
		hangUp(errors.New("gone"))
		if _, err := h.Credential(gone, "a.io"); err == nil || err.Error() != "gone" {
			t.Errorf("who hangs up gets %v", err)
		}
		group.Wait()
		if asked != 1 {
			t.Errorf("asked %d times; want once", asked)
		}
	})
}

func TestAFailureIsGivenForAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		h := of(func(ctx context.Context) (Credential, error) {
			switch asked++; asked {
			case 1:
				<-ctx.Done()
				return Credential{}, ctx.Err()
			case 2:
				panic("library")
			}
			return Credential{Password: "p"}, nil
		})
		for i, want := range []string{"no credential within 10s", "no credential within 10s", "a fault in the program: library", ""} {
			if i >= 2 {
				time.Sleep(failurePause) // of the bubble
			}
			_, err := h.Credential(t.Context(), "a.io")
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("try %d: %v; want %q", i, err, want)
			}
		}
		if asked != 3 {
			t.Errorf("asked %d times", asked)
		}
	})
}

func TestNothingPrintsACredential(t *testing.T) {
	c := Credential{Username: "u", Password: "hunter2"}
	text, err := json.Marshal(map[string]any{"c": c})
	if all := fmt.Sprintf("%v %+v %#v %s", c, &c, c, c) + string(text) + c.LogValue().String(); err != nil || strings.Contains(all, "hunter2") {
		t.Errorf("printed %s", all)
	}
}
