package hub

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

func (f *gitLabFace) reviewRoutes() {
	const one = "/projects/{id}/merge_requests/{number}"
	f.add("GET "+one+"/approvals", "read", about((*call).mergeRequestLocked, func(c *call, p *pull) (int, any, error) {
		return http.StatusOK, f.approvals(c, p), nil
	}))
	f.add("GET "+one+"/approval_state", "read", func(c *call) (int, any, error) {
		c.h.mu.Lock()
		defer c.h.mu.Unlock()
		p, err := c.mergeRequestLocked()
		if err == nil && c.h.opts.GitLab == Free {
			err = &answer{http.StatusNotFound, obj{"error": "404 Not Found"}} // the free edition has no such route
		}
		if err != nil {
			return 0, nil, err
		}
		approvals := f.approvals(c, p)
		by := []any{}
		for _, a := range approvers(p) {
			by = append(by, f.user(a))
		}
		rule := obj{
			"id": 1, "name": "All Members", "rule_type": "any_approver", "report_type": nil, "eligible_approvers": []any{}, "approvals_required": approvals["approvals_required"],
			"users": []any{}, "groups": []any{}, "contains_hidden_groups": false, "section": nil, "source_rule": nil, "approved_by": by, "approved": approvals["approved"],
		}
		return http.StatusOK, obj{"approval_rules_overwritten": false, "rules": []any{rule}}, nil
	})
	f.add("POST "+one+"/approve", "read", f.approve)
	f.add("POST "+one+"/unapprove", "read", about((*call).mergeRequestLocked, func(c *call, p *pull) (int, any, error) {
		if !slices.Contains(approvers(p), c.by) {
			return 0, nil, says(http.StatusNotFound, "404 Not found")
		}
		for _, rv := range p.reviews {
			if rv.author == c.by && rv.state == reviewApproved {
				c.h.dismissLocked(p, c.by, rv)
			}
		}
		return http.StatusCreated, nil, nil
	}))
	f.add("GET "+one+"/reviewers", "read", about((*call).mergeRequestLocked, func(c *call, p *pull) (int, any, error) {
		items := []any{}
		for _, a := range p.asked() {
			items = append(items, obj{"user": f.user(a), "state": reviewerState(p, a), "created_at": gitLabTime(p.createdAt)})
		}
		return http.StatusOK, listing{items: items}, nil
	}))
}

// reviewerState is how far a reviewer has got.
func reviewerState(p *pull, a *account) string {
	state := "unreviewed"
	for _, rv := range p.reviews {
		if rv.author == a {
			state = map[reviewState]string{
				reviewApproved: "approved", reviewChanges: "requested_changes", reviewCommented: "reviewed", reviewDismissed: "unapproved",
			}[rv.state]
		}
	}
	return state
}

// approvers are the people whose approval stands, whatever was pushed since.
func approvers(p *pull) []*account {
	var people []*account
	for _, rv := range latestReviews(p) {
		if rv.state == reviewApproved {
			people = append(people, rv.author)
		}
	}
	return people
}

func (f *gitLabFace) approvals(c *call, p *pull) obj {
	by := []any{}
	for _, a := range approvers(p) {
		by = append(by, obj{"user": f.user(a)})
	}
	required := 0
	if p.repo.protection != nil && c.h.opts.GitLab != Free {
		required = p.repo.protection.Reviews
	}
	left := max(required-len(by), 0)
	has := slices.Contains(approvers(p), c.by)
	body := obj{
		"user_has_approved": has, "user_can_approve": !has && c.by != p.author && c.h.permissionLocked(p.repo, c.by).rank() >= Write.rank(),
		"approved": left == 0 && (required > 0 || len(by) > 0), "approved_by": by,
	}
	if c.h.opts.GitLab == Free {
		return body
	}
	body["id"], body["iid"], body["project_id"], body["title"], body["description"], body["state"] = p.id, p.number, p.repo.id, p.title, p.body, gitLabState(p)
	body["created_at"], body["updated_at"], body["merge_status"] = gitLabTime(p.createdAt), gitLabTime(p.updatedAt), c.h.mergeStatusLocked(p).plain
	body["approvals_required"], body["approvals_left"], body["require_password_to_approve"], body["approval_rules_left"] = required, left, false, []any{}
	body["has_approval_rules"], body["merge_request_approvers_available"], body["multiple_approval_rules_available"] = false, true, true
	body["suggested_approvers"], body["approvers"], body["approver_groups"] = []any{}, []any{}, []any{}
	return body
}

// approve takes an approval, if sha is given only of that head.
func (f *gitLabFace) approve(c *call) (int, any, error) {
	var in struct{ SHA string }
	if err := c.read(&in); err != nil {
		return 0, nil, err
	}
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	p, err := c.mergeRequestLocked()
	switch {
	case err != nil:
		return 0, nil, err
	case in.SHA != "" && in.SHA != p.headSHA:
		return 0, nil, says(http.StatusConflict, "SHA does not match HEAD of source branch: "+p.headSHA)
	case c.h.permissionLocked(p.repo, c.by).rank() < Write.rank() || slices.Contains(approvers(p), c.by):
		return 0, nil, errUnauthorized
	}
	if _, err := c.h.reviewLocked(p, c.by, reviewApproved, "", ""); err != nil {
		return 0, nil, errUnauthorized
	}
	return http.StatusCreated, f.approvals(c, p), nil
}

