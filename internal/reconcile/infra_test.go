package reconcile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/boatlift/boatlift/internal/forge"
	"github.com/boatlift/boatlift/internal/forge/forgetest"
	"github.com/boatlift/boatlift/internal/image"
	"github.com/boatlift/boatlift/internal/promotion"
	"github.com/boatlift/boatlift/internal/store"
)

// infra is an infra repo of the world.
type infra struct {
	*world
	forge.Repository
}

func (r *infra) key() promotion.RepoKey { return store.KeyOf("github", int64(r.ID)) }

func (r *infra) alice() forgetest.Person { return r.mem.Person("alice") }

// commit is a commit of alice's on a branch.
func (r *infra) commit(branch string, files map[string]string) string {
	r.t.Helper()
	return r.host.commit(r.name(r.ID), branch, "alice@acme.io", files)
}

// file is the content of a file at a commit or branch.
func (r *infra) file(at, path string) string {
	r.t.Helper()
	return r.host.git("", r.name(r.ID), "show", at+":"+path)
}

// diff is what a pull request changes, by the git program's own word: the changed lines of each file.
func (r *infra) diff(pr forge.PullRequest) []string {
	r.t.Helper()
	var lines []string
	for line := range strings.Lines(r.host.git("", r.name(r.ID), "diff", "-U0", "main..."+pr.HeadSHA)) {
		if strings.HasPrefix(line, "+") || strings.HasPrefix(line, "-") {
			lines = append(lines, strings.TrimRight(line, "\n"))
		}
	}
	return lines
}

func (r *infra) pulls(states ...forge.PullState) []forge.PullRequest {
	return slices.DeleteFunc(r.mem.All(r.ID), func(pr forge.PullRequest) bool { return !slices.Contains(states, pr.State) || !pr.Author.Self })
}

func (r *infra) open() []forge.PullRequest { return r.pulls(forge.Open) }

// only is the one pull request of the bot that is open.
func (r *infra) only() forge.PullRequest {
	r.t.Helper()
	open := r.open()
	if len(open) != 1 {
		r.t.Fatalf("%s has %d open pull requests, want 1\n%s", r.FullName, len(open), r.explain())
	}
	return open[0]
}

// none checks that the bot has no pull request open.
func (r *infra) none() {
	r.t.Helper()
	if open := r.open(); len(open) != 0 {
		r.t.Fatalf("%s has %d open pull requests, want none: %s", r.FullName, len(open), open[0].Title)
	}
}

func (r *infra) pull(number int) forge.PullRequest { return r.mem.All(r.ID)[number-1] }

// check is a check on a commit; its zero value if there is none.
func (r *infra) check(name, sha string) forge.Check {
	for _, c := range r.mem.Checks(r.ID, sha) {
		if c.Name == name {
			return c
		}
	}
	return forge.Check{}
}

// gate checks what the gate shows on a pull request's head.
func (r *infra) gate(pr forge.PullRequest, want forge.Conclusion, words ...string) {
	r.t.Helper()
	c := r.check(CheckName, pr.HeadSHA)
	if c.Conclusion != want {
		r.t.Fatalf("the gate of #%d of %s is %q (%s), want %q\n%s", pr.Number, r.FullName, c.Conclusion, c.Title, want, r.explain())
	}
	for _, word := range words {
		if !strings.Contains(c.Title+"\n"+c.Summary, word) {
			r.t.Fatalf("the gate of #%d of %s does not say %q:\n%s\n%s", pr.Number, r.FullName, word, c.Title, c.Summary)
		}
	}
}

// comment finds a comment of the bot's on a pull request.
func (r *infra) comment(number int, words ...string) {
	r.t.Helper()
	comments := r.mem.Comments(r.ID, number)
	for _, c := range comments {
		if c.Author.Self && !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(c.Body, word) }) {
			return
		}
	}
	r.t.Fatalf("no comment of the bot's on #%d of %s says %q: %v", number, r.FullName, words, comments)
}

func (r *infra) promotions() []promotion.Promotion {
	r.t.Helper()
	list, err := r.store.Promotions(r.ctx, store.PromotionFilter{Repo: r.key()})
	if err != nil {
		r.t.Fatal(err)
	}
	return list
}

// promotion is the one of a pull request.
func (r *infra) promotion(number int) promotion.Promotion {
	r.t.Helper()
	list, err := r.store.Promotions(r.ctx, store.PromotionFilter{Repo: r.key(), PullRequest: number})
	if err != nil || len(list) != 1 {
		r.t.Fatalf("#%d of %s belongs to %d promotions, want 1 (%v)", number, r.FullName, len(list), err)
	}
	return list[0]
}

func (r *infra) notes() []store.RepoNote {
	r.t.Helper()
	notes, err := r.store.Notes(r.ctx, store.NoteFilter{Repo: r.key()})
	if err != nil {
		r.t.Fatal(err)
	}
	return notes
}

// note checks that a note says why an image does not move.
func (r *infra) note(name image.Name, words ...string) {
	r.t.Helper()
	for _, n := range r.notes() {
		if n.Image == name && !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(n.Say+" "+n.Hint, word) }) {
			return
		}
	}
	r.t.Fatalf("no note of %s about %s says %q\n%s", r.FullName, name, words, r.explain())
}

func (r *infra) holds() []store.RepoHold {
	r.t.Helper()
	holds, err := r.store.Holds(r.ctx, store.HoldFilter{Repo: r.key()})
	if err != nil {
		r.t.Fatal(err)
	}
	return holds
}

// record is the repository as the database has it.
func (r *infra) record() store.Repo {
	r.t.Helper()
	rec, found, err := r.store.Repo(r.ctx, r.key())
	if err != nil || !found {
		r.t.Fatalf("%s is not recorded: %v", r.FullName, err)
	}
	return rec
}

func (r *infra) row() store.WorkRow {
	r.t.Helper()
	rows, err := r.store.Work(r.ctx)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, row := range rows {
		if row.Repo == r.key() {
			return row
		}
	}
	r.t.Fatalf("%s has no row of work", r.FullName)
	return store.WorkRow{}
}

// explain is all that may tell why a test failed.
func (r *infra) explain() string {
	var b strings.Builder
	for _, pr := range r.mem.All(r.ID) {
		fmt.Fprintf(&b, "  #%d %s %q head %.8s on %s\n", pr.Number, pr.State, pr.Title, pr.HeadSHA, pr.HeadBranch)
	}
	for _, p := range r.promotions() {
		fmt.Fprintf(&b, "  promotion %s #%d %s: %s %s\n", p.ID, p.PullRequest, p.State, p.Reason, p.LastError)
	}
	for _, n := range r.notes() {
		fmt.Fprintf(&b, "  note %s %s %s: %s\n", n.App, n.Image, n.Tag, n.Say)
	}
	fmt.Fprintf(&b, "  repo %+v\n  work %+v\n", r.record().StateReason, r.row())
	return b.String()
}

// park takes a repository out of the bot's hands.
func (r *infra) park() error {
	if err := r.store.SetRepoState(r.ctx, r.key(), store.RepoParked, "not in this test"); err != nil {
		return fmt.Errorf("park %s: %w", r.FullName, err)
	}
	return nil
}

// running is what is recorded of an environment.
func (r *infra) running(environment string) promotion.Running {
	r.t.Helper()
	m, err := r.store.Memory(r.ctx, r.key())
	if err != nil {
		r.t.Fatal(err)
	}
	for _, run := range m.Running {
		if run.Environment == environment {
			return run
		}
	}
	return promotion.Running{}
}
