package hub_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/boatlift/boatlift/cmd/sandbox/hub"
)

const pulls = "/repos/" + infra + "/pulls"

func TestPullRequestFromOpenToMerged(t *testing.T) {
	s := start(t, hub.Options{})
	number := s.pull("boatlift/web", "1.1.0")
	one := s.bot("GET", fmt.Sprintf("%s/%d", pulls, number), nil).want(http.StatusOK)
	if one.str("mergeable") != "true" || one.str("mergeable_state") != "clean" || one.str("state") != "open" || one.str("user.login") != "boatlift[bot]" {
		t.Errorf("a fresh pull request is %s", one.raw)
	}
	if one.str("changed_files") != "1" || one.str("additions") != "1" || one.str("deletions") != "1" || one.str("commits") != "1" {
		t.Errorf("its numbers are %s files, +%s, -%s, %s commits", one.str("changed_files"), one.str("additions"), one.str("deletions"), one.str("commits"))
	}
	merged := s.bot("PUT", fmt.Sprintf("%s/%d/merge", pulls, number), map[string]any{"sha": one.str("head.sha")}).want(http.StatusOK)
	head, err := s.Head(infra, "main")
	s.must(err)
	if merged.str("sha") != head || merged.str("merged") != "true" {
		t.Errorf("merged as %s; main is at %s", merged.str("sha"), head)
	}
	after := s.bot("GET", fmt.Sprintf("%s/%d", pulls, number), nil).want(http.StatusOK)
	if after.str("state") != "closed" || after.str("merged") != "true" || after.str("merge_commit_sha") != head || after.str("merged_by.login") != "boatlift[bot]" {
		t.Errorf("after the merge it is %s", after.raw)
	}
	content, ok, err := s.File(t.Context(), infra, "main", "shop/kustomization.yaml")
	if err != nil || !ok || !strings.Contains(string(content), "1.1.0") {
		t.Errorf("main has %q, %v, %v", content, ok, err)
	}
	if h := s.one("pull_request.closed"); h.str("pull_request.merged") != "true" || h.str("pull_request.merge_commit_sha") != head {
		t.Errorf("the webhook says %v", h.body["pull_request"])
	}
}

func TestMergeMethods(t *testing.T) {
	for _, c := range []struct {
		method  string
		parents int
	}{{"merge", 2}, {"squash", 1}, {"rebase", 1}} {
		t.Run(c.method, func(t *testing.T) {
			s := start(t, hub.Options{})
			number := s.pull("boatlift/web", "1.1.0")
			_, err := s.Push(t.Context(), infra, hub.Commit{Person: "alice", Branch: "main", Files: map[string][]byte{"README.md": []byte("moved on\n")}})
			s.must(err)
			s.bot("PUT", fmt.Sprintf("%s/%d/merge", pulls, number), map[string]any{"merge_method": c.method}).want(http.StatusOK)
			dir := s.clone(infra, "alice", s.AddPerson("alice").Token)
			if got := len(strings.Fields(s.mustGit(dir, "log", "-1", "--format=%P"))); got != c.parents {
				t.Errorf("the new commit has %d parents; want %d", got, c.parents)
			}
			if out := s.mustGit(dir, "show", "HEAD:README.md") + s.mustGit(dir, "show", "HEAD:shop/kustomization.yaml"); !strings.Contains(out, "moved on") || !strings.Contains(out, "1.1.0") {
				t.Errorf("main lacks one side: %s", out)
			}
			s.mustGit(dir, "fsck", "--strict")
		})
	}
}

