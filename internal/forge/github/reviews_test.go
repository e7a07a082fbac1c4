package github

import (
	"fmt"
	"strings"
	"testing"
)

func TestReviewsKeepTheirOrderAndStates(t *testing.T) {
	f := newFake(t)
	var items []string
	for i := range 150 {
		items = append(items, fmt.Sprintf(`{"user": {"login": "u%d", "type": "User"}, "state": "COMMENTED", "commit_id": "c%d", "submitted_at": "2026-01-05T09:00:00Z"}`, i, i))
	}
	items = append(items,
		`{"user": {"login": "alice", "type": "User"}, "state": "APPROVED", "commit_id": "x"}`,
		`{"user": {"login": "bob", "type": "User"}, "state": "changes_requested", "commit_id": "x"}`,
		`{"user": {"login": "carol", "type": "User"}, "state": "DISMISSED", "commit_id": "x"}`,
		`{"user": {"login": "alice", "type": "User"}, "state": "PENDING", "commit_id": "x"}`,
		`{"user": {"login": "linter[bot]", "type": "Bot"}, "state": "APPROVED", "commit_id": "x"}`,
		`{"user": {"login": "boatlift[bot]", "type": "Bot"}, "state": "SOMETHING_NEW", "commit_id": "x"}`,
		`{"user": null, "state": "APPROVED", "commit_id": "x"}`)
	f.paged("GET /repos/acme/infra/pulls/1/reviews", items, nil)
	reviews, err := f.forge.Reviews(t.Context(), infra(), 1)
	if err != nil || len(reviews) != 156 {
		t.Fatalf("Reviews: %d, %v; want 156", len(reviews), err)
	}
	for i := range 150 {
		if reviews[i].User.Login != fmt.Sprint("u", i) || reviews[i].CommitSHA != fmt.Sprint("c", i) || reviews[i].At.IsZero() {
			t.Fatalf("review %d = %+v", i, reviews[i])
		}
	}
	var got []string
	for _, r := range reviews[150:] {
		got = append(got, fmt.Sprintf("%s %s %t %t", r.User.Login, r.State, r.User.Bot, r.User.Self))
	}
	checkEqual(t, "the last", strings.Join(got, "; "),
		"alice approved false false; bob changes_requested false false; carol dismissed false false; linter[bot] approved true false; boatlift[bot] commented true true; ghost approved false false")
}

func TestChangedFiles(t *testing.T) {
	f := newFake(t)
	var items []string
	for i := range 3000 {
		items = append(items, fmt.Sprintf(`{"filename": "f%d", "status": "modified"}`, i))
	}
	f.paged("GET /repos/acme/infra/pulls/1/files", items, nil)
	f.paged("GET /repos/acme/infra/pulls/2/files", append([]string{`{"filename": "new", "previous_filename": "old", "status": "renamed"}`}, items[:149]...), nil)
	for _, tc := range []struct {
		number, limit, want int
		more                bool
	}{{2, 3000, 151, false}, {2, 151, 151, false}, {2, 150, 150, true}, {2, 1, 1, true}, {2, 0, 0, true}, {1, 5000, 3000, true}, {1, 250, 250, true}} {
		paths, more, err := f.forge.ChangedFiles(t.Context(), infra(), tc.number, tc.limit)
		if err != nil || len(paths) != tc.want || more != tc.more {
			t.Errorf("ChangedFiles(%d, limit %d) = %d paths, %t, %v; want %d, %t", tc.number, tc.limit, len(paths), more, err, tc.want, tc.more)
		}
		if tc.limit > 1 && tc.number == 2 && (paths[0] != "new" || paths[1] != "old") {
			t.Errorf("ChangedFiles begins with %v; want both names of the renamed file", paths[:2])
		}
	}
}

func TestACommentIsWrittenOncePerKey(t *testing.T) {
	f := newFake(t)
	mark := "<!-- boatlift:superseded-7 -->"
	var before []string
	for i := range 120 {
		before = append(before, fmt.Sprintf(`{"body": "chat %d", "user": {"login": "alice", "type": "User"}}`, i))
	}
	ours := `{"body": "` + mark + `\nold words", "user": {"login": "boatlift[bot]", "type": "Bot"}}`
	for name, tc := range map[string]struct {
		comments []string
		written  int
	}{
		"nothing said":           {nil, 1},
		"said on the first page": {[]string{ours}, 0},
		"said on the last page":  {append(before, ours), 0},
		"copied by a person":     {[]string{`{"body": "` + mark + `", "user": {"login": "mallory", "type": "User"}}`}, 1},
		"quoted by the bot":      {[]string{`{"body": "<!-- boatlift:other -->\n` + mark + `", "user": {"login": "boatlift[bot]", "type": "Bot"}}`}, 1},
		"another key":            {[]string{strings.Replace(ours, "superseded-7", "superseded-77", 1)}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			f = newFake(t)
			f.paged("GET /repos/acme/infra/issues/4/comments", tc.comments, nil)
			f.json("POST /repos/acme/infra/issues/4/comments", 201, `{"id": 1}`)
			if err := f.forge.Comment(t.Context(), infra(), 4, "superseded-7", "A newer one."); err != nil {
				t.Fatal(err)
			}
			checkEqual(t, "comments written", f.count("POST /repos/acme/infra/issues/4/comments"), tc.written)
			if tc.written == 1 {
				checkEqual(t, "body", f.body("POST /repos/acme/infra/issues/4/comments")["body"], mark+"\nA newer one.")
			}
		})
	}
}

func TestALongCommentIsCutAndKeepsItsKey(t *testing.T) {
	f := newFake(t)
	f.json("GET /repos/acme/infra/issues/4/comments", 200, `[]`)
	f.json("POST /repos/acme/infra/issues/4/comments", 201, `{"id": 1}`)
	if err := f.forge.Comment(t.Context(), infra(), 4, "k", strings.Repeat("ö", 50000)); err != nil {
		t.Fatal(err)
	}
	if body := f.body("POST /repos/acme/infra/issues/4/comments")["body"].(string); len(body) > 65535 || !strings.HasPrefix(body, "<!-- boatlift:k -->") {
		t.Errorf("comment of %d bytes begins with %.30q", len(body), body)
	}
}
