package hub

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Tier is what a GitLab was paid for, which decides what it can enforce.
type Tier string

// The tiers. Free knows approvals, but requires none, and takes one reviewer only; Ultimate has external status checks.
const (
	Free     Tier = "free"
	Premium  Tier = "premium"
	Ultimate Tier = "ultimate"
)

const (
	gitLabAPI     = "/api/v4"
	gitLabPerPage = 20
	apiScope      = "api"
)

// gitLabFace is version 4 of GitLab's REST API, and the webhooks of a group.
type gitLabFace struct {
	h   *Hub
	mux *http.ServeMux
}

func newGitLabFace(h *Hub) *gitLabFace {
	f := &gitLabFace{h: h, mux: http.NewServeMux()}
	f.accountRoutes()
	f.projectRoutes()
	f.repositoryRoutes()
	f.mergeRequestRoutes()
	f.reviewRoutes()
	f.noteRoutes()
	f.pipelineRoutes()
	f.deploymentRoutes()
	f.statusCheckRoutes()
	f.hookRoutes()
	f.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusNotFound, obj{"error": "404 Not Found"})
	})
	return f
}

// answer is a refusal in GitLab's own words; shared refusals are translated.
type answer struct {
	status int
	body   obj
}

func (a *answer) Error() string { return fmt.Sprintf("%d %v", a.status, a.body) }

// says is a refusal under "message", which may be a text, a list, or lists by field.
func says(status int, message any) error { return &answer{status, obj{"message": message}} }

func absent(what string) error {
	return says(http.StatusNotFound, "404 "+what+" Not Found")
}

var (
	errUnauthorized = says(http.StatusUnauthorized, "401 Unauthorized")
	errForbidden    = says(http.StatusForbidden, "403 Forbidden")
	errNotAllowed   = says(http.StatusMethodNotAllowed, "405 Method Not Allowed")
)

// ServeHTTP applies the faults and lets the route answer.
func (f *gitLabFace) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v := f.h.judge(r)
	f.h.wait(r, v.latency)
	w.Header().Set("X-Request-Id", strings.ToUpper(newGUID()[:8]))
	w.Header().Set("X-Gitlab-Meta", `{"correlation_id":"sandbox","version":"1"}`)
	switch {
	case v.limit:
		f.limited(w, v.set.LimitStatus, v.set.RetryAfter, v.set.LimitKind == "primary")
		return
	case v.err && !v.set.ErrorAfter:
		failWith(w, v.set.ErrorStatus)
		return
	}
	inner := r.Clone(r.Context())
	inner.URL.Path = strings.TrimPrefix(r.URL.Path, gitLabAPI)
	inner.URL.RawPath = strings.TrimPrefix(r.URL.EscapedPath(), gitLabAPI)
	if !v.err {
		f.mux.ServeHTTP(w, inner)
		return
	}
	f.mux.ServeHTTP(newRecorder(), inner)
	failWith(w, v.set.ErrorStatus)
}

// limited answers as GitLab does when somebody asks too often. Where only the reset is told there is no Retry-After.
func (f *gitLabFace) limited(w http.ResponseWriter, status int, after time.Duration, resetOnly bool) {
	header := w.Header()
	if after > 0 {
		reset := f.h.now().Add(after)
		header.Set("RateLimit-Name", "throttle_authenticated_api")
		header.Set("RateLimit-Limit", "2000")
		header.Set("RateLimit-Observed", "2001")
		header.Set("RateLimit-Remaining", "0")
		header.Set("RateLimit-Reset", itoa(reset.Unix()))
		header.Set("RateLimit-ResetTime", reset.UTC().Format(http.TimeFormat))
		if !resetOnly {
			header.Set("Retry-After", strconv.Itoa(int(after.Seconds())))
		}
	}
	header.Set("Content-Type", "text/plain")
	w.WriteHeader(status)
	_, _ = w.Write([]byte("Retry later\n"))
}

// add registers a route. need is the role that the caller must have in the project: read, develop or maintain; user: any caller.
func (f *gitLabFace) add(pattern, need string, serve route) {
	f.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		status, body, err := f.serve(w, r, need, serve)
		switch b := body.(type) {
		case nil:
			if err != nil {
				f.fail(w, err)
				return
			}
			w.WriteHeader(status)
		case listing:
			f.page(w, r, b.items)
		case []byte:
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			w.WriteHeader(status)
			_, _ = w.Write(b)
		default:
			if err != nil {
				f.fail(w, err)
				return
			}
			writeJSON(w, status, body)
		}
	})
}

