package hub

import (
	"bytes"
	"cmp"
	"crypto/subtle"
	"embed"
	"errors"
	"html/template"
	"io/fs"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

//go:embed site
var site embed.FS

// maxFilesShown bounds the list of files on a repository's page.
const maxFilesShown = 500

// pages is the forge as a person sees it: repositories, pull requests with what a reviewer needs, and buttons to act as somebody.
type pages struct {
	h         *Hub
	templates *template.Template
}

// page is what a template gets; which members are set depends on the page.
type page struct {
	Title, Root, CSRF, Refused string
	Words                      words
	Repo                       *RepoInfo
	Repos                      []repoRow
	Pulls                      []pullRow
	Deployments                []Deployment
	Files                      []string

	Pull            pullRow
	Person, Blocked string
	Conflict        bool
	People          []string
	Comments        []Said
	Checks          []checkRow
	Statuses        []Status
	Reviews         []reviewRow
	Timeline        []note
	Diff            string

	State, Text, Markdown string
}

// words are what pull requests are called, and where they are.
type words struct{ One, Many, Mark, Path string }

func (h *Hub) words() words {
	if h.opts.GitLab != "" {
		return words{One: "Merge request", Many: "merge requests", Mark: "!", Path: "/-/merge_requests/"}
	}
	return words{One: "Pull request", Many: "pull requests", Mark: "#", Path: "/pull/"}
}

type repoRow struct {
	Info     RepoInfo
	Open     int
	Deployed []Deployment // the newest of each environment
}

type pullRow struct {
	Pull
	Shown string // open, closed or merged
}

type checkRow struct {
	Check
	Shown string
}

type reviewRow struct{ Who, Said, Commit, Body string }

func (h *Hub) pagesHandler() http.Handler {
	p := &pages{h: h}
	p.templates = template.Must(template.New("").Funcs(template.FuncMap{
		"markdown": markdown,
		"short":    short,
		"when":     func(t time.Time) string { return t.Format("2006-01-02 15:04:05") },
		"diff":     diffHTML,
	}).ParseFS(site, "site/pages.html"))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /sandbox-style.css", func(w http.ResponseWriter, _ *http.Request) {
		style, err := fs.ReadFile(site, "site/style.css")
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/css; charset=utf-8")
		_, _ = w.Write(style)
	})
	mux.HandleFunc("GET /{$}", p.home)
	mux.HandleFunc("GET /{owner}/{repo}", p.repo)
	mux.HandleFunc("GET /{owner}/{repo}/pull/{number}", p.pull)
	mux.HandleFunc("POST /{owner}/{repo}/pull/{number}", p.act)
	mux.HandleFunc("GET /{owner}/{repo}/commit/{sha}", p.commit)
	mux.HandleFunc("GET /{owner}/{repo}/blob/{at}/{path...}", p.file)
	mux.HandleFunc("GET /{owner}/{repo}/rollouts/{id}", p.rollout)
	mux.HandleFunc("GET /{owner}/{repo}/actions/runs/{id}", p.run)
	mux.HandleFunc("GET /{owner}/{repo}/checks/{id}", p.check)
	if h.opts.GitLab != "" {
		mux.HandleFunc("GET /{owner}/{repo}/-/merge_requests/{number}", p.pull)
		mux.HandleFunc("POST /{owner}/{repo}/-/merge_requests/{number}", p.act)
		mux.HandleFunc("GET /{owner}/{repo}/-/commit/{sha}", p.commit)
		mux.HandleFunc("GET /{owner}/{repo}/-/blob/{at}/{path...}", p.file)
		mux.HandleFunc("GET /{owner}/{repo}/-/pipelines/{id}", p.run)
		mux.HandleFunc("GET /{owner}/{repo}/-/jobs/{id}", p.run)
	}
	return mux
}

// diffHTML escapes a diff and marks its lines.
func diffHTML(diff string) template.HTML {
	var out strings.Builder
	for line := range strings.Lines(diff) {
		out.WriteString(diffLine(strings.TrimSuffix(line, "\n"), true))
	}
	return template.HTML(out.String()) //nolint:gosec // built from escaped lines and fixed tags
}

// show renders a page whole before it answers, under a policy that lets a page load its style sheet and send its forms, no more.
func (p *pages) show(w http.ResponseWriter, status int, name string, data page) {
	data.Root, data.CSRF, data.Words = p.h.prefix, p.h.csrf, p.h.words()
	var out bytes.Buffer
	if err := p.templates.ExecuteTemplate(&out, name, data); err != nil {
		p.h.log.Error("sandbox page", "page", name, "error", err)
		http.Error(w, "this page cannot be shown", http.StatusInternalServerError)
		return
	}
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes())
}

// fail shows a refusal as a page.
func (p *pages) fail(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	switch kindOf(err) {
	case notFound:
		status = http.StatusNotFound
	case forbidden:
		status = http.StatusForbidden
	}
	p.show(w, status, "text", page{Title: http.StatusText(status), Refused: err.Error()})
}

