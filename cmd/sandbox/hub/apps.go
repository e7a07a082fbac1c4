package hub

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"
)

const (
	tokenLife = time.Hour
	maxJWT    = 10 * time.Minute // GitHub refuses a JWT that lives longer
	jwtSkew   = 60 * time.Second
)

// installation is the app in one account.
type installation struct {
	id        int64
	account   *account
	all       bool // every repository of the account, also later ones
	repos     map[int64]bool
	suspended bool
	createdAt time.Time
	updatedAt time.Time
}

// token is an installation token.
type token struct {
	text         string
	installation *installation
	repos        map[int64]bool // narrowed to these; nil: all of the installation
	permissions  map[string]string
	expires      time.Time
}

// appPermissions are what the app was granted: the least set that the bot needs.
func (h *Hub) appPermissions() map[string]string {
	granted := allPermissions()
	for _, name := range h.opts.Without {
		delete(granted, name)
	}
	for _, name := range h.opts.Excess {
		granted[name] = "write"
	}
	return granted
}

func allPermissions() map[string]string {
	return map[string]string{
		"metadata": "read", "contents": "write", "pull_requests": "write", "checks": "write", "statuses": "read", "deployments": "read",
		"actions": "read", "packages": "read", "members": "read", "merge_queues": "read",
	}
}

func appEvents() []string {
	return []string{
		"check_run", "deployment_status", "merge_group", "pull_request", "pull_request_review", "push", "registry_package", "repository", "status",
		"workflow_run",
	}
}

// installLocked lets the app into a repository, making the account's installation where there is none.
func (h *Hub) installLocked(owner *account, r *repo) {
	for _, inst := range h.installations {
		if inst.account != owner {
			continue
		}
		if !inst.repos[r.id] {
			inst.repos[r.id] = true
			h.emitLocked(event{kind: installationReposEvent, action: "added", installation: inst, actor: owner, added: []*repo{r}})
		}
		return
	}
	now := h.stamp()
	inst := &installation{id: h.idLocked(), account: owner, all: true, repos: map[int64]bool{r.id: true}, createdAt: now, updatedAt: now}
	h.installations[inst.id] = inst
	h.emitLocked(event{kind: installationEvent, action: "created", installation: inst, actor: owner, added: []*repo{r}})
}

// installationOfLocked finds the installation through which the app sees a repository; nil: it does not.
func (h *Hub) installationOfLocked(r *repo) *installation {
	for _, inst := range h.installations {
		if inst.repos[r.id] {
			return inst
		}
	}
	return nil
}

func (h *Hub) ownerInstallationLocked(owner string) (*installation, error) {
	for _, inst := range h.installations {
		if strings.EqualFold(inst.account.login, owner) {
			return inst, nil
		}
	}
	return nil, refuse(notFound, fmt.Sprintf("the app is not installed in %s", owner))
}

// Install lets the app into an existing repository, as an owner would in the app's settings.
func (h *Hub) Install(fullName string) error {
	return h.change(fullName, func(r *repo) error {
		h.installLocked(r.owner, r)
		return nil
	})
}

// Uninstall removes the app from an account: its tokens die at once.
func (h *Hub) Uninstall(owner string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	inst, err := h.ownerInstallationLocked(owner)
	if err != nil {
		return err
	}
	h.emitLocked(event{kind: installationEvent, action: "deleted", installation: inst, actor: inst.account})
	delete(h.installations, inst.id)
	maps.DeleteFunc(h.tokens, func(_ string, t *token) bool { return t.installation == inst })
	return nil
}

// RemoveFromInstallation takes one repository away from the app.
func (h *Hub) RemoveFromInstallation(fullName string) error {
	return h.change(fullName, func(r *repo) error {
		inst := h.installationOfLocked(r)
		if inst == nil {
			return refuse(notFound, "the app is not installed in "+fullName)
		}
		delete(inst.repos, r.id)
		inst.all = false
		h.emitLocked(event{kind: installationReposEvent, action: "removed", installation: inst, actor: inst.account, removed: []*repo{r}})
		return nil
	})
}

