package hub

import (
	"crypto/subtle"
	"net/http"
	"slices"
	"strings"
	"time"
)

// personalToken is a token that a person made for themselves: a classic one with scopes, or a fine-grained one with permissions.
type personalToken struct {
	text        string
	owner       *account
	scopes      []string          // of a classic one
	permissions map[string]string // of a fine-grained one; nil: classic
	repos       map[int64]bool    // of a fine-grained one; nil: all that its owner reaches
	expires     time.Time         // zero: never
	id          int64
	createdAt   time.Time
}

// NewToken is what a personal token may do. Without permissions it is a classic one.
type NewToken struct {
	Scopes       []string          // repo by default, api in a GitLab
	Permissions  map[string]string // contents: write, and the like; metadata: read is always there
	Repositories []string          // full names; none: all that the person reaches
	Expires      time.Time
	Long         bool // in the form of about 520 characters with dots, which GitHub gives to apps already
}

// AddToken makes a personal token for a person.
func (h *Hub) AddToken(login string, in NewToken) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := &personalToken{
		owner: h.accountLocked(login, kindUser), scopes: in.Scopes, permissions: in.Permissions, expires: in.Expires, id: h.idLocked(), createdAt: h.stamp(),
	}
	if h.opts.GitLab != "" {
		t.text = "glpat-" + randomText(20)
		if t.scopes == nil {
			t.scopes = []string{apiScope}
		}
	} else if t.permissions == nil {
		t.text = "ghp_" + randomText(36)
		if t.scopes == nil {
			t.scopes = []string{"repo"}
		}
	} else {
		t.text = "github_pat_" + randomText(22) + "_" + randomText(59)
	}
	if in.Long {
		t.text += "." + randomText(220) + "." + randomText(240)
	}
	for _, name := range in.Repositories {
		r, err := h.repoLocked(name)
		if err != nil {
			return "", err
		}
		if t.repos == nil {
			t.repos = map[int64]bool{}
		}
		t.repos[r.id] = true
	}
	h.personal[t.text] = t
	return t.text, nil
}

// RevokeToken ends a personal token.
func (h *Hub) RevokeToken(text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.personal, text)
	h.revoked[text] = true
}

// personalLocked finds the personal token that a text is; nil: none, or one that has expired. What people have from the beginning is a
// classic one.
func (h *Hub) personalLocked(login, text string) *personalToken {
	if t := h.personal[text]; t != nil && (login == "" || strings.EqualFold(login, t.owner.login)) && (t.expires.IsZero() || h.now().Before(t.expires)) {
		return t
	}
	for _, a := range h.accounts {
		if a.password == "" || text == "" || login != "" && !strings.EqualFold(a.login, login) {
			continue
		}
		if subtle.ConstantTimeCompare([]byte(a.password), []byte(text)) == 1 {
			return &personalToken{text: text, owner: a, scopes: []string{"repo", apiScope}}
		}
	}
	return nil
}

// sees tells whether a token shows a repository which its owner may read.
func (t *personalToken) sees(r *repo) bool {
	if t.permissions == nil {
		return !r.private || slices.Contains(t.scopes, "repo") || slices.Contains(t.scopes, apiScope)
	}
	return t.repos == nil || t.repos[r.id] || !r.private
}

// may tells whether a token has a permission at a level.
func (t *personalToken) may(r *repo, permission, level string) bool {
	if t.permissions == nil {
		return slices.Contains(t.scopes, "repo") || slices.Contains(t.scopes, apiScope)
	}
	have := t.permissions[permission]
	if permission == "metadata" {
		have = "read"
	}
	return (t.repos == nil || r == nil || t.repos[r.id]) && (have == "write" || have == "read" && level == "read")
}

// announce tells what GitHub tells of a token with every answer.
func (t *personalToken) announce(header http.Header) {
	if t.permissions == nil {
		header.Set("X-OAuth-Scopes", strings.Join(t.scopes, ", "))
	}
	if !t.expires.IsZero() {
		header.Set("GitHub-Authentication-Token-Expiration", t.expires.UTC().Format("2006-01-02 15:04:05 MST"))
	}
}
