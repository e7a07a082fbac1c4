package gitlab

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/boatlift/boatlift/internal/forge"
)

// reviewed answers for a merge request whose head was pushed at ten and again at twelve.
func reviewed(t *testing.T, approvedBy, notes, reviewers string) *fake {
	t.Helper()
	f := newFake(t)
	f.answer("GET "+mr5+"/approvals", 200, `{"approved_by": [`+approvedBy+`]}`)
	f.answer("GET "+mr5+"/notes", 200, `[`+notes+`]`)
	f.answer("GET "+mr5+"/reviewers", 200, `[`+reviewers+`]`)
	f.answer("GET "+mr5+"/versions", 200, `[{"id": 2, "head_commit_sha": "`+newer+`", "created_at": "2026-11-20T12:00:00Z"},
		{"id": 1, "head_commit_sha": "`+head+`", "created_at": "2026-11-20T10:00:00Z"}]`)
	for id, bot := range map[int]bool{3: false, 4: false, 5: true} {
		f.answer(fmt.Sprintf("GET /users/%d", id), 200, fmt.Sprintf(`{"id": %d, "bot": %t}`, id, bot))
	}
	return f
}

var people = map[int]string{3: "alice", 4: "bob", 5: "release-robot", 42: "boatlift"}

func basicUser(id int) string { return fmt.Sprintf(`{"id": %d, "username": %q}`, id, people[id]) }

func note(id int, system bool, at, body string) string {
	return fmt.Sprintf(`{"id": 1, "system": %t, "author": %s, "created_at": "2026-11-20T%s:00Z", "body": %q}`, system, basicUser(id), at, body)
}

func TestReviewsAreMadeOfWhatStandsAndWhenItWasSaid(t *testing.T) {
	user := func(id int) string { return `{"user": ` + basicUser(id) + `}` }
	for name, c := range map[string]struct {
		approvedBy, notes, reviewers []string
		want                         []string
	}{
		"an approval of the first head, and one of the second": {
			[]string{user(3), user(4)},
			[]string{note(3, true, "11:00", noteApproved), note(4, true, "13:00", noteApproved)},
			nil,
			[]string{"alice approved 1", "bob approved 2"},
		},
		"an approval that is taken back": {
			nil,
			[]string{note(3, true, "11:00", noteApproved), note(3, true, "11:30", noteUnapproved)},
			nil,
			[]string{"alice dismissed 1", "alice dismissed 1"},
		},
		"an approval that a push reset without a word": {
			nil, []string{note(3, true, "11:00", noteApproved)}, nil, []string{"alice dismissed 1"},
		},
		"an approval that was renewed": {
			[]string{user(3)},
			[]string{note(3, true, "11:00", noteApproved), note(3, true, "11:30", noteUnapproved), note(3, true, "13:00", noteApproved)},
			nil,
			[]string{"alice dismissed 1", "alice dismissed 1", "alice approved 2"},
		},
		"an approval without a note, of a GitLab that tells the moment": {
			[]string{`{"user": ` + basicUser(3) + `, "approved_at": "2026-11-20T12:30:00Z"}`}, nil, nil, []string{"alice approved 2"},
		},
		"an approval of which nobody knows the moment": {
			[]string{user(3)}, nil, nil, []string{"alice approved ?"},
		},
		"a demand that stands": {
			nil,
			[]string{note(3, true, "11:00", "requested changes")},
			[]string{`{"user": ` + basicUser(3) + `, "state": "requested_changes"}`},
			[]string{"alice changes_requested 1"},
		},
		"a demand that was taken back": {
			nil,
			[]string{note(3, true, "11:00", "requested changes")},
			[]string{`{"user": ` + basicUser(3) + `, "state": "unreviewed"}`},
			[]string{"alice dismissed 1"},
		},
		"a demand that was met": {
			[]string{user(3)},
			[]string{note(3, true, "11:00", "requested changes"), note(3, true, "13:00", noteApproved)},
			[]string{`{"user": ` + basicUser(3) + `, "state": "approved"}`},
			[]string{"alice changes_requested 1", "alice approved 2"},
		},
		"a machine's approval, and words of people and of the bot": {
			[]string{user(5)},
			[]string{note(5, true, "11:00", noteApproved), note(4, false, "11:10", "approved this merge request"), note(42, false, "11:20", "hello"), note(3, true, "11:30", "changed the description")},
			nil,
			[]string{"release-robot(bot) approved 1", "bob commented 1"},
		},
	} {
		f := reviewed(t, strings.Join(c.approvedBy, ","), strings.Join(c.notes, ","), strings.Join(c.reviewers, ","))
		list, err := f.forge.Reviews(t.Context(), infra, 5)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := make([]string, 0, len(list))
		for _, r := range list {
			login, of := r.User.Login, map[string]string{head: "1", newer: "2", "": "?"}[r.CommitSHA]
			if r.User.Bot {
				login += "(bot)"
			}
			got = append(got, fmt.Sprintf("%s %s %s", login, r.State, of))
		}
		equal(t, name, got, c.want)
	}
}