// find returns the repository that the path names.
func (p *pages) find(r *http.Request) (*repo, RepoInfo, error) {
	p.h.mu.Lock()
	defer p.h.mu.Unlock()
	found, err := p.h.repoLocked(r.PathValue("owner") + "/" + r.PathValue("repo"))
	if err != nil {
		return nil, RepoInfo{}, err
	}
	return found, p.h.repoInfoLocked(found), nil
}

func (p *pages) home(w http.ResponseWriter, _ *http.Request) {
	data := page{Title: "Sandbox forge"}
	for _, info := range p.h.Repos() {
		row := repoRow{Info: info}
		pulls, err := p.h.Pulls(info.FullName)
		if err != nil {
			continue // deleted meanwhile
		}
		for _, pull := range pulls {
			if pull.State == string(pullOpen) {
				row.Open++
			}
		}
		deployments, _ := p.h.Deployments(info.FullName)
		seen := map[string]bool{}
		for _, d := range slices.Backward(deployments) {
			if !seen[d.Environment] {
				seen[d.Environment] = true
				row.Deployed = append(row.Deployed, d)
			}
		}
		data.Repos = append(data.Repos, row)
	}
	p.show(w, http.StatusOK, "home", data)
}

func rowOf(pull Pull) pullRow {
	row := pullRow{Pull: pull, Shown: pull.State}
	if pull.Merged {
		row.Shown = "merged"
	}
	return row
}

func (p *pages) repo(w http.ResponseWriter, r *http.Request) {
	found, info, err := p.find(r)
	if err != nil {
		p.fail(w, err)
		return
	}
	data := page{Title: info.FullName, Repo: &info}
	pulls, _ := p.h.Pulls(info.FullName)
	for _, pull := range slices.Backward(pulls) {
		data.Pulls = append(data.Pulls, rowOf(pull))
	}
	slices.SortStableFunc(data.Pulls, func(a, b pullRow) int { return -strings.Compare(a.State, b.State) }) // open before closed
	data.Deployments, _ = p.h.Deployments(info.FullName)
	slices.Reverse(data.Deployments)
	files, err := Tree{bare: found.bare, sha: "refs/heads/" + info.DefaultBranch}.Files(r.Context(), "")
	if err != nil {
		p.fail(w, err)
		return
	}
	data.Files = files[:min(len(files), maxFilesShown)]
	p.show(w, http.StatusOK, "repo", data)
}

func (p *pages) pull(w http.ResponseWriter, r *http.Request) {
	p.showPull(w, r, http.StatusOK, "", "")
}

func (p *pages) showPull(w http.ResponseWriter, r *http.Request, status int, refused, person string) {
	found, info, err := p.find(r)
	if err != nil {
		p.fail(w, err)
		return
	}
	number, _ := strconv.Atoi(r.PathValue("number"))
	p.h.mu.Lock()
	pull, err := found.pull(number)
	p.h.mu.Unlock()
	if err != nil {
		p.fail(w, err)
		return
	}
	mergeable, _, err := p.h.mergeState(r.Context(), pull)
	var from, to, diff string
	if err == nil {
		from, to, err = p.h.ends(r.Context(), pull)
	}
	if err == nil {
		diff, err = found.bare.diff(r.Context(), from, to)
	}
	if err != nil {
		p.fail(w, err)
		return
	}
	data := p.h.pullPage(found, pull)
	data.Title = data.Pull.Title
	data.Repo, data.Diff, data.Refused, data.Person = &info, diff, refused, person
	data.Conflict = mergeable != nil && !*mergeable
	data.Comments, _ = p.h.Comments(info.FullName, number)
	checks, _ := p.h.Checks(info.FullName, data.Pull.HeadSHA)
	for _, check := range checks {
		row := checkRow{Check: check, Shown: check.Conclusion}
		if row.Shown == "" {
			row.Shown = check.Status
		}
		data.Checks = append(data.Checks, row)
	}
	p.show(w, status, "pull", data)
}

// pullPage collects what the state knows of a pull request.
func (h *Hub) pullPage(r *repo, p *pull) page {
	h.mu.Lock()
	defer h.mu.Unlock()
	data := page{Pull: rowOf(h.viewLocked(p)), Timeline: slices.Clone(p.timeline)}
	if p.state == pullOpen {
		data.Blocked = h.blockedLocked(p)
	}
	for _, a := range h.accounts {
		if a.kind == kindUser && h.permissionLocked(r, a).rank() > NoPermission.rank() {
			data.People = append(data.People, a.login)
		}
	}
	slices.Sort(data.People)
	for _, rv := range p.reviews {
		said := strings.ToLower(strings.ReplaceAll(string(rv.state), "_", " "))
		data.Reviews = append(data.Reviews, reviewRow{Who: rv.author.login, Said: said, Commit: rv.commit, Body: rv.body})
	}
	for _, status := range latestStatuses(r.statuses[p.headSHA]) {
		data.Statuses = append(data.Statuses, Status{Context: status.context, State: status.state, Description: status.description})
	}
	return data
}

