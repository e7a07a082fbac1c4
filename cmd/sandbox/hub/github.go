package hub

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

const (
	maxRequest     = 4 << 20
	defaultPerPage = 30
	maxPerPage     = 100
	hourlyLimit    = 5000 // what the rate headers say where no limit is enforced
)

type obj = map[string]any

// gitHubAPI is where a GitHub Enterprise Server has its REST API.
const gitHubAPI = "/api/v3"

// graphQLPath is where a GitHub Enterprise Server has its GraphQL API.
const graphQLPath = "/api/graphql"

// githubFace is GitHub's REST API, version 2022-11-28, as a GitHub Enterprise Server has it under /api/v3, and a little of GraphQL.
type githubFace struct {
	h   *Hub
	mux *http.ServeMux
}

// caller is who makes an API call: the app by its JWT, an installation by its token, or a person by theirs.
type caller struct {
	app      bool
	token    *token
	personal *personalToken
	person   *account
}

// call is one API call on its way through a route.
type call struct {
	h    *Hub
	r    *http.Request
	who  caller
	by   *account // who acts: the app's bot, or the person
	repo *repo    // of routes under /repos/{owner}/{repo}
}

// listing is an answer that is paged; key names the member that holds the items, where they are wrapped.
type listing struct {
	key   string
	items []any
}

// cursored is a page of an answer that is paged by cursor; next is empty on the last page.
type cursored struct {
	items []any
	next  string
}

// route is one API call: what it needs and what it does.
type route func(c *call) (status int, body any, err error)

// about is a route about one thing, which is found and served under the hub's lock.
func about[T any](find func(*call) (T, error), serve func(*call, T) (int, any, error)) route {
	return func(c *call) (int, any, error) {
		c.h.mu.Lock()
		defer c.h.mu.Unlock()
		found, err := find(c)
		if err != nil {
			return 0, nil, err
		}
		return serve(c, found)
	}
}

func newGitHubFace(h *Hub) *githubFace {
	f := &githubFace{h: h, mux: http.NewServeMux()}
	f.appRoutes()
	f.repoRoutes()
	f.gitRoutes()
	f.pullRoutes()
	f.checkRoutes()
	f.deploymentRoutes()
	f.teamRoutes()
	f.workflowRoutes()
	f.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { f.fail(w, missing()) })
	return f
}

// ServeHTTP applies the faults and lets the route answer.
func (f *githubFace) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v := f.h.judge(r)
	f.h.wait(r, v.latency)
	header := w.Header()
	header.Set("X-GitHub-Request-Id", strings.ToUpper(newGUID()[:8]))
	header.Set("X-GitHub-Media-Type", "github.v3; format=json")
	switch {
	case v.limit:
		f.limited(w, v.set.LimitKind, v.set.LimitStatus, int(v.set.RetryAfter.Seconds()))
		return
	case v.err && !v.set.ErrorAfter:
		failWith(w, v.set.ErrorStatus)
		return
	}
	if r.URL.Path == graphQLPath {
		f.answer(w, r, v, f.serveGraphQL)
		return
	}
	inner := r.Clone(r.Context())
	inner.URL.Path = strings.TrimPrefix(r.URL.Path, gitHubAPI)
	inner.URL.RawPath = strings.TrimPrefix(r.URL.EscapedPath(), gitHubAPI)
	if f.redirected(w, inner) {
		return
	}
	f.answer(w, inner, v, f.mux.ServeHTTP)
}

// answer lets a route do its work; where that is to look as if it had failed, its answer is lost.
func (f *githubFace) answer(w http.ResponseWriter, r *http.Request, v verdict, serve http.HandlerFunc) {
	if !v.err {
		serve(w, r)
		return
	}
	serve(newRecorder(), r)
	failWith(w, v.set.ErrorStatus)
}

