package login

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

func isACR(host string) bool {
	return endsWith(bare(host), ".azurecr.io", ".azurecr.cn", ".azurecr.us")
}

// acrUser is the user name of every token of Azure's registry.
const acrUser = "00000000-0000-0000-0000-000000000000"

// azure asks for tokens as the identity that the environment names, with the variables that Azure's own libraries read.
type azure struct {
	client *http.Client
	getenv func(string) string
}

// newACR asks Entra for a token, and the registry for one of its own in exchange. Source: Microsoft's "Authenticate with a Microsoft Entra
// token" of the registry (AAD-OAuth), "Microsoft identity platform and the OAuth 2.0 client credentials flow", "How managed identities for
// Azure resources work with Azure virtual machines".
func newACR(o Options) source {
	a := &azure{&http.Client{
		Transport: o.Transport, Timeout: getTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, o.Getenv}
	return source{
		fits: isACR,
		hint: "the bot must run as an identity that has AcrPull: AZURE_CLIENT_ID and AZURE_TENANT_ID with AZURE_FEDERATED_TOKEN_FILE or AZURE_CLIENT_SECRET, or a managed identity",
		get: func(ctx context.Context, host string) (Credential, error) {
			token, err := a.token(ctx)
			if err != nil {
				return Credential{}, err
			}
			form := url.Values{"grant_type": {"access_token"}, "service": {host}, "access_token": {token}}
			if tenant := a.getenv("AZURE_TENANT_ID"); tenant != "" {
				form.Set("tenant", tenant)
			}
			var answer struct {
				Token string `json:"refresh_token"`
			}
			if err := a.post(ctx, "https://"+host+"/oauth2/exchange", form, &answer); err != nil {
				return Credential{}, fmt.Errorf("exchange the token at the registry: %w", err)
			}
			return Credential{Username: acrUser, Password: answer.Token, Expires: endOf(answer.Token)}, nil
		},
	}
}

// token is Entra's, for the registry.
func (a *azure) token(ctx context.Context) (string, error) {
	const scope = "https://containerregistry.azure.net/.default"
	tenant, id := a.getenv("AZURE_TENANT_ID"), a.getenv("AZURE_CLIENT_ID")
	secret, file := a.getenv("AZURE_CLIENT_SECRET"), a.getenv("AZURE_FEDERATED_TOKEN_FILE")
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "scope": {scope}}
	switch {
	case tenant != "" && id != "" && secret != "":
		form.Set("client_secret", secret)
	case tenant != "" && id != "" && file != "":
		assertion, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("read AZURE_FEDERATED_TOKEN_FILE: %w", err)
		}
		form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		form.Set("client_assertion", strings.TrimSpace(string(assertion)))
	default:
		return a.managed(ctx, id)
	}
	authority := strings.TrimRight(a.getenv("AZURE_AUTHORITY_HOST"), "/")
	if authority == "" {
		authority = "https://login.microsoftonline.com"
	}
	if !strings.HasPrefix(authority, "https://") {
		return "", errors.New("AZURE_AUTHORITY_HOST is no https address")
	}
	var answer struct {
		Token string `json:"access_token"`
	}
	if err := a.post(ctx, authority+"/"+url.PathEscape(tenant)+"/oauth2/v2.0/token", form, &answer); err != nil {
		return "", fmt.Errorf("ask Entra for a token: %w", err)
	}
	return answer.Token, nil
}

// managed asks the machine for a token of its identity, or of the one with that id.
func (a *azure) managed(ctx context.Context, id string) (string, error) {
	query := url.Values{"api-version": {"2018-02-01"}, "resource": {"https://containerregistry.azure.net"}}
	if id != "" {
		query.Set("client_id", id)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://169.254.169.254/metadata/identity/oauth2/token?"+query.Encode(), nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Metadata", "true")
	var answer struct {
		Token string `json:"access_token"`
	}
	if err := a.do(req, &answer); err != nil {
		return "", fmt.Errorf("ask the machine for its identity: %w", err)
	}
	return answer.Token, nil
}

func (a *azure) post(ctx context.Context, address string, form url.Values, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return a.do(req, into)
}

// do sends a request and reads its answer. Of what failed, the code that Entra gives is told, and no more: answers repeat what was sent.
func (a *azure) do(req *http.Request, into any) error {
	answer, err := a.client.Do(req)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return err
	}
	defer answer.Body.Close()
	const most = 256 << 10
	body, err := io.ReadAll(io.LimitReader(answer.Body, most))
	if err != nil {
		return fmt.Errorf("the answer broke off: %w", err)
	}
	if answer.StatusCode != http.StatusOK {
		var refused struct {
			Code string `json:"error"`
		}
		_ = json.Unmarshal(body, &refused) // the status is enough
		return fmt.Errorf("HTTP %d %s", answer.StatusCode, word(refused.Code))
	}
	if json.Unmarshal(body, into) != nil {
		return errors.New("the answer is not understood")
	}
	return nil
}

// word lets through what looks like a code of an error.
func word(s string) string {
	if len(s) > 60 || strings.ContainsFunc(s, func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') }) {
		return ""
	}
	return s
}

// endOf is when a token (JWT) of the registry ends, by its own word; zero where it does not say.
func endOf(token string) time.Time {
	_, rest, _ := strings.Cut(token, ".")
	rest, _, _ = strings.Cut(rest, ".")
	text, err := base64.RawURLEncoding.DecodeString(rest)
	var claims struct {
		Expires int64 `json:"exp"`
	}
	if err != nil || json.Unmarshal(text, &claims) != nil || claims.Expires <= 0 {
		return time.Time{}
	}
	return time.Unix(claims.Expires, 0).UTC()
}
