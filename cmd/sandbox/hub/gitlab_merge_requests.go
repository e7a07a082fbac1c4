package hub

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// labelList is how labels come in: as a text with commas, or as a list.
type labelList []string

// UnmarshalJSON reads either.
func (l *labelList) UnmarshalJSON(raw []byte) error {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		*l = labelList{}
		for _, label := range strings.Split(text, ",") {
			if label = strings.TrimSpace(label); label != "" {
				*l = append(*l, label)
			}
		}
		return nil
	}
	var list []string
	err := json.Unmarshal(raw, &list)
	*l = list
	return err
}

// mergeRequestInput is what creates or changes a merge request.
type mergeRequestInput struct {
	Title        *string    `json:"title"`
	Description  *string    `json:"description"`
	SourceBranch string     `json:"source_branch"`
	TargetBranch *string    `json:"target_branch"`
	StateEvent   string     `json:"state_event"`
	Labels       *labelList `json:"labels"`
	AddLabels    labelList  `json:"add_labels"`
	RemoveLabels labelList  `json:"remove_labels"`
	ReviewerIDs  *[]int64   `json:"reviewer_ids"`
}

func (f *gitLabFace) mergeRequestRoutes() {
	const all = "/projects/{id}/merge_requests"
	const one = all + "/{number}"
	f.add("GET "+all, "read", f.listRequests)
	f.add("POST "+all, "develop", f.createRequest)
	f.add("GET "+one, "read", func(c *call) (int, any, error) {
		c.h.mu.Lock()
		p, err := c.mergeRequestLocked()
		c.h.mu.Unlock()
		if err != nil {
			return 0, nil, err
		}
		return f.answerRequest(c, p)
	})
	f.add("PUT "+one, "develop", f.updateRequest)
	f.add("PUT "+one+"/merge", "read", f.mergeRequestNow)
	f.add("GET "+one+"/commits", "read", func(c *call) (int, any, error) {
		from, to, err := c.requestEnds()
		if err != nil {
			return 0, nil, err
		}
		out, err := c.repo.bare.git(c.r.Context(), "rev-list", "--topo-order", to, "^"+from)
		if err != nil {
			return 0, nil, err
		}
		return f.listCommits(c, strings.Fields(out))
	})
	f.add("GET "+one+"/diffs", "read", func(c *call) (int, any, error) {
		from, to, err := c.requestEnds()
		if err != nil {
			return 0, nil, err
		}
		diffs, err := f.diffs(c.r.Context(), c.repo, from, to)
		return http.StatusOK, listing{items: diffs}, err
	})
	f.add("GET "+one+"/changes", "read", f.requestChanges)
	f.add("GET "+one+"/versions", "read", f.listVersions)
	f.add("GET "+one+"/participants", "read", about((*call).mergeRequestLocked, func(c *call, p *pull) (int, any, error) {
		people := append([]*account{p.author}, p.asked()...)
		for _, said := range p.comments {
			people = append(people, said.author)
		}
		items := []any{}
		for i, a := range people {
			if !slices.Contains(people[:i], a) {
				items = append(items, f.user(a))
			}
		}
		return http.StatusOK, listing{items: items}, nil
	}))
	f.add("GET /projects/{id}/labels", "read", func(c *call) (int, any, error) {
		c.h.mu.Lock()
		defer c.h.mu.Unlock()
		items := []any{}
		for i, name := range sortedKeys(c.repo.labels) {
			items = append(items, f.label(int64(i+1), name))
		}
		return http.StatusOK, listing{items: items}, nil
	})
	f.add("POST /projects/{id}/labels", "develop", func(c *call) (int, any, error) {
		var in struct{ Name, Color, Description string }
		if err := c.read(&in); err != nil {
			return 0, nil, err
		}
		c.h.mu.Lock()
		defer c.h.mu.Unlock()
		if c.repo.labels[in.Name] {
			return 0, nil, says(http.StatusConflict, "Label already exists")
		}
		c.repo.labels[in.Name] = true
		return http.StatusCreated, f.label(int64(len(c.repo.labels)), in.Name), nil
	})
}

