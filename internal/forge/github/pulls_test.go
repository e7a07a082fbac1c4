package github

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/boatlift/boatlift/internal/forge"
)

func TestAllPagesOfOpenPullRequestsAreListedOnceEach(t *testing.T) {
	f := newFake(t)
	var items []string
	for i := range 205 {
		items = append(items, pullJSON(1+i-i/100, "")) // as a shifting list does: one comes twice
	}
	f.paged("GET /repos/acme/infra/pulls", items, nil)
	list, err := f.forge.OpenPullRequests(t.Context(), infra(), "main")
	if err != nil {
		t.Fatal(err)
	}
	checkEqual(t, "number", len(list), 203)
	lines := f.lines()
	checkEqual(t, "requests", len(lines), 3)
	for _, want := range []string{"state=open", "base=main", "per_page=100", "direction=asc"} {
		if !strings.Contains(lines[0], want) {
			t.Errorf("%s lacks %s", lines[0], want)
		}
	}
}

func TestPullRequestsOfABranchAreAskedForWithTheirOwner(t *testing.T) {
	f := newFake(t)
	fork := strings.Replace(pullJSON(4, ""), `"repo": {"id": 1001}},`, `"repo": {"id": 5555}},`, 1)
	deleted := strings.Replace(pullJSON(5, ""), `"repo": {"id": 1001}},`, `"repo": null},`, 1)
	other := strings.Replace(pullJSON(6, ""), `"ref": "boatlift/x"`, `"ref": "boatlift/y"`, 1)
	f.json("GET /repos/acme/infra/pulls", 200, "["+strings.Join([]string{pullJSON(7, ""), other, deleted, fork, pullJSON(3, `"merged_at": "2026-01-05T10:00:00Z"`)}, ",")+"]")
	list, err := f.forge.PullRequestsOf(t.Context(), infra(), "boatlift/x")
	if err != nil || len(list) != 2 || list[0].Number != 7 || list[1].Number != 3 || list[1].State != forge.Merged {
		t.Fatalf("PullRequestsOf = %+v, %v; want 7 and the merged 3", list, err)
	}
	line := f.lines()[0]
	for _, want := range []string{"head=acme%3Aboatlift%2Fx", "state=all", "direction=desc"} {
		if !strings.Contains(line, want) {
			t.Errorf("%s lacks %s", line, want)
		}
	}
}

func TestAListThatNeverEndsIsAnError(t *testing.T) {
	f := newFake(t)
	f.handle("GET /repos/acme/infra/pulls", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", `<https://x/?page=1>; rel="next"`) // the same page again
		answer(w, 200, `[`+pullJSON(1, "")+`]`)
	})
	list, err := f.forge.OpenPullRequests(t.Context(), infra(), "main")
	if err != nil || len(list) != 1 {
		t.Errorf("OpenPullRequests = %v, %v; want the one page", list, err)
	}
	checkEqual(t, "requests", len(f.lines()), 1)
}

