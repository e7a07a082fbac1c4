package hub

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

func (f *githubFace) checkRoutes() {
	f.add("POST /repos/{owner}/{repo}/check-runs", "checks:write", f.createCheck)
	f.add("PATCH /repos/{owner}/{repo}/check-runs/{id}", "checks:write", f.updateCheck)
	f.add("GET /repos/{owner}/{repo}/check-runs/{id}", "checks:read", func(c *call) (int, any, error) {
		id, err := c.number("id")
		if err != nil {
			return 0, nil, err
		}
		c.h.mu.Lock()
		defer c.h.mu.Unlock()
		check := c.repo.checkByID[id]
		if check == nil {
			return 0, nil, missing()
		}
		return http.StatusOK, f.check(c.repo, check), nil
	})
	f.add("POST /repos/{owner}/{repo}/statuses/{sha}", "statuses:write", f.createStatus)
}

// fullSHA is what the head of a check run or status must look like.
func fullSHA(text string) bool {
	return len(text) == len(noObject) && strings.Trim(text, "0123456789abcdef") == ""
}

func (f *githubFace) createCheck(c *call) (int, any, error) {
	var in checkInput
	if err := c.read(&in); err != nil {
		return 0, nil, err
	}
	if c.who.token == nil {
		return 0, nil, refuse(forbidden, "You must authenticate via a GitHub App.")
	}
	if in.Name == nil || *in.Name == "" || in.HeadSHA == nil {
		return 0, nil, refuse(invalid, "Invalid request.\n\n\"name\", \"head_sha\" weren't supplied.")
	}
	if !fullSHA(*in.HeadSHA) {
		return 0, nil, refuse(invalid, "Invalid request.\n\nhead_sha must be a full commit SHA.")
	}
	if found, ok := c.repo.bare.commitID(c.r.Context(), *in.HeadSHA); !ok || found != *in.HeadSHA {
		return 0, nil, refuse(invalid, "No commit found for SHA: "+*in.HeadSHA)
	}
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	check, err := c.h.createCheckLocked(c.repo, c.h.ownApp(), c.h.bot, in)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusCreated, f.check(c.repo, check), nil
}

func (f *githubFace) updateCheck(c *call) (int, any, error) {
	var in checkInput
	if err := c.read(&in); err != nil {
		return 0, nil, err
	}
	id, err := c.number("id")
	if err != nil {
		return 0, nil, err
	}
	if c.who.token == nil {
		return 0, nil, refuse(forbidden, "You must authenticate via a GitHub App.")
	}
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	check, err := c.h.updateCheckLocked(c.repo, id, in)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, f.check(c.repo, check), nil
}

func (f *githubFace) listChecks(c *call, sha string) (int, any, error) {
	query := c.r.URL.Query()
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	checks := slices.Clone(c.repo.checks[sha])
	if query.Get("filter") == "all" {
		slices.Reverse(checks)
	} else {
		checks = latestChecks(checks)
	}
	var items []any
	for _, check := range checks {
		switch {
		case query.Get("check_name") != "" && check.name != query.Get("check_name"):
		case query.Get("status") != "" && check.status != query.Get("status"):
		case query.Get("app_id") != "" && strconv.FormatInt(check.app.id, 10) != query.Get("app_id"):
		default:
			items = append(items, f.check(c.repo, check))
		}
	}
	return http.StatusOK, listing{key: "check_runs", items: items}, nil
}

func (f *githubFace) createStatus(c *call) (int, any, error) {
	var in struct {
		State, Description, Context string
		TargetURL                   string `json:"target_url"`
	}
	if err := c.read(&in); err != nil {
		return 0, nil, err
	}
	sha := c.r.PathValue("sha")
	if found, ok := c.repo.bare.commitID(c.r.Context(), sha); !ok || found != sha {
		return 0, nil, refuse(invalid, "No commit found for SHA: "+sha)
	}
	commits, err := c.repo.bare.commits(c.r.Context(), []string{sha})
	if err != nil {
		return 0, nil, err
	}
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	set := Status{SHA: sha, Context: in.Context, State: in.State, Description: in.Description, TargetURL: in.TargetURL}
	status, err := c.h.statusLocked(c.repo, c.by, set, &commits[0])
	if err != nil {
		return 0, nil, err
	}
	return http.StatusCreated, f.status(c.repo, status), nil
}

func (f *githubFace) listStatuses(c *call, sha string) (int, any, error) {
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	var items []any
	for _, status := range slices.Backward(c.repo.statuses[sha]) {
		items = append(items, f.status(c.repo, status))
	}
	return http.StatusOK, listing{items: items}, nil
}

// combinedStatus is failure if any context is, pending if any is or there are none, else success.
func (f *githubFace) combinedStatus(c *call, sha string) (int, any, error) {
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	latest := latestStatuses(c.repo.statuses[sha])
	state := "success"
	if len(latest) == 0 {
		state = "pending"
	}
	items := []any{}
	for _, status := range latest {
		item := f.status(c.repo, status)
		delete(item, "creator") // the list of statuses names it, this one does not
		items = append(items, item)
		switch {
		case status.state == "failure" || status.state == "error":
			state = "failure"
		case status.state == "pending" && state != "failure":
			state = "pending"
		}
	}
	return http.StatusOK, obj{
		"state": state, "sha": sha, "statuses": items, "total_count": len(items), "repository": f.minimalRepo(c.repo),
		"commit_url": f.api("/repos/%s/commits/%s", c.repo.fullName(), sha), "url": f.api("/repos/%s/commits/%s/status", c.repo.fullName(), sha),
	}, nil
}