func (f *gitLabFace) serve(w http.ResponseWriter, r *http.Request, need string, serve route) (int, any, error) {
	h := f.h
	c := &call{h: h, r: r}
	h.mu.Lock()
	err := h.knowLocked(c)
	if err == nil {
		err = f.countLocked(w, c)
	}
	if err == nil {
		err = c.roleLocked(need)
	}
	h.mu.Unlock()
	if err != nil {
		return 0, nil, err
	}
	return serve(c)
}

// knowLocked finds out who calls, by whichever of GitLab's headers, and what the token is for.
func (h *Hub) knowLocked(c *call) error {
	secret := c.r.Header.Get("PRIVATE-TOKEN")
	if scheme, bearer, _ := strings.Cut(c.r.Header.Get("Authorization"), " "); secret == "" && strings.EqualFold(scheme, "bearer") {
		secret = bearer
	}
	if secret == "" {
		return errUnauthorized
	}
	t := h.personalLocked("", secret)
	if t == nil {
		if ended := h.personal[secret]; ended != nil {
			return &answer{http.StatusUnauthorized, obj{"error": "invalid_token", "error_description": "Token is expired. You can either do re-authorization or token refresh."}}
		}
		if h.revoked[secret] {
			return &answer{http.StatusUnauthorized, obj{"error": "invalid_token", "error_description": "Token was revoked. You have to re-authorize from the user."}}
		}
		return errUnauthorized
	}
	c.who, c.by = caller{personal: t, person: t.owner}, t.owner
	reads := c.r.Method == http.MethodGet || c.r.Method == http.MethodHead
	if !slices.Contains(t.scopes, apiScope) && (!reads || !slices.Contains(t.scopes, "read_api")) && !strings.HasSuffix(c.r.URL.Path, "/personal_access_tokens/self") {
		return &answer{http.StatusForbidden, obj{
			"error": "insufficient_scope", "error_description": "The request requires higher privileges than provided by the access token.", "scope": "api",
		}}
	}
	return nil
}

// roleLocked finds the project that the path names, and looks whether the caller has the role in it.
func (c *call) roleLocked(need string) error {
	name := c.r.PathValue("id")
	if need == "user" || name == "" {
		return nil
	}
	if c.repo = c.h.projectLocked(name); c.repo == nil || !c.readsLocked(c.repo) {
		return absent("Project")
	}
	rank := c.h.permissionLocked(c.repo, c.by).rank()
	switch need {
	case "develop":
		if rank < Write.rank() || c.repo.archived {
			return errForbidden
		}
	case "maintain":
		if rank < Admin.rank() || c.repo.archived {
			return errForbidden
		}
	}
	return nil
}

// projectLocked finds a project by its id or its path, also by a path that it had before.
func (h *Hub) projectLocked(name string) *repo {
	if id, err := strconv.ParseInt(name, 10, 64); err == nil {
		return h.repos[id]
	}
	return h.repos[h.names[strings.ToLower(name)]]
}

func (c *call) readsLocked(r *repo) bool {
	return !r.private || c.h.permissionLocked(r, c.by).rank() >= Read.rank()
}

// countLocked counts the call against the caller's limits. As in an instance of one's own, nothing is said of limits where there are none.
func (f *gitLabFace) countLocked(w http.ResponseWriter, c *call) error {
	writes := c.r.Method != http.MethodGet && c.r.Method != http.MethodHead
	refused, again, q := f.h.countLocked("user "+itoa(c.by.id), writes)
	if limit := f.h.faults.set.HourlyLimit; limit > 0 {
		header := w.Header()
		header.Set("RateLimit-Limit", strconv.Itoa(limit))
		header.Set("RateLimit-Observed", strconv.Itoa(q.used))
		header.Set("RateLimit-Remaining", strconv.Itoa(max(limit-q.used, 0)))
		header.Set("RateLimit-Reset", itoa(q.hour.Unix()+3600))
	}
	if refused != "" {
		return &limitReached{again}
	}
	return nil
}

type limitReached struct{ after time.Duration }

func (e *limitReached) Error() string { return "Retry later" }