// listRequests filters and sorts as GitLab does, the newest first. It may lag behind, when told to.
func (f *gitLabFace) listRequests(c *call) (int, any, error) {
	query := c.r.URL.Query()
	is := func(name, value string) bool {
		return !query.Has(name) || query.Get(name) == "" || query.Get(name) == value
	}
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	var pulls []*pull
	for _, live := range c.repo.pulls {
		p := c.h.asOfLocked(live)
		switch state := query.Get("state"); {
		case p == nil, state != "" && state != "all" && state != gitLabState(p):
		case !is("source_branch", p.head), !is("target_branch", p.base), !is("author_username", p.author.login), !is("author_id", itoa(p.author.id)):
		case query.Has("iids[]") && !slices.Contains(query["iids[]"], strconv.Itoa(p.number)):
		case !labeled(p, query.Get("labels")), query.Has("wip") && (query.Get("wip") == "yes") != p.draft:
		default:
			pulls = append(pulls, p)
		}
	}
	slices.SortStableFunc(pulls, func(a, b *pull) int {
		order := a.number - b.number
		if query.Get("order_by") == "updated_at" {
			if byTime := a.updatedAt.Compare(b.updatedAt); byTime != 0 {
				order = byTime
			}
		}
		if query.Get("sort") != "asc" {
			return -order
		}
		return order
	})
	items := []any{}
	for _, p := range pulls {
		items = append(items, f.mergeRequest(p))
	}
	return http.StatusOK, listing{items: items}, nil
}

func labeled(p *pull, labels string) bool {
	for _, label := range strings.FieldsFunc(labels, func(r rune) bool { return r == ',' }) {
		if !slices.Contains(p.labels, label) {
			return false
		}
	}
	return true
}

// requestsWith lists the merge requests that a commit belongs to, of which the sandbox knows heads and merges.
func (f *gitLabFace) requestsWith(c *call, sha string) (int, any, error) {
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	items := []any{}
	for _, p := range c.repo.pulls {
		if p.headSHA == sha || p.mergeCommit == sha || p.squashed == sha || slices.ContainsFunc(p.versions, func(v pullVersion) bool { return v.head == sha }) {
			items = append(items, f.mergeRequest(p))
		}
	}
	return http.StatusOK, listing{items: items}, nil
}