// redirected sends calls under a repository's former name to its id, as GitHub does, and turns /repositories/{id}/… into the
// repository's name now.
func (f *githubFace) redirected(w http.ResponseWriter, r *http.Request) bool {
	parts := strings.SplitN(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/", 4)
	h := f.h
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case len(parts) >= 3 && parts[0] == "repos":
		known := h.repos[h.names[strings.ToLower(parts[1]+"/"+parts[2])]]
		if known == nil || strings.EqualFold(known.fullName(), parts[1]+"/"+parts[2]) {
			return false
		}
		target := fmt.Sprintf("%s/repositories/%d", h.APIURL(), known.id)
		if len(parts) == 4 {
			target += "/" + parts[3]
		}
		if r.URL.RawQuery != "" {
			target += "?" + r.URL.RawQuery
		}
		status, message := http.StatusMovedPermanently, "Moved Permanently"
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			status, message = http.StatusTemporaryRedirect, "Temporary Redirect"
		}
		w.Header().Set("Location", target)
		writeJSON(w, status, obj{"message": message, "url": target, "documentation_url": docsURL})
		return true
	case len(parts) >= 2 && parts[0] == "repositories":
		id, _ := strconv.ParseInt(parts[1], 10, 64)
		if known := h.repos[id]; known != nil {
			path := "/repos/" + url.PathEscape(known.owner.login) + "/" + url.PathEscape(known.name)
			if len(parts) > 2 {
				path += "/" + strings.Join(parts[2:], "/")
			}
			if plain, err := url.PathUnescape(path); err == nil {
				r.URL.Path, r.URL.RawPath = plain, path
			}
		}
	}
	return false
}

// add registers a route. need is the app permission that an installation token must have ("pull_requests:write"), or who may call:
// "app" for a JWT only, "any" for everybody who is signed in.
func (f *githubFace) add(pattern, need string, serve route) {
	f.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		status, body, err := f.serve(w, r, need, serve)
		if err != nil {
			f.fail(w, err)
			return
		}
		switch b := body.(type) {
		case nil:
			w.WriteHeader(status)
		case listing:
			f.page(w, r, b)
		case cursored:
			if b.next != "" {
				next := *r.URL
				query := next.Query()
				query.Set("cursor", b.next)
				w.Header().Set("Link", fmt.Sprintf(`<%s%s?%s>; rel="next"`, f.h.APIURL(), r.URL.EscapedPath(), query.Encode()))
			}
			writeJSON(w, status, b.items)
		default:
			writeJSON(w, status, body)
		}
	})
}

func (f *githubFace) serve(w http.ResponseWriter, r *http.Request, need string, serve route) (int, any, error) {
	h := f.h
	c := &call{h: h, r: r}
	h.mu.Lock()
	var err error
	c.who, err = h.authenticateLocked(r)
	if err == nil {
		err = c.admitLocked(need)
	}
	if err == nil && !c.who.app {
		err = f.countLocked(w, c)
	}
	h.mu.Unlock()
	if err != nil {
		return 0, nil, err
	}
	return serve(c)
}

// authenticateLocked finds out who calls.
func (h *Hub) authenticateLocked(r *http.Request) (caller, error) {
	bad := refuse(unauthorized, "Bad credentials")
	scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if login, password, ok := r.BasicAuth(); ok {
		if t := h.personalLocked(login, password); t != nil {
			return caller{personal: t, person: t.owner}, nil
		}
		return caller{}, bad
	}
	if secret == "" {
		return caller{}, refuse(unauthorized, "Requires authentication")
	}
	if !strings.EqualFold(scheme, "bearer") && !strings.EqualFold(scheme, "token") {
		return caller{}, bad
	}
	if t := h.tokens[secret]; t != nil {
		switch {
		case !h.tokenValidLocked(t):
			return caller{}, bad
		case t.installation.suspended:
			return caller{}, refuse(forbidden, "This installation has been suspended")
		}
		return caller{token: t}, nil
	}
	if t := h.personalLocked("", secret); t != nil {
		return caller{personal: t, person: t.owner}, nil
	}
	if strings.HasPrefix(secret, "ey") {
		if err := verifyJWT(secret, &h.opts.Key.PublicKey, h.opts.AppID, h.now()); err != nil {
			return caller{}, err
		}
		return caller{app: true}, nil
	}
	return caller{}, bad
}

