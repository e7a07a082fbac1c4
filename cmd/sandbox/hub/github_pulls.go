package hub

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

func (f *githubFace) pullRoutes() {
	f.add("GET /repos/{owner}/{repo}/pulls", "pull_requests:read", f.listPulls)
	f.add("POST /repos/{owner}/{repo}/pulls", "pull_requests:write", f.createPull)
	f.add("GET /repos/{owner}/{repo}/pulls/{number}", "pull_requests:read", f.getPull)
	f.add("PATCH /repos/{owner}/{repo}/pulls/{number}", "pull_requests:write", f.patchPull)
	f.add("GET /repos/{owner}/{repo}/pulls/{number}/files", "pull_requests:read", f.listFiles)
	f.add("GET /repos/{owner}/{repo}/pulls/{number}/commits", "pull_requests:read", f.listCommits)
	f.add("GET /repos/{owner}/{repo}/pulls/{number}/merge", "pull_requests:read", func(c *call) (int, any, error) {
		c.h.mu.Lock()
		defer c.h.mu.Unlock()
		p, err := c.pullLocked()
		if err == nil && !p.merged {
			err = missing()
		}
		return http.StatusNoContent, nil, err
	})
	f.add("PUT /repos/{owner}/{repo}/pulls/{number}/merge", "contents:write", f.mergePull)
	f.add("GET /repos/{owner}/{repo}/pulls/{number}/reviews", "pull_requests:read", f.listReviews)
	f.add("POST /repos/{owner}/{repo}/pulls/{number}/reviews", "reviews:write", f.createReview)
	f.add("PUT /repos/{owner}/{repo}/pulls/{number}/reviews/{review}/dismissals", "pull_requests:write", f.dismissReview)
	f.add("POST /repos/{owner}/{repo}/pulls/{number}/requested_reviewers", "pull_requests:write", f.requestReviewers)
	f.add("GET /repos/{owner}/{repo}/issues/{number}", "pull_requests:read", about((*call).pullLocked, func(c *call, p *pull) (int, any, error) {
		body := f.issue(p)
		body["closed_by"] = f.account(p.closedBy)
		return http.StatusOK, body, nil
	}))
	f.add("GET /repos/{owner}/{repo}/issues/{number}/labels", "pull_requests:read", about((*call).pullLocked, func(c *call, p *pull) (int, any, error) {
		return http.StatusOK, listing{items: f.labels(p)}, nil
	}))
	f.add("POST /repos/{owner}/{repo}/issues/{number}/labels", "pull_requests:write", f.addLabels)
	f.add("GET /repos/{owner}/{repo}/issues/{number}/comments", "pull_requests:read", f.listComments)
	f.add("POST /repos/{owner}/{repo}/issues/{number}/comments", "pull_requests:write", f.createComment)
}

// listPulls filters and sorts as GitHub does. It may lag behind, when told to.
func (f *githubFace) listPulls(c *call) (int, any, error) {
	query := c.r.URL.Query()
	get := func(name, otherwise string) string {
		if value := query.Get(name); value != "" {
			return value
		}
		return otherwise
	}
	state, sort := get("state", "open"), get("sort", "created")
	direction := get("direction", map[bool]string{true: "desc", false: "asc"}[sort == "created"])
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	owner, branch, withOwner := strings.Cut(query.Get("head"), ":")
	var pulls []*pull
	for _, live := range c.repo.pulls {
		p := c.h.asOfLocked(live)
		switch {
		case p == nil:
		case state != "all" && string(p.state) != state:
		case query.Get("base") != "" && p.base != query.Get("base"):
		case withOwner && (p.head != branch || !strings.EqualFold(owner, c.repo.owner.login)): // without an owner GitHub ignores head
		default:
			pulls = append(pulls, p)
		}
	}
	slices.SortStableFunc(pulls, func(a, b *pull) int {
		order := a.number - b.number
		if sort == "updated" {
			if byTime := a.updatedAt.Compare(b.updatedAt); byTime != 0 {
				order = byTime
			}
		}
		if direction == "desc" {
			return -order
		}
		return order
	})
	var items []any
	inside := written(f.repo(c.repo))
	for _, p := range pulls {
		items = append(items, f.pull(p, inside))
	}
	return http.StatusOK, listing{items: items}, nil
}

func (f *githubFace) pullsOfCommit(c *call, sha string) (int, any, error) {
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	var items []any
	inside := written(f.repo(c.repo))
	for _, p := range c.repo.pulls {
		if p.headSHA == sha || p.mergeCommit == sha {
			items = append(items, f.pull(p, inside))
		}
	}
	return http.StatusOK, listing{items: items}, nil
}