// createRequest opens a merge request, also one that changes nothing.
func (f *gitLabFace) createRequest(c *call) (int, any, error) {
	var in mergeRequestInput
	if err := c.read(&in); err != nil {
		return 0, nil, err
	}
	var missing []string
	for name, given := range map[string]bool{
		"title": in.Title != nil, "source_branch": in.SourceBranch != "", "target_branch": in.TargetBranch != nil,
	} {
		if !given {
			missing = append(missing, name+" is missing")
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return 0, nil, &answer{http.StatusBadRequest, obj{"error": strings.Join(missing, ", ")}}
	}
	open := NewPull{Title: *in.Title, Head: in.SourceBranch, Base: *in.TargetBranch}
	if in.Description != nil {
		open.Body = *in.Description
	}
	if err := c.checkBranches(open); err != nil {
		return 0, nil, err
	}
	p, err := c.h.openPull(c.r.Context(), c.repo, c.by, open)
	if err != nil {
		return 0, nil, f.anotherOpen(c, err, open.Head)
	}
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	if err := f.applyLocked(c, p, in); err != nil {
		return 0, nil, err
	}
	return http.StatusCreated, f.singleMergeRequest(p, c.by, "", true), nil
}

func (c *call) checkBranches(in NewPull) error {
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	switch {
	case in.Head == in.Base:
		return says(http.StatusUnprocessableEntity, []string{"You can't use same project/branch for source and target"})
	case strings.TrimSpace(in.Title) == "":
		return says(http.StatusBadRequest, obj{"title": []string{"can't be blank"}})
	case c.repo.head(in.Head) == "":
		return says(http.StatusUnprocessableEntity, []string{fmt.Sprintf("Source branch %q does not exist", in.Head)})
	case c.repo.head(in.Base) == "":
		return says(http.StatusUnprocessableEntity, []string{fmt.Sprintf("Target branch %q does not exist", in.Base)})
	}
	return nil
}

// anotherOpen says in GitLab's words that there is an open merge request of the branch.
func (f *gitLabFace) anotherOpen(c *call, err error, head string) error {
	if kindOf(err) != taken {
		return err
	}
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	for _, p := range c.repo.pulls {
		if p.state == pullOpen && p.head == head {
			return says(http.StatusConflict, []string{fmt.Sprintf("Another open merge request already exists for this source branch: !%d", p.number)})
		}
	}
	return err
}

// applyLocked changes labels and reviewers.
func (f *gitLabFace) applyLocked(c *call, p *pull, in mergeRequestInput) error {
	if in.Labels != nil {
		p.labels = slices.DeleteFunc(p.labels, func(l string) bool { return !slices.Contains(*in.Labels, l) })
		c.h.labelLocked(p, c.by, *in.Labels)
	}
	c.h.labelLocked(p, c.by, in.AddLabels)
	p.labels = slices.DeleteFunc(p.labels, func(l string) bool { return slices.Contains(in.RemoveLabels, l) })
	if in.ReviewerIDs != nil {
		c.h.setReviewersLocked(p, c.by, *in.ReviewerIDs)
	}
	return nil
}

// setReviewersLocked replaces who is asked for a review. Who may not read the project is left out; without a paid tier one person is asked.
func (h *Hub) setReviewersLocked(p *pull, by *account, ids []int64) {
	var wanted []*account
	for _, id := range ids {
		for _, a := range h.accounts {
			if a.id == id && a.kind != kindOrg && h.permissionLocked(p.repo, a).rank() >= Read.rank() && !slices.Contains(wanted, a) {
				wanted = append(wanted, a)
			}
		}
	}
	if h.opts.GitLab == Free && len(wanted) > 1 {
		wanted = wanted[:1]
	}
	had := p.asked()
	p.reviewers = slices.DeleteFunc(p.reviewers, func(a *account) bool { return !slices.Contains(wanted, a) })
	for _, a := range wanted {
		if slices.Contains(had, a) {
			continue
		}
		p.reviewers = append(p.reviewers, a)
		h.noteLocked(p, by, "asked "+a.login+" for a review")
		h.touchLocked(p)
		h.emitLocked(event{kind: pullEvent, action: "review_requested", repo: p.repo, actor: by, pull: p, reviewer: a})
	}
}

func (f *gitLabFace) updateRequest(c *call) (int, any, error) {
	var in mergeRequestInput
	if err := c.read(&in); err != nil {
		return 0, nil, err
	}
	c.h.mu.Lock()
	p, err := c.mergeRequestLocked()
	c.h.mu.Unlock()
	if err != nil {
		return 0, nil, err
	}
	edit := pullEdit{body: in.Description, base: in.TargetBranch}
	if in.Title != nil {
		if strings.TrimSpace(*in.Title) == "" {
			return 0, nil, says(http.StatusBadRequest, obj{"title": []string{"can't be blank"}})
		}
		edit.title = in.Title
	}
	if _, err = c.h.editPull(c.r.Context(), c.repo, c.by, p.number, edit); err != nil {
		return 0, nil, err
	}
	if state, ok := map[string]pullState{"close": pullClosed, "reopen": pullOpen}[in.StateEvent]; ok {
		_, err = c.h.editPull(c.r.Context(), c.repo, c.by, p.number, pullEdit{state: &state})
		if kindOf(err) == taken {
			return 0, nil, f.anotherOpen(c, err, p.head)
		}
		if kindOf(err) == invalid {
			err = nil // what cannot be reopened stays as it is, without a word
		}
	}
	if err != nil {
		return 0, nil, err
	}
	c.h.mu.Lock()
	err = f.applyLocked(c, p, in)
	c.h.mu.Unlock()
	if err != nil {
		return 0, nil, err
	}
	return f.answerRequest(c, p)
}

// answerRequest answers with a single merge request, for which GitLab looks whether it merges.
func (f *gitLabFace) answerRequest(c *call, p *pull) (int, any, error) {
	if _, _, err := c.h.mergeState(c.r.Context(), p); err != nil {
		return 0, nil, err
	}
	if err := c.h.count(c.r.Context(), p); err != nil {
		return 0, nil, err
	}
	from, _, err := c.h.ends(c.r.Context(), p)
	if err != nil {
		return 0, nil, err
	}
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	return http.StatusOK, f.singleMergeRequest(p, c.by, from, false), nil
}

// requestEnds returns the commits between which the changes of the merge request lie that the path names.
func (c *call) requestEnds() (from, to string, err error) {
	c.h.mu.Lock()
	p, err := c.mergeRequestLocked()
	c.h.mu.Unlock()
	if err != nil {
		return "", "", err
	}
	return c.h.ends(c.r.Context(), p)
}

func (f *gitLabFace) requestChanges(c *call) (int, any, error) {
	from, to, err := c.requestEnds()
	if err != nil {
		return 0, nil, err
	}
	diffs, err := f.diffs(c.r.Context(), c.repo, from, to)
	if err != nil {
		return 0, nil, err
	}
	c.h.mu.Lock()
	p, err := c.mergeRequestLocked()
	c.h.mu.Unlock()
	if err != nil {
		return 0, nil, err
	}
	status, body, err := f.answerRequest(c, p)
	if single, ok := body.(obj); ok {
		single["changes"], single["overflow"] = diffs, false
	}
	return status, body, err
}

func (f *gitLabFace) listVersions(c *call) (int, any, error) {
	from, _, err := c.requestEnds()
	if err != nil {
		return 0, nil, err
	}
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	p, err := c.mergeRequestLocked()
	if err != nil {
		return 0, nil, err
	}
	items := []any{}
	for _, v := range slices.Backward(p.versions) {
		items = append(items, obj{
			"id": v.id, "head_commit_sha": v.head, "base_commit_sha": from, "start_commit_sha": v.base, "created_at": gitLabTime(v.at),
			"merge_request_id": p.id, "state": "collected", "real_size": "1",
		})
	}
	return http.StatusOK, listing{items: items}, nil
}

// mergeRequestNow merges. As at GitLab it is looked at first whether it can be merged at all, then whether it is the commit that was meant.
func (f *gitLabFace) mergeRequestNow(c *call) (int, any, error) {
	var in struct {
		SHA     string `json:"sha"`
		Squash  bool   `json:"squash"`
		Message string `json:"merge_commit_message"`
		Squashs string `json:"squash_commit_message"`
		Remove  bool   `json:"should_remove_source_branch"`
	}
	if err := c.read(&in); err != nil {
		return 0, nil, err
	}
	c.h.mu.Lock()
	p, err := c.mergeRequestLocked()
	may := err == nil && c.h.mayMergeLocked(p, c.by)
	archived := c.repo.archived
	c.h.mu.Unlock()
	switch {
	case err != nil:
		return 0, nil, err
	case !may:
		return 0, nil, errUnauthorized
	case archived:
		return 0, nil, errForbidden
	}
	if _, _, err := c.h.mergeState(c.r.Context(), p); err != nil {
		return 0, nil, err
	}
	c.h.mu.Lock()
	status, head, branch := c.h.mergeStatusLocked(p).detailed, p.headSHA, p.head
	method := c.repo.gitLabMethod(in.Squash)
	c.h.mu.Unlock()
	switch {
	case status == "conflict":
		return 0, nil, says(http.StatusUnprocessableEntity, "Branch cannot be merged")
	case status != "mergeable":
		return 0, nil, errNotAllowed
	case in.SHA != "" && !strings.EqualFold(in.SHA, head):
		return 0, nil, says(http.StatusConflict, "SHA does not match HEAD of source branch: "+head)
	}
	request := mergeRequest{method: method, sha: in.SHA}
	if in.Message != "" {
		request.title, request.message, _ = strings.Cut(in.Message, "\n")
		request.message = strings.TrimSpace(request.message)
	}
	if _, err := c.h.merge(c.r.Context(), c.repo, c.by, p.number, request); err != nil {
		var refused *problem
		if errors.As(err, &refused) && refused.kind == notAllowed {
			err = errNotAllowed
		}
		return 0, nil, err
	}
	if in.Remove {
		if err := c.h.deleteRef(c.r.Context(), c.repo, c.by, "refs/heads/"+branch); err != nil && kindOf(err) == 0 {
			return 0, nil, err
		}
	}
	return f.answerRequest(c, p)
}

// gitLabMethod is how a merge is made that the project's settings and the caller ask for.
func (r *repo) gitLabMethod(squash bool) string {
	switch {
	case r.allows("squash") && (squash || !r.allows("merge")):
		return "squash"
	case r.allows("merge"):
		return "merge"
	}
	return "rebase"
}
