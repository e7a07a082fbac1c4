package hub

import (
	"fmt"
	"strings"
)

// Kinds of accounts, in GitHub's words.
const (
	kindUser = "User"
	kindOrg  = "Organization"
	kindBot  = "Bot"
)

// account is a person, an organization or the app's bot.
type account struct {
	id       int64
	login    string
	kind     string
	mail     string
	password string // of a person, also their API token; empty: cannot sign in
}

func (a *account) email() string { return a.mail }

// Person is somebody with an account.
type Person struct {
	ID    int64
	Login string
	Token string // the password for git push, and the bearer token for the API
}

// Permission is what a person may do in a repository.
type Permission string

// Permissions, in GitHub's words.
const (
	NoPermission Permission = "none"
	Read         Permission = "read"
	Write        Permission = "write"
	Admin        Permission = "admin"
)

func (p Permission) rank() int {
	switch p {
	case Admin:
		return 3
	case Write:
		return 2
	case Read:
		return 1
	}
	return 0
}

// AddPerson makes an account, or returns the one there is. The token is derived from the login, so that scripts can name it.
func (h *Hub) AddPerson(login string) Person {
	h.mu.Lock()
	defer h.mu.Unlock()
	a := h.accountLocked(login, kindUser)
	return Person{ID: a.id, Login: a.login, Token: a.password}
}

// AddMachine makes the account of another app, as one that tidies up branches: slug[bot]. In a GitLab it is a service account of
// this name.
func (h *Hub) AddMachine(slug string) (login string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.opts.GitLab != "" {
		return h.accountLocked(slug, kindBot).login
	}
	return h.accountLocked(slug+"[bot]", kindBot).login
}

// accountLocked finds or makes an account.
func (h *Hub) accountLocked(login, kind string) *account {
	key := strings.ToLower(login)
	if a := h.accounts[key]; a != nil {
		return a
	}
	a := &account{id: h.idLocked(), login: login, kind: kind}
	if a.mail = fmt.Sprintf("%d+%s@users.noreply.localhost", a.id, a.login); h.opts.GitLab != "" {
		host, _, _ := strings.Cut(strings.TrimPrefix(h.base, "http://"), ":")
		a.mail = fmt.Sprintf("%d-%s@users.noreply.%s", a.id, a.login, host)
	}
	if kind == kindUser {
		a.password = "ghp_" + key + "-sandbox"
	}
	h.accounts[key] = a
	return a
}

// personLocked finds an account that can act.
func (h *Hub) personLocked(login string) (*account, error) {
	a := h.accounts[strings.ToLower(login)]
	if a == nil || a.kind == kindOrg {
		return nil, refuse(notFound, fmt.Sprintf("there is no person %q; add one first", login))
	}
	return a, nil
}

// SetPermission lets a person into a repository, changes what they may do there, or with NoPermission takes them out.
func (h *Hub) SetPermission(repo, login string, permission Permission) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := h.repoLocked(repo)
	if err != nil {
		return err
	}
	a, action := h.accountLocked(login, kindUser), "added"
	if was, known := r.people[a.id]; known && was != NoPermission {
		action = "edited"
	}
	if r.people[a.id] = permission; permission == NoPermission {
		action = "removed"
	}
	if h.opts.Organization { // the app does not subscribe to it
		h.emitLocked(event{kind: memberEvent, action: action, repo: r, actor: r.owner, member: a})
	}
	return nil
}

// permissionLocked is what an account may do in a repository. The app's bot may write where it is installed.
func (h *Hub) permissionLocked(r *repo, a *account) Permission {
	if a == nil {
		return NoPermission
	}
	if a == h.bot {
		if inst := h.installationOfLocked(r); inst != nil && !inst.suspended {
			return Write
		}
		return NoPermission
	}
	if strings.EqualFold(a.login, r.owner.login) {
		return Admin
	}
	if p, ok := r.people[a.id]; ok {
		return p
	}
	return NoPermission
}