func (f *githubFace) createPull(c *call) (int, any, error) {
	var in struct {
		Title, Body, Head, Base string
		Draft                   bool
	}
	if err := c.read(&in); err != nil {
		return 0, nil, err
	}
	c.h.mu.Lock()
	owner, branch, withOwner := strings.Cut(in.Head, ":")
	if withOwner && strings.EqualFold(owner, c.repo.owner.login) {
		in.Head = branch
	}
	c.h.mu.Unlock()
	p, err := c.h.openPull(c.r.Context(), c.repo, c.by, NewPull{Title: in.Title, Body: in.Body, Head: in.Head, Base: in.Base, Draft: in.Draft})
	if err != nil {
		return 0, nil, err
	}
	if err := c.h.count(c.r.Context(), p); err != nil {
		return 0, nil, err
	}
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	return http.StatusCreated, f.fullPull(p, written(f.repo(c.repo)), nil, mergeUnknown), nil // GitHub too finds out only later
}

// answerPull answers with a single pull request, its mergeability and its numbers.
func (f *githubFace) answerPull(c *call, p *pull) (int, any, error) {
	mergeable, state, err := c.h.mergeState(c.r.Context(), p)
	if err != nil {
		return 0, nil, err
	}
	if err := c.h.count(c.r.Context(), p); err != nil {
		return 0, nil, err
	}
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	return http.StatusOK, f.fullPull(p, written(f.repo(c.repo)), mergeable, state), nil
}

func (f *githubFace) getPull(c *call) (int, any, error) {
	c.h.mu.Lock()
	p, err := c.pullLocked()
	c.h.mu.Unlock()
	if err != nil {
		return 0, nil, err
	}
	return f.answerPull(c, p)
}

func (f *githubFace) patchPull(c *call) (int, any, error) {
	var in struct {
		Title, Body, Base, State *string
	}
	if err := c.read(&in); err != nil {
		return 0, nil, err
	}
	number, err := c.number("number")
	if err != nil {
		return 0, nil, err
	}
	p, err := c.h.editPull(c.r.Context(), c.repo, c.by, int(number), pullEdit{title: in.Title, body: in.Body, base: in.Base, state: (*pullState)(in.State)})
	if err != nil {
		return 0, nil, err
	}
	return f.answerPull(c, p)
}

// ends returns the commits between which a pull request's changes lie.
func (c *call) ends() (from, to string, err error) {
	c.h.mu.Lock()
	p, err := c.pullLocked()
	c.h.mu.Unlock()
	if err != nil {
		return "", "", err
	}
	return c.h.ends(c.r.Context(), p)
}

func (f *githubFace) listFiles(c *call) (int, any, error) {
	from, to, err := c.ends()
	if err != nil {
		return 0, nil, err
	}
	files, err := f.files(c, from, to)
	return http.StatusOK, listing{items: files}, err
}

func (f *githubFace) listCommits(c *call) (int, any, error) {
	from, to, err := c.ends()
	if err != nil {
		return 0, nil, err
	}
	commits, err := c.repo.bare.log(c.r.Context(), from, to, 250)
	if err != nil {
		return 0, nil, err
	}
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	var items []any
	for i := range commits {
		items = append(items, f.gitCommit(c.repo, &commits[i]))
	}
	return http.StatusOK, listing{items: items}, nil
}

func (f *githubFace) mergePull(c *call) (int, any, error) {
	var in struct {
		SHA     string `json:"sha"`
		Method  string `json:"merge_method"`
		Title   string `json:"commit_title"`
		Message string `json:"commit_message"`
	}
	if err := c.read(&in); err != nil {
		return 0, nil, err
	}
	number, err := c.number("number")
	if err != nil {
		return 0, nil, err
	}
	sha, err := c.h.merge(c.r.Context(), c.repo, c.by, int(number), mergeRequest{method: in.Method, sha: in.SHA, title: in.Title, message: in.Message})
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, obj{"sha": sha, "merged": true, "message": "Pull Request successfully merged"}, nil
}

func (f *githubFace) listReviews(c *call) (int, any, error) {
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	p, err := c.pullLocked()
	if err != nil {
		return 0, nil, err
	}
	var items []any
	for _, rv := range p.reviews {
		items = append(items, f.review(p, rv))
	}
	return http.StatusOK, listing{items: items}, nil
}

func (f *githubFace) createReview(c *call) (int, any, error) {
	var in struct {
		Event, Body string
		CommitID    string `json:"commit_id"`
	}
	if err := c.read(&in); err != nil {
		return 0, nil, err
	}
	states := map[string]reviewState{"APPROVE": reviewApproved, "REQUEST_CHANGES": reviewChanges, "COMMENT": reviewCommented}
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	p, err := c.pullLocked()
	if err != nil {
		return 0, nil, err
	}
	rv, err := c.h.reviewLocked(p, c.by, states[in.Event], in.Body, in.CommitID)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, f.review(p, rv), nil
}