func TestPullRequestRefusals(t *testing.T) {
	s := start(t, hub.Options{})
	number := s.pull("boatlift/web", "1.1.0")
	path := fmt.Sprintf("%s/%d", pulls, number)
	open := func(head, base, title string) answer {
		return s.bot("POST", pulls, map[string]any{"title": title, "head": head, "base": base})
	}
	open("boatlift/web", "main", "again").want(422, "A pull request already exists for acme:boatlift/web.", `"resource":"PullRequest"`, `"documentation_url"`)
	s.bot("POST", "/repos/"+infra+"/git/refs", map[string]any{"ref": "refs/heads/empty", "sha": mustHead(s, "main")}).want(201)
	open("empty", "main", "nothing").want(422, "No commits between main and empty")
	open("absent", "main", "none").want(422, `"field":"head"`)
	open("boatlift/web", "absent", "none").want(422, `"field":"base"`)
	open("boatlift/web", "main", "").want(422, `"field":"title"`)
	s.bot("GET", pulls+"/99", nil).want(404, "Not Found")
	s.bot("GET", pulls+"/x", nil).want(404)
	s.bot("PUT", path+"/merge", map[string]any{"sha": strings.Repeat("0", 40)}).want(409, "Head branch was modified")
	s.bot("PUT", path+"/merge", map[string]any{"merge_method": "octopus"}).want(422)
	s.must(s.SetMergeMethods(infra, "merge"))
	s.bot("PUT", path+"/merge", map[string]any{"merge_method": "squash"}).want(405, "not allowed on this repository")

	s.push("alice", "main", "1.0.5") // conflicts with 1.1.0
	one := s.bot("GET", path, nil).want(200)
	if one.str("mergeable") != "false" || one.str("mergeable_state") != "dirty" {
		t.Errorf("a conflict shows as %s, %s", one.str("mergeable"), one.str("mergeable_state"))
	}
	s.bot("PUT", path+"/merge", nil).want(405, "Pull Request is not mergeable")
	s.bot("PATCH", path, map[string]any{"state": "closed"}).want(200)
	s.bot("PUT", path+"/merge", nil).want(405)
	s.bot("PATCH", path, map[string]any{"state": "sideways"}).want(422)
}

func mustHead(s *sandbox, branch string) string {
	s.t.Helper()
	sha, err := s.Head(infra, branch)
	s.must(err)
	return sha
}

func TestBranchProtection(t *testing.T) {
	s := start(t, hub.Options{})
	s.must(s.SetProtection(infra, &hub.Protection{Checks: []hub.RequiredCheck{{Context: "boatlift/gate", AppID: s.AppID()}}, Reviews: 1, DismissStale: true}))
	number := s.pull("boatlift/web", "1.1.0")
	path := fmt.Sprintf("%s/%d", pulls, number)
	merge := func() answer { return s.bot("PUT", path+"/merge", nil) }
	merge().want(405, `Required status check \"boatlift/gate\" is expected.`)
	if got := s.bot("GET", path, nil).str("mergeable_state"); got != "blocked" {
		t.Errorf("mergeable_state = %s; want blocked", got)
	}
	// A status of that name by anybody with write access does not count: the app is pinned.
	s.must(s.SetStatus(t.Context(), infra, "alice", hub.Status{SHA: mustHead(s, "boatlift/web"), Context: "boatlift/gate", State: "success"}))
	merge().want(405, "is expected")
	gate := func(conclusion string) {
		t.Helper()
		s.bot("POST", "/repos/"+infra+"/check-runs", map[string]any{"name": "boatlift/gate", "head_sha": mustHead(s, "boatlift/web"), "conclusion": conclusion}).want(201)
	}
	gate("failure")
	merge().want(405, "is failing")
	gate("success")
	merge().want(405, "approving review is required")
	s.must(s.Review(infra, number, "rita", hub.Approve, "")) // may only read: does not count
	merge().want(405, "approving review is required")
	s.must(s.Review(infra, number, "bob", hub.RequestChanges, "no"))
	merge().want(405, "Changes have been requested")
	s.must(s.Review(infra, number, "bob", hub.Approve, ""))
	s.push("alice", "boatlift/web", "1.1.1")
	gate("success")
	merge().want(405, "approving review is required") // the push took the approval away
	s.must(s.Review(infra, number, "bob", hub.Approve, ""))
	merge().want(200)
	rules := s.bot("GET", "/repos/"+infra+"/rules/branches/main", nil).want(200)
	if rules.str("0.parameters.required_status_checks.0.context") != "boatlift/gate" || rules.int("0.parameters.required_status_checks.0.integration_id") != int(s.AppID()) || rules.str("1.type") != "pull_request" {
		t.Errorf("rules are %s", rules.raw)
	}
}