func TestAPullRequestIsConverted(t *testing.T) {
	bot, alice := forge.Actor{Login: "boatlift[bot]", Bot: true, Self: true}, forge.Actor{Login: "alice"}
	for _, tc := range []struct {
		name, more, closedBy string
		want                 func(*forge.PullRequest)
	}{
		{"unknown mergeability", `"mergeable": null, "mergeable_state": "unknown", "merge_commit_sha": "cccc"`, "", func(*forge.PullRequest) {}},
		{"mergeable", `"mergeable": true, "mergeable_state": "clean"`, "", func(p *forge.PullRequest) { p.Mergeability = forge.Mergeable }},
		{"blocked by a check", `"mergeable": true, "mergeable_state": "blocked"`, "", func(p *forge.PullRequest) { p.Mergeability = forge.Mergeable }},
		{"behind", `"mergeable": true, "mergeable_state": "behind"`, "", func(p *forge.PullRequest) { p.Mergeability = forge.Mergeable }},
		{"dirty", `"mergeable": false, "mergeable_state": "dirty"`, "", func(p *forge.PullRequest) { p.Mergeability = forge.Conflicting }},
		{"not mergeable", `"mergeable": false, "mergeable_state": "clean"`, "", func(p *forge.PullRequest) { p.Mergeability = forge.Conflicting }},
		{"draft with labels", `"draft": true, "labels": [{"name": "a"}, {"name": "b"}], "body": "text"`, "", func(p *forge.PullRequest) {
			p.Draft, p.Labels, p.Body = true, []string{"a", "b"}, "text"
		}},
		{"closed by alice", `"state": "closed", "closed_at": "2026-01-05T10:00:00Z"`, `{"login": "alice", "type": "User"}`, func(p *forge.PullRequest) {
			p.State, p.ClosedBy = forge.Closed, alice
		}},
		{"closed by the bot", `"state": "closed", "closed_at": "2026-01-05T10:00:00Z"`, `{"login": "boatlift[bot]", "type": "Bot"}`, func(p *forge.PullRequest) {
			p.State, p.ClosedBy = forge.Closed, bot
		}},
		{"closed by somebody who has the bot's name", `"state": "closed", "closed_at": "2026-01-05T10:00:00Z"`, `{"login": "boatlift[bot]", "type": "User"}`, func(p *forge.PullRequest) {
			p.State, p.ClosedBy = forge.Closed, forge.Actor{Login: "boatlift[bot]"}
		}},
		{"closed by nobody knows", `"state": "closed", "closed_at": "2026-01-05T10:00:00Z"`, `null`, func(p *forge.PullRequest) { p.State = forge.Closed }},
		{"merged", `"state": "closed", "merged": true, "closed_at": "2026-01-05T10:00:00Z", "merged_at": "2026-01-05T10:00:00Z", "merge_commit_sha": "dddd", "merged_by": {"login": "alice", "type": "User"}`, "", func(p *forge.PullRequest) {
			p.State, p.MergedBy, p.ClosedBy, p.MergeCommit = forge.Merged, alice, alice, "dddd"
		}},
		{"with a dangerous link", `"html_url": "javascript:alert(1)"`, "", func(p *forge.PullRequest) { p.URL = "" }},
		{"by a deleted account", `"user": null`, "", func(p *forge.PullRequest) { p.Author = forge.Actor{Login: "ghost"} }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFake(t)
			f.json("GET /repos/acme/infra/pulls/9", 200, pullJSON(9, tc.more))
			if tc.closedBy != "" {
				f.json("GET /repos/acme/infra/issues/9", 200, `{"number": 9, "closed_by": `+tc.closedBy+`}`)
			}
			got, err := f.forge.PullRequest(t.Context(), infra(), 9)
			if err != nil {
				t.Fatal(err)
			}
			if got.CreatedAt.IsZero() || got.UpdatedAt.IsZero() || (got.State == forge.Open) != got.ClosedAt.IsZero() || (got.State == forge.Merged) == got.MergedAt.IsZero() {
				t.Errorf("times of %+v", got)
			}
			want := forge.PullRequest{
				Number: 9, URL: "https://github.example/acme/infra/pull/9", Title: "deploy", State: forge.Open, Author: bot,
				HeadBranch: "boatlift/x", HeadSHA: headSHA, BaseBranch: "main", BaseSHA: baseSHA,
				CreatedAt: got.CreatedAt, UpdatedAt: got.UpdatedAt, ClosedAt: got.ClosedAt, MergedAt: got.MergedAt,
			}
			tc.want(&want)
			checkEqual(t, "PullRequest", got, want)
		})
	}
}

func TestOpeningAPullRequest(t *testing.T) {
	f := newFake(t)
	f.json("POST /repos/acme/infra/pulls", 201, pullJSON(12, ""))
	f.json("POST /repos/acme/infra/issues/12/labels", 200, `[]`)
	pr, err := f.forge.CreatePullRequest(t.Context(), infra(), forge.NewPullRequest{
		Head: "boatlift/x", Base: "main", Title: "one\nline " + strings.Repeat("é", 400),
		Body: strings.Repeat("x", 70000) + "\n<!-- boatlift mark -->\n", Labels: []string{"a"}, Draft: true,
	})
	if err != nil || pr.Number != 12 || fmt.Sprint(pr.Labels) != "[a]" {
		t.Fatalf("CreatePullRequest = %+v, %v; want number 12 with its label", pr, err)
	}
	sent := f.body("POST /repos/acme/infra/pulls")
	checkEqual(t, "head, base, draft", []any{sent["head"], sent["base"], sent["draft"]}, []any{"boatlift/x", "main", true})
	if title := []rune(sent["title"].(string)); len(title) > 256 || strings.ContainsRune(string(title), '\n') {
		t.Errorf("title of %d characters; want one line of at most 256", len(title))
	}
	if body := sent["body"].(string); len(body) > 65535 || !strings.HasSuffix(body, "<!-- boatlift mark -->\n") || !strings.Contains(body, "cut here") {
		t.Errorf("body of %d bytes; want it cut with a notice, and the mark kept", len(body))
	}
	last := f.requests[len(f.requests)-1]
	checkEqual(t, "labels sent", strings.TrimSpace(last.line+" "+last.body), `POST /repos/acme/infra/issues/12/labels {"labels":["a"]}`)
}