func (f *gitLabFace) noteRoutes() {
	const all = "/projects/{id}/merge_requests/{number}/notes"
	f.add("GET "+all, "read", about((*call).mergeRequestLocked, func(c *call, p *pull) (int, any, error) {
		notes := gitLabNotes(p)
		if c.r.URL.Query().Get("sort") != "asc" {
			slices.Reverse(notes)
		}
		items := []any{}
		for _, n := range notes {
			if c.r.URL.Query().Get("activity_filter") != "only_comments" || !n.system {
				items = append(items, f.note(p, n))
			}
		}
		return http.StatusOK, listing{items: items}, nil
	}))
	f.add("POST "+all, "read", func(c *call) (int, any, error) {
		var in struct{ Body string }
		if err := c.read(&in); err != nil {
			return 0, nil, err
		}
		c.h.mu.Lock()
		defer c.h.mu.Unlock()
		p, err := c.mergeRequestLocked()
		if err != nil {
			return 0, nil, err
		}
		if c.repo.archived {
			return 0, nil, errForbidden
		}
		said, err := c.h.commentLocked(p, c.by, in.Body)
		if err != nil {
			return 0, nil, says(http.StatusBadRequest, `400 Bad request - Note {:note=>["can't be blank"]}`)
		}
		return http.StatusCreated, f.note(p, gitLabNote{id: said.id, by: said.author, body: said.body, at: said.createdAt}), nil
	})
	f.add("GET "+all+"/{note}", "read", func(c *call) (int, any, error) {
		c.h.mu.Lock()
		defer c.h.mu.Unlock()
		p, n, err := c.noteLocked()
		if err != nil {
			return 0, nil, err
		}
		return http.StatusOK, f.note(p, n), nil
	})
	f.add("PUT "+all+"/{note}", "read", func(c *call) (int, any, error) {
		var in struct{ Body string }
		if err := c.read(&in); err != nil {
			return 0, nil, err
		}
		c.h.mu.Lock()
		defer c.h.mu.Unlock()
		p, n, err := c.noteLocked()
		if err != nil {
			return 0, nil, err
		}
		for _, said := range p.comments {
			if said.id == n.id && said.author == c.by {
				said.body, said.updatedAt, n.body = in.Body, c.h.stamp(), in.Body
				return http.StatusOK, f.note(p, n), nil
			}
		}
		return 0, nil, errForbidden
	})
}

func (c *call) noteLocked() (*pull, gitLabNote, error) {
	p, err := c.mergeRequestLocked()
	if err != nil {
		return nil, gitLabNote{}, err
	}
	id, err := c.number("note")
	notes := gitLabNotes(p)
	i := slices.IndexFunc(notes, func(n gitLabNote) bool { return n.id == id })
	if err != nil || i < 0 {
		return nil, gitLabNote{}, says(http.StatusNotFound, "404 Not found")
	}
	return p, notes[i], nil
}

// gitLabNote is a comment, or what GitLab writes into the thread itself when something happens.
type gitLabNote struct {
	id     int64
	by     *account
	body   string
	at     time.Time
	system bool
}

// gitLabNotes lists them, oldest first.
func gitLabNotes(p *pull) []gitLabNote {
	var notes []gitLabNote
	for _, said := range p.comments {
		notes = append(notes, gitLabNote{id: said.id, by: said.author, body: said.body, at: said.createdAt})
	}
	for _, rv := range p.reviews {
		if rv.body != "" {
			notes = append(notes, gitLabNote{id: rv.id, by: rv.author, body: rv.body, at: rv.at})
		}
	}
	for _, n := range p.timeline {
		if body := systemNote(p, n); body != "" {
			notes = append(notes, gitLabNote{id: n.id, by: n.by, body: body, at: n.At, system: true})
		}
	}
	slices.SortFunc(notes, func(a, b gitLabNote) int { return int(a.id - b.id) })
	return notes
}

// systemNote is a line of the timeline in GitLab's words; empty: it writes none.
func systemNote(p *pull, n note) string {
	verb, rest, _ := strings.Cut(n.Text, " ")
	switch verb {
	case "approved":
		return "approved this merge request"
	case "dismissed":
		if n.by != nil && strings.HasSuffix(n.Text, " "+n.by.login) {
			return "unapproved this merge request"
		}
		return "reset approvals from @" + n.Text[strings.LastIndexByte(n.Text, ' ')+1:] + " by pushing to the branch"
	case "requested":
		return "requested changes"
	case "closed", "reopened", "merged":
		return verb
	case "asked":
		who, _, _ := strings.Cut(rest, " ")
		return "requested review from @" + who
	case "pushed":
		return fmt.Sprintf("added 1 commit\n\n<ul><li>%s - a commit</li></ul>\n\n[Compare with previous version](/%s/-/merge_requests/%d/diffs)", rest, p.repo.fullName(), p.number)
	case "marked":
		return "marked this merge request as **" + strings.TrimPrefix(rest, "this as ") + "**"
	}
	return ""
}

func (f *gitLabFace) note(p *pull, n gitLabNote) obj {
	return obj{
		"id": n.id, "type": nil, "body": n.body, "author": f.user(n.by), "created_at": gitLabTime(n.at), "updated_at": gitLabTime(n.at), "system": n.system,
		"noteable_id": p.id, "noteable_type": "MergeRequest", "noteable_iid": p.number, "project_id": p.repo.id, "resolvable": false,
		"confidential": false, "internal": false, "attachment": nil,
	}
}