func TestReviews(t *testing.T) {
	s := start(t, hub.Options{})
	number := s.pull("boatlift/web", "1.1.0")
	path := fmt.Sprintf("%s/%d/reviews", pulls, number)
	s.bot("POST", path, map[string]any{"event": "APPROVE"}).want(422, "Can not approve your own pull request")
	s.bot("POST", path, map[string]any{"event": "REQUEST_CHANGES", "body": "x"}).want(422, "your own pull request")
	s.as("bob", "POST", path, map[string]any{"event": "REQUEST_CHANGES"}).want(422, "Body is required")
	s.as("bob", "POST", path, map[string]any{"event": "APPROVE", "body": "ship it"}).want(200, `"state":"APPROVED"`)
	list := s.bot("GET", path, nil).want(200)
	if list.str("0.state") != "APPROVED" || list.str("0.user.login") != "bob" || list.str("0.commit_id") != mustHead(s, "boatlift/web") {
		t.Errorf("reviews are %s", list.raw)
	}
	if h := s.one("pull_request_review.submitted"); h.str("review.state") != "approved" || h.str("sender.login") != "bob" {
		t.Errorf("the webhook says %v", h.body["review"])
	}
	s.must(s.Dismiss(infra, number, "bob", "alice"))
	s.bot("GET", path, nil).want(200, `"state":"DISMISSED"`)
	s.as("alice", "PUT", fmt.Sprintf("%s/%d/merge", pulls, number), nil).want(200)
	s.as("bob", "POST", path, map[string]any{"event": "APPROVE"}).want(422)
}

func TestListPulls(t *testing.T) {
	s := start(t, hub.Options{})
	for i := range 5 {
		s.pull(fmt.Sprintf("boatlift/web-%d", i), fmt.Sprintf("1.1.%d", i))
	}
	for _, c := range []struct {
		query string
		want  int
		first string
	}{
		{"", 5, "5"},
		{"?direction=asc", 5, "1"},
		{"?sort=updated", 5, "1"},
		{"?head=acme:boatlift/web-2", 1, "3"},
		{"?head=boatlift/web-2", 5, "5"}, // without an owner GitHub ignores it
		{"?head=other:boatlift/web-2", 0, "<nil>"},
		{"?base=release", 0, "<nil>"},
		{"?state=closed", 0, "<nil>"},
		{"?per_page=2", 2, "5"},
		{"?per_page=2&page=3", 1, "1"},
		{"?per_page=2&page=9", 0, "<nil>"},
	} {
		got := s.bot("GET", pulls+c.query, nil).want(200)
		if got.count() != c.want || got.str("0.number") != c.first {
			t.Errorf("%q: %d pull requests, first %s; want %d, %s", c.query, got.count(), got.str("0.number"), c.want, c.first)
		}
	}
	link := s.bot("GET", pulls+"?per_page=2&page=2&state=all", nil).want(200).header.Get("Link")
	for _, want := range []string{`page=3&per_page=2&state=all>; rel="next"`, `page=1&per_page=2&state=all>; rel="prev"`, `rel="last"`, `rel="first"`} {
		if !strings.Contains(link, want) {
			t.Errorf("Link = %s; want %s in it", link, want)
		}
	}
}

func TestCloseAndReopen(t *testing.T) {
	s := start(t, hub.Options{})
	number := s.pull("boatlift/web", "1.1.0")
	path := fmt.Sprintf("%s/%d", pulls, number)
	s.must(s.ClosePull(t.Context(), infra, number, "bob"))
	if got := s.bot("GET", fmt.Sprintf("/repos/%s/issues/%d", infra, number), nil).want(200).str("closed_by.login"); got != "bob" {
		t.Errorf("closed_by = %s; want bob", got)
	}
	s.bot("PATCH", path, map[string]any{"state": "open"}).want(200, `"state":"open"`)
	s.one("pull_request.reopened")
	s.bot("DELETE", "/repos/"+infra+"/git/refs/heads/boatlift/web", nil).want(204)
	if h := s.of("pull_request.closed"); len(h) != 2 || h[1].str("sender.login") != "boatlift[bot]" || h[1].str("pull_request.merged") != "false" {
		t.Errorf("deleting the branch sent %d closed events: %v", len(h), h)
	}
	s.bot("PATCH", path, map[string]any{"state": "open"}).want(422, "branch has been deleted")
	s.bot("DELETE", "/repos/"+infra+"/git/refs/heads/boatlift/web", nil).want(422, "Reference does not exist")
	one := s.bot("GET", path, nil).want(200)
	s.bot("POST", "/repos/"+infra+"/git/refs", map[string]any{"ref": "refs/heads/boatlift/web", "sha": one.str("head.sha")}).want(201)
	s.bot("PATCH", path, map[string]any{"state": "open"}).want(200, `"state":"open"`)
	if err := s.ClosePull(t.Context(), infra, number, "rita"); err == nil {
		t.Error("somebody who may only read closed it")
	}
}