// SetSuspended suspends the app in an account, or lifts that.
func (h *Hub) SetSuspended(owner string, suspended bool) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	inst, err := h.ownerInstallationLocked(owner)
	if err != nil {
		return err
	}
	if inst.suspended == suspended {
		return nil
	}
	inst.suspended, inst.updatedAt = suspended, h.stamp()
	action := "suspend"
	if !suspended {
		action = "unsuspend"
	}
	h.emitLocked(event{kind: installationEvent, action: action, installation: inst, actor: inst.account})
	return nil
}

// RevokeTokens ends every installation token at once.
func (h *Hub) RevokeTokens() {
	h.mu.Lock()
	defer h.mu.Unlock()
	clear(h.tokens)
}

// SetLongTokens makes installation tokens from now on the long ones, as Options.LongTokens does from the start.
func (h *Hub) SetLongTokens(long bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.opts.LongTokens = long
}

// InstallationToken makes a token as the app would, for tests that want one without a JWT.
func (h *Hub) InstallationToken(owner string) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	inst, err := h.ownerInstallationLocked(owner)
	if err != nil {
		return "", err
	}
	t, err := h.mintLocked(inst, nil, nil, h.opts.LongTokens)
	if err != nil {
		return "", err
	}
	return t.text, nil
}

// mintLocked makes an installation token, narrowed where asked. The long form is GitHub's newer one: ghs_, the app's id, a JWT.
func (h *Hub) mintLocked(inst *installation, repos map[int64]bool, permissions map[string]string, long bool) (*token, error) {
	if permissions == nil {
		permissions = h.appPermissions()
	}
	t := &token{installation: inst, repos: repos, permissions: permissions, expires: h.stamp().Add(tokenLife)}
	if long {
		claims, err := json.Marshal(map[string]any{
			"iss": "sandbox", "sub": strconv.FormatInt(inst.id, 10), "exp": t.expires.Unix(), "jti": randomText(48),
		})
		if err != nil {
			return nil, err
		}
		signed := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString(claims)
		sum := sha256.Sum256([]byte(signed))
		signature, err := rsa.SignPKCS1v15(rand.Reader, h.opts.Key, crypto.SHA256, sum[:])
		if err != nil {
			return nil, err
		}
		t.text = "ghs_" + strconv.FormatInt(h.opts.AppID, 10) + "_" + signed + "." + base64.RawURLEncoding.EncodeToString(signature)
	} else {
		t.text = "ghs_" + randomText(36)
	}
	h.tokens[t.text] = t
	return t, nil
}

// randomText returns n letters and digits that nobody can guess.
func randomText(n int) string {
	text := ""
	for len(text) < n {
		text += rand.Text()
	}
	return text[:n]
}

func (h *Hub) tokenValidLocked(t *token) bool { return h.now().Before(t.expires) }

func (h *Hub) tokenSeesLocked(t *token, r *repo) bool {
	return !t.installation.suspended && t.installation.repos[r.id] && (t.repos == nil || t.repos[r.id])
}

// verifyJWT proves that the bearer is the app: RS256 by the app's key, issued by its id, alive, and for no longer than ten minutes.
func verifyJWT(text string, key *rsa.PublicKey, appID int64, now time.Time) error {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return refuse(unauthorized, "a JSON web token could not be decoded")
	}
	var header struct {
		Algorithm string `json:"alg"`
	}
	var claims struct {
		Issuer   json.RawMessage `json:"iss"`
		IssuedAt float64         `json:"iat"`
		Expires  float64         `json:"exp"`
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || decodePart(parts[0], &header) != nil || decodePart(parts[1], &claims) != nil || header.Algorithm != "RS256" {
		return refuse(unauthorized, "a JSON web token could not be decoded")
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature); err != nil {
		return refuse(unauthorized, "a JSON web token could not be decoded")
	}
	issued, expires := time.Unix(int64(claims.IssuedAt), 0), time.Unix(int64(claims.Expires), 0)
	switch {
	case strings.Trim(string(claims.Issuer), `"`) != strconv.FormatInt(appID, 10):
		return refuse(unauthorized, "Integration not found")
	case !now.Before(expires):
		return refuse(unauthorized, "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires")
	case expires.Sub(now) > maxJWT+jwtSkew:
		return refuse(unauthorized, "'Expiration time' claim ('exp') is too far in the future")
	case issued.After(now.Add(jwtSkew)):
		return refuse(unauthorized, "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued")
	}
	return nil
}

func decodePart(part string, into any) error {
	raw, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}
