package forgetest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/boatlift/boatlift/internal/forge"
)

// sourceScene is a repository that images are built from, with so many commits beside the first.
func sourceScene(t *testing.T, h Harness, commits int) (s scene, source forge.Repository, shas []string) {
	t.Helper()
	s = newScene(t, h)
	id := h.CreateRepository(t, "shop")
	source, err := s.forge.Repository(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	first, _ := h.BranchHead(t, id, "main")
	shas = []string{first}
	for i := range commits {
		shas = append(shas, h.Commit(t, id, "main", map[string]string{"main.go": fmt.Sprintf("package main // %d\n", i)}))
	}
	return s, source, shas
}

// onPage checks an address among the pages of a repository. What stands between the two is the forge's own.
func onPage(t *testing.T, what, got string, repo forge.Repository, end string) {
	t.Helper()
	if !strings.HasPrefix(got, repo.WebURL+"/") || !strings.HasSuffix(got, end) {
		t.Errorf("%s = %s; want %s/…%s", what, got, repo.WebURL, end)
	}
}

func sourcePromises() []promise {
	return []promise{
		{"the commits between two revisions are listed, newest first", func(t *testing.T, h Harness) {
			s, source, shas := sourceScene(t, h, 3)
			c, err := s.forge.Compare(t.Context(), s.repo, source.WebURL, shas[1], shas[3], 50)
			if err != nil {
				t.Fatal(err)
			}
			check(t, "Total", c.Total, 2)
			var got []string
			for _, one := range c.Commits {
				got = append(got, one.SHA)
				if one.Title == "" || strings.Contains(one.Title, "\n") || one.Author == "" {
					t.Errorf("commit %+v; want a title of one line and an author", one)
				}
				onPage(t, "address of a commit", one.URL, source, "/commit/"+one.SHA)
			}
			check(t, "commits", got, []string{shas[3], shas[2]})
			onPage(t, "URL", c.URL, source, "/compare/"+shas[1]+"..."+shas[3])
		}},
		{"of many commits between two revisions the newest are listed", func(t *testing.T, h Harness) {
			s, source, shas := sourceScene(t, h, 7)
			c, err := s.forge.Compare(t.Context(), s.repo, source.WebURL, shas[0], shas[7], 3)
			if err != nil {
				t.Fatal(err)
			}
			check(t, "Total", c.Total, 7)
			if len(c.Commits) != 3 || c.Commits[0].SHA != shas[7] || c.Commits[2].SHA != shas[5] {
				t.Errorf("commits %v; want the three newest", c.Commits)
			}
		}},
		{"backwards, and of a revision with itself, there are no commits", func(t *testing.T, h Harness) {
			s, source, shas := sourceScene(t, h, 2)
			for _, pair := range [][2]string{{shas[2], shas[0]}, {shas[1], shas[1]}} {
				c, err := s.forge.Compare(t.Context(), s.repo, source.WebURL, pair[0], pair[1], 50)
				if err != nil || c.Total != 0 || len(c.Commits) != 0 {
					t.Errorf("Compare(%v) = %+v, %v; want no commits", pair, c, err)
				}
			}
		}},
		{"sources that are not there, or are no sources, are not found", func(t *testing.T, h Harness) {
			s, source, shas := sourceScene(t, h, 1)
			missing := strings.Repeat("0", 39) + "1"
			for _, ask := range [][3]string{
				{source.WebURL, shas[0], missing},
				{source.WebURL, missing, shas[1]},
				{source.WebURL, shas[0], "../../app"},
				{source.WebURL, "main", shas[1]},
				{source.WebURL + "-too", shas[0], shas[1]},
				{"https://elsewhere.example/acme/shop", shas[0], shas[1]},
				{"acme/shop", shas[0], shas[1]},
				{"", shas[0], shas[1]},
			} {
				_, err := s.forge.Compare(t.Context(), s.repo, ask[0], ask[1], ask[2], 50)
				checkError(t, fmt.Sprintf("Compare(%q)", ask), err, forge.ErrNotFound)
			}
			if _, err := s.forge.Repository(t.Context(), s.id); err != nil {
				t.Errorf("the repository that asked: %v", err)
			}
		}},
		{"the merge base of two commits is the newest that both have", func(t *testing.T, h Harness) {
			s := newScene(t, h)
			fork, _ := h.BranchHead(t, s.id, "main")
			one := h.Commit(t, s.id, "topic", map[string]string{"topic.txt": "1\n"})
			two := h.Commit(t, s.id, "topic", map[string]string{"topic.txt": "2\n"})
			base := h.Commit(t, s.id, "main", map[string]string{"main.txt": "1\n"})
			for _, pair := range [][3]string{{base, two, fork}, {two, base, fork}, {one, two, one}, {base, base, base}, {fork, base, fork}} {
				got, err := s.forge.MergeBase(t.Context(), s.repo, pair[0], pair[1])
				if err != nil || got != pair[2] {
					t.Errorf("MergeBase(%s, %s) = %s, %v; want %s", pair[0], pair[1], got, err, pair[2])
				}
			}
			missing := strings.Repeat("0", 39) + "1"
			for _, pair := range [][2]string{{base, missing}, {missing, base}, {base, "../../app"}, {"main", base}} {
				_, err := s.forge.MergeBase(t.Context(), s.repo, pair[0], pair[1])
				checkError(t, fmt.Sprintf("MergeBase(%q)", pair), err, forge.ErrNotFound)
			}
		}},
		{"sources that the bot was taken out of, if private, are not found", func(t *testing.T, h Harness) {
			s, source, shas := sourceScene(t, h, 1)
			h.RemoveBot(t, source.ID)
			_, err := s.forge.Compare(t.Context(), s.repo, source.WebURL, shas[0], shas[1], 50)
			checkError(t, "Compare", err, forge.ErrNotFound)
		}},
	}
}