func TestEditCommentAndLabel(t *testing.T) {
	s := start(t, hub.Options{})
	number := s.pull("boatlift/web", "1.1.0")
	path := fmt.Sprintf("%s/%d", pulls, number)
	s.bot("PATCH", path, map[string]any{"title": "Another", "body": "text"}).want(200, `"title":"Another"`, `"body":"text"`)
	if h := s.one("pull_request.edited"); h.str("changes.body.from") != "as asked" {
		t.Errorf("changes = %v", h.body["changes"])
	}
	s.bot("PATCH", path, map[string]any{"title": " "}).want(422)
	issue := fmt.Sprintf("/repos/%s/issues/%d", infra, number)
	s.bot("POST", issue+"/labels", []string{"promotion", "held"}).want(200)
	s.bot("POST", issue+"/labels", map[string]any{"labels": []string{"held"}}).want(200)
	if got := s.bot("GET", path, nil).want(200); got.len("labels") != 2 {
		t.Errorf("labels = %v", got.get("labels"))
	}
	s.bot("POST", "/repos/"+infra+"/labels", map[string]any{"name": "promotion"}).want(422, "already_exists")
	s.bot("POST", "/repos/"+infra+"/labels", map[string]any{"name": "fresh", "color": "ededed"}).want(201)
	s.bot("POST", issue+"/comments", map[string]any{"body": "hello"}).want(201)
	s.bot("POST", issue+"/comments", map[string]any{"body": ""}).want(422)
	s.must(s.Comment(infra, number, "bob", "hi"))
	if got := s.bot("GET", issue+"/comments", nil).want(200); got.count() != 2 || got.str("1.user.login") != "bob" {
		t.Errorf("comments = %s", got.raw)
	}
	s.bot("POST", path+"/requested_reviewers", map[string]any{"reviewers": []string{"bob"}}).want(201)
	s.bot("POST", path+"/requested_reviewers", map[string]any{"reviewers": []string{"nobody"}}).want(422, "collaborators")
	files := s.bot("GET", path+"/files", nil).want(200)
	if files.str("0.filename") != "shop/kustomization.yaml" || !strings.Contains(files.str("0.patch"), "+  newTag: 1.1.0") || files.str("0.status") != "modified" {
		t.Errorf("files = %s", files.raw)
	}
}

func TestPushToHeadAndBase(t *testing.T) {
	s := start(t, hub.Options{})
	number := s.pull("boatlift/web", "1.1.0")
	before := mustHead(s, "boatlift/web")
	after := s.push("bob", "boatlift/web", "1.1.1")
	if h := s.one("pull_request.synchronize"); h.str("before") != before || h.str("after") != after || h.str("sender.login") != "bob" {
		t.Errorf("synchronize says %v → %v by %v", h.body["before"], h.body["after"], h.str("sender.login"))
	}
	// A fast-forward of main to the head merges the pull request without a merge, as on GitHub.
	dir := s.clone(infra, "alice", s.AddPerson("alice").Token)
	s.mustGit(dir, "push", "--quiet", "origin", "origin/boatlift/web:main")
	one := s.bot("GET", fmt.Sprintf("%s/%d", pulls, number), nil).want(200)
	if one.str("merged") != "true" || one.str("merged_by.login") != "alice" {
		t.Errorf("after the fast-forward: merged %s by %s", one.str("merged"), one.str("merged_by.login"))
	}
}

func TestListsMayLag(t *testing.T) {
	now := time.Now()
	clock := newClock(now)
	s := start(t, hub.Options{Now: clock.now})
	s.SetFaults(hub.Faults{ListLag: time.Minute})
	number := s.pull("boatlift/web", "1.1.0")
	if got := s.bot("GET", pulls, nil).want(200).count(); got != 0 {
		t.Errorf("a fresh pull request is in a list that lags: %d", got)
	}
	clock.add(2 * time.Minute)
	s.must(s.ClosePull(t.Context(), infra, number, "bob"))
	if got := s.bot("GET", pulls, nil).want(200).count(); got != 1 {
		t.Errorf("a list that lags does not show what was open: %d", got)
	}
	clock.add(2 * time.Minute)
	if got := s.bot("GET", pulls, nil).want(200).count(); got != 0 {
		t.Errorf("a list still shows it after the lag: %d", got)
	}
}
