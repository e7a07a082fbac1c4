package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io/fs"
	"strings"
	"testing"
)

// environ is what the bot's files in testdata may look at.
func environ(t testing.TB) Environ {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	private := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	variables := map[string]string{
		"REGISTRY_SECRET": "registry secret\n", "REGISTRY_PASSWORD": "registry password", "WEBHOOK_SECRET": " webhook secret \r\n",
		"APP_KEY": string(private), "GITHUB_TOKEN": "github_pat_11ABCDEFG0_of-a-test", "EMPTY": "", "BLANK": " \t\n",
		"DATABASE_URL": "postgres://boatlift:password@db/boatlift", "LONG_TOKEN": "twenty-and-more-characters\n",
		"NIGHTLY_TOKEN": "a-third-token-of-some-length", "THIRD_TOKEN": "a-third-token-of-some-length", "FOURTH_TOKEN": "a-fourth-token-of-some-length",
	}
	files := map[string]string{
		"app.pem": string(private), "public.pem": string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), "webhook-secret": "webhook file\n\n", "signing-token": "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 32)),
		"/etc/boatlift/registry": "registry file", "registry-token": "token\r\n", "other-token": "another-token-of-some-length", "/etc/empty": "\n", "huge": strings.Repeat("x", maxSecret+1),
	}
	return Environ{
		Getenv: func(name string) (string, bool) { v, ok := variables[name]; return v, ok },
		ReadFile: func(name string) ([]byte, error) {
			switch text, ok := files[name]; {
			case ok:
				return []byte(text), nil
			case name == "forbidden":
				return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
			case name == "broken":
				return nil, &fs.PathError{Op: "read", Path: name, Err: fmt.Errorf("input/output error")}
			default:
				return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
			}
		},
		RegistryTypes: []string{"distribution", "gitlab", "ghcr"}, OwnHost: []string{"ghcr"},
		HelperFits: func(helper, host string) bool { return strings.HasPrefix(host, helper) },
	}
}

func TestGoodBotFiles(t *testing.T) {
	env := environ(t)
	golden(t, "bot/good", func(t *testing.T, file string, text []byte) string {
		bot, err := ParseBot(file, text, env)
		if err != nil {
			t.Fatal(err)
		}
		return botText(bot)
	})
}

func TestBadBotFiles(t *testing.T) {
	env := environ(t)
	golden(t, "bot/bad", func(t *testing.T, file string, text []byte) string {
		bot, err := ParseBot(file, text, env)
		if err == nil {
			t.Fatalf("it is taken: %+v", bot)
		}
		if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "20021985") {
			t.Errorf("a secret is repeated: %v", err)
		}
		return err.Error() + "\n"
	})
}

// botText has every field of a configuration, one in a line, and what the secrets are.
func botText(bot Bot) string {
	var b strings.Builder
	fmt.Fprintf(&b, "listen %s\npublic URL %s\ndatabase %s\ndata %s\n", bot.Listen, bot.PublicURL, bot.Database, bot.DataDir)
	for _, r := range bot.Registries {
		fmt.Fprintf(&b, "registry %s of type %s at %q\n", r.Name, r.Type, r.Host)
		fmt.Fprintf(&b, "  secret %q, webhook %q\n", r.Secrets.Reveal(), r.Webhook)
		fmt.Fprintf(&b, "  user %q %q, helper %q, insecure %t\n", r.Username, r.Password.Reveal(), r.Helper, r.Insecure)
		if r.Poll > 0 || r.PollOff || r.OnlyPolled {
			fmt.Fprintf(&b, "  poll %s, off %t, and nothing else %t\n", r.Poll, r.PollOff, r.OnlyPolled)
		}
	}
	for _, f := range bot.Forges {
		key, _, _ := strings.Cut(string(f.PrivateKey.Reveal()), "\n")
		fmt.Fprintf(&b, "forge %s of type %s at %q\n", f.Name, f.Type, f.URL)
		fmt.Fprintf(&b, "  app %d, key %s, token %q for %q, secrets %q\n", f.AppID, key, f.Token.Reveal(), f.Repositories, f.WebhookSecrets.Reveal())
		if len(f.SigningTokens) > 0 {
			fmt.Fprintf(&b, "  signing tokens %q\n", f.SigningTokens.Reveal())
		}
	}
	for _, token := range bot.Tokens {
		fmt.Fprintf(&b, "token %s may %s with %q %v %v\n", token.Name, token.Role, token.Token.Reveal(), token.Push, token.Certify)
	}
	for _, p := range bot.Pipelines {
		fmt.Fprintf(&b, "pipeline %s of type %s by %q for %q: %v at %v may tell of %v, certify %v\n", p.Name, p.Type, p.Issuer, p.Audience, p.Repositories, p.Refs, p.Push, p.Certify)
	}
	if !bot.Postgres.IsZero() {
		fmt.Fprintf(&b, "postgres %q\n", bot.Postgres.Reveal())
	}
	for _, u := range bot.Require.Policies {
		fmt.Fprintf(&b, "requires %s %v\n", u.Policy, u.Parameters)
	}
	fmt.Fprintf(&b, "requires merge %q, rollout %q, pin %q\n", bot.Require.Merge, bot.Require.Rollout, bot.Require.Pin)
	fmt.Fprintf(&b, "poll %s, workers %d, log %+v\n", bot.Poll, bot.Workers, bot.Log)
	fmt.Fprintf(&b, "limits %+v\n", bot.Limits)
	return b.String()
}
