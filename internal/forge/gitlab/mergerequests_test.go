package gitlab

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	gl "github.com/xanzy/go-gitlab"

	"github.com/boatlift/boatlift/internal/forge"
)

func TestASampleOfGitLabsIsUnderstood(t *testing.T) {
	f := newFake(t)
	var m gl.MergeRequest
	if err := json.Unmarshal(sample(t, "api/get_merge_request.json"), &m); err != nil {
		t.Fatal(err)
	}
	pr, err := f.forge.single(t.Context(), &m, identity{Identity: forge.Identity{Login: "boatlift"}, id: 42})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "number and state", []any{pr.Number, pr.State, pr.Draft, pr.Mergeability}, []any{14656, forge.Open, true, forge.Mergeable})
	equal(t, "branches", []any{pr.HeadBranch, pr.HeadSHA, pr.BaseBranch, pr.HeadFork}, []any{"delete-designs-v2", "8e0b45049b6253b8984cde9241830d2851168142", "master", false})
	equal(t, "base", pr.BaseSHA, "dd692733bb84bc3e9e862e66c099daec2fa00c83")
	equal(t, "author", pr.Author, forge.Actor{Login: "alexkalderimis"})
	equal(t, "labels", len(pr.Labels), 9)
	var list []*gl.MergeRequest
	if err := json.Unmarshal(sample(t, "api/get_merge_requests.json"), &list); err != nil || len(list) == 0 {
		t.Fatal(err)
	}
	for _, m := range list {
		if pr := f.forge.pullRequest(m, identity{}); pr.Number == 0 || pr.HeadSHA == "" || pr.CreatedAt.IsZero() {
			t.Errorf("a merge request of the list = %+v", pr)
		}
	}
}

func TestMergeabilityIsReadFromTheDetailedStatus(t *testing.T) {
	for _, c := range []struct {
		detailed, older string
		conflicts       bool
		want            forge.Mergeability
	}{
		{"mergeable", "", false, forge.Mergeable},
		{"checking", "checking", false, forge.MergeUnknown},
		{"unchecked", "unchecked", false, forge.MergeUnknown},
		{"preparing", "", false, forge.MergeUnknown},
		{"conflict", "cannot_be_merged", true, forge.Conflicting},
		{"need_rebase", "can_be_merged", false, forge.Conflicting},
		{"draft_status", "can_be_merged", false, forge.Mergeable},
		{"not_approved", "can_be_merged", false, forge.Mergeable},
		{"ci_must_pass", "cannot_be_merged", true, forge.Conflicting},
		{"a_newer_word", "", false, forge.MergeUnknown},
	} {
		m := &gl.MergeRequest{DetailedMergeStatus: c.detailed, HasConflicts: c.conflicts}
		if err := json.Unmarshal([]byte(`{"detailed_merge_status": "`+c.detailed+`", "merge_status": "`+c.older+`"}`), m); err != nil {
			t.Fatal(err)
		}
		m.HasConflicts = c.conflicts
		if got := mergeability(m); got != c.want {
			t.Errorf("%s, %s = %q; want %q", c.detailed, c.older, got, c.want)
		}
	}
}

func TestWhatIsRefusedToBeOpenedIsToldApart(t *testing.T) {
	open := func(f *fake) error {
		_, err := f.forge.CreatePullRequest(t.Context(), infra, forge.NewPullRequest{Head: "boatlift/web", Base: "main", Title: "t"})
		return err
	}
	for name, c := range map[string]struct {
		compare, create int
		compared, said  string
		want            error
	}{
		"one is open":         {200, 409, `{"commits":[{"id":"` + head + `"}]}`, `{"message":["Another open merge request already exists for this source branch: !1"]}`, forge.ErrExists},
		"nothing to merge":    {200, 0, `{"commits":[]}`, "", forge.ErrEmpty},
		"no branch":           {404, 0, `{"message":"404 Ref Not Found"}`, "", forge.ErrRefused},
		"no project":          {404, 0, `{"message":"404 Project Not Found"}`, "", forge.ErrNotFound},
		"no right":            {200, 403, `{"commits":[{"id":"` + head + `"}]}`, `{"message":"403 Forbidden"}`, forge.ErrForbidden},
		"what GitLab refuses": {200, 422, `{"commits":[{"id":"` + head + `"}]}`, `{"error":"title is invalid"}`, forge.ErrRefused},
	} {
		f := newFake(t)
		f.answer("GET /projects/7/repository/compare", c.compare, c.compared)
		f.answer("POST /projects/7/merge_requests", max(c.create, 200), c.said)
		if err := open(f); !errors.Is(err, c.want) {
			t.Errorf("%s: %v; want %v", name, err, c.want)
		}
		if c.create == 0 && len(f.writes()) > 0 {
			t.Errorf("%s: sent %v; want nothing written", name, f.writes())
		}
	}
}