func TestFilesThatGitLabDoesNotListAreMore(t *testing.T) {
	for _, c := range []struct {
		count string
		files int
		want  bool
	}{{"2", 2, false}, {"3", 2, true}, {"1000+", 1000, true}, {"", 0, false}} {
		equal(t, "cutShort "+c.count, cutShort(c.count, c.files), c.want)
	}
	f := newFake(t)
	f.answer("GET "+mr5+"/diffs", 200, string(sample(t, "api/list_merge_request_diff.json")))
	f.answer("GET "+mr5, 200, mergeRequest("changes_count", "2"))
	paths, more, err := f.forge.ChangedFiles(t.Context(), infra, 5, 10)
	equal(t, "ChangedFiles", []any{paths, more, err}, []any{[]string{"README", "VERSION"}, false, nil})
}

func TestOnlyMembersAreAsked(t *testing.T) {
	f := newFake(t)
	f.answer("GET "+mr5, 200, mergeRequest("reviewers", []any{map[string]any{"id": 9, "username": "carol"}}))
	f.answer("PUT "+mr5, 200, mergeRequest())
	f.answer("GET /groups/acme%2Fops/members", 200, `[{"id": 4, "username": "bob", "state": "active"}, {"id": 6, "username": "gone", "state": "blocked"}]`)
	members := map[string]string{
		"alice": `[{"id": 3, "username": "alice", "state": "active", "access_level": 30}]`,
		"bob":   `[{"id": 8, "username": "bobby", "state": "active", "access_level": 40}, {"id": 4, "username": "bob", "state": "active", "access_level": 20}]`,
	}
	f.handle("GET /projects/7/members/all", func(w http.ResponseWriter, r *http.Request) {
		text, ok := members[r.URL.Query().Get("query")]
		if !ok {
			text = `[]`
		}
		_, _ = w.Write([]byte(text))
	})
	if err := f.forge.RequestReviewers(t.Context(), infra, 5, []string{"alice", "Alice", "nobody", "boatlift", "../x"}, []string{"acme/ops", "acme/none", "../ops"}); err != nil {
		t.Fatal(err)
	}
	equal(t, "asked", f.sent("PUT", mr5)[0].Body["reviewer_ids"], []int{9, 3, 4})
}

func TestPermissionsFollowTheRole(t *testing.T) {
	for _, c := range []struct {
		members string
		want    forge.Permission
	}{
		{`[]`, forge.NoPermission},
		{`[{"id": 1, "username": "alicia", "access_level": 50, "state": "active"}]`, forge.NoPermission},
		{`[{"id": 3, "username": "alice", "access_level": 5, "state": "active"}]`, forge.NoPermission},
		{`[{"id": 3, "username": "alice", "access_level": 20, "state": "active"}]`, forge.ReadPermission},
		{`[{"id": 3, "username": "alice", "access_level": 30, "state": "active"}]`, forge.WritePermission},
		{`[{"id": 3, "username": "alice", "access_level": 30, "state": "active"}, {"id": 3, "username": "alice", "access_level": 40, "state": "active"}]`, forge.AdminPermission},
		{`[{"id": 3, "username": "alice", "access_level": 50, "state": "blocked"}]`, forge.NoPermission},
	} {
		f := newFake(t)
		f.answer("GET /projects/7/members/all", 200, c.members)
		got, err := f.forge.Permission(t.Context(), infra, "alice")
		equal(t, c.members, []any{got, err}, []any{c.want, nil})
	}
}
