package hub

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// maxPush bounds one push; what a sandbox is shown is far smaller.
const maxPush = 256 << 20

// isGitRequest tells git's smart HTTP from everything else by its paths, as forges do.
func isGitRequest(r *http.Request) bool {
	if strings.HasPrefix(r.URL.Path, "/api/") || strings.HasPrefix(r.URL.Path, "/sandbox/") {
		return false // a branch may be called info/refs
	}
	return strings.HasSuffix(r.URL.Path, "/info/refs") || strings.HasSuffix(r.URL.Path, "/git-upload-pack") ||
		strings.HasSuffix(r.URL.Path, "/git-receive-pack")
}

// serveGit lets git itself answer, after the caller proved who they are and may do it.
func (h *Hub) serveGit(w http.ResponseWriter, r *http.Request) {
	if h.faultBefore(w, r) {
		return
	}
	parts := strings.SplitN(strings.TrimPrefix(r.URL.Path, "/"), "/", 3)
	if len(parts) < 3 {
		http.NotFound(w, r)
		return
	}
	push := strings.HasSuffix(r.URL.Path, "/git-receive-pack") || r.URL.Query().Get("service") == "git-receive-pack"
	who, target, status := h.gitAccess(r, parts[0]+"/"+strings.TrimSuffix(parts[1], ".git"), push)
	switch status {
	case http.StatusOK:
	case http.StatusUnauthorized:
		realm := "GitHub"
		if h.opts.GitLab != "" {
			realm = "GitLab"
		}
		w.Header().Set("WWW-Authenticate", fmt.Sprintf("Basic realm=%q", realm))
		http.Error(w, "Invalid username or token. Password authentication is not supported for Git operations.", status)
		return
	case http.StatusForbidden:
		http.Error(w, "Write access to repository not granted.", status)
		return
	default:
		http.Error(w, "Repository not found.", http.StatusNotFound)
		return
	}
	body, size, err := wholeBody(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	defer func() { _ = body.Close() }()
	inner := r.Clone(r.Context())
	inner.URL.Path = "/" + strconv.FormatInt(target.id, 10) + ".git/" + parts[2]
	inner.Body, inner.ContentLength, inner.TransferEncoding = body, size, nil
	inner.Header.Del("Content-Encoding")
	inner.Header.Del("Authorization")
	if !strings.HasSuffix(r.URL.Path, "/git-receive-pack") {
		h.backend(r, who).ServeHTTP(w, inner)
		return
	}
	h.servePush(w, inner, h.backend(r, who), target, who)
}

// servePush holds the repository's turn while git takes the push, and answers only once the state agrees with the refs, so that
// whoever pushed can open a pull request at once.
func (h *Hub) servePush(w http.ResponseWriter, r *http.Request, backend http.Handler, target *repo, who *account) {
	ctx := context.WithoutCancel(r.Context())
	r = r.WithContext(ctx) // a push is taken or not; a client that hangs up half-way must not leave git ahead of the state
	target.turn.Lock()
	defer target.turn.Unlock()
	answer := newRecorder()
	backend.ServeHTTP(answer, r)
	after, err := target.bare.refs(ctx)
	if err == nil {
		h.mu.Lock()
		changes := diffRefs(target.refs, after)
		if len(changes) > 0 {
			target.pushes++
		}
		h.mu.Unlock()
		err = h.refsMoved(ctx, target, who, changes)
	}
	if err != nil {
		h.log.Error("sandbox forge cannot follow a push", "error", err)
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	answer.send(w)
}

func (h *Hub) backend(r *http.Request, who *account) http.Handler {
	git, err := exec.LookPath("git")
	if err != nil {
		git = "git"
	}
	env := gitEnv("GIT_PROJECT_ROOT="+h.opts.Dir, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER="+who.login)
	if protocol := r.Header.Get("Git-Protocol"); protocol != "" {
		env = append(env, "GIT_PROTOCOL="+protocol)
	}
	return &cgi.Handler{
		Path: git, Args: []string{"http-backend"}, Env: env, Dir: h.opts.Dir,
		Logger: log.New(io.Discard, "", 0), Stderr: io.Discard,
	}
}

// wholeBody reads the request's body to its end and unpacks it: CGI cannot take a body of unknown length, and a client that sends
// slowly must not keep a repository's turn.
func wholeBody(r *http.Request) (io.ReadCloser, int64, error) {
	if r.ContentLength == 0 {
		return http.NoBody, 0, nil
	}
	packed := r.Header.Get("Content-Encoding") == "gzip"
	var source io.Reader = r.Body
	if packed {
		unpacked, err := gzip.NewReader(r.Body)
		if err != nil {
			return nil, 0, fmt.Errorf("unpack the request: %w", err)
		}
		source = unpacked
	}
	file, err := os.CreateTemp("", "hub-push-*")
	if err != nil {
		return nil, 0, err
	}
	_ = os.Remove(file.Name()) // the open file outlives its name
	size, err := io.Copy(file, io.LimitReader(source, maxPush+1))
	if err == nil && size > maxPush {
		err = fmt.Errorf("more than %d bytes in one request", maxPush)
	}
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		_ = file.Close()
		return nil, 0, err
	}
	return file, size, nil
}

// gitAccess finds the repository and tells whether the caller may read or push: 200, 401, 403 or 404.
func (h *Hub) gitAccess(r *http.Request, fullName string, push bool) (*account, *repo, int) {
	login, password, given := r.BasicAuth()
	if h.opts.GitLab != "" {
		login = "" // any user name does
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	target := h.repos[h.names[strings.ToLower(fullName)]]
	if !given {
		return nil, nil, http.StatusUnauthorized
	}
	var who *account
	if t := h.tokens[password]; t != nil {
		if !h.tokenValidLocked(t) {
			return nil, nil, http.StatusUnauthorized
		}
		who = h.bot
		if target == nil || !h.tokenSeesLocked(t, target) {
			return nil, nil, http.StatusNotFound
		}
		level := t.permissions["contents"]
		if level == "" || push && level != "write" {
			return nil, nil, http.StatusForbidden
		}
	} else if personal := h.personalLocked(login, password); personal == nil {
		return nil, nil, http.StatusUnauthorized
	} else {
		who = personal.owner
		level := "read"
		if push {
			level = "write"
		}
		switch {
		case target == nil || !personal.sees(target):
			return nil, nil, http.StatusNotFound
		case (push || target.private) && !personal.may(target, "contents", level):
			return nil, nil, http.StatusForbidden
		}
	}
	if target == nil {
		return nil, nil, http.StatusNotFound
	}
	permission := h.permissionLocked(target, who)
	switch {
	case target.private && permission.rank() < Read.rank():
		return nil, nil, http.StatusNotFound
	case push && (permission.rank() < Write.rank() || target.archived):
		return nil, nil, http.StatusForbidden
	}
	return who, target, http.StatusOK
}