func TestWhatTheBotWritesIsNoCommand(t *testing.T) {
	f := newFake(t)
	f.answer("PUT "+mr5, 200, mergeRequest("description", "a\n\\/merge\n\\\\/close\nb /approve"))
	body := "a\n/merge\n\\/close\nb /approve"
	pr, err := f.forge.EditPullRequest(t.Context(), infra, 5, forge.Edit{Body: &body})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "sent", f.sent("PUT", mr5)[0].Body["description"], "a\n\\/merge\n\\\\/close\nb /approve")
	equal(t, "read back", pr.Body, body)
	f.answer("GET "+mr5+"/notes", 200, `[]`)
	f.answer("POST "+mr5+"/notes", 201, `{}`)
	if err := f.forge.Comment(t.Context(), infra, 5, "key", "/merge"); err != nil {
		t.Fatal(err)
	}
	equal(t, "the comment", f.sent("POST", "/notes")[0].Body["body"], "<!-- boatlift:key -->\n\\/merge")
}

func TestTitlesKeepWhatMakesADraft(t *testing.T) {
	for _, c := range []struct{ title, mark, rest string }{
		{"web 1.4.2", "", "web 1.4.2"},
		{"[Draft] web", gateDraft, "web"},
		{"Draft: web", draft, "web"},
		{"draft: web", draft, "web"},
		{"(Draft) web", draft, "web"},
		{"Draft: [Draft] web", draft, "web"},
		{"[Draft] Draft: web", draft, "web"},
		{"Drafting: web", "", "Drafting: web"},
	} {
		mark, rest := splitTitle(c.title)
		equal(t, c.title, []string{mark, rest}, []string{c.mark, c.rest})
	}
	f := newFake(t)
	f.answer("GET "+mr5, 200, mergeRequest("title", "[Draft] web", "draft", true))
	f.answer("PUT "+mr5, 200, mergeRequest("title", "[Draft] api", "draft", true))
	title := "api"
	pr, err := f.forge.EditPullRequest(t.Context(), infra, 5, forge.Edit{Title: &title})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "sent", f.sent("PUT", mr5)[0].Body["title"], "[Draft] api")
	equal(t, "read", []any{pr.Title, pr.Draft, pr.Ungated}, []any{"api", false, false})
}

func TestAMergeThatIsRefusedSaysWhy(t *testing.T) {
	merge := func(f *fake) error {
		_, err := f.forge.Merge(t.Context(), infra, 5, head, "merge")
		return err
	}
	for name, c := range map[string]struct {
		status int
		now    string
		kind   error
		says   string
	}{
		"another head":             {409, mergeRequest(), forge.ErrStale, "SHA"},
		"a draft":                  {405, mergeRequest("detailed_merge_status", "draft_status", "draft", true), forge.ErrNotMergeable, "draft status"},
		"no draft any more":        {405, mergeRequest("detailed_merge_status", "draft_status"), forge.ErrChecking, "draft status"},
		"still checking":           {422, mergeRequest("detailed_merge_status", "checking"), forge.ErrChecking, "checking"},
		"not allowed":              {401, mergeRequest(), forge.ErrForbidden, "401"},
		"moved since, and refused": {405, mergeRequest("sha", newer), forge.ErrStale, "405"},
		"not acceptable":           {406, mergeRequest("detailed_merge_status", "conflict"), forge.ErrNotMergeable, "conflict"},
	} {
		f := newFake(t)
		f.answer("PUT "+mr5+"/merge", c.status, `{"message":"SHA does not match HEAD of source branch"}`)
		f.answer("GET "+mr5, 200, c.now)
		if err := merge(f); !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v; want %v and %q", name, err, c.kind, c.says)
		}
		equal(t, name+": the commit", f.sent("PUT", "/merge")[0].Body["sha"], head)
	}
	f := newFake(t)
	if _, err := f.forge.Merge(t.Context(), infra, 5, "main", "merge"); !errors.Is(err, forge.ErrStale) || len(f.writes()) > 0 {
		t.Errorf("a merge of no commit: %v, %v; want it not sent", err, f.writes())
	}
}

func TestAProjectWithMergeTrainsIsLeftToPeople(t *testing.T) {
	f := newFake(t)
	f.answer("GET /projects/7", 200, `{"id": 7, "path_with_namespace": "acme/platform/infra", "default_branch": "main", "merge_trains_enabled": true,
		"permissions": {"group_access": {"access_level": 30}}}`)
	if _, err := f.forge.Repository(t.Context(), 7); err != nil {
		t.Fatal(err)
	}
	if _, err := f.forge.Merge(t.Context(), infra, 5, head, "merge"); !errors.Is(err, forge.ErrNotMergeable) || len(f.writes()) > 0 {
		t.Errorf("Merge: %v, %v; want it left to people", err, f.writes())
	}
}

func TestWhatBaseGot(t *testing.T) {
	for _, c := range []struct {
		m    gl.MergeRequest
		want string
	}{
		{gl.MergeRequest{MergeCommitSHA: "m", SquashCommitSHA: "s", SHA: "h"}, "m"},
		{gl.MergeRequest{SquashCommitSHA: "s", SHA: "h"}, "s"},
		{gl.MergeRequest{SHA: "h"}, "h"},
	} {
		equal(t, "the commit", mergeCommit(&c.m), c.want)
	}
}
