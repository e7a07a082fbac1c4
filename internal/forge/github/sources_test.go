package github

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/boatlift/boatlift/internal/forge"
)

func comparisonJSON(commits ...string) string {
	return fmt.Sprintf(`{"status": "ahead", "total_commits": %d, "html_url": "https://evil.example/x", "commits": [%s]}`, len(commits), strings.Join(commits, ","))
}

func commitJSON(sha, login, message string) string {
	author := "null"
	if login != "" {
		author = fmt.Sprintf(`{"login": %q}`, login)
	}
	return fmt.Sprintf(`{"sha": %q, "html_url": "javascript:x", "author": %s,
		"commit": {"message": %q, "author": {"name": "Ada L."}, "committer": {"date": "2026-01-05T09:00:00Z"}}}`, sha, author, message)
}

func TestAComparisonIsReadFromOneAnswer(t *testing.T) {
	f := newFake(t)
	one, two := strings.Repeat("1", 40), strings.Repeat("2", 40)
	f.json("GET /repos/acme/shop/compare/{range}", 200, comparisonJSON(commitJSON(one, "alice", "first\n\nbody"), commitJSON(two, "", "second \u202e@all")))
	web := f.server.URL + "/some/prefix"
	c, err := f.forge.Compare(t.Context(), infra(), web+"/acme/shop.git", baseSHA, headSHA, 50)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Commits) != 2 || c.Total != 2 {
		t.Fatalf("Compare = %+v; want two commits", c)
	}
	checkEqual(t, "newest", c.Commits[0].SHA+" "+c.Commits[0].Title+" "+c.Commits[0].Author, two+" second @all Ada L.")
	checkEqual(t, "oldest", c.Commits[1].SHA+" "+c.Commits[1].Title+" "+c.Commits[1].Author, one+" first alice")
	checkEqual(t, "address of a commit", c.Commits[0].URL, web+"/acme/shop/commit/"+two)
	checkEqual(t, "address", c.URL, web+"/acme/shop/compare/"+baseSHA+"..."+headSHA)
	checkEqual(t, "requests", f.lines(), []string{"GET /repos/acme/shop/compare/" + baseSHA + "..." + headSHA})
}

func TestSourcesElsewhereAreNotAskedFor(t *testing.T) {
	f := newFake(t)
	web := f.server.URL + "/some/prefix"
	for _, address := range []string{
		"", "acme/shop", "https://github.com/acme/shop", web, web + "/acme", web + "/acme/shop/pull/1", web + "/acme/..", web + "/../app/installations",
		web + "/acme/shop?x=", web + "/acme/sh%6fp", web + "@evil.example/acme/shop",
	} {
		if _, err := f.forge.Compare(t.Context(), infra(), address, baseSHA, headSHA, 50); !errors.Is(err, forge.ErrNotFound) {
			t.Errorf("Compare(%q): %v; want ErrNotFound", address, err)
		}
	}
	for _, revision := range []string{"", "main", "v1.0.0", "../..", "abc", headSHA + "?x=1", "HEAD~1"} {
		if _, err := f.forge.Compare(t.Context(), infra(), web+"/acme/shop", revision, headSHA, 50); !errors.Is(err, forge.ErrNotFound) {
			t.Errorf("Compare from %q: %v; want ErrNotFound", revision, err)
		}
	}
	checkEqual(t, "requests", f.lines(), []string(nil))
}

func TestSourcesThatAreNotThereCostOneRequest(t *testing.T) {
	for _, status := range []int{301, 404, 422} {
		f := newFake(t)
		f.json("GET /repos/acme/shop/compare/{range}", status, `{"message": "Not Found"}`)
		if _, err := f.forge.Compare(t.Context(), infra(), f.server.URL+"/some/prefix/acme/shop", baseSHA, headSHA, 50); !errors.Is(err, forge.ErrNotFound) {
			t.Errorf("%d gave %v; want ErrNotFound", status, err)
		}
		checkEqual(t, "requests", len(f.lines()), 1)
	}
	f := newFake(t)
	f.json("GET /repos/acme/shop/compare/{range}", 502, `{"message": "Server Error"}`)
	if _, err := f.forge.Compare(t.Context(), infra(), f.server.URL+"/some/prefix/acme/shop", baseSHA, headSHA, 50); err == nil || errors.Is(err, forge.ErrNotFound) {
		t.Errorf("502 gave %v; want another error than ErrNotFound, as it may be there", err)
	}
}