// act does what a button says, as the chosen person, and shows the pull request again.
func (p *pages) act(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxRequest)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "the form cannot be read", http.StatusBadRequest)
		return
	}
	if !sameOrigin(r) || subtle.ConstantTimeCompare([]byte(r.PostForm.Get("csrf")), []byte(p.h.csrf)) != 1 {
		http.Error(w, "this form was not sent from the sandbox's own page; load the page again", http.StatusForbidden)
		return
	}
	number, err := strconv.Atoi(r.PathValue("number"))
	if err != nil {
		p.fail(w, missing())
		return
	}
	in := adminRequest{Person: r.PostForm.Get("person"), Body: r.PostForm.Get("body"), SHA: r.PostForm.Get("sha")}
	do := r.PostForm.Get("do")
	if do == "approve" || do == "request_changes" {
		in.Kind, do = ReviewKind(do), "review"
	}
	fullName := r.PathValue("owner") + "/" + r.PathValue("repo")
	if _, err := p.h.actOnPull(r.Context(), fullName, number, do, in); err != nil {
		var refused *problem
		if !errors.As(err, &refused) {
			p.fail(w, err)
			return
		}
		p.showPull(w, r, http.StatusUnprocessableEntity, refused.Error(), in.Person)
		return
	}
	http.Redirect(w, r, p.h.prefix+r.URL.Path, http.StatusSeeOther)
}

func (p *pages) commit(w http.ResponseWriter, r *http.Request) {
	found, info, err := p.find(r)
	if err != nil {
		p.fail(w, err)
		return
	}
	sha, ok := found.bare.commitID(r.Context(), r.PathValue("sha"))
	if !ok {
		p.fail(w, missing())
		return
	}
	infos, err := found.bare.commits(r.Context(), []string{sha})
	if err != nil {
		p.fail(w, err)
		return
	}
	parent := emptyTree
	if len(infos[0].Parents) > 0 {
		parent = infos[0].Parents[0]
	}
	diff, err := found.bare.diff(r.Context(), parent, sha)
	if err != nil {
		p.fail(w, err)
		return
	}
	p.show(w, http.StatusOK, "text", page{Title: "Commit " + short(sha), Repo: &info, Text: infos[0].Author.Name + "\n\n" + infos[0].Message, Diff: diff})
}

func (p *pages) file(w http.ResponseWriter, r *http.Request) {
	_, info, err := p.find(r)
	if err != nil {
		p.fail(w, err)
		return
	}
	content, ok, err := p.h.File(r.Context(), info.FullName, r.PathValue("at"), r.PathValue("path"))
	if err == nil && !ok {
		err = missing()
	}
	if err != nil {
		p.fail(w, err)
		return
	}
	p.show(w, http.StatusOK, "text", page{Title: r.PathValue("path"), Repo: &info, Text: string(content[:min(len(content), maxDiff)])})
}

func (p *pages) rollout(w http.ResponseWriter, r *http.Request) {
	_, info, err := p.find(r)
	if err != nil {
		p.fail(w, err)
		return
	}
	deployments, _ := p.h.Deployments(info.FullName)
	for _, d := range deployments {
		if strconv.FormatInt(d.ID, 10) == r.PathValue("id") {
			log, _ := p.h.RolloutLog(info.FullName, d.ID)
			p.show(w, http.StatusOK, "text", page{Title: d.Environment + " at " + short(d.SHA), Repo: &info, State: d.State, Text: log})
			return
		}
	}
	p.fail(w, missing())
}

// run shows a run of a workflow: what it printed where it deployed.
func (p *pages) run(w http.ResponseWriter, r *http.Request) {
	_, info, err := p.find(r)
	if err != nil {
		p.fail(w, err)
		return
	}
	runs, _ := p.h.Runs(info.FullName)
	for _, run := range runs {
		if id := r.PathValue("id"); strconv.FormatInt(run.ID, 10) == id || strconv.FormatInt(run.job, 10) == id {
			log, _ := p.h.RolloutLog(info.FullName, run.Deployment)
			p.show(w, http.StatusOK, "text", page{Title: run.Workflow + " at " + short(run.SHA), Repo: &info, State: cmp.Or(run.Conclusion, run.Status), Text: log})
			return
		}
	}
	p.fail(w, missing())
}

func (p *pages) check(w http.ResponseWriter, r *http.Request) {
	found, info, err := p.find(r)
	if err != nil {
		p.fail(w, err)
		return
	}
	id, _ := strconv.ParseInt(r.PathValue("id"), 10, 64)
	p.h.mu.Lock()
	data := page{Repo: &info}
	check := found.checkByID[id]
	if check != nil {
		data.Title, data.State, data.Markdown = check.name+": "+check.title, check.conclusion, check.summary
	}
	p.h.mu.Unlock()
	if check == nil {
		p.fail(w, missing())
		return
	}
	p.show(w, http.StatusOK, "text", data)
}