// admitLocked looks whether the caller may use the route at all, and finds the repository.
func (c *call) admitLocked(need string) error {
	h := c.h
	c.by = h.bot
	if c.who.person != nil {
		c.by = c.who.person
	}
	if owner := c.r.PathValue("owner"); owner != "" {
		c.repo, _ = h.repoLocked(owner + "/" + c.r.PathValue("repo"))
	}
	if need == "app" || c.who.app {
		if !c.who.app {
			return refuse(unauthorized, "A JSON web token could not be decoded")
		}
		if need != "app" {
			return refuse(forbidden, "Resource not accessible by integration")
		}
		if c.r.PathValue("owner") != "" && c.repo == nil {
			return missing()
		}
		return nil
	}
	if c.r.PathValue("owner") != "" && (c.repo == nil || !c.seesLocked()) {
		return missing()
	}
	if need == "any" {
		return nil
	}
	return c.mayLocked(need)
}

// mayLocked looks whether the caller's token, and the person behind it, have the permission in the repository.
func (c *call) mayLocked(need string) error {
	h := c.h
	permission, level, _ := strings.Cut(need, ":")
	review := permission == "reviews" // people who can read may review; an app needs the permission to write
	if review {
		permission = "pull_requests"
	}
	if c.who.token != nil {
		have := c.who.token.permissions[permission]
		if have == "" || level == "write" && have != "write" {
			return refuse(forbidden, "Resource not accessible by integration")
		}
	}
	if c.who.personal != nil && !c.who.personal.may(c.repo, permission, level) {
		return refuse(forbidden, "Resource not accessible by personal access token")
	}
	if level == "write" && c.repo != nil {
		if c.repo.archived {
			return refuse(forbidden, "Repository was archived so is read-only.")
		}
		person := c.who.person
		if person != nil && !review && h.permissionLocked(c.repo, person).rank() < Write.rank() {
			return refuse(forbidden, "Must have write access to Repository.")
		}
	}
	return nil
}

func (c *call) seesLocked() bool {
	if c.who.token != nil { // what is public an installation may read, whoever's it is
		return c.h.tokenSeesLocked(c.who.token, c.repo) || !c.repo.private && c.r.Method == http.MethodGet && !c.who.token.installation.suspended
	}
	if !c.who.personal.sees(c.repo) {
		return false
	}
	return !c.repo.private || c.h.permissionLocked(c.repo, c.who.person).rank() >= Read.rank()
}

// countLocked counts the call against the caller's limits and sets the rate headers.
func (f *githubFace) countLocked(w http.ResponseWriter, c *call) error {
	key := ""
	switch {
	case c.who.token != nil:
		key = "installation " + itoa(c.who.token.installation.id)
	case c.who.person != nil:
		key = "user " + itoa(c.who.person.id)
		c.who.personal.announce(w.Header())
	}
	makesContent := c.r.Method == http.MethodPost || c.r.Method == http.MethodPatch || c.r.Method == http.MethodPut
	refused, again, q := f.h.countLocked(key, makesContent)
	limit := f.h.faults.set.HourlyLimit
	remaining := max(limit-q.used, 0)
	if limit == 0 {
		limit, remaining = hourlyLimit, max(hourlyLimit-q.used, 1) // never 0 where nothing is enforced
	}
	header := w.Header()
	header.Set("X-RateLimit-Limit", strconv.Itoa(limit))
	header.Set("X-RateLimit-Remaining", strconv.Itoa(remaining))
	header.Set("X-RateLimit-Used", strconv.Itoa(q.used))
	header.Set("X-RateLimit-Reset", itoa(q.hour.Unix()+3600))
	header.Set("X-RateLimit-Resource", "core")
	switch refused {
	case "primary":
		return refuse(forbidden, fmt.Sprintf("API rate limit exceeded for %s.", key))
	case "secondary":
		header.Set("Retry-After", strconv.Itoa(int(again.Seconds())+1))
		return refuse(forbidden, secondaryMessage)
	}
	return nil
}

const secondaryMessage = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."

const (
	docsURL      = "https://docs.github.com/rest"
	limitsURL    = "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api"
	secondaryURL = limitsURL + "#about-secondary-rate-limits"
)