func TestAPullRequestWhoseLabelsFailIsReturnedBesideTheError(t *testing.T) {
	f := newFake(t)
	f.json("POST /repos/acme/infra/pulls", 201, pullJSON(12, ""))
	f.json("POST /repos/acme/infra/issues/12/labels", 500, `{}`)
	pr, err := f.forge.CreatePullRequest(t.Context(), infra(), forge.NewPullRequest{Head: "h", Base: "main", Labels: []string{"a"}})
	if err == nil || pr.Number != 12 {
		t.Errorf("CreatePullRequest = %d, %v; want number 12 and an error", pr.Number, err)
	}
}

func TestRefusalsOfAPullRequest(t *testing.T) {
	for message, want := range map[string]error{
		`{"resource": "PullRequest", "code": "custom", "message": "A pull request already exists for acme:boatlift/x."}`:          forge.ErrExists,
		`{"resource": "PullRequest", "code": "custom", "message": "No commits between main and boatlift/x"}`:                      forge.ErrEmpty,
		`{"resource": "PullRequest", "field": "head", "code": "invalid"}`:                                                         forge.ErrRefused,
		`{"resource": "PullRequest", "code": "custom", "message": "state cannot be changed. The boatlift/x branch was deleted."}`: forge.ErrRefused,
		`{"message": "There is already an open pull request for this branch"}`:                                                    forge.ErrExists,
	} {
		f := newFake(t)
		body := `{"message": "Validation Failed", "errors": [` + message + `]}`
		f.json("POST /repos/acme/infra/pulls", 422, body)
		f.json("PATCH /repos/acme/infra/pulls/1", 422, body)
		_, err := f.forge.CreatePullRequest(t.Context(), infra(), forge.NewPullRequest{Head: "boatlift/x", Base: "main"})
		if !errors.Is(err, want) {
			t.Errorf("CreatePullRequest answered %s: error %v; want %v", message, err, want)
		}
		open := forge.Open
		if _, err := f.forge.EditPullRequest(t.Context(), infra(), 1, forge.Edit{State: &open}); !errors.Is(err, want) {
			t.Errorf("EditPullRequest answered %s: error %v; want %v", message, err, want)
		}
	}
}

func TestEditingSendsOnlyWhatChanges(t *testing.T) {
	title, body, closed, merged := "new", "", forge.Closed, forge.Merged
	f := newFake(t)
	f.json("PATCH /repos/acme/infra/pulls/1", 200, pullJSON(1, ""))
	for _, tc := range []struct {
		edit forge.Edit
		want map[string]any
	}{
		{forge.Edit{Title: &title}, map[string]any{"title": "new"}},
		{forge.Edit{Body: &body}, map[string]any{"body": ""}},
		{forge.Edit{State: &closed}, map[string]any{"state": "closed"}},
	} {
		if _, err := f.forge.EditPullRequest(t.Context(), infra(), 1, tc.edit); err != nil {
			t.Fatal(err)
		}
		checkEqual(t, "sent", f.body("PATCH /repos/acme/infra/pulls/1"), tc.want)
	}
	if _, err := f.forge.EditPullRequest(t.Context(), infra(), 1, forge.Edit{State: &merged}); !errors.Is(err, forge.ErrRefused) {
		t.Errorf("EditPullRequest to merged: error %v; want ErrRefused", err)
	}
}

func TestReopeningWhatIsMergedIsRefusedEvenWhereGitHubSaysNothing(t *testing.T) {
	f := newFake(t)
	f.json("PATCH /repos/acme/infra/pulls/1", 200, pullJSON(1, `"state": "closed", "merged": true`))
	open := forge.Open
	if _, err := f.forge.EditPullRequest(t.Context(), infra(), 1, forge.Edit{State: &open}); !errors.Is(err, forge.ErrRefused) {
		t.Errorf("EditPullRequest: error %v; want ErrRefused", err)
	}
}