// fail answers with GitLab's status and body for a refusal; anything else is a fault of the sandbox.
func (f *gitLabFace) fail(w http.ResponseWriter, err error) {
	var own *answer
	var shared *problem
	var limit *limitReached
	switch {
	case errors.As(err, &own):
		writeJSON(w, own.status, own.body)
	case errors.As(err, &limit):
		f.limited(w, http.StatusTooManyRequests, limit.after+time.Second, false)
	case errors.As(err, &shared):
		statuses := map[problemKind]int{
			notFound: http.StatusNotFound, forbidden: http.StatusForbidden, unauthorized: http.StatusUnauthorized,
			invalid: http.StatusBadRequest, taken: http.StatusConflict, stale: http.StatusConflict, notAllowed: http.StatusMethodNotAllowed,
		}
		status := statuses[shared.kind]
		body := obj{"message": strconv.Itoa(status) + " " + http.StatusText(status)}
		if shared.kind == invalid || shared.kind == taken {
			body["message"] = shared.Error()
		}
		writeJSON(w, status, body)
	default:
		f.h.log.Error("sandbox forge fails", "error", err)
		writeJSON(w, http.StatusInternalServerError, obj{"message": "500 Internal Server Error"})
	}
}

// page answers one page of a listing, and tells of the others in the headers.
func (f *gitLabFace) page(w http.ResponseWriter, r *http.Request, all []any) {
	query := r.URL.Query()
	if query.Get("pagination") == "keyset" {
		f.keysetPage(w, r, all)
		return
	}
	number, size := atoiOr(query.Get("page"), 1), min(atoiOr(query.Get("per_page"), gitLabPerPage), maxPerPage)
	total := len(all)
	pages := max((total+size-1)/size, 1)
	var links []string
	header := w.Header()
	link := func(to int, rel string) string {
		query.Set("page", strconv.Itoa(to))
		query.Set("per_page", strconv.Itoa(size))
		links = append(links, fmt.Sprintf(`<%s%s?%s>; rel="%s"`, f.h.APIURL(), r.URL.EscapedPath(), query.Encode(), rel))
		return strconv.Itoa(to)
	}
	previous, next := "", ""
	if number > 1 {
		previous = link(min(number-1, pages), "prev")
	}
	if number < pages {
		next = link(number+1, "next")
	}
	link(1, "first")
	link(pages, "last")
	header.Set("Link", strings.Join(links, ", "))
	header.Set("X-Prev-Page", previous)
	header.Set("X-Next-Page", next)
	header.Set("X-Page", strconv.Itoa(number))
	header.Set("X-Per-Page", strconv.Itoa(size))
	header.Set("X-Total", strconv.Itoa(total))
	header.Set("X-Total-Pages", strconv.Itoa(pages))
	items := all[min((number-1)*size, total):min(number*size, total)]
	if items == nil {
		items = []any{}
	}
	writeJSON(w, http.StatusOK, items)
}

// keysetPage answers the first items of a listing, which is sorted by id and begins where the caller had come to. There is a next page until
// one is empty.
func (f *gitLabFace) keysetPage(w http.ResponseWriter, r *http.Request, rest []any) {
	query := r.URL.Query()
	size := min(atoiOr(query.Get("per_page"), gitLabPerPage), maxPerPage)
	items := rest[:min(size, len(rest))]
	if n := len(items); n > 0 {
		last, _ := items[n-1].(obj)
		query.Set("id_after", fmt.Sprint(last["id"]))
		w.Header().Set("Link", fmt.Sprintf(`<%s%s?%s>; rel="next"`, f.h.APIURL(), r.URL.EscapedPath(), query.Encode()))
	} else {
		items = []any{}
	}
	w.Header().Set("X-Per-Page", strconv.Itoa(size))
	writeJSON(w, http.StatusOK, items)
}

// mergeRequestLocked finds the merge request that the path names.
func (c *call) mergeRequestLocked() (*pull, error) {
	n, err := c.number("number")
	if err == nil {
		var p *pull
		if p, err = c.repo.pull(int(n)); err == nil {
			return p, nil
		}
	}
	return nil, says(http.StatusNotFound, "404 Not found")
}

// yes reads a truth value of a query.
func yes(text string) bool { return text == "true" || text == "1" }

// groupLocked finds a group by its id or path: an owner of projects, or a team of one, which is a subgroup here.
func (h *Hub) groupLocked(name string) (owner *account, team string, ok bool) {
	if id, err := strconv.ParseInt(name, 10, 64); err == nil {
		for _, a := range h.accounts {
			if a.id == id && a.kind == kindOrg {
				return a, "", true
			}
		}
		return nil, "", false
	}
	path, err := url.PathUnescape(name)
	if err != nil {
		path = name
	}
	if a := h.accounts[strings.ToLower(path)]; a != nil && a.kind == kindOrg {
		return a, "", true
	}
	if _, known := h.teams[strings.ToLower(path)]; known {
		owner, slug, _ := strings.Cut(path, "/")
		return h.accounts[strings.ToLower(owner)], slug, h.accounts[strings.ToLower(owner)] != nil
	}
	return nil, "", false
}