func (f *githubFace) dismissReview(c *call) (int, any, error) {
	id, err := c.number("review")
	if err != nil {
		return 0, nil, err
	}
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	p, err := c.pullLocked()
	if err != nil {
		return 0, nil, err
	}
	for _, rv := range p.reviews {
		if rv.id != id {
			continue
		}
		if rv.state != reviewApproved && rv.state != reviewChanges {
			return 0, nil, refuse(invalid, "Can not dismiss a commented pull request review")
		}
		c.h.dismissLocked(p, c.by, rv)
		return http.StatusOK, f.review(p, rv), nil
	}
	return 0, nil, missing()
}

// requestReviewers asks all or, where one of them may not review, nobody.
func (f *githubFace) requestReviewers(c *call) (int, any, error) {
	var in struct {
		Reviewers []string
		Teams     []string `json:"team_reviewers"`
	}
	if err := c.read(&in); err != nil {
		return 0, nil, err
	}
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	p, err := c.pullLocked()
	if err != nil {
		return 0, nil, err
	}
	stranger := func() error {
		return refuse(invalid, "Reviews may only be requested from collaborators. One or more of the users or teams you specified is not a collaborator of the "+c.repo.fullName()+" repository.")
	}
	var asked []*account
	for _, login := range in.Reviewers {
		a, err := c.h.personLocked(login)
		if err != nil || c.h.permissionLocked(c.repo, a).rank() < Read.rank() {
			return 0, nil, stranger()
		}
		if a == p.author {
			return 0, nil, refuse(invalid, "Review cannot be requested from pull request author.")
		}
		asked = append(asked, a)
	}
	for _, slug := range in.Teams {
		if _, ok := c.h.teams[strings.ToLower(c.repo.owner.login+"/"+slug)]; !ok {
			return 0, nil, stranger()
		}
	}
	for _, a := range asked {
		if !slices.Contains(p.reviewers, a) {
			p.reviewers = append(p.reviewers, a)
			c.h.noteLocked(p, c.by, "asked "+a.login+" for a review")
			c.h.emitLocked(event{kind: pullEvent, action: "review_requested", repo: c.repo, actor: c.by, pull: p, reviewer: a})
		}
	}
	for _, slug := range in.Teams {
		if !slices.Contains(p.teams, slug) {
			p.teams = append(p.teams, slug)
			c.h.noteLocked(p, c.by, "asked the team "+slug+" for a review")
			c.h.emitLocked(event{kind: pullEvent, action: "review_requested", repo: c.repo, actor: c.by, pull: p, team: slug})
		}
	}
	return http.StatusCreated, f.pull(p, f.repo(c.repo)), nil
}

func (f *githubFace) addLabels(c *call) (int, any, error) {
	var raw json.RawMessage
	if err := c.read(&raw); err != nil {
		return 0, nil, err
	}
	var labels []string // GitHub takes a plain list, which go-github sends, and one under "labels"
	var in struct{ Labels []string }
	if json.Unmarshal(raw, &labels) != nil {
		if json.Unmarshal(raw, &in) != nil {
			return 0, nil, refuse(invalid, "Problems parsing JSON")
		}
		labels = in.Labels
	}
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	p, err := c.pullLocked()
	if err != nil {
		return 0, nil, err
	}
	c.h.labelLocked(p, c.by, labels)
	return http.StatusOK, f.labels(p), nil
}

func (f *githubFace) listComments(c *call) (int, any, error) {
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	p, err := c.pullLocked()
	if err != nil {
		return 0, nil, err
	}
	var items []any
	for _, comment := range p.comments {
		items = append(items, f.comment(p, comment))
	}
	return http.StatusOK, listing{items: items}, nil
}

func (f *githubFace) createComment(c *call) (int, any, error) {
	var in struct{ Body string }
	if err := c.read(&in); err != nil {
		return 0, nil, err
	}
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	p, err := c.pullLocked()
	if err != nil {
		return 0, nil, err
	}
	comment, err := c.h.commentLocked(p, c.by, in.Body)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusCreated, f.comment(p, comment), nil
}

// base64Lines is base64 in lines of 60, as GitHub sends file contents.
func base64Lines(content []byte) string {
	text := base64.StdEncoding.EncodeToString(content)
	var lines strings.Builder
	for len(text) > 60 {
		lines.WriteString(text[:60] + "\n")
		text = text[60:]
	}
	return lines.String() + text + "\n"
}