func TestMerging(t *testing.T) {
	for _, tc := range []struct {
		status int
		body   string
		want   error
	}{
		{200, `{"sha": "eeee", "merged": true, "message": "Pull Request successfully merged"}`, nil},
		{200, `{"merged": false, "message": "not now"}`, forge.ErrNotMergeable},
		{405, `{"message": "Pull Request is not mergeable"}`, forge.ErrNotMergeable},
		{405, `{"message": "Required status check \"boatlift/gate\" is expected."}`, forge.ErrNotMergeable},
		{409, `{"message": "Head branch was modified. Review and try the merge again."}`, forge.ErrStale},
		{403, `{"message": "Resource not accessible by integration"}`, forge.ErrForbidden},
		{404, `{"message": "Not Found"}`, forge.ErrNotFound},
	} {
		f := newFake(t)
		f.json("PUT /repos/acme/infra/pulls/3/merge", tc.status, tc.body)
		f.json("GET /repositories/1001", 200, repoJSON)
		sha, err := f.forge.Merge(t.Context(), infra(), 3, headSHA, "squash")
		if !errors.Is(err, tc.want) || tc.want == nil && (err != nil || sha != "eeee") {
			t.Errorf("Merge answered %d %s = %q, %v; want %v", tc.status, tc.body, sha, err, tc.want)
		}
		checkEqual(t, "sent", f.body("PUT /repos/acme/infra/pulls/3/merge"), map[string]any{"sha": headSHA, "merge_method": "squash"})
	}
}

func TestMergingWithoutAFullHashIsNeverSent(t *testing.T) {
	f := newFake(t)
	for _, sha := range []string{"", "abc123", "main", strings.Repeat("a", 39)} {
		if _, err := f.forge.Merge(t.Context(), infra(), 3, sha, "merge"); !errors.Is(err, forge.ErrStale) {
			t.Errorf("Merge(%q): error %v; want ErrStale", sha, err)
		}
	}
	checkEqual(t, "requests", len(f.lines()), 0)
}

func TestDeletingABranch(t *testing.T) {
	for _, tc := range []struct {
		name      string
		status    int
		refStatus int
		want      error
	}{
		{"there", 204, 0, nil},
		{"gone, said with 422", 422, 404, nil},
		{"gone, said with 404", 404, 404, nil},
		{"protected", 422, 200, forge.ErrRefused},
		{"not permitted", 403, 200, forge.ErrForbidden},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFake(t)
			f.json("DELETE /repos/acme/infra/git/refs/heads/boatlift/production-web-1", tc.status, `{"message": "Reference does not exist"}`)
			f.json("GET /repos/acme/infra/git/ref/heads/boatlift/production-web-1", tc.refStatus, `{"ref": "refs/heads/boatlift/production-web-1"}`)
			f.json("GET /repositories/1001", 200, repoJSON)
			if err := f.forge.DeleteBranch(t.Context(), infra(), "boatlift/production-web-1"); !errors.Is(err, tc.want) {
				t.Errorf("DeleteBranch: error %v; want %v", err, tc.want)
			}
		})
	}
	f := newFake(t) // nothing is there, the repository neither
	if err := f.forge.DeleteBranch(t.Context(), infra(), "b"); !errors.Is(err, forge.ErrNotFound) {
		t.Errorf("DeleteBranch in a repository that is gone: error %v; want ErrNotFound", err)
	}
}

func TestABranchWhoseNameClimbsIsNeverSent(t *testing.T) {
	f := newFake(t)
	for _, branch := range []string{"", "..", "../../../repos/acme/infra", "a/../b", "a//b", "a/.", "/a"} {
		if err := f.forge.DeleteBranch(t.Context(), infra(), branch); !errors.Is(err, forge.ErrRefused) {
			t.Errorf("DeleteBranch(%q): error %v; want ErrRefused", branch, err)
		}
	}
	if err := f.forge.SetCheck(t.Context(), infra(), forge.Check{HeadSHA: "../../x", Name: "n", Conclusion: forge.Success}); !errors.Is(err, forge.ErrRefused) {
		t.Errorf("SetCheck on no commit: error %v; want ErrRefused", err)
	}
	checkEqual(t, "requests", len(f.lines()), 0)
}

func TestABranchOfOddCharactersIsItself(t *testing.T) {
	f := newFake(t)
	f.json("DELETE /repos/acme/infra/git/refs/heads/{branch...}", 204, ``)
	if err := f.forge.DeleteBranch(t.Context(), infra(), "boatlift/ö #1?x=%2F"); err != nil {
		t.Fatal(err)
	}
	checkEqual(t, "request", f.lines()[0], "DELETE /repos/acme/infra/git/refs/heads/boatlift/%C3%B6%20%231%3Fx=%252F")
}
