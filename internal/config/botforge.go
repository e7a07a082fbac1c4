package config

import (
	"encoding/base64"
	"encoding/pem"
	"net/url"
	"regexp"
	"strings"
)

// Forge is a GitHub App, or an account of GitHub or GitLab by its access token.
type Forge struct {
	Name, Type             string
	AppID                  int64
	PrivateKey             Secret
	Token                  Secret   // instead of AppID and PrivateKey
	Repositories           []string // that Token is narrowed to: acme/infra or acme/*; none: all
	WebhookSecrets         Secrets
	SigningTokens          Secrets // GitLab's, which prove webhooks instead; none: WebhookSecrets do
	URL                    string  // root of the API; empty: github.com or gitlab.com
	Verified               bool    // commits are made through the API, which signs them
	SigningKey, Passphrase Secret  // of pushed commits; none: they are not signed
}

// The types of forges.
const (
	GitHub = "github"
	GitLab = "gitlab"
)

var (
	repositoryPattern = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}/([A-Za-z0-9._-]{1,100}|\*)$`)
	projectPattern    = regexp.MustCompile(`^([A-Za-z0-9._-]+/)+([A-Za-z0-9._-]+|\*)$`)
)

func (b *botCheck) forge(f forgeEntry) Forge {
	onGitLab := f.Type.value == GitLab
	if onGitLab {
		b.onGitLab(f)
	} else {
		b.wayIn(f)
		if f.SigningToken.line > 0 {
			b.add(f.SigningToken, "only GitLab has signing tokens of webhooks; GitHub signs with webhookSecret", "leave webhookSigningToken out")
		}
	}
	if f.AppID.set && f.AppID.value < 1 {
		b.add(f.AppID, "appID is no App's number", "write the App ID that the App's settings show, as appID: 12345")
	}
	forge := Forge{
		Name: f.Name.value, Type: f.Type.value, AppID: f.AppID.value, URL: b.api(f.URL, onGitLab), Repositories: b.narrowed(f.Repositories, onGitLab),
		SigningTokens: b.secrets(f.SigningToken, "webhookSigningToken"),
		PrivateKey:    b.secret(f.PrivateKey, "privateKey"), Token: b.secret(f.Token, "token"), WebhookSecrets: b.secrets(f.WebhookSecret, "webhookSecret"),
	}
	if strings.ContainsFunc(string(forge.Token.Reveal()), func(r rune) bool { return r <= ' ' || r > '~' }) {
		b.add(f.Token, "token is no token: it has blanks, or letters that no token has", "let the file or variable hold the token alone")
	}
	for _, token := range forge.SigningTokens {
		if key, ok := strings.CutPrefix(string(token.Reveal()), "whsec_"); !ok || !isBase64(key) {
			b.add(f.SigningToken, "webhookSigningToken is no signing token", "use the one that GitLab shows at the webhook, whsec_ and all")
		}
	}
	forge.Verified = f.Commits.value == "verified"
	forge.SigningKey, forge.Passphrase = b.secret(f.SigningKey, "signingKey"), b.secret(f.Passphrase, "passphrase")
	if f.Passphrase.line > 0 && f.SigningKey.line == 0 {
		b.add(f.Passphrase, "there is no signingKey that this passphrase could open", "write signingKey: file:/path, or leave passphrase out")
	}
	if !forge.PrivateKey.IsZero() {
		if block, _ := pem.Decode(forge.PrivateKey.Reveal()); block == nil || !strings.HasSuffix(block.Type, "PRIVATE KEY") {
			b.add(f.PrivateKey, "privateKey is no private key in PEM", "use the .pem file that the App's settings let you download, as it is")
		}
	}
	return forge
}

func isBase64(text string) bool {
	key, err := base64.StdEncoding.DecodeString(text)
	return err == nil && len(key) >= 16
}

// onGitLab checks what is otherwise with GitLab: a token is the only way in, and commits are pushed.
func (b *botCheck) onGitLab(f forgeEntry) {
	const right = "write token: env:GITLAB_TOKEN, an access token with the scopes api and write_repository"
	if f.AppID.line > 0 {
		b.add(f.AppID, "appID is a GitHub App's; GitLab has none", right)
	}
	if f.PrivateKey.line > 0 {
		b.add(f.PrivateKey, "privateKey is a GitHub App's; GitLab has none", right)
	}
	if f.Token.line == 0 && f.isMap {
		b.add(f, "token is missing", right)
	}
	if f.Commits.value == "verified" {
		b.add(f.Commits, "GitLab does not sign commits that are made through its API", "leave commits out, and give a signingKey whose public half is in the account of the token")
	}
	b.noneNarrowed(f)
}

func (b *botCheck) noneNarrowed(f forgeEntry) {
	if f.given["repositories"] && len(f.Repositories) == 0 && len(b.all) == 0 {
		b.add(f, "repositories names none", "write repositories: [owner/name], or leave the key out for all that the token may write to")
	}
}

// wayIn checks that an entry of GitHub says in exactly one way how to get in.
func (b *botCheck) wayIn(f forgeEntry) {
	app, token := f.AppID.line > 0 || f.PrivateKey.line > 0, f.Token.line > 0
	switch {
	case app && token:
		b.add(f.Token, "token and appID exclude each other", "keep appID and privateKey of a GitHub App, or token alone")
	case !app && !token && f.isMap:
		b.add(f, "appID and privateKey are missing, or token", "write appID: 12345 and privateKey: file:/etc/boatlift/app.pem of a GitHub App; or token: env:GITHUB_TOKEN, a personal access token")
	case app && f.AppID.line == 0:
		b.add(f, "appID is missing", "write appID: 12345")
	case app && f.PrivateKey.line == 0:
		b.add(f, "privateKey is missing", "write privateKey: file:/etc/boatlift/app.pem")
	}
	b.noneNarrowed(f)
	if len(f.Repositories) > 0 && !token && app {
		b.add(f.Repositories[0], "repositories narrows a token; an App reaches those that it is installed on", "leave repositories out, and choose them where the App is installed")
	}
}

// api is the root of a forge's API. It must be one from which the addresses of GraphQL, git and pages follow. GitLab's is also meant by the
// address of its pages.
func (b *botCheck) api(t text, gitLab bool) string {
	before := len(b.all)
	address := b.address(t, "url", false)
	u, err := url.Parse(address)
	if !t.set || len(b.all) > before || err != nil || gitLab {
		return address
	}
	path := strings.TrimRight(u.Path, "/")
	if !strings.HasSuffix(path, "/api/v3") && (path != "" || !strings.HasPrefix(u.Host, "api.")) {
		b.add(t, "url is not the root of an API", "write url: https://HOST/api/v3 for an Enterprise Server, or https://api.SUBDOMAIN.ghe.com")
	}
	return address
}

// narrowed are the repositories that a token is narrowed to. At GitLab groups may lie in groups.
func (b *botCheck) narrowed(names []text, gitLab bool) []string {
	pattern := repositoryPattern
	if gitLab {
		pattern = projectPattern
	}
	var list []string
	for _, name := range names {
		if name.set && !pattern.MatchString(name.value) {
			b.add(name, "that is no repository", "write owner/name, or owner/* for all of an owner")
		}
		list = append(list, name.value)
	}
	return list
}