// limited answers as GitHub does when a limit is used up.
func (f *githubFace) limited(w http.ResponseWriter, kind string, status, retryAfter int) {
	if retryAfter > 0 && kind != "primary" {
		w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
	}
	if kind == "primary" {
		header := w.Header()
		header.Set("X-RateLimit-Limit", strconv.Itoa(hourlyLimit))
		header.Set("X-RateLimit-Remaining", "0")
		header.Set("X-RateLimit-Used", strconv.Itoa(hourlyLimit))
		header.Set("X-RateLimit-Reset", itoa(f.h.now().Unix()+int64(max(retryAfter, 60))))
		header.Set("X-RateLimit-Resource", "core")
		writeJSON(w, status, obj{"message": "API rate limit exceeded for installation.", "documentation_url": limitsURL, "status": strconv.Itoa(status)})
		return
	}
	writeJSON(w, status, obj{"message": secondaryMessage, "documentation_url": secondaryURL, "status": strconv.Itoa(status)})
}

// fail answers with GitHub's status and body for a refusal; anything else is a fault of the sandbox.
func (f *githubFace) fail(w http.ResponseWriter, err error) {
	var p *problem
	if !errors.As(err, &p) {
		f.h.log.Error("sandbox forge fails", "error", err)
		writeJSON(w, http.StatusInternalServerError, obj{"message": "Server Error: " + err.Error(), "documentation_url": docsURL, "status": "500"})
		return
	}
	statuses := map[problemKind]int{
		notFound: http.StatusNotFound, forbidden: http.StatusForbidden, unauthorized: http.StatusUnauthorized,
		invalid: http.StatusUnprocessableEntity, taken: http.StatusUnprocessableEntity, stale: http.StatusConflict, notAllowed: http.StatusMethodNotAllowed,
	}
	status := statuses[p.kind]
	docs := docsURL
	if p.message == secondaryMessage {
		docs = secondaryURL
	}
	body := obj{"message": p.message, "documentation_url": docs, "status": strconv.Itoa(status)}
	if len(p.details) > 0 {
		body["errors"] = p.details
	}
	writeJSON(w, status, body)
}

// page answers one page of a listing, with links to the others.
func (f *githubFace) page(w http.ResponseWriter, r *http.Request, l listing) {
	query := r.URL.Query()
	number, err := strconv.Atoi(query.Get("page"))
	if err != nil || number < 1 {
		number = 1
	}
	size, err := strconv.Atoi(query.Get("per_page"))
	if err != nil || size < 1 {
		size = defaultPerPage
	}
	size = min(size, maxPerPage)
	total := len(l.items)
	last := max((total+size-1)/size, 1)
	var links []string
	link := func(to int, rel string) {
		query.Set("page", strconv.Itoa(to))
		query.Set("per_page", strconv.Itoa(size))
		links = append(links, fmt.Sprintf(`<%s%s?%s>; rel="%s"`, f.h.APIURL(), r.URL.EscapedPath(), query.Encode(), rel))
	}
	if number > 1 {
		link(min(number-1, last), "prev")
	}
	if number < last {
		link(number+1, "next")
		link(last, "last")
	}
	if number > 1 {
		link(1, "first")
	}
	if len(links) > 0 {
		w.Header().Set("Link", strings.Join(links, ", "))
	}
	items := l.items[min((number-1)*size, total):min(number*size, total)]
	if items == nil {
		items = []any{}
	}
	if l.key == "" {
		writeJSON(w, http.StatusOK, items)
		return
	}
	writeJSON(w, http.StatusOK, obj{"total_count": total, l.key: items})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	raw, err := json.Marshal(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(raw)
}

// read decodes the request's JSON body; an empty one leaves into as it is.
func (c *call) read(into any) error {
	raw, err := io.ReadAll(io.LimitReader(c.r.Body, maxRequest+1))
	if err != nil {
		return err
	}
	if len(raw) > maxRequest {
		return refuse(invalid, "the request is too large")
	}
	if len(raw) == 0 {
		return nil
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return refuse(invalid, "Problems parsing JSON")
	}
	return nil
}

// number reads a path value that must be a number; anything else names nothing.
func (c *call) number(name string) (int64, error) {
	n, err := strconv.ParseInt(c.r.PathValue(name), 10, 64)
	if err != nil {
		return 0, missing()
	}
	return n, nil
}

// pullLocked finds the pull request that the path names.
func (c *call) pullLocked() (*pull, error) {
	n, err := c.number("number")
	if err != nil {
		return nil, err
	}
	return c.repo.pull(int(n))
}
